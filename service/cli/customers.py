"""``greffier import`` and ``greffier export``: customers into and out of a data folder; a service may be running."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

import click

from notifications.errors import Fault, InvalidInputError
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.import_customers import ImportReport, ImportUndoneError
from service.bootstrap.agreements import load_agreements
from service.bootstrap.data_folder import prepared_settings
from service.cli.options import DATA, FILE, printable
from service.settings import Settings
from service.store import Store, open_store
from service.system.file_lock import sole_use
from service.system.input_files import read_file
from service.system.logging import SystemClock, SystemIdentifiers
from service.web.api.customers.customer_csv import parse_customers
from service.web.api.customers.customer_transfer import Transfer, export_customers


@click.command("import")
@click.argument("file", type=FILE)
@DATA
@click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")
def import_command(file: Path, data: Path, *, dry_run: bool) -> None:
    """Make customers and contacts equal to a CSV file: all of it, or nothing. Exit code 2 if the file has faults."""
    report = asyncio.run(imported(prepared_settings(data), read_file(file), dry_run=dry_run))
    for fault in report.faults:
        where = f"line {fault.line}: {fault.field}: " if fault.field else f"line {fault.line}: "
        click.echo(where + printable(fault.reason), err=True)
    if report.faults:
        raise InvalidInputError(Fault("", f"nothing was imported; faults: {len(report.faults)}"))
    if dry_run:
        for outcome in report.outcomes:
            click.echo(f"line {outcome.line}: customer {outcome.customer or '-'}, contact {outcome.contact or '-'}")
    customers = [outcome.customer for outcome in report.outcomes]
    contacts = [outcome.contact for outcome in report.outcomes]
    counts = "; ".join(
        f"{what} " + ", ".join(f"{found.count(kind)} {kind}" for kind in ("created", "changed", "unchanged"))
        for what, found in (("customers", customers), ("contacts", contacts))
    )
    click.echo(f"{'would import' if dry_run else 'imported'}: {counts}; agreements bound {report.agreements_bound}")


@click.command("export")
@DATA
@click.option("--out", type=FILE, help="File to write. Default: standard output.")
def export_command(data: Path, out: Path | None) -> None:
    """Write customers and contacts as a CSV file that imports into an empty installation."""
    content = asyncio.run(_export(prepared_settings(data))).encode()
    if out is None:
        sys.stdout.buffer.write(content)
        return
    # Only the user who runs this may read the file, because it holds addresses of people.
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


async def imported(settings: Settings, content: bytes, *, dry_run: bool) -> ImportReport:
    """Import a file; return the effects, or the faults that prevent it."""
    lines, faults = parse_customers(content)
    transfer = Transfer(lines, faults, load_agreements(settings.agreements), dry_run)
    act = AuditContext(f"operator:{os.getuid()}", SystemClock().now(), SystemIdentifiers())
    async with contextlib.aclosing(_Opened(settings)) as opened:
        try:
            return await opened.store.write(lambda tx: transfer.work(tx, act))
        except ImportUndoneError as error:
            return error.report


async def _export(settings: Settings) -> str:
    async with contextlib.aclosing(_Opened(settings)) as opened:
        return await opened.store.read(export_customers)


class _Opened:
    """The store of a data folder; its tables are migrated if no service runs on the folder."""

    def __init__(self, settings: Settings) -> None:
        with contextlib.ExitStack() as stack:
            migrate = settings.database.url is None
            if migrate:
                try:
                    stack.enter_context(sole_use(settings.data))
                except InvalidInputError:
                    migrate = False
            self.store: Store = open_store(settings.store_location(), migrate=migrate)

    async def aclose(self) -> None:
        await self.store.close()
