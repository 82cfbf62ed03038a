"""Notices that share timestamps over checkpoints: few requests, nothing lost at any step, and every notice is dated."""

import asyncio
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.agreement import bundled_agreements
from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.audit.merkle import leaf_hash, verify_inclusion
from notifications.audit.proof import parse_notice_extra, parse_proof
from notifications.canonical_json import parse_canonical
from notifications.errors import TimestampUnavailableError
from notifications.incident import Cause, Intent
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.incidents.record_incident import record_incident
from notifications.use_cases.incidents.release_notice import release_drafts
from notifications.use_cases.notices.seal_notice import commit_seals
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies
from service.audit_log.shared_timestamps import SharedTimestamps
from service.delivery.sealing_loop import SealingLoop
from service.delivery.worker_settings import StopDeadline, WorkerSettings
from service.system.logging import SystemIdentifiers
from support.domain_facts import known_facts
from support.instant_log import InstantLog
from support.notice_samples import PROVIDER
from support.opened_store import lent_address, opened_at
from support.records import NOW, SALT, make_binding, make_contact, make_customer
from support.sealed_sample import SetClock

ADDRESS = "soc@provider.example"
AGREEMENTS = Agreements(dict(bundled_agreements()), "secnumcloud_iaas_3_0")
AWAY = TimestampUnavailableError("it is away")
#: notices sealed together
TOGETHER = 4


class Signer:
    address = ADDRESS

    def sign_detached(self, content):
        return b"signature over " + content[:40]


class Authority:
    """Gives tokens that say what they are over; ``answers`` must be set for it to answer."""

    independent = True

    def __init__(self):
        self.asked, self.fails = [], None
        self.answers = asyncio.Event()
        self.answers.set()
        self.is_asked = asyncio.Event()

    async def timestamp(self, content):
        self.asked.append(content)
        self.is_asked.set()
        await self.answers.wait()
        if self.fails is not None:
            raise self.fails
        return b"token over " + content


class Provider:
    """A process that seals notices on a store."""

    def __init__(self, store, key, *, own_timestamps_max=2, authority=None):
        self.store, self.key, self.own_timestamps_max = store, key, own_timestamps_max
        self.authority = authority or Authority()
        self.start()

    def start(self):
        """As after a start: nothing that an earlier process knew is known."""
        self.dependencies = SealingDependencies(
            unit_of_work=self.store, log=InstantLog(self.store, self.key), signer=Signer(),
            timestamp_authority=self.authority, clock=SetClock(NOW), identifiers=SystemIdentifiers(),
            agreements=AGREEMENTS, provider=PROVIDER, sender=ADDRESS, own_timestamps_max=self.own_timestamps_max,
            checkpoint_timestamps=SharedTimestamps(self.store, self.authority, SetClock(NOW)),
        )  # fmt: skip
        self.loop = SealingLoop(self.dependencies, WorkerSettings(sealing_together=TOGETHER), StopDeadline(1))

    async def release(self, customers, *, exercise=False):
        act = AuditContext("account:ada", NOW, SystemIdentifiers())

        def work(tx):
            for _ in range(customers):
                customer = make_customer()
                tx.customers.add(customer, SALT)
                tx.customers.add_binding(make_binding(customer, effective_at=NOW - timedelta(days=30)))
                tx.customers.add_contact(make_contact(customer, language="en", takes_exercises=exercise))
            facts = known_facts(
                aware_at=NOW, intent=Intent.MALICIOUS, cause=Cause.ATTACK, impact="I1", criticality="C1"
            )
            incident = record_incident(tx, act, facts, AGREEMENTS, exercise=exercise).incident
            return [notice.id for notice in release_drafts(tx, act, incident.id, 1, AGREEMENTS)]

        return await self.store.write(work)

    async def seals(self, notices):
        return await self.store.read(lambda tx: [tx.notices.seal(each) for each in notices])

    async def tokens(self):
        """Return the number of tokens over checkpoints that the log keeps."""
        return len(await self.store.read(lambda tx: tx.log.timestamped_sizes()))


def dated(seal):
    """Assert that what is kept of a notice dates it: its leaf is under the checkpoint that its token is over."""
    assert parse_canonical(seal.document)["timestamping"] == "by_checkpoint"
    proof = parse_proof(seal.log_proof)
    assert seal.timestamp == b"token over " + proof.checkpoint
    assert seal.timestamp_independent is True
    head = parse_checkpoint_note(proof.checkpoint)
    verify_inclusion(leaf_hash(parse_notice_extra(proof.extra).leaf), proof.index, head.size, proof.hashes, head.root)
    return True


@pytest.fixture(params=["sqlite", "postgresql"])
async def provider(request, tmp_path):
    with lent_address(request.param, tmp_path) as where:
        async with opened_at(where) as store:
            yield Provider(store, Ed25519PrivateKey.generate())


