"""The notices of one incident in pages, and what they come to: few statements, whatever the number of customers."""

from functools import lru_cache
from uuid import UUID

from sqlalchemy import ColumnElement, literal_column

from notifications.errors import Fault, InvalidInputError
from notifications.notice import Notice
from notifications.ports import Page
from service.ports.notice_lists import NoticeCounts, NoticeFilter, NoticeReaders
from service.store.incidents.notices import NOTICE, notice_of_row
from service.store.sql.encoding import from_optional_microseconds, to_microseconds
from service.store.sql.paging import FIRST, Shape, cursor_of, extent_values, parse_keys, shapes_of, within_extents
from service.store.sql.records import Records
from service.store.sql.statements import compiled
from service.store.tables import NoticeRow, table

_notices = table(NoticeRow).c
_LISTING = "ofincident"
#: The sort key: creation of the customer, sequence, creation of the notice. None of them ever changes.
_KEYS = "customers.position, notices.sequence, notices.position"
#: An expression, which no index holds: the notices of the incident are read, not those of everybody in a state.
_STATE = "notices.state || ''"
_SERVED: ColumnElement[bool] = literal_column(f"({_STATE} = 'sealed')")
_HELD = f"({_STATE} = 'released' AND notices.hold_reason IS NOT NULL)"
_FAILING = (
    f"({_HELD} OR EXISTS (SELECT 1 FROM deliveries d WHERE d.notice_id = notices.id AND d.state = 'failed'"  # noqa: S608
    " AND d.last_error IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM acknowledgements a WHERE a.notice_id = notices.id))"
)


def _conditions(wanted: NoticeFilter, shapes: tuple[Shape, ...] | None) -> str:
    """Return the conditions of a list; their parameters are those of ``_values``."""
    parts = ["notices.incident_id = ?"]
    if wanted.state is not None:
        parts.append(f"{_STATE} = ?")
    if wanted.released_at is not None:
        parts.append("notices.released_at = ?")
    if wanted.failing:
        parts.append(_FAILING)
    if shapes is not None:
        covered, names = within_extents(
            shapes, at=_notices.created_at, customer_id=_notices.customer_id, served=_SERVED
        )
        parts.append(f"({compiled(covered, *names)})")
    return " AND ".join(parts)


def _values(incident_id: UUID, wanted: NoticeFilter, page: Page) -> list[object]:
    stated = [] if wanted.state is None else [wanted.state]
    released = [] if wanted.released_at is None else [to_microseconds(wanted.released_at)]
    return [incident_id.bytes, *stated, *released, *extent_values(page)]


@lru_cache(maxsize=64)
def _page_statement(conditions: str) -> str:
    columns = ", ".join(f"notices.{column.name}" for column in NOTICE)
    return (
        f"SELECT {_KEYS}, {columns} FROM notices JOIN customers ON customers.id = notices.customer_id"  # noqa: S608
        f" WHERE {conditions} AND ({_KEYS}) > (?, ?, ?) ORDER BY {_KEYS} LIMIT ?"
    )


@lru_cache(maxsize=64)
def _count_statements(conditions: str) -> tuple[str, str]:
    """Return the statements of states and of hold reasons. An erased customer's notices are in no list."""
    listed = f"FROM notices JOIN customers ON customers.id = notices.customer_id WHERE {conditions}"
    states = (
        f"SELECT notices.state, count(*), count(CASE WHEN {_FAILING} THEN 1 END),"
        f" min(CASE WHEN {_STATE} IN ('draft', 'released') THEN notices.due_at END) {listed} GROUP BY notices.state"
    )
    reasons = (
        f"SELECT notices.hold_reason, count(*) AS held {listed} AND {_HELD}"
        " GROUP BY notices.hold_reason ORDER BY held DESC, notices.hold_reason LIMIT ?"
    )
    return states, reasons


@lru_cache(maxsize=64)
def _reader_statement(conditions: str) -> str:
    """Return the statement of the languages of customers, and of their active contacts in order."""
    return (
        "SELECT notices.customer_id, customers.name, customers.language, contacts.language"  # noqa: S608
        " FROM notices JOIN customers ON customers.id = notices.customer_id"
        " LEFT JOIN contacts ON contacts.customer_id = customers.id AND contacts.active"
        f' WHERE {conditions} ORDER BY {_KEYS}, contacts."order", contacts.position'
    )


class NoticeListRecords(Records):
    """Lists of the notices of an incident, for ``service.ports.notice_lists.NoticeListRepository``."""

    def listed(self, incident_id: UUID, wanted: NoticeFilter, page: Page) -> tuple[list[Notice], str | None]:
        """Return a page of the notices of an incident, by customer creation, then sequence."""
        if page.limit < 1:
            raise InvalidInputError(Fault("limit", "must be at least 1"))
        after = (FIRST, FIRST, FIRST) if page.cursor is None else parse_keys(_LISTING, page.cursor, 3)
        statement = _page_statement(_conditions(wanted, shapes_of(page)))
        rows = self._session.all(statement, (*_values(incident_id, wanted, page), *after, page.limit + 1))
        kept = rows[: page.limit]
        following = cursor_of(_LISTING, *map(int, kept[-1][:3])) if len(rows) > page.limit else None
        return [notice_of_row(*row[3:]) for row in kept], following

    def counted(self, incident_id: UUID, wanted: NoticeFilter, page: Page) -> NoticeCounts:
        """Return what the whole list comes to."""
        states, reasons = _count_statements(_conditions(wanted, shapes_of(page)))
        values = _values(incident_id, wanted, page)
        found = self._session.all(states, values)
        return NoticeCounts(
            total=sum(row[1] for row in found),
            by_state={row[0]: row[1] for row in sorted(found)},
            by_hold_reason=dict(self._session.all(reasons, (*values, page.limit))),
            failing=sum(row[2] for row in found),
            due_at=from_optional_microseconds(min((row[3] for row in found if row[3] is not None), default=None)),
        )

    def readers(self, incident_id: UUID, wanted: NoticeFilter, page: Page) -> list[NoticeReaders]:
        """Return who reads the notices of a list, by customer creation."""
        found: dict[UUID, tuple[str, dict[str, None]]] = {}
        statement = _reader_statement(_conditions(wanted, shapes_of(page)))
        for customer_id, name, language, spoken in self._session.all(statement, _values(incident_id, wanted, page)):
            languages = found.setdefault(UUID(bytes=customer_id), (name, {language: None}))[1]
            if spoken is not None:
                languages[spoken] = None
        return [NoticeReaders(customer_id, name, tuple(spoken)) for customer_id, (name, spoken) in found.items()]
