"""validate_facts(facts, agreement, now): check declared facts before anything is decided on them."""

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from typing import Protocol

from notifications.errors import Fault, InvalidInputError
from notifications.incident.facts import (
    LANGUAGES,
    UNKNOWN,
    AffectedCustomer,
    Category,
    IncidentFacts,
    PersonalData,
    Resource,
)
from notifications.incident.localized_text import LocalizedText

#: How far another clock may be ahead of ours before its time counts as being in the future.
CLOCK_SKEW_SECONDS = 300
TITLE_MAX_CHARACTERS = 200
NAME_MAX_CHARACTERS = 200
TEXT_MAX_CHARACTERS = 20_000
RESOURCES_MAX = 100_000
#: Services, regions, zones or categories in one list.
NAMES_MAX = 1_000
#: The largest integer that every JSON reader keeps exact (RFC 8785).
COUNT_MAX = 2**53 - 1

#: Control characters, line and paragraph separators, direction overrides and lone surrogates. A name must not contain
#: them, because it becomes part of a header, a file name or a table cell.
_FORBIDDEN_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: The same without line feed, tab, and the separators and direction marks that running text may use.
_FORBIDDEN_IN_TEXTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


class Levels(Protocol):
    """The levels of an agreement that facts are checked against."""

    @property
    def impact_ids(self) -> Collection[str]:
        """Ids of the impact levels, gravest first."""
        ...

    @property
    def criticality_ids(self) -> Collection[str]:
        """Ids of the criticality levels, gravest first."""
        ...


@cache
def rsit_taxonomy() -> Mapping[str, tuple[str, ...]]:
    """Return RSIT class to its types, in the taxonomy's order."""
    data = tomllib.loads(resources.files(__package__).joinpath("rsit.toml").read_text(encoding="utf-8"))
    return {name: tuple(types) for name, types in data["classes"].items()}


def validate_facts(facts: IncidentFacts, agreement: Levels, now: datetime) -> None:
    """Raise InvalidInputError with every fault of the facts, each with its dotted field.

    Checked: levels against the agreement, RSIT, times (aware, not in the future by more than five minutes, in order),
    counts, texts and names (length, language, characters), customers listed once, number of resources.
    Not checked: whether the customers exist, and whether the facts contradict one another (``classify`` adds a remark).
    """
    faults = [
        *_level_faults(facts, agreement),
        *_rsit_faults(facts),
        *_time_faults(facts, now),
        *_text_faults("title", facts.title, TITLE_MAX_CHARACTERS, _FORBIDDEN_IN_NAMES),
        *long_text_faults("summary", facts.summary),
        *long_text_faults("measures_taken", facts.measures_taken),
        *long_text_faults("recommendations", facts.recommendations),
        *long_text_faults("not_known_yet", facts.not_known_yet),
        *_names_faults("services", facts.services),
        *_names_faults("regions", facts.regions),
        *_names_faults("availability_zones", facts.availability_zones),
        *_customers_faults(facts.affected_customers),
    ]
    if faults:
        raise InvalidInputError(*faults)


def _level_faults(facts: IncidentFacts, agreement: Levels) -> Iterable[Fault]:
    for field, value, known in (
        ("impact", facts.impact, agreement.impact_ids),
        ("criticality", facts.criticality, agreement.criticality_ids),
    ):
        if value != UNKNOWN and value not in known:
            yield Fault(field, f"must be one of {', '.join(known)} or {UNKNOWN}")


def _rsit_faults(facts: IncidentFacts) -> Iterable[Fault]:
    taxonomy = rsit_taxonomy()
    if facts.rsit_class is None:
        if facts.rsit_type is not None:
            yield Fault("rsit_type", "needs rsit_class to be given as well")
    elif facts.rsit_class not in taxonomy:
        yield Fault("rsit_class", f"must be a class of RSIT: {', '.join(taxonomy)}")
    elif facts.rsit_type is not None and facts.rsit_type not in taxonomy[facts.rsit_class]:
        types = ", ".join(taxonomy[facts.rsit_class])
        yield Fault("rsit_type", f"must be a type of the RSIT class {facts.rsit_class}: {types}")


def _time_faults(facts: IncidentFacts, now: datetime) -> Iterable[Fault]:
    latest = now + timedelta(seconds=CLOCK_SKEW_SECONDS)
    known: dict[str, datetime] = {}
    for field in ("started_at", "detected_at", "aware_at", "ended_at", "next_update_by"):
        value: datetime | None = getattr(facts, field)
        if value is None:
            continue
        if value.utcoffset() is None:
            yield Fault(field, "must state its offset from UTC")
            continue
        known[field] = value
        if field != "next_update_by" and value > latest:
            yield Fault(field, "must not be in the future")
    for field, earlier in (
        ("detected_at", "started_at"),
        ("aware_at", "detected_at"),
        ("aware_at", "started_at"),
        ("ended_at", "started_at"),
        ("next_update_by", "aware_at"),
    ):
        if field in known and earlier in known and known[field] < known[earlier]:
            yield Fault(field, f"must not be before {earlier}")


