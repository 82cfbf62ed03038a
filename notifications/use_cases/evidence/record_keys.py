"""Record which keys are in use: an auditor reads in the log since when which key signed, and what it replaced."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from notifications.audit.entry import AuditEntry, parse_leaf
from notifications.canonical_json import timestamp_text
from notifications.ports import Page, Transaction
from notifications.use_cases.audit_context import AuditContext

#: Entries about one key: a handful, however often its service was started.
_ENTRIES_OF_A_KEY = 200


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key put in the place of another; keys are named by the hex SHA-256 of what of them is public."""

    #: ``signing``, ``log`` or ``master``
    use: str
    #: None where no key could be read that it replaces
    old_fingerprint: str | None
    new_fingerprint: str
    #: until when what the old one makes or made is taken: the end of its signing, or of its certificate
    overlap_until: datetime | None


def rotation_entry(act: AuditContext, change: KeyChange) -> AuditEntry:
    """Return the entry ``key.rotated``: the announcement, in the log before the new key signs anything."""
    subjects = {"key": change.new_fingerprint}
    if change.old_fingerprint is not None:
        subjects["previous_key"] = change.old_fingerprint
    until = timestamp_text(change.overlap_until) if change.overlap_until is not None else None
    return act.entry("key.rotated", subjects=subjects, detail={"use": change.use, "overlap_until": until})


def record_keys(
    tx: Transaction, act: AuditContext, fingerprints: Mapping[str, str], *, appended: frozenset[str] = frozenset()
) -> list[str]:
    """Record each key that the log has not seen in use yet; returns the uses recorded now.

    ``fingerprints`` maps a use (``signing``, ``log``, ``timestamp``, ``master``) to the hex SHA-256 of the public
    certificate or key. A key that is used again after another one was is not recorded again; nor is one of
    ``appended``, whose entry has no index yet.
    """
    recorded = []
    for use, fingerprint in sorted(fingerprints.items()):
        if fingerprint not in appended and not _is_recorded(tx, fingerprint):
            recorded.append(use)
            tx.audit.append([
                act.entry("key.activated", subjects={"key": fingerprint}, detail={"use": use}),
            ])  # fmt: skip
    return recorded


def _is_recorded(tx: Transaction, fingerprint: str) -> bool:
    known, _ = tx.audit.about("key", fingerprint, Page(_ENTRIES_OF_A_KEY))
    return any(parse_leaf(entry.leaf).type == "key.activated" for entry in known)
