"""The keys of the log, in one PEM file: the current key, the overlapping keys, and the retired keys.

The file is replaced by one rename, so that a reader always sees one consistent state. Private keys are PEM blocks, the
current one first. Lines between the blocks (explanatory text, RFC 7468, 5.2) contain the other data::

    since 2026-11-23T10:00:00Z
    -----BEGIN ENCRYPTED PRIVATE KEY----- …
    since 2025-01-07T08:00:00Z
    until 2026-12-23T10:00:00Z
    -----BEGIN ENCRYPTED PRIVATE KEY----- …
    retired provider.example/greffier+1a2b3c4d+AQ…

Any other line is a comment. A file with only one key is the file of a log that never changed its key.
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.note import VerifierKey, parse_verifier_key, verifier_key
from notifications.canonical_json import parse_timestamp, timestamp_text
from notifications.errors import InvalidInputError, SealingUnavailableError
from notifications.ports import Clock
from service.crypto.key_files import (
    PRIVATE_KEY_BLOCK,
    Passphrases,
    ed25519_key,
    parse_private_key,
    private_pem,
    read_file,
    stamp_of,
)

_STATEMENT = re.compile(rb"^(since|until|retired) (\S+)\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LogKey:
    """A private key of the log, and the period in which it signs."""

    private: Ed25519PrivateKey
    #: None if it is not known
    since: datetime | None = None
    #: None for the current one
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogSigners:
    """The keys that sign a checkpoint now, and all keys that may have signed earlier ones."""

    #: the current key first
    keys: tuple[Ed25519PrivateKey, ...]
    #: every key that the log ever had according to its file, oldest first
    known: tuple[VerifierKey, ...]


class LogKeys(Protocol):
    """The source of the log's keys for the sequencer."""

    @property
    def origin(self) -> str:
        """The log's name."""
        ...

    def signers(self) -> LogSigners:
        """Return the keys that sign now; raises SealingUnavailableError if there is no usable key."""
        ...


@dataclass(frozen=True, slots=True)
class LogKeyRing:
    """The log's keys in its file."""

    origin: str
    #: the current key first, then those it replaced, newest first
    keys: tuple[LogKey, ...]
    #: keys that no longer sign, oldest first
    retired: tuple[VerifierKey, ...] = ()

    @property
    def current(self) -> LogKey:
        """The current key; it signs until it is replaced."""
        return self.keys[0]

    @property
    def known(self) -> tuple[VerifierKey, ...]:
        """Every key, oldest first."""
        return (*self.retired, *(verifier_key(self.origin, key.private) for key in reversed(self.keys)))

    def signing_at(self, now: datetime) -> tuple[LogKey, ...]:
        """Return the keys that sign at ``now``, the current one first."""
        return tuple(key for key in self.keys if key.until is None or now < key.until)

    def rotated(self, new: Ed25519PrivateKey, now: datetime, until: datetime) -> "LogKeyRing":
        """Return the ring with a new current key; the previous key also signs until ``until``.

        Keys whose period is over are retired, without their private part.
        """
        kept = self.retired_at(now)
        replaced = replace(kept.current, until=until)
        return replace(kept, keys=(LogKey(new, now), replaced, *kept.keys[1:])).retired_at(now)

    def retired_at(self, now: datetime) -> "LogKeyRing":
        """Return the ring without the private part of keys whose period is over."""
        signing = self.signing_at(now)
        ended = [verifier_key(self.origin, key.private) for key in reversed(self.keys) if key not in signing]
        return replace(self, keys=signing, retired=(*self.retired, *ended))


def parse_log_keys(data: bytes, origin: str, passphrases: Passphrases, path: Path) -> LogKeyRing:
    """Return the keys in a file's contents; raises SealingUnavailableError naming the file."""
    keys: list[LogKey] = []
    retired: list[VerifierKey] = []
    at = 0
    try:
        for block in PRIVATE_KEY_BLOCK.finditer(data):
            stated = _stated(data[at : block.start()], retired)
            private = ed25519_key(parse_private_key(block[0], passphrases, path), path)
            keys.append(LogKey(private, stated.get("since"), stated.get("until")))
            at = block.end()
        _stated(data[at:], retired)
    except InvalidInputError as error:
        raise SealingUnavailableError(f"key {path} says something unreadable of its keys: {error}") from None
    if not keys:
        # This raises the error with the precise reason.
        ed25519_key(parse_private_key(data, passphrases, path), path)
    if keys[0].until is not None or any(key.until is None for key in keys[1:]):
        raise SealingUnavailableError(f"key {path} must hold the current key first, the others with an end")
    if any(key.name != origin for key in retired):
        raise SealingUnavailableError(f"key {path} holds a key of another log than {origin}")
    return LogKeyRing(origin, tuple(keys), tuple(retired))


def _stated(text: bytes, retired: list[VerifierKey]) -> dict[str, datetime]:
    moments = {}
    for match in _STATEMENT.finditer(text):
        word, value = match[1].decode(), match[2].decode("utf-8", "replace")
        if word == "retired":
            retired.append(parse_verifier_key(value))
        else:
            moments[word] = parse_timestamp(value)
    return moments


def format_log_keys(ring: LogKeyRing, passphrase: bytes | None) -> bytes:
    """Return the file contents of a ring; private keys are encrypted if there is a passphrase."""
    parts = [b"".join(f"retired {key.text()}\n".encode() for key in ring.retired)]
    for key in ring.keys:
        for word, moment in (("since", key.since), ("until", key.until)):
            if moment is not None:
                parts.append(f"{word} {timestamp_text(moment)}\n".encode())
        parts.append(private_pem(key.private, passphrase))
    return b"".join(parts)


class LogKeyFile:
    """Implements ``LogKeys`` on the file, and reads it again when it changes: a new key signs without a restart.

    Several threads can use it.
    """

    def __init__(self, path: Path, origin: str, passphrases: Passphrases, clock: Clock) -> None:
        self._path, self._origin, self._passphrases, self._clock = path, origin, passphrases, clock
        self._reading = threading.Lock()
        self._ring: LogKeyRing | None = None
        self._stamp: tuple[int, ...] | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._origin

    def ring(self) -> LogKeyRing:
        """Return the log's keys; raises SealingUnavailableError."""
        with self._reading:
            # The stamp is taken before the read, so a file that is replaced during the read is read again next time.
            stamp = stamp_of(self._path)
            if self._ring is None or stamp != self._stamp:
                self._ring = None
                data = read_file(self._path, "key")
                self._ring = parse_log_keys(data, self._origin, self._passphrases, self._path)
                self._stamp = stamp
            return self._ring

    def signers(self) -> LogSigners:
        """Return the keys that sign now; raises SealingUnavailableError."""
        ring = self.ring()
        return LogSigners(tuple(key.private for key in ring.signing_at(self._clock.now())), ring.known)

    def verifier_keys_text(self) -> str:
        """Return the verifier keys, oldest first, one per line; raises SealingUnavailableError."""
        return verifier_lines(self.ring().known)


def verifier_lines(keys: Sequence[VerifierKey]) -> str:
    """Return verifier keys in the format of ``log.vkey``."""
    return "".join(key.text() + "\n" for key in keys)
