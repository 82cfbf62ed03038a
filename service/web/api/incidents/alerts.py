"""Alerts of other systems, by Alertmanager's webhook or as a CloudEvent: each opens, updates or closes a draft."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote
from uuid import UUID

import structlog
from fastapi import Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError
from notifications.use_cases.audit_context import AuditContext
from service.drafts.alerts import Alert, AlertReception, TooManyDraftsError, receive_alert
from service.ports.store import AccessTransaction
from service.web.api.errors import HttpProblemError
from service.web.api.fields import Out
from service.web.api.requests import Answer, Context, IdempotencyKey, MayDeclareIncidents, change
from service.web.api.schemas import api_router

_log = structlog.get_logger(__name__)

router = api_router("/api/v1/alerts", tags=["alerts"])

_JSON, _EVENT = "application/json", "application/cloudevents+json"
_LABELS_MAX = 100

LabelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LabelValue = Annotated[str, StringConstraints(max_length=10_000)]
Labels = Annotated[dict[LabelName, LabelValue], Field(max_length=_LABELS_MAX)]
Fingerprint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:/-]{0,200}$")]


class _Message(BaseModel):
    """Root of what other systems send: what they add later is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


_MessageT = TypeVar("_MessageT", bound=_Message)


class AlertIn(_Message):
    """One alert of Alertmanager's webhook."""

    status: Literal["firing", "resolved"]
    labels: Labels
    annotations: Labels = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(None, alias="endsAt")
    generator_url: Annotated[str, StringConstraints(max_length=5_000)] = Field("", alias="generatorURL")
    #: releases before 0.16 send none
    fingerprint: Fingerprint = ""

    def to_alert(self) -> Alert:
        """Return the alert."""
        return Alert(
            system="alertmanager",
            fingerprint=self.fingerprint or _digest_of(self.labels),
            is_resolved=self.status == "resolved",
            labels=self.labels,
            annotations=self.annotations,
            started_at=_utc(self.starts_at),
            ended_at=_utc(self.ends_at) if self.status == "resolved" else None,
            url=self.generator_url,
        )


class AlertmanagerIn(_Message):
    """The message of Alertmanager's webhook, version 4.

    Source: Prometheus documentation, Alerting, Configuration, ``<webhook_config>``
    (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config), and ``template/template.go`` of
    Alertmanager. A firing alert has the year 1 as its end, so ``endsAt`` counts only where it is resolved.
    """

    version: Literal["4"]
    status: Literal["firing", "resolved"] = "firing"
    group_key: Annotated[str, StringConstraints(max_length=20_000)] = Field("", alias="groupKey")
    truncated_alerts: int = Field(0, ge=0, alias="truncatedAlerts")
    alerts: list[AlertIn]


_Attribute = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]


class CloudEventIn(_Message):
    """A CloudEvent, version 1.0, in structured mode; in binary mode the attributes are headers.

    Source: CloudEvents 1.0.2, sections "Required attributes" and "Optional attributes"; JSON event format 3.1; HTTP
    protocol binding 3.1 (binary: ``ce-`` headers, values percent-encoded) and 3.2 (structured)
    (https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents).
    """

    specversion: Literal["1.0"]
    id: _Attribute
    source: _Attribute
    type: _Attribute
    subject: _Attribute | None = None
    time: AwareDatetime | None = None
    datacontenttype: Annotated[str, StringConstraints(max_length=200)] | None = None
    data: Any = None
    data_base64: Annotated[str, StringConstraints(max_length=2_000_000)] | None = None


class EventData(_Message):
    """What an event says of an alert: as one alert of Alertmanager, or any object; its texts and numbers are labels."""

    status: Annotated[str, StringConstraints(max_length=200)] = "firing"
    labels: Labels = {}
    annotations: Labels = {}
    starts_at: AwareDatetime | None = Field(None, alias="startsAt")
    ends_at: AwareDatetime | None = Field(None, alias="endsAt")
    fingerprint: Fingerprint = ""


class AlertOut(Out):
    """What became of one alert."""

    fingerprint: str
    outcome: str = Field(
        description="`opened`, `updated`, `unchanged`, `answered` (a person declared or discarded its draft), `closed`"
        " (over, draft erased), `resolved` (over, a person works on the draft)."
    )
    draft_id: UUID | None


class AlertsOut(Out):
    """What became of each alert, in the order in which they came."""

    items: list[AlertOut]
    truncated: int = Field(description="Alerts that the sender says it left out.")


_DESCRIPTION = {
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {
                "schema": {
                    "type": "object",
                    "description": "Alertmanager's webhook, version 4; or the data of a CloudEvent in binary mode.",
                    "additionalProperties": True,
                },
                "example": {
                    "version": "4",
                    "status": "firing",
                    "groupKey": '{}:{alertname="DiskFull"}',
                    "alerts": [
                        {
                            "status": "firing",
                            "labels": {"alertname": "DiskFull", "service": "dns", "severity": "critical"},
                            "annotations": {"summary": "Disk is full"},
                            "startsAt": "2026-11-29T01:40:00Z",
                            "endsAt": "0001-01-01T00:00:00Z",
                            "fingerprint": "1a30ba71cca2921f",
                        }
                    ],
                },
            },
            _EVENT: {"schema": {"type": "object", "additionalProperties": True}},
        },
    }
}


