"""The notices of one incident: who wrote them, who may release them, and their release under four eyes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import Response

from notifications.customer.records import Customer
from notifications.errors import Fault, InvalidInputError, StateConflictError, VersionMismatchError
from notifications.incident import AffectedCustomer, Incident, IncidentFacts, LocalizedText
from notifications.notice import Notice, NoticeState
from notifications.ports import Page
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.outdated_decisions import outdated_decisions
from notifications.use_cases.incidents.release_notice import (
    FourEyesError,
    FourEyesRule,
    OutdatedDecisionError,
    four_eyes_rule,
    override_release,
    override_releases,
    release_drafts,
    release_notice,
)
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.monitoring.alerts import raise_alerts
from service.monitoring.notice_findings import override_finding
from service.ports.notice_lists import NoticeFilter
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.notices.notice_schemas import OverrideIn
from service.web.api.notices.notices import log_overrides
from service.web.console.failures import PageRoute
from service.web.console.forms import Form, form_of, new_form_id, stated_number, stated_version, write_once
from service.web.console.pages.incident.frame import (
    STALE,
    MayOverrideRelease,
    MayReadIncidents,
    MayReleaseNotices,
    Standing,
    context_of,
    customers_of,
    problems_of,
    reading,
    shown_in_frame,
    standing_of,
)

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_TEXTS = ("title", "summary", "measures_taken", "recommendations", "not_known_yet")
_DONE = frozenset({"released", "overridden"})
#: Notices on one page: of the drafts, and of the others.
LISTED_MAX = 200


@dataclass(frozen=True, slots=True)
class ListedNotice:
    """One notice, and what a person who would release it has to know."""

    notice: Notice
    customer: Customer | None
    #: name of who wrote it last
    author: str
    released_by: str
    #: what requires a second person; None for nothing
    rule: FourEyesRule | None = None
    #: whether the reader wrote it last
    own: bool = False
    #: language of a reader -> the free texts that it lacks, as facts
    foreign: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_draft(self) -> bool:
        """Whether nobody has released it."""
        return self.notice.state is NoticeState.DRAFT

    @property
    def is_refused(self) -> bool:
        """Whether the reader may not release it under four eyes."""
        return self.own and self.rule is not None


def foreign_texts(facts: IncidentFacts, own: AffectedCustomer | None, languages: Sequence[str]) -> dict[str, list[str]]:
    """Return the free texts that each of these languages lacks: their readers get them in another one."""
    texts: dict[str, LocalizedText | None] = {name: getattr(facts, name) for name in _TEXTS}
    if own is not None:
        texts |= {"effect": own.effect, "likely_consequences": own.personal_data.likely_consequences}
    missing = {
        language: [name for name, said in texts.items() if said is not None and language not in said.as_mapping()]
        for language in languages
    }
    return {language: names for language, names in missing.items() if names}


def languages_of(tx: AccessTransaction, customer: Customer) -> list[str]:
    """Return the languages that a customer's notices are written in: its own, and those of its active contacts."""
    contacts = (each.language for each in tx.customers.contacts(customer.id) if each.active)
    return list(dict.fromkeys((customer.language, *contacts)))


def in_order(standing: Standing) -> list[Notice]:
    """Return the notices that were not withdrawn: drafts by deadline, then the others."""
    kept = (notice for notice in standing.notices if notice.state is not NoticeState.WITHDRAWN)
    return sorted(kept, key=lambda each: (each.state is not NoticeState.DRAFT, each.due_at))


def listed(
    tx: AccessTransaction, access: Access, context: ApiContext, standing: Standing, notices: Sequence[Notice]
) -> list[ListedNotice]:
    """Return notices of the incident with what a person who would release them has to know."""
    found = []
    customers = customers_of(tx, notices)
    for notice in notices:
        customer = customers.get(notice.customer_id)
        author, released_by = standing.name_of(notice.drafted_by), standing.name_of(notice.released_by)
        if notice.state is not NoticeState.DRAFT or customer is None:
            found.append(ListedNotice(notice, customer, author, released_by))
            continue
        foreign = _foreign(tx, standing.incident.facts, customer)
        rule = four_eyes_rule(tx, customer.id, standing.incident.facts.aware_at, context.agreements)
        own = notice.drafted_by == access.actor
        found.append(ListedNotice(notice, customer, author, released_by, rule, own, foreign))
    return found


def _foreign(tx: AccessTransaction, facts: IncidentFacts, customer: Customer) -> dict[str, list[str]]:
    return foreign_texts(facts, facts.for_customer(customer.id), languages_of(tx, customer))


@dataclass(frozen=True, slots=True)
class ForeignReaders:
    """Customers whose readers of one language get the same free texts in another one."""

    language: str
    facts: tuple[str, ...]
    names: Sequence[str]


def foreign_readers(tx: AccessTransaction, incident: Incident) -> list[ForeignReaders]:
    """Return which customers would read a foreign language if all drafts of an incident were released now."""
    names: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    stated = {each.customer_id: each for each in incident.facts.affected_customers}
    for readers in tx.notices.readers(incident.id, NoticeFilter(NoticeState.DRAFT.value), Page(1)):
        found = foreign_texts(incident.facts, stated.get(readers.customer_id), readers.languages)
        for language, missing in found.items():
            names.setdefault((language, tuple(missing)), []).append(readers.name)
    return [
        ForeignReaders(language, missing, sorted(of_them)) for (language, missing), of_them in sorted(names.items())
    ]


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of an incident's notices that one page lists, and how many there are."""

    drafts: Sequence[ListedNotice]
    drafts_count: int
    #: customers whose decision would be another one by the terms that bind them now
    outdated: Collection[UUID]
    foreign: Sequence[ForeignReaders]
    released: Sequence[ListedNotice]
    released_count: int


