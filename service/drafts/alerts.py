"""An alert opens a draft, a repeated one updates it, a resolved one closes it. No alert declares an incident."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.errors import GreffierError
from notifications.use_cases.audit_context import AuditContext
from notifications.wording.formats import on_one_line, visible
from service.crypto.secret_box import SecretBox
from service.drafts.drafts import DraftContent, content_of, sealed
from service.ports.drafts import Draft
from service.ports.store import AccessTransaction
from service.settings.incoming_alerts import IncomingAlertSettings

#: Who changed a draft last where no person did.
ACTOR = "system:alerts"
_TITLE_CHARACTERS, _TEXT_CHARACTERS = 200, 20_000
#: A draft whose alert is repeated is kept, but not written at every repetition.
_KEEP_ALIVE = timedelta(days=1)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,99}")
_SEPARATORS = re.compile(r"[\s,;]+")


class AlertOutcome(StrEnum):
    """What became of an alert."""

    #: a draft was made
    OPENED = "opened"
    #: its draft has the new words
    UPDATED = "updated"
    #: nothing differs from what is there
    UNCHANGED = "unchanged"
    #: a person has declared or discarded the draft of this alert, and it still fires
    ANSWERED = "answered"
    #: it is over, and its draft, which no person had changed, is erased
    CLOSED = "closed"
    #: it is over, and its draft, which a person works on, says so
    RESOLVED = "resolved"


class TooManyDraftsError(GreffierError):
    """As many drafts of alerts wait as the settings allow."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of another system, as far as it matters here."""

    #: ``alertmanager`` or ``cloudevents``
    system: str
    #: names the alert in its system, the same whenever it is repeated
    fingerprint: str
    is_resolved: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    started_at: datetime | None
    ended_at: datetime | None = None
    #: where it comes from, for a person
    url: str = ""

    def key(self, sender: str) -> str:
        """Return the digest by which its draft is found: each sender has fingerprints of its own."""
        return _digest(self.system, self.fingerprint, sender)

    @property
    def earlier_key(self) -> str:
        """The digest as earlier releases made it, without the sender."""
        return _digest(self.system, self.fingerprint)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class AlertReception:
    """What receiving alerts needs beside the alert."""

    settings: IncomingAlertSettings
    secret_box: SecretBox
    #: the language that the words of alerts are taken to be in
    language: str


def receive_alert(
    tx: AccessTransaction, act: AuditContext, reception: AlertReception, alert: Alert
) -> tuple[AlertOutcome, UUID | None]:
    """Open, update or close the draft of an alert of the account that acts; return what was done, and the draft.

    1. A resolved alert closes its draft. What a person has changed stays, marked as resolved.
    2. A firing alert without a draft opens one, with an entry in the log. Raises TooManyDraftsError.
    3. A draft that a person declared or discarded is not opened again while the same alert still fires.
    4. Otherwise the alert changes its draft. It changes no word that a person wrote.
    """
    # A draft of an earlier release ends as it began.
    draft = tx.drafts.by_alert(alert.key(act.actor)) or tx.drafts.by_alert(alert.earlier_key)
    # 1.
    if alert.is_resolved:
        return _resolve(tx, act, alert, draft)
    # 2.
    content = DraftContent(facts_of(alert, reception), alert=shown_alert(alert))
    if draft is None:
        _verify_place(tx, reception)
        return AlertOutcome.OPENED, _open(tx, act, reception, alert, content)
    # 3.
    if draft.closed_at is not None:
        if not _fires_anew(draft, alert):
            _keep_alive(tx, act, draft)
            return AlertOutcome.ANSWERED, None
        _verify_place(tx, reception)
        tx.drafts.remove(draft.id)
        return AlertOutcome.OPENED, _open(tx, act, reception, alert, content)
    # 4.
    return _update(tx, act, reception, draft, alert, content), draft.id


def _verify_place(tx: AccessTransaction, reception: AlertReception) -> None:
    most = reception.settings.open_drafts
    if tx.drafts.alerts_count() >= most:
        raise TooManyDraftsError(f"{most} drafts of alerts wait already: declare or discard some")


