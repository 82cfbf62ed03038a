"""The contract of ``Transaction`` and ``UnitOfWork``: one suite, run against the store in memory and against SQLite."""

import asyncio
from dataclasses import replace
from itertools import product
from uuid import uuid4

import pytest

from notifications.audit.entry import leaf_bytes, pseudonym
from notifications.customer.records import MailContent
from notifications.decision import Verdict
from notifications.delivery.delivery import DeliveryState
from notifications.errors import (
    InvalidInputError,
    LogUnavailableError,
    NotFoundError,
    StateConflictError,
    VersionMismatchError,
)
from notifications.incident import (
    AffectedCustomer,
    IncidentState,
    LocalizedText,
    PersonalData,
    PersonalDataBreach,
)
from notifications.notice import NoticeState
from notifications.notice.seal import UndatedNotice
from notifications.ports import EntryFilter, Extent, InboxItem, Page, StoredResponse, TimestampedCheckpoint, Transaction
from service.ports.log import LogTransaction
from service.store.engines.transaction import SqlTransaction
from support.memory_records import Records
from support.memory_store import MemoryStore, MemoryTransaction
from support.opened_store import opened_store
from support.records import (
    NOBODY,
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
from support.repositories import repositories, verify_signatures


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
async def customer(store):
    made = make_customer()
    await store.write(lambda tx: tx.customers.add(made, SALT))
    return made


@pytest.fixture
async def incident(store):
    made = make_incident()
    await store.write(lambda tx: tx.incidents.add(made))
    return made


async def read_pages(store, read, limit=2):
    """Return all items of a list, page by page, checking that no page is longer and no item comes twice."""
    items, cursor = [], None
    while True:
        page = Page(limit, cursor)
        found, cursor = await store.read(lambda tx, page=page: read(tx, page))
        assert len(found) <= limit
        items += found
        if cursor is None:
            return items
        assert len(found) == limit


@pytest.mark.parametrize("implementation", [SqlTransaction(None), MemoryTransaction(Records(), read_only=True)])
def test_every_method_of_the_port_is_there_with_its_parameters(implementation):
    assert len(repositories(Transaction)) == 12
    verify_signatures(Transaction, implementation)
    verify_signatures(LogTransaction, implementation)


class TestUnitsOfWork:
    async def test_a_work_that_raises_leaves_nothing_and_its_error_comes_through_unchanged(self, store):
        class OddError(Exception):
            pass

        made, error = make_customer(), OddError("x")

        def work(tx):
            tx.customers.add(made, SALT)
            tx.audit.append([make_entry()])
            tx.incidents.next_ticket_number(2026)
            raise error

        with pytest.raises(OddError) as raised:
            await store.write(work)
        assert raised.value is error
        assert await store.read(lambda tx: (tx.customers.get(made.id), tx.audit.pending(9))) == (None, [])
        assert await store.write(lambda tx: tx.incidents.next_ticket_number(2026)) == 1

    async def test_failures_undo_their_own_work_alone_when_works_share_a_commit(self, store):
        customers = [make_customer() for _ in range(40)]

        def work(tx, number):
            tx.customers.add(customers[number], SALT)
            tx.audit.append([make_entry()])
            if number % 3 == 0:
                raise RuntimeError(str(number))
            return number

        results = await asyncio.gather(
            *(store.write(lambda tx, number=number: work(tx, number)) for number in range(40)), return_exceptions=True
        )
        for number, result in enumerate(results):
            stored = await store.read(lambda tx, number=number: tx.customers.get(customers[number].id))
            if number % 3 == 0:
                assert (str(result), stored) == (str(number), None)
            else:
                assert (result, stored) == (number, customers[number])
        assert len(await store.read(lambda tx: tx.audit.pending(99))) == 26

    async def test_a_work_sees_what_it_wrote_and_what_was_written_before_it(self, store):
        first, second = make_customer(), make_customer()

        def work(tx):
            tx.customers.add(second, SALT)
            return [tx.customers.get(first.id), tx.customers.get(second.id), tuple(tx.customers.all())]

        before, found = await asyncio.gather(store.write(lambda tx: tx.customers.add(first, SALT)), store.write(work))
        assert (before, found) == (None, [first, second, (first, second)])

    async def test_a_read_must_not_write(self, store):
        made = make_customer()
        with pytest.raises(RuntimeError, match="a read must not write"):
            await store.read(lambda tx: tx.customers.add(made, SALT))
        assert await store.read(lambda tx: tx.customers.get(made.id)) is None

    async def test_fifty_writers_at_once_give_fifty_ticket_numbers_without_gaps(self, store):
        async def client():
            return [await store.write(lambda tx: tx.incidents.next_ticket_number(2026)) for _ in range(4)]

        numbers = await asyncio.gather(*(client() for _ in range(50)))
        assert sorted(number for own in numbers for number in own) == list(range(1, 201))
        assert all(own == sorted(own) for own in numbers)

    async def test_hooks_hear_of_commits_what_changed_and_not_of_what_was_undone(self, store, customer):
        heard = []
        store.on_commit.append(heard.append)
        await store.write(lambda tx: tx.audit.append([make_entry()]))
        assert heard.pop() >= {"audit"}
        incident = make_incident()
        await store.write(lambda tx: (tx.incidents.add(incident), tx.notices.add([make_notice(incident, customer)])))
        assert heard.pop() >= {"notices", "incidents"}

        def undone(tx):
            tx.audit.append([make_entry()])
            raise RuntimeError

        with pytest.raises(RuntimeError):
            await store.write(undone)
        assert not any("audit" in kinds for kinds in heard)


class TestIdempotency:
    async def test_the_answer_is_part_of_the_unit_of_work_and_comes_back_verbatim(self, store):
        response = StoredResponse(b"\x00" * 32, 201, b'{"\xc3\xa9":1}', (("ETag", '"1"'), ("Location", "/x")))
        made = make_customer()
        await store.write(lambda tx: (tx.customers.add(made, SALT), tx.responses.add("k", response, NOW)))
        assert await store.read(lambda tx: tx.responses.get("k")) == response
        assert await store.read(lambda tx: tx.responses.get("other")) is None

        other = make_customer()

        def again(tx):
            tx.customers.add(other, SALT)
            tx.responses.add("k", replace(response, status=200), NOW)

        with pytest.raises(StateConflictError):
            await store.write(again)
        assert await store.read(lambda tx: (tx.responses.get("k"), tx.customers.get(other.id))) == (response, None)


class TestCustomers:
    async def test_come_back_equal(self, store, customer):
        other = make_customer(version=1, services=(), name='"[]"', four_eyes=True)
        await store.write(lambda tx: tx.customers.add(other, bytes(32)))
        assert await store.read(lambda tx: tx.customers.get(customer.id)) == customer
        assert await store.read(lambda tx: tx.customers.get(NOBODY)) is None
        assert tuple(await store.read(lambda tx: tx.customers.all())) == (customer, other)

    async def test_the_same_identity_twice_is_a_conflict(self, store, customer):
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.customers.add(customer, SALT))

    async def test_pages_are_oldest_first(self, store):
        made = [make_customer() for _ in range(5)]
        await store.write(lambda tx: [tx.customers.add(item, SALT) for item in made])
        assert await read_pages(store, lambda tx, page: tx.customers.page(page)) == made

    async def test_saving_follows_versions(self, store, customer):
        changed = replace(customer, name="New", services=("x",), four_eyes=True, version=2)
        await store.write(lambda tx: tx.customers.save(changed, 1))
        assert await store.read(lambda tx: tx.customers.get(customer.id)) == changed
        assert tuple(await store.read(lambda tx: tx.customers.all())) == (changed,)
        with pytest.raises(VersionMismatchError) as raised:
            await store.write(lambda tx: tx.customers.save(changed, 1))
        assert (raised.value.expected, raised.value.current) == (1, 2)
        with pytest.raises(ValueError, match="does not follow"):
            await store.write(lambda tx: tx.customers.save(replace(changed, version=9), 2))
        with pytest.raises(NotFoundError):
            await store.write(lambda tx: tx.customers.save(make_customer(version=2), 1))
        assert await store.read(lambda tx: tx.customers.get(customer.id)) == changed

    async def test_customers_are_found_by_their_names_in_the_log_and_by_parts_of_their_names(self, store):
        made = [make_customer(name=name) for name in ("Ärzte GmbH", "Klinik am See", "KLINIK am Fluss")]
        for item in made:
            await store.write(lambda tx, item=item: tx.customers.add(item, SALT))

        def look(tx):
            names = [tx.customers.pseudonym(item.id) for item in made]
            found = tx.customers.by_pseudonyms({names[0], names[2], "00" * 32})
            assert found == {names[0]: made[0], names[2]: made[2]}
            assert tx.customers.by_pseudonyms(()) == {}
            return [[item.name for item in tx.customers.named(part, 9)] for part in ("klinik", "ärzte", "nobody")], [
                item.name for item in tx.customers.named("klinik", 1)
            ]

        assert await store.read(look) == (
            [["Klinik am See", "KLINIK am Fluss"], ["Ärzte GmbH"], []],
            ["Klinik am See"],
        )

    async def test_the_pseudonym_is_made_with_the_customers_own_salt(self, store, customer):
        other = make_customer()
        await store.write(lambda tx: tx.customers.add(other, bytes(32)))

        def all_pseudonyms(tx):
            return [tx.customers.pseudonym(item.id) for item in tx.customers.all()]

        expected = [pseudonym(SALT, customer.id), pseudonym(bytes(32), other.id)]
        assert await store.read(lambda tx: tx.customers.pseudonym(other.id)) == expected[1]
        assert await store.read(all_pseudonyms) == expected
        with pytest.raises(NotFoundError):
            await store.read(lambda tx: tx.customers.pseudonym(NOBODY))

    async def test_what_was_listed_before_a_rollback_is_not_listed_after_it(self, store, customer):
        undone, kept = make_customer(), make_customer()

        def work(tx):
            tx.customers.add(undone, SALT)
            assert undone in tx.customers.all()
            raise RuntimeError

        async def failing():
            with pytest.raises(RuntimeError):
                await store.write(work)

        def after_it(tx):
            tx.customers.add(kept, SALT)
            return tuple(tx.customers.all())

        _, listed = await asyncio.gather(failing(), store.write(after_it))
        assert listed == (customer, kept)
        assert tuple(await store.read(lambda tx: tx.customers.all())) == (customer, kept)

    async def test_a_work_that_listed_before_it_changed_lists_the_change(self, store, customer):
        added = make_customer()

        def work(tx):
            before = tuple(tx.customers.all())
            tx.customers.add(added, SALT)
            tx.customers.add_binding(make_binding(added))
            return before, tuple(tx.customers.all()), len(tx.customers.bindings()), tx.customers.pseudonym(added.id)

        expected = (customer,), (customer, added), 1, pseudonym(SALT, added.id)
        assert await store.write(work) == expected

    async def test_bindings_and_profiles_of_one_and_of_all(self, store, customer):
        other = make_customer()
        bindings = [make_binding(customer), make_binding(other), make_binding(customer, effective_at=after(days=3))]
        profiles = [make_profile(customer), make_profile(other, choices=None), make_profile(customer, 2, choices=())]

        def work(tx):
            tx.customers.add(other, SALT)
            for binding in bindings:
                tx.customers.add_binding(binding)
            for profile in profiles:
                tx.customers.add_profile(profile)

        await store.write(work)
        assert list(await store.read(lambda tx: tx.customers.bindings(customer.id))) == [bindings[0], bindings[2]]
        assert list(await store.read(lambda tx: tx.customers.bindings())) == bindings
        assert list(await store.read(lambda tx: tx.customers.profiles(customer.id))) == [profiles[0], profiles[2]]
        assert sorted(await store.read(lambda tx: tx.customers.profiles()), key=profiles.index) == profiles
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.customers.add_profile(make_profile(customer, 2)))

    async def test_many_added_at_once_are_as_if_added_one_by_one(self, store, customer):
        # More than one statement of each size.
        others = [make_customer() for _ in range(331)]
        bindings = [make_binding(each) for each in others]
        contacts = [make_contact(each) for each in [*others, *others[:300], customer]]

        def work(tx):
            tx.customers.add_all([(each, SALT) for each in others])
            tx.customers.add_bindings(bindings)
            tx.customers.add_contacts(contacts)

        await store.write(work)
        assert await store.read(lambda tx: tuple(tx.customers.all())) == (customer, *others)
        assert list(await store.read(lambda tx: tx.customers.bindings())) == bindings
        assert await store.read(lambda tx: tx.customers.pseudonym(others[-1].id)) == pseudonym(SALT, others[-1].id)
        asked = [each.id for each in [*others, customer, make_customer()]]
        found = await store.read(lambda tx: tx.customers.contacts_of(asked))
        assert found.keys() == {customer.id, *(each.id for each in others)}
        for each in (customer, others[0], others[-1]):
            assert list(found[each.id]) == list(await store.read(lambda tx, e=each: tx.customers.contacts(e.id)))
        assert [contacts[0], contacts[331]] == list(found[others[0].id])
        assert await store.read(lambda tx: tx.customers.contacts_of([])) == {}
        for again in (
            lambda tx: tx.customers.add_all([(make_customer(), SALT), (others[3], SALT)]),
            lambda tx: tx.customers.add_contacts([make_contact(customer), contacts[5]]),
        ):
            with pytest.raises(StateConflictError):
                await store.write(again)

    async def test_nothing_refers_to_a_customer_that_is_not_there(self, store):
        stranger = make_customer()
        for work in (
            lambda tx: tx.customers.add_binding(make_binding(stranger)),
            lambda tx: tx.customers.add_profile(make_profile(stranger)),
            lambda tx: tx.customers.add_contact(make_contact(stranger)),
        ):
            with pytest.raises(StateConflictError):
                await store.write(work)

    async def test_who_has_an_active_contact_is_found_for_many_at_once(self, store, customer):
        others = [make_customer(), make_customer()]
        for item in others:
            await store.write(lambda tx, item=item: tx.customers.add(item, SALT))
        await store.write(lambda tx: tx.customers.add_contact(make_contact(customer)))
        await store.write(lambda tx: tx.customers.add_contact(make_contact(customer)))
        await store.write(lambda tx: tx.customers.add_contact(make_contact(others[0], active=False)))
        known = [customer.id, *(item.id for item in others), uuid4()]
        assert await store.read(lambda tx: tx.customers.reached(known)) == {customer.id}
        assert await store.read(lambda tx: tx.customers.reached([])) == frozenset()

    async def test_contacts_are_by_order_then_creation_and_follow_versions(self, store, customer):
        made = [make_contact(customer, order=order) for order in (2, 1, 2)]
        reached = {"fallback": True, "mail_content": MailContent.ENCRYPTED_ONLY, "smime_certificate": b"\x30\x00"}
        made.append(make_contact(customer, **reached, time_zone="Asia/Tokyo", verified_at=None))
        await store.write(lambda tx: [tx.customers.add_contact(item) for item in made])
        listed = await store.read(lambda tx: tx.customers.contacts(customer.id))
        assert list(listed) == [made[1], made[3], made[0], made[2]]
        changed = replace(
            made[0], email="é@exämple.org", active=False, order=1, version=2, time_zone="Europe/Rome",
            verified_at=after(days=1), **reached | {"mail_content": MailContent.SUMMARY},
        )  # fmt: skip
        await store.write(lambda tx: tx.customers.save_contact(changed, 1))
        assert await store.read(lambda tx: tx.customers.contact(changed.id)) == changed
        with pytest.raises(VersionMismatchError):
            await store.write(lambda tx: tx.customers.save_contact(changed, 1))
        assert await store.read(lambda tx: tx.customers.contact(NOBODY)) is None


