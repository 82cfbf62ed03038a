"""Alerts: what people must know at once. Nothing that is due may be blocked without an alert.

An alert is raised once per key, in one transaction with its audit entry and its mails. The scan runs again and again
and depends only on the current state of the store. So a missed wake-up loses nothing, and a second scan raises no alert
twice.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from notifications.canonical_json import timestamp_text
from notifications.mail_address import normal_address
from notifications.ports import Clock, Identifiers
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.pause_channel import end_pauses, is_paused
from notifications.wording.exercise import exercise_mark
from service.audit_log.checkpoint_timestamps import TimestampingState
from service.audit_log.cosigning import WitnessState
from service.audit_log.fsck_schedule import FsckState
from service.monitoring.alert_texts import alert_mail
from service.monitoring.certificate_expiry import CertificateEnd
from service.monitoring.metrics import Metrics
from service.monitoring.notice_findings import (
    OPERATING_KINDS,
    WITHOUT_INCIDENT,
    AlertCandidate,
    Stages,
    certificate_findings,
    scan_notices,
    strictest,
)
from service.monitoring.service_findings import (
    certificate_bands,
    scan_certificates,
    scan_operations,
)
from service.ports.accounts import Role
from service.ports.alerts import Alert
from service.ports.figures import StoreFigures
from service.ports.mails import ServiceMail
from service.ports.store import AccessStore, AccessTransaction
from service.settings.alerts import AlertSettings
from service.settings.provider import ProviderSettings
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

ACTOR = "system:alerting"
#: Interval between two scans of certificates, whose ends are counted in days.
_CERTIFICATES_EVERY = timedelta(hours=6)
#: Shortest interval between two scans of the service itself, however many commits there are.
_OPERATIONS_EVERY = timedelta(seconds=10)
#: Kinds of changes that can cause an alert.
_KINDS = frozenset({"notices", "deliveries", "customers", "messages", "call_tasks"})


@dataclass(frozen=True, slots=True)
class AlertSources:
    """The sources of alerts other than the store. They are called in a thread, because they read files."""

    certificates: Callable[[], Sequence[CertificateEnd]] = tuple
    #: None if it is not known
    free_bytes: Callable[[], int | None] = lambda: None
    #: called in the event loop
    witnesses: Callable[[], Sequence[WitnessState]] = tuple
    #: as above
    head_timestamping: Callable[[], TimestampingState | None] = lambda: None
    log_check: Callable[[], FsckState | None] = lambda: None


#: Kind, incident and object: what one mail tells of.
_Cause = tuple[str, UUID | None, str]


def raise_alerts(
    tx: AccessTransaction, act: AuditContext, found: Sequence[AlertCandidate], provider: ProviderSettings
) -> list[AlertCandidate]:
    """Store an alert with its audit entry for each finding, and mail them; return those that were not raised before.

    Each person gets one mail for all findings of one kind and incident, so a cause that affects a thousand customers is
    reported once.
    """
    mailings: dict[_Cause, UUID] = {}
    grouped: dict[_Cause, list[AlertCandidate]] = {}
    raised = []
    for finding in found:
        # Findings about the service itself are not grouped by incident.
        cause = (finding.kind, finding.incident_id, finding.ticket if finding.kind in OPERATING_KINDS else "")
        mailing_id = mailings.setdefault(cause, act.identifiers.new_id()) if finding.mailed else None
        if _raised(tx, act, finding, mailing_id):
            raised.append(finding)
            if finding.mailed:
                grouped.setdefault(cause, []).append(finding)
    for cause, alike in grouped.items():
        _mail(tx, act, _combined(alike), provider, mailings[cause])
    return raised


def settle_alerts(tx: AccessTransaction, act: AuditContext, settled: Sequence[Alert]) -> None:
    """Close alerts whose cause is over, each with its audit entry."""
    for alert in settled:
        tx.alerts.mark_seen(alert.id, act.now, act.actor)
    tx.audit.append([
        act.entry("alert.settled", subjects={"alert": str(alert.id)}, detail={"kind": alert.kind}) for alert in settled
    ])  # fmt: skip


def _raised(tx: AccessTransaction, act: AuditContext, finding: AlertCandidate, mailing_id: UUID | None) -> bool:
    due = "" if finding.due_at is None else timestamp_text(finding.due_at)
    alert = Alert(
        id=act.identifiers.new_id(),
        key=finding.key,
        kind=finding.kind,
        raised_at=act.now,
        incident_id=finding.incident_id,
        notice_id=finding.notice_id,
        customer_id=finding.customer_id,
        what=" ".join(
            filter(
                None,
                (
                    exercise_mark("en") if finding.exercise else "",
                    finding.ticket,
                    str(finding.count),
                    due,
                    finding.said,
                ),
            )
        ),
        # The attention list shows this state by itself while it lasts, so its alert need not be seen.
        seen_at=act.now if finding.kind == "customer_unreachable" else None,
        seen_by=ACTOR if finding.kind == "customer_unreachable" else None,
        mailing_id=mailing_id,
    )
    if not tx.alerts.add(alert):
        return False
    subjects = {"alert": str(alert.id)}
    if finding.incident_id is not None:
        subjects["incident"] = str(finding.incident_id)
    if finding.notice_id is not None:
        subjects["notice"] = str(finding.notice_id)
    if finding.customer_id is not None:
        subjects["customer"] = tx.customers.pseudonym(finding.customer_id)
    entry = act.entry(
        "alert.raised",
        subjects=subjects,
        detail={"kind": finding.kind, "count": finding.count, "due_at": due or None},
        exercise=finding.exercise,
    )
    tx.audit.append([entry])
    return True


def _combined(alike: Sequence[AlertCandidate]) -> AlertCandidate:
    """Combine findings of one kind and incident: the sum of their counts, the earliest deadline and its binding."""
    due_at = min((finding.due_at for finding in alike if finding.due_at is not None), default=None)
    binding = strictest(finding.binding for finding in alike if finding.due_at == due_at)
    return replace(alike[0], count=sum(finding.count for finding in alike), due_at=due_at, binding=binding)


def _mail(
    tx: AccessTransaction, act: AuditContext, finding: AlertCandidate, provider: ProviderSettings, mailing_id: UUID
) -> None:
    """Queue one mail to the provider's mailbox and one to each active account with a role that gets this kind."""
    roles = [Role.ANALYST, Role.APPROVER] + [Role.ADMINISTRATOR] * (finding.kind in WITHOUT_INCIDENT)
    mailbox = provider.contact_email
    recipients: dict[str, tuple[str, str, str]] = {
        normal_address(mailbox): (mailbox, provider.name, provider.default_language)
    }
    for account in (account for role in roles for account in tx.accounts.holders(role)):
        if account.email is not None:
            recipients.setdefault(normal_address(account.email), (account.email, account.name, account.language))
    for address, name, language in recipients.values():
        words = alert_mail(
            finding.kind, language, ticket=finding.ticket, count=finding.count, due_at=finding.due_at,
            binding=finding.binding, url=provider.console_url, exercise=finding.exercise,
        )  # fmt: skip
        mail = ServiceMail(
            id=act.identifiers.new_id(),
            purpose="alert",
            recipient=address,
            recipient_name=name,
            language=words.language,
            subject=words.subject,
            text=words.text,
            created_at=act.now,
            mailing_id=mailing_id,
        )
        tx.mails.add(mail)


