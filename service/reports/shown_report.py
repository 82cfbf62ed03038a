"""A report as it is given out: the document as it was issued, or computed now, with its corrections."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from notifications.canonical_json import canonicalize
from notifications.errors import NotFoundError
from notifications.reporting.corrections import Correction, corrections_of
from notifications.reporting.report import PeriodReport, report_json
from service.ports.reports import IssuedReport


class ReportState(StrEnum):
    """Where the numbers of a report come from."""

    #: issued: they do not change any more
    ISSUED = "issued"
    #: issued, and there was nothing to report on this customer; there is no document of its own
    ISSUED_EMPTY = "issued_empty"
    #: computed from the log as it is now; nothing is issued yet, or the present numbers were asked for
    PROVISIONAL = "provisional"


@dataclass(frozen=True, slots=True)
class IssuedCorrection:
    """Numbers that were issued later as corrections, beside the report."""

    issued: IssuedReport
    changes: tuple[Correction, ...]


@dataclass(frozen=True, slots=True)
class ShownReport:
    """A report with what is said beside it."""

    state: ReportState
    #: the JSON form
    stated: Mapping[str, Any]
    #: canonical JSON
    content: bytes
    #: the report as issued; None if there is no document
    issued: IssuedReport | None
    corrections: Sequence[IssuedCorrection]
    #: what the log says now otherwise than what was issued last; only if the present numbers were asked for
    unissued_changes: tuple[Correction, ...] = ()
    #: names of present customers by pseudonym, for readers at the provider
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """The digest of the content, which the log has for an issued report."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def customer(self) -> str:
        """The pseudonym; empty for the report on all customers."""
        return str(self.stated["customer"] or "")

    @property
    def number(self) -> int:
        """The number of the last document that is shown; 0 if there is none."""
        documents = [*([] if self.issued is None else [self.issued]), *(each.issued for each in self.corrections)]
        return documents[-1].number if documents else 0

    def as_it_was(self, number: int) -> "ShownReport":
        """Return the report with the corrections up to the document of a number; raises NotFoundError."""
        corrections = [each for each in self.corrections if each.issued.number <= number]
        found = replace(self, corrections=corrections, unissued_changes=())
        if found.number != number:
            raise NotFoundError(f"document {number} of the report", self.stated["period"])
        return found

    @property
    def issued_at(self) -> datetime | None:
        """When it was issued."""
        return None if self.issued is None else self.issued.issued_at


def issued_report(documents: Sequence[IssuedReport]) -> ShownReport:
    """Return the report of its documents: the first one, and what each later one corrects."""
    stated = [json.loads(each.content) for each in documents]
    changes = [
        IssuedCorrection(document, corrections_of(before, after))
        for document, before, after in zip(documents[1:], stated, stated[1:], strict=False)
    ]
    return ShownReport(ReportState.ISSUED, stated[0], documents[0].content, documents[0], changes)


def computed_report(report: PeriodReport, state: ReportState) -> ShownReport:
    """Return a report that is no issued document."""
    stated = report_json(report)
    return ShownReport(state, stated, canonicalize(stated), None, ())
