"""What PostgreSQL adds to the contract: several processes, append-only by the server, what it is told, its restarts."""

import asyncio
import select
import sqlite3
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint
from notifications.audit.merkle import append_leaves, leaf_hash
from notifications.errors import InvalidInputError, StateConflictError, StoreUnavailableError, VerificationError
from notifications.notice import NoticeState
from service.store import migrate_store, open_store
from service.store.engines import compaction, postgresql
from service.store.engines.migration import postgresql_engine
from service.store.engines.triggers import APPEND_ONLY, BLANKED, ERASABLE
from service.store.maintenance.copy import copy_store
from service.store.tables import metadata
from support.pgbouncer import pgbouncer
from support.postgresql_server import own_server, postgresql_server
from support.records import (
    NOW,
    SALT,
    after,
    make_attempt,
    make_customer,
    make_delivery,
    make_entry,
    make_incident,
    make_notice,
    make_sealed,
)


@pytest.fixture
def address():
    """A database whose rows alone a test may change."""
    with postgresql_server().lent_database() as lent:
        yield lent


@pytest.fixture
async def pair(address):
    """Two processes' stores on one database."""
    stores = [open_store(address, migrate=False) for _ in range(2)]
    yield stores
    for store in stores:
        await store.close()


async def heard(store):
    """Return what the store next hears that changed."""
    future = asyncio.get_running_loop().create_future()

    def hook(changed):
        if not future.done():
            future.set_result(changed)

    store.on_commit.append(hook)
    await store.read(lambda tx: tx.log.size())
    return future


class TestMigrations:
    def test_the_tables_are_the_models(self, address):
        engine = postgresql_engine(address)
        with engine.connect() as connection:
            # An index on an expression of this engine only.
            opts = {"include_name": lambda name, _kind, _parents: name != "ix_search_documents_terms"}
            assert compare_metadata(MigrationContext.configure(connection, opts=opts), metadata) == []
        engine.dispose()

    def test_an_empty_database_is_refused_unless_it_may_be_migrated(self):
        empty = postgresql_server().empty_database()
        with pytest.raises(StoreUnavailableError, match="migrate"):
            open_store(empty, migrate=False)
        migrate_store(empty)
        migrate_store(empty)

    async def test_what_cannot_be_reached_says_why_and_no_password(self):
        for address in ("postgresql://u:s3cret@127.0.0.1:1/x", "postgresql://u:s3cret@/nowhere?host=/nowhere"):
            with pytest.raises(StoreUnavailableError, match="cannot be opened") as failed:
                open_store(address)
            assert "s3cret" not in str(failed.value)


class TestAppendOnly:
    @pytest.mark.parametrize("table", APPEND_ONLY)
    def test_the_server_refuses_to_change_what_only_grows(self, address, table):
        with psycopg.connect(address, autocommit=True) as connection:
            column = connection.execute(f"SELECT * FROM {table} LIMIT 0").description[0].name
            for statement in (
                f'UPDATE {table} SET "{column}" = "{column}"',
                f"DELETE FROM {table}",
                f"TRUNCATE {table} CASCADE",
            ):
                with pytest.raises(psycopg.IntegrityError, match="is append-only"):
                    connection.execute(statement)

    async def test_what_is_there_is_never_replaced(self, pair):
        entry = make_entry()
        await pair[0].write(lambda tx: tx.audit.append([entry]))
        for store in pair:
            with pytest.raises(StateConflictError):
                await store.write(lambda tx: tx.audit.append([entry]))
        with pytest.raises(StateConflictError):
            await pair[0].write(lambda tx: tx.audit.append([make_entry(), *[make_entry()] * 2]))