class TestIncidents:
    async def test_ticket_numbers_count_per_year(self, store):
        numbers = [
            await store.write(lambda tx, y=year: tx.incidents.next_ticket_number(y))
            for year in (2026, 2026, 2027, 2026)
        ]
        assert numbers == [1, 2, 1, 3]

    async def test_every_version_of_the_facts_stays(self, store, incident):
        changed = replace(
            incident, version=2, facts=make_facts(services=("iaas",)), updated_at=after(hours=1),
            state=IncidentState.CLOSED, closed_at=after(hours=1),
        )  # fmt: skip
        await store.write(lambda tx: tx.incidents.save(changed, 1))
        assert await store.read(lambda tx: tx.incidents.get(incident.id)) == changed
        assert await store.read(lambda tx: tx.incidents.by_ticket(incident.ticket)) == changed
        assert await store.read(lambda tx: tx.incidents.facts_at(incident.id, 1)) == incident.facts
        assert await store.read(lambda tx: tx.incidents.facts_at(incident.id, 2)) == changed.facts
        assert await store.read(lambda tx: (tx.incidents.facts_at(incident.id, 3), tx.incidents.get(NOBODY))) == (
            None,
            None,
        )
        assert await store.read(lambda tx: tx.incidents.by_ticket("INC-0")) is None
        with pytest.raises(VersionMismatchError):
            await store.write(lambda tx: tx.incidents.save(changed, 1))

    async def test_categories_of_earlier_releases_are_stored_and_read_as_the_strings_they_were(self, store):
        own = AffectedCustomer(
            NOBODY,
            personal_data=PersonalData(
                breach=PersonalDataBreach.SUSPECTED,
                categories_of_data_subjects=("users of the customer's web site",),
                categories_of_records=("names", LocalizedText.of({"fr": "témoins", "en": "cookies"})),
            ),
        )
        made = make_incident(facts=make_facts(affected_customers=(own,)))
        await store.write(lambda tx: tx.incidents.add(made))
        assert await store.read(lambda tx: tx.incidents.get(made.id)) == made
        if not isinstance(store, MemoryStore):
            statement = "SELECT facts FROM incident_facts WHERE incident_id = ?"
            (written,) = await store.read(lambda tx: tx._session.one(statement, (made.id.bytes,)))
            # The form of earlier releases, which wrote "names" and nothing else as a category.
            assert '"categories_of_data_subjects":["users of the customer\'s web site"]' in written
            assert '"categories_of_records":["names",{"texts":[["en","cookies"],["fr","témoins"]]}]' in written

    async def test_the_same_ticket_twice_is_a_conflict(self, store, incident):
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.incidents.add(make_incident(ticket=incident.ticket)))

    async def test_pages_are_newest_first_and_can_be_of_one_state(self, store):
        made = [make_incident(state=IncidentState.CLOSED if number % 2 else IncidentState.OPEN) for number in range(7)]
        await store.write(lambda tx: [tx.incidents.add(item) for item in made])
        assert await read_pages(store, lambda tx, page: tx.incidents.page(page), 3) == made[::-1]
        assert await read_pages(store, lambda tx, page: tx.incidents.page(page, state="open")) == made[::2][::-1]

    async def test_a_page_keeps_its_place_when_newer_ones_arrive(self, store):
        made = [make_incident() for _ in range(4)]
        await store.write(lambda tx: [tx.incidents.add(item) for item in made])
        first, cursor = await store.read(lambda tx: tx.incidents.page(Page(2)))
        await store.write(lambda tx: tx.incidents.add(make_incident()))
        second, end = await store.read(lambda tx: tx.incidents.page(Page(2, cursor)))
        assert ([*first, *second], end) == (made[::-1], None)

    async def test_the_latest_decision_per_customer_is_in_force(self, store, incident):
        customers = [make_customer() for _ in range(5)]
        first = [make_decision(incident, customer) for customer in reversed(customers)]
        second = [make_decision(incident, item, Verdict.DO_NOT_NOTIFY, 2) for item in (customers[3], customers[1])]
        unrelated = make_incident()
        other = [make_decision(unrelated, customers[0], Verdict.PENDING)]

        def work(tx):
            for customer in customers:
                tx.customers.add(customer, SALT)
            tx.incidents.add(unrelated)
            tx.incidents.add_decisions(first)
            tx.incidents.add_decisions(second)
            tx.incidents.add_decisions(other)
            tx.incidents.add_decisions([])

        await store.write(work)
        expected = [first[4], second[1], first[2], second[0], first[0]]
        found = await store.read(lambda tx: tx.incidents.current_decisions(incident.id))
        assert found == {stored.decision.customer_id: stored for stored in expected}
        assert await read_pages(store, lambda tx, page: tx.incidents.decisions(incident.id, page)) == expected
        refused = await read_pages(
            store, lambda tx, page: tx.incidents.decisions(incident.id, page, verdict="do_not_notify"), 1
        )
        assert refused == [second[1], second[0]]
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.incidents.add_decisions([first[0]]))

    @pytest.mark.parametrize("cursor", ["", "x", "é", "=", "aW5jaWRlbnRzOi0x", "bm90aWNlczox", "aW5jaWRlbnRzOjEK"])
    async def test_a_bad_cursor_is_named(self, store, incident, cursor):
        with pytest.raises(InvalidInputError) as raised:
            await store.read(lambda tx: tx.incidents.page(Page(2, cursor)))
        assert [fault.field for fault in raised.value.faults] == ["cursor"]

    async def test_a_cursor_of_another_list_is_refused(self, store, incident, customer):
        await store.write(lambda tx: (tx.incidents.add(make_incident()), tx.customers.add(make_customer(), SALT)))
        _, cursor = await store.read(lambda tx: tx.customers.page(Page(1)))
        with pytest.raises(InvalidInputError):
            await store.read(lambda tx: tx.incidents.page(Page(1, cursor)))
        with pytest.raises(InvalidInputError):
            await store.read(lambda tx: tx.incidents.page(Page(0)))


