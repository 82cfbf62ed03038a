"""Measure a period from the store's log: find the declarations of the period, read every entry of each incident."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from notifications.audit.entry import parse_leaf
from notifications.errors import StateConflictError
from notifications.ports import EntryFilter, Page, SequencedEntry, Transaction
from notifications.reporting.measuring import REPORT_VERSION, MeasuredPeriod, PeriodReader
from notifications.reporting.period import Period

ResultT = TypeVar("ResultT")

_ENTRIES_AT_ONCE = 1024


class Reads(Protocol):
    """Runs work against one snapshot of the store, or of what a caller may read of it."""

    def __call__(self, work: Callable[[Transaction], ResultT], /) -> Awaitable[ResultT]:
        """Return the result of the work."""
        ...


class TooManyEntriesError(StateConflictError):
    """A period has more entries than a request reads."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the period has more than {limit} entries: its report is issued by the service, or use greffier report"
        )


async def size_before(read: Reads, moment: datetime) -> int:
    """Return how many entries the log has up to the last one that was recorded before a moment."""
    wanted = EntryFilter(ends_at=moment)
    found, _ = await read(lambda tx: tx.audit.matching(wanted, Page(1), newest_first=True))
    return found[0].index + 1 if found else 0


async def measure(
    read: Reads,
    period: Period,
    as_of: datetime,
    tree_size: int,
    *,
    entries_max: int | None = None,
    version: int = REPORT_VERSION,
) -> MeasuredPeriod:
    """Return the measurement of a period from the first ``tree_size`` entries; raises TooManyEntriesError.

    An entry is never changed, so several snapshots give what one would give.

    1. Find every declaration in the period.
    2. Read every entry of each incident and announcement.

    ``version``: of the JSON form that is wanted.
    """
    reader, read_entries = PeriodReader(period, version), 0
    if tree_size == 0:
        return reader.measured(as_of, 0)
    # 1.
    declared: list[tuple[str, str]] = []
    for kind in ("incident", "announcement"):
        wanted = EntryFilter(
            f"{kind}.declared", starts_at=period.starts_at, ends_at=period.ends_at, last_index=tree_size - 1
        )
        cursor: str | None = None
        while True:
            entries, cursor = await read(partial(_matching, wanted=wanted, page=Page(_ENTRIES_AT_ONCE, cursor)))
            declared += [(kind, parse_leaf(entry.leaf).subjects[kind]) for entry in entries]
            if cursor is None:
                break
    # 2.
    for kind, subject in declared:
        cursor = None
        while True:
            page = Page(_ENTRIES_AT_ONCE, cursor)
            entries, cursor = await read(partial(_about, kind=kind, subject=subject, page=page))
            read_entries += len(entries)
            if entries_max is not None and read_entries > entries_max:
                raise TooManyEntriesError(entries_max)
            await asyncio.to_thread(_take, reader, entries, tree_size)
            if cursor is None or entries[-1].index >= tree_size:
                break
    return reader.measured(as_of, tree_size)


def _matching(tx: Transaction, wanted: EntryFilter, page: Page) -> tuple[list[SequencedEntry], str | None]:
    return tx.audit.matching(wanted, page)


def _about(tx: Transaction, kind: str, subject: str, page: Page) -> tuple[list[SequencedEntry], str | None]:
    return tx.audit.about(kind, subject, page)


def _take(reader: PeriodReader, entries: Sequence[SequencedEntry], tree_size: int) -> None:
    for entry in entries:
        if entry.index < tree_size:
            reader.take(entry.index, parse_leaf(entry.leaf))
