"""The items of a report to an authority, put into words from a document of facts.

The document is the notice document of a customer, or ``facts_document`` of the provider's own duties: the keys that are
read here have the same shape in both.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from notifications.duties import Duty
from notifications.wording.formats import visible
from notifications.wording.opening import PROPERTIES
from notifications.wording.personal_data import contact_point
from notifications.wording.reader import Reader


def report_items(document: Mapping[str, Any], duty: Duty, language: str, time_zone: str) -> dict[str, str]:
    """Return item id -> text for the items of a duty that facts fill; an item that no fact fills is left out.

    Every text of an exercise has the mark of an exercise.
    """
    reader = Reader(document, language, time_zone)
    filled = {item.id: _SOURCES[item.source](reader) for item in duty.items if item.source is not None}
    return {name: reader.heading(text) for name, text in filled.items() if text}


def _free(reader: Reader, texts: Mapping[str, str] | None) -> str:
    if texts is None:
        return ""
    chosen = texts.get(reader.language) or texts.get("fr") or texts.get("en") or min(texts.items())[1]
    return visible(chosen)


def _rows(reader: Reader, rows: list[tuple[str, str]]) -> str:
    return "\n".join(reader.say("%(name)s: %(value)s", name=name, value=value) for name, value in rows if value)


def _summary(reader: Reader) -> str:
    return _free(reader, reader.document["what_happened"])


def _nature(reader: Reader) -> str:
    return reader.words(f"nature.{reader.document['classification']['nature']}")


def _malicious(reader: Reader) -> str:
    stated = reader.document["cause_of_incident"]
    names = [name for name in ("intent", "cause") if stated[name] is not None]
    return _rows(reader, [(reader.words(f"fact.{name}"), reader.value(name, stated[name])) for name in names])


def _cause(reader: Reader) -> str:
    cause = reader.document["cause_of_incident"]["cause"]
    return "" if cause is None else reader.value("cause", cause)


def _severity(reader: Reader) -> str:
    document = reader.document
    stated = document["classification"]
    rows = [
        (reader.words(f"fact.{name}"), stated[name] or "")
        for name in ("impact", "criticality", "priority")
    ]  # fmt: skip
    return "\n".join(filter(None, (_rows(reader, rows), _harmed(reader), _places(reader), _effect(reader))))


def _harmed(reader: Reader) -> str:
    harm = reader.document["effect"]["data_harm"]
    return ", ".join(reader.words(f"fact.data_harm.{name}") for name in PROPERTIES if harm[name] == "yes")


def _places(reader: Reader) -> str:
    effect = reader.document["effect"]
    return reader.names([*effect["services"], *effect["regions"], *effect["availability_zones"]])


def _effect(reader: Reader) -> str:
    return _free(reader, reader.document["effect"]["text"])


def _times(reader: Reader) -> str:
    times = reader.document["times"]
    names = ("started_at", "detected_at", "aware_at", "ended_at")
    return _rows(reader, [(reader.words(f"fact.{name}"), reader.when(times[name])) for name in names if times[name]])


def _people(reader: Reader, categories: str, count: str) -> str:
    stated = reader.document["personal_data"]
    if stated is None:
        return ""
    named = "" if stated[categories] is None else reader.phrases(stated[categories]).text
    number = "" if stated[count] is None else reader.number(stated[count])
    return ", ".join(filter(None, (named, number)))


def _consequences(reader: Reader) -> str:
    stated = reader.document["personal_data"]
    return "" if stated is None else _free(reader, stated["likely_consequences"])


_SOURCES: Mapping[str, Callable[[Reader], str]] = MappingProxyType({
    "summary": _summary,
    "nature": _nature,
    "malicious": _malicious,
    "severity_and_impact": _severity,
    "cause": _cause,
    "measures_taken": lambda reader: _free(reader, reader.document["measures_taken"]),
    "recommendations": lambda reader: _free(reader, reader.document["recommendations"]),
    "times": _times,
    "nature_of_breach": _harmed,
    "data_subjects": lambda reader: _people(reader, "categories_of_data_subjects", "data_subjects_approx"),
    "records": lambda reader: _people(reader, "categories_of_records", "records_approx"),
    "likely_consequences": _consequences,
    "contact_point": lambda reader: contact_point(reader, reader.document["provider"]["contact_point"]),
    "effect": _effect,
    "not_known_yet": lambda reader: _free(reader, reader.document["not_known_yet"]["text"]),
    "services_and_regions": _places,
})  # fmt: skip
