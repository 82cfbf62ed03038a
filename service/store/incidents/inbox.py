"""A customer's inbox: its sealed notices as one reader finds them, by one statement for any number of customers."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, literal_column

from notifications.errors import Fault, InvalidInputError
from notifications.notice.inbox import InboxCounts, InboxFilter, InboxNotice
from notifications.ports import Page
from service.store.incidents.notices import NOTICE, notice_of_row
from service.store.sql.encoding import from_optional_microseconds
from service.store.sql.paging import FIRST, Shape, cursor_of, extent_values, shapes_of, start_of, within_extents
from service.store.sql.records import Records
from service.store.sql.statements import compiled
from service.store.tables import NoticeRow, table

_notices = table(NoticeRow).c
#: An expression, which no index holds: the notices of the customers are read, not the sealed ones of everybody.
_IS_SEALED = "notices.state || '' = 'sealed'"
_SERVED: ColumnElement[bool] = literal_column(f"({_IS_SEALED})")
_LISTING = "reading"
#: Distance between the groups of the order; more than there are notices.
_GROUP = 10**15

#: The sealed notices of some customers, and the state of each. An announcement that ended is open to nobody, unless
#: the notice of its end is still on its way. Parameters: the reader, then the customers.
_STANDING = """
SELECT notices.id AS id, notices.customer_id AS customer_id, sealed_notices.position AS position,
 EXISTS (SELECT 1 FROM notice_openings o WHERE o.notice_id = notices.id AND o."by" = ?) AS was_read,
 EXISTS (SELECT 1 FROM acknowledgements a WHERE a.notice_id = notices.id) AS acknowledged,
 CASE WHEN escalations.notice_id IS NULL THEN notices.sealed_at + customers.acknowledge_within_seconds * 1000000
  ELSE escalations.acknowledge_by END AS acknowledge_by,
 (SELECT l.kind FROM notices l WHERE l.incident_id = notices.incident_id AND l.customer_id = notices.customer_id
  AND l.state = 'sealed' ORDER BY l.sequence DESC LIMIT 1) <> 'final'
  AND NOT (subjects.subject = 'announcement' AND subjects.state = 'closed'
   AND NOT EXISTS (SELECT 1 FROM notices w WHERE w.incident_id = notices.incident_id
    AND w.customer_id = notices.customer_id AND w.state IN ('draft', 'released'))) AS is_open
FROM notices JOIN sealed_notices ON sealed_notices.notice_id = notices.id
 JOIN customers ON customers.id = notices.customer_id JOIN incidents subjects ON subjects.id = notices.incident_id
 LEFT JOIN escalations ON escalations.notice_id = notices.id
WHERE {is_sealed} AND notices.customer_id IN ({customers}){narrowed}
"""
_CONTAINS = (
    " AND EXISTS (SELECT 1 FROM notice_subjects t WHERE t.notice_id = notices.id AND t.lines LIKE ? ESCAPE '\\')"
)
_TO_ACKNOWLEDGE = "acknowledge_by IS NOT NULL AND NOT acknowledged"
_CONDITIONS = {"unread": "NOT was_read", "to_acknowledge": _TO_ACKNOWLEDGE, "open": "is_open"}


def _standing(customers: int, shapes: tuple[Shape, ...] | None, *, contains: bool = False) -> str:
    narrowed = _CONTAINS if contains else ""
    if shapes is not None:
        covered, names = within_extents(
            shapes, at=_notices.created_at, customer_id=_notices.customer_id, served=_SERVED
        )
        narrowed = f" AND ({compiled(covered, *names)}){narrowed}"
    return _STANDING.format(is_sealed=_IS_SEALED, customers=", ".join("?" * customers), narrowed=narrowed)


@lru_cache(maxsize=256)
def _page_statement(
    customers: int, shapes: tuple[Shape, ...] | None, conditions: tuple[str, ...], *, contains: bool
) -> str:
    """Return the statement of a page of each customer. Documents are read only for what is on a page."""
    wanted = " AND ".join(_CONDITIONS[name] for name in conditions) or "1 = 1"
    notice = ", ".join(f"notices.{column.name}" for column in NOTICE)
    return f"""
