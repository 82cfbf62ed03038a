"""The notice on paper: one PDF for each language in which the notice is sealed."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from starlette.responses import Response

from notifications.errors import NotFoundError
from notifications.mail.mail import rendering_for
from notifications.notice.seal import SealedNotice
from notifications.ports import Transaction
from notifications.use_cases.notices.make_pdf import make_pdf
from service.auth.route_guard import Access
from service.delivery.acknowledgements import record_opening
from service.web.api.context import ApiContext
from service.web.api.fields import Language
from service.web.api.requests import Context, MayReadNotices
from service.web.api.schemas import api_router

router = api_router("/api/v1/notices", tags=["notices"])


@router.get("/{notice_id}/notice.pdf", response_class=Response, summary="notice.pdf")
async def notice_pdf(
    request: Request,
    context: Context,
    access: MayReadNotices,
    notice_id: UUID,
    language: Annotated[Language | None, Query(description="Without it, the customer's language.")] = None,
) -> Response:
    """Return the notice as PDF/A-3, signed as PAdES B-T, with `notice.json` and its proofs embedded.

    The first request makes the PDF; later requests get the same bytes. 501 where the provider has not installed what
    makes PDFs; 503 while the notice or the PDF has no timestamp, or the notice no log proof. The first read by a person
    of the customer is recorded.
    """
    return await pdf_response(request, context, access, notice_id, language)


async def pdf_response(
    request: Request, context: ApiContext, access: Access, notice_id: UUID, language: str | None
) -> Response:
    """Return the PDF of a notice that the caller may read, for the API and the pages."""

    def find(tx: Transaction) -> tuple[SealedNotice, str]:
        notice = tx.notices.require(notice_id)
        sealed = tx.notices.seal(notice_id)
        if sealed is None:
            raise NotFoundError("seal of notice", notice_id)
        return sealed, language or tx.customers.require(notice.customer_id).language

    sealed, spoken = await access.read(find)
    # A language in which the notice is not sealed gets the words that a mail in this language would have.
    content = await make_pdf(notice_id, rendering_for(sealed, spoken).language, context.sealing)
    await record_opening(access, notice_id, request.method, request.headers)
    return Response(
        content,
        media_type="application/pdf",
        headers={"Content-Disposition": 'attachment; filename="notice.pdf"'},
    )
