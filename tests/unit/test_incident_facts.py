from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from notifications.errors import InvalidInputError
from notifications.incident import (
    LocalizedText,
    PersonalData,
    Resource,
    ResourceKind,
    rsit_taxonomy,
    validate_facts,
)
from support.domain_facts import AGREEMENT, ALICE, AWARE_AT, BOB, NOW, known_facts, listed, open_facts, text


def faults_of(facts):
    try:
        validate_facts(facts, AGREEMENT, NOW)
    except InvalidInputError as error:
        return [(fault.field, fault.reason) for fault in error.faults]
    return []


def fields_of(facts):
    return [field for field, _ in faults_of(facts)]


def machine(**stated):
    return Resource(**{"kind": ResourceKind.MACHINE, "id": "vm-1"} | stated)


def with_personal_data(**stated):
    return known_facts(affected_customers=(replace(listed(), personal_data=PersonalData(**stated)),))


def test_known_and_open_facts_are_valid():
    assert faults_of(known_facts()) == []
    assert faults_of(open_facts()) == []


def test_every_fault_is_gathered_each_with_its_field():
    facts = open_facts(
        title=text("a\r\nBcc: all@example.org"),
        impact="I9",
        criticality="P1",
        rsit_class="nonsense",
        started_at=NOW + timedelta(days=1),
        affected_customers=(replace(listed(), resources=(machine(id="vm\x00"),)),),
    )
    assert fields_of(facts) == [
        "impact",
        "criticality",
        "rsit_class",
        "started_at",
        "aware_at",
        "title.fr",
        "affected_customers.0.resources.0.id",
    ]


@pytest.mark.parametrize("field", ["impact", "criticality"])
def test_a_level_must_be_of_the_agreement_or_unknown(field):
    assert fields_of(open_facts(**{field: "i1"})) == [field]
    assert faults_of(open_facts(**{field: "unknown"})) == []


def test_rsit_knows_every_class_and_type_of_the_taxonomy():
    assert len(rsit_taxonomy()) == 11
    for rsit_class, types in rsit_taxonomy().items():
        for rsit_type in types:
            assert faults_of(open_facts(rsit_class=rsit_class, rsit_type=rsit_type)) == []


@pytest.mark.parametrize(
    ("rsit_class", "rsit_type", "field"),
    [
        ("availability", "spam", "rsit_type"),
        ("availability", "DDoS", "rsit_type"),
        ("Availability", "ddos", "rsit_class"),
        (None, "ddos", "rsit_type"),
        ("", None, "rsit_class"),
    ],
)
def test_rsit_type_must_belong_to_its_class(rsit_class, rsit_type, field):
    assert fields_of(open_facts(rsit_class=rsit_class, rsit_type=rsit_type)) == [field]


def test_rsit_class_may_stand_without_a_type():
    assert faults_of(open_facts(rsit_class="vulnerable")) == []


@pytest.mark.parametrize("field", ["aware_at", "detected_at", "started_at", "ended_at", "next_update_by"])
def test_naive_times_are_refused(field):
    assert fields_of(open_facts(**{field: datetime(2026, 3, 2, 8, 0)})) == [field]  # noqa: DTZ001 # a naive time is the case


@pytest.mark.parametrize("field", ["aware_at", "detected_at", "started_at", "ended_at"])
def test_times_may_run_ahead_by_the_skew_of_clocks_and_no_more(field):
    moments = dict.fromkeys(("aware_at",) if field == "ended_at" else ("aware_at", "detected_at", "started_at"), NOW)
    ahead = open_facts(**moments | {field: NOW + timedelta(seconds=300)})
    assert (field, "must not be in the future") not in faults_of(ahead)
    too_far = open_facts(**moments | {field: NOW + timedelta(seconds=301)})
    assert (field, "must not be in the future") in faults_of(too_far)


def test_the_next_update_may_be_in_the_future_but_not_before_awareness():
    assert faults_of(open_facts(next_update_by=NOW + timedelta(days=2))) == []
    assert fields_of(open_facts(next_update_by=AWARE_AT - timedelta(seconds=1))) == ["next_update_by"]


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"started_at": 2, "detected_at": 1, "aware_at": 3}, "detected_at"),
        ({"started_at": 1, "detected_at": 3, "aware_at": 2}, "aware_at"),
        ({"started_at": 3, "aware_at": 2}, "aware_at"),
        ({"started_at": 2, "ended_at": 1, "aware_at": 3}, "ended_at"),
    ],
)
def test_times_out_of_order_are_refused(stated, field):
    times = {name: AWARE_AT + timedelta(minutes=minutes) for name, minutes in stated.items()}
    assert fields_of(open_facts(**times)) == [field]


def test_an_incident_may_end_before_anybody_was_aware_of_it():
    hours = {"started_at": 1, "ended_at": 2, "detected_at": 3, "aware_at": 4}
    day = datetime(2026, 3, 1, tzinfo=UTC)
    assert faults_of(open_facts(**{name: day + timedelta(hours=hour) for name, hour in hours.items()})) == []


