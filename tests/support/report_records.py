"""First interventions and issued reports with sensible values.

Use them in every test of a store that needs rows of these tables. Numbers are those that a test states.
"""

from dataclasses import replace
from uuid import uuid4

from notifications.incident import Intervention
from service.ports.reports import IssuedReport, ReportPdf
from support.records import NOW, after


def make_intervention(incident, **changes):
    """Return the first record of an intervention."""
    return replace(Intervention(incident.id, 1, NOW, after(seconds=1), "account:anna"), **changes)


def make_issued_report(**changes):
    """Return the report of a month on all customers."""
    report = IssuedReport("2026-03", "", 1, NOW, after(days=31), b"{}", uuid4(), after(days=41))
    return replace(report, **changes)


def make_report_pdf(**changes):
    """Return the PDF of the report of a month on all customers."""
    return replace(ReportPdf("2026-03", "", 1, "fr", b"%PDF", uuid4()), **changes)
