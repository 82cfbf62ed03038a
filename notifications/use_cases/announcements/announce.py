"""Declare, change and cancel an announcement: decide per customer and draft the notices, in one transaction.

An announcement is stored as an incident is, and its notices go the same way from the draft on. It is not classified.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from notifications.agreement import Agreement, DeadlineBinding
from notifications.agreement.commitments import NoticeKind as AgreedKind
from notifications.audit.entry import AuditEntry
from notifications.canonical_json import timestamp_text
from notifications.customer.records import AgreementBinding, binding_in_force
from notifications.decision import DueKind
from notifications.decision.announced import AnnouncedDue, Concern, announced_due, concern, item_faults, kind_of
from notifications.errors import Fault, InvalidInputError, StateConflictError, VersionMismatchError
from notifications.incident import (
    Announcement,
    Incident,
    IncidentFacts,
    IncidentState,
    long_text_faults,
    validate_facts,
)
from notifications.notice import Notice, NoticeKind, NoticeState
from notifications.ports import AnnouncedCustomer, Consent, Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.incidents.customer_decider import Agreements, CustomerCase, customer_cases


@dataclass(frozen=True, slots=True)
class Announced:
    """An announcement with what was decided for each customer."""

    announcement: Incident
    customers: Sequence[AnnouncedCustomer]


@dataclass(frozen=True, slots=True)
class _Case:
    """What one customer's agreement makes of the announcement."""

    customer_id: UUID
    concern: Concern
    terms: Agreement | None
    kind: AgreedKind | None
    due: AnnouncedDue | None


def declare_announcement(tx: Transaction, act: AuditContext, facts: IncidentFacts, agreements: Agreements) -> Announced:
    """Declare an announcement. ``facts``: title, text, marking, services and regions, and what is announced.

    Raises InvalidInputError with every fault; nothing is stored then.

    1. Validate the texts, the kind, the times, the customers and the products.
    2. Decide per customer, by the agreement that binds it now. Every mandatory item of each concerned customer's
       agreement must be stated.
    3. Assign the ticket number, store the announcement, draft the notices, and log every decision.
    """
    # 1.
    announced = _validated(tx, act, facts, agreements)
    # 2.
    cases = _decided(tx, facts, announced, agreements, told=frozenset())
    # 3.
    year = act.now.year
    announcement = Incident(
        id=act.identifiers.new_id(),
        ticket=f"ANN-{year}-{tx.incidents.next_ticket_number(year, announcement=True):06d}",
        state=IncidentState.OPEN,
        version=1,
        facts=facts,
        opened_at=act.now,
        updated_at=act.now,
        opened_by=act.actor,
    )
    tx.incidents.add(announcement)
    return _applied(tx, act, "announcement.declared", announcement, cases)


def change_announcement(
    tx: Transaction,
    act: AuditContext,
    announcement_id: UUID,
    expected_version: int,
    facts: IncidentFacts,
    agreements: Agreements,
) -> Announced:
    """Replace what an announcement says. Customers that were notified get a follow-up notice.

    One whose time had passed is open again. The kind stays, and so does the moment that decides which agreement
    binds. Raises as ``declare_announcement``, and
    NotFoundError, VersionMismatchError, and StateConflictError if the announcement is closed.
    """
    before = open_announcement(tx, announcement_id, expected_version)
    facts = replace(facts, aware_at=before.facts.aware_at)
    announced = _validated(tx, act, facts, agreements)
    if announced.kind != _announced(before).kind:
        raise InvalidInputError(Fault("kind", f"stays {_announced(before).kind}: declare another announcement"))
    cases = _decided(tx, facts, announced, agreements, told=_told(tx, announcement_id))
    changed = replace(_next(act, before, facts), state=IncidentState.OPEN, closed_at=None)
    return _applied(tx, act, "announcement.changed", changed, cases)


def cancel_announcement(
    tx: Transaction, act: AuditContext, announcement_id: UUID, expected_version: int, agreements: Agreements
) -> Announced:
    """Cancel an open announcement: customers that were notified get a final notice, other drafts are withdrawn.

    Raises as ``open_announcement``.
    """
    before = open_announcement(tx, announcement_id, expected_version)
    facts = replace(before.facts, announcement=replace(_announced(before), cancelled=True, elapsed=False))
    # Nothing is refused: what the agreements ask for now cannot keep an announcement open.
    cases = _cases(tx, facts, _announced(before), agreements, _told(tx, announcement_id))
    closed = replace(_next(act, before, facts), state=IncidentState.CLOSED, closed_at=act.now)
    return _applied(tx, act, "announcement.cancelled", closed, cases)


