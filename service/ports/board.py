"""The board: incidents by filters and by deadline, and how far each of them is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from notifications.agreement import DeadlineBinding
from notifications.incident import Incident
from notifications.ports import IncidentOverview, Page

#: The customers that a list names of an incident; the facts in full have all of them.
LISTED_CUSTOMERS_MAX = 200

#: ``active``: open, or closed while something of it is still due.
BoardState = Literal["active", "open", "closed"]


@dataclass(frozen=True, slots=True)
class IncidentFilters:
    """What a list of incidents is limited to; None for no limit."""

    state: BoardState | None = None
    nature: str | None = None
    #: a priority, or an empty text for those without one
    priority: str | None = None
    #: who declared it, as in the audit log
    opened_by: str | None = None
    service: str | None = None
    region: str | None = None
    #: words that begin like the words of this text, in what the incident says
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ListedIncident:
    """An incident in a list. Its facts are an excerpt (``excerpt_of``) if they name more customers than a list does."""

    incident: Incident
    #: number of customers that the facts in full name
    customers: int
    #: None for an incident of an earlier release that has none yet
    overview: IncidentOverview | None


@dataclass(frozen=True, slots=True)
class IncidentFigures:
    """How far the notices of one incident are."""

    #: the nearest deadline of what is still due: a pending decision, a notice that is not sealed, a call
    due_at: datetime | None = None
    #: how strictly it binds; None without a deadline, and for a pending decision of an earlier release
    binding: DeadlineBinding | None = None
    #: customers with a sealed notice
    notified: int = 0
    #: notices that nobody released
    drafts: int = 0
    #: notices that are released and not sealed yet
    released: int = 0
    #: released notices that something holds
    held: int = 0
    #: deliveries that failed for good
    failed: int = 0
    #: open call tasks
    calls: int = 0
    #: the open call task with the nearest deadline
    next_call_id: UUID | None = None


class BoardRepository(Protocol):
    """Lists of incidents; each is read with a number of statements that does not depend on its length."""

    def page(self, page: Page, filters: IncidentFilters, *, by_due: bool) -> tuple[list[ListedIncident], str | None]:
        """Return a page of incidents: nearest deadline first, those without one last; or newest first."""
        ...

    def figures(self, incident_ids: Collection[UUID]) -> Mapping[UUID, IncidentFigures]:
        """Return the figures of each of some incidents."""
        ...
