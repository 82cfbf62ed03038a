"""``greffier migrate``: bring the tables of a database up to date."""

from pathlib import Path

import click

from notifications.errors import Fault, InvalidInputError
from service.cli.options import DATA
from service.settings import load_settings
from service.store import migrate_store


@click.command("migrate")
@DATA
def migrate_command(data: Path) -> None:
    """Bring the tables of the database up to date.

    The database is the one that the settings name, else the embedded one. On PostgreSQL, run it as the owner of the
    tables.
    """
    settings = load_settings(data)
    if settings.database.url is None and not settings.database_file.exists():
        raise InvalidInputError(
            Fault("data", f"{settings.database_file} does not exist: greffier init makes a data folder")
        )
    migrate_store(settings.store_location(), role=settings.database.role)
    click.echo("up to date")
