"""The worker: seals what is released and delivers what is due, woken by commits and by the clock."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from notifications.use_cases.notices.deliver_notice import DeliveryDependencies
from service.delivery.delivery_loop import DeliveryLoop
from service.delivery.destinations import Destinations
from service.delivery.sealing_loop import SealingLoop
from service.delivery.worker_settings import StopDeadline, WorkerSettings

_log = structlog.get_logger(__name__)

ResultT = TypeVar("ResultT")


class Worker:
    """Starts, wakes and stops the two loops, sealing and delivering; each does all there is before it waits again.

    Nothing lives in memory only: what a crash interrupts is found again in the store.
    """

    def __init__(
        self,
        delivering: DeliveryDependencies,
        settings: WorkerSettings | None = None,
        lanes: Destinations | None = None,
    ) -> None:
        self._settings = settings or WorkerSettings()
        self._stop = StopDeadline(self._settings.stop_seconds)
        #: what is under way where
        self.lanes = lanes or Destinations()
        self.sealing = SealingLoop(delivering.sealing, self._settings, self._stop)
        self.delivery = DeliveryLoop(delivering, self._settings, self._stop, self.lanes)
        self._wakes = {part: asyncio.Event() for part in ("sealing", "proving", "timestamping")}
        self._wakes["delivering"] = self.delivery.wake
        self._failures: dict[str, str] = {}

    def wake(self, changed: set[str]) -> None:
        """Look for the work that a commit brought; called in the event loop with the kinds of things it changed."""
        if "notices" in changed:
            self._wakes["sealing"].set()
        if "deliveries" in changed:
            self._wakes["delivering"].set()

    def health(self) -> str | None:
        """Return why the worker does not do its whole job, or None."""
        failures = self._failures | self.sealing.failures | self.delivery.failures
        return "; ".join(f"{part}: {reason}" for part, reason in sorted(failures.items())) or None

    def take_no_more(self) -> None:
        """Seal and send nothing that is not under way yet: a stop is near, others take it up."""
        self._stop.begin()

    async def run(self) -> None:
        """Run until cancelled; what is in flight when it stops is finished first, or handed back."""
        self._stop.reset()
        steps = {
            "sealing": self.sealing.seal_released,
            "proving": self.sealing.prove_sealed,
            "timestamping": self.sealing.timestamp_sealed,
            "delivering": self.delivery.deliver_due,
        }
        try:
            async with asyncio.TaskGroup() as group:
                for part, step in steps.items():
                    group.create_task(self._loop(part, step))
        finally:
            await self.delivery.finish_in_flight()

    async def _finish(self, work: Awaitable[ResultT]) -> ResultT:
        """Await the work; when this task is cancelled meanwhile, let it end first, so long as a stop waits, then stop.

        What is cut short is found again in the store, as after a crash.
        """
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=self._stop.left_seconds())
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
