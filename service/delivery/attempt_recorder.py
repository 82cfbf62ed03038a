"""Record attempts in groups. Attempts that end while one group is written form the next group.

Many attempts share one commit and few statements: with thousands of mails, single records would cost more time than
sending. A single attempt is written at once.
"""

import asyncio
from dataclasses import dataclass

import structlog

from notifications.delivery.delivery import Delivery, DeliveryAttempt
from notifications.ports import DueDelivery
from notifications.use_cases.notices.deliver_notice import (
    AttemptMade,
    DeliveryDependencies,
    record_attempt,
    record_attempts,
)

_log = structlog.get_logger(__name__)

#: Most attempts in one unit of work. After a failure, at most so many attempts are written again one by one.
_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class _Waiting:
    due: DueDelivery
    made: AttemptMade
    recorded: asyncio.Future[tuple[Delivery, DeliveryAttempt]]


class AttemptRecorder:
    """Records attempts. An attempt is durable when ``record`` returns; its failure affects no other attempt."""

    def __init__(self, delivering: DeliveryDependencies) -> None:
        self._delivering = delivering
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def record(self, due: DueDelivery, made: AttemptMade) -> tuple[Delivery, DeliveryAttempt]:
        """Return the recorded delivery and attempt; raises the error of recording this attempt.

        If the caller is cancelled meanwhile, the attempt is still recorded.
        """
        waiting = _Waiting(due, made, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="recorder")
        return await waiting.recorded

    async def _write(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
                await self._write_group(group)
        finally:
            self._writing = None
            for item in self._waiting:
                item.recorded.cancel()
            self._waiting.clear()

    async def _write_group(self, group: list[_Waiting]) -> None:
        """Write a group: 1. in one unit of work; 2. after a failure one by one, so that only the faulty one fails."""
        # 1.
        try:
            recorded = await record_attempts([(item.due, item.made) for item in group], self._delivering)
        except Exception as error:  # noqa: BLE001 - whose failure it is shows when each is recorded by itself
            # 2.
            if len(group) > 1:
                _log.warning("attempts.recorded_singly", attempts=len(group), reason=str(error))
            for item in group:
                await self._write_one(item)
        else:
            for item, result in zip(group, recorded, strict=True):
                if not item.recorded.done():
                    item.recorded.set_result(result)

    async def _write_one(self, item: _Waiting) -> None:
        try:
            result = await record_attempt(item.due, self._delivering, item.made)
        except Exception as error:  # noqa: BLE001 - raised to the task that waits for this attempt
            if not item.recorded.done():
                item.recorded.set_exception(error)
        else:
            if not item.recorded.done():
                item.recorded.set_result(result)
