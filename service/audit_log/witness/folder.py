"""The folder of a witness: its key, the logs that it knows, and the last head of each that it cosigned.

::

    witness.key    the private key; its holder can cosign as this witness
    witness.vkey   the verifier key, for a log's settings and for verifiers
    logs.vkey      verifier keys of the logs that it knows, one a line; read again when it changes
    heads/<sha256 of the origin>   the checkpoint cosigned last, exactly as the log signed it

A witness whose ``heads`` were restored from a backup would cosign a fork. It must get a new name and a new key instead.
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.checkpoint import Checkpoint, cosign_checkpoint, parse_checkpoint_note, verify_checkpoint
from notifications.audit.cosignature import parse_add_checkpoint, verified_answer, verify_extension, verify_known_log
from notifications.audit.note import COSIGNATURE_V1, VerifierKey, parse_verifier_key, verifier_key
from notifications.errors import Fault, InvalidInputError, LogUnavailableError, VerificationError
from service.crypto.key_files import load_log_key, private_pem

_KEY, _NAME, _LOGS, _HEADS = "witness.key", "witness.vkey", "logs.vkey", "heads"


def prepare_witness(folder: Path, name: str, logs: Sequence[VerifierKey]) -> VerifierKey:
    """Make the key of a new witness; raises InvalidInputError if the folder already contains a witness."""
    if any((folder / made).exists() for made in (_KEY, _NAME, _HEADS)):
        raise InvalidInputError(Fault("data", f"{folder} is a witness's already"))
    private = Ed25519PrivateKey.generate()
    key = verifier_key(name, private, COSIGNATURE_V1)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _HEADS).mkdir(mode=0o700)
    _write(folder / _LOGS, "".join(f"{log.text()}\n" for log in logs).encode())
    _write(folder / _NAME, f"{key.text()}\n".encode())
    # The key is written last: a folder without it is incomplete.
    _write(folder / _KEY, private_pem(private, None), mode=0o600)
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
            self._replace(checkpoint.origin, request.note)
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

    def _replace(self, origin: str, note: bytes) -> None:
        path = self._path(origin)
        beside = path.with_name(path.name + ".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync(path.parent)


def origin_digest(origin: str) -> str:
    """Return the hex SHA-256 of a log's origin; file names and URLs use it."""
    return hashlib.sha256(origin.encode()).hexdigest()


@contextmanager
def witness_alone(folder: Path) -> Iterator[None]:
    """Lock a witness's folder for this process; raises InvalidInputError if another process has it."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInputError(Fault("data", f"{folder} is in use by another process")) from None
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
