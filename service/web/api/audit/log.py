"""The log for any client of C2SP tlog-tiles: ``/log/checkpoint``, ``/log/tile/…``, ``/log/tile/entries/…``.

``/log/timestamped/…`` has the heads that a timestamp authority dated, each with its timestamp.

The routes need the permission to read or prove the log, unless the settings make the log public. Leaves contain only
what may be published: codes, times, and commitments that reveal nothing without their salts (decision 0004).
"""

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path
from starlette.responses import Response

from notifications.audit.tiles import Tile, parse_tile_path
from notifications.errors import InvalidInputError, NotFoundError
from service.audit_log.publishing import (
    CHECKPOINT,
    STAMPED,
    STAMPED_SIZES,
    VERIFIER_KEY,
    Reads,
    published_checkpoint,
    published_sizes,
    published_tile,
)
from service.auth.route_guard import open_to_strangers
from service.web.api.requests import Context, MayProveLog, MayReadLog
from service.web.api.schemas import api_router

KnownTag = Annotated[str | None, Header(alias="If-None-Match")]

StampedSize = Annotated[int, Path(ge=1, le=2**63 - 1)]

_REPLY = "application/timestamp-reply"
_TEXT, _BYTES = "text/plain; charset=utf-8", "application/octet-stream"
#: The content under the path of a tile never changes. A partial tile has its width in its path.
_FOR_EVER = "max-age=31536000, immutable"
_NOT_MODIFIED = 304
_CACHED: dict[int | str, dict[str, Any]] = {304: {"description": "The same as the client has."}}


def _guarded_routes() -> APIRouter:
    router = api_router("/log", tags=["log"])

    @router.get(f"/{CHECKPOINT}", response_class=Response, responses=_CACHED, summary="Latest signed checkpoint")
    async def checkpoint(access: MayProveLog, known: KnownTag = None) -> Response:
        """Return the latest checkpoint with the cosignatures that it has (C2SP signed note)."""
        return await _checkpoint(access.read, known, "private")

    @router.get(f"/{VERIFIER_KEY}", response_class=Response, responses=_CACHED, summary="The log's verifier keys")
    async def verifier_key(context: Context, access: MayProveLog, known: KnownTag = None) -> Response:
        """Return the keys that checkpoints verify with, one a line. Pin them by another way than this one."""
        await access.trace()
        return _answer(context.keys.log_verifier_keys().encode(), known, "private, no-cache", _TEXT)

    @router.get(f"/{STAMPED_SIZES}", response_class=Response, responses=_CACHED, summary="Timestamped heads")
    async def sizes(access: MayProveLog, known: KnownTag = None) -> Response:
        """Return the sizes of the checkpoints that a timestamp authority saw, one a line, rising."""
        return _answer(await access.read(published_sizes), known, "private, no-cache", _TEXT)

    @router.get(
        f"/{STAMPED}/{{size}}.checkpoint", response_class=Response, responses=_CACHED, summary="A timestamped head"
    )
    async def stamped(access: MayProveLog, size: StampedSize, known: KnownTag = None) -> Response:
        """Return the exact bytes that the timestamp of this size is over: a signed checkpoint."""
        return await _stamped(access.read, size, known, "private", token=False)

    @router.get(f"/{STAMPED}/{{size}}.tsr", response_class=Response, responses=_CACHED, summary="Its timestamp")
    async def token(access: MayProveLog, size: StampedSize, known: KnownTag = None) -> Response:
        """Return the timestamp authority's response (RFC 3161, DER) over the checkpoint of this size."""
        return await _stamped(access.read, size, known, "private", token=True)

    @router.get("/tile/entries/{path:path}", response_class=Response, responses=_CACHED, summary="A bundle of entries")
    async def entries(access: MayReadLog, path: str, known: KnownTag = None) -> Response:
        """Return up to 256 entries, each after its length as big-endian uint16."""
        return await _tile(access.read, f"tile/entries/{path}", known, "private")

    @router.get("/tile/{path:path}", response_class=Response, responses=_CACHED, summary="A tile of hashes")
    async def tile(access: MayProveLog, path: str, known: KnownTag = None) -> Response:
        """Return up to 256 hashes of the tree."""
        return await _tile(access.read, f"tile/{path}", known, "private")

    return router


