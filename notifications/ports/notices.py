"""Notices with their seals, and who opened and acknowledged them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.delivery.acknowledgement import Acknowledgement, NoticeOpening
from notifications.notice import Notice
from notifications.notice.seal import SealedNotice, UndatedNotice
from notifications.ports.paging import Page


class NoticeRepository(Protocol):
    """Notices with their seals, and who opened and acknowledged them."""

    def add(self, notices: Sequence[Notice]) -> None:
        """Store new notices."""
        ...

    def get(self, notice_id: UUID) -> Notice | None:
        """Return the notice."""
        ...

    def require(self, notice_id: UUID) -> Notice:
        """Return the notice; raises NotFoundError where there is none."""
        ...

    def save(self, notice: Notice, expected_version: int) -> None:
        """Replace the notice; ``Transaction`` has the rule for versions."""
        ...

    def of_incident(self, incident_id: UUID, customer_id: UUID | None = None) -> Sequence[Notice]:
        """Return every notice of an incident, or those to one customer, by customer creation then sequence."""
        ...

    def page(
        self,
        page: Page,
        *,
        incident_id: UUID | None = None,
        customer_id: UUID | None = None,
        state: str | None = None,
    ) -> tuple[list[Notice], str | None]:
        """Return notices, newest first."""
        ...

    def released(self, limit: int) -> Sequence[Notice]:
        """Return notices that are released and not sealed yet, earliest ``due_at`` first."""
        ...

    def lease_released(self, now: datetime, lease_until: datetime, limit: int) -> Sequence[Notice]:
        """Take notices that are released, not sealed yet and not leased, earliest ``due_at`` first.

        A notice whose lease ran out may be taken again.
        """
        ...

    def release_leases(self, notice_ids: Collection[UUID]) -> None:
        """End leases before they run out: the notices may be taken again at once."""
        ...

    def add_seal(self, sealed: SealedNotice, entry_id: UUID) -> None:
        """Store the seal of a notice and the id of its ``notice.sealed`` entry; the bytes are never changed."""
        ...

    def seal(self, notice_id: UUID) -> SealedNotice | None:
        """Return the seal with its timestamp and log proof where they exist already."""
        ...

    def seal_entry_id(self, notice_id: UUID) -> UUID | None:
        """Return the id of the audit entry of the seal."""
        ...

    def set_log_proof(self, notice_id: UUID, proof: bytes) -> None:
        """Record the proof, once; a second call raises StateConflictError."""
        ...

    def without_log_proof(self, limit: int) -> Sequence[UUID]:
        """Return notices that are sealed and have no log proof yet, oldest first."""
        ...

    def set_timestamp(self, notice_id: UUID, token: bytes, *, independent: bool) -> None:
        """Record a timestamp that the seal did not have yet, once."""
        ...

    def undated(self, limit: int) -> Sequence[UndatedNotice]:
        """Return notices whose timestamp is still owed, with the authority's reason, oldest first."""
        ...

    def set_timestamp_refusal(self, reason: str) -> None:
        """Record why the authority gives none of the timestamps that are owed now."""
        ...

    def without_timestamp(self, limit: int) -> Sequence[UUID]:
        """Return notices that are sealed and have no timestamp yet, oldest first."""
        ...

    def add_opening(self, opening: NoticeOpening) -> bool:
        """Record that a person opened a notice; returns False, and records nothing, if this person opened it before."""
        ...

    def openings(self, notice_id: UUID) -> Sequence[NoticeOpening]:
        """Return who opened a notice, oldest first."""
        ...

    def add_acknowledgement(self, acknowledgement: Acknowledgement) -> bool:
        """Record an acknowledgement; returns False, and records nothing, if the same person gave one before."""
        ...

    def acknowledgements(self, notice_id: UUID) -> Sequence[Acknowledgement]:
        """Return the acknowledgements of a notice, oldest first."""
        ...
