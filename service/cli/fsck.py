"""``greffier fsck``: compute the whole log again from its entries, and compare everything else with it."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from notifications.errors import Fault, InvalidInputError
from service.audit_log.backup import log_keys
from service.audit_log.fsck.check import Report, check_log
from service.audit_log.fsck.findings import STEPS
from service.audit_log.fsck.heads import ExternalHeads
from service.audit_log.witness.client import parse_witnesses
from service.bootstrap.data_folder import prepared_settings
from service.cli.options import DATA
from service.cli.verify import load_trust
from service.settings import Settings


@click.command("fsck")
@DATA
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    help="Number of processes. Default: the number of processors of this machine.",
)
@click.option("--log-only", is_flag=True, help="Check only entries, tree, checkpoints and published head.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the time in which it works; it rests otherwise. Needs --processes 1.",
)
@click.option("--niceness", type=click.IntRange(0, 19), default=0, show_default=True, help="Niceness of the process.")
def fsck_command(
    data: Path, processes: int | None, share: float, niceness: int, *, log_only: bool, as_json: bool
) -> None:
    """Build the log's tree again from its entries; compare tiles, checkpoints, proofs, rows and mails with it.

    It may run beside the service. Exit code 1 if something differs; the first difference of each step is named.
    """
    settings = prepared_settings(data)
    if share < 1 and processes != 1:
        raise InvalidInputError(Fault("share", "is for one process: add --processes 1"))
    os.nice(niceness)
    rest = _rested(share)
    columns = (TextColumn("entries"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("entries", total=None)

        def breathe(count: int) -> None:
            progress.advance(task, count)
            rest()

        report = check_log(
            settings.store_location(),
            log_keys(settings),
            settings.head_file,
            processes=processes or os.cpu_count() or 1,
            rows=not log_only,
            others=_others(settings),
            begins=lambda size: progress.update(task, total=size),
            breathe=breathe,
        )
    _say_as_json(report) if as_json else _say(report)
    if report.differences:
        click.get_current_context().exit(1)


def _others(settings: Settings) -> ExternalHeads:
    """Return the outside authorities for heads: the timestamp authority's roots and the witnesses in the settings."""
    witnesses = [key for witness in parse_witnesses(settings.witnesses.cosigners) for key in witness.keys]
    return ExternalHeads(load_trust(settings.trust_dir).timestamp_roots, witnesses)


def _rested(share: float) -> Callable[[], None]:
    """Return a function that sleeps long enough to keep the working time at this share of the whole time."""
    worked_since = time.monotonic()

    def rest() -> None:
        nonlocal worked_since
        if share < 1:
            time.sleep((time.monotonic() - worked_since) * (1 / share - 1))
            worked_since = time.monotonic()

    return rest


def _say(report: Report) -> None:
    found = {difference.step: difference for difference in report.differences}
    for step in STEPS:
        if step in found:
            click.echo(f"DIFFERS  {found[step]}")
        elif step in report.counts:
            click.echo(f"ok       {step}: {report.counts[step]}")
    if report.erased:
        click.echo(
            f"erased   {report.erased} openings and rows of {report.erased_customers} customers, as the log says"
        )
    if report.first is None:
        click.echo(f"clean: {report.size} entries")
    else:
        click.echo(f"greffier: the first difference is {report.first}", err=True)


def _say_as_json(report: Report) -> None:
    click.echo(
        json.dumps({
            "clean": not report.differences,
            "entries": report.size,
            "compared": report.counts,
            "erased": {"customers": report.erased_customers, "openings_and_rows": report.erased},
            "differences": [
                {"step": found.step, "where": found.where, "what": found.what} for found in report.differences
            ],
        })
    )  # fmt: skip
