"""What SQLite adds to the contract: durability, append-only triggers, migrations, group commit."""

import asyncio
import importlib
import os
import pkgutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import bindparam, select

import service.store
from notifications.errors import StateConflictError, StoreUnavailableError
from notifications.ports import InboxItem
from service.store import open_store
from service.store.engines.migration import is_current, sqlite_engine, upgrade
from service.store.engines.triggers import APPEND_ONLY, sqlite_triggers
from service.store.sql.statements import compiled
from service.store.tables import metadata
from support.duty_records import make_assessment, make_draft, make_legal_profile, make_own_submission, make_submission
from support.records import (
    NOW,
    SALT,
    make_attempt,
    make_binding,
    make_customer,
    make_decision,
    make_delivery,
    make_entry,
    make_incident,
    make_notice,
    make_profile,
    make_sealed,
)
from support.report_records import make_intervention, make_issued_report, make_report_pdf
from support.serving_records import (
    make_acknowledgement,
    make_call_record,
    make_call_task,
    make_check,
    make_opening,
    make_returned,
)
from support.sqlite_file import new_database


@pytest.fixture
def path(tmp_path):
    return new_database(tmp_path / "store.sqlite3")


@pytest.fixture
async def store(path):
    opened = open_store(path, migrate=False)
    yield opened
    await opened.close()


def direct(path):
    """Open the file as somebody else would, without this product's settings."""
    return closing(sqlite3.connect(path, isolation_level=None))


class TestMigrations:
    def test_give_the_tables_and_triggers_that_the_code_expects(self, path):
        engine = sqlite_engine(path)
        with engine.connect() as connection:
            # The full-text index is a virtual table, which has tables of its own.
            opts = {"include_name": lambda name, _kind, _parents: not str(name).startswith("search_index")}
            assert compare_metadata(MigrationContext.configure(connection, opts=opts), metadata) == []
        engine.dispose()
        with direct(path) as connection:
            found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
            assert found == sqlite_triggers()
            made = dict(
                connection.execute(
                    "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name != 'alembic_version'"
                    " AND name NOT LIKE 'search_index%'"
                )
            )
        assert made.keys() == metadata.tables.keys()

    def test_every_key_of_an_append_only_table_is_guarded(self, path):
        with direct(path) as connection:
            for table, guarded in APPEND_ONLY.items():
                columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
                keys = {tuple(name for _, name, _, _, _, place in sorted(columns, key=lambda c: c[5]) if place)}
                for _, index, unique, _, _ in connection.execute(f"PRAGMA index_list({table})").fetchall():
                    if unique:
                        parts = connection.execute(f"PRAGMA index_info({index})").fetchall()
                        keys.add(tuple(part[2] for part in parts))
                whole = {tuple(column[1] for column in columns)}
                assert keys - whole == set(guarded), table

    def test_running_them_again_changes_nothing(self, path):
        engine = sqlite_engine(path)
        before = path.read_bytes()
        upgrade(engine)
        assert is_current(engine)
        engine.dispose()
        assert path.read_bytes() == before

    def test_a_database_without_tables_is_refused_unless_it_may_be_migrated(self, tmp_path):
        with pytest.raises(StoreUnavailableError, match="migrate"):
            open_store(tmp_path / "new.sqlite3", migrate=False)

    @pytest.mark.parametrize(
        ("location", "reason"), [("mysql://x/y", "mysql"), ("/nowhere/at/all.sqlite3", "cannot be opened")]
    )
    def test_an_address_that_cannot_be_opened_says_why(self, location, reason):
        with pytest.raises(StoreUnavailableError, match=reason):
            open_store(location)

    async def test_an_address_may_be_a_url(self, path):
        opened = open_store(f"sqlite:///{path}")
        assert opened.path == path
        await opened.close()


