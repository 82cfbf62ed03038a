"""The notices of one incident in pages, on both engines: nothing twice, nothing lost, few statements."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifications.delivery.delivery import DeliveryState
from notifications.errors import InvalidInputError
from notifications.notice import NoticeState
from notifications.ports import Extent, Page
from service.ports.notice_lists import NoticeCounts, NoticeFilter
from service.store.engines.postgresql_session import PostgresqlSession
from service.store.sql.session import Session
from support.opened_store import opened_store
from support.records import NOW, SALT, after, make_customer, make_delivery, make_incident, make_notice
from support.serving_records import make_acknowledgement

EVERYTHING = NoticeFilter()


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


async def made(store, count, **changes):
    """Store an incident with a notice to each of so many customers, and a second one to the first; return both."""
    incident, customers = make_incident(), [make_customer(name=f"C {n}") for n in range(count)]
    # Written against the order of the list.
    notices = [make_notice(incident, each, **changes) for each in reversed(customers)]
    notices.append(make_notice(incident, customers[0], sequence=2, **changes))

    def work(tx):
        for each in customers:
            tx.customers.add(each, SALT)
        tx.incidents.add(incident)
        tx.notices.add(notices)

    await store.write(work)
    by_creation = {each.id: place for place, each in enumerate(customers)}
    return incident, sorted(notices, key=lambda each: (by_creation[each.customer_id], each.sequence))


async def walked(store, incident, wanted=EVERYTHING, limit=2, between=None, within=None):
    """Return every notice of a list, page by page; ``between`` changes the store after each page."""
    found, cursor = [], None
    while True:
        page = Page(limit, cursor, within)
        notices, cursor = await store.read(lambda tx, page=page: tx.notices.listed(incident.id, wanted, page))
        found += notices
        assert len(notices) == limit or cursor is None
        if cursor is None:
            return found
        if between is not None:
            await between(notices)


async def test_pages_hold_what_the_whole_list_holds_in_its_order(store):
    incident, notices = await made(store, 6)
    await made(store, 3)
    assert list(await store.read(lambda tx: tx.notices.of_incident(incident.id))) == notices
    for limit in (1, 2, 3, 7, 50):
        assert await walked(store, incident, limit=limit) == notices
    for page in (Page(1, "Y3VzdG9tZXJzOjE"), Page(0)):
        with pytest.raises(InvalidInputError):
            await store.read(lambda tx, page=page: tx.notices.listed(incident.id, EVERYTHING, page))


async def test_nothing_is_lost_or_listed_twice_while_notices_change(store):
    incident, notices = await made(store, 7)

    async def change(shown):
        def work(tx):
            # Of what was shown, and of what was not yet: released, withdrawn, and new ones to a new customer.
            for each in (shown[0], notices[-1]):
                current = tx.notices.require(each.id)
                tx.notices.save(
                    replace(current, state=NoticeState.RELEASED, released_at=NOW, version=current.version + 1),
                    current.version,
                )
            newcomer = make_customer(name="New")
            tx.customers.add(newcomer, SALT)
            tx.notices.add([make_notice(incident, newcomer)])

        if shown[0].id in {each.id for each in notices}:
            await store.write(work)

    found = await walked(store, incident, between=change)
    assert [each.id for each in found[:8]] == [each.id for each in notices]
    assert len({each.id for each in found}) == len(found) > 8


async def test_filters_and_counts_agree(store):
    incident, notices = await made(store, 5)
    held, failed, sealed, withdrawn, draft, due = notices
    failing_delivery = make_delivery(failed, state=DeliveryState.FAILED, last_error="550")
    first, second = after(minutes=1), after(minutes=2)
    changed = [
        replace(held, state=NoticeState.RELEASED, released_at=first, hold_reason="no key", version=2),
        replace(failed, state=NoticeState.SEALED, released_at=first, sealed_at=second, version=2),
        # A hold that ended is no failure, nor is a deadline that was met the nearest.
        replace(sealed, state=NoticeState.SEALED, released_at=second, hold_reason="was", due_at=NOW, version=2),
        replace(withdrawn, state=NoticeState.WITHDRAWN, due_at=NOW, version=2),
        draft,
        replace(due, state=NoticeState.RELEASED, released_at=second, due_at=after(minutes=5), version=2),
    ]

    def work(tx):
        for each in changed:
            if each.version == 2:
                tx.notices.save(each, 1)
        tx.deliveries.add([failing_delivery, make_delivery(sealed, state=DeliveryState.FAILED, last_error="550")])
        # A person confirmed that the customer knows: the failed delivery needs nobody.
        tx.notices.add_acknowledgement(make_acknowledgement(sealed))

    await store.write(work)

    async def listed(**wanted):
        wanted = NoticeFilter(**wanted)
        found = await walked(store, incident, wanted)
        counted = await store.read(lambda tx: tx.notices.counted(incident.id, wanted, Page(5)))
        assert counted.total == len(found)
        return [changed.index(each) for each in found]

    assert await listed() == [0, 1, 2, 3, 4, 5]
    assert await listed(failing=True) == [0, 1]
    assert await listed(state="released") == [0, 5]
    assert await listed(state="released", failing=True) == [0]
    assert await listed(released_at=second) == [2, 5]
    assert await listed(released_at=second + timedelta(microseconds=1)) == []
    assert await store.read(lambda tx: tx.notices.counted(incident.id, EVERYTHING, Page(5))) == NoticeCounts(
        total=6,
        by_state={"draft": 1, "released": 2, "sealed": 2, "withdrawn": 1},
        by_hold_reason={"no key": 1},
        failing=2,
        due_at=after(minutes=5),
    )
    assert await store.read(lambda tx: tx.notices.counted(make_incident().id, EVERYTHING, Page(5))) == NoticeCounts()


async def test_the_most_frequent_reasons_come_first(store):
    incident, notices = await made(store, 5, state=NoticeState.RELEASED, released_at=NOW)

    def work(tx):
        for number, each in enumerate(notices):
            tx.notices.save(replace(each, hold_reason=("a", "b", "b", "c", "c", "c")[number], version=2), 1)

    await store.write(work)
    counted = await store.read(lambda tx: tx.notices.counted(incident.id, EVERYTHING, Page(2)))
    assert list(counted.by_hold_reason.items()) == [("c", 3), ("b", 2)]
    assert counted.failing == 6


async def test_extents_limit_the_list_and_its_counts(store):
    incident, notices = await made(store, 4)
    of_one = (Extent(customer_id=notices[0].customer_id),)
    assert await walked(store, incident, limit=1, within=of_one) == notices[:2]
    for extents, total in ((of_one, 2), ((Extent(starts_at=after(hours=1)),), 0), ((Extent(served_only=True),), 0)):
        page = Page(5, None, extents)
        counted = await store.read(lambda tx, page=page: tx.notices.counted(incident.id, EVERYTHING, page))
        assert counted.total == total


async def test_a_page_and_the_counts_take_as_many_statements_for_many_customers_as_for_few(store, monkeypatch):
    statements = []
    for kind in (Session, PostgresqlSession):
        plain = kind.execute

        def counted(self, statement, parameters=(), plain=plain):
            statements.append(statement)
            return plain(self, statement, parameters)

        monkeypatch.setattr(kind, "execute", counted)
    taken = []
    for count in (3, 60):
        incident, _ = await made(store, count)
        statements.clear()
        await store.read(lambda tx, incident=incident: tx.notices.listed(incident.id, EVERYTHING, Page(2)))
        await store.read(lambda tx, incident=incident: tx.notices.counted(incident.id, EVERYTHING, Page(2)))
        taken.append(len(statements))
    assert taken[0] == taken[1]
