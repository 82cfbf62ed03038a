"""A running service whose relay refuses chosen addresses, and whose clock the test moves.

Use it in tests in which time passes after a release: escalation, calls, fallback contacts. A test without a failing
relay or a moved clock needs only ``scenario``.
"""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import httpx2

from service.cli.demo.environment import embedded_service
from support.scenario import affected, facts, ok, release
from support.smtp_server import SmtpServer

GONE = "550 5.1.1 no such user"


@dataclass
class ChoosySmtp(SmtpServer):
    """Refuses mails to chosen addresses, until the test changes them."""

    refused: dict = field(default_factory=dict)

    async def _answer(self, writer, step, default):
        if step == "RCPT":
            line = self.commands[-1].line
            default = next((answer for address, answer in self.refused.items() if f"<{address}>" in line), default)
        return await super()._answer(writer, step, default)

    @property
    def served(self):
        """Return the recipients of notices, sorted; alerts to the provider do not count."""
        return sorted(message.recipient for message in self.messages if message.recipient.endswith("@valmont.example"))

    async def got(self, *addresses):
        await self.until(lambda: self.served == sorted(addresses))


def has_states(notice, *states):
    """Return a read of the store: whether the mails of a notice have these states, in the order of queueing."""

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
        """Register a customer with contacts by address; addresses that end in ``?`` are fallback contacts."""
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
        """Declare and release an incident that owes the customer a notice: within two hours, as a P2."""
        body = facts(
            aware_at=self.clock.now().isoformat(), impact="I2", criticality="C1", intent="malicious", cause="attack",
            affected_customers=[affected(owner)],
        ) | changes  # fmt: skip
        incident = await ok(self.api.post("/incidents", json=body))
        return incident, await self.released(incident)

    async def released(self, incident):
        """Release the one draft of an incident; return the notice's id."""
        # The clock stands, so that what was released before has the same moment.
        *_, notice = await release(self.api, incident)
        return UUID(notice["id"])

    async def read(self, work):
        return await self.running.parts.store.read(work)

    async def until(self, work, urged=lambda: None):
        """Wait until a read of the store is true; return its result. Calls ``urged`` at each change until then."""
        async with asyncio.timeout(60):
            while True:
                self._changed.clear()
                if found := await self.read(work):
                    return found
                urged()
                await self._changed.wait()

    async def until_tried_again(self, work, **span):
        """Move the clock by ``span`` so that deliveries are retried, until a read of the store returns something true.

        The server may still refuse an attempt that was under way when the test changed its answers. Its retry is due
        later, by the moved clock. So each change moves the clock by some more minutes.
        """
        self.clock.step(timedelta(**span))

        def urged():
            self.clock.step(timedelta(minutes=4))
            self.running.parts.worker.wake({"deliveries"})

        await self.until(work, urged)

    async def until_states(self, notice, *states):
        """Wait until the mails of a notice have these states, in the order of queueing."""
        await self.until(has_states(notice, *states))

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
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield Desk(running, api, smtp, clock)
