"""``greffier backup``: a verified copy of the embedded database, beside a running service too."""

import asyncio
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from notifications.errors import Fault, InvalidInputError

if TYPE_CHECKING:
    from service.settings import Settings


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--data", required=True, type=click.Path(path_type=Path, file_okay=False), help="Data folder.")
@click.option("--verify", is_flag=True, help="Verify a backup made before instead of making one.")
def backup_command(folder: Path, data: Path, *, verify: bool) -> None:
    """Write a backup of the database into a new FOLDER, and verify it. Exit code 1 where it is not whole.

    Keys, master key and settings are not in it: keep them in another place. The head of the log must not be restored
    with it. How a backup is restored stands in docs/operations.md.
    """
    from service.audit_log.backup import BackupFaultError, make_backup, verify_backup  # noqa: PLC0415 - verify starts without the service

    settings = _settings(data)
    try:
        if verify:
            backup = asyncio.run(verify_backup(settings, folder))
        else:
            backup = asyncio.run(make_backup(settings, folder, now=datetime.now(UTC), version=version("greffier")))
    except BackupFaultError as error:
        click.echo(f"greffier: {error}", err=True)
        click.get_current_context().exit(1)
    click.echo(f"{'verified' if verify else 'backed up'}: {backup.log_entries} log entries, {backup.size_bytes} bytes")
    if not verify:
        click.echo("to be kept in another place: " + ", ".join(backup.kept_apart))


def _settings(data: Path) -> "Settings":
    from service.bootstrap.data_folder import is_prepared  # noqa: PLC0415 - verify starts without the service
    from service.settings import load_settings  # noqa: PLC0415 - as above

    if not is_prepared(data):
        raise InvalidInputError(Fault("data", f"{data} is no data folder: greffier init makes one"))
    return load_settings(data)
