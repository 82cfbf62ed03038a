"""Incidents: declare, read, change facts, release, close."""

from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Body, Query, Request
from pydantic import Field, ValidationError
from starlette.responses import Response

from notifications.classification import classify
from notifications.errors import Fault, InvalidInputError, NotFoundError
from notifications.incident import Incident, IncidentFacts
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.change_incident import change_facts, close_incident, reopen_incident
from notifications.use_cases.incidents.record_incident import IncidentResult, record_incident
from service.ports.board import LISTED_CUSTOMERS_MAX, ListedIncident
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.fields import Out
from service.web.api.incidents.assessment_schemas import (
    classification_out,
)
from service.web.api.incidents.board import (
    MineFilter,
    NatureFilter,
    PriorityFilter,
    RegionFilter,
    ServiceFilter,
    TextFilter,
    filters_of,
)
from service.web.api.incidents.incident_schemas import (
    AffectedCustomerIn,
    DeclarationIn,
    FactsIn,
    IncidentOut,
    facts_json,
    incident_out,
    tally_of,
)
from service.web.api.requests import (
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    MayChangeIncidents,
    MayDeclareIncidents,
    MayReadIncidents,
    change,
    etag,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/incidents", tags=["incidents"])


class IncidentPage(Out):
    """A page of incidents, newest first."""

    items: list[IncidentOut]
    next_cursor: str | None


def _read_out(context: ApiContext, incident: Incident) -> IncidentOut:
    agreement = context.agreements.reference
    return incident_out(incident, classification_out(classify(incident.facts, agreement), agreement))


def _listed_out(context: ApiContext, listed: ListedIncident) -> IncidentOut:
    out = _read_out(context, listed.incident)
    # The excerpt also has later customers on whom the classification rests.
    first = out.facts["affected_customers"][:LISTED_CUSTOMERS_MAX]
    facts = out.facts | {"affected_customers": first}
    return out.model_copy(update={"facts": facts, "affected_customers_total": listed.customers})


def incident_answer(context: ApiContext, result: IncidentResult, status: int = 200) -> Answer:
    """Return the answer to a change: the incident with what the change came to."""
    incident = result.incident

    def out() -> IncidentOut:
        agreement = context.agreements.reference
        classification = classification_out(result.consequences.classification, agreement)
        return incident_out(incident, classification, tally_of(result))

    headers = {"ETag": etag(incident.version)}
    if status == HTTPStatus.CREATED:
        headers["Location"] = f"/api/v1/incidents/{incident.id}"
    return Answer(out, status, headers)


@router.post("", status_code=201, response_model=IncidentOut, summary="Declare an incident")
async def declare(
    request: Request,
    context: Context,
    access: MayDeclareIncidents,
    facts: DeclarationIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record and classify an incident, give it a ticket, decide for every customer, and draft the owed notices."""
    domain = facts.to_domain(context.default_language)

    def work(tx: Transaction, act: AuditContext) -> Answer:
        random_ticket = context.settings.provider.random_tickets
        result = record_incident(
            tx, act, domain, context.agreements, random_ticket=random_ticket, exercise=facts.exercise
        )
        return incident_answer(context, result, 201)

    return await change(request, access, idempotency_key, work)


@router.get("", response_model=IncidentPage, summary="List incidents")
async def list_incidents(
    context: Context,
    access: MayReadIncidents,
    state: Annotated[Literal["open", "closed"] | None, Query()] = None,
    nature: NatureFilter = None,
    priority: PriorityFilter = None,
    mine: MineFilter = False,
    service: ServiceFilter = None,
    region: RegionFilter = None,
    q: TextFilter = None,
    order: Annotated[
        Literal["newest", "due"], Query(description="`due`: nearest deadline first, those without one last.")
    ] = "newest",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return incidents, newest first."""
    filters = filters_of(
        access, state=state, nature=nature, priority=priority, mine=mine, service=service, region=region, text=q
    )

    def work(tx: AccessTransaction) -> IncidentPage:
        listed, following = tx.board.page(access.page(limit, cursor), filters, by_due=order == "due")
        items = [_listed_out(context, each) for each in listed]
        return IncidentPage.model_construct(items=items, next_cursor=access.next_cursor(following))

    return json_response(await access.read(work))


@router.get("/{incident_id}", response_model=IncidentOut, summary="Read an incident")
async def read(context: Context, access: MayReadIncidents, incident_id: UUID) -> Response:
    """Return the incident with its current facts and their classification."""
    incident = await access.read(lambda tx: tx.incidents.require(incident_id))
    return json_response(_read_out(context, incident), {"ETag": etag(incident.version)})


class FactsOut(Out):
    """One version of the facts."""

    version: int
    facts: dict[str, Any] = Field(description="As `FactsIn`.")


@router.get("/{incident_id}/facts", response_model=FactsOut, summary="Read one version of the facts")
async def read_facts(
    access: MayReadIncidents, incident_id: UUID, version: Annotated[int | None, Query(ge=1)] = None
) -> Response:
    """Return the current facts, or an earlier version."""

    def work(tx: Transaction) -> tuple[int, IncidentFacts]:
        incident = tx.incidents.require(incident_id)
        wanted = version or incident.version
        facts = tx.incidents.facts_at(incident_id, wanted)
        if facts is None:
            raise NotFoundError("version of the facts", wanted)
        return wanted, facts

    wanted, facts = await access.read(work)
    headers = {} if version else {"ETag": etag(wanted)}
    return json_response(FactsOut.model_construct(version=wanted, facts=facts_json(facts)), headers)


def merge_patch(target: Any, patch: Any) -> Any:
    """Return ``target`` with a JSON merge patch (RFC 7396) applied."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def patched_facts(context: ApiContext, facts: IncidentFacts, patch: dict[str, Any]) -> IncidentFacts:
    """Return facts with a merge patch applied; raises InvalidInputError as for complete facts."""
    try:
        model = FactsIn.model_validate(merge_patch(facts_json(facts), patch))
    except ValidationError as error:
        raise InvalidInputError(
            *(Fault(".".join(str(part) for part in item["loc"]), item["msg"]) for item in error.errors())
        ) from None
    return model.to_domain(context.default_language)


Patch = Annotated[
    dict[str, Any],
    Body(
        description="JSON merge patch (RFC 7396): what is named changes, null makes a fact unknown again.",
        examples=[{"intent": "malicious", "impact": "I1", "service_harm": {"confidentiality": "yes"}}],
    ),
]


@router.patch("/{incident_id}/facts", response_model=IncidentOut, summary="Change facts")
async def patch_facts(
    request: Request,
    context: Context,
    access: MayChangeIncidents,
    incident_id: UUID,
    patch: Patch,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Classify and decide again. Customers newly owed get a notice; notified ones get an update or a correction."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        incident = tx.incidents.require(incident_id)
        version = expected_version(if_match, lambda: incident.version)
        facts = patched_facts(context, incident.facts, patch)
        return incident_answer(context, change_facts(tx, act, incident_id, version, facts, context.agreements))

    return await change(request, access, idempotency_key, work)


@router.put(
    "/{incident_id}/affected-customers/{customer_id}",
    response_model=IncidentOut,
    summary="State how one customer is affected",
)
async def put_affected_customer(
    request: Request,
    context: Context,
    access: MayChangeIncidents,
    incident_id: UUID,
    customer_id: UUID,
    stated: AffectedCustomerIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Add or replace the entry of one customer. The other facts do not change."""
    if stated.customer_id != customer_id:
        raise InvalidInputError(Fault("customer_id", "differs from the one in the path"))

    def work(tx: Transaction, act: AuditContext) -> Answer:
        incident = tx.incidents.require(incident_id)
        version = expected_version(if_match, lambda: incident.version)
        others = [
            item for item in facts_json(incident.facts)["affected_customers"] if item["customer_id"] != str(customer_id)
        ]
        patch = {"affected_customers": [*others, stated.model_dump(mode="json")]}
        facts = patched_facts(context, incident.facts, patch)
        return incident_answer(context, change_facts(tx, act, incident_id, version, facts, context.agreements))

    return await change(request, access, idempotency_key, work)


@router.post("/{incident_id}/close", response_model=IncidentOut, summary="Close an incident")
async def close(
    request: Request,
    context: Context,
    access: MayChangeIncidents,
    incident_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Close the incident and draft a final notice for every notified customer; 409 while a verdict is pending."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.incidents.require(incident_id).version)
        return incident_answer(context, close_incident(tx, act, incident_id, version, context.agreements))

    return await change(request, access, idempotency_key, work)


@router.post("/{incident_id}/reopen", response_model=IncidentOut, summary="Reopen a closed incident")
async def reopen(
    request: Request,
    context: Context,
    access: MayChangeIncidents,
    incident_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Open the incident again, so that customers are notified of facts that were found later."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        version = expected_version(if_match, lambda: tx.incidents.require(incident_id).version)
        return incident_answer(context, reopen_incident(tx, act, incident_id, version, context.agreements))

    return await change(request, access, idempotency_key, work)
