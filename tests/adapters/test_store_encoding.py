"""The store's encoding: what comes back equals what was written."""

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.decision import Decision
from notifications.delivery.delivery import Outcome
from notifications.incident import Answer, IncidentFacts
from service.store.sql.encoding import JsonCodec, from_microseconds, to_microseconds
from support.records import make_decision, make_facts

#: Everything that a database text can hold: no lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MOMENTS = st.datetimes(timezones=st.just(UTC))

st.register_type_strategy(str, TEXTS)
st.register_type_strategy(datetime, MOMENTS)


@given(MOMENTS)
def test_times_are_exact_to_the_microsecond_and_sort_as_numbers(moment):
    number = to_microseconds(moment)
    assert from_microseconds(number) == moment
    assert from_microseconds(number).tzinfo is UTC
    assert to_microseconds(moment.min.replace(tzinfo=UTC)) <= number


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_time_fit(moment):
    assert from_microseconds(to_microseconds(moment)) == moment
    assert -(2**63) <= to_microseconds(moment) < 2**63


def test_another_offset_is_the_same_moment():
    moment = datetime(2026, 3, 2, 1, 0, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert from_microseconds(to_microseconds(moment)) == moment
    facts = make_facts(aware_at=moment)
    codec = JsonCodec(IncidentFacts)
    assert codec.decode(codec.encode(facts)) == facts
    assert codec.decode(codec.encode(facts)).aware_at.tzinfo is UTC


def test_a_naive_time_is_refused():
    naive = datetime(2026, 3, 2)  # noqa: DTZ001 - that it has no offset is the point
    with pytest.raises(ValueError, match="naive"):
        to_microseconds(naive)
    with pytest.raises(ValueError, match="naive"):
        JsonCodec(IncidentFacts).encode(make_facts(aware_at=naive))


#: Written by the release before categories had languages.
EARLIER = (
    '{"title":{"texts":[["en","Leak"]]},"summary":{"texts":[["en","A leak."]]},"aware_at":"2026-11-23T08:00:00+00:00",'
    '"affected_customers":[{"customer_id":"00000000-0000-0000-0000-000000000007","personal_data":{"breach":"suspected",'
    '"controller":"unknown","categories_of_data_subjects":["users of the customer\'s web site"],'
    '"data_subjects_approx":null,"categories_of_records":["names","cookies"],"records_approx":null,'
    '"likely_consequences":null},"resources":[],"effect":null}]}'
)


def test_categories_that_an_earlier_release_stored_as_strings_are_read():
    codec = JsonCodec(IncidentFacts)
    data = codec.decode(EARLIER).affected_customers[0].personal_data
    assert data.categories_of_data_subjects == ("users of the customer's web site",)
    assert data.categories_of_records == ("names", "cookies")
    again = codec.encode(codec.decode(EARLIER))
    assert '"categories_of_records":["names","cookies"],"records_approx":null' in again


@given(st.from_type(IncidentFacts))
def test_facts_come_back_equal_with_their_types(facts):
    codec = JsonCodec(IncidentFacts)
    found = codec.decode(codec.encode(facts))
    assert found == facts
    for member in fields(IncidentFacts):
        assert type(getattr(found, member.name)) is type(getattr(facts, member.name)), member.name


@given(st.from_type(Decision))
def test_decisions_come_back_equal(decision):
    codec = JsonCodec(Decision)
    found = codec.decode(codec.encode(decision))
    assert found == decision
    assert all(type(reason.holds) is Answer for reason in found.reasons)


@given(st.from_type(Outcome))
def test_outcomes_come_back_equal(outcome):
    codec = JsonCodec(Outcome)
    assert codec.decode(codec.encode(outcome)) == outcome


def test_the_text_is_compact_and_keyed_by_field():
    codec = JsonCodec(Outcome)
    assert codec.encode(Outcome("accepted", 250, None, "é", None, None, None, None)) == (
        '{"kind":"accepted","code":250,"enhanced_status":null,"text":"é","queue_id":null,"tls_version":null,'
        '"tls_cipher":null,"remote":null,"retry_after_seconds":null,"limit":null}'
    )


@dataclass(frozen=True, slots=True)
class OldRecord:
    name: str


@dataclass(frozen=True, slots=True)
class NewRecord:
    name: str
    tags: tuple[str, ...] = ("none",)


def test_a_record_from_before_a_field_existed_takes_its_default():
    assert JsonCodec(NewRecord).decode(JsonCodec(OldRecord).encode(OldRecord("x"))) == NewRecord("x")


@pytest.mark.parametrize("text", ['{"name":"x","tags":[],"other":1}', '{"tags":[]}'])
def test_a_record_with_other_fields_is_refused(text):
    with pytest.raises(ValueError, match="other fields"):
        JsonCodec(NewRecord).decode(text)


@pytest.mark.parametrize("kind", [float, dict[str, str], str | int, tuple[UUID, str]])
def test_a_type_without_a_shape_is_refused_when_the_codec_is_made(kind):
    with pytest.raises(TypeError):
        JsonCodec(kind)


def test_an_unknown_code_is_refused():
    codec = JsonCodec(Decision)
    decision = make_decision(type("I", (), {"id": UUID(int=1)}), type("C", (), {"id": UUID(int=2)})).decision
    with pytest.raises(KeyError):
        codec.decode(codec.encode(decision).replace('"notify"', '"perhaps"'))
