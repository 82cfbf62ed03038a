"""Facts of an incident in a form: from the fields of a page to the shape of ``FactsIn``, and from facts to fields.

Every page that states or changes facts uses it, with ``templates/facts_fields.html.jinja``. A field has the name of its
fact. Texts have one field for each language (``title.fr``). Lists may have several fields, each with several names.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from notifications.customer.records import Customer
from notifications.incident import (
    LANGUAGES,
    UNKNOWN,
    Answer,
    Cause,
    Intent,
    Property,
    Tlp,
    UnlistedCustomers,
)
from notifications.time_zones import time_zone_names
from service.web.console.forms import Form
from service.web.console.moments import MomentError, local_text, moment_of, parse_moment

TEXTS = ("title", "summary", "measures_taken", "recommendations", "not_known_yet")
MOMENTS = ("aware_at", "detected_at", "started_at", "ended_at", "next_update_by")
NAMES = ("services", "regions", "availability_zones")
HARMS = tuple(f"service_harm.{harmed.value}" for harmed in Property)
_ANSWERS = tuple(answer.value for answer in Answer)
#: The coded facts with their answers; the answers of the levels are in the agreement.
CODES: Mapping[str, tuple[str, ...]] = {
    "inside_perimeter": _ANSWERS,
    "intent": tuple(intent.value for intent in Intent),
    "cause": tuple(cause.value for cause in Cause),
    **dict.fromkeys(HARMS, _ANSWERS),
    "security_measures_harmed": _ANSWERS,
    "normal_operation_disrupted": _ANSWERS,
    "service_level_breached": _ANSWERS,
    "damage_to_customer": _ANSWERS,
    "may_cause": _ANSWERS,
    "tlp": tuple(tlp.value for tlp in Tlp),
    "unlisted_customers": tuple(unlisted.value for unlisted in UnlistedCustomers),
}
LEVELS = ("impact", "criticality")
#: Facts that a declaration must have.
REQUIRED = ("title", "summary", "aware_at")

_SEPARATORS = re.compile(r"[\s,;]+")


#: The key of the words for a fault, and the values for them.
Worded = tuple[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Entered:
    """What a form states: the facts that were understood, and for each field that was not, why."""

    #: in the shape of ``FactsIn``
    facts: Mapping[str, Any]
    #: field -> why
    faults: Mapping[str, Worded]


class Fields:
    """The fields of a form as texts, from a form that was sent or from facts; a field that is missing is empty."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self.values = {name: [item for item in items if item] for name, items in values.items()}

    def __getitem__(self, name: str) -> str:
        """Return the first value of a field."""
        return next(iter(self.values.get(name, ())), "")

    def all(self, name: str) -> list[str]:
        """Return every value of a field."""
        return list(self.values.get(name, ()))

    def has(self, *names: str) -> bool:
        """Whether one of the fields, or a part of one, has a value other than unknown."""
        return any(
            value != UNKNOWN
            for field_name, items in self.values.items()
            if field_name in names or field_name.partition(".")[0] in names
            for value in items
        )

    def with_values(self, values: Mapping[str, str]) -> "Fields":
        """Return the fields with some of them replaced."""
        return Fields(self.values | {name: [value] for name, value in values.items()})


#: Fields of a form that are no facts.
_NO_FACTS = frozenset({
    "csrf_token", "form_id", "draft_id", "draft_version", "another_than", "is_another", "fragment", "picture",
    "insert",
})  # fmt: skip


def fields_of(form: Form) -> Fields:
    """Return the fields of a form that was sent, without those that only carry it."""
    return Fields({name: values for name, values in form.items() if name not in _NO_FACTS})


def facts_to_fields(facts: Mapping[str, Any], zone: str) -> Fields:
    """Return facts in the shape of ``FactsIn`` as fields; moments as a person of the zone reads them.

    Facts that came from elsewhere may be incomplete. A value of a wrong type is left out.
    """
    values: dict[str, list[str]] = {"time_zone": [zone]}
    # No fact, but stated beside them where an incident is declared.
    if facts.get("exercise") is True:
        values["exercise"] = ["yes"]
    for name in TEXTS:
        text = facts.get(name)
        if isinstance(text, Mapping):
            values |= {f"{name}.{language}": [str(said)] for language, said in text.items() if language in LANGUAGES}
    for name in MOMENTS:
        if at := moment_of(facts.get(name)):
            values[name] = [local_text(at, zone)]
    for name in (*CODES, *LEVELS):
        first, _, rest = name.partition(".")
        value = facts.get(first)
        value = value.get(rest) if rest and isinstance(value, Mapping) else value
        if isinstance(value, str):
            values[name] = [value]
    for name in NAMES:
        if isinstance(listed := facts.get(name), list | tuple):
            values[name] = [str(item) for item in listed]
    if isinstance(rsit := facts.get("rsit_class"), str):
        kind = facts.get("rsit_type")
        values["rsit"] = [f"{rsit}/{kind}" if kind else rsit]
    stated = facts.get("affected_customers")
    if isinstance(stated, list | tuple):
        values["customers"] = [
            str(item["customer_id"]) for item in stated if isinstance(item, Mapping) and "customer_id" in item
        ]
    return Fields(values)


