"""What is kept decoded: the directory (customers, bindings, profiles), which every decision reads and few acts change.

And seals that are whole, which every delivery of a notice reads and nothing changes.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from notifications.customer.records import AgreementBinding, Customer, ProfileVersion
from notifications.notice.seal import SealedNotice

#: Seals kept at most; one with its words has some tens of kilobytes.
_KEPT_SEALS = 128


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

    __slots__ = ("_keeping", "_seals", "listing")

    def __init__(self) -> None:
        self.listing: Listing | None = None
        self._seals: dict[bytes, SealedNotice] = {}
        self._keeping = threading.Lock()

    def kept_seal(self, notice_id: bytes) -> SealedNotice | None:
        """Return the seal of a notice if it is kept."""
        return self._seals.get(notice_id)

    def keep_seal(self, notice_id: bytes, sealed: SealedNotice) -> None:
        """Keep a seal that has its timestamp and its proof: from then on no byte of it changes. The oldest goes."""
        if sealed.timestamp is None or sealed.log_proof is None:
            return
        with self._keeping:
            self._seals[notice_id] = sealed
            while len(self._seals) > _KEPT_SEALS:
                del self._seals[next(iter(self._seals))]

    def forget_seals(self) -> None:
        """Keep no seal: some of them are being erased."""
        with self._keeping:
            self._seals.clear()