class TestAppendOnly:
    @pytest.fixture
    async def filled(self, store, path):
        """A database with a row in every append-only table."""
        customer, incident = make_customer(), make_incident()
        notice = make_notice(incident, customer)
        delivery = make_delivery(notice)

        def work(tx):
            tx.customers.add(customer, SALT)
            tx.customers.add_binding(make_binding(customer))
            tx.customers.add_profile(make_profile(customer))
            tx.incidents.add(incident)
            tx.incidents.add_intervention(make_intervention(incident))
            tx.reports.add(make_issued_report())
            tx.reports.add_pdf(make_report_pdf())
            tx.incidents.add_decisions([make_decision(incident, customer)])
            tx.notices.add([notice])
            tx.notices.add_seal(make_sealed(notice, timestamp=b"t", log_proof=b"p"), uuid4())
            tx.deliveries.add([delivery])
            tx.deliveries.finish_attempt(replace(delivery, attempts=1), make_attempt(delivery), b"mail")
            tx.deliveries.add_inbox_item(InboxItem(notice.id, customer.id, NOW))
            task = make_call_task(notice)
            tx.escalations.add_call_task(task)
            tx.escalations.add_call_record(make_call_record(task))
            tx.notices.add_opening(make_opening(notice))
            tx.notices.add_acknowledgement(make_acknowledgement(notice))
            tx.deliveries.record_bounce(make_returned(delivery))
            tx.customers.add_reachability_checks([make_check(customer)])
            tx.duties.add_legal_profile(make_legal_profile(customer))
            tx.duties.add_assessment(make_assessment(incident))
            tx.duties.add_submission(make_submission(incident))
            tx.duties.add_draft(make_draft(incident))
            tx.duties.add_customer_submission(make_own_submission(notice))
            made = make_entry(openings=[("pdf", b"%PDF")])
            tx.audit.append([make_entry(openings=[("payload", b"x")]), made])
            tx.notices.add_pdf(notice.id, "fr", None, made.id)
            tx.log.grow(0, tx.audit.pending(1), [(0, 0, b"h" * 32)], b"checkpoint")
            tx.log.add_cosignature(1, "witness.example", "line\n", NOW)
            tx._session.execute("INSERT INTO checkpoint_timestamps VALUES (?, ?, ?)", (1, b"token", 0))
            tx._session.execute("INSERT INTO shared_timestamps VALUES (?, ?, ?, ?)", (notice.id.bytes, 1, 0, None))

        await store.write(work)
        return path

    async def test_direct_sql_can_neither_change_nor_delete_nor_replace(self, filled):
        with direct(filled) as connection:
            for table in APPEND_ONLY:
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                rows = connection.execute(f"SELECT * FROM {table}").fetchall()
                assert rows, f"{table} is not filled"
                statements = [
                    f'UPDATE {table} SET "{columns[-1]}" = "{columns[-1]}"',
                    f"DELETE FROM {table}",
                    f"DELETE FROM {table} WHERE 1 = 1",
                ]
                if APPEND_ONLY[table]:
                    statements.append(f"REPLACE INTO {table} SELECT * FROM {table}")
                for statement in statements:
                    with pytest.raises(sqlite3.IntegrityError, match=table):
                        connection.execute(statement)
                assert connection.execute(f"SELECT * FROM {table}").fetchall() == rows

    async def test_replacing_by_any_one_key_is_refused(self, filled):
        with direct(filled) as connection:
            for table, keys in APPEND_ONLY.items():
                columns = {row[1]: row[2] for row in connection.execute(f"PRAGMA table_info({table})")}
                for key in keys:
                    # The same key, with every column of the other keys moved out of the way.
                    moved = {column for group in keys for column in group} - set(key)
                    values = [
                        f'"{name}"' if name not in moved else "999999" if "INT" in kind else f"x'{uuid4().hex}'"
                        for name, kind in columns.items()
                    ]
                    with pytest.raises(sqlite3.IntegrityError, match="exists already"):
                        connection.execute(f"REPLACE INTO {table} SELECT {', '.join(values)} FROM {table}")

    async def test_salts_and_openings_can_be_erased_and_the_log_stays(self, filled):
        with direct(filled) as connection:
            leaf = connection.execute("SELECT leaf FROM audit_entries").fetchall()
            connection.execute("DELETE FROM audit_openings")
            connection.execute("DELETE FROM customer_salts")
            assert connection.execute("SELECT leaf FROM audit_entries").fetchall() == leaf


