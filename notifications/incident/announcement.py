"""What an announcement says: a notice of the agreement that is about no incident, such as planned work."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from notifications.incident.localized_text import LocalizedText


@dataclass(frozen=True, slots=True)
class AnnouncedItem:
    """The text of one item that the kind of notice asks for."""

    #: as in the agreement, such as ``planned_times``
    id: str
    text: LocalizedText


@dataclass(frozen=True, slots=True)
class Announcement:
    """One version of an announcement, beside its title and text. Times are aware UTC."""

    #: id of the kind of notice in the agreement, such as ``planned_work``
    kind: str
    #: in the order in which they were stated
    items: tuple[AnnouncedItem, ...]
    #: when what is announced begins or takes effect; of a kind that reports afterwards, when it happened
    occurs_at: datetime
    ends_at: datetime | None = None
    #: who is concerned; empty: every customer of the products, services and regions. The nil UUID is one that
    #: was erased
    customers: tuple[UUID, ...] = ()
    #: ids of the agreement; empty: every product
    products: tuple[str, ...] = ()
    #: what was announced does not take place
    cancelled: bool = False
    #: its time passed, and nobody has said yet whether it took place
    elapsed: bool = False

    @property
    def over_at(self) -> datetime:
        """When there is nothing more to expect: its end, or, where none is stated, the moment it takes effect."""
        return self.occurs_at if self.ends_at is None else self.ends_at


class AnnouncementState(StrEnum):
    """What became of an announcement."""

    OPEN = "open"
    CARRIED_OUT = "carried_out"
    CANCELLED = "cancelled"
    #: its time passed; it can still be changed, cancelled, or recorded as carried out
    ELAPSED = "elapsed"


def announcement_state(announced: Announcement, *, is_open: bool) -> AnnouncementState:
    """Return what became of an announcement. ``is_open``: of the record that it is stored as."""
    if announced.cancelled:
        return AnnouncementState.CANCELLED
    if announced.elapsed:
        return AnnouncementState.ELAPSED
    return AnnouncementState.OPEN if is_open else AnnouncementState.CARRIED_OUT
