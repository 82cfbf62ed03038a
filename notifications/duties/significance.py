"""Is an incident of a cloud provider significant (Implementing Regulation 2024/2690, articles 3, 4 and 7)?

Each criterion is a question. Facts answer some of them, the analyst the others. Unknown is not no.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType

from notifications.duties.month import add_months
from notifications.incident import Answer, Cause, Harm, IncidentFacts, Intent, UnlistedCustomers

LOSS_LIMIT_EUR = 500_000
_TURNOVER_PART = 20
_RECURRENCE_MONTHS = 6
_UNAVAILABLE = timedelta(minutes=30)
_LIMITED = timedelta(hours=1)


class Question(StrEnum):
    """One question of the test, in the order of the regulation."""

    #: more than 500,000 EUR or 5 % of the turnover, the lower
    LOSS = "loss"
    TRADE_SECRETS = "trade_secrets"
    DEATH = "death"
    HEALTH_DAMAGE = "health_damage"
    MALICIOUS_ACCESS = "malicious_access"
    RECURRING = "recurring"
    COMPLETELY_UNAVAILABLE = "completely_unavailable"
    LIMITED_AVAILABILITY = "limited_availability"
    DATA_COMPROMISED = "data_compromised"
    DATA_COMPROMISED_WIDELY = "data_compromised_widely"
    #: not a criterion: interruptions that were planned do not count
    PLANNED_MAINTENANCE = "planned_maintenance"
    #: not a criterion: a breach that is unlikely to be a risk for people is not notified to the authority
    RISK_UNLIKELY = "risk_unlikely"


#: Questions that are no criterion of significance.
NO_CRITERIA = frozenset({Question.PLANNED_MAINTENANCE, Question.RISK_UNLIKELY})


#: The article behind each question.
CLAUSES: Mapping[Question, str] = MappingProxyType({
    Question.LOSS: "2024/2690 3(1)(a)",
    Question.TRADE_SECRETS: "2024/2690 3(1)(b)",
    Question.DEATH: "2024/2690 3(1)(c)",
    Question.HEALTH_DAMAGE: "2024/2690 3(1)(d)",
    Question.MALICIOUS_ACCESS: "2024/2690 3(1)(e)",
    Question.RECURRING: "2024/2690 4",
    Question.COMPLETELY_UNAVAILABLE: "2024/2690 7(a)",
    Question.LIMITED_AVAILABILITY: "2024/2690 7(b)",
    Question.DATA_COMPROMISED: "2024/2690 7(c)",
    Question.DATA_COMPROMISED_WIDELY: "2024/2690 7(d)",
    Question.PLANNED_MAINTENANCE: "2024/2690 3(2)",
    Question.RISK_UNLIKELY: "GDPR 33(1)",
})  # fmt: skip

#: Causes that no planned maintenance has.
_UNPLANNED = frozenset({Cause.HARDWARE_FAILURE, Cause.NATURAL_DISASTER, Cause.ATTACK})
_INTERRUPTIONS = frozenset({Question.COMPLETELY_UNAVAILABLE, Question.LIMITED_AVAILABILITY})


class AnsweredBy(StrEnum):
    """Where an answer comes from."""

    FACTS = "facts"
    ANALYST = "analyst"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Criterion:
    """A question with its answer."""

    question: Question
    clause: str
    answer: Answer
    answered_by: AnsweredBy


@dataclass(frozen=True, slots=True)
class Significance:
    """The result of the test, with every question."""

    significant: Answer
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An incident, as article 4 looks at it."""

    occurred_on: date
    #: the apparent cause, the same text for the same cause; None if it is not known
    apparent_cause: str | None
    #: None if it is not known
    loss_eur: int | None


def significance(
    facts: IncidentFacts,
    answers: Mapping[Question, Answer],
    *,
    loss_eur: int | None = None,
    turnover_eur: int | None = None,
    recurring: Answer = Answer.UNKNOWN,
) -> Significance:
    """Return whether the incident is significant, and each question with its answer.

    ``answers`` are the analyst's. An answer of the analyst counts more than one from the facts, because the analyst
    sees the facts. It is ``yes`` if one criterion holds, ``no`` if every criterion is known not to hold.
    """
    derived = _from_facts(facts) | _from_loss(loss_eur, turnover_eur)
    if recurring is not Answer.UNKNOWN:
        derived[Question.RECURRING] = recurring
    criteria = tuple(_criterion(question, answers, derived) for question in Question)
    given = {criterion.question: criterion.answer for criterion in criteria}
    return Significance(_any(_holds(question, given) for question in Question), criteria)


def _criterion(question: Question, answers: Mapping[Question, Answer], derived: Mapping[Question, Answer]) -> Criterion:
    for answered_by, source in ((AnsweredBy.ANALYST, answers), (AnsweredBy.FACTS, derived)):
        answer = source.get(question, Answer.UNKNOWN)
        if answer is not Answer.UNKNOWN:
            return Criterion(question, CLAUSES[question], answer, answered_by)
    return Criterion(question, CLAUSES[question], Answer.UNKNOWN, AnsweredBy.NOBODY)


