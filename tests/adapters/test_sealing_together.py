"""Notices sealed together: few statements, the same bytes as one by one, and a fault of one concerns that one alone."""

import json
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.agreement import bundled_agreements
from notifications.audit.entry import parse_leaf
from notifications.errors import (
    LogUnavailableError,
    SealingUnavailableError,
    StoreUnavailableError,
    TimestampUnavailableError,
)
from notifications.incident import Cause, Intent
from notifications.notice import NoticeState
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.incidents.record_incident import record_incident
from notifications.use_cases.incidents.release_notice import release_drafts
from notifications.use_cases.notices.seal_notice import commit_seals
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies
from service.delivery.sealing_loop import SealingLoop
from service.delivery.worker_settings import StopDeadline, WorkerSettings
from service.store.sql.session import Session
from service.system.logging import SystemIdentifiers
from support.domain_facts import known_facts
from support.instant_log import InstantLog
from support.notice_samples import PROVIDER
from support.opened_store import lent_address, opened_at
from support.records import NOW, SALT, make_binding, make_contact, make_customer, make_profile
from support.sealed_sample import SetClock
from support.sqlite_file import new_database

ADDRESS = "soc@provider.example"
AGREEMENTS = Agreements(dict(bundled_agreements()), "secnumcloud_iaas_3_0")
#: at most so many statements for one notice more
STATEMENTS_A_NOTICE = 12


class Signer:
    address = ADDRESS

    def __init__(self):
        #: what happens to a document that names one of these customers
        self.fails = {}

    def sign_detached(self, content):
        for name, error in self.fails.items():
            if name.encode() in content:
                raise error
        return b"signature over " + content[:40]


class Authority:
    independent = False

    def __init__(self):
        self.calls, self.meanwhile = 0, None

    async def timestamp(self, content):
        self.calls += 1
        if self.calls == 1:
            raise TimestampUnavailableError("it is away")
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return b"token over " + content


class Sealing:
    """A store with one released notice for each customer, and what seals them."""

    def __init__(self, store, settings=None):
        self.store, self.signer, self.authority = store, Signer(), Authority()
        self.log = InstantLog(store, Ed25519PrivateKey.generate())
        self.clock = SetClock(NOW)
        self.settings = settings or WorkerSettings()
        self.loop = self.new_loop()

    def dependencies(self):
        return SealingDependencies(
            unit_of_work=self.store, log=self.log, signer=self.signer, timestamp_authority=self.authority,
            clock=self.clock, identifiers=SystemIdentifiers(), agreements=AGREEMENTS, provider=PROVIDER, sender=ADDRESS,
        )  # fmt: skip

    def new_loop(self):
        """As after a start: nothing of an earlier loop is known."""
        return SealingLoop(self.dependencies(), self.settings, StopDeadline(1))

    async def release(self, customers):
        act = AuditContext("account:ada", NOW, SystemIdentifiers())

        def work(tx):
            for number in range(customers):
                customer = make_customer(name=f"Customer {number:03}")
                tx.customers.add(customer, SALT)
                tx.customers.add_binding(make_binding(customer, effective_at=NOW - timedelta(days=30)))
                if number % 2:
                    tx.customers.add_profile(make_profile(customer, effective_at=NOW - timedelta(days=20)))
                for order, language in enumerate(("fr", "en", "de")):
                    zone = "America/Toronto" if number % 3 == order else None
                    tx.customers.add_contact(make_contact(customer, order=order, language=language, time_zone=zone))
            facts = known_facts(
                aware_at=NOW, intent=Intent.MALICIOUS, cause=Cause.ATTACK, impact="I1", criticality="C1"
            )
            incident = record_incident(tx, act, facts, AGREEMENTS).incident
            return {notice.customer_id: notice.id for notice in release_drafts(tx, act, incident.id, 1, AGREEMENTS)}

        released = await self.store.write(work)
        names = await self.store.read(lambda tx: {item.id: item.name for item in tx.customers.all()})
        return {names[customer_id]: notice_id for customer_id, notice_id in released.items()}

    async def sealed(self, notices):
        """Return the seals that are complete, by customer's name; each notice has one entry of a seal at most."""
        found = await self.store.read(lambda tx: {name: tx.notices.seal(each) for name, each in notices.items()})
        entries = await self.store.read(lambda tx: [parse_leaf(item.leaf) for item in tx.audit.entries(0, 10_000)])
        named = [entry.subjects["notice"] for entry in entries if entry.type == "notice.sealed"]
        assert len(named) == len(set(named))
        return {name: seal for name, seal in found.items() if seal is not None and seal.log_proof is not None}


