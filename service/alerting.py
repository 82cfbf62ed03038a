"""Alerts: what analysts and approvers must know now. Nothing that is due is blocked in silence.

An alert is raised once per key, in the transaction of its audit entry and of the mails that carry it. What it is about
is looked at again and again, from what the store says now: a wake-up that was missed is made up for, and a second look
raises nothing twice.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from notifications.canonical_json import timestamp_text
from notifications.delivery import DeliveryState
from notifications.notice import Notice
from notifications.ports import Clock, Identifiers
from notifications.use_cases.act import Act
from service.access.ports import AccessStore, AccessTransaction
from service.access.records import Role
from service.alert_wording import alert_mail
from service.messages import Alert, ServiceMail, UnreleasedDrafts

_log = structlog.get_logger(__name__)

ACTOR = "system:alerting"
_AT_ONCE = 200
_DRAFTS_AT_ONCE = 10_000
_POLL_SECONDS = 30.0
#: How long it looks away at least: what many commits change is looked at once.
_SHORTEST_SECONDS = 1.0
#: What changes what there is to alert of.
_KINDS = frozenset({"notices", "deliveries", "customers", "messages"})


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Who is told, and how early."""

    #: the provider's own mailbox, told of every alert; its language
    mailbox: str
    language: str
    provider_name: str
    #: where people look; None while there are no pages
    console_url: str | None
    #: how long before its deadline an unreleased draft is alerted a last time
    lead_seconds: float = 15 * 60
    #: how long a draft is left to its author: a follow-up is due at once, and about to be released
    grace_seconds: float = 2 * 60


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to alert of."""

    #: unique for what it is about and how far it has got
    key: str
    kind: str
    #: the ticket, or another opaque name of what it is about
    ticket: str
    count: int = 1
    due_at: datetime | None = None
    incident_id: UUID | None = None
    notice_id: UUID | None = None
    customer_id: UUID | None = None


def raise_alert(tx: AccessTransaction, act: Act, finding: Finding, settings: AlertSettings) -> bool:
    """Store the alert, its audit entry and one mail to each person it concerns; False where it was raised before."""
    due = "" if finding.due_at is None else timestamp_text(finding.due_at)
    alert = Alert(
        id=act.identifiers.new_id(),
        key=finding.key,
        kind=finding.kind,
        raised_at=act.now,
        incident_id=finding.incident_id,
        notice_id=finding.notice_id,
        customer_id=finding.customer_id,
        what=" ".join(filter(None, (finding.ticket, str(finding.count), due))),
    )
    if not tx.add_alert(alert):
        return False
    subjects = {"alert": str(alert.id)}
    if finding.incident_id is not None:
        subjects["incident"] = str(finding.incident_id)
    if finding.notice_id is not None:
        subjects["notice"] = str(finding.notice_id)
    if finding.customer_id is not None:
        subjects["customer"] = tx.customer_pseudonym(finding.customer_id)
    entry = act.entry(
        "alert.raised",
        subjects=subjects,
        detail={"kind": finding.kind, "count": finding.count, "due_at": due or None},
    )
    tx.append_audit([entry])
    told = {settings.mailbox: (settings.provider_name, settings.language)}
    for role in (Role.ANALYST, Role.APPROVER):
        for account in tx.holders(role):
            if account.email is not None:
                told.setdefault(account.email, (account.name, account.language))
    for address, (name, language) in told.items():
        words = alert_mail(
            finding.kind, language, ticket=finding.ticket, count=finding.count, due_at=finding.due_at,
            url=settings.console_url,
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
        )
        tx.add_service_mail(mail)
    _log.warning("alert.raised", kind=finding.kind, ticket=finding.ticket, count=finding.count)
    return True


def override_finding(tx: AccessTransaction, notice: Notice) -> Finding:
    """Return what is alerted of an emergency release."""
    return Finding(
        key=f"release_overridden:{notice.id}",
        kind="release_overridden",
        ticket=_ticket(tx, notice.incident_id),
        due_at=notice.due_at,
        incident_id=notice.incident_id,
        notice_id=notice.id,
        customer_id=notice.customer_id,
    )


def findings(
    tx: AccessTransaction, now: datetime, lead: timedelta, grace: timedelta
) -> tuple[list[Finding], datetime | None]:
    """Return all that is to be alerted now and was not yet, and when an unreleased draft reaches its next stage.

    1. Unreleased drafts that reached a stage: half of their time gone, the lead before the deadline, overdue; one
       finding per incident, deadline and stage, however many customers wait.
    2. Released notices that something holds; one per incident and reason.
    3. Deliveries that failed for good; one per notice.
    4. Customers that nobody could be told at by mail.
    5. Mails of this service's own that failed for good.
    """
    found = [*_drafts(tx, now, lead, grace), *_held(tx), *_undelivered(tx), *_unreachable(tx), *_mails(tx)]
    return [item for item in found if tx.alert_by_key(item.key) is None], tx.next_draft_moment(now, lead, grace)


def _drafts(tx: AccessTransaction, now: datetime, lead: timedelta, grace: timedelta) -> list[Finding]:
    waiting: dict[tuple[UUID, datetime, str], int] = {}
    for drafts in tx.unreleased_drafts(now, now - grace, _DRAFTS_AT_ONCE):
        key = drafts.incident_id, drafts.due_at, _stage(drafts, now, lead)
        waiting[key] = waiting.get(key, 0) + drafts.count
    return [
        Finding(
            key=f"draft_unreleased:{incident_id}:{timestamp_text(due_at)}:{stage}",
            kind=f"draft_{stage}",
            ticket=_ticket(tx, incident_id),
            count=count,
            due_at=due_at,
            incident_id=incident_id,
        )
        for (incident_id, due_at, stage), count in waiting.items()
    ]


def _stage(drafts: UnreleasedDrafts, now: datetime, lead: timedelta) -> str:
    """Return the last stage that drafts of whose time half has gone reached."""
    if drafts.due_at <= now:
        return "overdue"
    return "due_soon" if drafts.due_at - lead <= now else "half_time"


def _held(tx: AccessTransaction) -> list[Finding]:
    held: dict[tuple[UUID, str], list[Notice]] = {}
    for notice in tx.released_notices(_AT_ONCE):
        if notice.hold_reason is not None:
            held.setdefault((notice.incident_id, notice.hold_reason), []).append(notice)
    return [
        Finding(
            key=f"notice_held:{incident_id}:{hashlib.sha256(reason.encode()).hexdigest()[:16]}",
            kind="notice_held",
            ticket=_ticket(tx, incident_id),
            count=len(group),
            due_at=min(notice.due_at for notice in group),
            incident_id=incident_id,
        )
        for (incident_id, reason), group in held.items()
    ]


def _undelivered(tx: AccessTransaction) -> list[Finding]:
    failed = {
        delivery.notice_id for delivery in tx.troubled_deliveries(_AT_ONCE) if delivery.state is DeliveryState.FAILED
    }
    notices = (tx.notice(notice_id) for notice_id in sorted(failed))
    return [
        Finding(
            key=f"delivery_failed:{notice.id}",
            kind="delivery_failed",
            ticket=_ticket(tx, notice.incident_id),
            due_at=notice.due_at,
            incident_id=notice.incident_id,
            notice_id=notice.id,
            customer_id=notice.customer_id,
        )
        for notice in notices
        if notice is not None
    ]


def _unreachable(tx: AccessTransaction) -> list[Finding]:
    return [
        Finding(
            # A customer that loses its contacts again is another finding.
            key=f"customer_unreachable:{customer_id}:{sum(contact.version for contact in tx.contacts(customer_id))}",
            kind="customer_unreachable",
            ticket=str(customer_id),
            customer_id=customer_id,
        )
        for customer_id in tx.customers_without_contact(_AT_ONCE)
    ]


def _mails(tx: AccessTransaction) -> list[Finding]:
    failed = [mail for mail in tx.troubled_service_mails(_AT_ONCE) if mail.state == "failed"]
    # Of an alert that could not be mailed, no further mail is sent.
    return [
        Finding(key=f"service_mail_failed:{mail.id}", kind="service_mail_failed", ticket=mail.purpose)
        for mail in failed
        if mail.purpose != "alert"
    ]


def _ticket(tx: AccessTransaction, incident_id: UUID) -> str:
    incident = tx.incident(incident_id)
    return "" if incident is None else incident.ticket


class Alerting:
    """Looks for what must be alerted, woken by commits and by the moment the next stage is reached."""

    def __init__(self, store: AccessStore, settings: AlertSettings, *, clock: Clock, identifiers: Identifiers) -> None:
        self._store, self._settings = store, settings
        self._clock, self._identifiers = clock, identifiers
        self._wake = asyncio.Event()
        self._failure: str | None = None

    def wake(self, changed: set[str]) -> None:
        """Look again after a commit; called in the event loop with the kinds of things it changed."""
        if changed & _KINDS:
            self._wake.set()

    def health(self) -> str | None:
        """Return why nothing is alerted, or None."""
        return self._failure

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._wake.clear()
            wait_seconds = _POLL_SECONDS
            try:
                following = await self.look()
                self._failure = None
                if following is not None:
                    wait_seconds = min(wait_seconds, max(0.0, (following - self._clock.now()).total_seconds()))
            except Exception as error:  # noqa: BLE001 - the loop outlives any failure; it is logged and shown
                self._failure = f"{type(error).__name__}: {error}"
                _log.error("alerting.stalled", exc_info=error)
            await _rest(self._wake, wait_seconds)
            await asyncio.sleep(_SHORTEST_SECONDS)

    async def look(self) -> datetime | None:
        """Raise what is to be alerted now; returns when an unreleased draft reaches its next stage."""
        now, lead = self._clock.now(), timedelta(seconds=self._settings.lead_seconds)
        grace = timedelta(seconds=self._settings.grace_seconds)
        new, following = await self._store.read(lambda tx: findings(tx, now, lead, grace))
        if new:
            act = Act(ACTOR, now, self._identifiers)

            def work(tx: AccessTransaction) -> None:
                for item in new:
                    raise_alert(tx, act, item, self._settings)

            await self._store.write(work)
        return following


async def _rest(woken: asyncio.Event, seconds: float) -> None:
    """Wait to be woken, so long at most."""
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return
