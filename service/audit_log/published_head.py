"""The head file: the last published checkpoint, stored outside the database and compared with the database.

The log must not sign a database that was restored from an old backup. So the head file must not be restored with it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from notifications.audit.checkpoint import parse_checkpoint_note, verify_checkpoint
from notifications.audit.merkle import tree_root
from notifications.audit.note import VerifierKey
from notifications.errors import InvalidInputError, LogUnavailableError, VerificationError
from service.crypto.log_keys import LogKeys
from service.ports.log import LogStore, LogTransaction
from service.system.atomic_files import replace_file
from service.system.file_lock import file_lock

_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Head:
    """A signed state of the tree: size, root and checkpoint."""

    size: int
    #: the signed checkpoint; None for the tree without leaves
    checkpoint: bytes | None


class UnknownKeyError(LogUnavailableError):
    """No key that this process knows signed a head."""


def read_head(path: Path) -> bytes | None:
    """Return the last published checkpoint, or None if there is none yet; raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def write_head(path: Path, checkpoint: bytes) -> None:
    """Replace the file; on return the new checkpoint is on disk. After a crash the file has the old or the new one.

    A lock makes processes that share the file write one after the other. An earlier head never replaces a later one.
    Raises OSError, and InvalidInputError if the file does not contain a checkpoint.
    """
    with file_lock(path.with_name(path.name + ".lock")):
        before = read_head(path)
        if before is not None and parse_checkpoint_note(before).size >= parse_checkpoint_note(checkpoint).size:
            return
        replace_file(path, checkpoint, _MODE)


async def verify_head(store: LogStore, head_path: Path, keys: LogKeys) -> None:
    """Raise LogUnavailableError if the log would refuse to sign; called before the log's keys are changed."""
    # The file is read first, because a checkpoint is written to the database before the file.
    published = await asyncio.to_thread(read_head, head_path)
    known = keys.signers().known
    await store.read(lambda tx: verified_head(tx, published, known))


def verified_head(tx: LogTransaction, published: bytes | None, known: Sequence[VerifierKey]) -> Head:
    """Return the database's head; raises LogUnavailableError if the log must not be extended from it.

    1. A key of this log signed the latest checkpoint; it covers every sequenced entry, and the tree has its root.
    2. A key of this log signed the last published head; it is not larger than the tree, and the tree extends it.
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
