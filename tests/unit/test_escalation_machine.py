"""Escalation against a world that does as it likes: notices follow notices, servers refuse, people act, clocks jump."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from notifications.audit.entry import parse_leaf
from notifications.delivery.acknowledgement import AcknowledgedVia
from notifications.delivery.call_task import CallOutcome, CallTaskState
from notifications.delivery.delivery import ChannelKind, DeliveryState
from notifications.delivery.escalation_plan import DEFAULT_ESCALATION_POLICY as POLICY
from notifications.delivery.escalation_plan import EscalationStatus, escalation_status
from notifications.notice import NoticeState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.acknowledge_notice import acknowledge_notice
from notifications.use_cases.notices.escalate import ACTOR, begin_escalation, escalate, notice_clock
from notifications.use_cases.notices.manage_calls import CallReport, close_call_task, record_call
from notifications.use_cases.notices.queue_deliveries import delivery_to, targets_of
from service.system.logging import SystemIdentifiers
from support.memory_store import MemoryStore
from support.records import NOBODY, NOW, SALT, make_contact, make_customer, make_incident, make_notice, make_sealed

IDENTIFIERS = SystemIdentifiers()
WITHIN = timedelta(hours=1)


class Escalations(RuleBasedStateMachine):
    """One customer, one incident, the notices of it; looks come when they come."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.store, self.now, self.notices = MemoryStore(), NOW, []

    def teardown(self):
        self.loop.close()

    def write(self, work):
        return self.loop.run_until_complete(self.store.write(work))

    def read(self, work):
        return self.loop.run_until_complete(self.store.read(work))

    def act(self, actor=ACTOR):
        return AuditContext(actor, self.now, IDENTIFIERS)

    @initialize(contacts=st.integers(0, 2), fallback=st.integers(0, 2), wants=st.booleans())
    def begin(self, contacts, fallback, wants):
        within = int(WITHIN.total_seconds()) if wants else None
        self.customer, self.incident = make_customer(acknowledge_within_seconds=within), make_incident()
        people = [make_contact(self.customer, order=order) for order in range(contacts)]
        people += [make_contact(self.customer, order=order, fallback=True) for order in range(fallback)]

        def work(tx):
            tx.customers.add(self.customer, SALT)
            tx.incidents.add(self.incident)
            for contact in people:
                tx.customers.add_contact(contact)

        self.write(work)
        self.seal(timedelta(hours=4))

    @rule(due=st.timedeltas(timedelta(minutes=-30), timedelta(hours=50)))
    @precondition(lambda self: 0 < len(self.notices) < 4)
    def follow_up(self, due):
        self.seal(due)

    def seal(self, due):
        notice = make_notice(
            self.incident, self.customer, sequence=len(self.notices) + 1, state=NoticeState.SEALED,
            sealed_at=self.now, due_at=self.now + due,
        )  # fmt: skip

        def work(tx):
            tx.notices.add([notice])
            tx.notices.add_seal(make_sealed(notice, log_proof=b"p"), NOBODY)
            targets = targets_of(tx, notice)
            tx.deliveries.add([delivery_to(notice, target, self.act(), "x.example") for target in targets])
            begin_escalation(tx, notice, self.now, POLICY, reachable=len(targets) > 1)

        self.write(work)
        self.notices.append(notice.id)

    @rule(data=st.data(), fate=st.sampled_from(["sent", "failed", "failing", "bounced"]))
    def attempt(self, data, fate):
        """A delivery is attempted, or comes back; whoever records it has the notice looked at, as the worker does."""
        wanted = DeliveryState.SENT if fate == "bounced" else DeliveryState.QUEUED
        found = [item for item in self.outward() if item.state is wanted]
        if not found:
            return
        item = data.draw(st.sampled_from(found))
        states = {"sent": DeliveryState.SENT, "failing": DeliveryState.QUEUED}
        made = replace(
            item,
            state=states.get(fate, DeliveryState.FAILED),
            last_error=None if fate == "sent" else "550 no",
            sent_at=self.now if fate == "sent" else None,
        )

        def work(tx):
            tx.deliveries.save(made, item.attempts)
            if fate != "sent" or item.last_error is not None:
                tx.escalations.hasten(item.notice_id, self.now)

        self.write(work)

    @rule(data=st.data())
    def acknowledge(self, data):
        notice_id = data.draw(st.sampled_from(self.notices))
        via = AcknowledgedVia.API
        self.write(lambda tx: acknowledge_notice(tx, self.act("account:anna"), notice_id, via=via))

    @rule(outcome=st.sampled_from([*CallOutcome, None]))
    def call(self, outcome):
        """Somebody makes a call that is to be made, or gives it up."""
        tasks = self.open_calls()
        if not tasks:
            return
        act, task = self.act("account:ada"), tasks[0]
        if outcome is None:
            self.write(lambda tx: close_call_task(tx, act, task.id, task.version, "No use."))
            return
        report = CallReport("+33 1", self.now, outcome, spoke_to="Mme Roux")
        self.write(lambda tx: record_call(tx, act, task.id, task.version, report))

    @rule(span=st.timedeltas(timedelta(seconds=1), timedelta(hours=9)))
    def pass_time(self, span):
        self.now += span

    @rule(times=st.integers(1, 3))
    def look(self, times):
        """The loop looks at what is due; a second and third time at once change nothing."""
        for number in range(times):
            before = len(self.store._records.entries)
            due = self.read(lambda tx: [clock.notice_id for clock in tx.escalations.due(self.now, 99)])
            for notice_id in due:
                self.write(lambda tx, notice_id=notice_id: escalate(tx, self.act(), notice_id, POLICY, "x.example"))
            assert number == 0 or (not due and before == len(self.store._records.entries))

    def outward(self):
        found = self.read(
            lambda tx: [item for notice_id in self.notices for item in tx.deliveries.of_notice(notice_id)]
        )
        return [item for item in found if item.channel is not ChannelKind.CONSOLE]

    def tasks(self):
        return self.read(
            lambda tx: [item for notice_id in self.notices for item in tx.escalations.call_tasks_of_notice(notice_id)]
        )

    def open_calls(self):
        return [task for task in self.tasks() if task.state is CallTaskState.OPEN]

    def status(self, notice_id):
        return self.read(lambda tx: escalation_status(notice_clock(tx, tx.notices.get(notice_id))))

    @invariant()
    def nobody_gets_a_notice_twice(self):
        targets = [(item.notice_id, item.contact_id) for item in self.outward()]
        assert len(targets) == len(set(targets))

    @invariant()
    def no_notice_has_two_open_calls(self):
        about = [task.notice_id for task in self.open_calls()]
        assert len(about) == len(set(about))

    @invariant()
    def nothing_that_is_open_sleeps_for_ever(self):
        for notice_id in self.notices[-1:]:
            clock = self.read(lambda tx, notice_id=notice_id: tx.escalations.get(notice_id))
            assert clock.next_look_at is not None or self.status(notice_id) is EscalationStatus.SETTLED

    @rule()
    @precondition(lambda self: self.notices)
    def a_day_without_power(self):
        """Whatever went before: one look after a long time, and each notice stands one of the ways it may."""
        self.now += timedelta(days=3)
        self.look(2)
        latest, tasks = self.notices[-1], self.tasks()
        asked = [task for task in tasks if task.notice_id == latest]
        ended = any(task.state is CallTaskState.DONE for task in asked)
        called = any(task.state is CallTaskState.OPEN for task in asked)
        assert self.status(latest) is EscalationStatus.SETTLED or called or ended
        for notice_id in self.notices[:-1]:
            assert self.status(notice_id) is EscalationStatus.SUPERSEDED
            assert not any(task.notice_id == notice_id and task.state is CallTaskState.OPEN for task in tasks)

    @invariant()
    def every_queued_delivery_and_every_task_has_its_entry(self):
        leaves = [parse_leaf(leaf) for leaf in self.store._records.entries.values()]
        queued = {leaf.subjects["delivery"] for leaf in leaves if leaf.type == "delivery.queued"}
        later = {str(item.id) for item in self.outward() if item.cause != "first"}
        assert queued == later
        opened = {leaf.subjects["call_task"] for leaf in leaves if leaf.type == "call_task.opened"}
        assert opened == {str(task.id) for task in self.tasks()}


TestEscalations = Escalations.TestCase
TestEscalations.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