def parse_fields(
    fields: Fields,
    now: datetime,
    customers: Iterable[Customer] = (),
    before: Mapping[str, Any] | None = None,
) -> Entered:
    """Return what the fields state.

    ``before`` are the facts that are changed: what they state of a customer stays while the customer is named, and
    a fact without a field stays as it is. ``customers`` are those that can be named.
    """
    before = before or {}
    facts: dict[str, Any] = {}
    faults: dict[str, Worded] = {}
    zone = fields["time_zone"] or "UTC"
    if zone not in time_zone_names():
        faults["time_zone"] = ("facts.wrong.zone", {})
        zone = "UTC"
    for name in TEXTS:
        texts = {language: said for language in LANGUAGES if (said := _text(fields[f"{name}.{language}"]))}
        if texts:
            facts[name] = texts
    _parse_moments(fields, facts, faults, _Clock(zone, now, before))
    _parse_codes(fields, facts, faults)
    for name in NAMES:
        if listed := tuple(dict.fromkeys(names_in(fields.all(name)))):
            facts[name] = list(listed)
    if fields["rsit"]:
        facts["rsit_class"], _, kind = fields["rsit"].partition("/")
        if kind:
            facts["rsit_type"] = kind
    _name_customers(fields, facts, faults, {customer.id: customer for customer in customers}, before)
    for name in REQUIRED:
        if name not in facts and name not in faults:
            faults[name] = ("facts.wrong.missing", {})
    return Entered(facts, faults)


@dataclass(frozen=True, slots=True)
class _Clock:
    """What moments are read by."""

    zone: str
    now: datetime
    #: the facts that are changed
    before: Mapping[str, Any]


def _parse_moments(fields: Fields, facts: dict[str, Any], faults: dict[str, Worded], clock: _Clock) -> None:
    for name in MOMENTS:
        if not fields[name]:
            continue
        # A field shows milliseconds; what nobody changed keeps the microseconds that it had.
        kept = moment_of(clock.before.get(name))
        if kept is not None and fields[name] == local_text(kept, clock.zone):
            facts[name] = kept.isoformat()
            continue
        try:
            facts[name] = parse_moment(fields[name], clock.zone, clock.now).isoformat()
        except MomentError as error:
            faults[name] = (error.key, {"zone": clock.zone})


def _parse_codes(fields: Fields, facts: dict[str, Any], faults: dict[str, Worded]) -> None:
    for name in (*CODES, *LEVELS):
        if not (value := fields[name]):
            continue
        if name in CODES and value not in CODES[name]:
            faults[name] = ("facts.wrong.choice", {})
            continue
        first, _, rest = name.partition(".")
        if rest:
            facts.setdefault(first, {})[rest] = value
        else:
            facts[first] = value


def _text(text: str) -> str:
    # A browser sends every line break as two characters.
    return text.replace("\r\n", "\n").strip()


def names_in(values: Iterable[str]) -> Iterator[str]:
    """Return every name in fields of names, as they were typed."""
    for value in values:
        yield from (name for name in _SEPARATORS.split(value) if name)


def _name_customers(
    fields: Fields,
    facts: dict[str, Any],
    faults: dict[str, Worded],
    customers: Mapping[UUID, Customer],
    before: Mapping[str, Any],
) -> None:
    """Add the customers that were ticked, and those whose names or identifiers were pasted, one in a line."""
    stated = {str(item["customer_id"]): item for item in before.get("affected_customers", ())}
    named: dict[str, None] = {}
    wrong: list[str] = []
    by_name: dict[str, list[UUID]] = {}
    for customer in customers.values():
        by_name.setdefault(customer.name.casefold(), []).append(customer.id)
    for value in fields.all("customers"):
        if value in stated or _uuid(value) in customers:
            named[value] = None
        else:
            wrong.append(value)
    for line in fields["customers_pasted"].splitlines():
        reference = line.strip().strip(",;").strip()
        if not reference:
            continue
        identifier = _uuid(reference)
        found = [identifier] if identifier in customers else by_name.get(reference.casefold(), [])
        if len(found) == 1:
            named[str(found[0])] = None
        else:
            wrong.append(reference)
    if named:
        facts["affected_customers"] = [stated.get(customer_id, {"customer_id": customer_id}) for customer_id in named]
    if wrong:
        faults["customers_pasted"] = ("facts.wrong.customers", {"names": ", ".join(wrong[:10])[:300]})


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
