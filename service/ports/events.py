"""What happened to incidents, in the order of commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """One entry of the audit log about an incident: that something happened, and nothing of what it says."""

    #: the entry's position, which increases in the order of commits
    position: int
    #: the type of the entry, such as ``notice.released``
    kind: str
    incident_id: UUID
    ticket: str
    #: the moment by which the incident is within a period
    opened_at: datetime


class EventRepository(Protocol):
    """The newest entries of the audit log, for the system itself; a limited scope has none of it."""

    def last_position(self) -> int:
        """Return the position of the newest entry; 0 where there is none."""
        ...

    def after(self, position: int, limit: int) -> tuple[Sequence[IncidentEvent], int]:
        """Return the events among at most ``limit`` entries after a position, and the position that was reached.

        Reads by auditors are no events.
        """
        ...
