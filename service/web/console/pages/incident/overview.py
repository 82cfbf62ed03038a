"""The overview of one incident: what it is and why, the times that run, what to do next, and what is open."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from notifications.classification import Classification, classify
from notifications.decision import Verdict, binding_of
from notifications.incident import Incident, IncidentState, Intervention
from notifications.notice import NoticeState
from notifications.ports import Page, StoredDecision
from notifications.use_cases.incidents.apply_facts import public_fact_id
from notifications.use_cases.incidents.other_agreements import OtherClassification, other_classifications
from notifications.use_cases.incidents.release_notice import four_eyes_rule
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.ports.notice_lists import NoticeFilter
from service.ports.store import AccessTransaction
from service.web.api.context import ApiContext
from service.web.console.failures import PageRoute
from service.web.console.forms import see_other
from service.web.console.pages.incident.fact_words import FactWords
from service.web.console.pages.incident.frame import (
    MayReadIncidents,
    Standing,
    context_of,
    shown_in_frame,
    standing_of,
)
from service.web.console.pages.question_list import ShownQuestion, questions_of_incident
from service.web.console.rendering import reader_language, reader_zone

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Clock:
    """A time that runs: ``incident.clock.<name>`` are its words."""

    name: str
    due_at: datetime
    #: whether what is owed by it was done
    is_met: bool = False
    #: how strictly it binds, a ``DeadlineBinding`` value; None for what is no deadline of a notice
    binding: str | None = None


@dataclass(frozen=True, slots=True)
class NextStep:
    """The one thing to do next: ``incident.next.<name>`` are its words."""

    name: str
    path: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """An open fact: what each answer would change, and how many customers' verdict hangs on it."""

    fact: str
    #: (answer, natures, priorities) in words
    effects: Sequence[tuple[str, str, str]]
    customers: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page shows, besides the classification."""

    standing: Standing
    step: NextStep
    verdicts: Mapping[str, int]
    states: Mapping[str, int]
    names: Mapping[UUID, str]
    #: what customers asked about the notices of the incident
    asked: Sequence[ShownQuestion] = ()
    #: other agreements that bind customers and give another nature or priority
    other_agreements: tuple[OtherClassification, ...] = ()
    #: when the first intervention started, and corrections
    interventions: Sequence[Intervention] = ()


@router.get("/incidents/{incident_id}")
async def overview_page(request: Request, access: MayReadIncidents, incident_id: UUID) -> Response:
    """Show how an incident is."""
    context = context_of(request)

    def work(tx: AccessTransaction) -> Overview | None:
        known = tx.incidents.get(incident_id)
        if known is not None and known.facts.announcement is not None:
            return None
        return overview_of(tx, access, context, tx.incidents.require(incident_id))

    found = await access.read(work)
    if found is None:
        # Links of lists and of the log do not distinguish what a notice is about.
        return see_other(f"/announcements/{incident_id}")
    values = overview_values(context, found, reader_language(request, access.caller), reader_zone(access.caller))
    return shown_in_frame(request, access, found.standing.incident, "overview", values)


def overview_of(tx: AccessTransaction, access: Access, context: ApiContext, incident: Incident) -> Overview:
    """Return how an incident is at this moment."""
    standing = standing_of(tx, incident)
    listed = [stated.customer_id for stated in incident.facts.affected_customers]
    customers = tx.customers.some(listed)
    verdicts = Counter(stored.decision.verdict.value for stored in standing.decisions)
    states = Counter(notice.state.value for notice in standing.notices)
    return Overview(
        standing,
        next_step(tx, access, context, standing),
        {verdict.value: verdicts[verdict.value] for verdict in Verdict},
        {state.value: states[state.value] for state in NoticeState if states[state.value]},
        {each.id: each.name for each in customers},
        questions_of_incident(tx, access, incident.id),
        _other_agreements(tx, access, context, incident),
        tx.incidents.interventions(incident.id),
    )


def _other_agreements(
    tx: AccessTransaction, access: Access, context: ApiContext, incident: Incident
) -> tuple[OtherClassification, ...]:
    if not access.scope.at_provider:
        return ()
    reference = classify(incident.facts, context.agreements.reference)
    return other_classifications(tx, incident.facts, reference, context.agreements)


def overview_values(context: ApiContext, found: Overview, language: str, zone: str) -> dict[str, Any]:
    """Return the values of the template."""
    incident, agreement = found.standing.incident, context.agreements.reference
    classification = classify(incident.facts, agreement)
    level = next((each for each in agreement.priorities if each.id == classification.priority), None)
    said = FactWords(language, agreement, found.names, zone)
    return {
        "classification": classification,
        "grounds": [
            (ground, agreement.limb(ground.id).text.in_language(language)[1], list(map(said.fact, ground.missing)))
            for ground in classification.grounds
        ],
        "priority_level": level,
        "priority_text": "" if level is None else level.text.in_language(language)[1],
        "clocks": clocks_of(found.standing, classification, has_intervention=bool(found.interventions)),
        "interventions": found.interventions,
        "gti_seconds": classification.gti_seconds,
        "step": found.step,
        "verdicts": found.verdicts,
        "states": found.states,
        "questions": questions_of(found.standing, classification, said),
        "opened_by": found.standing.name_of(incident.opened_by),
        "asked_questions": found.asked,
        "other_agreements": found.other_agreements,
    }


def clocks_of(standing: Standing, classification: Classification, *, has_intervention: bool) -> list[Clock]:
    """Return the times that run, the nearest first; what was met comes last. The GTI ends with the intervention."""
    incident = standing.incident
    found = [Clock("draft", notice.due_at, binding=notice.binding.value) for notice in standing.drafts]
    # One time for each kind: the nearest of the drafts, and of the decisions that wait for a fact.
    found += [
        Clock("pending", decision.due_at, binding=binding_of(decision.due_kind, decision.binding).value)
        for decision in (stored.decision for stored in standing.decisions)
        if decision.verdict is Verdict.PENDING and decision.due_at is not None and decision.due_kind is not None
    ]
    nearest: dict[tuple[str, str | None], Clock] = {}
    for clock in sorted(found, key=lambda each: each.due_at):
        nearest.setdefault((clock.name, clock.binding), clock)
    clocks = list(nearest.values())
    if classification.gti_seconds is not None and not has_intervention:
        clocks.append(Clock("gti", incident.opened_at + timedelta(seconds=classification.gti_seconds)))
    if incident.facts.next_update_by is not None and incident.state is IncidentState.OPEN:
        updated = [
            notice
            for notice in standing.notices
            if notice.released_at is not None and incident.version == notice.facts_version
        ]
        clocks.append(Clock("next_update", incident.facts.next_update_by, is_met=bool(updated) and not standing.drafts))
    return sorted(clocks, key=lambda each: (each.is_met, each.due_at))


def next_step(tx: AccessTransaction, access: Access, context: ApiContext, standing: Standing) -> NextStep:
    """Return the one thing to do next, by what is most urgent.

    1. Drafts go out: the caller releases them, or somebody else has to.
    2. What was released reaches its customers: held notices, calls, failed deliveries.
    3. Open facts are established.
    4. An incident that ended is closed; until then customers are kept informed.
    """
    path = f"/incidents/{standing.incident.id}"
    drafts = standing.drafts
    # 1.
    if drafts:
        aware_at = standing.incident.facts.aware_at
        can_release = access.may(Permission.NOTICE_RELEASE) and any(
            each.drafted_by != access.actor
            or four_eyes_rule(tx, each.customer_id, aware_at, context.agreements) is None
            for each in drafts
        )
        return NextStep("release" if can_release else "ask_release", f"{path}/notices", len(drafts))
    # 2.
    held = sum(each.state is NoticeState.RELEASED and each.hold_reason is not None for each in standing.notices)
    if held:
        return NextStep("held", f"{path}/deliveries", held)
    figures = tx.board.figures([standing.incident.id])[standing.incident.id]
    if figures.next_call_id is not None and access.may(Permission.CALL_READ):
        return NextStep("call", f"/calls/{figures.next_call_id}", figures.calls)
    failed = tx.notices.counted(standing.incident.id, NoticeFilter(failing=True), Page(1)).total
    if failed:
        return NextStep("failed", f"{path}/deliveries", failed)
    # 3.
    pending = [stored for stored in standing.decisions if stored.decision.verdict is Verdict.PENDING]
    if standing.incident.state is IncidentState.CLOSED:
        return NextStep("none", "")
    if pending:
        return NextStep("establish", _where_established(access, path, pending), len(pending))
    # 4.
    ended = standing.incident.facts.ended_at is not None
    return NextStep("close" if ended else "follow_up", f"{path}/closing")


def _where_established(access: Access, path: str, pending: Sequence[StoredDecision]) -> str:
    """Return the page on which the open facts are stated: the table of customers if it answers all of them."""
    missing = {public_fact_id(fact) for stored in pending for fact in stored.decision.missing}
    if all(fact == "unlisted_customers" or "*" in fact for fact in missing):
        return f"{path}/customers?verdict=pending"
    return f"{path}/facts/change" if access.may(Permission.INCIDENT_CHANGE) else f"{path}/facts"


def questions_of(standing: Standing, classification: Classification, said: FactWords) -> list[Question]:
    """Return the open facts with what hangs on each: those of the classification first, then those of customers."""
    hanging = Counter(
        fact for stored in standing.decisions for fact in {public_fact_id(each) for each in stored.decision.missing}
    )
    questions = []
    for question in classification.open_questions:
        effects = [
            (
                said.answer(question.fact, effect.answer),
                ", ".join(said.answer("nature", nature.value) for nature in effect.natures),
                ", ".join(effect.priorities),
            )
            for effect in question.effects
        ]
        questions.append(Question(said.fact(question.fact), effects, hanging.pop(public_fact_id(question.fact), 0)))
    questions += [Question(said.fact(fact.replace(".*", "")), (), count) for fact, count in hanging.most_common()]
    return questions
