"""``greffier succeed-log``: begin a new log that records the loss of an old one, which must not sign again.

The published head of the old log names entries that the restored database lacks. No command can restore them. The old
log must never sign again: with the newer head, there would be proof of two histories. Instead, a new log begins, with
another name and key and in its own folder. Its entry states permanently what was lost and why.
"""

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from notifications.audit.checkpoint import Checkpoint, parse_checkpoint_note, verify_checkpoint
from notifications.audit.note import VerifierKey
from notifications.errors import Fault, InvalidInputError, LogUnavailableError, VerificationError
from notifications.ports import Identifiers, Page
from notifications.use_cases.audit_context import AuditContext
from service.audit_log.backup import log_keys
from service.audit_log.published_head import Head, read_head, verified_head
from service.audit_log.witness.folder import origin_digest
from service.cli.options import FILE, FOLDER
from service.settings import Settings, load_settings
from service.store import SqlTransaction, open_store
from service.system.file_lock import sole_use
from service.system.logging import SystemIdentifiers

ENTRY_TYPE = "log.succeeded"
_PENDING_LOOKED_AT = 10_000


@click.command("succeed-log")
@click.option("--data", required=True, type=FOLDER, help="New data folder, with another log.origin.")
@click.option("--old", required=True, type=FOLDER, help="Data folder of the log that refuses to sign.")
@click.option("--reason", required=True, help="What happened, in one sentence. The log commits to it.")
@click.option(
    "--head",
    type=FILE,
    help="Published head of the old log, from a witness or a proof. Default: log-head in the old folder.",
)
def succeed_log_command(data: Path, old: Path, reason: str, head: Path | None) -> None:
    """Record in a new log that an old one was lost: its published head, its remaining head, the lost indices.

    It does not make the old log sign again and restores no entry. The old folder is not changed. Keep it with its trust
    folder, because old notices are verified with it. The new service must be stopped.
    """
    done = asyncio.run(
        recover_log(
            load_settings(data),
            load_settings(old),
            reason=reason,
            head_file=head,
            now=datetime.now(UTC),
            identifiers=SystemIdentifiers(),
        )
    )
    click.echo(f"{done.published.origin}: published {done.published.size} entries, the database holds {done.kept.size}")
    if not done.kept_is_whole:
        click.echo("the database does not agree with its own latest head: it was changed")
    if done.lost is None:
        click.echo("the database holds other entries than were published; a head does not show which")
    else:
        click.echo(f"lost for good: entries {done.lost[0]} to {done.lost[1]}")
    click.echo("recorded; the entry is in the new log from its next start on")


@dataclass(frozen=True, slots=True)
class LogRecovery:
    """The comparison of an old log's published head with its database."""

    #: the latest head in its database
    kept: Head
    #: whether the database agrees with itself: its latest head is signed, and the tree gives its root
    kept_is_whole: bool
    #: the published head, with which the database does not agree
    published: Checkpoint
    #: that head as signed
    note: bytes

    @property
    def lost(self) -> tuple[int, int] | None:
        """First and last index that the database lacks; None if it has enough entries but other ones."""
        return None if self.published.size <= self.kept.size else (self.kept.size, self.published.size - 1)


async def recover_log(
    new: Settings, old: Settings, *, reason: str, head_file: Path | None, now: datetime, identifiers: Identifiers
) -> LogRecovery:
    """Record in a new log what happened to the old one; raises InvalidInputError if a condition does not hold.

    1. The new log has another name and another key, so no signature of the old log counts for the new one.
    2. The published head is one of the old log, and its database does not agree with it. The head is in the old folder,
       or in a file from a witness or from a notice's proof. Nothing in the old folder is changed, and none of its keys
       is used.
    3. The new folder holds only the new log, and has no such entry yet.
    4. The entry holds both heads completely, and the lost indices. It is sequenced when the service starts.
    """
    if not reason.strip():
        raise InvalidInputError(Fault("reason", "must say why"))
    # 1.
    if new.log.origin == old.log.origin:
        raise InvalidInputError(Fault("log.origin", "the new log needs another name: the old one never signs again"))
    keys = log_keys(old)
    if {key.public_key for key in log_keys(new)} & {key.public_key for key in keys}:
        raise InvalidInputError(Fault("log_key", "the new log needs a key of its own: prepare its folder by init"))
    # 2.
    succession = await _disagreement(old, keys, _published(head_file or old.head_file))
    # 3. and 4.
    with sole_use(new.data):
        store = open_store(new.store_location(), migrate=new.database.url is None)
        try:
            act = AuditContext(f"operator:{os.getuid()}", now, identifiers)
            await store.write(lambda tx: _record(tx, act, new.log.origin, succession, reason.strip()))
        finally:
            await store.close()
    return succession


def _published(path: Path) -> bytes:
    try:
        note = read_head(path)
    except OSError as error:
        raise InvalidInputError(Fault("head", f"{path} cannot be read: {error.strerror}")) from None
    if note is None:
        raise InvalidInputError(Fault("head", f"{path} is not there"))
    return note


async def _disagreement(old: Settings, keys: list[VerifierKey], note: bytes) -> LogRecovery:
    """Return how the old database and a published head disagree; a service may be running on the database."""
    try:
        published = verify_checkpoint(note, *keys)
    except (InvalidInputError, VerificationError) as error:
        raise InvalidInputError(Fault("head", f"is no head of {old.log.origin}: {error}")) from None
    store = open_store(old.store_location(), migrate=False, readers=1)
    try:
        kept = await store.read(lambda tx: Head(tx.log.size(), tx.log.checkpoint()))
        try:
            await store.read(lambda tx: verified_head(tx, None, keys))
        except LogUnavailableError:
            return LogRecovery(kept, kept_is_whole=False, published=published, note=note)
        try:
            await store.read(lambda tx: verified_head(tx, note, keys))
        except LogUnavailableError:
            return LogRecovery(kept, kept_is_whole=True, published=published, note=note)
    finally:
        await store.close()
    raise InvalidInputError(Fault("head", "the database agrees with it: nothing is lost, the old log may go on"))


def _record(tx: SqlTransaction, act: AuditContext, origin: str, succession: LogRecovery, reason: str) -> None:
    head, digest = tx.log.checkpoint(), origin_digest(succession.published.origin)
    if head is not None and (held := parse_checkpoint_note(head).origin) != origin:
        raise InvalidInputError(Fault("data", f"its database holds the log {held}, not {origin}"))
    waiting = any(digest.encode() in pending.leaf for pending in tx.audit.pending(_PENDING_LOOKED_AT))
    if waiting or tx.audit.about("log", digest, Page(1))[0]:
        raise InvalidInputError(Fault("data", f"its log says already what became of {succession.published.origin}"))
    kept, lost = succession.kept, succession.lost
    entry = act.entry(
        ENTRY_TYPE,
        subjects={"log": digest},
        detail={
            "old_origin": succession.published.origin,
            "published_size": succession.published.size,
            "published_head": _lines(succession.note),
            "kept_size": kept.size,
            "kept_head": [] if kept.checkpoint is None else _lines(kept.checkpoint),
            "kept_is_whole": succession.kept_is_whole,
            "lost_from": None if lost is None else lost[0],
            "lost_to": None if lost is None else lost[1],
        },
        private={"reason": reason},
    )
    tx.audit.append([entry])


def _lines(note: bytes) -> list[str]:
    """Return a head's lines; joined by line feeds they are the exact note again, if the note is valid UTF-8."""
    return note.decode(errors="replace").split("\n")
