"""The page of the notification report: the lists for an auditor first, then every incident; then the announcements.

The charts show how long the notices took after awareness, and how many were in time, by month of awareness.
"""

from datetime import UTC, date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from notifications.evidence.notification_report import OverrideKind, ReportLine, ReportStatus, SubjectReport
from service.auth.permissions import Permission
from service.auth.route_guard import Access, Requires
from service.web.console.failures import PageRoute
from service.web.console.pages.audit.entry_query import day_after, day_of, midnight
from service.web.console.pages.audit.notification_charts import charts_of
from service.web.console.pages.audit.period_report import PeriodReport, report_for_period
from service.web.console.rendering import page

router = APIRouter(route_class=PageRoute, include_in_schema=False)

MayReadLog = Annotated[Access, Depends(Requires(Permission.LOG_READ))]

_DAYS = 90
_NAME_CHARACTERS = 200
#: Longest list on the page. An incident of 10,000 customers is for ``greffier audit``.
_SHOWN = 200
_FIRST = (ReportStatus.MISSING, ReportStatus.LATE, ReportStatus.AFTER_AIM)


@router.get("/audit")
async def audit_page(
    request: Request,
    access: MayReadLog,
    first: Annotated[str, Query(alias="from")] = "",
    last: Annotated[str, Query(alias="to")] = "",
    customer: str = "",
    ticket: str = "",
) -> Response:
    """Show the report on what was declared in a period of UTC days, or on one ticket, or on customers.

    ``customer`` is a part of their name. ``ticket`` names one incident or announcement, of any period.
    """
    today = access.clock.now().astimezone(UTC).date()
    begins, ends = day_of(first), day_of(last)
    name, wanted = customer.strip()[:_NAME_CHARACTERS], ticket.strip()[:_NAME_CHARACTERS]
    problem = (bool(first) and begins is None) or (bool(last) and ends is None)
    ends = ends or today
    # Near the first day of the calendar there are not as many days before it.
    begins = begins or ends - min(timedelta(days=_DAYS), ends - date.min)
    problem = problem or begins > ends
    values: dict[str, Any] = {
        "problem": problem,
        "first": first if problem else begins.isoformat(),
        "last": last if problem else ends.isoformat(),
        "customer": name,
        "ticket": wanted,
        "shown_max": _SHOWN,
        "report": None,
    }
    if problem:
        await access.trace()
        return page(request, "audit", access.caller, values, status=422)
    made = await report_for_period(access, midnight(begins), day_after(ends), name, wanted)
    return page(request, "audit", access.caller, values | _shown(made, filtered=bool(name)))


def _shown(made: PeriodReport, *, filtered: bool) -> dict[str, Any]:
    found = made.findings
    both = (*found.incidents, *found.announcements.incidents)
    return {
        "report": made,
        "tickets": {item.incident: item.ticket or item.incident for item in both},
        "incidents": _part(found, filtered=filtered),
        "announcements": _part(found.announcements, filtered=filtered),
        "charts": charts_of(found),
    }


def _part(found: SubjectReport, *, filtered: bool) -> dict[str, Any]:
    """Return what the page shows of incidents, or of announcements."""
    by_subject: dict[str, list[ReportLine]] = {}
    for line in found.lines:
        by_subject.setdefault(line.incident, []).append(line)
    declared = sorted(
        (item for item in found.incidents if item.incident in by_subject or not filtered),
        key=lambda item: item.declared_index or 0,
        reverse=True,
    )
    return {
        "first_lists": [(status, found.with_status(status)) for status in _FIRST],
        "overrides": [item for item in found.overrides if item.kind is not OverrideKind.ONE_PERSON],
        "alone": [item for item in found.overrides if item.kind is OverrideKind.ONE_PERSON],
        "lacking": [] if filtered else [item for item in declared if item.lacking],
        "declared": [(item, by_subject.get(item.incident, [])) for item in declared],
        "counts": _counts(found),
    }


def _counts(found: SubjectReport) -> list[tuple[ReportStatus, int]]:
    counted = [(status, len(found.with_status(status))) for status in ReportStatus]
    return [(status, count) for status, count in counted if count]
