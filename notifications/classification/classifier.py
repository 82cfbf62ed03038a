"""classify(facts, agreement): nature, legal basis and priority; provisional if an unknown fact matters."""

from dataclasses import dataclass
from functools import lru_cache

from notifications.agreement import NATURES, Agreement
from notifications.agreement.reading import FACTS, INDEX, reading_of
from notifications.agreement.three_valued import State, depends_on, possible_outcomes
from notifications.classification.event_state import DataHarmTally, event_state, harm_answers
from notifications.classification.possibilities import answer_of, natures_of, possible_natures, possible_priorities
from notifications.classification.questions import fact_ids, open_questions
from notifications.classification.result import Classification, Ground
from notifications.incident import UNKNOWN, Answer, Cause, IncidentFacts, Intent, Property

#: Every message id that ``Classification.remarks`` can hold.
MESSAGE_IDS = (
    "remark.attack_accidental",
    "remark.attack_intent_unknown",
    "remark.natural_disaster_malicious",
    "remark.hardware_failure_malicious",
    "remark.outside_perimeter_harm",
    "remark.breach_without_data_harm",
    "remark.data_harm_untouched",
    "remark.impact_not_in_agreement",
    "remark.criticality_not_in_agreement",
)

_IMPACT, _CRITICALITY = INDEX["impact"], INDEX["criticality"]


def classify(facts: IncidentFacts, agreement: Agreement) -> Classification:
    """Return the nature of the event by the agreement's definitions, and its priority.

    The nature is settled when every way of answering the open facts gives the same one. Otherwise the result is the
    most protective nature that is possible, and each open fact that matters is listed with what its answers would
    change. The cause decides nothing; a remark is added where it contradicts the other facts.
    Not checked: the facts (see ``validate_facts``).
    """
    tally = DataHarmTally.of(facts)
    state = event_state(facts, agreement, tally.without(None))
    # Classification looks at no single customer, so harm to any customer's data counts as ``other_data_harm``.
    for harmed in Property:
        state[INDEX[f"customer_data_harm.{harmed.value}"]] = "no"
    key = tuple(state)
    findings = _findings(agreement, key)
    priorities = possible_priorities(agreement, key[_IMPACT], key[_CRITICALITY])
    priority = priorities[0] if len(priorities) == 1 else None
    natures = natures_of(findings.natures)
    return Classification(
        agreement_id=agreement.id,
        nature=natures[0],
        possible_natures=natures,
        grounds=tuple(
            Ground(limb_id, clause, holds, fact_ids(missing, tally))
            for limb_id, clause, holds, missing in findings.grounds
        ),
        priority=priority,
        possible_priorities=priorities,
        gti_seconds=None if priority is None else agreement.gti_seconds(priority),
        open_questions=open_questions(agreement, key, findings.open_facts, tally) if None in key else (),
        remarks=_remarks(facts, agreement, findings.natures),
    )


@dataclass(frozen=True, slots=True)
class _Findings:
    """The part of the result that depends only on the state, so it can be cached across customers."""

    #: indices into ``NATURES``
    natures: frozenset[int]
    #: (limb, clause, whether it holds, indices of the facts it waits for)
    grounds: tuple[tuple[str, str, Answer, tuple[int, ...]], ...]
    #: indices of the open facts that the nature depends on
    open_facts: tuple[int, ...]


@lru_cache(maxsize=4_096)
def _findings(agreement: Agreement, key: tuple[str | None, ...]) -> _Findings:
    reading = reading_of(agreement)
    state = list(key)
    grounds = []
    for number, (limb, rule) in enumerate(reading.limbs):
        named = tuple(sorted(rule.facts))
        holds, missing = _holds(agreement, number, named, tuple([key[fact] for fact in named]))
        grounds.append((limb.id, limb.clause, holds, missing))
    natures = possible_natures(agreement, key)
    open_facts: tuple[int, ...] = ()
    if len(natures) > 1:
        open_facts = tuple(
            fact for fact in sorted(reading.nature.facts) if depends_on(reading.nature, state, reading.answers, fact)
        )
    return _Findings(natures, tuple(grounds), open_facts)


@lru_cache(maxsize=4_096)
def _holds(
    agreement: Agreement, number: int, named: tuple[int, ...], answers: tuple[str | None, ...]
) -> tuple[Answer, tuple[int, ...]]:
    """Return whether a limb holds, and the facts that it waits for: both depend on the facts that its rule names.

    ``number`` is the limb's place in the reading, ``named`` are the indices of these facts, ``answers`` their answers.
    """
    reading = reading_of(agreement)
    rule = reading.limbs[number][1]
    state: State = [None] * len(FACTS)
    for fact, answer in zip(named, answers, strict=True):
        state[fact] = answer
    outcomes = possible_outcomes(rule, state, reading.answers, at_most=2)
    missing: tuple[int, ...] = ()
    if len(outcomes) > 1:
        missing = tuple(fact for fact in named if depends_on(rule, state, reading.answers, fact))
    return answer_of(outcomes), missing


def _remarks(facts: IncidentFacts, agreement: Agreement, natures: frozenset[int]) -> tuple[str, ...]:
    remarks: list[str] = []
    if facts.cause is Cause.ATTACK and facts.intent is Intent.ACCIDENTAL:
        remarks.append("remark.attack_accidental")
    if facts.cause is Cause.ATTACK and facts.intent is Intent.UNKNOWN:
        remarks.append("remark.attack_intent_unknown")
    if facts.intent is Intent.MALICIOUS and facts.cause is Cause.NATURAL_DISASTER:
        remarks.append("remark.natural_disaster_malicious")
    if facts.intent is Intent.MALICIOUS and facts.cause is Cause.HARDWARE_FAILURE:
        remarks.append("remark.hardware_failure_malicious")
    service_harmed = any(answer == "yes" for _, answer in harm_answers(facts.service_harm))
    if service_harmed and natures == {NATURES.index("outside_perimeter")}:
        remarks.append("remark.outside_perimeter_harm")
    if any(
        stated.personal_data.breach.of_data is Answer.YES
        and all(answer == "no" for _, answer in harm_answers(stated.data_harm))
        for stated in facts.affected_customers
    ):
        remarks.append("remark.breach_without_data_harm")
    if any(
        stated.affected is Answer.NO and any(answer == "yes" for _, answer in harm_answers(stated.data_harm))
        for stated in facts.affected_customers
    ):
        remarks.append("remark.data_harm_untouched")
    if facts.impact != UNKNOWN and facts.impact not in agreement.impact_ids:
        remarks.append("remark.impact_not_in_agreement")
    if agreement.criticalities and facts.criticality not in {UNKNOWN, *agreement.criticality_ids}:
        remarks.append("remark.criticality_not_in_agreement")
    return tuple(remarks)
