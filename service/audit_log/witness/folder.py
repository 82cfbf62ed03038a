"""The folder of a witness: its key, the logs that it knows, and the last head of each that it cosigned.

::

    witness.key    the private key; its holder can cosign as this witness
    witness.vkey   the verifier key, for a log's settings and for verifiers
    logs.vkey      verifier keys of the logs that it knows, one a line; read again when it changes
    heads/<sha256 of the origin>   the checkpoint cosigned last, exactly as the log signed it

A witness whose ``heads`` were restored from a backup would cosign a fork. It must get a new name and a new key instead.
"""

import hashlib
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.checkpoint import Checkpoint, cosign_checkpoint, parse_checkpoint_note, verify_checkpoint
from notifications.audit.cosignature import parse_add_checkpoint, verified_answer, verify_extension, verify_known_log
from notifications.audit.note import COSIGNATURE_V1, VerifierKey, parse_verifier_key, verifier_key
from notifications.errors import Fault, InvalidInputError, LogUnavailableError, VerificationError
from service.crypto.key_files import load_log_key, private_pem
from service.system.atomic_files import replace_file, write_new

_KEY, _NAME, _LOGS, _HEADS = "witness.key", "witness.vkey", "logs.vkey", "heads"


def prepare_witness(folder: Path, name: str, logs: Sequence[VerifierKey]) -> VerifierKey:
    """Make the key of a new witness; raises InvalidInputError if the folder already contains a witness."""
    if any((folder / made).exists() for made in (_KEY, _NAME, _HEADS)):
        raise InvalidInputError(Fault("data", f"{folder} is a witness's already"))
    private = Ed25519PrivateKey.generate()
    key = verifier_key(name, private, COSIGNATURE_V1)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _HEADS).mkdir(mode=0o700)
    write_new(folder / _LOGS, "".join(f"{log.text()}\n" for log in logs).encode(), 0o644)
    write_new(folder / _NAME, f"{key.text()}\n".encode(), 0o644)
    # The key last: a folder without it was not finished.
    write_new(folder / _KEY, private_pem(private, None), 0o600)
    return key


class WitnessFolder:
    """A witness and its folder. One process can use the folder at a time; several threads can use the object."""

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        """Raises InvalidInputError or SealingUnavailableError if the folder is not a valid witness folder."""
        self._heads, self._logs, self._now = folder / _HEADS, folder / _LOGS, now
        if not self._heads.is_dir():
            raise InvalidInputError(Fault("data", f"{folder} is no witness's: run greffier witness init"))
        self._private = load_log_key(folder / _KEY, None)
        self.key = parse_verifier_key((folder / _NAME).read_text(encoding="utf-8"))
        if verifier_key(self.key.name, self._private, COSIGNATURE_V1) != self.key:
            raise InvalidInputError(Fault("data", f"{folder / _NAME} is not of the key beside it"))
        self._at_work = threading.Lock()

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
        """Return the cosignature line for a request; the new head is on disk on return.

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
            cosigned = cosign_checkpoint(request.note, self.key.name, self._private, self._now())
            line = cosigned[len(request.note) :]
            verified_answer(request.note, line, self.key)
            replace_file(self._path(checkpoint.origin), request.note, 0o600)
        return line

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