class TestSeveralProcesses:
    async def test_works_are_serialised_across_processes(self, pair):
        numbers = await asyncio.gather(
            *(store.write(lambda tx: tx.incidents.next_ticket_number(2026)) for _ in range(40) for store in pair)
        )
        assert sorted(numbers) == list(range(1, 81))

    async def test_positions_in_the_log_rise_in_the_order_of_commits(self, pair):
        """No reader ever sees a position appear below one that it saw before."""
        writing = [
            asyncio.ensure_future(
                store.write(lambda tx: tx.audit.append([make_entry(openings=[("payload", b"x")])]), concurrently=beside)
            )
            for _ in range(60)
            for beside in (True, False)
            for store in pair
        ]
        seen: list[int] = []
        while not all(work.done() for work in writing):
            pending = await pair[0].read(lambda tx: tx.audit.pending(1000))
            positions = [item.position for item in pending]
            assert positions[: len(seen)] == seen
            seen = positions
        await asyncio.gather(*writing)
        pending = await pair[1].read(lambda tx: tx.audit.pending(1000))
        assert [item.position for item in pending] == list(range(1, 241))

    async def test_a_work_that_fails_leaves_no_entry_while_its_neighbours_stand(self, pair):
        good, bad = make_entry(), make_entry()

        def failing(tx):
            tx.audit.append([bad])
            raise RuntimeError("undone")

        results = await asyncio.gather(
            pair[0].write(lambda tx: tx.audit.append([good])), pair[0].write(failing), return_exceptions=True
        )
        assert isinstance(results[1], RuntimeError)
        assert [item.entry_id for item in await pair[0].read(lambda tx: tx.audit.pending(9))] == [good.id]

    async def test_nobody_leases_what_another_has(self, pair):
        customer, incident = make_customer(), make_incident()
        others = [make_customer() for _ in range(40)]
        notices = [make_notice(incident, customer, sequence=number) for number in range(1, 41)]
        # Of one customer's, each would wait for the one before.
        released = [make_notice(incident, other, state=NoticeState.RELEASED) for other in others]
        deliveries = [make_delivery(notice) for notice in notices]

        def fill(tx):
            for each in (customer, *others):
                tx.customers.add(each, SALT)
            tx.incidents.add(incident)
            tx.notices.add(notices + released)
            for notice in notices:
                tx.notices.add_seal(make_sealed(notice, log_proof=b"p"), notice.id)
            tx.deliveries.add(deliveries)

        await pair[0].write(fill)

        def lease(tx):
            due = tx.deliveries.lease(NOW, after(minutes=5), 5)
            return [item.delivery.id for item in due], [
                item.id for item in tx.notices.lease_released(NOW, after(minutes=5), 5)
            ]

        taken = await asyncio.gather(*(store.write(lease, concurrently=True) for _ in range(8) for store in pair))
        for which, everything in ((0, deliveries), (1, released)):
            leased = [key for pair_of_lists in taken for key in pair_of_lists[which]]
            assert sorted(leased, key=str) == sorted((item.id for item in everything), key=str)

    async def test_attempts_are_finished_side_by_side(self, pair):
        customer, incident = make_customer(), make_incident()
        notice = make_notice(incident, customer)
        deliveries = [make_delivery(notice) for _ in range(60)]
        await pair[0].write(
            lambda tx: (
                tx.customers.add(customer, SALT),
                tx.incidents.add(incident),
                tx.notices.add([notice]),
                tx.deliveries.add(deliveries),
            )
        )

        def finish(tx, delivery):
            tx.deliveries.finish_attempt(replace(delivery, attempts=1), make_attempt(delivery), b"mail")
            tx.audit.append([make_entry()])

        await asyncio.gather(
            *(
                pair[number % 2].write(lambda tx, d=delivery: finish(tx, d), concurrently=True)
                for number, delivery in enumerate(deliveries)
            )
        )
        assert all(item.attempts == 1 for item in await pair[0].read(lambda tx: tx.deliveries.of_notice(notice.id)))
        assert len(await pair[0].read(lambda tx: tx.audit.pending(100))) == 60

    async def test_the_others_hear_what_a_commit_changed_and_the_author_once(self, pair):
        other, own = await heard(pair[1]), []
        pair[0].on_commit.append(own.append)
        await pair[0].write(lambda tx: tx.audit.append([make_entry()]))
        assert await asyncio.wait_for(other, 20) == {"audit"}
        assert own == [{"audit"}]

    async def test_a_store_that_is_open_hears_already(self, address):
        store = open_store(address)
        with psycopg.connect(address) as connection:
            said = connection.execute(
                "SELECT query FROM pg_stat_activity"
                " WHERE application_name = 'greffier listens' AND datname = current_database()"
            ).fetchall()
        assert [query for (query,) in said if query.startswith(("LISTEN", "SELECT 1"))] == [said[0][0]]
        await store.close()

    async def test_closing_waits_for_no_notification(self, address, monkeypatch):
        monkeypatch.setattr(postgresql, "_LISTEN_SECONDS", 3600)
        store = open_store(address, migrate=False)
        with capture_logs() as said:
            await asyncio.wait_for(store.close(), 60)
        assert said == []

    async def test_the_directory_of_another_process_is_not_believed_for_long(self, pair):
        customer = make_customer()
        assert list(await pair[1].read(lambda tx: tx.customers.all())) == []
        await pair[0].write(lambda tx: tx.customers.add(customer, SALT))
        assert list(await pair[1].read(lambda tx: tx.customers.all())) == [customer]


