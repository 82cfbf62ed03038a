"""Conditions as data: all that an agreement file can require of facts.

A condition is a table. Each key is a fact with the list of answers that it accepts, or ``all``, ``any`` or ``none``
with a list of conditions; every key of a table must hold. So ``{ intent = ["accidental"], any = [A, B] }`` reads: the
intent is accidental, and A or B holds. The empty table always holds. ``unknown`` is never an answer: a rule over
facts that are not established is evaluated by trying every answer (see ``three_valued``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from notifications.incident import UNKNOWN, Answer, Cause, Controller, Intent, PersonalDataBreach, Property

#: Values of ``Definition.nature``, most protective first.
NATURES = ("security_incident", "incident", "event", "outside_perimeter")

_YES_NO = (Answer.YES.value, Answer.NO.value)
#: Greatest nesting of conditions. A file that nests deeper is taken for a mistake.
_DEPTH_MAX = 16


@dataclass(frozen=True, slots=True)
class FactIs:
    """A fact has one of the accepted answers."""

    fact: str
    #: sorted
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every condition holds; without conditions it always holds."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one condition holds."""

    conditions: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class NoneOf:
    """No condition holds."""

    conditions: "tuple[Condition, ...]"


Condition: TypeAlias = FactIs | AllOf | AnyOf | NoneOf

_GROUPS: Mapping[str, Callable[[tuple[Condition, ...]], Condition]] = {"all": AllOf, "any": AnyOf, "none": NoneOf}

#: Holds for any facts.
ALWAYS = AllOf(())


def event_vocabulary(impacts: tuple[str, ...], criticalities: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return the facts of the event that definitions may name, each with its possible answers.

    ``service_harm.<property>`` is harm to the service, ``data_harm.<property>`` to the data of any customer, and
    ``harm.<property>`` to either.
    """
    return {
        "inside_perimeter": _YES_NO,
        "intent": tuple(intent.value for intent in Intent if intent is not Intent.UNKNOWN),
        "cause": tuple(cause.value for cause in Cause if cause is not Cause.UNKNOWN),
        "security_measures_harmed": _YES_NO,
        "normal_operation_disrupted": _YES_NO,
        "service_level_breached": _YES_NO,
        "damage_to_customer": _YES_NO,
        "may_cause": _YES_NO,
        **{f"{kind}.{harmed.value}": _YES_NO for kind in ("service_harm", "data_harm", "harm") for harmed in Property},
        "impact": impacts,
        "criticality": criticalities,
    }


def level_vocabulary(
    impacts: tuple[str, ...], criticalities: tuple[str, ...], priorities: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Return the facts that levels may name: the facts of the event, and the facts of one customer.

    ``customer_data_harm.<property>`` is harm to this customer's data. ``touched``: the customer's use of the service
    is affected. ``concerned``: the service, as this customer uses it, or its data is affected; a customer is
    concerned unless it is established that it is not.
    """
    return {
        **event_vocabulary(impacts, criticalities),
        "nature": NATURES,
        "priority": priorities,
        **{f"customer_data_harm.{harmed.value}": _YES_NO for harmed in Property},
        "personal_data_breach": tuple(
            breach.value for breach in PersonalDataBreach if breach is not PersonalDataBreach.UNKNOWN
        ),
        "controller": tuple(who.value for who in Controller if who is not Controller.UNKNOWN),
        "health_data": _YES_NO,
        "touched": _YES_NO,
        "concerned": _YES_NO,
    }


def parse_condition(
    table: object,
    vocabulary: Mapping[str, tuple[str, ...]],
    key: str,
    fail: Callable[[str, str], NoReturn],
    depth: int = 0,
) -> Condition:
    """Return the condition that a TOML table states; on any fault calls ``fail(key, reason)``, which raises."""
    if not isinstance(table, dict):
        fail(key, "must be a table of facts and the answers they accept")
    if depth > _DEPTH_MAX:
        fail(key, f"conditions are nested more than {_DEPTH_MAX} deep")
    if depth and not table:
        fail(key, "names no fact: within a group it would always hold")
    parts: list[Condition] = []
    for name, stated in table.items():
        here = f"{key}.{name}"
        if not isinstance(stated, list) or not stated:
            fail(here, "must be a list with at least one entry")
        if name in _GROUPS:
            members = tuple(
                parse_condition(member, vocabulary, f"{here}.{index}", fail, depth + 1)
                for index, member in enumerate(stated)
            )
            parts.append(_GROUPS[name](members))
        elif name not in vocabulary:
            fail(here, f"is not a fact that this condition can name; known facts are {', '.join(vocabulary)}")
        else:
            parts.append(_fact_is(name, stated, vocabulary[name], here, fail))
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _fact_is(
    fact: str, stated: list[object], answers: tuple[str, ...], key: str, fail: Callable[[str, str], NoReturn]
) -> FactIs:
    for answer in stated:
        if answer == UNKNOWN:
            fail(key, "a condition cannot accept the answer unknown")
        if answer not in answers:
            fail(key, f"{answer!r} is not an answer to this fact; known answers are {', '.join(answers)}")
    accepted = tuple(sorted({str(answer) for answer in stated}))
    if len(accepted) != len(stated):
        fail(key, "names the same answer twice")
    return FactIs(fact, accepted)
