"""Facts of an incident in a form: from the fields of a page to the shape of ``FactsIn``, and from facts to fields.

Every page that states or changes facts uses it, with ``templates/facts_fields.html.jinja``. A field has the name of its
fact. Texts have one field for each language (``title.fr``). Lists may have several fields, each with several names.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from notifications.agreement import Agreement, AllOf, AnyOf, Condition, FactIs, NoneOf
from notifications.customer.records import Customer
from notifications.errors import Fault, InvalidInputError
from notifications.incident import (
    LANGUAGES,
    UNKNOWN,
    Answer,
    Cause,
    IncidentFacts,
    Intent,
    Property,
    Tlp,
    UnlistedCustomers,
    rsit_taxonomy,
    validate_facts,
)
from notifications.time_zones import time_zone, time_zone_names
from service.web.api.incidents.incident_schemas import FactsIn
from service.web.console.forms import Form

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
    "tlp": tuple(tlp.value for tlp in Tlp),
    "unlisted_customers": tuple(unlisted.value for unlisted in UnlistedCustomers),
}
LEVELS = ("impact", "criticality")
#: Facts that a declaration must have.
REQUIRED = ("title", "summary", "aware_at")
#: More names of customers than this are searched for and pasted, not ticked.
CUSTOMERS_TICKED_MAX = 500
#: Names of services, regions and zones that can be ticked.
_NAMES_TICKED_MAX = 40

_ZONE_OF_LANGUAGE = {"fr": "Europe/Paris", "de": "Europe/Berlin"}
_DEFAULT_ZONES = ("UTC", "Europe/Paris", "Europe/Berlin")
_TIME_OF_DAY = re.compile(r"(\d{1,2})[:h.](\d{2})")
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
})  # fmt: skip


def fields_of(form: Form) -> Fields:
    """Return the fields of a form that was sent, without those that only carry it."""
    return Fields({name: values for name, values in form.items() if name not in _NO_FACTS})


def facts_to_fields(facts: Mapping[str, Any], zone: str) -> Fields:
    """Return facts in the shape of ``FactsIn`` as fields; moments as a person of the zone reads them.

    Facts that came from elsewhere may be incomplete. A value of a wrong type is left out.
    """
    values: dict[str, list[str]] = {"time_zone": [zone]}
    for name in TEXTS:
        text = facts.get(name)
        if isinstance(text, Mapping):
            values |= {f"{name}.{language}": [str(said)] for language, said in text.items() if language in LANGUAGES}
    for name in MOMENTS:
        if at := _moment_of(facts.get(name)):
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
        values["customers"] = [str(item["customer_id"]) for item in stated if isinstance(item, Mapping)]
    return Fields(values)


def local_text(at: datetime, zone: str) -> str:
    """Return a moment as a ``datetime-local`` field holds it: in the zone, to the minute, seconds where it has them."""
    local = at.astimezone(time_zone(zone) if zone in time_zone_names() else UTC).replace(tzinfo=None)
    return local.isoformat("T", "minutes" if not local.second and not local.microsecond else "milliseconds")


def _moment_of(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


class MomentError(ValueError):
    """A field states no exact moment; ``key`` names the words that say why."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(key)


def parse_moment(text: str, zone: str, now: datetime) -> datetime:
    """Return the moment that a person typed; raises MomentError.

    Taken are ``2026-11-29T02:40`` and ``2026-11-29 02:40`` in the zone, the same with an offset, which then counts, and
    ``02:40`` for today in the zone. A time of day that lies ahead may mean yesterday, so it is refused. So is a time
    that the zone's clocks skip or show twice.
    """
    text = text.strip()
    local_zone = time_zone(zone)
    if found := _TIME_OF_DAY.fullmatch(text):
        today = now.astimezone(local_zone).date()
        at = _in_zone(today, found, zone)
        if at > now + timedelta(minutes=5):
            raise MomentError("facts.wrong.day_missing")
        return at
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise MomentError("facts.wrong.moment") from None
    if len(text) <= len("2026-11-29"):
        raise MomentError("facts.wrong.time_missing")
    return at.astimezone(UTC) if at.tzinfo is not None else _exact(at, zone)


