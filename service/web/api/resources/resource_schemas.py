"""Schemas of the inventory."""

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from notifications.customer.inventory import (
    Effect,
    FailedPart,
    HeldResource,
    InventoryKind,
    ResourceLookup,
    StatedResource,
)
from service.web.api.fields import Line, Moment, Out, Schema

#: Most values of one field of a look-up, and most identifiers.
MAX_VALUES = 50
MAX_IDENTIFIERS = 1000


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds a control character")
    return text


_MAX_TERM_CHARACTERS = 200


def is_term(text: str) -> bool:
    """Return whether a text, without spaces around it, can be an identifier or a place."""
    return 0 < len(text) <= _MAX_TERM_CHARACTERS and text.isprintable()


#: an identifier or a place, as the provider names it
Term = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_printable)
]
_Terms = Annotated[list[Term], Field(max_length=MAX_VALUES)]


class ResourcePlaceIn(Schema):
    """What a resource is called and where it is, and from and until when a customer holds it so."""

    name: Line | None = None
    service: Term | None = None
    region: Term | None = None
    availability_zone: Term | None = None
    host: Term | None = Field(default=None, description="The host or the cluster it is on.")
    held_from: Moment | None = Field(
        default=None, description="The beginning, included. Without it: the time of the snapshot, else now."
    )
    held_until: Moment | None = Field(default=None, description="The end, excluded; null while the customer holds it.")

    def to_domain(self, customer_id: UUID, kind: InventoryKind, identifier: str) -> StatedResource:
        """Return the statement about one resource of a customer."""
        return StatedResource(
            customer_id, kind, identifier, self.name, self.service, self.region, self.availability_zone, self.host,
            self.held_from, self.held_until,
        )  # fmt: skip


class ResourceLineIn(ResourcePlaceIn):
    """One line of an import: a resource and the customer that holds it."""

    customer: Term = Field(description="The customer's id, or its name where no other customer has it.")
    kind: InventoryKind
    identifier: Term = Field(description="The provider's identifier, as the customer sees it in its console.")


class ResourceOut(Out):
    """A resource as one customer held it, in one place, from and until a time (half-open)."""

    customer_id: UUID
    kind: InventoryKind
    identifier: str
    name: str | None
    service: str | None
    region: str | None
    availability_zone: str | None
    host: str | None
    held_from: Moment
    held_until: Moment | None = Field(description="Null while the customer holds it.")
    recorded_at: Moment


class ResourcePage(Out):
    """Records of the inventory."""

    items: list[ResourceOut]
    next_cursor: str | None


class ResourceHistory(Out):
    """What is known of one resource of a customer, oldest first."""

    items: list[ResourceOut]


class ResourceStatedOut(Out):
    """The effect of a statement, and what is known since."""

    effect: Effect
    items: list[ResourceOut]


class ImportedLinesOut(Out):
    """Consecutive lines with the same effect."""

    first: int
    last: int
    effect: Effect


class ResourceFaultOut(Out):
    """One thing that is wrong with one line."""

    line: int
    field: str = Field(description="The column or member; empty for the whole line.")
    reason: str


class ResourceImportOut(Out):
    """What an import did, or would do, line by line."""

    dry_run: bool
    added: int
    moved: int
    corrected: int
    ended: int
    unchanged: int
    no_longer_there: int = Field(description="Resources that the snapshot does not contain; they end at its time.")
    held_before: int = Field(description="Resources held at the time of the snapshot, before it was imported.")
    faults_total: int
    faults: list[ResourceFaultOut] = Field(description="The first 1000.")
    lines: list[ImportedLinesOut] = Field(
        description="Every line that has an effect. Left out where the answer is given again for an Idempotency-Key."
    )


