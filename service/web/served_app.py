"""The application as a server gets it: built with the first request, because a start needs none of it.

FastAPI and the models of the description of an API take a tenth of a start. ``/healthz`` is asked before anything else,
and is answered meanwhile.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from service.auth.authentication import Authenticator
from service.ports.health import Probe
from service.web.api.context import ApiContext
from service.web.console.parts import ConsoleParts
from service.web.liveness import PATH, alive
from service.web.request_metrics import RequestMetrics
from service.web.security_headers import with_security_headers

if TYPE_CHECKING:
    from fastapi import FastAPI


class ServedApp:
    """The application of ``service.web.app``, and until there is one, the answer to ``GET /healthz``. Plain ASGI."""

    def __init__(
        self,
        context: ApiContext,
        authenticator: Authenticator,
        probes: Mapping[str, Probe],
        console: ConsoleParts,
        *,
        max_body_bytes: int,
        max_buffered_bytes: int,
        version: str,
    ) -> None:
        """The arguments are those of ``create_app``."""
        self._parts = (context, authenticator, probes, console)
        self._max_body_bytes, self._max_buffered_bytes, self._version = max_body_bytes, max_buffered_bytes, version
        self._first = RequestMetrics(_first_answer, context.metrics)
        self._app: FastAPI | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; raises LookupError if a route declares no permission."""
        if self._app is None and scope["type"] == "http" and (scope["method"], scope["path"]) == ("GET", PATH):
            await self._first(scope, receive, send)
            return
        app = self._app or await self._built()
        await app(scope, receive, send)

    def close(self) -> None:
        """End the answers that go on by themselves."""
        if self._app is not None:
            self._app.state.live.close()

    async def _built(self) -> "FastAPI":
        async with self._building:
            if self._app is None:
                # In a thread, so that the service answers other requests meanwhile.
                self._app = await asyncio.to_thread(self._build)
            return self._app

    def _build(self) -> "FastAPI":
        from service.web.app import create_app  # noqa: PLC0415 - the reason is above

        return create_app(
            *self._parts,
            max_body_bytes=self._max_body_bytes,
            max_buffered_bytes=self._max_buffered_bytes,
            version=self._version,
        )


async def _alive(_request: Request) -> Response:
    return alive()


_ROUTE = Route(PATH, _alive)


async def _first_answer(scope: Scope, receive: Receive, send: Send) -> None:
    # By this the request is counted.
    scope["route"] = _ROUTE
    await _ROUTE.handle(scope, receive, with_security_headers(send))
