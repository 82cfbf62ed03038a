"""The engine against a model: releases, crashes, outcomes, clocks, bounces and people in any order.

The use cases are the real ones, the store is in memory, the clock is turned by hand. Workers are cut where a crash may
cut them: between lease and seal, seal and proof, lease and send, send and record; some record late, when their lease
has run out and another worker was quicker.
"""

import asyncio
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from notifications.agreement import bundled_agreements
from notifications.audit.entry import parse_leaf
from notifications.delivery.acknowledgement import AcknowledgedVia
from notifications.delivery.delivery import ChannelKind, DeliveryState, Outcome, OutcomeKind
from notifications.errors import SealingUnavailableError, TimestampUnavailableError
from notifications.incident import Cause, Intent
from notifications.mail.bounce_parser import BounceReport
from notifications.mail.bounce_record import BounceKind
from notifications.mail.return_path import ReturnPath
from notifications.notice import NoticeState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.incidents.record_incident import record_incident
from notifications.use_cases.incidents.release_notice import release_drafts
from notifications.use_cases.notices.acknowledge_notice import acknowledge_notice
from notifications.use_cases.notices.deliver_notice import DeliveryDependencies, attempt_notice, record_attempt
from notifications.use_cases.notices.escalate import escalate
from notifications.use_cases.notices.pause_channel import pause_channel, resume_channel
from notifications.use_cases.notices.process_bounce import process_bounce
from notifications.use_cases.notices.seal_notice import commit_seals, prove_notices
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies
from service.system.logging import SystemIdentifiers
from support.clocks import SteppedClock
from support.domain_facts import known_facts
from support.instant_log import InstantLog
from support.memory_store import MemoryStore
from support.notice_samples import PROVIDER
from support.records import SALT, make_binding, make_contact, make_customer

ADDRESS = "soc@provider.example"
DOMAIN = ADDRESS.partition("@")[2]
AGREEMENTS = Agreements(dict(bundled_agreements()), "secnumcloud_iaas_3_0")
LEASE = timedelta(seconds=300)
#: outcome kind, code, enhanced status
OUTCOMES = [
    (OutcomeKind.ACCEPTED, 250, "2.0.0"),
    (OutcomeKind.TRANSIENT_FAILURE, 451, "4.7.1"),
    (OutcomeKind.TRANSIENT_FAILURE, None, None),
    (OutcomeKind.PERMANENT_FAILURE, 550, "5.1.1"),
    (OutcomeKind.PERMANENT_FAILURE, 550, "5.7.1"),
    (OutcomeKind.REFUSED_HERE, None, None),
]


def outcome_of(kind, code, status):
    return Outcome(kind, code, status, "as the model says", None, None, None, None)


ACCEPTED = outcome_of(*OUTCOMES[0])


#: What happens, as often as it stands here.
ACTIONS = (
    *["deliver"] * 5, *["time_passes"] * 4, *["seal"] * 2, "prove", "race", "record_late", "record_late", "bounce",
    "bounce", "clocks_strike", "declare_and_release", "acknowledge", "pause", "key",
)  # fmt: skip


class Signer:
    address = ADDRESS
    usable = True

    def sign_detached(self, content):
        if not self.usable:
            raise SealingUnavailableError("the key is away")
        return b"\x30\x00"


class NoAuthority:
    independent = True

    async def timestamp(self, content):
        raise TimestampUnavailableError("there is none")


class Channel:
    """Says what the model says, and remembers to whom."""

    def __init__(self, kind):
        self.kind, self.says, self.sends = kind, ACCEPTED, []

    async def send(self, *, sender, recipient, message_id, content, return_path=None):
        self.sends.append((message_id, recipient))
        return self.says


class DeliveryMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = SteppedClock(datetime(2026, 3, 2, 10, 0, tzinfo=UTC))
        self.store, self.signer = MemoryStore(), Signer()
        self.mail, self.console = Channel(ChannelKind.EMAIL), Channel(ChannelKind.CONSOLE)
        self.identifiers = SystemIdentifiers()
        sealing = SealingDependencies(
            unit_of_work=self.store, log=InstantLog(self.store, Ed25519PrivateKey.generate()), signer=self.signer,
            timestamp_authority=NoAuthority(), clock=self.clock, identifiers=self.identifiers,
            agreements=AGREEMENTS, provider=PROVIDER, sender=ADDRESS,
        )  # fmt: skip
        self.delivering = DeliveryDependencies(
            sealing, {ChannelKind.EMAIL: self.mail, ChannelKind.CONSOLE: self.console}, "Sender", lambda: 0.5
        )
        self.sealing = sealing
        # -- the model
        self.released = set()
        #: deliveries that a next hop took and that have not come back, as far as it is recorded
        self.taken = set()
        self.came_back = set()
        self.attempts = Counter()
        #: what workers have in hand: a send made and not recorded
        self.in_hand = []
        self.paused = False

    def teardown(self):
        try:
            self.runner.run(self._everything_arrives())
        finally:
            self.runner.close()

    def write(self, work):
        return self.runner.run(self.store.write(work))

    def read(self, work):
        return self.runner.run(self.store.read(work))

    def act(self, actor="account:ada"):
        return AuditContext(actor, self.clock.now(), self.identifiers)

    @property
    def records(self):
        return self.store._records

    @initialize(contacts=st.lists(st.integers(1, 3), min_size=1, max_size=3))
    def customers(self, contacts):
        self.address_of, self.customer_of = {}, {}

        def work(tx):
            for count in contacts:
                customer = make_customer(acknowledge_within_seconds=3600)
                tx.customers.add(customer, SALT)
                tx.customers.add_binding(make_binding(customer, effective_at=self.clock.now() - timedelta(days=30)))
                for number in range(count):
                    contact = make_contact(customer, order=number, fallback=number == 2, language="en")
                    tx.customers.add_contact(contact)
                    self.address_of[contact.id] = contact.email
                    self.customer_of[contact.email] = customer.id

        self.write(work)
        self.declare_and_release()

    @rule(
        what=st.sampled_from(ACTIONS), outcome=st.sampled_from(OUTCOMES),
        seal_crash=st.sampled_from([None, None, "leased", "sealed"]),
        send_crash=st.sampled_from([None, None, "leased", "sent", "late"]),
        seconds=st.sampled_from([1, 61, 301, 3700, 100_000]), pick=st.integers(0, 99),
        status=st.sampled_from(["5.1.1", "5.7.1", "4.4.7"]),
    )  # fmt: skip
    def something_happens(self, what, outcome, seal_crash, send_crash, seconds, pick, status):
        """One rule for all: of many rules a run would leave most out, and then little comes of the others."""
        given = {
            "seal": (seal_crash,), "deliver": (outcome, send_crash), "race": (outcome,), "time_passes": (seconds,),
            "key": (pick % 4 > 0,), "acknowledge": (pick,), "bounce": (pick, status),
        }  # fmt: skip
        getattr(self, what)(*given.get(what, ()))

    # -- people

    def declare_and_release(self):
        if len(self.released) > 8:
            return
        facts = known_facts(
            aware_at=self.clock.now(), intent=Intent.MALICIOUS, cause=Cause.ATTACK, impact="I1", criticality="C1"
        )

        def work(tx):
            incident = record_incident(tx, self.act(), facts, AGREEMENTS).incident
            return release_drafts(tx, self.act(), incident.id, 1, AGREEMENTS)

        notices = self.write(work)
        assert {notice.customer_id for notice in notices} == set(self.records.customers)
        self.released |= {notice.id for notice in notices}

    def pause(self):
        if self.paused:
            self.resume()
            return
        self.write(lambda tx: pause_channel(tx, self.act(), ChannelKind.EMAIL, reason="relay", until=None))
        self.paused = True

    def resume(self):
        self.write(lambda tx: resume_channel(tx, self.act(), ChannelKind.EMAIL))
        self.paused = False

    def key(self, usable):
        self.signer.usable = usable

    def acknowledge(self, pick):
        if sealed := list(self.records.sealed):
            self.write(
                lambda tx: acknowledge_notice(tx, self.act(), sealed[pick % len(sealed)], via=AcknowledgedVia.API)
            )

    # -- time

    def time_passes(self, seconds):
        self.clock.step(timedelta(seconds=seconds))

    def clocks_strike(self):
        now = self.clock.now()
        policy = self.sealing.escalation
        for clock in self.read(lambda tx: tx.escalations.due(now, 100)):
            self.write(lambda tx, of=clock.notice_id: escalate(tx, self.act("system:escalation"), of, policy, DOMAIN))

    # -- workers

    def seal(self, crash):
        now = self.clock.now()
        for notice in self.write(lambda tx: tx.notices.lease_released(now, now + LEASE, 2)):
            if crash == "leased":
                continue
            if self.runner.run(commit_seals([notice.id], self.sealing)) and crash != "sealed":
                self.runner.run(prove_notices([notice.id], self.sealing))

    def prove(self):
        for notice_id in self.read(lambda tx: tx.notices.without_log_proof(10)):
            self.runner.run(prove_notices([notice_id], self.sealing))

    def _leased(self, limit):
        now = self.clock.now()

        def work(tx):
            paused = {pause.channel for pause in tx.deliveries.channel_pauses()}
            return list(tx.deliveries.lease(now, now + LEASE, limit, except_channels=paused))

        due = self.write(work)
        assert not (self.paused and any(item.delivery.channel is ChannelKind.EMAIL for item in due))
        return due

    def deliver(self, outcome, crash):
        for due in self._leased(2):
            if crash == "leased":
                continue
            self.mail.says = outcome_of(*outcome)
            sent = self.runner.run(attempt_notice(due, self.delivering))
            if crash == "late":
                self.in_hand.append((due, sent))
            elif crash is None:
                self._record(due, sent)

    def race(self, outcome):
        """A lease runs out while its worker sends; another worker sends too, and records first."""
        for _ in range(2):
            for due in self._leased(1):
                self.mail.says = outcome_of(*outcome) if not self.in_hand else ACCEPTED
                self.in_hand.append((due, self.runner.run(attempt_notice(due, self.delivering))))
            self.clock.step(LEASE + timedelta(seconds=1))
        while self.in_hand:
            self._record(*self.in_hand.pop())

    def record_late(self):
        if self.in_hand:
            self._record(*self.in_hand.pop(0))

    def _record(self, due, sent):
        self.runner.run(record_attempt(due, self.delivering, sent))
        self.attempts[due.delivery.id] += 1
        if sent.outcome.kind is OutcomeKind.ACCEPTED:
            self.taken.add(due.delivery.id)

    def bounce(self, pick, status):
        sent = [
            item
            for item in self.records.deliveries.values()
            if item.state is DeliveryState.SENT and item.channel is ChannelKind.EMAIL
        ]
        if not sent:
            return
        delivery = sent[pick % len(sent)]
        path = ReturnPath(delivery.id, delivery.attempts, self.clock.now())
        report = BounceReport(BounceKind.FAILED, status, "no", "mx.example")
        content = f"{len(self.records.returned)}".encode()
        taken = self.write(lambda tx: process_bounce(tx, self.act("system:returns"), path, content, report, jitter=0.5))
        if taken.reopened:
            self.taken.discard(delivery.id)
            self.came_back.add(delivery.id)

    # -- what must hold

    @invariant()
    def no_released_notice_is_lost(self):
        for notice_id in self.released:
            notice = self.records.notices[notice_id]
            if notice.state is NoticeState.RELEASED:
                assert notice_id not in self.records.sealed
                continue
            assert notice.state is NoticeState.SEALED
            own = [item for item in self.records.deliveries.values() if item.notice_id == notice_id]
            served = {
                contact.id
                for contact in self.records.contacts.values()
                if contact.customer_id == notice.customer_id and not contact.fallback
            }
            assert served <= {item.contact_id for item in own}
            assert any(item.channel is ChannelKind.CONSOLE for item in own)

    @invariant()
    def nothing_waits_without_a_time_and_nothing_fails_without_a_reason(self):
        for delivery in self.records.deliveries.values():
            if delivery.state is DeliveryState.QUEUED:
                assert delivery.next_attempt_at is not None
            else:
                assert delivery.next_attempt_at is None
            if delivery.state is DeliveryState.FAILED:
                assert delivery.last_error

    @invariant()
    def what_was_taken_stays_sent_and_nothing_else_is_called_sent(self):
        for delivery in self.records.deliveries.values():
            assert (delivery.state is DeliveryState.SENT) == (delivery.id in self.taken), delivery

    @invariant()
    def one_delivery_has_one_message_id_and_goes_to_its_own_customer(self):
        by_message = {item.message_id: item for item in self.records.deliveries.values()}
        assert len(by_message) == len(self.records.deliveries)
        for message_id, recipient in self.mail.sends:
            delivery = by_message[message_id]
            assert recipient == self.address_of[delivery.contact_id]
            assert self.customer_of[recipient] == delivery.customer_id
            assert self.records.notices[delivery.notice_id].customer_id == delivery.customer_id

    @invariant()
    def every_attempt_is_numbered_and_every_change_has_its_entry(self):
        numbers, entries = defaultdict(list), defaultdict(Counter)
        for delivery_id, number in self.records.attempts:
            numbers[delivery_id].append(number)
        for leaf in map(parse_leaf, self.records.entries.values()):
            entries[leaf.type][leaf.subjects.get("delivery") or leaf.subjects.get("notice")] += 1
        for delivery in self.records.deliveries.values():
            assert sorted(numbers[delivery.id]) == list(range(1, delivery.attempts + 1))
            assert delivery.attempts == self.attempts[delivery.id]
            assert entries["delivery.attempted"][str(delivery.id)] == delivery.attempts
            assert entries["delivery.queued"][str(delivery.id)] == 1
        for notice_id in self.records.sealed:
            assert entries["notice.sealed"][str(notice_id)] == 1

    async def _everything_arrives(self):
        """Whatever happened: once everything is mended, every notice arrives, or stands failed with a reason."""
        if not hasattr(self, "address_of"):
            return
        self.signer.usable, self.mail.says = True, ACCEPTED
        if self.paused:
            await self.store.write(lambda tx: resume_channel(tx, self.act(), ChannelKind.EMAIL))
        for _ in range(60):
            now = self.clock.now()
            for notice in await self.store.write(lambda tx, now=now: tx.notices.lease_released(now, now + LEASE, 50)):
                await commit_seals([notice.id], self.sealing)
            for notice_id in await self.store.read(lambda tx: tx.notices.without_log_proof(50)):
                await prove_notices([notice_id], self.sealing)
            for due in await self.store.write(lambda tx, now=now: list(tx.deliveries.lease(now, now + LEASE, 500))):
                await record_attempt(due, self.delivering, await attempt_notice(due, self.delivering))
            states = {item.state for item in self.records.deliveries.values()}
            sealed = all(self.records.notices[one].state is NoticeState.SEALED for one in self.released)
            if sealed and DeliveryState.QUEUED not in states:
                break
            self.clock.step(timedelta(minutes=10))
        else:
            raise AssertionError("something stands still")
        assert not any(until > self.clock.now() for until in self.records.leases.values())


DeliveryMachine.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestDelivery = DeliveryMachine.TestCase
