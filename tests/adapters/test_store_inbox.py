"""The contract of questions, feedback and inboxes."""

from dataclasses import replace
from uuid import uuid4

import pytest

from notifications.delivery.question import Helped
from notifications.errors import InvalidInputError, NotFoundError, StateConflictError, VersionMismatchError
from notifications.notice import NoticeKind, NoticeState
from notifications.notice.inbox import InboxCounts, InboxFilter
from notifications.notice.seal import SealedRendering
from notifications.ports import Extent, InboxItem, Page
from support.opened_store import opened_store
from support.question_records import answered, make_feedback, make_question
from support.records import NOBODY, NOW, SALT, after, make_customer, make_incident, make_notice, make_sealed
from support.serving_records import make_acknowledgement, make_opening

ANNA = "account:anna"
EVERYTHING = InboxFilter()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


async def a_notice(store):
    customer, incident = make_customer(), make_incident()
    notice, later = make_notice(incident, customer), make_notice(incident, customer, sequence=2)

    def work(tx):
        tx.customers.add(customer, SALT)
        tx.incidents.add(incident)
        tx.notices.add([notice, later])

    await store.write(work)
    return incident, notice, later


async def test_questions_are_kept_answered_once_and_listed_while_they_wait(store):
    incident, notice, later = await a_notice(store)
    first, second = make_question(notice), make_question(later)
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.questions.add(replace(first, notice_id=NOBODY)))
    await store.write(lambda tx: (tx.questions.add(first), tx.questions.add(second)))
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.questions.add(first))
    assert await store.read(lambda tx: tx.questions.require(first.id)) == first
    assert await store.read(lambda tx: tx.questions.get(NOBODY)) is None
    with pytest.raises(NotFoundError):
        await store.read(lambda tx: tx.questions.require(NOBODY))
    assert list(await store.read(lambda tx: tx.questions.unanswered(9))) == [first, second]
    assert list(await store.read(lambda tx: tx.questions.unanswered(1))) == [first]
    done = answered(first, answering_notice_id=later.id)
    await store.write(lambda tx: tx.questions.save(done, 1))
    with pytest.raises(VersionMismatchError):
        await store.write(lambda tx: tx.questions.save(done, 1))
    assert list(await store.read(lambda tx: tx.questions.of_notice(notice.id))) == [done]
    assert list(await store.read(lambda tx: tx.questions.of_incident(incident.id))) == [done, second]
    assert list(await store.read(lambda tx: tx.questions.of_incident(NOBODY))) == []
    assert list(await store.read(lambda tx: tx.questions.unanswered(9))) == [second]


async def test_the_last_word_of_a_person_counts_as_feedback(store):
    _, notice, later = await a_notice(store)
    first, other = make_feedback(notice), make_feedback(notice, words=None)
    changed = replace(first, helped=Helped.NO, words=None, given_at=after(hours=1))
    for said in (first, other, changed, make_feedback(later)):
        await store.write(lambda tx, said=said: tx.questions.set_feedback(said))
    assert list(await store.read(lambda tx: tx.questions.feedback(notice.id))) == [changed, other]
    assert list(await store.read(lambda tx: tx.questions.feedback(NOBODY))) == []


class Inbox:
    """Customers with sealed notices; each notice is of an incident of its own unless one is given."""

    def __init__(self, store):
        self.store, self.moment = store, 0

    async def customer(self, **changes):
        customer = make_customer(**changes)
        await self.store.write(lambda tx: tx.customers.add(customer, SALT))
        return customer

    async def sealed(self, customer, incident=None, title="Panne", **changes):
        """Seal a notice; returns it."""
        self.moment += 1
        changes = {"created_at": NOW, "sealed_at": after(minutes=self.moment), "state": NoticeState.SEALED} | changes
        made = make_incident() if incident is None else incident
        notice = make_notice(made, customer, **changes)
        words = [SealedRendering(each, f"[TLP:AMBER] {made.ticket} {title}", "t", "h") for each in ("fr", "en")]

        def work(tx):
            if tx.incidents.get(made.id) is None:
                tx.incidents.add(made)
            tx.notices.add([notice])
            if notice.state is NoticeState.SEALED:
                tx.notices.add_seal(make_sealed(notice, renderings=tuple(words)), uuid4())

        await self.store.write(work)
        return notice

    async def opened(self, notice, by=ANNA):
        await self.store.write(lambda tx: tx.notices.add_opening(make_opening(notice, by=by)))

    async def page(self, *customers, wanted=EVERYTHING, limit=50, **page):
        ids = [customer.id for customer in customers]
        return await self.store.read(lambda tx: tx.notices.inbox(ids, ANNA, wanted, Page(limit, **page)))

    async def counts(self, *customers, **page):
        ids = [customer.id for customer in customers]
        return await self.store.read(lambda tx: tx.notices.inbox_counts(ids, ANNA, Page(1, **page)))

    async def ids(self, customer, **wanted):
        found, _ = (await self.page(customer, wanted=InboxFilter(**wanted)))[customer.id]
        return [shown.notice.id for shown in found]