def carry_out_announcement(
    tx: Transaction, act: AuditContext, announcement_id: UUID, expected_version: int
) -> Announced:
    """Record that what was announced took place.

    Raises NotFoundError, VersionMismatchError, and StateConflictError if the announcement is closed, if a notice waits
    for its release, or if a customer whose consent the agreement asks for has not given it.
    """
    before = open_announcement(tx, announcement_id, expected_version)
    drafts = [each for each in tx.notices.of_incident(announcement_id) if each.state is NoticeState.DRAFT]
    if drafts:
        raise StateConflictError(f"{len(drafts)} notice(s) of {before.ticket} wait for their release")
    customers = tx.announcements.customers(announcement_id)
    refusing = [each for each in customers if each.consent not in {None, Consent.GIVEN}]
    if refusing:
        names = ", ".join(tx.customers.require(each.customer_id).name for each in refusing)
        raise StateConflictError(f"the agreement asks for consent first, and it is missing of: {names}")
    facts = replace(before.facts, announcement=replace(_announced(before), elapsed=False))
    done = replace(_next(act, before, facts), state=IncidentState.CLOSED, closed_at=act.now)
    tx.incidents.save(done, before.version)
    tx.audit.append([_entry(act, "announcement.carried_out", done, len(customers))])
    return Announced(done, customers)


def elapse_announcement(tx: Transaction, act: AuditContext, announcement_id: UUID) -> bool:
    """Close an open announcement whose time has passed; return whether this was done now.

    It stays open while a notice of it is not sealed: then a customer is still owed it. Raises NotFoundError, and
    VersionMismatchError if it was changed meanwhile.
    """
    found = tx.incidents.require_announcement(announcement_id)
    announced = _announced(found)
    waiting = {NoticeState.DRAFT, NoticeState.RELEASED}
    if (
        found.state is not IncidentState.OPEN
        or act.now < announced.over_at
        or any(notice.state in waiting for notice in tx.notices.of_incident(announcement_id))
    ):
        return False
    facts = replace(found.facts, announcement=replace(announced, elapsed=True))
    elapsed = replace(_next(act, found, facts), state=IncidentState.CLOSED, closed_at=act.now)
    tx.incidents.save(elapsed, found.version)
    tx.audit.append([_entry(act, "announcement.elapsed", elapsed, len(tx.announcements.customers(announcement_id)))])
    return True


def open_announcement(tx: Transaction, announcement_id: UUID, expected_version: int) -> Incident:
    """Return an announcement that nobody has ended; one whose time passed is among them.

    Raises NotFoundError, VersionMismatchError, and StateConflictError if it was carried out or cancelled.
    """
    found = tx.incidents.require_announcement(announcement_id)
    if found.version != expected_version:
        raise VersionMismatchError("announcement", announcement_id, expected_version, found.version)
    if found.state is not IncidentState.OPEN and not _announced(found).elapsed:
        raise StateConflictError(f"announcement {found.ticket} is closed")
    return found


def announced_terms(
    case: CustomerCase, facts: IncidentFacts, announced: Announcement, agreements: Agreements
) -> tuple[Agreement, AgreedKind]:
    """Return what bound a customer when the announcement was declared, and the kind of notice in it.

    An agreement can be recorded late, with effect from before the declaration, and have no such kind. Then what was
    known before counts: by that the notice was decided. Raises LookupError if the customer never had this kind.
    """
    known = sorted(case.bindings, key=lambda binding: binding.recorded_at)
    while known:
        terms, kind = _terms_and_kind(known, facts, announced, agreements)
        if terms is not None and kind is not None:
            return terms, kind
        known.pop()
    raise LookupError(f"no agreement of customer {case.customer.id} has the kind of notice {announced.kind}")


def _terms_and_kind(
    bindings: Sequence[AgreementBinding], facts: IncidentFacts, announced: Announcement, agreements: Agreements
) -> tuple[Agreement | None, AgreedKind | None]:
    binding = binding_in_force(bindings, facts.aware_at)
    terms = None if binding is None else agreements.terms(binding, facts.aware_at)
    return terms, None if terms is None else kind_of(terms, announced.kind)


def _announced(announcement: Incident) -> Announcement:
    announced = announcement.facts.announcement
    if announced is None:
        raise LookupError(f"{announcement.ticket} is no announcement")
    return announced


def _next(act: AuditContext, before: Incident, facts: IncidentFacts) -> Incident:
    return replace(before, facts=facts, version=before.version + 1, updated_at=act.now)


def _told(tx: Transaction, announcement_id: UUID) -> frozenset[UUID]:
    notices = tx.notices.of_incident(announcement_id)
    return frozenset(each.customer_id for each in notices if each.state in {NoticeState.RELEASED, NoticeState.SEALED})


