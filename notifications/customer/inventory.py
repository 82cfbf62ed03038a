"""Who has what: the resources of each customer, with the time from and until which the customer held each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifications.errors import Fault, InvalidInputError


class InventoryKind(StrEnum):
    """Kinds of resources in the inventory."""

    TENANT = "tenant"
    MACHINE = "machine"
    VOLUME = "volume"
    OBJECT_STORE = "object_store"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class HeldResource:
    """One resource as one customer held it, in one place, from and until a time (half-open)."""

    customer_id: UUID
    kind: InventoryKind
    #: the provider's identifier, as the customer sees it in its console
    identifier: str
    name: str | None
    service: str | None
    region: str | None
    availability_zone: str | None
    #: the host or the cluster it is on
    host: str | None
    held_from: datetime
    #: None while the customer holds it
    held_until: datetime | None
    recorded_at: datetime

    @property
    def identity(self) -> tuple[UUID, InventoryKind, str]:
        """What stays the same when the resource moves."""
        return self.customer_id, self.kind, self.identifier

    def holds_at(self, moment: datetime) -> bool:
        """Return whether the customer held it so at a time."""
        return self.held_from <= moment and not self.ends_by(moment)

    def ends_by(self, moment: datetime) -> bool:
        """Return whether it was over at a time."""
        return self.held_until is not None and self.held_until <= moment


@dataclass(frozen=True, slots=True)
class StatedResource:
    """What a line of an import or a request states of one resource."""

    customer_id: UUID
    kind: InventoryKind
    identifier: str
    name: str | None = None
    service: str | None = None
    region: str | None = None
    availability_zone: str | None = None
    host: str | None = None
    #: None: the statement says only that the customer holds it at the time of the statement
    held_from: datetime | None = None
    held_until: datetime | None = None

    @property
    def identity(self) -> tuple[UUID, InventoryKind, str]:
        """What stays the same when the resource moves."""
        return self.customer_id, self.kind, self.identifier


class Effect(StrEnum):
    """The effect of one statement."""

    ADDED = "added"
    #: it moved or was renamed: what was known ends, and what is stated begins
    MOVED = "moved"
    #: the same interval is stated with other words or another end
    CORRECTED = "corrected"
    ENDED = "ended"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one statement changes: records that are new, and records that replace one with the same beginning."""

    effect: Effect
    added: HeldResource | None = None
    replaced: HeldResource | None = None


def reconcile(held: Sequence[HeldResource], stated: StatedResource, *, at: datetime, now: datetime) -> Reconciled:
    """Return what a statement changes of what is known of the same resource of the same customer.

    ``held`` is what is known, without overlaps. ``at`` is the beginning of a statement that has none: the time of the
    snapshot, or of the request.

    1. The interval is half-open and not empty.
    2. A record that begins at the same time is corrected.
    3. A record that holds at the beginning says the same already; or it ends there, and what is stated begins.
    4. Else what is stated is new, and may not reach into a record that begins later.

    Raises InvalidInputError for an empty interval and for one that overlaps what is known to have ended.
    """
    # 1.
    begins = stated.held_from or at
    if stated.held_until is not None and stated.held_until <= begins:
        raise InvalidInputError(Fault("held_until", "must be after held_from"))
    made = HeldResource(
        stated.customer_id, stated.kind, stated.identifier, stated.name, stated.service, stated.region,
        stated.availability_zone, stated.host, begins, stated.held_until, now,
    )  # fmt: skip
    later = [other for other in held if other.held_from > begins]
    # 2.
    same = next((other for other in held if other.held_from == begins), None)
    if same is not None:
        if _place(same) == _place(made) and same.held_until == made.held_until:
            return Reconciled(Effect.UNCHANGED)
        _verify_apart(made, later)
        return Reconciled(Effect.CORRECTED, replaced=made)
    # 3.
    before = next((other for other in held if other.holds_at(begins)), None)
    if before is not None:
        if _place(before) == _place(made):
            if stated.held_until in {None, before.held_until}:
                return Reconciled(Effect.UNCHANGED)
            ended = replace(before, held_until=stated.held_until, recorded_at=now)
            _verify_apart(ended, later)
            return Reconciled(Effect.ENDED, replaced=ended)
        if before.held_until not in {None, stated.held_until}:
            raise InvalidInputError(Fault("held_from", "overlaps what is known of this resource at that time"))
        _verify_apart(made, later)
        return Reconciled(Effect.MOVED, added=made, replaced=replace(before, held_until=begins, recorded_at=now))
    # 4.
    _verify_apart(made, later)
    return Reconciled(Effect.ADDED, added=made)


def _place(resource: HeldResource) -> tuple[str | None, ...]:
    return resource.name, resource.service, resource.region, resource.availability_zone, resource.host


def _verify_apart(made: HeldResource, later: Sequence[HeldResource]) -> None:
    if any(not made.ends_by(other.held_from) for other in later):
        raise InvalidInputError(Fault("held_until", "overlaps what is known of this resource from a later time on"))


@dataclass(frozen=True, slots=True)
class FailedPart:
    """What failed, and when: a resource is concerned if it matches each field that is given, during that time.

    Within one field, one of the values matches.
    """

    #: the beginning, included
    starts_at: datetime
    #: the end, excluded; None while it lasts. A single moment has ``ends_at`` equal to ``starts_at``
    ends_at: datetime | None = None
    kinds: tuple[InventoryKind, ...] = ()
    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    availability_zones: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()

    def is_narrowed(self) -> bool:
        """Return whether any field is given besides the time."""
        return any((self.kinds, self.services, self.regions, self.availability_zones, self.hosts, self.identifiers))

    def concerns(self, resource: HeldResource) -> bool:
        """Return whether a resource is concerned; the store's look-up gives the same answer."""
        if resource.ends_by(self.starts_at):
            return False
        if self.ends_at is not None and resource.held_from > self.starts_at and resource.held_from >= self.ends_at:
            return False
        return all(
            not wanted or found in wanted
            for wanted, found in (
                (self.kinds, resource.kind),
                (self.services, resource.service),
                (self.regions, resource.region),
                (self.availability_zones, resource.availability_zone),
                (self.hosts, resource.host),
                (self.identifiers, resource.identifier),
            )
        )


@dataclass(frozen=True, slots=True)
class ConcernedCustomer:
    """A customer, and how many of its resources are concerned."""

    customer_id: UUID
    #: different resources; one that moved within the time counts once
    resources: int


@dataclass(frozen=True, slots=True)
class ResourceLookup:
    """A look-up that was made: what failed, whom it proposed, and whom a person confirmed."""

    id: UUID
    made_at: datetime
    made_by: str
    failed: FailedPart
    #: most resources first
    proposed: tuple[ConcernedCustomer, ...]
    confirmed: tuple[UUID, ...] | None = None
    confirmed_at: datetime | None = None
    confirmed_by: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceSnapshot:
    """A full snapshot that was imported."""

    snapshot_at: datetime
    imported_at: datetime
    imported_by: str
    resources: int
