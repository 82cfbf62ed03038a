"""Forms on the page of an account: change, roles, invitation, tokens, signing out. Each calls the API's own rule."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError, StateConflictError, VersionMismatchError
from notifications.ports import Page
from notifications.use_cases.audit_context import AuditContext
from service.auth.accounts import (
    GrantDraft,
    change_account,
    grant_role,
    reset_second_factor,
    revoke_grant,
    sign_out,
)
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.auth.sign_in.invitations import invite
from service.auth.sign_in.links import new_link_secret
from service.auth.tokens import MAX_TOKEN_DAYS, issue_service_token, new_token, revoke_token
from service.customers.directory import CustomerFilter, find_customers, folded
from service.ports.accounts import Role
from service.ports.store import AccessTransaction
from service.web.api.requests import Context, MayChangeAccounts, MayReadAccounts
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, stated_number, write_once
from service.web.console.pages.administration.one_account import account_page
from service.web.console.pages.customers.days import start_of_day
from service.web.console.rendering import page, reader_zone

router = APIRouter(prefix="/administration/accounts/{account_id}", route_class=PageRoute, include_in_schema=False)

_LINE_CHARACTERS = 200
_LANGUAGES = frozenset({"fr", "en", "de"})
_REFUSALS = (InvalidInputError, StateConflictError, VersionMismatchError)
_CANDIDATES = 50


@router.get("")
async def account(request: Request, access: MayReadAccounts, account_id: UUID, done: str = "") -> Response:
    """Show the account; the forms are there for callers who may use them."""
    return await account_page(request, access, account_id, done=done)


@router.post("/change")
async def change(request: Request, access: MayChangeAccounts, account_id: UUID) -> Response:
    """Change name and language, or whether the account is active."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        name, language = _line(form["name"], "name"), form["language"]
        if language not in _LANGUAGES:
            _refuse("language", "is no language")
        version, is_active = stated_number(form["version"]), form["active"] == "yes"
        if version is None:
            _refuse("version", "the form names no version")
        change_account(tx, act, account_id, version, name=name, language=language, active=is_active)

    return await _done(request, access, account_id, form, work, "changed")


@router.post("/grants")
async def grant(request: Request, access: MayChangeAccounts, account_id: UUID) -> Response:
    """Grant a role; a person is only invited to act for a customer."""
    form, zone = await form_of(request), reader_zone(access.caller)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        if form["role"] not in set(Role):
            _refuse("role", "is no role")
        draft = GrantDraft(
            role=Role(form["role"]),
            customer_id=_customer(tx, form["customer"].strip(), act.now),
            starts_at=_day(form["starts_on"].strip(), "starts_on", zone),
            ends_at=_day(form["ends_on"].strip(), "ends_on", zone),
        )
        grant_role(tx, act, account_id, draft)

    return await _done(request, access, account_id, form, work, "granted")


@router.post("/grants/{grant_id}/revoke")
async def revoke(request: Request, access: MayChangeAccounts, account_id: UUID, grant_id: UUID) -> Response:
    """Take a role or an offer away, at once."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        revoke_grant(tx, act, account_id, grant_id)

    return await _done(request, access, account_id, form, work, "revoked")


@router.post("/invitation")
async def send_invitation(request: Request, context: Context, access: MayChangeAccounts, account_id: UUID) -> Response:
    """Issue the link by which a person sets its password; it is shown once where nobody can sign in yet."""
    secret, provider = new_link_secret(), context.settings.provider
    try:
        made = await access.write(
            lambda tx, act: invite(
                tx,
                act,
                tx.accounts.require(account_id),
                secret=secret,
                console_url=provider.console_url,
                provider_name=provider.name,
            )
        )
    except _REFUSALS as error:
        return await account_page(request, access, account_id, error=error)
    values = {"account": made.account, "expires_at": made.expires_at, "mailed": made.mailed, "link": made.shown}
    return page(request, "account_invited", access.caller, values)


@router.post("/sign-out")
async def end_sessions(request: Request, access: MayChangeAccounts, account_id: UUID) -> Response:
    """End every session of the account; its tokens go on."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        sign_out(tx, act, account_id)

    return await _done(request, access, account_id, form, work, "signed_out")