class TestServer:
    async def test_a_server_that_restarted_is_found_again_and_everything_looked_at(self):
        with own_server() as server:
            store = open_store(server.database())
            await store.write(lambda tx: tx.audit.append([make_entry()]))
            hears = await heard(store)
            server.restart()
            # The first work finds its connection dead before anything was done, and is run on a new one.
            await store.write(lambda tx: tx.audit.append([make_entry()]))
            await store.write(lambda tx: tx.audit.append([make_entry()]), concurrently=True)
            assert len(await store.read(lambda tx: tx.audit.pending(9))) == 3
            assert "audit" in await asyncio.wait_for(hears, 20)
            await store.close()

    async def test_while_it_is_away_works_are_refused_with_a_reason(self):
        with own_server() as server:
            store = open_store(server.database())
            server.stop()
            for call in (store.write, store.read):
                with pytest.raises(StoreUnavailableError):
                    await call(lambda tx: tx.log.size())
            server.start()
            assert await store.write(lambda tx: tx.incidents.next_ticket_number(2026)) == 1
            await store.close()
            with pytest.raises(StoreUnavailableError, match="closed"):
                await store.read(lambda tx: tx.log.size())

    async def test_a_statement_that_takes_too_long_is_ended_and_its_neighbours_stand(self, address):
        from service.store.engines.postgresql import PostgresqlLimits, PostgresqlStore

        store = PostgresqlStore(address, limits=PostgresqlLimits(statement_seconds=0.2))
        slow = store.write(lambda tx: tx._session.execute("SELECT pg_sleep(30)"))
        results = await asyncio.gather(
            slow, store.write(lambda tx: tx.incidents.next_ticket_number(2026)), return_exceptions=True
        )
        assert isinstance(results[0], StoreUnavailableError)
        assert results[1] == 1
        await store.close()

    async def test_a_connection_on_which_nothing_moves_is_hung_up_on(self, address):
        from service.store.engines.postgresql import PostgresqlLimits, PostgresqlStore

        def wait_for_the_server(tx):
            connection = tx._session.connection
            assert select.select([connection], [], [], 20)[0]
            connection.execute("SELECT 1")

        store = PostgresqlStore(address, limits=PostgresqlLimits(transaction_seconds=1))
        for call in (store.write, store.read):
            with pytest.raises(StoreUnavailableError):
                await call(wait_for_the_server)
            assert await call(lambda tx: tx.log.size()) == 0
        await store.close()


