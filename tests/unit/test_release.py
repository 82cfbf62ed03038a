"""Four eyes: which rule asks for them, who is refused, and that a refusal releases nothing."""

from dataclasses import replace
from functools import partial
from importlib import resources
from uuid import uuid4

import pytest

from notifications.agreement import bundled_agreements, bundled_dpas, parse_agreement
from notifications.errors import AgreementError, InvalidInputError, StateConflictError, VersionMismatchError
from notifications.notice import NoticeState
from notifications.ports import StoredDecision
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.customer_decider import Agreements, CustomerDecider, customer_case
from notifications.use_cases.incidents.release_notice import (
    FourEyesError,
    FourEyesRule,
    OutdatedDecisionError,
    four_eyes_rule,
    override_release,
    override_releases,
    release_drafts,
    release_notice,
    review_override,
)
from service.system.logging import SystemIdentifiers
from support.memory_store import MemoryStore
from support.records import NOW, after, make_binding, make_customer, make_incident, make_notice

BUNDLED_ID = "secnumcloud_iaas_3_0"
SOURCE = resources.files("notifications.agreement").joinpath(f"{BUNDLED_ID}.toml").read_text(encoding="utf-8")
ADA, GRACE, JOAN = "account:ada", "account:grace", "account:joan"


def agreement_with(lines):
    return parse_agreement(SOURCE.replace(f'id = "{BUNDLED_ID}"', f'id = "strict"\n{lines}', 1).encode(), "strict.toml")


STRICT = agreement_with('four_eyes = true\nfour_eyes_clause = "7.1"')
PLAIN = Agreements(dict(bundled_agreements()) | {"strict": STRICT}, BUNDLED_ID, dpas=bundled_dpas())
BY_SETTING = replace(PLAIN, four_eyes=True)


def act(actor):
    return AuditContext(actor, NOW, SystemIdentifiers())


class Desk:
    """Drafts that Ada wrote, one for each customer."""

    def __init__(self):
        self.store, self.incident = MemoryStore(), make_incident()

    async def draft(self, *, binding=None, drafted_by=ADA, **changes):
        customer = make_customer(**changes)
        notice = make_notice(self.incident, customer, drafted_by=drafted_by)

        def work(tx):
            if tx.incidents.get(self.incident.id) is None:
                tx.incidents.add(self.incident)
            tx.customers.add(customer, b"s" * 32)
            if binding is not None:
                tx.customers.add_binding(make_binding(customer, **binding))
            tx.notices.add([notice])

        await self.store.write(work)
        return notice

    async def rule(self, notice, agreements=PLAIN):
        work = partial(four_eyes_rule, customer_id=notice.customer_id, aware_at=self.incident.facts.aware_at)
        return await self.store.read(lambda tx: work(tx, agreements=agreements))

    async def release(self, actor, agreements=PLAIN):
        return await self.store.write(lambda tx: release_drafts(tx, act(actor), self.incident.id, 1, agreements))

    async def states(self):
        return {item.state for item in await self.store.read(lambda tx: tx.notices.of_incident(self.incident.id))}


@pytest.fixture
def desk():
    return Desk()


class TestRule:
    async def test_none_asks_for_it_by_default(self, desk):
        assert await desk.rule(await desk.draft()) is None

    async def test_the_setting_the_customer_and_the_agreement_each_ask_for_it(self, desk):
        strict = {"agreement_id": "strict"}
        assert await desk.rule(await desk.draft(), BY_SETTING) is FourEyesRule.SETTING
        assert await desk.rule(await desk.draft(four_eyes=True, binding=strict)) is FourEyesRule.CUSTOMER
        assert await desk.rule(await desk.draft(binding=strict)) is FourEyesRule.AGREEMENT

    async def test_the_agreement_is_the_one_in_force_when_the_incident_became_known(self, desk):
        later = {"agreement_id": "strict", "effective_at": after(days=1)}
        assert await desk.rule(await desk.draft(binding=later)) is None

    def test_an_agreement_says_by_which_clause(self):
        assert (STRICT.four_eyes, STRICT.four_eyes_clause) == (True, "7.1")
        assert (PLAIN.reference.four_eyes, PLAIN.reference.four_eyes_clause) == (False, None)

    @pytest.mark.parametrize(
        ("lines", "key", "reason"),
        [
            ('four_eyes = "yes"', "four_eyes", "true or false"),
            ("four_eyes = 1", "four_eyes", "true or false"),
            ("four_eyes = true", "four_eyes_clause", "missing"),
            ('four_eyes = true\nfour_eyes_clause = "99"', "four_eyes_clause", "not among the clauses"),
            ('four_eyes_clause = "7.1"', "four_eyes_clause", "is not a known key"),
        ],
    )
    def test_a_fault_names_file_key_and_reason(self, lines, key, reason):
        with pytest.raises(AgreementError) as caught:
            agreement_with(lines)
        assert (caught.value.file, caught.value.key) == ("strict.toml", key)
        assert reason in caught.value.reason


