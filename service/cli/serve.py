"""``greffier serve``: the API, the pages, sealing and delivery, in one process."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click
import uvloop

from service.bootstrap.data_folder import is_prepared, prepare_data_folder
from service.bootstrap.serve import serve_until_stopped
from service.cli.options import FOLDER
from service.settings import load_settings
from service.system.http_server import bound_socket
from service.system.logging import configure_logging


@click.command("serve")
@click.option("--data", required=True, type=FOLDER, help="Data folder; prepared with demo keys if it is empty.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="Port to listen on.")
@click.option("--no-work", is_flag=True, help="Leave sealing and delivery to workers (PostgreSQL).")
def serve_command(data: Path, host: str, port: int, *, no_work: bool) -> None:
    """Run the service: API, pages, sealing and delivery. With PostgreSQL, several such processes can run."""
    # Bind the port first, so that nothing is prepared, started or sent if it is in use.
    with bound_socket(host, port) as bound:
        if not is_prepared(data):
            prepare_data_folder(data, address="soc@provider.example", provider_name="Demo Cloud", now=datetime.now(UTC))
            click.echo(f"prepared {data} with demo keys; for production see README", err=True)
        settings = load_settings(data)
        configure_logging()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve_until_stopped(settings, bound, works=not no_work))
