"""What is stated of many customers at once, in one version of the facts."""

from uuid import UUID

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.change_incident import change_facts
from service.web.api.fields import Schema
from service.web.api.incidents.incident_schemas import AffectedCustomerIn, IncidentOut, affected_to_domain
from service.web.api.incidents.incidents import incident_answer
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    IfMatch,
    MayChangeIncidents,
    change,
    expected_version,
)
from service.web.api.schemas import api_router

router = api_router("/api/v1/incidents", tags=["incidents"])


class AffectedCustomersIn(Schema):
    """Statements about customers; the customers that are not named keep theirs."""

    customers: tuple[AffectedCustomerIn, ...] = Field((), description="Each is added, or replaces the earlier one.")
    unlisted: tuple[UUID, ...] = Field((), description="Customers of which nothing is stated any more.")


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
