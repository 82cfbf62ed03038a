"""Fallback and escalation from outside: real SMTP that refuses, clocks turned by hand, calls recorded as evidence."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from service.cli.demo.environment import embedded_service
from support.clocks import SteppedClock
from support.postgresql_server import postgresql_server
from support.scenario import affected, change, facts, ok, release
from support.smtp_server import SmtpServer

GONE = "550 5.1.1 no such user"
BUSY = "451 4.7.1 greylisted, come back later"


@dataclass
class ChoosySmtp(SmtpServer):
    """Refuses what is for some addresses, for as long as it is told to."""

    refused: dict = field(default_factory=dict)

    async def _answer(self, writer, step, default):
        if step == "RCPT":
            line = self.commands[-1].line
            default = next((answer for address, answer in self.refused.items() if f"<{address}>" in line), default)
        return await super()._answer(writer, step, default)

    @property
    def served(self):
        """Whom notices went to, sorted; alerts to the provider are none."""
        return sorted(message.recipient for message in self.messages if message.recipient.endswith("@valmont.example"))

    async def got(self, *addresses):
        await self.until(lambda: self.served == sorted(addresses))


def standing(notice, *states):
    """Whether the mails of a notice stand so, in the order in which they were queued, as a work of the store."""

    def work(tx):
        mails = [item for item in tx.deliveries.of_notice(notice) if item.contact_id is not None]
        found = ["failing" if item.state == "queued" and item.last_error else item.state.value for item in mails]
        return found == list(states)

    return work


class Desk:
    def __init__(self, running, api, smtp, clock):
        self.running, self.api, self.smtp, self.clock = running, api, smtp, clock
        self._changed = asyncio.Event()
        running.parts.store.on_commit.append(lambda _kinds: self._changed.set())

    async def customer(self, *contacts, **changes):
        """Register a customer; contacts by address, those that end in ``?`` are the fallback."""
        body = {"name": "Hôpital de Valmont"} | changes
        body["agreement"] = {"agreement_id": "secnumcloud_iaas_3_0", "effective_at": "2025-02-01T00:00:00+01:00"}
        owner = await ok(self.api.post("/customers", json=body))
        for order, address in enumerate(contacts, 1):
            contact = {
                "name": address.split("@")[0], "email": address.removesuffix("?"), "language": "en", "order": order,
                "fallback": address.endswith("?"), "address_confirmed": True, "phone": f"+33 1 00 00 00 0{order}",
            }  # fmt: skip
            await ok(self.api.post(f"/customers/{owner['id']}/contacts", json=contact))
        return owner

    async def notified(self, owner, **changes):
        """Declare and release what owes the customer a notice: within two hours, as a P2."""
        body = facts(
            aware_at=self.clock.now().isoformat(), impact="I2", criticality="C1", intent="malicious", cause="attack",
            affected_customers=[affected(owner)],
        ) | changes  # fmt: skip
        incident = await ok(self.api.post("/incidents", json=body))
        return incident, await self.released(incident)

    async def released(self, incident):
        """Release the one draft of an incident; returns the notice's id."""
        (notice,) = await release(self.api, incident)
        return UUID(notice["id"])

    async def read(self, work):
        return await self.running.parts.store.read(work)

    async def until(self, work, urged=lambda: None):
        """Wait for something of the store to be true; returns it. Calls ``urged`` at each change until then."""
        async with asyncio.timeout(60):
            while True:
                self._changed.clear()
                if found := await self.read(work):
                    return found
                urged()
                await self._changed.wait()

    async def until_tried_again(self, work, **span):
        """Turn the clock on by ``span`` and have what is due tried, until something of the store is true.

        An attempt under way when the server changes its mind may still be turned down, and is then due later by the
        clock as turned: so each change turns it on by some more minutes.
        """
        self.clock.step(timedelta(**span))

        def urged():
            self.clock.step(timedelta(minutes=4))
            self.running.parts.worker.wake({"deliveries"})

        await self.until(work, urged)

    async def stand(self, notice, *states):
        """Wait until the mails of a notice stand so, in the order in which they were queued."""
        await self.until(standing(notice, *states))

    async def look(self, **span):
        self.clock.step(timedelta(**span))
        await self.running.parts.escalating.look()

    async def calls(self, notice):
        tasks = await self.read(lambda tx: tx.escalations.call_tasks_of_notice(notice))
        return [(task.reason.value, task.state.value) for task in tasks]


@asynccontextmanager
async def desk_of(data_folder, clock, **overrides):
    async with (
        ChoosySmtp() as smtp,
        embedded_service(data_folder, clock=clock, log__batch_seconds=0, mail__port=smtp.port, **overrides) as running,
    ):
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=30) as api:
            yield Desk(running, api, smtp, clock)


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request, data_folder, service_log):
    shared = {} if request.param == "sqlite" else {"database__url": postgresql_server().database()}
    async with desk_of(data_folder, SteppedClock(), **shared) as opened:
        yield opened


