"""Find the notice that a customer is owed after a change: a first notice, an update, a correction, or none."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from notifications.agreement import DeadlineBinding
from notifications.decision import Decision, DueKind, Verdict, binding_of
from notifications.incident import UNKNOWN, Incident, IncidentFacts, PersonalDataBreach, is_restated
from notifications.notice import Notice, NoticeKind, NoticeState
from notifications.use_cases.audit_context import AuditContext, as_json
from notifications.use_cases.incidents.customer_decider import Agreements, CustomerCase, CustomerDecider

#: Texts and plans: a change of these facts is an update, not a correction.
_NOT_CODED = frozenset({
    "title", "summary", "measures_taken", "recommendations", "not_known_yet", "next_update_by", "ended_at",
    "effect", "likely_consequences", "name", "tlp",
})  # fmt: skip
#: What identifies a record in a list; a text by language has neither.
_RECORD_KEYS = ("customer_id", "id")
#: A confirmed suspicion is an update, because the customer was notified of a suspicion.
_FIRMED_UP = frozenset({
    (PersonalDataBreach.SUSPECTED.value, PersonalDataBreach.CONFIRMED.value),
    (PersonalDataBreach.RULE_SUSPECTED.value, PersonalDataBreach.RULE_BROKEN.value),
})  # fmt: skip


class NotifiedFacts:
    """The deciders over earlier versions of the facts, of which customers were notified."""

    def __init__(self, facts_at: Callable[[int], IncidentFacts | None], agreements: Agreements) -> None:
        self._facts_at, self._agreements = facts_at, agreements
        self._deciders: dict[int, CustomerDecider] = {}

    def at(self, version: int) -> CustomerDecider:
        """Return the decider over one earlier version of the facts; raises LookupError if it is not stored."""
        if version not in self._deciders:
            facts = self._facts_at(version)
            if facts is None:
                raise LookupError(f"the store has no version {version} of the facts")
            self._deciders[version] = CustomerDecider(facts, self._agreements)
        return self._deciders[version]


def next_notice(
    act: AuditContext,
    incident: Incident,
    case: CustomerCase,
    decider: CustomerDecider,
    decision: Decision,
    notices: tuple[Notice, ...],
    notified: NotifiedFacts,
) -> Notice | None:
    """Return the notice to add (its version is 1) or to save (a later version); None if nothing changes.

    ``notices`` are the customer's notices of the incident that were not withdrawn, in sequence.

    1. The customer was never notified and must be notified now: draft the first notice, or update its draft.
    2. The customer was never notified and need not be notified any more: withdraw the draft. If this is uncertain, keep
       the draft, and the analyst decides.
    3. The customer was notified before. If the incident is closed, draft a final notice. If the part of the facts that
       the customer sees has changed, draft an update or a correction. If it is again the same as in the last notice,
       withdraw the draft.
    """
    draft = notices[-1] if notices and notices[-1].state is NoticeState.DRAFT else None
    served = [notice for notice in notices if notice.state is not NoticeState.DRAFT]
    # 1. and 2.
    if not served:
        if decision.verdict is Verdict.NOTIFY or (draft is not None and decision.verdict is Verdict.PENDING):
            return _draft(act, incident, case, decision, draft, 1, NoticeKind.INITIAL, duty_is_new=True)
        return None if draft is None else _withdrawn(draft)
    # 3.
    last = served[-1]
    then = notified.at(last.facts_version)
    seen_then, seen_now = then.seen_by(case.customer.id), decider.seen_by(case.customer.id)
    decision_then = then.decide(case)
    if incident.closed_at is not None:
        kind = NoticeKind.FINAL
    elif seen_then == seen_now and _visible_parts(decision_then) == _visible_parts(decision):
        return None if draft is None else _withdrawn(draft)
    else:
        kind = change_kind(seen_then, seen_now, decision_then, decision)
    # A duty that did not apply to the earlier notice, such as a breach found later, has its own deadline.
    duty_is_new = decision.personal_data_breach and not decision_then.personal_data_breach
    return _draft(act, incident, case, decision, draft, last.sequence + 1, kind, duty_is_new=duty_is_new)


def change_kind(
    facts_then: IncidentFacts, facts_now: IncidentFacts, decision_then: Decision, decision_now: Decision
) -> NoticeKind:
    """Return ``correction`` if the last notice stated something that is wrong, else ``update``.

    These are corrections: the customer need not be notified any more, a nature that was certain has changed, or a coded
    fact or count had a definite value and now has another or none. A fact that was unknown before is an update.
    """
    if decision_then.verdict is Verdict.NOTIFY and decision_now.verdict is not Verdict.NOTIFY:
        return NoticeKind.CORRECTION
    if not decision_then.missing and decision_then.nature is not decision_now.nature:
        return NoticeKind.CORRECTION
    return NoticeKind.CORRECTION if _contradicts(as_json(facts_then), as_json(facts_now)) else NoticeKind.UPDATE


def _contradicts(then: object, now: object) -> bool:
    """Return whether a definite coded value in ``then`` has another value in ``now``."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        return any(key not in _NOT_CODED and _contradicts(value, now.get(key)) for key, value in then.items())
    if isinstance(then, list) and isinstance(now, list):
        if any(isinstance(item, Mapping) and not item.keys().isdisjoint(_RECORD_KEYS) for item in (*then, *now)):
            # Records (affected customers, resources): an added one is an update, a removed or changed one a correction.
            return any(_contradicts(old, _counterpart(old, now)) for old in then)
        return not is_restated(then, now)
    if then is None or then == UNKNOWN or (isinstance(now, str) and (then, now) in _FIRMED_UP):
        return False
    return then != now


