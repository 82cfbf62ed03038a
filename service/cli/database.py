"""``greffier backup`` and ``greffier copy``: the database of a data folder."""

import asyncio
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from notifications.errors import Fault, InvalidInputError
from service.audit_log.backup import BackupFaultError, make_backup, verify_backup
from service.bootstrap.data_folder import prepared_settings
from service.cli.options import DATA, FOLDER
from service.settings import load_settings
from service.store import migrate_store
from service.store.maintenance.copy import copy_store
from service.system.file_lock import sole_use


@click.command("backup")
@click.argument("folder", type=FOLDER)
@DATA
@click.option("--verify", is_flag=True, help="Verify a backup made before instead of making one.")
def backup_command(folder: Path, data: Path, *, verify: bool) -> None:
    """Write a backup of the database into a new FOLDER, and verify it. Exit code 1 if the backup is incomplete.

    Keys, master key and settings are not in it: keep them in another place. The head of the log must not be restored
    with it. docs/operations.md says how to restore a backup.
    """
    settings = prepared_settings(data)
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


@click.command("copy")
@DATA
def copy_command(data: Path) -> None:
    """Copy the embedded database of a data folder to the empty database that database.url names.

    It copies everything or nothing; the log verifies as before. No service may run on the folder. Run it as the owner
    of the tables, because it creates them.
    """
    settings = load_settings(data)
    target = settings.store_location()
    if not settings.database_file.exists():
        raise InvalidInputError(
            Fault("data", f"{settings.database_file} does not exist: name a data folder with an embedded database")
        )
    if not isinstance(target, str):
        raise InvalidInputError(
            Fault("database.url", "is not set: set it to the PostgreSQL database to copy to (GREFFIER_DATABASE__URL)")
        )
    with sole_use(data):
        migrate_store(settings.database_file)
        rows = copy_store(
            settings.database_file, target, lambda table: click.echo(f"{table.rows:10}  {table.name}", err=True)
        )
        migrate_store(target, role=settings.database.role)
    click.echo(f"copied and verified: {rows} rows; the embedded database is kept as it was")
