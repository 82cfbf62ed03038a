"""Caches of decoded records: the directory (customers, bindings, profiles), which every decision reads and few changes.

Also complete seals, which every delivery of a notice reads and nothing changes.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from notifications.customer.records import AgreementBinding, Customer, ProfileVersion
from notifications.notice.seal import SealedNotice

#: Greatest number of cached seals; one with its renderings has some tens of kilobytes.
_KEPT_SEALS = 128


@dataclass(frozen=True, slots=True)
class Listing:
    """The contents of the directory at one version."""

    #: increased by the store with every change
    version: int
    customers: tuple[Customer, ...]
    bindings: tuple[AgreementBinding, ...]
    profiles: tuple[ProfileVersion, ...]
    #: customer to pseudonym in the log; erased ones are missing
    pseudonyms: Mapping[UUID, str]


class Directory:
    """Caches the last listing read from a committed state; shared by the connections of one store.

    A listing is used only if the transaction sees the same version, so it is never outdated, whatever other connections
    and processes write.
    """

    __slots__ = ("_keeping", "_seals", "listing")

    def __init__(self) -> None:
        self.listing: Listing | None = None
        self._seals: dict[bytes, SealedNotice] = {}
        self._keeping = threading.Lock()

    def kept_seal(self, notice_id: bytes) -> SealedNotice | None:
        """Return the seal of a notice if it is cached."""
        return self._seals.get(notice_id)

    def keep_seal(self, notice_id: bytes, sealed: SealedNotice) -> None:
        """Cache a seal with timestamp and proof, which never changes again; the oldest cached seal is dropped."""
        if sealed.timestamp is None or sealed.log_proof is None:
            return
        with self._keeping:
            self._seals[notice_id] = sealed
            while len(self._seals) > _KEPT_SEALS:
                del self._seals[next(iter(self._seals))]

    def forget_seals(self) -> None:
        """Clear the cached seals, because some of them are being erased."""
        with self._keeping:
            self._seals.clear()