class FailedPartIn(Schema):
    """What failed, and when. A resource matches each field that is given, by one of its values, during that time."""

    at: Moment | None = Field(default=None, description="A single moment, instead of `starts_at`.")
    starts_at: Moment | None = Field(default=None, description="The beginning, included.")
    ends_at: Moment | None = Field(default=None, description="The end, excluded; null while it lasts.")
    kinds: list[InventoryKind] = Field(default_factory=list, max_length=MAX_VALUES)
    services: _Terms = Field(default_factory=list)
    regions: _Terms = Field(default_factory=list)
    availability_zones: _Terms = Field(default_factory=list)
    hosts: _Terms = Field(default_factory=list, description="Hosts or clusters.")
    identifiers: list[Term] = Field(default_factory=list, max_length=MAX_IDENTIFIERS)

    @model_validator(mode="after")
    def one_time(self) -> "FailedPartIn":
        """Take a moment or a beginning, and not both."""
        if (self.at is None) == (self.starts_at is None):
            raise ValueError("give either `at` or `starts_at`")
        if self.at is not None and self.ends_at is not None:
            raise ValueError("a moment has no `ends_at`")
        return self

    def to_domain(self) -> FailedPart:
        """Return what failed, with the time as an interval."""
        starts_at = self.starts_at or self.at
        if starts_at is None:
            raise ValueError("one_time has checked this")
        return FailedPart(
            starts_at, self.ends_at or self.at, tuple(self.kinds), tuple(self.services), tuple(self.regions),
            tuple(self.availability_zones), tuple(self.hosts), tuple(self.identifiers),
        )  # fmt: skip


class FailedPartOut(Out):
    """What was looked up."""

    starts_at: Moment
    ends_at: Moment | None
    kinds: list[InventoryKind]
    services: list[str]
    regions: list[str]
    availability_zones: list[str]
    hosts: list[str]
    identifiers: list[str]


class ConcernedCustomerOut(Out):
    """A customer that held what failed."""

    customer_id: UUID
    name: str | None = Field(description="Null where the customer was erased since.")
    resources: int = Field(description="Different resources; one that moved within the time counts once.")
    first_resources: list[ResourceOut] = Field(
        description="At most five, for the first 50 customers. The list of resources has the others."
    )


class LookupOut(Out):
    """Whom a failure concerns, by the inventory: a proposal. A person decides."""

    id: UUID
    made_at: Moment
    failed: FailedPartOut
    customers_total: int
    resources_total: int
    customers: list[ConcernedCustomerOut] = Field(description="Most resources first.")
    confirmed: list[UUID] | None = Field(description="The customers that a person confirmed; null before that.")
    confirmed_at: Moment | None
    declare: str | None = Field(description="The page that declares an incident for the confirmed customers.")


class ConfirmationIn(Schema):
    """The customers of a proposal that a person takes over."""

    customer_ids: list[UUID] = Field(min_length=1, max_length=100_000)


ImportFormat = Literal["csv", "lines"]


def resource_out(resource: HeldResource) -> ResourceOut:
    """Return a record as the API shows it."""
    return ResourceOut.model_validate(resource)


def failed_out(failed: FailedPart) -> FailedPartOut:
    """Return what was looked up."""
    return FailedPartOut(
        starts_at=failed.starts_at,
        ends_at=failed.ends_at,
        kinds=list(failed.kinds),
        services=list(failed.services),
        regions=list(failed.regions),
        availability_zones=list(failed.availability_zones),
        hosts=list(failed.hosts),
        identifiers=list(failed.identifiers),
    )


def declare_path(lookup: ResourceLookup) -> str | None:
    """Return the page that declares an incident for the confirmed customers, or None before that."""
    return None if not lookup.confirmed else f"/incidents/new?{confirmed_query(lookup.id, lookup.confirmed)}"


#: As many identifiers as a query holds comfortably; more are named by their look-up.
_MAX_IN_QUERY = 40


def confirmed_query(lookup_id: UUID, confirmed: Sequence[UUID]) -> str:
    """Return the query that names confirmed customers to another page: themselves, or the look-up that has them."""
    if len(confirmed) > _MAX_IN_QUERY:
        return f"lookup={lookup_id}"
    return f"customers={','.join(map(str, confirmed))}&lookup={lookup_id}"
