"""Leases: which deliveries are due, who has them, and all that an attempt needs of them."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text

from notifications.delivery import ChannelKind
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
from service.store.webhooks import ENDPOINT_BY_ID, ENDPOINTS, SECRETS, SECRETS_OF_ENDPOINT

#: How many leased deliveries are loaded by one query; keeps the number of statement texts small.
_LOADED_AT_ONCE = 200

_deliveries, _notices = table(DeliveryRow).c, table(NoticeRow).c
_sealed, _proofs = table(SealedNoticeRow).c, table(SealProofRow).c
_customers, _contacts = table(CustomerRow).c, table(ContactRow).c

#: How many lanes are passed over: the list is filled up to one of these lengths, so that there are few statements.
_LANES_PASSED_OVER = (0, 16, 128, 1024)
_CHANNELS = len(ChannelKind)


def _due_statement(lanes: int) -> str:
    channel_names = tuple(f"channel_{number}" for number in range(_CHANNELS))
    lane_names = tuple(f"lane_{number}" for number in range(lanes))
    statement = (
        select(_deliveries.position)
        .select_from(table(DeliveryRow).join(table(SealProofRow), _proofs.notice_id == _deliveries.notice_id))
        .where(
            text("deliveries.state = 'queued'"),  # as in the index, so that it is used
            _deliveries.next_attempt_at <= bindparam("now"),
            _deliveries.leased_until.is_(None) | (_deliveries.leased_until <= bindparam("leased_before")),
            _deliveries.channel.not_in([bindparam(name) for name in channel_names]),
        )
        .order_by(_deliveries.due_at, _deliveries.turn, _deliveries.position)
    )
    if lanes:
        statement = statement.where(_deliveries.lane.not_in([bindparam(name) for name in lane_names]))
    return limited(statement, "now", "leased_before", *channel_names, *lane_names)


_DUE = {lanes: _due_statement(lanes) for lanes in _LANES_PASSED_OVER}
#: Fills up lists of channels and lanes: nothing has this name.
_NOTHING = "-"
_LEASE = compiled_text(
    "UPDATE deliveries SET leased_until = :leased_until WHERE position = :position", "leased_until", "position"
)
_RELEASE = compiled_text("UPDATE deliveries SET leased_until = NULL WHERE id = :id", "id")
_FREE_ALL = compiled_text("UPDATE deliveries SET leased_until = NULL WHERE leased_until IS NOT NULL")
# What is sealed keeps the lease it was sealed under, and nobody asks.
_FREE_ALL_NOTICES = compiled_text(
    "UPDATE notices SET leased_until = NULL WHERE state = 'released' AND leased_until IS NOT NULL"
)
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
        .order_by(_deliveries.due_at, _deliveries.turn, _deliveries.position),
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


def _filled(names: list[str], length: int) -> list[str]:
    return names + [_NOTHING] * (length - len(names))


class LeaseRecords(Records):
    """The queue of deliveries."""

    def free_leases(self) -> int:
        """Free every lease and return how many there were.

        Only for the process that has the database to itself, as it starts: a lease found then is a dead worker's.
        """
        freed: int = self._session.execute(_FREE_ALL, ()).rowcount
        notices: int = self._session.execute(_FREE_ALL_NOTICES, ()).rowcount
        return freed + notices

    def lease_deliveries(
        self,
        now: datetime,
        lease_until: datetime,
        limit: int,
        *,
        except_channels: Collection[ChannelKind] = (),
        except_lanes: Collection[str] = (),
    ) -> Sequence[DueDelivery]:
        """Take deliveries that are queued and due and not leased, whose seal has its log proof."""
        at = to_microseconds(now)
        channels = _filled([kind.value for kind in except_channels], _CHANNELS)
        lanes = sorted(except_lanes)[: _LANES_PASSED_OVER[-1]]
        length = next(length for length in _LANES_PASSED_OVER if len(lanes) <= length)
        statement = self._session.skip_locked(_DUE[length], "deliveries")
        parameters = (at, at, *channels, *_filled(lanes, length), limit)
        positions = [row[0] for row in self._session.all(statement, parameters)]
        until = to_microseconds(lease_until)
        self._session.execute_many(_LEASE, [(until, position) for position in positions])
        return [
            due
            for start in range(0, len(positions), _LOADED_AT_ONCE)
            for due in self._load(positions[start : start + _LOADED_AT_ONCE])
        ]

    def release_leases(self, delivery_ids: Collection[UUID]) -> None:
        """Give leases back before they run out."""
        self._session.execute_many(_RELEASE, [(delivery_id.bytes,) for delivery_id in delivery_ids])

    def _load(self, positions: list[int]) -> list[DueDelivery]:
        """Return leased deliveries with all that an attempt needs: in two queries, and two more for each webhook."""
        if len(positions) == 1:
            load, thread, wanted = _LOAD_ONE, _THREAD_ONE, positions
        else:
            load, thread = _LOAD_MANY, _THREAD_MANY
            wanted = positions + [_NO_POSITION] * (_LOADED_AT_ONCE - len(positions))
        threads: dict[int, list[str]] = {}
        for position, message_id in self._session.all(thread, wanted):
            threads.setdefault(position, []).append(message_id)
        return [
            self._with_endpoint(_due_of_row(row, tuple(threads.get(row[0], ()))))
            for row in self._session.all(load, wanted)
        ]

    def _with_endpoint(self, due: DueDelivery) -> DueDelivery:
        """Return it with the webhook endpoint that it goes to, if it goes to one."""
        endpoint_id = due.delivery.endpoint_id
        if endpoint_id is None:
            return due
        row = self._session.one(ENDPOINT_BY_ID, (endpoint_id.bytes,))
        secrets = self._session.all(SECRETS_OF_ENDPOINT, (endpoint_id.bytes,))
        return replace(
            due,
            endpoint=None if row is None else ENDPOINTS.record(row),
            secrets=tuple(SECRETS.record(secret) for secret in secrets),
        )
