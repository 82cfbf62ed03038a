"""Run a process that seals and delivers but does not serve; it answers health requests."""

import asyncio
import contextlib
import resource
from collections.abc import Mapping

import click
from fastapi import FastAPI

from service.auth.authentication import Authenticator
from service.bootstrap.serve import settle_memory
from service.bootstrap.server import build_worker
from service.ports.health import Probe
from service.settings import Settings
from service.system.http_server import HttpServer, address_text, bound_socket
from service.system.signals import stop_on_signal
from service.web.api import health
from service.web.api.errors import install_error_handlers
from service.web.api.limits import RequestLimits


async def work_until_stopped(settings: Settings, health_host: str, health_port: int | None) -> None:
    """Start the parts and, if a port is given, answer health requests; stop in reverse."""
    # Write no core dump, as in ``serve``: keys and passwords are in memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    async with contextlib.AsyncExitStack() as stack:
        # Bind the port first, so that no work begins if it is in use.
        bound = None if health_port is None else stack.enter_context(bound_socket(health_host, health_port))
        running = await stack.enter_async_context(build_worker(settings))
        settle_memory()
        if bound is None:
            stopping = asyncio.Event()
            stop_on_signal(stopping.set)
            click.echo("working", err=True)
            await stopping.wait()
            return
        app = create_health_app(running.authenticator, running.probes)
        server = HttpServer(app, stop_seconds=settings.limits.stop_seconds)

        def stop() -> None:
            running.worker.stop_accepting()
            server.stop()

        stop_on_signal(stop)
        serving = asyncio.create_task(server.serve(sockets=[bound]), name="health")
        await server.is_up.wait()
        click.echo(f"working  health at http://{address_text(bound)}/readyz", err=True)
        await serving


def create_health_app(authenticator: Authenticator, probes: Mapping[str, Probe]) -> FastAPI:
    """Return an application that answers ``/healthz`` and ``/readyz``, and nothing else."""
    app = FastAPI(title="Greffier worker", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.authenticator = authenticator
    app.state.probes = probes
    app.include_router(health.router)
    app.add_middleware(RequestLimits, authenticator=authenticator, max_body_bytes=0, max_buffered_bytes=0)
    install_error_handlers(app)
    return app
