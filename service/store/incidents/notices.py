"""Notices in every state."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, literal_column, select, text

from notifications.errors import required
from notifications.notice import Notice, NoticeKind, NoticeState
from notifications.ports import Page
from service.store.sql.encoding import (
    from_microseconds,
    from_optional_microseconds,
    to_microseconds,
    to_optional_microseconds,
)
from service.store.sql.paging import LAST, Shape, extent_values, paged, shapes_of, start_of, within_extents
from service.store.sql.records import Records
from service.store.sql.statements import among, compiled, compiled_text, insert_of, limited
from service.store.tables import CustomerRow, NoticeRow, table

_notices, _customers = table(NoticeRow).c, table(CustomerRow).c

#: The columns of a notice, in the order of its fields; also read together with a due delivery.
NOTICE = (
    _notices.id, _notices.incident_id, _notices.customer_id, _notices.sequence, _notices.kind, _notices.state,
    _notices.facts_version, _notices.due_at, _notices.due_kind, _notices.created_at, _notices.created_by,
    _notices.released_at, _notices.released_by, _notices.sealed_at, _notices.hold_reason, _notices.version,
    _notices.drafted_by, _notices.override_reason, _notices.override_reviewed_by, _notices.override_reviewed_at,
    _notices.exercise, _notices.binding,
)  # fmt: skip

_INSERT = insert_of(NoticeRow, "leased_until")
_ANY = select(*NOTICE)
_BY_ID = compiled(select(*NOTICE).where(_notices.id == bindparam("id")), "id")
_VERSION = compiled(select(_notices.version).where(_notices.id == bindparam("id")), "id")
_UPDATE = compiled_text(
    "UPDATE notices SET sequence = :sequence, kind = :kind, state = :state, facts_version = :facts_version,"
    " due_at = :due_at, due_kind = :due_kind, binding = :binding, released_at = :released_at,"
    " released_by = :released_by, sealed_at = :sealed_at, hold_reason = :hold_reason, drafted_by = :drafted_by,"
    " override_reason = :override_reason, override_reviewed_by = :override_reviewed_by,"
    " override_reviewed_at = :override_reviewed_at, version = :version"
    " WHERE id = :id AND version = :expected",
    "sequence", "kind", "state", "facts_version", "due_at", "due_kind", "binding", "released_at", "released_by",
    "sealed_at", "hold_reason", "drafted_by", "override_reason", "override_reviewed_by", "override_reviewed_at",
    "version", "id", "expected",
)  # fmt: skip
_OF_INCIDENT = compiled(
    select(*NOTICE)
    .select_from(table(NoticeRow).join(table(CustomerRow), _customers.id == _notices.customer_id))
    .where(_notices.incident_id == bindparam("incident_id"))
    .order_by(_customers.position, _notices.sequence, _notices.position),
    "incident_id",
)
_TO_CUSTOMER = compiled(
    select(*NOTICE)
    .where(_notices.incident_id == bindparam("incident_id"), _notices.customer_id == bindparam("customer_id"))
    .order_by(_notices.sequence, _notices.position),
    "incident_id",
    "customer_id",
)
_STATING = compiled_text(
    "SELECT count(*) FROM (SELECT 1 FROM notices WHERE incident_id = :incident_id AND facts_version = :facts_version "
    "AND state <> 'withdrawn' LIMIT :limit) AS stating",
    "incident_id",
    "facts_version",
    "limit",
)
_RELEASED = limited(
    select(*NOTICE).where(text("notices.state = 'released'")).order_by(_notices.due_at, _notices.position)
)
_earlier = table(NoticeRow).alias("earlier")
#: An earlier notice of the same subject to the same customer is about to be sealed. One that is held delays none.
_FOLLOWS = (
    select(_earlier.c.id)
    .where(
        _earlier.c.incident_id == _notices.incident_id,
        _earlier.c.customer_id == _notices.customer_id,
        _earlier.c.sequence < _notices.sequence,
        text("earlier.state = 'released'"),
        _earlier.c.hold_reason.is_(None),
    )
    .exists()
)
_LEASABLE = limited(
    select(*NOTICE)
    .where(text("notices.state = 'released'"))
    .where(_notices.leased_until.is_(None) | (_notices.leased_until <= bindparam("now")))
    .where((_notices.sequence == literal_column("1")) | ~_FOLLOWS)
    .order_by(_notices.due_at, _notices.position),
    "now",
)
_LEASE = compiled_text("UPDATE notices SET leased_until = :leased_until WHERE id = :id", "leased_until", "id")
_UNINDEXED_STATE = _notices.state.op("||")(literal_column("''"))
_SEALED: ColumnElement[str] = literal_column(f"'{NoticeState.SEALED.value}'")
_FILTERS = {"incident_id": _notices.incident_id, "customer_id": _notices.customer_id, "state": _notices.state}


@lru_cache(maxsize=256)
def _page_statement(filters: tuple[str, ...], shapes: tuple[Shape, ...] | None) -> str:
    """Return the statement of a page, by its filters and the shapes of its extents."""
    statement = (
        select(_notices.position, *NOTICE)
        .where(_notices.position < bindparam("before"))
        .order_by(_notices.position.desc())
    )
    for name in filters:
        # The index of states is avoided if a narrower filter is given, because a state has too many notices.
        narrower = name == "state" and len(filters) > 1
        column = _UNINDEXED_STATE if narrower else _FILTERS[name]
        statement = statement.where(column == bindparam(name))
    if shapes is None:
        return limited(statement, "before", *filters)
    covered, names = within_extents(
        shapes, at=_notices.created_at, customer_id=_notices.customer_id, served=_UNINDEXED_STATE.in_([_SEALED])
    )
    return limited(statement.where(covered), "before", *filters, *names)


def notice_of_row(*row: Any) -> Notice:
    """Return the notice of a row, in the order of ``NOTICE``."""
    (
        id_bytes, incident_id, customer_id, sequence, kind, state, facts_version, due_at, due_kind, created_at,
        created_by, released_at, released_by, sealed_at, hold_reason, version, drafted_by,
        override_reason, override_reviewed_by, override_reviewed_at, exercise, binding,
    ) = row  # fmt: skip
    return Notice(
        id=UUID(bytes=id_bytes),
        incident_id=UUID(bytes=incident_id),
        customer_id=UUID(bytes=customer_id),
        sequence=sequence,
        kind=NoticeKind(kind),
        state=NoticeState(state),
        facts_version=facts_version,
        due_at=from_microseconds(due_at),
        due_kind=due_kind,
        created_at=from_microseconds(created_at),
        created_by=created_by,
        released_at=from_optional_microseconds(released_at),
        released_by=released_by,
        sealed_at=from_optional_microseconds(sealed_at),
        hold_reason=hold_reason,
        version=version,
        drafted_by=drafted_by,
        override_reason=override_reason,
        override_reviewed_by=override_reviewed_by,
        override_reviewed_at=from_optional_microseconds(override_reviewed_at),
        exercise=bool(exercise),
        stated_binding=binding,
    )


class NoticeRecords(Records):
    """Notices."""

    def add(self, notices: Sequence[Notice]) -> None:
        """Store new notices."""
        self._session.execute_many(
            _INSERT,
            [
                (
                    notice.id.bytes,
                    notice.incident_id.bytes,
                    notice.customer_id.bytes,
                    notice.sequence,
                    notice.kind.value,
                    notice.state.value,
                    notice.facts_version,
                    to_microseconds(notice.due_at),
                    notice.due_kind,
                    to_microseconds(notice.created_at),
                    notice.created_by,
                    to_optional_microseconds(notice.released_at),
                    notice.released_by,
                    to_optional_microseconds(notice.sealed_at),
                    notice.hold_reason,
                    notice.version,
                    notice.drafted_by,
                    notice.override_reason,
                    notice.override_reviewed_by,
                    to_optional_microseconds(notice.override_reviewed_at),
                    notice.exercise,
                    notice.stated_binding,
                )
                for notice in notices
            ],
        )
        if notices:
            self._changed("notices")

    def get(self, notice_id: UUID) -> Notice | None:
        """Return the notice."""
        row = self._session.one(_BY_ID, (notice_id.bytes,))
        return None if row is None else notice_of_row(*row)

    def some(self, notice_ids: Collection[UUID]) -> dict[UUID, Notice]:
        """Return the notices with these ids."""
        if not notice_ids:
            return {}
        rows = self._session.all(among(_ANY, _notices.id, len(notice_ids)), [each.bytes for each in notice_ids])
        return {notice.id: notice for notice in (notice_of_row(*row) for row in rows)}

    def require(self, notice_id: UUID) -> Notice:
        """Return the notice; raises NotFoundError where there is none."""
        return required("notice", notice_id, self.get(notice_id))

    def save(self, notice: Notice, expected_version: int) -> None:
        """Replace the notice; raises VersionMismatchError."""
        self._replace(
            "notice",
            notice.id,
            expected_version,
            notice.version,
            _VERSION,
            _UPDATE,
            (
                notice.sequence,
                notice.kind.value,
                notice.state.value,
                notice.facts_version,
                to_microseconds(notice.due_at),
                notice.due_kind,
                notice.stated_binding,
                to_optional_microseconds(notice.released_at),
                notice.released_by,
                to_optional_microseconds(notice.sealed_at),
                notice.hold_reason,
                notice.drafted_by,
                notice.override_reason,
                notice.override_reviewed_by,
                to_optional_microseconds(notice.override_reviewed_at),
            ),
        )
        self._changed("notices")

    def is_of_more_than(self, number: int, incident_id: UUID, facts_version: int) -> bool:
        """Return whether more than this number of notices, withdrawn ones left out, state these facts."""
        row = self._session.one(_STATING, (incident_id.bytes, facts_version, number + 1))
        return row is not None and row[0] > number

    def of_incident(self, incident_id: UUID, customer_id: UUID | None = None) -> Sequence[Notice]:
        """Return every notice of an incident, or those to one customer, by customer creation then sequence."""
        if customer_id is None:
            rows = self._session.all(_OF_INCIDENT, (incident_id.bytes,))
        else:
            rows = self._session.all(_TO_CUSTOMER, (incident_id.bytes, customer_id.bytes))
        return [notice_of_row(*row) for row in rows]

    def page(
        self,
        page: Page,
        *,
        incident_id: UUID | None = None,
        customer_id: UUID | None = None,
        state: str | None = None,
    ) -> tuple[list[Notice], str | None]:
        """Return notices, newest first, as a page."""
        before = start_of("notices", page, LAST)
        stated = {
            "incident_id": None if incident_id is None else incident_id.bytes,
            "customer_id": None if customer_id is None else customer_id.bytes,
            "state": state,
        }
        filters = {name: value for name, value in stated.items() if value is not None}
        statement = _page_statement(tuple(filters), shapes_of(page))
        rows = self._session.all(statement, (before, *filters.values(), *extent_values(page), page.limit + 1))
        return paged("notices", page, rows, notice_of_row)

    def released(self, limit: int) -> Sequence[Notice]:
        """Return notices that are released and not sealed yet, earliest ``due_at`` first."""
        return [notice_of_row(*row) for row in self._session.all(_RELEASED, (limit,))]

    def lease_released(self, now: datetime, lease_until: datetime, limit: int) -> Sequence[Notice]:
        """Take notices that are released, not sealed yet and not leased, none before one that it follows."""
        statement = self._session.skip_locked(_LEASABLE, "notices")
        notices = [notice_of_row(*row) for row in self._session.all(statement, (to_microseconds(now), limit))]
        until = to_microseconds(lease_until)
        self._session.execute_many(_LEASE, [(until, notice.id.bytes) for notice in notices])
        return notices

    def release_leases(self, notice_ids: Collection[UUID]) -> None:
        """Give leases back before they run out."""
        self._session.execute_many(_LEASE, [(None, notice_id.bytes) for notice_id in notice_ids])