class TestRoles:
    @pytest.fixture
    def role(self):
        server = postgresql_server()
        name = f"app_{uuid4().hex[:12]}"
        server.execute(f"CREATE ROLE {name} LOGIN")
        return name

    async def test_the_applications_role_works_and_cannot_rewrite_whatever_the_triggers_say(self, role):
        server = postgresql_server()
        owner = server.empty_database()
        migrate_store(owner, role=role)
        migrate_store(owner, role=role)
        address = owner.replace("postgres:@", f"{role}:@")
        store = open_store(address, migrate=False)
        customer = make_customer()
        await store.write(lambda tx: (tx.customers.add(customer, SALT), tx.audit.append([make_entry()])))
        await store.write(lambda tx: tx.customers.save(replace(customer, version=2), 1))
        # Files are made anew by the owner of the tables alone.
        with pytest.raises(StoreUnavailableError, match="only the owner"):
            await store.compact()
        await store.close()
        with psycopg.connect(address, autocommit=True) as connection:
            for table in APPEND_ONLY:
                column = connection.execute(f"SELECT * FROM {table} LIMIT 0").description[0].name
                for statement in (
                    f'UPDATE {table} SET "{column}" = "{column}"',
                    f"DELETE FROM {table}",
                    f"TRUNCATE {table} CASCADE",
                    f"ALTER TABLE {table} DISABLE TRIGGER ALL",
                    f"DROP TABLE {table} CASCADE",
                ):
                    # What goes with its customer is refused by trigger, row by row; all else by the server itself.
                    goes = (table in ERASABLE and "DELETE" in statement) or (table in BLANKED and "UPDATE" in statement)
                    refusal = psycopg.errors.RestrictViolation if goes else psycopg.errors.InsufficientPrivilege
                    with pytest.raises(refusal):
                        connection.execute(statement)
            for statement in ("UPDATE alembic_version SET version_num = '0'", "CREATE TABLE x (y int)"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)

    def test_a_role_that_could_do_all_or_is_not_there_is_refused(self, address):
        for role, reason in (("postgres", "superuser"), ("nobody_here", "no role")):
            with pytest.raises(InvalidInputError, match=reason):
                migrate_store(address, role=role)


