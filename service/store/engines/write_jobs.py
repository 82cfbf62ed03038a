"""Works on their way: from the event loop that asks to the thread that runs them, and the answers back."""

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
    """One piece of work, who waits for it, and what came of it."""

    run: Callable[[SqlTransaction], Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Answer the caller; runs in its event loop. A caller that went away gets none."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


#: Works that share one commit at most: bounds what a failed commit takes down and how long the first of them waits.
_WORKS_PER_COMMIT = 256


def taken(first: WriteJob, queue: SimpleQueue[WriteJob | None]) -> tuple[list[WriteJob], bool]:
    """Return the first work with those that wait behind it, and whether the end of the queue was among them."""
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
    """Answer works in their event loops, with one wake-up per loop; ``before`` runs once, in the first of them.

    A loop that is closed has nobody waiting any more: its works are done, and told to no one.
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
    """Tell every hook what a commit changed; one that raises is logged and harms nobody."""
    for hook in hooks:
        try:
            hook(set(changed))
        except Exception as error:  # noqa: BLE001 - what is committed stays; the listener fails alone
            _log.error("store.hook_failed", exc_info=error)
