"""``greffier check-contacts``: can each customer be notified, checked before an incident."""

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from uuid import UUID

import click

from notifications.errors import Fault, InvalidInputError
from service.bootstrap.contact_checks import contact_checker
from service.bootstrap.core import webhook_channel
from service.bootstrap.data_folder import prepared_settings
from service.bootstrap.signing import address_or
from service.channels.email_smtp import EmailSmtp
from service.cli.options import DATA, printable
from service.crypto.cms_signer import CmsSigner
from service.crypto.demo_keys import KeyFiles
from service.crypto.master_key import key_passphrases, load_masters
from service.customers.contact_check.report import CheckReport
from service.settings import Settings
from service.store import open_store
from service.system.logging import SystemClock, SystemIdentifiers, configure_logging


@click.command("check-contacts")
@DATA
@click.option("--customer", type=click.UUID, help="Check only this customer.")
@click.option(
    "--send", is_flag=True, help="Send each contact a signed mail marked [TEST], instead of asking the relay."
)
@click.option("--quiet", is_flag=True, help="Print only what is wrong or needs attention.")
@click.pass_context
def check_command(context: click.Context, data: Path, customer: UUID | None, *, send: bool, quiet: bool) -> None:
    """Check every active contact, its certificate and every webhook, and record the results.

    It asks the relay by MAIL and RCPT and sends no message; a webhook gets an event marked as a test. Exit code 1 if
    something is wrong, 2 for a wrong input.
    """
    # Standard output is only for the report.
    configure_logging(level=logging.ERROR)
    report = asyncio.run(_check(prepared_settings(data), customer, send=send))
    for line in report.lines:
        if quiet and line.verdict == "ok":
            continue
        parts = (line.verdict, printable(line.customer), printable(line.about), printable(line.what))
        click.echo("\t".join(parts).rstrip())
    if report.relay_fault is not None:
        click.echo(f"greffier: addresses were not asked about: {printable(report.relay_fault)}", err=True)
    counted = [sum(line.verdict == verdict for line in report.lines) for verdict in ("ok", "warning", "failed")]
    click.echo(f"ok {counted[0]}, warning {counted[1]}, failed {counted[2]}", err=True)
    context.exit(0 if report.is_clean else 1)


async def _check(settings: Settings, customer_id: UUID | None, *, send: bool) -> CheckReport:
    if send and settings.mail.host is None:
        raise InvalidInputError(Fault("mail.host", "is not set: no test mail can be sent"))
    clock, identifiers, masters = SystemClock(), SystemIdentifiers(), load_masters(settings)
    files = KeyFiles(settings.keys_dir, settings.trust_dir)
    signer = CmsSigner(
        settings.signing.key_file or files.signing_key,
        settings.signing.chain_file or files.signing_chain,
        key_passphrases(settings, masters),
        clock,
    )
    sender = settings.mail.sender or address_or(signer, settings.provider.contact_email)
    async with contextlib.AsyncExitStack() as stack:
        # A service may be running on this folder, so do not migrate its tables.
        store = open_store(settings.store_location(), migrate=False)
        stack.push_async_callback(store.close)
        mail = None
        if send:
            mail = EmailSmtp(settings.mail)
            stack.push_async_callback(mail.aclose)
        checker = contact_checker(
            settings,
            store,
            signer,
            sender,
            stack,
            clock=clock,
            identifiers=identifiers,
            mail=mail,
            webhook=webhook_channel(settings, masters, clock),
        )
        actor = f"operator:{os.getuid()}"
        if customer_id is None:
            return await checker.check_all(send=send, actor=actor)
        return await checker.check_customer(customer_id, send=send, actor=actor)
