"""Install new signing and log keys: first the log announces a key, then one rename installs it.

The new file waits beside the old one with the name ``<file>.next`` and names the log entry that announces it. Only that
entry decides whether the file is installed::

    crash before the entry is committed     no entry announces the waiting file: it is deleted
    crash after the commit                  the next process that calls ``settle`` installs the waiting file

So the last step of a rotation and the repair after a crash are the same (``settle``), and no key signs before the log
announces it. The old certificate is in ``keys/retired``, and the trust anchors have both keys, before the new file is
installed.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from notifications.audit.note import VerifierKey, parse_verifier_key
from notifications.errors import SealingUnavailableError, StateConflictError
from notifications.ports import Clock
from notifications.use_cases.evidence.record_keys import KeyChange
from service.crypto.cms_signer import CmsSigner
from service.crypto.demo_keys import KeyFiles
from service.crypto.key_files import load_chain, parse_chain, read_file
from service.crypto.key_states import KeyState, log_fingerprint
from service.crypto.log_keys import LogKeyFile, format_log_keys, parse_log_keys, verifier_lines
from service.settings import Settings
from service.system.atomic_files import move_file, replace_file
from service.system.file_lock import file_lock

_NEXT = ".next"
_ANNOUNCED = re.compile(rb"\Aannounced by log entry ([0-9a-f-]{36})\n")


@dataclass(frozen=True, slots=True)
class PreparedRotation:
    """A new key that is not in use yet."""

    change: KeyChange
    #: the new key in its future state, and the previous one
    key: KeyState
    previous: KeyState | None
    target: Path
    #: contents of the new file, with encrypted private keys
    content: bytes = field(repr=False)
    #: what the operator should know of the new key, a sentence
    advice: str | None = None


class KeyStaging:
    """Stages and settles new files for the keys that the settings name."""

    def __init__(self, settings: Settings, passphrases: list[bytes], clock: Clock) -> None:
        self._settings, self._passphrases, self._clock = settings, passphrases, clock
        self.files = KeyFiles(settings.keys_dir, settings.trust_dir)
        self.signing_file = settings.signing.chain_file or self.files.signing_chain
        self.signing_key_file = settings.signing.key_file or self.files.signing_key
        self.log_file = settings.log.key_file or self.files.log_key

    def signer(self) -> CmsSigner:
        """Return a signer with the current files."""
        return CmsSigner(self.signing_key_file, self.signing_file, self._passphrases, self._clock)

    def log_keys(self) -> LogKeyFile:
        """Return the log's keys as they are."""
        return LogKeyFile(self.log_file, self._settings.log.origin, self._passphrases, self._clock)

    def alone(self) -> AbstractContextManager[None]:
        """Hold off every other rotation on this folder; raises StateConflictError while one is under way."""
        taken = StateConflictError("another rotation of keys is under way; try again when it has ended")
        return file_lock(self._settings.data / "rotation.lock", taken)

    def signing_leaf(self) -> x509.Certificate | None:
        """Return the signing certificate in use, or None without a readable one."""
        try:
            return load_chain(self.signing_file)[0]
        except SealingUnavailableError:
            return None

    def trusted_roots(self) -> list[x509.Certificate]:
        """Return the roots that verifiers have; raises SealingUnavailableError."""
        return load_chain(self.files.trusted_ca) if self.files.trusted_ca.exists() else []

    # -- stage and settle

    def stage(self, prepared: PreparedRotation, entry_id: UUID) -> None:
        """Write the new file beside the old one; called in the transaction that appends the announcing entry."""
        announced = f"announced by log entry {entry_id}\n".encode()
        replace_file(_beside(prepared.target), announced + prepared.content, 0o600)

    def staged(self) -> list[tuple[Path, UUID | None]]:
        """Return the waiting files and the ids of the entries that announce them."""
        found: list[tuple[Path, UUID | None]] = []
        for target in (self.signing_file, self.log_file):
            waiting = _beside(target)
            if waiting.exists():
                match = _ANNOUNCED.match(read_file(waiting, "key"))
                found.append((target, UUID(match[1].decode()) if match else None))
        return found

    def settle(self, is_appended: Callable[[UUID], bool]) -> list[tuple[str, str]]:
        """Install the announced files and delete the others; return (use, fingerprint) of the installed keys.

        1. Move the old certificate to ``keys/retired``.
        2. Add the new key's trust anchors to ``trust``, before the key signs.
        3. Replace the old file by the new one.
        4. Remove the old signing key if it was in a separate file; the new one is in the file of its chain.
        """
        done = []
        for target, entry_id in self.staged():
            if entry_id is None or not is_appended(entry_id):
                _beside(target).unlink()
                continue
            done.append(self._install_log() if target == self.log_file else self._install_signing())
        return done

    def _install_signing(self) -> tuple[str, str]:
        data = read_file(_beside(self.signing_file), "key")
        chain = parse_chain(data, self.signing_file)
        # 1.
        old = self.signing_leaf()
        if old is not None:
            self.files.retired.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = f"signing-{old.fingerprint(hashes.SHA256()).hex()[:16]}.pem"
            pem = b"".join(item.public_bytes(Encoding.PEM) for item in load_chain(self.signing_file))
            replace_file(self.files.retired / name, pem, 0o600)
        # 2.
        trusted = self.trusted_roots()
        added = [root for root in roots_in(chain) if root not in trusted]
        if added:
            self.files.trust.mkdir(mode=0o755, parents=True, exist_ok=True)
            pem = b"".join(item.public_bytes(Encoding.PEM) for item in (*trusted, *added))
            replace_file(self.files.trusted_ca, pem, 0o644)
        # 3.
        move_file(_beside(self.signing_file), self.signing_file)
        # 4.
        if self._settings.signing.key_file is None:
            self.files.separate_signing_key.unlink(missing_ok=True)
        return "signing", chain[0].fingerprint(hashes.SHA256()).hex()

    def _install_log(self) -> tuple[str, str]:
        waiting = _beside(self.log_file)
        data = read_file(waiting, "key")
        ring = parse_log_keys(data, self._settings.log.origin, self._passphrases, waiting)
        # 2.
        self.write_trusted_log_keys(ring.known)
        # 3.
        move_file(waiting, self.log_file)
        return "log", log_fingerprint(ring.known[-1])

    def write_trusted_log_keys(self, known: tuple[VerifierKey, ...]) -> None:
        """Append the keys that are missing in ``trust/log.vkey``; its order is oldest first."""
        file = self.files.trusted_log
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        read = [parse_verifier_key(line) for line in lines if line.strip()]
        # A key that some other log left here: verifiers want the keys of one.
        there = tuple(key for key in read if key.name == self._settings.log.origin)
        missing = tuple(key for key in known if key not in there)
        if missing:
            file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            replace_file(file, verifier_lines((*there, *missing)).encode(), 0o644)

    def erase_ended_log_keys(self) -> None:
        """Erase the private part of log keys whose overlap has ended; the log announced that time."""
        now, ring = self._clock.now(), self.log_keys().ring()
        if ring.signing_at(now) != ring.keys:
            replace_file(self.log_file, format_log_keys(ring.retired_at(now), self._passphrases[0]), 0o600)


def _beside(target: Path) -> Path:
    return target.with_name(target.name + _NEXT)


def roots_in(chain: list[x509.Certificate]) -> list[x509.Certificate]:
    """Return the roots of a chain."""
    return [certificate for certificate in chain if certificate.subject == certificate.issuer]
