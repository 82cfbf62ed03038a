"""The notification report on the incidents and announcements that were declared in a period, read for a page.

``greffier audit`` reads the whole log. This module finds the declarations of the period and reads every entry of each
incident and announcement, so the report has everything that the log contains about these. It does not prove that there
are no others, and it does not compute the root again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from notifications.audit.entry import parse_leaf
from notifications.evidence.notification_report import NotificationReport, SubjectReport
from notifications.evidence.notification_report_builder import ReportBuilder
from notifications.incident import Incident
from notifications.ports import EntryFilter, Page
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction

_SUBJECTS = ("incident", "announcement")
_ENTRIES_AT_ONCE = 1024
#: Most incidents, and most announcements, of one page, newest first; after so many entries no further one is read.
_INCIDENTS_MAX = 50
_ENTRIES_MAX = 50_000


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """The report on the incidents and announcements of a period, from the log."""

    findings: NotificationReport
    #: number of older incidents and announcements of the period that are not in the report
    left_out: int
    #: size of the tree at its newest checkpoint
    tree_size: int
    #: id and name of the present customers, by pseudonym
    customers: Mapping[str, tuple[str, str]]
    #: when erased customers of the report were erased, by pseudonym
    erased: Mapping[str, datetime]


async def report_for_period(
    access: Access, starts_at: datetime, ends_at: datetime, wanted: str, ticket: str = ""
) -> PeriodReport:
    """Return the report on what was declared from ``starts_at`` until before ``ends_at``, within the scope.

    ``wanted`` is part of a customer's name; only lines of such customers are returned. ``ticket`` names one incident
    or announcement instead of the period. The read of an auditor is logged before the function returns.

    1. Find every declaration in the period.
    2. Read every entry of each incident, then of each announcement, newest first, up to a limit.
    3. Add the names of the customers, and the times of erasures.
    """
    # 1.
    size = await access.store.read(lambda tx: tx.log.size())
    if ticket:
        found = await access.store.read(lambda tx: access.view(tx).incidents.by_ticket(ticket))
        declared = {subject: [str(found.id)] for subject in _SUBJECTS if found and subject == _subject(found)}
    else:
        declared = {subject: await _declared_within(access, subject, starts_at, ends_at) for subject in _SUBJECTS}
    # 2.
    builder = ReportBuilder()
    left_out = 0
    for subject, identifiers in declared.items():
        newest = identifiers[: -_INCIDENTS_MAX - 1 : -1]
        begun = await access.store.read(
            lambda tx, kind=subject, some=newest: _take_all(access.view(tx), builder, kind, some)  # type: ignore[misc]  # mypy knows no defaults of lambdas
        )
        left_out += len(identifiers) - begun
    # 3.
    findings = builder.findings(access.clock.now(), whole=False)
    named = {line.customer for line in (*findings.lines, *findings.announcements.lines)}
    customers = await access.store.read(lambda tx: _customers(access.view(tx), named))
    part = wanted.strip().casefold()
    announcements = _of(findings.announcements, customers, part)
    findings = replace(_of(findings, customers, part), announcements=announcements)
    shown = {line.customer for line in (*findings.lines, *announcements.lines)}
    erased = await _erased(access, shown - customers.keys())
    await access.trace()
    return PeriodReport(findings, left_out, size, customers, erased)


def _subject(found: Incident) -> str:
    return "incident" if found.facts.announcement is None else "announcement"


async def _declared_within(access: Access, subject: str, starts_at: datetime, ends_at: datetime) -> list[str]:
    """Return the incidents or announcements declared in the period, in the order of the log."""
    wanted = EntryFilter(f"{subject}.declared", starts_at=starts_at, ends_at=ends_at)
    found: list[str] = []
    cursor = None
    while True:
        page = Page(_ENTRIES_AT_ONCE, cursor)
        entries, cursor = await access.store.read(lambda tx, part=page: access.view(tx).audit.matching(wanted, part))  # type: ignore[misc]  # mypy knows no defaults of lambdas
        found += [parse_leaf(entry.leaf).subjects[subject] for entry in entries]
        if cursor is None:
            return found


def _take_all(tx: AccessTransaction, builder: ReportBuilder, subject: str, identifiers: Sequence[str]) -> int:
    """Give every entry of incidents or announcements to the builder, up to a limit; returns how many were read."""
    read = 0
    for begun, identifier in enumerate(identifiers):
        if read >= _ENTRIES_MAX:
            return begun
        cursor = None
        while True:
            found, cursor = tx.audit.about(subject, identifier, Page(_ENTRIES_AT_ONCE, cursor))
            for entry in found:
                builder.take(entry.index, parse_leaf(entry.leaf))
            read += len(found)
            if cursor is None:
                break
    return len(identifiers)


def _customers(tx: AccessTransaction, pseudonyms: set[str]) -> dict[str, tuple[str, str]]:
    """Return the customers within the scope, by pseudonym."""
    return {name: (str(item.id), item.name) for name, item in tx.customers.by_pseudonyms(pseudonyms).items()}


_Report = TypeVar("_Report", bound=SubjectReport)


def _of(findings: _Report, customers: Mapping[str, tuple[str, str]], wanted: str) -> _Report:
    """Return the findings on customers whose name contains ``wanted``; all findings if it is empty."""

    def meant(pseudonym: str) -> bool:
        return not wanted or wanted in customers.get(pseudonym, ("", ""))[1].casefold()

    lines = tuple(line for line in findings.lines if meant(line.customer))
    return replace(findings, lines=lines, overrides=tuple(item for item in findings.overrides if meant(item.customer)))


async def _erased(access: Access, gone: set[str]) -> dict[str, datetime]:
    """Return when customers were erased. Everybody who knows a pseudonym may read its erasure."""
    found = {}
    for pseudonym in sorted(gone):
        erasure = await access.store.read(lambda tx, name=pseudonym: tx.erasures.get(name))  # type: ignore[misc]  # as above
        if erasure is not None:
            found[pseudonym] = erasure.erased_at
    return found
