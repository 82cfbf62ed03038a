"""The directory kept decoded: customers, bindings and profiles, which every decision reads and few acts change."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from notifications.customer import AgreementBinding, Customer, ProfileVersion


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything in the directory at one version of it."""

    #: the store counts it up with every change
    version: int
    customers: tuple[Customer, ...]
    bindings: tuple[AgreementBinding, ...]
    profiles: tuple[ProfileVersion, ...]
    #: customer to pseudonym in the log; erased ones are missing
    pseudonyms: Mapping[UUID, str]


class Directory:
    """Holds the listing last read of a committed state; shared by the connections of one store.

    A listing is used only where its version is the one that the transaction sees, so no connection and no other
    process can make it stale.
    """

    __slots__ = ("listing",)

    def __init__(self) -> None:
        self.listing: Listing | None = None
