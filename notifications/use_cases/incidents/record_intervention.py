"""Record when the provider's first intervention on an incident started, as an act of its own."""

from datetime import datetime, timedelta
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.errors import Fault, InvalidInputError, StateConflictError
from notifications.incident import Incident, Intervention
from notifications.incident.validation import CLOCK_SKEW_SECONDS, TEXT_MAX_CHARACTERS
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext


def record_intervention(
    tx: Transaction, act: AuditContext, incident_id: UUID, started_at: datetime | None = None, reason: str | None = None
) -> Intervention:
    """Record the first intervention; with a reason, correct the record of it. Every record is kept.

    ``started_at`` None means now. An intervention may start before the ticket is opened, but not before the provider
    became aware. A closed incident can get one, because a missing record is often found at the end.

    1. Read the incident and its records. A second record without a reason is refused, so that two people who press
       the same button do not move the moment. A reason without a record has nothing to correct.
    2. Check the moment.
    3. Store the record with its entry in the log, which has the moment of the ticket's opening.

    Raises NotFoundError, InvalidInputError and StateConflictError.
    """
    # 1.
    incident = tx.incidents.require(incident_id)
    recorded = tx.incidents.interventions(incident_id)
    reason = (reason or "").strip() or None
    if recorded and reason is None:
        raise StateConflictError(
            f"the first intervention on {incident.ticket} is recorded already"
            f" ({timestamp_text(recorded[-1].started_at)}); state a reason to correct it"
        )
    if reason is not None and not recorded:
        raise InvalidInputError(Fault("reason", "is for a correction, and no intervention is recorded yet"))
    # 2.
    at = started_at or act.now
    _verify(incident, at, act.now, reason)
    # 3.
    made = Intervention(incident.id, len(recorded) + 1, at, act.now, act.actor, reason)
    tx.incidents.add_intervention(made)
    tx.audit.append(
        [
            act.entry(
                "intervention.corrected" if recorded else "intervention.recorded",
                subjects={"incident": str(incident.id)},
                detail={
                    "ticket": incident.ticket,
                    "number": made.number,
                    "started_at": timestamp_text(at),
                    "opened_at": timestamp_text(incident.opened_at),
                },
                private=None if reason is None else {"reason": reason},
                exercise=incident.exercise,
            )
        ]
    )
    return made


def _verify(incident: Incident, at: datetime, now: datetime, reason: str | None) -> None:
    faults = []
    if at > now + timedelta(seconds=CLOCK_SKEW_SECONDS):
        faults.append(Fault("started_at", "must not be in the future"))
    if at < incident.facts.aware_at:
        faults.append(Fault("started_at", "must not be before aware_at, when the provider became aware"))
    if reason is not None and len(reason) > TEXT_MAX_CHARACTERS:
        faults.append(Fault("reason", f"may have at most {TEXT_MAX_CHARACTERS} characters"))
    if faults:
        raise InvalidInputError(*faults)