@pytest.fixture(params=["sqlite", "postgresql"])
async def sealing(request, tmp_path):
    with lent_address(request.param, tmp_path) as where:
        async with opened_at(where) as store:
            yield Sealing(store)


async def test_all_are_sealed_proven_and_queued(sealing):
    notices = await sealing.release(21)
    assert await sealing.loop.seal_released() == 21
    seals = await sealing.sealed(notices)
    assert set(seals) == set(notices)
    # The authority was away for the first alone.
    assert sum(seal.timestamp is None for seal in seals.values()) == 1
    for name, notice_id in notices.items():
        queued = await sealing.store.read(lambda tx, each=notice_id: tx.deliveries.of_notice(each))
        contacts = {item.contact_id for item in queued if item.contact_id is not None}
        assert len(queued) == 4, name
        assert len(contacts) == 3
        assert {item.customer_id for item in queued} == {queued[0].customer_id}
    assert await sealing.loop.seal_released() == 0


async def test_a_notice_is_the_same_byte_for_byte_as_sealed_by_itself(tmp_path):
    first, second = new_database(tmp_path / "together.db"), tmp_path / "singly.db"
    async with opened_at(first) as store:
        ids = list((await Sealing(store).release(9)).values())
    shutil.copy(first, second)
    found = []
    for path, size in ((first, 16), (second, 1)):
        async with opened_at(path) as store:
            sealing = Sealing(store)
            sealing.authority.calls = 1
            for start in range(0, len(ids), size):
                assert await commit_seals(ids[start : start + size], sealing.dependencies())
            found.append(await store.read(lambda tx: [tx.notices.seal(each) for each in ids]))
    assert found[0] == found[1]
    assert len({seal.document for seal in found[0]}) == 9


async def test_a_notice_more_costs_few_statements(tmp_path, monkeypatch):
    counted = []
    for name in ("execute", "_row_by_row"):
        whole = getattr(Session, name)

        def counting(self, statement, *rest, whole=whole):
            counted.append(statement)
            return whole(self, statement, *rest)

        monkeypatch.setattr(Session, name, counting)
    read, taken = {}, {}
    for customers in (8, 16):
        async with opened_at(new_database(tmp_path / f"{customers}.db")) as store:
            sealing = Sealing(store)
            counted.clear()
            await sealing.release(customers)
            read[customers] = sum(statement.startswith("SELECT") for statement in counted)
            counted.clear()
            assert await sealing.loop.seal_released() == customers
            taken[customers] = len(counted)
    assert taken[16] - taken[8] <= 8 * STATEMENTS_A_NOTICE, taken
    # The facts of an incident name all its customers: to read them for each notice would take the square of the time.
    assert read[16] == read[8]


async def test_a_fault_of_one_notice_concerns_that_one_alone(sealing):
    notices = await sealing.release(20)
    sealing.signer.fails["Customer 003"] = ValueError("nobody expected this")
    with pytest.raises(ValueError, match="nobody expected this"):
        await sealing.loop.seal_released()
    assert set(await sealing.sealed(notices)) == set(notices) - {"Customer 003"}
    held = await sealing.store.read(lambda tx: tx.notices.get(notices["Customer 003"]))
    assert held.hold_reason == "it cannot be composed, signed or stored: ValueError: nobody expected this"
    # It was given back, so that it is tried again at once.
    sealing.signer.fails.clear()
    assert await sealing.loop.seal_released() == 1
    assert set(await sealing.sealed(notices)) == set(notices)


