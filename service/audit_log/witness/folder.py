"""The folder of a witness: its key, the logs that it knows, and the last head of each that it cosigned.

::

    witness.key    the private keys, Ed25519 before ML-DSA-44; their holder can cosign as this witness
    witness.vkey   the verifier keys in the same order, one a line, for a log's settings and for verifiers
    logs.vkey      verifier keys of the logs that it knows, one a line; read again when it changes
    heads/<sha256 of the origin>   the checkpoint cosigned last, exactly as the log signed it

A witness whose ``heads`` were restored from a backup would cosign a fork. It must get a new name and a new key instead.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from notifications.audit.checkpoint import (
    NAME_MAX_BYTES,
    Checkpoint,
    cosign_checkpoint,
    parse_checkpoint_note,
    verify_checkpoint,
)
from notifications.audit.cosignature import parse_add_checkpoint, verified_answer, verify_extension, verify_known_log
from notifications.audit.note import COSIGNATURE_V1, CosignerKey, VerifierKey, parse_verifier_key, verifier_key
from notifications.errors import Fault, InvalidInputError, LogUnavailableError, VerificationError
from service.crypto.key_files import load_cosigner_keys, private_pem
from service.system.atomic_files import replace_file, write_new

_KEY, _NAME, _LOGS, _HEADS = "witness.key", "witness.vkey", "logs.vkey", "heads"


class Algorithm(Enum):
    """The keys of a new witness."""

    ED25519 = "ed25519"
    #: recommended by C2SP for new deployments; verifiers that know only Ed25519 ignore its cosignatures
    MLDSA_44 = "mldsa44"
    #: one key of each; the witness answers with two lines
    BOTH = "both"


def prepare_witness(
    folder: Path, name: str, logs: Sequence[VerifierKey], algorithm: Algorithm = Algorithm.ED25519
) -> tuple[VerifierKey, ...]:
    """Make the keys of a new witness; raises InvalidInputError if the folder already contains a witness."""
    if any((folder / made).exists() for made in (_KEY, _NAME, _HEADS)):
        raise InvalidInputError(Fault("data", f"{folder} is a witness's already"))
    private: list[CosignerKey] = []
    if algorithm is not Algorithm.MLDSA_44:
        private.append(Ed25519PrivateKey.generate())
    if algorithm is not Algorithm.ED25519:
        if len(name.encode()) > NAME_MAX_BYTES:
            raise InvalidInputError(Fault("name", f"must have {NAME_MAX_BYTES} bytes at most for ML-DSA-44"))
        try:
            private.append(MLDSA44PrivateKey.generate())
        except UnsupportedAlgorithm:
            raise InvalidInputError(Fault("algorithm", "this build of cryptography has no ML-DSA-44")) from None
    keys = _verifier_keys(name, private)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _HEADS).mkdir(mode=0o700)
    write_new(folder / _LOGS, "".join(f"{log.text()}\n" for log in logs).encode(), 0o644)
    write_new(folder / _NAME, "".join(f"{key.text()}\n" for key in keys).encode(), 0o644)
    # The private keys last: a folder without them was not finished.
    write_new(folder / _KEY, b"".join(private_pem(key, None) for key in private), 0o600)
    return keys


def _verifier_keys(name: str, private: Sequence[CosignerKey]) -> tuple[VerifierKey, ...]:
    return tuple(verifier_key(name, key, COSIGNATURE_V1) for key in private)


class WitnessFolder:
    """A witness and its folder. One process can use the folder at a time; several threads can use the object."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        """Raises InvalidInputError or SealingUnavailableError if the folder is not a valid witness folder."""
        self._heads, self._logs, self._now = folder / _HEADS, folder / _LOGS, now
        if not self._heads.is_dir():
            raise InvalidInputError(Fault("data", f"{folder} is no witness folder: greffier witness init makes one"))
        self._private = load_cosigner_keys(folder / _KEY)
        lines = (folder / _NAME).read_text(encoding="utf-8").splitlines()
        #: one per private key, in the same order; all have the name of the witness
        self.keys = tuple(parse_verifier_key(line) for line in lines)
        if not self.keys or _verifier_keys(self.keys[0].name, self._private) != self.keys:
            raise InvalidInputError(Fault("data", f"{folder / _NAME} is not of the key beside it"))
        self._at_work = threading.Lock()

    @property
    def key(self) -> VerifierKey:
        """The first key of the witness; it has the name that the witness cosigns under."""
        return self.keys[0]

    def logs(self) -> list[VerifierKey]:
        """Return the keys of the logs that it knows; raises InvalidInputError."""
        lines = self._logs.read_text(encoding="utf-8").splitlines()
        return [parse_verifier_key(line) for line in lines if line.strip() and not line.startswith("#")]

    def latest(self, origin: str) -> bytes | None:
        """Return the checkpoint of a log that was cosigned last, as the log signed it; None if there is none."""
        try:
            return self._path(origin).read_bytes()
        except FileNotFoundError:
            return None

    def add_checkpoint(self, body: bytes) -> bytes:
        """Return the cosignature lines for a request, one per key; the new head is on disk on return.

        Raises InvalidInputError for a malformed request, RefusedError if it must not be cosigned, OSError.

        1. Check what needs no state: the form, the origin, the log's signature.
        2. Under a lock, compare with the head that was cosigned last, write the new head to disk, and cosign. A crash
           between the write and the response is harmless: the log asks again from that size.
        """
        # 1.
        request = parse_add_checkpoint(body)
        checkpoint = verify_known_log(request, self.logs())
        # 2.
        with self._at_work:
            verify_extension(request, checkpoint, self._latest(checkpoint.origin))
            cosigned, now = request.note, self._now()
            for private in self._private:
                cosigned = cosign_checkpoint(cosigned, self.key.name, private, now)
            lines = cosigned[len(request.note) :]
            verified_answer(request.note, lines, *self.keys)
            replace_file(self._path(checkpoint.origin), request.note, 0o600)
        return lines

    def _latest(self, origin: str) -> Checkpoint | None:
        """Return the head for step 2; with a damaged file, this witness stops cosigning that log."""
        note = self.latest(origin)
        if note is None:
            return None
        try:
            checkpoint = verify_checkpoint(note, *(key for key in self.logs() if key.name == origin))
        except VerificationError:
            # The key that signed it may no longer be in the list.
            try:
                checkpoint = parse_checkpoint_note(note)
            except InvalidInputError as error:
                raise LogUnavailableError(f"{self._path(origin)} is damaged: {error}") from None
        if checkpoint.origin != origin:
            raise LogUnavailableError(f"{self._path(origin)} is of another log")
        return checkpoint

    def _path(self, origin: str) -> Path:
        return self._heads / origin_digest(origin)


def origin_digest(origin: str) -> str:
    """Return the hex SHA-256 of a log's origin; file names and URLs use it."""
    return hashlib.sha256(origin.encode()).hexdigest()