def _resolve(
    tx: AccessTransaction, act: AuditContext, alert: Alert, draft: Draft | None
) -> tuple[AlertOutcome, UUID | None]:
    if draft is None:
        return AlertOutcome.UNCHANGED, None
    if draft.closed_at is not None:
        tx.drafts.remove(draft.id)
        return AlertOutcome.CLOSED, None
    if not draft.is_touched:
        tx.drafts.remove(draft.id)
        tx.audit.append([act.entry("draft.closed", subjects={"draft": str(draft.id)})])
        return AlertOutcome.CLOSED, None
    if draft.resolved_at is not None:
        return AlertOutcome.UNCHANGED, draft.id
    resolved_at = alert.ended_at or act.now
    tx.drafts.save(replace(draft, resolved_at=resolved_at, version=draft.version + 1), draft.version)
    return AlertOutcome.RESOLVED, draft.id


def _open(
    tx: AccessTransaction, act: AuditContext, reception: AlertReception, alert: Alert, content: DraftContent
) -> UUID:
    draft_id = act.identifiers.new_id()
    tx.drafts.add(
        Draft(
            draft_id,
            None,
            alert.key(act.actor),
            sealed(reception.secret_box, draft_id, content),
            act.now,
            act.now,
            ACTOR,
            fired_at=alert.started_at,
        )
    )
    subjects, detail = {"draft": str(draft_id)}, {"system": alert.system, "alert": alert.key(act.actor)}
    tx.audit.append([act.entry("draft.opened", subjects=subjects, detail=detail)])
    return draft_id


def _fires_anew(draft: Draft, alert: Alert) -> bool:
    return alert.started_at is not None and (draft.fired_at is None or alert.started_at > draft.fired_at)


def _keep_alive(tx: AccessTransaction, act: AuditContext, draft: Draft) -> bool:
    """Keep a draft from expiring while its alert is repeated; returns whether it was written."""
    if act.now - draft.changed_at < _KEEP_ALIVE:
        return False
    tx.drafts.save(replace(draft, changed_at=act.now, version=draft.version + 1), draft.version)
    return True


def _update(
    tx: AccessTransaction,
    act: AuditContext,
    reception: AlertReception,
    draft: Draft,
    alert: Alert,
    content: DraftContent,
) -> AlertOutcome:
    before = content_of(reception.secret_box, draft)
    if draft.is_touched:
        # A person's words stay, and so does who changed them last.
        content = replace(before, alert=content.alert)
    if content == before and draft.resolved_at is None:
        return AlertOutcome.UPDATED if _keep_alive(tx, act, draft) else AlertOutcome.UNCHANGED
    changed = replace(
        draft,
        sealed=sealed(reception.secret_box, draft.id, content),
        changed_at=act.now if not draft.is_touched else draft.changed_at,
        resolved_at=None,
        fired_at=alert.started_at,
        version=draft.version + 1,
    )
    tx.drafts.save(changed, draft.version)
    return AlertOutcome.UPDATED


def shown_alert(alert: Alert) -> dict[str, Any]:
    """Return an alert as its draft shows it to a person."""
    shown: dict[str, Any] = {"system": alert.system, "fingerprint": alert.fingerprint}
    if alert.started_at is not None:
        shown["started_at"] = timestamp_text(alert.started_at)
    if alert.url:
        shown["url"] = alert.url
    return shown | {"labels": dict(alert.labels), "annotations": dict(alert.annotations)}


def facts_of(alert: Alert, reception: AlertReception) -> dict[str, Any]:
    """Return the facts that an alert states by its labels and annotations, in the shape of ``FactsIn``.

    The moment of awareness is not among them: a person becomes aware. What is no code of a service, region or zone is
    left out; the draft shows every label beside the facts.
    """
    settings, language = reception.settings, reception.language
    said = {**alert.labels, **alert.annotations}
    facts: dict[str, Any] = {}
    if title := on_one_line(_first(said, settings.title))[:_TITLE_CHARACTERS].strip():
        facts["title"] = {language: title}
    if summary := visible(_first(said, settings.summary))[:_TEXT_CHARACTERS].strip():
        facts["summary"] = {language: summary}
    if alert.started_at is not None:
        facts["detected_at"] = timestamp_text(alert.started_at)
    for fact in ("services", "regions", "availability_zones"):
        if names := tuple(dict.fromkeys(_codes(alert.labels, getattr(settings, fact)))):
            facts[fact] = list(names)
    if impact := settings.impacts.get(_first(alert.labels, settings.severity).casefold()):
        facts["impact"] = impact
    return facts


def _first(said: Mapping[str, str], names: Sequence[str]) -> str:
    return next((said[name] for name in names if said.get(name, "").strip()), "")


def _codes(labels: Mapping[str, str], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        yield from (code for code in _SEPARATORS.split(labels.get(name, "")) if _CODE.fullmatch(code))
