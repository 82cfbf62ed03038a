"""Deliver what is due: lease ahead, send within the limits of each channel, record the outcomes."""

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
    pdf_for,
    send_attempt,
    unexpectedly_failed,
)
from notifications.use_cases.notices.pause_channel import paused_channels
from service.delivery.attempt_recorder import AttemptRecorder
from service.delivery.destinations import Destinations
from service.delivery.worker_settings import StopDeadline, WorkerSettings

_log = structlog.get_logger(__name__)

#: Attempts that are made but not recorded yet. With more of them, no further delivery is leased.
_RECORDING_AT_MOST = 512
#: Weight of the moving average of send times: about this many sends.
_REMEMBERED_SENDS = 16
#: Parts of a lease. A send begins within the first part and is aborted after the second at the latest. The rest allows
#: for clock differences and for recording, so that no other worker sends meanwhile.
_BEGUN_WITHIN, _SENT_WITHIN = 0.5, 0.4


class DeliveryLoop:
    """Leases due deliveries, sends them, and keeps track of those in flight."""

    def __init__(
        self, delivering: DeliveryDependencies, settings: WorkerSettings, stop: StopDeadline, destinations: Destinations
    ) -> None:
        self._delivering, self._settings, self._stop, self._destinations = delivering, settings, stop, destinations
        self._clock, self._unit_of_work = delivering.sealing.clock, delivering.sealing.unit_of_work
        #: set when there may be something to deliver
        self.wake = asyncio.Event()
        #: current failures, by part
        self.failures: dict[str, str] = {}
        self._in_flight: dict[asyncio.Task[None], DueDelivery] = {}
        #: those of them whose lease was given back, so this worker no longer owns them
        self._given_back: set[UUID] = set()
        #: number of them that wait for a place or are being sent, by channel; the others are being recorded
        self._sending: Counter[ChannelKind] = Counter()
        self._places = {kind: asyncio.Semaphore(count) for kind, count in settings.sends_at_once.items()}
        #: moving average of the time of one send
        self._send_seconds: dict[ChannelKind, float] = {}
        #: how many deliveries to lease next; lowered when some leased deliveries could not begin
        self._wanted = settings.leased_ahead_most
        self._recorder = AttemptRecorder(delivering)
        self._assembling = asyncio.Lock()
        #: wakes the loop when a destination with an open circuit accepts sends again
        self._reopening: asyncio.TimerHandle | None = None

    async def finish_in_flight(self) -> None:
        """Wait for the sends under way; abort those that do not end in time, and give their deliveries back.

        The receiver may still have accepted an aborted send. So the next attempt has the same Message-ID.
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
        """Lease due deliveries into the free places and start them; return how many attempts were started.

        An attempt that ends frees its place and wakes the loop: a slow destination blocks its own places, not the whole
        batch. A mail waits for the earlier mails of its thread. Skipped are paused channels, destinations without a
        free place and destinations whose circuit is open. Leased deliveries beyond the limit of their destination are
        given back.
        """
        now = self._clock.now()
        until = now + timedelta(seconds=self._settings.lease_seconds)
        sending = self._sending.total()
        ahead = {kind: self._ahead(kind) for kind in ChannelKind}
        most = max(ahead.values())
        # Do not lease for a single free place, because each lease is a commit. Stop leasing if recording does not keep
        # up.
        recording = len(self._in_flight) - sending
        if self._stop.has_begun or sending > most // 2 or recording > _RECORDING_AT_MOST:
            return 0
        wanted = min(most - sending, self._wanted)
        channels, destinations = self._destinations.blocked(now)
        channels |= {kind for kind in ChannelKind if self._sending[kind] >= ahead[kind]}
        self._ring_when_reopened(now)

        def lease(tx: Transaction) -> list[DueDelivery]:
            paused = paused_channels(tx.deliveries.channel_pauses(), now)
            return list(
                tx.deliveries.lease(
                    now, until, wanted, except_channels=channels | paused, except_destinations=destinations
                )
            )

        due = await self._unit_of_work.write(lease, concurrently=True)
        # A clock that was set forward ends leases early: do not begin a delivery a second time that is in flight here.
        # A higher attempt count means that the attempt was recorded and the delivery is due again, although its task
        # has not ended.
        under_way = {
            (item.delivery.id, item.delivery.attempts)
            for item in self._in_flight.values()
            if item.delivery.id not in self._given_back
        }
        due = [item for item in due if (item.delivery.id, item.delivery.attempts) not in under_way]
        begun = [
            item
            for item in due
            if not self._stop.has_begun
            and self._destinations.begin(item.delivery.channel, item.delivery.destination, now)
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
            # These destinations are full now and are skipped, so the next call finds the other deliveries.
            return len(due)
        self._wanted = min(2 * self._wanted, self._settings.leased_ahead_most)
        return len(begun)

    def _ahead(self, channel: ChannelKind) -> int:
        """Return how many deliveries to lease ahead: the faster the channel sends, the more."""
        settings, seconds = self._settings, self._send_seconds.get(channel)
        if not seconds:
            return settings.leased_ahead
        quick = int(settings.ahead_seconds * settings.sends_at_once[channel] / seconds)
        return min(max(settings.leased_ahead, quick), settings.leased_ahead_most)

    async def _give_back(self, delivery_ids: Sequence[UUID]) -> None:
        await self._unit_of_work.write(lambda tx: tx.deliveries.release_leases(delivery_ids), concurrently=True)

    def _ring_when_reopened(self, now: datetime) -> None:
        """Wake the loop when the next destination accepts sends again."""
        if self._reopening is not None:
            self._reopening.cancel()
            self._reopening = None
        at = self._destinations.reopens_at(now)
        if at is not None:
            seconds = max(0.0, (at - now).total_seconds())
            self._reopening = asyncio.get_running_loop().call_later(seconds, self.wake.set)

    def _ended(self, task: asyncio.Task[None]) -> None:
        ended = self._in_flight.pop(task, None)
        if ended is not None:
            self._given_back.discard(ended.delivery.id)
        self.wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease expires and the delivery is leased again; until then the failure is shown.
            self.failures["delivery"] = f"{type(error).__name__}: {error}"
            _log.error("worker.failed", part="delivery", exc_info=error)
        else:
            self.failures.pop("delivery", None)

    async def _deliver(self, due: DueDelivery, begin_by: datetime) -> None:
        channel, destination = due.delivery.channel, due.delivery.destination
        made: AttemptMade | None = None
        try:
            # Before waiting for a place, while other mails are being sent.
            begun = await self._assembled(due)
            if due.earlier_message_ids:
                await self._earlier_mails(due)
            async with self._destinations.place(destination), self._places[channel]:
                # After a long wait the lease could expire during the send, and another worker would send it too.
                if self._clock.now() <= begin_by:
                    made = await self._send(due, begun)
        finally:
            self._sending[channel] -= 1
            self._destinations.end(channel, destination, None if made is None else made.outcome, self._clock.now())
        if made is None:
            _log.warning("delivery.waited_too_long", delivery_id=str(due.delivery.id))
            await self._give_back([due.delivery.id])
            # This same worker may lease it again before this task has ended; before the lease was given back, it must
            # not: what would be given back is the new lease.
            self._given_back.add(due.delivery.id)
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

    async def _assembled(self, due: DueDelivery) -> AttemptBegun:
        """Assemble the message. Between two of them the event loop has its turn: a request waits for one at most."""
        pdf = await pdf_for(due, self._delivering)
        async with self._assembling:
            begun = begin_attempt(due, self._delivering, pdf)
            await asyncio.sleep(0)
        return begun

    async def _earlier_mails(self, due: DueDelivery) -> None:
        """Wait until the earlier mails of the same thread that are in flight here were tried, whatever came of it."""
        earlier = [
            task for task, item in self._in_flight.items() if item.delivery.message_id in due.earlier_message_ids
        ]
        if earlier:
            await asyncio.wait(earlier)

    async def _send(self, due: DueDelivery, begun: AttemptBegun) -> AttemptMade:
        """Send an assembled message, and update the average time of a send."""
        loop, channel = asyncio.get_running_loop(), due.delivery.channel
        began = loop.time()
        try:
            async with asyncio.timeout(self._settings.lease_seconds * _SENT_WITHIN):
                made = await send_attempt(due, self._delivering, begun)
        except TimeoutError:
            made = cut_short(begun)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is logged and recorded as an attempt
            # A failure of one receiver must not stop the others: it is recorded as an attempt, retried later, and
            # shown.
            _log.error("channel.failed", delivery_id=str(due.delivery.id), channel=channel.value, exc_info=error)
            made = unexpectedly_failed(begun, error)
        seconds = loop.time() - began
        before = self._send_seconds.get(channel, seconds)
        self._send_seconds[channel] = before + (seconds - before) / _REMEMBERED_SENDS
        return made
