"""Leaves of the audit log: what may stand in clear, what is committed to, and what a leaf's bytes may be."""

import hashlib
import hmac
import json
from contextlib import suppress
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from types import MappingProxyType
from uuid import UUID

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.audit.entry import (
    MAX_LEAF_BYTES,
    SALT_BYTES,
    AuditEntry,
    Opening,
    commitment,
    leaf_bytes,
    parse_leaf,
    pseudonym,
    verify_commitment,
)
from notifications.canonical_json import MAX_INTEGER, canonicalize
from notifications.errors import InvalidInputError, VerificationError

SALT = bytes(range(32))
ENTRY = AuditEntry(
    id=UUID("0199c0de-0000-7000-8000-000000000001"),
    type="notice.sealed",
    at=datetime(2026, 11, 23, 4, 45, 18, 123456, tzinfo=UTC),
    actor="system:worker",
    subjects={"notice": "0199c0de-0000-7000-8000-000000000002", "customer": "ab" * 32},
    detail={"ticket": "INC-2026-0001", "sequence": 1, "timestamped": True, "next": None, "grounds": ["a:yes", "b:no"]},
    openings=(Opening("signature", SALT, b"2" * 32), Opening("document", SALT[::-1], b"1" * 32)),
)

names = st.from_regex(r"[a-z][a-z0-9_]{0,40}", fullmatch=True)
codes = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"], exclude_characters="@"), max_size=40
)
details = st.one_of(
    st.none(), st.booleans(), st.integers(-MAX_INTEGER, MAX_INTEGER), codes, st.lists(codes, max_size=4)
)
entries = st.builds(
    AuditEntry,
    id=st.uuids(),
    type=st.from_regex(r"[a-z][a-z_]{0,30}\.[a-z][a-z_]{0,30}", fullmatch=True),
    at=st.datetimes(timezones=st.just(UTC)),
    actor=st.from_regex(r"[a-z]{1,5}:[A-Za-z0-9._-]{1,80}", fullmatch=True),
    subjects=st.dictionaries(names, st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True), max_size=4),
    detail=st.dictionaries(names, details, max_size=6),
    openings=st.lists(
        st.builds(Opening, name=names, salt=st.binary(min_size=32, max_size=32), value=st.binary(max_size=64)),
        max_size=3,
        unique_by=lambda opening: opening.name,
    ).map(tuple),
)


def refused(entry):
    with pytest.raises(InvalidInputError) as caught:
        leaf_bytes(entry)
    return str(caught.value)


