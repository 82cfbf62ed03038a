"""A customer's notices as the inbox of one reader: what waits first, narrowed and searched."""

import json
from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from notifications.notice import NoticeKind
from notifications.notice.inbox import InboxFilter, InboxNotice
from service.ports.store import AccessTransaction
from service.web.api.fields import Moment, Out
from service.web.api.requests import Cursor, Limit, MayReadNotices, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1", tags=["notices"])

#: Longest text that an inbox is searched by.
SEARCH_MAX_CHARACTERS = 100


class InboxNoticeOut(Out):
    """A notice as the caller's inbox shows it."""

    notice_id: UUID
    incident_id: UUID
    ticket: str
    sequence: int
    kind: NoticeKind
    title: dict[str, str] = Field(description="By language, as sealed.")
    tlp: str
    sealed_at: Moment | None
    placed_at: Moment | None = Field(description="When it was placed in the console; null while it is on its way.")
    due_at: Moment
    binding: str = Field(description="How strictly `due_at` binds: `hard`, `soft` (where possible), `no_number`.")
    read: bool = Field(description="Whether the caller opened it before.")
    acknowledged: bool = Field(description="Whether anybody of the customer acknowledged it.")
    acknowledge_by: Moment | None
    open: bool = Field(
        description="Whether the customer has no final notice of the incident; of an announcement: whether it goes on."
    )


class InboxNoticePage(Out):
    """A page of an inbox."""

    items: list[InboxNoticeOut]
    next_cursor: str | None


@router.get(
    "/customers/{customer_id}/notices", response_model=InboxNoticePage, summary="A customer's notices, what waits first"
)
async def list_inbox(
    access: MayReadNotices,
    customer_id: UUID,
    contains: Annotated[str, Query(max_length=SEARCH_MAX_CHARACTERS, description="In ticket or title.")] = "",
    unread: bool = False,
    to_acknowledge: bool = False,
    open: bool = False,  # noqa: A002 - the name of the filter in the address
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return sealed notices: unread ones first, then to be acknowledged, then of open incidents, then the others."""
    wanted = InboxFilter(contains.strip(), unread, to_acknowledge, open)

    def work(tx: AccessTransaction) -> InboxNoticePage:
        tx.customers.require(customer_id)
        found = tx.notices.inbox([customer_id], access.actor, wanted, access.page(limit, cursor))
        items, following = found[customer_id]
        return InboxNoticePage.model_construct(
            items=[inbox_notice_out(each) for each in items], next_cursor=access.next_cursor(following)
        )

    return json_response(await access.read(work))


def inbox_notice_out(shown: InboxNotice) -> InboxNoticeOut:
    """Return the schema of a notice of an inbox."""
    document, notice = json.loads(shown.document), shown.notice
    return InboxNoticeOut.model_construct(
        notice_id=notice.id,
        incident_id=notice.incident_id,
        ticket=document["ticket"],
        sequence=notice.sequence,
        kind=notice.kind,
        title=document["title"],
        tlp=document["tlp"],
        sealed_at=notice.sealed_at,
        placed_at=shown.placed_at,
        due_at=notice.due_at,
        binding=notice.binding.value,
        read=shown.read,
        acknowledged=shown.acknowledged,
        acknowledge_by=shown.acknowledge_by,
        open=shown.open,
    )
