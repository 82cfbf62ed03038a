"""The report of who was notified, from the entries of a bundle.

It is proved that each entry is in the log, but not that there are no others. The log's key signed the list of the
bundle's parts, and ``greffier audit`` checks the whole log. The entries of an incident or announcement state the number
of customers that were decided; this number is compared with the decisions in the bundle.

The time of the report depends only on the content, so that the same bundle always has the same report. It is the time
of the timestamp over the checkpoint, else the time of the newest entry, but never after the end of the period.
"""

from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

from notifications.audit.entry import Leaf
from notifications.evidence.bundle.contents import Header
from notifications.evidence.notification_report import NotificationReport
from notifications.evidence.notification_report_builder import ReportBuilder


class Basis(StrEnum):
    """Where the time of a report comes from."""

    TIMESTAMP = "timestamp"
    NEWEST_ENTRY = "newest_entry"
    END_OF_PERIOD = "end_of_period"


class BundleReportBuilder:
    """Takes the entries of a bundle in order."""

    def __init__(self) -> None:
        self._builder = ReportBuilder()
        self._header: Header | None = None
        self._stamped_at: datetime | None = None
        self._newest: datetime | None = None

    def begin(self, header: Header, stamped_at: datetime | None) -> None:
        """Take the header, and the time of the timestamp over the checkpoint, before the entries."""
        self._header, self._stamped_at = header, stamped_at

    def take(self, index: int, leaf: Leaf) -> None:
        """Take the next entry."""
        self._builder.take(index, leaf)
        self._newest = leaf.at if self._newest is None else max(self._newest, leaf.at)

    def as_of(self) -> tuple[datetime, Basis]:
        """Return the time of the report, and where it comes from."""
        if self._stamped_at is not None:
            moment, basis = self._stamped_at, Basis.TIMESTAMP
        else:
            moment, basis = self._newest or datetime.min.replace(tzinfo=UTC), Basis.NEWEST_ENTRY
        ends_at = None if self._header is None else self._header.scope.ends_at
        return (ends_at, Basis.END_OF_PERIOD) if ends_at is not None and ends_at < moment else (moment, basis)

    @property
    def header(self) -> Header:
        """The header of the bundle; raises LookupError before ``begin``."""
        if self._header is None:
            raise LookupError("the header is not known before begin()")
        return self._header

    @property
    def counts_customers(self) -> bool:
        """Whether the number of decided customers can be compared: only for a whole incident or announcement."""
        scope = self.header.scope
        return scope == replace(scope, notice=None, customer=None, starts_at=None, ends_at=None)

    def findings(self, as_of: datetime | None = None) -> NotificationReport:
        """Return the report, at the time ``as_of`` if it is given."""
        found = self._builder.findings(as_of or self.as_of()[0], whole=False)
        if self.counts_customers:
            return found
        announced = tuple(replace(item, stated=None) for item in found.announcements.incidents)
        return replace(found, incidents=(), announcements=replace(found.announcements, incidents=announced))
