"""What a customer states of itself on a page: its sectors, Member State, region and LEI."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.customer.legal_profile import Entity, entity_of
from notifications.customer.records import Customer
from notifications.duties import MEMBER_STATES, Sector, regions
from notifications.errors import InvalidInputError, VersionMismatchError
from notifications.use_cases.duties.state_legal_profile import state_legal_profile
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, see_other, stated_version
from service.web.console.rendering import page, reader_language

router = APIRouter(prefix="/customers/{customer_id}/law", route_class=PageRoute, include_in_schema=False)

MayReadProfiles = Annotated[Access, Depends(Requires(Permission.PROFILE_READ))]
MayChangeProfiles = Annotated[Access, Depends(Requires(Permission.PROFILE_CHANGE))]

_STALE, _UNPROCESSABLE = 412, 422
_OTHER_GROUP = "other"


@router.get("")
async def law_page(
    request: Request, context: Context, access: MayReadProfiles, customer_id: UUID, done: str = ""
) -> Response:
    """Show what the customer states of itself."""
    return await _show(request, context, access, customer_id, done=done == "stated")


@router.post("")
async def state(request: Request, context: Context, access: MayChangeProfiles, customer_id: UUID) -> Response:
    """Record a new version."""
    form = await form_of(request)
    stated = _entity(form)
    version = stated_version(form["version"])
    try:
        await access.write(
            lambda tx, act: state_legal_profile(tx, act, customer_id, stated, version, context.agreements.duties)
        )
    except InvalidInputError as error:
        wrong = {fault.field for fault in error.faults}
        return await _show(request, context, access, customer_id, typed=stated, wrong=wrong)
    except VersionMismatchError:
        return await _show(request, context, access, customer_id, typed=stated, stale=True)
    return see_other(f"/customers/{customer_id}/law?done=stated")


def _entity(form: Form) -> Entity:
    return Entity(
        form["member_state"].strip() or None,
        form["region"].strip() or None,
        frozenset(each for each in form.all("sectors") if each),
        form["lei"].strip().upper() or None,
    )


async def _show(
    request: Request,
    context: ApiContext,
    access: Access,
    customer_id: UUID,
    *,
    done: bool = False,
    typed: Entity | None = None,
    wrong: set[str] | None = None,
    stale: bool = False,
) -> Response:
    def work(tx: AccessTransaction) -> tuple[Customer, Entity, int, Any]:
        customer, profile = tx.customers.require(customer_id), tx.duties.legal_profile(customer_id)
        return customer, entity_of(profile), 0 if profile is None else profile.version, profile

    customer, stated, version, profile = await access.read(work)
    values = {
        "customer": customer,
        "profile": profile,
        "stated": typed or stated,
        "version": version,
        "groups": _groups(context.agreements.duties.law.sectors),
        "states": [(state, state) for state in sorted(MEMBER_STATES)],
        "regions": {state: regions(state) for state in sorted(MEMBER_STATES) if regions(state)},
        "spoken": reader_language(request, access.caller),
        "may_change": access.may(Permission.PROFILE_CHANGE),
        "done": done,
        "wrong": wrong or set(),
        "stale": stale,
    }
    status = _UNPROCESSABLE if wrong else _STALE if stale else 200
    return page(request, "customer_law", access.caller, values, status=status)


def _groups(sectors: Mapping[str, Sector]) -> Mapping[str, Sequence[Sector]]:
    """Return the kinds of organisations by group; those without one come last."""
    groups: dict[str, list[Sector]] = {}
    for sector in sectors.values():
        groups.setdefault(sector.group or _OTHER_GROUP, []).append(sector)
    return groups
