"""The keys and their states, for ``greffier keys list``, the API and auditors. They contain no private data."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from notifications.audit.note import VerifierKey, verifier_key
from notifications.errors import SealingUnavailableError
from service.crypto.demo_keys import KeyFiles
from service.crypto.key_files import PRIVATE_KEY_BLOCK, is_encrypted, load_chain, read_file
from service.crypto.log_keys import LogKeyRing
from service.crypto.master_key import master_fingerprint

CURRENT, OVERLAPPING, RETIRED = "current", "overlapping", "retired"


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key of the service."""

    #: ``signing``, ``log``, ``timestamp``, ``demo_ca`` or ``master``
    kind: str
    #: hex SHA-256 of the certificate or the public key; for a master key, of the key under a label
    fingerprint: str
    #: ``current``, ``overlapping`` (signs together with the current one) or ``retired`` (its signatures stay valid)
    state: str
    not_before: datetime | None = None
    #: when the certificate ends, or when a log key stops signing; None for no end
    not_after: datetime | None = None
    #: whether its private key is encrypted at rest; None if the private key is not here
    encrypted: bool | None = None
    #: C2SP verifier key of a log key
    verifier_key: str | None = None


def log_fingerprint(key: VerifierKey) -> str:
    """Return the fingerprint by which log entries name a log key: the hex SHA-256 of its public key."""
    return hashlib.sha256(key.public_key).hexdigest()


def certificate_state(
    kind: str, state: str, certificate: x509.Certificate, *, encrypted: bool | None = None
) -> KeyState:
    """Return the state of a key that has a certificate."""
    return KeyState(
        kind,
        certificate.fingerprint(hashes.SHA256()).hex(),
        state,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        encrypted,
    )


def signing_states(files: KeyFiles, chain_file: Path, key_file: Path) -> list[KeyState]:
    """Return the current signing certificate, then the earlier ones, newest first; unreadable ones are left out."""
    found = _certificate_states("signing", CURRENT, chain_file, key_file)
    retired = [
        state
        for path in sorted(files.retired.glob("signing-*.pem"))
        for state in _certificate_states("signing", RETIRED, path, None)
        if state.fingerprint not in {item.fingerprint for item in found}
    ]
    return found + sorted(retired, key=lambda state: (state.not_before is None, state.not_before), reverse=True)


def authority_states(files: KeyFiles, *, embedded_timestamps: bool) -> list[KeyState]:
    """Return the certificates of the embedded timestamp authority and of the demo CA, if they are in use."""
    found = []
    if embedded_timestamps:
        found += _certificate_states("timestamp", CURRENT, files.timestamp_chain, files.timestamp_key)
    if files.ca_key.exists():
        found += _certificate_states("demo_ca", CURRENT, files.trusted_ca, files.ca_key)
    return found


def log_states(ring: LogKeyRing, now: datetime, *, encrypted: bool) -> list[KeyState]:
    """Return the log's keys, the current one first, retired ones last and newest first."""
    found = []
    for number, key in enumerate(ring.keys):
        public = verifier_key(ring.origin, key.private)
        state = CURRENT if number == 0 else OVERLAPPING if key in ring.signing_at(now) else RETIRED
        found.append(KeyState("log", log_fingerprint(public), state, key.since, key.until, encrypted, public.text()))
    return found + [
        KeyState("log", log_fingerprint(public), RETIRED, verifier_key=public.text())
        for public in reversed(ring.retired)
    ]


def master_states(masters: Iterable[bytes]) -> list[KeyState]:
    """Return the states of the master keys, with their fingerprints."""
    return [
        KeyState("master", master_fingerprint(master), RETIRED if number else CURRENT)
        for number, master in enumerate(masters)
    ]


def _certificate_states(kind: str, state: str, chain_file: Path, key_file: Path | None) -> list[KeyState]:
    try:
        leaf = load_chain(chain_file)[0]
    except SealingUnavailableError:
        return []
    encrypted = _is_encrypted(chain_file, key_file) if key_file is not None else None
    return [certificate_state(kind, state, leaf, encrypted=encrypted)]


def _is_encrypted(chain_file: Path, key_file: Path) -> bool | None:
    for file in (chain_file, key_file):
        try:
            data = read_file(file, "key")
        except SealingUnavailableError:
            continue
        if PRIVATE_KEY_BLOCK.search(data):
            return is_encrypted(data)
    return None
