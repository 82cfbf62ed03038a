"""An oracle of the agreement, written only from its text, by brute force.

It shares no code and no method with the program. Each unknown fact is replaced by every possible answer. The definition
is applied literally to each of these completely known cases. A result is settled if it is the same in every case.

Facts are plain strings here. Security properties are in the order availability, integrity, confidentiality,
traceability (A, I, C, T).
"""

from array import array
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

# --- 3.2: what an event is -------------------------------------------------------------------------------------------

#: Most protective first: an open question never makes an event look smaller than it may be.
NATURES = ("security_incident", "incident", "event", "outside_perimeter")

PROPERTIES = ("availability", "integrity", "confidentiality", "traceability")
A, I, C, T = range(4)  # noqa: E741 -- the four letters are the trade's own


class Known(NamedTuple):
    """One completely known case."""

    inside: bool
    malicious: bool  # else accidental
    service: tuple[bool, ...]  # A, I, C, T of the service
    data: tuple[tuple[bool, ...], ...]  # A, I, C, T of the data of each customer
    measures: bool  # existing security measures harmed
    disrupted: bool  # normal operation disrupted


def limb_a(known: Known) -> bool:
    """3.2 (a): intentionally malicious."""
    return known.malicious


def limb_b(known: Known) -> bool:
    """3.2 (b): accidental, and harms integrity, confidentiality or traceability of service or customers' data."""
    return not known.malicious and any(harm[I] or harm[C] or harm[T] for harm in (known.service, *known.data))


def limb_c(known: Known) -> bool:
    """3.2 (c): harms existing security measures."""
    return known.measures


def nature_of(known: Known) -> str:
    """Apply 3.2 to a completely known case."""
    if not known.inside:
        return "outside_perimeter"  # 7.1, 9.2
    if limb_a(known) or limb_b(known) or limb_c(known):
        return "security_incident"
    if known.disrupted or known.service[A] or any(any(harm) for harm in known.data):
        return "incident"
    return "event"


#: The possible answers to a fact.
COMPLETIONS = {"yes": (True,), "no": (False,), "unknown": (False, True)}
COMPLETIONS |= {"malicious": (True,), "accidental": (False,)}


class Stated(NamedTuple):
    """Facts as stated, each ``yes``, ``no`` or ``unknown`` (intent: ``malicious``, ``accidental``, ``unknown``)."""

    inside: str
    intent: str
    service: tuple[str, str, str, str]
    data: tuple[tuple[str, str, str, str], ...]  # one per customer that the facts list
    measures: str
    disrupted: str
    unlisted: str = "not_affected"  # or "unknown": some customer that is not listed may be harmed in any property

    def cases(self) -> Iterator[Known]:
        """Enumerate every completely known case that the stated facts allow."""
        data = self.data if self.unlisted == "not_affected" else (*self.data, ("unknown",) * 4)
        for inside, malicious, service, harms, measures, disrupted in product(
            COMPLETIONS[self.inside],
            COMPLETIONS[self.intent],
            tuple(product(*(COMPLETIONS[answer] for answer in self.service))),
            tuple(product(*(tuple(product(*(COMPLETIONS[answer] for answer in harm))) for harm in data))),
            COMPLETIONS[self.measures],
            COMPLETIONS[self.disrupted],
        ):
            yield Known(inside, malicious, service, harms, measures, disrupted)


def possible_natures(stated: Stated) -> frozenset[str]:
    """Return the natures of all cases, by enumeration."""
    return frozenset(nature_of(known) for known in stated.cases())


def protective_first(natures: frozenset[str]) -> tuple[str, ...]:
    """Return natures in the order most protective first."""
    return tuple(nature for nature in NATURES if nature in natures)


def three_valued(outcomes: frozenset[bool]) -> str:
    """Return ``yes`` or ``no`` where all cases agree, else ``unknown``."""
    return "unknown" if len(outcomes) == 2 else "yes" if True in outcomes else "no"


# --- the whole fact space, with one listed customer ------------------------------------------------------------------

