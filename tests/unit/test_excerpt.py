"""The excerpt of facts for lists classifies as the facts in full do, and stays short."""

from dataclasses import replace
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from notifications.classification import classify, excerpt_of
from notifications.incident import AffectedCustomer, Answer, Harm, PersonalData, PersonalDataBreach
from support.domain_facts import AGREEMENT, NO, UNKNOWN, YES, incident_facts, open_facts

FIRST = 3
_ANSWERS = st.sampled_from([NO, NO, NO, YES, UNKNOWN])
_SAME = st.one_of(
    st.just((Answer.YES, Harm(NO, NO, NO, NO), PersonalDataBreach.NO)),
    st.just((Answer.YES, Harm(UNKNOWN, NO, NO, NO), PersonalDataBreach.UNKNOWN)),
    st.tuples(
        st.sampled_from(Answer),
        st.builds(Harm, _ANSWERS, _ANSWERS, _ANSWERS, _ANSWERS),
        st.sampled_from(PersonalDataBreach),
    ),
)


def _customers(stated):
    return tuple(
        AffectedCustomer(UUID(int=number), affected, harm, PersonalData(breach=breach))
        for number, (affected, harm, breach) in enumerate(stated, 1)
    )


def _facts(stated, **changes):
    return open_facts(affected_customers=_customers(stated), **changes)


_OPEN = (Answer.YES, Harm(NO, UNKNOWN, NO, NO), PersonalDataBreach.NO)
_SETTLED = (Answer.YES, Harm(NO, NO, NO, NO), PersonalDataBreach.NO)
_TRACED = (Answer.YES, Harm(NO, NO, NO, UNKNOWN), PersonalDataBreach.NO)


@given(facts=incident_facts, stated=st.lists(_SAME, max_size=60))
# As many as are asked one by one, one more, and one more that is open in something else only.
@example(open_facts(), [_SETTLED] * FIRST + [_OPEN] * 20)
@example(open_facts(), [_SETTLED] * FIRST + [_OPEN] * 21)
@example(open_facts(), [_SETTLED] * FIRST + [_OPEN] * 40 + [_TRACED])
def test_the_excerpt_classifies_as_the_facts_do(facts, stated):
    facts = replace(facts, affected_customers=_customers(stated))
    excerpt = excerpt_of(facts, FIRST)
    assert classify(excerpt, AGREEMENT) == classify(facts, AGREEMENT)
    assert excerpt.affected_customers[:FIRST] == facts.affected_customers[:FIRST]
    assert set(excerpt.affected_customers) <= set(facts.affected_customers)
    assert len(excerpt.affected_customers) <= FIRST + 31


def test_short_facts_are_their_own_excerpt():
    facts = _facts([_OPEN] * FIRST)
    assert excerpt_of(facts, FIRST) is facts


def test_the_order_of_the_customers_stays():
    facts = _facts([_SETTLED] * 9 + [_OPEN] + [_SETTLED] * 9 + [_TRACED])
    named = [each.customer_id.int for each in excerpt_of(facts, FIRST).affected_customers]
    assert named == [1, 2, 3, 10, 20]
