"""The draft of a report of the provider: filled from the facts, and carried over from the reports before it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from notifications.canonical_json import timestamp_text
from notifications.classification import classify
from notifications.duties import Clock, Item
from notifications.duties.records import ReportDraft
from notifications.incident import UNKNOWN, Answer, Controller, IncidentFacts, LocalizedText, Property
from notifications.notice import Provider
from notifications.ports import Transaction
from notifications.use_cases.duties.provider_clocks import ProviderDuties
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.wording.report_items import report_items


class Origin(StrEnum):
    """Where the text of an item comes from."""

    #: written for this report
    DRAFT = "draft"
    #: from the report before it
    CARRIED = "carried"
    FACTS = "facts"
    #: nothing fills it yet
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class DraftItem:
    """One item of a report that is being written."""

    item: Item
    text: str
    origin: Origin
    #: what the facts say now, where it differs from the text; empty otherwise
    facts_now: str


@dataclass(frozen=True, slots=True)
class ProviderReport:
    """A report that is being written."""

    clock: Clock
    items: tuple[DraftItem, ...]
    #: of the stored draft; 0 if there is none
    version: int


def provider_report(
    tx: Transaction, found: ProviderDuties, clock: Clock, agreements: Agreements, provider: Provider, language: str
) -> ProviderReport:
    """Return the report of a duty: each item from its own draft, else from an earlier report, else from the facts."""
    drafts = tx.duties.drafts(found.incident.id)
    own = [draft for draft in drafts if draft.duty_id == clock.duty.id]
    act = clock.duty.clause.partition(" ")[0]
    related = {other.duty.id for other in found.clocks if other.duty.clause.partition(" ")[0] == act}
    carried = _carried(found, [draft for draft in drafts if draft.duty_id in related - {clock.duty.id}], related)
    document = facts_document(found, agreements, provider)
    from_facts = report_items(document, clock.duty, language, "UTC")
    written = dict(own[-1].items) if own else {}
    items = []
    for item in clock.duty.items:
        facts_text = from_facts.get(item.id, "")
        text, origin = _chosen(item.id, own=written, carried={} if own else carried, facts_text=facts_text)
        items.append(DraftItem(item, text, origin, facts_text if facts_text != text else ""))
    return ProviderReport(clock, tuple(items), own[-1].version if own else 0)


def _chosen(name: str, *, own: dict[str, str], carried: dict[str, str], facts_text: str) -> tuple[str, Origin]:
    if name in own:
        return own[name], Origin.DRAFT
    if name in carried:
        return carried[name], Origin.CARRIED
    return facts_text, Origin.FACTS if facts_text else Origin.NOTHING


def _carried(found: ProviderDuties, drafts: Sequence[ReportDraft], related: set[str]) -> dict[str, str]:
    """Return item -> text of the reports of the same act: what was submitted, and drafts written since."""
    texts: list[tuple[Any, Iterable[tuple[str, str]]]] = [(each.recorded_at, each.items) for each in drafts]
    texts += [(each.recorded_at, each.items) for each in found.in_force if each.duty_id in related]
    carried: dict[str, str] = {}
    for _, items in sorted(texts, key=lambda each: each[0]):
        carried |= dict(items)
    return carried


def facts_document(found: ProviderDuties, agreements: Agreements, provider: Provider) -> dict[str, Any]:
    """Return the facts over all customers in the shape of a notice document, as far as report items need it."""
    facts = found.incident.facts
    classification = classify(facts, agreements.reference)
    return {
        "provider": {"name": provider.name, "contact_point": provider.contact_point()},
        "what_happened": facts.summary.as_mapping(),
        "cause_of_incident": {"cause": _known(facts.cause.value), "intent": _known(facts.intent.value)},
        "classification": {
            "nature": classification.nature.value,
            "impact": _known(facts.impact),
            "criticality": _known(facts.criticality),
            "priority": classification.priority,
        },
        "times": {
            name: None if (moment := getattr(facts, name)) is None else timestamp_text(moment)
            for name in ("started_at", "detected_at", "aware_at", "ended_at")
        },
        "effect": {
            "data_harm": {each.value: _harmed(facts, each) for each in Property},
            "services": facts.services,
            "regions": facts.regions,
            "availability_zones": facts.availability_zones,
            "text": None,
        },
        "measures_taken": _text(facts.measures_taken),
        "recommendations": _text(facts.recommendations),
        "not_known_yet": {"text": _text(facts.not_known_yet)},
        "personal_data": _personal_data(facts),
    }


def _harmed(facts: IncidentFacts, harmed: Property) -> str:
    return "yes" if any(each.data_harm.of(harmed) is Answer.YES for each in facts.affected_customers) else "no"


def _personal_data(facts: IncidentFacts) -> dict[str, Any] | None:
    """Return the personal data of which the provider is a controller, over all customers."""
    own = [
        each.personal_data
        for each in facts.affected_customers
        if each.personal_data.controller in {Controller.PROVIDER, Controller.JOINT}
    ]
    if not own:
        return None
    subjects = [each.data_subjects_approx for each in own if each.data_subjects_approx is not None]
    records = [each.records_approx for each in own if each.records_approx is not None]
    return {
        "categories_of_data_subjects": _categories([each.categories_of_data_subjects for each in own]),
        "data_subjects_approx": sum(subjects) if subjects else None,
        "categories_of_records": _categories([each.categories_of_records for each in own]),
        "records_approx": sum(records) if records else None,
        "likely_consequences": next(
            (each.likely_consequences.as_mapping() for each in own if each.likely_consequences is not None), None
        ),
    }


def _categories(stated: Sequence[tuple[LocalizedText | str, ...] | None]) -> list[Any] | None:
    known = [item for items in stated if items is not None for item in items]
    if not known:
        return None
    return [item if isinstance(item, str) else item.as_mapping() for item in dict.fromkeys(known)]


def _text(text: LocalizedText | None) -> dict[str, str] | None:
    return None if text is None else text.as_mapping()


def _known(value: str) -> str | None:
    return None if value == UNKNOWN else value
