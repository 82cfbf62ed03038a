"""``greffier copy``: from the embedded database to the PostgreSQL database that the settings name."""

from pathlib import Path

import click

from notifications.errors import Fault, InvalidInputError


@click.command("copy")
@click.option("--data", required=True, type=click.Path(path_type=Path, file_okay=False), help="Data folder.")
def copy_command(data: Path) -> None:
    """Copy the embedded database of a data folder to the empty database that its setting database.url names.

    All of it or nothing; the log verifies as before. No service may run on the folder. Run it as the owner of the
    tables: it makes them.
    """
    from service.bootstrap.data_folder import sole_use  # noqa: PLC0415 - verify starts without the service
    from service.settings import load_settings  # noqa: PLC0415 - as above
    from service.store import migrate_store  # noqa: PLC0415 - as above
    from service.store.maintenance.copy import copy_store  # noqa: PLC0415 - as above

    settings = load_settings(data)
    target = settings.store_location()
    if not isinstance(target, str):
        raise InvalidInputError(Fault("database.url", "is not set: it names where to copy to"))
    if not settings.database_file.exists():
        raise InvalidInputError(Fault("data", f"{settings.database_file} is not there"))
    with sole_use(data):
        migrate_store(settings.database_file)
        rows = copy_store(
            settings.database_file, target, lambda table: click.echo(f"{table.rows:10}  {table.name}", err=True)
        )
        migrate_store(target, role=settings.database.role)
    click.echo(f"copied and verified: {rows} rows; the embedded database is kept as it was")
