"""What the pages of one incident share: the frame around them, who reads what, and the versions that forms carry."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from starlette.responses import Response

from notifications.customer.records import Customer
from notifications.errors import InvalidInputError, VersionMismatchError
from notifications.incident import Incident
from notifications.notice import Notice, NoticeState
from notifications.ports import StoredDecision
from service.auth.permissions import Permission
from service.auth.refusals import ForbiddenError
from service.auth.route_guard import Access, Requires
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.api.incidents.people import people_of
from service.web.console.catalogues import has_text
from service.web.console.forms import Form
from service.web.console.listing import access_under, in_language
from service.web.console.rendering import page, reader_language

MayReadIncidents = Annotated[Access, Depends(Requires(Permission.INCIDENT_READ))]
MayChangeIncidents = Annotated[Access, Depends(Requires(Permission.INCIDENT_CHANGE))]
MayReleaseNotices = Annotated[Access, Depends(Requires(Permission.NOTICE_RELEASE))]
MayOverrideRelease = Annotated[Access, Depends(Requires(Permission.NOTICE_OVERRIDE))]
MayReadLog = Annotated[Access, Depends(Requires(Permission.LOG_READ))]

CONFLICT, STALE, UNPROCESSABLE = 409, 412, 422
#: Fields that have their own words where they are wrong; the others share some.
_NAMED_FIELDS = frozenset({
    "chosen", "codes", "effect", "table", "reason", "notice", "measures_taken", "recommendations", "not_known_yet",
    "ended_at", "next_update_by", "cause",
})  # fmt: skip

#: The pages in their order, each with the permission that its route declares.
_SECTIONS = (
    ("overview", "", Permission.INCIDENT_READ),
    ("facts", "/facts", Permission.INCIDENT_READ),
    ("customers", "/customers", Permission.INCIDENT_READ),
    ("notices", "/notices", Permission.INCIDENT_READ),
    ("deliveries", "/deliveries", Permission.INCIDENT_READ),
    ("duties", "/duties", Permission.INCIDENT_READ),
    ("closing", "/closing", Permission.INCIDENT_READ),
    ("timeline", "/timeline", Permission.LOG_READ),
    ("print", "/print", Permission.INCIDENT_READ),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """An incident with its decisions, notices and the names of those who worked on it."""

    incident: Incident
    decisions: Sequence[StoredDecision]
    notices: Sequence[Notice]
    people: Mapping[str, str]

    @property
    def drafts(self) -> list[Notice]:
        """The drafts that nobody has released."""
        return [notice for notice in self.notices if notice.state is NoticeState.DRAFT]

    def name_of(self, actor: str | None) -> str:
        """Return the name of an actor, or the actor as the log names it."""
        return "" if actor is None else self.people.get(actor, actor)


def standing_of(tx: AccessTransaction, incident: Incident) -> Standing:
    """Return how an incident is at this moment."""
    notices = tuple(tx.notices.of_incident(incident.id))
    decisions = tuple(tx.incidents.current_decisions(incident.id).values())
    return Standing(incident, decisions, notices, people_of(tx, incident, notices))


def context_of(request: Request) -> ApiContext:
    """Return what the routes of the API have, which these pages call the same use cases with."""
    context: ApiContext = request.app.state.api_context
    return context


def customers_of(tx: AccessTransaction, notices: Iterable[Notice]) -> Mapping[UUID, Customer]:
    """Return the customers of notices by identifier, in one statement; erased ones are missing."""
    return {each.id: each for each in tx.customers.some({notice.customer_id for notice in notices})}


def reading(access: Access) -> Access:
    """Return the caller's access to read incidents, to show a page again after a change; raises ForbiddenError."""
    found = access_under(access, Permission.INCIDENT_READ)
    if found is None:
        raise ForbiddenError(Permission.INCIDENT_READ)
    return found


def unix_lines(text: str) -> str:
    """Return a text of a form with the line ends of our texts: a browser sends two characters for each."""
    return text.replace("\r\n", "\n").strip()


def kept_entries(now: Mapping[str, str], form: Form | None, base: Mapping[str, str] | None) -> dict[str, str]:
    """Return what a form shows again: what was typed, and what a colleague changed where nothing was typed.

    ``now`` and ``base``: the fields as they are stated now, and as they were when the form was shown.
    """
    if form is None:
        return dict(now)
    return {
        name: stated if base is not None and unix_lines(form[name]) == base[name].strip() else form[name]
        for name, stated in now.items()
    }


def shown_in_frame(
    request: Request,
    access: Access,
    incident: Incident,
    section: str,
    values: Mapping[str, Any],
    *,
    template: str = "",
    status: int = 200,
    frames: bool = False,
) -> Response:
    """Return one page of an incident: ``incident_<section>`` or another template, within the links to the others."""
    language = reader_language(request, access.caller)
    title, title_language = in_language(incident.facts.title.as_mapping(), language)
    path = f"/incidents/{incident.id}"
    common = {
        "incident": incident,
        "exercise": incident.exercise,
        "section": section,
        "path": path,
        "sections": [(name, f"{path}{end}") for name, end, permission in _SECTIONS if access.may(permission)],
        "title": title,
        "title_language": title_language,
        "now": access.clock.now(),
        "t_known": lambda key: has_text(key, language),
        "may_change": access.may(Permission.INCIDENT_CHANGE),
        "problems": (),
        "done": "",
    }
    return page(
        request,
        template or f"incident_{section}",
        access.caller,
        {**common, **values},
        status=status,
        frames=frames,
    )


def problems_of(error: Exception | None) -> tuple[list[str], int]:
    """Return the keys of the words for what is wrong with a form, and the status of the page that shows it."""
    if error is None:
        return [], 200
    if isinstance(error, InvalidInputError):
        names = {part for fault in error.faults for part in fault.field.split(".") if part in _NAMED_FIELDS} or {
            "other"
        }
        return sorted(f"incident.problem.{name}" for name in names), UNPROCESSABLE
    if isinstance(error, VersionMismatchError):
        return ["incident.problem.version"], STALE
    return ["incident.problem.state"], CONFLICT
