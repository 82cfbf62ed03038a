"""Open a store by its address."""

from pathlib import Path

from sqlalchemy.exc import OperationalError

from notifications.errors import StoreUnavailableError
from service.store.migrating import is_current, sqlite_engine, upgrade
from service.store.sqlite import SqliteStore

_SQLITE_PREFIX = "sqlite:///"


def open_store(location: str | Path, *, migrate: bool = True, readers: int = 2) -> SqliteStore:
    """Open the store at a path or a ``sqlite:///path`` address.

    ``migrate`` brings the tables up to date first; without it a database that is not up to date is refused with
    StoreUnavailableError, as is an address of another engine. ``readers`` is the number of reading threads.
    """
    path = _path_of(location)
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


def migrate_store(location: str | Path) -> None:
    """Bring the tables at an address up to date, as ``open_store`` does; raises StoreUnavailableError."""
    engine = sqlite_engine(_path_of(location))
    try:
        upgrade(engine)
    except OperationalError as error:
        raise StoreUnavailableError(f"{location} cannot be migrated: {error.orig}") from error
    finally:
        engine.dispose()


def _path_of(location: str | Path) -> Path:
    if isinstance(location, Path):
        return location
    if location.startswith(_SQLITE_PREFIX):
        return Path(location.removeprefix(_SQLITE_PREFIX))
    if "://" in location:
        raise StoreUnavailableError(f"no store for {location.split(':', 1)[0]} addresses: use sqlite:///path")
    return Path(location)
