"""decide(facts, classification, agreement, customer, profile): notify or not, why, and by when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from notifications.agreement import Agreement, DeadlineBinding
from notifications.agreement.reading import FACTS
from notifications.classification import Classification
from notifications.classification.event_state import DataHarmTally, event_state, harm_answers
from notifications.customer.records import Customer, LevelChoice, ProfileVersion
from notifications.decision.customer_situation import (
    CustomerSituation,
    ScopeRelation,
    listed_situation,
    scope_of,
    scope_relation,
    unlisted_situation,
)
from notifications.decision.judgement import Judgement, JudgementFinding, judge
from notifications.decision.result import Decision, DueKind, Reason, Verdict
from notifications.incident import AffectedCustomer, Answer, IncidentFacts

#: The provider's own target where neither a priority nor anything else gives one.
_DAY_SECONDS = 86_400

#: Facts of one customer, with their names in the API below ``affected_customers.<id>``.
_OWN_FACTS = {
    "touched": "affected",
    "personal_data_breach": "personal_data.breach",
    "controller": "personal_data.controller",
    "health_data": "personal_data.health_data",
}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A decision without the ids of customer and profile."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    missing: tuple[str, ...]
    due: "_Due | None"
    target_at: datetime | None


class _Due(NamedTuple):
    """When a notice is due, or could be."""

    at: datetime
    kind: DueKind
    binding: DeadlineBinding


class Decider:
    """Decides one version of the facts for any number of customers under one agreement.

    Results are cached per situation. After the first customer of a situation, a customer that the facts do not list
    costs a few look-ups, however many customers are listed.
    """

    def __init__(
        self,
        facts: IncidentFacts,
        classification: Classification,
        agreement: Agreement,
        internal_target_seconds: Mapping[str, int] | None = None,
        target_otherwise_seconds: int | None = None,
    ) -> None:
        self._facts, self._classification, self._agreement = facts, classification, agreement
        self._tally = DataHarmTally.of(facts)
        self._event = event_state(facts, agreement, self._tally.without(None))
        self._stated = {stated.customer_id: stated for stated in facts.affected_customers}
        self._scope = scope_of(facts)
        self._has_scope = any(self._scope)
        self._target_at = facts.aware_at + timedelta(
            seconds=target_seconds(
                agreement, classification.possible_priorities, internal_target_seconds or {}, target_otherwise_seconds
            )
        )
        self._relations: dict[tuple[tuple[str, ...], ...], ScopeRelation] = {}
        self._unlisted: dict[tuple[ScopeRelation, tuple[LevelChoice, ...] | None], _Outcome] = {}

    def decide(self, customer: Customer, profile: ProfileVersion | None) -> Decision:
        """Return the decision for one customer by the profile in force for it, or the default levels.

        The verdict is "notify" if every way of answering the open facts obliges, "do not notify" if none does, and
        "pending" otherwise, with the facts that decide.
        Not checked: whether the customer was bound to the agreement, and since when.
        """
        choices = None if profile is None else profile.choices
        stated = self._stated.get(customer.id)
        breached = False
        if stated is None:
            relation = self._relation(customer)
            outcome = self._unlisted.get((relation, choices))
            if outcome is None:
                situation = unlisted_situation(relation, self._facts.unlisted_customers, self._tally)
                outcome = self._outcome(situation, choices, None)
                self._unlisted[relation, choices] = outcome
        else:
            outcome = self._outcome(listed_situation(stated, self._tally), choices, stated)
            breached = stated.personal_data.breach.of_data is Answer.YES
        return Decision(
            customer.id,
            self._agreement.id,
            None if profile is None or choices is None else profile.version,
            outcome.verdict,
            self._classification.nature,
            self._classification.priority,
            outcome.reasons,
            None if outcome.due is None else outcome.due.at,
            None if outcome.due is None else outcome.due.kind,
            outcome.target_at,
            outcome.missing,
            breached,
            None if outcome.due is None else outcome.due.binding,
        )

    def _relation(self, customer: Customer) -> ScopeRelation:
        if not self._has_scope:
            return ScopeRelation.UNDECLARED
        used = (customer.services, customer.regions, customer.availability_zones)
        relation = self._relations.get(used)
        if relation is None:
            relation = self._relations[used] = scope_relation(self._scope, used)
        return relation

    def _outcome(
        self, situation: CustomerSituation, choices: tuple[LevelChoice, ...] | None, stated: AffectedCustomer | None
    ) -> _Outcome:
        judgement = judge(self._agreement, tuple(situation.placed_in(self._event)), choices)
        due = self._due(judgement)
        return _Outcome(
            verdict=judgement.verdict,
            reasons=tuple(self._reason(finding, stated) for finding in judgement.findings),
            missing=self._fact_ids(judgement.missing, stated),
            due=due,
            target_at=None if due is None else self._target_at,
        )

    def _due(self, judgement: Judgement) -> _Due | None:
        """Return when a notice is due, or could be due, and what kind of deadline that is.

        It is the contractual deadline if that deadline certainly applies. If it only may apply, it is the earlier of
        the contractual deadline and the internal target. If none can apply, it is the internal target.
        """
        if judgement.verdict is Verdict.DO_NOT_NOTIFY:
            return None
        if judgement.deadlines:
            seconds, binding = judgement.deadlines[0]
            deadline_at = self._facts.aware_at + timedelta(seconds=seconds)
            if not judgement.without_deadline or deadline_at < self._target_at:
                return _Due(deadline_at, DueKind.CONTRACTUAL, binding)
        return _Due(self._target_at, DueKind.INTERNAL_TARGET, DeadlineBinding.NO_NUMBER)

    def _reason(self, finding: JudgementFinding, stated: AffectedCustomer | None) -> Reason:
        missing = self._fact_ids(finding.missing, stated) if finding.missing else ()
        return Reason(finding.id, finding.clause, finding.holds, finding.obliges, finding.message, missing)

    def _fact_ids(self, facts: tuple[int, ...], stated: AffectedCustomer | None) -> tuple[str, ...]:
        """Return fact ids as the API names them.

        The ids do not identify other customers, because a customer may see its decision.
        """
        ids: dict[str, None] = {}
        for fact in facts:
            kind, _, harmed = FACTS[fact].partition(".")
            if kind == "other_data_harm":
                own_open = stated is not None and dict(harm_answers(stated.data_harm))[harmed] is None
                if len(self._tally.open[harmed]) > own_open:
                    ids[f"affected_customers.data_harm.{harmed}"] = None
                if self._tally.unlisted_open:
                    ids["unlisted_customers"] = None
            elif kind in _OWN_FACTS or kind == "customer_data_harm":
                own = _OWN_FACTS.get(kind, f"data_harm.{harmed}")
                ids[_own_fact(stated.customer_id, own) if stated else "unlisted_customers"] = None
            else:
                ids[FACTS[fact]] = None
        return tuple(ids)


def target_seconds(
    agreement: Agreement,
    priorities: Sequence[str],
    own_targets_seconds: Mapping[str, int],
    otherwise_seconds: int | None = None,
) -> int:
    """Return the provider's own target in seconds from awareness; the shortest if several priorities are possible.

    Of a priority it is the provider's own, else its GTI, else the longest GTI of the agreement. Without a priority it
    is ``otherwise_seconds``, else a day.
    """
    guaranteed = [priority.gti_seconds for priority in agreement.priorities if priority.gti_seconds is not None]
    longest = max(guaranteed, default=otherwise_seconds or _DAY_SECONDS)

    def target(priority: str) -> int:
        gti_seconds = agreement.gti_seconds(priority)
        return own_targets_seconds.get(priority, longest if gti_seconds is None else gti_seconds)

    return min(map(target, priorities), default=otherwise_seconds or _DAY_SECONDS)


def _own_fact(customer_id: UUID, fact: str) -> str:
    return f"affected_customers.{customer_id}.{fact}"


def decide(
    facts: IncidentFacts,
    classification: Classification,
    agreement: Agreement,
    customer: Customer,
    profile: ProfileVersion | None,
    internal_target_seconds: Mapping[str, int] | None = None,
) -> Decision:
    """Return the decision for one customer as ``Decider`` makes it; use ``Decider`` directly for many customers.

    ``internal_target_seconds``: the provider's own targets by priority; the agreement's GTI for a missing priority.
    """
    return Decider(facts, classification, agreement, internal_target_seconds).decide(customer, profile)
