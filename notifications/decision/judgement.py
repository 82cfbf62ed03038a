"""Apply the levels to one state: which rules oblige to notify, and which unknown facts they depend on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from notifications.agreement import NATURES, Agreement, DeadlineBinding, Reference
from notifications.agreement.parts import deadline_that_counts
from notifications.agreement.reading import INDEX, LevelRule, Reading, priority_in, reading_of
from notifications.agreement.three_valued import (
    NO,
    YES,
    Rule,
    State,
    all_of,
    any_of,
    constant,
    depends_on,
    fact_is,
    first_of,
    outcome_in,
    possible_outcomes,
)
from notifications.classification.possibilities import answer_of, possible_natures
from notifications.customer.records import LevelChoice
from notifications.decision.result import Verdict
from notifications.incident import Answer, PersonalDataBreach

#: Every message id that ``Reason.message`` can have under the bundled agreement. The message ids of another
#: agreement's levels have the same endings. For a level without its own message, a catalogue shows
#: ``reason.level.<ending>`` and the level's text.
MESSAGE_IDS = (
    "reason.impact_high.yes",
    "reason.impact_high.no",
    "reason.impact_high.unknown",
    "reason.impact_high.other_nature",
    "reason.impact_high.not_concerned",
    "reason.impact_high.replaced",
    "reason.customer_data.yes",
    "reason.customer_data.no",
    "reason.customer_data.unknown",
    "reason.customer_data.other_nature",
    "reason.customer_data.replaced",
    "reason.personal_data_customer_controller.yes",
    "reason.personal_data_customer_controller.no",
    "reason.personal_data_customer_controller.unknown",
    "reason.personal_data_provider_controller.yes",
    "reason.personal_data_provider_controller.no",
    "reason.personal_data_provider_controller.unknown",
    "reason.data_protection_failure.yes",
    "reason.data_protection_failure.no",
    "reason.data_protection_failure.unknown",
    "reason.plain_incident.yes",
    "reason.plain_incident.no",
    "reason.plain_incident.unknown",
    "reason.plain_incident.other_nature",
    "reason.plain_incident.not_touched",
    "reason.profile.yes",
    "reason.profile.no",
    "reason.profile.unknown",
    "reason.profile.other_nature",
    "reason.profile.not_concerned",
    "reason.profile.none_chosen",
    "reason.event.yes",
    "reason.event.unknown",
    "reason.outside_perimeter.yes",
    "reason.outside_perimeter.unknown",
    "reason.level.yes",
    "reason.level.no",
    "reason.level.unknown",
    "reason.level.other_nature",
    "reason.level.not_concerned",
    "reason.level.not_touched",
    "reason.level.replaced",
)

#: (fact, message ending): why a level does not hold. The first fact that fails gives the reason.
_ENDINGS = (("nature", "other_nature"), ("concerned", "not_concerned"), ("touched", "not_touched"))
#: Natures that oblige to nothing. They appear among the reasons, to explain why nothing is owed.
_NATURES_NOT_OWED = ("event", "outside_perimeter")
_CERTAIN = (PersonalDataBreach.CONFIRMED.value, PersonalDataBreach.RULE_BROKEN.value)


class OwedWithin(NamedTuple):
    """A time of the agreement."""

    #: from awareness
    seconds: int
    binding: DeadlineBinding


@dataclass(frozen=True, slots=True)
class JudgementFinding:
    """A rule that was examined: a ``Reason`` before its facts are named for one customer."""

    id: str
    clause: str
    holds: Answer
    obliges: bool
    message: str
    #: indices of the unknown facts that it depends on
    missing: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result for every customer in one situation with one set of choices."""

    verdict: Verdict
    #: those that oblige first
    findings: tuple[JudgementFinding, ...]
    #: indices of the facts that could still change the verdict
    missing: tuple[int, ...]
    #: each time of the agreement that can apply, shortest first
    deadlines: tuple["OwedWithin", ...]
    #: whether a notice can be owed without a contractual deadline; the internal target then applies
    without_deadline: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Obligations:
    """The rules that apply under one set of choices."""

    #: (level, whether it obliges)
    levels: tuple[tuple[LevelRule, bool], ...]
    profile: Rule | None
    #: (part id as in ``_ENDINGS``, rule) of the profile
    profile_parts: tuple[tuple[str, Rule], ...]
    owed: Rule
    #: outcome: index into ``deadlines``, then "owed without deadline", then "not owed"
    kind: Rule
    deadlines: tuple["OwedWithin", ...]
    #: the clause that lets the customer choose its levels; empty if the agreement cites none
    profile_clause: str