#: The twelve facts in 3.2; ``data_harm`` is that of the one listed customer.
FACTS = (
    "inside_perimeter",
    "intent",
    *(f"service_harm.{harmed}" for harmed in PROPERTIES),
    *(f"data_harm.{harmed}" for harmed in PROPERTIES),
    "security_measures_harmed",
    "normal_operation_disrupted",
)
NO, YES, OPEN = range(3)
DIGIT_TEXT = ("no", "yes", "unknown")
INTENT_TEXT = ("accidental", "malicious", "unknown")
#: Weight of each fact in the index of a point: the index is the point read as a number in base 3.
WEIGHTS = tuple(3 ** (len(FACTS) - 1 - position) for position in range(len(FACTS)))
SPACE = 3 ** len(FACTS)  # 531,441

#: Sets of natures as bits, in the order of NATURES.
NATURES_OF_BITS = tuple(
    tuple(nature for place, nature in enumerate(NATURES) if bits >> place & 1) for bits in range(1 << len(NATURES))
)


def stated_of(point: tuple[int, ...]) -> Stated:
    """Return the stated facts of a point of the space."""
    text = [DIGIT_TEXT[digit] for digit in point]
    return Stated(text[0], INTENT_TEXT[point[1]], tuple(text[2:6]), (tuple(text[6:10]),), text[10], text[11])


class WholeSpace(NamedTuple):
    """Results for each point of the whole space, by index."""

    #: the possible natures as bits
    natures: bytearray
    #: the open facts on which the nature depends in at least one case, as bits in the order of FACTS
    matters: array


@cache
def whole_space() -> WholeSpace:
    """Compute the results for every point.

    The cases of a point with an open fact are those of the point where it is answered no, and those where it is
    answered yes; the results are collected by that rule from the 4,096 completely known points up, so that every point
    has exactly the results of all its cases.
    """
    natures = bytearray(SPACE)
    matters = array("H", bytes(2 * SPACE))
    for index, point in enumerate(product(range(3), repeat=len(FACTS))):
        if OPEN not in point:
            natures[index] = 1 << NATURES.index(nature_of(next(stated_of(point).cases())))
            continue
        first = point.index(OPEN)
        as_no, as_yes = index - 2 * WEIGHTS[first], index - WEIGHTS[first]
        natures[index] = natures[as_no] | natures[as_yes]
        if OPEN in point[first + 1 :]:
            second = point.index(OPEN, first + 1)
            other = matters[index - 2 * WEIGHTS[second]] | matters[index - WEIGHTS[second]]
            matters[index] = matters[as_no] | matters[as_yes] | (other & (1 << first))
        elif natures[as_no] != natures[as_yes]:
            matters[index] = 1 << first
    return WholeSpace(natures, matters)


# --- 7.6.4 and 8.3: priority and GTI ---------------------------------------------------------------------------------

IMPACTS = ("I1", "I2", "I3")
CRITICALITIES = ("C1", "C2", "C3")
PRIORITIES = ("P1", "P2", "P3", "P4", "P5")
MATRIX = {
    ("I1", "C1"): "P1",
    ("I2", "C1"): "P2",
    ("I3", "C1"): "P3",
    ("I1", "C2"): "P2",
    ("I2", "C2"): "P3",
    ("I3", "C2"): "P4",
    ("I1", "C3"): "P3",
    ("I2", "C3"): "P4",
    ("I3", "C3"): "P5",
}
GTI_SECONDS = {"P1": 30 * 60, "P2": 2 * 3600, "P3": 4 * 3600, "P4": 24 * 3600, "P5": 48 * 3600}


