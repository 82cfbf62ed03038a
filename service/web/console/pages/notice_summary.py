"""A notice in short, from its sealed document: what happened, what it means for the reader, what to do, by when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifications.incident import LANGUAGES, Property


@dataclass(frozen=True, slots=True)
class Said:
    """A text of the sealed document, and its language where it is not the reader's."""

    text: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a reader looks for first; None where the document says nothing of it."""

    what_happened: Said | None
    effect: Said | None
    #: whether the customer is affected: ``yes``, ``no`` or ``unknown``
    affected: str
    #: properties of the customer's data that are harmed, and those of which it is not known
    harmed: tuple[str, ...]
    open: tuple[str, ...]
    recommendations: Said | None
    measures: Said | None
    not_known_yet: Said | None
    next_update_by: datetime | None


def summary_of(document: Mapping[str, Any], language: str) -> Summary:
    """Return the summary in a language; a text that is not in it comes in another one."""
    effect, until = document["effect"], document["next_update_by"]

    def said(texts: Mapping[str, str] | None) -> Said | None:
        if not texts:
            return None
        found = language if language in texts else next((each for each in LANGUAGES if each in texts), None)
        return None if found is None else Said(texts[found], None if found == language else found)

    def with_answer(answer: str) -> tuple[str, ...]:
        return tuple(each.value for each in Property if effect["data_harm"][each.value] == answer)

    return Summary(
        what_happened=said(document["what_happened"]),
        effect=said(effect["text"]),
        affected=effect["affected"],
        harmed=with_answer("yes"),
        open=with_answer("unknown"),
        recommendations=said(document["recommendations"]),
        measures=said(document["measures_taken"]),
        not_known_yet=said(document["not_known_yet"]["text"]),
        next_update_by=None if until is None else datetime.fromisoformat(until),
    )
