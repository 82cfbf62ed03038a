"""Profiles: the levels a customer chose (11.1.1.3), and what another choice would have changed."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.customer import Customer
from notifications.decision import Verdict
from notifications.ports import Transaction
from notifications.use_cases.act import Act
from notifications.use_cases.dry_run import ProfileDryRun, dry_run_profile
from notifications.use_cases.keep_customers import choose_profile, existing_customer, verify_choices
from service.api.assessment_schemas import decision_out
from service.api.customer_schemas import (
    ProfileDifferenceOut,
    ProfileDryRunOut,
    ProfileIn,
    ProfileList,
    ProfileOut,
    choices,
    profile_out,
)
from service.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
    MayChangeProfiles,
    MayReadProfiles,
    change,
    examine,
    json_response,
)

#: How far a profile dry run looks back.
_LOOK_BACK = timedelta(days=365)

router = APIRouter(prefix="/customers", tags=["customers"])


@router.post("/{customer_id}/profiles", status_code=201, response_model=ProfileOut, summary="Choose levels")
async def choose(
    request: Request,
    context: Context,
    access: MayChangeProfiles,
    customer_id: UUID,
    profile: ProfileIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record the levels the customer chose, from a moment on; earlier versions stay, and stay in force until then."""

    def work(tx: Transaction, act: Act) -> Answer:
        chosen = choose_profile(
            tx, act, customer_id, choices(profile), profile.effective_at or act.now, context.agreements
        )
        return Answer(profile_out(chosen), 201)

    return await change(request, access, idempotency_key, work)


@router.get("/{customer_id}/profiles", response_model=ProfileList, summary="Profile versions")
async def list_profiles(access: MayReadProfiles, customer_id: UUID) -> Response:
    """Return every profile version of the customer; none means that the default levels apply."""

    def work(tx: Transaction) -> ProfileList:
        existing_customer(tx, customer_id)
        return ProfileList.model_construct(items=[profile_out(item) for item in tx.profiles(customer_id)])

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
    """Return which incidents of the last 12 months the customer would have been told of otherwise."""
    since = context.clock.now() - _LOOK_BACK

    def work(tx: Transaction) -> ProfileDryRunOut:
        customer = existing_customer(tx, customer_id)
        verify_choices(tx, customer_id, choices(profile), context.agreements)
        result = dry_run_profile(tx, customer_id, choices(profile), since, context.agreements)
        return _dry_run_out(customer, result)

    return await examine(request, access, idempotency_key, work)


def _dry_run_out(customer: Customer, result: ProfileDryRun) -> ProfileDryRunOut:
    told = [(now.verdict is Verdict.NOTIFY, then.verdict is Verdict.NOTIFY) for _, now, then in result.differing]
    return ProfileDryRunOut.model_construct(
        incidents_examined=result.examined,
        more_notices=sum(then and not now for now, then in told),
        fewer_notices=sum(now and not then for now, then in told),
        differences=[
            ProfileDifferenceOut.model_construct(
                incident_id=incident.id,
                ticket=incident.ticket,
                present=decision_out(customer, now),
                changed=decision_out(customer, then),
            )
            for incident, now, then in result.differing
        ],
    )
