"""Assessments of facts: classification, decisions per customer, dry runs."""

import hashlib
from collections import Counter
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from pydantic import Field
from starlette.responses import Response

from notifications.classification import classify
from notifications.decision import Verdict, carrying
from notifications.errors import NotFoundError
from notifications.incident import validate_facts
from notifications.ports import Page, Transaction
from notifications.use_cases.incidents.dry_run import Foresight, IncidentDryRun, dry_run_incident, foresee_incident
from notifications.use_cases.incidents.other_agreements import other_classifications
from service.auth.route_guard import Access
from service.web.api.context import ApiContext
from service.web.api.fields import Moment, Out
from service.web.api.incidents.assessment_schemas import (
    ClassificationOut,
    DecisionOut,
    StoredDecisionOut,
    classification_out,
    decision_out,
    stored_decision_out,
)
from service.web.api.incidents.incident_schemas import DeclarationIn
from service.web.api.incidents.incidents import Patch, patched_facts
from service.web.api.requests import (
    FIRST_ITEMS,
    Context,
    Cursor,
    IdempotencyKey,
    Limit,
    MayDeclareIncidents,
    MayReadIncidents,
    inspect_request,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/incidents", tags=["assessments"])


class AssessmentPage(Out):
    """The latest decision per customer, whether notified or not."""

    items: list[StoredDecisionOut]
    next_cursor: str | None


class AnswerOutcomeOut(Out):
    """The result of one answer to the next question."""

    answer: str
    natures: list[str] = Field(description="Still possible, most protective first.")
    priority: str | None
    tally: dict[str, int]
    changed: int = Field(description="Customers whose verdict would differ.")


class NextQuestionOut(Out):
    """The open fact whose answer would change the verdicts of most customers."""

    fact: str
    outcomes: list[AnswerOutcomeOut]


class PossibleDuplicateOut(Out):
    """An incident that may be the same."""

    incident_id: UUID
    ticket: str
    state: str
    likenesses: list[str] = Field(description="`same_place_and_time`, `similar_title`.")
    similarity: float = Field(description="Of the titles, from 0 to 1.")


class DryRunOut(Out):
    """Who would be notified, who would not, and why. A dry run records nothing."""

    classification: ClassificationOut
    tally: dict[str, int] = Field(description="Verdict -> customers, all pages together.")
    total: int = Field(description="Customers of all pages together.")
    reasons: dict[str, dict[str, int]] = Field(
        description="Verdict -> reason that carries it -> customers, all pages together. A verdict may have several."
    )
    due_at: Moment | None = Field(description="The nearest deadline of all pages together.")
    next_question: NextQuestionOut | None = Field(
        None, description="For new facts, on the first page; null if no fact is open."
    )
    possible_duplicates: list[PossibleDuplicateOut] | None = Field(
        None, description="For new facts, on the first page."
    )
    next_cursor: str | None = Field(
        description="Send it with the same body, byte for byte, for the next page; null on the last page."
    )
    assessments: list[DecisionOut] = Field(description="A page: one per customer, by registration.")


@router.post("/validate", response_model=ClassificationOut, summary="Validate and classify facts, record nothing")
async def validate(
    request: Request,
    context: Context,
    access: MayDeclareIncidents,
    facts: DeclarationIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Check the facts as for a declaration, except the customers, and return their classification."""
    domain = facts.to_domain(context.default_language)
    agreement = context.agreements.reference

    validate_facts(domain, agreement, context.clock.now())
    result = classification_out(classify(domain, agreement), agreement)
    if idempotency_key is None:
        return json_response(result)
    return await inspect_request(request, access, idempotency_key, lambda _tx: result)


@router.post("/dry-run", response_model=DryRunOut, summary="Who would be notified of these facts")
async def dry_run(
    request: Request,
    context: Context,
    access: MayReadIncidents,
    facts: DeclarationIn,
    limit: Limit = FIRST_ITEMS,
    cursor: Cursor = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Classify and decide as for a declaration, without recording anything.

    Nothing is kept between pages: each is computed from its own body, so counts and decisions are those of its moment.
    """
    domain = facts.to_domain(context.default_language)
    now, listing = context.clock.now(), access.of_list(request.url.path, body=await _digest(request))

    def work(tx: Transaction) -> DryRunOut:
        page = listing.page(limit, cursor)
        if page.cursor is not None:
            found = dry_run_incident(tx, now, domain, context.agreements, exercise=facts.exercise)
            return _dry_run_out(context, tx, found, listing, page)
        foresight = foresee_incident(tx, now, domain, context.agreements, exercise=facts.exercise)
        return _with_foresight(_dry_run_out(context, tx, foresight.dry_run, listing, page), foresight)

    return await inspect_request(request, access, idempotency_key, work)


async def _digest(request: Request) -> str:
    return hashlib.sha256(await request.body()).hexdigest()


def _with_foresight(out: DryRunOut, foresight: Foresight) -> DryRunOut:
    question = foresight.next_question
    outcomes = () if question is None else question.outcomes
    return out.model_copy(
        update={
            "next_question": None
            if question is None
            else NextQuestionOut.model_construct(
                fact=question.fact,
                outcomes=[
                    AnswerOutcomeOut.model_construct(
                        answer=outcome.answer,
                        natures=[nature.value for nature in outcome.natures],
                        priority=outcome.priority,
                        tally={verdict.value: count for verdict, count in outcome.tally.items()},
                        changed=outcome.changed,
                    )
                    for outcome in outcomes
                ],
            ),
            "possible_duplicates": [
                PossibleDuplicateOut.model_construct(
                    incident_id=found.incident.id,
                    ticket=found.incident.ticket,
                    state=found.incident.state.value,
                    likenesses=[likeness.value for likeness in found.likenesses],
                    similarity=round(found.similarity, 3),
                )
                for found in foresight.duplicates
            ],
        }
    )


def _dry_run_out(
    context: ApiContext, tx: Transaction, result: IncidentDryRun, listing: Access, page: Page
) -> DryRunOut:
    tally = {verdict.value: 0 for verdict in Verdict}
    reasons: dict[str, Counter[str]] = {verdict.value: Counter() for verdict in Verdict}
    for _, decision in result.outcomes:
        tally[decision.verdict.value] += 1
        reasons[decision.verdict.value].update({reason.id for reason in carrying(decision)})
    customers, following = tx.customers.page(page)
    listed = {customer.id for customer in customers}
    return DryRunOut.model_construct(
        classification=classification_out(result.classification, context.agreements.reference, result.other_agreements),
        tally=tally,
        total=len(result.outcomes),
        reasons={verdict: dict(sorted(counted.items())) for verdict, counted in reasons.items()},
        due_at=min((decision.due_at for _, decision in result.outcomes if decision.due_at is not None), default=None),
        next_cursor=listing.next_cursor(following),
        assessments=[
            decision_out(customer, decision) for customer, decision in result.outcomes if customer.id in listed
        ],
    )


@router.post("/{incident_id}/dry-run", response_model=DryRunOut, summary="Who would be notified if these facts changed")
async def dry_run_change(
    request: Request,
    context: Context,
    access: MayReadIncidents,
    incident_id: UUID,
    patch: Patch,
    limit: Limit = FIRST_ITEMS,
    cursor: Cursor = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Classify and decide as for changed facts, without recording anything. Pages are those of a dry run."""
    now, body = context.clock.now(), await _digest(request)

    def work(tx: Transaction) -> DryRunOut:
        incident = tx.incidents.require(incident_id)
        facts = patched_facts(context, incident.facts, patch)
        found = dry_run_incident(tx, now, facts, context.agreements, exercise=incident.exercise)
        # With other facts below it, the same body is another list.
        listing = access.of_list(request.url.path, body=body, version=str(incident.version))
        return _dry_run_out(context, tx, found, listing, listing.page(limit, cursor))

    return await inspect_request(request, access, idempotency_key, work)


@router.get("/{incident_id}/classification", response_model=ClassificationOut, summary="Why it is what it is")
async def read_classification(
    context: Context,
    access: MayReadIncidents,
    incident_id: UUID,
    agreement_id: Annotated[str | None, Query(description="The provider's reference agreement by default.")] = None,
) -> Response:
    """Return nature, legal basis clause by clause, priority, and the possible effect of open facts."""
    agreement = context.agreements.named(agreement_id or context.agreements.reference_id)

    def work(tx: Transaction) -> ClassificationOut:
        facts = tx.incidents.require(incident_id).facts
        found = classify(facts, agreement)
        if agreement_id is not None or not access.scope.at_provider:
            return classification_out(found, agreement)
        return classification_out(found, agreement, other_classifications(tx, facts, found, context.agreements))

    return json_response(await access.read(work))


@router.get("/{incident_id}/assessments", response_model=AssessmentPage, summary="Decisions per customer")
async def list_assessments(
    access: MayReadIncidents,
    incident_id: UUID,
    verdict: Verdict | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return the latest decision per customer: notify, do not notify, or pending, with the reasons."""

    def work(tx: Transaction) -> tuple[list[StoredDecisionOut], str | None]:
        tx.incidents.require(incident_id)
        decisions, following = tx.incidents.decisions(
            incident_id, access.page(limit, cursor), verdict=verdict.value if verdict else None
        )
        items = []
        for stored in decisions:
            customer = tx.customers.get(stored.decision.customer_id)
            if customer is not None:
                items.append(stored_decision_out(customer, stored))
        return items, following

    items, following = await access.read(work)
    return json_response(AssessmentPage.model_construct(items=items, next_cursor=access.next_cursor(following)))


@router.get(
    "/{incident_id}/assessments/{customer_id}",
    response_model=StoredDecisionOut,
    summary="The decision for one customer",
)
async def read_assessment(access: MayReadIncidents, incident_id: UUID, customer_id: UUID) -> Response:
    """Return the latest decision for one customer."""

    def work(tx: Transaction) -> StoredDecisionOut:
        tx.incidents.require(incident_id)
        customer = tx.customers.get(customer_id)
        stored = tx.incidents.current_decisions(incident_id).get(customer_id)
        if customer is None or stored is None:
            raise NotFoundError("assessment of customer", customer_id)
        return stored_decision_out(customer, stored)

    return json_response(await access.read(work))
