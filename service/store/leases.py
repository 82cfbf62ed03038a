"""Leases: which deliveries are due, who has them, and all that an attempt needs of them."""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Any

from sqlalchemy import bindparam, select, text

from notifications.ports import DueDelivery
from service.store.contacts import CONTACT, contact_of_row
from service.store.customers import CUSTOMER, customer_of_row
from service.store.deliveries import DELIVERY, delivery_of_row
from service.store.encoding import to_microseconds
from service.store.notices import NOTICE, notice_of_row
from service.store.records import Records
from service.store.seals import SEALED, SEALED_WITH_EVIDENCE, sealed_of_row
from service.store.statements import compiled, compiled_text, limited
from service.store.tables import (
    ContactRow,
    CustomerRow,
    DeliveryRow,
    NoticeRow,
    SealedNoticeRow,
    SealProofRow,
    table,
)

#: How many leased deliveries are loaded by one query; keeps the number of statement texts small.
_LOADED_AT_ONCE = 200

_deliveries, _notices = table(DeliveryRow).c, table(NoticeRow).c
_sealed, _proofs = table(SealedNoticeRow).c, table(SealProofRow).c
_customers, _contacts = table(CustomerRow).c, table(ContactRow).c

_DUE = limited(
    select(_deliveries.position)
    .select_from(table(DeliveryRow).join(table(SealProofRow), _proofs.notice_id == _deliveries.notice_id))
    .where(
        text("deliveries.state = 'queued'"),  # as in the index, so that it is used
        _deliveries.next_attempt_at <= bindparam("now"),
        _deliveries.leased_until.is_(None) | (_deliveries.leased_until <= bindparam("leased_before")),
    )
    .order_by(_deliveries.due_at, _deliveries.position),
    "now",
    "leased_before",
)
_LEASE = compiled_text(
    "UPDATE deliveries SET leased_until = :leased_until WHERE position = :position", "leased_until", "position"
)
_FREE_ALL = compiled_text("UPDATE deliveries SET leased_until = NULL WHERE leased_until IS NOT NULL")
_loaded = (
    table(DeliveryRow)
    .join(table(NoticeRow), _notices.id == _deliveries.notice_id)
    .join(SEALED_WITH_EVIDENCE, _sealed.notice_id == _deliveries.notice_id)
    .join(table(CustomerRow), _customers.id == _deliveries.customer_id)
    .outerjoin(table(ContactRow), _contacts.id == _deliveries.contact_id)
)
_widths = (len(group) for group in ((_deliveries.position,), DELIVERY, NOTICE, SEALED, CUSTOMER, CONTACT))
#: Where in a row each of the five records behind the position stands.
_PARTS = tuple(slice(start, end) for start, end in pairwise(accumulate(_widths)))


def _among(count: int) -> tuple[Any, tuple[str, ...]]:
    names = tuple(f"position_{number}" for number in range(count))
    return _deliveries.position.in_([bindparam(name) for name in names]), names


def _load_statement(count: int) -> str:
    condition, names = _among(count)
    return compiled(
        select(_deliveries.position, *DELIVERY, *NOTICE, *SEALED, *CUSTOMER, *CONTACT)
        .select_from(_loaded)
        .where(condition)
        .order_by(_deliveries.due_at, _deliveries.position),
        *names,
    )


def _thread_statement(count: int) -> str:
    earlier, before = table(NoticeRow).alias("earlier"), table(DeliveryRow).alias("before")
    condition, names = _among(count)
    return compiled(
        select(_deliveries.position, before.c.message_id)
        .select_from(
            table(DeliveryRow)
            .join(table(NoticeRow), _notices.id == _deliveries.notice_id)
            .join(
                earlier,
                (earlier.c.incident_id == _notices.incident_id)
                & (earlier.c.customer_id == _notices.customer_id)
                & (earlier.c.sequence < _notices.sequence),
            )
            .join(
                before,
                (before.c.notice_id == earlier.c.id)
                & (before.c.contact_id == _deliveries.contact_id)
                & (before.c.channel == _deliveries.channel),
            )
        )
        .where(condition)
        .order_by(_deliveries.position, earlier.c.sequence, before.c.position),
        *names,
    )


#: A shorter list is filled up with positions that no row has.
_NO_POSITION = -1
_LOAD_ONE, _LOAD_MANY = _load_statement(1), _load_statement(_LOADED_AT_ONCE)
_THREAD_ONE, _THREAD_MANY = _thread_statement(1), _thread_statement(_LOADED_AT_ONCE)


def _due_of_row(row: tuple[Any, ...], earlier_message_ids: tuple[str, ...]) -> DueDelivery:
    delivery, notice, sealed, customer, contact = (row[part] for part in _PARTS)
    return DueDelivery(
        delivery=delivery_of_row(*delivery),
        notice=notice_of_row(*notice),
        sealed=sealed_of_row(*sealed),
        customer=customer_of_row(*customer),
        contact=None if contact[0] is None else contact_of_row(*contact),
        earlier_message_ids=earlier_message_ids,
    )


class LeaseRecords(Records):
    """The queue of deliveries."""

    def free_leases(self) -> int:
        """Free every lease and return how many there were.

        Only for the process that has the database to itself, as it starts: a lease found then is a dead worker's.
        """
        freed: int = self._session.execute(_FREE_ALL, ()).rowcount
        return freed

    def lease_deliveries(self, now: datetime, lease_until: datetime, limit: int) -> Sequence[DueDelivery]:
        """Take deliveries that are queued and due and not leased, whose seal has its log proof."""
        at = to_microseconds(now)
        positions = [row[0] for row in self._session.all(_DUE, (at, at, limit))]
        until = to_microseconds(lease_until)
        self._session.execute_many(_LEASE, [(until, position) for position in positions])
        return [
            due
            for start in range(0, len(positions), _LOADED_AT_ONCE)
            for due in self._load(positions[start : start + _LOADED_AT_ONCE])
        ]

    def _load(self, positions: list[int]) -> list[DueDelivery]:
        """Return leased deliveries with all that an attempt needs, in two queries."""
        if len(positions) == 1:
            load, thread, wanted = _LOAD_ONE, _THREAD_ONE, positions
        else:
            load, thread = _LOAD_MANY, _THREAD_MANY
            wanted = positions + [_NO_POSITION] * (_LOADED_AT_ONCE - len(positions))
        threads: dict[int, list[str]] = {}
        for position, message_id in self._session.all(thread, wanted):
            threads.setdefault(position, []).append(message_id)
        return [_due_of_row(row, tuple(threads.get(row[0], ()))) for row in self._session.all(load, wanted)]
