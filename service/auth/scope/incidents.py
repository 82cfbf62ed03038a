"""Incidents under a scope at the provider that is limited in time."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from notifications.errors import required
from notifications.incident import Incident, IncidentFacts, Intervention
from notifications.ports import Page, StoredDecision
from service.auth.scope.visibility import ScopedRepository
from service.ports.board import IncidentFigures, IncidentFilters, ListedIncident


class ScopedIncidents(ScopedRepository):
    """The incidents whose moment is within, with their facts and decisions."""

    _name = "incidents"

    def get(self, incident_id: UUID) -> Incident | None:
        incident = self._tx.incidents.get(incident_id)
        return incident if incident is not None and self._covers(incident) else None

    def require(self, incident_id: UUID) -> Incident:
        incident = self._tx.incidents.require(incident_id)
        return required("incident", incident_id, incident if self._covers(incident) else None)

    def require_announcement(self, incident_id: UUID) -> Incident:
        announcement = self._tx.incidents.require_announcement(incident_id)
        return required("announcement", incident_id, announcement if self._covers(announcement) else None)

    def by_ticket(self, ticket: str) -> Incident | None:
        incident = self._tx.incidents.by_ticket(ticket)
        return incident if incident is not None and self._covers(incident) else None

    def page(
        self, page: Page, *, state: str | None = None, announcements: bool = False
    ) -> tuple[list[Incident], str | None]:
        """Return a page of the incidents, or of the announcements, within."""
        self._verify_at_provider("page")
        return self._tx.incidents.page(self._of_provider(page), state=state, announcements=announcements)

    def facts_at(self, incident_id: UUID, version: int) -> IncidentFacts | None:
        return None if self.get(incident_id) is None else self._tx.incidents.facts_at(incident_id, version)

    def current_decisions(self, incident_id: UUID) -> dict[UUID, StoredDecision]:
        return {} if self.get(incident_id) is None else self._tx.incidents.current_decisions(incident_id)

    def decisions(
        self, incident_id: UUID, page: Page, *, verdict: str | None = None
    ) -> tuple[list[StoredDecision], str | None]:
        if self.get(incident_id) is None:
            return [], None
        return self._tx.incidents.decisions(incident_id, page, verdict=verdict)

    def interventions(self, incident_id: UUID) -> Sequence[Intervention]:
        return () if self.get(incident_id) is None else self._tx.incidents.interventions(incident_id)

    def _covers(self, incident: Incident) -> bool:
        return self._scope.covers(None, incident.opened_at, served=False)


class ScopedBoard(ScopedRepository):
    """Lists of the incidents whose moment is within, for the provider's side."""

    _name = "board"

    def page(self, page: Page, filters: IncidentFilters, *, by_due: bool) -> tuple[list[ListedIncident], str | None]:
        self._verify_at_provider("page")
        return self._tx.board.page(self._of_provider(page), filters, by_due=by_due)

    def figures(self, incident_ids: Collection[UUID]) -> Mapping[UUID, IncidentFigures]:
        # The identifiers come from ``page``, which is limited.
        self._verify_at_provider("figures")
        return self._tx.board.figures(incident_ids)
