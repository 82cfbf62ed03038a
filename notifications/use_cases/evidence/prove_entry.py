"""Prove that an audit entry is in the log: ``c2sp.org/tlog-proof@v1`` under the latest checkpoint."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.audit.merkle import NodeReader, inclusion_proof
from notifications.audit.proof import format_notice_extra, format_proof
from notifications.errors import LogUnavailableError, NotFoundError, required
from notifications.ports import SequencedEntry, Transaction


def entry_proof(tx: Transaction, entry: SequencedEntry, extra: bytes | None = None) -> bytes:
    """Return the proof of a sequenced entry; raises LogUnavailableError if the latest checkpoint does not cover it."""
    note = _latest_checkpoint(tx)
    return _proof(note, parse_checkpoint_note(note).size, tx.log.node_hashes, entry, extra)


def notice_proofs(tx: Transaction, entry_ids: Sequence[UUID], under: bytes | None = None) -> dict[UUID, bytes]:
    """Return the proofs of the entries of seals, all under one checkpoint, with the salts that their verifiers need.

    ``under``: a signed checkpoint of this log; None for the latest. Raises NotFoundError while an entry is not in the
    tree, and LogUnavailableError as ``entry_proof`` does.
    """
    note = under or _latest_checkpoint(tx)
    size = parse_checkpoint_note(note).size
    entries, openings = tx.audit.some(entry_ids), tx.audit.openings_of(entry_ids)
    known: dict[tuple[int, int], bytes] = {}

    def read(wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        # Proofs of neighbours share nearly all their nodes.
        unknown = [node for node in wanted if node not in known]
        known.update(zip(unknown, tx.log.node_hashes(unknown), strict=True))
        return [known[node] for node in wanted]

    proofs = {}
    for entry_id in entry_ids:
        entry = required("audit entry", entry_id, entries.get(entry_id))
        extra = format_notice_extra(entry.leaf, salts(openings.get(entry_id, {})))
        proofs[entry_id] = _proof(note, size, read, entry, extra)
    return proofs


def _latest_checkpoint(tx: Transaction) -> bytes:
    note = tx.log.checkpoint()
    if note is None:
        raise LogUnavailableError("the log has no checkpoint yet")
    return note


def _proof(note: bytes, size: int, read: NodeReader, entry: SequencedEntry, extra: bytes | None) -> bytes:
    if entry.index >= size:
        raise LogUnavailableError("the latest checkpoint does not cover the entry yet")
    return format_proof(entry.index, inclusion_proof(entry.index, size, read), note, extra)


def sequenced_entry(tx: Transaction, entry_id: UUID) -> SequencedEntry:
    """Return an entry; raises NotFoundError while it is not in the tree."""
    entry = tx.audit.get(entry_id)
    if entry is None:
        raise NotFoundError("audit entry", entry_id)
    return entry


def entry_at(tx: Transaction, index: int) -> SequencedEntry:
    """Return the entry at an index; raises NotFoundError if the tree has no such entry."""
    entry = tx.audit.at(index) if index >= 0 else None
    if entry is None:
        raise NotFoundError("audit entry", index)
    return entry


def salts(openings: Mapping[str, tuple[bytes, bytes]]) -> dict[str, bytes]:
    """Return commitment name to salt."""
    return {name: salt for name, (salt, _) in openings.items()}
