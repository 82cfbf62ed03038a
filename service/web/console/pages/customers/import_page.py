"""Customers from a file: it is reported line by line what it would do; one confirmation then does all of it."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.import_customers import ImportReport, ImportUndoneError
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.customers.customer_csv import COLUMNS, parse_customers
from service.web.api.customers.customer_transfer import Transfer
from service.web.api.requests import Context, MayChangeCustomers
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, write_once
from service.web.console.rendering import page
from service.web.console.reported_file import ReportChangedError, packed_file, unpacked_file

router = APIRouter(prefix="/customers/import", route_class=PageRoute, include_in_schema=False)

_CONFLICT, _UNPROCESSABLE = 409, 422
#: Lines that a page shows; the counts are of all of them.
_SHOWN_LINES, _SHOWN_FAULTS = 500, 500
_MOST_COUNTED = 10


@dataclass(frozen=True, slots=True)
class _Reported:
    """What a file would do, and what its confirmation carries."""

    report: ImportReport
    content: bytes

    def count(self, what: str, outcome: str) -> int:
        """Return how many customers or contacts the file creates, changes or leaves."""
        return sum(getattr(item, what) == outcome for item in self.report.outcomes)

    @property
    def packed(self) -> str:
        """The file as a form carries it to the confirmation."""
        return packed_file(self.content)

    @property
    def digest(self) -> str:
        """What the confirmation confirms: the effects, line by line."""
        return _digest(self.report)


@router.get("")
async def ask(request: Request, access: MayChangeCustomers, created: str = "", changed: str = "") -> Response:
    """Show the form; after an import, what it did."""
    counts = {"created": created, "changed": changed}
    is_done = all(value.isascii() and value.isdigit() and len(value) < _MOST_COUNTED for value in counts.values())
    return _asked(request, access, done=counts if is_done else None)


@router.post("")
async def report(request: Request, context: Context, access: MayChangeCustomers) -> Response:
    """Report line by line what the uploaded file would do; nothing is imported."""
    async with request.form() as posted:
        file = posted.get("file")
        content = await file.read() if isinstance(file, UploadFile) else b""
    if not content.strip():
        return _asked(request, access, problem="no_file", status=_UNPROCESSABLE)
    return await _reported(request, context, access, content)


@router.post("/confirmed")
async def confirmed(request: Request, context: Context, access: MayChangeCustomers) -> Response:
    """Import the file that was reported, all of it or nothing.

    The import runs again with every check. Where it would do anything else than was reported, because somebody changed
    a customer meanwhile, nothing is imported and the new report is shown.
    """
    posted = await request.form()
    packed, digest, form = str(posted.get("packed", "")), str(posted.get("digest", "")), await form_of(request)
    content = unpacked_file(packed, context.settings.limits.max_body_bytes)
    if content is None:
        return _asked(request, access, problem="no_file", status=_UNPROCESSABLE)
    lines, faults = await asyncio.to_thread(parse_customers, content)
    transfer = Transfer(lines, faults, context.agreements, dry_run=False)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        done = _Reported(transfer.work(tx, act), content)
        if done.digest != digest:
            raise ReportChangedError("the effects are others than those reported")
        created = done.count("customer", "created")
        changed = sum(
            "created" in (item.customer, item.contact) or "changed" in (item.customer, item.contact)
            for item in done.report.outcomes
        )
        return f"/customers/import?created={created}&changed={changed}"

    try:
        return await write_once(access, form, work)
    except (ReportChangedError, ImportUndoneError):
        return await _reported(request, context, access, content, changed=True)


async def _reported(
    request: Request, context: Context, access: Access, content: bytes, *, changed: bool = False
) -> Response:
    # A long file takes a while to parse: others are answered meanwhile.
    lines, faults = await asyncio.to_thread(parse_customers, content)
    transfer = Transfer(lines, faults, context.agreements, dry_run=True)
    try:
        found = await access.write(transfer.work)
    except ImportUndoneError as error:
        found = error.report
    values = {
        "reported": _Reported(found, content),
        "faults": found.faults[:_SHOWN_FAULTS],
        "lines": _telling(found)[:_SHOWN_LINES],
        "names": {line.number: line.customer.name for line in lines},
        "shown_lines": _SHOWN_LINES,
        "shown_faults": _SHOWN_FAULTS,
        "is_changed": changed,
    }
    status = _CONFLICT if changed else _UNPROCESSABLE if found.faults else 200
    return page(request, "customers_report", access.caller, values, status=status)


def _telling(found: ImportReport) -> Sequence[object]:
    """Return the lines that do something, in the order of the file."""
    return [item for item in found.outcomes if {item.customer, item.contact} & {"created", "changed"}]


def _digest(found: ImportReport) -> str:
    told = "\n".join(f"{item.line} {item.customer} {item.contact}" for item in found.outcomes)
    return hashlib.sha256(f"{told}\n{found.agreements_bound}".encode()).hexdigest()


def _asked(
    request: Request,
    access: Access,
    *,
    done: dict[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    values = {"columns": COLUMNS, "done": done, "problem": problem}
    return page(request, "customers_import", access.caller, values, status=status)
