"""The statement of a filtered list of entries, and the positions that it must look at.

The order of positions is the order of the log. A list is read along one index: of a subject, an actor, a kind, or of
positions; the other conditions are tested on each row that this index gives. Periods and index ranges first become
ranges of positions, so that no row outside is read.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, exists, literal_column, select

from notifications.ports import EntryFilter, Page
from service.store.log.entry_extents import entries_within, entry_extent_values
from service.store.sql.encoding import to_microseconds
from service.store.sql.paging import Shape, shapes_of
from service.store.sql.statements import compiled, limited
from service.store.tables import AuditEntryRow, AuditSubjectRow, LogLeafRow, table

_entries, _leaves = table(AuditEntryRow).c, table(LogLeafRow).c
_subject_rows = table(AuditSubjectRow)

FIRST_SINCE = limited(
    select(_entries.position).where(_entries.recorded_at >= bindparam("at")).order_by(_entries.recorded_at), "at"
)
LAST_BEFORE = limited(
    select(_entries.position).where(_entries.recorded_at < bindparam("at")).order_by(_entries.recorded_at.desc()), "at"
)
POSITION_AT = compiled(select(_leaves.position).where(_leaves.leaf_index == bindparam("index")), "index")
#: Entries are in the order of their commits, which is nearly the order of their times. An entry may be misplaced by at
#: most so many places.
OUT_OF_ORDER = 1024
#: Actors of the service itself, which have most of the entries. Their kinds are more selective.
_OF_THE_SERVICE = "system:"


class _Form(NamedTuple):
    """What a statement tests; statements are cached by it."""

    subjects: int
    #: whether there is such a condition, and whether its index may be used
    type: tuple[bool, bool]
    actor: tuple[bool, bool]
    has_start: bool
    has_end: bool
    newest_first: bool
    shapes: tuple[Shape, ...] | None


def statement_of(wanted: EntryFilter, page: Page, *, newest_first: bool) -> str:
    """Return the statement; its parameters are ``values_of`` and the number of rows."""
    by_subject = bool(wanted.subjects)
    by_type = wanted.type is not None and (wanted.actor is None or wanted.actor.startswith(_OF_THE_SERVICE))
    return _statement(
        _Form(
            len(wanted.subjects),
            (wanted.type is not None, by_type and not by_subject),
            (wanted.actor is not None, not by_type and not by_subject),
            wanted.starts_at is not None,
            wanted.ends_at is not None,
            newest_first,
            shapes_of(page),
        )
    )


def values_of(wanted: EntryFilter, page: Page, after: int, before: int) -> list[object]:
    """Return the parameters of the statement, for entries between two positions, without these."""
    values: list[object] = [part for subject in wanted.subjects for part in subject]
    values += [after, before]
    values += [code for code in (wanted.type, wanted.actor) if code is not None]
    values += [to_microseconds(moment) for moment in (wanted.starts_at, wanted.ends_at) if moment is not None]
    return values + entry_extent_values(page)


@lru_cache(maxsize=128)
def _statement(form: _Form) -> str:
    names: list[str] = []
    conditions: list[ColumnElement[bool]] = []
    source: Any = table(AuditEntryRow)
    for number in range(form.subjects):
        rows = _subject_rows.alias(f"subject_{number}")
        named = and_(
            rows.c.kind == bindparam(f"kind_{number}"),
            rows.c.identifier == bindparam(f"identifier_{number}"),
        )
        names += [f"kind_{number}", f"identifier_{number}"]
        if number == 0:
            source, position = rows.join(source, _entries.position == rows.c.position), rows.c.position
            conditions.append(named)
        else:
            conditions.append(exists().where(named, rows.c.position == _entries.position))
    if not form.subjects:
        position = _entries.position
    conditions += [position > bindparam("after"), position < bindparam("before")]
    names += ["after", "before"]
    for name, (is_there, by_index) in (("type", form.type), ("actor", form.actor)):
        if is_there:
            column = _entries[name]
            # Joined with nothing, so that the index of this column is not used.
            stated = column if by_index else column.op("||")(literal_column("''"))
            conditions.append(stated == bindparam(name))
            names.append(name)
    if form.has_start:
        conditions.append(_unindexed(_entries.recorded_at) >= bindparam("starts_at"))
        names.append("starts_at")
    if form.has_end:
        conditions.append(_unindexed(_entries.recorded_at) < bindparam("ends_at"))
        names.append("ends_at")
    if form.shapes is not None:
        covered, more = entries_within(form.shapes)
        conditions.append(covered)
        names += more
    statement = (
        select(position, _leaves.leaf_index, _entries.id, _entries.leaf)
        .select_from(source.join(table(LogLeafRow), _leaves.position == _entries.position))
        .where(*conditions)
        .order_by(position.desc() if form.newest_first else position)
    )
    return limited(statement, *names)


def _unindexed(column: ColumnElement[int]) -> ColumnElement[int]:
    """Return a number as it is, but without its index."""
    return column + literal_column("0")
