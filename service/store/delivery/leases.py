"""Leases of due deliveries, with all data for an attempt."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from itertools import accumulate, pairwise
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, text, update

from notifications.customer.records import Customer
from notifications.delivery.delivery import ChannelKind, DeliveryState
from notifications.errors import NotFoundError
from notifications.notice import Notice
from notifications.notice.seal import SealedNotice
from notifications.ports import DueDelivery
from service.store.delivery.deliveries import DELIVERY, delivery_of_row
from service.store.delivery.webhooks import ENDPOINT_BY_ID, ENDPOINTS, SECRETS, SECRETS_OF_ENDPOINT
from service.store.incidents.contacts import CONTACT, contact_of_row
from service.store.incidents.customers import CUSTOMER, customer_of_row
from service.store.incidents.notices import NOTICE, notice_of_row
from service.store.incidents.seals import SEAL_OF_NOTICE, sealed_of_row
from service.store.sql.encoding import to_microseconds
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text, limited
from service.store.tables import (
    ContactRow,
    CustomerRow,
    DeliveryRow,
    NoticeRow,
    SealedNoticeRow,
    SealProofRow,
    table,
)

#: Number of leased deliveries per query; keeps the number of different statements small.
_LOADED_AT_ONCE = 200

_deliveries, _notices = table(DeliveryRow).c, table(NoticeRow).c
_sealed, _proofs = table(SealedNoticeRow).c, table(SealProofRow).c
_customers, _contacts = table(CustomerRow).c, table(ContactRow).c

#: Lengths of the list of blocked destinations. A list is padded to the next length, so that there are few statements.
_DESTINATIONS_PASSED_OVER = (0, 16, 128, 1024)
_CHANNELS = len(ChannelKind)


@cache
def _due_statement(destinations: int) -> str:
    channel_names = tuple(f"channel_{number}" for number in range(_CHANNELS))
    destination_names = tuple(f"destination_{number}" for number in range(destinations))
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
    if destinations:
        statement = statement.where(_deliveries.lane.not_in([bindparam(name) for name in destination_names]))
    return limited(statement, "now", "leased_before", *channel_names, *destination_names)


#: Padding for lists of channels and destinations; nothing has this name.
_NOTHING = "-"
_RELEASE = compiled_text("UPDATE deliveries SET leased_until = NULL WHERE id = :id", "id")
_FREE_ALL = compiled_text("UPDATE deliveries SET leased_until = NULL WHERE leased_until IS NOT NULL")
# A sealed notice keeps the lease under which it was sealed; nothing reads that lease.
_FREE_ALL_NOTICES = compiled_text(
    "UPDATE notices SET leased_until = NULL WHERE state = 'released' AND leased_until IS NOT NULL"
)


def _parts(*groups: Collection[Any]) -> tuple[slice, ...]:
    """Return the slice of each record in a row; the first group has the columns before the records."""
    return tuple(slice(start, end) for start, end in pairwise(accumulate(len(group) for group in groups)))


_PARTS, _PARTS_OF_NOTICE = _parts((_deliveries.position,), DELIVERY, CONTACT), _parts((), NOTICE, CUSTOMER)


def _among(count: int) -> tuple[Any, tuple[str, ...]]:
    names = tuple(f"position_{number}" for number in range(count))
    return _deliveries.position.in_([bindparam(name) for name in names]), names


@cache
def _lease_statement(count: int) -> str:
    condition, names = _among(count)
    statement = update(table(DeliveryRow)).values(leased_until=bindparam("until")).where(condition)
    return compiled(statement, "until", *names)


@cache
def _load_statement(count: int) -> str:
    condition, names = _among(count)
    return compiled(
        select(_deliveries.position, *DELIVERY, *CONTACT)
        .select_from(table(DeliveryRow).outerjoin(table(ContactRow), _contacts.id == _deliveries.contact_id))
        .where(condition)
        .order_by(_deliveries.due_at, _deliveries.turn, _deliveries.position),
        *names,
    )


# A notice goes to many contacts, so their common data is loaded once.
_OF_NOTICE = compiled(
    select(*NOTICE, *CUSTOMER)
    .select_from(table(NoticeRow).join(table(CustomerRow), _customers.id == _notices.customer_id))
    .where(_notices.id == bindparam("id")),
    "id",
)


@cache
def _thread_statement(count: int) -> str:
    earlier, before = table(NoticeRow).alias("earlier"), table(DeliveryRow).alias("before")
    condition, names = _among(count)
    return compiled(
        select(_deliveries.position, before.c.message_id, before.c.position, before.c.state)
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


@cache
def _waiting_statement(count: int) -> str:
    """Return the SELECT of those of some deliveries that are due and not leased, with their destinations."""
    condition, names = _among(count)
    return compiled(
        select(_deliveries.position, _deliveries.lane)
        .select_from(table(DeliveryRow).join(table(SealProofRow), _proofs.notice_id == _deliveries.notice_id))
        .where(
            condition,
            text("deliveries.state = 'queued'"),
            _deliveries.next_attempt_at <= bindparam("now"),
            _deliveries.leased_until.is_(None) | (_deliveries.leased_until <= bindparam("leased_before")),
        )
        .order_by(_deliveries.position),
        *names, "now", "leased_before",
    )  # fmt: skip


_NOTICE_ID = [column.name for column in DELIVERY].index("notice_id")
#: Padding for shorter lists: a position that no row has.
_NO_POSITION = -1
# The short ones are compiled with the module, as all statements are: a fault in them is found at once.
_DUE = {destinations: _due_statement(destinations) for destinations in _DESTINATIONS_PASSED_OVER[:2]}
_LEASE, _LOAD, _THREAD, _WAITING = _lease_statement(1), _load_statement(1), _thread_statement(1), _waiting_statement(1)


def _filled(names: list[str], length: int) -> list[str]:
    return names + [_NOTHING] * (length - len(names))


def _chunks(positions: list[int]) -> Iterator[list[int]]:
    """Yield the positions in lists of one of two lengths, so that there are few statements; short ones are padded."""
    for start in range(0, len(positions), _LOADED_AT_ONCE):
        some = positions[start : start + _LOADED_AT_ONCE]
        yield some if len(positions) == 1 else some + [_NO_POSITION] * (_LOADED_AT_ONCE - len(some))


@dataclass(slots=True)
class _Batch:
    """Deliveries that are leased together."""

    until: int
    #: what the deliveries of a notice share
    notices: dict[bytes, tuple[Notice, SealedNotice, Customer]] = field(default_factory=dict)
    #: queued earlier mails of their threads, by position
    earlier: set[int] = field(default_factory=set)


class LeaseRecords(Records):
    """The queue of deliveries."""

    def free_leases(self) -> int:
        """Release every lease and return how many there were.

        Only for the start of the only process of a database: every lease is then from a worker that died.
        """
        freed: int = self._session.execute(_FREE_ALL, ()).rowcount
        notices: int = self._session.execute(_FREE_ALL_NOTICES, ()).rowcount
        return freed + notices

    def lease(
        self,
        now: datetime,
        lease_until: datetime,
        limit: int,
        *,
        except_channels: Collection[ChannelKind] = (),
        except_destinations: Collection[str] = (),
    ) -> Sequence[DueDelivery]:
        """Lease deliveries that are queued, due and not leased, and whose seal has its log proof."""
        at = to_microseconds(now)
        channels = _filled([kind.value for kind in except_channels], _CHANNELS)
        destinations = sorted(except_destinations)[: _DESTINATIONS_PASSED_OVER[-1]]
        length = next(length for length in _DESTINATIONS_PASSED_OVER if len(destinations) <= length)
        statement = self._session.skip_locked(_due_statement(length), "deliveries")
        parameters = (at, at, *channels, *_filled(destinations, length), limit)
        positions = [row[0] for row in self._session.all(statement, parameters)]
        batch = _Batch(to_microseconds(lease_until))
        leased = self._leased(positions, batch)
        waiting = sorted(batch.earlier - set(positions))
        return self._leased(self._due_among(waiting, at, except_destinations), batch) + leased

    def release_leases(self, delivery_ids: Collection[UUID]) -> None:
        """Release leases before they expire."""
        self._session.execute_many(_RELEASE, [(delivery_id.bytes,) for delivery_id in delivery_ids])

    def _due_among(self, positions: list[int], at: int, except_destinations: Collection[str]) -> list[int]:
        """Return those of some deliveries that may be leased now, and lock them."""
        found = []
        for some in _chunks(positions):
            statement = self._session.skip_locked(_waiting_statement(len(some)), "deliveries")
            found += [
                row[0] for row in self._session.all(statement, (*some, at, at)) if row[1] not in except_destinations
            ]
        return found

    def _leased(self, positions: list[int], batch: _Batch) -> list[DueDelivery]:
        """Lease deliveries and return them with all that an attempt needs."""
        return [due for some in _chunks(positions) for due in self._leased_at_once(some, batch)]

    def _leased_at_once(self, wanted: list[int], batch: _Batch) -> list[DueDelivery]:
        count = len(wanted)
        self._session.execute(_lease_statement(count), (batch.until, *wanted))
        threads: dict[int, list[str]] = {}
        for position, message_id, earlier, state in self._session.all(_thread_statement(count), wanted):
            threads.setdefault(position, []).append(message_id)
            if state == DeliveryState.QUEUED:
                batch.earlier.add(earlier)
        leased = []
        for row in self._session.all(_load_statement(count), wanted):
            delivery, contact = (row[part] for part in _PARTS)
            notice, sealed, customer = self._shared(delivery[_NOTICE_ID], batch.notices)
            due = DueDelivery(
                delivery=delivery_of_row(*delivery),
                notice=notice,
                sealed=sealed,
                customer=customer,
                contact=None if contact[0] is None else contact_of_row(*contact),
                earlier_message_ids=tuple(threads.get(row[0], ())),
            )
            leased.append(self._with_endpoint(due))
        return leased

    def _shared(
        self, notice_id: bytes, notices: dict[bytes, tuple[Notice, SealedNotice, Customer]]
    ) -> tuple[Notice, SealedNotice, Customer]:
        """Return the common data of a notice's deliveries; it is loaded once."""
        if notice_id not in notices:
            row = self._session.one(_OF_NOTICE, (notice_id,))
            sealed = self._seal(notice_id)
            if row is None or sealed is None:
                raise NotFoundError("sealed notice", UUID(bytes=notice_id))
            notice, customer = (row[part] for part in _PARTS_OF_NOTICE)
            notices[notice_id] = (notice_of_row(*notice), sealed, customer_of_row(*customer))
        return notices[notice_id]

    def _seal(self, notice_id: bytes) -> SealedNotice | None:
        sealed = self._session.directory.kept_seal(notice_id)
        if sealed is None and (row := self._session.one(SEAL_OF_NOTICE, (notice_id,))) is not None:
            sealed = sealed_of_row(*row)
            self._session.directory.keep_seal(notice_id, sealed)
        return sealed

    def _with_endpoint(self, due: DueDelivery) -> DueDelivery:
        """Return the delivery with its webhook endpoint, if it has one."""
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
