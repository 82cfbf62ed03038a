"""Keep the inventory: state one resource, end it, or import many at once."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.customer.inventory import (
    Effect,
    HeldResource,
    InventoryKind,
    ResourceSnapshot,
    StatedResource,
    reconcile,
)
from notifications.errors import Fault, GreffierError, InvalidInputError, NotFoundError
from notifications.ports import InventoryTransaction
from notifications.use_cases.audit_context import AuditContext


def state_resource(tx: InventoryTransaction, act: AuditContext, stated: StatedResource) -> Effect:
    """Record that a customer holds a resource, from and until when; the same again changes nothing.

    Raises NotFoundError for an unknown customer, InvalidInputError for what contradicts what is known.
    """
    customer = tx.customers.require(stated.customer_id)
    known = tx.resources.history(stated.customer_id, stated.kind, stated.identifier)
    result = reconcile(known, stated, at=act.now, now=act.now)
    if result.effect is not Effect.UNCHANGED:
        tx.resources.replace([] if result.replaced is None else [result.replaced])
        tx.resources.add([] if result.added is None else [result.added])
        tx.audit.append([
            act.entry(
                "resource.stated",
                subjects={"customer": tx.customers.pseudonym(customer.id)},
                detail={"kind": stated.kind.value, "effect": result.effect.value},
                private={"resource": stated},
            )
        ])  # fmt: skip
    return result.effect


def end_resource(
    tx: InventoryTransaction,
    act: AuditContext,
    customer_id: UUID,
    kind: InventoryKind,
    identifier: str,
    ended_at: datetime,
) -> HeldResource:
    """Record that a customer no longer holds a resource; its history is kept.

    Raises NotFoundError where the customer does not hold it now, InvalidInputError for an end before its beginning.
    """
    tx.customers.require(customer_id)
    known = tx.resources.history(customer_id, kind, identifier)
    current = next((resource for resource in known if resource.held_until is None), None)
    if current is None:
        raise NotFoundError("resource", identifier)
    if ended_at <= current.held_from:
        raise InvalidInputError(Fault("ended_at", "must be after the customer began to hold the resource"))
    ended = replace(current, held_until=ended_at, recorded_at=act.now)
    tx.resources.replace([ended])
    tx.audit.append([
        act.entry(
            "resource.ended",
            subjects={"customer": tx.customers.pseudonym(customer_id)},
            detail={"kind": kind.value, "ended_at": timestamp_text(ended_at)},
            private={"resource": ended},
        )
    ])  # fmt: skip
    return ended


@dataclass(frozen=True, slots=True)
class ResourceLine:
    """One line of a file that states a resource. The caller has already checked the form of the values."""

    number: int
    stated: StatedResource


@dataclass(frozen=True, slots=True)
class ResourceFault:
    """One thing that is wrong with one line."""

    line: int
    field: str
    reason: str


@dataclass(slots=True)
class ResourceReport:
    """The effect of each line of an import or of a dry run, and the faults."""

    effects: dict[int, Effect] = field(default_factory=dict)
    faults: list[ResourceFault] = field(default_factory=list)
    #: records that the snapshot no longer contains
    no_longer_there: int = 0
    #: resources held at the time of the snapshot, before the import
    held_before: int = 0

    def count(self, effect: Effect) -> int:
        """Return the number of lines with an effect."""
        return Counter(self.effects.values())[effect]


class ResourceImportUndoneError(GreffierError):
    """The import was a dry run or has faults. Nothing was imported; ``report`` has the effects and the faults."""

    def __init__(self, report: ResourceReport) -> None:
        self.report = report
        super().__init__(f"nothing was imported: {len(report.faults)} faults")


def import_resources(
    tx: InventoryTransaction,
    act: AuditContext,
    lines: Sequence[ResourceLine],
    form_faults: Sequence[ResourceFault],
    *,
    snapshot_at: datetime | None,
    partial: bool,
    dry_run: bool,
) -> ResourceReport:
    """Record what the lines state, customer by customer; the same lines again change nothing.

    1. A full snapshot has lines, is not in the future, is not older than the last one, and is never imported in part:
       a line that is missing ends a resource.
    2. Each line is compared with what is known of its resource. A resource is stated once in a file for one beginning.
    3. A snapshot ends what it does not contain, at its time.
    4. In a dry run, or with faults unless ``partial``, undo everything. One entry of the log has the numbers.

    Raises InvalidInputError in step 1, ResourceImportUndoneError in step 4.
    """
    # 1.
    if snapshot_at is not None:
        _verify_snapshot(tx, act, lines, snapshot_at, partial=partial)
    # 2.
    report = ResourceReport(faults=list(form_faults))
    by_customer: dict[UUID, list[ResourceLine]] = {}
    for line in lines:
        by_customer.setdefault(line.stated.customer_id, []).append(line)
    known = [customer.id for customer in tx.customers.all()]
    for customer_id in by_customer.keys() - set(known):
        report.faults += [
            ResourceFault(line.number, "customer", "no such customer") for line in by_customer[customer_id]
        ]
    for customer_id in known:
        stated = by_customer.get(customer_id, [])
        if stated or snapshot_at is not None:
            _import_of_customer(tx, act, customer_id, stated, snapshot_at, report)
    report.faults.sort(key=lambda fault: fault.line)
    # 4.
    if dry_run or (report.faults and not partial):
        raise ResourceImportUndoneError(report)
    if snapshot_at is not None:
        tx.resources.add_snapshot(ResourceSnapshot(snapshot_at, act.now, act.actor, len(lines)))
    tx.audit.append([
        act.entry(
            "resources.imported",
            subjects={},
            detail={
                "snapshot_at": None if snapshot_at is None else timestamp_text(snapshot_at),
                "partial": partial,
                "faults": len(report.faults),
                "no_longer_there": report.no_longer_there,
            }
            | {effect.value: report.count(effect) for effect in Effect},
        )
    ])  # fmt: skip
    return report


def _verify_snapshot(
    tx: InventoryTransaction, act: AuditContext, lines: Sequence[ResourceLine], snapshot_at: datetime, *, partial: bool
) -> None:
    faults = []
    if partial:
        faults.append(Fault("partial", "a snapshot is imported whole: a line left out would end its resource"))
    if not lines:
        faults.append(Fault("snapshot_at", "the snapshot has no line: it would end every resource"))
    if snapshot_at > act.now:
        faults.append(Fault("snapshot_at", "is in the future"))
    latest = tx.resources.latest_snapshot()
    if latest is not None and snapshot_at < latest.snapshot_at:
        faults.append(
            Fault("snapshot_at", f"is before the snapshot of {timestamp_text(latest.snapshot_at)}, imported already")
        )
    if faults:
        raise InvalidInputError(*faults)


def _import_of_customer(
    tx: InventoryTransaction,
    act: AuditContext,
    customer_id: UUID,
    lines: Iterable[ResourceLine],
    snapshot_at: datetime | None,
    report: ResourceReport,
) -> None:
    known: dict[tuple[UUID, InventoryKind, str], list[HeldResource]] = {}
    for resource in tx.resources.of_customer(customer_id):
        known.setdefault(resource.identity, []).append(resource)
    before = {_key(resource) for of_one in known.values() for resource in of_one}
    if snapshot_at is not None:
        report.held_before += sum(resource.holds_at(snapshot_at) for of_one in known.values() for resource in of_one)
    touched: dict[tuple[object, ...], HeldResource] = {}
    stated: dict[tuple[object, ...], int] = {}
    at = snapshot_at or act.now
    for line in lines:
        identity = line.stated.identity
        earlier = stated.setdefault((*identity, line.stated.held_from or at), line.number)
        if earlier != line.number:
            report.faults.append(ResourceFault(line.number, "identifier", f"line {earlier} states this resource"))
            continue
        try:
            result = reconcile(known.get(identity, ()), line.stated, at=at, now=act.now)
        except InvalidInputError as error:
            report.faults += [ResourceFault(line.number, fault.field, fault.reason) for fault in error.faults]
            continue
        report.effects[line.number] = result.effect
        for made in (result.replaced, result.added):
            if made is not None:
                _put(known.setdefault(identity, []), made)
                touched[_key(made)] = made
    # 3.
    if snapshot_at is not None:
        contained = {identity[:3] for identity in stated}
        for identity, of_one in known.items():
            gone = next(
                (each for each in of_one if each.held_from < snapshot_at and not each.ends_by(snapshot_at)), None
            )
            if gone is not None and identity not in contained:
                report.no_longer_there += 1
                touched[_key(gone)] = replace(gone, held_until=snapshot_at, recorded_at=act.now)
    tx.resources.replace([made for key, made in touched.items() if key in before])
    tx.resources.add([made for key, made in touched.items() if key not in before])


def _key(resource: HeldResource) -> tuple[object, ...]:
    return (*resource.identity, resource.held_from)


def _put(of_one: list[HeldResource], made: HeldResource) -> None:
    of_one[:] = [*(each for each in of_one if each.held_from != made.held_from), made]
    of_one.sort(key=lambda each: each.held_from)
