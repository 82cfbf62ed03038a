"""The inventory of resources, its snapshots, and the look-ups that were made in it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select

from notifications.customer.inventory import (
    ConcernedCustomer,
    FailedPart,
    HeldResource,
    InventoryKind,
    ResourceLookup,
    ResourceSnapshot,
)
from notifications.errors import StateConflictError
from notifications.ports import Page
from service.store.sql.encoding import (
    JsonCodec,
    from_microseconds,
    from_optional_microseconds,
    to_microseconds,
    to_optional_microseconds,
)
from service.store.sql.flat import FlatTable
from service.store.sql.paging import FIRST, paged, start_of
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text, insert_of, inserted_columns, limited
from service.store.tables import ResourceLookupRow, ResourceRow, ResourceSnapshotRow, table

#: ``held_until`` of what a customer still holds: after every time. A number, so that an index compares it.
OPEN = 2**62

_FAILED: JsonCodec[FailedPart] = JsonCodec(FailedPart)
_PROPOSED: JsonCodec[tuple[ConcernedCustomer, ...]] = JsonCodec(tuple[ConcernedCustomer, ...])
_CONFIRMED: JsonCodec[tuple[UUID, ...]] = JsonCodec(tuple[UUID, ...])
_SNAPSHOTS = FlatTable(ResourceSnapshot, ResourceSnapshotRow)

_resources, _lookups = table(ResourceRow).c, table(ResourceLookupRow).c
_NAMES = inserted_columns(ResourceRow)
_RESOURCE = tuple(_resources[name] for name in _NAMES)
_LOOKUP = tuple(_lookups[name] for name in inserted_columns(ResourceLookupRow))
#: The INSERT of a record, with the parameters of ``values_of``; the benchmark fills a store with it.
INSERT, _INSERT_LOOKUP = insert_of(ResourceRow), insert_of(ResourceLookupRow)
_KEY = ("customer_id", "kind", "identifier", "held_from")
_CHANGED = tuple(name for name in _NAMES if name not in _KEY)
_REPLACE = compiled_text(
    f"UPDATE resources SET {', '.join(f'{name} = :{name}' for name in _CHANGED)}"  # noqa: S608 - names of columns
    " WHERE customer_id = :customer_id AND kind = :kind AND identifier = :identifier AND held_from = :held_from",
    *_CHANGED,
    *_KEY,
)
_OF_CUSTOMER = compiled(
    select(*_RESOURCE)
    .where(_resources.customer_id == bindparam("customer_id"))
    .order_by(_resources.kind, _resources.identifier, _resources.held_from),
    "customer_id",
)
_HISTORY = compiled(
    select(*_RESOURCE)
    .where(
        _resources.customer_id == bindparam("customer_id"),
        _resources.kind == bindparam("kind"),
        _resources.identifier == bindparam("identifier"),
    )
    .order_by(_resources.held_from),
    "customer_id",
    "kind",
    "identifier",
)
_COUNTS = compiled_text(
    "SELECT count(DISTINCT customer_id), count(*) FROM resources WHERE held_from <= :held AND held_until > :at",
    "held", "at",
)  # fmt: skip
_LATEST_SNAPSHOT = limited(_SNAPSHOTS.select().order_by(table(ResourceSnapshotRow).c.snapshot_at.desc()))
_LOOKUP_BY_ID = compiled(select(*_LOOKUP).where(_lookups.id == bindparam("id")), "id")
_CONFIRM = compiled_text(
    "UPDATE resource_lookups SET confirmed = :confirmed, confirmed_at = :confirmed_at, confirmed_by = :confirmed_by"
    " WHERE id = :id AND confirmed_at IS NULL",
    "confirmed", "confirmed_at", "confirmed_by", "id",
)  # fmt: skip
_DROP_LOOKUPS = "DELETE FROM resource_lookups WHERE made_at < ?"

#: Fields of a look-up with their columns, the narrowest first: the order of the indexes in ``ResourceRow``.
_FIELDS = (
    ("identifiers", "identifier"),
    ("hosts", "host"),
    ("availability_zones", "availability_zone"),
    ("regions", "region"),
    ("services", "service"),
    ("kinds", "kind"),
)
#: The fields that are given, with their number of values.
_Given = tuple[tuple[str, int], ...]


@lru_cache(maxsize=64)
def _page_statement(*, of_customer: bool, at: bool) -> str:
    statement = select(_resources.position, *_RESOURCE).where(_resources.position > bindparam("after"))
    names = ["after"]
    if of_customer:
        statement = statement.where(_resources.customer_id == bindparam("customer_id"))
        names.append("customer_id")
    if at:
        statement = statement.where(_resources.held_from <= bindparam("held"), _resources.held_until > bindparam("at"))
        names += ["held", "at"]
    return limited(statement.order_by(_resources.position), *names)


def _condition(given: _Given) -> str:
    """Return the condition of a look-up; only its narrowest field may be looked up in an index."""
    parts = []
    for position, (column, values) in enumerate(given):
        compared = column if position == 0 else f"({column} || '')"
        marks = ", ".join("?" * values)
        parts.append(f"{compared} = ?" if values == 1 else f"{compared} IN ({marks})")
    return " AND ".join((*parts, "held_from < ?", "held_until > ?"))


@lru_cache(maxsize=128)
def _counting(given: _Given) -> str:
    """Return the statement: customer, records, and those of them that began within the time."""
    return (
        "SELECT customer_id, count(*), sum(CASE WHEN held_from > ? THEN 1 ELSE 0 END) FROM resources "  # noqa: S608 - names of columns
        f"WHERE {_condition(given)} GROUP BY customer_id"
    )


@lru_cache(maxsize=128)
def _counting_different(given: _Given) -> str:
    return (
        "SELECT count(*) FROM (SELECT DISTINCT kind, identifier FROM resources "  # noqa: S608 - names of columns
        f"WHERE {_condition(given)} AND customer_id = ?) AS different"
    )


@lru_cache(maxsize=128)
def _listing(given: _Given) -> str:
    return (
        f"SELECT {', '.join(_NAMES)} FROM resources WHERE {_condition(given)} AND customer_id = ? "  # noqa: S608 - names of columns
        "ORDER BY kind, identifier, held_from LIMIT ?"
    )


def _given(failed: FailedPart) -> tuple[_Given, list[object]]:
    """Return the fields given, and the parameters of ``_condition``."""
    given, values = list[tuple[str, int]](), list[object]()
    for field, column in _FIELDS:
        wanted = sorted(set(getattr(failed, field)))
        if wanted:
            given.append((column, len(wanted)))
            values += wanted
    starts_at = to_microseconds(failed.starts_at)
    # What begins at the moment itself is concerned, also where the time is only this moment.
    ends_at = OPEN if failed.ends_at is None else max(to_microseconds(failed.ends_at), starts_at + 1)
    return tuple(given), [*values, ends_at, starts_at]


def values_of(resource: HeldResource) -> tuple[object, ...]:
    """Return a record as the parameters of ``INSERT``."""
    return (
        resource.customer_id.bytes, resource.kind.value, resource.identifier, resource.name, resource.service,
        resource.region, resource.availability_zone, resource.host, to_microseconds(resource.held_from),
        OPEN if resource.held_until is None else to_microseconds(resource.held_until),
        to_microseconds(resource.recorded_at),
    )  # fmt: skip


def _resource_of_row(*row: Any) -> HeldResource:
    customer_id, kind, identifier, name, service, region, zone, host, held_from, held_until, recorded_at = row
    return HeldResource(
        UUID(bytes=customer_id), InventoryKind(kind), identifier, name, service, region, zone, host,
        from_microseconds(held_from), None if held_until == OPEN else from_microseconds(held_until),
        from_microseconds(recorded_at),
    )  # fmt: skip


def _lookup_of_row(*row: Any) -> ResourceLookup:
    id_bytes, made_at, made_by, failed, proposed, confirmed, confirmed_at, confirmed_by = row
    return ResourceLookup(
        UUID(bytes=id_bytes), from_microseconds(made_at), made_by, _FAILED.decode(failed), _PROPOSED.decode(proposed),
        None if confirmed is None else _CONFIRMED.decode(confirmed), from_optional_microseconds(confirmed_at),
        confirmed_by,
    )  # fmt: skip


class ResourceRecords(Records):
    """The inventory; see ``notifications.ports``."""

    def add(self, resources: Sequence[HeldResource]) -> None:
        """Store new records."""
        self._session.execute_many(INSERT, map(values_of, resources))
        self._changed("resources")

    def replace(self, resources: Sequence[HeldResource]) -> None:
        """Replace the records with the same customer, kind, identifier and beginning."""
        self._session.execute_many(_REPLACE, map(_replacing, resources))
        self._changed("resources")

    def of_customer(self, customer_id: UUID) -> Sequence[HeldResource]:
        """Return every record of a customer, by kind, identifier and beginning."""
        return [_resource_of_row(*row) for row in self._session.all(_OF_CUSTOMER, (customer_id.bytes,))]

    def history(self, customer_id: UUID, kind: InventoryKind, identifier: str) -> Sequence[HeldResource]:
        """Return the records of one resource of a customer, oldest first."""
        rows = self._session.all(_HISTORY, (customer_id.bytes, kind.value, identifier))
        return [_resource_of_row(*row) for row in rows]

    def page(
        self, page: Page, *, customer_id: UUID | None = None, at: datetime | None = None
    ) -> tuple[list[HeldResource], str | None]:
        """Return records as recorded; of one customer, and those that hold at a time, if given."""
        values: list[object] = [start_of("resources", page, FIRST)]
        values += [] if customer_id is None else [customer_id.bytes]
        values += [] if at is None else [to_microseconds(at)] * 2
        statement = _page_statement(of_customer=customer_id is not None, at=at is not None)
        rows = self._session.all(statement, (*values, page.limit + 1))
        return paged("resources", page, rows, _resource_of_row)

    def counts(self, at: datetime) -> tuple[int, int]:
        """Return how many customers hold how many resources at a time."""
        row = self._session.one(_COUNTS, [to_microseconds(at)] * 2)
        return (0, 0) if row is None else (row[0], row[1])

    def concerned(self, failed: FailedPart) -> Sequence[ConcernedCustomer]:
        """Return the customers concerned, most resources first.

        1. Count the records of each customer in one index.
        2. Several records of one resource can be concerned only where one began within the time: count these customers
           again by resource.
        """
        given, values = _given(failed)
        if not given:
            raise ValueError("a look-up needs a field besides the time")
        # 1.
        counted = self._session.all(_counting(given), (to_microseconds(failed.starts_at), *values))
        # 2.
        found = [
            ConcernedCustomer(UUID(bytes=key), int(records) if not began else self._different(given, values, key))
            for key, records, began in counted
        ]
        return sorted(found, key=lambda item: (-item.resources, item.customer_id))

    def _different(self, given: _Given, values: Sequence[object], customer: bytes) -> int:
        row = self._session.one(_counting_different(given), (*values, customer))
        return 0 if row is None else int(row[0])

    def concerned_resources(self, failed: FailedPart, customer_id: UUID, limit: int) -> Sequence[HeldResource]:
        """Return the first resources concerned of one customer, by kind and identifier."""
        given, values = _given(failed)
        rows = self._session.all(_listing(given), (*values, customer_id.bytes, limit))
        return list(_each_once(_resource_of_row(*row) for row in rows))

    def add_snapshot(self, snapshot: ResourceSnapshot) -> None:
        """Record a full snapshot that was imported."""
        self._session.execute(_SNAPSHOTS.insert, _SNAPSHOTS.values(snapshot))

    def latest_snapshot(self) -> ResourceSnapshot | None:
        """Return the snapshot with the latest time."""
        row = self._session.one(_LATEST_SNAPSHOT, (1,))
        return None if row is None else _SNAPSHOTS.record(row)

    def add_lookup(self, lookup: ResourceLookup) -> None:
        """Store a look-up."""
        values = (
            lookup.id.bytes, to_microseconds(lookup.made_at), lookup.made_by, _FAILED.encode(lookup.failed),
            _PROPOSED.encode(lookup.proposed), *_confirmation(lookup),
        )  # fmt: skip
        self._session.execute(_INSERT_LOOKUP, values)

    def lookup(self, lookup_id: UUID) -> ResourceLookup | None:
        """Return a look-up."""
        row = self._session.one(_LOOKUP_BY_ID, (lookup_id.bytes,))
        return None if row is None else _lookup_of_row(*row)

    def confirm_lookup(self, lookup: ResourceLookup) -> None:
        """Record whom a person confirmed; raises StateConflictError where that is recorded already."""
        if self._session.execute(_CONFIRM, (*_confirmation(lookup), lookup.id.bytes)).rowcount != 1:
            raise StateConflictError("this look-up was confirmed already, or it is no longer kept")

    def drop_lookups(self, before: datetime) -> None:
        """Delete look-ups that were made before a time; the log keeps what they were."""
        self._session.execute(_DROP_LOOKUPS, (to_microseconds(before),))


def _replacing(resource: HeldResource) -> tuple[object, ...]:
    stated = dict(zip(_NAMES, values_of(resource), strict=True))
    return tuple(stated[name] for name in (*_CHANGED, *_KEY))


def _confirmation(lookup: ResourceLookup) -> tuple[object, ...]:
    confirmed = None if lookup.confirmed is None else _CONFIRMED.encode(lookup.confirmed)
    return confirmed, to_optional_microseconds(lookup.confirmed_at), lookup.confirmed_by


def _each_once(resources: Iterator[HeldResource]) -> Iterator[HeldResource]:
    """Yield the last record of each resource; the records of one follow one another."""
    waiting: HeldResource | None = None
    for resource in resources:
        if waiting is not None and waiting.identity != resource.identity:
            yield waiting
        waiting = resource
    if waiting is not None:
        yield waiting
