"""Bring a database up to date by the migrations packaged here."""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.pool import NullPool

_MIGRATIONS = "service.store:migrations"
#: Alembic's table of the revision that a database has.
_VERSIONS = "alembic_version"
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
        # Imported here, because the embedded store needs no driver of a server.
        from service.store.engines.postgresql_session import connect  # noqa: PLC0415 - only where tables are brought up to date

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
            _run_migrations(connection)


def is_current(engine: Engine) -> bool:
    """Return whether the database has every migration."""
    with engine.connect() as connection:
        return _is_current(connection)


def _is_current(connection: Connection) -> bool:
    if not inspect(connection).has_table(_VERSIONS):
        return False
    return list(connection.exec_driver_sql(f"SELECT version_num FROM {_VERSIONS}").scalars()) == [newest_revision()]  # noqa: S608 - constant


@cache
def newest_revision() -> str:
    """Return the newest revision of the packaged migrations: each file is named by its revision, each has one next."""
    files = resources.files("service.store.migrations").joinpath("versions").iterdir()
    return max(file.name.partition("_")[0] for file in files if file.name[:1].isdigit())


def _run_migrations(connection: Connection) -> None:
    # Imported here, because a database is usually up to date, and Alembic takes longer to load than to look.
    from alembic import command  # noqa: PLC0415 - only where tables are brought up to date
    from alembic.config import Config  # noqa: PLC0415 - only where tables are brought up to date

    configuration = Config()
    configuration.set_main_option("script_location", _MIGRATIONS)
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")
