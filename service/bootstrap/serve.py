"""Run a process that serves: start the parts, then the HTTP server; stop in reverse."""

import asyncio
import gc
import resource
from importlib.metadata import version

import click

from service.bootstrap.server import build_server
from service.settings import Settings
from service.system.http_protocol import ConnectionLimits
from service.system.http_server import HttpServer, listening_socket
from service.system.signals import stop_on_signal
from service.web.app import create_app


async def serve_until_stopped(settings: Settings, host: str, port: int, *, works: bool = True) -> None:
    """Start the parts, then the server; stop in reverse. Degraded parts are logged before a port is open.

    ``works`` false leaves sealing, delivery and the leader's tasks to other processes.
    """
    # A process that dies leaves no copy of its memory: keys and passwords are in it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    async with build_server(settings, works=works) as running:
        settle_memory()
        app = create_app(
            running.context,
            running.authenticator,
            running.probes,
            running.console,
            max_body_bytes=settings.limits.max_body_bytes,
            max_buffered_bytes=settings.limits.max_buffered_bytes,
            version=version("greffier"),
        )
        with listening_socket(host, port) as listener:
            server = HttpServer(
                app,
                stop_seconds=settings.limits.stop_seconds,
                trusted_proxies=settings.access.trusted_proxies,
                limits=connection_limits(settings),
            )
            worker = running.worker

            def stop() -> None:
                # Requests that are being answered may take a while; nothing new is sent meanwhile.
                if worker is not None:
                    worker.take_no_more()
                server.stop()

            stop_on_signal(stop)
            serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
            await server.is_up.wait()
            bound = listener.getsockname()[1]
            click.echo(f"serving http://{host}:{bound}/api/v1  token in {settings.token_file}", err=True)
            await serving


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return the limits of the server's connections."""
    limits = settings.limits
    return ConnectionLimits(limits.header_seconds, limits.body_seconds, limits.max_connections)


def settle_memory() -> None:
    """Keep the garbage collector away from the objects of the start: going over them again would delay requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
