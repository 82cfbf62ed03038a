"""Incidents: declare, read, change facts, assess, release, close."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Request
from pydantic import Field, ValidationError
from starlette.responses import Response

from notifications.classification import classify
from notifications.decision import Verdict
from notifications.errors import Fault, InvalidInputError, NotFoundError
from notifications.incident import Incident, IncidentFacts
from notifications.ports import Transaction
from notifications.use_cases.act import Act
from notifications.use_cases.change_incident import change_facts, close_incident, reopen_incident
from notifications.use_cases.dry_run import IncidentDryRun, dry_run_incident
from notifications.use_cases.record_incident import IncidentResult, record_incident
from notifications.use_cases.release_notice import release_drafts
from service.api.assessment_schemas import (
    ClassificationOut,
    DecisionOut,
    StoredDecisionOut,
    classification_out,
    decision_out,
    stored_decision_out,
)
from service.api.fields import Out
from service.api.incident_schemas import (
    AffectedCustomerIn,
    FactsIn,
    IncidentOut,
    facts_json,
    incident_out,
    tally_of,
)
from service.api.notice_schemas import NoticeOut, notice_out
from service.api.requests import (
    Actor,
    Answer,
    ApiContext,
    Context,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    change,
    etag,
    expected_version,
    json_response,
    page_of,
)

router = APIRouter(prefix="/incidents", tags=["incidents"])


class IncidentPage(Out):
    """A page of incidents, newest first."""

    items: list[IncidentOut]
    next_cursor: str | None


class AssessmentPage(Out):
    """The latest decision per customer, told and not told alike."""

    items: list[StoredDecisionOut]
    next_cursor: str | None


class DryRunOut(Out):
    """Who would be told, who would not, and why. Nothing was recorded."""

    classification: ClassificationOut
    tally: dict[str, int]
    assessments: list[DecisionOut] = Field(description="One per customer, by registration.")


class NoticeList(Out):
    """Notices of an incident."""

    items: list[NoticeOut]


def _found(tx: Transaction, incident_id: UUID) -> Incident:
    incident = tx.incident(incident_id)
    if incident is None:
        raise NotFoundError("incident", incident_id)
    return incident


def _read_out(context: ApiContext, incident: Incident) -> IncidentOut:
    agreement = context.agreements.reference
    return incident_out(incident, classification_out(classify(incident.facts, agreement), agreement))


def _answer(context: ApiContext, result: IncidentResult, status: int = 200) -> Answer:
    incident = result.incident
    out = incident_out(
        incident,
        classification_out(result.consequences.classification, context.agreements.reference),
        tally_of(result),
    )
    headers = {"ETag": etag(incident.version)}
    if status == 201:  # noqa: PLR2004 - created
        headers["Location"] = f"/api/v1/incidents/{incident.id}"
    return Answer(out, status, headers)


@router.post("", status_code=201, response_model=IncidentOut, summary="Declare an incident")
async def declare(
    request: Request, context: Context, actor: Actor, facts: FactsIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Record it, give it a ticket, classify it, decide for every customer and draft the notices that are owed."""
    domain = facts.to_domain(context.default_language)

    def work(tx: Transaction, act: Act) -> Answer:
        return _answer(context, record_incident(tx, act, domain, context.agreements), 201)

    return await change(request, context, actor, idempotency_key, work)


@router.post("/validate", response_model=ClassificationOut, summary="Validate and classify facts, record nothing")
async def validate(context: Context, facts: FactsIn) -> Response:
    """Check the facts as declaring them would, apart from the customers, and return how the agreement reads them."""
    from notifications.incident import validate_facts  # noqa: PLC0415

    domain = facts.to_domain(context.default_language)
    validate_facts(domain, context.agreements.reference, context.clock.now())
    agreement = context.agreements.reference
    return json_response(classification_out(classify(domain, agreement), agreement))


@router.post("/dry-run", response_model=DryRunOut, summary="Who would be told of these facts")
async def dry_run(context: Context, facts: FactsIn) -> Response:
    """Classify and decide as declaring would, and record nothing."""
    domain = facts.to_domain(context.default_language)
    now = context.clock.now()
    result = await context.unit_of_work.read(lambda tx: dry_run_incident(tx, now, domain, context.agreements))
    return json_response(_dry_run_out(context, result))


