"""The law as data, and the clocks of any entity computed from moments."""

from fastapi import Request
from starlette.responses import Response

from notifications.duties import MEMBER_STATES, Moments, Owner, clocks, regions, validate_entity
from notifications.errors import Fault, InvalidInputError
from notifications.ports import Transaction
from service.web.api.duty_schemas import CalculationIn, ClockList, LawOut, clock_out, entity_of_input, law_out
from service.web.api.requests import Context, IdempotencyKey, MayReadAgreements, inspect_request, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/duties", tags=["duties"])


@router.get("", response_model=LawOut, summary="Legal duties")
async def read(context: Context, access: MayReadAgreements) -> Response:
    """Return every version of every legal duty, the kinds of organisations, and the Member States with regions."""
    await access.trace()
    states = {state: list(regions(state)) for state in sorted(MEMBER_STATES)}
    return json_response(law_out(context.agreements.duties.law, states))


@router.post("/calculation", response_model=ClockList, summary="Compute legal clocks")
async def calculate(
    request: Request,
    context: Context,
    access: MayReadAgreements,
    calculation: CalculationIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Return the clocks of an entity with every step of their calculation. Nothing is stored of it."""
    law = context.agreements.duties.law
    entity = entity_of_input(calculation.entity)
    _verify(calculation, {duty.id for duty in law.duties})
    validate_entity(entity, law.sectors)
    moments = Moments(calculation.moments.by_start(), dict(calculation.submissions))
    found = clocks(law, entity, {Owner(calculation.owner)}, {}, moments, calculation.aware_at)
    answer = ClockList(items=[clock_out(clock) for clock in found])

    def work(_tx: Transaction) -> ClockList:
        return answer

    return await inspect_request(request, access, idempotency_key, work)


def _verify(calculation: CalculationIn, known: set[str]) -> None:
    faults = [Fault(f"submissions.{name}", "is no duty") for name in sorted(set(calculation.submissions) - known)]
    if faults:
        raise InvalidInputError(*faults)
