"""Strict reading of a TOML table: no key is unknown, missing or of another type; a fault names file and key."""

import re
from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Any, NoReturn

from notifications.errors import AgreementError
from notifications.incident import LANGUAGES, UNKNOWN, LocalizedText

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,63}")
_TEXT_MAX_CHARACTERS = 2_000


class Table:
    """A TOML table that is read key by key; a key that is left at the end is unknown."""

    def __init__(self, file: str, path: str, value: object) -> None:
        self.file, self.path = file, path
        if not isinstance(value, dict):
            raise AgreementError(file, path, "must be a table")
        self._left: dict[str, Any] = dict(value)

    def fail(self, key: str, reason: str) -> NoReturn:
        """Raise AgreementError for a key of this table."""
        raise AgreementError(self.file, f"{self.path}.{key}" if self.path else key, reason)

    def take(self, key: str) -> object:
        """Return the value of a required key."""
        if key not in self._left:
            self.fail(key, "is missing")
        return self._left.pop(key)

    def has(self, key: str) -> bool:
        """Return whether a key is present and not read yet."""
        return key in self._left

    def words(self, key: str) -> str:
        """Return one line of text that is not empty."""
        value = self.take(key)
        if not isinstance(value, str) or not value.strip():
            self.fail(key, "must be a text that is not empty")
        if len(value) > _TEXT_MAX_CHARACTERS or not value.isprintable():
            self.fail(key, f"must be one line of at most {_TEXT_MAX_CHARACTERS} printable characters")
        return value

    def identifier(self, key: str) -> str:
        """Return letters, digits and underscores; never ``unknown``, which is reserved for facts."""
        value = self.words(key)
        if not _ID.fullmatch(value) or value == UNKNOWN:
            self.fail(key, f"{value!r} is not an identifier (letters, digits and underscore, and not {UNKNOWN!r})")
        return value

    def texts(self, key: str) -> LocalizedText:
        """Return a text in every one of ``LANGUAGES``."""
        inner = self.table(key)
        texts = LocalizedText.of({language: inner.words(language) for language in LANGUAGES})
        inner.finish()
        return texts

    def integer(self, key: str, minimum: int, maximum: int) -> int:
        """Return a whole number within bounds, both included."""
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(key, "must be a whole number")
        if not minimum <= value <= maximum:
            self.fail(key, f"must be from {minimum} to {maximum}, not {value}")
        return value

    def boolean(self, key: str) -> bool:
        """Return true or false."""
        value = self.take(key)
        if not isinstance(value, bool):
            self.fail(key, "must be true or false")
        return value

    def day(self, key: str) -> date:
        """Return a calendar date."""
        value = self.take(key)
        if not isinstance(value, date) or isinstance(value, datetime):
            self.fail(key, "must be a date such as 2025-01-17")
        return value

    def clock_time(self, key: str) -> time:
        """Return a time of day."""
        value = self.take(key)
        if not isinstance(value, time):
            self.fail(key, "must be a time of day such as 08:00:00")
        return value

    def names(self, key: str) -> tuple[str, ...]:
        """Return a list of texts that is not empty and has no text twice, in the order given."""
        value = self.take(key)
        if not isinstance(value, list) or not value or not all(isinstance(name, str) and name for name in value):
            self.fail(key, "must be a list of texts with at least one entry")
        for name in value:
            if value.count(name) > 1:
                self.fail(key, f"names {name!r} twice")
        return tuple(value)

    def one_of(self, key: str, known: Iterable[str]) -> str:
        """Return a text that is one of those known."""
        value, allowed = self.words(key), tuple(known)
        if value not in allowed:
            self.fail(key, f"{value!r} is not one of {', '.join(allowed)}")
        return value

    def table(self, key: str) -> "Table":
        """Return an inner table."""
        return Table(self.file, f"{self.path}.{key}" if self.path else key, self.take(key))

    def tables(self, key: str) -> "list[Table]":
        """Return a list of tables that is not empty."""
        value = self.take(key)
        if not isinstance(value, list) or not value:
            self.fail(key, "must be a list of tables with at least one entry")
        path = f"{self.path}.{key}" if self.path else key
        return [Table(self.file, f"{path}.{index}", entry) for index, entry in enumerate(value)]

    def finish(self) -> None:
        """Raise AgreementError if a key was never read: the product would ignore what it states."""
        for key in self._left:
            self.fail(key, "is not a known key")
