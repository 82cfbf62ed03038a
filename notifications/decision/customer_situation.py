"""The situation of one customer: the facts about it that are established, and the open ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from notifications.agreement.reading import INDEX
from notifications.agreement.three_valued import State
from notifications.classification.event_state import OTHER_DATA_HARM, DataHarmTally, harm_answers, known
from notifications.incident import AffectedCustomer, Answer, IncidentFacts, Property, UnlistedCustomers

_UNKNOWN_HARM: tuple[str | None, ...] = (None,) * len(Property)
_NO_HARM: tuple[str | None, ...] = ("no",) * len(Property)

_CUSTOMER_DATA_HARM = tuple(INDEX[f"customer_data_harm.{harmed.value}"] for harmed in Property)
_BREACH, _CONTROLLER = INDEX["personal_data_breach"], INDEX["controller"]
_HEALTH_DATA = INDEX["health_data"]
_TOUCHED, _SERVICE_REACHED = INDEX["touched"], INDEX["service_reached"]


class ScopeRelation(Enum):
    """Overlap of what a customer uses with what the incident affects: services, regions and availability zones."""

    #: the incident declares no scope
    UNDECLARED = 1
    #: on at least one dimension both are declared and have nothing in common
    DISJOINT = 2
    #: on every dimension that the incident declares, the customer declares something in common
    INSIDE = 3
    #: no dimension is disjoint, but the customer does not declare one that the incident declares
    PARTIAL = 4


@dataclass(frozen=True, slots=True)
class CustomerSituation:
    """The established facts about one customer; None is open. Equal situations always get equal decisions."""

    listed: bool
    touched: str | None
    #: whether the service is affected where a customer that the facts do not list uses it
    service_reached: str
    #: in the order of ``Property``
    data_harm: tuple[str | None, ...]
    other_data_harm: tuple[str | None, ...]
    breach: str | None
    controller: str | None
    health_data: str | None

    def placed_in(self, event: State) -> State:
        """Return the state of the event with this customer in question."""
        state = event.copy()
        for index, answer in zip(_CUSTOMER_DATA_HARM, self.data_harm, strict=True):
            state[index] = answer
        for (_, index), answer in zip(OTHER_DATA_HARM, self.other_data_harm, strict=True):
            state[index] = answer
        state[_BREACH], state[_CONTROLLER] = self.breach, self.controller
        state[_HEALTH_DATA] = self.health_data
        state[_TOUCHED], state[_SERVICE_REACHED] = self.touched, self.service_reached
        return state


def scope_of(facts: IncidentFacts) -> tuple[frozenset[str], ...]:
    """Return what the incident affects, by dimension: services, regions, availability zones."""
    return frozenset(facts.services), frozenset(facts.regions), frozenset(facts.availability_zones)


def scope_relation(scope: Sequence[frozenset[str]], used_by_customer: Sequence[tuple[str, ...]]) -> ScopeRelation:
    """Return how the customer's use overlaps with the scope, both by dimension. Names are compared exactly."""
    relation = ScopeRelation.UNDECLARED
    partial = False
    for affected, used in zip(scope, used_by_customer, strict=True):
        if not affected:
            continue
        relation = ScopeRelation.INSIDE
        if not used:
            partial = True
        elif affected.isdisjoint(used):
            return ScopeRelation.DISJOINT
    return ScopeRelation.PARTIAL if partial else relation


def listed_situation(stated: AffectedCustomer, tally: DataHarmTally) -> CustomerSituation:
    """Return the situation of a customer that the facts list: only what they state about it counts."""
    return CustomerSituation(
        listed=True,
        touched=known(stated.affected),
        # The stated effect on the customer's use replaces what its scope would suggest.
        service_reached=Answer.NO.value,
        data_harm=tuple(answer for _, answer in harm_answers(stated.data_harm)),
        other_data_harm=tally.without(stated.data_harm),
        breach=known(stated.personal_data.breach),
        controller=known(stated.personal_data.controller),
        health_data=known(stated.personal_data.health_data),
    )


def unlisted_situation(relation: ScopeRelation, unlisted: UnlistedCustomers, tally: DataHarmTally) -> CustomerSituation:
    """Return the situation of a customer that the facts do not list.

    An affected service is affected for everybody who uses it. Only a disjoint scope establishes that the service
    is not affected where this customer uses it. Whether the customer's use and data are affected stays open until
    ``not_affected`` is established.
    """
    established = unlisted is UnlistedCustomers.NOT_AFFECTED
    disjoint = relation is ScopeRelation.DISJOINT
    touched: str | None
    if disjoint or (established and relation is ScopeRelation.UNDECLARED):
        touched = "no"
    elif established or relation is ScopeRelation.INSIDE:
        # A customer without recorded services, regions or zones uses the whole service.
        touched = "yes"
    else:
        touched = None
    return CustomerSituation(
        listed=False,
        touched=touched,
        service_reached="no" if disjoint else "yes",
        data_harm=_NO_HARM if established else _UNKNOWN_HARM,
        other_data_harm=tally.without(None),
        breach="no" if established else None,
        controller=None,
        health_data="no" if established else None,
    )
