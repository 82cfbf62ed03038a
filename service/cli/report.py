"""``greffier report``: compute the issued report of a month or year again from an exported log, and compare."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from notifications.audit.checkpoint import verify_checkpoint
from notifications.audit.policy import verify_policy
from notifications.audit.tile_reading import width_in
from notifications.audit.tiles import Tile, parse_entry_bundle
from notifications.errors import Fault, InvalidInputError, VerificationError
from notifications.evidence.completeness import completeness_report
from notifications.reporting.period import parse_period
from notifications.reporting.recomputing import RecomputedReport, recomputed_reports
from service.audit_log.export import ExportedLog
from service.audit_log.publishing import read_verifier_keys
from service.cli.options import FILE, FOLDER
from service.cli.verify import load_policy
from service.system.atomic_files import replace_file


@click.command("report")
@click.argument("period")
@click.option("--log", "exported", type=FOLDER, required=True, help="Exported log (greffier log export).")
@click.option("--trust", type=FOLDER, required=True, help="Folder with log.vkey as you pinned it.")
@click.option("--policy", "policy_file", type=FILE, help="Trust policy that the checkpoint meets.")
@click.option("--out", type=FILE, help="Write the report on all customers here, as it was computed (canonical JSON).")
def report_command(period: str, exported: Path, trust: Path, policy_file: Path | None, out: Path | None) -> None:
    """Compute the issued report of PERIOD (2026-11 or 2026) again, from all entries of an exported log.

    It verifies the checkpoint and computes the root again, so no entry can be left out. Then it computes the report,
    each report on a customer and each correction from as many entries as the log states, and compares the SHA-256 of
    each. Exit code 1 if one differs; 2 if the input does not verify or the log has no report of the period.
    """
    # The period's name only: its time zone is that of the issued report.
    parse_period(period, "UTC", timedelta())
    log, policy = ExportedLog(exported), load_policy(policy_file)
    try:
        checkpoint = verify_checkpoint(log.note, *read_verifier_keys(trust))
        if policy is not None:
            verify_policy(log.note, policy)
        # The moment decides nothing here: only the root is compared.
        completeness_report(_leaves(log), checkpoint.size, checkpoint.root, datetime.now(UTC))
    except VerificationError as error:
        raise InvalidInputError(Fault("log", f"{error.step}: {error.reason}")) from None
    found = recomputed_reports(lambda: _leaves(log), period)
    if not found:
        raise InvalidInputError(Fault("period", f"the log has no report of {period}"))
    for each in found:
        click.echo(_line(period, each))
    if out is not None:
        whole = next(each for each in found if each.customer is None)
        replace_file(out, whole.content, 0o644)
    if not all(each.is_same for each in found):
        click.get_current_context().exit(1)


def _leaves(log: ExportedLog) -> Iterator[bytes]:
    number = 0
    while width := width_in(log.checkpoint.size, None, number):
        yield from parse_entry_bundle(log.tile(Tile(None, number, width)))
        number += 1


def _line(period: str, each: RecomputedReport) -> str:
    of = "all customers" if each.customer is None else each.customer[:16]
    what = "report" if each.number == 1 else f"correction {each.number - 1}"
    same = "is the same as" if each.is_same else "DIFFERS from"
    return f"{period} {what}, {of}: computed from {each.tree_size} entries, {same} entry {each.index}"
