"""The notice document: what one notice says to one customer, as JSON in one fixed shape.

Every key is always present, except ``exercise``, which only the notices of an exercise have. An optional value that is
not known yet is null; it is never left out. Documents of earlier releases lack ``agreement.references``,
``due.binding`` and ``news_channel``; a reader takes them for no clause, ``soft`` (if contractual), and ``same``.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notifications.agreement import Agreement, Reference
from notifications.canonical_json import timestamp_text
from notifications.classification import Classification, classify
from notifications.customer.legal_profile import Entity
from notifications.customer.records import Customer, NewsChannel
from notifications.decision import Decision, Reason
from notifications.duties import Law
from notifications.incident import (
    LANGUAGES,
    UNKNOWN,
    Answer,
    Category,
    Incident,
    IncidentFacts,
    LocalizedText,
    Property,
    Resource,
)
from notifications.notice.customer_view import CustomerView, changes, customer_view, unknown_facts
from notifications.notice.life import Notice
from notifications.notice.own_deadlines import own_deadlines
from notifications.notice.resource_csv import RESOURCES_LISTED_MAX
from notifications.wording import words

#: The ``schema`` of every document.
SCHEMA = "greffier.notice/1"

#: Values of ``timestamping``: the notice has its own token, over its signature; or one over a checkpoint of the log,
#: which it shares with other notices.
OWN_TIMESTAMP, SHARED_TIMESTAMP = "per_notice", "by_checkpoint"


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider (Prestataire) and the contact point that every notice names."""

    name: str
    contact_name: str
    contact_email: str
    contact_phone: str | None = None
    #: where the customer reads status and history
    console_url: str | None = None

    def contact_point(self) -> dict[str, Any]:
        """Return the contact point in the form of the document."""
        return {"name": self.contact_name, "email": self.contact_email, "phone": self.contact_phone}


def notice_document(
    *,
    notice: Notice,
    incident: Incident,
    facts: IncidentFacts,
    previous_facts: IncidentFacts | None,
    classification: Classification,
    decision: Decision,
    customer: Customer,
    agreement: Agreement,
    provider: Provider,
    issued_at: datetime,
    supersedes: tuple[int, str] | None,
    timestamp_independent: bool | None,
    resources_csv: bytes | None,
    entity: Entity,
    law: Law,
    shares_timestamp: bool = False,
) -> dict[str, Any]:
    """Return the document without its ``renderings``, which are made from it.

    It names no other customer. Its free texts are either the incident's, written for every notified customer, or
    written for this customer. Not checked: that decision and classification were made from these facts.
    """
    view = customer_view(facts, customer)
    changed: list[dict[str, Any]] = []
    if previous_facts is not None:
        before = customer_view(previous_facts, customer), classify(previous_facts, agreement)
        changed = changes(before, (view, classification))
    head = document_head(
        notice=notice,
        incident=incident,
        facts=facts,
        customer=customer,
        agreement=agreement,
        references=_references(agreement, decision),
        provider=provider,
        issued_at=issued_at,
        supersedes=supersedes,
    )
    return head | {
        "rsit": None if facts.rsit_class is None else {"class": facts.rsit_class, "type": facts.rsit_type},
        "what_happened": facts.summary.as_mapping(),
        "times": {
            "started_at": _time(facts.started_at),
            "detected_at": _time(facts.detected_at),
            "aware_at": timestamp_text(facts.aware_at),
            "ended_at": _time(facts.ended_at),
        },
        "cause_of_incident": {
            "cause": _known(facts.cause.value),
            "intent": _known(facts.intent.value),
            "unavailable": facts.service_harm.availability is Answer.YES,
        },
        "classification": _classification(facts, classification, agreement),
        "why_you_are_told": [_reason(reason, agreement) for reason in _obliging(decision)],
        "effect": _effect(view, resources_csv),
        "measures_taken": _text(facts.measures_taken),
        "recommendations": _text(facts.recommendations),
        "not_known_yet": {
            "facts": unknown_facts(view, classification, decision),
            "text": _text(facts.not_known_yet),
        },
        "next_update_by": _time(facts.next_update_by),
        # Exercises go to nobody by another way, so that they follow no choice of a channel.
        "news_channel": NewsChannel.SAME.value if notice.exercise else customer.news_channel.value,
        "personal_data": _personal_data(view, provider, agreement) if decision.personal_data_breach else None,
        "your_deadlines": own_deadlines(facts, view, entity, law),
        "changes": changed,
        "timestamping": SHARED_TIMESTAMP if shares_timestamp else OWN_TIMESTAMP,
        "timestamp_independent": timestamp_independent,
        # Only exercises have it, so that the bytes of every other document are as they were.
        **({"exercise": True} if notice.exercise else {}),
    }  # fmt: skip


