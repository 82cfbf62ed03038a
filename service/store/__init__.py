"""The store: everything that must outlive the process, behind ``notifications.ports.UnitOfWork``.

``store = open_store(path_or_url)`` opens the database (and brings its tables up to date) and starts its writer threads
and a few readers; SQLite is for one process, PostgreSQL for any number of them::

    result = await store.write(lambda tx: record_incident(tx, act, facts, agreements))
    incident = await store.read(lambda tx: tx.incidents.get(incident_id))
    store.on_commit.append(lambda changed: ...)   # a set of kinds: "audit", "notices", "deliveries", ...
    await store.close()

``write`` returns once the work is durable on disk. Jobs that wait at the same time share one commit (group commit).
Each has its own savepoint, so a failure rolls back only that job. ``read`` sees one snapshot, runs in parallel with the
writer and cannot write. ``BackgroundUnitOfWork(store)`` is for long reads in great number: it has a reader of its own,
so no other read waits for it. Hooks in ``on_commit`` run in the event loop after the commit, before its callers
continue. They must be quick; an error in a hook is logged and has no other effect. ``close`` finishes what it
accepted.

``migrate_store(path_or_url)`` brings the tables up to date and opens nothing.

Raises ``notifications.errors``: StateConflictError for an identity that exists already or a reference to nothing,
VersionMismatchError, NotFoundError, InvalidInputError for a bad cursor, StoreUnavailableError when the engine cannot.
"""

from typing import TYPE_CHECKING, Any

from service.store.engines.background import BackgroundUnitOfWork
from service.store.engines.opening import Store, migrate_store, open_store
from service.store.engines.sqlite import SqliteStore
from service.store.engines.transaction import SqlTransaction

# Loaded by the module that names them: the embedded store needs no driver of a server.
if TYPE_CHECKING:
    from service.store.engines.postgresql import PostgresqlLimits, PostgresqlStore

__all__ = [
    "BackgroundUnitOfWork",
    "PostgresqlLimits",
    "PostgresqlStore",
    "SqlTransaction",
    "SqliteStore",
    "Store",
    "migrate_store",
    "open_store",
]


def __getattr__(name: str) -> Any:
    if name not in {"PostgresqlLimits", "PostgresqlStore"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from service.store.engines import postgresql  # noqa: PLC0415 - only PostgreSQL needs it

    return getattr(postgresql, name)