class TestWriting:
    def test_the_exact_bytes(self):
        committed = {
            "document": hashlib.sha256(b"greffier/commitment/v1\ndocument\n" + SALT[::-1] + b"1" * 32).hexdigest(),
            "signature": hashlib.sha256(b"greffier/commitment/v1\nsignature\n" + SALT + b"2" * 32).hexdigest(),
        }
        assert leaf_bytes(ENTRY).decode() == (
            '{"actor":"system:worker","at":"2026-11-23T04:45:18.123456Z",'
            f'"commitments":{{"document":"{committed["document"]}","signature":"{committed["signature"]}"}},'
            '"detail":{"grounds":["a:yes","b:no"],"next":null,"sequence":1,"ticket":"INC-2026-0001","timestamped":true},'
            '"id":"0199c0de-0000-7000-8000-000000000001",'
            f'"subjects":{{"customer":"{"ab" * 32}","notice":"0199c0de-0000-7000-8000-000000000002"}},'
            '"type":"notice.sealed","v":1}'
        )

    @settings(deadline=None, max_examples=120)
    @given(entries)
    def test_every_leaf_is_canonical_and_reads_back(self, entry):
        written = leaf_bytes(entry)
        assert written == canonicalize(json.loads(written)) == rfc8785.dumps(json.loads(written))
        leaf = parse_leaf(written)
        assert (leaf.id, leaf.type, leaf.at, leaf.actor) == (entry.id, entry.type, entry.at, entry.actor)
        assert (leaf.subjects, leaf.detail) == (entry.subjects, entry.detail)
        assert leaf.commitments.keys() == {opening.name for opening in entry.openings}
        for opening in entry.openings:
            verify_commitment(leaf, opening.name, opening.salt, opening.value)

    def test_members_of_enumerations_and_read_only_mappings_give_the_same_bytes(self):
        class Kind(StrEnum):
            SEALED = "notice.sealed"

        class Number(IntEnum):
            ONE = 1

        detail = MappingProxyType({**ENTRY.detail, "sequence": Number.ONE})
        entry = replace(ENTRY, type=Kind.SEALED, subjects=MappingProxyType(ENTRY.subjects), detail=detail)
        assert leaf_bytes(entry) == leaf_bytes(ENTRY)

    def test_any_zone_gives_the_same_moment(self):
        local = ENTRY.at.astimezone(timezone(timedelta(hours=-11)))
        assert leaf_bytes(replace(ENTRY, at=local)) == leaf_bytes(ENTRY)

    @pytest.mark.parametrize(
        "kind", ["", "notice", "notice.", ".sealed", "Notice.sealed", "notice.sealed.twice", "notice.sealed\n", "a b.c"]
    )
    def test_types_are_noun_and_verb(self, kind):
        assert "noun.verb_past" in refused(replace(ENTRY, type=kind))

    @pytest.mark.parametrize(
        "actor", ["", "worker", "system:", ":worker", "user:Jeanne Martin", "user:j@example.org", "user:é", "a:b\n"]
    )
    def test_actors_are_opaque(self, actor):
        assert "kind:opaque-id" in refused(replace(ENTRY, actor=actor))

    @pytest.mark.parametrize("identifier", ["", "Jeanne Martin", "j@example.org", "a\nb", "é", "x" * 129, 5, None])
    def test_subjects_are_opaque(self, identifier):
        assert "subjects.customer" in refused(replace(ENTRY, subjects={"customer": identifier}))

    @pytest.mark.parametrize(
        "value",
        [
            "j@example.org",
            ["a", "j@example.org"],
            "line\nline",
            "a\u2028b",
            "\x7f",
            "x" * 501,
            1.5,
            MAX_INTEGER + 1,
            b"x",
            {"nested": 1},
            ["a", 1],
            [["a"]],
            ("a", "b"),
        ],
    )
    def test_details_are_codes_and_numbers(self, value):
        assert "detail.x" in refused(replace(ENTRY, detail={"x": value}))

    @pytest.mark.parametrize("name", ["", "Ticket", "a b", "é", "1a", "a\n", "x" * 42])
    def test_member_names_are_plain(self, name):
        refused(replace(ENTRY, subjects={name: "x"}))
        refused(replace(ENTRY, detail={name: 1}))
        refused(replace(ENTRY, openings=(Opening(name, SALT, b""),)))

    def test_what_else_is_refused(self):
        assert "twice" in refused(replace(ENTRY, openings=(Opening("a", SALT, b"1"), Opening("a", SALT, b"2"))))
        assert "32 bytes" in refused(replace(ENTRY, openings=(Opening("a", SALT[:-1], b"1"),)))
        assert "offset" in refused(replace(ENTRY, at=datetime(2026, 1, 1)))  # noqa: DTZ001 - refused for being naive
        assert "surrogate" in refused(replace(ENTRY, detail={"x": "\ud800"}))

    def test_the_length_is_limited_to_what_an_entry_bundle_holds(self):
        def longer_by(added):
            """Return an entry whose leaf has ``added`` more bytes: 500 for each full code with its quotes and comma."""
            full, rest = divmod(added, 500)
            return replace(ENTRY, detail={"x": ["y" * 497] * full + ["z" * rest]})

        room = MAX_LEAF_BYTES - len(leaf_bytes(longer_by(0)))
        longest = leaf_bytes(longer_by(room))
        assert len(longest) == MAX_LEAF_BYTES == 65_535
        parse_leaf(longest)
        assert f"at most {MAX_LEAF_BYTES}" in refused(longer_by(room + 1))


