"""Reminders of the provider's own legal duties, at set parts of each clock.

A reminder is an alert. Its key names incident, duty, limit and part, and is unique in the store, and the alert and its
mails are written in one transaction. So several processes that look at once remind once, and a process that was down
over a part reminds when it is back. After several missed parts it reminds of the latest one only.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from notifications.duties import Clock, ClockState
from notifications.ports import Clock as SystemClock
from notifications.ports import Identifiers
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.duties.provider_clocks import ProviderDuties, provider_duties
from notifications.use_cases.legal_duties import LegalDuties
from service.monitoring.alerts import ACTOR, raise_alerts, settle_alerts
from service.monitoring.metrics import Metrics
from service.monitoring.notice_findings import AlertCandidate
from service.ports.alerts import Alert
from service.ports.store import AccessStore, AccessTransaction
from service.settings.provider import ProviderSettings
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

KIND = "duty_reminder"
#: Incidents looked at in one transaction.
_AT_ONCE = 20
_PERCENT = 100
#: How often incidents without a timer are looked for: earlier releases, which may still run beside this one, set none.
_ADOPT_EVERY = timedelta(minutes=10)
#: An incident that was closed longer ago owes no report any more: the final one is due a month after the one before.
_CLOSED_SINCE = timedelta(days=60)
_ADOPTED_AT_ONCE = 500
#: Open alerts that are looked through.
_UNSEEN_MAX = 10_000


def due_reminders(
    found: ProviderDuties, now: datetime, percents: tuple[int, ...]
) -> tuple[list[AlertCandidate], datetime | None]:
    """Return the reminder that each running clock has reached last, and when the next one is due.

    A clock whose occasion is not known yet is among them: unknown is not no.
    """
    reminders: list[AlertCandidate] = []
    following: list[datetime] = []
    for clock in found.clocks:
        if clock.state is not ClockState.RUNNING or clock.due_at is None or clock.started_at is None:
            continue
        moments = [(percent, _part(clock.started_at, clock.due_at, percent)) for percent in percents]
        reached = [percent for percent, at in moments if at <= now]
        if reached:
            reminders.append(_reminder(found, clock, clock.due_at, reached[-1]))
        following += [at for _, at in moments if at > now]
    return reminders, min(following, default=None)


def _part(started_at: datetime, due_at: datetime, percent: int) -> datetime:
    return started_at + (due_at - started_at) * percent / _PERCENT


def _reminder(found: ProviderDuties, clock: Clock, due_at: datetime, percent: int) -> AlertCandidate:
    return AlertCandidate(
        key=f"{KIND}:{found.incident.id.hex}:{clock.duty.id}:{due_at:%Y%m%dT%H%M%S%f}:{percent}",
        kind=KIND,
        ticket=found.incident.ticket,
        due_at=due_at,
        incident_id=found.incident.id,
        said=f"{clock.duty.clause} {percent} %",
    )


def remind(
    tx: AccessTransaction, act: AuditContext, incident_id: UUID, duties: LegalDuties, provider: ProviderSettings
) -> list[AlertCandidate]:
    """Raise the reminders of one incident that are due, close those that are over, and set its next timer."""
    incident = tx.incidents.get(incident_id)
    if incident is None or incident.exercise:
        tx.duties.set_timer(incident_id, None)
        return []
    found = provider_duties(tx, incident, duties)
    due, following = due_reminders(found, act.now, duties.reminders_percent)
    reminders = [_again_if_settled(tx, each) for each in due]
    raised = raise_alerts(tx, act, reminders, provider)
    settle_alerts(tx, act, _settled(tx, incident_id, {each.key for each in reminders}))
    tx.duties.set_timer(incident_id, following)
    return raised


def _again_if_settled(tx: AccessTransaction, reminder: AlertCandidate) -> AlertCandidate:
    """Return the reminder, with a further key if the service itself closed the one that was raised.

    The duty was over then, and it is back: its submission was taken back, or a fact or an answer changed.
    """
    key, number = reminder.key, 1
    while (raised := tx.alerts.by_key(key)) is not None and raised.seen_by == ACTOR:
        number += 1
        key = f"{reminder.key}:{number}"
    return replace(reminder, key=key)


def _settled(tx: AccessTransaction, incident_id: UUID, current: set[str]) -> list[Alert]:
    """Return the open reminders of an incident whose report was submitted, or that a later reminder replaces."""
    prefix = f"{KIND}:{incident_id.hex}:"
    return [
        alert for alert in tx.alerts.unseen(_UNSEEN_MAX) if alert.key.startswith(prefix) and alert.key not in current
    ]


class DutyReminders(PeriodicTask):
    """Looks at the incidents whose timer has come; commits wake it."""

    name = "duty_reminders"
    kinds = frozenset({"duties"})
    shortest_seconds = 0.2

    def __init__(
        self,
        store: AccessStore,
        duties: LegalDuties,
        provider: ProviderSettings,
        *,
        clock: SystemClock,
        identifiers: Identifiers,
        metrics: Metrics | None = None,
    ) -> None:
        """``duties``: the law and the provider under it."""
        super().__init__(clock)
        self._store, self._duties, self._provider = store, duties, provider
        self._identifiers, self._metrics = identifiers, metrics
        self._adopted_at: datetime | None = None

    async def look(self) -> datetime | None:
        """Remind of what is due; return when the next timer comes.

        Incidents that earlier releases declared get their first timer before that. An incident on which it fails keeps
        its timer and no other incident from its reminders. Raises the first such error at the end, so that the service
        shows it.
        """
        await self._adopt()
        failures: dict[UUID, Exception] = {}
        while due := await self._store.read(partial(_due, now=self._clock.now(), without=frozenset(failures))):
            for incident_id in due:
                try:
                    await self._remind(incident_id)
                except Exception as error:  # noqa: BLE001 - the reminders of other incidents have legal limits too
                    _log.error("duty_reminders.failed", incident_id=str(incident_id), exc_info=error)
                    failures[incident_id] = error
        if failures:
            raise next(iter(failures.values()))
        return await self._store.read(lambda tx: tx.duties.next_timer_at())

    async def _adopt(self) -> None:
        """Give a first timer to incidents without one. A timer is a row with a unique key, so each gets one once."""
        now = self._clock.now()
        if self._adopted_at is not None and now - self._adopted_at < _ADOPT_EVERY:
            return
        since, adopted = now - _CLOSED_SINCE, 0
        while found := await self._store.read(lambda tx: tx.duties.without_timer(since, _ADOPTED_AT_ONCE)):
            adopted += await self._store.write(partial(_with_timers, found=found, now=now))
        if adopted:
            _log.info("duty_reminders.adopted", incidents=adopted)
        self._adopted_at = now

    async def _remind(self, incident_id: UUID) -> None:
        act = AuditContext(ACTOR, self._clock.now(), self._identifiers)
        work = partial(
            remind, act=act, incident_id=incident_id, duties=self._duties, provider=self._provider
        )  # fmt: skip
        for finding in await self._store.write(work):
            if self._metrics is not None:
                self._metrics.alert_raised(finding.kind)
            _log.warning("alert.raised", kind=finding.kind, incident_id=str(incident_id), said=finding.said)


def _with_timers(tx: AccessTransaction, found: Sequence[UUID], now: datetime) -> int:
    return sum(tx.duties.add_timer(incident_id, now) for incident_id in found)


def _due(tx: AccessTransaction, now: datetime, without: frozenset[UUID]) -> list[UUID]:
    return [each for each in tx.duties.due_timers(now, _AT_ONCE + len(without)) if each not in without]
