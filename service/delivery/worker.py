"""The worker: seals what is released and delivers what is due, woken by commits and by the clock."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog

from notifications.delivery.delivery import ChannelKind, DeliveryState
from notifications.errors import LogUnavailableError, TimestampUnavailableError
from notifications.ports import DueDelivery, Transaction
from notifications.use_cases.notices.deliver_notice import (
    AttemptBegun,
    AttemptMade,
    DeliveryDependencies,
    begin_attempt,
    cut_short,
    send_attempt,
)
from notifications.use_cases.notices.pause_channel import paused_channels
from notifications.use_cases.notices.seal_notice import commit_seal, hold_notice, obtain_timestamp, prove_notice
from service.delivery.attempt_recorder import AttemptRecorder
from service.delivery.destinations import Destinations

_log = structlog.get_logger(__name__)

#: Attempts that are made and not recorded yet: with more of them nothing new is sent.
_RECORDING_AT_MOST = 512
#: How many sends the measure of their time goes back, about.
_REMEMBERED_SENDS = 16
#: Parts of a lease: a send begins within the first, and is given up after the second at most. The rest is for clocks
#: that differ and for recording: nobody else sends meanwhile.
_BEGUN_WITHIN, _SENT_WITHIN = 0.5, 0.4

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How the worker paces itself."""

    #: how long a delivery is ours before another worker may take it
    lease_seconds: float = 300
    #: notices taken at once; their proofs are waited for together
    sealing_batch: int = 512
    #: of them, composed and signed at once: the first are proven and sent while the last are composed
    sealing_at_once: int = 8
    #: deliveries taken and not sent yet: so many, or what goes out within ``ahead_seconds`` where that is more
    leased_ahead: int = 32
    #: and at most
    leased_ahead_most: int = 256
    #: more than that keeps a notice waiting that is due before those taken already
    ahead_seconds: float = 1
    #: sends under way at once by channel; for mail no more than it has connections, so that a send begins at once
    sends_at_once: Mapping[ChannelKind, int] = field(
        default_factory=lambda: {ChannelKind.EMAIL: 8, ChannelKind.WEBHOOK: 32, ChannelKind.CONSOLE: 32}
    )
    #: how often work is looked for when nothing wakes the worker
    poll_seconds: float = 5
    #: how long a stop waits for what is in flight; what is not done by then is handed back
    stop_seconds: float = 30