def long_text_faults(field: str, text: LocalizedText | None) -> Iterable[Fault]:
    """Return the faults of a text of several lines: language, length, characters, an empty text."""
    return () if text is None else _text_faults(field, text, TEXT_MAX_CHARACTERS, _FORBIDDEN_IN_TEXTS)


def _text_faults(field: str, text: LocalizedText, max_characters: int, forbidden: re.Pattern[str]) -> Iterable[Fault]:
    if not text.texts:
        yield Fault(field, "must be given in at least one language")
    seen: set[str] = set()
    for language, words in text.texts:
        if language not in LANGUAGES:
            # The caller chose the key. It is quoted in ASCII so that no control character gets into the response.
            yield Fault(field, f"language {language[:20]!a} is not one of {', '.join(LANGUAGES)}")
            continue
        if language in seen:
            yield Fault(f"{field}.{language}", "is given twice")
        seen.add(language)
        yield from _string_faults(f"{field}.{language}", words, max_characters, forbidden)


def _names_faults(field: str, names: tuple[Category, ...] | None) -> Iterable[Fault]:
    if not names:
        return
    if len(names) > NAMES_MAX:
        yield Fault(field, f"must not have more than {NAMES_MAX} entries")
        return
    for index, name in enumerate(names):
        if isinstance(name, LocalizedText):
            yield from _text_faults(f"{field}.{index}", name, NAME_MAX_CHARACTERS, _FORBIDDEN_IN_NAMES)
        else:
            yield from _string_faults(f"{field}.{index}", name, NAME_MAX_CHARACTERS, _FORBIDDEN_IN_NAMES)
    stated = [text for name in names for text in (name.texts if isinstance(name, LocalizedText) else (name,))]
    if len(set(stated)) != len(stated):
        yield Fault(field, "must not name the same thing twice")


def _string_faults(field: str, words: str, max_characters: int, forbidden: re.Pattern[str]) -> Iterable[Fault]:
    if not words or words.isspace():
        yield Fault(field, "must not be empty")
    if len(words) > max_characters:
        yield Fault(field, f"must not be longer than {max_characters} characters")
    elif found := forbidden.search(words):
        yield Fault(field, f"must not contain the character U+{ord(found[0]):04X} (at position {found.start()})")


def _customers_faults(customers: tuple[AffectedCustomer, ...]) -> Iterable[Fault]:
    listed = Counter(stated.customer_id for stated in customers)
    resources_count = sum(len(stated.resources) for stated in customers)
    if resources_count > RESOURCES_MAX:
        yield Fault("affected_customers", f"must not name more than {RESOURCES_MAX} resources, not {resources_count}")
    for index, stated in enumerate(customers):
        field = f"affected_customers.{index}"
        if listed[stated.customer_id] > 1:
            yield Fault(f"{field}.customer_id", "this customer is listed more than once")
        yield from long_text_faults(f"{field}.effect", stated.effect)
        yield from _personal_data_faults(f"{field}.personal_data", stated.personal_data)
        if resources_count <= RESOURCES_MAX:
            for number, resource in enumerate(stated.resources):
                yield from _resource_faults(f"{field}.resources.{number}", resource)


def _personal_data_faults(field: str, personal_data: PersonalData) -> Iterable[Fault]:
    for name in ("data_subjects_approx", "records_approx"):
        count: int | None = getattr(personal_data, name)
        if count is not None and not 0 <= count <= COUNT_MAX:
            yield Fault(f"{field}.{name}", "must not be below zero" if count < 0 else f"must not exceed {COUNT_MAX}")
    yield from _names_faults(f"{field}.categories_of_data_subjects", personal_data.categories_of_data_subjects)
    yield from _names_faults(f"{field}.categories_of_records", personal_data.categories_of_records)
    yield from long_text_faults(f"{field}.likely_consequences", personal_data.likely_consequences)


def _resource_faults(field: str, resource: Resource) -> Iterable[Fault]:
    for name in ("id", "name", "region", "availability_zone"):
        value: str | None = getattr(resource, name)
        if value is not None:
            yield from _string_faults(f"{field}.{name}", value, NAME_MAX_CHARACTERS, _FORBIDDEN_IN_NAMES)
