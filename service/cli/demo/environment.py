"""A whole service on loopback in this event loop: data folder, mail sink, HTTP server. For demos, tests, benchmarks."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx2
from fastapi import FastAPI

from notifications.ports import Clock
from service.bootstrap.data_folder import is_prepared, prepare_data_folder
from service.bootstrap.serve import connection_limits
from service.bootstrap.server import ServerParts, build_server
from service.cli.demo.mail_sink import MailSink
from service.settings import Settings, load_settings
from service.system.http_server import HttpServer, bound_socket
from service.web.app import create_app

ADDRESS = "soc@demo-cloud.example"
PROVIDER = "Demo Cloud"


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that answers, and the sink its mails go to."""

    url: str
    token: str
    port: int
    data: Path
    trust_dir: Path
    sink: MailSink
    parts: ServerParts
    app: FastAPI


@asynccontextmanager
async def embedded_service(
    data: Path, *, port: int = 0, customers: int = 0, clock: Clock | None = None, **overrides: object
) -> AsyncIterator[RunningService]:
    """Prepare the folder if it is new, start everything on loopback, and stop it in order.

    ``customers`` is the number of plain customers to register. ``clock`` replaces the system's. ``overrides`` are
    settings.
    """
    if not is_prepared(data):
        prepare_data_folder(data, address=ADDRESS, provider_name=PROVIDER, now=datetime.now(UTC))
    async with contextlib.AsyncExitStack() as stack:
        # Bind the port first, as ``greffier serve`` does.
        bound = stack.enter_context(bound_socket("127.0.0.1", port))
        sink = await stack.enter_async_context(MailSink())
        # No scheduled checks, so that the sink gets only the mails of a demo or test.
        relay = {"mail__host": "127.0.0.1", "mail__port": sink.port, "mail__tls": "none"}
        relay["contact_checks__every_days"] = 0
        relay["contact_checks__second_channel_days"] = 0
        settings = load_settings(data, **(relay | overrides))
        async with build_server(settings, clock=clock) as parts:
            app = create_app(
                parts.context,
                parts.authenticator,
                parts.probes,
                parts.console,
                max_body_bytes=settings.limits.max_body_bytes,
                max_buffered_bytes=settings.limits.max_buffered_bytes,
                version=version("greffier"),
            )
            async with _serving(app, bound, settings):
                number = bound.getsockname()[1]
                running = RunningService(
                    url=f"http://127.0.0.1:{number}",
                    token=settings.token(),
                    port=number,
                    data=data,
                    trust_dir=settings.trust_dir,
                    sink=sink,
                    parts=parts,
                    app=app,
                )
                await _register(running, customers)
                yield running


@asynccontextmanager
async def _serving(app: FastAPI, bound: socket.socket, settings: Settings) -> AsyncIterator[None]:
    """Serve on a bound socket; yields once the server answers."""
    server = HttpServer(
        app,
        trusted_proxies=settings.access.trusted_proxies,
        limits=connection_limits(settings),
        on_stop=app.state.live.close,
    )
    serving = asyncio.create_task(server.serve(sockets=[bound]), name="http")
    try:
        await server.is_up.wait()
        yield
    finally:
        server.stop()
        await serving


async def _register(running: RunningService, customers: int) -> None:
    headers = {"Authorization": f"Bearer {running.token}"}
    async with httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=30) as api:
        for number in range(customers):
            body = {
                "name": f"Customer {number}",
                "agreement": {"agreement_id": "secnumcloud_iaas_3_0", "effective_at": "2025-02-01T00:00:00Z"},
            }
            (await api.post("/api/v1/customers", json=body)).raise_for_status()
