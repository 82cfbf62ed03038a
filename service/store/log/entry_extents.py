"""The extents that limit a list of entries of the log, as a condition of its statement.

An entry names its customer by a pseudonym, and says itself when it was recorded and what it is about. Whether a
customer was served that is read from the notices at the moment of the read.
"""

from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, literal_column, or_

from notifications.notice import NoticeState
from notifications.ports import Page
from service.store.sql.encoding import to_microseconds
from service.store.sql.paging import EVERYTHING, NOTHING, Shape
from service.store.tables import AuditEntryRow, AuditSubjectRow, NoticeRow, table

_entries, _subjects, _notices = table(AuditEntryRow).c, table(AuditSubjectRow).alias("named").c, table(NoticeRow).c
# In the text, because a statement has no literal parameters.
_CUSTOMER: ColumnElement[str] = literal_column("'customer'")
# Joined with nothing, so that no index of states is used: the notice is found by what the entry is about.
_IS_SEALED = _notices.state.op("||")(literal_column("''")) == literal_column(f"'{NoticeState.SEALED.value}'")


def entries_within(shapes: tuple[Shape, ...]) -> tuple[ColumnElement[bool], tuple[str, ...]]:
    """Return the condition that at least one extent covers an entry, and the names of its parameters in order.

    Raises ValueError for an extent of what was served to nobody in particular.
    """
    covered: list[ColumnElement[bool]] = []
    names: list[str] = []
    for number, (of_customer, has_start, has_end, served_only) in enumerate(shapes):
        parts: list[ColumnElement[bool]] = []
        if of_customer:
            parts.append(_names_customer(f"pseudonym_{number}"))
            names.append(f"pseudonym_{number}")
        if has_start:
            parts.append(_entries.recorded_at >= bindparam(f"starts_at_{number}"))
            names.append(f"starts_at_{number}")
        if has_end:
            parts.append(_entries.recorded_at < bindparam(f"ends_at_{number}"))
            names.append(f"ends_at_{number}")
        if served_only:
            if not of_customer:
                raise ValueError("what was served was served to a customer: name it")
            parts.append(_was_served(f"notice_of_{number}", f"incident_of_{number}"))
            names += [f"notice_of_{number}", f"incident_of_{number}"]
        covered.append(and_(*parts) if parts else EVERYTHING)
    return or_(*covered) if covered else NOTHING, tuple(names)


def entry_extent_values(page: Page) -> list[object]:
    """Return the parameters of ``entries_within`` for a page, in order."""
    values: list[object] = []
    for extent in page.within or ():
        values += [] if extent.customer_id is None else [extent.pseudonym]
        values += [to_microseconds(moment) for moment in (extent.starts_at, extent.ends_at) if moment is not None]
        if extent.served_only and extent.customer_id is not None:
            values += [extent.customer_id.bytes] * 2
    return values


def _names_customer(pseudonym: str) -> ColumnElement[bool]:
    return exists().where(
        _subjects.kind == _CUSTOMER,
        _subjects.identifier == bindparam(pseudonym),
        _subjects.position == _entries.position,
    )


def _was_served(notice_of: str, incident_of: str) -> ColumnElement[Any]:
    """Return the condition that a customer was served what an entry is about.

    It sees no draft. Of an incident it sees what happened until the latest notice that it was served.
    """
    notice = exists().where(_notices.id == _entries.notice_id, _notices.customer_id == bindparam(notice_of), _IS_SEALED)
    incident = exists().where(
        _notices.incident_id == _entries.incident_id,
        _notices.customer_id == bindparam(incident_of),
        _notices.sealed_at >= _entries.recorded_at,
        _IS_SEALED,
    )
    of_incident = or_(_entries.incident_id.is_(None), incident)
    return or_(notice, and_(_entries.notice_id.is_(None), of_incident))