def cases_of_level(level: str, levels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the level, or all levels where it is unknown."""
    return levels if level == "unknown" else (level,)


def possible_priorities(impact: str, criticality: str) -> tuple[str, ...]:
    """Return every priority of the matrix that is still possible, most urgent first."""
    found = {
        MATRIX[case] for case in product(cases_of_level(impact, IMPACTS), cases_of_level(criticality, CRITICALITIES))
    }
    return tuple(priority for priority in PRIORITIES if priority in found)


# --- 11.1.1.2, 11.1.1.3, DPA 7 and 8: who is notified ----------------------------------------------------------------

PERSONAL_DATA_SECONDS = 48 * 3600


class Choice(NamedTuple):
    """One choice of a profile; an empty dimension matches all."""

    impacts: tuple[str, ...] = ()
    criticalities: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    data_harm: tuple[str, ...] = ()

    def matches(self, impact: str, criticality: str, harm: tuple[bool, ...]) -> bool:
        """Whether every stated dimension matches a completely known case."""
        return (
            (not self.impacts or impact in self.impacts)
            and (not self.criticalities or criticality in self.criticalities)
            and (not self.priorities or MATRIX[impact, criticality] in self.priorities)
            and (not self.data_harm or any(harm[PROPERTIES.index(harmed)] for harmed in self.data_harm))
        )


Scope = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # services, regions, availability zones
EVERYWHERE: Scope = ((), (), ())


class Listed(NamedTuple):
    """What the facts state of the customer that is decided on."""

    affected: str = "yes"
    harm: tuple[str, str, str, str] = ("no",) * 4
    breach: str = "no"  # no, suspected, confirmed, unknown
    controller: str = "unknown"  # customer, provider, joint, unknown


class Situation(NamedTuple):
    """Everything that the decision for one customer depends on."""

    incident: Stated  # ``data``: the harm of the other listed customers only
    impact: str
    criticality: str
    incident_scope: Scope
    customer_scope: Scope
    listed: Listed | None  # None: the facts do not list this customer
    choices: tuple[Choice, ...] | None = None  # None: default levels
    internal_targets: tuple[tuple[str, int], ...] = ()  # the provider's own, by priority, where it is not the GTI


class Outcome(NamedTuple):
    """What is decided; times in seconds after awareness."""

    verdict: str
    due_seconds: int | None
    due_kind: str | None
    target_seconds: int | None


def scopes_disjoint(situation: Situation) -> bool:
    """Whether some dimension is declared on both sides without overlap."""
    return any(
        ours and theirs and not set(ours) & set(theirs)
        for ours, theirs in zip(situation.incident_scope, situation.customer_scope, strict=True)
    )


def statement_in_force(situation: Situation) -> Listed:
    """What is stated of this customer, listed or not.

    What the facts state of a listed customer counts, whatever the scopes say. Not listed and ``not_affected``: no harm
    to its data and no personal data breached, established. Not listed and ``unknown``: nothing of that is established.
    """
    if situation.listed is not None:
        return situation.listed
    if situation.incident.unlisted == "not_affected":
        return Listed(touch_by_scope(situation), ("no",) * 4, "no", "unknown")
    return Listed(touch_by_scope(situation), ("unknown",) * 4, "unknown", "unknown")


def touch_by_scope(situation: Situation) -> str:
    """Whether the use of a customer that is not listed is touched.

    1. Disjoint scopes establish that it is not touched.
    2. Otherwise an incident with a declared scope touches a customer that uses something in it. This is certain if the
       customer declares a share of every dimension. If the customer declares less, its use is the whole service there;
       then it is certain once it is established that nothing beyond the scope is touched.
    3. An incident without a scope may touch everybody: the answer is open, unless it is established that customers that
       are not listed are unaffected.
    """
    if scopes_disjoint(situation):
        return "no"
    not_affected = situation.incident.unlisted == "not_affected"
    if not any(situation.incident_scope):
        return "no" if not_affected else "unknown"
    inside = all(
        theirs or not ours for ours, theirs in zip(situation.incident_scope, situation.customer_scope, strict=True)
    )
    return "yes" if inside or not_affected else "unknown"


def personal_data_cases(
    situation: Situation, obliging: frozenset[str] | set[str] = frozenset({"customer", "provider", "joint"})
) -> frozenset[bool]:
    """Whether level 3, level 4 or (by default) one of them obliges, in every case; it depends on who controls the data.

    A suspicion obliges like a certainty (DPA 7), for every nature of the event and every choice of the customer.
    """
    stated = statement_in_force(situation)
    breaches = ("no", "suspected", "confirmed") if stated.breach == "unknown" else (stated.breach,)
    controllers = ("customer", "provider", "joint") if stated.controller == "unknown" else (stated.controller,)
    return frozenset(
        breach in {"suspected", "confirmed"} and controller in obliging
        for breach, controller in product(breaches, controllers)
    )


@cache
def _natures_with(incident: Stated, own_harm: tuple[bool, ...]) -> frozenset[str]:
    """The possible natures if this customer's harm is known to be ``own_harm``."""
    own = tuple("yes" if harmed else "no" for harmed in own_harm)
    return possible_natures(incident._replace(data=(*incident.data, own)))


class Case(NamedTuple):
    """One completely known case as one customer sees it."""

    nature: str
    impact: str
    criticality: str
    harm: tuple[bool, ...]
    touched: bool
    concerned: bool  # the service as this customer uses it, or its data, is affected (9.1)


def concerned(situation: Situation, harm: tuple[bool, ...], *, touched: bool) -> bool:
    """Whether the incident concerns this customer, in a known case: the only exception from level 1 (9.1).

    An affected service is affected for everybody who uses it: for a customer that is not listed, only disjoint scopes
    say otherwise. For a listed one, its statement counts. Harm to its data concerns a customer in every scope.
    """
    reached = not scopes_disjoint(situation) if situation.listed is None else touched
    return reached or any(harm)


def cases_for_customer(situation: Situation) -> Iterator[Case]:
    """Enumerate every case that the stated facts allow, but for personal data, which depends on nothing else."""
    stated = statement_in_force(situation)
    for harm in product(*(COMPLETIONS[answer] for answer in stated.harm)):
        yield from (
            Case(nature, impact, criticality, harm, touched, concerned(situation, harm, touched=touched))
            for nature in _natures_with(situation.incident, harm)
            for impact in cases_of_level(situation.impact, IMPACTS)
            for criticality in cases_of_level(situation.criticality, CRITICALITIES)
            for touched in COMPLETIONS[stated.affected]
        )


def plain_incident(situation: Situation, case: Case) -> bool:
    """11.1.1.2: incidents that are not security incidents and touch the customer; not waivable."""
    return case.nature == "incident" and case.touched


def level_1(situation: Situation, case: Case) -> bool:
    """11.1.1.3 (1), for a customer that the incident concerns."""
    return case.nature == "security_incident" and case.impact in {"I1", "I2"} and case.concerned


def level_2(situation: Situation, case: Case) -> bool:
    """11.1.1.3 (2)."""
    return case.nature == "security_incident" and (case.harm[I] or case.harm[C])


def chosen(situation: Situation, case: Case) -> bool:
    """11.1.1.3: the customer's choice instead of (1) and (2), for incidents that concern it, as with (1)."""
    return (
        case.nature == "security_incident"
        and case.concerned
        and any(choice.matches(case.impact, case.criticality, case.harm) for choice in situation.choices or ())
    )


def rules_of(situation: Situation) -> dict[str, Callable[[Situation, Case], bool]]:
    """Return the rules other than levels 3 and 4, by their ids in the agreement file."""
    if situation.choices is None:
        return {"impact_high": level_1, "customer_data": level_2, "plain_incident": plain_incident}
    return {"profile": chosen, "plain_incident": plain_incident}


def level_cases(situation: Situation) -> dict[str, frozenset[bool]]:
    """Return for each rule whether it holds, in every case."""
    cases = tuple(cases_for_customer(situation))
    return {
        rule_id: frozenset(rule(situation, case) for case in cases) for rule_id, rule in rules_of(situation).items()
    } | {
        "personal_data_customer_controller": personal_data_cases(situation, {"customer", "joint"}),
        "personal_data_provider_controller": personal_data_cases(situation, {"provider", "joint"}),
    }


def decide(situation: Situation) -> Outcome:
    """Decide by enumeration of every case."""
    rules = rules_of(situation).values()
    by_rules = frozenset(any(rule(situation, case) for rule in rules) for case in cases_for_customer(situation))
    personal = personal_data_cases(situation)
    owed = frozenset(by_duty or by_rule for by_duty in personal for by_rule in by_rules)
    if owed == {False}:
        return Outcome("do_not_notify", None, None, None)
    # The internal target is that of the incident: the GTI of the most urgent priority that is still possible.
    target = min(
        dict(situation.internal_targets).get(priority, GTI_SECONDS[priority])
        for priority in possible_priorities(situation.impact, situation.criticality)
    )
    if personal == {True}:
        return Outcome("notify", PERSONAL_DATA_SECONDS, "contractual", target)
    # The earliest clock that may run. The duty of 48 hours is later unless the targets are slow.
    clocks = [(target, "internal_target")] if True in by_rules else []
    clocks += [(PERSONAL_DATA_SECONDS, "contractual")] if True in personal else []
    verdict = "notify" if owed == {True} else "pending"
    return Outcome(verdict, *min(clocks, key=lambda clock: clock[0]), target)
