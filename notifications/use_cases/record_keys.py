"""Record which keys are in use: an auditor reads in the log since when which key signed."""

from collections.abc import Mapping

from notifications.ports import Page, Transaction
from notifications.use_cases.act import Act


def record_keys(tx: Transaction, act: Act, fingerprints: Mapping[str, str]) -> list[str]:
    """Record each key that the log has not seen in its use yet; returns the uses recorded now.

    ``fingerprints`` maps a use (``signing``, ``log``, ``timestamp``) to the hex SHA-256 of the public certificate or
    key. A key that is used again after another one was is not recorded again.
    """
    recorded = []
    for use, fingerprint in sorted(fingerprints.items()):
        known, _ = tx.log_entries_about("key", fingerprint, Page(1))
        if not known:
            recorded.append(use)
            tx.append_audit([
                act.entry("key.activated", subjects={"key": fingerprint}, detail={"use": use}),
            ])  # fmt: skip
    return recorded
