"""Record which keys are in use, so that an auditor sees when each key was activated and which key it replaced."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from notifications.audit.entry import AuditEntry, parse_leaf
from notifications.canonical_json import timestamp_text
from notifications.ports import Page, Transaction
from notifications.use_cases.audit_context import AuditContext

#: More than the entries about one key: there are only a few, also after many restarts.
_ENTRIES_OF_A_KEY = 200


@dataclass(frozen=True, slots=True)
class KeyChange:
    """The replacement of a key. A fingerprint is the SHA-256 (hex) of the public key or certificate."""

    #: ``signing``, ``log`` or ``master``
    use: str
    #: None if the replaced key could not be read
    old_fingerprint: str | None
    new_fingerprint: str
    #: until when the old key is accepted: the end of its use for signing, or of its certificate
    overlap_until: datetime | None


def rotation_entry(act: AuditContext, change: KeyChange) -> AuditEntry:
    """Return the entry ``key.rotated``. It must be in the log before the new key signs anything."""
    subjects = {"key": change.new_fingerprint}
    if change.old_fingerprint is not None:
        subjects["previous_key"] = change.old_fingerprint
    until = timestamp_text(change.overlap_until) if change.overlap_until is not None else None
    return act.entry("key.rotated", subjects=subjects, detail={"use": change.use, "overlap_until": until})


def record_keys(
    tx: Transaction, act: AuditContext, fingerprints: Mapping[str, str], *, appended: frozenset[str] = frozenset()
) -> list[str]:
    """Record each key that has no entry in the log yet; returns the uses that were recorded now.

    ``fingerprints`` maps a use (``signing``, ``log``, ``timestamp``, ``master``) to the SHA-256 (hex) of the public
    certificate or key. A key that was recorded before is not recorded again when it is used again. The keys in
    ``appended`` are not recorded either: their entries exist, but are not sequenced yet.
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
