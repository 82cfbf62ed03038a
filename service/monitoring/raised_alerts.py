"""Alerts that were raised: who got a mail about each, and who saw it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from uuid import UUID

from notifications.errors import NotFoundError, StateConflictError
from notifications.ports import Page
from notifications.use_cases.audit_context import AuditContext
from service.monitoring.notice_findings import WITHOUT_INCIDENT
from service.ports.alerts import Alert
from service.ports.mails import ServiceMail
from service.ports.store import AccessTransaction

#: The kinds for callers who may not read incidents, in a fixed order.
_KINDS_WITHOUT_INCIDENT = tuple(sorted(WITHOUT_INCIDENT))


@dataclass(frozen=True, slots=True)
class RaisedAlert(Alert):
    """An alert with the mails about it."""

    mailed: Sequence[ServiceMail] = ()

    @property
    def is_settled(self) -> bool:
        """Whether the service closed it itself, because its cause is over or is shown elsewhere."""
        return self.seen_by is not None and self.seen_by.startswith("system:")


def raised_alerts(
    tx: AccessTransaction, page: Page, *, reads_incidents: bool, unseen: bool
) -> tuple[list[RaisedAlert], str | None]:
    """Return alerts, newest first; without the right to read incidents, those that are about none."""
    found, following = tx.alerts.page(page, None if reads_incidents else _KINDS_WITHOUT_INCIDENT, unseen=unseen)
    mails = {each: tx.mails.of_mailing(each) for each in {item.mailing_id for item in found} if each is not None}
    return [_with_mails(item, () if item.mailing_id is None else mails[item.mailing_id]) for item in found], following


def see_alert(tx: AccessTransaction, act: AuditContext, alert_id: UUID, *, reads_incidents: bool) -> Alert:
    """Record who saw an alert first, with its entry; return it as it is then.

    Raises NotFoundError, and StateConflictError for an emergency release, which is reviewed instead.
    """
    alert = tx.alerts.get(alert_id)
    if alert is None or not (reads_incidents or alert.kind in WITHOUT_INCIDENT):
        raise NotFoundError("alert", alert_id)
    if alert.kind == "release_overridden":
        raise StateConflictError("an emergency release is reviewed: POST /notices/{notice_id}/override-review")
    if alert.seen_at is not None:
        return alert
    tx.alerts.mark_seen(alert_id, act.now, act.actor)
    tx.audit.append([
        act.entry("alert.seen", subjects={"alert": str(alert_id)}, detail={"kind": alert.kind}),
    ])  # fmt: skip
    return replace(alert, seen_at=act.now, seen_by=act.actor)


def _with_mails(alert: Alert, mails: Sequence[ServiceMail]) -> RaisedAlert:
    return RaisedAlert(**{item.name: getattr(alert, item.name) for item in fields(alert)}, mailed=mails)
