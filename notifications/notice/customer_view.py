"""The facts that one customer may see. They contain nothing about any other customer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from notifications.canonical_json import timestamp_text
from notifications.classification import Classification
from notifications.classification.event_state import DataHarmTally
from notifications.customer.records import Customer
from notifications.decision import Decision
from notifications.decision.customer_situation import ScopeRelation, scope_of, scope_relation, unlisted_situation
from notifications.incident import (
    UNKNOWN,
    AffectedCustomer,
    Answer,
    Harm,
    IncidentFacts,
    LocalizedText,
    Property,
    is_restated,
)

_OWN_PREFIX = "affected_customers."
_OF_BREACH = "personal_data."
_BREACH = "personal_data.breach"
_HEALTH_DATA = "personal_data.health_data"
_NO_BREACH = frozenset({"no", "rule_suspected", "rule_broken"})
_CATEGORIES = frozenset({"personal_data.categories_of_data_subjects", "personal_data.categories_of_records"})


@dataclass(frozen=True, slots=True)
class CustomerView:
    """One version of the facts, limited to what one customer may see."""

    facts: IncidentFacts
    #: what the facts state about this customer, or what follows for it if they do not list it
    own: AffectedCustomer
    services: tuple[str, ...]
    regions: tuple[str, ...]
    availability_zones: tuple[str, ...]
    #: whether the facts list the customer
    listed: bool


def customer_view(facts: IncidentFacts, customer: Customer) -> CustomerView:
    """Return what the facts say about one customer.

    For a customer that they do not list, the overlap of its use with the incident's scope counts, as in the decision.
    """
    stated = facts.for_customer(customer.id)
    used = (customer.services, customer.regions, customer.availability_zones)
    services, regions, zones = (
        tuple(name for name in affected if not own or name in own)
        for affected, own in zip((facts.services, facts.regions, facts.availability_zones), used, strict=True)
    )
    return CustomerView(
        facts=facts,
        own=stated or _unlisted(facts, customer, scope_relation(scope_of(facts), used)),
        services=services,
        regions=regions,
        availability_zones=zones,
        listed=stated is not None,
    )


def _unlisted(facts: IncidentFacts, customer: Customer, relation: ScopeRelation) -> AffectedCustomer:
    # Open questions about other customers' data are not used here, so the listed customers need no counting.
    nobody_listed = DataHarmTally.of(replace(facts, affected_customers=()))
    situation = unlisted_situation(relation, facts.unlisted_customers, nobody_listed)
    harm = {each.value: _answer(answer) for each, answer in zip(Property, situation.data_harm, strict=True)}
    return AffectedCustomer(customer.id, _answer(situation.touched), data_harm=Harm(**harm))


def _answer(established: str | None) -> Answer:
    return Answer.UNKNOWN if established is None else Answer(established)


def coded_facts(view: CustomerView) -> dict[str, Any]:
    """Return the facts that are not free text, by id, as JSON values; None means "not known yet"."""
    facts, own, personal_data = view.facts, view.own, view.own.personal_data
    coded: dict[str, Any] = {
        name: _coded(getattr(facts, name))
        for name in (
            "inside_perimeter", "intent", "cause", "security_measures_harmed", "normal_operation_disrupted",
            "service_level_breached", "damage_to_customer", "may_cause", "impact", "criticality",
            "rsit_class", "rsit_type", "tlp", "started_at", "detected_at", "aware_at", "ended_at",
        )
    }  # fmt: skip
    coded |= {"services": view.services, "regions": view.regions, "availability_zones": view.availability_zones}
    coded |= {f"service_harm.{each.value}": _coded(facts.service_harm.of(each)) for each in Property}
    coded["affected"] = _coded(own.affected)
    coded |= {f"data_harm.{each.value}": _coded(own.data_harm.of(each)) for each in Property}
    coded["resources_count"] = len(own.resources)
    coded |= {
        f"personal_data.{name}": _coded(getattr(personal_data, name))
        for name in (
            "breach", "controller", "categories_of_data_subjects", "data_subjects_approx",
            "categories_of_records", "records_approx", "health_data",
        )
    }  # fmt: skip
    return coded


def changes(
    previous: tuple[CustomerView, Classification], current: tuple[CustomerView, Classification]
) -> list[dict[str, Any]]:
    """Return each coded fact or classification result that changed, with its old and its new value.

    A category that got a translation is no change.
    """
    was, is_now = (_coded_result(classification) | coded_facts(view) for view, classification in (previous, current))
    if is_now[_BREACH] in _NO_BREACH:
        # Without a personal-data breach its other facts (controller, counts) do not exist, not even as "not known yet".
        is_now = {fact: value for fact, value in is_now.items() if fact == _BREACH or not fact.startswith(_OF_BREACH)}
    if not current[1].possible_priorities:
        # Without a matrix, criticality means nothing to the customer.
        is_now = {fact: value for fact, value in is_now.items() if fact != "criticality"}
    return [
        {"fact": fact, "from": was[fact], "to": value}
        for fact, value in is_now.items()
        if was[fact] != value and not (fact in _CATEGORIES and _is_translated(was[fact], value))
    ]  # fmt: skip


def _is_translated(was: tuple[Any, ...] | None, is_now: tuple[Any, ...] | None) -> bool:
    if was is None or is_now is None:
        return False
    return is_restated(was, is_now) and is_restated(is_now, was)


def _coded_result(classification: Classification) -> dict[str, Any]:
    return {
        "classification.nature": classification.nature.value,
        "classification.priority": classification.priority,
    }


def unknown_facts(view: CustomerView, classification: Classification, decision: Decision) -> list[str]:
    """Return the ids of the facts that are not known yet, each once; the facts that decide come first.

    Facts of this customer have no prefix, as in ``data_harm.confidentiality``. The ids of facts about other customers'
    data do not identify these customers.
    """
    open_ids = [question.fact for question in classification.open_questions]
    # For a customer that is not listed, this fact means whether the incident affects it.
    waiting = ("affected" if fact == "unlisted_customers" and not view.listed else fact for fact in decision.missing)
    own = f"{_OWN_PREFIX}{view.own.customer_id}."
    ids = [_seen_by_customer(fact, own) for fact in (*open_ids, *waiting)]
    ids += [name for name in ("intent", "cause") if getattr(view.facts, name) == UNKNOWN]
    ids += [name for name in ("started_at", "detected_at", "ended_at") if getattr(view.facts, name) is None]
    if view.own.affected is Answer.UNKNOWN:
        ids.append("affected")
    ids += [f"data_harm.{each.value}" for each in Property if view.own.data_harm.of(each) is Answer.UNKNOWN]
    if decision.personal_data_breach:
        ids += _open_personal_data(view)
    return list(dict.fromkeys(ids))


def _seen_by_customer(fact: str, own: str) -> str:
    if fact.startswith(own):
        return fact.removeprefix(own)
    if fact.startswith(_OWN_PREFIX):
        kind, _, name = fact.rpartition(".data_harm.")
        return f"{_OWN_PREFIX}data_harm.{name}" if kind else "unlisted_customers"
    return fact


def _open_personal_data(view: CustomerView) -> Iterable[str]:
    stated = coded_facts(view)
    for name, value in stated.items():
        # Not every DPA asks for health data. Where it does, the section on personal data says that it is not known yet.
        if name.startswith("personal_data.") and name != _HEALTH_DATA and value is None:
            yield name
    for name, text in (
        ("personal_data.likely_consequences", view.own.personal_data.likely_consequences),
        ("measures_taken", view.facts.measures_taken),
        ("effect", view.own.effect),
    ):
        if text is None:
            yield name


def _coded(value: object) -> object:
    if value == UNKNOWN:
        return None
    if isinstance(value, datetime):
        return timestamp_text(value)
    if isinstance(value, tuple):
        return tuple(item.as_mapping() if isinstance(item, LocalizedText) else item for item in value)
    if isinstance(value, Mapping):
        return value
    return str(value) if isinstance(value, str) else value