class TestNotices:
    async def test_come_back_equal_and_follow_versions(self, store, incident, customer):
        notice = make_notice(incident, customer, drafted_by="account:a")
        await store.write(lambda tx: tx.notices.add([notice]))
        assert await store.read(lambda tx: tx.notices.get(notice.id)) == notice
        changed = replace(
            notice, state=NoticeState.RELEASED, released_at=after(minutes=1), released_by="token:b",
            sealed_at=after(minutes=2), hold_reason="no key", version=2, facts_version=4, due_at=after(hours=3),
            drafted_by="account:b", override_reason="r", override_reviewed_by="account:c",
            override_reviewed_at=after(minutes=9),
        )  # fmt: skip
        await store.write(lambda tx: tx.notices.save(changed, 1))
        assert await store.read(lambda tx: tx.notices.get(notice.id)) == changed
        assert await store.read(lambda tx: tx.notices.get(NOBODY)) is None
        with pytest.raises(VersionMismatchError):
            await store.write(lambda tx: tx.notices.save(changed, 1))

    async def test_one_standing_notice_per_incident_customer_and_sequence(self, store, incident, customer):
        notice = make_notice(incident, customer)
        await store.write(lambda tx: tx.notices.add([notice]))
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.notices.add([make_notice(incident, customer)]))
        withdrawn = replace(notice, state=NoticeState.WITHDRAWN, version=2)
        next_one = make_notice(incident, customer)
        await store.write(lambda tx: (tx.notices.save(withdrawn, 1), tx.notices.add([next_one])))
        assert list(await store.read(lambda tx: tx.notices.of_incident(incident.id))) == [withdrawn, next_one]

    async def test_lists(self, store):
        customers, incidents = [make_customer() for _ in range(2)], [make_incident() for _ in range(2)]
        released = NoticeState.RELEASED
        made = [
            make_notice(incidents[0], customers[1]),
            make_notice(incidents[0], customers[0], sequence=2, state=released, due_at=after(hours=9)),
            make_notice(incidents[0], customers[0], state=released, due_at=after(hours=5)),
            make_notice(incidents[1], customers[0], state=released, due_at=after(hours=7)),
        ]

        def work(tx):
            for customer, incident in zip(customers, incidents, strict=True):
                tx.customers.add(customer, SALT)
                tx.incidents.add(incident)
            tx.notices.add(made)

        await store.write(work)
        of_incident = await store.read(lambda tx: tx.notices.of_incident(incidents[0].id))
        assert list(of_incident) == [made[2], made[1], made[0]]
        assert await read_pages(store, lambda tx, page: tx.notices.page(page)) == made[::-1]
        for filters, expected in (
            ({"incident_id": incidents[0].id}, [made[2], made[1], made[0]]),
            ({"customer_id": customers[0].id}, [made[3], made[2], made[1]]),
            ({"state": "released"}, [made[3], made[2], made[1]]),
            ({"incident_id": incidents[0].id, "customer_id": customers[0].id}, [made[2], made[1]]),
            ({"customer_id": customers[0].id, "state": "draft"}, []),
            ({"incident_id": incidents[1].id, "customer_id": customers[0].id, "state": "released"}, [made[3]]),
        ):
            found = await read_pages(store, lambda tx, page, filters=filters: tx.notices.page(page, **filters), 1)
            assert found == expected, filters
        assert list(await store.read(lambda tx: tx.notices.released(2))) == [made[2], made[3]]


