"""What is stated of many customers at once, in one version of the facts."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.errors import NotFoundError
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.change_incident import change_facts
from service.web.api.fields import Out, Schema
from service.web.api.incidents.incident_schemas import AffectedCustomerIn, IncidentOut, affected_to_domain, facts_json
from service.web.api.incidents.incidents import incident_answer
from service.web.api.requests import (
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    MayChangeIncidents,
    MayReadIncidents,
    change,
    expected_version,
    json_response,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/incidents", tags=["incidents"])


class AffectedCustomersIn(Schema):
    """Statements about customers; the customers that are not named keep theirs."""

    customers: tuple[AffectedCustomerIn, ...] = Field((), description="Each is added, or replaces the earlier one.")
    unlisted: tuple[UUID, ...] = Field((), description="Customers of which nothing is stated any more.")


class AffectedCustomerPage(Out):
    """A page of the customers that one version of the facts names, in the order in which they were stated."""

    version: int = Field(description="Of the facts; the following pages are of the same version.")
    total: int = Field(description="Customers of the whole list.")
    next_cursor: str | None = Field(description="Null on the last page.")
    items: list[dict[str, Any]] = Field(description="As `AffectedCustomerIn`.")


@router.get(
    "/{incident_id}/affected-customers", response_model=AffectedCustomerPage, summary="List the affected customers"
)
async def list_affected_customers(
    access: MayReadIncidents, incident_id: UUID, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Return what the facts state of customers, page by page, of the version that was in force for the first page."""

    def work(tx: Transaction) -> AffectedCustomerPage:
        incident, page = tx.incidents.require(incident_id), access.page(limit, cursor)
        version, first = (incident.version, 0) if page.cursor is None else map(int, page.cursor.split(":"))
        facts = tx.incidents.facts_at(incident_id, version)
        if facts is None:
            raise NotFoundError("version of the facts", version)
        customers = facts.affected_customers
        following = first + limit
        return AffectedCustomerPage.model_construct(
            version=version,
            total=len(customers),
            next_cursor=access.next_cursor(f"{version}:{following}" if following < len(customers) else None),
            items=facts_json(replace(facts, affected_customers=customers[first:following]))["affected_customers"],
        )

    return json_response(await access.read(work))


@router.patch(
    "/{incident_id}/affected-customers", response_model=IncidentOut, summary="State how many customers are affected"
)
async def patch_affected_customers(
    request: Request,
    context: Context,
    access: MayChangeIncidents,
    incident_id: UUID,
    stated: AffectedCustomersIn,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Add or replace what is stated of several customers: one version of the facts, one decision for each customer."""
    customers = [affected_to_domain(each, context.default_language) for each in stated.customers]

    def work(tx: Transaction, act: AuditContext) -> Answer:
        incident = tx.incidents.require(incident_id)
        version = expected_version(if_match, lambda: incident.version)
        facts = incident.facts.with_customers(customers, frozenset(stated.unlisted))
        return incident_answer(context, change_facts(tx, act, incident_id, version, facts, context.agreements))

    return await change(request, access, idempotency_key, work)
