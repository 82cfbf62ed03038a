"""The inventory: which customer holds which resource, and whom a failure concerns."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Annotated
from uuid import UUID

from fastapi import Path, Query, Request
from starlette.responses import Response

from notifications.customer.inventory import InventoryKind, ResourceLookup
from notifications.errors import required
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.look_up_resources import confirm_lookup, look_up_customers
from notifications.use_cases.customers.manage_resources import (
    ResourceImportUndoneError,
    end_resource,
    state_resource,
)
from service.ports.store import AccessTransaction
from service.web.api.errors import HttpProblemError
from service.web.api.fields import Moment
from service.web.api.requests import (
    Answer,
    Context,
    Cursor,
    IdempotencyKey,
    Limit,
    MayChangeIncidents,
    MayChangeResources,
    MayReadResources,
    change,
    json_response,
)
from service.web.api.resources.resource_lines import ResourceTransfer, import_out, parse_resources, without_lines
from service.web.api.resources.resource_schemas import (
    ConcernedCustomerOut,
    ConfirmationIn,
    FailedPartIn,
    ImportFormat,
    LookupOut,
    ResourceHistory,
    ResourceImportOut,
    ResourcePage,
    ResourcePlaceIn,
    ResourceStatedOut,
    Term,
    declare_path,
    failed_out,
    resource_out,
)
from service.web.api.schemas import ProblemOut, api_router

router = api_router("/api/v1", tags=["resources"])

_FORMATS: dict[str, ImportFormat] = {
    "text/csv": "csv",
    "application/x-ndjson": "lines",
    "application/jsonl": "lines",
}
_BODY = {"requestBody": {"required": True, "content": {name: {"schema": {"type": "string"}} for name in _FORMATS}}}
#: A file up to this size stays in memory while it is read.
_IN_MEMORY_BYTES = 1 << 20
#: Resources are listed for so many customers of a look-up, and so many for each.
_LISTED_CUSTOMERS, _LISTED_RESOURCES = 50, 5

Identifier = Annotated[Term, Path(description="The provider's identifier.")]
_RESOURCE = "/customers/{customer_id}/resources/{kind}/{identifier:path}"


@router.post(
    "/resources/import",
    response_model=ResourceImportOut,
    summary="Import resources",
    openapi_extra=_BODY,
    responses={415: {"description": "The body must be CSV or JSON lines.", "model": ProblemOut}},
)
async def import_file(
    request: Request,
    context: Context,
    access: MayChangeResources,
    idempotency_key: IdempotencyKey = None,
    snapshot_at: Annotated[
        Moment | None,
        Query(description="The file is a full snapshot of this time: what it does not contain ends there."),
    ] = None,
    *,
    partial: Annotated[bool, Query(description="Import the lines without faults; else all or nothing.")] = False,
    dry_run: bool = False,
) -> Response:
    """Record which customer holds which resource, as CSV or as one JSON object a line; docs/formats.md has the columns.

    The body is read as it comes and may be larger than others: `limits.max_import_bytes`. Importing the same file again
    changes nothing. A dry run answers with the faults too; an import with faults is refused with all of them.
    """
    form = _FORMATS.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    if form is None:
        raise HttpProblemError(415, f"send the file as {' or '.join(_FORMATS)}")
    async with _received(request, context.settings.limits.max_import_bytes) as (file, digest):
        # A long file takes a while to parse: others are answered meanwhile.
        parsed = await asyncio.to_thread(parse_resources, file, form)
    transfer = ResourceTransfer(parsed, snapshot_at, partial, dry_run)

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        report = transfer.work(tx, act)
        return Answer(report, kept=without_lines(report))

    try:
        return await change(request, access, idempotency_key, work, content=digest)
    except ResourceImportUndoneError as error:
        return json_response(import_out(error.report, dry_run=True))


@asynccontextmanager
async def _received(request: Request, allowed_bytes: int) -> AsyncIterator[tuple[IO[bytes], bytes]]:
    """Yield the body as a file, with its digest; raises HttpProblemError 413 beyond the limit."""
    digest, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spooled:
        async for chunk in request.stream():
            size += len(chunk)
            if size > allowed_bytes:
                raise HttpProblemError(413, f"a file may have at most {allowed_bytes} bytes")
            digest.update(chunk)
            spooled.write(chunk)
        spooled.seek(0)
        yield spooled, digest.digest()


@router.get("/resources", response_model=ResourcePage, summary="List resources")
async def list_resources(
    access: MayReadResources,
    customer_id: UUID | None = None,
    at: Annotated[Moment | None, Query(description="Only what was held at this time.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return records of the inventory as they were recorded."""

    def work(tx: AccessTransaction) -> ResourcePage:
        found, following = tx.resources.page(access.page(limit, cursor), customer_id=customer_id, at=at)
        return ResourcePage(items=list(map(resource_out, found)), next_cursor=access.next_cursor(following))

    return json_response(await access.read(work))


