"""Differences that a person can read: lines of two letters, words of two texts, facts of two versions."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from service.web.console.pages.incident.fact_words import FactRow

_WORDS = re.compile(r"\s+|[^\s]+")
#: Above so many parts the comparison would take too long: the texts are shown one after the other.
_PARTS_MAX = 4_000
#: Lines that are the same are shown so far around a change.
_AROUND = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of two texts: ``same``, ``removed``, ``added``, or ``skipped`` for lines that are the same."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class FactDifference:
    """One fact that two versions state differently."""

    row: FactRow
    before: str
    after: str
    #: of free text: the words that changed
    pieces: Sequence[Piece]


def line_differences(before: str, after: str) -> list[Piece]:
    """Return the lines of two texts; what is the same far from every change is left out."""
    pieces: list[Piece] = []
    for kind, lines in _differences(before.splitlines(), after.splitlines()):
        if kind == "same" and len(lines) > 2 * _AROUND + 1:
            kept = [*lines[:_AROUND], None, *lines[-_AROUND:]]
            pieces += [Piece("skipped", "") if line is None else Piece("same", line) for line in kept]
        else:
            pieces += [Piece(kind, line) for line in lines]
    return pieces


def word_differences(before: str, after: str) -> list[Piece]:
    """Return two texts as one, with the words that were removed and added."""
    return [Piece(kind, "".join(parts)) for kind, parts in _differences(_WORDS.findall(before), _WORDS.findall(after))]


def fact_differences(before: Iterable[FactRow], after: Iterable[FactRow]) -> list[FactDifference]:
    """Return the facts that differ, in the order of the later version; those that are gone come last."""
    then, now = {row.key: row for row in before}, {row.key: row for row in after}
    found = []
    for key in (*now, *(key for key in then if key not in now)):
        old, new = then.get(key), now.get(key)
        row = new or old
        said_then, said_now = "" if old is None else old.value, "" if new is None else new.value
        if row is not None and said_then != said_now:
            pieces = word_differences(said_then, said_now) if row.is_prose else ()
            found.append(FactDifference(row, said_then, said_now, pieces))
    return found


def _differences(before: Sequence[str], after: Sequence[str]) -> Iterable[tuple[str, Sequence[str]]]:
    if len(before) + len(after) > _PARTS_MAX:
        yield from (("removed", before), ("added", after))
        return
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for kind, old, old_end, new, new_end in matcher.get_opcodes():
        if kind == "equal":
            yield "same", before[old:old_end]
            continue
        if old < old_end:
            yield "removed", before[old:old_end]
        if new < new_end:
            yield "added", after[new:new_end]
