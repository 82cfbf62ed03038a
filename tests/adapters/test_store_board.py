"""Lists of incidents by filters and by deadline, on both engines: nothing twice, nothing lost, few statements."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from notifications.agreement import DeadlineBinding
from notifications.classification import excerpt_of
from notifications.customer.erasure import ErasureOrder, ServedBy
from notifications.decision import Verdict
from notifications.delivery.delivery import DeliveryState
from notifications.errors import InvalidInputError
from notifications.incident import AffectedCustomer, IncidentState
from notifications.notice import NoticeState
from notifications.ports import Extent, IncidentOverview, Page
from service.ports.board import LISTED_CUSTOMERS_MAX, IncidentFigures, IncidentFilters
from service.store import open_store
from service.store.engines.postgresql_session import PostgresqlSession
from service.store.sql.session import Session
from support.opened_store import opened_store
from support.postgresql_server import postgresql_server
from support.records import (
    NOW,
    SALT,
    after,
    make_customer,
    make_decision,
    make_delivery,
    make_facts,
    make_incident,
    make_notice,
)
from support.serving_records import make_call_task
from support.sqlite_file import new_database
from support.store_work import StoreWork

ACTIVE = IncidentFilters(state="active")


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


def overview(incident, **changes):
    made = IncidentOverview(
        incident.id, "security_incident", "P1", provisional=False, to_notify=1, pending=0, pending_due_at=None
    )
    return replace(made, **changes)


class World:
    """Incidents of every kind of standing, each with one customer."""

    def __init__(self, tx):
        self.tx = tx
        self.customer = make_customer()
        tx.customers.add(self.customer, SALT)

    def incident(self, *states, due=2, **changes):
        made = make_incident(**changes)
        self.tx.incidents.add(made)
        notices = [
            make_notice(made, self.customer, sequence=number, state=state, due_at=after(hours=due), sealed_at=None)
            for number, state in enumerate(states, 1)
        ]
        self.tx.notices.add(notices)
        return made, notices


async def listed(store, filters=ACTIVE, *, by_due=True, limit=2, within=None):
    """Return the identifiers of a list, read page by page."""
    found, cursor = [], None
    while True:
        page = Page(limit, cursor, within)
        items, cursor = await store.read(lambda tx, page=page: tx.board.page(page, filters, by_due=by_due))
        found += [item.incident.id for item in items]
        if cursor is None:
            return found
        assert len(items) == limit


async def test_the_nearest_deadline_comes_first_and_what_is_not_due_last(store):
    def work(tx):
        world = World(tx)
        idle, _ = world.incident(NoticeState.SEALED)
        late, _ = world.incident(NoticeState.DRAFT, due=9)
        soon, _ = world.incident(NoticeState.RELEASED, NoticeState.DRAFT, due=1)
        pending, _ = world.incident()
        tx.incidents.save_overview(overview(pending, pending=3, pending_due_at=after(hours=2)))
        decided, _ = world.incident()
        tx.incidents.save_overview(overview(decided, pending=0, pending_due_at=after(hours=-9)))
        called, (sealed,) = world.incident(NoticeState.SEALED)
        tx.escalations.add_call_task(replace(make_call_task(sealed), due_at=after(hours=3)))
        closed, _ = world.incident(NoticeState.SEALED, state=IncidentState.CLOSED)
        waiting, _ = world.incident(NoticeState.DRAFT, due=4, state=IncidentState.CLOSED)
        return idle, late, soon, pending, decided, called, closed, waiting

    made = [item.id for item in await store.write(work)]
    idle, late, soon, pending, decided, called, closed, waiting = made
    assert await listed(store) == [soon, pending, called, waiting, late, idle, decided]
    assert await listed(store, IncidentFilters(state="open")) == [soon, pending, called, late, idle, decided]
    assert await listed(store, IncidentFilters(state="closed")) == [waiting, closed]
    assert await listed(store, IncidentFilters(), by_due=False) == made[::-1]


async def test_each_filter_alone_and_together(store):
    def work(tx):
        world = World(tx)
        plain, _ = world.incident()
        mine, _ = world.incident(opened_by="account:ada")
        tx.incidents.save_overview(
            overview(mine, priority=None, nature="event", services=("load-balancer",), regions=("par-1", "par-10"))
        )
        other, _ = world.incident()
        tx.incidents.save_overview(overview(other, services=("balancer", "x%"), regions=("par-10",)))
        return plain, mine, other

    plain, mine, other = [item.id for item in await store.write(work)]
    for filters, expected in (
        ({}, [other, mine, plain]),
        ({"nature": "event"}, [mine]),
        ({"priority": "P1"}, [other]),
        ({"priority": ""}, [mine, plain]),
        ({"opened_by": "account:ada"}, [mine]),
        ({"service": "balancer"}, [other]),
        ({"service": "x%"}, [other]),
        ({"service": "%"}, []),
        ({"region": "par-1"}, [mine]),
        ({"region": "par-10"}, [other, mine]),
        ({"region": "par-10", "nature": "event", "opened_by": "account:ada", "state": "open"}, [mine]),
        ({"region": "par-10", "nature": "incident"}, []),
    ):
        assert await listed(store, IncidentFilters(**filters), by_due=False) == expected, filters


async def test_a_list_shows_what_is_within_its_extents(store):
    def work(tx):
        world = World(tx)
        return [
            world.incident(NoticeState.DRAFT, opened_at=NOW + timedelta(days=day), due=-day)[0].id for day in range(4)
        ]

    first, second, third, _ = await store.write(work)
    within = (Extent(ends_at=NOW + timedelta(days=2)), Extent(starts_at=after(days=2), ends_at=after(days=3)))
    assert await listed(store, within=within) == [third, second, first]
    assert await listed(store, within=()) == []


async def test_the_figures_say_how_far_each_incident_is(store):
    def work(tx):
        world = World(tx)
        busy, (_, _, held, sealed) = world.incident(
            NoticeState.DRAFT, NoticeState.RELEASED, NoticeState.RELEASED, NoticeState.SEALED
        )
        tx.notices.save(replace(held, hold_reason="no key", version=2), 1)
        deliveries = [
            make_delivery(sealed, state=DeliveryState.FAILED, last_error="550"),
            make_delivery(sealed, state=DeliveryState.QUEUED, last_error="451"),
        ]
        tx.deliveries.add(deliveries)
        other = make_notice(busy, world.customer, sequence=5, state=NoticeState.SEALED)
        tx.notices.add([other])
        later, nearer = make_call_task(sealed), make_call_task(other)
        tx.escalations.add_call_task(replace(later, due_at=after(hours=5)))
        tx.escalations.add_call_task(replace(nearer, due_at=after(minutes=5)))
        idle, _ = world.incident()
        return busy.id, idle.id, nearer.id

    busy, idle, call = await store.write(work)
    figures = await store.read(lambda tx: tx.board.figures([busy, idle, busy]))
    assert figures == {
        busy: IncidentFigures(
            due_at=after(minutes=5), binding=DeadlineBinding.NO_NUMBER,
            notified=1, drafts=1, released=2, held=1, failed=1, calls=2, next_call_id=call,
        ),
        idle: IncidentFigures(),
    }  # fmt: skip
    assert await store.read(lambda tx: tx.board.figures([])) == {}


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (("contractual", "hard"), DeadlineBinding.HARD),
        (("contractual", "soft"), DeadlineBinding.SOFT),
        (("internal_target", "no_number"), DeadlineBinding.NO_NUMBER),
        # As earlier releases stored them.
        (("contractual", None), DeadlineBinding.SOFT),
        (("internal_target", None), DeadlineBinding.NO_NUMBER),
    ],
)
async def test_the_nearest_deadline_says_how_strictly_it_binds(store, stated, expected):
    kind, binding = stated

    def work(tx):
        world = World(tx)
        incident, (draft, _) = world.incident(NoticeState.DRAFT, NoticeState.DRAFT)
        tx.notices.save(replace(draft, due_kind=kind, stated_binding=binding, due_at=after(minutes=1), version=2), 1)
        return incident.id

    incident = await store.write(work)
    figures = (await store.read(lambda tx: tx.board.figures([incident])))[incident]
    assert (figures.due_at, figures.binding) == (after(minutes=1), expected)


@pytest.mark.parametrize("cursor", ["", "x", "ZHVlOjE", "aW5jaWRlbnRzOjE"])
async def test_a_cursor_of_another_list_is_refused(store, cursor):
    with pytest.raises(InvalidInputError):
        await store.read(lambda tx: tx.board.page(Page(2, cursor), ACTIVE, by_due=True))


async def test_a_page_takes_as_many_statements_for_one_incident_as_for_many(store, monkeypatch):
    statements = []
    for kind in (Session, PostgresqlSession):
        plain = kind.execute

        def counted(self, statement, parameters=(), plain=plain):
            statements.append(statement)
            return plain(self, statement, parameters)

        monkeypatch.setattr(kind, "execute", counted)

    async def counted_page(limit):
        statements.clear()

        def work(tx):
            items, _ = tx.board.page(Page(limit), ACTIVE, by_due=True)
            return tx.board.figures([item.incident.id for item in items])

        assert len(await store.read(work)) == limit
        return len(statements)

    await store.write(lambda tx: [World(tx).incident(NoticeState.DRAFT, NoticeState.SEALED) for _ in range(20)])
    assert await counted_page(1) == await counted_page(20)


async def test_an_overview_is_replaced_and_those_without_one_are_found(store):
    def work(tx):
        world = World(tx)
        return world.incident()[0], world.incident()[0]

    first, second = await store.write(work)
    assert await store.read(lambda tx: tx.incidents.without_overview(9)) == [first, second]
    made = overview(first, missing=("intent",), services=("a", "b"), pending_due_at=after(hours=1))
    await store.write(lambda tx: tx.incidents.save_overview(made))
    assert await store.read(lambda tx: tx.incidents.overview(first.id)) == made
    changed = overview(first, priority=None, provisional=True, pending=7)
    await store.write(lambda tx: tx.incidents.save_overview(changed))
    assert await store.read(lambda tx: tx.incidents.overview(first.id)) == changed
    assert await store.read(lambda tx: tx.incidents.without_overview(9)) == [second]
    assert await store.read(lambda tx: tx.incidents.overview(uuid4())) is None


async def test_an_erased_customer_is_counted_no_more(store):
    def work(tx):
        world = World(tx)
        incident, _ = world.incident()
        tx.incidents.add_decisions(
            [
                make_decision(incident, world.customer, Verdict.NOTIFY),
                make_decision(incident, world.customer, Verdict.PENDING, version=2),
            ]
        )
        tx.incidents.save_overview(overview(incident, to_notify=4, pending=3))
        order = ErasureOrder(world.customer.id, NOW, "account:ada", ServedBy.LETTER, "RR 1", (), None, 21, 30)
        tx.erasures.add_order(order)
        tx.erasures.set_noticed(world.customer.id, NOW)
        return incident.id, world.customer.id, tx.customers.pseudonym(world.customer.id)

    incident, customer, pseudonym = await store.write(work)
    await store.write(lambda tx: tx.erasures.erase(customer, pseudonym, NOW + timedelta(days=21)))
    found = await store.read(lambda tx: tx.incidents.overview(incident))
    assert (found.to_notify, found.pending) == (4, 2)


def history(tx, number):
    """Store so many closed incidents of which nothing is due."""
    world = World(tx)
    for _ in range(number):
        world.incident(NoticeState.WITHDRAWN, state=IncidentState.CLOSED)


async def test_the_board_takes_the_same_steps_with_a_long_history(tmp_path):
    store = open_store(new_database(tmp_path / "store.sqlite3"), migrate=False)

    def work(tx):
        world = World(tx)
        for number in range(5):
            world.incident(NoticeState.DRAFT, due=number)
            world.incident(NoticeState.SEALED)

    async def steps(state):
        watched, at = StoreWork(store), None
        found = []
        while True:
            page = Page(4, at)
            items, at = await watched.read(
                lambda tx, page=page: tx.board.page(page, IncidentFilters(state=state), by_due=True)
            )
            await watched.read(lambda tx, items=items: tx.board.figures([item.incident.id for item in items]))
            found += watched.taken()
            if at is None or state == "closed":
                return sum(count for _, count in found), len(items)

    await store.write(work)
    await store.write(lambda tx: history(tx, 10))
    few = [await steps(state) for state in ("active", "open", "closed")]
    await store.write(lambda tx: history(tx, 1000))
    many = [await steps(state) for state in ("active", "open", "closed")]
    assert [items for _, items in many] == [items for _, items in few] == [2, 2, 4]
    # Where a record is the last of an index, a step is spared; each incident that is read costs ten and more.
    assert all(abs(after - before) < 100 for (after, _), (before, _) in zip(many, few, strict=True)), (few, many)
    await store.close()


def rows_read(plan):
    """Return the rows that the nodes of a plan of PostgreSQL looked at, whether they gave them on or not."""
    removed = sum(value for name, value in plan.items() if name.startswith("Rows Removed"))
    own = (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    return own + sum(map(rows_read, plan.get("Plans", ())))


async def test_postgresql_reads_only_what_is_open_or_due(monkeypatch):
    store = open_store(postgresql_server().database(), migrate=False)

    def work(tx):
        world = World(tx)
        for number in range(5):
            world.incident(NoticeState.DRAFT, due=number)
            world.incident(NoticeState.SEALED)
        history(tx, 1500)

    await store.write(work)
    plans = []

    def explained(tx):
        session = tx._session
        session.execute("ANALYZE")
        # It reads a table of so few pages whole; then only where an index does not serve.
        session.execute("SET LOCAL enable_seqscan = off")
        plain = PostgresqlSession.all

        def watching(self, statement, parameters=()):
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
            plans.append(self.execute(explain, parameters).fetchall()[0][0][0]["Plan"])
            return plain(self, statement, parameters)

        with monkeypatch.context() as patch:
            patch.setattr(PostgresqlSession, "all", watching)
            items, _ = tx.board.page(Page(25), ACTIVE, by_due=True)
            tx.board.figures([item.incident.id for item in items])
        return len(items)

    assert await store.write(explained) == 10
    assert len(plans) == 5
    assert [count for count in map(rows_read, plans) if count > 500] == []
    await store.close()


async def test_of_long_facts_a_list_reads_the_excerpt_and_nothing_else(store):
    few = tuple(AffectedCustomer(uuid4()) for _ in range(LISTED_CUSTOMERS_MAX))
    many = tuple(AffectedCustomer(uuid4()) for _ in range(LISTED_CUSTOMERS_MAX + 300))
    incident = make_incident(facts=make_facts(affected_customers=many))
    await store.write(lambda tx: tx.incidents.add(incident))

    async def in_the_list():
        for by_due in (True, False):
            ((found,), _) = await store.read(lambda tx, by=by_due: tx.board.page(Page(9), IncidentFilters(), by_due=by))
        return found

    def unreadable(tx):
        """Make the facts in force a text that nobody can read: a list that reads it fails."""
        insert = "INSERT INTO incident_facts (incident_id, version, facts) VALUES (?, 2, 'unreadable')"
        tx._session.execute(insert, (incident.id.bytes,))
        tx._session.execute("UPDATE incidents SET version = 2")

    found = await in_the_list()
    assert found.customers == len(many)
    assert found.incident.facts == excerpt_of(incident.facts, LISTED_CUSTOMERS_MAX)
    assert found.incident.facts.affected_customers[:LISTED_CUSTOMERS_MAX] == many[:LISTED_CUSTOMERS_MAX]
    assert replace(found.incident, facts=incident.facts) == incident
    assert await store.read(lambda tx: tx.incidents.get(incident.id)) == incident
    await store.write(unreadable)
    with pytest.raises(ValueError, match="Expecting value"):
        await store.read(lambda tx: tx.incidents.get(incident.id))
    assert (await in_the_list()).incident.facts == found.incident.facts
    # Facts that name few are read themselves.
    shorter = replace(incident, version=3, facts=make_facts(affected_customers=few))
    await store.write(lambda tx: tx.incidents.save(shorter, 2))
    found = await in_the_list()
    assert (found.incident, found.customers) == (shorter, LISTED_CUSTOMERS_MAX)
    longer = replace(incident, version=4, facts=make_facts(affected_customers=many + few))
    await store.write(lambda tx: tx.incidents.save(longer, 3))
    assert (await in_the_list()).customers == len(many + few)