def _holds(question: Question, given: Mapping[Question, Answer]) -> Answer:
    if question in NO_CRITERIA:
        return Answer.NO
    if question not in _INTERRUPTIONS:
        return given[question]
    return _all((given[question], _not(given[Question.PLANNED_MAINTENANCE])))


def _from_facts(facts: IncidentFacts) -> dict[Question, Answer]:
    found: dict[Question, Answer] = {}
    if facts.intent is Intent.ACCIDENTAL:
        found[Question.MALICIOUS_ACCESS] = found[Question.DATA_COMPROMISED] = Answer.NO
    lasted = None if facts.started_at is None or facts.ended_at is None else facts.ended_at - facts.started_at
    untouched = facts.service_harm.availability is Answer.NO
    if untouched or (lasted is not None and lasted <= _UNAVAILABLE):
        found[Question.COMPLETELY_UNAVAILABLE] = Answer.NO
    if untouched or (lasted is not None and lasted <= _LIMITED):
        found[Question.LIMITED_AVAILABILITY] = Answer.NO
    compromised = _data_compromised(facts)
    if compromised is Answer.NO:
        found[Question.DATA_COMPROMISED] = found[Question.DATA_COMPROMISED_WIDELY] = Answer.NO
    elif compromised is Answer.YES and facts.intent is Intent.MALICIOUS:
        found[Question.DATA_COMPROMISED] = Answer.YES
    if facts.intent is Intent.MALICIOUS or facts.cause in _UNPLANNED:
        found[Question.PLANNED_MAINTENANCE] = Answer.NO
    return found


def _data_compromised(facts: IncidentFacts) -> Answer:
    """Return whether integrity or confidentiality of data is harmed; of the service's own or of a customer's data."""
    harms = [facts.service_harm, *(stated.data_harm for stated in facts.affected_customers)]
    known = [answer for harm in harms for answer in _of_data(harm)]
    if facts.unlisted_customers is not UnlistedCustomers.NOT_AFFECTED:
        known.append(Answer.UNKNOWN)
    return _any(known)


def _of_data(harm: Harm) -> tuple[Answer, Answer]:
    return harm.integrity, harm.confidentiality


def above_loss_limit(loss_eur: int, turnover_eur: int | None) -> Answer:
    """Return whether a loss is above 500,000 EUR or 5 % of the turnover, the lower.

    While the turnover is not known, its 5 % may be lower than any loss: unknown is not no.
    """
    if loss_eur > LOSS_LIMIT_EUR:
        return Answer.YES
    if turnover_eur is None:
        return Answer.UNKNOWN if loss_eur > 0 else Answer.NO
    return Answer.YES if loss_eur * _TURNOVER_PART > turnover_eur else Answer.NO


def _from_loss(loss_eur: int | None, turnover_eur: int | None) -> dict[Question, Answer]:
    return {} if loss_eur is None else {Question.LOSS: above_loss_limit(loss_eur, turnover_eur)}


def recurring(current: Occurrence, others: Sequence[Occurrence], *, turnover_eur: int | None = None) -> Answer:
    """Return whether the incident and others are significant together (art. 4).

    They are if at least two occurred within six months, with the same apparent cause, and lose more together than
    the limit of article 3(1)(a). A cause, a loss or a turnover that is not known leaves the answer open.
    """
    everything = [current, *others]
    return _any(_in_window(start.occurred_on, current, others, turnover_eur) for start in everything)


def _in_window(start: date, current: Occurrence, others: Sequence[Occurrence], turnover_eur: int | None) -> Answer:
    end = add_months(start, _RECURRENCE_MONTHS)[0]
    if not start <= current.occurred_on <= end:
        return Answer.NO
    within = [other for other in others if start <= other.occurred_on <= end]
    same = [other for other in within if current.apparent_cause is not None and _same_cause(other, current)]
    possible = [other for other in within if None in {other.apparent_cause, current.apparent_cause}]
    if not same and not possible:
        return Answer.NO
    if same and above_loss_limit(_known_loss([current, *same]), turnover_eur) is Answer.YES:
        return Answer.YES
    counted = (current, *same, *possible)
    if any(each.loss_eur is None for each in counted):
        return Answer.UNKNOWN
    return Answer.NO if above_loss_limit(_known_loss(counted), turnover_eur) is Answer.NO else Answer.UNKNOWN


def _same_cause(one: Occurrence, other: Occurrence) -> bool:
    """Return whether the words are the same; capital letters do not matter."""
    return (one.apparent_cause or "").casefold() == (other.apparent_cause or "").casefold()


def _known_loss(occurrences: Iterable[Occurrence]) -> int:
    return sum(each.loss_eur or 0 for each in occurrences)


def _any(answers: Iterable[Answer]) -> Answer:
    given = set(answers)
    if Answer.YES in given:
        return Answer.YES
    return Answer.UNKNOWN if Answer.UNKNOWN in given else Answer.NO


def _all(answers: Iterable[Answer]) -> Answer:
    return _not(_any(_not(answer) for answer in answers))


def _not(answer: Answer) -> Answer:
    return {Answer.YES: Answer.NO, Answer.NO: Answer.YES, Answer.UNKNOWN: Answer.UNKNOWN}[answer]