class TestRelease:
    async def test_whoever_wrote_it_last_is_refused_by_any_rule_and_another_is_not(self, desk):
        await desk.draft()
        with pytest.raises(FourEyesError, match="1 of 1"):
            await desk.release(ADA, BY_SETTING)
        assert await desk.states() == {NoticeState.DRAFT}
        (released,) = await desk.release(GRACE, BY_SETTING)
        assert (released.released_by, released.override_reason) == (GRACE, None)

    async def test_a_refusal_says_how_many_and_whose_and_releases_none(self, desk):
        names = [f"Strict {number}" for number in range(7)]
        for name in names:
            await desk.draft(name=name, four_eyes=True)
        await desk.draft(name="Plain")
        await desk.draft(name="Other", four_eyes=True, drafted_by=GRACE)
        with pytest.raises(FourEyesError) as caught:
            await desk.release(ADA)
        assert f"7 of 9 notice(s), for {', '.join(names[:5])} and 2 other(s), must" in str(caught.value)
        assert await desk.states() == {NoticeState.DRAFT}

    async def test_another_version_than_the_one_that_was_reviewed_is_refused_first(self, desk):
        notice = await desk.draft(four_eyes=True)
        with pytest.raises(VersionMismatchError):
            await desk.store.write(lambda tx: release_notice(tx, act(ADA), notice.id, 2, PLAIN))


class TestOverride:
    async def test_it_passes_the_rule_for_all_of_an_incident(self, desk):
        await desk.draft(four_eyes=True)
        await desk.draft()
        released = await desk.store.write(
            lambda tx: override_releases(tx, act(ADA), desk.incident.id, 1, PLAIN, "Nobody is awake.")
        )
        assert {notice.override_reason for notice in released} == {"Nobody is awake."}
        assert await desk.states() == {NoticeState.RELEASED}

    @pytest.mark.parametrize("reason", ["", " \n "])
    async def test_it_states_a_reason(self, desk, reason):
        notice = await desk.draft()
        with pytest.raises(InvalidInputError):
            await desk.store.write(lambda tx: override_release(tx, act(ADA), notice.id, 1, PLAIN, reason))
        assert await desk.states() == {NoticeState.DRAFT}

    async def test_it_is_reviewed_once_by_whoever_did_not_release_it(self, desk):
        notice = await desk.draft(four_eyes=True)
        await desk.store.write(lambda tx: override_release(tx, act(GRACE), notice.id, 1, PLAIN, "Now."))
        with pytest.raises(FourEyesError):
            await desk.store.write(lambda tx: review_override(tx, act(GRACE), notice.id, 2))
        reviewed = await desk.store.write(lambda tx: review_override(tx, act(ADA), notice.id, 2))
        assert (reviewed.override_reviewed_by, reviewed.override_reviewed_at) == (ADA, NOW)
        with pytest.raises(StateConflictError, match="already"):
            await desk.store.write(lambda tx: review_override(tx, act(JOAN), notice.id, 3))

    async def test_a_release_by_the_rules_has_nothing_to_review(self, desk):
        notice = await desk.draft()
        await desk.release(GRACE)
        with pytest.raises(StateConflictError, match="not released by an override"):
            await desk.store.write(lambda tx: review_override(tx, act(JOAN), notice.id, 2))
        with pytest.raises(StateConflictError):
            await desk.store.write(lambda tx: override_release(tx, act(JOAN), notice.id, 2, PLAIN, str(uuid4())))


BEFORE = {"effective_at": after(days=-900), "recorded_at": after(days=-900)}
LATE = {"effective_at": after(days=-800), "recorded_at": after(days=1), "agreement_id": "strict"}


class TestLateAgreement:
    """An agreement that is recorded after the incident, for the time before it."""

    async def decided(self, desk, *bindings, **changes):
        notice = await desk.draft()

        def work(tx):
            customer = tx.customers.require(notice.customer_id)
            for binding in bindings[:1]:
                tx.customers.add_binding(make_binding(customer, **binding))
            decision = CustomerDecider(desk.incident.facts, PLAIN).decide(customer_case(tx, customer))
            stored = StoredDecision(uuid4(), desk.incident.id, 1, NOW, replace(decision, **changes))
            tx.incidents.add_decisions([stored])
            for binding in bindings[1:]:
                tx.customers.add_binding(make_binding(customer, **binding))

        await desk.store.write(work)
        return notice

    async def test_a_release_by_other_terms_is_refused_and_releases_nothing(self, desk):
        notice = await self.decided(desk, BEFORE, LATE)
        with pytest.raises(OutdatedDecisionError, match="save the facts as a new version"):
            await desk.release(GRACE)
        with pytest.raises(OutdatedDecisionError):
            await desk.store.write(lambda tx: release_notice(tx, act(GRACE), notice.id, 1, PLAIN))
        assert await desk.states() == {NoticeState.DRAFT}

    async def test_one_of_several_refuses_all(self, desk):
        await self.decided(desk, BEFORE)
        await self.decided(desk, BEFORE, LATE)
        with pytest.raises(OutdatedDecisionError, match="1 of 2"):
            await desk.release(GRACE)
        assert await desk.states() == {NoticeState.DRAFT}

    async def test_an_emergency_does_not_wait_for_another_decision(self, desk):
        notice = await self.decided(desk, BEFORE, LATE)
        released = await desk.store.write(
            lambda tx: override_release(tx, act(GRACE), notice.id, 1, PLAIN, "nobody else is here")
        )
        assert released.state is NoticeState.RELEASED

    async def test_terms_that_decide_the_same_or_hold_later_refuse_nothing(self, desk):
        await self.decided(desk, BEFORE, BEFORE | {"recorded_at": after(days=1)})
        await self.decided(desk, BEFORE, LATE | {"effective_at": after(days=1)})
        assert len(await desk.release(GRACE)) == 2

    async def test_terms_that_were_recorded_in_time_are_not_compared(self, desk):
        """A decision of an earlier release may differ in what that release did not record."""
        await self.decided(desk, BEFORE, profile_version=7)
        assert len(await desk.release(GRACE)) == 1