def _part(tx: AccessTransaction, access: Access, context: ApiContext, standing: Standing, first: int) -> _Part:
    ordered = in_order(standing)
    drafts = [each for each in ordered if each.state is NoticeState.DRAFT]
    released = ordered[len(drafts) :]
    shown = drafts[first : first + LISTED_MAX]
    return _Part(
        listed(tx, access, context, standing, shown),
        len(drafts),
        outdated_decisions(tx, standing.incident, {each.customer_id for each in shown}, context.agreements),
        foreign_readers(tx, standing.incident),
        listed(tx, access, context, standing, released[:LISTED_MAX]),
        len(released),
    )


@router.get("/incidents/{incident_id}/notices")
async def notices_page(
    request: Request, access: MayReadIncidents, incident_id: UUID, done: str = "", first: str = ""
) -> Response:
    """Show the drafts with their forms, and what was released. ``first``: the drafts before it are left out."""
    return await _shown(request, access, incident_id, done=done if done in _DONE else "", first=first)


@router.post("/incidents/{incident_id}/notices/release")
async def release(request: Request, access: MayReleaseNotices, incident_id: UUID) -> Response:
    """Release the chosen drafts, or all: all of them in the version that was reviewed, or none."""
    form, context = await form_of(request), context_of(request)

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        if form["all"] == "yes":
            release_drafts(tx, act, incident_id, stated_version(form["version"]), context.agreements)
        else:
            for notice_id, version in _chosen(tx, form, incident_id):
                release_notice(tx, act, notice_id, version, context.agreements)
        return f"/incidents/{incident_id}/notices?done=released"

    try:
        return await write_once(access, form, work)
    except (InvalidInputError, VersionMismatchError, StateConflictError) as error:
        return await _shown(request, reading(access), incident_id, error=error, form=form)


@router.post("/incidents/{incident_id}/notices/override")
async def override(request: Request, access: MayOverrideRelease, incident_id: UUID) -> Response:
    """Release drafts past four eyes, or without an approver: with a reason, an alert, and a review afterwards."""
    form, context = await form_of(request), context_of(request)
    overridden: list[Notice] = []

    def work(tx: AccessTransaction, act: AuditContext) -> str:
        reason = _reason(form)
        if form["all"] == "yes":
            version = stated_version(form["version"])
            notices = override_releases(tx, act, incident_id, version, context.agreements, reason)
        else:
            notices = [
                override_release(tx, act, notice_id, version, context.agreements, reason)
                for notice_id, version in _chosen(tx, form, incident_id)
            ]
        raise_alerts(tx, act, [override_finding(tx, notice) for notice in notices], context.settings.provider)
        overridden[:] = notices
        return f"/incidents/{incident_id}/notices?done=overridden"

    try:
        response = await write_once(access, form, work)
    except (InvalidInputError, VersionMismatchError, StateConflictError) as error:
        return await _shown(request, reading(access), incident_id, error=error, form=form)
    log_overrides(overridden)
    return response


def _reason(form: Form) -> str:
    try:
        return OverrideIn(reason=form["reason"].strip()).reason
    except ValidationError:
        raise InvalidInputError(Fault("reason", "state why this cannot wait for another person")) from None


def _chosen(tx: AccessTransaction, form: Form, incident_id: UUID) -> list[tuple[UUID, int]]:
    """Return the chosen drafts of the incident, each in the version that was shown; raises InvalidInputError."""
    known = {str(notice.id): notice.id for notice in tx.notices.of_incident(incident_id)}
    found = []
    for stated in form.all("notice"):
        name, _, version = stated.partition(":")
        if name not in known:
            raise InvalidInputError(Fault("notice", "is no notice of this incident"))
        found.append((known[name], stated_version(version)))
    if not found:
        raise InvalidInputError(Fault("notice", "choose at least one"))
    return found


async def _shown(
    request: Request,
    access: Access,
    incident_id: UUID,
    *,
    done: str = "",
    error: Exception | None = None,
    form: Form | None = None,
    first: str = "",
) -> Response:
    context = context_of(request)
    start = stated_number(first if form is None else form["first"]) or 0

    def work(tx: AccessTransaction) -> tuple[Standing, _Part]:
        standing = standing_of(tx, tx.incidents.require(incident_id))
        return standing, _part(tx, access, context, standing, start)

    standing, found = await access.read(work)
    problems, status = problems_of(error)
    if isinstance(error, FourEyesError):
        problems = ["incident.problem.four_eyes"]
    if isinstance(error, OutdatedDecisionError):
        problems = ["incident.problem.outdated"]
    chosen = dict(stated.partition(":")[::2] for stated in form.all("notice")) if form is not None else {}
    changed = {
        str(each.notice.id)
        for each in found.drafts
        if str(each.notice.id) in chosen and chosen[str(each.notice.id)] != str(each.notice.version)
    }
    values: dict[str, Any] = {
        "drafts": found.drafts,
        "drafts_count": found.drafts_count,
        "outdated": found.outdated,
        "first": start,
        "following": start + LISTED_MAX if start + LISTED_MAX < found.drafts_count else None,
        "foreign": found.foreign,
        "released": found.released,
        "released_count": found.released_count,
        "may_release": access.may(Permission.NOTICE_RELEASE),
        "may_override": access.may(Permission.NOTICE_OVERRIDE),
        "chosen": chosen,
        "changed": changed,
        "reason": "" if form is None else form["reason"],
        "form_id": new_form_id() if form is None else form["form_id"],
        "stale_from": stated_version(form["version"]) if form is not None and status == STALE else None,
        "problems": problems,
        "done": done,
    }
    return shown_in_frame(request, access, standing.incident, "notices", values, status=status)