def _validated(tx: Transaction, act: AuditContext, facts: IncidentFacts, agreements: Agreements) -> Announcement:
    announced = facts.announcement
    if announced is None:
        raise InvalidInputError(Fault("kind", "is missing"))
    validate_facts(facts, agreements.reference, act.now)
    faults = [*_kind_faults(announced, agreements)]
    for item in announced.items:
        faults += long_text_faults(f"items.{item.id}", item.text)
    if announced.ends_at is not None and announced.ends_at < announced.occurs_at:
        faults.append(Fault("ends_at", "must not be before occurs_at"))
    faults += [
        Fault(f"customers.{position}", "no such customer")
        for position, customer_id in enumerate(announced.customers)
        if tx.customers.get(customer_id) is None
    ]
    known = {product for agreement in agreements.by_id.values() for product in agreement.product_ids}
    faults += [
        Fault(f"products.{position}", f"no agreement has this product; known: {', '.join(sorted(known))}")
        for position, product in enumerate(announced.products)
        if product not in known
    ]
    if faults:
        raise InvalidInputError(*faults)
    return announced


def _kind_faults(announced: Announcement, agreements: Agreements) -> Iterable[Fault]:
    kinds = agreements.notice_kinds
    if announced.kind not in {kind.id for kind in kinds}:
        known = ", ".join(sorted({kind.id for kind in kinds}))
        yield Fault("kind", f"no agreement has this kind of notice; known: {known}")
    ends = any(kind.id == announced.kind and kind.erased_within_days is not None for kind in kinds)
    if ends and not announced.customers:
        # An empty list means everybody, which would end every contract.
        yield Fault("customers", "must name each customer whose contract ends: this kind precedes an erasure")


def _decided(
    tx: Transaction, facts: IncidentFacts, announced: Announcement, agreements: Agreements, *, told: frozenset[UUID]
) -> list[_Case]:
    """Return what each customer's agreement makes of it; raises InvalidInputError for items, or if nobody is."""
    cases = _cases(tx, facts, announced, agreements, told)
    concerned = [each for each in cases if each.concern.is_told and each.terms is not None and each.kind is not None]
    if not concerned:
        raise InvalidInputError(Fault("kind", "concerns no customer: nobody chosen has an agreement with this kind"))
    kinds = {(each.terms.id, each.kind): (each.terms, each.kind) for each in concerned if each.terms and each.kind}
    faults = list(item_faults(announced, kinds.values()))
    if faults:
        raise InvalidInputError(*faults)
    return cases


def _cases(
    tx: Transaction, facts: IncidentFacts, announced: Announcement, agreements: Agreements, told: frozenset[UUID]
) -> list[_Case]:
    return [_case(each, facts, announced, agreements, told) for each in customer_cases(tx)]


def _case(
    case: CustomerCase, facts: IncidentFacts, announced: Announcement, agreements: Agreements, told: frozenset[UUID]
) -> _Case:
    terms, kind = _terms_and_kind(case.bindings, facts, announced, agreements)
    result = concern(facts, announced, case.customer, terms)
    if not result.is_told and case.customer.id in told:
        # A notified customer gets the follow-ups too, also where it is no longer concerned.
        result = Concern.TOLD_BEFORE
        terms, kind = announced_terms(case, facts, announced, agreements)
    due = None
    if result.is_told and terms is not None and kind is not None:
        due = announced_due(terms, kind, announced.occurs_at, facts.aware_at)
    return _Case(case.customer.id, result, terms, kind, due)


def _applied(
    tx: Transaction, act: AuditContext, entry_kind: str, announcement: Incident, cases: list[_Case]
) -> Announced:
    """Store the version, the decision and the draft of each customer, and their entries."""
    if announcement.version > 1:
        tx.incidents.save(announcement, announcement.version - 1)
    before = {each.customer_id: each for each in tx.announcements.customers(announcement.id)}
    notices: dict[UUID, list[Notice]] = {}
    for each in tx.notices.of_incident(announcement.id):
        if each.state is not NoticeState.WITHDRAWN:
            notices.setdefault(each.customer_id, []).append(each)
    entries = []
    stored: list[AnnouncedCustomer] = []
    added: list[AnnouncedCustomer] = []
    drafted: list[Notice] = []
    for case in cases:
        earlier = before.get(case.customer_id)
        record = _record(act, announcement, case, earlier)
        stored.append(record)
        notice = _notice(act, announcement, case, notices.get(case.customer_id, []))
        if earlier is None:
            added.append(record)
        else:
            tx.announcements.save_customer(record, earlier.version)
        if notice is not None:
            drafted.append(notice)
        entries.append(
            _decision_entry(act, announcement, case, record, tx.customers.pseudonym(case.customer_id), notice)
        )
    tx.announcements.add_customers(added)
    tx.notices.add([each for each in drafted if each.version == 1])
    for each in drafted:
        if each.version > 1:
            tx.notices.save(each, each.version - 1)
    tx.audit.append([_entry(act, entry_kind, announcement, len(cases)), *entries])
    return Announced(announcement, stored)


