"""What an organisation states of itself, so that the legal duties that bind it can be found."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Entity:
    """An organisation as the law sees it. Nothing here is checked against a register: the organisation states it."""

    #: ISO 3166-1 code of its Member State, such as ``FR``; None if it states none
    member_state: str | None = None
    #: ISO 3166-2 code of the region whose public holidays it keeps, such as ``DE-BY``; None for the national ones only
    region: str | None = None
    #: ids of ``duties.sectors``; empty if it states none
    sectors: frozenset[str] = frozenset()
    #: legal entity identifier (ISO 17442); None if it states none
    lei: str | None = None


NOTHING_STATED = Entity()


@dataclass(frozen=True, slots=True)
class LegalProfile:
    """One version of what a customer states of itself. A change is a new version; earlier ones stay."""

    customer_id: UUID
    #: from 1, per customer
    version: int
    member_state: str | None
    region: str | None
    #: sorted
    sectors: tuple[str, ...]
    lei: str | None
    recorded_at: datetime
    recorded_by: str

    @property
    def entity(self) -> Entity:
        """Return the organisation of this version."""
        return Entity(self.member_state, self.region, frozenset(self.sectors), self.lei)


def entity_of(profile: LegalProfile | None) -> Entity:
    """Return what the latest version states; nothing where there is none."""
    return NOTHING_STATED if profile is None else profile.entity