async def test_where_the_first_contact_is_gone_the_next_has_the_notice_before_it_is_due(desk):
    desk.smtp.refused = {"rssi@valmont.example": GONE}
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?")
    _, notice = await desk.notified(owner)
    # Nobody turns the clock and nobody looks: the failure itself wakes whoever does.
    await desk.smtp.got("direction@valmont.example")
    await desk.stand(notice, "failed", "sent")
    assert await desk.calls(notice) == []
    sent = await desk.read(lambda tx: tx.deliveries.of_notice(notice)[-1])
    assert (sent.cause, sent.sent_at < (await desk.read(lambda tx: tx.notices.get(notice))).due_at) == (
        "fallback",
        True,
    )


async def test_where_all_refuse_somebody_is_to_call_and_it_is_said_once(desk):
    desk.smtp.refused = {"rssi@valmont.example": GONE, "direction@valmont.example": GONE}
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?")
    _, notice = await desk.notified(owner)
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice))
    for _ in range(3):
        await desk.look(hours=1)
    assert await desk.calls(notice) == [("all_failed", "open")]
    assert desk.smtp.served == []


async def test_where_nobody_can_be_written_to_somebody_is_to_call_at_once(desk):
    _, notice = await desk.notified(await desk.customer())
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice))
    assert await desk.calls(notice) == [("nobody_reachable", "open")]


async def test_while_the_first_is_greylisted_the_fallback_has_it_before_the_deadline(desk):
    desk.smtp.refused = {"rssi@valmont.example": BUSY}
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?")
    _, notice = await desk.notified(owner)
    await desk.stand(notice, "failing")
    await desk.look(minutes=59)
    assert len(await desk.read(lambda tx: tx.deliveries.of_notice(notice))) == 2
    await desk.look(minutes=1)
    await desk.smtp.got("direction@valmont.example")
    # The first one is still owed what it was promised, and gets it as soon as its server takes it.
    desk.smtp.refused = {}
    await desk.until_tried_again(standing(notice, "sent", "sent"), minutes=25)
    await desk.look()
    await desk.smtp.got("direction@valmont.example", "rssi@valmont.example")
    assert await desk.calls(notice) == []


async def test_a_call_is_off_when_the_mail_goes_through_after_all(desk):
    desk.smtp.refused = {"rssi@valmont.example": BUSY}
    _, notice = await desk.notified(await desk.customer("rssi@valmont.example"))
    await desk.stand(notice, "failing")
    await desk.look(minutes=105)
    assert await desk.calls(notice) == [("deadline_near", "open")]
    desk.smtp.refused = {}
    await desk.until_tried_again(
        lambda tx: tx.escalations.call_tasks_of_notice(notice)[0].state == "cancelled", hours=1
    )


async def test_a_notice_that_is_not_acknowledged_escalates_on_its_clock(desk):
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?", acknowledge_within_seconds=3600)
    _, notice = await desk.notified(owner)
    await desk.smtp.got("rssi@valmont.example")
    await desk.stand(notice, "sent")
    await desk.look(minutes=59)
    assert len(desk.smtp.served) == 1
    await desk.look(minutes=2)
    await desk.smtp.got("rssi@valmont.example", "direction@valmont.example")
    await desk.stand(notice, "sent", "sent")
    await desk.look(minutes=60)
    assert await desk.calls(notice) == [("not_acknowledged", "open")]


async def test_hours_without_a_look_are_made_up_for_once(desk):
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?", acknowledge_within_seconds=3600)
    _, notice = await desk.notified(owner)
    await desk.stand(notice, "sent")
    await desk.look(hours=7)
    await desk.stand(notice, "sent", "sent")
    for _ in range(3):
        await desk.look(hours=7)
    await desk.smtp.got("rssi@valmont.example", "direction@valmont.example")
    assert await desk.calls(notice) == [("not_acknowledged", "open")]


async def test_a_follow_up_goes_to_the_fallback_that_carried_the_notice_too(desk):
    desk.smtp.refused = {"rssi@valmont.example": GONE}
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?", "juriste@valmont.example?")
    incident, _ = await desk.notified(owner)
    await desk.smtp.got("direction@valmont.example")
    desk.smtp.refused = {}
    incident = await change(desk.api, incident, summary="More is known.")
    await release(desk.api, incident)
    await desk.smtp.got("direction@valmont.example", "direction@valmont.example", "rssi@valmont.example")


async def test_what_an_unreached_customer_is_owed_passes_to_the_follow_up(desk):
    desk.smtp.refused = {"rssi@valmont.example": GONE}
    incident, notice = await desk.notified(await desk.customer("rssi@valmont.example"))
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice))
    incident = await change(desk.api, incident, summary="More is known.")
    following = await desk.released(incident)
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(following))
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice)[0].state == "cancelled")
    assert await desk.calls(following) == [("all_failed", "open")]


async def test_a_restart_between_the_clock_and_the_look_doubles_nothing(data_folder, service_log):
    clock = SteppedClock()
    async with desk_of(data_folder, clock) as desk:
        desk.smtp.refused = {"rssi@valmont.example": BUSY}
        owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?")
        _, notice = await desk.notified(owner)
        await desk.stand(notice, "failing")
    clock.step(timedelta(hours=9))
    for _ in range(2):
        async with desk_of(data_folder, clock) as desk:
            desk.smtp.refused = {"rssi@valmont.example": BUSY, "direction@valmont.example": BUSY}
            await desk.stand(notice, "failing", "failing")
            assert await desk.calls(notice) == [("deadline_near", "open")]
