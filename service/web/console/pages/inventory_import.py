"""Resources from a file: it is reported line by line what it would do; one confirmation then does all of it."""

import asyncio
import hashlib
import io
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from notifications.customer.inventory import Effect
from notifications.errors import InvalidInputError
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.manage_resources import ResourceImportUndoneError
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.api.requests import Context, MayChangeResources
from service.web.api.resources.resource_lines import COLUMNS, ResourceTransfer, import_out, parse_resources
from service.web.api.resources.resource_schemas import ImportFormat, ResourceImportOut
from service.web.console.failures import PageRoute
from service.web.console.forms import form_of, write_once
from service.web.console.moments import offered_zones, parse_moment
from service.web.console.rendering import page, reader_zone
from service.web.console.reported_file import ReportChangedError, packed_file, unpacked_file

router = APIRouter(prefix="/inventory/import", route_class=PageRoute, include_in_schema=False)

_CONFLICT, _UNPROCESSABLE = 409, 422
_SHOWN_RUNS, _SHOWN_FAULTS, _MOST_COUNTED = 300, 500, 10


@dataclass(frozen=True, slots=True)
class _Upload:
    """A file with what was stated about it."""

    content: bytes
    #: as it was typed; empty for a file that is no snapshot
    snapshot: str
    #: in which it was typed, and when
    zone: str
    now: datetime

    @property
    def snapshot_at(self) -> datetime | None:
        """When the file was complete; None for a file that is no snapshot. Raises ValueError for what is no time."""
        return parse_moment(self.snapshot, self.zone, self.now) if self.snapshot else None

    @property
    def form(self) -> ImportFormat:
        """JSON lines begin with a brace; everything else is read as CSV."""
        return "lines" if self.content.lstrip()[:1] == b"{" else "csv"

    @property
    def packed(self) -> str:
        """The file as a form carries it to the confirmation."""
        return packed_file(self.content)

    def transfer(self, *, dry_run: bool) -> ResourceTransfer:
        """Return the file on its way in; raises ValueError for a time that is none."""
        parsed = parse_resources(io.BytesIO(self.content), self.form)
        return ResourceTransfer(parsed, self.snapshot_at, partial=False, dry_run=dry_run)


@router.get("")
async def ask(request: Request, access: MayChangeResources, changed: str = "") -> Response:
    """Show the form; after an import, how many records it changed."""
    is_done = changed.isascii() and changed.isdigit() and len(changed) < _MOST_COUNTED
    return _asked(request, access, changed=changed if is_done else "")


@router.post("")
async def report(request: Request, access: MayChangeResources) -> Response:
    """Report line by line what the uploaded file would do; nothing is imported."""
    async with request.form() as posted:
        file = posted.get("file")
        content = await file.read() if isinstance(file, UploadFile) else b""
        zone, _ = offered_zones("UTC", str(posted.get("time_zone", "")))
        upload = _Upload(content, str(posted.get("snapshot_at", "")).strip(), zone, access.clock.now())
    if not content.strip():
        return _asked(request, access, problem="no_file", snapshot=upload.snapshot)
    return await _reported(request, access, upload)


@router.post("/confirmed")
async def confirmed(request: Request, context: Context, access: MayChangeResources) -> Response:
    """Import the file that was reported, all of it or nothing.

    The import runs again with every check. Where it would do anything else than was reported, because something changed
    meanwhile, nothing is imported and the new report is shown.
    """
    posted = await request.form()
    content = unpacked_file(str(posted.get("packed", "")), context.settings.limits.max_body_bytes)
    if content is None:
        return _asked(request, access, problem="no_file")
    # The report stated the time with its offset.
    upload = _Upload(content, str(posted.get("snapshot_at", "")), "UTC", access.clock.now())
    digest = str(posted.get("digest", ""))
    try:
        transfer = await asyncio.to_thread(upload.transfer, dry_run=False)
    except ValueError:
        return _asked(request, access, problem="snapshot_at", snapshot=upload.snapshot)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        done = transfer.work(tx, act)
        if _digest(done) != digest:
            raise ReportChangedError("the effects are others than those reported")
        return (
            f"/inventory/import?changed={done.added + done.moved + done.corrected + done.ended + done.no_longer_there}"
        )

    try:
        return await write_once(access, await form_of(request), work)
    except (ReportChangedError, InvalidInputError):
        return await _reported(request, access, upload, changed=True)


async def _reported(request: Request, access: Access, upload: _Upload, *, changed: bool = False) -> Response:
    try:
        # A long file takes a while to parse: others are answered meanwhile.
        transfer = await asyncio.to_thread(upload.transfer, dry_run=True)
    except ValueError:
        return _asked(request, access, problem="snapshot_at", snapshot=upload.snapshot)
    try:
        found = await access.write(transfer.work)
    except ResourceImportUndoneError as error:
        found = import_out(error.report, dry_run=True)
    except InvalidInputError as error:
        faults = [fault.reason for fault in error.faults]
        return _asked(request, access, problem="snapshot_at", snapshot=upload.snapshot, faults=faults)
    telling = [run for run in found.lines if run.effect is not Effect.UNCHANGED]
    values = {
        "report": found,
        "faults": found.faults[:_SHOWN_FAULTS],
        "runs": telling[:_SHOWN_RUNS],
        "more_runs": len(telling) > _SHOWN_RUNS,
        "packed": upload.packed,
        "snapshot": "" if upload.snapshot_at is None else upload.snapshot_at.isoformat(),
        "digest": _digest(found),
        "is_changed": changed,
    }
    status = _CONFLICT if changed else _UNPROCESSABLE if found.faults else 200
    return page(request, "inventory_report", access.caller, values, status=status)


def _digest(found: ResourceImportOut) -> str:
    """Return what the confirmation confirms: the effects, line by line."""
    effects = "\n".join(f"{run.first} {run.last} {run.effect.value}" for run in found.lines)
    return hashlib.sha256(f"{effects}\n{found.no_longer_there}".encode()).hexdigest()


def _asked(
    request: Request,
    access: Access,
    *,
    changed: str = "",
    problem: str = "",
    snapshot: str = "",
    faults: list[str] | None = None,
) -> Response:
    zone, zones = offered_zones(reader_zone(access.caller), "")
    values = {
        "zone": zone, "zones": [(each, each) for each in zones],
        "columns": COLUMNS, "changed": changed, "problem": problem, "snapshot": snapshot, "faults": faults or [],
    }  # fmt: skip
    status = _UNPROCESSABLE if problem else 200
    return page(request, "inventory_import", access.caller, values, status=status)
