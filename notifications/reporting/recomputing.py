"""Compute issued reports again from the leaves of a log, and compare them with what the log says of them.

Anybody who has the log can do this. Not verified here: that these are all leaves under a signed checkpoint
(``notifications.evidence.completeness``).
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from notifications.audit.entry import Leaf, parse_leaf
from notifications.canonical_json import canonicalize, parse_timestamp
from notifications.errors import Fault, InvalidInputError
from notifications.reporting.measuring import MeasuredPeriod, PeriodReader
from notifications.reporting.period import Period
from notifications.reporting.report import customer_reports, empty_report, report_json, report_of, version_of

_KINDS = frozenset({"report.issued", "report.corrected"})


@dataclass(frozen=True, slots=True)
class RecomputedReport:
    """One issued document of a period, as it is stated in the log and as it was computed again."""

    #: the entry that issued it
    index: int
    #: the customer's pseudonym; None for the report on all customers
    customer: str | None
    #: 1 for the report, higher for a correction
    number: int
    tree_size: int
    stated_sha256: str
    #: canonical JSON as it was computed again; empty if the leaves give no such document
    content: bytes

    @property
    def is_same(self) -> bool:
        """Whether the log's digest is that of the document that was computed again."""
        return hashlib.sha256(self.content).hexdigest() == self.stated_sha256


def recomputed_reports(leaves: Callable[[], Iterator[bytes]], period: str) -> list[RecomputedReport]:
    """Return the documents of a period, each computed again from as many leaves as its entry states.

    ``leaves`` gives all leaves of the log from the first one on; it is called once for each size. Raises
    InvalidInputError for an entry that does not state what a report is computed from.
    """
    issued = [
        (index, leaf)
        for index, leaf in enumerate(map(parse_leaf, leaves()))
        if leaf.type in _KINDS and leaf.detail.get("period") == period
    ]
    computed: dict[tuple[int, datetime, int], tuple[MeasuredPeriod, dict[str | None, bytes]]] = {}
    found = []
    for index, leaf in issued:
        basis, as_of, size = _basis(index, leaf)
        version = version_of(str(leaf.detail.get("report")))
        if (size, as_of, version) not in computed:
            computed[size, as_of, version] = _computed(leaves(), basis, as_of, size, version)
        customer = leaf.subjects.get("customer")
        measured, documents = computed[size, as_of, version]
        number, stated = leaf.detail.get("number"), leaf.detail.get("sha256")
        content = documents.get(customer, b"")
        if not content and customer is not None and leaf.type == "report.corrected":
            # It was in the report, and there is nothing to report on it any more.
            content = canonicalize(report_json(empty_report(measured, customer)))
        found.append(
            RecomputedReport(index, customer, number if isinstance(number, int) else 0, size, str(stated), content)
        )
    return found


def _basis(index: int, leaf: Leaf) -> tuple[Period, datetime, int]:
    detail = leaf.detail
    try:
        starts_at, ends_at, as_of = (parse_timestamp(str(detail[name])) for name in ("starts_at", "ends_at", "as_of"))
        size = detail["tree_size"]
    except (KeyError, InvalidInputError):
        size = None
    if not isinstance(size, int) or not 0 <= size <= index:
        raise InvalidInputError(Fault("log", f"entry {index} does not state what its report is computed from"))
    return Period(str(detail["period"]), str(detail.get("time_zone")), starts_at, ends_at, as_of), as_of, size


def _computed(
    leaves: Iterator[bytes], period: Period, as_of: datetime, size: int, version: int
) -> tuple[MeasuredPeriod, dict[str | None, bytes]]:
    reader = PeriodReader(period, version)
    for index, data in enumerate(leaves):
        if index >= size:
            break
        reader.take(index, parse_leaf(data))
    measured = reader.measured(as_of, size)
    documents: dict[str | None, bytes] = {None: canonicalize(report_json(report_of(measured)))}
    of_customers = customer_reports(measured)
    return measured, documents | {name: canonicalize(report_json(each)) for name, each in of_customers.items()}