def _in_zone(day: date, found: re.Match[str], zone: str) -> datetime:
    try:
        return _exact(datetime.combine(day, time(int(found[1]), int(found[2]))), zone)
    except ValueError as error:
        if isinstance(error, MomentError):
            raise
        raise MomentError("facts.wrong.moment") from None


def _exact(local: datetime, zone: str) -> datetime:
    local_zone = time_zone(zone)
    try:
        early = local.replace(tzinfo=local_zone, fold=0).astimezone(UTC)
        late = local.replace(tzinfo=local_zone, fold=1).astimezone(UTC)
    except OverflowError:
        raise MomentError("facts.wrong.moment") from None
    if early == late:
        return early
    # The two differ where the clocks were changed: back (the time is shown twice) or forward (it is skipped).
    raise MomentError("facts.wrong.twice" if early < late else "facts.wrong.skipped")


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
        if listed := tuple(dict.fromkeys(_names(fields.all(name)))):
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
        kept = _moment_of(clock.before.get(name))
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


def _names(values: Iterable[str]) -> Iterator[str]:
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


def stated_facts(entered: Entered, agreement: Agreement, now: datetime, language: str) -> IncidentFacts:
    """Return the facts for a use case; raises FactsRefusedError with the fields that are wrong."""
    faults = dict(entered.faults)
    if not faults:
        try:
            facts = FactsIn.model_validate(entered.facts).to_domain(language)
            validate_facts(facts, agreement, now)
        except ValidationError as error:
            faults = _worded(Fault(".".join(map(str, item["loc"])), item["msg"]) for item in error.errors())
        except InvalidInputError as error:
            faults = _worded(error.faults)
        else:
            return facts
    raise FactsRefusedError(faults)


class FactsRefusedError(Exception):
    """Facts in a form that break a rule; ``faults`` as in ``Entered``."""

    def __init__(self, faults: Mapping[str, Worded]) -> None:
        self.faults = faults
        super().__init__(", ".join(faults))


def worded_faults(error: InvalidInputError) -> dict[str, Worded]:
    """Return the faults of a use case by the field of the form that states the fact."""
    return _worded(error.faults)


def _worded(faults: Iterable[Fault]) -> dict[str, Worded]:
    return {_field_of(fault.field): _words_of(fault.reason) for fault in faults}


def _field_of(path: str) -> str:
    first, *parts = path.split(".")
    if first in TEXTS:
        # The path may also name the member of a union of types.
        language = next((part for part in parts if part in LANGUAGES), "")
        return f"{first}.{language}" if language else first
    if first == "service_harm" and parts:
        return f"{first}.{parts[0]}"
    if first in {"rsit_class", "rsit_type"}:
        return "rsit"
    return "customers_pasted" if first == "affected_customers" else first


def _words_of(reason: str) -> Worded:
    if reason == "must not be in the future":
        return "facts.wrong.future", {}
    if reason.startswith("must not be before "):
        return f"facts.wrong.before_{reason.removeprefix('must not be before ')}", {}
    return "facts.wrong.other", {"reason": reason}


