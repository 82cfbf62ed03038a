"""The law, and the provider as an entity under it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from notifications.customer.legal_profile import Entity
from notifications.duties import Law, bundled_law

#: A cloud provider is an essential entity as a rule.
DEFAULT_PROVIDER = Entity("FR", None, frozenset({"nis2_essential"}))
DEFAULT_REMINDERS_PERCENT = (50, 75, 90, 100)


@dataclass(frozen=True, slots=True)
class LegalDuties:
    """What every use case needs to find and count legal duties."""

    law: Law = field(default_factory=bundled_law)
    provider: Entity = DEFAULT_PROVIDER
    #: yearly turnover, for the significance test; None if it is not set
    turnover_eur: int | None = None
    #: duty id -> the authority to which the provider reports, in its own words
    authorities: Mapping[str, str] = field(default_factory=dict)
    #: parts of a clock after which people are reminded, ascending
    reminders_percent: tuple[int, ...] = DEFAULT_REMINDERS_PERCENT