@router.post("", response_model=AlertsOut, summary="Take alerts of other systems as drafts", openapi_extra=_DESCRIPTION)
async def receive_alerts(
    request: Request, context: Context, access: MayDeclareIncidents, idempotency_key: IdempotencyKey = None
) -> Response:
    """Open, update or close a draft for each alert; nothing is declared, and nobody is notified.

    All alerts of a request or none. The same request again changes nothing. 503 where too many drafts wait already.
    """
    settings = context.settings.incoming_alerts
    alerts, truncated = await _alerts_of(request, settings.alerts_per_request)
    if truncated:
        _log.warning("alerts.truncated", count=truncated, by="the sender")
    reception = AlertReception(settings, context.secret_box, context.default_language)

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        items = []
        for alert in alerts:
            outcome, draft_id = receive_alert(tx, act, reception, alert)
            items.append(
                AlertOut.model_construct(fingerprint=alert.fingerprint, outcome=outcome.value, draft_id=draft_id)
            )
        return Answer(AlertsOut.model_construct(items=items, truncated=truncated))

    try:
        return await change(request, access, idempotency_key, work)
    except TooManyDraftsError as error:
        _log.error("alerts.refused", count=len(alerts), reason=str(error))
        raise HttpProblemError(503, str(error)) from None


async def _alerts_of(request: Request, most: int) -> tuple[list[Alert], int]:
    """Return the alerts of a request, and how many its sender left out.

    1. A content type of CloudEvents means structured mode, also beside ``ce-`` headers.
    2. ``ce-specversion`` means binary mode: the body is the data.
    3. Otherwise the body is the message of Alertmanager.

    Raises HttpProblemError for another content type (415) and for no JSON (400), InvalidInputError with the index of
    the alert for what breaks a rule.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    # 1.
    if kind == _EVENT:
        return [_event_alert(_validated(CloudEventIn, _parsed(body)))], 0
    # 2.
    if "ce-specversion" in request.headers:
        if body and not _is_json(kind):
            raise HttpProblemError(415, f"the data of an event must be {_JSON}")
        attributes = {
            name.removeprefix("ce-"): unquote(value)
            for name, value in request.headers.items()
            if name.startswith("ce-") and name not in {"ce-data", "ce-data_base64"}
        }
        event = _validated(CloudEventIn, attributes | ({"data": _parsed(body)} if body else {}))
        return [_event_alert(event)], 0
    # 3.
    if kind != _JSON:
        raise HttpProblemError(415, f"the body must be {_JSON} or {_EVENT}")
    message = _parsed(body)
    listed = message.get("alerts") if isinstance(message, dict) else None
    if isinstance(listed, list) and len(listed) > most:
        raise InvalidInputError(Fault("alerts", f"must not have more than {most} entries, not {len(listed)}"))
    found = _validated(AlertmanagerIn, message)
    return [alert.to_alert() for alert in found.alerts], found.truncated_alerts


def _is_json(kind: str) -> bool:
    return kind == _JSON or (kind.startswith("application/") and kind.endswith("+json"))


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise HttpProblemError(400, "the body is not valid JSON") from None


def _validated(model: type[_MessageT], message: Any) -> _MessageT:
    try:
        return model.model_validate(message)
    except ValidationError as error:
        raise InvalidInputError(*_faults(error)) from None


def _faults(error: ValidationError, prefix: str = "") -> Iterable[Fault]:
    for item in error.errors()[:50]:
        # The key of a mapping that is wrong is shown as pydantic's "[key]".
        path = [str(part)[:200] for part in item["loc"] if part != "[key]"]
        yield Fault(".".join([*([prefix] if prefix else []), *path]), item["msg"])


def _event_alert(event: CloudEventIn) -> Alert:
    """Return the alert that an event states; raises InvalidInputError.

    It is named by its fingerprint, else by source and subject, which are the same in each repetition, else by its id.
    """
    data = _data_of(event)
    try:
        said = EventData.model_validate(data)
    except ValidationError as error:
        raise InvalidInputError(*_faults(error, "data")) from None
    others = {
        name: str(value)
        for name, value in data.items()
        if isinstance(value, str | int | float) and name not in {"status", "startsAt", "endsAt", "fingerprint"}
    }
    try:
        labels = TypeAdapter(Labels).validate_python({"title": event.subject or event.type} | others | said.labels)
    except ValidationError as error:
        raise InvalidInputError(*_faults(error, "data")) from None
    named = said.fingerprint or event.subject or event.id
    return Alert(
        system="cloudevents",
        fingerprint=named if said.fingerprint else _digest_of({"source": event.source, "named": named}),
        is_resolved=said.status.lower() == "resolved",
        labels=labels | {"ce_type": event.type, "ce_source": event.source},
        annotations=said.annotations,
        started_at=_utc(said.starts_at or event.time),
        ended_at=_utc(said.ends_at),
    )


def _data_of(event: CloudEventIn) -> dict[str, Any]:
    if event.datacontenttype and not _is_json(event.datacontenttype.partition(";")[0].strip().lower()):
        raise InvalidInputError(Fault("datacontenttype", f"must be {_JSON}"))
    data = event.data
    if event.data_base64 is not None:
        if data is not None:
            raise InvalidInputError(Fault("data_base64", "must not be there beside data"))
        try:
            data = json.loads(base64.b64decode(event.data_base64, validate=True))
        except (binascii.Error, ValueError, RecursionError):
            raise InvalidInputError(Fault("data_base64", "must be JSON in base64")) from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidInputError(Fault("data", "must be an object"))
    return data


def _digest_of(labels: dict[str, str]) -> str:
    canonical = json.dumps(sorted(labels.items()), separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:32]


def _utc(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC; None for one outside the years that there are, such as the year 1 in another zone."""
    if moment is None:
        return None
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None
