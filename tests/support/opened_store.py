"""A store of each kind with every table and no row, for tests that hold for all of them."""

from contextlib import asynccontextmanager, contextmanager

from service.store import open_store
from support.memory_store import MemoryStore
from support.postgresql_server import postgresql_server
from support.sqlite_file import new_database


@contextmanager
def lent_address(kind, folder):
    """Lend a database with every table and no row: its address, ``sqlite`` in a folder, or ``postgresql``."""
    if kind == "postgresql":
        with postgresql_server().lent_database() as address:
            yield address
    else:
        yield new_database(folder / "store.sqlite3")


@asynccontextmanager
async def opened_at(address):
    """Open the store at an address, its tables up to date, and close it at the end."""
    store = open_store(address)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def opened_store(kind, folder):
    """Open a store: ``memory``, ``sqlite`` in a folder, or ``postgresql``."""
    if kind == "memory":
        yield MemoryStore()
        return
    with lent_address(kind, folder) as address:
        opened = open_store(address, migrate=False)
        try:
            yield opened
        finally:
            await opened.close()
