"""An oracle of the second agreement, V2 of 17.04.2026, written only from its text, by brute force.

As ``oracle_agreement``: every unknown fact is replaced by every possible answer, and the text is applied to each of
these completely known cases. Facts are plain strings. Security properties are in the order A, I, C, T.
"""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

from support.oracle_agreement import CRITICALITIES, IMPACTS, NATURES, A, C, I, T, cases_of_level

#: Products with clause 3.9: the matrix, the priorities and the guaranteed times.
WITH_MATRIX = frozenset({"iaas", "open_iaas", "bare_metal"})
PRODUCTS = ("iaas", "open_iaas", "bare_metal", "paas", "vpc", "vm_instances")

PRIORITIES = ("P1", "P2", "P3", "P4", "P5", "P6")
#: 3.9.4: criticality by row, impact by column
ROWS = {"C1": ("P1", "P2", "P4"), "C2": ("P2", "P3", "P5"), "C3": ("P3", "P4", "P6")}
MATRIX = {(impact, row): cells[place] for row, cells in ROWS.items() for place, impact in enumerate(IMPACTS)}
#: 4.3; P6 has neither time nor target
GTI_SECONDS = {"P1": 1_800, "P2": 7_200, "P3": 14_400, "P4": 86_400, "P5": 172_800, "P6": None}
TARGET_PERCENT = {"P1": 95, "P2": 90, "P3": 90, "P4": 85, "P5": 85, "P6": None}

#: The texts of the DPA: how strictly the 48 hours bind for a breach (art. 8 with 7), and for
#: a suspicion or another failure (art. 7).
BREACH_BINDING = {"dpa_2025_01_15": "soft", "dpa_2025_10": "hard", "dpa_2026_01_09": "soft"}
RULE_BINDING = dict.fromkeys(BREACH_BINDING, "soft")
FORTY_EIGHT_HOURS = 48 * 3600

#: The fifteen facts that the definitions ask for, in the order of a point.
FACTS = (
    "inside", "malicious",
    *(f"service.{each}" for each in "AICT"), *(f"data.{each}" for each in "AICT"),
    "measures", "disrupted", "service_level", "damage", "may_cause",
)  # fmt: skip
NO, YES, OPEN = range(3)


def nature_of(known: tuple[bool, ...]) -> str:
    """Apply 1.2 and 1.1 to a completely known case, a point with every fact answered."""
    inside, malicious, *rest = known
    service, data = rest[:4], rest[4:8]
    measures, disrupted, service_level, damage, may_cause = rest[8:]
    if not inside:
        return "outside_perimeter"
    accidental_harm = not malicious and any(harm[each] for harm in (service, data) for each in (I, C, T))
    if malicious or accidental_harm or measures:
        return "security_incident"
    # Causes a disturbance or interruption, a breach of service levels, or damage; or may cause one of them.
    if disrupted or service[A] or service_level or damage or any(data) or may_cause:
        return "incident"
    return "event"


@cache
def possible_natures(point: tuple[int, ...]) -> frozenset[str]:
    """Return the natures of all cases that a point allows, by enumeration of its open facts, one after the other."""
    if OPEN not in point:
        return frozenset({nature_of(tuple(map(bool, point)))})
    first = point.index(OPEN)
    return possible_natures((*point[:first], NO, *point[first + 1 :])) | possible_natures(
        (*point[:first], YES, *point[first + 1 :])
    )


def possible_priorities(impact: str, criticality: str, products: frozenset[str]) -> tuple[str, ...]:
    """Return every priority of the matrix that is still possible, most urgent first; none without clause 3.9."""
    if not products & WITH_MATRIX:
        return ()
    cases = product(cases_of_level(impact, IMPACTS), cases_of_level(criticality, CRITICALITIES))
    found = {MATRIX[case] for case in cases}
    return tuple(priority for priority in PRIORITIES if priority in found)


def most_protective(natures: frozenset[str]) -> str:
    """Return the first nature in the order most protective first."""
    return next(nature for nature in NATURES if nature in natures)


class Case(NamedTuple):
    """What a decision for one listed customer depends on; each fact ``yes``, ``no`` or ``unknown``."""

    point: tuple[int, ...]  # ``data`` is the harm to this customer's data
    impact: str
    affected: str
    breach: str  # no, rule_suspected, rule_broken, suspected, confirmed, unknown
    controller: str  # customer, provider, joint, unknown
    dpa: str = "dpa_2026_01_09"


class Outcome(NamedTuple):
    """What is owed: the verdict, and how strictly a time of the contract binds; None: no such time certainly counts."""

    verdict: str
    levels: frozenset[str]  # those that certainly hold
    binding: str | None


_BREACHES = ("no", "rule_suspected", "rule_broken", "suspected", "confirmed")
_ANSWERS = {"yes": (True,), "no": (False,), "unknown": (False, True)}


def _completions(point: tuple[int, ...]) -> Iterator[tuple[bool, ...]]:
    yield from product(*(((False,), (True,), (False, True))[digit] for digit in point))


def decide(case: Case) -> Outcome:
    """Decide for a listed customer with the default levels, by enumeration of every case."""
    breaches = (
        ("no", "rule_suspected", "rule_broken", "suspected", "confirmed")
        if case.breach == "unknown"
        else (case.breach,)
    )
    controllers = ("customer", "provider", "joint") if case.controller == "unknown" else (case.controller,)
    held: list[frozenset[str]] = []
    for known in _completions(case.point):
        nature, data = nature_of(known), known[6:10]
        for impact, touched in product(cases_of_level(case.impact, IMPACTS), _ANSWERS[case.affected]):
            levels = set()
            if nature == "security_incident" and impact in {"I1", "I2"} and (touched or any(data)):
                levels.add("impact_high")
            if nature == "security_incident" and (data[I] or data[C]):
                levels.add("customer_data")
            if nature == "incident" and touched:
                levels.add("plain_incident")
            for breach, controller in product(breaches, controllers):
                duties = set()
                if breach in {"suspected", "confirmed"}:
                    duties |= {"personal_data_customer_controller"} if controller in {"customer", "joint"} else set()
                    duties |= {"personal_data_provider_controller"} if controller in {"provider", "joint"} else set()
                if breach in {"rule_suspected", "rule_broken"}:
                    duties.add("data_protection_failure")
                held.append(frozenset(levels | duties))
    owed = {bool(levels) for levels in held}
    verdict = "pending" if len(owed) == 2 else "notify" if True in owed else "do_not_notify"
    if case.breach == "confirmed":
        binding = BREACH_BINDING[case.dpa]
    elif case.breach in {"suspected", "rule_suspected", "rule_broken"}:
        binding = RULE_BINDING[case.dpa]
    else:
        binding = None
    return Outcome(verdict, frozenset.intersection(*held), binding)
