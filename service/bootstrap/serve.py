"""Run a process that serves: start the parts, then the HTTP server; stop in reverse."""

import asyncio
import gc
import resource
import socket
from importlib.metadata import version

import click

from service.bootstrap.server import build_server
from service.bootstrap.signing import DEMONSTRATION_ADVICE, demonstration_parts
from service.settings import Settings
from service.system.http_protocol import ConnectionLimits
from service.system.http_server import HttpServer, address_text
from service.system.signals import stop_on_signal
from service.web.served_app import ServedApp


async def serve_until_stopped(settings: Settings, bound: socket.socket, *, works: bool = True) -> None:
    """Start the parts, then the server on a bound socket; stop in reverse. Degraded parts are logged before it listens.

    ``works`` false leaves sealing, delivery and the leader's tasks to other processes.
    """
    # Write no core dump if the process crashes: keys and passwords are in its memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    async with build_server(settings, works=works) as running:
        settle_memory()
        app = ServedApp(
            running.context,
            running.authenticator,
            running.probes,
            running.console,
            max_body_bytes=settings.limits.max_body_bytes,
            max_buffered_bytes=settings.limits.max_buffered_bytes,
            version=version("greffier"),
        )
        server = HttpServer(
            app,
            stop_seconds=settings.limits.stop_seconds,
            trusted_proxies=settings.access.trusted_proxies,
            limits=connection_limits(settings),
            on_stop=app.close,
        )
        worker = running.worker

        def stop() -> None:
            # Requests under way may take a while; the worker begins nothing new meanwhile.
            if worker is not None:
                worker.stop_accepting()
            server.stop()

        stop_on_signal(stop)
        serving = asyncio.create_task(server.serve(sockets=[bound]), name="http")
        await server.is_up.wait()
        for part in demonstration_parts(settings):
            click.echo(f"WARNING, for demonstration only: {DEMONSTRATION_ADVICE[part]}", err=True)
        click.echo(f"serving http://{address_text(bound)}/api/v1  token in {settings.token_file}", err=True)
        await serving


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return the limits of the server's connections."""
    limits = settings.limits
    return ConnectionLimits(limits.header_seconds, limits.body_seconds, limits.max_connections)


def settle_memory() -> None:
    """Exclude the objects of the start from garbage collection: scanning them again would delay requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