class AlertTask(PeriodicTask):
    """Scans for alerts after commits, and when the next stage of a draft is reached."""

    name = "alerting"
    kinds = _KINDS
    shortest_seconds = 1.0

    def __init__(
        self,
        store: AccessStore,
        settings: AlertSettings,
        provider: ProviderSettings,
        *,
        clock: Clock,
        identifiers: Identifiers,
        metrics: Metrics | None = None,
        sources: AlertSources | None = None,
    ) -> None:
        self._store, self._settings, self._provider, self._metrics = store, settings, provider, metrics
        super().__init__(clock)
        self._identifiers = identifiers
        self._certificates_at: datetime | None = None
        self._operations_at: datetime | None = None
        #: figures of the previous scan of the service itself
        self._figures: StoreFigures | None = None
        self._sources = sources or AlertSources()

    async def look(self) -> datetime | None:
        """Raise the alerts that are due; return when an unreleased draft reaches its next stage."""
        now = self._clock.now()
        stages = Stages(timedelta(seconds=self._settings.lead_seconds), timedelta(seconds=self._settings.grace_seconds))
        following = await self._store.read(lambda tx: tx.alerts.next_draft_at(now, stages.lead, stages.grace))
        looked = await self._store.read(lambda tx: scan_notices(tx, now, stages))
        await self._raise(now, looked.new)
        await self._settle(now, looked.settled)
        if self._operations_at is None or now >= self._operations_at + _OPERATIONS_EVERY:
            await self._look_at_operations(now)
            self._operations_at = now
        if self._certificates_at is None or now >= self._certificates_at + _CERTIFICATES_EVERY:
            await self._look_at_certificates(now)
            self._certificates_at = now
        return following

    async def _look_at_operations(self, now: datetime) -> None:
        """Look at the service itself, and take away the pauses whose end has come."""
        if any(
            not is_paused(pause, now) for pause in await self._store.read(lambda tx: tx.deliveries.channel_pauses())
        ):
            act = AuditContext(ACTOR, now, self._identifiers)
            for pause in await self._store.write(lambda tx: end_pauses(tx, act)):
                _log.info("channel.resumed", channel=pause.channel.value, by="end")
        free_bytes = await asyncio.to_thread(self._sources.free_bytes)
        before, witnesses = self._figures, tuple(self._sources.witnesses())
        stamping, checked = self._sources.head_timestamping(), self._sources.log_check()
        looked, self._figures = await self._store.read(
            lambda tx: scan_operations(
                tx,
                now,
                self._settings,
                free_bytes=free_bytes,
                before=before,
                witnesses=witnesses,
                head_timestamping=stamping,
                log_check=checked,
            )
        )
        await self._raise(now, looked.new)
        await self._settle(now, looked.settled)

    async def _look_at_certificates(self, now: datetime) -> None:
        """Scan the certificates of the service, then those of contacts."""
        ends = await asyncio.to_thread(self._sources.certificates)
        looked = await self._store.read(lambda tx: scan_certificates(tx, now, ends))
        await self._raise(now, looked.new)
        await self._settle(now, looked.settled)
        if self._metrics is not None:
            self._metrics.contact_certificates(await self._bands(now))
        found: list[AlertCandidate] = []
        cursor: str | None = None
        while True:
            more, cursor = await self._store.read(partial(certificate_findings, now=now, cursor=cursor))
            found += more
            if cursor is None:
                break
        await self._raise(now, found)

    async def _bands(self, now: datetime) -> Counter[str]:
        """Return the number of contacts' certificates by the time left until their end."""
        bands: Counter[str] = Counter()
        cursor: str | None = None
        while True:
            more, cursor = await self._store.read(partial(certificate_bands, now=now, cursor=cursor))
            bands.update(more)
            if cursor is None:
                return bands

    async def _raise(self, now: datetime, found: Sequence[AlertCandidate]) -> None:
        if not found:
            return
        act = AuditContext(ACTOR, now, self._identifiers)
        for finding in await self._store.write(lambda tx: raise_alerts(tx, act, found, self._provider)):
            incident_id = None if finding.incident_id is None else str(finding.incident_id)
            if self._metrics is not None:
                self._metrics.alert_raised(finding.kind)
            _log.warning("alert.raised", kind=finding.kind, incident_id=incident_id, count=finding.count)

    async def _settle(self, now: datetime, settled: Sequence[Alert]) -> None:
        """Close alerts whose cause is over, so that the remaining ones are not overlooked."""
        if not settled:
            return
        act = AuditContext(ACTOR, now, self._identifiers)
        await self._store.write(lambda tx: settle_alerts(tx, act, settled))