class TestGroupCommit:
    async def test_works_that_wait_together_share_one_commit(self, store):
        """Hold the writer in one work while others queue: they must come out of a single later commit."""
        holding, release = threading.Event(), threading.Event()
        heard = []
        store.on_commit.append(heard.append)

        def hold(tx):
            holding.set()
            assert release.wait(10)

        first = asyncio.ensure_future(store.write(hold))
        await asyncio.to_thread(holding.wait, 10)
        rest = [asyncio.ensure_future(store.write(lambda tx: tx.audit.append([make_entry()]))) for _ in range(30)]
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(first, *rest)
        assert heard == [{"audit"}]

    async def test_a_caller_cancelled_before_its_work_starts_takes_it_back(self, store):
        holding, release = threading.Event(), threading.Event()
        made = [make_customer(), make_customer()]

        def hold(tx):
            holding.set()
            assert release.wait(10)
            tx.customers.add(made[0], SALT)

        started = asyncio.ensure_future(store.write(hold))
        await asyncio.to_thread(holding.wait, 10)
        queued = asyncio.ensure_future(store.write(lambda tx: tx.customers.add(made[1], SALT)))
        await asyncio.sleep(0)
        started.cancel()
        queued.cancel()
        release.set()
        await asyncio.gather(started, queued, return_exceptions=True)
        # The one that had started is carried through.
        found = await store.write(lambda tx: [tx.customers.get(customer.id) for customer in made])
        assert found == [made[0], None]

    async def test_a_caller_that_goes_away_does_not_keep_the_others_of_its_commit_from_their_answers(self, store):
        holding, release = threading.Event(), threading.Event()
        inside, go_on = threading.Event(), threading.Event()

        def hold(tx):
            holding.set()
            assert release.wait(10)

        def slow(tx):
            inside.set()
            assert go_on.wait(10)

        first = asyncio.ensure_future(store.write(hold))
        await asyncio.to_thread(holding.wait, 10)
        leaving = asyncio.ensure_future(store.write(slow))
        staying = asyncio.ensure_future(store.write(lambda tx: tx.incidents.next_ticket_number(2026)))
        await asyncio.sleep(0)
        release.set()
        await first
        await asyncio.to_thread(inside.wait, 10)
        leaving.cancel()
        await asyncio.sleep(0)
        go_on.set()
        assert await asyncio.wait_for(staying, 10) == 1
        assert leaving.cancelled()

    async def test_reads_do_not_wait_for_the_writer_and_see_one_snapshot(self, store):
        holding, release = threading.Event(), threading.Event()
        made = make_customer()

        def hold(tx):
            tx.customers.add(made, SALT)
            holding.set()
            assert release.wait(10)

        writing = asyncio.ensure_future(store.write(hold))
        await asyncio.to_thread(holding.wait, 10)
        assert await store.read(lambda tx: (tx.customers.get(made.id), tx.customers.all())) == (None, ())
        release.set()
        await writing
        assert await store.read(lambda tx: tx.customers.all()) == (made,)

    async def test_a_commit_that_fails_fails_all_its_works_and_the_next_one_succeeds(self, store, path):
        holding, release = threading.Event(), threading.Event()

        def hold(tx):
            holding.set()
            assert release.wait(10)

        made = [make_customer() for _ in range(3)]
        first = asyncio.ensure_future(store.write(hold))
        await asyncio.to_thread(holding.wait, 10)

        def fill_the_disk(tx):
            # A page limit is how SQLite itself meets a full disk: SQLITE_FULL gives up the whole transaction.
            tx._session.execute(f"PRAGMA max_page_count = {tx._session.one('PRAGMA page_count')[0]}")
            for _ in range(100):
                tx.audit.append([make_entry(openings=[("payload", b"x" * 100_000)])])

        works = [lambda tx, item=item: tx.customers.add(item, SALT) for item in made]
        batch = [asyncio.ensure_future(store.write(work)) for work in (works[0], fill_the_disk, works[1])]
        await asyncio.sleep(0)
        release.set()
        await first
        results = await asyncio.gather(*batch, return_exceptions=True)
        assert [type(result) for result in results] == [StoreUnavailableError] * 3
        assert "full" in str(results[1])

        await store.write(lambda tx: tx._session.execute("PRAGMA max_page_count = 1000000000").fetchall())
        await store.write(works[2])
        assert await store.read(lambda tx: tx.customers.all()) == (made[2],)

    async def test_a_database_locked_by_another_process_is_said(self, store, path, monkeypatch):
        await store.write(lambda tx: tx._session.execute("PRAGMA busy_timeout = 1").fetchall())
        with direct(path) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailableError, match="locked"):
                await store.write(lambda tx: tx.incidents.next_ticket_number(2026))
            other.execute("ROLLBACK")
        assert await store.write(lambda tx: tx.incidents.next_ticket_number(2026)) == 1

    async def test_a_work_that_ends_its_thread_of_control_harms_nobody_else(self, store):
        def leave(tx):
            tx.incidents.next_ticket_number(2026)
            raise SystemExit(3)

        before = asyncio.ensure_future(store.write(lambda tx: tx.incidents.next_ticket_number(2026)))
        with pytest.raises(SystemExit):
            await store.write(leave)
        assert await before == 1
        assert await store.write(lambda tx: tx.incidents.next_ticket_number(2026)) == 2

    async def test_a_hook_that_fails_harms_nobody(self, store):
        def fail(changed):
            raise RuntimeError("hook")

        heard = []
        store.on_commit += [fail, heard.append]
        await store.write(lambda tx: tx.audit.append([make_entry()]))
        assert heard == [{"audit"}]

    async def test_closing_finishes_what_was_handed_in_and_takes_no_more(self, path):
        opened = open_store(path, migrate=False)
        numbers = [
            asyncio.ensure_future(opened.write(lambda tx: tx.incidents.next_ticket_number(2026))) for _ in range(600)
        ]
        await asyncio.sleep(0)
        await opened.close()
        await opened.close()
        assert await asyncio.gather(*numbers) == list(range(1, 601))
        for call in (opened.write, opened.read):
            with pytest.raises(StoreUnavailableError, match="closed"):
                await call(lambda tx: None)

    async def test_after_closing_the_database_file_alone_holds_everything(self, path):
        for number in range(25):
            opened = open_store(path, migrate=number == 0)
            await opened.write(lambda tx: tx.customers.add(make_customer(), SALT))
            await opened.close()
            assert not path.with_name(path.name + "-wal").exists()

    async def test_what_another_process_changed_is_seen(self, store, path):
        """The directory is kept decoded; another writer of the same file must not be missed."""
        made = [make_customer(), make_customer()]
        await store.write(lambda tx: tx.customers.add(made[0], SALT))
        assert await store.read(lambda tx: tx.customers.all()) == (made[0],)
        other = open_store(path, migrate=False)
        await other.write(lambda tx: tx.customers.add(made[1], bytes(32)))
        await other.close()
        assert await store.read(lambda tx: tx.customers.all()) == tuple(made)
        assert await store.write(lambda tx: tx.customers.all()) == tuple(made)

    async def test_the_kept_directory_never_serves_what_was_not_committed(self, store):
        """Version numbers of the directory that are undone come again with another content."""
        made = [make_customer(), make_customer()]

        def undone(tx):
            tx.customers.add(made[0], SALT)
            tx.customers.all()
            raise RuntimeError

        with pytest.raises(RuntimeError):
            await store.write(undone)
        await store.write(lambda tx: tx.customers.add(made[1], SALT))
        assert await store.write(lambda tx: tx.customers.all()) == (made[1],)
        assert await store.read(lambda tx: tx.customers.all()) == (made[1],)