def document_head(
    *,
    notice: Notice,
    incident: Incident,
    facts: IncidentFacts,
    customer: Customer,
    agreement: Agreement,
    references: Mapping[str, str],
    provider: Provider,
    issued_at: datetime,
    supersedes: tuple[int, str] | None,
) -> dict[str, Any]:
    """Return what the document of every notice has: who, to whom, under what, which notice, due when."""
    return {
        "schema": SCHEMA,
        "notice_id": str(notice.id),
        "incident_id": str(incident.id),
        "ticket": incident.ticket,
        "sequence": notice.sequence,
        "kind": notice.kind.value,
        "facts_version": notice.facts_version,
        "issued_at": timestamp_text(issued_at),
        "supersedes": None
        if supersedes is None
        else {"sequence": supersedes[0], "document_sha256": supersedes[1]},
        "provider": {
            "name": provider.name,
            "contact_point": provider.contact_point(),
            "console_url": provider.console_url,
        },
        "customer": {
            "id": str(customer.id),
            "name": customer.name,
            "language": customer.language,
            "time_zone": customer.time_zone,
        },
        "agreement": {
            "id": agreement.id,
            "version": agreement.version,
            "title": agreement.title.as_mapping(),
            "references": dict(references),
            **_dpa(agreement),
        },
        "tlp": facts.tlp.value,
        "title": facts.title.as_mapping(),
        "due": {"at": timestamp_text(notice.due_at), "kind": notice.due_kind, "binding": notice.binding.value},
    }  # fmt: skip


def _dpa(agreement: Agreement) -> dict[str, Any]:
    """Return which DPA binds the customer, if it is a document of its own."""
    if agreement.dpa is None:
        return {}
    dpa = agreement.dpa
    return {"dpa": {"id": dpa.id, "version": dpa.version, "title": dpa.title.as_mapping()}}


def _classification(facts: IncidentFacts, classification: Classification, agreement: Agreement) -> dict[str, Any]:
    return {
        "nature": classification.nature.value,
        "provisional": classification.provisional,
        "priority": classification.priority,
        "gti_seconds": classification.gti_seconds,
        "impact": _known(facts.impact),
        "criticality": _known(facts.criticality) if agreement.criticalities else None,
        "grounds": [*_definition_grounds(classification, agreement), *_level_grounds(facts, classification, agreement)],
        # Only notices under terms without a matrix have it: they say nothing of criticality, priority and their times.
        **({} if agreement.matrix else {"without_matrix": True}),
    }


def _references(agreement: Agreement, decision: Decision) -> dict[str, str]:
    """Return role to clause of what the notice cites beside its grounds; a role without a clause is left out."""
    roles = [Reference.NEWS_CHANNEL, Reference.COMPLAINT, Reference.STATUS_AND_HISTORY]
    if decision.personal_data_breach:
        roles += [Reference.BREACH_CONTENT, Reference.BREACH_SUSPICION]
    return {role.value: agreement.references[role] for role in roles if role in agreement.references}


def _definition_grounds(classification: Classification, agreement: Agreement) -> list[dict[str, Any]]:
    return [
        {
            "id": ground.id,
            "clause": ground.clause,
            "holds": ground.holds.value,
            "text": agreement.limb(ground.id).text.as_mapping(),
        }
        for ground in classification.grounds
    ]


