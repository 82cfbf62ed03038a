"""``greffier import`` of 10,000 customers with 20,000 contacts into an empty installation; on SQLite.

Reference: a bare ``executemany`` of the same rows into the same tables, with their indexes, triggers and full-text
index, in one transaction of an equal database. Rounds of the two alternate, each with a database of its own. The import
also reads the file, validates each value, and makes the audit entries and the terms of the full-text index. Processor
seconds are compared, because they hardly depend on what else the machine does; wall clock is reported beside them.
"""

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from table import result_line

from service.bootstrap.data_folder import prepare_data_folder, prepared_settings
from service.cli.customers import imported
from service.store import migrate_store
from service.store.engines.sqlite import connect
from service.store.sql.full_text import INDEX_TERMS, row_number

_HEADER = (
    "name,language,time_zone,services,four_eyes,agreement_id,agreement_effective_at,contact_name,contact_role,"
    "contact_email,contact_language,contact_order,contact_mail_content\r\n"
)
#: Not rows of an import: the engine's own tables, and those that a new database has.
_OTHERS = ("sqlite_", "search_index", "alembic_version")


def file_of(customers: int, contacts_each: int) -> bytes:
    """Return a file: each customer has its own name, and each contact its own address."""
    lines = (
        f"Société {number},fr,Europe/Paris,vm;s3,true,secnumcloud_iaas_3_0,2025-02-01T00:00:00Z,"
        f"Zoë Müller {number}-{order},security,c{number}-{order}@customer{number}.example,fr,{order + 1},full\r\n"
        for number in range(customers)
        for order in range(contacts_each)
    )
    return (_HEADER + "".join(lines)).encode()


def _imported(folder: Path, content: bytes, customers: int, contacts: int) -> tuple[float, float]:
    """Import into a new installation; return seconds and CPU seconds."""
    prepare_data_folder(folder, address="soc@provider.example", provider_name="Bench", now=datetime.now(UTC))
    settings = prepared_settings(folder)
    migrate_store(folder / "greffier.sqlite3")
    began, cpu = time.perf_counter(), time.process_time()
    report = asyncio.run(imported(settings, content, dry_run=False))
    spent = time.perf_counter() - began, time.process_time() - cpu
    made = [[getattr(each, what) for each in report.outcomes].count("created") for what in ("customer", "contact")]
    if made != [customers, contacts] or report.faults:
        raise SystemExit(f"not imported: {made}, {report.faults[:3]}")
    return spent


def _rows(path: Path) -> Iterator[tuple[str, list[tuple[object, ...]]]]:
    """Yield the INSERT and the rows of each table that the import filled, a table that others refer to first."""
    with closing(sqlite3.connect(path)) as database:
        names = [
            name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid")
        ]
        for name in names:
            if name.startswith(_OTHERS):
                continue
            found = database.execute(f"SELECT * FROM {name}")
            rows = found.fetchall()
            if rows:
                marks = ", ".join("?" * len(found.description))
                yield f"INSERT OR REPLACE INTO {name} VALUES ({marks})", rows
        terms = database.execute("SELECT kind, position, terms FROM search_documents ORDER BY position").fetchall()
        yield INDEX_TERMS, [(row_number(kind, position), text) for kind, position, text in terms]


def _bare(path: Path, tables: list[tuple[str, list[tuple[object, ...]]]]) -> tuple[float, float]:
    """Write rows into a new database, each table with one executemany; return seconds and CPU seconds."""
    migrate_store(path)
    with closing(connect(path, read_only=False)) as database:
        began, cpu = time.perf_counter(), time.process_time()
        database.execute("BEGIN IMMEDIATE")
        database.execute("PRAGMA defer_foreign_keys = ON")
        for statement, rows in tables:
            database.executemany(statement, rows)
        database.execute("COMMIT")
        return time.perf_counter() - began, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--contacts-each", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    contacts = arguments.customers * arguments.contacts_each
    content = file_of(arguments.customers, arguments.contacts_each)
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    tables: list[tuple[str, list[tuple[object, ...]]]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(arguments.rounds):
            folder = Path(temporary) / str(number)
            ours.append(_imported(folder, content, arguments.customers, contacts))
            tables = tables or list(_rows(folder / "greffier.sqlite3"))
            bare.append(_bare(folder / "bare.sqlite3", tables))
            print(f"  round {number + 1}: import {ours[-1][1]:.2f} s of processor, bare {bare[-1][1]:.2f} s")
    print(f"{arguments.customers:,} customers, {contacts:,} contacts, {sum(len(rows) for _, rows in tables):,} rows")
    ratios = [statistics.median(other[at] / one[at] for one, other in zip(ours, bare, strict=True)) for at in (0, 1)]
    print(f"  import {statistics.median(one[1] for one in ours):.2f} s of processor; wall clock ratio {ratios[0]:.2f}")
    print(result_line("import_customers", ratios[1], at_least=0.25))


if __name__ == "__main__":
    main()