def changed_leaf(**members):
    return canonicalize({**json.loads(leaf_bytes(ENTRY)), **members})


class TestReading:
    def test_a_leaf_cannot_be_changed(self):
        leaf = parse_leaf(leaf_bytes(ENTRY))
        with pytest.raises(FrozenInstanceError):
            leaf.type = "notice.drafted"

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"null",
            b"[]",
            leaf_bytes(ENTRY) + b"\n",
            leaf_bytes(ENTRY).replace(b'{"actor"', b'{ "actor"'),
            canonicalize({key: item for key, item in json.loads(leaf_bytes(ENTRY)).items() if key != "detail"}),
            changed_leaf(more=1),
            changed_leaf(v=2),
            changed_leaf(v=True),
            changed_leaf(v="1"),
            changed_leaf(id=str(ENTRY.id).upper()),
            changed_leaf(id=ENTRY.id.hex),
            changed_leaf(id="{" + str(ENTRY.id) + "}"),
            changed_leaf(id="x"),
            changed_leaf(id=1),
            changed_leaf(type="sealed"),
            changed_leaf(type=None),
            changed_leaf(at="2026-11-23T04:45:18Z"),
            changed_leaf(actor="Jeanne Martin"),
            changed_leaf(subjects=[]),
            changed_leaf(subjects={"notice": 1}),
            changed_leaf(subjects={"Notice": "x"}),
            changed_leaf(detail={"x": {"nested": 1}}),
            changed_leaf(detail={"x": [1]}),
            changed_leaf(detail={"x": "j@example.org"}),
            changed_leaf(detail={"Not a name": 1}),
            changed_leaf(commitments={"document": "ab"}),
            changed_leaf(commitments={"document": "AB" * 32}),
            changed_leaf(commitments={"document": None}),
            changed_leaf(commitments={"not a name": "ab" * 32}),
            b'"' + b"x" * MAX_LEAF_BYTES + b'"',
        ],
    )
    def test_anything_but_a_leaf_is_refused(self, data):
        with pytest.raises(InvalidInputError):
            parse_leaf(data)

    def test_a_leaf_that_no_bundle_holds_is_refused_though_it_is_well_formed(self):
        too_long = changed_leaf(detail={"x": ["y" * 400] * 200})
        assert len(too_long) > MAX_LEAF_BYTES
        with pytest.raises(InvalidInputError, match=f"at most {MAX_LEAF_BYTES}"):
            parse_leaf(too_long)

    JSON = st.recursive(
        st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=8) | st.just("ab" * 32),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
    MEMBERS = st.sampled_from(["v", "id", "type", "at", "actor", "subjects", "detail", "commitments", "x"])

    @settings(deadline=None, max_examples=150)
    @given(st.dictionaries(MEMBERS, JSON, min_size=1, max_size=3))
    def test_arbitrary_members_are_refused_or_keep_the_rules(self, members):
        data = json.dumps(
            {**json.loads(leaf_bytes(ENTRY)), **members}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
        with suppress(InvalidInputError):
            leaf = parse_leaf(data)
            # Whatever is read could have been written: the same rules hold on both sides.
            entry = AuditEntry(leaf.id, leaf.type, leaf.at, leaf.actor, leaf.subjects, leaf.detail)
            without = {**json.loads(data), "commitments": {}}
            assert leaf_bytes(entry) == canonicalize(without)

    @settings(deadline=None, max_examples=120)
    @given(st.binary(max_size=200), st.integers(0, 600), st.integers(0, 600))
    def test_arbitrary_bytes_are_refused(self, data, start, end):
        whole = leaf_bytes(ENTRY)
        for bent in (data, whole[:start] + data + whole[end:]):
            with suppress(InvalidInputError):
                leaf = parse_leaf(bent)
                assert canonicalize(json.loads(bent)) == bent
                assert json.loads(bent)["id"] == str(leaf.id)

    def test_no_changed_bit_gives_the_same_leaf(self):
        whole = leaf_bytes(ENTRY)
        original = parse_leaf(whole)
        for bit in range(len(whole) * 8):
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            with suppress(InvalidInputError):
                assert parse_leaf(bytes(changed)) != original


class TestCommitments:
    LEAF = parse_leaf(leaf_bytes(ENTRY))

    def test_they_open_with_their_own_name_salt_and_value(self):
        for opening in ENTRY.openings:
            verify_commitment(self.LEAF, opening.name, opening.salt, opening.value)

    @pytest.mark.parametrize(
        ("name", "salt", "value"),
        [
            ("document", SALT, b"1" * 32),
            ("document", SALT[::-1], b"2" * 32),
            ("document", SALT[::-1], b"1" * 31),
            ("document", SALT[::-1], b"1" * 33),
            ("document", SALT[::-1][:-1], b"1" * 32),
            ("document", SALT[::-1] + b"1", b"1" * 31),
            ("document", b"", b""),
            ("signature", SALT[::-1], b"1" * 32),
            ("timestamp", SALT[::-1], b"1" * 32),
            ("Document", SALT[::-1], b"1" * 32),
        ],
    )
    def test_nothing_else_opens_them(self, name, salt, value):
        with pytest.raises(VerificationError) as caught:
            verify_commitment(self.LEAF, name, salt, value)
        assert caught.value.step == "commitment"

    @settings(deadline=None, max_examples=120)
    @given(names, st.binary(min_size=32, max_size=32), st.binary(max_size=80), st.data())
    def test_no_other_triple_opens_one(self, name, salt, value, data):
        leaf = parse_leaf(leaf_bytes(replace(ENTRY, openings=(Opening(name, salt, value),))))
        verify_commitment(leaf, name, salt, value)
        # The same bytes parted elsewhere, and anything drawn.
        moved = data.draw(st.integers(1, 80))
        for other in (
            (name, (salt + value)[moved : moved + 32], value[moved:]),
            (name, salt, value + b"\0"),
            (name, bytes([salt[0] ^ 1]) + salt[1:], value),
            (name, salt, data.draw(st.binary(max_size=80))),
            (data.draw(names), salt, value),
        ):
            if other != (name, salt, value):
                with pytest.raises(VerificationError):
                    verify_commitment(leaf, *other)

    def test_a_value_cannot_be_guessed_without_the_salt(self):
        # Two entries over one value share nothing that an onlooker could compare.
        one, other = (
            parse_leaf(leaf_bytes(replace(ENTRY, openings=(Opening("document", salt, b"yes"),))))
            for salt in (SALT, SALT[::-1])
        )
        assert one.commitments != other.commitments
        assert one.commitments["document"] != hashlib.sha256(b"yes").digest()

    def test_digests_are_compared_in_constant_time(self, monkeypatch):
        compared = []

        def compare_digest(left, right):
            compared.append((left, right))
            return left == right

        monkeypatch.setattr(hmac, "compare_digest", compare_digest)
        verify_commitment(self.LEAF, "signature", SALT, b"2" * 32)
        assert compared == [(commitment("signature", SALT, b"2" * 32),) * 2]

    def test_the_parts_cannot_be_shifted(self):
        with pytest.raises(InvalidInputError):
            commitment("document\n" + "x" * 3, SALT, b"")
        for length in (0, SALT_BYTES - 1, SALT_BYTES + 1):
            with pytest.raises(InvalidInputError):
                commitment("document", bytes(length), b"")
        assert commitment("a", SALT, b"") != commitment("b", SALT, b"")


class TestPseudonym:
    CUSTOMER = UUID("0199c0de-0000-7000-8000-00000000000a")

    def test_the_exact_text(self):
        expected = hashlib.sha256(b"greffier/pseudonym/v1\n" + SALT + self.CUSTOMER.bytes).hexdigest()
        assert pseudonym(SALT, self.CUSTOMER) == expected

    def test_another_salt_gives_another_name(self):
        assert pseudonym(SALT, self.CUSTOMER) != pseudonym(SALT[::-1], self.CUSTOMER)
        with pytest.raises(InvalidInputError):
            pseudonym(SALT[1:], self.CUSTOMER)
