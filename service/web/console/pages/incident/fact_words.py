"""Facts in words, for people at the provider: one row for each fact, in the reader's language."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from notifications.agreement import Agreement
from notifications.canonical_json import timestamp_text
from notifications.incident import (
    AffectedCustomer,
    Category,
    Harm,
    IncidentFacts,
    LocalizedText,
    PersonalData,
    Property,
    Resource,
)
from notifications.wording import words
from notifications.wording.formats import moment, number, on_one_line, visible
from service.web.console.catalogues import has_text, text

_OF_CUSTOMER = re.compile(r"affected_customers\.([0-9a-f-]{36})\.(.+)")
_ANSWERS = (
    "inside_perimeter", "security_measures_harmed", "normal_operation_disrupted", "service_level_breached",
    "damage_to_customer", "may_cause",
)  # fmt: skip
_TIMES = ("aware_at", "detected_at", "started_at", "ended_at")


@dataclass(frozen=True, slots=True)
class FactRow:
    """One fact in words."""

    #: the same for the same fact in every version
    key: str
    group: str
    label: str
    value: str
    #: language of the value, where an analyst wrote it
    language: str | None = None

    @property
    def is_prose(self) -> bool:
        """Whether the value is free text, of which a difference shows the words that changed."""
        return self.language is not None


class FactWords:
    """Names facts and values for one reader. ``customers``: the names by id; ``zone``: of the moments."""

    def __init__(self, language: str, agreement: Agreement, customers: Mapping[UUID, str], zone: str) -> None:
        self.language, self._agreement, self._customers, self._zone = language, agreement, customers, zone

    def fact(self, fact: str) -> str:
        """Return the name of a fact by its id as the API has it, such as ``service_harm.integrity``."""
        of_customer = _OF_CUSTOMER.fullmatch(fact)
        if of_customer is not None:
            return f"{self.customer(UUID(of_customer[1]))}: {self.fact(of_customer[2])}"
        key = f"incident.fact.{fact.removeprefix('affected_customers.').replace('.', '_')}"
        return text(key, self.language) if has_text(key, self.language) else fact

    def customer(self, customer_id: UUID) -> str:
        """Return a customer's name; its id where the reader does not see it."""
        return on_one_line(self._customers.get(customer_id, str(customer_id)))

    def answer(self, fact: str, answer: str) -> str:
        """Return the words for one answer to a fact."""
        kind = fact.rpartition(".")[2]
        if kind in {"impact", "criticality"}:
            return self._level(kind, answer)
        if kind == "unlisted_customers":
            return text(f"incident.unlisted.{answer}", self.language)
        if kind == "controller" and answer == "customer":
            return text("incident.controller_customer", self.language)
        for vocabulary in (kind, "answer"):
            said = words(f"{vocabulary}.{answer}", self.language)
            if said != f"{vocabulary}.{answer}":
                return said
        return answer

    def when(self, at: datetime | None) -> str:
        """Return a moment in the reader's zone, or that it is not known yet."""
        return self._unknown if at is None else moment(timestamp_text(at), self.language, self._zone)

    @property
    def _unknown(self) -> str:
        return words("answer.unknown", self.language)

    def _level(self, kind: str, level: str) -> str:
        scale = self._agreement.impacts if kind == "impact" else self._agreement.criticalities
        found = next((each for each in scale if each.id == level), None)
        if found is None:
            return self._unknown if level == "unknown" else level
        return f"{level}: {found.text.in_language(self.language)[1]}"

    def rows(self, facts: IncidentFacts) -> Iterator[FactRow]:
        """Yield every fact in words, by group."""
        yield from self._texts("event", "title", facts.title)
        yield from self._texts("event", "summary", facts.summary)
        for name in _TIMES:
            yield self._row("event", name, self.when(getattr(facts, name)))
        for name in (*_ANSWERS, "intent", "cause"):
            yield self._row("nature", name, self.answer(name, getattr(facts, name)))
        yield from self._harm("nature", "service_harm", facts.service_harm)
        for name in ("impact", "criticality"):
            yield self._row("levels", name, self.answer(name, getattr(facts, name)))
        for name in ("rsit_class", "rsit_type"):
            yield self._row("levels", name, getattr(facts, name) or self._unknown)
        yield self._row("levels", "tlp", facts.tlp.value)
        for name in ("services", "regions", "availability_zones"):
            stated = getattr(facts, name)
            yield self._row("extent", name, ", ".join(stated) or text("incident.not_narrowed", self.language))
        yield self._row("extent", "unlisted_customers", self.answer("unlisted_customers", facts.unlisted_customers))
        for name in ("measures_taken", "recommendations", "not_known_yet"):
            yield from self._texts("words", name, getattr(facts, name))
        yield self._row("words", "next_update_by", self.when(facts.next_update_by))
        for stated in facts.affected_customers:
            yield from self.rows_of_customer(stated)

    def rows_of_customer(self, stated: AffectedCustomer) -> Iterator[FactRow]:
        """Yield what is stated of one customer."""
        name, prefix = self.customer(stated.customer_id), f"affected_customers.{stated.customer_id}."
        data = stated.personal_data
        found = [
            self._row("customers", "affected", self.answer("affected", stated.affected)),
            *self._harm("customers", "data_harm", stated.data_harm),
            self._row("customers", "breach", self.answer("breach", data.breach)),
            self._row("customers", "controller", self.answer("controller", data.controller)),
            self._row("customers", "health_data", self.answer("health_data", data.health_data)),
            *self._personal_data(data),
            *self._texts("customers", "effect", stated.effect),
        ]
        if stated.resources:
            found.append(self._row("customers", "resources", "\n".join(map(self._resource, stated.resources))))
        for row in found:
            yield FactRow(prefix + row.key, row.group, f"{name}: {row.label}", row.value, row.language)

    def _personal_data(self, data: PersonalData) -> Iterator[FactRow]:
        for name in ("data_subjects_approx", "records_approx"):
            count = getattr(data, name)
            if count is not None:
                yield self._row("customers", name, number(count, self.language))
        for name in ("categories_of_data_subjects", "categories_of_records"):
            categories: tuple[Category, ...] | None = getattr(data, name)
            if categories:
                yield self._row("customers", name, "\n".join(map(self._category, categories)))
        yield from self._texts("customers", "likely_consequences", data.likely_consequences)

    def _category(self, category: Category) -> str:
        if isinstance(category, str):
            return on_one_line(category)
        return " / ".join(f"{on_one_line(said)} ({language})" for language, said in category.texts)

    def _resource(self, resource: Resource) -> str:
        parts = (resource.id, resource.name, resource.region, resource.availability_zone)
        kind = words(f"resource.{resource.kind.value}", self.language)
        return f"{kind}: {', '.join(on_one_line(part) for part in parts if part)}"

    def _harm(self, group: str, name: str, harm: Harm) -> Iterator[FactRow]:
        for harmed in Property:
            yield self._row(group, f"{name}.{harmed.value}", self.answer(name, harm.of(harmed)))

    def _texts(self, group: str, name: str, stated: LocalizedText | None) -> Iterator[FactRow]:
        for language, said in stated.texts if stated is not None else ():
            label = f"{self.fact(name)} ({words(f'language.{language}', self.language)})"
            yield FactRow(f"{name}.{language}", group, label, visible(said), language)

    def _row(self, group: str, name: str, value: str) -> FactRow:
        return FactRow(name, group, self.fact(name), value)
