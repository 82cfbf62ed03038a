"""The full-text index on both engines: what is found, by whom, and that nothing of an erased customer is left in it."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from notifications.canonical_json import canonicalize
from notifications.customer.erasure import ErasureOrder, ServedBy
from notifications.incident import AffectedCustomer, IncidentState, LocalizedText
from notifications.notice import NoticeState
from notifications.ports import Extent, Page
from service.ports.board import IncidentFilters
from service.store import open_store
from service.store.search.terms import folded, sought_words
from service.store.sql.session import Session
from support.opened_store import lent_address
from support.records import (
    NOBODY,
    NOW,
    SALT,
    after,
    make_contact,
    make_customer,
    make_facts,
    make_incident,
    make_notice,
    make_sealed,
)

KINDS = ("incident", "effect", "customer", "contact", "notice")
#: Signs that are syntax in one engine or the other.
HOSTILE = (
    '"', "*", "'", "\\", "NEAR(", "NEAR(a b, 2)", "a NOT b", "terms:x", "^a", "(", ")", "a:*", "!a", "a & | b", "<->",
    "a <2> b", "=kincident", "'=kincident'", '"=kincident"', "%", "_", ";--", "\x00", "\ud800",
    "a" * 10_000, '"' * 10_000, "a " * 5_000, "AND", "OR", "é" * 3_000,
)  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
async def place(request, tmp_path):
    with lent_address(request.param, tmp_path) as address:
        opened = open_store(address, migrate=False)
        yield opened, address
        await opened.close()


@pytest.fixture
async def store(place):
    return place[0]


def text(**said):
    return LocalizedText.of(said)


async def found(store, query, kind="incident", *, within=None, limit=2):
    """Return the identifiers that a search finds, read page by page."""
    hits, cursor = [], None
    while True:
        page = Page(limit, cursor, within)
        part, cursor = await store.read(lambda tx, page=page: tx.search.find(page, kind, query))
        hits += part
        if cursor is None:
            return [hit.subject_id for hit in hits]
        assert len(part) == limit


async def add(store, *incidents):
    await store.write(lambda tx: [tx.incidents.add(incident) for incident in incidents])
    return [incident.id for incident in incidents]


SAME = (
    ("Équilibreur", "equilibreur"), ("équilibreur", "EQUILIB"), ("Strasse", "straße"), ("Straße", "STRASSE"),
    ("Œuvre", "oeuv"), ("coeur", "cœur"), ("Smørrebrød", "smorrebrod"), ("naïve", "nai\u0308ve"), ("ﬁle", "file"),
    ("Łódź", "lodz"), ("Ærø", "aero"), ("東京データ", "東京"), ("Москва", "моск"), ("x\u00adtra", "x"),
)  # fmt: skip


async def test_case_accents_and_ligatures_do_not_matter(store):
    for number, (written, typed) in enumerate(SAME):
        (incident,) = await add(store, make_incident(facts=make_facts(title=text(fr=f"La {written} sud{number}"))))
        assert incident in await found(store, typed), written
        assert await found(store, f"sud{number} {typed} la") == [incident], written
        assert await found(store, f"{typed} nord") == []


async def test_every_word_is_found_by_its_beginning_and_only_there(store):
    facts = make_facts(title=text(en="Storage cluster unreachable"), services=("block-storage",), regions=("par-1",))
    made = make_incident(ticket="INC-2026-000042", facts=facts)
    (incident,) = await add(store, made)
    for query in (
        "storage",
        "stor clus",
        "cluster STORAGE",
        "block-storage",
        "par-1",
        "INC-2026-000042",
        "000042",
        "42",
    ):
        assert await found(store, query) == [incident], query
    for query in ("torage", "storages", "cluster lost", "000043", "", "   ", "…"):
        assert await found(store, query) == [], query
    # A single letter is a whole word.
    assert await found(store, "s") == []


async def test_the_facts_in_force_are_found_and_earlier_ones_are_not(store):
    made = make_incident(facts=make_facts(title=text(en="first words"), measures_taken=text(de="Zweite Maßnahme")))
    await add(store, made)
    assert await found(store, "massnahme") == [made.id]
    changed = replace(made, version=2, state=IncidentState.CLOSED, facts=make_facts(title=text(en="other words")))
    await store.write(lambda tx: tx.incidents.save(changed, 1))
    assert await found(store, "first") == await found(store, "massnahme") == []
    assert await found(store, "other") == [made.id]
    (hit,), _ = await store.read(lambda tx: tx.search.find(Page(1), "incident", "other"))
    assert hit.shown == {"ticket": made.ticket, "title": {"en": "other words"}, "state": "closed"}
    assert (hit.at, hit.customer_id) == (made.opened_at, None)


async def test_a_work_that_fails_leaves_no_trace_in_the_index(store):
    def work(tx):
        tx.incidents.add(make_incident(facts=make_facts(title=text(en="vanished"))))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await store.write(work)
    assert await found(store, "vanished") == []


async def test_results_come_newest_first_page_by_page(store):
    made = await add(store, *(make_incident(facts=make_facts(title=text(en="common"))) for _ in range(5)))
    assert await found(store, "common") == made[::-1]


async def test_a_query_is_words_and_never_syntax(store):
    (incident,) = await add(store, make_incident(facts=make_facts(title=text(en="plain words not"))))
    for query in HOSTILE:
        for kind in KINDS:
            assert await found(store, query, kind) == []
        filters = IncidentFilters(text=query)
        assert await store.read(lambda tx, f=filters: tx.board.page(Page(9), f, by_due=True)) == ([], None)
    # Around words such signs mean nothing.
    for query in ('"plain"', "plain*", "(plain", "^plain", "plain NOT words", "plain & words", "'plain':*", "plain!"):
        assert await found(store, query) == [incident], query


class House:
    """A customer with something in every kind of document, told from any other by one word."""

    def __init__(self, tx, word, incident):
        self.word = word
        self.customer = make_customer(name=f"Maison {word}")
        self.contact = make_contact(self.customer, name=f"{word} Roux", email=f"box@{word}.example")
        self.notice = make_notice(incident, self.customer, state=NoticeState.SEALED)
        self.draft = make_notice(incident, self.customer, sequence=2)
        tx.customers.add(self.customer, word.encode().ljust(32))
        tx.customers.add_contact(self.contact)
        tx.notices.add([self.notice, self.draft])
        document = {"ticket": incident.ticket, "title": {"fr": f"Avis {word}"}, "effect": {"text": {"fr": "shared"}}}
        tx.notices.add_seal(make_sealed(self.notice, document=canonicalize(document)), NOBODY)

    @property
    def effect(self):
        return AffectedCustomer(self.customer.id, effect=text(fr=f"Effet {self.word} shared"))


def two_houses(tx):
    incident = make_incident(facts=make_facts(title=text(fr="Panne shared")))
    tx.incidents.add(incident)
    one, other = House(tx, "vallees", incident), House(tx, "valmont", incident)
    stated = replace(incident.facts, affected_customers=(one.effect, other.effect))
    tx.incidents.save(replace(incident, version=2, facts=stated), 1)
    return incident, one, other


async def test_each_kind_is_found_by_its_own_words(store):
    incident, one, other = await store.write(two_houses)
    for house in (one, other):
        for kind, subject in (
            ("effect", incident.id),
            ("customer", house.customer.id),
            ("contact", house.contact.id),
            ("notice", house.notice.id),
        ):
            assert await found(store, house.word, kind) == [subject], kind
        # What is stated of one customer is not part of what all may read.
        assert await found(store, house.word, "incident") == []
    assert await found(store, f"roux box@{one.word}", "contact") == [one.contact.id]
    assert set(await found(store, "shared", "notice")) == {one.notice.id, other.notice.id}
    (hit,), _ = await store.read(lambda tx: tx.search.find(Page(1), "notice", one.word))
    assert hit.shown == {"ticket": incident.ticket, "title": {"fr": "Avis vallees"}, "sequence": 1, "kind": "initial"}


async def test_changes_of_customers_and_contacts_are_found_at_once(store):
    _, one, _ = await store.write(two_houses)
    await store.write(lambda tx: tx.customers.save(replace(one.customer, name="Renamed", version=2), 1))
    await store.write(lambda tx: tx.customers.save_contact(replace(one.contact, email="new@x.example", version=2), 1))
    assert await found(store, one.word, "customer") == []
    assert await found(store, "renamed", "customer") == [one.customer.id]
    assert await found(store, "new@x.example", "contact") == [one.contact.id]


async def test_the_statement_itself_is_limited_to_customers_times_and_what_was_served(store):
    incident, one, other = await store.write(two_houses)
    of_one = (Extent(one.customer.id, served_only=True),)
    assert await found(store, "shared", "notice", within=of_one) == [one.notice.id]
    assert await found(store, other.word, "notice", within=of_one) == []
    assert await found(store, "maison", "customer", within=(Extent(one.customer.id),)) == [one.customer.id]
    both = (Extent(one.customer.id, served_only=True), Extent(other.customer.id, served_only=True))
    assert set(await found(store, "shared", "notice", within=both)) == {one.notice.id, other.notice.id}
    # Incidents are never served, whoever asks for them.
    assert await found(store, "shared", within=of_one) == []
    assert await found(store, "shared", "effect", within=of_one) == []
    assert await found(store, "shared", within=(Extent(starts_at=after(seconds=1)),)) == []
    assert await found(store, "shared", within=(Extent(starts_at=NOW, ends_at=after(seconds=1)),)) == [incident.id]
    assert await found(store, "shared", within=()) == []


async def test_customers_find_by_the_same_rules_and_read_nothing_of_others(place, monkeypatch):
    store, address = place
    _, one, other = await store.write(two_houses)
    made = make_contact(one.customer, name="Zoë Müßig-Œuvre 007", email="z@x.example")
    await store.write(lambda tx: tx.customers.add_contact(made))
    mine = (Extent(one.customer.id),)
    both = (*mine, Extent(other.customer.id))
    for query in ("zoe", "müssig oeuv", "007", "7", "ZO MÜ", "x.example", '"zoe"*', "z"):
        assert await found(store, query, "contact", within=mine) == [made.id], query
    for query in ("euvre", "ussig", "zoee", "m", "kcontact", *HOSTILE):
        assert await found(store, query, "contact", within=mine) == [], query
    assert len(await found(store, "roux", "contact", within=both, limit=1)) == 2
    if isinstance(address, str):
        return
    asked = []
    plain = Session.all
    monkeypatch.setattr(Session, "all", lambda self, *a: asked.append(a) or plain(self, *a))
    assert await found(store, "roux", "contact", within=mine) == [one.contact.id]
    with closing(sqlite3.connect(address)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[-1][0]}", asked[-1][1])]
    assert len(plan) == 1
    assert plan[0].startswith("SEARCH d USING INDEX ix_search_documents_customer_id_kind_position")


async def test_lists_of_incidents_are_filtered_by_words(store):
    incident, one, _ = await store.write(two_houses)
    (other,) = await add(store, make_incident(facts=make_facts(title=text(en="elsewhere"))))

    async def listed(words):
        filters = IncidentFilters(text=words)
        items, _ = await store.read(lambda tx: tx.board.page(Page(9), filters, by_due=True))
        return [item.incident.id for item in items]

    assert await listed("pann") == await listed(one.word) == [incident.id]
    assert await listed("elsew") == [other]
    assert await listed("nowhere") == await listed('"*"') == []
    assert set(await listed("inc")) == {incident.id, other}


async def test_nothing_of_an_erased_customer_is_left_in_the_index(place):
    store, address = place
    _, gone, stays = await store.write(two_houses)

    def order(tx):
        tx.erasures.add_order(
            ErasureOrder(gone.customer.id, NOW, "account:ada", ServedBy.LETTER, "RR 1", (), None, 21, 30)
        )
        tx.erasures.set_noticed(gone.customer.id, NOW)
        return tx.customers.pseudonym(gone.customer.id)

    pseudonym = await store.write(order)
    await store.write(lambda tx: tx.erasures.erase(gone.customer.id, pseudonym, NOW + timedelta(days=21)))
    for kind in KINDS:
        assert await found(store, gone.word, kind) == []
    assert await found(store, stays.word, "notice") == [stays.notice.id]
    assert await found(store, stays.word, "effect") != []
    await store.compact()
    assert await found(store, stays.word, "notice") == [stays.notice.id]
    if isinstance(address, str):
        with closing(psycopg.connect(address)) as connection:
            rows = connection.execute("SELECT search_documents::text FROM search_documents").fetchall()
            assert not [row for row in rows if gone.word in str(row)]
        return
    # The beginnings of words are in files of the index too.
    for path in address.parent.iterdir():
        for part in (gone.word, "vall"):
            assert part.encode() not in path.read_bytes(), path


def test_words_of_a_query_are_few_and_short():
    assert len(sought_words(" ".join(map(str, range(1000))))) == 12
    assert max(map(len, sought_words("x" * 10_000))) == 40
    assert folded("Œuvre Straße É") == "oeuvre strasse e"
    assert SALT