@router.post("/second-factor")
async def forget_second_factor(request: Request, access: MayChangeAccounts, account_id: UUID) -> Response:
    """Forget the second factors of a person who lost them, and sign it out."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        reset_second_factor(tx, act, account_id)

    return await _done(request, access, account_id, form, work, "factor_forgotten")


@router.post("/tokens")
async def issue(request: Request, access: MayChangeAccounts, account_id: UUID) -> Response:
    """Issue a token of a service account and show it, this once."""
    form, token = await form_of(request), new_token()

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        days = form["token_days"].strip()
        if not (days.isascii() and days.isdigit() and 1 <= int(days[:4]) <= MAX_TOKEN_DAYS):
            _refuse("token_days", f"must be within the next {MAX_TOKEN_DAYS} days")
        wanted = form.all("permissions")
        if not set(wanted) <= set(Permission):
            _refuse("permissions", "is no permission")
        issue_service_token(
            tx,
            act,
            access.caller,
            tx.accounts.require(account_id),
            name=_line(form["token_name"], "token_name"),
            permissions=[Permission(each) for each in wanted],
            expires_at=act.now + timedelta(days=int(days[:4])),
            token=token,
        )

    try:
        await access.write(work)
    except _REFUSALS as error:
        entered = {name: form[name] for name in ("token_name", "token_days")}
        chosen = form.all("permissions")
        return await account_page(request, access, account_id, error=error, entered=entered, chosen=chosen)
    back = f"/administration/accounts/{account_id}"
    return page(request, "token_issued", access.caller, {"token": token, "back": back})


@router.post("/tokens/{token_id}/revoke")
async def revoke_one(request: Request, access: MayChangeAccounts, account_id: UUID, token_id: UUID) -> Response:
    """Revoke a token, at once."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> None:
        tx.accounts.require(account_id)
        revoke_token(tx, act, account_id, token_id)

    return await _done(request, access, account_id, form, work, "token_revoked")


async def _done(
    request: Request,
    access: Access,
    account_id: UUID,
    form: Form,
    work: Callable[[AccessTransaction, AuditContext], None],
    done: str,
) -> Response:
    """Run a change once and lead back to the account; a refusal is said there in words, with what was entered."""

    def unit(tx: AccessTransaction, act: AuditContext) -> str:
        work(tx, act)
        return f"/administration/accounts/{account_id}?done={done}"

    try:
        return await write_once(access, form, unit)
    except _REFUSALS as error:
        names = ("name", "language", "role", "customer", "starts_on", "ends_on", "form_id")
        entered = {name: form[name] for name in names if form[name]}
        return await account_page(request, access, account_id, error=error, entered=entered)


def _refuse(field: str, reason: str) -> NoReturn:
    raise InvalidInputError(Fault(field, reason))


def _line(text: str, field: str) -> str:
    line = text.strip()
    if not line or len(line) > _LINE_CHARACTERS or not line.isprintable():
        _refuse(field, "must be one line")
    return line


def _day(text: str, field: str, zone: str) -> datetime | None:
    """Return when a day begins in the administrator's zone, in which the page shows the period."""
    return start_of_day(text, zone, field) if text else None


def _customer(tx: AccessTransaction, text: str, now: datetime) -> UUID | None:
    """Return the customer that a form names, by its identifier or its whole name; raises InvalidInputError."""
    if not text:
        return None
    found = find_customers(tx, CustomerFilter(text=text), Page(_CANDIDATES), now, at_provider=True).items
    named = [
        item.customer.id
        for item in found
        if folded(item.customer.name) == folded(text) or str(item.customer.id) == text.lower()
    ]
    if len(named) != 1:
        _refuse("customer_id", "several customers have this name" if named else "no such customer")
    return named[0]
