"""Prove that an audit entry is in the log: ``c2sp.org/tlog-proof@v1`` under the latest checkpoint."""

from collections.abc import Mapping
from uuid import UUID

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.audit.merkle import inclusion_proof
from notifications.audit.proof import format_proof
from notifications.errors import LogUnavailableError, NotFoundError
from notifications.ports import SequencedEntry, Transaction


def entry_proof(tx: Transaction, entry: SequencedEntry, extra: bytes | None = None) -> bytes:
    """Return the proof of a sequenced entry; raises LogUnavailableError if the latest checkpoint does not cover it."""
    note = tx.log.checkpoint()
    if note is None:
        raise LogUnavailableError("the log has no checkpoint yet")
    size = parse_checkpoint_note(note).size
    if entry.index >= size:
        raise LogUnavailableError("the latest checkpoint does not cover the entry yet")
    hashes = inclusion_proof(entry.index, size, tx.log.node_hashes)
    return format_proof(entry.index, hashes, note, extra)


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
