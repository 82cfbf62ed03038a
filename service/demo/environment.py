"""A whole service on loopback in this event loop: data folder, mail sink, HTTP server. For demos, tests, benchmarks."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx
import uvicorn

from notifications.ports import Clock
from service.api.health import Probe
from service.api.requests import ApiContext
from service.app import create_app
from service.data_folder import is_prepared, prepare_data_folder
from service.demo.mail_sink import MailSink
from service.settings import load_settings
from service.wiring import Parts, running_parts

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
    parts: Parts


class _Server(uvicorn.Server):
    """A server that says when it has started, and leaves signals to its owner."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so; also when the application refused to, so that nobody waits for ever."""
        try:
            await super().startup(sockets=sockets)
        finally:
            self.is_up.set()


@asynccontextmanager
async def embedded_service(
    data: Path, *, port: int = 0, customers: int = 0, clock: Clock | None = None, **overrides: object
) -> AsyncIterator[RunningService]:
    """Prepare the folder if it is new, start everything on loopback, and stop it in order.

    ``customers`` registers so many plain customers. ``clock`` replaces the system's. ``overrides`` are settings.
    """
    if not is_prepared(data):
        prepare_data_folder(data, address=ADDRESS, provider_name=PROVIDER, now=datetime.now(UTC))
    async with MailSink() as sink:
        relay = {"smtp_host": "127.0.0.1", "smtp_port": sink.port, "smtp_tls": "none"}
        settings = load_settings(data, **(relay | overrides))
        held: list[Parts] = []

        @asynccontextmanager
        async def parts() -> AsyncIterator[tuple[ApiContext, dict[str, Probe]]]:
            async with running_parts(settings, clock=clock) as running:
                held.append(running)
                yield running.context, running.probes

        app = create_app(parts, max_body_bytes=settings.max_body_bytes, version=version("greffier"))
        # With its protocol named, so that answers are not held back for want of TCP_NODELAY.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        config = uvicorn.Config(
            app, http="httptools", log_level="warning", access_log=False, server_header=False, lifespan="on"
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
        waiting = asyncio.create_task(server.is_up.wait())
        try:
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not held or not server.started:
                await serving
                raise RuntimeError("the service did not start; its log says why")
            bound: int = listener.getsockname()[1]
            running = RunningService(
                url=f"http://127.0.0.1:{bound}",
                token=settings.token(),
                port=bound,
                data=data,
                trust_dir=settings.trust_dir,
                sink=sink,
                parts=held[0],
            )
            await _register(running, customers)
            yield running
        finally:
            waiting.cancel()
            server.should_exit = True
            await serving
            listener.close()


async def _register(running: RunningService, customers: int) -> None:
    headers = {"Authorization": f"Bearer {running.token}"}
    async with httpx.AsyncClient(base_url=running.url, headers=headers, timeout=30) as api:
        for number in range(customers):
            body = {
                "name": f"Customer {number}",
                "agreement": {"agreement_id": "secnumcloud_iaas_3_0", "effective_at": "2025-02-01T00:00:00Z"},
            }
            (await api.post("/api/v1/customers", json=body)).raise_for_status()
