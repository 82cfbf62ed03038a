"""The sequencer: pending audit entries -> tree, nodes, signed checkpoint. The only writer of the tree.

Each round, numbered, is also the recovery after a crash: it starts from what is committed, whatever was going on.

1. Look at the log's keys, then read the head and the pending entries, oldest first, from one snapshot: no key signs a
   tree that lacks the entry which announces it.
2. Hash the leaves, compute the new complete nodes and the root, sign the checkpoint.
3. Commit indices, nodes and checkpoint in one unit of work that compares-and-swaps the head.
4. Write the checkpoint to the head file outside the database, then tell those who wait.

The head file guards against a database restored from an old backup: a tree that is smaller than, or not consistent
with, the head last published is never signed again. A head file restored together with the database is found out by the
heads that witnesses show: they are asked before the first head is built upon, and are measured by like the file. Where
none of them answers, every mailbox that holds a notice still shows it. A head is ours when any key that the log ever
had signed it; what is signed by no such key proves nothing and stops nothing.

Of several processes on one database the leader runs these rounds. The others follow: each compares every head that
the leader signed with the head published last in its own file, and publishes it there too, so that every process is
one more witness outside the database. A leader that dies is followed by another process, which starts from what is
committed.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from uuid import UUID

import structlog

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from notifications.audit.merkle import append_leaves, leaf_hash
from notifications.audit.note import VerifierKey
from notifications.errors import InvalidInputError, LogUnavailableError, NotFoundError, VerificationError
from service.audit_log.published_head import Head, UnknownKeyError, read_head, verified_head, write_head
from service.crypto.log_keys import LogKeys, LogSigners
from service.ports.log import LogStore, LogTransaction, PendingLeaf
from service.system.leadership import Leadership, SoleLeadership

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SequencerSettings:
    """How the sequencer batches and retries."""

    #: how long entries are collected after the first before they get one checkpoint together
    batch_seconds: float = 0.2
    #: entries under one new checkpoint at most
    batch_entries: int = 4096
    #: how often to look for entries that other processes committed
    poll_seconds: float = 1.0
    #: wait after a failure; doubles up to the last
    first_retry_seconds: float = 0.5
    last_retry_seconds: float = 5.0
    #: how long a follower sees an entry wait for its index before it says that nobody leads
    patience_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class _Growth:
    """What the next round commits."""

    size_before: int
    leaves: Sequence[PendingLeaf]
    nodes: Sequence[tuple[int, int, bytes]]
    head: Head


class Sequencer:
    """Implements ``notifications.ports.Log``; one grows the log at a time (a second one loses the compare-and-swap)."""

    def __init__(
        self,
        store: LogStore,
        *,
        keys: LogKeys,
        head_path: Path,
        settings: SequencerSettings | None = None,
        leadership: Leadership | None = None,
        elsewhere: Callable[[], Awaitable[Sequence[bytes]]] | None = None,
    ) -> None:
        """Without a leadership this process has the log to itself.

        ``elsewhere`` returns heads as witnesses show them, unverified, in bounded time; it raises nothing.
        """
        self._elsewhere = elsewhere
        self._store, self._keys, self._head_path = store, keys, head_path
        self._leadership: Leadership = leadership or SoleLeadership()
        #: the keys by which the head was compared; others make it be compared again
        self._known: tuple[VerifierKey, ...] = ()
        self._settings = settings or SequencerSettings()
        self._wake = asyncio.Event()
        #: one round at a time: two would lose to each other
        self._at_work = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[UUID, list[asyncio.Future[int]]] = {}
        #: sequenced here and not told yet, by the bytes of their ids: their checkpoint is not in the head file
        self._unpublished: dict[bytes, int] = {}
        #: the head in the database as far as this process knows; None until it was compared with the head file
        self._head: Head | None = None
        #: size of the head in the file
        self._published_size = 0
        #: why nothing is signed any more, for good; None while all is well
        self._refusal: str | None = None
        #: why the last round failed; None when it did not
        self._failure: str | None = None
        #: a follower's oldest entry without an index, and since when (of the event loop's clock) it has been that
        self._oldest_waiting: tuple[UUID, float] | None = None

    async def start(self) -> None:
        """Start sequencing in the background. A database that must not be signed shows in ``health``."""
        self._store.on_commit.append(self._wake_on_commit)
        self._leadership.on_change.append(self._look_anew)
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="sequencer")

    async def stop(self) -> None:
        """Stop; entries stay pending, those who wait get LogUnavailableError."""
        with contextlib.suppress(ValueError):
            self._store.on_commit.remove(self._wake_on_commit)
            self._leadership.on_change.remove(self._look_anew)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._turn_away("the sequencer has stopped")

    def health(self) -> str | None:
        """Return why the log does not move on, or None when it does."""
        return self._refusal or self._failure or self._nobody_leads()

    async def included(self, entry_id: UUID) -> int:
        """Return the entry's index once a published checkpoint covers it.

        Raises LogUnavailableError when the sequencer has stopped or refuses to sign, NotFoundError for an entry that
        does not exist. A failure that may pass is waited out.
        """
        if self._refusal is not None:
            raise LogUnavailableError(self._refusal)
        if self._task is None:
            raise LogUnavailableError("the sequencer is not running")
        # Wait first and look then: an entry sequenced in between is told by one or the other.
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(entry_id, []).append(future)
        try:
            entry, is_appended = await self._store.read(
                lambda tx: (tx.audit.get(entry_id), tx.audit.is_appended(entry_id))
            )
            if not is_appended:
                raise NotFoundError("audit entry", entry_id)
            if entry is not None and entry.index < self._published_size:
                return entry.index
            self._wake.set()
            return await future
        finally:
            self._forget(entry_id, future)

    async def sequence_pending(self) -> int:
        """Run rounds until nothing is pending; return how many entries got their index. A follower gives none.

        Raises LogUnavailableError for a database that must not be signed, and whatever a round fails with.
        """
        async with self._at_work:
            if self._refusal is not None:
                raise LogUnavailableError(self._refusal)
            total = 0
            while self._leadership.leads and (count := await self._grow()):
                total += count
            if not self._leadership.leads:
                await self._follow()
            await self._tell_those_sequenced_elsewhere()
            return total

    async def _run(self) -> None:
        retry_seconds = self._settings.first_retry_seconds
        while True:
            # Not wait_for: in Python 3.11 it may swallow the cancellation of a stop.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.poll_seconds):
                    await self._wake.wait()
            if self._wake.is_set() and self._leadership.leads and self._settings.batch_seconds > 0:
                await asyncio.sleep(self._settings.batch_seconds)
            self._wake.clear()
            try:
                await self.sequence_pending()
            except Exception as error:  # noqa: BLE001 - whatever failed, the next round starts from what is committed
                self._failure = f"the log does not move on: {error}"
                _log.error("log.stalled", reason=str(error), exc_info=error)
                if self._refusal is not None:
                    self._turn_away(self._refusal)
                    return
                await asyncio.sleep(retry_seconds)
                retry_seconds = min(2 * retry_seconds, self._settings.last_retry_seconds)
                self._wake.set()
            else:
                self._failure = None
                retry_seconds = self._settings.first_retry_seconds

    @property
    def refusal(self) -> str | None:
        """Why nothing is signed any more, for good; None while that may go on."""
        return self._refusal

    async def measure(self, note: bytes) -> None:
        """Refuse for good where a head that was seen elsewhere, and that this log signed, is none of the database's.

        Raises VerificationError for what no key of this log signed, LogUnavailableError where nothing is signed any
        more. The head is kept in the file, so that the refusal outlives this process.
        """
        known = self._keys.signers().known
        verify_checkpoint(note, *known)
        try:
            # After the head was seen: what the log published is in the database before.
            await self._store.read(lambda tx: verified_head(tx, note, known))
        except UnknownKeyError:
            raise
        except LogUnavailableError as error:
            # A file that cannot be written, or holds something else, is no reason to sign on.
            with contextlib.suppress(OSError, InvalidInputError):
                await asyncio.to_thread(write_head, self._head_path, note)
            try:
                self._refuse(f"a witness shows a head that this log signed: {error}")
            finally:
                self._turn_away(self._refusal or "")
                self._wake.set()

    async def _compare(self, known: tuple[VerifierKey, ...]) -> None:
        """Take the database's head; refuse for good one that is behind or inconsistent with the head published.

        Raises LogUnavailableError, not for good, for a follower that does not know the head's key: its files may lag.
        """
        if self._head is None and self._elsewhere is not None:
            for note in await self._elsewhere():
                with contextlib.suppress(VerificationError, UnknownKeyError):
                    await self.measure(note)
        published = await asyncio.to_thread(read_head, self._head_path)
        try:
            head = await self._store.read(lambda tx: verified_head(tx, published, known))
        except LogUnavailableError as error:
            if isinstance(error, UnknownKeyError) and not self._leadership.leads:
                raise
            self._refuse(str(error))
        self._refuse_what_went_back(head.size)
        if published is None and head.size:
            _log.warning("log_head.missing", path=str(self._head_path), size=head.size)
        self._published_size = head.size if published is not None and published == head.checkpoint else 0
        self._head, self._known = head, known

    def _refuse_what_went_back(self, size: int) -> None:
        if self._head is not None and size < self._head.size:
            self._refuse(f"the database went back from {self._head.size} entries to {size}")

    def _refuse(self, reason: str) -> NoReturn:
        self._refusal = f"refusing to sign: {reason}"
        _log.critical("log.refused", reason=reason)
        raise LogUnavailableError(self._refusal)

    async def _grow(self) -> int:
        """Run one round, steps 1 to 4; return how many entries got their index."""
        # 1. and 2.
        signers = self._keys.signers()
        if self._head is None or signers.known != self._known:
            await self._compare(signers.known)
        growth = await self._store.read(lambda tx: self._next_growth(tx, signers))
        self._refuse_what_went_back(growth.size_before)
        if self._head is None or growth.size_before != self._head.size:
            # Another process grew it: what it signed is compared before it is built upon.
            await self._compare(signers.known)
            growth = await self._store.read(lambda tx: self._next_growth(tx, signers))
        if growth.leaves:
            # 3.
            if not await self._store.write(lambda tx: self._commit(tx, growth)):
                return 0
            self._unpublished |= {leaf.id: index for index, leaf in enumerate(growth.leaves, growth.size_before)}
        self._head = growth.head
        # 4.
        await self._publish(growth.head)
        return len(growth.leaves)

    def _commit(self, tx: LogTransaction, growth: _Growth) -> bool:
        """Commit a growth; returns False, having done nothing, where this process ceased to lead meanwhile."""
        if not self._leadership.leads:
            return False
        tx.log.grow(growth.size_before, growth.leaves, growth.nodes, growth.head.checkpoint or b"")
        return True

    async def _follow(self) -> None:
        """Take the head that the leader signed: compared with what was published before, then published here too."""
        known = self._keys.signers().known
        size, pending = await self._store.read(lambda tx: (tx.log.size(), tx.audit.pending(1)))
        self._refuse_what_went_back(size)
        if self._head is None or size != self._head.size or known != self._known:
            await self._compare(known)
        if self._head is not None:
            await self._publish(self._head)
        oldest = pending[0].entry_id if pending else None
        if oldest is None:
            self._oldest_waiting = None
        elif self._oldest_waiting is None or self._oldest_waiting[0] != oldest:
            self._oldest_waiting = (oldest, asyncio.get_running_loop().time())

    def _nobody_leads(self) -> str | None:
        if self._oldest_waiting is None or self._leadership.leads:
            return None
        seconds = asyncio.get_running_loop().time() - self._oldest_waiting[1]
        if seconds < self._settings.patience_seconds:
            return None
        return f"no process sequences: an entry has waited for {seconds:.0f} s"

    def _next_growth(self, tx: LogTransaction, signers: LogSigners) -> _Growth:
        size, leaves = tx.log.size(), tx.audit.pending(self._settings.batch_entries)
        if not leaves or not self._leadership.leads:
            return _Growth(size, (), (), Head(size, tx.log.checkpoint()))
        grown = append_leaves(size, tx.log.node_hashes, [leaf_hash(pending.leaf) for pending in leaves])
        current, *also = signers.keys
        checkpoint = sign_checkpoint(current, Checkpoint(self._keys.origin, grown.size, grown.root), also=also)
        return _Growth(size, leaves, grown.nodes, Head(grown.size, checkpoint))

    async def _publish(self, head: Head) -> None:
        if head.checkpoint is not None and head.size > self._published_size:
            await asyncio.to_thread(write_head, self._head_path, head.checkpoint)
            self._published_size = head.size
            _log.debug("log.grown", size=head.size)
        for entry_id in list(self._waiting):
            if (index := self._unpublished.get(entry_id.bytes)) is not None:
                self._tell(entry_id, index)
        self._unpublished.clear()

    async def _tell_those_sequenced_elsewhere(self) -> None:
        """Tell those who wait for an entry that another process, or this one before a failure, sequenced."""
        if self._waiting:
            waiting = list(self._waiting)
            for entry in await self._store.read(lambda tx: [tx.audit.get(entry_id) for entry_id in waiting]):
                if entry is not None and entry.index < self._published_size:
                    self._tell(entry.entry_id, entry.index)

    def _tell(self, entry_id: UUID, index: int) -> None:
        for future in self._waiting.pop(entry_id, ()):
            if not future.done():
                future.set_result(index)

    def _turn_away(self, reason: str) -> None:
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(LogUnavailableError(reason))
        self._waiting.clear()

    def _forget(self, entry_id: UUID, future: asyncio.Future[int]) -> None:
        futures = self._waiting.get(entry_id)
        if futures is not None and future in futures:
            futures.remove(future)
            if not futures:
                del self._waiting[entry_id]

    def _wake_on_commit(self, changed: set[str]) -> None:
        if ("audit" if self._leadership.leads else "log") in changed:
            self._wake.set()

    def _look_anew(self) -> None:
        """Compare the head again before anything: who leads has changed."""
        self._known = ()
        self._wake.set()
