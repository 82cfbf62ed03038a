"""Open a store by its address."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, overload

from sqlalchemy.exc import OperationalError, ProgrammingError

from notifications.errors import StoreUnavailableError
from service.store.engines.migration import is_current, postgresql_engine, sqlite_engine, upgrade
from service.store.engines.sqlite import SqliteStore

# Loaded with the first PostgreSQL address: the embedded store needs no driver of a server.
if TYPE_CHECKING:
    from service.store.engines.postgresql import PostgresqlLimits, PostgresqlStore

_SQLITE_PREFIX = "sqlite:///"
_POSTGRESQL_PREFIXES = ("postgresql://", "postgres://")

Store: TypeAlias = "SqliteStore | PostgresqlStore"


@overload
def open_store(location: Path, *, migrate: bool = True, readers: int = 2) -> SqliteStore: ...


@overload
def open_store(
    location: str | Path, *, migrate: bool = True, readers: int = 2, limits: "PostgresqlLimits | None" = None
) -> Store: ...


def open_store(
    location: str | Path, *, migrate: bool = True, readers: int = 2, limits: "PostgresqlLimits | None" = None
) -> Store:
    """Open the store at a path, a ``sqlite:///path`` or a ``postgresql://`` address.

    ``migrate`` brings the tables up to date first. Without it, a database that is not up to date is refused with
    StoreUnavailableError; so is an address of another engine. ``readers`` is the number of reader threads, ``limits``
    has the timeouts of PostgreSQL; the embedded store has no such timeouts.
    """
    if isinstance(location, str) and location.startswith(_POSTGRESQL_PREFIXES):
        from service.store.engines.postgresql_opening import open_postgresql  # noqa: PLC0415 - only PostgreSQL needs it

        return open_postgresql(location, migrate=migrate, readers=readers, limits=limits)
    path = _path_of(location)
    _keep_private(path)
    engine = sqlite_engine(path)
    try:
        if migrate:
            upgrade(engine)
        elif not is_current(engine):
            raise StoreUnavailableError(f"{path} is not at the newest version of the tables: run greffier migrate")
    except OperationalError as error:
        raise StoreUnavailableError(f"{path} cannot be opened: {error.orig}") from error
    finally:
        engine.dispose()
    return SqliteStore(path, readers=readers)


def migrate_store(location: str | Path, *, role: str | None = None) -> None:
    """Bring the tables at an address up to date, as ``open_store`` does; raises StoreUnavailableError.

    On PostgreSQL ``role`` gets only the rights that the service needs; see ``service.store.engines.roles``.
    """
    if isinstance(location, str) and location.startswith(_POSTGRESQL_PREFIXES):
        engine, named = postgresql_engine(location), "the database"
    else:
        path = _path_of(location)
        _keep_private(path)
        engine, named = sqlite_engine(path), str(location)
    try:
        upgrade(engine)
    except (OperationalError, ProgrammingError) as error:
        raise StoreUnavailableError(f"{named} cannot be migrated: {_one_line(error)}") from error
    finally:
        engine.dispose()
    if role is not None and isinstance(location, str):
        from service.store.engines.roles import grant_application_role  # noqa: PLC0415 - only PostgreSQL needs it

        grant_application_role(location, role)


def _keep_private(path: Path) -> None:
    """Let nobody else read the database, whatever the folder and the umask allow; SQLite's other files take its mode.

    Raises StoreUnavailableError where the file cannot be made or is not ours.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            if file.exists() and file.stat().st_mode & 0o077:
                file.chmod(0o600)
    except OSError as error:
        raise StoreUnavailableError(f"{path} cannot be opened: {error.strerror}") from error


def _path_of(location: str | Path) -> Path:
    if isinstance(location, Path):
        return location
    if location.startswith(_SQLITE_PREFIX):
        return Path(location.removeprefix(_SQLITE_PREFIX))
    if "://" in location:
        raise StoreUnavailableError(
            f"no store for {location.split(':', 1)[0]} addresses: use sqlite:///path or postgresql://…"
        )
    return Path(location)


def _one_line(error: OperationalError | ProgrammingError) -> str:
    """Return what the driver said; never the address, which may hold a password."""
    return " ".join(str(error.orig).split())
