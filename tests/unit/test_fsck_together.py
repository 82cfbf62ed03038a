"""Many entries are compared at once with the same result as one by one, whatever differs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from notifications.audit.entry import AuditEntry, Opening, leaf_bytes
from service.audit_log.fsck import ranges
from service.audit_log.fsck.findings import RangeFound
from service.audit_log.fsck.rows import RowChecks
from service.audit_log.fsck.together import subjects_if_agreeing
from service.store.log.audit import row_of_entry

START, POSITION = 40, 43
_INDEX, _POSITION, ID, LEAF, TIME, INCIDENT, NOTICE, KIND, ACTOR = range(9)


def entry(number, *names, **subjects):
    return AuditEntry(
        id=UUID(int=number + 1),
        type=("thing.done", "thing.begun")[number % 2],
        at=datetime(2026, 3, 2, 10, tzinfo=UTC) + timedelta(microseconds=999_999 * number),
        actor="system:worker",
        subjects=subjects,
        detail={"number": number, "said": 'of "an" \\ é'},
        openings=tuple(Opening(name, bytes([number]) * 32, name.encode() + b"\n") for name in names),
    )


def log():
    """Return the rows of entries and of openings as they are read: with every kind of subject, and with none."""
    entries = [
        entry(0, "payload", incident=str(UUID(int=70)), notice=str(UUID(int=80)), customer="c" * 64),
        entry(1),
        entry(2, "document", "payload", incident=str(UUID(int=71))),
        entry(3, "payload", announcement=str(UUID(int=90)), duty="nis2"),
        entry(4, notice=str(UUID(int=81))),
        entry(5, "payload", incident=str(UUID(int=70)), notice=str(UUID(int=80))),
    ]
    rows = [(START + at, *row_of_entry(POSITION + at, each, leaf_bytes(each))) for at, each in enumerate(entries)]
    openings = [
        (POSITION + at, one.name, one.salt, one.value) for at, each in enumerate(entries) for one in each.openings
    ]
    return entries, rows, openings


class Stored:
    """Gives the openings as the database does."""

    def __init__(self, openings):
        self._openings = openings

    def openings(self, first, last):
        return [each for each in self._openings if first <= each[0] <= last]


def one_by_one(rows, openings):
    found = RangeFound(START, START + len(rows))
    ranges._compare_columns(found, rows)
    ranges._compare_openings(found, RowChecks(None, found, ()), rows, openings)
    return found


def in_runs(rows, openings):
    """Return what is found as a check of a range finds it."""
    found = RangeFound(START, START + len(rows))
    ranges._compare_entries(found, RowChecks(None, found, ()), Stored(openings), rows)
    return found


def test_what_agrees_has_the_same_subjects_as_one_by_one():
    entries, rows, openings = log()
    found = one_by_one(rows, openings)
    assert (found.differences, found.erased) == ([], {})
    subjects = list(subjects_if_agreeing(rows, openings))
    assert subjects == [
        (f'{kind}":"{named}', POSITION + at)
        for at, each in enumerate(entries)
        for kind, named in sorted(each.subjects.items())
    ]
    assert ranges.subjects_hash(subjects) == found.subjects


def edited(row, column, value):
    return (*row[:column], value, *row[column + 1 :])


#: What differs -> row, column and another value.
ANOTHER = {
    "id": (2, ID, UUID(int=99).bytes),
    "no id": (2, ID, b"\x00" * 15),
    "later": (1, TIME, 1_772_445_600_999_998),
    "a second later": (1, TIME, 1_772_445_601_999_999),
    "no time at all": (1, TIME, 2**62),
    "time of another type": (1, TIME, "2026"),
    "incident": (0, INCIDENT, UUID(int=71).bytes),
    "no incident": (0, INCIDENT, None),
    "an incident of none": (1, INCIDENT, UUID(int=70).bytes),
    "an incident with too many bytes": (0, INCIDENT, UUID(int=70).bytes + b"\x00"),
    "announcement": (3, INCIDENT, UUID(int=70).bytes),
    "no announcement": (3, INCIDENT, None),
    "notice": (4, NOTICE, UUID(int=80).bytes),
    "no notice": (4, NOTICE, None),
    "a notice of none": (3, NOTICE, UUID(int=80).bytes),
    "kind": (5, KIND, "thing.done"),
    "actor": (5, ACTOR, "system:other"),
}


@pytest.mark.parametrize("what", ANOTHER)
def test_a_column_that_differs_is_not_taken_as_agreeing(what):
    _, rows, openings = log()
    at, column, value = ANOTHER[what]
    rows[at] = edited(rows[at], column, value)
    assert subjects_if_agreeing(rows, openings) is None
    if what != "time of another type":
        assert one_by_one(rows, openings).differences


@pytest.mark.parametrize("column", [ID, TIME, INCIDENT, NOTICE, KIND, ACTOR])
def test_columns_of_two_entries_cannot_stand_for_one_another(column):
    _, rows, openings = log()
    for one, other in ((0, 2), (0, 1), (3, 4), (4, 5)):
        if rows[one][column] != rows[other][column]:
            swapped = list(rows)
            swapped[one], swapped[other] = (
                edited(rows[one], column, rows[other][column]),
                edited(rows[other], column, rows[one][column]),
            )
            assert subjects_if_agreeing(swapped, openings) is None
            assert one_by_one(swapped, openings).differences


def test_an_identifier_cannot_lend_a_byte_to_its_neighbour():
    _, rows, openings = log()
    rows[0] = edited(rows[0], ID, rows[0][ID] + rows[1][ID][:1])
    rows[1] = edited(rows[1], ID, rows[1][ID][1:])
    assert subjects_if_agreeing(rows, openings) is None


def test_openings_that_differ_or_are_gone_are_not_taken_as_agreeing():
    _, rows, openings = log()
    for at, each in enumerate(openings):
        for other in (
            [],
            [(each[0], "other", *each[2:])],
            [edited(each, 2, b"s" * 32)],
            [edited(each, 3, each[3] + b"x")],
            [each, edited(each, 1, "zzz")],
        ):
            changed = [*openings[:at], *other, *openings[at + 1 :]]
            assert subjects_if_agreeing(rows, changed) is None
            found = one_by_one(rows, changed)
            assert found.differences or found.erased


def test_where_openings_were_erased_the_same_is_found_as_one_by_one():
    _, rows, openings = log()
    for gone in ({}, {0}, {3}, {4}, {0, 1}, {1, 2}, {0, 1, 2, 3, 4}):
        left = [each for at, each in enumerate(openings) if at not in gone]
        assert in_runs(rows, left) == one_by_one(rows, left)
        for at, column, value in ANOTHER.values():
            if value != "2026":
                changed = list(rows)
                changed[at] = edited(rows[at], column, value)
                assert in_runs(changed, left) == one_by_one(changed, left)
        for at, each in enumerate(left):
            other = [*left[:at], edited(each, 3, b"x"), *left[at + 1 :]]
            assert in_runs(rows, other) == one_by_one(rows, other)


def test_a_leaf_that_says_something_else_is_not_taken_as_agreeing():
    entries, rows, openings = log()
    for change in (
        {"id": UUID(int=99)},
        {"type": "thing.other"},
        {"at": entries[0].at + timedelta(microseconds=1)},
        {"actor": "system:other"},
        {"subjects": {"incident": str(UUID(int=99)), "notice": str(UUID(int=80)), "customer": "c" * 64}},
        {"subjects": {}},
        {"openings": ()},
    ):
        rows[0] = edited(rows[0], LEAF, leaf_bytes(replace(entries[0], **change)))
        assert subjects_if_agreeing(rows, openings) is None, change
    incident = str(UUID(int=70)).encode()
    rows[0] = edited(rows[0], LEAF, leaf_bytes(entries[0]).replace(incident, incident.replace(b"0-0", b"00-", 1)))
    assert subjects_if_agreeing(rows, openings) is None
    assert one_by_one(rows, openings).differences
    for leaf in (b"", b"\xff", b"{}", leaf_bytes(entries[0])[:200]):
        rows[0] = edited(rows[0], LEAF, leaf)
        assert subjects_if_agreeing(rows, openings) is None
