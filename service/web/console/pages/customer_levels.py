"""The levels that a customer chose, on pages: which incidents it is notified of, tried on past ones before a choice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.agreement.terms import Agreement
from notifications.customer.records import (
    Contact,
    Customer,
    ProfileVersion,
    binding_in_force,
    profile_in_force,
    recipients,
)
from notifications.errors import InvalidInputError
from notifications.incident import LocalizedText, Property
from notifications.use_cases.customers.manage_customers import choose_profile
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.customers.customer_schemas import ChoiceIn, ProfileDryRunOut, ProfileIn, choices, profile_out
from service.web.api.customers.profiles import profile_dry_run
from service.web.api.requests import Context
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, see_other, stated
from service.web.console.rendering import page, reader_language

router = APIRouter(prefix="/customers/{customer_id}/levels", route_class=PageRoute, include_in_schema=False)

MayReadProfiles = Annotated[Access, Depends(Requires(Permission.PROFILE_READ))]
MayChangeProfiles = Annotated[Access, Depends(Requires(Permission.PROFILE_CHANGE))]

_UNPROCESSABLE = 422
#: Choices that the form has places for, beyond those that are filled.
_SPARE = 2
_MAX_CHOICES = 12
_DIMENSIONS = ("impacts", "criticalities", "priorities", "data_harm")


@dataclass(frozen=True, slots=True)
class Scale:
    """One dimension of a choice, with the agreement's words for each level."""

    name: str
    #: level, words in the reader's language
    levels: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a form states: ``default``, ``all``, ``none`` (only what cannot be waived) or ``chosen`` with choices."""

    mode: str
    rows: Sequence[ChoiceIn]


@dataclass(frozen=True, slots=True)
class _Found:
    customer: Customer
    profile: ProfileVersion | None
    later: Sequence[ProfileVersion]
    agreement: Agreement | None
    served: Sequence[Contact]
    others: Sequence[Contact]


@router.get("")
async def levels_page(
    request: Request, context: Context, access: MayReadProfiles, customer_id: UUID, done: str = ""
) -> Response:
    """Show the levels in force, and whom notices reach."""
    return await _show(request, context, access, customer_id, done=done == "chosen")


@router.post("/dry-run")
async def dry_run(request: Request, context: Context, access: MayReadProfiles, customer_id: UUID) -> Response:
    """Show what other levels would have changed over past incidents; nothing is recorded."""
    chosen = _chosen(await form_of(request))
    try:
        result = await profile_dry_run(context, access, customer_id, _profile(chosen))
    except InvalidInputError:
        return await _show(request, context, access, customer_id, chosen=chosen, refused=True)
    return await _show(request, context, access, customer_id, chosen=chosen, result=result)


@router.post("")
async def choose(request: Request, context: Context, access: MayChangeProfiles, customer_id: UUID) -> Response:
    """Record the chosen levels, in force from now on; earlier versions stay recorded."""
    chosen = _chosen(await form_of(request))
    try:
        wanted = choices(_profile(chosen))
        await access.write(lambda tx, act: choose_profile(tx, act, customer_id, wanted, act.now, context.agreements))
    except InvalidInputError:
        return await _show(request, context, access, customer_id, chosen=chosen, refused=True)
    return see_other(f"/customers/{customer_id}/levels?done=chosen")


def _chosen(form: Form) -> Chosen:
    """Return what a form states; a row without any box is no choice."""
    rows = []
    for number in range(_MAX_CHOICES):
        boxes = {name: tuple(form.all(f"{name}-{number}")) for name in _DIMENSIONS}
        if any(boxes.values()):
            rows.append(_row(boxes))
    mode = form["mode"]
    return Chosen(mode if mode in {"default", "all", "none", "chosen"} else "", rows)


def _row(boxes: dict[str, tuple[str, ...]]) -> ChoiceIn:
    known = {each.value for each in Property}
    harm = tuple(Property(each) for each in boxes["data_harm"] if each in known)
    # Levels are compared with the customer's agreement where they are recorded.
    return ChoiceIn.model_construct(
        impacts=boxes["impacts"], criticalities=boxes["criticalities"], priorities=boxes["priorities"], data_harm=harm
    )


def _profile(chosen: Chosen) -> ProfileIn:
    """Return the levels as the API takes them; raises InvalidInputError."""
    if chosen.mode == "default":
        return stated(ProfileIn, {"choices": None})
    rows = {"all": [{}], "none": [], "chosen": [row.model_dump() for row in chosen.rows]}.get(chosen.mode, [None])
    if chosen.mode == "chosen" and not rows:
        rows = [None]
    return stated(ProfileIn, {"choices": rows})


async def _show(
    request: Request,
    context: ApiContext,
    access: Access,
    customer_id: UUID,
    *,
    done: bool = False,
    chosen: Chosen | None = None,
    result: ProfileDryRunOut | None = None,
    refused: bool = False,
) -> Response:
    now, sees_contacts = context.clock.now(), access.may(Permission.CONTACT_READ)

    def work(tx: AccessTransaction) -> _Found:
        customer = tx.customers.require(customer_id)
        profiles, binding = (
            tx.customers.profiles(customer_id),
            binding_in_force(tx.customers.bindings(customer_id), now),
        )
        contacts = tx.customers.contacts(customer_id) if sees_contacts else ()
        served = recipients(contacts)
        return _Found(
            customer,
            profile_in_force(profiles, now),
            [each for each in profiles if each.effective_at > now],
            None if binding is None else context.agreements.terms(binding, now),
            served,
            [each for each in contacts if each.active and each not in served],
        )

    found = await access.read(work)
    language = reader_language(request, access.caller)
    stated_now = chosen or _in_force(found.profile)
    values: dict[str, Any] = {
        "customer": found.customer,
        "profile": found.profile,
        "later": found.later,
        "served": found.served,
        "others": found.others,
        "scales": () if found.agreement is None else _scales(found.agreement, language),
        "default_levels": _defaults(found.agreement, language),
        "fixed_levels": _fixed(found.agreement, language),
        "mode": stated_now.mode,
        "rows": [row.model_dump(mode="json") for row in stated_now.rows] + [_empty()] * _SPARE,
        "may_change": access.may(Permission.PROFILE_CHANGE),
        "sees_contacts": sees_contacts,
        "done": done,
        "result": result,
        "refused": refused,
    }
    return page(request, "levels", access.caller, values, status=_UNPROCESSABLE if refused else 200)


def _in_force(profile: ProfileVersion | None) -> Chosen:
    rows = None if profile is None else profile_out(profile).choices
    if rows is None:
        return Chosen("default", ())
    if not rows:
        return Chosen("none", ())
    if stated(ChoiceIn, {}) in rows:
        return Chosen("all", ())
    return Chosen("chosen", rows)


def _empty() -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(_DIMENSIONS, ())


def _scales(agreement: Agreement, language: str) -> tuple[Scale, ...]:
    scales = (
        Scale("impacts", [(each.id, _said(each.text, language)) for each in agreement.impacts]),
        Scale("criticalities", [(each.id, _said(each.text, language)) for each in agreement.criticalities]),
        Scale("priorities", [(each.id, _said(each.text, language)) for each in agreement.priorities]),
    )
    # The products of a customer may have no matrix.
    return tuple(scale for scale in scales if scale.levels)


def _defaults(agreement: Agreement | None, language: str) -> list[str]:
    levels = () if agreement is None else agreement.default_levels
    return [_said(each.text, language) for each in levels if each.waivable]


def _fixed(agreement: Agreement | None, language: str) -> list[str]:
    levels = () if agreement is None else agreement.default_levels
    return [_said(each.text, language) for each in levels if not each.waivable]


def _said(text: LocalizedText, language: str) -> str:
    return text.in_language(language)[1]
