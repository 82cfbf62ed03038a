"""What an announcement says: a notice of the agreement that is about no incident, such as planned work."""

from dataclasses import dataclass
from datetime import datetime
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
    #: who is concerned; empty: every customer of the products, services and regions
    customers: tuple[UUID, ...] = ()
    #: ids of the agreement; empty: every product
    products: tuple[str, ...] = ()
    #: what was announced does not take place
    cancelled: bool = False
