"""Profiles: the levels that a customer chose, and what another choice would have changed."""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from notifications.customer.records import Customer
from notifications.decision import Decision, Verdict
from notifications.incident import Incident
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.manage_customers import choose_profile, verify_choices
from notifications.use_cases.incidents.dry_run import ProfileDryRun, dry_run_profile
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.web.api.context import ApiContext
from service.web.api.customers.customer_schemas import (
    ProfileDifferenceOut,
    ProfileDryRunOut,
    ProfileIn,
    ProfileList,
    ProfileOut,
    choices,
    profile_out,
)
from service.web.api.incidents.assessment_schemas import decision_out
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    MayChangeProfiles,
    MayReadProfiles,
    change,
    inspect_request,
    json_response,
)
from service.web.api.schemas import api_router

#: The period that a dry run of a profile covers.
_LOOK_BACK = timedelta(days=365)

router = api_router("/api/v1/customers", tags=["customers"])


@router.post("/{customer_id}/profiles", status_code=201, response_model=ProfileOut, summary="Choose levels")
async def choose(
    request: Request,
    context: Context,
    access: MayChangeProfiles,
    customer_id: UUID,
    profile: ProfileIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record the levels that the customer chose, from a moment on. Earlier versions stay in force until then."""

    def work(tx: Transaction, act: AuditContext) -> Answer:
        chosen = choose_profile(
            tx, act, customer_id, choices(profile), profile.effective_at or act.now, context.agreements
        )
        return Answer(profile_out(chosen), 201)

    return await change(request, access, idempotency_key, work)


@router.get("/{customer_id}/profiles", response_model=ProfileList, summary="Profile versions")
async def list_profiles(access: MayReadProfiles, customer_id: UUID) -> Response:
    """Return every profile version of the customer. Without a version, the default levels apply."""

    def work(tx: Transaction) -> ProfileList:
        tx.customers.require(customer_id)
        return ProfileList.model_construct(items=[profile_out(item) for item in tx.customers.profiles(customer_id)])

    return json_response(await access.read(work))


@router.post("/{customer_id}/profiles/dry-run", response_model=ProfileDryRunOut, summary="What would change")
async def dry_run(
    request: Request,
    context: Context,
    access: MayReadProfiles,
    customer_id: UUID,
    profile: ProfileIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Return how many more or fewer notices the customer would have got over the last 12 months.

    The result covers every incident. Only callers who may read incidents learn which and how many incidents differ.
    """
    answer = await profile_dry_run(context, access, customer_id, profile)
    return await inspect_request(request, access, idempotency_key, lambda _tx: answer)


async def profile_dry_run(
    context: ApiContext, access: Access, customer_id: UUID, profile: ProfileIn
) -> ProfileDryRunOut:
    """Return what other levels would have changed, as far as the caller may learn it."""
    since = context.clock.now() - _LOOK_BACK
    reads_incidents = access.may(Permission.INCIDENT_READ)

    def work(tx: Transaction) -> ProfileDryRunOut:
        customer = tx.customers.require(customer_id)
        verify_choices(tx, customer_id, choices(profile), context.agreements)
        result = dry_run_profile(tx, customer_id, choices(profile), since, context.agreements)
        return _dry_run_out(customer, result, since, in_full=reads_incidents)

    return await access.read_for(customer_id, work)


def _dry_run_out(customer: Customer, result: ProfileDryRun, since: datetime, *, in_full: bool) -> ProfileDryRunOut:
    differences = [
        _difference_out(customer, incident, present, changed, in_full=in_full)
        for incident, present, changed in result.differing
    ]
    return ProfileDryRunOut.model_construct(
        since=since,
        incidents_examined=result.examined if in_full else None,
        more_notices=sum(item.notice == "more" for item in differences),
        fewer_notices=sum(item.notice == "fewer" for item in differences),
        differences=[item for item in differences if in_full or item.notice != "same"],
    )


def _difference_out(
    customer: Customer, incident: Incident, present: Decision, changed: Decision, *, in_full: bool
) -> ProfileDifferenceOut:
    notified, would_be = present.verdict is Verdict.NOTIFY, changed.verdict is Verdict.NOTIFY
    notice: Literal["more", "fewer", "same"] = "same" if notified == would_be else "more" if would_be else "fewer"
    if not in_full:
        return ProfileDifferenceOut(aware_at=incident.facts.aware_at, notice=notice)
    return ProfileDifferenceOut.model_construct(
        aware_at=incident.facts.aware_at,
        notice=notice,
        incident_id=incident.id,
        ticket=incident.ticket,
        present=decision_out(customer, present),
        changed=decision_out(customer, changed),
    )