class TestSeals:
    @pytest.fixture
    async def notices(self, store, incident, customer):
        made = [make_notice(incident, customer, sequence=number) for number in (1, 2, 3)]
        await store.write(lambda tx: tx.notices.add(made))
        return made

    async def test_come_back_equal(self, store, notices):
        plain = make_sealed(notices[0])
        full = make_sealed(notices[1], timestamp=b"tsr", timestamp_independent=False, log_proof=b"proof")
        bare = make_sealed(notices[2], resources_csv=None, renderings=())
        entries = [uuid4() for _ in notices]

        def work(tx):
            for sealed, entry_id in zip((plain, full, bare), entries, strict=True):
                tx.notices.add_seal(sealed, entry_id)

        await store.write(work)
        found = await store.read(lambda tx: [tx.notices.seal(notice.id) for notice in notices])
        assert found == [plain, full, bare]
        assert await store.read(lambda tx: [tx.notices.seal_entry_id(notice.id) for notice in notices]) == entries
        assert await store.read(lambda tx: (tx.notices.seal(NOBODY), tx.notices.seal_entry_id(NOBODY))) == (None, None)
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.notices.add_seal(plain, uuid4()))

    async def test_why_a_timestamp_is_owed(self, store, notices):
        first, second, later = [make_sealed(notice) for notice in notices]
        await store.write(lambda tx: [tx.notices.add_seal(item, uuid4()) for item in (first, second)])
        unknown = [UndatedNotice(item.notice_id, item.sealed_at, None) for item in (first, second)]
        assert list(await store.read(lambda tx: tx.notices.undated(9))) == unknown
        for reason in ("it is away", "it refuses"):
            await store.write(lambda tx, reason=reason: tx.notices.set_timestamp_refusal(reason))
        await store.write(lambda tx: tx.notices.add_seal(later, uuid4()))
        refused = [replace(item, reason="it refuses") for item in unknown]
        found = [*refused, UndatedNotice(later.notice_id, later.sealed_at, None)]
        assert list(await store.read(lambda tx: tx.notices.undated(9))) == found
        assert list(await store.read(lambda tx: tx.notices.undated(1))) == refused[:1]
        await store.write(lambda tx: tx.notices.set_timestamp(first.notice_id, b"token", independent=True))
        assert list(await store.read(lambda tx: tx.notices.undated(9))) == found[1:]

    async def test_evidence_is_set_once_and_owed_until_then(self, store, notices):
        sealed = [make_sealed(notice) for notice in notices]
        await store.write(lambda tx: [tx.notices.add_seal(item, uuid4()) for item in sealed])
        ids = [notice.id for notice in notices]
        assert list(await store.read(lambda tx: tx.notices.without_log_proof(2))) == ids[:2]
        assert list(await store.read(lambda tx: tx.notices.without_timestamp(9))) == ids
        await store.write(lambda tx: tx.notices.set_log_proof(ids[0], b"proof"))
        await store.write(lambda tx: tx.notices.set_timestamp(ids[1], b"token", independent=False))
        assert list(await store.read(lambda tx: tx.notices.without_log_proof(9))) == ids[1:]
        assert list(await store.read(lambda tx: tx.notices.without_timestamp(9))) == [ids[0], ids[2]]
        assert await store.read(lambda tx: tx.notices.seal(ids[0])) == replace(sealed[0], log_proof=b"proof")
        assert await store.read(lambda tx: tx.notices.seal(ids[1])) == replace(
            sealed[1], timestamp=b"token", timestamp_independent=False
        )
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.notices.set_log_proof(ids[0], b"other"))
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.notices.set_timestamp(ids[1], b"other", independent=True))
        with pytest.raises(NotFoundError):
            await store.write(lambda tx: tx.notices.set_log_proof(NOBODY, b"proof"))
        assert (await store.read(lambda tx: tx.notices.seal(ids[0]))).log_proof == b"proof"

    async def test_a_shared_timestamp_is_that_of_its_checkpoint_and_set_once(self, store, notices):
        ids = [notice.id for notice in notices]
        sealed = [make_sealed(notice, shares_timestamp=number < 2) for number, notice in enumerate(notices)]
        await store.write(lambda tx: tx.notices.add_seals([(item, uuid4()) for item in sealed]))
        await store.write(lambda tx: tx.audit.append([make_entry()]))

        def confirm(tx):
            tx.log.grow(0, tx.audit.pending(1), [(0, 0, bytes(32))], b"checkpoint 1")
            tx.log.add_timestamp(1, b"token", NOW)

        await store.write(confirm)
        # Until it is proven, a notice is about to get its timestamp with its proof.
        assert list(await store.read(lambda tx: tx.notices.without_shared_timestamp(9))) == []
        await store.write(lambda tx: tx.notices.set_log_proof(ids[0], b"early"))
        assert list(await store.read(lambda tx: tx.notices.without_shared_timestamp(9))) == ids[:1]
        assert list(await store.read(lambda tx: tx.notices.without_timestamp(9))) == ids[2:]
        assert [item.notice_id for item in await store.read(lambda tx: tx.notices.undated(9))] == ids
        await store.write(lambda tx: tx.notices.set_timestamp_refusal("it is away"))
        assert {item.reason for item in await store.read(lambda tx: tx.notices.undated(9))} == {"it is away"}
        assert await store.read(lambda tx: tx.notices.owing_shared_timestamp([*ids, NOBODY])) == set(ids[:2])
        assert await store.read(lambda tx: tx.notices.owing_shared_timestamp([])) == set()

        def both(tx):
            tx.notices.set_log_proofs({ids[1]: b"proof"})
            tx.notices.set_shared_timestamps({ids[0]: b"late", ids[1]: None}, 1, independent=False)

        await store.write(both)
        given = {"timestamp": b"token", "timestamp_independent": False}
        assert await store.read(lambda tx: tx.notices.seal(ids[0])) == replace(sealed[0], log_proof=b"late", **given)
        assert await store.read(lambda tx: tx.notices.seal(ids[1])) == replace(sealed[1], log_proof=b"proof", **given)
        assert await store.read(lambda tx: tx.notices.owing_shared_timestamp(ids)) == set()
        assert list(await store.read(lambda tx: tx.notices.without_shared_timestamp(9))) == []
        assert [item.notice_id for item in await store.read(lambda tx: tx.notices.undated(9))] == ids[2:]
        for notice_id, error in ((ids[0], StateConflictError), (ids[2], StateConflictError), (NOBODY, NotFoundError)):
            with pytest.raises(error):
                await store.write(
                    lambda tx, each=notice_id: tx.notices.set_shared_timestamps({each: None}, 1, independent=True)
                )

    async def test_whether_many_notices_state_the_same_facts(self, store, incident, customer):
        states = (NoticeState.DRAFT, NoticeState.SEALED, NoticeState.WITHDRAWN)
        made = [
            make_notice(incident, customer, sequence=number, state=state, facts_version=1)
            for number, state in enumerate(states, 1)
        ]
        made.append(make_notice(incident, customer, sequence=4, facts_version=2))
        await store.write(lambda tx: tx.notices.add(made))
        asked = [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (0, 3)]
        found = await store.read(
            lambda tx: [tx.notices.is_of_more_than(n, incident.id, version) for n, version in asked]
        )
        assert found == [True, True, False, True, False, False]
        assert not await store.read(lambda tx: tx.notices.is_of_more_than(0, NOBODY, 1))

    async def test_a_pdf_is_the_opening_of_its_entry_and_kept_once(self, store, notices):
        notice = notices[0]
        entries = [make_entry(openings=(("pdf", content),)) for content in (b"%PDF-1", b"%PDF-2", b"%PDF-3")]
        await store.write(lambda tx: tx.notices.add_seal(make_sealed(notice), uuid4()))
        await store.write(lambda tx: tx.audit.append(entries))
        assert await store.read(lambda tx: tx.notices.pdf(notice.id, "fr")) is None
        await store.write(lambda tx: tx.notices.add_pdf(notice.id, "fr", None, entries[0].id))
        await store.write(lambda tx: tx.notices.add_pdf(notice.id, "fr", "Europe/Paris", entries[1].id))
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.notices.add_pdf(notice.id, "fr", None, entries[2].id))
        assert await store.read(lambda tx: tx.notices.pdf(notice.id, "fr")) == b"%PDF-1"
        assert await store.read(lambda tx: tx.notices.pdf(notice.id, "fr", "Europe/Paris")) == b"%PDF-2"
        assert await store.read(lambda tx: tx.notices.pdf(notice.id, "de")) is None


