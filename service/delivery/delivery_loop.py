"""Delivers what is due: leases ahead, sends within the places of each channel, records what came of it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from notifications.delivery.delivery import ChannelKind, DeliveryState
from notifications.ports import DueDelivery, Transaction
from notifications.use_cases.notices.deliver_notice import (
    AttemptBegun,
    AttemptMade,
    DeliveryDependencies,
    begin_attempt,
    cut_short,
    send_attempt,
    unexpectedly_failed,
)
from notifications.use_cases.notices.pause_channel import paused_channels
from service.delivery.attempt_recorder import AttemptRecorder
from service.delivery.destinations import Destinations
from service.delivery.worker_settings import StopDeadline, WorkerSettings

_log = structlog.get_logger(__name__)

#: Attempts that are made and not recorded yet: with more of them nothing new is sent.
_RECORDING_AT_MOST = 512
#: How many sends the measure of their time goes back, about.
_REMEMBERED_SENDS = 16
#: Parts of a lease: a send begins within the first, and is given up after the second at most. The rest is for clocks
#: that differ and for recording: nobody else sends meanwhile.
_BEGUN_WITHIN, _SENT_WITHIN = 0.5, 0.4


class DeliveryLoop:
    """Takes due deliveries, and knows what is under way."""

    def __init__(
        self, delivering: DeliveryDependencies, settings: WorkerSettings, stop: StopDeadline, lanes: Destinations
    ) -> None:
        self._delivering, self._settings, self._stop, self._lanes = delivering, settings, stop, lanes
        self._clock, self._unit_of_work = delivering.sealing.clock, delivering.sealing.unit_of_work
        #: set when there may be something to deliver
        self.wake = asyncio.Event()
        #: what does not work now, by part
        self.failures: dict[str, str] = {}
        self._in_flight: dict[asyncio.Task[None], DueDelivery] = {}
        #: of them, those whose lease is given back: no longer ours
        self._given_back: set[UUID] = set()
        #: of them, those that wait for a place or are being sent, by channel; the others are being recorded
        self._sending: Counter[ChannelKind] = Counter()
        self._places = {kind: asyncio.Semaphore(count) for kind, count in settings.sends_at_once.items()}
        #: how long the last sends took
        self._send_seconds: dict[ChannelKind, float] = {}
        #: of what was taken last, more could not be begun than could: less is taken then
        self._wanted = settings.leased_ahead_most
        self._recorder = AttemptRecorder(delivering)
        #: wakes the loop when a destination whose circuit is open takes something again
        self._reopening: asyncio.TimerHandle | None = None

    async def finish_in_flight(self) -> None:
        """Wait for the sends under way; cut short what does not end, and hand it back.

        A send that is cut short may have been taken all the same: whoever takes it up sends the same Message-ID.
        """
        if self._reopening is not None:
            self._reopening.cancel()
        if not self._in_flight:
            return
        _, late = await asyncio.wait(self._in_flight, timeout=self._stop.left_seconds())
        handed_back = [self._in_flight[task].delivery.id for task in late]
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
            _log.warning("deliveries.handed_back", deliveries=len(handed_back))
            await self._give_back(handed_back)

    async def deliver_due(self) -> int:
        """Lease what is due into the free places and start it; returns how many attempts were started.

        An attempt that ends frees its place and wakes the loop: a slow destination holds its own place, not the batch.
        Paused channels, full lanes and destinations that are left alone are passed over; what was leased beyond what
        its lane takes is given back.
        """
        now = self._clock.now()
        until = now + timedelta(seconds=self._settings.lease_seconds)
        sending = self._sending.total()
        ahead = {kind: self._ahead(kind) for kind in ChannelKind}
        most = max(ahead.values())
        # Not for every place alone: to lease is a commit. And not without end where recording does not keep up.
        recording = len(self._in_flight) - sending
        if self._stop.has_begun or sending > most // 2 or recording > _RECORDING_AT_MOST:
            return 0
        wanted = min(most - sending, self._wanted)
        channels, lanes = self._lanes.passed_over(now)
        channels |= {kind for kind in ChannelKind if self._sending[kind] >= ahead[kind]}
        self._ring_when_reopened(now)

        def lease(tx: Transaction) -> list[DueDelivery]:
            paused = paused_channels(tx.deliveries.channel_pauses(), now)
            return list(
                tx.deliveries.lease(now, until, wanted, except_channels=channels | paused, except_destinations=lanes)
            )

        due = await self._unit_of_work.write(lease, concurrently=True)
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
            if not self._stop.has_begun and self._lanes.begin(item.delivery.channel, item.delivery.lane, now)
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
        await self._unit_of_work.write(lambda tx: tx.deliveries.release_leases(delivery_ids), concurrently=True)

    def _ring_when_reopened(self, now: datetime) -> None:
        """Look again when the next destination that is left alone takes something."""
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        at = self._lanes.reopens_at(now)
        if at is not None:
            seconds = max(0.0, (at - now).total_seconds())
            self._reopening = asyncio.get_running_loop().call_later(seconds, self.wake.set)

    def _ended(self, task: asyncio.Task[None]) -> None:
        ended = self._in_flight.pop(task, None)
        if ended is not None:
            self._given_back.discard(ended.delivery.id)
        self.wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease runs out and the delivery is taken up again; until then the failure is shown.
            self.failures["delivery"] = f"{type(error).__name__}: {error}"
            _log.error("worker.failed", part="delivery", exc_info=error)
        else:
            self.failures.pop("delivery", None)

    async def _deliver(self, due: DueDelivery, begin_by: datetime) -> None:
        channel, lane = due.delivery.channel, due.delivery.lane
        made: AttemptMade | None = None
        try:
            # Before there is a place: many in a row, while others are sent.
            begun = begin_attempt(due, self._delivering)
            async with self._lanes.place(lane), self._places[channel]:
                # What waited for so long could outlast its lease, and another worker would send it too.
                if self._clock.now() <= begin_by:
                    made = await self._send(due, begun)
        finally:
            self._sending[channel] -= 1
            self._lanes.end(channel, lane, None if made is None else made.outcome, self._clock.now())
        if made is None:
            _log.warning("delivery.waited_too_long", delivery_id=str(due.delivery.id))
            # Whoever takes it from here on may be this worker, before this task has ended.
            self._given_back.add(due.delivery.id)
            await self._give_back([due.delivery.id])
            return
        self.wake.set()
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
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and recorded as an attempt
            # One receiver's answer must not stop the others: the attempt is recorded, retried later, and shown.
            _log.error("channel.failed", delivery_id=str(due.delivery.id), channel=channel.value, exc_info=error)
            made = unexpectedly_failed(begun, error)
        seconds = loop.time() - began
        before = self._send_seconds.get(channel, seconds)
        self._send_seconds[channel] = before + (seconds - before) / _REMEMBERED_SENDS
        return made
