"""A backup of the embedded database. It can be made while the service runs, and is verified before it counts.

A backup contains one committed state of the database. It does not contain keys, master key, settings and the log's head
file. Keys must not be stored with the database. The head file must not be restored with the database, because the
service recognises by it that its database is an older one.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from notifications.audit.merkle import append_leaves, complete_subtrees, leaf_hash
from notifications.audit.note import VerifierKey
from notifications.canonical_json import timestamp_text
from notifications.errors import Fault, GreffierError, InvalidInputError, LogUnavailableError
from service.audit_log.published_head import Head, verified_head
from service.audit_log.publishing import read_verifier_keys
from service.settings import SETTINGS_FILE, Settings
from service.store import SqlTransaction, open_store
from service.system.atomic_files import sync, write_new

DATABASE, MANIFEST = "greffier.sqlite3", "backup.json"
_BUSY_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20
_ENTRIES_AT_ONCE = 1000


class BackupFaultError(GreffierError):
    """A backup is damaged or incomplete and must not be used."""


@dataclass(frozen=True, slots=True)
class Backup:
    """The description of a backup, stored beside it."""

    made_at: str
    version: str
    #: hex SHA-256 of the database file
    sha256: str
    size_bytes: int
    #: number of entries under the last checkpoint, and the checkpoint itself; None for a log without entries
    log_entries: int
    checkpoint: str | None
    #: paths of the files without which the database is useless; they must be stored in another place
    kept_apart: list[str]


async def make_backup(settings: Settings, folder: Path, *, now: datetime, version: str) -> Backup:
    """Write a verified backup into a new folder; raises InvalidInputError, BackupFaultError, OSError.

    1. Copy one snapshot of the database. Writers continue in the meantime.
    2. Verify the copy: its pages, its references, and that the log's key signed every entry of its log.
    3. Write the description last. A folder without it is not a backup.
    """
    if settings.database.url is not None:
        raise InvalidInputError(
            Fault("database.url", "PostgreSQL is backed up by its own tools: see docs/operations.md")
        )
    if not settings.database_file.exists():
        raise InvalidInputError(Fault("data", f"{settings.database_file} does not exist"))
    _make_empty(folder)
    # 1.
    copy = folder / DATABASE
    _copy(settings.database_file, copy)
    # 2.
    head = await _verified(copy, log_keys(settings))
    # 3.
    digest, size = _digest(copy)
    backup = Backup(
        made_at=timestamp_text(now),
        version=version,
        sha256=digest,
        size_bytes=size,
        log_entries=head.size,
        checkpoint=None if head.checkpoint is None else head.checkpoint.decode(),
        kept_apart=[str(path) for path in _kept_apart(settings) if path.exists()],
    )
    write_new(folder / MANIFEST, json.dumps(asdict(backup), indent=2, ensure_ascii=False).encode() + b"\n", 0o600)
    return backup


async def verify_backup(settings: Settings, folder: Path) -> Backup:
    """Verify an existing backup; raises InvalidInputError if there is none, BackupFaultError if it is damaged.

    The check reads a copy of the file, so that the file itself is not changed.
    """
    try:
        backup = Backup(**json.loads((folder / MANIFEST).read_bytes()))
    except OSError as error:
        raise InvalidInputError(Fault("backup", f"{folder / MANIFEST} cannot be read: {error.strerror}")) from None
    except (ValueError, TypeError) as error:
        raise InvalidInputError(Fault("backup", f"{folder} holds no backup: {error}")) from None
    copy = folder / DATABASE
    digest, _ = _digest(copy)
    if digest != backup.sha256:
        raise BackupFaultError(f"{copy} is not the file that was backed up")
    with _own_copy(copy) as looked_at:
        head = await _verified(looked_at, log_keys(settings))
    if head.size != backup.log_entries:
        raise BackupFaultError(f"{copy} holds {head.size} entries of the log, not {backup.log_entries}")
    return backup


def log_keys(settings: Settings) -> list[VerifierKey]:
    """Return the keys that the log is verified by: the file that customers have too."""
    return read_verifier_keys(settings.trust_dir)


def _make_empty(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidInputError(Fault("backup", f"{folder} is not empty: each backup has a folder of its own"))


def _copy(source: Path, target: Path) -> None:
    """Copy one snapshot of a database; the copy is on disk on return."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(source, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
        try:
            connection.execute("VACUUM INTO ?", (str(target),))
        except sqlite3.Error as error:
            target.unlink()
            raise BackupFaultError(f"{source} cannot be copied: {error}") from error
    sync(target)


@contextlib.contextmanager
def _own_copy(source: Path) -> Iterator[Path]:
    """Yield a temporary copy beside a database, for readers that must not change the original."""
    target = source.with_name(f"{source.name}.verifying")
    try:
        _copy(source, target)
        yield target
    finally:
        for left in source.parent.glob(f"{target.name}*"):
            left.unlink()


async def _verified(copy: Path, keys: Sequence[VerifierKey]) -> Head:
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        try:
            faults = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
            broken = connection.execute("PRAGMA foreign_key_check").fetchmany(5)
        except sqlite3.Error as error:
            raise BackupFaultError(f"{copy} cannot be read: {error}") from error
    if faults:
        raise BackupFaultError(f"{copy} is damaged: {'; '.join(faults)}")
    if broken:
        raise BackupFaultError(f"{copy} holds references to nothing: {broken}")
    store = open_store(copy, migrate=False, readers=1)
    try:
        head = await store.read(lambda tx: _verified_log(tx, keys))
    except LogUnavailableError as error:
        raise BackupFaultError(f"{copy} holds a log that does not verify: {error}") from error
    finally:
        await store.close()
    sync(copy)
    return head


def _verified_log(tx: SqlTransaction, keys: Sequence[VerifierKey]) -> Head:
    """Return the head of the log after verifying that its tree, and so its signed checkpoint, covers every entry."""
    head = verified_head(tx, None, keys)
    size, edge = 0, dict[tuple[int, int], bytes]()
    while size < head.size:
        entries = tx.audit.entries(size, min(_ENTRIES_AT_ONCE, head.size - size))
        known = edge
        growth = append_leaves(
            size,
            lambda wanted, known=known: [known[node] for node in wanted],  # type: ignore[misc]  # mypy knows no defaults of lambdas
            [leaf_hash(item.leaf) for item in entries],
        )
        made = {(level, index): node for level, index, node in growth.nodes}
        if not entries or tx.log.node_hashes(list(made)) != list(made.values()):
            raise BackupFaultError(f"its log does not verify: the entries from {size} on are not those of its tree")
        edge = {node: made[node] if node in made else known[node] for node in complete_subtrees(0, growth.size)}
        size = growth.size
    return head


def _kept_apart(settings: Settings) -> list[Path]:
    data = settings.data
    return [settings.master_file, settings.keys_dir, settings.trust_dir, data / SETTINGS_FILE, settings.token_file]


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise BackupFaultError(f"{path} cannot be read: {error.strerror}") from None
    return digest.hexdigest(), size
