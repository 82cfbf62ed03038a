"""Prepared statements: what an analyst can say of an incident in every language, with names and moments filled in.

They are data (``statements.toml``). An installation adds statements of its own in a file of the same form.
"""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType

from notifications.canonical_json import timestamp_text
from notifications.errors import Fault, InvalidInputError
from notifications.incident import LANGUAGES, LocalizedText
from notifications.wording.formats import moment, on_one_line

_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{1,59}")
_TEXT_CHARACTERS = 2_000
_NAME_CHARACTERS = 200

#: Placeholders: names are the same in every language, moments are written as the language writes them.
NAMES = frozenset({"service", "place", "system", "supplier"})
MOMENTS = frozenset({"since", "until", "copied"})


class StatementPart(StrEnum):
    """The text of the facts that a statement is for."""

    SUMMARY = "summary"
    MEASURES_TAKEN = "measures_taken"
    RECOMMENDATIONS = "recommendations"
    NOT_KNOWN_YET = "not_known_yet"
    LIKELY_CONSEQUENCES = "likely_consequences"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement: the same content in every language."""

    id: str
    part: StatementPart
    #: language -> text with placeholders
    texts: Mapping[str, str] = field(hash=False)
    #: further words that it is found by
    words: str
    #: names of its placeholders, in the order of the English text
    placeholders: tuple[str, ...]

    def filled(self, values: Mapping[str, str | datetime], time_zone: str = "UTC") -> LocalizedText:
        """Return the text in every language; ``time_zone`` is the zone in which moments are written.

        Raises InvalidInputError for a placeholder without a value, a name that is no single line, or a naive moment.
        Values that the statement does not use are ignored.
        """
        faults = [fault for name in self.placeholders for fault in _value_faults(name, values.get(name))]
        if faults:
            raise InvalidInputError(*faults)
        return LocalizedText.of({language: self._in(language, values, time_zone) for language in self.texts})

    def _in(self, language: str, values: Mapping[str, str | datetime], time_zone: str) -> str:
        return _PLACEHOLDER.sub(lambda found: _said(values[found[1]], language, time_zone), self.texts[language])


def _said(value: str | datetime, language: str, time_zone: str) -> str:
    return moment(timestamp_text(value), language, time_zone) if isinstance(value, datetime) else on_one_line(value)


def _value_faults(name: str, value: str | datetime | None) -> list[Fault]:
    if value is None or value == "":
        return [Fault(name, "is missing")]
    if name in MOMENTS:
        is_moment = isinstance(value, datetime) and value.tzinfo is not None
        return [] if is_moment else [Fault(name, "must be a date and time with its zone")]
    if not isinstance(value, str) or len(value) > _NAME_CHARACTERS or on_one_line(value) != value:
        return [Fault(name, f"must be one line of at most {_NAME_CHARACTERS} characters")]
    return []


def parse_statements(text: str, source: str) -> tuple[Statement, ...]:
    """Return the statements of a TOML file; raises InvalidInputError with file, statement and reason of each fault."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(Fault(source, f"is no TOML: {error}")) from None
    items = data.get("statement")
    if not isinstance(items, list) or set(data) != {"statement"} or not all(isinstance(item, dict) for item in items):
        raise InvalidInputError(Fault(source, "must have tables [[statement]] and nothing else"))
    faults: list[Fault] = []
    statements: dict[str, Statement] = {}
    for number, item in enumerate(items, 1):
        identifier = item.get("id", f"number {number}")
        found = ["has the id of another statement"] if identifier in statements else list(_item_faults(item))
        faults += [Fault(f"{source}: {identifier}", reason) for reason in found]
        if not found:
            statements[identifier] = _statement(item)
    if faults:
        raise InvalidInputError(*faults)
    return tuple(statements.values())


def _item_faults(item: Mapping[str, object]) -> Sequence[str]:
    wanted = {"id", "part", *LANGUAGES}
    faults = [f"has no {key}" for key in sorted(wanted - set(item))]
    faults += [f"has the unknown key {key}" for key in sorted(set(item) - wanted - {"words"})]
    faults += [f"{key} must be a text" for key, value in item.items() if not isinstance(value, str)]
    if faults:
        return faults
    if not _IDENTIFIER.fullmatch(str(item["id"])):
        faults.append("id must be lower-case letters, digits and underscores")
    if item["part"] not in set(StatementPart):
        faults.append(f"part must be one of {', '.join(StatementPart)}")
    english = set(_PLACEHOLDER.findall(str(item["en"])))
    for language in LANGUAGES:
        text = str(item[language])
        if not text.strip() or len(text) > _TEXT_CHARACTERS:
            faults.append(f"{language} must have 1 to {_TEXT_CHARACTERS} characters")
        if set(_PLACEHOLDER.findall(text)) != english:
            faults.append(f"{language} has other placeholders than en")
        if _PLACEHOLDER.sub("", text).count("{") + _PLACEHOLDER.sub("", text).count("}"):
            faults.append(f"{language} has a brace that belongs to no placeholder")
    faults += [f"the placeholder {name} is not known" for name in sorted(english - NAMES - MOMENTS)]
    return faults


def _statement(item: Mapping[str, str]) -> Statement:
    return Statement(
        id=item["id"],
        part=StatementPart(item["part"]),
        texts=MappingProxyType({language: item[language] for language in LANGUAGES}),
        words=item.get("words", ""),
        placeholders=tuple(dict.fromkeys(_PLACEHOLDER.findall(item["en"]))),
    )


@cache
def bundled_statements() -> tuple[Statement, ...]:
    """Return the statements that are part of the product."""
    name = "statements.toml"
    return parse_statements(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"), name)


def with_own(own: Sequence[Statement]) -> tuple[Statement, ...]:
    """Return an installation's statements before the bundled ones; one with the id of a bundled one replaces it."""
    ids = {statement.id for statement in own}
    return (*own, *(statement for statement in bundled_statements() if statement.id not in ids))


def found_statements(
    statements: Sequence[Statement], query: str, part: StatementPart | None = None
) -> tuple[Statement, ...]:
    """Return the statements that have every word of a query, in any language, without regard to case and accents.

    A word of the query is found at the start of a word of the statement. An empty query finds all.
    """
    wanted = _words(query)
    return tuple(
        statement
        for statement in statements
        if (part is None or statement.part is part) and _has_all(_words_of(statement), wanted)
    )


def _has_all(words: frozenset[str], wanted: frozenset[str]) -> bool:
    return all(any(word.startswith(start) for word in words) for start in wanted)


@cache
def _words_of(statement: Statement) -> frozenset[str]:
    return _words(" ".join((*statement.texts.values(), statement.words, statement.id)))


def _words(text: str) -> frozenset[str]:
    plain = unicodedata.normalize("NFKD", text.casefold().replace("_", " "))
    return frozenset(re.findall(r"\w+", "".join(char for char in plain if not unicodedata.combining(char))))
