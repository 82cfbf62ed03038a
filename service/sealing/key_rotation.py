"""Replace signing and log keys: announced in the log first, then put in place by one rename.

The new file waits beside the old one under the name ``<file>.next`` and names the log entry that announces it. Whether
it takes effect is decided by that entry alone::

    crash before the entry is committed     the waiting file announces nothing: it is thrown away
    crash after it                          the waiting file is put in place by whoever looks next

So the step that ends a rotation and the one that mends it after a crash are the same (``settle``), and no key signs
before the log says so. What a rotation leaves of the old key stands in ``keys/retired`` and in the trust anchors before
the new file is in place.
"""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from notifications.audit.note import VerifierKey, parse_verifier_key
from notifications.cms import verify_chain, verify_detached
from notifications.errors import (
    Fault,
    InvalidInputError,
    SealingUnavailableError,
    StateConflictError,
    VerificationError,
)
from notifications.ports import Clock
from notifications.use_cases.record_keys import KeyChange
from service.sealing.cms_signer import CmsSigner
from service.sealing.demo_keys import KeyFiles, issue_signing_pem
from service.sealing.file_replacing import give_to_owner, move_file, replace_file
from service.sealing.key_files import (
    load_chain,
    load_private_key,
    parse_chain,
    parse_private_key,
    private_pem,
    read_file,
)
from service.sealing.key_states import (
    CURRENT,
    RETIRED,
    KeyState,
    certificate_state,
    log_fingerprint,
    log_states,
)
from service.sealing.log_keys import LogKeyFile, format_log_keys, parse_log_keys, verifier_lines
from service.settings import Settings

_NEXT = ".next"
#: A note is read with at least 16 signatures (c2sp.org/signed-note); most of them are left to witnesses.
_MAX_LOG_KEYS = 4
_ANNOUNCED = re.compile(rb"\Aannounced by log entry ([0-9a-f-]{36})\n")


@dataclass(frozen=True, slots=True)
class PreparedRotation:
    """A new key that nothing uses yet."""

    change: KeyChange
    #: the new key as it will stand, and the one before
    key: KeyState
    previous: KeyState | None
    target: Path
    #: the whole new file, private keys encrypted
    content: bytes


