"""``greffier erasures``: list ordered and done erasures; rewrite database files as the owner of the tables."""

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from notifications.canonical_json import timestamp_text
from service.bootstrap.data_folder import prepared_settings
from service.cli.options import DATA
from service.settings import Settings
from service.store import SqlTransaction, open_store
from service.system.file_lock import sole_use

_AT_ONCE = 1000


@click.group("erasures")
def erasures_command() -> None:
    """Erasures of customers at the end of their contract."""


@erasures_command.command("list")
@DATA
def list_erasures(data: Path) -> None:
    """Print one line for each ordered or done erasure: from when it is allowed, and its deadline."""
    for line in asyncio.run(_listed(prepared_settings(data))):
        click.echo(line)


@erasures_command.command("compact")
@DATA
def compact(data: Path) -> None:
    """Rewrite the database files after erasures if the service may not: on PostgreSQL, as the owner of the tables.

    Run it with the owner's address in GREFFIER_DATABASE__URL. The service signs the certificate of the erasure
    afterwards.
    """
    number = asyncio.run(_compacted(prepared_settings(data), datetime.now(UTC)))
    click.echo(f"files rewritten; {number} erasures can be certified")


async def _listed(settings: Settings) -> list[str]:
    store = open_store(settings.store_location(), migrate=False, readers=1)
    try:
        return await store.read(_lines)
    finally:
        await store.close()


def _lines(tx: SqlTransaction) -> list[str]:
    lines = []
    for order in tx.erasures.orders(_AT_ONCE):
        customer = tx.customers.get(order.customer_id)
        window = None if customer is None else order.window(customer.time_zone)
        if window is None:
            lines.append(f"{order.customer_id} ordered, its formal notice not served")
            continue
        owed = ", ".join(f"{number} {kind}" for kind, number in tx.erasures.obstacles(order.customer_id).items())
        between = f"{timestamp_text(window.not_before)} to {timestamp_text(window.due_at)}"
        lines.append(
            f"{order.customer_id} to be erased from {between}"
            + (f"; not before these are done: {owed}" if owed else "")
        )
    after = ""
    while page := tx.erasures.after(after, _AT_ONCE):
        after = page[-1].pseudonym
        for erasure in page:
            state = (
                "certified"
                if erasure.certified_at
                else "files rewritten"
                if erasure.compacted_at
                else "files to be rewritten"
            )
            lines.append(f"{erasure.pseudonym} erased {timestamp_text(erasure.erased_at)}, {state}")
    return lines


async def _compacted(settings: Settings, now: datetime) -> int:
    # A database that several processes share does not need exclusive use of the folder.
    with contextlib.nullcontext() if settings.database.url is not None else sole_use(settings.data):
        store = open_store(settings.store_location(), migrate=False, readers=1)
        try:
            await store.compact()

            def work(tx: "SqlTransaction") -> int:
                waiting = [erasure for erasure in tx.erasures.unfinished(_AT_ONCE) if erasure.compacted_at is None]
                for erasure in waiting:
                    tx.erasures.save(replace(erasure, compacted_at=now))
                return len(waiting)

            return await store.write(work)
        finally:
            await store.close()
