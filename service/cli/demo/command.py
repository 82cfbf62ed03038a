"""``greffier demo``: the whole process on one machine, step by step."""

import asyncio
from pathlib import Path

import click
import uvloop

from notifications.errors import Fault, InvalidInputError
from service.bootstrap.data_folder import is_prepared
from service.cli.demo.story import run_demo
from service.cli.options import FOLDER


@click.command("demo")
@click.option("--out", type=FOLDER, default=Path("demo-data"), show_default=True, help="Folder for mails and trust.")
@click.option("--once", is_flag=True, help="End after the story; serve no pages.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="Port to serve on.")
def demo_command(out: Path, port: int, *, once: bool) -> None:
    """Show the whole process on this machine: declare, decide, send, verify, tamper. No account, no network."""
    if is_prepared(out):
        raise InvalidInputError(Fault("out", f"{out} is the data folder of a service: name another folder"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_demo(out, once=once, port=port))