class Worker:
    """Two loops, sealing and delivering, each doing all there is before it waits again.

    Nothing lives in memory only: what a crash interrupts is found again in the store.
    """

    def __init__(
        self,
        delivering: DeliveryDependencies,
        settings: WorkerSettings | None = None,
        lanes: Destinations | None = None,
    ) -> None:
        self._delivering = delivering
        self._sealing = delivering.sealing
        self._settings = settings or WorkerSettings()
        self._wakes = {part: asyncio.Event() for part in ("sealing", "proving", "timestamping", "delivering")}
        self._failures: dict[str, str] = {}
        #: notices that are held, and the reason that was logged
        self._held: dict[UUID, str] = {}
        #: notices that are being sealed here, and therefore proven without help
        self._sealing_now: set[UUID] = set()
        self._places_to_seal = asyncio.Semaphore(self._settings.sealing_at_once)
        self._in_flight: dict[asyncio.Task[None], DueDelivery] = {}
        #: of them, those whose lease is given back: no longer ours
        self._given_back: set[UUID] = set()
        #: of them, those that wait for a place or are being sent, by channel; the others are being recorded
        self._sending: Counter[ChannelKind] = Counter()
        self._places = {kind: asyncio.Semaphore(count) for kind, count in self._settings.sends_at_once.items()}
        #: how long sends take of late
        self._send_seconds: dict[ChannelKind, float] = {}
        #: of what was taken last, more could not be begun than could: less is taken then
        self._wanted = self._settings.leased_ahead_most
        self._lanes = lanes or Destinations()
        self._recorder = AttemptRecorder(delivering)
        #: when (of the event loop's clock) a stop waits no longer; None while nobody told it to stop
        self._stop_by: float | None = None
        #: rings when a lane that was left alone takes something again
        self._reopening: asyncio.TimerHandle | None = None

    def wake(self, changed: set[str]) -> None:
        """Look for the work that a commit brought; called in the event loop with the kinds of things it changed."""
        if "notices" in changed:
            self._wakes["sealing"].set()
        if "deliveries" in changed:
            self._wakes["delivering"].set()

    def health(self) -> str | None:
        """Return why the worker does not do its whole job, or None."""
        return "; ".join(f"{part}: {reason}" for part, reason in sorted(self._failures.items())) or None

    @property
    def lanes(self) -> Destinations:
        """What is under way where."""
        return self._lanes

    def take_no_more(self) -> None:
        """Seal and send nothing that is not under way yet: a stop is near, others take it up."""
        if self._stop_by is None:
            self._stop_by = asyncio.get_running_loop().time() + self._settings.stop_seconds

    async def run(self) -> None:
        """Run until cancelled; what is in flight when it stops is finished first, or handed back."""
        self._stop_by = None
        steps = {
            "sealing": self.seal_released,
            "proving": self.prove_sealed,
            "timestamping": self.timestamp_sealed,
            "delivering": self.deliver_due,
        }
        try:
            async with asyncio.TaskGroup() as group:
                for part, step in steps.items():
                    group.create_task(self._loop(part, step))
        finally:
            if self._reopening is not None:
                self._reopening.cancel()
            await self._finish_in_flight()

    async def _finish_in_flight(self) -> None:
        """Wait for the sends under way; cut short what does not end, and hand it back.

        A send that is cut short may have been taken all the same: whoever takes it up sends the same Message-ID.
        """
        if not self._in_flight:
            return
        _, late = await asyncio.wait(self._in_flight, timeout=self._left_seconds())
        handed_back = [self._in_flight[task].delivery.id for task in late]
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
            _log.warning("deliveries.handed_back", deliveries=len(handed_back))
            await self._give_back(handed_back)

    def _left_seconds(self) -> float:
        """Return for how long a stop waits from now on."""
        self.take_no_more()
        stop_by = self._stop_by or 0.0
        return max(0.0, stop_by - asyncio.get_running_loop().time())

    async def _finish(self, work: Awaitable[ResultT]) -> ResultT:
        """Await the work; when this task is cancelled meanwhile, let it end first, so long as a stop waits, then stop.

        What is cut short is found again in the store, as after a crash.
        """
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=self._left_seconds())
            task.cancel()
            await asyncio.wait([task])
            raise

    async def _loop(self, part: str, step: Callable[[], Awaitable[int]]) -> None:
        """Do the step while it finds work; on a failure say so loudly and try again after the poll period."""
        wake = self._wakes[part]
        while True:
            wake.clear()
            try:
                # A step that is under way is finished before a stop: a mail half sent helps nobody.
                done = await self._finish(step())
                self._failures.pop(part, None)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the loop must outlive any failure; it is logged and shown
                self._failures[part] = f"{type(error).__name__}: {error}"
                _log.error("worker.failed", part=part, exc_info=error)
                done = 0
            if done:
                continue
            try:
                async with asyncio.timeout(self._settings.poll_seconds):
                    await wake.wait()
            except TimeoutError:
                continue

    async def seal_released(self) -> int:
        """Seal what is released; returns how many were sealed. Held notices stay and are looked at again later."""
        if self._stop_by is not None:
            return 0
        now, limit = self._sealing.clock.now(), self._settings.sealing_batch
        until = now + timedelta(seconds=self._settings.lease_seconds)
        released = await self._sealing.unit_of_work.write(
            lambda tx: list(tx.notices.lease_released(now, until, limit)), concurrently=True
        )
        results = await _each([notice.id for notice in released], self._seal)
        return sum(results)

    async def _seal(self, notice_id: UUID) -> bool:
        self._sealing_now.add(notice_id)
        sealed = False
        try:
            async with self._places_to_seal:
                sealed = await commit_seal(notice_id, self._sealing)
            if sealed:
                await prove_notice(notice_id, self._sealing)
        except LogUnavailableError as error:
            # Signed but not proven yet: it waits for the log, and says so.
            _log.error("notice.unproven", notice_id=str(notice_id), reason=str(error))
            await hold_notice(notice_id, f"the audit log gives no proof: {error}", self._sealing)
            return False
        finally:
            self._sealing_now.discard(notice_id)
            if not sealed:
                await self._sealing.unit_of_work.write(
                    lambda tx: tx.notices.release_leases([notice_id]), concurrently=True
                )
        if not sealed:
            await self._say_what_holds(notice_id)
        return sealed

    async def _say_what_holds(self, notice_id: UUID) -> None:
        """Log why a released notice does not go out, once per reason: it is looked at again every few seconds."""
        notice = await self._sealing.unit_of_work.read(lambda tx: tx.notices.get(notice_id))
        if notice is None or notice.hold_reason is None or self._held.get(notice_id) == notice.hold_reason:
            return
        self._held[notice_id] = notice.hold_reason
        _log.error("notice.held", notice_id=str(notice_id), due_at=notice.due_at.isoformat(), reason=notice.hold_reason)

    async def prove_sealed(self) -> int:
        """Prove what was sealed and, by a crash or a stopped sequencer, not proven yet."""
        limit = self._settings.sealing_batch
        pending = await self._sealing.unit_of_work.read(lambda tx: tx.notices.without_log_proof(limit))
        await _each([notice_id for notice_id in pending if notice_id not in self._sealing_now], self._prove)
        return 0

    async def _prove(self, notice_id: UUID) -> None:
        await prove_notice(notice_id, self._sealing)

    async def timestamp_sealed(self) -> int:
        """Obtain the timestamps that are still owed."""
        limit = self._settings.sealing_batch
        pending = await self._sealing.unit_of_work.read(lambda tx: tx.notices.without_timestamp(limit))
        for notice_id in pending:
            try:
                await obtain_timestamp(notice_id, self._sealing)
            except TimestampUnavailableError as error:
                _log.warning("timestamp.missed", notices=len(pending), reason=str(error))
                self._failures["timestamp_authority"] = str(error)
                return 0
        self._failures.pop("timestamp_authority", None)
        return 0

    async def deliver_due(self) -> int:
        """Lease what is due into the free places and start it; returns how many attempts were started.

        An attempt that ends frees its place and wakes the loop: a slow destination holds its own place, not the batch.
        Paused channels, full lanes and destinations that are left alone are passed over; what was leased beyond what
        its lane takes is given back.
        """
        now = self._sealing.clock.now()
        until = now + timedelta(seconds=self._settings.lease_seconds)
        sending = self._sending.total()
        ahead = {kind: self._ahead(kind) for kind in ChannelKind}
        most = max(ahead.values())
        # Not for every place alone: to lease is a commit. And not without end where recording does not keep up.
        recording = len(self._in_flight) - sending
        if self._stop_by is not None or sending > most // 2 or recording > _RECORDING_AT_MOST:
            return 0
        wanted = min(most - sending, self._wanted)
        channels, lanes = self._lanes.passed_over(now)
        channels |= {kind for kind in ChannelKind if self._sending[kind] >= ahead[kind]}
        self._ring_when_reopened(now)

        def lease(tx: Transaction) -> list[DueDelivery]:
            paused = paused_channels(tx.deliveries.channel_pauses(), now)
            return list(tx.deliveries.lease(now, until, wanted, except_channels=channels | paused, except_lanes=lanes))

        due = await self._sealing.unit_of_work.write(lease, concurrently=True)
        # A clock that was set ahead ends leases early: what is under way here is not begun a second time. What has made
        # an attempt more since then was recorded, and is due anew before the task that recorded it has ended.
        under_way = {
            (item.delivery.id, item.delivery.attempts)
            for item in self._in_flight.values()
            if item.delivery.id not in self._given_back
        }
        due = [item for item in due if (item.delivery.id, item.delivery.attempts) not in under_way]
        begun = [
            item
            for item in due
            if self._stop_by is None and self._lanes.begin(item.delivery.channel, item.delivery.lane, now)
        ]
        begin_by = now + timedelta(seconds=self._settings.lease_seconds * _BEGUN_WITHIN)
        for item in begun:
            task = asyncio.create_task(self._deliver(item, begin_by))
            self._in_flight[task] = item
            self._sending[item.delivery.channel] += 1
            task.add_done_callback(self._ended)
        if len(begun) < len(due):
            self._wanted = max(self._settings.leased_ahead, 2 * len(begun))
            started = {item.delivery.id for item in begun}
            await self._give_back([item.delivery.id for item in due if item.delivery.id not in started])
            # Their lanes are full now and passed over: the next look brings what else there is.
            return len(due)
        self._wanted = min(2 * self._wanted, self._settings.leased_ahead_most)
        return len(begun)

    def _ahead(self, channel: ChannelKind) -> int:
        """Return how many deliveries are taken before they are sent: more where they go out fast."""
        settings, seconds = self._settings, self._send_seconds.get(channel)
        if not seconds:
            return settings.leased_ahead
        quick = int(settings.ahead_seconds * settings.sends_at_once[channel] / seconds)
        return min(max(settings.leased_ahead, quick), settings.leased_ahead_most)

    async def _give_back(self, delivery_ids: Sequence[UUID]) -> None:
        await self._sealing.unit_of_work.write(lambda tx: tx.deliveries.release_leases(delivery_ids), concurrently=True)

    def _ring_when_reopened(self, now: datetime) -> None:
        """Look again when the next destination that is left alone takes something."""
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        at = self._lanes.reopens_at(now)
        if at is not None:
            seconds = max(0.0, (at - now).total_seconds())
            self._reopening = asyncio.get_running_loop().call_later(seconds, self._wakes["delivering"].set)

    def _ended(self, task: asyncio.Task[None]) -> None:
        ended = self._in_flight.pop(task, None)
        if ended is not None:
            self._given_back.discard(ended.delivery.id)
        self._wakes["delivering"].set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease runs out and the delivery is taken up again; until then the failure is shown.
            self._failures["delivery"] = f"{type(error).__name__}: {error}"
            _log.error("worker.failed", part="delivery", exc_info=error)
        else:
            self._failures.pop("delivery", None)

    async def _deliver(self, due: DueDelivery, begin_by: datetime) -> None:
        channel, lane = due.delivery.channel, due.delivery.lane
        made: AttemptMade | None = None
        try:
            # Before there is a place: many in a row, while others are sent.
            begun = begin_attempt(due, self._delivering)
            async with self._lanes.place(lane), self._places[channel]:
                # What waited for so long could outlast its lease, and another worker would send it too.
                if self._sealing.clock.now() <= begin_by:
                    made = await self._send(due, begun)
        finally:
            self._sending[channel] -= 1
            self._lanes.end(channel, lane, None if made is None else made.outcome, self._sealing.clock.now())
        if made is None:
            _log.warning("delivery.waited_too_long", delivery_id=str(due.delivery.id))
            # Whoever takes it from here on may be this worker, before this task has ended.
            self._given_back.add(due.delivery.id)
            await self._give_back([due.delivery.id])
            return
        self._wakes["delivering"].set()
        delivery, _ = await self._recorder.record(due, made)
        facts = {
            "delivery_id": str(delivery.id),
            "notice_id": str(delivery.notice_id),
            "channel": delivery.channel.value,
            "attempt": delivery.attempts,
        }
        if delivery.state is DeliveryState.SENT:
            _log.info("delivery.sent", **facts)
        elif delivery.state is DeliveryState.FAILED:
            _log.error("delivery.failed", reason=delivery.last_error, **facts)
        else:
            _log.warning("delivery.deferred", reason=delivery.last_error, **facts)

    async def _send(self, due: DueDelivery, begun: AttemptBegun) -> AttemptMade:
        """Send what was assembled, and learn how long that takes."""
        loop, channel = asyncio.get_running_loop(), due.delivery.channel
        began = loop.time()
        try:
            async with asyncio.timeout(self._settings.lease_seconds * _SENT_WITHIN):
                made = await send_attempt(due, self._delivering, begun)
        except TimeoutError:
            made = cut_short(begun)
        seconds = loop.time() - began
        before = self._send_seconds.get(channel, seconds)
        self._send_seconds[channel] = before + (seconds - before) / _REMEMBERED_SENDS
        return made


async def _each(items: Sequence[ItemT], act: Callable[[ItemT], Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """Act on every item at once; every item is finished, then the first failure is raised."""
    results = await asyncio.gather(*(act(item) for item in items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
