"""The list of accounts, and the form of a new one."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError
from notifications.incident import LANGUAGES
from notifications.use_cases.audit_context import AuditContext
from service.auth.accounts import AccountDraft, AccountView, open_account, view_account
from service.auth.route_guard import Access
from service.ports.accounts import AccountKind
from service.ports.store import AccessTransaction
from service.web.api.accounts.account_schemas import NewAccountIn
from service.web.api.requests import Context, Cursor, MayChangeAccounts, MayReadAccounts
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, write_once
from service.web.console.listing import following_path
from service.web.console.pages.administration.refusals import refused_keys
from service.web.console.rendering import page

router = APIRouter(prefix="/administration/accounts", route_class=PageRoute, include_in_schema=False)

_SHOWN = 50
_UNPROCESSABLE = 422
_FIELDS = ("kind", "name", "email", "language", "form_id")


@router.get("")
async def accounts_page(request: Request, access: MayReadAccounts, cursor: Cursor = None) -> Response:
    """Show accounts with their roles, oldest first."""

    def work(tx: AccessTransaction) -> tuple[Sequence[AccountView], str | None]:
        found, following = tx.accounts.page(access.page(_SHOWN, cursor))
        return [view_account(tx, account) for account in found], following

    views, following = await access.read(work)
    values: dict[str, Any] = {
        "views": views,
        "following": following_path(request, access.next_cursor(following)),
        "is_first": cursor is None,
    }
    return page(request, "accounts", access.caller, values)


@router.get("/new")
async def new(request: Request, context: Context, access: MayChangeAccounts) -> Response:
    """Show the empty form."""
    entered = {"kind": AccountKind.PERSON.value, "language": context.settings.provider.default_language}
    return _shown(request, access, entered)


@router.post("/new")
async def make(request: Request, access: MayChangeAccounts) -> Response:
    """Make an account; it may do nothing until it holds a role."""
    form = await form_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        return f"/administration/accounts/{open_account(tx, act, _draft(form)).id}?done=made"

    try:
        return await write_once(access, form, work)
    except InvalidInputError as error:
        return _shown(request, access, {name: form[name] for name in _FIELDS}, error=error)


def _draft(form: Form) -> AccountDraft:
    """Return the account that a form states; raises InvalidInputError."""
    stated = {name: form[name].strip() for name in ("kind", "name", "language")}
    try:
        return NewAccountIn.model_validate(stated | {"email": form["email"].strip() or None}).to_domain()
    except ValidationError as error:
        names = {str(item["loc"][0]) for item in error.errors(include_url=False, include_input=False)}
        raise InvalidInputError(*(Fault(name, "is not right") for name in sorted(names))) from None


def _shown(
    request: Request, access: Access, entered: dict[str, str], *, error: InvalidInputError | None = None
) -> Response:
    values: dict[str, Any] = {
        "entered": dict.fromkeys(_FIELDS, "") | entered,
        "form_id": entered.get("form_id") or new_form_id(),
        "kinds": list(AccountKind),
        "languages": list(LANGUAGES),
        "wrong": {}
        if error is None
        else {item.field: refused_keys(InvalidInputError(item))[0] for item in error.faults},
    }
    return page(request, "account_new", access.caller, values, status=200 if error is None else _UNPROCESSABLE)