WITH standing AS ({_standing(customers, shapes, contains=contains)}),
ranked AS (SELECT standing.*, {_GROUP} - position + {_GROUP} * CASE WHEN NOT was_read THEN 0
 WHEN {_TO_ACKNOWLEDGE} THEN 1 WHEN is_open THEN 2 ELSE 3 END AS sort_key FROM standing WHERE {wanted}),
placed AS (SELECT ranked.*, row_number() OVER (PARTITION BY customer_id ORDER BY sort_key) AS place
 FROM ranked WHERE sort_key > ?)
SELECT placed.sort_key, placed.was_read, placed.acknowledged, placed.acknowledge_by, placed.is_open,
 sealed_notices.document, inbox_items.placed_at, {notice}
FROM placed JOIN notices ON notices.id = placed.id JOIN sealed_notices ON sealed_notices.notice_id = placed.id
 LEFT JOIN inbox_items ON inbox_items.notice_id = placed.id
WHERE placed.place <= ? ORDER BY placed.sort_key
"""  # noqa: S608 - this file's own words


@lru_cache(maxsize=64)
def _count_statement(customers: int, shapes: tuple[Shape, ...] | None) -> str:
    counts = ", ".join(f"sum(CASE WHEN {each} THEN 1 ELSE 0 END)" for each in _CONDITIONS.values())
    standing = _standing(customers, shapes)
    return f"SELECT customer_id, {counts}, count(*) FROM ({standing}) AS standing GROUP BY customer_id"  # noqa: S608 - as above


class InboxRecords(Records):
    """Inboxes, for ``notifications.ports.NoticeRepository``."""

    def inbox(
        self, customers: Collection[UUID], reader: str, wanted: InboxFilter, page: Page
    ) -> Mapping[UUID, tuple[list[InboxNotice], str | None]]:
        """Return a page of each customer's sealed notices as a reader finds them."""
        if page.cursor is not None and len(customers) != 1:
            raise InvalidInputError(Fault("cursor", "is of one customer's list"))
        after = start_of(_LISTING, page, FIRST)
        found: dict[UUID, list[tuple[int, InboxNotice]]] = {customer_id: [] for customer_id in customers}
        if customers:
            conditions = tuple(name for name in _CONDITIONS if getattr(wanted, name))
            contains = [] if not wanted.contains else [_pattern(wanted.contains)]
            statement = _page_statement(len(customers), shapes_of(page), conditions, contains=bool(contains))
            ids = [customer_id.bytes for customer_id in customers]
            values = (reader, *ids, *extent_values(page), *contains, after, page.limit + 1)
            for row in self._session.all(statement, values):
                shown = _inbox_notice(*row[1:])
                found[shown.notice.customer_id].append((row[0], shown))
        return {customer_id: _cut(rows, page.limit) for customer_id, rows in found.items()}

    def inbox_counts(self, customers: Collection[UUID], reader: str, page: Page) -> Mapping[UUID, InboxCounts]:
        """Return for each customer what waits for a reader."""
        if not customers:
            return {}
        values = (reader, *(customer_id.bytes for customer_id in customers), *extent_values(page))
        rows = self._session.all(_count_statement(len(customers), shapes_of(page)), values)
        counted = {UUID(bytes=row[0]): InboxCounts(*map(int, row[1:])) for row in rows}
        return {customer_id: counted.get(customer_id, InboxCounts()) for customer_id in customers}


def _pattern(words: str) -> str:
    """Return the LIKE pattern of words anywhere in a text with case folded."""
    escaped = words.casefold().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _cut(rows: list[tuple[int, InboxNotice]], limit: int) -> tuple[list[InboxNotice], str | None]:
    kept = rows[:limit]
    return [shown for _, shown in kept], cursor_of(_LISTING, kept[-1][0]) if len(rows) > limit else None


def _inbox_notice(
    was_read: Any, acknowledged: Any, acknowledge_by: Any, is_open: Any, document: bytes, placed_at: Any, *notice: Any
) -> InboxNotice:
    return InboxNotice(
        notice=notice_of_row(*notice),
        document=document,
        placed_at=from_optional_microseconds(placed_at),
        read=bool(was_read),
        acknowledged=bool(acknowledged),
        acknowledge_by=from_optional_microseconds(acknowledge_by),
        open=bool(is_open),
    )
