"""Carrying a plan out: each act with its entry, once; what passes to a follow-up; what is taken up from before."""

from dataclasses import replace
from uuid import uuid4

import pytest

from notifications.audit.entry import parse_leaf
from notifications.delivery.acknowledgement import AcknowledgedVia
from notifications.delivery.call_task import CallOutcome, CallTaskState
from notifications.delivery.delivery import ChannelKind, DeliveryCause, DeliveryState
from notifications.delivery.escalation_plan import DEFAULT_ESCALATION_POLICY as POLICY
from notifications.delivery.escalation_plan import EscalationStatus
from notifications.delivery.webhook import EndpointState, WebhookEndpoint
from notifications.errors import StateConflictError
from notifications.evidence.evidence import EvidenceEvent, call_evidence
from notifications.notice import NoticeState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.acknowledge_notice import acknowledge_notice
from notifications.use_cases.notices.escalate import ACTOR, adopt_failed, begin_escalation, escalate
from notifications.use_cases.notices.manage_calls import CallReport, record_call, reopen_call_task
from notifications.use_cases.notices.queue_deliveries import first_targets
from service.delivery.escalation import EscalationTask
from service.system.logging import SystemIdentifiers
from support.memory_store import MemoryStore
from support.records import (
    NOBODY,
    NOW,
    SALT,
    after,
    make_contact,
    make_customer,
    make_delivery,
    make_incident,
    make_notice,
    make_sealed,
)

DOMAIN = "provider.example"


def act(now=NOW, actor=ACTOR):
    return AuditContext(actor, now, SystemIdentifiers())


class House:
    """A customer with contacts, and notices of one incident that are sealed one after the other."""

    def __init__(self, **changes):
        self.store = MemoryStore()
        self.customer, self.incident = make_customer(**changes), make_incident()
        self.contacts = []

    async def built(self, contacts=1, fallback=1):
        self.contacts = [make_contact(self.customer, order=number) for number in range(contacts)]
        self.contacts += [make_contact(self.customer, order=number, fallback=True) for number in range(fallback)]

        def work(tx):
            tx.customers.add(self.customer, SALT)
            tx.incidents.add(self.incident)
            for contact in self.contacts:
                tx.customers.add_contact(contact)

        await self.store.write(work)
        return self

    async def sealed(self, sequence=1, at=NOW, state=DeliveryState.FAILED, *, clock=True, **changes):
        """Seal a notice whose first mail stands as named."""
        due_at = changes.pop("due_at", after(hours=8))
        notice = make_notice(
            self.incident, self.customer, sequence=sequence, state=NoticeState.SEALED, sealed_at=at, due_at=due_at
        )
        error = "550 gone" if state is DeliveryState.FAILED else None
        mail = make_delivery(notice, self.contacts[0], state=state, last_error=error, created_at=at)

        def work(tx):
            tx.notices.add([notice])
            tx.notices.add_seal(make_sealed(notice, log_proof=b"p"), NOBODY)
            tx.deliveries.add([make_delivery(notice, state=DeliveryState.SENT, created_at=at), mail])
            if clock:
                begin_escalation(tx, notice, at, POLICY, reachable=True)

        await self.store.write(work)
        return notice

    async def look(self, notice, at=NOW):
        return await self.store.write(lambda tx: escalate(tx, act(at), notice.id, POLICY, DOMAIN))

    async def read(self, work):
        return await self.store.read(work)

    def entries(self):
        leaves = map(parse_leaf, self.store._records.entries.values())
        return [(leaf.type, dict(leaf.detail)) for leaf in leaves]


