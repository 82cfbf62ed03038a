"""Write jobs: they pass from an event loop to the writer thread, and their results back."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from service.store.engines.transaction import SqlTransaction

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class WriteJob:
    """One job, its waiting caller, and its result."""

    run: Callable[[SqlTransaction], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Give the result to the caller, in its event loop; a cancelled caller gets none."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


#: Greatest number of jobs per commit. It limits the damage of a failed commit and the wait of the first job.
_WORKS_PER_COMMIT = 256


def taken(first: WriteJob, queue: SimpleQueue[WriteJob | None]) -> tuple[list[WriteJob], bool]:
    """Return the first job with the jobs that wait behind it, and whether the end marker of the queue was reached."""
    works = [first]
    while len(works) < _WORKS_PER_COMMIT:
        try:
            work = queue.get_nowait()
        except Empty:
            return works, False
        if work is None:
            return works, True
        works.append(work)
    return works, False


def answer(works: Iterable[WriteJob], before: Callable[[], None] | None = None) -> None:
    """Return the results of jobs in their event loops, with one wake-up per loop; ``before`` runs once, in the first.

    A closed loop has no waiting callers, so the results of its jobs are dropped.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[WriteJob]] = {}
    for work in works:
        by_loop.setdefault(work.loop, []).append(work)
    for loop, waiting in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle_all, waiting, before)
        except RuntimeError:
            _log.warning("store.caller_gone", works=len(waiting))
        else:
            before = None


def _settle_all(works: list[WriteJob], before: Callable[[], None] | None) -> None:
    if before is not None:
        before()
    for work in works:
        work.settle()


def tell(hooks: Iterable[Callable[[set[str]], None]], changed: set[str]) -> None:
    """Call every hook with the changes of a commit; an error in a hook is logged and has no other effect."""
    for hook in hooks:
        try:
            hook(set(changed))
        except Exception as error:  # noqa: BLE001 - the commit is done; only the listener fails
            _log.error("store.hook_failed", exc_info=error)
