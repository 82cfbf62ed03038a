"""Open the store and join the leader election: one process with the embedded store, several with PostgreSQL."""

import contextlib

import structlog

from notifications.errors import AgreementError, Fault, InvalidInputError
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.incidents.index_incidents import index_incidents
from service.settings import Settings
from service.store import SqlTransaction, Store, open_store
from service.system.file_lock import sole_use
from service.system.leadership import Leadership, SoleLeadership

_log = structlog.get_logger(__name__)

_INDEXED_AT_ONCE = 500


async def open_configured_store(settings: Settings, stack: contextlib.AsyncExitStack, *, alone: bool) -> Store:
    """Open the configured store; the stack closes it.

    Embedded: the store belongs to this process, which migrates it and frees the leases of a crashed process. Raises
    InvalidInputError if another process has it, or if this process does not do all the work (``alone`` false).
    PostgreSQL: several processes share the store, so it must be migrated already, and leases end by time.
    """
    if settings.database.url is not None:
        store = open_store(settings.store_location(), migrate=False)
        stack.push_async_callback(store.close)
        return store
    if not alone:
        raise InvalidInputError(Fault("database.url", "is needed: only on PostgreSQL several processes share the work"))
    stack.enter_context(sole_use(settings.data))
    store = open_store(settings.database_file)
    stack.push_async_callback(store.close)
    await store.write(_free_leases)
    return store


async def index_all_incidents(store: Store, agreements: Agreements) -> None:
    """Give every incident of an earlier release the overview by which lists find it; usually there is none."""
    indexed = 0
    while await store.read(lambda tx: tx.incidents.without_overview(1)):
        indexed += await store.write(lambda tx: index_incidents(tx, agreements, _INDEXED_AT_ONCE))
    if indexed:
        _log.info("incidents.indexed", incidents=indexed)


async def verify_bindings(store: Store, agreements: Agreements) -> None:
    """Raise InvalidInputError if a customer is bound to an agreement, a DPA or products that no file has any more."""
    bindings = await store.read(lambda tx: tx.customers.bindings())
    for binding in {(each.agreement_id, each.dpa_id, each.products): each for each in bindings}.values():
        try:
            agreements.terms(binding, binding.effective_at)
        except KeyError as error:
            fault = Fault("agreements.folder", f"customers are bound to {error.args[0]}, and no file has this id")
            raise InvalidInputError(fault) from None
        except AgreementError as error:
            raise InvalidInputError(Fault("agreements.folder", f"customers are bound by {error}")) from None


async def start_leadership(settings: Settings, stack: contextlib.AsyncExitStack, *, candidate: bool) -> Leadership:
    """Return the leader election; the stack withdraws from it. Only a candidate can become leader."""
    if settings.database.url is None:
        return SoleLeadership()
    # Imported here, because the embedded store needs no driver of a server.
    from service.system.advisory_lock import AdvisoryLockLeadership  # noqa: PLC0415 - only PostgreSQL needs it

    leadership = AdvisoryLockLeadership(str(settings.store_location()), candidate=candidate)
    await leadership.start()
    stack.push_async_callback(leadership.stop)
    return leadership


def _free_leases(tx: SqlTransaction) -> None:
    if freed := tx.deliveries.free_leases():
        _log.warning("leases.freed", deliveries=freed)