async def test_what_waits_comes_first_and_each_group_newest_first(database):
    inbox = Inbox(database)
    asks, asks_nothing = await inbox.customer(acknowledge_within_seconds=60), await inbox.customer()
    ended = make_incident()
    unread_old, unread_new = await inbox.sealed(asks), await inbox.sealed(asks)
    read = await inbox.sealed(asks)
    done = await inbox.sealed(asks)
    first = await inbox.sealed(asks, ended)
    final = await inbox.sealed(asks, ended, sequence=2, kind=NoticeKind.FINAL)
    for notice in (read, done, first, final):
        await inbox.opened(notice)
    await inbox.opened(unread_old, by="account:bert")
    for notice in (done, first, final):
        await database.write(lambda tx, n=notice: tx.notices.add_acknowledgement(make_acknowledgement(n)))
    await database.write(lambda tx: tx.deliveries.add_inbox_item(InboxItem(read.id, asks.id, after(hours=1))))
    found, following = (await inbox.page(asks))[asks.id]
    assert following is None
    assert [shown.notice for shown in found] == [unread_new, unread_old, read, done, final, first]
    assert [shown.read for shown in found] == [False, False, True, True, True, True]
    assert [shown.open for shown in found] == [True, True, True, True, False, False]
    assert [shown.to_acknowledge for shown in found] == [True, True, True, False, False, False]
    assert found[2].placed_at == after(hours=1)
    assert found[0].placed_at is None
    assert found[0].acknowledge_by == after(minutes=3)
    assert found[0].document == make_sealed(unread_new).document
    assert await inbox.ids(asks, unread=True) == [unread_new.id, unread_old.id]
    assert await inbox.ids(asks, to_acknowledge=True) == [unread_new.id, unread_old.id, read.id]
    assert await inbox.ids(asks, open=True, to_acknowledge=True, unread=True) == [unread_new.id, unread_old.id]
    assert await inbox.ids(asks, open=True) == [unread_new.id, unread_old.id, read.id, done.id]
    # A customer that asks for no acknowledgement; another incident after a final notice opens it again.
    await inbox.sealed(asks_nothing, ended)
    counts = await inbox.counts(asks, asks_nothing)
    assert counts == {asks.id: InboxCounts(2, 3, 4, 6), asks_nothing.id: InboxCounts(1, 0, 1, 1)}
    await inbox.sealed(asks, ended, sequence=3, kind=NoticeKind.UPDATE)
    assert (await inbox.counts(asks))[asks.id].open == 7
    assert await inbox.counts() == {}
    assert await inbox.page() == {}


async def test_pages_of_an_inbox_have_everything_once(database):
    inbox = Inbox(database)
    customer, other = await inbox.customer(), await inbox.customer()
    notices = [await inbox.sealed(customer) for _ in range(7)]
    await inbox.opened(notices[3])
    await inbox.sealed(other)
    seen, cursor = [], None
    while True:
        shown, cursor = (await inbox.page(customer, limit=2, cursor=cursor))[customer.id]
        seen += [each.notice.id for each in shown]
        if cursor is None:
            break
        # Reading what was shown moves it behind, and hides nothing that was not shown yet.
        await inbox.opened(shown[0].notice)
    assert {notice.id for notice in notices} == set(seen)
    both = await inbox.page(customer, other, limit=2)
    assert [len(shown) for shown, _ in both.values()] == [2, 1]
    assert both[other.id][1] is None
    with pytest.raises(InvalidInputError):
        await inbox.page(customer, other, limit=2, cursor=both[customer.id][1])
    with pytest.raises(InvalidInputError):
        await inbox.page(customer, cursor="Y3VzdG9tZXJzOjE")


async def test_an_inbox_is_searched_by_ticket_and_title_in_any_case_and_nothing_is_a_pattern(database):
    inbox = Inbox(database)
    customer = await inbox.customer()
    incident = make_incident(ticket="INC-2026-900001")
    outage = await inbox.sealed(customer, incident, title="Défaut ÉLÉMENTAIRE 100%_sûr")
    other = await inbox.sealed(customer, title="Straße \\ 100 sur")
    for words, expected in (
        ("élémentaire", [outage.id]),
        ("inc-2026-900001", [outage.id]),
        ("100%_", [outage.id]),
        ("100", [other.id, outage.id]),
        ("STRASSE", [other.id]),
        ("\\", [other.id]),
        ("%", [outage.id]),
        ("a%t", []),
        ("' OR 1=1 --", []),
    ):
        assert await inbox.ids(customer, contains=words) == expected, words


async def test_an_inbox_has_only_what_is_sealed_and_within_the_extents(database):
    inbox = Inbox(database)
    customer, other = await inbox.customer(), await inbox.customer()
    before = await inbox.sealed(customer, created_at=after(days=-9))
    served = await inbox.sealed(customer)
    await inbox.sealed(customer, state=NoticeState.DRAFT, sealed_at=None)
    await inbox.sealed(other)
    assert await inbox.ids(customer) == [served.id, before.id]
    extents = (Extent(customer.id, after(days=-1), None, served_only=True),)
    found = await inbox.page(customer, other, within=extents)
    assert [[each.notice.id for each in shown] for shown, _ in found.values()] == [[served.id], []]
    counts = await inbox.counts(customer, other, within=extents)
    assert [each.all for each in counts.values()] == [1, 0]
    assert (await inbox.page(customer, within=()))[customer.id] == ([], None)


async def test_some_customers_are_read_by_name(store):
    inbox = Inbox(store)
    made = [await inbox.customer(name=name) for name in ("beta", "Alpha", "Gamma")]
    ids = [customer.id for customer in made]
    assert list(await store.read(lambda tx: tx.customers.some([*ids[:2], NOBODY]))) == [made[1], made[0]]
    assert list(await store.read(lambda tx: tx.customers.some([]))) == []
