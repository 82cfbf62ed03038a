"""``greffier worker``: sealing and delivery beside other processes, without the API."""

import asyncio
from pathlib import Path

import click
import uvloop

from service.bootstrap.work import work_until_stopped
from service.cli.options import FOLDER
from service.settings import load_settings
from service.system.logging import configure_logging


@click.command("worker")
@click.option("--data", required=True, type=FOLDER, help="Data folder.")
@click.option("--health-host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--health-port", type=click.IntRange(0, 65_535), help="Serve /healthz and /readyz on this port.")
def worker_command(data: Path, health_host: str, health_port: int | None) -> None:
    """Seal and deliver beside other processes, without the API (PostgreSQL)."""
    settings = load_settings(data)
    configure_logging()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work_until_stopped(settings, health_host, health_port))
