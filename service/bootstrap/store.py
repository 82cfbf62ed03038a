"""The store and the lead, wired: one process on the embedded store, any number on PostgreSQL."""

import contextlib

import structlog

from notifications.errors import Fault, InvalidInputError
from service.bootstrap.data_folder import sole_use
from service.settings import Settings
from service.store import PostgresqlLimits, SqlTransaction, Store, open_store
from service.system.leadership import AdvisoryLockLeadership, Leadership, SoleLeadership

_log = structlog.get_logger(__name__)


async def opened_store(settings: Settings, stack: contextlib.AsyncExitStack, *, alone: bool) -> Store:
    """Open the store that the settings name; the stack closes it.

    The embedded store is this process's alone: it is brought up to date, and leases that a process left when it died
    are free. It raises InvalidInputError while another process has it, and for a process that is not meant to do
    everything (``alone`` false). PostgreSQL is shared: it must be up to date already, and what another process leased
    is its own until the lease runs out.
    """
    if settings.database_url is not None:
        limits = PostgresqlLimits(
            statement_seconds=settings.database_statement_seconds, lock_seconds=settings.database_lock_seconds
        )
        store = open_store(settings.store_location(), migrate=False, limits=limits)
        stack.push_async_callback(store.close)
        return store
    if not alone:
        raise InvalidInputError(Fault("database_url", "several processes share the work on PostgreSQL alone"))
    stack.enter_context(sole_use(settings.data))
    store = open_store(settings.database_file)
    stack.push_async_callback(store.close)
    await store.write(_free_leases)
    return store


async def leadership_of(settings: Settings, stack: contextlib.AsyncExitStack, *, stands: bool) -> Leadership:
    """Return who leads; the stack gives the lead back. A process that does not stand for it never leads."""
    if settings.database_url is None:
        return SoleLeadership()
    leadership = AdvisoryLockLeadership(str(settings.store_location()), stands=stands)
    await leadership.start()
    stack.push_async_callback(leadership.stop)
    return leadership


def _free_leases(tx: SqlTransaction) -> None:
    if freed := tx.deliveries.free_leases():
        _log.warning("leases.freed", deliveries=freed)
