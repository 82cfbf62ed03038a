"""The audit log: entries, proofs, checkpoint, verifier key."""

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.audit.merkle import consistency_proof
from notifications.errors import Fault, InvalidInputError, NotFoundError
from notifications.ports import SequencedEntry, Transaction
from notifications.use_cases.evidence.prove_entry import entry_at, entry_proof
from service.web.api.fields import Out
from service.web.api.requests import Context, Cursor, Limit, MayProveLog, MayReadLog, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/audit", tags=["audit"])

Index = Annotated[int, Query(ge=0, le=2**53)]


class EntryOut(Out):
    """An entry of the log."""

    index: int
    id: UUID
    leaf: dict[str, Any] = Field(description="What the leaf says: codes and times in clear, the rest as commitments.")
    leaf_base64: str = Field(description="The exact leaf bytes, as the tree hashes them.")


class EntryPage(Out):
    """A page of entries, oldest first."""

    items: list[EntryOut]
    next_cursor: str | None
    size: int = Field(description="Number of entries under the latest checkpoint.")


class ConsistencyOut(Out):
    """A consistency proof between two sizes of the tree (RFC 9162)."""

    old_size: int
    new_size: int
    hashes: list[str]


def _out(entry: SequencedEntry) -> EntryOut:
    return EntryOut.model_construct(
        index=entry.index,
        id=entry.entry_id,
        leaf=json.loads(entry.leaf),
        leaf_base64=base64.b64encode(entry.leaf).decode(),
    )


@router.get("/entries", response_model=EntryPage, summary="List entries")
async def list_entries(
    access: MayReadLog,
    incident_id: UUID | None = None,
    customer_id: UUID | None = None,
    notice_id: UUID | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return entries, oldest first: all entries, or those about one incident, customer or notice."""
    named = [value for value in (incident_id, customer_id, notice_id) if value is not None]
    if len(named) > 1:
        raise InvalidInputError(Fault("incident_id", "name one subject at a time"))

    def work(tx: Transaction) -> EntryPage:
        size = tx.log.size()
        page = access.page(limit, cursor)
        found: Sequence[SequencedEntry]
        if customer_id is None and not named:
            found = tx.audit.entries(int(page.cursor or 0), limit + 1)
            following = str(found[limit].index) if len(found) > limit else None
            found = found[:limit]
        else:
            if customer_id is not None:
                tx.customers.require(customer_id)
                subject = "customer", tx.customers.pseudonym(customer_id)
            else:
                subject = "incident" if incident_id else "notice", str(named[0])
            found, following = tx.audit.about(*subject, page)
        items = [_out(item) for item in found]
        return EntryPage.model_construct(items=items, next_cursor=access.next_cursor(following), size=size)

    return json_response(await access.read(work))


@router.get("/entries/{index}", response_model=EntryOut, summary="Read an entry")
async def read_entry(access: MayReadLog, index: int) -> Response:
    """Return the entry at an index of the tree."""
    return json_response(_out(await access.read(lambda tx: entry_at(tx, index))))


@router.get("/entries/{index}/proof", response_class=Response, summary="Prove an entry")
async def read_proof(access: MayReadLog, index: int) -> Response:
    """Return ``c2sp.org/tlog-proof@v1`` for the entry under the latest checkpoint."""
    proof = await access.read(lambda tx: entry_proof(tx, entry_at(tx, index)))
    return Response(proof, media_type="text/plain; charset=utf-8")


@router.get("/checkpoint", response_class=Response, summary="Latest signed checkpoint")
async def checkpoint(access: MayProveLog) -> Response:
    """Return the latest checkpoint (C2SP signed note)."""
    note = await access.read(lambda tx: tx.log.checkpoint())
    if note is None:
        raise NotFoundError("checkpoint", "latest")
    return Response(note, media_type="text/plain; charset=utf-8")


@router.get("/verifier-key", response_class=Response, summary="The log's verifier key")
async def verifier_key(context: Context, access: MayProveLog) -> Response:
    """Return the keys that verify checkpoints, oldest first, one per line (C2SP verifier key text).

    There is one key unless the log's key was replaced. Get the keys that you trust by another way than this route.
    """
    await access.trace()
    return Response(context.keys.log_verifier_keys(), media_type="text/plain; charset=utf-8")


@router.get("/consistency", response_model=ConsistencyOut, summary="Prove that the log only grew")
async def consistency(access: MayProveLog, old_size: Index, new_size: Index | None = None) -> Response:
    """Return the consistency proof between two sizes of the tree; the newer one is by default the latest."""

    def work(tx: Transaction) -> ConsistencyOut:
        note = tx.log.checkpoint()
        size = parse_checkpoint_note(note).size if note else 0
        wanted = size if new_size is None else new_size
        if not old_size <= wanted <= size:
            raise InvalidInputError(Fault("old_size", f"wants old_size <= new_size <= {size}"))
        hashes = consistency_proof(old_size, wanted, tx.log.node_hashes)
        return ConsistencyOut(
            old_size=old_size, new_size=wanted, hashes=[base64.b64encode(item).decode() for item in hashes]
        )

    return json_response(await access.read(work))
