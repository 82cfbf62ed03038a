"""When the provider's first intervention on an incident started, with every correction."""

from collections.abc import Sequence
from uuid import UUID

from notifications.incident import Intervention
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.tables import InterventionRow

_INTERVENTIONS = FlatTable(Intervention, InterventionRow)
_OF_INCIDENT = _INTERVENTIONS.by("incident_id", ordered=True)


class InterventionRecords(Records):
    """First interventions, for ``notifications.ports.IncidentRepository``."""

    def add_intervention(self, intervention: Intervention) -> None:
        """Record when the first intervention started."""
        self._session.execute(_INTERVENTIONS.insert, _INTERVENTIONS.values(intervention))
        self._changed("incidents")

    def interventions(self, incident_id: UUID) -> Sequence[Intervention]:
        """Return the records of the first intervention, by number."""
        return [_INTERVENTIONS.record(row) for row in self._session.all(_OF_INCIDENT, (incident_id.bytes,))]
