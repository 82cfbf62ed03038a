"""The words of the pages: one folder per language, one TOML file per area of pages, the same keys in each language."""

import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

from notifications.incident import LANGUAGES
from notifications.wording.formats import number, set_in_french


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _read(language: str) -> Mapping[str, str]:
    messages: dict[str, str] = {}
    for file in resources.files(__package__).joinpath("messages", language).iterdir():
        for key, message in _flat(tomllib.loads(file.read_text(encoding="utf-8"))):
            if key in messages:
                raise ValueError(f"{language}/{file.name}: {key} has its words in another file")
            messages[key] = message
    if language == "fr":
        messages = {key: set_in_french(message) for key, message in messages.items()}
    return MappingProxyType(messages)


CATALOGUES: Mapping[str, Mapping[str, str]] = {language: _read(language) for language in LANGUAGES}


def text(key: str, language: str, **values: object) -> str:
    """Return the words for a key with its values filled in, unescaped; a ``count`` has the digit groups of a language.

    Raises KeyError for a key that there is not: a page without its words is a defect.
    """
    message = CATALOGUES[language][key]
    if isinstance(count := values.get("count"), int):
        values["count"] = number(count, language)
    return message.format_map(values) if values else message


def has_text(key: str, language: str) -> bool:
    """Whether there are words for a key."""
    return key in CATALOGUES[language]


def language_of(accept_language: str, otherwise: str) -> str:
    """Return the language of ours that an Accept-Language header prefers (RFC 9110, 12.5.4), or the other.

    A weight that is no number counts as none.
    """
    best, best_weight = otherwise, 0.0
    for part in accept_language[:500].split(","):
        tag, _, parameter = part.strip().partition(";")
        name = tag.strip().partition("-")[0].lower()
        weight = _weight(parameter)
        if name in CATALOGUES and weight > best_weight:
            best, best_weight = name, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return min(float(value), 1.0)
    except ValueError:
        return 0.0
