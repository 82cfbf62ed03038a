"""Stopping a process by signals: after the first, it finishes or returns its work; the second ends it at once."""

import asyncio
import os
import signal
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_on_signal(stop: Callable[[], None]) -> None:
    """Call ``stop`` in the running event loop at the first SIGTERM or SIGINT; the second ends the process at once.

    Nothing is lost by the second signal: the store is then in the same state as after a crash.
    """
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def on(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            _log.info("service.stopping", signal=number.name)
            stop()
        else:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, on, number)


async def stopped(task: asyncio.Task[None], within_seconds: float) -> None:
    """Cancel a task and wait for its end; after ``within_seconds`` cancel it again and wait no longer."""
    task.cancel()
    if await _ends(task, within_seconds):
        return
    _log.warning("stop.cut_short", part=task.get_name(), seconds=within_seconds)
    task.cancel()
    await _ends(task, 1.0)


async def _ends(task: asyncio.Task[None], seconds: float) -> bool:
    done, _ = await asyncio.wait({task}, timeout=seconds)
    for ended in done:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            _log.error("part.failed", part=ended.get_name(), exc_info=error)
    return bool(done)