def test_all_moments_may_be_the_same():
    moments = dict.fromkeys(("started_at", "detected_at", "ended_at", "next_update_by"), AWARE_AT)
    assert faults_of(open_facts(**moments)) == []


@pytest.mark.parametrize(
    "words",
    ["", "  ", "a\nb", "a\rb", "a\tb", "a\x00b", "a\x7fb", "a\x85b", "a\u2028b", "a\u202eb", "a\ud800b", "x" * 201],
)
def test_titles_hold_nothing_that_could_break_a_header(words):
    assert fields_of(open_facts(title=text(words))) == ["title.fr"]


def test_titles_may_be_in_any_script_and_as_long_as_allowed():
    assert faults_of(open_facts(title=text("Panne à Lyon — «réseau» 🔥"))) == []
    assert faults_of(open_facts(title=text("x" * 200))) == []


@pytest.mark.parametrize("field", ["summary", "measures_taken", "recommendations", "not_known_yet"])
def test_long_texts_may_have_lines_and_tabs_but_no_other_controls(field):
    assert faults_of(open_facts(**{field: text("line\n\tline\n" + "x" * 19_000)})) == []
    for words in ("", "\n", "a\rb", "a\x0bb", "a\x1bb", "a\udfffb", "x" * 20_001):
        assert fields_of(open_facts(**{field: text(words)})) == [f"{field}.fr"]


def test_texts_need_a_known_language_and_each_once():
    assert fields_of(open_facts(summary=LocalizedText(()))) == ["summary"]
    assert fields_of(open_facts(summary=LocalizedText((("es", "hola"),)))) == ["summary"]
    assert fields_of(open_facts(summary=LocalizedText((("fr", "a"), ("fr", "b"))))) == ["summary.fr"]
    assert fields_of(open_facts(summary=LocalizedText((("de", "a"), ("fr", ""))))) == ["summary.fr"]


def test_an_unknown_language_does_not_carry_control_characters_into_the_answer():
    ((_, reason),) = faults_of(open_facts(title=LocalizedText((("f\r\nr", "a"),))))
    assert reason.isprintable()


@pytest.mark.parametrize("field", ["services", "regions", "availability_zones"])
def test_names_of_scope(field):
    assert faults_of(open_facts(**{field: ("fr-1", "fr-2")})) == []
    assert fields_of(open_facts(**{field: ("fr-1", "fr-1")})) == [field]
    assert fields_of(open_facts(**{field: ("fr-1", "")})) == [f"{field}.1"]
    assert fields_of(open_facts(**{field: ("a\nb", "x" * 201)})) == [f"{field}.0", f"{field}.1"]
    assert fields_of(open_facts(**{field: tuple(map(str, range(1_001)))})) == [field]


def test_a_customer_is_listed_once():
    facts = open_facts(affected_customers=(listed(ALICE), listed(BOB), listed(ALICE)))
    assert fields_of(facts) == ["affected_customers.0.customer_id", "affected_customers.2.customer_id"]


@pytest.mark.parametrize("field", ["data_subjects_approx", "records_approx"])
def test_counts_are_not_negative_and_stay_exact(field):
    path = f"affected_customers.0.personal_data.{field}"
    assert faults_of(with_personal_data(**{field: 0})) == []
    assert faults_of(with_personal_data(**{field: 2**53 - 1})) == []
    assert fields_of(with_personal_data(**{field: -1})) == [path]
    assert fields_of(with_personal_data(**{field: 2**53})) == [path]


@pytest.mark.parametrize("field", ["categories_of_data_subjects", "categories_of_records"])
def test_categories_are_names(field):
    assert faults_of(with_personal_data(**{field: ("employés",)})) == []
    assert fields_of(with_personal_data(**{field: ("a", "b\rc")})) == [f"affected_customers.0.personal_data.{field}.1"]


def test_texts_of_one_customer_are_checked():
    facts = with_personal_data(likely_consequences=text("a\x00"))
    assert fields_of(facts) == ["affected_customers.0.personal_data.likely_consequences.fr"]
    facts = known_facts(affected_customers=(replace(listed(), effect=text(" ")),))
    assert fields_of(facts) == ["affected_customers.0.effect.fr"]


@pytest.mark.parametrize("field", ["id", "name", "region", "availability_zone"])
def test_resources_name_themselves_cleanly(field):
    facts = known_facts(affected_customers=(replace(listed(), resources=(machine(), machine(**{field: "a\nb"}))),))
    assert fields_of(facts) == [f"affected_customers.0.resources.1.{field}"]


def test_resources_are_bounded_over_all_customers():
    def naming(each):
        rows = (replace(listed(UUID(int=number)), resources=(machine(),) * each) for number in (1, 2))
        return open_facts(affected_customers=tuple(rows))

    assert faults_of(naming(50_000)) == []
    assert fields_of(naming(50_001)) == ["affected_customers"]
