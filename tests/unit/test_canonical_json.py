"""Canonical JSON against the published vectors of RFC 8785 and against another implementation of it."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifications.canonical_json import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_INTEGER,
    canonicalize,
    parse_canonical,
    parse_timestamp,
    timestamp_text,
)
from notifications.errors import InvalidInputError

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "rfc8785.json").read_text("utf-8"))["cases"]

integers = st.integers(-MAX_INTEGER, MAX_INTEGER)
# Keys around the surrogate range, where UTF-16 and code points sort differently, come up often.
keys = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from("a\ud7ff\ue000\uffff\U00010000\U0010ffff")))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), integers, st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=25,
)


def nested(depth, innermost=()):
    value = list(innermost)
    for _ in range(depth - 1):
        value = [value]
    return value


def nested_objects(depth, key="a"):
    value = {}
    for _ in range(depth - 1):
        value = {key: value}
    return value


def refusal(call, *arguments):
    with pytest.raises(InvalidInputError) as caught:
        call(*arguments)
    return caught.value.faults[0]


class TestCanonicalize:
    @pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
    def test_published_vectors(self, case):
        assert canonicalize(case["value"]) == case["canonical"].encode()

    @settings(deadline=None, max_examples=120)
    @given(values)
    @example({"\U00010000": 1, "\ue000": 2, "\ud7ff": 3})
    @example({"a\U00010000": 1, "a\ue000": {"\U0010ffff": None, "\uffff": []}})
    def test_the_same_bytes_as_another_implementation(self, value):
        assert canonicalize(value) == rfc8785.dumps(value)

    @settings(deadline=None)
    @given(values)
    def test_what_is_written_reads_back(self, value):
        assert parse_canonical(canonicalize(value)) == value

    @settings(deadline=None, max_examples=120)
    @given(values, st.data())
    def test_another_order_of_keys_gives_the_same_bytes(self, value, data):
        def shuffled(part):
            if isinstance(part, dict):
                return {key: shuffled(part[key]) for key in data.draw(st.permutations(list(part)))}
            return [shuffled(item) for item in part] if isinstance(part, list) else part

        assert canonicalize(shuffled(value)) == canonicalize(value)

    @settings(deadline=None, max_examples=120)
    @given(st.one_of(st.floats(), st.integers(min_value=MAX_INTEGER + 1), st.binary(), st.just("\udc00")), st.data())
    def test_a_wrong_value_is_named_by_its_path_wherever_it_stands(self, wrong, data):
        value, path = wrong, []
        for _ in range(data.draw(st.integers(0, 6))):
            if data.draw(st.booleans()):
                key = data.draw(st.text("aé\ue000\U00010000", min_size=1, max_size=3))
                value = {"": 1, **data.draw(st.dictionaries(keys, integers, max_size=2)), key: value}
            else:
                before = data.draw(st.lists(st.text(max_size=3), max_size=2))
                key, value = str(len(before)), [*before, value, {}]
            path.insert(0, key)
        assert refusal(canonicalize, value).field == ".".join(path)

    @settings(deadline=None, max_examples=120)
    @given(
        st.recursive(
            st.one_of(
                st.none(), st.booleans(), st.integers(), st.floats(), st.binary(), st.text(st.characters()),
                st.dates(), st.just(Ellipsis), st.just(range(3)), st.frozensets(st.integers(), max_size=2),
            ),
            lambda inner: st.one_of(
                st.lists(inner, max_size=4),
                st.lists(inner, max_size=4).map(tuple),
                st.dictionaries(st.text(st.characters(), max_size=3) | st.integers() | st.none(), inner, max_size=4),
            ),
            max_leaves=12,
        )
    )  # fmt: skip
    def test_any_value_is_written_as_it_reads_back_or_refused(self, value):
        with suppress(InvalidInputError):
            written = canonicalize(value)
            assert canonicalize(parse_canonical(written)) == written

    def test_every_control_character_is_escaped_in_the_one_way(self):
        for code in range(0x20):
            assert canonicalize(chr(code)) == rfc8785.dumps(chr(code))

    def test_tuples_and_read_only_mappings_are_taken(self):
        assert canonicalize(MappingProxyType({"b": (1, 2), "a": MappingProxyType({})})) == b'{"a":{},"b":[1,2]}'

    def test_members_of_enumerations_give_their_values(self):
        class Plain(str, Enum):  # noqa: UP042 - its str() is not its value, which is the point
            A = "one"

        class Modern(StrEnum):
            A = "two"

        class Number(IntEnum):
            A = 3

        assert canonicalize([Plain.A, Modern.A, Number.A, True]) == b'["one","two",3,true]'

    @pytest.mark.parametrize(
        ("value", "place"),
        [
            (1.0, ""),
            ({"a": [1, {"b": float("nan")}]}, "a.1.b"),
            ({"count": MAX_INTEGER + 1}, "count"),
            ({"count": -MAX_INTEGER - 1}, "count"),
            ({"a": {1: "x"}}, "a"),
            ({"a": b"bytes"}, "a"),
            ({"a": bytearray(b"x")}, "a"),
            ({"a": memoryview(b"x")}, "a"),
            ({"a": {1, 2}}, "a"),
            ({"at": datetime(2026, 1, 1, tzinfo=UTC)}, "at"),
            ("\ud800", ""),
            ({"a": ["x", "\udfff"]}, "a.1"),
            ({"a": {"\ud800": 1}}, "a.\\ud800"),
            ({"\ud800": 1.5}, "\\ud800"),
        ],
    )
    def test_what_it_has_not_is_refused_with_its_place(self, value, place):
        fault = refusal(canonicalize, value)
        assert fault.field == place
        fault.field.encode()

    def test_the_largest_integers_are_kept(self):
        assert canonicalize([MAX_INTEGER, -MAX_INTEGER]) == b"[9007199254740991,-9007199254740991]"

    def test_deep_values_and_values_that_hold_themselves(self):
        canonicalize(nested(MAX_DEPTH, ["x"]))
        assert "nested" in refusal(canonicalize, nested(MAX_DEPTH + 1)).reason
        endless = []
        endless.append(endless)
        assert "nested" in refusal(canonicalize, endless).reason
        assert "nested" in refusal(canonicalize, nested(100_000)).reason

    @pytest.mark.parametrize("key", ["a", "é"])
    def test_deep_objects_and_objects_that_hold_themselves(self, key):
        canonicalize(nested_objects(MAX_DEPTH, key))
        assert "nested" in refusal(canonicalize, nested_objects(MAX_DEPTH + 1, key)).reason
        endless = {}
        endless[key] = [endless]
        assert "nested" in refusal(canonicalize, endless).reason
        endless = {}
        endless[key] = endless
        assert "nested" in refusal(canonicalize, endless).reason
        assert "nested" in refusal(canonicalize, nested_objects(20_000, key)).reason


class TestParsing:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{",
            b'{"a":1,"a":1}',
            b'{"a":{"b":1,"b":2}}',
            b'{"b":1,"a":2}',
            '{"\ue000":1,"\U00010000":2}'.encode(),
            b'{"a": 1}',
            b'{"a":1}\n',
            b' {"a":1}',
            b'\xef\xbb\xbf{"a":1}',
            b"1.0",
            b"1e3",
            b"-0",
            b"01",
            b"NaN",
            b"Infinity",
            b"9007199254740992",
            b"9" * 5000,
            b'"\\u0061"',
            b'"\\/"',
            b'"\\u000A"',
            b'"\\u001F"',
            b'"\\ud83d\\ude00"',
            b'"\\ud800"',
            b'"\xff"',
            b'"\xed\xa0\x80"',
            b'"\n"',
            b'{"a":1}x',
            '{"a":1}'.encode("utf-16"),
        ],
    )
    def test_any_other_spelling_is_refused(self, data):
        refusal(parse_canonical, data)

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b'{"a":1,"a":1}', "a key stands twice"),
            (b"[1.5]", "1.5 is no integer"),
            (b"[NaN]", "NaN is no integer"),
            (b'{"a": 1}', "not in its canonical form"),
            (b"[-0]", "not in its canonical form"),
            (b"\xff", "is not canonical JSON"),
        ],
    )
    def test_the_reason_is_named(self, data, reason):
        assert reason in refusal(parse_canonical, data).reason

    def test_depth_and_length_are_limited(self):
        assert parse_canonical(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) == nested(MAX_DEPTH)
        for depth in (MAX_DEPTH + 1, 900, 200_000):
            refusal(parse_canonical, b"[" * depth + b"]" * depth)
        assert "longer" in refusal(parse_canonical, b'"' + b"x" * MAX_BYTES + b'"').reason

    @settings(deadline=None, max_examples=120)
    @given(
        st.binary(max_size=40)
        | st.text('{}[]:,"\\\u0001auntrlse0123456789-+.eE \n\ud83dé', max_size=30).map(
            lambda text: text.encode("utf-8", "surrogatepass")
        )
    )
    def test_arbitrary_bytes_are_refused_or_are_canonical(self, data):
        with suppress(InvalidInputError):
            assert rfc8785.dumps(parse_canonical(data)) == data

    @settings(deadline=None, max_examples=120)
    @given(values.filter(lambda value: isinstance(value, dict | list) and value))
    def test_other_writers_are_refused_where_they_differ(self, value):
        canonical = canonicalize(value)
        for other in (
            json.dumps(value).encode(),
            json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(),
            json.dumps(value, separators=(",", ":"), sort_keys=True).encode(),
            json.dumps(value, indent=1, ensure_ascii=False).encode(),
        ):
            if other == canonical:
                assert parse_canonical(other) == value
            else:
                refusal(parse_canonical, other)

    @settings(deadline=None, max_examples=150)
    @given(values, st.data())
    def test_a_changed_byte_is_refused_or_is_another_canonical_text(self, value, data):
        original = canonicalize(value)
        place = data.draw(st.integers(0, len(original) - 1))
        changed = bytearray(original)
        changed[place] ^= data.draw(st.integers(1, 255))
        with suppress(InvalidInputError):
            assert canonicalize(parse_canonical(bytes(changed))) == bytes(changed)


class TestTimes:
    @settings(deadline=None)
    @given(st.datetimes(timezones=st.timezones()))
    def test_they_read_back_as_the_same_moment(self, moment):
        try:
            text = timestamp_text(moment)
        except InvalidInputError:
            with pytest.raises(OverflowError):
                moment.astimezone(UTC)
            return
        assert len(text) == len("2026-11-23T04:45:18.123456Z")
        assert parse_timestamp(text) == moment.astimezone(UTC)
        assert parse_timestamp(text).utcoffset() == timedelta(0)

    def test_microseconds_are_always_written(self):
        moment = datetime(2026, 11, 23, 5, 45, 18, tzinfo=timezone(timedelta(hours=1)))
        assert timestamp_text(moment) == "2026-11-23T04:45:18.000000Z"

    def test_a_repeated_hour_keeps_its_two_moments(self):
        first = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Paris"))
        second = first.replace(fold=1)
        assert first == second  # what a cache would see
        assert timestamp_text(first) == "2026-10-25T00:30:00.000000Z"
        assert timestamp_text(second) == "2026-10-25T01:30:00.000000Z"

    @pytest.mark.parametrize(
        "moment",
        [
            datetime(2026, 1, 1),  # noqa: DTZ001 - refused for being naive
            datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))),
            datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        ],
    )
    def test_naive_and_unreachable_times_are_refused(self, moment):
        refusal(timestamp_text, moment)

    @pytest.mark.parametrize(
        "text",
        [
            "2026-11-23T04:45:18Z",
            "2026-11-23T04:45:18.123Z",
            "2026-11-23T04:45:18.123456+00:00",
            "2026-11-23T04:45:18.123456z",
            "2026-11-23 04:45:18.123456Z",
            "2026-11-23T04:45:18.123456Z\n",
            "2026-02-30T04:45:18.123456Z",
            "2026-11-23T24:00:00.000000Z",
            "2026-11-23T04:45:60.000000Z",
            "٢٠٢٦-11-23T04:45:18.123456Z",
            "",
        ],
    )
    def test_other_forms_are_refused(self, text):
        refusal(parse_timestamp, text)

    @settings(deadline=None, max_examples=120)
    @given(
        st.text(max_size=30)
        | st.text("0123456789", min_size=20, max_size=20).map(
            lambda d: f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}.{d[14:]}Z"
        )
    )
    def test_arbitrary_text_is_refused_or_is_the_one_form(self, text):
        with suppress(InvalidInputError):
            assert timestamp_text(parse_timestamp(text)) == text