class TestCopy:
    async def fill(self, path, leaves=5):
        store = open_store(path)
        customer, incident = make_customer(), make_incident()
        notice = make_notice(incident, customer)
        delivery = make_delivery(notice)

        def work(tx):
            tx.customers.add(customer, SALT)
            tx.incidents.add(incident)
            tx.notices.add([notice])
            tx.notices.add_seal(make_sealed(notice, timestamp=b"t", log_proof=b"p"), notice.id)
            tx.deliveries.add([delivery])
            tx.deliveries.finish_attempt(replace(delivery, attempts=1), make_attempt(delivery), b"mail\x00\xff")
            tx.audit.append([make_entry(openings=[("payload", b"x")]) for _ in range(leaves)])

        await store.write(work)
        key = Ed25519PrivateKey.generate()
        pending = await store.read(lambda tx: tx.audit.pending(100))
        grown = append_leaves(0, lambda _wanted: [], [leaf_hash(item.leaf) for item in pending])
        note = sign_checkpoint(key, Checkpoint("copy.example/log", grown.size, grown.root))
        await store.write(lambda tx: tx.log.grow(0, pending, grown.nodes, note))
        await store.close()
        return customer, incident, notice, delivery

    async def test_everything_is_there_and_goes_on(self, tmp_path):
        path, target = tmp_path / "x.sqlite3", postgresql_server().empty_database()
        customer, incident, notice, delivery = await self.fill(path)
        before = path.read_bytes()
        told = []
        assert copy_store(path, target, told.append) == sum(table.rows for table in told) > 30
        assert path.read_bytes() == before
        old, new = open_store(path), open_store(target, migrate=False)
        for read in (
            lambda tx: list(tx.customers.all()),
            lambda tx: tx.customers.pseudonym(customer.id),
            lambda tx: tx.incidents.get(incident.id),
            lambda tx: tx.notices.seal(notice.id),
            lambda tx: tx.deliveries.attempts(delivery.id),
            lambda tx: tx.deliveries.message_sent(delivery.id),
            lambda tx: (tx.log.size(), tx.log.checkpoint(), list(tx.audit.entries(0, 100))),
        ):
            assert await old.read(read) == await new.read(read)
        # Counters go on where they stood.
        other = make_customer()
        await new.write(lambda tx: (tx.customers.add(other, SALT), tx.audit.append([make_entry()])))
        assert list(await new.read(lambda tx: tx.customers.all())) == [customer, other]
        assert len(await new.read(lambda tx: tx.audit.pending(9))) == 1
        await old.close()
        await new.close()

    async def test_a_target_in_use_is_refused_and_left_as_it_is(self, tmp_path, address):
        await self.fill(tmp_path / "x.sqlite3")
        store = open_store(address, migrate=False)
        await store.write(lambda tx: tx.incidents.next_ticket_number(2026))
        with pytest.raises(StateConflictError, match="in use"):
            copy_store(tmp_path / "x.sqlite3", address)
        assert list(await store.read(lambda tx: tx.customers.all())) == []
        await store.close()

    async def test_a_source_whose_tree_was_changed_is_not_copied(self, tmp_path):
        path, target = tmp_path / "x.sqlite3", postgresql_server().empty_database()
        await self.fill(path)
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TRIGGER log_nodes_no_update")
            connection.execute("UPDATE log_nodes SET hash = zeroblob(32) WHERE level = 0 AND node_index = 2")
        connection.close()
        with pytest.raises(VerificationError, match="from 0 on"):
            copy_store(path, target)
        with psycopg.connect(target) as reading:
            assert reading.execute("SELECT count(*) FROM audit_entries").fetchone() == (0,)

    def test_a_file_that_is_none_is_refused(self, tmp_path):
        (tmp_path / "x").write_bytes(b"no database")
        with pytest.raises(StoreUnavailableError, match="nothing was copied"):
            copy_store(tmp_path / "x", postgresql_server().empty_database())


class TestPgbouncer:
    """The pooler that many put before PostgreSQL (1.18 here): it refuses what it does not know at the connection."""

    async def test_in_session_mode_everything_works_with_the_time_limits(self):
        with pgbouncer(postgresql_server().empty_database(), "session") as address:
            migrate_store(address)
            store = open_store(address)
            try:
                customer = make_customer()
                await store.write(lambda tx: tx.customers.add(customer, b"s" * 32))
                assert await store.read(lambda tx: tx.customers.get(customer.id)) == customer
                limit = await store.read(lambda tx: tx._session.one("SHOW statement_timeout"))
                assert limit == ("30s",)
            finally:
                await store.close()

    @pytest.mark.parametrize("mode", ["transaction", "statement"])
    def test_where_clients_share_a_session_it_is_refused_in_one_sentence(self, mode):
        with (
            pgbouncer(postgresql_server().database(), mode) as address,
            pytest.raises(StoreUnavailableError, match="set pool_mode = session in PgBouncer, or name"),
        ):
            open_store(address, migrate=False)


class TestCompaction:
    def test_it_waits_for_sessions_that_may_still_read_what_was_erased(self, monkeypatch):
        monkeypatch.setattr(compaction, "_LOCK_SECONDS", 0.2)
        address = postgresql_server().database()
        with psycopg.connect(address) as reader:
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute("SELECT count(*) FROM customers")
            # Something is written after that snapshot, as an erasure does.
            with psycopg.connect(address, autocommit=True) as writer:
                writer.execute("SELECT pg_current_xact_id()")
            with pytest.raises(StoreUnavailableError, match="still reads rows from before the erasure"):
                compaction.compact_postgresql(address)
            reader.rollback()
            compaction.compact_postgresql(address)
