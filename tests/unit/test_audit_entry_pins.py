"""Leaves, each rule by itself: how long, which characters, what is escaped, and which field a refusal names.

Quick on purpose: mutation testing takes these first. ``test_audit_entry`` has the exact bytes and the definitions.
"""

import json
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from notifications.audit.entry import (
    MAX_LEAF_BYTES,
    AuditEntry,
    Leaf,
    Opening,
    commitment,
    leaf_bytes,
    parse_leaf,
    pseudonym,
)
from notifications.canonical_json import MAX_INTEGER, canonicalize
from support.refusals import fault_of

SALT = bytes(range(32))
ENTRY = AuditEntry(UUID(int=1), "notice.sealed", datetime(2026, 11, 23, tzinfo=UTC), "system:worker")
LONG_WORD = "a" + "b_" * 15


def field_refused(act, *arguments):
    return fault_of(act, *arguments).field


def detail_of(**detail):
    return leaf_bytes(replace(ENTRY, detail=detail))


def test_an_entry_of_nothing_but_its_act():
    assert leaf_bytes(ENTRY) == (
        b'{"actor":"system:worker","at":"2026-11-23T00:00:00.000000Z","commitments":{},"detail":{},'
        b'"id":"00000000-0000-0000-0000-000000000001","subjects":{},"type":"notice.sealed","v":1}'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", '""'), ("plain", '"plain"'),
        ('"', '"\\""'), ("\\", '"\\\\"'), ('\\"', '"\\\\\\""'), ('a"b"c', '"a\\"b\\"c"'),
        ("a\\b\\c", '"a\\\\b\\\\c"'), ("/<é€😀>", '"/<é€😀>"'), (0, "0"), (-7, "-7"), (MAX_INTEGER, str(MAX_INTEGER)),
        (-MAX_INTEGER, str(-MAX_INTEGER)), (True, "true"), (False, "false"), (None, "null"), ([], "[]"),
        (["b", 'a"', ""], '["b","a\\"",""]'),
    ],
)  # fmt: skip
def test_values_as_json(value, text):
    leaf = detail_of(x=value)
    assert f'"detail":{{"x":{text}}}'.encode() in leaf
    assert leaf == canonicalize(json.loads(leaf))
    read = parse_leaf(leaf).detail["x"]
    assert (read, type(read)) == (value, type(value))


def test_members_stand_in_order_whatever_order_they_are_given_in():
    members = {"b": "1", "a_": "2", "a0": "3", "a": "4"}
    leaf = leaf_bytes(replace(ENTRY, subjects=members, detail=members, openings=tuple(
        Opening(name, SALT, b"") for name in members
    )))  # fmt: skip
    wanted = '{"a":"4","a0":"3","a_":"2","b":"1"}'
    assert f'"detail":{wanted},'.encode() in leaf
    assert f'"subjects":{wanted},'.encode() in leaf
    assert list(parse_leaf(leaf).commitments) == ["a", "a0", "a_", "b"]
    assert leaf == canonicalize(json.loads(leaf))


def test_longest_types():
    for kind in (f"{LONG_WORD}.x", f"x.{LONG_WORD}", "a.b"):
        assert parse_leaf(leaf_bytes(replace(ENTRY, type=kind))).type == kind
    for kind in (f"{LONG_WORD}b.x", f"x.{LONG_WORD}b"):
        assert field_refused(leaf_bytes, replace(ENTRY, type=kind)) == "type"


def test_longest_actors():
    for actor in (f"{LONG_WORD}:x", "x:" + "aZ9._-xy" * 10):
        assert parse_leaf(leaf_bytes(replace(ENTRY, actor=actor))).actor == actor
    for actor in (f"{LONG_WORD}b:x", "x:" + "a" * 81):
        assert field_refused(leaf_bytes, replace(ENTRY, actor=actor)) == "actor"


