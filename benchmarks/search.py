"""One search among 100,000 incidents against one among 100; on SQLite.

Each search is of a page of results, by words as somebody types them: a ticket, two rare words, the beginning of a word,
and a word that every incident has. The two databases take turns, so that both have the same machine.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path
from uuid import UUID

from table import result_line

from notifications.incident import LocalizedText
from notifications.ports import Page
from service.store import migrate_store, open_store
from service.store.maintenance.inspection import Inspection, inspected
from support.records import make_facts, make_incident

_AT_ONCE = 1000
_PAGE = Page(25)
_SYLLABLES = [
    "ba",
    "be",
    "bi",
    "bo",
    "bu",
    "da",
    "de",
    "di",
    "do",
    "du",
    "ka",
    "ke",
    "ki",
    "ko",
    "ku",
    "la",
    "le",
    "li",
    "lo",
    "lu",
    "ma",
    "me",
    "mi",
    "mo",
    "mu",
    "na",
    "ne",
    "ni",
    "no",
    "nu",
]
_CHOSEN = random.Random(1)
#: 8,000 words; the first ones are frequent, as in a language.
_WORDS = sorted({"".join(_CHOSEN.choices(_SYLLABLES, k=4)) for _ in range(8000)}, key=lambda _: _CHOSEN.random())


def _text(chosen: random.Random, words: int) -> str:
    return " ".join(_WORDS[int(len(_WORDS) * chosen.random() ** 3)] for _ in range(words))


async def fill(path: Path, count: int) -> None:
    """Store so many incidents, each with a title of 6 words and a summary of 40."""
    migrate_store(path)
    store, chosen = open_store(path, migrate=False), random.Random(2)
    for start in range(0, count, _AT_ONCE):
        incidents = [
            make_incident(
                id=UUID(int=number + 1),
                ticket=f"INC-2026-{number:06d}",
                facts=make_facts(
                    title=LocalizedText.of({"en": f"incident {_text(chosen, 6)}"}),
                    summary=LocalizedText.of({"en": _text(chosen, 40)}),
                ),
            )
            for number in range(start, min(start + _AT_ONCE, count))
        ]
        await store.write(lambda tx, incidents=incidents: [tx.incidents.add(incident) for incident in incidents])
    await store.close()


def queries(count: int, chosen: random.Random) -> list[str]:
    """Return one search of each kind."""
    rare = chosen.sample(_WORDS[len(_WORDS) // 2 :], 2)
    return [f"INC-2026-{chosen.randrange(count):06d}", " ".join(rare), rare[0][:6], "incident"]


def search(log: Inspection, query: str) -> float:
    """Return the seconds of one search."""
    began = time.perf_counter()
    log.tx.search.find(_PAGE, "incident", query)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, nargs=2, default=[100, 100_000])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--folder", type=Path, help="keep the databases here and use them again")
    arguments = parser.parse_args()
    chosen = random.Random(3)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        paths = [folder / f"search-{count}.sqlite3" for count in arguments.incidents]
        for path, count in zip(paths, arguments.incidents, strict=True):
            if not path.exists():
                asyncio.run(fill(path, count))
        with inspected(paths[0]) as few, inspected(paths[1]) as many:
            took: list[list[float]] = [[], []]
            for _ in range(arguments.rounds):
                for log, count, times in zip((few, many), arguments.incidents, took, strict=True):
                    times.append(sum(search(log, query) for query in queries(count, chosen)) / 4)
    small, large = (statistics.median(times) for times in took)
    few_said, many_said = (f"{count:,}" for count in arguments.incidents)
    print(f"  {small * 1e6:.0f} µs among {few_said}, {large * 1e6:.0f} µs among {many_said}")
    print(result_line("search", large / small, at_most=5))


if __name__ == "__main__":
    main()
