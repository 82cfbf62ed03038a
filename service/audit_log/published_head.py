"""The head file: the checkpoint last published, kept outside the database, and what a database is measured by it.

A database restored from an old backup must not be signed again, so the file must not be restored with it.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from notifications.audit.checkpoint import parse_checkpoint_note, verify_checkpoint
from notifications.audit.merkle import tree_root
from notifications.audit.note import VerifierKey
from notifications.errors import InvalidInputError, LogUnavailableError, VerificationError
from service.crypto.log_keys import LogKeys
from service.ports.log import LogStore, LogTransaction

_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Head:
    """A signed state of the tree."""

    size: int
    #: the signed checkpoint; None for the tree without leaves
    checkpoint: bytes | None


class UnknownKeyError(LogUnavailableError):
    """A head is signed by no key that this process knows."""


def read_head(path: Path) -> bytes | None:
    """Return the checkpoint last published, or None where none was written yet; raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_head(path: Path, checkpoint: bytes) -> None:
    """Replace the file; on return the new checkpoint is on disk, a crash before leaves the old one.

    Processes that share the file write it one after the other, and none writes an earlier head over a later one. Raises
    OSError, and InvalidInputError where the file holds no checkpoint.
    """
    with _alone(path):
        before = read_head(path)
        if before is not None and parse_checkpoint_note(before).size >= parse_checkpoint_note(checkpoint).size:
            return
        beside = path.with_name(path.name + ".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(checkpoint)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


async def verify_head(store: LogStore, head_path: Path, keys: LogKeys) -> None:
    """Raise LogUnavailableError where the log would refuse to sign; whoever changes its keys asks before."""
    # The file first: a checkpoint is in the database before it is in the file.
    published = await asyncio.to_thread(read_head, head_path)
    known = keys.signers().known
    await store.read(lambda tx: verified_head(tx, published, known))


def verified_head(tx: LogTransaction, published: bytes | None, known: Sequence[VerifierKey]) -> Head:
    """Return the database's head; raises LogUnavailableError where it must not be built upon.

    1. The latest checkpoint is signed by a key of this log, covers all that is sequenced, and the tree gives its root.
    2. The head published last is signed by a key of this log, is not larger than the tree, and is what it was then.
    """
    head = Head(tx.log.size(), tx.log.checkpoint())
    if head.checkpoint is not None:
        _verify_root(tx, head.checkpoint, "the latest checkpoint in the database", known, head.size)
    if published is not None:
        _verify_root(tx, published, "the head published last", known, head.size)
    return head


def _verify_root(tx: LogTransaction, note: bytes, what: str, known: Sequence[VerifierKey], size: int) -> None:
    """Raise LogUnavailableError unless the tree of ``size`` leaves agrees with a checkpoint of this log."""
    try:
        checkpoint = verify_checkpoint(note, *known)
    except (InvalidInputError, VerificationError) as error:
        raise UnknownKeyError(f"{what} is no checkpoint of this log's key: {error}") from error
    if checkpoint.size > size:
        raise LogUnavailableError(
            f"{what} covers {checkpoint.size} entries, the database holds {size}: it was restored from an older backup"
        )
    if tree_root(checkpoint.size, tx.log.node_hashes) != checkpoint.root:
        raise LogUnavailableError(f"the database holds other entries than the {checkpoint.size} that {what} covers")
