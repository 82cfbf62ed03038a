"""A table of a report, its cells, and the words that it is written with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol


class Says(Protocol):
    """Gives the words for a key, in one language."""

    def __call__(self, key: str, /, **values: object) -> str:
        """Return the words with the values filled in."""
        ...


@dataclass(frozen=True, slots=True)
class Duration:
    """A number of seconds."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Share:
    """A share in thousandths."""

    permille: int


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment, as in the JSON form."""

    text: str


Cell = str | int | Duration | Share | Moment | None


@dataclass(frozen=True, slots=True)
class ReportTable:
    """One table. The first columns name the row, the others are values."""

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    #: number of columns that name the row
    names: int = 1
    #: a sentence below the title
    note: str = ""
    #: what the rows are of, for links; empty without links
    keys: tuple[str, ...] = ()
    #: rows that need attention
    marked: frozenset[int] = field(default_factory=frozenset)
    #: number of last columns that are zero as a rule
    rare: int = 0


@dataclass(frozen=True, slots=True)
class TableWords:
    """What the tables are written with."""

    say: Says
    #: whether there are words for a key
    has: Callable[[str], bool]
    #: title of an agreement by id
    agreements: Mapping[str, str]
    #: title of a kind of notice by id
    notice_kinds: Mapping[str, str]
    #: name of a customer by pseudonym
    names: Mapping[str, str]

    def code(self, area: str, code: object) -> str:
        """Return the words of a code, or the code if there are none."""
        if code in {None, ""}:
            return self.say("report.not_established")
        key = f"report.{area}.{code}"
        return self.say(key) if self.has(key) else str(code)

    def agreement(self, agreement_id: str) -> str:
        """Return the title of an agreement, or its id."""
        return self.agreements.get(agreement_id, agreement_id)

    def notice_kind(self, kind: str | None) -> str:
        """Return the title of a kind of notice, or its id."""
        return self.say("report.not_established") if kind is None else self.notice_kinds.get(kind, kind)

    def customer(self, pseudonym: str) -> str:
        """Return the name of a customer, or the beginning of its pseudonym."""
        return self.names.get(pseudonym, f"{pseudonym[:16]}…")

    def head(self, *columns: str) -> tuple[str, ...]:
        """Return the words of columns."""
        return tuple(self.say(f"report.column.{column}") for column in columns)


def condensed(table: ReportTable) -> ReportTable:
    """Return a table to be read by people: without columns that are empty, and rare outcomes that did not occur."""
    first_rare = len(table.head) - table.rare
    kept = [
        column
        for column in range(len(table.head))
        if any(row[column] if column >= first_rare else row[column] != "" for row in table.rows)
    ]
    head = tuple(table.head[column] for column in kept)
    rows = tuple(tuple(row[column] for column in kept) for row in table.rows)
    return replace(table, head=head, rows=rows, names=sum(column < table.names for column in kept), rare=0)
