"""``greffier keys``: list the keys of a data folder, and replace them, beside a running service or without one."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifications.errors import Fault, InvalidInputError

if TYPE_CHECKING:
    from service.key_rotation.staging import PreparedRotation
    from service.settings import Settings

_DATA = click.option(
    "--data", required=True, type=click.Path(path_type=Path, file_okay=False), help="Data folder."
)  # fmt: skip
#: Enough of a fingerprint to tell keys apart.
_SHOWN = 16


@click.group("keys")
def keys_command() -> None:
    """List and replace the keys that sign, and the master key that encrypts them."""


@keys_command.command("list")
@_DATA
def list_command(data: Path) -> None:
    """List every key: kind, fingerprint, state, validity, and whether it is encrypted at rest."""
    from service.cli.key_operations import key_states  # noqa: PLC0415 - verify starts without the service

    for state in key_states(_settings(data)):
        since, until = (f"{at:%Y-%m-%d}" if at is not None else "…" for at in (state.not_before, state.not_after))
        words = {None: "", True: "encrypted", False: "NOT ENCRYPTED"}[state.encrypted]
        line = f"{state.kind:9}  {state.fingerprint[:_SHOWN]}  {state.state:11}  {since:10} to {until:10}  {words}"
        click.echo(line.rstrip())


@keys_command.group("rotate")
def rotate_command() -> None:
    """Replace a key. The one before goes on for its overlap, and what it signed verifies as before."""


@rotate_command.command("signing")
@_DATA
@click.option(
    "--install",
    type=click.Path(path_type=Path, dir_okay=False),
    help="PEM file with private key, certificate and intermediates from an authority; without it the demo CA issues.",
)
def rotate_signing_command(data: Path, install: Path | None) -> None:
    """Replace the key and certificate that sign notices and mails."""
    from service.cli.key_operations import rotate_signing  # noqa: PLC0415 - verify starts without the service

    _tell(asyncio.run(rotate_signing(_settings(data), install)), "its certificate is valid until")


@rotate_command.command("log")
@_DATA
def rotate_log_command(data: Path) -> None:
    """Replace the key that signs the log's checkpoints; give customers the new line of trust/log.vkey."""
    from service.cli.key_operations import rotate_log  # noqa: PLC0415 - verify starts without the service

    _tell(asyncio.run(rotate_log(_settings(data))), "it signs too until")


@rotate_command.command("master")
@_DATA
def rotate_master_command(data: Path) -> None:
    """Replace the master key and encrypt anew what is under it. The service must be stopped."""
    from service.cli.key_operations import replace_master  # noqa: PLC0415 - verify starts without the service

    files, records = asyncio.run(replace_master(_settings(data)))
    click.echo(f"the master key is replaced; encrypted anew: {files} key files, {records} secrets in the database")


def _settings(data: Path) -> "Settings":
    from service.bootstrap.data_folder import is_prepared  # noqa: PLC0415 - verify starts without the service
    from service.settings import load_settings  # noqa: PLC0415 - as above
    from service.system.logging import configure_logging  # noqa: PLC0415 - as above

    if not is_prepared(data):
        raise InvalidInputError(Fault("data", f"{data} is no prepared data folder"))
    configure_logging(sys.stderr)
    return load_settings(data)


def _tell(prepared: "PreparedRotation", words: str) -> None:
    click.echo(f"{prepared.key.kind} key {prepared.key.fingerprint[:_SHOWN]} is in place")
    previous, until = prepared.previous, prepared.change.overlap_until
    if previous is not None and until is not None:
        click.echo(f"the key before is {previous.fingerprint[:_SHOWN]}; {words} {until:%Y-%m-%d %H:%M} UTC")
