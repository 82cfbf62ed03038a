"""Which duties an entity may have, by what it states of itself; and the validation of that statement."""

import re
from collections.abc import Mapping

from notifications.customer.legal_profile import Entity
from notifications.duties.terms import Duty, Sector
from notifications.duties.working_days import MEMBER_STATES, regions
from notifications.errors import Fault, InvalidInputError

#: The pattern of the field 1.6 of the DORA template.
_LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}")


def sectors_and_groups(entity: Entity, sectors: Mapping[str, Sector]) -> frozenset[str]:
    """Return the entity's sectors and their groups."""
    groups = {sectors[name].group for name in entity.sectors if name in sectors}
    return entity.sectors | {group for group in groups if group is not None}


def applies_to(duty: Duty, entity: Entity, sectors: Mapping[str, Sector]) -> bool:
    """Return whether a duty may bind an entity by its sectors and its Member State.

    An entity that states no sector may be of any, and one that states no Member State may be in any.
    """
    own = sectors_and_groups(entity, sectors)
    if own and ((duty.sectors and not own & set(duty.sectors)) or own & set(duty.except_sectors)):
        return False
    state = entity.member_state
    return state is None or not (
        (duty.member_states and state not in duty.member_states) or state in duty.except_member_states
    )


def depends_on_more(duty: Duty, entity: Entity) -> bool:
    """Return whether an entity must still state its sector or its Member State to know that a duty may bind it."""
    of_sectors = not entity.sectors and (duty.sectors or duty.except_sectors)
    return bool(of_sectors or (entity.member_state is None and (duty.member_states or duty.except_member_states)))


def validate_entity(entity: Entity, sectors: Mapping[str, Sector]) -> None:
    """Raise InvalidInputError with every fault: an unknown sector, Member State or region, or a malformed LEI."""
    faults = [Fault("sectors", f"{name!r} is not known") for name in sorted(entity.sectors - set(sectors))]
    state, region = entity.member_state, entity.region
    if state is not None and state not in MEMBER_STATES:
        faults.append(Fault("member_state", f"must be one of {', '.join(sorted(MEMBER_STATES))}"))
    elif region is not None and state is None:
        faults.append(Fault("region", "needs a member_state"))
    elif region is not None and state is not None and region not in regions(state):
        known = ", ".join(regions(state)) or "none: its holidays are the same in every region"
        faults.append(Fault("region", f"must be one of {known}"))
    if entity.lei is not None and not _LEI.fullmatch(entity.lei):
        faults.append(Fault("lei", "must be 18 letters or digits and 2 digits"))
    if faults:
        raise InvalidInputError(*faults)
