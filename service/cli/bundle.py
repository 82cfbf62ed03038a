"""``greffier bundle``: the evidence on an incident, announcement, notice, customer or period, as one archive."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import click
from rich.console import Console
from rich.progress import Progress

from notifications.errors import Fault, InvalidInputError, NotFoundError
from notifications.incident import Incident
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.evidence.bundle_evidence import BundlePlan, BundleRequest, plan_bundle, record_bundle
from service.audit_log.bundle_writer import read_anchors, write_bundle
from service.audit_log.published_head import verify_head
from service.auth.caller import customer_scope
from service.auth.scope.transaction import within
from service.bootstrap.data_folder import prepared_settings
from service.cli.options import DATA, FILE
from service.crypto.demo_keys import KeyFiles
from service.crypto.log_keys import LogKeyFile
from service.crypto.master_key import key_passphrases, load_masters
from service.settings import Settings
from service.store import open_store
from service.system.atomic_files import replaced
from service.system.logging import SystemClock, SystemIdentifiers

ResultT = TypeVar("ResultT")


@click.command("bundle")
@DATA
@click.option("--incident", help="An incident, by its ticket or id.")
@click.option("--announcement", help="An announcement, by its ticket or id.")
@click.option("--notice", type=click.UUID, help="A notice.")
@click.option("--customer", type=click.UUID, help="A customer. The bundle contains nothing about other customers.")
@click.option("--period", help="FROM/TO: two dates, or times with offset. TO is excluded. Either may be left out.")
@click.option(
    "--language", type=click.Choice(["fr", "en", "de"]), default="fr", show_default=True, help="Language of its texts."
)
@click.option(
    "--for",
    "reader",
    type=click.Choice(["customer", "provider"]),
    help="Reader of the bundle. Default: customer with --customer, otherwise provider.",
)
@click.option("-o", "--output", required=True, type=FILE, help="File to write. An existing file is replaced.")
def bundle_command(
    data: Path,
    incident: str | None,
    announcement: str | None,
    notice: UUID | None,
    customer: UUID | None,
    period: str | None,
    language: str,
    reader: str | None,
    output: Path,
) -> None:
    """Write the evidence into one archive that verifies offline, by `greffier verify`, openssl or C2SP tools.

    It runs beside the service. The log records that the bundle was made.
    """
    starts_at, ends_at = _period(period)
    chosen = reader or ("provider" if customer is None else "customer")
    if chosen == "customer" and customer is None:
        raise InvalidInputError(Fault("customer", "is required for a bundle for a customer"))
    if not output.parent.is_dir():
        raise InvalidInputError(Fault("output", f"the folder {output.parent} does not exist"))
    if output.exists() and not output.is_file():
        # A rename would take the place of a device for every program of this machine.
        raise InvalidInputError(Fault("output", f"{output} is no ordinary file"))
    settings = prepared_settings(data)
    wanted = BundleRequest(None, notice, customer, starts_at, ends_at)
    plan = asyncio.run(_make(settings, incident, announcement, wanted, chosen, language, output))
    header = plan.header
    click.echo(f"{output}: {header.entries} of {header.tree_size} entries, for the {header.reader}")


async def _make(
    settings: Settings,
    incident: str | None,
    announcement: str | None,
    wanted: BundleRequest,
    reader: str,
    language: str,
    output: Path,
) -> BundlePlan:
    clock = SystemClock()
    passphrases = key_passphrases(settings, load_masters(settings))
    key_file = settings.log.key_file or KeyFiles(settings.keys_dir, settings.trust_dir).log_key
    keys = LogKeyFile(key_file, settings.log.origin, passphrases, clock)
    anchors = read_anchors(settings.trust_dir)
    # A service may be running on this folder, so do not migrate its tables.
    store = open_store(settings.store_location(), migrate=False)
    try:
        await verify_head(store, settings.head_file, keys)
        if incident is not None:
            wanted = replace(wanted, incident_id=await store.read(lambda tx: _subject(tx, incident).id))
        if announcement is not None:
            found = await store.read(lambda tx: _subject(tx, announcement, announced=True))
            wanted = replace(wanted, announcement_id=found.id)

        async def reads(work: Callable[[Transaction], ResultT]) -> ResultT:
            if reader == "customer" and wanted.customer_id is not None:
                scope = customer_scope(wanted.customer_id)
                return await store.read(lambda tx: work(within(tx, scope)))
            return await store.read(work)

        plan = await reads(lambda tx: plan_bundle(tx, wanted, reader=reader, language=language))
        console = Console(stderr=True)
        with (
            replaced(output) as file,
            Progress(console=console, transient=True, disable=not console.is_terminal) as bar,
        ):
            task = bar.add_task("entries", total=plan.header.entries)
            signers = keys.signers().keys
            digest = await write_bundle(
                file,
                reads,
                plan,
                anchors,
                signers,
                folder=output.parent,
                progress=lambda count: bar.advance(task, count),
            )
            act = AuditContext(f"operator:{os.getuid()}", clock.now(), SystemIdentifiers())
            await store.write(lambda tx: record_bundle(tx, act, plan, digest))
    finally:
        await store.close()
    return plan


def _subject(tx: Transaction, named: str, *, announced: bool = False) -> Incident:
    """Return an incident, or an announcement, by its ticket or id; raises NotFoundError if it is the other one."""
    try:
        found = tx.incidents.get(UUID(named))
    except ValueError:
        found = tx.incidents.by_ticket(named)
    if found is None or (found.facts.announcement is not None) != announced:
        raise NotFoundError("announcement" if announced else "incident", named)
    return found


def _period(text: str | None) -> tuple[datetime | None, datetime | None]:
    if text is None:
        return None, None
    first, separator, last = text.partition("/")
    if not separator:
        raise InvalidInputError(Fault("period", "must be FROM/TO, such as 2026-01-01/2026-04-01"))
    return _moment(first), _moment(last)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(Fault("period", f"{text} is neither a date nor a time")) from None
    if moment.tzinfo is None and len(text) > len("2026-01-01"):
        raise InvalidInputError(Fault("period", f"{text} is a time without an offset"))
    # A date begins at midnight UTC.
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(Fault("period", f"{text} is outside the years 1 to 9999 in UTC")) from None
