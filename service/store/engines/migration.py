"""Bring a database up to date by the migrations packaged here."""

from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from service.store.engines.postgresql_session import connect

_MIGRATIONS = "service.store:migrations"
#: Advisory lock of the process that migrates a PostgreSQL database.
_MIGRATIONS_LOCK = 7_310_203


def sqlite_engine(path: Path) -> Engine:
    """Return an engine for migrations of one SQLite file; it waits 30 seconds for another process that migrates."""
    # By default the driver begins a transaction at the first change of rows, and changes of tables are not part of it.
    arguments = {"isolation_level": None, "timeout": 30}
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, connect_args=arguments)
    event.listen(engine, "begin", _begin)
    return engine


def postgresql_engine(address: str, *, lock_timeout_seconds: float = 30, idle_seconds: float = 600) -> Engine:
    """Return an engine for migrations of one PostgreSQL database; it waits ``lock_timeout_seconds`` for a lock.

    After ``idle_seconds`` without a message the server closes the connection, so that a lost message does not block for
    ever.
    """
    seconds = {
        "lock_timeout": lock_timeout_seconds,
        "idle_session_timeout": idle_seconds,
        "idle_in_transaction_session_timeout": idle_seconds,
    }

    def connected() -> Any:
        connection = connect(address, seconds, connect_timeout=5)
        # As SQLAlchemy expects it.
        connection.autocommit = False
        return connection

    return create_engine("postgresql+psycopg://", poolclass=NullPool, creator=connected)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def upgrade(engine: Engine) -> None:
    """Run every migration that the database does not have yet, all in one transaction: all of them, or none."""
    if is_current(engine):
        return
    # This waits for a concurrent migration, which may already have done the work.
    with engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATIONS_LOCK})")
        if not _is_current(connection):
            command.upgrade(_configuration(connection), "head")


def is_current(engine: Engine) -> bool:
    """Return whether the database has every migration."""
    with engine.connect() as connection:
        return _is_current(connection)


def _is_current(connection: Connection) -> bool:
    return set(MigrationContext.configure(connection).get_current_heads()) == packaged_heads()


@cache
def packaged_heads() -> frozenset[str]:
    """Return the newest revisions of the packaged migrations; the files are read once a process."""
    return frozenset(ScriptDirectory.from_config(_configuration()).get_heads())


def _configuration(connection: Connection | None = None) -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", _MIGRATIONS)
    configuration.attributes["connection"] = connection
    return configuration
