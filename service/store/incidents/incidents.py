"""Incidents with every version of their facts."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, exists, literal_column, select

from notifications.classification import excerpt_of
from notifications.errors import required
from notifications.incident import Incident, IncidentFacts, IncidentState
from notifications.ports import IncidentOverview, Page
from service.ports.board import LISTED_CUSTOMERS_MAX
from service.store.search.documents import SearchDocuments
from service.store.sql.encoding import (
    JsonCodec,
    from_microseconds,
    from_optional_microseconds,
    to_microseconds,
    to_optional_microseconds,
)
from service.store.sql.flat import FlatTable
from service.store.sql.paging import LAST, Shape, extent_values, paged, shapes_of, start_of, within_extents
from service.store.sql.records import Records
from service.store.sql.session import Session
from service.store.sql.statements import compiled, compiled_text, insert_of, limited
from service.store.tables import FactsExcerptRow, IncidentFactsRow, IncidentOverviewRow, IncidentRow, table

_FACTS: JsonCodec[IncidentFacts] = JsonCodec(IncidentFacts)
#: Every notice of an incident reads the same facts, so they are decoded once. The text is the cache key, because a
#: version that was rolled back may be used again with other facts.
_decoded_facts = lru_cache(maxsize=16)(_FACTS.decode)

#: Values of the column ``subject``.
INCIDENTS, ANNOUNCEMENT = "incident", "announcement"
#: What is added to the year of the series of announcements' ticket numbers.
_ANNOUNCEMENTS = 10_000

_incidents, _facts, _overviews = table(IncidentRow).c, table(IncidentFactsRow).c, table(IncidentOverviewRow).c

#: The columns of an incident with the facts in force, in the order of ``incident_of_row``.
INCIDENT = (
    _incidents.id, _incidents.ticket, _incidents.state, _incidents.version, _incidents.opened_at,
    _incidents.updated_at, _incidents.opened_by, _incidents.closed_at, _incidents.exercise, _facts.facts,
)  # fmt: skip
#: Incidents, each with the facts in force.
IN_FORCE = table(IncidentRow).join(
    table(IncidentFactsRow), (_facts.incident_id == _incidents.id) & (_facts.version == _incidents.version)
)

_INSERT_INCIDENT, _INSERT_FACTS = insert_of(IncidentRow), insert_of(IncidentFactsRow)
_PUT_EXCERPT = (
    f"{insert_of(FactsExcerptRow)} ON CONFLICT (incident_id) DO UPDATE"
    " SET customers = excluded.customers, facts = excluded.facts"
)
_DROP_EXCERPT = "DELETE FROM facts_excerpts WHERE incident_id = ?"
_INCIDENT_BY_ID = compiled(select(*INCIDENT).select_from(IN_FORCE).where(_incidents.id == bindparam("id")), "id")
_INCIDENT_BY_TICKET = compiled(
    select(*INCIDENT).select_from(IN_FORCE).where(_incidents.ticket == bindparam("ticket")), "ticket"
)
_page_of_incidents = (
    select(_incidents.position, *INCIDENT)
    .select_from(IN_FORCE)
    .where(_incidents.position < bindparam("before"))
    .order_by(_incidents.position.desc())
)
_FACTS_AT = compiled(
    select(_facts.facts).where(_facts.incident_id == bindparam("id"), _facts.version == bindparam("version")),
    "id", "version",
)  # fmt: skip
#: Overviews of incidents; also read together with a page of incidents.
OVERVIEWS = FlatTable(IncidentOverview, IncidentOverviewRow)
_OVERVIEW_BY_ID = OVERVIEWS.by("incident_id")
_SAVE_OVERVIEW = f"{OVERVIEWS.insert} ON CONFLICT (incident_id) DO UPDATE SET " + ", ".join(
    f"{column.name} = excluded.{column.name}" for column in _overviews if not column.primary_key
)
_WITHOUT_OVERVIEW = limited(
    select(*INCIDENT)
    .select_from(IN_FORCE)
    .where(~exists().where(_overviews.incident_id == _incidents.id), _incidents.subject == literal_column("'incident'"))
    .order_by(_incidents.position)
)
_UPDATE_INCIDENT = compiled_text(
    "UPDATE incidents SET ticket = :ticket, state = :state, updated_at = :updated_at, closed_at = :closed_at,"
    " version = :version WHERE id = :id AND version = :expected",
    "ticket", "state", "updated_at", "closed_at", "version", "id", "expected",
)  # fmt: skip
_INCIDENT_VERSION = compiled(select(_incidents.version).where(_incidents.id == bindparam("id")), "id")
_NEXT_TICKET = compiled_text(
    "INSERT INTO ticket_counters (year, last_number) VALUES (:year, 1)"
    " ON CONFLICT (year) DO UPDATE SET last_number = ticket_counters.last_number + 1 RETURNING last_number",
    "year",
)


@lru_cache(maxsize=64)
def _page_statement(filters: tuple[str, ...], shapes: tuple[Shape, ...] | None) -> str:
    """Return the statement of a page, by its filters and the shapes of its extents."""
    statement = _page_of_incidents
    statement = statement.where(_incidents.subject == bindparam("subject"))
    if "state" in filters:
        statement = statement.where(_incidents.state == bindparam("state"))
    if shapes is None:
        return limited(statement, "before", *filters)
    covered, names = within_extents(shapes, at=_incidents.opened_at)
    return limited(statement.where(covered), "before", *filters, *names)


def _subject(facts: IncidentFacts) -> str:
    return INCIDENTS if facts.announcement is None else ANNOUNCEMENT


def put_excerpt(session: Session, incident_id: bytes, facts: IncidentFacts) -> None:
    """Store the excerpt of the facts in force, if they name more customers than a list does; else drop it."""
    if len(facts.affected_customers) > LISTED_CUSTOMERS_MAX:
        excerpt = _FACTS.encode(excerpt_of(facts, LISTED_CUSTOMERS_MAX))
        session.execute(_PUT_EXCERPT, (incident_id, len(facts.affected_customers), excerpt))
    else:
        session.execute(_DROP_EXCERPT, (incident_id,))


def incident_of_row(*row: Any) -> Incident:
    """Return the incident of a row, in the order of ``INCIDENT``."""
    id_bytes, ticket, state, version, opened_at, updated_at, opened_by, closed_at, exercise, facts = row
    return Incident(
        id=UUID(bytes=id_bytes),
        ticket=ticket,
        state=IncidentState(state),
        version=version,
        facts=_decoded_facts(facts),
        opened_at=from_microseconds(opened_at),
        updated_at=from_microseconds(updated_at),
        opened_by=opened_by,
        closed_at=from_optional_microseconds(closed_at),
        exercise=bool(exercise),
    )


class IncidentRecords(Records):
    """Incidents."""

    def next_ticket_number(self, year: int, *, exercise: bool = False, announcement: bool = False) -> int:
        """Return the next number of the year and series, from 1; a rollback restores it, so there are no gaps."""
        series = -year if exercise else year + _ANNOUNCEMENTS if announcement else year
        row = self._session.one(_NEXT_TICKET, (series,))
        assert row is not None  # RETURNING gives the row that was written
        return int(row[0])

    def add(self, incident: Incident) -> None:
        """Store a new incident with its first facts."""
        id_bytes = incident.id.bytes
        self._session.execute(
            _INSERT_INCIDENT,
            (
                id_bytes,
                incident.ticket,
                incident.state.value,
                incident.version,
                to_microseconds(incident.opened_at),
                to_microseconds(incident.updated_at),
                incident.opened_by,
                to_optional_microseconds(incident.closed_at),
                incident.exercise,
                _subject(incident.facts),
            ),
        )
        self._session.execute(_INSERT_FACTS, (id_bytes, incident.version, _FACTS.encode(incident.facts)))
        self._index(incident)
        self._changed("incidents")

    def _index(self, incident: Incident) -> None:
        put_excerpt(self._session, incident.id.bytes, incident.facts)
        if incident.facts.announcement is None:
            SearchDocuments(self._session).put_incident(incident)

    def get(self, incident_id: UUID) -> Incident | None:
        """Return the incident, or the announcement, with the facts in force."""
        row = self._session.one(_INCIDENT_BY_ID, (incident_id.bytes,))
        return None if row is None else incident_of_row(*row)

    def require(self, incident_id: UUID) -> Incident:
        """Return the incident; raises NotFoundError where there is none, and for an announcement."""
        found = self.get(incident_id)
        is_incident = found is not None and found.facts.announcement is None
        return required("incident", incident_id, found if is_incident else None)

    def require_announcement(self, incident_id: UUID) -> Incident:
        """Return the announcement; raises NotFoundError where there is none."""
        found = self.get(incident_id)
        announces = found is not None and found.facts.announcement is not None
        return required("announcement", incident_id, found if announces else None)

    def by_ticket(self, ticket: str) -> Incident | None:
        """Return the incident by its ticket number."""
        row = self._session.one(_INCIDENT_BY_TICKET, (ticket,))
        return None if row is None else incident_of_row(*row)

    def facts_at(self, incident_id: UUID, version: int) -> IncidentFacts | None:
        """Return one version of the facts."""
        row = self._session.one(_FACTS_AT, (incident_id.bytes, version))
        return None if row is None else _decoded_facts(row[0])

    def save(self, incident: Incident, expected_version: int) -> None:
        """Replace the incident and add its facts as a new version; raises VersionMismatchError."""
        self._replace(
            "incident",
            incident.id,
            expected_version,
            incident.version,
            _INCIDENT_VERSION,
            _UPDATE_INCIDENT,
            (
                incident.ticket,
                incident.state.value,
                to_microseconds(incident.updated_at),
                to_optional_microseconds(incident.closed_at),
            ),
        )
        self._session.execute(_INSERT_FACTS, (incident.id.bytes, incident.version, _FACTS.encode(incident.facts)))
        self._index(incident)
        self._changed("incidents")

    def save_overview(self, overview: IncidentOverview) -> None:
        """Store or replace the overview of an incident."""
        self._session.execute(_SAVE_OVERVIEW, OVERVIEWS.values(overview))

    def overview(self, incident_id: UUID) -> IncidentOverview | None:
        """Return the overview of an incident."""
        row = self._session.one(_OVERVIEW_BY_ID, (incident_id.bytes,))
        return None if row is None else OVERVIEWS.record(row)

    def without_overview(self, limit: int) -> Sequence[Incident]:
        """Return incidents that have no overview yet, oldest first."""
        return [incident_of_row(*row) for row in self._session.all(_WITHOUT_OVERVIEW, (limit,))]

    def page(
        self, page: Page, *, state: str | None = None, announcements: bool = False
    ) -> tuple[list[Incident], str | None]:
        """Return incidents, or announcements, newest first, as a page."""
        before = start_of("incidents", page, LAST)
        filters = {"subject": ANNOUNCEMENT if announcements else INCIDENTS}
        if state is not None:
            filters["state"] = state
        statement = _page_statement(tuple(filters), shapes_of(page))
        rows = self._session.all(statement, (before, *filters.values(), *extent_values(page), page.limit + 1))
        return paged("incidents", page, rows, incident_of_row)
