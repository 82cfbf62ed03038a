"""The notification report on the incidents that were declared in a period, read from the log for a page.

``greffier audit`` reads the whole log. This module finds the declarations of the period and reads every entry of each
incident, so the report has everything that the log contains about these incidents. It does not prove that there are no
other incidents, and it does not compute the root again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from notifications.audit.entry import parse_leaf
from notifications.evidence.notification_report import NotificationReport
from notifications.evidence.notification_report_builder import ReportBuilder
from notifications.ports import EntryFilter, Page
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction

_ENTRIES_AT_ONCE = 1024
#: Most incidents of one page, newest first; after so many entries no further incident is read.
_INCIDENTS_MAX = 50
_ENTRIES_MAX = 50_000


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """The report on the incidents of a period, from the log."""

    findings: NotificationReport
    #: number of older incidents of the period that are not in the report
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
    """Return the report on the incidents declared from ``starts_at`` until before ``ends_at``, within the scope.

    ``wanted`` is part of a customer's name; only lines of such customers are returned. ``ticket`` names one incident
    instead of the period. The read of an auditor is logged before the function returns.

    1. Find every declaration in the period.
    2. Read every entry of each incident, newest incidents first, up to a limit.
    3. Add the names of the customers, and the times of erasures.
    """
    # 1.
    size = await access.store.read(lambda tx: tx.log.size())
    if ticket:
        incident = await access.store.read(lambda tx: access.view(tx).incidents.by_ticket(ticket))
        declared = [] if incident is None else [str(incident.id)]
    else:
        declared = await _declared_within(access, starts_at, ends_at)
    # 2.
    builder = ReportBuilder()
    newest = declared[: -_INCIDENTS_MAX - 1 : -1]
    begun = await access.store.read(lambda tx: _take_all(access.view(tx), builder, newest))
    # 3.
    findings = builder.findings(access.clock.now(), whole=False)
    named = {line.customer for line in findings.lines}
    customers = await access.store.read(lambda tx: _customers(access.view(tx), named))
    findings = _of(findings, customers, wanted.strip().casefold())
    erased = await _erased(access, {line.customer for line in findings.lines} - customers.keys())
    await access.trace()
    return PeriodReport(findings, len(declared) - begun, size, customers, erased)


async def _declared_within(access: Access, starts_at: datetime, ends_at: datetime) -> list[str]:
    """Return the incidents declared in the period, in the order of the log."""
    wanted = EntryFilter("incident.declared", starts_at=starts_at, ends_at=ends_at)
    found: list[str] = []
    cursor = None
    while True:
        page = Page(_ENTRIES_AT_ONCE, cursor)
        entries, cursor = await access.store.read(lambda tx, part=page: access.view(tx).audit.matching(wanted, part))  # type: ignore[misc]  # mypy knows no defaults of lambdas
        found += [parse_leaf(entry.leaf).subjects["incident"] for entry in entries]
        if cursor is None:
            return found


def _take_all(tx: AccessTransaction, builder: ReportBuilder, incidents: Sequence[str]) -> int:
    """Give every entry of incidents to the builder, up to a limit; returns the number of incidents that were read."""
    read = 0
    for begun, incident in enumerate(incidents):
        if read >= _ENTRIES_MAX:
            return begun
        cursor = None
        while True:
            found, cursor = tx.audit.about("incident", incident, Page(_ENTRIES_AT_ONCE, cursor))
            for entry in found:
                builder.take(entry.index, parse_leaf(entry.leaf))
            read += len(found)
            if cursor is None:
                break
    return len(incidents)


def _customers(tx: AccessTransaction, pseudonyms: set[str]) -> dict[str, tuple[str, str]]:
    """Return the customers within the scope, by pseudonym."""
    return {name: (str(item.id), item.name) for name, item in tx.customers.by_pseudonyms(pseudonyms).items()}


def _of(findings: NotificationReport, customers: Mapping[str, tuple[str, str]], wanted: str) -> NotificationReport:
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
