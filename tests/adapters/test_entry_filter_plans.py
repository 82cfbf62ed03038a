"""A filtered list of the log is read along an index: no statement sorts, and none reads entries that it need not."""

from contextlib import closing

import pytest

from notifications.ports import EntryFilter, Extent, Page
from service.store.engines.sqlite import connect
from service.store.log.entry_filter import FIRST_SINCE, LAST_BEFORE, POSITION_AT, statement_of, values_of
from support.records import after
from support.sqlite_file import new_database

PERIOD = {"starts_at": after(days=-1), "ends_at": after(days=1)}
#: the index along which a list is read: the first that its plan names
CASES = (
    (EntryFilter(), "audit_entries USING INTEGER PRIMARY KEY"),
    (EntryFilter(**PERIOD), "audit_entries USING INTEGER PRIMARY KEY"),
    (EntryFilter("notice.held"), "ix_audit_entries_type_position"),
    (EntryFilter("notice.held", **PERIOD), "ix_audit_entries_type_position"),
    (EntryFilter(actor="account:a"), "ix_audit_entries_actor_position"),
    (EntryFilter("notice.held", "account:a"), "ix_audit_entries_actor_position"),
    (EntryFilter("notice.held", "system:worker"), "ix_audit_entries_type_position"),
    (EntryFilter(subjects=(("incident", "a"),)), "subject_0 USING PRIMARY KEY"),
    (EntryFilter("notice.held", "account:a", (("incident", "a"), ("customer", "b"))), "subject_0 USING PRIMARY KEY"),
)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = new_database(tmp_path_factory.mktemp("plans") / "greffier.sqlite3")
    with closing(connect(path, read_only=True)) as connection:
        yield connection


def plan_of(database, statement, values):
    rows = database.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
    return [row[3] for row in rows]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("within", [None, (Extent(starts_at=after(days=-1)),)], ids=["all", "period"])
@pytest.mark.parametrize(("wanted", "index"), CASES, ids=range(len(CASES)))
def test_a_list_is_read_along_its_index(wanted, index, within, newest_first, database):
    page = Page(25, within=within)
    values = [*values_of(wanted, page, 10, 90), 26]
    plan = plan_of(database, statement_of(wanted, page, newest_first=newest_first), values)
    assert index in plan[0], plan
    assert not [step for step in plan if "SCAN" in step or "TEMP B-TREE" in step], plan


@pytest.mark.parametrize(("statement", "values"), [(FIRST_SINCE, (1, 1)), (LAST_BEFORE, (1, 1)), (POSITION_AT, (1,))])
def test_the_ends_of_a_range_are_found_by_an_index(statement, values, database):
    plan = plan_of(database, statement, values)
    assert all("SEARCH" in step for step in plan), plan
