"""An agreement, compiled: its conditions as rules over one list of facts."""

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from notifications.agreement.conditions import NATURES, AllOf, AnyOf, Condition, FactIs, level_vocabulary
from notifications.agreement.terms import Agreement, Level, Limb
from notifications.agreement.three_valued import (
    YES,
    Rule,
    all_of,
    any_of,
    constant,
    fact_is,
    first_of,
    none_of,
    outcome_in,
)
from notifications.incident import Property

#: Every fact that rules are evaluated on, by index. Harm to data has two facts: one for the customer in question
#: (``customer_data_harm``), one for all other customers (``other_data_harm``). Levels use the first, the nature uses
#: both. ``service_reached``: the service is affected where this customer uses it.
FACTS: tuple[str, ...] = (
    "inside_perimeter",
    "intent",
    "cause",
    "security_measures_harmed",
    "normal_operation_disrupted",
    "service_level_breached",
    "damage_to_customer",
    "may_cause",
    *(f"service_harm.{harmed.value}" for harmed in Property),
    *(f"other_data_harm.{harmed.value}" for harmed in Property),
    *(f"customer_data_harm.{harmed.value}" for harmed in Property),
    "impact",
    "criticality",
    "personal_data_breach",
    "controller",
    "health_data",
    "touched",
    "service_reached",
)
#: The only answer to a scale that the agreement does not have: its level stays unknown and changes nothing.
_NO_SCALE = ("none",)
INDEX = MappingProxyType({fact: index for index, fact in enumerate(FACTS)})


@dataclass(frozen=True, slots=True)
class LevelRule:
    """A level as a rule, and the rules of its top-level facts, which explain why the level does not hold."""

    level: Level
    rule: Rule
    #: (fact, rule) of each fact at the top level of the condition
    parts: tuple[tuple[str, Rule], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The rules of one agreement."""

    #: the possible answers of each fact, by index
    answers: tuple[tuple[str, ...], ...]
    #: outcome: index into ``NATURES``
    nature: Rule
    #: every limb and exclusion, in the agreement's order
    limbs: tuple[tuple[Limb, Rule], ...]
    #: the default levels and, last, the rule for plain incidents
    levels: tuple[LevelRule, ...]
    #: the event is a security incident
    security_incident: Rule
    #: the service as the customer uses it, or its data, is affected
    concerned: Rule


@lru_cache(maxsize=256)
def reading_of(agreement: Agreement) -> Reading:
    """Return the rules of an agreement; they are compiled once and cached."""
    impacts, criticalities = agreement.impact_ids, agreement.criticality_ids
    vocabulary = level_vocabulary(impacts, criticalities, agreement.priority_ids)
    yes_no = vocabulary["touched"]
    limb_rules = {
        limb.id: _rule(limb.when, agreement, None)
        for definition in agreement.definitions
        for limb in (*definition.limbs, *definition.exclusions)
    }
    tried = first_of(
        [any_of([limb_rules[limb.id] for limb in definition.limbs]) for definition in agreement.definitions],
        otherwise=len(agreement.definitions) - 1,
    )
    nature = _renumbered(tried, tuple(NATURES.index(definition.nature) for definition in agreement.definitions))
    return Reading(
        answers=tuple(vocabulary.get(fact, yes_no) or _NO_SCALE for fact in FACTS),
        nature=nature,
        limbs=tuple(
            (limb, limb_rules[limb.id])
            for definition in agreement.definitions
            for limb in (*definition.limbs, *definition.exclusions)
        ),
        levels=tuple(
            LevelRule(level, _rule(level.when, agreement, nature), _parts(level.when, agreement, nature))
            for level in (*agreement.default_levels, agreement.plain_incident)
        ),
        security_incident=outcome_in(nature, (NATURES.index("security_incident"),)),
        concerned=_concerned(),
    )


def _renumbered(rule: Rule, outcomes: tuple[int, ...]) -> Rule:
    inner = rule.evaluate

    def evaluate(state: list[str | None]) -> int:
        outcome = inner(state)
        return outcome if outcome < 0 else outcomes[outcome]

    return Rule(evaluate, rule.facts)


def _rule(condition: Condition, agreement: Agreement, nature: Rule | None) -> Rule:
    if isinstance(condition, FactIs):
        return _fact_rule(condition.fact, condition.accepted, agreement, nature)
    members = [_rule(member, agreement, nature) for member in condition.conditions]
    if isinstance(condition, AllOf):
        return all_of(members) if members else constant(YES)
    return any_of(members) if isinstance(condition, AnyOf) else none_of(members)


def _fact_rule(fact: str, accepted: tuple[str, ...], agreement: Agreement, nature: Rule | None) -> Rule:
    """Return the rule over ``FACTS`` of a fact that an agreement file names."""
    if fact in INDEX:
        return fact_is(INDEX[fact], accepted)
    if fact == "nature":
        assert nature is not None, "the vocabulary of definitions does not know the nature"
        return outcome_in(nature, tuple(NATURES.index(name) for name in accepted))
    if fact == "priority":
        return priority_in(agreement, accepted)
    if fact == "concerned":
        return _yes_no(_concerned(), accepted)
    kind, _, harmed = fact.partition(".")
    of_data = [_harmed("other_data_harm", harmed), _harmed("customer_data_harm", harmed)]
    return _yes_no(any_of(of_data if kind == "data_harm" else [_harmed("service_harm", harmed), *of_data]), accepted)


def _yes_no(holds: Rule, accepted: tuple[str, ...]) -> Rule:
    if len(accepted) > 1:
        return constant(YES)
    return holds if accepted == ("yes",) else none_of([holds])


def _harmed(kind: str, harmed: str) -> Rule:
    return fact_is(INDEX[f"{kind}.{harmed}"], ("yes",))


def _concerned() -> Rule:
    return any_of(
        [
            fact_is(INDEX["service_reached"], ("yes",)),
            fact_is(INDEX["touched"], ("yes",)),
            *(_harmed("customer_data_harm", harmed.value) for harmed in Property),
        ]
    )


def priority_in(agreement: Agreement, priorities: tuple[str, ...]) -> Rule:
    """Return the rule that impact and criticality give one of the priorities."""
    cells = [cell for cell, priority in agreement.matrix.items() if priority in priorities]
    return any_of(
        [
            all_of([fact_is(INDEX["impact"], (impact,)), fact_is(INDEX["criticality"], (criticality,))])
            for impact, criticality in cells
        ]
    )


def _parts(condition: Condition, agreement: Agreement, nature: Rule) -> tuple[tuple[str, Rule], ...]:
    members = condition.conditions if isinstance(condition, AllOf) else (condition,)
    return tuple((member.fact, _rule(member, agreement, nature)) for member in members if isinstance(member, FactIs))