@lru_cache(maxsize=1_024)
def _obligations(agreement: Agreement, choices: tuple[LevelChoice, ...] | None) -> _Obligations:
    reading = reading_of(agreement)
    levels = tuple((rule, choices is None or not rule.level.waivable) for rule in reading.levels)
    profile = None if choices is None else _profile_rule(agreement, reading, choices)
    by_time: dict[OwedWithin, list[Rule]] = {}
    others: list[Rule] = [] if profile is None else [profile]
    for level_rule, obliges in levels:
        if not obliges:
            continue
        for within, rule in _times(agreement, level_rule):
            (others if within is None else by_time.setdefault(within, [])).append(rule)
    # Of two equal times the hard one counts.
    deadlines = tuple(sorted(by_time, key=lambda each: (each.seconds, each.binding is not DeadlineBinding.HARD)))
    kinds = [*(any_of(by_time[within]) for within in deadlines), any_of(others)]
    return _Obligations(
        levels=levels,
        profile=profile,
        profile_parts=(("nature", reading.security_incident), ("concerned", reading.concerned)),
        owed=any_of(kinds),
        kind=first_of(kinds, otherwise=len(kinds)),
        deadlines=deadlines,
        profile_clause=agreement.reference(Reference.PROFILE) or "",
    )


def _times(agreement: Agreement, level_rule: LevelRule) -> list[tuple[OwedWithin | None, Rule]]:
    """Return the times that a level sets, each with the rule of when; None: no time, or one without a number.

    A suspicion has only the times that hold for it.
    """
    stated = [name for name in level_rule.level.deadlines if name in agreement.deadlines]
    certain_only = [name for name in stated if agreement.deadlines[name].certain_only]
    always = deadline_that_counts([name for name in stated if name not in certain_only], agreement.deadlines)
    times = [(_owed_within(agreement, always), level_rule.rule)]
    certain = all_of([level_rule.rule, fact_is(INDEX["personal_data_breach"], _CERTAIN)])
    return times + [(within, certain) for name in certain_only if (within := _owed_within(agreement, name))]


def _owed_within(agreement: Agreement, deadline_id: str | None) -> OwedWithin | None:
    deadline = None if deadline_id is None else agreement.deadlines[deadline_id]
    return None if deadline is None or deadline.seconds is None else OwedWithin(deadline.seconds, deadline.binding)


def _profile_rule(agreement: Agreement, reading: Reading, choices: tuple[LevelChoice, ...]) -> Rule:
    chosen = any_of([_choice_rule(agreement, choice) for choice in choices])
    return all_of([reading.security_incident, reading.concerned, chosen])


def _choice_rule(agreement: Agreement, choice: LevelChoice) -> Rule:
    """Return the rule of a choice.

    A choice can be older than the agreement. Where the agreement has no criticality or no priority at all, a choice by
    it is made without it: the choice then covers more, not less.
    """
    dimensions: list[Rule] = []
    if choice.impacts:
        dimensions.append(fact_is(INDEX["impact"], choice.impacts))
    if choice.criticalities and agreement.criticalities:
        dimensions.append(fact_is(INDEX["criticality"], choice.criticalities))
    if choice.priorities and agreement.priorities:
        dimensions.append(priority_in(agreement, choice.priorities))
    if choice.data_harm:
        harmed = [fact_is(INDEX[f"customer_data_harm.{harm.value}"], ("yes",)) for harm in choice.data_harm]
        dimensions.append(any_of(harmed))
    return all_of(dimensions) if dimensions else constant(YES)


