"""Find incidents that may be the same as one that is about to be declared. It only asks; a person decides."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from notifications.incident.facts import Incident, IncidentFacts, IncidentState
from notifications.incident.localized_text import LocalizedText

#: Titles with at least this similarity may name the same event.
SIMILAR_TITLES = 0.5
#: Two events at the same service are compared if not more time than this is between them.
NEAR = timedelta(hours=12)
#: Duplicates that are returned at most, the most similar first.
_FOUND_MAX = 10


class Likeness(StrEnum):
    """Why an incident may be the same."""

    SAME_PLACE_AND_TIME = "same_place_and_time"
    SIMILAR_TITLE = "similar_title"


@dataclass(frozen=True, slots=True)
class PossibleDuplicate:
    """An incident that may be the same, and why."""

    incident: Incident
    likenesses: tuple[Likeness, ...]
    #: similarity of the titles, from 0 to 1
    similarity: float


def trigrams(text: str) -> frozenset[str]:
    """Return the groups of three characters of a text, without case, accents and punctuation.

    Each word has a space before and after it, as in PostgreSQL's ``pg_trgm``.
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    words = "".join(char if char.isalnum() else " " for char in plain if not unicodedata.combining(char)).split()
    return frozenset(f" {word} "[at : at + 3] for word in words for at in range(len(word)))


def title_similarity(one: LocalizedText, other: LocalizedText) -> float:
    """Return the greatest Jaccard index of the trigrams of two titles in one language.

    Titles that have no language in common are compared in every pair of languages.
    """
    first, second = one.as_mapping(), other.as_mapping()
    common = first.keys() & second.keys()
    pairs = [(first[language], second[language]) for language in common] or [
        (a, b) for a in first.values() for b in second.values()
    ]
    return max((_jaccard(trigrams(a), trigrams(b)) for a, b in pairs), default=0.0)


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0


def possible_duplicates(facts: IncidentFacts, incidents: Iterable[Incident]) -> tuple[PossibleDuplicate, ...]:
    """Return the incidents that may be the same event, the most similar first.

    Both must be at the same time: their spans from the beginning to the end overlap, with ``NEAR`` added; an incident
    without an end goes on. Then a similar title is enough, or the same place: a service in common, and no region or
    zone that keeps them apart.
    """
    found = []
    for incident in incidents:
        other = incident.facts
        if not _same_time(facts, incident):
            continue
        similarity = title_similarity(facts.title, other.title)
        likenesses = []
        if _same_place(facts, other):
            likenesses.append(Likeness.SAME_PLACE_AND_TIME)
        if similarity >= SIMILAR_TITLES:
            likenesses.append(Likeness.SIMILAR_TITLE)
        if likenesses:
            found.append(PossibleDuplicate(incident, tuple(likenesses), similarity))
    found.sort(key=lambda each: (-len(each.likenesses), -each.similarity, each.incident.ticket))
    return tuple(found[:_FOUND_MAX])


def _same_place(one: IncidentFacts, other: IncidentFacts) -> bool:
    if not set(one.services) & set(other.services):
        return False
    return all(
        not (a and b) or set(a) & set(b)
        for a, b in ((one.regions, other.regions), (one.availability_zones, other.availability_zones))
    )


def _span(facts: IncidentFacts, closed_at: datetime | None) -> tuple[datetime, datetime | None]:
    begun = min(at for at in (facts.started_at, facts.detected_at, facts.aware_at) if at is not None)
    return begun, facts.ended_at or closed_at


def _same_time(facts: IncidentFacts, incident: Incident) -> bool:
    closed_at = incident.closed_at if incident.state is IncidentState.CLOSED else None
    begun, ended = _span(facts, None)
    other_begun, other_ended = _span(incident.facts, closed_at)
    return (ended is None or other_begun - NEAR <= ended) and (other_ended is None or begun - NEAR <= other_ended)
