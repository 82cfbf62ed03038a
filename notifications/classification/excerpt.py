"""The facts with few of the customers that they name, for lists: they classify as the facts in full do."""

from dataclasses import replace

from notifications.classification.event_state import harm_answers
from notifications.classification.questions import OPEN_CUSTOMERS_ASKED_MAX
from notifications.incident import AffectedCustomer, Answer, IncidentFacts


def excerpt_of(facts: IncidentFacts, customers_max: int) -> IncidentFacts:
    """Return the facts with the first customers, and with those of the others on whom the classification rests.

    ``classify`` returns the same for both. The excerpt names at most ``customers_max`` customers and 31 more. Nothing
    else may be read from it: it does not say of a customer that the facts name no more.
    """
    if len(facts.affected_customers) <= customers_max:
        return facts
    kept = list(facts.affected_customers[:customers_max])
    seen: set[str] = set()
    asked = 0
    for stated in kept:
        seen |= _traits(stated)
        asked += _is_open(stated)
    for stated in facts.affected_customers[customers_max:]:
        traits, is_open = _traits(stated), _is_open(stated)
        # Of one customer more than are asked one by one, the questions are about all of them together.
        if traits <= seen and not (is_open and asked <= OPEN_CUSTOMERS_ASKED_MAX):
            continue
        kept.append(stated)
        seen |= traits
        asked += is_open
    return replace(facts, affected_customers=tuple(kept))


def _is_open(stated: AffectedCustomer) -> bool:
    return any(answer is None for _, answer in harm_answers(stated.data_harm))


def _traits(stated: AffectedCustomer) -> set[str]:
    """Return what one customer contributes to a classification; of each trait one customer is enough."""
    answers = harm_answers(stated.data_harm)
    traits = {f"{name}={answer}" for name, answer in answers if answer != "no"}
    if stated.personal_data.breach.of_data is Answer.YES and all(answer == "no" for _, answer in answers):
        traits.add("breach without harm")
    if stated.affected is Answer.NO and any(answer == "yes" for _, answer in answers):
        traits.add("harm untouched")
    return traits