@lru_cache(maxsize=4_096)
def judge(agreement: Agreement, key: tuple[str | None, ...], choices: tuple[LevelChoice, ...] | None) -> Judgement:
    """Return what is owed in a state of ``FACTS`` under a customer's choices (None: the default levels)."""
    answers, state = reading_of(agreement).answers, list(key)
    rules = _obligations(agreement, choices)
    not_owed = len(rules.deadlines) + 1
    outcomes = possible_outcomes(rules.kind, state, answers, at_most=not_owed + 1)
    missing: tuple[int, ...] = ()
    if outcomes == {not_owed}:
        verdict = Verdict.DO_NOT_NOTIFY
    elif not_owed not in outcomes:
        verdict = Verdict.NOTIFY
    else:
        verdict = Verdict.PENDING
        missing = _missing(rules.owed, state, answers)
    findings = [
        _level_finding(level_rule, obliges, choices is not None, state, answers) for level_rule, obliges in rules.levels
    ]
    if rules.profile is not None:
        findings.append(_profile_finding(rules, choices, state, answers))
    findings.extend(_nature_findings(agreement, key))
    return Judgement(
        verdict=verdict,
        findings=tuple(sorted(findings, key=_rank)),
        missing=missing,
        deadlines=tuple(within for index, within in enumerate(rules.deadlines) if index in outcomes),
        without_deadline=len(rules.deadlines) in outcomes,
    )


def _rank(finding: JudgementFinding) -> int:
    if not finding.obliges:
        return 3
    return (Answer.YES, Answer.UNKNOWN, Answer.NO).index(finding.holds)


def _holds(rule: Rule, state: State, answers: Sequence[Sequence[str]]) -> Answer:
    return answer_of(possible_outcomes(rule, state, answers, at_most=2))


def _missing(rule: Rule, state: State, answers: Sequence[Sequence[str]]) -> tuple[int, ...]:
    return tuple(fact for fact in sorted(rule.facts) if depends_on(rule, state, answers, fact))


def _level_finding(
    level_rule: LevelRule, obliges: bool, has_profile: bool, state: State, answers: Sequence[Sequence[str]]
) -> JudgementFinding:
    level, holds = level_rule.level, _holds(level_rule.rule, state, answers)
    ending = _ending(holds, level_rule.parts, state) if obliges or not has_profile else "replaced"
    missing = _missing(level_rule.rule, state, answers) if holds is Answer.UNKNOWN else ()
    return JudgementFinding(level.id, level.clause, holds, obliges, f"reason.{level.id}.{ending}", missing)


def _profile_finding(
    rules: _Obligations,
    choices: tuple[LevelChoice, ...] | None,
    state: State,
    answers: Sequence[Sequence[str]],
) -> JudgementFinding:
    assert rules.profile is not None, "called only if the customer chose a profile"
    holds = _holds(rules.profile, state, answers)
    ending = _ending(holds, rules.profile_parts, state) if choices else "none_chosen"
    missing = _missing(rules.profile, state, answers) if holds is Answer.UNKNOWN else ()
    return JudgementFinding("profile", rules.profile_clause, holds, True, f"reason.profile.{ending}", missing)


def _ending(holds: Answer, parts: tuple[tuple[str, Rule], ...], state: State) -> str:
    if holds is not Answer.NO:
        return holds.value
    failed = {fact for fact, rule in parts if rule.evaluate(state) == NO}
    return next((ending for fact, ending in _ENDINGS if fact in failed), "no")


def _nature_findings(agreement: Agreement, key: tuple[str | None, ...]) -> list[JudgementFinding]:
    natures, reading = possible_natures(agreement, key), reading_of(agreement)
    holds = Answer.YES if len(natures) == 1 else Answer.UNKNOWN
    findings: list[JudgementFinding] = []
    for nature in _NATURES_NOT_OWED:
        index = NATURES.index(nature)
        if index in natures:
            clause = agreement.definition(nature).clause
            missing: tuple[int, ...] = ()
            if holds is Answer.UNKNOWN:
                missing = _missing(outcome_in(reading.nature, (index,)), list(key), reading.answers)
            findings.append(JudgementFinding(nature, clause, holds, False, f"reason.{nature}.{holds.value}", missing))
    return findings
