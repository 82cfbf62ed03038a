"""Apply a version of the facts, of a new or changed incident: classify, decide per customer, draft notices."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.classification import Classification
from notifications.customer.records import takes_part
from notifications.decision import Decision, Verdict, without_consent
from notifications.errors import Fault, InvalidInputError
from notifications.incident import Answer, Incident, IncidentFacts, PersonalDataBreach, UnlistedCustomers
from notifications.notice import Notice, NoticeState
from notifications.ports import IncidentOverview, StoredDecision, Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.customer_decider import Agreements, CustomerDecider, customer_cases
from notifications.use_cases.incidents.follow_up import NotifiedFacts, next_notice

_CUSTOMER_IN_FACT = re.compile(r"(?<=affected_customers\.)[0-9a-f-]{36}")


def verify_customers_exist(tx: Transaction, facts: IncidentFacts) -> None:
    """Raise InvalidInputError with every affected customer that does not exist."""
    faults = [
        Fault(f"affected_customers.{position}.customer_id", "no such customer")
        for position, stated in enumerate(facts.affected_customers)
        if tx.customers.get(stated.customer_id) is None
    ]
    if faults:
        raise InvalidInputError(*faults)


@dataclass(frozen=True, slots=True)
class Consequences:
    """The result of applying one version of the facts."""

    classification: Classification
    #: decisions that are new or differ from the customer's decision before
    decided: tuple[StoredDecision, ...]
    #: number of customers per verdict
    tally: Mapping[Verdict, int]
    drafted: int
    withdrawn: int


def apply_facts(
    tx: Transaction, act: AuditContext, kind: str, incident: Incident, agreements: Agreements
) -> Consequences:
    """Classify the facts, decide for every customer, and update the drafts accordingly.

    ``kind`` is the type of the audit entry, such as ``incident.declared``.

    1. Classify once per agreement and decide once per customer. Record the facts with the classification by the
       reference agreement. Record the facts about single customers in an entry per customer.
    2. Record each decision that is new or changed, whether the customer is notified or not. Its audit entry also states
       the effect on the customer's draft.
    3. A customer without a contact that takes part in exercises has no notice of one; the decision says so.
       For each other customer: draft a notice that is owed, update an unreleased draft, or withdraw a draft that is no
       longer owed. If the customer was already notified and relevant facts changed, draft an update or a correction.
    4. Write everything with its audit entries, the overview by which lists find the incident, and the timer of the
       provider's own duties, in the caller's transaction.
    """
    decider = CustomerDecider(incident.facts, agreements)
    before = tx.incidents.current_decisions(incident.id) if incident.version > 1 else {}
    notices = _notices_by_customer(tx.notices.of_incident(incident.id)) if incident.version > 1 else {}
    notified = NotifiedFacts(partial(tx.incidents.facts_at, incident.id), agreements)
    decided: list[StoredDecision] = []
    added: list[Notice] = []
    saved: list[Notice] = []
    entries = list(_effect_entries(tx, act, incident))
    tally = dict.fromkeys(Verdict, 0)
    pending: list[Decision] = []
    for case in customer_cases(tx):
        customer_id = case.customer.id
        decision = decider.decide(case)
        takes_no_part = incident.exercise and not takes_part(tx.customers.contacts(customer_id))
        if takes_no_part:
            decision = without_consent(decision)
        tally[decision.verdict] += 1
        if decision.verdict is Verdict.PENDING:
            pending.append(decision)
        earlier = before.get(customer_id)
        pseudonym = tx.customers.pseudonym(customer_id)
        notice = next_notice(act, incident, case, decider, decision, notices.get(customer_id, ()), notified)
        if takes_no_part and notice is not None:
            notice = replace(notice, state=NoticeState.WITHDRAWN) if notice.version > 1 else None
        if notice is not None:
            (saved if notice.version > 1 else added).append(notice)
        if earlier is None or earlier.decision != decision:
            decided.append(StoredDecision(act.identifiers.new_id(), incident.id, incident.version, act.now, decision))
            entries.append(_decision_entry(act, incident, pseudonym, decision, notice))
        elif notice is not None:
            entries.append(_notice_entry(act, notice, incident.ticket, pseudonym))
    tx.incidents.add_decisions(decided)
    if not incident.exercise:
        tx.duties.set_timer(incident.id, act.now)
    tx.incidents.save_overview(overview_of(incident, decider.reference, pending, tally[Verdict.NOTIFY]))
    tx.notices.add(added)
    for notice in saved:
        tx.notices.save(notice, notice.version - 1)
    # This entry comes first. It is made last, because it states the number of decisions.
    considered = ConsideredCustomer(customers=sum(tally.values()), decisions=len(decided))
    tx.audit.append([_facts_entry(act, kind, incident, decider, considered), *entries])
    return Consequences(
        classification=decider.reference,
        decided=tuple(decided),
        tally=tally,
        drafted=len(added),
        withdrawn=sum(notice.state is NoticeState.WITHDRAWN for notice in saved),
    )


def overview_of(
    incident: Incident, classification: Classification, pending: Sequence[Decision], to_notify: int
) -> IncidentOverview:
    """Return what lists need of the facts in force; ``pending`` holds the decisions with this verdict."""
    earliest = min(
        (each for each in pending if each.due_at is not None),
        key=lambda each: (each.due_at, each.binding),
        default=None,
    )
    return IncidentOverview(
        incident_id=incident.id,
        nature=classification.nature.value,
        priority=classification.priority,
        provisional=classification.provisional,
        to_notify=to_notify,
        pending=len(pending),
        pending_due_at=min((each.due_at or incident.facts.aware_at for each in pending), default=None),
        # Nearly all decisions share their facts.
        missing=tuple(sorted({public_fact_id(fact) for facts in {each.missing for each in pending} for fact in facts})),
        services=incident.facts.services,
        regions=incident.facts.regions,
        pending_binding=None if earliest is None or earliest.binding is None else earliest.binding.value,
    )


def _notices_by_customer(notices: Iterable[Notice]) -> dict[UUID, tuple[Notice, ...]]:
    """Return the notices that were not withdrawn, by customer, in sequence."""
    by_customer: dict[UUID, list[Notice]] = {}
    for notice in notices:
        if notice.state is not NoticeState.WITHDRAWN:
            by_customer.setdefault(notice.customer_id, []).append(notice)
    return {customer_id: tuple(items) for customer_id, items in by_customer.items()}


def public_fact_id(fact: str) -> str:
    """Return a fact id without customer ids, so that the log and other customers may see it."""
    return _CUSTOMER_IN_FACT.sub("*", fact)


@dataclass(frozen=True, slots=True)
class ConsideredCustomer:
    """How many customers one version of the facts was decided for, and how many decisions were recorded."""

    customers: int
    decisions: int


def _facts_entry(
    act: AuditContext, kind: str, incident: Incident, decider: CustomerDecider, considered: ConsideredCustomer
) -> AuditEntry:
    """Return the entry for one version of the facts, with the classification by the reference agreement.

    Codes and times are in plain text, so that every number of a report can be computed from the log. The entry commits
    to all other facts, except those about single customers: a single customer may have to be erased, while the opening
    of the shared facts is kept.
    """
    facts, classification = incident.facts, decider.reference
    shared = {member.name: getattr(facts, member.name) for member in fields(facts)}
    del shared["affected_customers"], shared["announcement"]
    return act.entry(
        kind,
        subjects={"incident": str(incident.id)},
        detail={
            "ticket": incident.ticket,
            "version": incident.version,
            "inside_perimeter": facts.inside_perimeter.value,
            "intent": facts.intent.value,
            "cause": facts.cause.value,
            "impact": facts.impact,
            "criticality": facts.criticality,
            "tlp": facts.tlp.value,
            "aware_at": timestamp_text(facts.aware_at),
            "detected_at": None if facts.detected_at is None else timestamp_text(facts.detected_at),
            "rsit_class": facts.rsit_class,
            "personal_data_breach": _gravest_breach(facts).value,
            "affected_customers": len(facts.affected_customers),
            "customers": considered.customers,
            "decisions": considered.decisions,
            "agreement": classification.agreement_id,
            "nature": classification.nature.value,
            "possible_natures": [nature.value for nature in classification.possible_natures],
            "priority": classification.priority,
            "service_levels": [str(level) for level in decider.service_levels()],
            "provisional": classification.provisional,
            "grounds": [f"{ground.id}:{ground.holds.value}" for ground in classification.grounds],
        },
        private={"facts": shared},
        exercise=incident.exercise,
    )


#: gravest first
_BREACHES = (
    PersonalDataBreach.CONFIRMED, PersonalDataBreach.SUSPECTED, PersonalDataBreach.UNKNOWN,
    PersonalDataBreach.RULE_BROKEN, PersonalDataBreach.RULE_SUSPECTED, PersonalDataBreach.NO,
)  # fmt: skip


def _gravest_breach(facts: IncidentFacts) -> PersonalDataBreach:
    """Return the gravest breach of personal data of any customer; it is a code that names none of them."""
    stated = {each.personal_data.breach for each in facts.affected_customers}
    if facts.unlisted_customers is not UnlistedCustomers.NOT_AFFECTED:
        stated.add(PersonalDataBreach.UNKNOWN)
    return next((breach for breach in _BREACHES if breach in stated), PersonalDataBreach.NO)


def _effect_entries(tx: Transaction, act: AuditContext, incident: Incident) -> Iterator[AuditEntry]:
    """Yield an entry for each customer for whom the facts differ from the version before."""
    earlier = tx.incidents.facts_at(incident.id, incident.version - 1) if incident.version > 1 else None
    before = {} if earlier is None else {stated.customer_id: stated for stated in earlier.affected_customers}
    stated_now = {stated.customer_id: stated for stated in incident.facts.affected_customers}
    for customer_id in dict.fromkeys((*stated_now, *before)):
        stated = stated_now.get(customer_id)
        if stated != before.get(customer_id):
            yield act.entry(
                "incident.effect_stated",
                subjects={"incident": str(incident.id), "customer": tx.customers.pseudonym(customer_id)},
                detail={
                    "ticket": incident.ticket,
                    "version": incident.version,
                    "affected": None if stated is None else stated.affected.value,
                },
                private={"affected": stated},
                exercise=incident.exercise,
            )


def _decision_entry(
    act: AuditContext, incident: Incident, pseudonym: str, decision: Decision, notice: Notice | None
) -> AuditEntry:
    subjects = {"incident": str(incident.id), "customer": pseudonym}
    return act.entry(
        "decision.recorded",
        subjects=subjects if notice is None else notice_subjects(notice, pseudonym),
        detail={
            "draft": None if notice is None else _drafting(notice),
            "sequence": None if notice is None else notice.sequence,
            "kind": None if notice is None else notice.kind.value,
            "ticket": incident.ticket,
            "facts_version": incident.version,
            "verdict": decision.verdict.value,
            "nature": decision.nature.value,
            "priority": decision.priority,
            "agreement": decision.agreement_id,
            "profile_version": decision.profile_version,
            "reasons": [f"{reason.id}:{reason.holds.value}" for reason in decision.reasons],
            # All duties that could apply; those that do apply are in ``duties``.
            "clauses": sorted({reason.clause for reason in decision.reasons if reason.obliges and reason.clause}),
            "duties": [
                f"{reason.id}:{reason.clause}" if reason.clause else reason.id
                for reason in decision.reasons
                if reason.obliges and reason.holds is Answer.YES
            ],
            "missing": sorted({public_fact_id(fact) for fact in decision.missing}),
            "due_at": timestamp_text(decision.due_at) if decision.due_at else None,
            "due_kind": decision.due_kind.value if decision.due_kind else None,
            "binding": decision.binding.value if decision.binding else None,
            "target_at": timestamp_text(decision.target_at) if decision.target_at else None,
        },
        exercise=incident.exercise,
    )


def _drafting(notice: Notice) -> str:
    """Return the effect of a change on a draft."""
    if notice.state is NoticeState.WITHDRAWN:
        return "withdrawn"
    return "drafted" if notice.version == 1 else "redrafted"


def _notice_entry(act: AuditContext, notice: Notice, ticket: str, pseudonym: str) -> AuditEntry:
    return act.entry(
        f"notice.{_drafting(notice)}",
        subjects=notice_subjects(notice, pseudonym),
        detail={
            "ticket": ticket,
            "sequence": notice.sequence,
            "kind": notice.kind.value,
            "facts_version": notice.facts_version,
            "due_at": timestamp_text(notice.due_at),
            "due_kind": notice.due_kind,
            "binding": notice.binding.value,
        },
        exercise=notice.exercise,
    )


def notice_subjects(notice: Notice, pseudonym: str) -> dict[str, str]:
    """Return the subjects of an entry about a notice. What is announced is no incident, in the log neither."""
    subject = "announcement" if notice.announces else "incident"
    return {subject: str(notice.incident_id), "customer": pseudonym, "notice": str(notice.id)}