def _dry_run_out(context: ApiContext, result: IncidentDryRun) -> DryRunOut:
    tally = {verdict.value: 0 for verdict in Verdict}
    for _, decision in result.outcomes:
        tally[decision.verdict.value] += 1
    return DryRunOut.model_construct(
        classification=classification_out(result.classification, context.agreements.reference),
        tally=tally,
        assessments=[decision_out(customer, decision) for customer, decision in result.outcomes],
    )


@router.get("", response_model=IncidentPage, summary="List incidents")
async def list_incidents(
    context: Context,
    state: Annotated[str | None, Query(pattern="^(open|closed)$")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return incidents, newest first."""
    incidents, following = await context.unit_of_work.read(lambda tx: tx.incidents(page_of(limit, cursor), state=state))
    return json_response(
        IncidentPage.model_construct(items=[_read_out(context, item) for item in incidents], next_cursor=following)
    )


@router.get("/{incident_id}", response_model=IncidentOut, summary="Read an incident")
async def read(context: Context, incident_id: UUID) -> Response:
    """Return the incident with the facts in force and how the agreement reads them."""
    incident = await context.unit_of_work.read(lambda tx: _found(tx, incident_id))
    return json_response(_read_out(context, incident), {"ETag": etag(incident.version)})


class FactsOut(Out):
    """One version of the facts."""

    version: int
    facts: dict[str, Any] = Field(description="As `FactsIn`.")


@router.get("/{incident_id}/facts", response_model=FactsOut, summary="Read one version of the facts")
async def read_facts(
    context: Context, incident_id: UUID, version: Annotated[int | None, Query(ge=1)] = None
) -> Response:
    """Return the facts in force, or an earlier version of them."""

    def work(tx: Transaction) -> tuple[int, IncidentFacts]:
        incident = _found(tx, incident_id)
        wanted = version or incident.version
        facts = tx.facts_at(incident_id, wanted)
        if facts is None:
            raise NotFoundError("version of the facts", wanted)
        return wanted, facts

    wanted, facts = await context.unit_of_work.read(work)
    headers = {} if version else {"ETag": etag(wanted)}
    return json_response(FactsOut.model_construct(version=wanted, facts=facts_json(facts)), headers)


def merge_patch(target: Any, patch: Any) -> Any:
    """Return ``target`` changed by a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def _patched(context: ApiContext, facts: IncidentFacts, patch: dict[str, Any]) -> IncidentFacts:
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
    actor: Actor,
    incident_id: UUID,
    patch: Patch,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Re-classify and re-decide: newly owed customers get a notice, those already told an update or a correction."""

    def work(tx: Transaction, act: Act) -> Answer:
        incident = _found(tx, incident_id)
        version = expected_version(if_match, lambda: incident.version)
        facts = _patched(context, incident.facts, patch)
        return _answer(context, change_facts(tx, act, incident_id, version, facts, context.agreements))

    return await change(request, context, actor, idempotency_key, work)


@router.put(
    "/{incident_id}/affected-customers/{customer_id}",
    response_model=IncidentOut,
    summary="State how one customer is affected",
)
async def put_affected_customer(
    request: Request,
    context: Context,
    actor: Actor,
    incident_id: UUID,
    customer_id: UUID,
    stated: AffectedCustomerIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Add or replace what is stated of one customer; the other facts stay as they are."""
    if stated.customer_id != customer_id:
        raise InvalidInputError(Fault("customer_id", "differs from the one in the path"))

    def work(tx: Transaction, act: Act) -> Answer:
        incident = _found(tx, incident_id)
        version = expected_version(if_match, lambda: incident.version)
        others = [
            item for item in facts_json(incident.facts)["affected_customers"] if item["customer_id"] != str(customer_id)
        ]
        patch = {"affected_customers": [*others, stated.model_dump(mode="json")]}
        facts = _patched(context, incident.facts, patch)
        return _answer(context, change_facts(tx, act, incident_id, version, facts, context.agreements))

    return await change(request, context, actor, idempotency_key, work)


@router.post("/{incident_id}/dry-run", response_model=DryRunOut, summary="Who would be told if these facts changed")
async def dry_run_change(context: Context, incident_id: UUID, patch: Patch) -> Response:
    """Classify and decide as changing the facts would, and record nothing."""
    now = context.clock.now()

    def work(tx: Transaction) -> IncidentDryRun:
        facts = _patched(context, _found(tx, incident_id).facts, patch)
        return dry_run_incident(tx, now, facts, context.agreements)

    return json_response(_dry_run_out(context, await context.unit_of_work.read(work)))


@router.get("/{incident_id}/classification", response_model=ClassificationOut, summary="Why it is what it is")
async def read_classification(
    context: Context,
    incident_id: UUID,
    agreement_id: Annotated[str | None, Query(description="The provider's reference agreement by default.")] = None,
) -> Response:
    """Return nature, legal basis clause by clause, priority, and what the open facts could still change."""
    incident = await context.unit_of_work.read(lambda tx: _found(tx, incident_id))
    agreement = context.agreements.named(agreement_id or context.agreements.reference_id)
    return json_response(classification_out(classify(incident.facts, agreement), agreement))


@router.get("/{incident_id}/assessments", response_model=AssessmentPage, summary="Decisions per customer")
async def list_assessments(
    context: Context,
    incident_id: UUID,
    verdict: Verdict | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return the latest decision per customer: who is told, who is not, who waits, and why."""

    def work(tx: Transaction) -> tuple[list[StoredDecisionOut], str | None]:
        _found(tx, incident_id)
        decisions, following = tx.decisions(
            incident_id, page_of(limit, cursor), verdict=verdict.value if verdict else None
        )
        items = []
        for stored in decisions:
            customer = tx.customer(stored.decision.customer_id)
            if customer is not None:
                items.append(stored_decision_out(customer, stored))
        return items, following

    items, following = await context.unit_of_work.read(work)
    return json_response(AssessmentPage.model_construct(items=items, next_cursor=following))


@router.get(
    "/{incident_id}/assessments/{customer_id}",
    response_model=StoredDecisionOut,
    summary="The decision for one customer",
)
async def read_assessment(context: Context, incident_id: UUID, customer_id: UUID) -> Response:
    """Return the latest decision for one customer."""

    def work(tx: Transaction) -> StoredDecisionOut:
        _found(tx, incident_id)
        customer = tx.customer(customer_id)
        stored = tx.current_decisions(incident_id).get(customer_id)
        if customer is None or stored is None:
            raise NotFoundError("assessment of customer", customer_id)
        return stored_decision_out(customer, stored)

    return json_response(await context.unit_of_work.read(work))


@router.get("/{incident_id}/notices", response_model=NoticeList, summary="Notices of an incident")
async def list_notices(context: Context, incident_id: UUID) -> Response:
    """Return every notice of the incident, drafts and withdrawn ones too, by customer and sequence."""

    def work(tx: Transaction) -> list[NoticeOut]:
        _found(tx, incident_id)
        return [notice_out(notice) for notice in tx.notices_of_incident(incident_id)]

    return json_response(NoticeList.model_construct(items=await context.unit_of_work.read(work)))


@router.post("/{incident_id}/release", response_model=NoticeList, summary="Release every draft of an incident")
async def release(
    request: Request,
    context: Context,
    actor: Actor,
    incident_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Release all drafts or none. If-Match is the incident's ETag: what was reviewed is what goes out."""

    def work(tx: Transaction, act: Act) -> Answer:
        version = expected_version(if_match, lambda: _found(tx, incident_id).version)
        released = release_drafts(tx, act, incident_id, version)
        return Answer(NoticeList.model_construct(items=[notice_out(notice) for notice in released]))

    return await change(request, context, actor, idempotency_key, work)


@router.post("/{incident_id}/close", response_model=IncidentOut, summary="Close an incident")
async def close(
    request: Request,
    context: Context,
    actor: Actor,
    incident_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Close it and draft a final notice for every customer told; refused while a customer's verdict is pending."""

    def work(tx: Transaction, act: Act) -> Answer:
        version = expected_version(if_match, lambda: _found(tx, incident_id).version)
        return _answer(context, close_incident(tx, act, incident_id, version, context.agreements))

    return await change(request, context, actor, idempotency_key, work)


@router.post("/{incident_id}/reopen", response_model=IncidentOut, summary="Reopen a closed incident")
async def reopen(
    request: Request,
    context: Context,
    actor: Actor,
    incident_id: UUID,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Open it again, so that facts found later reach the customers."""

    def work(tx: Transaction, act: Act) -> Answer:
        version = expected_version(if_match, lambda: _found(tx, incident_id).version)
        return _answer(context, reopen_incident(tx, act, incident_id, version, context.agreements))

    return await change(request, context, actor, idempotency_key, work)