async def test_a_large_release_asks_for_few_tokens_and_a_small_one_for_one_each(provider):
    few = await provider.release(2)
    assert await provider.loop.seal_released() == 2
    for seal in await provider.seals(few):
        assert parse_canonical(seal.document)["timestamping"] == "per_notice"
        assert (seal.timestamp, seal.shares_timestamp) == (b"token over " + seal.signature, False)
    assert (len(provider.authority.asked), await provider.tokens()) == (2, 0)

    provider.authority.asked.clear()
    many = await provider.release(20)
    assert await provider.loop.seal_released() == len(many) >= 20
    assert all(dated(seal) for seal in await provider.seals(many))
    # At most one for each group that is sealed together.
    assert len(provider.authority.asked) == await provider.tokens() <= -(-len(many) // TOGETHER)
    assert await provider.store.read(lambda tx: tx.notices.undated(99)) == []


async def test_the_notices_of_an_exercise_share_too(provider):
    notices = await provider.release(5, exercise=True)
    assert await provider.loop.seal_released() == 5
    for seal in await provider.seals(notices):
        assert dated(seal)
        assert parse_canonical(seal.document)["exercise"] is True


async def test_without_the_setting_every_notice_has_its_own(provider):
    provider.own_timestamps_max = None
    provider.start()
    notices = await provider.release(6)
    await provider.loop.seal_released()
    assert len(provider.authority.asked) == len(notices)
    assert {parse_canonical(seal.document)["timestamping"] for seal in await provider.seals(notices)} == {"per_notice"}


async def test_while_the_authority_is_away_notices_go_and_one_token_dates_them_all_later(provider):
    notices = await provider.release(20)
    provider.authority.fails = AWAY
    assert await provider.loop.seal_released() == 20
    sent = await provider.seals(notices)
    assert all(seal.timestamp is None and seal.log_proof is not None for seal in sent)
    await provider.loop.timestamp_sealed()
    assert provider.loop.failures == {"timestamp_authority": "it is away"}
    undated = await provider.store.read(lambda tx: tx.notices.undated(99))
    assert {item.notice_id for item in undated} == set(notices)
    assert {item.reason for item in undated} == {"it is away"}

    provider.authority.fails = None
    provider.authority.asked.clear()
    await provider.loop.timestamp_sealed()
    assert all(dated(seal) for seal in await provider.seals(notices))
    assert len(provider.authority.asked) == 1
    assert provider.loop.failures == {}
    assert await provider.store.read(lambda tx: tx.notices.undated(99)) == []
    # What had been sent without a timestamp is still what was proven then.
    for seal, before in zip(await provider.seals(notices), sent, strict=True):
        assert parse_proof(seal.log_proof).index == parse_proof(before.log_proof).index
        assert (seal.document, seal.signature) == (before.document, before.signature)


async def test_the_setting_may_be_taken_back_while_notices_wait(provider):
    notices = await provider.release(5)
    provider.authority.fails = AWAY
    await provider.loop.seal_released()
    provider.authority.fails, provider.own_timestamps_max = None, None
    provider.start()
    await provider.loop.timestamp_sealed()
    assert all(dated(seal) for seal in await provider.seals(notices))


async def test_a_crash_after_the_commit_of_the_seals(provider):
    notices = await provider.release(7)
    await commit_seals(notices, provider.dependencies)
    assert provider.authority.asked == []
    # Nothing is served of what is not proven, and a timestamp is not asked for before that.
    await provider.loop.timestamp_sealed()
    assert provider.authority.asked == []
    provider.start()
    await provider.loop.prove_sealed()
    assert all(dated(seal) for seal in await provider.seals(notices))
    assert len(provider.authority.asked) <= 2


class Killed(BaseException):
    """The process ends here: nothing after it runs."""


async def test_a_crash_while_the_authority_answers(provider):
    notices = await provider.release(7)
    await commit_seals(notices, provider.dependencies)
    provider.authority.fails = Killed()
    with pytest.raises(Killed):
        await provider.loop.prove_sealed()
    assert all(seal.log_proof is None for seal in await provider.seals(notices))
    provider.authority.fails = None
    provider.start()
    await provider.loop.prove_sealed()
    assert all(dated(seal) for seal in await provider.seals(notices))


async def test_a_crash_between_the_token_and_the_proofs_asks_for_no_second_token(provider, monkeypatch):
    notices = await provider.release(4)
    await commit_seals(notices, provider.dependencies)

    def killed(*_arguments, **_options):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("notifications.use_cases.notices.seal_notice.record_shared", killed)
        with pytest.raises(Killed):
            await provider.loop.prove_sealed()
    assert (len(provider.authority.asked), await provider.tokens()) == (1, 1)
    # Proof and timestamp are stored together, so that no notice goes out with one of them by mistake.
    assert all(seal.log_proof is None and seal.timestamp is None for seal in await provider.seals(notices))
    provider.start()
    await provider.loop.prove_sealed()
    assert all(dated(seal) for seal in await provider.seals(notices))
    assert len(provider.authority.asked) == 1


async def test_two_processes_prove_the_same_notices(provider):
    notices = await provider.release(6)
    await commit_seals(notices, provider.dependencies)
    other = Provider(provider.store, provider.key, authority=provider.authority)
    await asyncio.gather(provider.loop.prove_sealed(), other.loop.prove_sealed())
    assert all(dated(seal) for seal in await provider.seals(notices))
    # Each process asks for itself at most.
    assert len(provider.authority.asked) <= 2 * 2


async def test_a_process_takes_the_token_that_another_one_obtained(provider):
    notices = await provider.release(4)
    await commit_seals(notices, provider.dependencies)
    await provider.loop.prove_sealed()
    other = Provider(provider.store, provider.key)
    head = await provider.store.read(lambda tx: tx.log.size())
    taken = await other.dependencies.checkpoint_timestamps.covering(head)
    assert (taken.size, other.authority.asked) == (head, [])


async def grown(provider, entries=1):
    """Give the log more entries and a checkpoint over them; return its size."""
    act = AuditContext("account:ada", NOW, SystemIdentifiers())
    for _ in range(entries):
        entry = act.entry("contact.changed", subjects={}, detail={})
        await provider.store.write(lambda tx, entry=entry: tx.audit.append([entry]))
        await provider.dependencies.log.included(entry.id)
    return await provider.store.read(lambda tx: tx.log.size())


async def test_who_comes_while_a_request_is_under_way_shares_the_next_one(provider):
    sharing, authority = provider.dependencies.checkpoint_timestamps, provider.authority
    authority.answers.clear()
    first_size = await grown(provider)
    first = asyncio.create_task(sharing.covering(first_size))
    await authority.is_asked.wait()
    sizes = [await grown(provider) for _ in range(5)]
    others = [asyncio.create_task(sharing.covering(size)) for size in sizes]
    authority.answers.set()
    assert (await first).size == first_size
    assert {found.size for found in await asyncio.gather(*others)} == {sizes[-1]}
    assert len(authority.asked) == 2


async def test_who_waits_for_a_request_that_fails_fails_with_it(provider):
    sharing, authority = provider.dependencies.checkpoint_timestamps, provider.authority
    authority.answers.clear()
    authority.fails = AWAY
    size = await grown(provider)
    waiting = [asyncio.create_task(sharing.covering(size)) for _ in range(5)]
    await authority.is_asked.wait()
    authority.answers.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert {(type(error), str(error)) for error in found} == {(TimestampUnavailableError, "it is away")}
    assert len(authority.asked) == 1
    # Who comes later asks again.
    authority.fails = None
    assert (await sharing.covering(size)).size == size


async def test_a_waiting_notice_that_is_given_up_keeps_no_other_from_its_token(provider):
    sharing, authority = provider.dependencies.checkpoint_timestamps, provider.authority
    authority.answers.clear()
    size = await grown(provider)
    first = asyncio.create_task(sharing.covering(size))
    await authority.is_asked.wait()
    second = asyncio.create_task(sharing.covering(size))
    first.cancel()
    authority.answers.set()
    assert (await second).size == size


async def test_two_processes_get_a_token_over_the_same_checkpoint_at_once_and_keep_one(provider):
    others = [Provider(provider.store, provider.key, authority=provider.authority) for _ in range(4)]
    for _ in range(10):
        size = await grown(provider)
        provider.authority.asked.clear()
        provider.authority.answers.clear()
        waiting = [asyncio.create_task(each.dependencies.checkpoint_timestamps.covering(size)) for each in others]
        while len(provider.authority.asked) < len(others):
            provider.authority.is_asked.clear()
            await provider.authority.is_asked.wait()
        provider.authority.answers.set()
        found = await asyncio.gather(*waiting)
        assert {each.size for each in found} == {size}
        assert len({each.token for each in found}) == 1


async def test_requests_are_so_far_apart_as_is_set_and_the_later_covers_all_that_came(provider):
    pauses = []

    async def sleep(seconds):
        pauses.append(seconds)
        await grown(provider, 2)

    sharing = SharedTimestamps(provider.store, provider.authority, SetClock(NOW), every_seconds=3600, sleep=sleep)
    first = await grown(provider)
    assert (await sharing.covering(first)).size == first
    second = await grown(provider)
    assert (await sharing.covering(second)).size == second + 2
    (pause,) = pauses
    assert 3500 < pause <= 3600
    assert len(provider.authority.asked) == 2
    # What is covered already waits for nothing.
    assert (await sharing.covering(second)).size == second + 2
    assert len(pauses) == 1