def test_longest_names_and_identifiers():
    name, identifier = "a" + "b" * 40, "aZ9._:-x" * 16
    leaf = parse_leaf(leaf_bytes(replace(ENTRY, subjects={name: identifier}, detail={name: 1})))
    assert (leaf.subjects, leaf.detail) == ({name: identifier}, {name: 1})
    for longer in ({"subjects": {name + "b": "x"}}, {"detail": {name + "b": 1}}):
        assert field_refused(leaf_bytes, replace(ENTRY, **longer)) == ""
    for wrong in (identifier + "x", "", "a b", 1, None):
        assert field_refused(leaf_bytes, replace(ENTRY, subjects={"notice": wrong})) == "subjects.notice"


@pytest.mark.parametrize("character", "\x00\x01\x10\x1f\x7f\x80\x90\x9f\u2028\u2029@")
def test_what_no_code_holds(character):
    assert field_refused(lambda: detail_of(reason=f"a{character}b")) == "detail.reason"
    assert field_refused(lambda: detail_of(reasons=["a", character])) == "detail.reasons"


@pytest.mark.parametrize("character", " ~\xa0\u2027\u202a\u2030\u1029\u3029A?")
def test_what_a_code_may_hold(character):
    assert parse_leaf(detail_of(reason=character)).detail == {"reason": character}


def test_longest_code_and_largest_number():
    assert parse_leaf(detail_of(reason="x" * 500)).detail == {"reason": "x" * 500}
    for wrong in ("x" * 501, MAX_INTEGER + 1, -MAX_INTEGER - 1, 1.0, {}, [1], ["x" * 501], [None], ("a",)):
        assert field_refused(lambda wrong=wrong: detail_of(reason=wrong)) == "detail.reason"


def test_which_field_a_refusal_names():
    assert field_refused(commitment, "No", SALT, b"") == "name"
    assert field_refused(commitment, "a", SALT[1:], b"") == "salt"
    assert field_refused(pseudonym, SALT[1:], UUID(int=1)) == "salt"
    twice = (Opening("a", SALT, b""), Opening("a", SALT, b"1"))
    assert field_refused(leaf_bytes, replace(ENTRY, openings=twice)) == "openings"
    assert field_refused(lambda: detail_of(reason="\ud800")) == ""
    assert field_refused(lambda: detail_of(reasons=["y" * 400] * 200)) == ""


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"v": 2}, ""), ({"v": True}, ""), ({"v": 1.0}, ""), ({"x": 1}, ""), ({"id": 1}, ""), ({"type": 1}, ""),
        ({"at": 1}, ""), ({"actor": 1}, ""), ({"subjects": []}, ""), ({"detail": []}, ""), ({"commitments": []}, ""),
        ({"type": "x"}, "type"), ({"actor": "x"}, "actor"), ({"subjects": {"a": 1}}, "subjects.a"),
        ({"detail": {"a": {}}}, "detail.a"), ({"commitments": {"A": "ab" * 32}}, "commitments"),
        ({"commitments": {"a": 1}}, "commitments"), ({"commitments": {"a": "ab" * 31}}, "commitments"),
        ({"commitments": {"a": "AB" * 32}}, "commitments"), ({"id": "x"}, "id"), ({"id": "0" * 32}, "id"),
    ],
)  # fmt: skip
def test_which_field_of_a_leaf_that_is_read(members, field):
    leaf = {**json.loads(leaf_bytes(ENTRY)), **members}
    data = json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode()
    assert field_refused(parse_leaf, data) == field


def test_no_leaf_and_too_long_a_leaf():
    assert field_refused(parse_leaf, b"[]") == ""
    assert field_refused(parse_leaf, b" " * (MAX_LEAF_BYTES + 1)) == ""


def test_what_is_said_stays_said():
    opening = Opening("a", SALT, b"1")
    for item, name in ((opening, "value"), (ENTRY, "type"), (parse_leaf(leaf_bytes(ENTRY)), "type")):
        with pytest.raises(FrozenInstanceError):
            setattr(item, name, None)
        assert not hasattr(item, "__dict__")
    assert Leaf.__slots__ == ("id", "type", "at", "actor", "subjects", "detail", "commitments")