async def test_a_notice_waits_for_the_one_that_it_follows_unless_that_one_is_held(sealing):
    (first_id,) = (await sealing.release(1)).values()
    later_id, until = SystemIdentifiers().new_id(), NOW + timedelta(minutes=5)

    def lease(tx):
        leased = {notice.id for notice in tx.notices.lease_released(NOW, until, 10)}
        tx.notices.release_leases(leased)
        return leased

    def work(tx):
        first = tx.notices.get(first_id)
        tx.notices.add([replace(first, id=later_id, sequence=2, due_at=first.due_at - timedelta(hours=1), version=1)])
        alone = lease(tx)
        tx.notices.save(replace(first, hold_reason="the key is away", version=first.version + 1), first.version)
        return alone, lease(tx)

    assert await sealing.store.write(work) == ({first_id}, {first_id, later_id})
    # Held ones are tried again, and then in their sequence.
    assert await sealing.loop.seal_released() == 2
    later = await sealing.store.read(lambda tx: tx.notices.seal(later_id))
    assert json.loads(later.document)["supersedes"]["sequence"] == 1


async def test_a_store_that_is_away_for_a_moment_holds_no_notice(sealing):
    notices = await sealing.release(2)
    sealing.signer.fails["Customer 001"] = StoreUnavailableError("the store is away")
    with pytest.raises(StoreUnavailableError):
        await sealing.loop.seal_released()
    left = await sealing.store.read(lambda tx: tx.notices.get(notices["Customer 001"]))
    assert (left.state, left.hold_reason) == (NoticeState.RELEASED, None)


async def test_a_notice_without_a_usable_key_is_held_and_the_others_go(sealing):
    notices = await sealing.release(5)
    sealing.signer.fails["Customer 002"] = SealingUnavailableError("the key is away")
    assert await sealing.loop.seal_released() == 4
    assert set(await sealing.sealed(notices)) == set(notices) - {"Customer 002"}
    held = await sealing.store.read(lambda tx: tx.notices.get(notices["Customer 002"]))
    assert (held.state, held.hold_reason) == (NoticeState.RELEASED, "the key is away")


async def test_a_notice_that_another_process_seals_meanwhile_is_sealed_once(sealing):
    notices = await sealing.release(5)
    other = Sealing(sealing.store)

    async def race():
        assert await commit_seals([notices["Customer 001"]], other.dependencies()) == [notices["Customer 001"]]

    sealing.authority.meanwhile = race
    assert await sealing.loop.seal_released() == 4
    await sealing.loop.prove_sealed()
    assert set(await sealing.sealed(notices)) == set(notices)


async def test_what_was_sealed_before_a_crash_is_proven_after_it(sealing):
    notices = await sealing.release(20)
    committed = await commit_seals(list(notices.values()), sealing.dependencies())
    assert set(committed) == set(notices.values())
    assert await sealing.sealed(notices) == {}
    await sealing.new_loop().prove_sealed()
    assert set(await sealing.sealed(notices)) == set(notices)


async def test_without_the_log_all_are_held_and_proven_once_it_is_back(sealing):
    notices = await sealing.release(3)
    working = sealing.log.all_included

    async def away(_entry_ids):
        raise LogUnavailableError("it has stopped")

    sealing.log.all_included = away
    assert await sealing.loop.seal_released() == 0
    held = await sealing.store.read(lambda tx: tx.notices.some(list(notices.values())))
    assert {item.hold_reason for item in held.values()} == {"the audit log gives no proof: it has stopped"}
    sealing.log.all_included = working
    await sealing.loop.prove_sealed()
    assert set(await sealing.sealed(notices)) == set(notices)


async def test_a_customer_that_was_loaded_and_then_changed_is_read_as_changed(sealing):
    customer = make_customer()
    contact = make_contact(customer)
    binding, profile = make_binding(customer), make_profile(customer)

    def work(tx):
        tx.customers.add(customer, SALT)
        tx.customers.load([customer.id])
        assert (tx.customers.get(customer.id), list(tx.customers.contacts(customer.id))) == (customer, [])
        tx.customers.add_contact(contact)
        tx.customers.add_binding(binding)
        tx.customers.add_profile(profile)
        by_itself = _all_of(tx, customer)
        tx.customers.load([customer.id])
        assert _all_of(tx, customer) == by_itself
        return by_itself

    assert (await sealing.store.write(work))[1:4] == ([contact], [binding], [profile])


def _all_of(tx, customer):
    found = tx.customers
    return (
        found.get(customer.id), list(found.contacts(customer.id)), list(found.bindings(customer.id)),
        list(found.profiles(customer.id)), found.pseudonym(customer.id),
    )  # fmt: skip