def _open_routes() -> APIRouter:
    router = api_router("/log", tags=["log"], dependencies=[Depends(open_to_strangers)])

    @router.get(f"/{CHECKPOINT}", response_class=Response, responses=_CACHED, summary="Latest signed checkpoint")
    async def checkpoint(context: Context, known: KnownTag = None) -> Response:
        """Return the latest checkpoint with the cosignatures that it has (C2SP signed note)."""
        return await _checkpoint(context.unit_of_work.read, known, "public")

    @router.get(f"/{VERIFIER_KEY}", response_class=Response, responses=_CACHED, summary="The log's verifier keys")
    async def verifier_key(context: Context, known: KnownTag = None) -> Response:
        """Return the keys that checkpoints verify with, one a line. Pin them by another way than this one."""
        return _answer(context.keys.log_verifier_keys().encode(), known, "public, no-cache", _TEXT)

    @router.get(f"/{STAMPED_SIZES}", response_class=Response, responses=_CACHED, summary="Timestamped heads")
    async def sizes(context: Context, known: KnownTag = None) -> Response:
        """Return the sizes of the checkpoints that a timestamp authority saw, one a line, rising."""
        return _answer(await context.unit_of_work.read(published_sizes), known, "public, no-cache", _TEXT)

    @router.get(
        f"/{STAMPED}/{{size}}.checkpoint", response_class=Response, responses=_CACHED, summary="A timestamped head"
    )
    async def stamped(context: Context, size: StampedSize, known: KnownTag = None) -> Response:
        """Return the exact bytes that the timestamp of this size is over: a signed checkpoint."""
        return await _stamped(context.unit_of_work.read, size, known, "public", token=False)

    @router.get(f"/{STAMPED}/{{size}}.tsr", response_class=Response, responses=_CACHED, summary="Its timestamp")
    async def token(context: Context, size: StampedSize, known: KnownTag = None) -> Response:
        """Return the timestamp authority's response (RFC 3161, DER) over the checkpoint of this size."""
        return await _stamped(context.unit_of_work.read, size, known, "public", token=True)

    @router.get("/tile/{path:path}", response_class=Response, responses=_CACHED, summary="A tile of hashes or entries")
    async def tile(context: Context, path: str, known: KnownTag = None) -> Response:
        """Return up to 256 hashes of the tree, or up to 256 entries."""
        return await _tile(context.unit_of_work.read, f"tile/{path}", known, "public")

    return router


async def _checkpoint(read: Reads, known: str | None, whose: str) -> Response:
    note = await read(published_checkpoint)
    if note is None:
        raise NotFoundError("checkpoint", "latest")
    # Clients must not cache the checkpoint, because an old one would hide newer entries.
    return _answer(note, known, f"{whose}, no-cache", _TEXT)


async def _stamped(read: Reads, size: int, known: str | None, whose: str, *, token: bool) -> Response:
    found = await read(lambda tx: tx.log.timestamped_checkpoint(size))
    if found is None:
        raise NotFoundError("timestamped checkpoint", size)
    content, kind = (found.token, _REPLY) if token else (found.note, _TEXT)
    return _answer(content, known, f"{whose}, {_FOR_EVER}", kind)


async def _tile(read: Reads, path: str, known: str | None, whose: str) -> Response:
    try:
        tile: Tile = parse_tile_path(path)
    except InvalidInputError:
        raise NotFoundError("tile", path) from None
    return _answer(await read(lambda tx: published_tile(tx, tile)), known, f"{whose}, {_FOR_EVER}", _BYTES)


def _answer(content: bytes, known: str | None, caching: str, kind: str) -> Response:
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": caching}
    if caching.startswith("public"):
        # A verifier on a page of another site may read the public log too.
        headers |= {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
    if known is not None and tag in known:
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    return Response(content, headers=headers, media_type=kind)


#: The routes with the permissions to prove and to read the log, and those of a public log.
guarded_router, open_router = _guarded_routes(), _open_routes()
