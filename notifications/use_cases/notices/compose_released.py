"""Compose a notice from what the store has of it: as it is sealed, and as the preview shows it."""

import hashlib
from collections.abc import Sequence

from notifications.customer.legal_profile import entity_of
from notifications.customer.records import Contact
from notifications.incident import Incident, IncidentFacts
from notifications.notice import (
    ComposedNotice,
    Notice,
    NoticeState,
    compose_announcement,
    compose_notice,
)
from notifications.ports import (
    Transaction,
)
from notifications.use_cases.announcements.announce import announced_terms
from notifications.use_cases.incidents.customer_decider import customer_case
from notifications.use_cases.notices.sealing_dependencies import SigningDependencies
from notifications.use_cases.notices.shared_timestamp import shares_timestamp

#: An incident, and the version of its facts that a notice states.
Subject = tuple[Incident, IncidentFacts]


def subject_of(tx: Transaction, notice: Notice) -> Subject:
    """Return the incident of a notice and the facts that it states; all its notices share them."""
    incident = tx.incidents.get(notice.incident_id)
    facts = tx.incidents.facts_at(notice.incident_id, notice.facts_version)
    if incident is None or facts is None:
        raise LookupError(f"the store has no facts for notice {notice.id}")
    return incident, facts


def compose_from_store(
    tx: Transaction,
    notice: Notice,
    contacts: Sequence[Contact],
    sealing: SigningDependencies,
    extra_languages: Sequence[str] = (),
    *,
    subject: Subject | None = None,
) -> tuple[ComposedNotice, str]:
    """Return the notice as it would be sealed now, and its ticket. The preview before the release uses this too.

    ``subject``: what ``subject_of`` returns for the notice, if it is read already.
    """
    incident, facts = subject or subject_of(tx, notice)
    customer = tx.customers.require(notice.customer_id)
    # The first notice has none before it, and most notices are the first.
    others = [] if notice.sequence == 1 else tx.notices.of_incident(notice.incident_id, notice.customer_id)
    earlier = [
        other
        for other in others
        if other.sequence < notice.sequence and other.state in {NoticeState.RELEASED, NoticeState.SEALED}
    ]
    last = max(earlier, key=lambda other: other.sequence, default=None)
    seal_of_last = tx.notices.seal(last.id) if last is not None else None
    supersedes = None
    if last is not None and seal_of_last is not None:
        supersedes = last.sequence, hashlib.sha256(seal_of_last.document).hexdigest()
    previous = tx.incidents.facts_at(notice.incident_id, last.facts_version) if last is not None else None
    languages = sorted({customer.language, *(contact.language for contact in contacts), *extra_languages})
    zones = sorted(
        {
            (contact.language, contact.time_zone)
            for contact in contacts
            if contact.time_zone is not None and contact.time_zone != customer.time_zone
        }
    )
    case, shares = customer_case(tx, customer), shares_timestamp(tx, notice, sealing)
    if facts.announcement is not None:
        announced = facts.announcement
        terms, kind = announced_terms(case, facts, announced, sealing.agreements)
        named = None
        if kind.erased_within_days is not None and not announced.cancelled:
            named = tx.customers.pseudonym(customer.id), tx.customers.salt(customer.id).hex()
        composed = compose_announcement(
            notice=notice,
            incident=incident,
            facts=facts,
            announced=announced,
            kind=kind,
            previous=None if previous is None else previous.announcement,
            customer=customer,
            agreement=terms,
            provider=sealing.provider,
            issued_at=sealing.clock.now(),
            supersedes=supersedes,
            timestamp_independent=sealing.timestamp_authority.independent,
            languages=languages,
            zones=zones,
            named=named,
            shares_timestamp=shares,
        )
        return composed, incident.ticket
    decider = sealing.deciders.of(facts, sealing.agreements)
    decision, terms = decider.decide(case), decider.terms(case)
    composed = compose_notice(
        notice=notice,
        incident=incident,
        facts=facts,
        previous_facts=previous,
        classification=decider.classification(terms),
        decision=decision,
        customer=customer,
        agreement=terms,
        provider=sealing.provider,
        issued_at=sealing.clock.now(),
        supersedes=supersedes,
        timestamp_independent=sealing.timestamp_authority.independent,
        languages=languages,
        zones=zones,
        entity=entity_of(tx.duties.legal_profile(customer.id)),
        law=sealing.agreements.duties.law,
        shares_timestamp=shares,
    )
    return composed, incident.ticket
