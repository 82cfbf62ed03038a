"""Incidents, the versions of their facts, and the decisions for each customer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.decision import Decision
from notifications.incident import Incident, IncidentFacts, Intervention
from notifications.ports.paging import Page


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as recorded."""

    id: UUID
    incident_id: UUID
    facts_version: int
    recorded_at: datetime
    decision: Decision


@dataclass(frozen=True, slots=True)
class IncidentOverview:
    """What lists and filters need of the facts in force, as the reference agreement reads them."""

    incident_id: UUID
    #: the nature if settled; else the most protective one that the open facts still allow
    nature: str
    #: None while it is open
    priority: str | None
    provisional: bool
    #: numbers of customers by verdict
    to_notify: int
    pending: int
    #: the earliest time at which a pending notice could be due; None without a pending verdict
    pending_due_at: datetime | None
    #: the open facts that pending verdicts wait for, without identifiers of customers
    missing: tuple[str, ...] = ()
    #: what the facts name; empty if no narrower scope is established
    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    #: how strictly ``pending_due_at`` binds, a ``DeadlineBinding`` value; None without one, and in earlier releases
    pending_binding: str | None = None


class IncidentRepository(Protocol):
    """Incidents, the versions of their facts, and the decisions for each customer."""

    def next_ticket_number(self, year: int, *, exercise: bool = False, announcement: bool = False) -> int:
        """Return the next number of the year's series, from 1. Committed units of work leave no gap in the numbers."""
        ...

    def add(self, incident: Incident) -> None:
        """Store a new incident with version 1 of its facts."""
        ...

    def get(self, incident_id: UUID) -> Incident | None:
        """Return the incident, or the announcement, with the latest version of its facts."""
        ...

    def require(self, incident_id: UUID) -> Incident:
        """Return the incident with the latest version of its facts.

        Raises NotFoundError where there is none, and for an announcement, which is no incident.
        """
        ...

    def require_announcement(self, incident_id: UUID) -> Incident:
        """Return the announcement with its latest version; raises NotFoundError where there is none."""
        ...

    def by_ticket(self, ticket: str) -> Incident | None:
        """Return the incident by its ticket number."""
        ...

    def facts_at(self, incident_id: UUID, version: int) -> IncidentFacts | None:
        """Return one version of the facts."""
        ...

    def save(self, incident: Incident, expected_version: int) -> None:
        """Replace the incident and add its facts as a new version; ``Transaction`` has the rule for versions."""
        ...

    def save_overview(self, overview: IncidentOverview) -> None:
        """Store or replace the overview of an incident, in the transaction that changes its facts."""
        ...

    def overview(self, incident_id: UUID) -> IncidentOverview | None:
        """Return the overview; None for an incident of an earlier release that has none yet."""
        ...

    def without_overview(self, limit: int) -> Sequence[Incident]:
        """Return incidents that have no overview yet, oldest first; announcements never have one."""
        ...

    def add_intervention(self, intervention: Intervention) -> None:
        """Record when the first intervention started. A record is never changed; the next number corrects it."""
        ...

    def interventions(self, incident_id: UUID) -> Sequence[Intervention]:
        """Return the records of the first intervention of an incident, by number; the last one counts."""
        ...

    def page(
        self, page: Page, *, state: str | None = None, announcements: bool = False
    ) -> tuple[list[Incident], str | None]:
        """Return a page of incidents, newest first; of announcements instead if wanted."""
        ...

    def add_decisions(self, decisions: Sequence[StoredDecision]) -> None:
        """Record decisions. A decision is never changed; a later decision replaces it."""
        ...

    def current_decisions(self, incident_id: UUID) -> dict[UUID, StoredDecision]:
        """Return the latest decision per customer of an incident."""
        ...

    def decisions(
        self, incident_id: UUID, page: Page, *, verdict: str | None = None
    ) -> tuple[list[StoredDecision], str | None]:
        """Return a page of the latest decision per customer, sorted by the customer's creation."""
        ...