def usable_facts(entered: Entered, agreement: Agreement, now: datetime, language: str) -> IncidentFacts:
    """Return the facts as far as they can be used, for a preview: what is missing or wrong is left out, so unknown.

    Without a moment of awareness it is now.
    """
    facts = dict(entered.facts)
    for _ in range(len(FactsIn.model_fields) + 1):
        complete = {"title": {language: "…"}, "summary": {language: "…"}, "aware_at": now.isoformat()} | facts
        try:
            usable = FactsIn.model_validate(complete).to_domain(language)
            validate_facts(usable, agreement, now)
        except ValidationError as error:
            wrong = {str(item["loc"][0]) for item in error.errors()}
        except InvalidInputError as error:
            wrong = {fault.field.partition(".")[0] for fault in error.faults}
        else:
            return usable
        if not wrong & facts.keys():
            break
        for name in wrong:
            facts.pop(name, None)
    return FactsIn.model_validate({
        "title": {language: "…"}, "summary": {language: "…"}, "aware_at": now.isoformat(),
    }).to_domain(language)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FactsForm:
    """What ``facts_fields.html.jinja`` shows."""

    fields: Fields
    faults: Mapping[str, Worded]
    #: the language that texts are asked for in first
    language: str
    other_languages: tuple[str, ...]
    agreement: Agreement
    zones: tuple[str, ...]
    #: the names of the services, regions and zones that customers use, where they are few enough to tick
    known_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    customers: tuple[Customer, ...] = ()
    #: whether the customers are few enough to tick
    customers_are_ticked: bool = True

    @property
    def zone_options(self) -> list[tuple[str, str]]:
        """The time zones as options of a choice."""
        return [(zone, zone) for zone in self.zones]

    def help_of(self, fact: str, language: str) -> list[tuple[str, str, str]]:
        """Return (clause, language, wording) of every limb and exclusion of the agreement that asks for a fact."""
        asked = {fact, fact.replace("service_harm.", "harm.")}
        return [
            (limb.clause, *limb.text.in_language(language))
            for definition in self.agreement.definitions
            for limb in (*definition.limbs, *definition.exclusions)
            if asked & set(_facts_in(limb.when))
        ]

    def levels(self, name: str) -> Any:
        """Return the levels of impact or criticality."""
        return self.agreement.impacts if name == "impact" else self.agreement.criticalities

    @property
    def rsit(self) -> Mapping[str, tuple[str, ...]]:
        """The classes of the taxonomy and their types."""
        return rsit_taxonomy()

    def other_names(self, name: str) -> str:
        """Return the names in a list that cannot be ticked."""
        return ", ".join(item for item in _names(self.fields.all(name)) if item not in self.known_names.get(name, ()))

    def named(self, name: str) -> frozenset[str]:
        """Return every name in a list."""
        return frozenset(_names(self.fields.all(name)))


def _facts_in(condition: Condition) -> Iterator[str]:
    match condition:
        case FactIs(fact):
            yield fact
        case AllOf(parts) | AnyOf(parts) | NoneOf(parts):
            for part in parts:
                yield from _facts_in(part)


def facts_form(
    fields: Fields,
    faults: Mapping[str, Worded],
    agreement: Agreement,
    customers: Sequence[Customer],
    reader_language: str,
) -> FactsForm:
    """Return the form for a reader. Texts that are there already decide which language comes first."""
    written = [language for language in LANGUAGES if fields[f"title.{language}"] or fields[f"summary.{language}"]]
    first = reader_language if reader_language in written or not written else written[0]
    zone = fields["time_zone"] or zone_of_language(reader_language)
    names: dict[str, Callable[[Customer], tuple[str, ...]]] = {
        "services": lambda customer: customer.services,
        "regions": lambda customer: customer.regions,
        "availability_zones": lambda customer: customer.availability_zones,
    }
    known = {}
    for name, used in names.items():
        listed = sorted({item for customer in customers for item in used(customer)})
        known[name] = tuple(listed) if len(listed) <= _NAMES_TICKED_MAX else ()
    ticked = len(customers) <= CUSTOMERS_TICKED_MAX
    return FactsForm(
        fields=fields if fields["time_zone"] else fields.with_values({"time_zone": zone}),
        faults=faults,
        language=first,
        other_languages=tuple(language for language in LANGUAGES if language != first),
        agreement=agreement,
        zones=tuple(dict.fromkeys((zone, *_DEFAULT_ZONES))),
        known_names=known,
        customers=tuple(sorted(customers, key=lambda customer: (customer.name.casefold(), customer.id)))
        if ticked
        else (),
        customers_are_ticked=ticked,
    )


def zone_of_language(language: str) -> str:
    """Return the time zone that a form begins with: no account has one of its own."""
    return _ZONE_OF_LANGUAGE.get(language, "UTC")
