"""What a customer does with a notice: recorded once per person, in the name it was done in, with its evidence."""

from uuid import UUID, uuid4

import pytest

from notifications.audit.entry import parse_leaf
from notifications.delivery.acknowledgement import AcknowledgedVia
from notifications.errors import InvalidInputError, NotFoundError
from notifications.notice import NoticeState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.acknowledge_notice import acknowledge_notice, contact_actor, open_notice
from support.memory_store import MemoryStore
from support.records import SALT, after, make_contact, make_customer, make_incident, make_notice
from support.serving_records import make_escalation

ANNA, BERT = "account:anna", "account:bert"


class Identifiers:
    def new_id(self):
        return uuid4()

    def new_salt(self):
        return bytes(32)


def act(by, minutes=0):
    return AuditContext(by, after(minutes=minutes), Identifiers())


class House:
    """One customer with a sealed notice, another with a contact."""

    def __init__(self, state=NoticeState.SEALED):
        self.store = MemoryStore()
        self.customer, self.other = make_customer(), make_customer()
        incident = make_incident()
        self.notice = make_notice(incident, self.customer, state=state)
        self.contact, self.stranger = make_contact(self.customer), make_contact(self.other)
        self.store._records.incidents[incident.id] = incident
        for customer in (self.customer, self.other):
            self.store._records.customers[customer.id] = customer
            self.store._records.salts[customer.id] = SALT
        for contact in (self.contact, self.stranger):
            self.store._records.contacts[contact.id] = contact
        self.store._records.notices[self.notice.id] = self.notice

    async def acknowledge(self, by, minutes=0, via=AcknowledgedVia.CONSOLE, **stated):
        return await self.store.write(
            lambda tx: acknowledge_notice(tx, act(by, minutes), self.notice.id, via=via, **stated)
        )

    async def open(self, by, minutes=0):
        return await self.store.write(lambda tx: open_notice(tx, act(by, minutes), self.notice.id))

    def entries(self):
        return [parse_leaf(leaf) for leaf in self.store._records.entries.values()]

    async def given(self):
        return await self.store.read(lambda tx: list(tx.notices.acknowledgements(self.notice.id)))


async def test_an_acknowledgement_claims_handover_and_says_who_and_how():
    house = House()
    given = await house.acknowledge(ANNA, note="  Reçu, merci.  ")
    assert await house.given() == [given]
    assert (given.by, given.via, given.contact_id, given.note) == (ANNA, "console", None, "Reçu, merci.")
    (entry,) = house.entries()
    assert (entry.type, entry.actor, entry.at) == ("notice.acknowledged", ANNA, given.acknowledged_at)
    assert entry.detail == {"event": "ContentHandover", "via": "console", "noted": True}
    assert entry.subjects.keys() == {"incident", "customer", "notice"}
    # What somebody wrote stands in a commitment, never in clear.
    assert entry.commitments.keys() == {"payload"}


async def test_the_second_one_of_a_person_answers_as_the_first_and_is_not_recorded():
    house = House()
    first = await house.acknowledge(ANNA, note="first")
    second = await house.acknowledge(ANNA, 5, via=AcknowledgedVia.API, note="second")
    assert second == first
    assert await house.given() == [first]
    assert len(house.entries()) == 1


async def test_two_people_acknowledge_for_themselves():
    house = House()
    await house.acknowledge(ANNA)
    await house.acknowledge(BERT, 1)
    assert [given.by for given in await house.given()] == [ANNA, BERT]
    assert [entry.actor for entry in house.entries()] == [ANNA, BERT]


async def test_a_link_speaks_for_its_contact_and_says_no_more():
    house = House()
    by = contact_actor(house.contact.id)
    given = await house.acknowledge(by, via=AcknowledgedVia.LINK, contact_id=house.contact.id)
    (entry,) = house.entries()
    assert (given.by, given.via, given.contact_id) == (by, "link", house.contact.id)
    assert entry.detail["via"] == "link"
    assert entry.subjects["contact"] == str(house.contact.id)


async def test_a_contact_of_another_customer_acknowledges_nothing():
    house = House()
    with pytest.raises(NotFoundError):
        await house.acknowledge(
            contact_actor(house.stranger.id), via=AcknowledgedVia.LINK, contact_id=house.stranger.id
        )
    assert await house.given() == house.entries() == []


@pytest.mark.parametrize("state", [NoticeState.DRAFT, NoticeState.RELEASED, NoticeState.WITHDRAWN])
async def test_what_was_not_served_is_neither_opened_nor_acknowledged(state):
    house = House(state)
    with pytest.raises(NotFoundError):
        await house.acknowledge(ANNA)
    with pytest.raises(NotFoundError):
        await house.open(ANNA)
    assert house.entries() == []


async def test_a_notice_that_is_not_there_is_not_found():
    house = House()
    with pytest.raises(NotFoundError):
        await house.store.write(lambda tx: acknowledge_notice(tx, act(ANNA), UUID(int=7), via=AcknowledgedVia.API))


async def test_a_note_has_an_end():
    house = House()
    with pytest.raises(InvalidInputError, match="note"):
        await house.acknowledge(ANNA, note="x" * 2001)
    assert await house.given() == []


async def test_the_clock_is_looked_at_at_once():
    house = House()
    house.store._records.escalations[house.notice.id] = make_escalation(house.notice)
    given = await house.acknowledge(ANNA, 1)
    clock = await house.store.read(lambda tx: tx.escalations.get(house.notice.id))
    assert clock.next_look_at == given.acknowledged_at
    # A second time changes nothing, so that nobody keeps the clock busy.
    await house.acknowledge(ANNA, 2)
    assert await house.store.read(lambda tx: tx.escalations.get(house.notice.id)) == clock


async def test_an_opening_is_access_once_per_person_and_acknowledges_nothing():
    house = House()
    house.store._records.escalations[house.notice.id] = clock = make_escalation(house.notice)
    assert await house.open(ANNA)
    assert not await house.open(ANNA, 1)
    assert await house.open(BERT, 2)
    opened = await house.store.read(lambda tx: list(tx.notices.openings(house.notice.id)))
    assert [(opening.by, opening.opened_at) for opening in opened] == [(ANNA, after()), (BERT, after(minutes=2))]
    assert [(entry.type, entry.actor, entry.detail) for entry in house.entries()] == [
        ("notice.opened", ANNA, {"event": "ContentAccessTracking"}),
        ("notice.opened", BERT, {"event": "ContentAccessTracking"}),
    ]
    assert await house.given() == []
    assert await house.store.read(lambda tx: tx.escalations.get(house.notice.id)) == clock
