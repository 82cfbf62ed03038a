"""The trail: the log entries about one customer, for that customer."""

import base64
import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path
from pydantic import Field
from starlette.responses import Response

from notifications.errors import NotFoundError
from notifications.ports import SequencedEntry
from notifications.use_cases.evidence.prove_entry import entry_at, entry_proof
from service.ports.store import AccessTransaction
from service.web.api.fields import Out
from service.web.api.requests import Cursor, Limit, MayReadTrail, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/customers", tags=["trail"])

Index = Annotated[int, Path(ge=0, le=2**53)]


class TrailEntryOut(Out):
    """An entry of the log that names the customer."""

    index: int
    leaf: dict[str, Any] = Field(description="What the leaf says: codes and times in clear, the rest as commitments.")
    leaf_base64: str = Field(description="The exact leaf bytes, as the tree hashes them.")


class TrailPage(Out):
    """A page of the trail, oldest first."""

    items: list[TrailEntryOut]
    next_cursor: str | None


@router.get("/{customer_id}/trail", response_model=TrailPage, summary="What the log says about a customer")
async def list_trail(access: MayReadTrail, customer_id: UUID, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Return the entries that name the customer, oldest first.

    A customer sees an entry about a notice or an incident only after a notice about it was served.
    """

    def work(tx: AccessTransaction) -> TrailPage:
        tx.customers.require(customer_id)
        found, following = tx.audit.about("customer", tx.customers.pseudonym(customer_id), access.page(limit, cursor))
        return TrailPage.model_construct(
            items=[_out(entry) for entry in found], next_cursor=access.next_cursor(following)
        )

    return json_response(await access.read(work))


@router.get("/{customer_id}/trail/{index}/proof", response_class=Response, summary="Prove an entry of the trail")
async def prove(access: MayReadTrail, customer_id: UUID, index: Index) -> Response:
    """Return ``c2sp.org/tlog-proof@v1`` for an entry that names the customer; 404 for every other entry."""

    def work(tx: AccessTransaction) -> bytes:
        tx.customers.require(customer_id)
        entry = entry_at(tx, index)
        if json.loads(entry.leaf)["subjects"].get("customer") != tx.customers.pseudonym(customer_id):
            raise NotFoundError("audit entry", index)
        return entry_proof(tx, entry)

    return Response(await access.read(work), media_type="text/plain; charset=utf-8")


def _out(entry: SequencedEntry) -> TrailEntryOut:
    return TrailEntryOut.model_construct(
        index=entry.index, leaf=json.loads(entry.leaf), leaf_base64=base64.b64encode(entry.leaf).decode()
    )
