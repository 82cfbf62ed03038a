"""The natures and priorities that a state still allows; cached, because open questions ask for similar states."""

from functools import lru_cache

from notifications.agreement import NATURES, Agreement
from notifications.agreement.reading import reading_of
from notifications.agreement.three_valued import NO, YES, possible_outcomes
from notifications.classification.result import Nature
from notifications.incident import Answer


def answer_of(outcomes: frozenset[int]) -> Answer:
    """Return the answer of a yes-or-no rule from its possible outcomes; unknown if both are possible."""
    if outcomes == {YES}:
        return Answer.YES
    return Answer.NO if outcomes == {NO} else Answer.UNKNOWN


@lru_cache(maxsize=16_384)
def possible_natures(agreement: Agreement, key: tuple[str | None, ...]) -> frozenset[int]:
    """Return the natures, as indices into ``NATURES``, that a state of ``FACTS`` still allows."""
    reading = reading_of(agreement)
    return possible_outcomes(reading.nature, list(key), reading.answers, at_most=len(NATURES))


@lru_cache(maxsize=1_024)
def possible_priorities(agreement: Agreement, impact: str | None, criticality: str | None) -> tuple[str, ...]:
    """Return the priorities that the matrix still allows, most urgent first; None means an unknown level.

    Empty if no matrix holds for the products ordered.
    """
    if not agreement.matrix:
        return ()
    impacts = agreement.impact_ids if impact is None else (impact,)
    criticalities = agreement.criticality_ids if criticality is None else (criticality,)
    found = {agreement.matrix[i, c] for i in impacts for c in criticalities}
    return tuple(priority for priority in agreement.priority_ids if priority in found)


def natures_of(outcomes: frozenset[int]) -> tuple[Nature, ...]:
    """Return natures by their indices, most protective first."""
    return tuple(Nature(NATURES[outcome]) for outcome in sorted(outcomes))
