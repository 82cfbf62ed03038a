"""Look up who held what failed, as a proposal; and record whom a person confirmed."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.customer.inventory import FailedPart, ResourceLookup
from notifications.errors import Fault, InvalidInputError, required
from notifications.ports import InventoryTransaction
from notifications.use_cases.audit_context import AuditContext

#: A look-up is kept so long. The log keeps what it proposed and what was confirmed.
_KEPT = timedelta(days=90)


def look_up_customers(tx: InventoryTransaction, act: AuditContext, failed: FailedPart) -> ResourceLookup:
    """Return the customers that held what failed at that time, most resources first, and record the proposal.

    It decides nothing: a person confirms whom it concerns. Raises InvalidInputError without any field besides the time,
    and for an end before the beginning.
    """
    faults = []
    if not failed.is_narrowed():
        faults.append(Fault("", "name what failed: a service, region, zone, host, kind or identifiers"))
    if failed.ends_at is not None and failed.ends_at < failed.starts_at:
        faults.append(Fault("ends_at", "must not be before starts_at"))
    if faults:
        raise InvalidInputError(*faults)
    tx.resources.drop_lookups(act.now - _KEPT)
    proposed = tuple(tx.resources.concerned(failed))
    lookup = ResourceLookup(act.identifiers.new_id(), act.now, act.actor, failed, proposed)
    tx.resources.add_lookup(lookup)
    tx.audit.append([
        act.entry(
            "resources.looked_up",
            subjects={"lookup": str(lookup.id)},
            detail={
                "starts_at": timestamp_text(failed.starts_at),
                "ends_at": _text(failed.ends_at),
                "customers": len(proposed),
                "resources": sum(item.resources for item in proposed),
            },
            private={"failed": failed, "proposed": [item.customer_id for item in proposed]},
        )
    ])  # fmt: skip
    return lookup


def confirm_lookup(
    tx: InventoryTransaction, act: AuditContext, lookup_id: UUID, customer_ids: tuple[UUID, ...]
) -> ResourceLookup:
    """Record whom a person takes over from a proposal. It states no fact: an incident does that.

    Raises NotFoundError, InvalidInputError for customers that were not proposed or for none, StateConflictError for a
    proposal that is confirmed already.
    """
    lookup = required("look-up", lookup_id, tx.resources.lookup(lookup_id))
    proposed = {item.customer_id for item in lookup.proposed}
    if not customer_ids:
        raise InvalidInputError(Fault("customer_ids", "confirm at least one customer"))
    if not set(customer_ids) <= proposed:
        raise InvalidInputError(Fault("customer_ids", "has a customer that was not proposed"))
    confirmed = tuple(item.customer_id for item in lookup.proposed if item.customer_id in set(customer_ids))
    made = replace(lookup, confirmed=confirmed, confirmed_at=act.now, confirmed_by=act.actor)
    tx.resources.confirm_lookup(made)
    tx.audit.append([
        act.entry(
            "resources.confirmed",
            subjects={"lookup": str(lookup.id)},
            detail={"proposed": len(proposed), "confirmed": len(confirmed)},
            private={"confirmed": confirmed},
        )
    ])  # fmt: skip
    return made


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp_text(moment)
