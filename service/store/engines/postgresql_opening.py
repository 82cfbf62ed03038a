"""Open the store on PostgreSQL; apart from the embedded store, which needs no driver of a server."""

import psycopg
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from notifications.errors import StoreUnavailableError
from service.store.engines.migration import is_current, postgresql_engine, upgrade
from service.store.engines.postgresql import PostgresqlLimits, PostgresqlStore
from service.store.engines.postgresql_session import verify_own_sessions


def open_postgresql(address: str, *, migrate: bool, readers: int, limits: PostgresqlLimits | None) -> PostgresqlStore:
    """Open the store at an address, as ``open_store`` does; raises StoreUnavailableError."""
    limits = limits or PostgresqlLimits()
    engine = postgresql_engine(address, idle_seconds=limits.idle_session_seconds)
    try:
        verify_own_sessions(address, connect_seconds=limits.connect_seconds, idle_seconds=limits.idle_session_seconds)
        if migrate:
            upgrade(engine)
        elif not is_current(engine):
            raise StoreUnavailableError("the database is not at the newest version of the tables: run greffier migrate")
    except (OperationalError, InternalError, psycopg.Error) as error:
        raise StoreUnavailableError(f"the database cannot be opened: {_one_line(error)}") from error
    finally:
        engine.dispose()
    return PostgresqlStore(address, readers=readers, limits=limits)


def _one_line(error: DBAPIError | psycopg.Error) -> str:
    """Return what the driver said; never the address, which may hold a password."""
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