class KeyRotation:
    """Prepares, stages and settles rotations of the keys that the settings name."""

    def __init__(self, settings: Settings, passphrases: list[bytes], clock: Clock) -> None:
        self._settings, self._passphrases, self._clock = settings, passphrases, clock
        self.files = KeyFiles(settings.keys_dir, settings.trust_dir)
        self.signing_file = settings.signing_chain_file or self.files.signing_chain
        self.signing_key_file = settings.signing_key_file or self.files.signing_key
        self.log_file = settings.log_key_file or self.files.log_key

    def signer(self) -> CmsSigner:
        """Return a signer on the files as they are."""
        return CmsSigner(self.signing_key_file, self.signing_file, self._passphrases, self._clock)

    def log_keys(self) -> LogKeyFile:
        """Return the log's keys as they are."""
        return LogKeyFile(self.log_file, self._settings.log_origin, self._passphrases, self._clock)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off every other rotation on this folder; raises StateConflictError while one is under way."""
        data = self._settings.data
        descriptor = os.open(data / "rotation.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            give_to_owner(descriptor, data)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StateConflictError("another rotation of keys is under way; try again when it has ended") from None
            yield
        finally:
            os.close(descriptor)

    # -- prepare

    def prepare_log(self) -> PreparedRotation:
        """Return a new log key; the old one signs beside it until the overlap ends.

        Raises SealingUnavailableError without a usable key, StateConflictError where too many sign already.
        """
        now = self._clock.now()
        until = now + timedelta(days=self._settings.log_key_overlap_days)
        ring = self.log_keys().ring()
        signing = ring.signing_at(now)
        if len(signing) >= _MAX_LOG_KEYS:
            ends_at = min(key.until for key in signing if key.until is not None)
            raise StateConflictError(
                f"{len(signing)} keys sign the log already; the next of them ends at {ends_at:%Y-%m-%d %H:%M} UTC"
            )
        rotated = ring.rotated(Ed25519PrivateKey.generate(), now, until)
        content = format_log_keys(rotated, self._passphrases[0])
        states = {state.fingerprint: state for state in log_states(rotated, now, encrypted=True)}
        old, new = (log_fingerprint(each.known[-1]) for each in (ring, rotated))
        return PreparedRotation(KeyChange("log", old, new, until), states[new], states[old], self.log_file, content)

    def prepare_signing(self) -> PreparedRotation:
        """Return a new signing key with a certificate by the demo CA; raises StateConflictError where there is none."""
        if self._settings.signing_chain_file is not None or not self.files.ca_key.exists():
            raise StateConflictError(
                "the signing certificate comes from an authority that is not here: have it issue one, and install that"
                " with: greffier keys rotate signing --install FILE"
            )
        pem = issue_signing_pem(
            load_private_key(self.files.ca_key, self._passphrases),
            load_chain(self.files.trusted_ca)[0],
            address=self._sender(),
            provider_name=self._settings.provider_name,
            now=self._clock.now(),
            passphrase=self._passphrases[0],
        )
        return self._prepared_signing(pem)

    def prepare_installed(self, file: Path) -> PreparedRotation:
        """Return the key and chain of a PEM file that an authority issued, checked as the signer and readers would.

        1. The signer takes it: purpose, key and certificate belong together, the chain in order, valid now.
        2. It names the address that notices come from.
        3. It leads to a root that verifiers have, or that the file brings along.

        Raises InvalidInputError naming what does not hold. The private key is kept encrypted, whatever the file has.
        """
        # 1.
        signer = CmsSigner(file, file, self._passphrases, self._clock)
        try:
            signature = signer.sign_detached(b"probe")
            address, fingerprint = signer.address, signer.fingerprint
            data = read_file(file, "certificate")
            key, chain = parse_private_key(data, self._passphrases, file), parse_chain(data, file)
        except SealingUnavailableError as error:
            raise InvalidInputError(Fault("install", str(error))) from None
        if chain[0].fingerprint(hashes.SHA256()).hex() != fingerprint:
            raise InvalidInputError(Fault("install", f"{file} changed while it was read"))
        # 2.
        if address.casefold() != self._sender().casefold():
            raise InvalidInputError(Fault("install", f"names {address}, and notices come from {self._sender()}"))
        # 3.
        try:
            signed = verify_detached(b"probe", signature, "install")
            verify_chain(signed, [*self._trusted_roots(), *_roots(chain)], self._clock.now(), "install")
        except VerificationError as error:
            reason = f"leads to no root in {self.files.trusted_ca}: put the root into the file too ({error.reason})"
            raise InvalidInputError(Fault("install", reason)) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise InvalidInputError(Fault("install", "holds a key of another kind than ECDSA or RSA"))
        certificates = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)
        return self._prepared_signing(private_pem(key, self._passphrases[0]) + certificates)

    def _prepared_signing(self, content: bytes) -> PreparedRotation:
        new = certificate_state("signing", CURRENT, parse_chain(content, self.signing_file)[0], encrypted=True)
        leaf = self._signing_leaf()
        old = None if leaf is None else certificate_state("signing", RETIRED, leaf)
        if old is not None and old.fingerprint == new.fingerprint:
            raise InvalidInputError(Fault("install", "is the certificate that is in use already"))
        change = KeyChange("signing", old.fingerprint if old else None, new.fingerprint, old.not_after if old else None)
        return PreparedRotation(change, new, old, self.signing_file, content)

    def _sender(self) -> str:
        if self._settings.mail_from is not None:
            return self._settings.mail_from
        try:
            return self.signer().address
        except SealingUnavailableError:
            return self._settings.contact_email

    def _signing_leaf(self) -> x509.Certificate | None:
        try:
            return load_chain(self.signing_file)[0]
        except SealingUnavailableError:
            return None

    def _trusted_roots(self) -> list[x509.Certificate]:
        return load_chain(self.files.trusted_ca) if self.files.trusted_ca.exists() else []

    # -- stage and settle

    def stage(self, prepared: PreparedRotation, entry_id: UUID) -> None:
        """Put the new file beside the old one; called in the transaction that appends the announcing entry."""
        announced = f"announced by log entry {entry_id}\n".encode()
        replace_file(_beside(prepared.target), announced + prepared.content, 0o600)

    def staged(self) -> list[tuple[Path, UUID | None]]:
        """Return the files that wait, and the entries that announce them."""
        found: list[tuple[Path, UUID | None]] = []
        for target in (self.signing_file, self.log_file):
            waiting = _beside(target)
            if waiting.exists():
                match = _ANNOUNCED.match(read_file(waiting, "key"))
                found.append((target, UUID(match[1].decode()) if match else None))
        return found

    def settle(self, is_appended: Callable[[UUID], bool]) -> list[tuple[str, str]]:
        """Put in place what is announced, throw away what is not; returns (use, fingerprint) of what is in place now.

        1. The old certificate goes to ``keys/retired``.
        2. Verifiers get what they need of the new key: it is in ``trust`` before it signs.
        3. The new file takes the old one's place.
        4. A signing key that stood in a file of its own is removed: its successor stands with its chain.
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
        old = self._signing_leaf()
        if old is not None:
            self.files.retired.mkdir(mode=0o700, parents=True, exist_ok=True)
            name = f"signing-{old.fingerprint(hashes.SHA256()).hex()[:16]}.pem"
            pem = b"".join(item.public_bytes(Encoding.PEM) for item in load_chain(self.signing_file))
            replace_file(self.files.retired / name, pem, 0o600)
        # 2.
        trusted = self._trusted_roots()
        added = [root for root in _roots(chain) if root not in trusted]
        if added:
            self.files.trust.mkdir(mode=0o755, parents=True, exist_ok=True)
            pem = b"".join(item.public_bytes(Encoding.PEM) for item in (*trusted, *added))
            replace_file(self.files.trusted_ca, pem, 0o644)
        # 3.
        move_file(_beside(self.signing_file), self.signing_file)
        # 4.
        if self._settings.signing_key_file is None:
            self.files.separate_signing_key.unlink(missing_ok=True)
        return "signing", chain[0].fingerprint(hashes.SHA256()).hex()

    def _install_log(self) -> tuple[str, str]:
        waiting = _beside(self.log_file)
        data = read_file(waiting, "key")
        ring = parse_log_keys(data, self._settings.log_origin, self._passphrases, waiting)
        # 2.
        self.write_trusted_log_keys(ring.known)
        # 3.
        move_file(waiting, self.log_file)
        return "log", log_fingerprint(ring.known[-1])

    def write_trusted_log_keys(self, known: tuple[VerifierKey, ...]) -> None:
        """Add the keys that ``trust/log.vkey`` lacks, at its end: it is oldest first."""
        file = self.files.trusted_log
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        read = [parse_verifier_key(line) for line in lines if line.strip()]
        # A key that some other log left here: verifiers want the keys of one.
        there = tuple(key for key in read if key.name == self._settings.log_origin)
        missing = tuple(key for key in known if key not in there)
        if missing:
            file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            replace_file(file, verifier_lines((*there, *missing)).encode(), 0o644)

    def erase_ended_log_keys(self) -> None:
        """Erase the private part of log keys whose time is over; the log has announced when that would be."""
        now, ring = self._clock.now(), self.log_keys().ring()
        if ring.signing_at(now) != ring.keys:
            replace_file(self.log_file, format_log_keys(ring.retired_at(now), self._passphrases[0]), 0o600)


def _beside(target: Path) -> Path:
    return target.with_name(target.name + _NEXT)


def _roots(chain: list[x509.Certificate]) -> list[x509.Certificate]:
    return [certificate for certificate in chain if certificate.subject == certificate.issuer]