def _level_grounds(facts: IncidentFacts, classification: Classification, agreement: Agreement) -> list[dict[str, Any]]:
    """Return the levels that give the priority, in the agreement's words, so that the document explains itself."""
    return [
        {"id": f"{scale}.{level.id}", "clause": level.clause, "holds": "yes", "text": level.text.as_mapping()}
        for scale, levels, stated in (
            ("impact", agreement.impacts, facts.impact),
            ("criticality", agreement.criticalities, facts.criticality),
            ("priority", agreement.priorities, classification.priority),
        )
        for level in levels
        if level.id == stated
    ]  # fmt: skip


def _obliging(decision: Decision) -> list[Reason]:
    """Return the reasons why the customer is notified: those that hold, or, if none does yet, those that may hold."""
    obliging = [reason for reason in decision.reasons if reason.obliges]
    holding = [reason for reason in obliging if reason.holds is Answer.YES]
    return holding or [reason for reason in obliging if reason.holds is Answer.UNKNOWN]


def _reason(reason: Reason, agreement: Agreement) -> dict[str, Any]:
    """Return a reason with the level's text if it holds, else with the text that says why it may hold."""
    holds = reason.holds is Answer.YES
    message = "told.profile" if holds and reason.id == "profile" else reason.message
    texts = {language: words(message, language) for language in LANGUAGES}
    if holds:
        # A level that the customer chose is in its profile, not in the agreement.
        with suppress(KeyError):
            texts = agreement.level(reason.id).text.as_mapping()
    return {"id": reason.id, "clause": reason.clause, "text": texts}


def _effect(view: CustomerView, resources_csv: bytes | None) -> dict[str, Any]:
    own = view.own
    return {
        "affected": own.affected.value,
        "data_harm": {each.value: own.data_harm.of(each).value for each in Property},
        "text": _text(own.effect),
        "services": view.services,
        "regions": view.regions,
        "availability_zones": view.availability_zones,
        "resources": [_resource(resource) for resource in own.resources[:RESOURCES_LISTED_MAX]],
        "resources_count": len(own.resources),
        "resources_csv_sha256": None if resources_csv is None else hashlib.sha256(resources_csv).hexdigest(),
    }


def _resource(resource: Resource) -> dict[str, Any]:
    return {
        "kind": resource.kind.value,
        "id": resource.id,
        "name": resource.name,
        "region": resource.region,
        "availability_zone": resource.availability_zone,
    }


def _personal_data(view: CustomerView, provider: Provider, agreement: Agreement) -> dict[str, Any]:
    """Return every item that the DPA requires; an item that is not known yet is null (GDPR art. 33(4))."""
    stated = view.own.personal_data
    asked = () if agreement.dpa is None else {item.id for item in agreement.dpa.breach_items}
    return {
        "breach": stated.breach.value,
        "controller": stated.controller.value,
        "nature_of_breach": [each.value for each in Property if view.own.data_harm.of(each) is Answer.YES],
        "categories_of_data_subjects": _categories(stated.categories_of_data_subjects),
        "data_subjects_approx": stated.data_subjects_approx,
        "categories_of_records": _categories(stated.categories_of_records),
        "records_approx": stated.records_approx,
        "likely_consequences": _text(stated.likely_consequences),
        "contact_point": provider.contact_point(),
        "measures": _text(view.facts.measures_taken),
        "impact_on_hosted_data": _text(view.own.effect),
        **({"health_data": _known(stated.health_data)} if "health_data" in asked else {}),
    }


def _categories(stated: tuple[Category, ...] | None) -> list[str | dict[str, str]] | None:
    return None if stated is None else [item if isinstance(item, str) else item.as_mapping() for item in stated]


def _text(text: LocalizedText | None) -> dict[str, str] | None:
    return None if text is None else text.as_mapping()


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp_text(moment)


def _known(value: str) -> str | None:
    return None if value == UNKNOWN else value