_CHILD = """
    import asyncio, sys
    from uuid import UUID
    from support.records import make_customer, make_entry, make_incident, SALT
    from service.store import open_store

    async def client(store, own):
        number = 0
        while True:
            incident, entry = make_incident(ticket=f"T-{{own}}-{{number}}"), make_entry()
            def work(tx):
                tx.incidents.add(incident)
                tx.audit.append([entry, make_entry()])
                return tx.incidents.next_ticket_number(2026)
            ticket = await store.write(work)
            # One write call per line: what is on the pipe was acknowledged.
            sys.stdout.write(f"{{incident.id}} {{entry.id}} {{ticket}}\\n")
            sys.stdout.flush()
            number += 1

    async def main():
        store = open_store({path!r}, migrate=False)
        await asyncio.gather(*(client(store, own) for own in range(8)))

    asyncio.run(main())
"""


class TestDurability:
    async def test_connections_flush_every_commit(self, store):
        settings = await store.write(
            lambda tx: [
                tx._session.one(f"PRAGMA {name}")[0] for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        )
        assert settings == ["wal", 2, 1]

    @pytest.fixture
    def acknowledged(self, path):
        """What a process that was killed in the middle of writing had been told was durable."""
        script, tests = textwrap.dedent(_CHILD).format(path=str(path)), Path(__file__).parents[1]
        with subprocess.Popen([sys.executable, "-c", script], cwd=tests, stdout=subprocess.PIPE, text=True) as child:
            lines = [child.stdout.readline() for _ in range(300)]
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.readlines()
        # The last line may have been cut off by the kill.
        return [line.split() for line in lines if line.endswith("\n")]

    async def test_a_process_killed_while_it_writes_loses_nothing_acknowledged(self, acknowledged, path):
        assert len(acknowledged) >= 300
        with direct(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        opened = open_store(path, migrate=False)
        pending = await opened.read(lambda tx: tx.audit.pending(1_000_000))
        entries = {item.entry_id for item in pending}
        for incident_id, entry_id, _ in acknowledged:
            assert UUID(entry_id) in entries
            assert await opened.read(lambda tx, i=incident_id: tx.incidents.get(UUID(i))) is not None
        # Whole units of work only: an incident, two entries and a ticket number each.
        next_number = await opened.write(lambda tx: tx.incidents.next_ticket_number(2026))
        assert len(entries) == 2 * (next_number - 1)
        assert [item.position for item in pending] == list(range(1, len(pending) + 1))
        await opened.close()


async def test_an_identity_that_exists_is_a_conflict_also_where_a_trigger_sees_it_first(store):
    entry = make_entry()
    await store.write(lambda tx: tx.audit.append([entry]))
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.audit.append([entry]))


class TestStatements:
    """Parameters are passed as plain tuples; that their order is the text's is checked when a statement is made."""

    def test_parameters_in_another_order_are_refused(self):
        columns = metadata.tables["log_nodes"].c
        statement = select(columns.hash).where(
            columns.level == bindparam("level"), columns.node_index == bindparam("node_index")
        )
        assert compiled(statement, "level", "node_index").count("?") == 2
        with pytest.raises(ValueError, match="parameters are"):
            compiled(statement, "node_index", "level")

    def test_a_literal_value_that_would_become_a_parameter_is_refused(self):
        columns = metadata.tables["notices"].c
        with pytest.raises(ValueError, match="parameters are"):
            compiled(select(columns.id).where(columns.state == "draft"))
        with pytest.raises(ValueError, match="literal"):
            compiled(select(columns.id).where(columns.state == "draft"), "state_1")

    def test_no_statement_walks_a_table_but_those_that_mean_to(self, path):
        """Without statistics, as in a young database: a list must not become slow because history grew."""
        whole = {"_ALL_CUSTOMERS", "_ALL_SALTS", "_ALL_BINDINGS", "_ALL_PROFILES", "_ALL_TOTPS"}
        whole |= {"_ALL_ENDPOINTS", "_ALL_SECRETS", "_LATEST_CHECKS"}
        # A new master key seals every draft again; a draft is kept for 14 days.
        whole |= {"_ALL_DRAFTS"}
        # How much the inventory knows, on its first page: each resource that is held counts.
        whole |= {"_COUNTS"}
        # Figures for monitoring, over tables that stay short.
        whole |= {"_PAUSED", "_ENDPOINTS", "_OWED"}
        # What is published of it is the whole list; a year has twelve reports.
        whole |= {"_STAMPED_SIZES", "_PERIODS"}
        from_the_end = {"_NEWEST_STAMPED", "_HEAD", "_LAST_SEQUENCED", "_RECENT"}
        every_customer, as_the_process_starts = (
            {"_WITHOUT_CONTACT", "_UNREACHABLE", "_TO_CHECK", "_SECOND_CHANNELS"},
            {"_FREE_ALL", "_WITHOUT_OVERVIEW", "_WITHOUT_TIMER"},
        )
        queues_in_order = {
            # From the newest head back to the first that a witness cosigned, once as the process starts.
            ("_LAST", "sqlite_autoindex_checkpoint_cosignatures_1"),
            ("_DUE", "ix_deliveries_queued_due_at"),
            ("_TROUBLED", "ix_deliveries_troubled_due_at"),
            ("_DUE", "ix_service_mails_queued"),
            ("_TROUBLED", "ix_service_mails_troubled"),
            ("_OPEN_ALERTS", "ix_alerts_unseen"),
            ("_FAILED", "ix_deliveries_troubled_due_at"),
            ("_TOO_LARGE", "ix_deliveries_too_large_notice_id"),
            ("_FAILED_MAILS", "ix_service_mails_troubled"),
            ("_OPEN", "ix_letter_tasks_open_due_at"),
            ("_QUEUED", "ix_deliveries_queued_due_at"),
            ("_MAILS", "ix_service_mails_troubled"),
            ("_MAILS", "ix_service_mails_queued"),
            ("_ALERTS", "ix_alerts_unseen"),
            ("_ALL_PAUSES", "sqlite_autoindex_channel_pauses_1"),
            ("_OF_ALERTS", "ix_incident_drafts_waiting_changed_at"),
            ("_UNANSWERED", "ix_questions_unanswered_position"),
            ("_LATEST_SNAPSHOT", "ix_resource_snapshots_snapshot_at"),
        }
        walking, queues, seen = set(), set(), 0
        with direct(path) as connection:
            modules = pkgutil.walk_packages(service.store.__path__, "service.store.")
            # What inspects a database reads all of it, on either engine, and what erases a customer looks everywhere.
            for module in (
                item
                for item in modules
                if ".migrations" not in item.name
                and not item.name.endswith(
                    ("postgresql", "_session", "inspection", "compaction", "incidents.erasure", "triggers", "roles")
                )
            ):
                for name, value in vars(importlib.import_module(module.name)).items():
                    for text in _statements(value):
                        seen += 1
                        # An UPDATE of many rows is told of them as a list.
                        text = text.replace("FROM given", f"FROM (VALUES ({', '.join('?' * 8)})) AS given")  # noqa: PLW2901
                        plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", [1] * text.count("?")).fetchall()
                        # Running deadlines, and the notices that are counted, are inner queries that read indexes.
                        of_a_list = {"SCAN given", "SCAN CONSTANT ROW", "SCAN running", "SCAN stating"}
                        for scan in (
                            step[3] for step in plan if step[3].startswith("SCAN") and step[3] not in of_a_list
                        ):
                            _, _, index = scan.partition(" USING INDEX ")
                            if index:
                                queues.add((name, index))
                            else:
                                walking.add(name)
        assert walking == whole | from_the_end | every_customer | as_the_process_starts
        assert queues == queues_in_order
        assert seen > 100


def _statements(value):
    """Return the statements in a value of a module that could walk a table."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else [value]
    return [item for item in values if isinstance(item, str) and item.startswith(("SELECT ", "UPDATE ", "DELETE "))]


async def test_the_files_are_its_owners_whatever_the_folder_and_the_umask_allow(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    path = folder / "greffier.sqlite3"
    path.touch(0o644)
    path.chmod(0o644)
    before = os.umask(0)
    try:
        store = open_store(path)
        await store.write(lambda tx: tx.customers.add(make_customer(), b"s" * 32))
        modes = {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}
        await store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(["greffier.sqlite3", "greffier.sqlite3-wal", "greffier.sqlite3-shm"], 0o600)
