"""A store of each kind with every table and no row, for tests that hold for all of them."""

from contextlib import ExitStack, asynccontextmanager

from service.store import open_store
from support.memory_store import MemoryStore
from support.postgresql_server import postgresql_server
from support.sqlite_file import new_database


@asynccontextmanager
async def opened_store(kind, folder):
    """Open a store: ``memory``, ``sqlite`` in a folder, or ``postgresql``."""
    if kind == "memory":
        yield MemoryStore()
        return
    with ExitStack() as stack:
        if kind == "postgresql":
            address = stack.enter_context(postgresql_server().lent_database())
        else:
            address = new_database(folder / "store.sqlite3")
        opened = open_store(address, migrate=False)
        try:
            yield opened
        finally:
            await opened.close()
