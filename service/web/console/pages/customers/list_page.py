"""The list of customers, searched and filtered, and the file of all of them."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.errors import StateConflictError
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.customers.directory import CustomerFilter, CustomerState, find_customers
from service.web.api.customers.customer_transfer import export_customers
from service.web.api.requests import Context, Cursor, MayReadContacts, MayReadCustomers
from service.web.console.failures import PageRoute
from service.web.console.listing import following_path
from service.web.console.pages.customers.days import day_shown
from service.web.console.rendering import page, reader_language

router = APIRouter(prefix="/customers", route_class=PageRoute, include_in_schema=False)

_SHOWN = 50
_SEARCH_CHARACTERS = 200
_CONFLICT = 409


@router.get("")
async def customers_page(
    request: Request,
    context: Context,
    access: MayReadCustomers,
    q: str = "",
    agreement: str = "",
    state: str = "",
    unreachable: str = "",
    cursor: Cursor = None,
) -> Response:
    """Show the customers that match, by name."""
    known = {item.value: item for item in CustomerState}
    wanted = CustomerFilter(
        text=q[:_SEARCH_CHARACTERS],
        agreement_id=agreement or None,
        state=known.get(state),
        unreachable=unreachable == "yes",
    )
    return await _shown(request, context, access, wanted, cursor)


@router.get("/export")
async def export(request: Request, context: Context, access: MayReadContacts) -> Response:
    """Return the file of the customers and their contacts, in the form that an import takes."""
    reading = access.may(Permission.CUSTOMER_READ)
    try:
        content = await access.read(export_customers) if reading else ""
    except StateConflictError as error:
        return await _shown(request, context, access, CustomerFilter(), None, problem=str(error))
    headers = {"Content-Disposition": 'attachment; filename="customers.csv"', "Cache-Control": "no-store"}
    return Response(content.encode(), 200, headers, media_type="text/csv; charset=utf-8; header=present")


async def _shown(
    request: Request,
    context: Context,
    access: Access,
    wanted: CustomerFilter,
    cursor: str | None,
    *,
    problem: str = "",
) -> Response:
    now, language = access.clock.now(), reader_language(request, access.caller)
    found = await access.read(
        lambda tx: find_customers(tx, wanted, access.page(_SHOWN, cursor), now, at_provider=access.scope.at_provider)
    )
    values = {
        "found": found,
        "wanted": wanted,
        "is_filtered": wanted != CustomerFilter(),
        "agreements": [(item.id, item.title.in_language(language)[1]) for item in context.agreements.by_id.values()],
        "states": list(CustomerState),
        "day": day_shown(language),
        "following": following_path(request, access.next_cursor(found.following)),
        "is_first": cursor is None,
        "problem": problem,
    }
    return page(request, "customers", access.caller, values, status=_CONFLICT if problem else 200)
