"""Import and export of customers and contacts as CSV."""

import asyncio
from typing import Literal

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.import_customers import ImportReport, ImportUndoneError
from service.auth.permissions import Permission
from service.auth.route_guard import ForbiddenError
from service.ports.store import AccessTransaction
from service.web.api.customers.customer_csv import parse_customers
from service.web.api.customers.customer_transfer import MAX_FAULTS, Transfer, export_customers, verify_no_faults
from service.web.api.errors import HttpProblemError
from service.web.api.fields import Out
from service.web.api.requests import (
    Answer,
    Context,
    IdempotencyKey,
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
    lines: list[ImportedLineOut]


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
    idempotency_key: IdempotencyKey = None,
    *,
    dry_run: bool = False,
) -> Response:
    """Change customers and contacts to the content of the file, completely or not at all.

    The columns are in docs/formats.md. A dry run returns the faults in its answer. An import with faults is refused,
    with all faults.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _CSV:
        raise HttpProblemError(415, "send the file as text/csv")
    # A thread parses the file, so that other requests are answered while a long file is parsed.
    lines, faults = await asyncio.to_thread(parse_customers, await request.body())
    transfer = Transfer(lines, faults, context.agreements, dry_run)

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(_out(transfer.work(tx, act), dry_run=False))

    try:
        return await change(request, access, idempotency_key, work)
    except ImportUndoneError as error:
        if not dry_run:
            verify_no_faults(error.report)
        return json_response(_out(error.report, dry_run=True))


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


def _out(report: ImportReport, *, dry_run: bool) -> ImportOut:
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
        lines=[
            ImportedLineOut.model_construct(line=item.line, customer=item.customer, contact=item.contact)
            for item in report.outcomes
        ],
    )
