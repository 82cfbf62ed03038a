"""Evidence bundles for the provider's readers and for a customer. An outsider verifies them offline."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar
from uuid import UUID

from starlette.responses import Response, StreamingResponse

from notifications.evidence.bundle.contents import CUSTOMER, PROVIDER
from notifications.ports import Transaction
from notifications.use_cases.evidence.bundle_evidence import BundleRequest, plan_bundle, record_bundle
from service.audit_log.bundle_writer import read_anchors, write_bundle
from service.auth.caller import customer_scope
from service.auth.permissions import Permission
from service.auth.refusals import ForbiddenError
from service.auth.route_guard import Access
from service.auth.scope.transaction import within
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.fields import Language, Moment
from service.web.api.requests import Context, MayReadLog, MayReadTrail
from service.web.api.schemas import api_router

ResultT = TypeVar("ResultT")

router = api_router("/api/v1", tags=["bundles"])

_CHUNK_BYTES = 1 << 18
_View = Callable[[AccessTransaction], AccessTransaction]


@router.get("/audit/bundle", response_class=Response, summary="Evidence of whatever is asked for")
async def read_bundle(
    context: Context,
    access: MayReadLog,
    incident_id: UUID | None = None,
    announcement_id: UUID | None = None,
    notice_id: UUID | None = None,
    customer_id: UUID | None = None,
    starts_at: Moment | None = None,
    ends_at: Moment | None = None,
    language: Language = "fr",
) -> Response:
    """Return a ZIP archive with entries, proofs and all committed values, as the provider and its auditors see them.

    It contains the entries that meet every given condition: incident, announcement, notice, customer, period. At least
    one condition is required. The log records who got which bundle.
    """
    if access.caller.scope(Permission.NOTICE_READ) is None:
        raise ForbiddenError(Permission.NOTICE_READ)
    wanted = BundleRequest(incident_id, notice_id, customer_id, starts_at, ends_at, announcement_id)
    return await _bundle(context, access, access.view, wanted, PROVIDER, language)


@router.get("/customers/{customer_id}/bundle", response_class=Response, summary="Evidence of what concerns a customer")
async def read_customer_bundle(
    context: Context,
    access: MayReadTrail,
    customer_id: UUID,
    incident_id: UUID | None = None,
    announcement_id: UUID | None = None,
    notice_id: UUID | None = None,
    starts_at: Moment | None = None,
    ends_at: Moment | None = None,
    language: Language = "fr",
) -> Response:
    """Return a ZIP archive with every entry that names the customer, and nothing of another customer.

    The content is the same for every caller. The provider's notes and reasons stay commitments. The archive contains
    nothing about incidents of which the customer was not notified.
    """
    notices = access.caller.scope(Permission.NOTICE_READ)
    if notices is None or not notices.covers_customer(customer_id):
        # A foreign customer does not exist for the caller. Without permission to read notices of its own customer: 403.
        await access.read(lambda tx: tx.customers.require(customer_id))
        raise ForbiddenError(Permission.NOTICE_READ)
    scope = customer_scope(customer_id)
    wanted = BundleRequest(incident_id, notice_id, customer_id, starts_at, ends_at, announcement_id)
    return await _bundle(context, access, lambda tx: within(access.view(tx), scope), wanted, CUSTOMER, language)


async def _bundle(
    context: ApiContext, access: Access, view: _View, wanted: BundleRequest, reader: str, language: str
) -> Response:
    """Make the bundle, record it, then answer. A bundle that cannot be made completely is an error.

    1. Plan the bundle, from one snapshot.
    2. Write the bundle to an unnamed file, which ends with the answer.
    3. Record the bundle in the log.
    """

    async def reads(work: Callable[[Transaction], ResultT]) -> ResultT:
        return await access.store.read(lambda tx: work(view(tx)))

    # 1.
    plan = await reads(lambda tx: plan_bundle(tx, wanted, reader=reader, language=language))
    signers = await context.keys.log_signers()
    anchors = await asyncio.to_thread(read_anchors, context.settings.trust_dir)
    async with contextlib.AsyncExitStack() as stack:
        # 2.
        file: BinaryIO = stack.enter_context(_nameless(context.settings.data))
        digest = await write_bundle(file, reads, plan, anchors, signers, folder=context.settings.data)
        # 3.
        await access.write(lambda tx, act: record_bundle(tx, act, plan, digest))
        await access.trace()
        size = file.tell()
        file.seek(0)
        kept = stack.pop_all()
    name = f"evidence-{plan.header.tree_size}.zip"
    headers = {"Content-Length": str(size), "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(_chunks(file, kept.aclose), media_type="application/zip", headers=headers)


@contextlib.contextmanager
def _nameless(folder: Path) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile(dir=folder) as file:
        yield file


async def _chunks(file: BinaryIO, close: Callable[[], Awaitable[None]]) -> AsyncIterator[bytes]:
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield chunk
    finally:
        await close()
