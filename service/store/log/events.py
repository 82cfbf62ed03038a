"""What happened to incidents, from the newest entries of the audit log."""

import json
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, func, select

from service.ports.events import IncidentEvent
from service.store.sql.encoding import from_microseconds
from service.store.sql.records import Records
from service.store.sql.statements import compiled, limited
from service.store.tables import AuditEntryRow, table

_entries = table(AuditEntryRow).c

_LAST = compiled(select(func.max(_entries.position)))
_AFTER = limited(
    select(_entries.position, _entries.leaf).where(_entries.position > bindparam("after")).order_by(_entries.position),
    "after",
)
#: Not changes: what an auditor reads is in the log too.
_READS = frozenset({"record.read"})


class EventRecords(Records):
    """Implements ``service.ports.events.EventRepository``."""

    def last_position(self) -> int:
        """Return the position of the newest entry; 0 where there is none."""
        return self._number(_LAST)

    def after(self, position: int, limit: int) -> tuple[Sequence[IncidentEvent], int]:
        """Return the events among at most ``limit`` entries after a position, and the position that was reached."""
        rows = self._session.all(_AFTER, (position, limit))
        found = []
        for at, leaf in rows:
            entry = json.loads(bytes(leaf))
            incident_id = entry["subjects"].get("incident")
            if incident_id is not None and entry["type"] not in _READS:
                found.append((at, entry["type"], UUID(incident_id)))
        known = self._incidents({incident_id for _, _, incident_id in found})
        events = [
            IncidentEvent(at, kind, incident_id, ticket, from_microseconds(opened_at))
            for at, kind, incident_id in found
            if (incident := known.get(incident_id)) is not None
            for ticket, opened_at in (incident,)
        ]
        return events, rows[-1][0] if rows else position

    def _incidents(self, incident_ids: set[UUID]) -> dict[UUID, tuple[str, int]]:
        """Return ticket and moment of incidents."""
        if not incident_ids:
            return {}
        marks = ", ".join("?" * len(incident_ids))
        statement = f"SELECT id, ticket, opened_at FROM incidents WHERE id IN ({marks})"  # noqa: S608 - only marks
        rows = self._session.all(statement, [incident_id.bytes for incident_id in incident_ids])
        return {UUID(bytes=row[0]): (row[1], row[2]) for row in rows}
