"""Three-valued rules: a result is settled exactly when every way of answering the open facts gives the same result.

Kleene's logic, which only propagates "unknown", would leave results open that are settled: with the intent unknown and
integrity harmed, an event is a security incident either way. So a rule is first evaluated on the known facts. If they
do not settle it, the rule names a fact that it waits for, and each answer to that fact is tried in turn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

#: One answer per fact, by the fact's index; None is unknown.
State: TypeAlias = list[str | None]

#: Evaluates to an outcome (0 or more), or to ``~index`` of an unknown fact that the rule waits for.
Evaluate: TypeAlias = Callable[[State], int]

NO, YES = 0, 1


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule over facts. It is settled once every fact that it names is known, and often earlier."""

    evaluate: Evaluate
    #: indices of the facts that it names
    facts: frozenset[int]


def fact_is(fact: int, accepted: Sequence[str]) -> Rule:
    """Return the rule that a fact has one of the accepted answers."""
    answers = frozenset(accepted)

    def evaluate(state: State) -> int:
        answer = state[fact]
        if answer is None:
            return ~fact
        return YES if answer in answers else NO

    return Rule(evaluate, frozenset({fact}))


def all_of(rules: Sequence[Rule]) -> Rule:
    """Return the rule that every rule holds."""
    return _folded(rules, NO)


def any_of(rules: Sequence[Rule]) -> Rule:
    """Return the rule that at least one rule holds."""
    return _folded(rules, YES)


def _folded(rules: Sequence[Rule], dominating: int) -> Rule:
    """Return the rule that has the dominating outcome once one of the rules has it, and the other where none can."""
    if len(rules) == 1:
        return rules[0]
    evaluates = tuple(rule.evaluate for rule in rules)
    other = YES - dominating

    def evaluate(state: State) -> int:
        result = other
        for each in evaluates:
            outcome = each(state)
            if outcome == dominating:
                return dominating
            if outcome < 0 <= result:
                result = outcome
        return result

    return Rule(evaluate, _facts(rules))


def none_of(rules: Sequence[Rule]) -> Rule:
    """Return the rule that no rule holds."""
    holds = any_of(rules)

    def evaluate(state: State) -> int:
        outcome = holds.evaluate(state)
        return outcome if outcome < 0 else YES - outcome

    return Rule(evaluate, holds.facts)


def first_of(rules: Sequence[Rule], otherwise: int) -> Rule:
    """Return the rule whose outcome is the index of the first rule that holds, or ``otherwise``."""
    evaluates = tuple(rule.evaluate for rule in rules)

    def evaluate(state: State) -> int:
        for index, each in enumerate(evaluates):
            outcome = each(state)
            if outcome < 0:
                return outcome
            if outcome == YES:
                return index
        return otherwise

    return Rule(evaluate, _facts(rules))


def outcome_in(rule: Rule, accepted: Sequence[int]) -> Rule:
    """Return the rule that another rule's outcome is one of those accepted."""
    outcomes_accepted, inner = frozenset(accepted), rule.evaluate

    def evaluate(state: State) -> int:
        outcome = inner(state)
        if outcome < 0:
            return outcome
        return YES if outcome in outcomes_accepted else NO

    return Rule(evaluate, rule.facts)


def constant(outcome: int) -> Rule:
    """Return the rule that has the same outcome for any facts."""
    return Rule(lambda _state: outcome, frozenset())


def possible_outcomes(rule: Rule, state: State, answers: Sequence[Sequence[str]], at_most: int) -> frozenset[int]:
    """Return every outcome that the open facts allow; stops early once ``at_most`` different ones are found.

    ``answers`` gives the possible answers by fact index. ``state`` is changed during the search and then restored.
    """
    found: set[int] = set()
    _explore(rule.evaluate, state, answers, at_most, found)
    return frozenset(found)


def _explore(evaluate: Evaluate, state: State, answers: Sequence[Sequence[str]], at_most: int, found: set[int]) -> None:
    outcome = evaluate(state)
    if outcome >= 0:
        found.add(outcome)
        return
    fact = ~outcome
    for answer in answers[fact]:
        state[fact] = answer
        _explore(evaluate, state, answers, at_most, found)
        if len(found) >= at_most:
            break
    state[fact] = None


def depends_on(rule: Rule, state: State, answers: Sequence[Sequence[str]], fact: int) -> bool:
    """Return whether an open fact can still change the outcome.

    It can if, for some answers to the other open facts, different answers to this fact give different outcomes.
    """
    if state[fact] is not None or fact not in rule.facts:
        return False
    variants = [[*state[:fact], answer, *state[fact + 1 :]] for answer in answers[fact]]
    return _differ(rule.evaluate, variants, answers)


def _differ(evaluate: Evaluate, variants: list[State], answers: Sequence[Sequence[str]]) -> bool:
    settled = waiting = None
    for variant in variants:
        outcome = evaluate(variant)
        if outcome < 0:
            waiting = ~outcome
        elif settled is None:
            settled = outcome
        elif outcome != settled:
            return True
    if waiting is None:
        return False
    differ = False
    for answer in answers[waiting]:
        for variant in variants:
            variant[waiting] = answer
        if _differ(evaluate, variants, answers):
            differ = True
            break
    for variant in variants:
        variant[waiting] = None
    return differ


def _facts(rules: Sequence[Rule]) -> frozenset[int]:
    return frozenset().union(*(rule.facts for rule in rules))