def _counterpart(record: Mapping[str, object], others: list[object]) -> object:
    key = next(key for key in _RECORD_KEYS if key in record)
    return next((other for other in others if isinstance(other, Mapping) and other.get(key) == record.get(key)), None)


def _visible_parts(decision: Decision) -> tuple[object, ...]:
    """Return the parts of a decision that the customer sees."""
    return decision.verdict, decision.nature, decision.priority, decision.personal_data_breach


def _withdrawn(draft: Notice) -> Notice:
    return replace(draft, state=NoticeState.WITHDRAWN, version=draft.version + 1)


def _draft(
    act: AuditContext,
    incident: Incident,
    case: CustomerCase,
    decision: Decision,
    draft: Notice | None,
    sequence: int,
    kind: NoticeKind,
    *,
    duty_is_new: bool,
) -> Notice:
    due_at, due_kind = _follow_up_due_at(act.now, incident), DueKind.INTERNAL_TARGET
    binding: str = DeadlineBinding.NO_NUMBER.value
    if duty_is_new and decision.due_at is not None and decision.due_kind is not None:
        due_at, due_kind = decision.due_at, decision.due_kind
        binding = binding_of(decision.due_kind, decision.binding).value
    if draft is not None:
        return replace(
            draft,
            kind=kind,
            facts_version=incident.version,
            due_at=due_at,
            due_kind=due_kind.value,
            stated_binding=binding,
            drafted_by=act.actor,
            version=draft.version + 1,
        )
    return Notice(
        id=act.identifiers.new_id(),
        incident_id=incident.id,
        customer_id=case.customer.id,
        sequence=sequence,
        kind=kind,
        state=NoticeState.DRAFT,
        facts_version=incident.version,
        due_at=due_at,
        due_kind=due_kind.value,
        stated_binding=binding,
        created_at=act.now,
        created_by=act.actor,
        drafted_by=act.actor,
        exercise=incident.exercise,
    )


def _follow_up_due_at(now: datetime, incident: Incident) -> datetime:
    """Return when a follow-up without a duty is due: at the time announced for the next update, else at once."""
    announced = incident.facts.next_update_by
    return announced if announced is not None and announced > now else now
