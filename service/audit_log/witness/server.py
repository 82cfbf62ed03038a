"""A small witness over HTTP (c2sp.org/tlog-witness): ``POST /add-checkpoint``, and the heads that it cosigned.

``GET /checkpoint/<hex SHA-256 of the origin>`` is an extension of this witness. It returns the checkpoint of a log that
it cosigned last, as the log signed it. So a log whose database was restored from a backup sees its own later signature;
a size without a signature would prove nothing.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from notifications.audit.cosignature import MAX_REQUEST_BYTES, Refusal, RefusedError
from notifications.errors import GreffierError, InvalidInputError
from service.audit_log.witness.folder import WitnessFolder, origin_digest
from service.system.http_server import HttpServer, bound_socket
from service.system.signals import stop_on_signal

_log = structlog.get_logger(__name__)

_STATUS = {
    Refusal.MALFORMED: 400,
    Refusal.UNKNOWN_ORIGIN: 404,
    Refusal.NOT_SIGNED: 403,
    Refusal.CONFLICT: 409,
    Refusal.BAD_PROOF: 422,
}
#: Media type of the size in the response to a conflict.
SIZE_TYPE = "text/x.tlog.size"
_TEXT_TYPE = "text/plain; charset=utf-8"
_BODY_SECONDS = 10.0
#: Number of concurrent requests; each has a body of bounded length in memory.
_AT_ONCE = 64


def create_witness_app(witness: WitnessFolder) -> FastAPI:
    """Return the application of a witness; it has no other routes."""
    app = FastAPI(title="Greffier witness", docs_url=None, redoc_url=None, openapi_url=None)
    places = asyncio.Semaphore(_AT_ONCE)

    @app.post("/add-checkpoint")
    async def add_checkpoint(request: Request) -> Response:
        async with places:
            return await _answer(witness, request)

    @app.get("/checkpoint/{digest}")
    async def checkpoint(digest: str) -> Response:
        for origin in {key.name for key in witness.logs()}:
            if origin_digest(origin) == digest and (note := await asyncio.to_thread(witness.latest, origin)):
                return _text(200, note)
        return _text(404, b"no head was cosigned of such a log\n")

    return app


async def _answer(witness: WitnessFolder, request: Request) -> Response:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            body = await _body(request)
    except (TimeoutError, ClientDisconnect):
        return _text(408, b"the request did not come in time\n")
    if body is None:
        return _text(413, f"a request may have {MAX_REQUEST_BYTES} bytes at most\n".encode())
    try:
        lines = await asyncio.to_thread(partial(witness.add_checkpoint, body))
    except RefusedError as error:
        return _refused(error)
    except InvalidInputError as error:
        return _text(400, f"{error}\n".encode())
    except (GreffierError, OSError) as error:
        # No cosignature was sent, so the log will ask again.
        _log.error("witness.failed", exc_info=error)
        return _text(500, b"this witness cannot keep what it cosigns now\n")
    return _text(200, lines)


def _refused(error: RefusedError) -> Response:
    _log.warning("witness.refused", refusal=error.refusal.value, reason=error.reason)
    if error.refusal is Refusal.CONFLICT:
        return _text(409, f"{error.size}\n".encode(), SIZE_TYPE)
    return _text(_STATUS[error.refusal], f"{error.reason}\n".encode())


async def _body(request: Request) -> bytes | None:
    """Return the body, or None if it is too long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REQUEST_BYTES:
            return None
    return body


def _text(status: int, content: bytes, kind: str = _TEXT_TYPE) -> Response:
    return Response(content, status, headers={"Content-Type": kind, "Cache-Control": "no-store"})


async def witness_until_stopped(witness: WitnessFolder, host: str, port: int, say: Callable[[int], None]) -> None:
    """Serve until a stop signal; ``say`` is called with the listening port."""
    with bound_socket(host, port) as listener:
        server = HttpServer(create_witness_app(witness))
        stop_on_signal(server.stop)
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="witness")
        await server.is_up.wait()
        say(listener.getsockname()[1])
        await serving
