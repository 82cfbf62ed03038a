"""The sequencer adds pending audit entries to the tree and signs checkpoints. It is the only writer of the tree.

A round has four steps. It starts only from committed state, so the same round is also the recovery after a crash.

1. Read the log's keys, then read the head and the pending entries, oldest first, from one snapshot. In this order no
   key signs a tree without the entry that announces the key.
2. Hash the leaves, compute the new complete nodes and the root, and sign the checkpoint.
3. Commit indices, nodes and checkpoint in one unit of work that replaces the head by compare-and-swap.
4. Write the checkpoint to the head file outside the database, then notify the waiting callers.

The head file protects against a database restored from an old backup. A tree that is smaller than the last published
head, or not consistent with it, is never signed again. If the head file was restored together with the database,
witnesses show this. They are asked for their heads before the first head is extended, and these heads are compared like
the file. If no witness answers, the notices in customers' mailboxes still show it. A head belongs to this log if any
key that the log ever had signed it. A head signed by another key proves nothing and stops nothing.

If several processes use one database, the leader runs these rounds. The others are followers. A follower compares every
head that the leader signed with the last published head in its own file, and writes the new head to that file. So every
process is another witness outside the database. If the leader dies, another process becomes the leader and starts from
the committed state.
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
from notifications.ports import SequencedEntry
from service.audit_log.published_head import Head, UnknownKeyError, read_head, verified_head, write_head
from service.crypto.log_keys import LogKeys, LogSigners
from service.ports.log import LogStore, LogTransaction, PendingLeaf
from service.system.leadership import Leadership, SoleLeadership

_log = structlog.get_logger(__name__)

#: For how long a stop waits for a round that is under way.
_LAST_ROUND_SECONDS = 5


@dataclass(frozen=True, slots=True)
class SequencerSettings:
    """The batching and the retries of the sequencer."""

    #: time after the first pending entry in which further entries are collected for the same checkpoint
    batch_seconds: float = 0.2
    #: greatest number of new entries under one checkpoint
    batch_entries: int = 4096
    #: interval at which entries of other processes are looked for
    poll_seconds: float = 1.0
    #: wait after the first failure; it doubles up to ``last_retry_seconds``
    first_retry_seconds: float = 0.5
    last_retry_seconds: float = 5.0
    #: time for which an entry may wait for its index before a follower reports that there is no leader
    patience_seconds: float = 15.0


@dataclass(frozen=True, slots=True)
class _Growth:
    """The changes that the next round commits."""

    size_before: int
    leaves: Sequence[PendingLeaf]
    nodes: Sequence[tuple[int, int, bytes]]
    head: Head


class Sequencer:
    """Implements ``notifications.ports.Log``. If two run at a time, one loses the compare-and-swap."""

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
        """Without a ``leadership`` this process is the only one that uses the log.

        ``elsewhere`` returns the heads that witnesses show, unverified, in bounded time; it raises nothing.
        """
        self._elsewhere = elsewhere
        self._store, self._keys, self._head_path = store, keys, head_path
        self._leadership: Leadership = leadership or SoleLeadership()
        #: the keys with which the head was verified; when the keys change, the head is compared again
        self._known: tuple[VerifierKey, ...] = ()
        self._settings = settings or SequencerSettings()
        self._wake = asyncio.Event()
        #: allows one round at a time; two concurrent rounds would conflict
        self._at_work = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[UUID, list[asyncio.Future[int]]] = {}
        #: id bytes to index of entries sequenced here whose checkpoint is not in the head file yet
        self._unpublished: dict[bytes, int] = {}
        #: the last known head of the database; None until it was compared with the head file
        self._head: Head | None = None
        #: size of the head in the head file
        self._published_size = 0
        #: why the sequencer refuses to sign for good; None if it does not refuse
        self._refusal: str | None = None
        #: why the last round failed; None if it succeeded
        self._failure: str | None = None
        #: on a follower: the oldest entry without an index, and since when it is the oldest (event loop time)
        self._oldest_waiting: tuple[UUID, float] | None = None

    async def start(self) -> None:
        """Start sequencing in the background. If the database must not be signed, ``health`` reports it."""
        self._store.on_commit.append(self._wake_on_commit)
        self._leadership.on_change.append(self._compare_again)
        self._wake.set()
        self._task = asyncio.create_task(self._run(), name="sequencer")

    async def stop(self) -> None:
        """Stop; entries stay pending, and waiting callers get LogUnavailableError.

        A round under way has some seconds to end, so that a head that is committed gets into the head file.
        """
        with contextlib.suppress(ValueError):
            self._store.on_commit.remove(self._wake_on_commit)
            self._leadership.on_change.remove(self._compare_again)
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_ROUND_SECONDS), self._at_work:
                    self._task.cancel()
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._fail_waiting("the sequencer has stopped")

    def health(self) -> str | None:
        """Return why the log does not grow, or None if it does."""
        return self._refusal or self._failure or self._missing_leader()

    async def included(self, entry_id: UUID) -> int:
        """Return the entry's index once a published checkpoint covers it.

        Raises LogUnavailableError if the sequencer has stopped or refuses to sign, NotFoundError if the entry does not
        exist. After a temporary failure it keeps waiting.
        """
        return (await self.all_included([entry_id]))[entry_id]

    async def all_included(self, entry_ids: Sequence[UUID]) -> dict[UUID, int]:
        """Return the indices of entries once a published checkpoint covers them all; raises as ``included`` does."""
        if self._refusal is not None:
            raise LogUnavailableError(self._refusal)
        if self._task is None:
            raise LogUnavailableError("the sequencer is not running")
        # Register the futures before the look-up, so that an entry sequenced in between is not missed.
        loop = asyncio.get_running_loop()
        futures: dict[UUID, asyncio.Future[int]] = {entry_id: loop.create_future() for entry_id in entry_ids}
        for entry_id, future in futures.items():
            self._waiting.setdefault(entry_id, []).append(future)
        try:
            entries, unknown = await self._store.read(lambda tx: _found(tx, entry_ids))
            if unknown is not None:
                raise NotFoundError("audit entry", unknown)
            for entry_id, entry in entries.items():
                if entry.index < self._published_size and not futures[entry_id].done():
                    futures[entry_id].set_result(entry.index)
            if not all(future.done() for future in futures.values()):
                self._wake.set()
            return dict(zip(futures, await asyncio.gather(*futures.values()), strict=True))
        finally:
            for entry_id, future in futures.items():
                self._forget(entry_id, future)

    async def sequence_pending(self) -> int:
        """Run rounds until nothing is pending; return how many entries got their index. On a follower it is always 0.

        Raises LogUnavailableError if the database must not be signed, and every error of a round.
        """
        async with self._at_work:
            if self._refusal is not None:
                raise LogUnavailableError(self._refusal)
            total = 0
            while self._leadership.leads and (count := await self._grow()):
                total += count
            if not self._leadership.leads:
                await self._follow()
            await self._notify_sequenced_elsewhere()
            return total

    async def _run(self) -> None:
        retry_seconds = self._settings.first_retry_seconds
        while True:
            # Not ``wait_for``: in Python 3.11 it may swallow the cancellation by ``stop``.
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
                    self._fail_waiting(self._refusal)
                    return
                await asyncio.sleep(retry_seconds)
                retry_seconds = min(2 * retry_seconds, self._settings.last_retry_seconds)
                self._wake.set()
            else:
                self._failure = None
                retry_seconds = self._settings.first_retry_seconds

    @property
    def refusal(self) -> str | None:
        """Why the sequencer refuses to sign for good; None if it does not refuse."""
        return self._refusal

    async def measure(self, note: bytes) -> None:
        """Refuse to sign for good if this log signed a head, seen elsewhere, that contradicts the database.
        Raises VerificationError if no key of this log signed the head, LogUnavailableError if signing is refused. The
        head is written to the head file, so that the refusal outlives this process.
        """
        known = self._keys.signers().known
        verify_checkpoint(note, *known)
        try:
            # The database is read after the head was seen, because the log publishes a head only after its commit.
            await self._store.read(lambda tx: verified_head(tx, note, known))
        except UnknownKeyError:
            raise
        except LogUnavailableError as error:
            # Even if the file cannot be written, or contains something else, this process refuses to sign.
            with contextlib.suppress(OSError, InvalidInputError):
                await asyncio.to_thread(write_head, self._head_path, note)
            try:
                self._refuse(f"a witness shows a head that this log signed: {error}")
            finally:
                self._fail_waiting(self._refusal or "")
                self._wake.set()

    async def _compare(self, known: tuple[VerifierKey, ...]) -> None:
        """Adopt the database's head; refuse for good if it is behind the published head or inconsistent with it.

        Raises LogUnavailableError without refusing for good if a follower does not know the head's key yet.
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
        self._refuse_smaller_log(head.size)
        if published is None and head.size:
            _log.warning("log_head.missing", path=str(self._head_path), size=head.size)
        self._published_size = head.size if published is not None and published == head.checkpoint else 0
        self._head, self._known = head, known

    def _refuse_smaller_log(self, size: int) -> None:
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
        self._refuse_smaller_log(growth.size_before)
        if self._head is None or growth.size_before != self._head.size:
            # Another process extended the tree. Its head is compared before it is extended further.
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
        """Commit a growth; returns False without any change if this process is no longer the leader."""
        if not self._leadership.leads:
            return False
        tx.log.grow(growth.size_before, growth.leaves, growth.nodes, growth.head.checkpoint or b"")
        return True

    async def _follow(self) -> None:
        """Adopt the leader's head: compare it with the last published head, then publish it here as well."""
        known = self._keys.signers().known
        size, pending = await self._store.read(lambda tx: (tx.log.size(), tx.audit.pending(1)))
        self._refuse_smaller_log(size)
        if self._head is None or size != self._head.size or known != self._known:
            await self._compare(known)
        if self._head is not None:
            await self._publish(self._head)
        oldest = pending[0].entry_id if pending else None
        if oldest is None:
            self._oldest_waiting = None
        elif self._oldest_waiting is None or self._oldest_waiting[0] != oldest:
            self._oldest_waiting = (oldest, asyncio.get_running_loop().time())

    def _missing_leader(self) -> str | None:
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
                self._notify(entry_id, index)
        self._unpublished.clear()

    async def _notify_sequenced_elsewhere(self) -> None:
        """Notify callers that wait for an entry sequenced by another process, or by this one before a failure."""
        if self._waiting:
            waiting = list(self._waiting)
            for entry in await self._store.read(lambda tx: [tx.audit.get(entry_id) for entry_id in waiting]):
                if entry is not None and entry.index < self._published_size:
                    self._notify(entry.entry_id, entry.index)

    def _notify(self, entry_id: UUID, index: int) -> None:
        for future in self._waiting.pop(entry_id, ()):
            if not future.done():
                future.set_result(index)

    def _fail_waiting(self, reason: str) -> None:
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

    def _compare_again(self) -> None:
        """Forget the compared head, because the leader has changed; the next round compares it again."""
        self._known = ()
        self._wake.set()


def _found(tx: LogTransaction, entry_ids: Sequence[UUID]) -> tuple[dict[UUID, SequencedEntry], UUID | None]:
    """Return those of these entries that are sequenced, and one that does not exist at all, if there is one."""
    entries = tx.audit.some(entry_ids)
    pending = (each for each in entry_ids if each not in entries)
    return entries, next((each for each in pending if not tx.audit.is_appended(each)), None)