class TestDeliveries:
    @pytest.fixture
    async def contact(self, store, customer):
        made = make_contact(customer, time_zone="Asia/Tokyo", mail_content=MailContent.SUMMARY, smime_certificate=b"c")
        await store.write(lambda tx: tx.customers.add_contact(made))
        return made

    async def queue(self, store, *items, proven=True):
        """Store notices (sealed) with their deliveries."""

        def work(tx):
            for notice, deliveries in items:
                tx.notices.add([notice])
                tx.notices.add_seal(make_sealed(notice, log_proof=b"p" if proven else None), uuid4())
                tx.deliveries.add(deliveries)

        await store.write(work)

    async def lease(self, store, now=NOW, until=None, limit=100):
        return await store.write(lambda tx: tx.deliveries.lease(now, until or after(minutes=5), limit))

    async def test_come_back_equal_in_creation_order(self, store, incident, customer, contact):
        notice = make_notice(incident, customer)
        made = [make_delivery(notice, contact), make_delivery(notice, next_attempt_at=None, last_error="x")]
        await self.queue(store, (notice, made))
        assert list(await store.read(lambda tx: tx.deliveries.of_notice(notice.id))) == made
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.deliveries.add([made[0]]))
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.deliveries.add([make_delivery(make_notice(incident, customer))]))

    async def test_trouble_is_listed_by_deadline(self, store, incident, customer):
        late, soon = (
            make_notice(incident, customer, sequence=number, due_at=after(hours=hours))
            for number, hours in ((1, 9), (2, 1))
        )
        refused = make_delivery(late, state=DeliveryState.FAILED, next_attempt_at=None, last_error="550 no such user")
        deferred = make_delivery(soon, last_error="451 try later")
        await self.queue(store, (late, [refused, make_delivery(late)]), (soon, [deferred]))
        assert list(await store.read(lambda tx: tx.deliveries.troubled(10))) == [deferred, refused]
        assert list(await store.read(lambda tx: tx.deliveries.troubled(1))) == [deferred]

    async def test_a_lease_brings_all_that_an_attempt_needs(self, store, incident, customer, contact):
        notice = make_notice(incident, customer)
        by_mail, inbox = make_delivery(notice, contact), make_delivery(notice)
        await self.queue(store, (notice, [by_mail, inbox]))
        leased = await self.lease(store)
        assert [item.delivery for item in leased] == [by_mail, inbox]
        for item, expected in zip(leased, (contact, None), strict=True):
            assert (item.notice, item.customer, item.contact) == (notice, customer, expected)
            assert (item.sealed, item.earlier_message_ids) == (make_sealed(notice, log_proof=b"p"), ())

    async def test_due_means_queued_due_proven_and_not_leased(self, store, incident, customer):
        notices = [make_notice(incident, customer, sequence=number) for number in (1, 2)]
        due = make_delivery(notices[0])
        later = make_delivery(notices[0], next_attempt_at=after(seconds=1))
        parked = make_delivery(notices[0], next_attempt_at=None)
        done = make_delivery(notices[0], state=DeliveryState.SENT)
        unproven = make_delivery(notices[1])
        await self.queue(store, (notices[0], [due, later, parked, done]))
        await self.queue(store, (notices[1], [unproven]), proven=False)
        assert [item.delivery for item in await self.lease(store)] == [due]
        assert await self.lease(store) == []
        await store.write(lambda tx: tx.notices.set_log_proof(notices[1].id, b"p"))
        # Of one deadline the first delivery of each notice comes before any second one.
        assert [item.delivery for item in await self.lease(store, after(seconds=1))] == [unproven, later]

    async def test_a_lease_that_ran_out_is_free_again(self, store, incident, customer):
        notice = make_notice(incident, customer)
        delivery = make_delivery(notice)
        await self.queue(store, (notice, [delivery]))
        until = after(minutes=5)
        assert len(await self.lease(store, until=until)) == 1
        assert await self.lease(store, now=after(minutes=4, seconds=59), until=after(hours=1)) == []
        assert [item.delivery for item in await self.lease(store, now=until, until=after(hours=1))] == [delivery]

    async def test_the_nearest_deadline_goes_first_and_the_limit_holds(self, store, incident, customer):
        hours = (5, 2, 9, 1, 7)
        notices = [
            make_notice(incident, customer, sequence=number, due_at=after(hours=hour))
            for number, hour in enumerate(hours, 1)
        ]
        await self.queue(store, *((notice, [make_delivery(notice)]) for notice in notices))
        first, second = await self.lease(store, limit=3), await self.lease(store, limit=3)
        assert [item.notice for item in first] == [notices[3], notices[1], notices[0]]
        assert [item.notice for item in second] == [notices[4], notices[2]]

    async def test_many_are_leased_at_once(self, store, incident, customer, contact):
        notices = [make_notice(incident, customer, sequence=number) for number in range(1, 451)]
        await self.queue(store, *((notice, [make_delivery(notice, contact)]) for notice in notices))
        leased = await self.lease(store, limit=450)
        assert [item.notice for item in leased] == notices
        assert len(leased[449].earlier_message_ids) == 449

    async def test_a_mail_knows_the_earlier_mails_of_its_thread(self, store, incident, customer, contact):
        other_contact, other_incident = make_contact(customer), make_incident()
        await store.write(lambda tx: (tx.customers.add_contact(other_contact), tx.incidents.add(other_incident)))
        notices = [make_notice(incident, customer, sequence=number) for number in (2, 1, 3)]
        elsewhere = make_notice(other_incident, customer)
        mails = {notice.sequence: make_delivery(notice, contact) for notice in notices}
        rest = [
            (notices[0], [mails[2], make_delivery(notices[0], other_contact), make_delivery(notices[0])]),
            (notices[1], [mails[1]]),
            (notices[2], [mails[3], make_delivery(notices[2], other_contact)]),
            (elsewhere, [make_delivery(elsewhere, contact)]),
        ]
        await self.queue(store, *rest)
        leased = {item.delivery.id: item.earlier_message_ids for item in await self.lease(store)}
        assert leased[mails[1].id] == ()
        assert leased[mails[2].id] == (mails[1].message_id,)
        assert leased[mails[3].id] == (mails[1].message_id, mails[2].message_id)
        assert leased[rest[2][1][1].id] == (rest[0][1][1].message_id,)
        assert leased[rest[0][1][2].id] == ()
        assert leased[rest[3][1][0].id] == ()

    async def test_a_mail_does_not_leave_before_an_earlier_one_of_its_thread(self, store, incident, customer, contact):
        """A follow-up is often due at once, and the first notice later."""
        others = [make_contact(customer) for _ in range(3)]
        await store.write(lambda tx: [tx.customers.add_contact(other) for other in others])
        first = make_notice(incident, customer, due_at=after(hours=48))
        second = make_notice(incident, customer, sequence=2, due_at=NOW)
        waiting, failed, retried, unrelated = (
            make_delivery(first, contact),
            make_delivery(first, others[0], state=DeliveryState.FAILED, next_attempt_at=None),
            make_delivery(first, others[1], next_attempt_at=after(seconds=1)),
            make_delivery(first, others[2]),
        )
        follow_ups = [make_delivery(second, each) for each in (contact, *others[:2])]
        await self.queue(store, (first, [waiting, failed, retried, unrelated]), (second, follow_ups))
        leased = [item.delivery for item in await self.lease(store, limit=3)]
        assert leased == [waiting, *follow_ups], "with its predecessor, if it waits; nothing else holds it up"
        assert [item.delivery for item in await self.lease(store)] == [unrelated]

    async def test_an_earlier_mail_that_another_leased_holds_nothing_up(self, store, incident, customer, contact):
        first = make_notice(incident, customer, due_at=after(hours=48))
        second = make_notice(incident, customer, sequence=2, due_at=NOW)
        mail, follow_up = make_delivery(first, contact), make_delivery(second, contact)
        await self.queue(store, (first, [mail]))
        assert [item.delivery for item in await self.lease(store)] == [mail]
        await self.queue(store, (second, [follow_up]))
        assert [item.delivery for item in await self.lease(store)] == [follow_up]

    async def test_an_earlier_mail_to_an_excepted_destination_is_not_leased(self, store, incident, customer, contact):
        first = make_notice(incident, customer, due_at=after(hours=48))
        second = make_notice(incident, customer, sequence=2, due_at=NOW)
        mail = make_delivery(first, contact, destination="email:old.example")
        follow_up = make_delivery(second, contact, destination="email:new.example")
        await self.queue(store, (first, [mail]), (second, [follow_up]))
        leased = await store.write(
            lambda tx: tx.deliveries.lease(NOW, after(minutes=5), 1, except_destinations={"email:old.example"})
        )
        assert [item.delivery for item in leased] == [follow_up]

    async def test_finishing_records_the_attempt_and_frees_the_lease(self, store, incident, customer, contact):
        notice = make_notice(incident, customer)
        delivery = make_delivery(notice, contact)
        await self.queue(store, (notice, [delivery]))
        await self.lease(store)
        again = replace(delivery, attempts=1, next_attempt_at=after(minutes=1), last_error="451 try later")
        first, second = make_attempt(delivery), make_attempt(delivery, 2, message_sha256=None)
        await store.write(lambda tx: tx.deliveries.finish_attempt(again, first, b"mail 1"))
        assert list(await store.read(lambda tx: tx.deliveries.of_notice(notice.id))) == [again]
        assert await self.lease(store) == []
        assert [item.delivery for item in await self.lease(store, now=after(minutes=1))] == [again]
        done = replace(again, attempts=2, state=DeliveryState.SENT, next_attempt_at=None, last_error=None)
        await store.write(lambda tx: tx.deliveries.finish_attempt(done, second, b"mail 2"))
        assert await self.lease(store, now=after(days=9)) == []
        assert list(await store.read(lambda tx: tx.deliveries.attempts(delivery.id))) == [first, second]
        assert await store.read(lambda tx: tx.deliveries.message_sent(delivery.id)) == b"mail 2"

    async def test_an_attempt_that_handed_nothing_over_keeps_the_message_before(self, store, incident, customer):
        notice = make_notice(incident, customer)
        delivery = make_delivery(notice)
        await self.queue(store, (notice, [delivery]))
        assert await store.read(lambda tx: tx.deliveries.message_sent(delivery.id)) is None
        once, twice = replace(delivery, attempts=1), replace(delivery, attempts=2)
        await store.write(lambda tx: tx.deliveries.finish_attempt(once, make_attempt(delivery), b"mail"))
        await store.write(lambda tx: tx.deliveries.finish_attempt(twice, make_attempt(delivery, 2), None))
        assert await store.read(lambda tx: tx.deliveries.message_sent(delivery.id)) == b"mail"

    async def test_one_attempt_is_recorded_once(self, store, incident, customer):
        notice = make_notice(incident, customer)
        delivery = make_delivery(notice)
        await self.queue(store, (notice, [delivery]))
        sent = replace(delivery, state=DeliveryState.SENT, attempts=1)
        await store.write(lambda tx: tx.deliveries.finish_attempt(sent, make_attempt(delivery), None))
        with pytest.raises(VersionMismatchError):
            await store.write(lambda tx: tx.deliveries.finish_attempt(sent, make_attempt(delivery), None))
        assert list(await store.read(lambda tx: tx.deliveries.of_notice(notice.id))) == [sent]
        stranger = make_delivery(notice)
        with pytest.raises(NotFoundError):
            await store.write(lambda tx: tx.deliveries.finish_attempt(stranger, make_attempt(stranger), None))

    async def test_many_attempts_are_recorded_at_once_or_none(self, store, incident, customer):
        notice = make_notice(incident, customer)
        deliveries = [make_delivery(notice) for _ in range(75)]
        await self.queue(store, (notice, deliveries))
        done = [replace(item, state=DeliveryState.SENT, attempts=1, next_attempt_at=None) for item in deliveries]
        attempts = [make_attempt(item) for item in deliveries]
        finished = [
            (item, attempt, f"mail {number}".encode() if number % 2 else None)
            for number, (item, attempt) in enumerate(zip(done, attempts, strict=True))
        ]
        entries = [make_entry({"notice": str(notice.id)}) for _ in finished]

        def record(tx):
            tx.deliveries.finish_attempts(finished)
            tx.audit.append(entries)

        # One that somebody else finished meanwhile, at the end: nothing of the others stays.
        await store.write(lambda tx: tx.deliveries.finish_attempt(done[-1], attempts[-1], None))
        with pytest.raises(VersionMismatchError):
            await store.write(record)
        assert await store.read(lambda tx: [tx.deliveries.attempts(item.id) for item in done[:-1]]) == [[]] * 74
        assert await store.read(lambda tx: tx.audit.pending(100)) == []
        finished.pop()
        await store.write(record)
        assert await store.read(lambda tx: list(tx.deliveries.of_notice(notice.id))) == done
        assert await store.read(lambda tx: [list(tx.deliveries.attempts(item.id)) for item in done]) == [
            [a] for a in attempts
        ]
        messages = await store.read(lambda tx: [tx.deliveries.message_sent(item.id) for item in done])
        assert messages == [message for _, _, message in finished] + [None]
        pending = await store.read(lambda tx: tx.audit.pending(100))
        assert [leaf.entry_id for leaf in pending] == [entry.id for entry in entries]

    async def test_the_inbox_holds_a_notice_once_newest_first(self, store, incident, customer):
        notices = [make_notice(incident, customer, sequence=number) for number in (1, 2, 3)]
        items = [InboxItem(notice.id, customer.id, after(minutes=notice.sequence)) for notice in notices]
        await store.write(lambda tx: (tx.notices.add(notices), [tx.deliveries.add_inbox_item(item) for item in items]))
        await store.write(lambda tx: tx.deliveries.add_inbox_item(replace(items[0], placed_at=after(days=1))))
        assert await read_pages(store, lambda tx, page: tx.deliveries.inbox(customer.id, page)) == items[::-1]
        assert await store.read(lambda tx: tx.deliveries.inbox(NOBODY, Page(5))) == ([], None)