async def test_each_act_has_its_entry_and_why_and_a_second_look_adds_nothing():
    house = await House().built()
    notice = await house.sealed()
    await house.look(notice)
    assert [kind for kind, _ in house.entries()] == ["delivery.queued", "escalation.advanced"]
    assert house.entries()[0][1] == {"channel": "email", "cause": "fallback"}
    assert house.entries()[1][1] == {"standing": "open", "reasons": ["failed"], "deliveries": 1, "call": None}
    queued = (await house.read(lambda tx: tx.deliveries.of_notice(notice.id)))[-1]
    assert (queued.contact_id, queued.cause) == (house.contacts[1].id, DeliveryCause.FALLBACK)
    assert queued.message_id.endswith(f"@{DOMAIN}>")
    for _ in range(3):
        await house.look(notice, after(seconds=1))
    assert len(house.entries()) == 2


async def test_a_call_is_opened_once_and_cancelled_with_its_entry_when_somebody_acknowledges():
    house = await House().built(fallback=0)
    notice = await house.sealed()
    await house.look(notice)
    await house.look(notice, after(hours=9))
    (task,) = await house.read(lambda tx: tx.escalations.call_tasks_of_notice(notice.id))
    await house.store.write(
        lambda tx: acknowledge_notice(tx, act(actor="account:anna"), notice.id, via=AcknowledgedVia.API)
    )
    plan = await house.look(notice, after(hours=9, minutes=1))
    assert plan.status is EscalationStatus.SETTLED
    assert [kind for kind, _ in house.entries()] == [
        "call_task.opened", "escalation.advanced", "notice.acknowledged", "call_task.cancelled", "escalation.advanced",
    ]  # fmt: skip
    (task,) = await house.read(lambda tx: tx.escalations.call_tasks_of_notice(notice.id))
    assert (task.state, task.version) == (CallTaskState.CANCELLED, 2)
    assert (await house.read(lambda tx: tx.escalations.get(notice.id))).next_look_at is None
    assert await house.look(notice, after(days=1)) is None


async def test_what_is_open_passes_to_the_follow_up_once():
    house = await House(acknowledge_within_seconds=3600).built()
    first = await house.sealed(due_at=after(hours=2))
    await house.look(first)
    second = await house.sealed(2, at=after(minutes=30), state=DeliveryState.QUEUED, due_at=after(hours=9))
    clock = await house.read(lambda tx: tx.escalations.get(second.id))
    assert (clock.due_at, clock.acknowledge_by) == (after(hours=2), after(hours=1))
    assert (await house.look(first, after(minutes=30))).status is EscalationStatus.SUPERSEDED
    assert len(await house.read(lambda tx: tx.deliveries.of_notice(first.id))) == 3
    # The earlier one is acknowledged after all: the later one has its own time again, and is not asked for before.
    await house.store.write(
        lambda tx: acknowledge_notice(tx, act(after(minutes=40), "account:a"), first.id, via=AcknowledgedVia.API)
    )
    plan = await house.look(second, after(hours=1, minutes=10))
    assert all(step.cause is not DeliveryCause.ESCALATION for step in plan.queue)


async def test_what_was_told_passes_on_no_deadline():
    house = await House().built()
    await house.sealed(state=DeliveryState.SENT, due_at=after(hours=1))
    second = await house.sealed(2, at=after(minutes=5), due_at=after(hours=9))
    assert (await house.read(lambda tx: tx.escalations.get(second.id))).due_at == after(hours=9)


async def test_failures_from_before_there_were_clocks_are_taken_up_and_nothing_else():
    house = await House().built()
    failed = await house.sealed(clock=False)
    fine = await house.sealed(2, state=DeliveryState.SENT, clock=False)
    adopted = await house.store.write(lambda tx: adopt_failed(tx, act(), 10))
    assert adopted == [failed.id]
    assert await house.read(lambda tx: tx.escalations.get(fine.id)) is None
    assert await house.store.write(lambda tx: adopt_failed(tx, act(), 10)) == []


