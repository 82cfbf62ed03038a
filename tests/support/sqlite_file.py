"""Embedded databases for tests: migrated once in a process and then copied; migrating takes a quarter of a second."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from service.store import migrate_store


@cache
def _migrated():
    folder = tempfile.mkdtemp(prefix="greffier-sqlite-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "empty.sqlite3"
    migrate_store(path)
    return path


def new_database(path):
    """Make a database with every table and no row at a path; returns the path."""
    return Path(shutil.copy(_migrated(), path))
