"""The audit log: entries, proofs, checkpoint, verifier key."""

import base64
import json
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.audit.merkle import consistency_proof
from notifications.errors import Fault, InvalidInputError, NotFoundError
from notifications.ports import EntryFilter, LoggedHead, SequencedEntry, Transaction
from notifications.use_cases.evidence.prove_entry import entry_at, entry_proof
from service.web.api.fields import Moment, Out
from service.web.api.requests import Context, Cursor, Limit, MayProveLog, MayReadLog, json_response
from service.web.api.schemas import api_router

router = api_router("/api/v1/audit", tags=["audit"])

_LARGEST_SIZE = 2**63
Index = Annotated[int, Query(ge=0, le=2**53)]


class EntryOut(Out):
    """An entry of the log."""

    index: int
    id: UUID
    leaf: dict[str, Any] = Field(description="What the leaf says: codes and times in clear, the rest as commitments.")
    leaf_base64: str = Field(description="The exact leaf bytes, as the tree hashes them.")


class EntryPage(Out):
    """A page of entries."""

    items: list[EntryOut]
    next_cursor: str | None
    size: int = Field(description="Number of entries under the latest checkpoint.")


class ConsistencyOut(Out):
    """A consistency proof between two sizes of the tree (RFC 9162)."""

    old_size: int
    new_size: int
    hashes: list[str]


class CosignedOut(Out):
    """A witness's cosignature."""

    witness: str
    at: Moment


class HeadOut(Out):
    """A signed head of the log."""

    size: int
    note: str = Field(description="The signed note (C2SP checkpoint), with the lines of the witnesses.")
    recorded_at: Moment | None = Field(description="When its newest entry was recorded.")
    cosigned: list[CosignedOut]
    token_base64: str | None = Field(description="The timestamp over the note without the witnesses (RFC 3161, DER).")


class HeadPage(Out):
    """A page of heads, newest first."""

    items: list[HeadOut]
    next_cursor: str | None


def _head_out(head: LoggedHead) -> HeadOut:
    return HeadOut.model_construct(
        size=head.size,
        note=head.cosigned_note.decode(),
        recorded_at=head.recorded_at,
        cosigned=[CosignedOut.model_construct(witness=item.witness, at=item.at) for item in head.cosigned],
        token_base64=None if head.token is None else base64.b64encode(head.token).decode(),
    )


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
    kind: Annotated[
        str | None, Query(alias="type", max_length=70, description="`noun.verb_past`, such as `notice.sealed`.")
    ] = None,
    actor: Annotated[str | None, Query(max_length=120, description="Who acted, as in the entry.")] = None,
    starts_at: Moment | None = None,
    ends_at: Moment | None = None,
    first_index: Index | None = None,
    last_index: Index | None = None,
    order: Annotated[Literal["oldest_first", "newest_first"], Query()] = "oldest_first",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Return the entries that meet every given condition.

    The period is that of the entries' own moments, its end exclusive; both indices are inclusive.
    """
    named = [(name, str(value)) for name, value in (("incident", incident_id), ("notice", notice_id)) if value]

    def work(tx: Transaction) -> EntryPage:
        subjects = list(named)
        if customer_id is not None:
            tx.customers.require(customer_id)
            subjects.append(("customer", tx.customers.pseudonym(customer_id)))
        wanted = EntryFilter(kind, actor, tuple(subjects), starts_at, ends_at, first_index, last_index)
        found, following = tx.audit.matching(wanted, access.page(limit, cursor), newest_first=order == "newest_first")
        return EntryPage.model_construct(
            items=[_out(item) for item in found], next_cursor=access.next_cursor(following), size=tx.log.size()
        )

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


@router.get("/heads", response_model=HeadPage, summary="List the signed heads")
async def list_heads(access: MayReadLog, confirmed: bool = False, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Return the heads of the log, newest first, with what witnesses and a timestamp authority said of them.

    ``confirmed``: only those with a cosignature or a timestamp.
    """

    def work(tx: Transaction) -> HeadPage:
        found, following = tx.log.heads(access.page(limit, cursor), confirmed=confirmed)
        return HeadPage.model_construct(
            items=[_head_out(item) for item in found], next_cursor=access.next_cursor(following)
        )

    return json_response(await access.read(work))


@router.get("/heads/{size}", response_class=Response, summary="Read a signed head")
async def read_head(access: MayReadLog, size: int) -> Response:
    """Return the checkpoint of a size with the cosignatures that it has (C2SP signed note)."""
    head = await access.read(lambda tx: tx.log.head(size) if 0 <= size < _LARGEST_SIZE else None)
    if head is None:
        raise NotFoundError("head", size)
    return Response(head.cosigned_note, media_type="text/plain; charset=utf-8")


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