async def test_one_notice_that_cannot_be_looked_at_holds_up_no_other():
    house = await House().built()
    bad, good = await house.sealed(), await house.sealed(2)
    for notice in (bad, good):
        await house.store.write(lambda tx, notice=notice: tx.escalations.hasten(notice.id, NOW))

    class Refusing:
        def __init__(self, store):
            self._store = store

        async def read(self, work):
            return await self._store.read(work)

        async def write(self, work, *, concurrently=False):
            if getattr(work, "keywords", {}).get("notice_id") == bad.id:
                raise OSError("a page of this notice cannot be read")
            return await self._store.write(work, concurrently=concurrently)

    class Clock:
        def now(self):
            return after(seconds=1)

    escalating = EscalationTask(
        Refusing(house.store), POLICY, mail_domain=DOMAIN, clock=Clock(), identifiers=SystemIdentifiers()
    )
    with pytest.raises(OSError, match="cannot be read"):
        await escalating.look()
    assert (await house.read(lambda tx: tx.escalations.get(good.id))).next_look_at != NOW
    assert (await house.read(lambda tx: tx.escalations.get(bad.id))).next_look_at == NOW


async def test_a_call_is_not_opened_again_where_the_customer_has_the_notice():
    house = await House().built(fallback=0)
    notice = await house.sealed()
    await house.look(notice)
    (task,) = await house.read(lambda tx: tx.escalations.call_tasks_of_notice(notice.id))
    report = CallReport("+33 1", after(minutes=1), CallOutcome.REACHED, spoke_to="Mme Roux")
    caller = act(after(minutes=1), "account:ada")
    task, _ = await house.store.write(lambda tx: record_call(tx, caller, task.id, 1, report))
    assert task.state is CallTaskState.DONE
    (mail,) = [item for item in await house.read(lambda tx: tx.deliveries.of_notice(notice.id)) if item.contact_id]
    sent = replace(mail, state=DeliveryState.SENT, last_error=None)
    await house.store.write(lambda tx: tx.deliveries.save(sent, mail.attempts))
    with pytest.raises(StateConflictError, match="by another way"):
        await house.store.write(lambda tx: reopen_call_task(tx, caller, task.id, task.version, "Wrong person."))


@pytest.mark.parametrize("outcome", list(CallOutcome))
def test_a_call_claims_no_handover_and_a_machine_is_nobody(outcome):
    record = call_evidence(outcome, consigned=True)
    reached = outcome is CallOutcome.REACHED
    assert record.event is (
        EvidenceEvent.CONSIGNMENT_NOTIFICATION if reached else EvidenceEvent.CONSIGNMENT_NOTIFICATION_FAILURE
    )
    assert (record.reason is None) == reached
    assert call_evidence(outcome, consigned=False) is None


# -- whom a notice goes to as it is sealed (11.1.1.2)


def sent_to(notice, contact):
    return make_delivery(notice, contact, state=DeliveryState.SENT)


def test_a_follow_up_goes_to_whoever_carried_the_notice_and_to_nobody_put_out_of_use():
    customer = make_customer()
    first, fallback, other, gone = (
        make_contact(customer), make_contact(customer, fallback=True), make_contact(customer, fallback=True),
        make_contact(customer, fallback=True, active=False),
    )  # fmt: skip
    endpoint = WebhookEndpoint(uuid4(), customer.id, "https://h.example", "", EndpointState.ACTIVE, None, NOW, "a:b")
    disabled = replace(endpoint, id=uuid4(), state=EndpointState.DISABLED)
    notice = make_notice(make_incident(), customer)
    people = [first, fallback, other, gone]
    failed = replace(sent_to(notice, other), state=DeliveryState.FAILED)
    carried = [
        make_delivery(notice, first, state=DeliveryState.FAILED),
        sent_to(notice, fallback),
        failed,
        sent_to(notice, gone),
    ]
    targets = first_targets(people, [endpoint, disabled], carried)
    assert [target.channel for target in targets] == [
        ChannelKind.CONSOLE, ChannelKind.EMAIL, ChannelKind.EMAIL, ChannelKind.WEBHOOK,
    ]  # fmt: skip
    assert [target.contact.id for target in targets if target.contact] == [first.id, fallback.id]
    alone = first_targets(people, [], [])
    assert [target.contact.id for target in alone if target.contact] == [first.id]