class TestExtents:
    """A list limited to extents: the statement filters, so that every page but the last is full."""

    async def test_notices_of_a_customer_of_a_period_and_only_served_ones(self, store, incident, customer):
        other = make_customer()
        notices = [
            make_notice(
                incident,
                (customer, other)[number % 2],
                sequence=number + 1,
                state=NoticeState.SEALED if number % 3 else NoticeState.DRAFT,
                created_at=after(minutes=number),
            )
            for number in range(12)
        ]
        await store.write(lambda tx: (tx.customers.add(other, SALT), tx.notices.add(notices)))
        start, end = after(minutes=3), after(minutes=9)
        served = Extent(customer.id, served_only=True)
        cases = [
            ((served,), lambda it: it.customer_id == customer.id and it.state == "sealed"),
            ((Extent(starts_at=start, ends_at=end),), lambda it: start <= it.created_at < end),
            (
                (served, Extent(other.id, starts_at=start)),
                lambda it: (
                    (it.customer_id == customer.id and it.state == "sealed")
                    or (it.customer_id == other.id and it.created_at >= start)
                ),
            ),
            ((Extent(),), lambda _: True),
            ((), lambda _: False),
        ]
        for extents, covers in cases:
            expected = [item for item in reversed(notices) if covers(item)]
            for state, customer_id in product((None, "sealed"), (None, customer.id)):
                narrowed = [
                    item for item in expected if state in {None, item.state} and customer_id in {None, item.customer_id}
                ]

                def read(tx, page, extents=extents, state=state, customer_id=customer_id):
                    limited = replace(page, within=extents)
                    found, cursor = tx.notices.page(limited, customer_id=customer_id, state=state)
                    assert cursor is None or len(found) == page.limit, "a page with a gap"
                    return found, cursor

                assert await read_pages(store, read) == narrowed

    async def test_incidents_and_the_inbox_of_a_period(self, store, customer):
        incidents = [make_incident(opened_at=after(minutes=number)) for number in range(5)]
        notices = [make_notice(incident, customer) for incident in incidents]
        items = [InboxItem(notice.id, customer.id, after(minutes=place)) for place, notice in enumerate(notices)]

        def fill(tx):
            for incident in incidents:
                tx.incidents.add(incident)
            tx.notices.add(notices)
            for item in items:
                tx.deliveries.add_inbox_item(item)

        await store.write(fill)
        period = (Extent(starts_at=after(minutes=1), ends_at=after(minutes=4)),)
        found = await read_pages(store, lambda tx, page: tx.incidents.page(replace(page, within=period), state="open"))
        assert found == incidents[1:4][::-1]
        own = (Extent(customer.id, ends_at=after(minutes=2), served_only=True),)
        found = await read_pages(store, lambda tx, page: tx.deliveries.inbox(customer.id, replace(page, within=own)))
        assert found == items[:2][::-1]


