"""The significance test of Implementing Regulation 2024/2690: questions that facts or the analyst answer."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.duties.significance import (
    NO_CRITERIA,
    AnsweredBy,
    Occurrence,
    Question,
    recurring,
    significance,
)
from notifications.incident import (
    NO_HARM,
    AffectedCustomer,
    Answer,
    Cause,
    Harm,
    IncidentFacts,
    Intent,
    LocalizedText,
    UnlistedCustomers,
)

AWARE_AT = datetime(2026, 6, 1, 8, tzinfo=UTC)
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
ALL_NO = dict.fromkeys(Question, NO)


def facts(**changes):
    text = LocalizedText.of({"en": "x"})
    return IncidentFacts(**{"title": text, "summary": text, "aware_at": AWARE_AT, **changes})


def answer(result, question):
    return next((each.answer, each.answered_by) for each in result.criteria if each.question is question)


def test_nothing_known_is_open_and_not_no():
    assert significance(facts(), {}).significant is UNKNOWN


def test_every_question_answered_no_is_no_and_one_open_question_keeps_it_open():
    assert significance(facts(), ALL_NO).significant is NO
    for question in set(Question) - NO_CRITERIA:
        left = {**ALL_NO, question: UNKNOWN}
        assert significance(facts(), left).significant is UNKNOWN
        assert significance(facts(), {**ALL_NO, question: YES}).significant is YES


def test_planned_maintenance_takes_interruptions_away_and_nothing_else():
    for question in (Question.COMPLETELY_UNAVAILABLE, Question.LIMITED_AVAILABILITY):
        given_answers = {**ALL_NO, question: YES}
        assert significance(facts(), {**given_answers, Question.PLANNED_MAINTENANCE: YES}).significant is NO
        assert significance(facts(), {**given_answers, Question.PLANNED_MAINTENANCE: UNKNOWN}).significant is UNKNOWN
    planned = {**ALL_NO, Question.DEATH: YES, Question.PLANNED_MAINTENANCE: YES}
    assert significance(facts(), planned).significant is YES


@pytest.mark.parametrize(
    ("changes", "question", "expected"),
    [
        ({"intent": Intent.ACCIDENTAL}, Question.MALICIOUS_ACCESS, NO),
        ({"intent": Intent.ACCIDENTAL}, Question.DATA_COMPROMISED, NO),
        ({"intent": Intent.MALICIOUS}, Question.MALICIOUS_ACCESS, UNKNOWN),
        ({"intent": Intent.MALICIOUS, "service_harm": Harm(confidentiality=YES)}, Question.DATA_COMPROMISED, YES),
        ({"intent": Intent.MALICIOUS,
          "affected_customers": (AffectedCustomer(uuid4(), data_harm=Harm(integrity=YES)),)},
         Question.DATA_COMPROMISED, YES),
        ({"service_harm": Harm(confidentiality=YES)}, Question.DATA_COMPROMISED, UNKNOWN),
        ({"service_harm": NO_HARM}, Question.DATA_COMPROMISED, UNKNOWN),
        ({"service_harm": NO_HARM, "unlisted_customers": UnlistedCustomers.NOT_AFFECTED},
         Question.DATA_COMPROMISED_WIDELY, NO),
        ({"service_harm": Harm(availability=NO)}, Question.COMPLETELY_UNAVAILABLE, NO),
        ({"service_harm": Harm(availability=YES)}, Question.COMPLETELY_UNAVAILABLE, UNKNOWN),
        ({"started_at": AWARE_AT, "ended_at": AWARE_AT + timedelta(minutes=30)}, Question.COMPLETELY_UNAVAILABLE, NO),
        ({"started_at": AWARE_AT, "ended_at": AWARE_AT + timedelta(minutes=31)},
         Question.COMPLETELY_UNAVAILABLE, UNKNOWN),
        ({"started_at": AWARE_AT, "ended_at": AWARE_AT + timedelta(hours=1)}, Question.LIMITED_AVAILABILITY, NO),
        ({"cause": Cause.HARDWARE_FAILURE}, Question.PLANNED_MAINTENANCE, NO),
        ({"cause": Cause.HUMAN_ERROR}, Question.PLANNED_MAINTENANCE, UNKNOWN),
    ],
)  # fmt: skip
def test_facts_answer_what_they_settle(changes, question, expected):
    found, by = answer(significance(facts(**changes), {}), question)
    assert found is expected
    assert by is (AnsweredBy.NOBODY if expected is UNKNOWN else AnsweredBy.FACTS)


def test_an_answer_of_the_analyst_counts_more_than_the_facts():
    result = significance(facts(intent=Intent.ACCIDENTAL), {Question.MALICIOUS_ACCESS: YES})
    assert answer(result, Question.MALICIOUS_ACCESS) == (YES, AnsweredBy.ANALYST)
    assert result.significant is YES


@pytest.mark.parametrize(
    ("loss", "turnover", "expected"),
    [(0, None, NO), (1, None, UNKNOWN), (500_000, None, UNKNOWN),
     (500_001, None, YES), (100_000, 2_000_000, NO), (100_001, 2_000_000, YES),
     (50_000, 1_000_019, NO), (50_001, 1_000_019, YES),
     (400_000, 100_000_000, NO), (None, 2_000_000, UNKNOWN)],
)  # fmt: skip
def test_a_loss_is_compared_with_the_lower_limit(loss, turnover, expected):
    assert answer(significance(facts(), {}, loss_eur=loss, turnover_eur=turnover), Question.LOSS)[0] is expected


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], NO),
        ([(date(2026, 3, 1), "storage", 300_000)], YES),
        ([(date(2025, 12, 1), "storage", 300_000)], YES),  # six months to the day
        ([(date(2025, 11, 30), "storage", 300_000)], NO),
        ([(date(2026, 12, 1), "storage", 300_000)], YES),
        ([(date(2026, 3, 1), "Storage", 300_000)], YES),
        ([(date(2026, 3, 1), "network", 300_000)], NO),
        ([(date(2026, 3, 1), None, 300_000)], UNKNOWN),
        ([(date(2026, 3, 1), "storage", None)], UNKNOWN),
        ([(date(2026, 3, 1), "storage", 100_000)], NO),
        ([(date(2026, 3, 1), "storage", 100_000), (date(2026, 4, 1), "storage", 100_001)], YES),
        # Each lies within six months of the incident, but the three do not lie within six months together.
        ([(date(2026, 1, 1), "storage", 150_000), (date(2026, 8, 1), "storage", 150_000)], NO),
    ],
)
def test_recurring_incidents_count_together_over_six_months(others, expected):
    current = Occurrence(date(2026, 6, 1), "storage", 300_000)
    found = recurring(current, [Occurrence(*other) for other in others], turnover_eur=100_000_000)
    assert found is expected


@pytest.mark.parametrize(("loss", "expected"), [(200_001, YES), (200_000, UNKNOWN), (0, UNKNOWN)])
def test_recurring_incidents_without_a_known_turnover_are_not_below_the_limit(loss, expected):
    current = Occurrence(date(2026, 6, 1), "storage", 300_000)
    assert recurring(current, [Occurrence(date(2026, 5, 1), "storage", loss)]) is expected
    nothing_lost = Occurrence(date(2026, 6, 1), "storage", 0)
    assert recurring(nothing_lost, [nothing_lost]) is NO


def test_a_recurring_incident_without_a_known_cause_stays_open():
    current = Occurrence(date(2026, 6, 1), None, 300_000)
    assert recurring(current, [Occurrence(date(2026, 5, 1), "storage", 300_000)]) is UNKNOWN


ANSWERS = st.dictionaries(st.sampled_from(sorted(Question)), st.sampled_from(sorted(Answer)))


@given(answers=ANSWERS, data=st.data())
def test_answering_an_open_question_never_turns_a_settled_result(answers, data):
    before = significance(facts(), answers).significant
    open_questions = [each for each in Question if answers.get(each, UNKNOWN) is UNKNOWN]
    if before is UNKNOWN or not open_questions:
        return
    more = {**answers, data.draw(st.sampled_from(open_questions)): data.draw(st.sampled_from([YES, NO]))}
    assert significance(facts(), more).significant is before
