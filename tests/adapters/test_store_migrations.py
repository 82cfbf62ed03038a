"""Databases of earlier releases: migrated as they are, filled, wholly or not at all."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from notifications.audit.entry import leaf_bytes
from notifications.customer.records import MailContent
from notifications.errors import StoreUnavailableError
from notifications.incident import NO_HARM, AffectedCustomer, Answer, PersonalData, PersonalDataBreach
from notifications.notice import NoticeState
from notifications.ports import Extent, InboxItem, Page, StoredResponse
from service.ports.board import LISTED_CUSTOMERS_MAX, IncidentFilters
from service.ports.drafts import DraftKind
from service.store import migrate_store, open_store
from service.store.engines.migration import postgresql_engine, sqlite_engine
from service.store.engines.triggers import APPEND_ONLY, sqlite_triggers
from service.store.log.audit import row_of_entry
from service.store.sql.encoding import to_microseconds
from support.postgresql_server import postgresql_server
from support.records import (
    NOW,
    SALT,
    after,
    make_attempt,
    make_binding,
    make_contact,
    make_customer,
    make_decision,
    make_delivery,
    make_entry,
    make_facts,
    make_incident,
    make_notice,
    make_profile,
    make_sealed,
)


def make_database(path, revision):
    """Make an empty database as a release left it."""
    configuration = Config()
    configuration.set_main_option("script_location", "service.store:migrations")
    engine = sqlite_engine(path)
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)
    engine.dispose()


def tables_of(connection, schema="main"):
    listed = connection.execute(
        f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name != 'alembic_version'"
    )
    return {name: [row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({name})")] for (name,) in listed}


def contents_of(path, tables):
    with closing(sqlite3.connect(path)) as connection:
        return {
            name: connection.execute(f"SELECT {_listed(columns)} FROM {name} ORDER BY 1, 2").fetchall()
            for name, columns in tables.items()
        }


def _listed(columns):
    return ", ".join(f'"{column}"' for column in columns)


CUSTOMER, INCIDENT = make_customer(), make_incident()
CONTACTS = [
    make_contact(CUSTOMER, created_at=after(days=-3, microseconds=1)),
    make_contact(CUSTOMER, active=False, created_at=after(days=-2)),
]
NOTICES = [
    make_notice(INCIDENT, CUSTOMER, created_by="token:a"),
    make_notice(INCIDENT, CUSTOMER, sequence=2, created_by="token:b", state=NoticeState.RELEASED, released_by="t:c"),
]
DELIVERIES = [make_delivery(NOTICES[0], CONTACTS[0]), make_delivery(NOTICES[1])]


def fill(tx):
    """Put rows into every table that the first release had."""
    tx.customers.add(CUSTOMER, SALT)
    tx.customers.add_binding(make_binding(CUSTOMER))
    tx.customers.add_profile(make_profile(CUSTOMER))
    for contact in CONTACTS:
        tx.customers.add_contact(contact)
    tx.incidents.add(INCIDENT)
    tx.incidents.save(replace(INCIDENT, version=2, facts=make_facts()), 1)
    tx.incidents.next_ticket_number(2026)
    tx.incidents.add_decisions([make_decision(INCIDENT, CUSTOMER)])
    tx.notices.add(NOTICES)
    tx.notices.add_seal(make_sealed(NOTICES[0], timestamp=b"t", log_proof=b"p"), uuid4())
    tx.notices.add_seal(make_sealed(NOTICES[1]), uuid4())
    tx.deliveries.add(DELIVERIES)
    tx.deliveries.finish_attempt(DELIVERIES[0], make_attempt(DELIVERIES[0]), b"mail")
    tx.deliveries.add_inbox_item(InboxItem(NOTICES[0].id, CUSTOMER.id, NOW))
    tx.audit.append([make_entry(openings=[("payload", b"x")])])
    tx.log.grow(0, tx.audit.pending(1), [(0, 0, b"h" * 32)], b"checkpoint")
    tx.responses.add("key", StoredResponse(b"\x00" * 32, 201, b"{}", ()), NOW)


@pytest.fixture
async def first_release(tmp_path):
    """A filled database of the first release, and what stands in its tables."""
    path, filled = tmp_path / "first.sqlite3", tmp_path / "filled.sqlite3"
    make_database(path, "0001")
    store = open_store(filled)
    await store.write(fill)
    await store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("ATTACH ? AS filled", (str(filled),))
        tables = tables_of(connection)
        for name, columns in tables.items():
            connection.execute(f"INSERT INTO {name} ({_listed(columns)}) SELECT {_listed(columns)} FROM filled.{name}")
    return path, tables, contents_of(path, tables)


async def test_what_the_first_release_stored_is_there_unchanged_and_works_on(first_release):
    path, tables, contents = first_release
    assert all(contents.values()), {name for name, rows in contents.items() if not rows}
    migrate_store(path)
    assert contents_of(path, tables) == contents

    store = open_store(path, migrate=False)
    assert await store.read(lambda tx: tx.customers.get(CUSTOMER.id)) == replace(CUSTOMER, four_eyes=False)
    expected = [
        replace(
            contact, time_zone=None, fallback=False, mail_content=MailContent.FULL, smime_certificate=None,
            verified_at=contact.created_at,
        )
        for contact in CONTACTS
    ]  # fmt: skip
    assert await store.read(lambda tx: tx.customers.contacts(CUSTOMER.id)) == expected
    notices = await store.read(lambda tx: tx.notices.of_incident(INCIDENT.id))
    assert notices == [replace(notice, drafted_by=notice.created_by) for notice in NOTICES]

    changed = replace(expected[0], mail_content=MailContent.SUMMARY, version=2)
    await store.write(lambda tx: tx.customers.save_contact(changed, 1))
    (due,) = await store.write(lambda tx: tx.deliveries.lease(after(days=1), after(days=2), 9))
    assert (due.notice, due.contact, due.customer.four_eyes) == (notices[0], changed, False)
    await store.close()


def migrate_postgresql(address, revision):
    """Bring an empty database to where a release left it."""
    configuration = Config()
    configuration.set_main_option("script_location", "service.store:migrations")
    engine = postgresql_engine(address)
    with engine.begin() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, revision)
    engine.dispose()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_entries_of_earlier_releases_are_listed_by_what_their_leaves_say(engine, tmp_path):
    incident_id, notice_id = uuid4(), uuid4()
    about = {"incident": str(incident_id), "customer": "aa", "notice": str(notice_id)}
    entries = [make_entry({"account": "a"}, at=after(minutes=1)), make_entry(about, at=after(microseconds=-1))]
    entries += [make_entry() for _ in range(1500)]
    rows = [(number, entry.id.bytes, leaf_bytes(entry)) for number, entry in enumerate(entries, 1)]
    insert = "INSERT INTO audit_entries (position, id, leaf) VALUES"
    if engine == "sqlite":
        location = tmp_path / "earlier.sqlite3"
        make_database(location, "0009")
        with closing(sqlite3.connect(location)) as connection, connection:
            connection.executemany(f"{insert} (?, ?, ?)", rows)
    else:
        location = postgresql_server().empty_database()
        migrate_postgresql(location, "0009")
        with psycopg.connect(location) as connection, connection.cursor() as cursor:
            cursor.executemany(f"{insert} (%s, %s, %s)", rows)
    store = open_store(location)
    found = await store.read(lambda tx: tx._session.all("SELECT * FROM audit_entries ORDER BY position"))
    assert found == [row_of_entry(number, entry, leaf_bytes(entry)) for number, entry in enumerate(entries, 1)]
    codes = ("incident.declared", "token:interim")
    assert found[0][3:] == (to_microseconds(entries[0].at), None, None, *codes)
    assert found[1][3:] == (to_microseconds(entries[1].at), incident_id.bytes, notice_id.bytes, *codes)
    await store.write(lambda tx: tx.log.grow(0, tx.audit.pending(9999), [], b"checkpoint"))
    period = (Extent(starts_at=after(seconds=1)),)
    assert [item.index for item in await store.read(lambda tx: tx.audit.entries(0, 9, within=period))] == [0]
    # The rules of the table are what they were.
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError), match="append-only"):
        await store.write(lambda tx: tx._session.execute("UPDATE audit_entries SET recorded_at = 0"))
    await store.close()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_drafts_of_earlier_releases_are_drafts_of_incidents(engine, tmp_path):
    owner_id = uuid4()
    row = {"id": uuid4().bytes, "owner_id": owner_id.bytes, "sealed": b"s", "created_at": 1, "changed_at": 2,
           "changed_by": "account:a", "is_touched": True, "version": 3}  # fmt: skip
    insert = f"INSERT INTO incident_drafts ({', '.join(row)}) VALUES"
    if engine == "sqlite":
        location = tmp_path / "earlier.sqlite3"
        make_database(location, "0033")
        with closing(sqlite3.connect(location)) as connection, connection:
            connection.execute(f"{insert} ({', '.join('?' * len(row))})", tuple(row.values()))
    else:
        location = postgresql_server().empty_database()
        migrate_postgresql(location, "0033")
        with psycopg.connect(location) as connection:
            connection.execute(f"{insert} ({', '.join(['%s'] * len(row))})", tuple(row.values()))
    store = open_store(location)
    (draft,) = await store.read(lambda tx: tx.drafts.of_owner(owner_id))
    assert (draft.kind, draft.sealed, draft.version) == (DraftKind.INCIDENT, b"s", 3)
    await store.close()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_long_facts_of_earlier_releases_have_the_excerpt_that_is_made_today(engine, tmp_path):
    settled = AffectedCustomer(uuid4(), data_harm=NO_HARM)
    stated = [replace(settled, customer_id=uuid4()) for _ in range(LISTED_CUSTOMERS_MAX + 50)]
    stated[3::40] = [AffectedCustomer(each.customer_id) for each in stated[3::40]]
    breached = PersonalData(breach=PersonalDataBreach.SUSPECTED)
    stated[-9] = replace(stated[-9], personal_data=breached)
    stated[-7] = replace(stated[-7], affected=Answer.NO, data_harm=replace(NO_HARM, integrity=Answer.YES))
    long, short = (
        make_incident(facts=make_facts(affected_customers=tuple(stated[:count])))
        for count in (len(stated), LISTED_CUSTOMERS_MAX)
    )
    today = tmp_path / "today.sqlite3"
    migrate_store(today)
    store = open_store(today)
    await store.write(lambda tx: [tx.incidents.add(each) for each in (long, short)])
    await store.close()
    with closing(sqlite3.connect(today)) as connection:
        tables = tables_of(connection)
    made = contents_of(today, {name: tables[name] for name in ("incidents", "incident_facts", "facts_excerpts")})
    location = tmp_path / "earlier.sqlite3" if engine == "sqlite" else postgresql_server().empty_database()
    place = "?" if engine == "sqlite" else "%s"
    inserts = {
        name: f"INSERT INTO {name} ({_listed(tables[name])}) VALUES ({', '.join([place] * len(tables[name]))})"
        for name in ("incidents", "incident_facts")
    }
    if engine == "sqlite":
        make_database(location, "0039")
        with closing(sqlite3.connect(location)) as connection, connection:
            for name, insert in inserts.items():
                connection.executemany(insert, made[name])
    else:
        migrate_postgresql(location, "0039")
        flags = tables["incidents"].index("exercise")
        rows = [(*row[:flags], bool(row[flags]), *row[flags + 1 :]) for row in made["incidents"]]
        with psycopg.connect(location) as connection, connection.cursor() as cursor:
            cursor.executemany(inserts["incidents"].replace(") VALUES", ") OVERRIDING SYSTEM VALUE VALUES"), rows)
            cursor.executemany(inserts["incident_facts"], made["incident_facts"])
    store = open_store(location)
    excerpts = await store.read(lambda tx: tx._session.all("SELECT incident_id, customers, facts FROM facts_excerpts"))
    assert excerpts == made["facts_excerpts"]
    assert [row[0] for row in excerpts] == [long.id.bytes]
    listed, _ = await store.read(lambda tx: tx.board.page(Page(9), IncidentFilters(), by_due=False))
    assert [(each.incident.id, each.customers) for each in listed] == [(short.id, 200), (long.id, 250)]
    await store.close()


async def test_the_migrated_tables_are_whole_and_as_append_only_as_before(first_release):
    path, tables, _ = first_release
    migrate_store(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        triggers = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
        assert triggers == sqlite_triggers()
        for table in APPEND_ONLY.keys() & tables.keys():
            with pytest.raises(sqlite3.IntegrityError, match=table):
                connection.execute(f"DELETE FROM {table}")


async def test_a_migration_that_fails_on_its_way_leaves_the_database_as_it_was(first_release):
    path, tables, contents = first_release
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE throttles (in_the_way)")
    with pytest.raises(StoreUnavailableError, match="throttles"):
        migrate_store(path)
    with closing(sqlite3.connect(path)) as connection:
        assert tables_of(connection) == tables | {"throttles": ["in_the_way"]}
        connection.execute("DROP TABLE throttles")
    assert contents_of(path, tables) == contents
    migrate_store(path)
    assert contents_of(path, tables) == contents


async def test_processes_that_start_at_once_migrate_once(first_release):
    path, tables, contents = first_release
    await asyncio.gather(*(asyncio.to_thread(migrate_store, path) for _ in range(4)))
    assert contents_of(path, tables) == contents
