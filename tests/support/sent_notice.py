"""A sealed notice that was sent to one contact by mail, and its bounces."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from notifications.audit.entry import parse_leaf
from notifications.delivery.delivery import DeliveryState, OutcomeKind
from notifications.delivery.escalation_plan import plan_escalation
from notifications.mail.bounce_parser import parse_bounce
from notifications.mail.return_path import ReturnPath
from notifications.notice import NoticeState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.escalate import notice_clock
from notifications.use_cases.notices.process_bounce import ACTOR, process_bounce
from support.memory_store import MemoryStore
from support.records import (
    NOW,
    SALT,
    after,
    make_attempt,
    make_contact,
    make_customer,
    make_delivery,
    make_incident,
    make_notice,
)
from support.serving_records import make_escalation

ANNA = "anna@customer.example"


class Identifiers:
    def new_id(self):
        return uuid4()

    def new_salt(self):
        return bytes(32)


class SentNotice:
    """A sealed notice that was sent to one contact by mail, with no escalation step due."""

    def __init__(
        self, state=DeliveryState.SENT, attempts=1, *, asked_again=False, address=ANNA, subject="x", **contact
    ):
        self.store = MemoryStore()
        self.customer = make_customer(acknowledge_within_seconds=None)
        # A mail that is asked for again is queued, and keeps when it was sent.
        sent_at = after(seconds=2) if state is DeliveryState.SENT or asked_again else None
        incident = make_incident()
        self.notice = make_notice(incident, self.customer, state=NoticeState.SEALED, sealed_at=NOW)
        self.contact = make_contact(self.customer, email=address, **contact)
        self.delivery = make_delivery(
            self.notice, self.contact, state=state, attempts=attempts, next_attempt_at=None, sent_at=sent_at
        )
        records = self.store._records
        records.incidents[incident.id] = incident
        records.customers[self.customer.id], records.salts[self.customer.id] = self.customer, SALT
        records.contacts[self.contact.id] = self.contact
        records.notices[self.notice.id] = self.notice
        records.deliveries[self.delivery.id] = self.delivery
        records.escalations[self.notice.id] = make_escalation(self.notice, acknowledge_by=None, next_look_at=None)
        for number in range(1, attempts + 1):
            self.attempted(number)
        records.messages[self.delivery.id, attempts] = f"To: {address}\r\nSubject: {subject}\r\n\r\n".encode()

    def attempted(self, number, kind=OutcomeKind.ACCEPTED):
        began = after(minutes=10 * (number - 1))
        made = make_attempt(self.delivery, number, started_at=began, ended_at=began + timedelta(seconds=2))
        made = replace(made, outcome=replace(made.outcome, kind=kind))
        self.store._records.attempts[self.delivery.id, number] = made

    def path(self, attempt=1):
        return ReturnPath(self.delivery.id, attempt, after(minutes=10 * (attempt - 1)))

    async def back(self, content, *, attempt=1, hours=1, path=None):
        act = AuditContext(ACTOR, after(hours=hours), Identifiers())
        report = parse_bounce(content)
        return await self.store.write(
            lambda tx: process_bounce(tx, act, path or self.path(attempt), content, report, jitter=0.5)
        )

    async def now(self):
        return await self.store.read(lambda tx: tx.deliveries.get(self.delivery.id))

    async def plan(self, hours=1):
        """Return the steps that escalation would take now."""
        watch = await self.store.read(lambda tx: notice_clock(tx, self.notice))
        return plan_escalation(watch, after(hours=hours))

    async def look_at(self):
        return (await self.store.read(lambda tx: tx.escalations.get(self.notice.id))).next_look_at

    async def kept(self):
        return await self.store.read(lambda tx: list(tx.deliveries.bounces(self.delivery.id)))

    def entries(self):
        return [parse_leaf(leaf) for leaf in self.store._records.entries.values()]
