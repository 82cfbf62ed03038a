"""The account of who was told, as far as the entries of a bundle show it.

Each entry is proven to stand in the log. That there are no others is not: the log's key signed that these are the
parts of the bundle, and ``greffier audit`` over the whole log shows it. An incident's own entries state of how many
customers it was decided; that is compared with the decisions that are here.

The account is made at a moment that follows from the content, so that the same bundle says the same whenever it is
made: the time of the timestamp over its checkpoint, else of its newest entry; of a period not after its end.
"""

from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum

from notifications.audit.entry import Leaf
from notifications.evidence.bundle.contents import Header
from notifications.evidence.notification_report import NotificationReport
from notifications.evidence.notification_report_builder import ReportBuilder


class Basis(StrEnum):
    """What the moment of an account rests on."""

    TIMESTAMP = "timestamp"
    NEWEST_ENTRY = "newest_entry"
    END_OF_PERIOD = "end_of_period"


class BundleReportBuilder:
    """Takes a bundle's entries in their order."""

    def __init__(self) -> None:
        self._accounting = ReportBuilder()
        self._header: Header | None = None
        self._stamped_at: datetime | None = None
        self._newest: datetime | None = None

    def begin(self, header: Header, stamped_at: datetime | None) -> None:
        """Take what stands before the entries: what the bundle is about, and when its checkpoint was timestamped."""
        self._header, self._stamped_at = header, stamped_at

    def take(self, index: int, leaf: Leaf) -> None:
        """Take the next entry."""
        self._accounting.take(index, leaf)
        self._newest = leaf.at if self._newest is None else max(self._newest, leaf.at)

    def as_of(self) -> tuple[datetime, Basis]:
        """Return the moment of the account, and what it rests on."""
        if self._stamped_at is not None:
            moment, basis = self._stamped_at, Basis.TIMESTAMP
        else:
            moment, basis = self._newest or datetime.min.replace(tzinfo=UTC), Basis.NEWEST_ENTRY
        ends_at = None if self._header is None else self._header.scope.ends_at
        return (ends_at, Basis.END_OF_PERIOD) if ends_at is not None and ends_at < moment else (moment, basis)

    @property
    def header(self) -> Header:
        """What the bundle is about; raises LookupError before ``begin``."""
        if self._header is None:
            raise LookupError("nothing was begun")
        return self._header

    @property
    def counts_customers(self) -> bool:
        """Whether the number of customers that were decided about can be compared: of whole incidents alone."""
        scope = self.header.scope
        return scope == replace(scope, notice=None, customer=None, starts_at=None, ends_at=None)

    def findings(self, as_of: datetime | None = None) -> NotificationReport:
        """Return the account, at another moment where one is given."""
        found = self._accounting.findings(as_of or self.as_of()[0], whole=False)
        return found if self.counts_customers else replace(found, incidents=())
