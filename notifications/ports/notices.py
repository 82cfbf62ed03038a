"""Notices with their seals, and who opened and acknowledged them."""

from collections.abc import Collection, Mapping, Sequence
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

    def some(self, notice_ids: Collection[UUID]) -> dict[UUID, Notice]:
        """Return the notices with these ids, in one statement; an id without a notice gives none."""
        ...

    def require(self, notice_id: UUID) -> Notice:
        """Return the notice; raises NotFoundError where there is none."""
        ...

    def save(self, notice: Notice, expected_version: int) -> None:
        """Replace the notice; ``Transaction`` has the rule for versions."""
        ...

    def of_incident(self, incident_id: UUID, customer_id: UUID | None = None) -> Sequence[Notice]:
        """Return the notices of an incident, of one customer or of all, sorted by customer creation, then sequence."""
        ...

    def page(
        self,
        page: Page,
        *,
        incident_id: UUID | None = None,
        customer_id: UUID | None = None,
        state: str | None = None,
    ) -> tuple[list[Notice], str | None]:
        """Return a page of notices, newest first."""
        ...

    def released(self, limit: int) -> Sequence[Notice]:
        """Return the notices that are released and not sealed yet, earliest ``due_at`` first."""
        ...

    def lease_released(self, now: datetime, lease_until: datetime, limit: int) -> Sequence[Notice]:
        """Lease notices that are released, not sealed yet and not leased, earliest ``due_at`` first.

        A notice that follows another to the same customer is leased once that one is sealed or held, because its
        document names it. A notice whose lease expired may be leased again.
        """
        ...

    def release_leases(self, notice_ids: Collection[UUID]) -> None:
        """End leases before they expire. The notices may be leased again at once."""
        ...

    def add_seal(self, sealed: SealedNotice, entry_id: UUID) -> None:
        """Store the seal of a notice and the id of its ``notice.sealed`` entry. The bytes are never changed."""
        ...

    def add_seals(self, seals: Sequence[tuple[SealedNotice, UUID]]) -> None:
        """Like ``add_seal`` for each of them, with few statements."""
        ...

    def seal(self, notice_id: UUID) -> SealedNotice | None:
        """Return the seal, with its timestamp and log proof if they exist."""
        ...

    def seal_entry_id(self, notice_id: UUID) -> UUID | None:
        """Return the id of the audit entry of the seal."""
        ...

    def seal_entry_ids(self, notice_ids: Collection[UUID]) -> dict[UUID, UUID]:
        """Return notice to audit entry of its seal, in one statement; a notice without a seal is missing."""
        ...

    def set_log_proof(self, notice_id: UUID, proof: bytes) -> None:
        """Record the log proof; raises StateConflictError if there is one already."""
        ...

    def set_log_proofs(self, proofs: Mapping[UUID, bytes]) -> None:
        """Like ``set_log_proof`` for each notice, with few statements."""
        ...

    def owing_log_proof(self, notice_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return those of these sealed notices that have no log proof yet, in one statement."""
        ...

    def without_log_proof(self, limit: int) -> Sequence[UUID]:
        """Return the sealed notices that have no log proof yet, oldest first."""
        ...

    def set_timestamp(self, notice_id: UUID, token: bytes, *, independent: bool) -> None:
        """Record the timestamp of a seal. It can be recorded only once."""
        ...

    def undated(self, limit: int) -> Sequence[UndatedNotice]:
        """Return the seals without a timestamp, with the reason of the authority, oldest first."""
        ...

    def set_timestamp_refusal(self, reason: str) -> None:
        """Record why the authority gives no timestamp for the seals that have none yet."""
        ...

    def without_timestamp(self, limit: int) -> Sequence[UUID]:
        """Return the sealed notices that have no timestamp of their own yet, oldest first."""
        ...

    def owing_shared_timestamp(self, notice_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return those of these sealed notices that share a timestamp and have none yet, in one statement."""
        ...

    def set_shared_timestamps(self, proofs: Mapping[UUID, bytes | None], size: int, *, independent: bool) -> None:
        """Record for each notice, once, that the timestamp of the checkpoint of this size dates it.

        Notice to its log proof under that checkpoint; None if the proof that it has is under it. The other proof stays.
        Raises StateConflictError if a notice has its timestamp already.
        """
        ...

    def without_shared_timestamp(self, limit: int) -> Sequence[UUID]:
        """Return the notices with a log proof that share a timestamp and have none yet, oldest first."""
        ...

    def is_of_more_than(self, number: int, incident_id: UUID, facts_version: int) -> bool:
        """Return whether more than this number of notices, withdrawn ones left out, state these facts."""
        ...

    def add_pdf(self, notice_id: UUID, language: str, time_zone: str | None, entry_id: UUID) -> None:
        """Keep the PDF of a sealed notice, which is the opening ``pdf`` of this audit entry. It is never changed.

        Raises StateConflictError if there is one in this language and time zone.
        """
        ...

    def pdf(self, notice_id: UUID, language: str, time_zone: str | None = None) -> bytes | None:
        """Return the kept PDF of a notice in a language and time zone; None for the customer's time zone."""
        ...

    def add_opening(self, opening: NoticeOpening) -> bool:
        """Record that a person opened a notice. Returns False and records nothing if this person opened it before."""
        ...

    def openings(self, notice_id: UUID) -> Sequence[NoticeOpening]:
        """Return the openings of a notice, oldest first."""
        ...

    def add_acknowledgement(self, acknowledgement: Acknowledgement) -> bool:
        """Record an acknowledgement. Returns False and records nothing if the same person gave one before."""
        ...

    def acknowledgements(self, notice_id: UUID) -> Sequence[Acknowledgement]:
        """Return the acknowledgements of a notice, oldest first."""
        ...