class TestAuditLog:
    def grow(self, tx, count=100):
        """Sequence what is pending, with nodes that stand for themselves."""
        size, leaves = tx.log.size(), tx.audit.pending(count)
        nodes = [(0, size + offset, bytes([size + offset]) * 32) for offset in range(len(leaves))]
        tx.log.grow(size, leaves, nodes, f"checkpoint {size + len(leaves)}".encode())

    async def test_heads_newest_first_with_what_others_said_of_them(self, store):
        for minute in range(5):
            await store.write(lambda tx, minute=minute: tx.audit.append([make_entry(at=after(minutes=minute))]))
            await store.write(self.grow)

        def confirm(tx):
            tx.log.add_cosignature(2, "b.example", "line b\n", after(minutes=7))
            tx.log.add_cosignature(2, "a.example", "line a\n", after(minutes=6))
            tx.log.add_timestamp(2, b"token 2", NOW)
            tx.log.add_timestamp(4, b"token 4", NOW)

        await store.write(confirm)
        found = await read_pages(store, lambda tx, page: tx.log.heads(page))
        assert [(head.size, head.note, head.recorded_at) for head in found] == [
            (size, f"checkpoint {size}".encode(), after(minutes=size - 1)) for size in (5, 4, 3, 2, 1)
        ]
        assert [head.token for head in found] == [None, b"token 4", None, b"token 2", None]
        assert [[(item.witness, item.at, item.line) for item in head.cosigned] for head in found] == [
            [], [], [],
            [("a.example", after(minutes=6), "line a\n"), ("b.example", after(minutes=7), "line b\n")],
            [],
        ]  # fmt: skip
        confirmed = await read_pages(store, lambda tx, page: tx.log.heads(page, confirmed=True))
        assert [head.size for head in confirmed] == [4, 2]
        assert await store.read(lambda tx: [tx.log.head(size) for size in (2, 6, 0)]) == [found[3], None, None]
        assert found[3].cosigned_note == b"checkpoint 2line a\nline b\n"

    async def test_entries_are_pending_in_the_order_of_their_commits(self, store):
        entries = [make_entry() for _ in range(60)]

        async def client(start):
            for number in range(start, 60, 6):
                await store.write(lambda tx, number=number: tx.audit.append([entries[number]]))

        await asyncio.gather(*(client(start) for start in range(6)))
        await store.write(lambda tx: tx.audit.append([]))
        pending = await store.read(lambda tx: tx.audit.pending(99))
        order = [[entry.id for entry in entries].index(item.entry_id) for item in pending]
        assert sorted(order) == list(range(60))
        assert all(
            [number for number in order if number % 6 == start] == list(range(start, 60, 6)) for start in range(6)
        )
        assert [item.leaf for item in pending] == [leaf_bytes(entries[number]) for number in order]
        assert [item.position for item in pending] == sorted(item.position for item in pending)
        assert await store.read(lambda tx: tx.audit.pending(7)) == pending[:7]

    async def test_nothing_is_in_the_log_before_it_is_sequenced(self, store):
        entry = make_entry({"incident": str(NOBODY)})
        await store.write(lambda tx: tx.audit.append([entry]))

        def look(tx):
            about = tx.audit.about("incident", str(NOBODY), Page(5))
            return tx.log.size(), tx.log.checkpoint(), list(tx.audit.entries(0, 9)), about, tx.audit.get(entry.id)

        assert await store.read(look) == (0, None, [], ([], None), None)
        assert await store.read(lambda tx: (tx.audit.is_appended(entry.id), tx.audit.is_appended(NOBODY))) == (
            True,
            False,
        )
        await store.write(self.grow)
        size, checkpoint, listed, (about, _), found = await store.read(look)
        assert (size, checkpoint) == (1, b"checkpoint 1")
        assert listed == about == [found]
        assert (found.index, found.entry_id, found.leaf) == (0, entry.id, leaf_bytes(entry))

    async def test_cosignatures_stay_as_they_were_given(self, store):
        def work(tx):
            tx.log.add_cosignature(3, "b.example", "second\n", NOW)
            tx.log.add_cosignature(3, "a.example", "first\n", NOW)
            tx.log.add_cosignature(5, "a.example", "later\n", NOW)
            tx.log.add_cosignature(3, "a.example", "again\n", NOW)

        def look(tx):
            return [tx.log.cosignatures(size) for size in (3, 4, 5)], [
                tx.log.last_cosigned(name) for name in ("a.example", "c")
            ]

        assert await store.read(look) == ([[], [], []], [None, None])
        await store.write(work)
        assert await store.read(look) == ([["first\n", "second\n"], [], ["later\n"]], [(5, NOW), None])

    async def test_the_first_timestamp_of_a_checkpoint_stays(self, store):
        await store.write(lambda tx: tx.audit.append([make_entry() for _ in range(5)]))
        for count in (2, 1, 2):
            await store.write(lambda tx, count=count: self.grow(tx, count))

        def look(tx):
            return (
                tx.log.timestamped_sizes(),
                tx.log.timestamped_checkpoint(),
                tx.log.timestamped_checkpoint(2),
                tx.log.timestamped_checkpoint(3),
            )

        assert await store.read(look) == ([], None, None, None)
        for size, token in ((5, b"later"), (2, b"first"), (2, b"again"), (9, b"over none")):
            await store.write(lambda tx, size=size, token=token: tx.log.add_timestamp(size, token, NOW))
        five = TimestampedCheckpoint(5, b"checkpoint 5", b"later", NOW)
        two = TimestampedCheckpoint(2, b"checkpoint 2", b"first", NOW)
        assert await store.read(look) == ([2, 5], five, two, None)

    async def test_the_tree_grows_contiguously(self, store):
        entries = [make_entry() for _ in range(7)]
        for entry in entries:
            await store.write(lambda tx, entry=entry: tx.audit.append([entry]))
        await store.write(lambda tx: self.grow(tx, 3))
        await store.write(lambda tx: self.grow(tx, 2))
        assert await store.read(lambda tx: tx.log.size()) == 5
        assert await store.read(lambda tx: tx.log.checkpoint()) == b"checkpoint 5"
        found = await store.read(lambda tx: tx.audit.entries(1, 3))
        assert [(item.index, item.entry_id) for item in found] == [(n, entries[n].id) for n in (1, 2, 3)]
        assert [item.entry_id for item in await store.read(lambda tx: tx.audit.pending(9))] == [
            entries[5].id, entries[6].id,
        ]  # fmt: skip

    async def test_the_head_is_compared_and_swapped(self, store):
        await store.write(lambda tx: tx.audit.append([make_entry(), make_entry()]))
        await store.write(lambda tx: self.grow(tx, 1))
        for size in (0, 2):
            with pytest.raises(StateConflictError):
                await store.write(lambda tx, size=size: tx.log.grow(size, tx.audit.pending(1), [], b"late"))
        assert await store.read(lambda tx: (tx.log.size(), tx.log.checkpoint())) == (1, b"checkpoint 1")

    async def test_nodes_are_read_as_asked_for_and_a_missing_one_is_said(self, store):
        await store.write(lambda tx: tx.audit.append([make_entry() for _ in range(3)]))
        await store.write(self.grow)
        assert await store.read(lambda tx: tx.log.node_hashes([(0, 2), (0, 0)])) == [b"\x02" * 32, b"\x00" * 32]
        assert await store.read(lambda tx: tx.log.node_hashes([])) == []
        with pytest.raises(LogUnavailableError):
            await store.read(lambda tx: tx.log.node_hashes([(0, 0), (1, 0)]))

    async def test_entries_about_one_subject_oldest_first(self, store):
        one, other = str(uuid4()), str(uuid4())
        about = [make_entry({"incident": one, "customer": "c"}) for _ in range(5)]
        others = [make_entry({"incident": other, "customer": one}) for _ in range(5)]
        for pair in zip(about, others, strict=True):
            await store.write(lambda tx, pair=pair: tx.audit.append(pair))
        await store.write(self.grow)
        found = await read_pages(store, lambda tx, page: tx.audit.about("incident", one, page))
        assert [item.entry_id for item in found] == [entry.id for entry in about]
        assert [item.index for item in found] == [0, 2, 4, 6, 8]
        newest = await read_pages(store, lambda tx, page: tx.audit.about("incident", one, page, newest_first=True))
        assert newest == found[::-1]

    async def test_entries_of_a_period_fill_each_page(self, store):
        # Times are nearly in the order of the log, but not quite.
        minutes = [0, 1, 5, 2, 6, 3, 7, 4, 8, 9]
        entries = [make_entry(at=after(minutes=minute)) for minute in minutes]
        await store.write(lambda tx: tx.audit.append(entries))
        await store.write(self.grow)
        start, end = after(minutes=2), after(minutes=6)
        for within, indices in (
            (None, list(range(10))),
            ((Extent(),), list(range(10))),
            ((Extent(starts_at=start),), [2, 3, 4, 5, 6, 7, 8, 9]),
            ((Extent(ends_at=end),), [0, 1, 2, 3, 5, 7]),
            ((Extent(starts_at=start, ends_at=end),), [2, 3, 5, 7]),
            ((Extent(ends_at=start), Extent(starts_at=after(minutes=9))), [0, 1, 9]),
            ((), []),
        ):

            def look(tx, within=within):
                whole = [item.index for item in tx.audit.entries(0, 99, within=within)]
                pages, at = [], 0
                while found := tx.audit.entries(at, 2, within=within):
                    pages += [item.index for item in found]
                    at = pages[-1] + 1
                each = [index for index in range(11) if tx.audit.at(index, within=within) is not None]
                named = [index for index, entry in enumerate(entries) if tx.audit.get(entry.id, within=within)]
                return whole, pages, each, named

            assert await store.read(look) == (indices,) * 4, within

    async def test_entries_that_meet_a_filter_in_both_directions(self, store):
        one, other = str(uuid4()), str(uuid4())
        kinds, actors = ("notice.sealed", "record.read", "notice.held"), ("account:a", "system:worker")
        # Each combination of kind, actor and incident; times are nearly in the order of the log, but not quite.
        parts = [(kind, actor, named) for kind in kinds for actor in actors for named in (one, other)] * 2
        entries = [
            make_entry(
                {"incident": named, "customer": "c" if number % 3 else "d"},
                type=kind, actor=actor, at=after(minutes=number + (3 if number % 5 == 0 else 0)),
            )
            for number, (kind, actor, named) in enumerate(parts)
        ]  # fmt: skip
        await store.write(lambda tx: tx.audit.append([*entries, make_entry(type="key.rotated")]))
        await store.write(lambda tx: self.grow(tx, len(entries)))
        start, end = after(minutes=5), after(minutes=15)

        def in_period(entry):
            return start <= entry.at < end

        for wanted, meets in (
            (EntryFilter(), lambda _index, _entry: True),
            (EntryFilter("notice.held"), lambda _, entry: entry.type == "notice.held"),
            (EntryFilter("key.rotated"), lambda _index, _entry: False),
            (EntryFilter(actor="system:worker"), lambda _, entry: entry.actor == "system:worker"),
            (EntryFilter("record.read", "account:a"),
             lambda _, entry: (entry.type, entry.actor) == ("record.read", "account:a")),
            (EntryFilter("record.read", "system:worker"),
             lambda _, entry: (entry.type, entry.actor) == ("record.read", "system:worker")),
            (EntryFilter(subjects=(("incident", one),)), lambda _, entry: entry.subjects["incident"] == one),
            (EntryFilter("notice.sealed", "account:a", (("incident", one), ("customer", "c"))),
             lambda _, entry: (entry.type, entry.actor, entry.subjects) ==
                              ("notice.sealed", "account:a", {"incident": one, "customer": "c"})),
            (EntryFilter(starts_at=start, ends_at=end), lambda _, entry: in_period(entry)),
            (EntryFilter("notice.held", starts_at=start), lambda _, entry: entry.type == "notice.held"
             and entry.at >= start),
            (EntryFilter(first_index=3, last_index=9), lambda index, _: 3 <= index <= 9),
            (EntryFilter(first_index=20, last_index=999), lambda index, _: index >= 20),
            (EntryFilter(first_index=999), lambda _index, _entry: False),
            (EntryFilter(ends_at=after(days=-1)), lambda _index, _entry: False),
            (EntryFilter(starts_at=after(days=1)), lambda _index, _entry: False),
        ):  # fmt: skip
            indices = [index for index, entry in enumerate(entries) if meets(index, entry)]
            for newest_first in (False, True):

                def listed(tx, page, newest_first=newest_first, wanted=wanted):
                    return tx.audit.matching(wanted, page, newest_first=newest_first)

                found = await read_pages(store, listed)
                assert [item.index for item in found] == (indices[::-1] if newest_first else indices), wanted
                within = (Extent(starts_at=start, ends_at=end),)
                limited = await read_pages(
                    store, lambda tx, page, listed=listed, within=within: listed(tx, replace(page, within=within))
                )
                assert {item.index for item in limited} == {each for each in indices if in_period(entries[each])}

    async def test_a_customer_s_entries_are_those_about_what_it_was_served(self, store, customer, incident):
        other = make_customer()
        draft, sealed = make_notice(incident, customer), make_notice(incident, customer, sequence=2)
        foreign = make_notice(incident, other, sequence=3, state=NoticeState.SEALED, sealed_at=after(hours=9))
        sealed = replace(sealed, state=NoticeState.SEALED, sealed_at=after(minutes=5))
        await store.write(lambda tx: tx.customers.add(other, SALT))
        await store.write(lambda tx: tx.notices.add([draft, sealed, foreign]))
        own, theirs = {"customer": "aa"}, {"customer": "bb"}
        told, unheard = {"incident": str(incident.id)}, {"incident": str(uuid4())}
        subjects = [
            own,
            theirs,
            {"incident": told["incident"]},
            own | told,
            own | unheard,
            own | told | {"notice": str(draft.id)},
            own | told | {"notice": str(sealed.id)},
            own | told | {"notice": str(foreign.id)},
            theirs | told | {"notice": str(foreign.id)},
            own | {"account": "aa"},
        ]
        entries = [make_entry(each, at=after(minutes=minute)) for minute in (1, 5, 6) for each in subjects]
        await store.write(lambda tx: tx.audit.append(entries))
        await store.write(self.grow)
        served = Extent(customer.id, served_only=True, pseudonym="aa")
        # Of the incident it sees what happened until the notice that it got.
        expected = [0, 3, 6, 9, 10, 13, 16, 19, 20, 26, 29]
        for within, indices in (
            ((served,), expected),
            ((replace(served, starts_at=after(minutes=5)),), [10, 13, 16, 19, 20, 26, 29]),
            ((replace(served, ends_at=after(minutes=5)),), [0, 3, 6, 9]),
            ((served, Extent(other.id, served_only=True, pseudonym="bb")), sorted([*expected, 1, 8, 11, 18, 21, 28])),
            ((Extent(starts_at=after(minutes=6)), served), [0, 3, 6, 9, 10, 13, 16, 19, *range(20, 30)]),
        ):
            listed = await store.read(lambda tx, within=within: list(tx.audit.entries(0, 99, within=within)))
            assert [item.index for item in listed] == indices, within
            found = await read_pages(
                store,
                lambda tx, page, within=within: tx.audit.about("customer", "aa", replace(page, within=within)),
            )
            own_indices = [index for index in indices if subjects[index % 10].get("customer") == "aa"]
            assert [item.index for item in found] == own_indices, within
            assert own_indices == await store.read(
                lambda tx, within=within: [
                    index
                    for index, entry in enumerate(entries)
                    if tx.audit.get(entry.id, within=within)
                    and tx.audit.at(index, within=within)
                    and entry.subjects.get("customer") == "aa"
                ]
            )

    async def test_openings_stay_beside_the_log(self, store):
        entry = make_entry(openings=[("document", b"value"), ("signature", b"\x00" * 1000)])
        await store.write(lambda tx: tx.audit.append([make_entry(), entry]))
        expected = {item.name: (item.salt, item.value) for item in entry.openings}
        assert await store.read(lambda tx: tx.audit.openings(entry.id)) == expected
        assert await store.read(lambda tx: tx.audit.openings(NOBODY)) == {}
        pending = await store.read(lambda tx: tx.audit.pending(9))
        assert entry.openings[1].value not in pending[1].leaf
        assert entry.openings[1].salt not in pending[1].leaf

    async def test_the_same_entry_twice_is_a_conflict(self, store):
        entry = make_entry()
        await store.write(lambda tx: tx.audit.append([entry]))
        with pytest.raises(StateConflictError):
            await store.write(lambda tx: tx.audit.append([make_entry(), entry]))
        assert len(await store.read(lambda tx: tx.audit.pending(9))) == 1
