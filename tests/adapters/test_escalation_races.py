"""A look at a notice in one process beside an attempt that fails in another: the failure is never slept over."""

import asyncio
import threading
from dataclasses import replace

import pytest

from notifications.delivery.delivery import DeliveryState
from notifications.delivery.escalation_plan import DEFAULT_ESCALATION_POLICY as POLICY
from notifications.errors import VersionMismatchError
from notifications.notice import NoticeState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.escalate import begin_escalation, escalate
from service.store import open_store
from service.system.logging import SystemIdentifiers
from support.postgresql_server import postgresql_server
from support.records import (
    NOBODY,
    NOW,
    SALT,
    after,
    make_attempt,
    make_contact,
    make_customer,
    make_delivery,
    make_incident,
    make_notice,
    make_sealed,
)


@pytest.fixture
async def stores():
    """The stores of two processes on one database."""
    with postgresql_server().lent_database() as address:
        opened = [open_store(address, migrate=False) for _ in range(2)]
        yield opened
        for store in opened:
            await store.close()


@pytest.mark.parametrize("first", ["look", "failure"])
async def test_a_failure_that_a_look_did_not_see_is_seen_by_the_next(stores, first):
    leader, worker = stores
    customer, incident = make_customer(), make_incident()
    contact, other = make_contact(customer), make_contact(customer, fallback=True)
    notice = make_notice(incident, customer, state=NoticeState.SEALED, sealed_at=NOW, due_at=after(hours=8))
    mail = make_delivery(notice, contact)

    def build(tx):
        tx.customers.add(customer, SALT)
        tx.customers.add_contact(contact)
        tx.customers.add_contact(other)
        tx.incidents.add(incident)
        tx.notices.add([notice])
        tx.notices.add_seal(make_sealed(notice, log_proof=b"p"), NOBODY)
        tx.deliveries.add([mail])
        begin_escalation(tx, notice, NOW, POLICY, reachable=True)

    await leader.write(build)
    looked, hastened, committed = threading.Event(), threading.Event(), threading.Event()
    act = AuditContext("system:escalation", after(seconds=10), SystemIdentifiers())

    def look(tx):
        """Look before the failure is committed, and set the clock to much later."""
        clock = tx.escalations.get(notice.id)
        assert all(item.state is DeliveryState.QUEUED for item in tx.deliveries.of_notice(notice.id))
        looked.set()
        # Either the failure is committed before this look ends, or it waits for the row that this look has changed.
        assert first == "look" or committed.wait(30)
        later = replace(clock, next_look_at=after(hours=4), version=clock.version + 1)
        tx.escalations.save(later, clock.version)
        if first == "look":
            hastened.set()

    def fail(tx):
        assert looked.wait(30)
        lost = replace(mail, state=DeliveryState.FAILED, attempts=1, next_attempt_at=None, last_error="550 gone")
        tx.deliveries.finish_attempt(lost, make_attempt(mail), None)
        assert first == "failure" or hastened.wait(30)
        tx.escalations.hasten(notice.id, act.now)

    looking = asyncio.ensure_future(leader.write(look, concurrently=True))
    await worker.write(fail, concurrently=True)
    committed.set()
    if first == "failure":
        with pytest.raises(VersionMismatchError):
            await looking
    await asyncio.wait({looking})
    clock = await leader.read(lambda tx: tx.escalations.get(notice.id))
    assert clock.next_look_at == act.now
    plan = await leader.write(lambda tx: escalate(tx, act, notice.id, POLICY, "provider.example"), concurrently=True)
    assert [step.contact_id for step in plan.queue] == [other.id]
