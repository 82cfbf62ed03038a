"""The provider's first intervention on an incident: the moment that ends the guaranteed time to intervention (GTI)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Intervention:
    """One record of when the first intervention started. A correction is a new record; the earlier one is kept."""

    incident_id: UUID
    #: from 1; the record with the highest number counts
    number: int
    started_at: datetime
    recorded_at: datetime
    #: as in the audit log
    recorded_by: str
    #: why an earlier record is wrong; None for the first
    reason: str | None = None
