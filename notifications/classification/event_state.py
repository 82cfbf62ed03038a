"""Convert declared facts into the list of answers that rules are evaluated on."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from notifications.agreement import Agreement
from notifications.agreement.reading import FACTS, INDEX
from notifications.agreement.three_valued import State
from notifications.incident import UNKNOWN, AffectedCustomer, Harm, IncidentFacts, Property, UnlistedCustomers

#: (property, index of harm to the data of customers other than the one in question)
OTHER_DATA_HARM = tuple((harmed.value, INDEX[f"other_data_harm.{harmed.value}"]) for harmed in Property)


@dataclass(frozen=True, slots=True)
class DataHarmTally:
    """Counts of harm to customers' data, from which the harm without any one customer can be computed."""

    #: property to the number of listed customers whose data is harmed
    harmed: dict[str, int]
    #: property to the listed customers for whom the harm is not established
    open: dict[str, list[AffectedCustomer]]
    #: whether the harm is not established for the customers that are not listed
    unlisted_open: bool

    @classmethod
    def of(cls, facts: IncidentFacts) -> "DataHarmTally":
        """Count the harm stated in the facts, in time linear in the number of listed customers."""
        harmed = {name: 0 for name, _ in OTHER_DATA_HARM}
        still_open: dict[str, list[AffectedCustomer]] = {name: [] for name, _ in OTHER_DATA_HARM}
        for stated in facts.affected_customers:
            for name, answer in harm_answers(stated.data_harm):
                if answer is None:
                    still_open[name].append(stated)
                elif answer == "yes":
                    harmed[name] += 1
        return cls(harmed, still_open, facts.unlisted_customers is UnlistedCustomers.UNKNOWN)

    def without(self, own: Harm | None) -> tuple[str | None, ...]:
        """Return, per property, whether data of the other customers is harmed.

        ``own`` is the harm of the one listed customer to leave out; None leaves nobody out.
        """
        counted = harm_answers(own) if own is not None else ()
        left_out = dict(counted)
        answers: list[str | None] = []
        for name, _ in OTHER_DATA_HARM:
            own_answer = left_out.get(name, "no")
            if self.harmed[name] - (own_answer == "yes") > 0:
                answers.append("yes")
            elif self.unlisted_open or len(self.open[name]) - (own_answer is None) > 0:
                answers.append(None)
            else:
                answers.append("no")
        return tuple(answers)


def harm_answers(harm: Harm) -> tuple[tuple[str, str | None], ...]:
    """Return (property, answer) with None for unknown, in the order of ``Property``."""
    return (
        ("availability", known(harm.availability)),
        ("integrity", known(harm.integrity)),
        ("confidentiality", known(harm.confidentiality)),
        ("traceability", known(harm.traceability)),
    )


def known(answer: StrEnum | str) -> str | None:
    """Return the answer as plain text, or None if it is not established."""
    return None if answer == UNKNOWN else str(answer)


def event_state(facts: IncidentFacts, agreement: Agreement, other_data_harm: Sequence[str | None]) -> State:
    """Return the facts of the event as a state of ``FACTS``; the facts of a single customer are still unset.

    A level that the agreement does not define counts as unknown.
    """
    state: State = [None] * len(FACTS)
    state[INDEX["inside_perimeter"]] = known(facts.inside_perimeter)
    state[INDEX["intent"]] = known(facts.intent)
    state[INDEX["cause"]] = known(facts.cause)
    state[INDEX["security_measures_harmed"]] = known(facts.security_measures_harmed)
    state[INDEX["normal_operation_disrupted"]] = known(facts.normal_operation_disrupted)
    state[INDEX["service_level_breached"]] = known(facts.service_level_breached)
    state[INDEX["damage_to_customer"]] = known(facts.damage_to_customer)
    state[INDEX["may_cause"]] = known(facts.may_cause)
    for name, answer in harm_answers(facts.service_harm):
        state[INDEX[f"service_harm.{name}"]] = answer
    for (_, index), answer in zip(OTHER_DATA_HARM, other_data_harm, strict=True):
        state[index] = answer
    state[INDEX["impact"]] = facts.impact if facts.impact in agreement.impact_ids else None
    state[INDEX["criticality"]] = facts.criticality if facts.criticality in agreement.criticality_ids else None
    return state
