"""Import and export of customers and contacts as CSV."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Literal

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError
from notifications.ports import Page
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.import_customers import ImportReport, ImportUndoneError, LineOutcome
from service.auth.permissions import Permission
from service.auth.refusals import ForbiddenError
from service.ports.store import AccessTransaction
from service.web.api.customers.customer_csv import parse_customers
from service.web.api.customers.customer_transfer import MAX_FAULTS, Transfer, export_customers, verify_no_faults
from service.web.api.errors import HttpProblemError
from service.web.api.fields import Out
from service.web.api.requests import (
    FIRST_ITEMS,
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    Limit,
    MayChangeCustomers,
    MayReadContacts,
    change,
    json_response,
)
from service.web.api.schemas import ProblemOut, api_router

router = api_router("/api/v1/customers", tags=["customers"])

_CSV = "text/csv"
_CSV_SCHEMA = {"content": {_CSV: {"schema": {"type": "string"}}}}
_Outcome = Literal["created", "changed", "unchanged"] | None


class ImportedLineOut(Out):
    """The effect of one line."""

    line: int
    customer: _Outcome = Field(description="Said by the first line of a customer.")
    contact: _Outcome


class ImportFaultOut(Out):
    """One fault of one line."""

    line: int
    field: str = Field(description="The column; empty for the whole line.")
    reason: str


class ImportOut(Out):
    """The effect of an import or of its dry run, line by line."""

    dry_run: bool
    customers_created: int
    customers_changed: int
    customers_unchanged: int
    contacts_created: int
    contacts_changed: int
    contacts_unchanged: int
    agreements_bound: int
    faults_total: int
    faults: list[ImportFaultOut] = Field(description=f"The first {MAX_FAULTS}. With any, nothing is imported.")
    lines_total: int = Field(description="Lines with an effect or without a change, of all pages together.")
    next_cursor: str | None = Field(
        description="Of a dry run: send it with the same file, byte for byte, for the next page of `lines`. Null on the"
        " last page, and after an import: its lines are those of a dry run before it."
    )
    lines: list[ImportedLineOut] = Field(description="A page, in the order of the file.")


@router.post(
    "/import",
    response_model=ImportOut,
    summary="Import customers and contacts",
    openapi_extra={"requestBody": {"required": True, **_CSV_SCHEMA}},
    responses={415: {"description": "The body must be text/csv.", "model": ProblemOut}},
)
async def import_file(
    request: Request,
    context: Context,
    access: MayChangeCustomers,
    limit: Limit = FIRST_ITEMS,
    cursor: Cursor = None,
    idempotency_key: IdempotencyKey = None,
    *,
    dry_run: bool = False,
) -> Response:
    """Change customers and contacts to the content of the file, completely or not at all.

    The columns are in docs/formats.md. A dry run returns the faults in its answer. An import with faults is refused,
    with all faults. Each page of a dry run tries the whole file again.
    """
    if cursor is not None and not dry_run:
        raise InvalidInputError(Fault("cursor", "only a dry run has pages: the same import again does something else"))
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _CSV:
        raise HttpProblemError(415, "send the file as text/csv")
    # A thread parses the file, so that other requests are answered while a long file is parsed.
    content = await request.body()
    lines, faults = await asyncio.to_thread(parse_customers, content)
    listing = access.of_list(request.url.path, body=hashlib.sha256(content).hexdigest())
    page = listing.page(limit, cursor)
    transfer = Transfer(lines, faults, context.agreements, dry_run)

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        report = transfer.work(tx, act)
        return Answer(_out(report, report.outcomes[: page.limit], dry_run=False))

    try:
        return await change(request, access, idempotency_key, work)
    except ImportUndoneError as error:
        if not dry_run:
            verify_no_faults(error.report)
        shown, following = _lines_of(error.report, page)
        return json_response(_out(error.report, shown, listing.next_cursor(following), dry_run=True))


@router.get(
    "/export",
    response_class=Response,
    summary="Export customers and contacts",
    responses={200: {"description": "The file.", **_CSV_SCHEMA}},
)
async def export_file(access: MayReadContacts) -> Response:
    """Return the customers within the caller's scope, in the format of an import."""
    if not access.may(Permission.CUSTOMER_READ):
        raise ForbiddenError(Permission.CUSTOMER_READ)
    content = await access.read(export_customers)
    headers = {"Content-Disposition": 'attachment; filename="customers.csv"'}
    return Response(content.encode(), 200, headers, media_type=f"{_CSV}; charset=utf-8; header=present")


def _lines_of(report: ImportReport, page: Page) -> tuple[Sequence[LineOutcome], str | None]:
    """Return a page of the lines, and the cursor after it: the number of its last line."""
    after = 0 if page.cursor is None else int(page.cursor)
    left = [outcome for outcome in report.outcomes if outcome.line > after]
    shown = left[: page.limit]
    return shown, str(shown[-1].line) if len(left) > page.limit else None


def _out(
    report: ImportReport, shown: Sequence[LineOutcome], next_cursor: str | None = None, *, dry_run: bool
) -> ImportOut:
    customers = [item.customer for item in report.outcomes]
    contacts = [item.contact for item in report.outcomes]
    return ImportOut.model_construct(
        dry_run=dry_run,
        customers_created=customers.count("created"),
        customers_changed=customers.count("changed"),
        customers_unchanged=customers.count("unchanged"),
        contacts_created=contacts.count("created"),
        contacts_changed=contacts.count("changed"),
        contacts_unchanged=contacts.count("unchanged"),
        agreements_bound=report.agreements_bound,
        faults_total=len(report.faults),
        faults=[
            ImportFaultOut.model_construct(line=item.line, field=item.field, reason=item.reason)
            for item in report.faults[:MAX_FAULTS]
        ],
        lines_total=len(report.outcomes),
        next_cursor=next_cursor,
        lines=[
            ImportedLineOut.model_construct(line=item.line, customer=item.customer, contact=item.contact)
            for item in shown
        ],
    )
