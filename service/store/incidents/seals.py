"""Seals: the final bytes of a notice, and their timestamp and log proof, each obtained once."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, literal_column, select

from notifications.errors import NotFoundError, StateConflictError
from notifications.notice.seal import SealedNotice, SealedRendering, UndatedNotice
from service.store.search.documents import SearchDocuments
from service.store.sql.encoding import JsonCodec, from_microseconds, to_microseconds
from service.store.sql.records import Records
from service.store.sql.statements import among, compiled, compiled_text, insert_of
from service.store.tables import (
    CheckpointTimestampRow,
    NoticePdfRow,
    NoticeSubjectRow,
    OwedEvidenceRow,
    SealedNoticeRow,
    SealProofRow,
    SealTimestampRow,
    SharedTimestampRow,
    table,
)

_RENDERINGS: JsonCodec[tuple[SealedRendering, ...]] = JsonCodec(tuple[SealedRendering, ...])
#: Every delivery of a notice reads the same renderings, so they are decoded once.
_decoded_renderings = lru_cache(maxsize=64)(_RENDERINGS.decode)
_TIMESTAMP, _SHARED_TIMESTAMP, _LOG_PROOF = "timestamp", "shared_timestamp", "log_proof"

_sealed, _timestamps, _proofs = table(SealedNoticeRow).c, table(SealTimestampRow).c, table(SealProofRow).c
_owed = table(OwedEvidenceRow).c
_shared, _stamps = table(SharedTimestampRow).c, table(CheckpointTimestampRow).c

#: The columns of a seal with its evidence; also read together with a due delivery.
SEALED = (
    _sealed.notice_id, _sealed.document, _sealed.signature, func.coalesce(_timestamps.token, _stamps.token),
    func.coalesce(_timestamps.independent, _shared.independent), _sealed.timestamp_independent, _sealed.resources_csv,
    _sealed.sealed_at, func.coalesce(_shared.proof, _proofs.proof), _sealed.renderings, _sealed.shares_timestamp,
)  # fmt: skip

#: The seals with their evidence so far.
SEALED_WITH_EVIDENCE = (
    table(SealedNoticeRow)
    .outerjoin(table(SealTimestampRow), _timestamps.notice_id == _sealed.notice_id)
    .outerjoin(table(SealProofRow), _proofs.notice_id == _sealed.notice_id)
    .outerjoin(table(SharedTimestampRow), _shared.notice_id == _sealed.notice_id)
    .outerjoin(table(CheckpointTimestampRow), _stamps.size == _shared.size)
)

_INSERT_SEALED = insert_of(SealedNoticeRow)
_INSERT_SUBJECTS = insert_of(NoticeSubjectRow)
_INSERT_TIMESTAMP, _INSERT_PROOF = insert_of(SealTimestampRow), insert_of(SealProofRow)
_INSERT_SHARED = insert_of(SharedTimestampRow)
SEAL_OF_NOTICE = compiled(
    select(*SEALED).select_from(SEALED_WITH_EVIDENCE).where(_sealed.notice_id == bindparam("notice_id")), "notice_id"
)
_ENTRY_ID = compiled(select(_sealed.entry_id).where(_sealed.notice_id == bindparam("notice_id")), "notice_id")
_ENTRY_IDS = select(_sealed.notice_id, _sealed.entry_id)
_OWING_PROOF = select(_owed.notice_id).where(_owed.kind == literal_column(f"'{_LOG_PROOF}'"))
_OWING_SHARED = select(_owed.notice_id).where(_owed.kind == literal_column(f"'{_SHARED_TIMESTAMP}'"))
_INSERT_PDF = insert_of(NoticePdfRow)
_PDF = compiled_text(
    "SELECT o.value FROM notice_pdfs p JOIN audit_entries e ON e.id = p.entry_id "
    "JOIN audit_openings o ON o.position = e.position AND o.name = :name "
    "WHERE p.notice_id = :notice_id AND p.language = :language AND p.time_zone = :time_zone",
    "name", "notice_id", "language", "time_zone",
)  # fmt: skip
_OWE = compiled_text("INSERT INTO owed_evidence (kind, notice_id) VALUES (:kind, :notice_id)", "kind", "notice_id")
_SETTLE = compiled_text("DELETE FROM owed_evidence WHERE notice_id = :notice_id AND kind = :kind", "notice_id", "kind")
_OWED = compiled_text(
    "SELECT notice_id FROM owed_evidence WHERE kind = :kind ORDER BY position LIMIT :limit", "kind", "limit"
)
_UNDATED = compiled_text(
    "SELECT o.notice_id, s.sealed_at, o.reason FROM owed_evidence o JOIN sealed_notices s ON s.notice_id = o.notice_id "
    "WHERE o.kind IN (:kind, :shared) ORDER BY o.position LIMIT :limit",
    "kind",
    "shared",
    "limit",
)
#: Shared timestamps that nobody is about to obtain: a notice without a log proof is still being proven.
_OWED_SHARED = compiled_text(
    "SELECT o.notice_id FROM owed_evidence o JOIN seal_proofs p ON p.notice_id = o.notice_id "
    "WHERE o.kind = :kind ORDER BY o.position LIMIT :limit",
    "kind",
    "limit",
)
_REFUSE = compiled_text(
    "UPDATE owed_evidence SET reason = :reason WHERE kind IN (:kind, :shared)", "reason", "kind", "shared"
)


def sealed_of_row(*row: Any) -> SealedNotice:
    """Return the seal of a row, in the order of ``SEALED``."""
    (
        notice_id, document, signature, token, independent, independent_at_sealing, resources_csv, sealed_at, proof,
        renderings, shares_timestamp,
    ) = row  # fmt: skip
    return SealedNotice(
        notice_id=UUID(bytes=notice_id),
        document=document,
        signature=signature,
        timestamp=token,
        timestamp_independent=bool(independent_at_sealing if independent is None else independent),
        resources_csv=resources_csv,
        sealed_at=from_microseconds(sealed_at),
        log_proof=proof,
        renderings=_decoded_renderings(renderings),
        shares_timestamp=bool(shares_timestamp),
    )


class SealRecords(Records):
    """Seals and their evidence."""

    def add_seal(self, sealed: SealedNotice, entry_id: UUID) -> None:
        """Store the seal of a notice and the id of its ``notice.sealed`` entry."""
        self.add_seals([(sealed, entry_id)])

    def add_seals(self, seals: Sequence[tuple[SealedNotice, UUID]]) -> None:
        """Like ``add_seal`` for each of them, with few statements."""
        rows, subjects, timestamps, proofs, owed = [], [], [], [], []
        for sealed, entry_id in seals:
            key = sealed.notice_id.bytes
            rows.append((
                key,
                entry_id.bytes,
                sealed.document,
                sealed.signature,
                sealed.timestamp_independent,
                sealed.resources_csv,
                _RENDERINGS.encode(sealed.renderings),
                to_microseconds(sealed.sealed_at),
                sealed.shares_timestamp,
            ))  # fmt: skip
            subjects.append((key, "\n".join(rendering.subject.casefold() for rendering in sealed.renderings)))
            if sealed.timestamp is None:
                owed.append((_SHARED_TIMESTAMP if sealed.shares_timestamp else _TIMESTAMP, key))
            else:
                timestamps.append((key, sealed.timestamp, sealed.timestamp_independent))
            if sealed.log_proof is None:
                owed.append((_LOG_PROOF, key))
            else:
                proofs.append((key, sealed.log_proof))
        self._session.execute_many(_INSERT_SEALED, rows)
        self._session.execute_many(_INSERT_SUBJECTS, subjects)
        self._session.execute_many(_INSERT_TIMESTAMP, timestamps)
        self._session.execute_many(_INSERT_PROOF, proofs)
        self._session.execute_many(_OWE, owed)
        documents = SearchDocuments(self._session)
        for sealed, _ in seals:
            documents.put_notice(sealed)
        self._changed("notices")

    def seal(self, notice_id: UUID) -> SealedNotice | None:
        """Return the seal with its timestamp and log proof where they exist already."""
        row = self._session.one(SEAL_OF_NOTICE, (notice_id.bytes,))
        return None if row is None else sealed_of_row(*row)

    def seal_entry_id(self, notice_id: UUID) -> UUID | None:
        """Return the id of the audit entry of the seal."""
        row = self._session.one(_ENTRY_ID, (notice_id.bytes,))
        return None if row is None else UUID(bytes=row[0])

    def seal_entry_ids(self, notice_ids: Collection[UUID]) -> dict[UUID, UUID]:
        """Return notice to audit entry of its seal."""
        if not notice_ids:
            return {}
        statement = among(_ENTRY_IDS, _sealed.notice_id, len(notice_ids))
        rows = self._session.all(statement, [each.bytes for each in notice_ids])
        return {UUID(bytes=notice_id): UUID(bytes=entry_id) for notice_id, entry_id in rows}

    def set_log_proof(self, notice_id: UUID, proof: bytes) -> None:
        """Record the proof, once."""
        self.set_log_proofs({notice_id: proof})

    def set_log_proofs(self, proofs: Mapping[UUID, bytes]) -> None:
        """Record the proof of each notice, once."""
        self._settle(list(proofs), _LOG_PROOF)
        self._session.execute_many(_INSERT_PROOF, [(notice_id.bytes, proof) for notice_id, proof in proofs.items()])
        if proofs:
            self._changed("deliveries")

    def owing_log_proof(self, notice_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return those of these notices whose log proof is still owed."""
        if not notice_ids:
            return frozenset()
        statement = among(_OWING_PROOF, _owed.notice_id, len(notice_ids))
        rows = self._session.all(statement, [each.bytes for each in notice_ids])
        return frozenset(UUID(bytes=row[0]) for row in rows)

    def without_log_proof(self, limit: int) -> Sequence[UUID]:
        """Return notices whose log proof is still owed, oldest first."""
        return [UUID(bytes=row[0]) for row in self._session.all(_OWED, (_LOG_PROOF, limit))]

    def set_timestamp(self, notice_id: UUID, token: bytes, *, independent: bool) -> None:
        """Record a timestamp that the seal did not have yet, once."""
        self._settle([notice_id], _TIMESTAMP)
        self._session.execute(_INSERT_TIMESTAMP, (notice_id.bytes, token, independent))
        self._changed("notices")

    def owing_shared_timestamp(self, notice_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return those of these notices whose shared timestamp is still owed."""
        if not notice_ids:
            return frozenset()
        statement = among(_OWING_SHARED, _owed.notice_id, len(notice_ids))
        rows = self._session.all(statement, [each.bytes for each in notice_ids])
        return frozenset(UUID(bytes=row[0]) for row in rows)

    def set_shared_timestamps(self, proofs: Mapping[UUID, bytes | None], size: int, *, independent: bool) -> None:
        """Record for each notice that the timestamp of a checkpoint dates it, once."""
        self._settle(list(proofs), _SHARED_TIMESTAMP)
        rows = [(notice_id.bytes, size, independent, proof) for notice_id, proof in proofs.items()]
        self._session.execute_many(_INSERT_SHARED, rows)
        if proofs:
            self._changed("notices")

    def without_shared_timestamp(self, limit: int) -> Sequence[UUID]:
        """Return proven notices whose shared timestamp is still owed, oldest first."""
        return [UUID(bytes=row[0]) for row in self._session.all(_OWED_SHARED, (_SHARED_TIMESTAMP, limit))]

    def without_timestamp(self, limit: int) -> Sequence[UUID]:
        """Return notices whose own timestamp is still owed, oldest first."""
        return [UUID(bytes=row[0]) for row in self._session.all(_OWED, (_TIMESTAMP, limit))]

    def undated(self, limit: int) -> Sequence[UndatedNotice]:
        """Return notices whose timestamp is still owed, with the authority's reason, oldest first."""
        rows = self._session.all(_UNDATED, (_TIMESTAMP, _SHARED_TIMESTAMP, limit))
        return [UndatedNotice(UUID(bytes=row[0]), from_microseconds(row[1]), row[2]) for row in rows]

    def set_timestamp_refusal(self, reason: str) -> None:
        """Record why the authority gives none of the timestamps that are owed now."""
        self._session.execute(_REFUSE, (reason, _TIMESTAMP, _SHARED_TIMESTAMP))

    def add_pdf(self, notice_id: UUID, language: str, time_zone: str | None, entry_id: UUID) -> None:
        """Keep a PDF: what the entry commits to as ``pdf``."""
        self._session.execute(_INSERT_PDF, (notice_id.bytes, language, time_zone or "", entry_id.bytes))

    def pdf(self, notice_id: UUID, language: str, time_zone: str | None = None) -> bytes | None:
        """Return the kept PDF in a language and time zone."""
        row = self._session.one(_PDF, ("pdf", notice_id.bytes, language, time_zone or ""))
        return None if row is None else bytes(row[0])

    def _settle(self, notice_ids: Sequence[UUID], kind: str) -> None:
        """Mark evidence as obtained; raises StateConflictError if some is not missing, NotFoundError."""
        rows = [(notice_id.bytes, kind) for notice_id in notice_ids]
        if self._session.execute_many(_SETTLE, rows) != len(rows):
            sealed = self.seal_entry_ids(notice_ids)
            for notice_id in notice_ids:
                if notice_id not in sealed:
                    raise NotFoundError("sealed notice", notice_id)
            raise StateConflictError(f"a notice has its {kind} already")
