"""The customers of one incident as a spreadsheet: taken away as CSV, pasted or sent back, applied once confirmed."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError, StateConflictError, VersionMismatchError
from notifications.incident import Incident
from notifications.use_cases.audit_context import AuditContext
from service.ports.store import AccessTransaction
from service.web.api.spreadsheets import decoded
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, new_form_id, stated_version, write_once
from service.web.console.pages.incident.customer_answers import (
    Row,
    answered,
)
from service.web.console.pages.incident.customer_table import Line, format_table, read_table
from service.web.console.pages.incident.customers import filter_of, state_customers, table_rows
from service.web.console.pages.incident.fact_words import FactWords
from service.web.console.pages.incident.frame import (
    UNPROCESSABLE,
    MayChangeIncidents,
    MayReadIncidents,
    context_of,
    problems_of,
    reading,
    shown_in_frame,
)
from service.web.console.rendering import reader_language, reader_zone

router = APIRouter(route_class=PageRoute, include_in_schema=False)

#: A table of 20,000 customers.
_TABLE_BYTES = 4_000_000
_BYTE_ORDER_MARK = "\ufeff"


@router.get("/incidents/{incident_id}/customers/table.csv")
async def download(request: Request, access: MayReadIncidents, incident_id: UUID) -> Response:
    """Return the customers that the filter keeps as CSV, in the codes that are read back."""
    wanted = filter_of(request.query_params)

    def work(tx: AccessTransaction) -> tuple[Incident, list[Row]]:
        incident = tx.incidents.require(incident_id)
        return incident, table_rows(tx, incident)

    incident, rows = await access.read(work)
    content = _BYTE_ORDER_MARK + "".join(format_table(row for row in rows if wanted.keeps(row)))
    headers = {"Content-Disposition": f'attachment; filename="{incident.ticket}-customers.csv"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/incidents/{incident_id}/customers/table")
async def read_back(request: Request, access: MayChangeIncidents, incident_id: UUID) -> Response:
    """Show line by line what a pasted table or a file would change; applied only once that was confirmed."""
    form, content = await form_of(request), await _table(request)
    confirmed, context = form["confirmed"] == "yes", context_of(request)
    error: Exception | None = None
    if confirmed:

        def work(tx: AccessTransaction, act: AuditContext) -> str:
            lines = read_table(content, table_rows(tx, tx.incidents.require(incident_id)))
            changing = [line for line in lines if line.row is not None and line.changes]
            if not changing or any(line.faults for line in lines):
                raise InvalidInputError(Fault("table", "has faults or changes nothing"))
            stated = [
                answered(line.row.customer.id, line.row.stated, line.codes or {})
                for line in changing
                if line.row is not None
            ]
            state_customers(tx, act, context, incident_id, stated_version(form["version"]), stated)
            return f"/incidents/{incident_id}/customers?changed={len(stated)}"

        try:
            return await write_once(access, form, work)
        except (InvalidInputError, VersionMismatchError, StateConflictError) as refused:
            error = refused

    def report(tx: AccessTransaction) -> tuple[Incident, list[Line]]:
        incident = tx.incidents.require(incident_id)
        return incident, read_table(content, table_rows(tx, incident))

    shown = reading(access)
    incident, lines = await shown.read(report)
    problems, status = problems_of(error)
    faulty = any(line.faults for line in lines)
    values = {
        "lines": lines,
        "content": content,
        "faulty": faulty,
        "changing": sum(bool(line.changes) for line in lines),
        "problems": problems,
        "form_id": form["form_id"] if confirmed else new_form_id(),
        "said": FactWords(
            reader_language(request, access.caller), context.agreements.reference, {}, reader_zone(access.caller)
        ),
    }
    status = status if error is not None else UNPROCESSABLE if faulty or not lines else 200
    return shown_in_frame(
        request, shown, incident, "customers", values, template="incident_customer_report", status=status
    )


async def _table(request: Request) -> str:
    """Return the file that was sent, else the text that was pasted; empty for what is neither or too long."""
    fields = await request.form()
    file, pasted = fields.get("file"), fields.get("table")
    content = b""
    if isinstance(file, UploadFile):
        content = await file.read(_TABLE_BYTES + 1)
        await file.close()
    if content:
        return (decoded(content) or "") if len(content) <= _TABLE_BYTES else ""
    return pasted if isinstance(pasted, str) and len(pasted) <= _TABLE_BYTES else ""
