"""The legal duties of the customer that a notice names, in the form of the document."""

from collections.abc import Mapping
from typing import Any

from notifications.customer.legal_profile import Entity
from notifications.duties import Duration, Duty, Law, Moments, Occasion, Owner, Start, clocks, duration_for
from notifications.incident import Answer, IncidentFacts, PersonalDataBreach
from notifications.notice.customer_view import CustomerView


def customer_occasions(breach: PersonalDataBreach) -> dict[Occasion, Answer]:
    """Return what is known of the occasions of a customer's duties; the others only the customer can judge."""
    answer = breach.of_data
    occasions = {Occasion.PERSONAL_DATA_BREACH: answer}
    return occasions | ({Occasion.HIGH_RISK_BREACH: Answer.NO} if answer is Answer.NO else {})


def own_deadlines(facts: IncidentFacts, view: CustomerView, entity: Entity, law: Law) -> dict[str, Any]:
    """Return the duties that the customer may have, by what it states of itself.

    ``stated`` is null if it states nothing: then the duties that start first of every act are listed. No limit is
    computed, because the provider does not know when the customer became aware.
    """
    stated = entity.member_state is not None or bool(entity.sectors)
    occasions = customer_occasions(view.own.personal_data.breach)
    found = clocks(law, entity, {Owner.CUSTOMER}, occasions, Moments(), facts.aware_at)
    shown = [
        clock.duty for clock in found if entity.sectors or clock.duty.start in {Start.AWARENESS, Start.CLASSIFICATION}
    ]
    titles = {duty.id: duty.title.as_mapping() for duty in law.duties}
    return {
        "stated": {
            "member_state": entity.member_state,
            "region": entity.region,
            "sectors": [
                {"id": name, "title": law.sectors[name].title.as_mapping()}
                for name in sorted(entity.sectors)
                if name in law.sectors
            ],
        }
        if stated
        else None,
        "duties": [_duty(duty, duration_for(duty, law, entity), titles) for duty in shown],
    }  # fmt: skip


def _duty(duty: Duty, duration: Duration | None, titles: Mapping[str, dict[str, str]]) -> dict[str, Any]:
    second = duty.second_limit
    return {
        "id": duty.id,
        "clause": duty.clause,
        "title": duty.title.as_mapping(),
        "recipient": duty.recipient.as_mapping(),
        "start": duty.start.value,
        "submission_of": None if duty.submission_of is None else titles[duty.submission_of],
        "length": None if duration is None else _length(duration),
        "second_limit": None
        if second is None
        else {"start": second.start.value, "length": _length(second.duration), "falls_away": second.falls_away},
        "reasons_if_later": duty.reasons_if_later,
    }


def _length(duration: Duration) -> dict[str, int | None]:
    return {"hours": duration.hours, "days": duration.days, "months": duration.months}