def _record(
    act: AuditContext, announcement: Incident, case: _Case, earlier: AnnouncedCustomer | None
) -> AnnouncedCustomer:
    asks = case.concern.is_told and case.kind is not None and case.kind.consent_first
    return AnnouncedCustomer(
        id=act.identifiers.new_id() if earlier is None else earlier.id,
        announcement_id=announcement.id,
        customer_id=case.customer_id,
        facts_version=announcement.version,
        concern=case.concern.value,
        agreement_id=None if case.terms is None else case.terms.id,
        clause=None if case.kind is None else case.kind.clause,
        due_at=None if case.due is None else case.due.at,
        binding=None if case.due is None else case.due.binding.value,
        due_clause=None if case.due is None else case.due.clause,
        decided_at=act.now,
        # What was consented to has changed: the customer is asked again.
        consent=Consent.ASKED if asks else None,
        version=1 if earlier is None else earlier.version + 1,
    )


def _notice(act: AuditContext, announcement: Incident, case: _Case, notices: list[Notice]) -> Notice | None:
    """Return the notice to add (version 1) or to save (a later version); None if nothing changes."""
    cancelled = _announced(announcement).cancelled
    draft = notices[-1] if notices and notices[-1].state is NoticeState.DRAFT else None
    told = [each for each in notices if each.state is not NoticeState.DRAFT]
    if case.due is None or (cancelled and not told):
        return None if draft is None else replace(draft, state=NoticeState.WITHDRAWN, version=draft.version + 1)
    kind = NoticeKind.FINAL if cancelled else NoticeKind.UPDATE if told else NoticeKind.INITIAL
    due_at, binding = (act.now, DeadlineBinding.NO_NUMBER) if cancelled else (case.due.at, case.due.binding)
    if draft is not None:
        return replace(
            draft,
            kind=kind,
            facts_version=announcement.version,
            due_at=due_at,
            stated_binding=binding.value,
            drafted_by=act.actor,
            version=draft.version + 1,
        )
    return Notice(
        id=act.identifiers.new_id(),
        incident_id=announcement.id,
        customer_id=case.customer_id,
        sequence=told[-1].sequence + 1 if told else 1,
        kind=kind,
        state=NoticeState.DRAFT,
        facts_version=announcement.version,
        due_at=due_at,
        due_kind=DueKind.ANNOUNCED.value,
        created_at=act.now,
        created_by=act.actor,
        drafted_by=act.actor,
        stated_binding=binding.value,
    )


def _entry(act: AuditContext, entry_kind: str, announcement: Incident, considered: int) -> AuditEntry:
    announced = _announced(announcement)
    return act.entry(
        entry_kind,
        subjects={"announcement": str(announcement.id)},
        detail={
            "ticket": announcement.ticket,
            "version": announcement.version,
            "kind": announced.kind,
            "occurs_at": timestamp_text(announced.occurs_at),
            "ends_at": None if announced.ends_at is None else timestamp_text(announced.ends_at),
            "customers": considered,
        },
        # Without the list of customers: one of them may have to be erased. Each has an entry of its own.
        private={
            "title": announcement.facts.title,
            "text": announcement.facts.summary,
            "announcement": replace(announced, customers=()),
        },
    )


def _decision_entry(
    act: AuditContext,
    announcement: Incident,
    case: _Case,
    record: AnnouncedCustomer,
    pseudonym: str,
    notice: Notice | None,
) -> AuditEntry:
    subjects = {"announcement": str(announcement.id), "customer": pseudonym}
    draft = None
    if notice is not None:
        subjects = notice_subjects(notice, pseudonym)
        draft = (
            "withdrawn" if notice.state is NoticeState.WITHDRAWN else "drafted" if notice.version == 1 else "redrafted"
        )
    return act.entry(
        "announcement.decided",
        subjects=subjects,
        detail={
            "ticket": announcement.ticket,
            "version": announcement.version,
            "kind": _announced(announcement).kind,
            "cancelled": _announced(announcement).cancelled,
            "concern": record.concern,
            "channels": None if case.kind is None else [channel.value for channel in case.kind.used_channels],
            "agreement": record.agreement_id,
            "clause": record.clause,
            "due_at": None if record.due_at is None else timestamp_text(record.due_at),
            "binding": record.binding,
            "due_clause": record.due_clause,
            "consent": None if record.consent is None else record.consent.value,
            "draft": draft,
        },
    )
