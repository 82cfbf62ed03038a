"""``greffier demo``: the whole process on one machine, step by step."""

import asyncio
from pathlib import Path

import click
import uvloop

from service.cli.demo.story import run_demo
from service.cli.options import FOLDER


@click.command("demo")
@click.option("--out", type=FOLDER, default=Path("demo-data"), show_default=True, help="Folder for mails and trust.")
@click.option("--once", is_flag=True, help="End after the story instead of serving on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="Port to serve on.")
def demo_command(out: Path, port: int, *, once: bool) -> None:
    """Show the whole process on this machine: declare, decide, serve, verify, tamper. No account, no network."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_demo(out, once=once, port=port))
