"""Escalate sealed notices by their clocks, until each customer is reached or a person must call.

Runs on the leader only. No state is in memory: each clock is a row in the store, and the next steps follow from the
state of the notice. So a crash, a power cut or a changed system clock loses nothing and repeats nothing.
"""

import asyncio
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from notifications.delivery.escalation_plan import EscalationPlan, EscalationPolicy
from notifications.errors import StateConflictError, VersionMismatchError
from notifications.ports import Clock, Identifiers, UnitOfWork
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.escalate import ACTOR, adopt_failed, escalate
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

#: Notices handled at once; they share commits.
_AT_ONCE = 64
#: Interval of the search for notices that were sealed before clocks existed, and the most failed deliveries per search.
_ADOPT_EVERY = timedelta(minutes=10)
_ADOPTED_AT_ONCE = 1000


class EscalationTask(PeriodicTask):
    """Takes the steps that are due by each clock; commits and the next due time wake it."""

    name = "escalating"
    kinds = frozenset({"escalations"})
    shortest_seconds = 0.2

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        policy: EscalationPolicy,
        *,
        mail_domain: str,
        clock: Clock,
        identifiers: Identifiers,
    ) -> None:
        """``mail_domain`` is the right-hand side of Message-IDs, as for sealing."""
        self._store, self._policy, self._mail_domain = unit_of_work, policy, mail_domain
        super().__init__(clock)
        self._identifiers = identifiers
        self._adopted_at: datetime | None = None

    async def look(self) -> datetime | None:
        """Take the steps of every clock that is due; return when the next clock is due.

        A failure with one notice delays no other notice; the first failure is raised after all were handled.
        """
        now = self._clock.now()
        await self._adopt(now)
        failures: list[Exception] = []
        looked: set[UUID] = set()
        while True:
            due = await self._store.read(lambda tx: tx.escalations.due(now, _AT_ONCE + len(looked)))
            batch = [clock.notice_id for clock in due if clock.notice_id not in looked]
            if not batch:
                break
            looked.update(batch)
            results = await asyncio.gather(*map(self._escalate, batch), return_exceptions=True)
            failures += [result for result in results if isinstance(result, Exception)]
        if failures:
            raise failures[0]
        return await self._store.read(lambda tx: tx.escalations.next_look_at())

    async def _escalate(self, notice_id: UUID) -> None:
        act = AuditContext(ACTOR, self._clock.now(), self._identifiers)
        work = partial(escalate, act=act, notice_id=notice_id, policy=self._policy, mail_domain=self._mail_domain)
        try:
            # Runs concurrently with attempts of other processes: each change of a notice changes the version of its
            # clock.
            plan = await self._store.write(work, concurrently=True)
        except (VersionMismatchError, StateConflictError):
            # The notice changed in this moment. That change made the clock due again.
            return
        if plan is not None:
            _log_plan(notice_id, plan)

    async def _adopt(self, now: datetime) -> None:
        """Start clocks for failed deliveries of notices that were sealed before clocks existed."""
        if self._adopted_at is not None and now < self._adopted_at + _ADOPT_EVERY:
            return
        act = AuditContext(ACTOR, now, self._identifiers)
        adopted = await self._store.write(lambda tx: adopt_failed(tx, act, _ADOPTED_AT_ONCE))
        self._adopted_at = now
        if adopted:
            _log.warning("escalation.adopted", notices=len(adopted))


def _log_plan(notice_id: UUID, plan: EscalationPlan) -> None:
    for step in plan.queue:
        _log.warning(
            "escalation.advanced", notice_id=str(notice_id), channel=step.channel.value, reason=step.reason.value
        )
    if plan.open_task is not None:
        _log.error("call_task.opened", notice_id=str(notice_id), reason=plan.open_task.reason.value)
    for task in plan.cancel:
        _log.info("call_task.cancelled", notice_id=str(notice_id), call_task_id=str(task.id))
