"""``greffier migrate``: the tables of a database brought up to date."""

from pathlib import Path

import click

from service.cli.options import DATA
from service.settings import load_settings
from service.store import migrate_store


@click.command("migrate")
@DATA
def migrate_command(data: Path) -> None:
    """Bring the tables up to date: of the data folder, or of the database that its settings name, as its owner."""
    settings = load_settings(data)
    migrate_store(settings.store_location(), role=settings.database.role)
    click.echo("up to date")
