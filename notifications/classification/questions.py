"""Questions to the analyst about open facts, each with what its answers would change."""

from collections.abc import Collection, Sequence

from notifications.agreement import Agreement
from notifications.agreement.reading import FACTS, INDEX, reading_of
from notifications.classification.event_state import OTHER_DATA_HARM, DataHarmTally
from notifications.classification.possibilities import natures_of, possible_natures, possible_priorities
from notifications.classification.result import AnswerEffect, Nature, OpenQuestion
from notifications.incident import AffectedCustomer, UnlistedCustomers

#: Up to this many customers with open data harm get one question each. With more, one question covers all of them.
OPEN_CUSTOMERS_ASKED_MAX = 20

_OTHER_DATA_HARM = frozenset(index for _, index in OTHER_DATA_HARM)
_IMPACT, _CRITICALITY = INDEX["impact"], INDEX["criticality"]


def fact_ids(facts: Sequence[int], tally: DataHarmTally) -> tuple[str, ...]:
    """Return fact ids as the API names them; harm to data becomes one id per customer for whom it is open."""
    ids: dict[str, None] = {}
    for fact in facts:
        if fact not in _OTHER_DATA_HARM:
            ids[FACTS[fact]] = None
            continue
        name = FACTS[fact].partition(".")[2]
        if _asked_one_by_one(tally):
            ids.update(dict.fromkeys(_customer_fact(stated, name) for stated in tally.open[name]))
        elif tally.open[name]:
            ids[f"affected_customers.data_harm.{name}"] = None
    if tally.unlisted_open and not _OTHER_DATA_HARM.isdisjoint(facts):
        ids["unlisted_customers"] = None
    return tuple(ids)


def _asked_one_by_one(tally: DataHarmTally) -> bool:
    return len({stated.customer_id for waiting in tally.open.values() for stated in waiting}) <= (
        OPEN_CUSTOMERS_ASKED_MAX
    )


def _customer_fact(stated: AffectedCustomer, name: str) -> str:
    return f"affected_customers.{stated.customer_id}.data_harm.{name}"


def open_questions(
    agreement: Agreement, key: tuple[str | None, ...], open_facts: Collection[int], tally: DataHarmTally
) -> tuple[OpenQuestion, ...]:
    """Return a question for each open fact that nature or priority depends on.

    ``open_facts``: indices of the facts that the nature depends on. A customer that is not listed has no fact of its
    own: the question on ``unlisted_customers`` has the answers ``not_affected`` and ``affected`` (data of at least one
    of them is harmed).
    """
    answers = reading_of(agreement).answers
    priorities = possible_priorities(agreement, key[_IMPACT], key[_CRITICALITY])

    def effect(answer: str, changed: dict[int, str]) -> AnswerEffect:
        changed_key = tuple(changed.get(index, value) for index, value in enumerate(key))
        natures = natures_of(possible_natures(agreement, changed_key))
        return AnswerEffect(
            answer, natures, possible_priorities(agreement, changed_key[_IMPACT], changed_key[_CRITICALITY])
        )

    facts = set(open_facts)
    if len(priorities) > 1:
        facts.update(index for index in (_IMPACT, _CRITICALITY) if key[index] is None)
    questions: list[OpenQuestion] = []
    one_by_one = _asked_one_by_one(tally)
    for fact in sorted(facts):
        if fact not in _OTHER_DATA_HARM:
            effects = tuple(effect(answer, {fact: answer}) for answer in answers[fact])
            questions.append(OpenQuestion(FACTS[fact], effects))
            continue
        name = FACTS[fact].partition(".")[2]
        waiting = tally.open[name]
        # "No" for one customer settles the fact only if the harm is not open for any other customer.
        others_open = tally.unlisted_open or (one_by_one and len(waiting) > 1)
        effects = (effect("yes", {fact: "yes"}), effect("no", {} if others_open else {fact: "no"}))
        if one_by_one:
            questions.extend(OpenQuestion(_customer_fact(stated, name), effects) for stated in waiting)
        elif waiting:
            questions.append(OpenQuestion(f"affected_customers.data_harm.{name}", effects))
    harm_facts = sorted(facts & _OTHER_DATA_HARM)
    if tally.unlisted_open and harm_facts:
        settled = {fact: "no" for fact in harm_facts if not tally.open[FACTS[fact].partition(".")[2]]}
        # Any property of their data may be harmed, including one that the nature does not depend on.
        harmed = [effect("affected", {fact: "yes"}) for fact in sorted(_OTHER_DATA_HARM)]
        possible = {nature for each in harmed for nature in each.natures}
        questions.append(
            OpenQuestion(
                "unlisted_customers",
                (
                    effect(UnlistedCustomers.NOT_AFFECTED.value, settled),
                    AnswerEffect("affected", tuple(nature for nature in Nature if nature in possible), priorities),
                ),
            )
        )
    return tuple(questions)
