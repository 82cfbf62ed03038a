"""The worker: seals released notices and delivers what is due; commits and a poll interval wake it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from notifications.use_cases.notices.deliver_notice import DeliveryDependencies
from service.delivery.delivery_loop import DeliveryLoop
from service.delivery.destinations import Destinations
from service.delivery.sealing_loop import SealingLoop
from service.delivery.signing_process import SigningProcess
from service.delivery.worker_settings import StopDeadline, WorkerSettings

_log = structlog.get_logger(__name__)

ResultT = TypeVar("ResultT")


class Worker:
    """Starts, wakes and stops the two loops, sealing and delivering. Each loop works until there is nothing left to do.

    No state is in memory only: work interrupted by a crash is found again in the store.
    """

    def __init__(
        self,
        delivering: DeliveryDependencies,
        settings: WorkerSettings | None = None,
        destinations: Destinations | None = None,
        signing_process: SigningProcess | None = None,
    ) -> None:
        self._settings = settings or WorkerSettings()
        #: signs large releases; None if this process does
        self.signing_process = signing_process
        self._stop = StopDeadline(self._settings.stop_seconds)
        #: sends under way by destination
        self.destinations = destinations or Destinations()
        self.sealing = SealingLoop(delivering.sealing, self._settings, self._stop, signing_process)
        self.delivery = DeliveryLoop(delivering, self._settings, self._stop, self.destinations)
        self._wakes = {part: asyncio.Event() for part in ("sealing", "proving", "timestamping")}
        self._wakes["delivering"] = self.delivery.wake
        self._failures: dict[str, str] = {}

    def wake(self, changed: set[str]) -> None:
        """Wake the loops that have work after a commit. Called in the event loop with the kinds of changed things."""
        if "notices" in changed:
            self._wakes["sealing"].set()
        if "deliveries" in changed:
            self._wakes["delivering"].set()

    def health(self) -> str | None:
        """Return why the worker is degraded, or None."""
        failures = self._failures | self.sealing.failures | self.delivery.failures
        if self.signing_process is not None and (reason := self.signing_process.health()) is not None:
            failures["signing_process"] = reason
        return "; ".join(f"{part}: {reason}" for part, reason in sorted(failures.items())) or None

    def stop_accepting(self) -> None:
        """Begin no further work, because a stop is near. Other processes or the next start continue it."""
        self._stop.begin()

    async def run(self) -> None:
        """Run until cancelled; sends in flight are finished or given back before the end."""
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
        """Await the work. If this task is cancelled, give the work the rest of the stop time to end, then abort it.

        Aborted work is found again in the store, as after a crash.
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
        """Repeat the step while it finds work; log a failure and try again after the poll interval."""
        wake = self._wakes[part]
        while True:
            wake.clear()
            try:
                # A step under way is finished before a stop.
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
