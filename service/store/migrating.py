"""Bring a database up to date by the migrations packaged here."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

_MIGRATIONS = "service.store:migrations"


def sqlite_engine(path: Path) -> Engine:
    """Return an engine for migrations of one SQLite file."""
    return create_engine(f"sqlite:///{path}", poolclass=NullPool)


def upgrade(engine: Engine) -> None:
    """Run every migration that the database does not have yet, all in one transaction."""
    with engine.begin() as connection:
        if not _is_current(connection):
            command.upgrade(_configuration(connection), "head")


def is_current(engine: Engine) -> bool:
    """Whether the database has every migration."""
    with engine.connect() as connection:
        return _is_current(connection)


def _is_current(connection: Connection) -> bool:
    script = ScriptDirectory.from_config(_configuration(connection))
    context = MigrationContext.configure(connection)
    return set(context.get_current_heads()) == set(script.get_heads())


def _configuration(connection: Connection) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", _MIGRATIONS)
    configuration.attributes["connection"] = connection
    return configuration