@router.post("/resources/lookup", response_model=LookupOut, summary="Look up whom a failure concerns")
async def look_up(
    request: Request, access: MayReadResources, failed: FailedPartIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Return the customers that held what failed at that time, as a proposal for a person; it decides nothing.

    The log keeps what was looked up and proposed.
    """

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(lookup_out(tx, look_up_customers(tx, act, failed.to_domain())))

    return await change(request, access, idempotency_key, work)


@router.get("/resources/lookups/{lookup_id}", response_model=LookupOut, summary="Read a look-up")
async def read_lookup(access: MayReadResources, lookup_id: UUID) -> Response:
    """Return a look-up with its proposal and what was confirmed; it is kept for 90 days."""
    return json_response(await access.read(lambda tx: lookup_out(tx, require_lookup(tx, lookup_id))))


@router.post("/resources/lookups/{lookup_id}/confirmation", response_model=LookupOut, summary="Confirm a proposal")
async def confirm(
    request: Request,
    access: MayChangeIncidents,
    lookup_id: UUID,
    confirmation: ConfirmationIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record in the log which customers a person takes over; an incident then states them as affected."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        return Answer(lookup_out(tx, confirm_lookup(tx, act, lookup_id, tuple(confirmation.customer_ids))))

    return await change(request, access, idempotency_key, work)


@router.get(_RESOURCE, response_model=ResourceHistory, summary="Read the history of a resource")
async def read_history(
    access: MayReadResources, customer_id: UUID, kind: InventoryKind, identifier: Identifier
) -> Response:
    """Return what is known of one resource of a customer, oldest first."""

    def work(tx: AccessTransaction) -> ResourceHistory:
        tx.customers.require(customer_id)
        known = tx.resources.history(customer_id, kind, identifier)
        required("resource", identifier, known or None)
        return ResourceHistory(items=list(map(resource_out, known)))

    return json_response(await access.read(work))


@router.put(_RESOURCE, response_model=ResourceStatedOut, summary="State that a customer holds a resource")
async def put(
    request: Request,
    access: MayChangeResources,
    customer_id: UUID,
    kind: InventoryKind,
    identifier: Identifier,
    place: ResourcePlaceIn,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Record where a resource is, from and until when. What was known of it until then is kept; If-Match is not needed.

    The same again changes nothing. The same beginning with another place corrects what was stated.
    """

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        effect = state_resource(tx, act, place.to_domain(customer_id, kind, identifier))
        known = tx.resources.history(customer_id, kind, identifier)
        return Answer(ResourceStatedOut(effect=effect, items=list(map(resource_out, known))))

    return await change(request, access, idempotency_key, work)


@router.delete(_RESOURCE, response_model=ResourceHistory, summary="State that a customer no longer holds a resource")
async def delete(
    request: Request,
    access: MayChangeResources,
    customer_id: UUID,
    kind: InventoryKind,
    identifier: Identifier,
    ended_at: Annotated[Moment | None, Query(description="Without it: now.")] = None,
) -> Response:
    """End a resource. Its history is kept: a failure that is found later may concern it."""

    def work(tx: AccessTransaction, act: AuditContext) -> Answer:
        end_resource(tx, act, customer_id, kind, identifier, ended_at or act.now)
        known = tx.resources.history(customer_id, kind, identifier)
        return Answer(ResourceHistory(items=list(map(resource_out, known))))

    return await change(request, access, None, work)


def require_lookup(tx: AccessTransaction, lookup_id: UUID) -> ResourceLookup:
    """Return a look-up; raises NotFoundError."""
    return required("look-up", lookup_id, tx.resources.lookup(lookup_id))


def lookup_out(tx: AccessTransaction, lookup: ResourceLookup) -> LookupOut:
    """Return a look-up with the names of the customers and the first resources."""
    customers = []
    for position, item in enumerate(lookup.proposed):
        known = tx.customers.get(item.customer_id)
        listed = position < _LISTED_CUSTOMERS
        first = tx.resources.concerned_resources(lookup.failed, item.customer_id, _LISTED_RESOURCES) if listed else ()
        customers.append(
            ConcernedCustomerOut(
                customer_id=item.customer_id,
                name=None if known is None else known.name,
                resources=item.resources,
                first_resources=list(map(resource_out, first)),
            )
        )
    return LookupOut(
        id=lookup.id,
        made_at=lookup.made_at,
        failed=failed_out(lookup.failed),
        customers_total=len(lookup.proposed),
        resources_total=sum(item.resources for item in lookup.proposed),
        customers=customers,
        confirmed=None if lookup.confirmed is None else list(lookup.confirmed),
        confirmed_at=lookup.confirmed_at,
        declare=declare_path(lookup),
    )
