"""Of all open facts, find the one whose answer would change most, so that an analyst asks for it first. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

from notifications.classification import Classification, Nature
from notifications.customer.records import binding_in_force, profile_in_force
from notifications.decision import Verdict
from notifications.decision.customer_situation import scope_of, scope_relation
from notifications.incident import (
    AffectedCustomer,
    Answer,
    Cause,
    Controller,
    IncidentFacts,
    Intent,
    PersonalDataBreach,
    UnlistedCustomers,
)
from notifications.use_cases.incidents.customer_decider import Agreements, CustomerCase, CustomerDecider

_RecordT = TypeVar("_RecordT", bound=Any)

#: Facts of single customers that are tried at most; with more of them open, no single one changes much.
CUSTOMER_FACTS_TRIED_MAX = 40

_YES_NO = (Answer.YES, Answer.NO)
_ANSWERS: Mapping[str, Sequence[object]] = MappingProxyType({
    "inside_perimeter": _YES_NO,
    "intent": (Intent.MALICIOUS, Intent.ACCIDENTAL),
    "cause": tuple(cause for cause in Cause if cause is not Cause.UNKNOWN),
    "security_measures_harmed": _YES_NO,
    "normal_operation_disrupted": _YES_NO,
    "service_level_breached": _YES_NO,
    "damage_to_customer": _YES_NO,
    "may_cause": _YES_NO,
    # The other answer, that data of more customers is harmed, is stated by naming these customers.
    "unlisted_customers": (UnlistedCustomers.NOT_AFFECTED,),
    "affected": _YES_NO,
    "personal_data.breach": tuple(breach for breach in PersonalDataBreach if breach is not PersonalDataBreach.UNKNOWN),
    "personal_data.controller": (Controller.CUSTOMER, Controller.PROVIDER, Controller.JOINT),
    "personal_data.health_data": _YES_NO,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class AnswerOutcome:
    """The result of one answer to an open fact."""

    answer: str
    #: every nature that would still be possible, most protective first
    natures: tuple[Nature, ...]
    priority: str | None
    #: customers per verdict
    tally: Mapping[Verdict, int]
    #: customers whose verdict would differ from the present one
    changed: int


@dataclass(frozen=True, slots=True)
class NextQuestion:
    """An open fact, and the result of each of its answers."""

    #: dotted fact id as in the API
    fact: str
    outcomes: tuple[AnswerOutcome, ...]

    @property
    def changed(self) -> int:
        """Customers whose verdict differs, over all answers."""
        return sum(outcome.changed for outcome in self.outcomes)


@dataclass(frozen=True, slots=True)
class _Group:
    """Customers that get equal decisions whatever the answers are: one of them is decided for all."""

    case: CustomerCase
    size: int


def next_question(
    facts: IncidentFacts, cases: Iterable[CustomerCase], agreements: Agreements, classification: Classification
) -> NextQuestion | None:
    """Return the open fact whose answer would change the verdicts of most customers; None if no fact is open.

    1. Decide each customer. The candidates are the open questions of the classification, and the facts that a verdict
       waits for.
    2. Group the customers that get equal decisions whatever the answers are, so that one of them is decided for all.
    3. Put each answer into the facts, decide again for each group, and count the customers whose verdict differs. The
       mean over the answers is compared, then the number of different natures and priorities; the first candidate wins.
    """
    # 1.
    cases = list(cases)
    now = CustomerDecider(facts, agreements)
    waiting: dict[str, None] = dict.fromkeys(question.fact for question in classification.open_questions)
    verdicts: dict[UUID, Verdict] = {}
    for case in cases:
        decision = now.decide(case)
        verdicts[case.customer.id] = decision.verdict
        waiting.update(dict.fromkeys(decision.missing))
    of_customers = [fact for fact in waiting if fact.startswith("affected_customers.")]
    for fact in of_customers[CUSTOMER_FACTS_TRIED_MAX:]:
        del waiting[fact]
    # 2.
    groups = _groups(
        facts, cases, agreements, asked_one_by_one={fact.split(".")[1] for fact in waiting if fact in of_customers}
    )
    # 3.
    best: tuple[float, int] = (-1.0, -1)
    found: NextQuestion | None = None
    for fact in waiting:
        outcomes = tuple(
            _outcome(answer, CustomerDecider(changed, agreements), groups, verdicts)
            for answer, changed in _answered(facts, fact, agreements)
        )
        if not outcomes:
            continue
        question = NextQuestion(fact, outcomes)
        weight = question.changed / len(outcomes), len({(each.natures, each.priority) for each in outcomes})
        if weight > best:
            best, found = weight, question
    return found


def _outcome(
    answer: str, decider: CustomerDecider, groups: Iterable[_Group], before: Mapping[UUID, Verdict]
) -> AnswerOutcome:
    tally: Counter[Verdict] = Counter(dict.fromkeys(Verdict, 0))
    changed = 0
    for group in groups:
        verdict = decider.decide(group.case).verdict
        tally[verdict] += group.size
        if verdict is not before[group.case.customer.id]:
            changed += group.size
    reference = decider.reference
    return AnswerOutcome(answer, reference.possible_natures, reference.priority, dict(tally), changed)


def _groups(
    facts: IncidentFacts, cases: Iterable[CustomerCase], agreements: Agreements, asked_one_by_one: Collection[str]
) -> Sequence[_Group]:
    stated = {each.customer_id: each for each in facts.affected_customers}
    scope, at = scope_of(facts), facts.aware_at
    sizes: Counter[object] = Counter()
    first: dict[object, CustomerCase] = {}
    for case in cases:
        customer = case.customer
        binding, profile = binding_in_force(case.bindings, at), profile_in_force(case.profiles, at)
        listed = stated.get(customer.id)
        key: object = (
            None if binding is None else agreements.terms(binding, at),
            None if profile is None else profile.choices,
            str(customer.id) if str(customer.id) in asked_one_by_one else None,
            scope_relation(scope, (customer.services, customer.regions, customer.availability_zones))
            if listed is None
            else (
                listed.affected,
                listed.data_harm,
                listed.personal_data.breach,
                listed.personal_data.controller,
                listed.personal_data.health_data,
            ),
        )
        sizes[key] += 1
        first.setdefault(key, case)
    return [_Group(case, sizes[key]) for key, case in first.items()]


def _answered(facts: IncidentFacts, fact: str, agreements: Agreements) -> Iterable[tuple[str, IncidentFacts]]:
    """Return each answer to a fact with the facts that state it; nothing for a fact that cannot be stated so."""
    agreement = agreements.reference
    first, _, rest = fact.partition(".")
    if first in {"impact", "criticality"}:
        levels = agreement.impact_ids if first == "impact" else agreement.criticality_ids
        return [(level, _with_level(facts, first, level)) for level in levels]
    if first == "service_harm":
        return [
            (answer.value, replace(facts, service_harm=_with(facts.service_harm, rest, answer))) for answer in _YES_NO
        ]
    if first == "affected_customers":
        return _answered_of_customer(facts, rest)
    return [(str(answer), _with(facts, fact, answer)) for answer in _ANSWERS.get(fact, ())]


def _answered_of_customer(facts: IncidentFacts, path: str) -> Iterable[tuple[str, IncidentFacts]]:
    identifier, _, fact = path.partition(".")
    stated = next((each for each in facts.affected_customers if str(each.customer_id) == identifier), None)
    if stated is None:
        return []
    first, _, rest = fact.partition(".")
    if first == "data_harm":
        changed = [
            (answer.value, replace(stated, data_harm=_with(stated.data_harm, rest, answer))) for answer in _YES_NO
        ]
    elif first == "personal_data":
        changed = [
            (str(answer), replace(stated, personal_data=_with(stated.personal_data, rest, answer)))
            for answer in _ANSWERS.get(fact, ())
        ]
    else:
        changed = [(str(answer), _with(stated, fact, answer)) for answer in _ANSWERS.get(fact, ())]
    return [(answer, _with_customer(facts, stated.customer_id, each)) for answer, each in changed]


def _with_customer(facts: IncidentFacts, customer_id: UUID, stated: AffectedCustomer) -> IncidentFacts:
    return replace(
        facts,
        affected_customers=tuple(
            stated if each.customer_id == customer_id else each for each in facts.affected_customers
        ),
    )


def _with_level(facts: IncidentFacts, name: str, level: str) -> IncidentFacts:
    return replace(facts, impact=level) if name == "impact" else replace(facts, criticality=level)


def _with(record: _RecordT, name: str, value: object) -> _RecordT:
    changed: _RecordT = replace(record, **{name: value})
    return changed
