"""What ``facts_fields.html.jinja`` shows of a form of facts: fields, faults, and the wording of the agreement."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from notifications.agreement import Agreement, AllOf, AnyOf, Condition, FactIs, NoneOf
from notifications.customer.records import Customer
from notifications.incident import LANGUAGES, rsit_taxonomy
from notifications.use_cases.incidents.customer_decider import Agreements
from service.web.console.facts_form import Fields, Worded, names_in
from service.web.console.moments import zone_of_form

#: More names of customers than this are searched for and pasted, not ticked.
CUSTOMERS_TICKED_MAX = 500
#: Names of services, regions and zones that can be ticked.
_NAMES_TICKED_MAX = 40
_DEFAULT_ZONES = ("UTC", "Europe/Paris", "Europe/Berlin")


@dataclass(frozen=True, slots=True)
class FactsForm:
    """What ``facts_fields.html.jinja`` shows."""

    fields: Fields
    faults: Mapping[str, Worded]
    #: the language that texts are asked for in first
    language: str
    other_languages: tuple[str, ...]
    #: the reference agreement
    agreement: Agreement
    zones: tuple[str, ...]
    #: the names of the services, regions and zones that customers use, where they are few enough to tick
    known_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    customers: tuple[Customer, ...] = ()
    #: whether the customers are few enough to tick
    customers_are_ticked: bool = True
    other_agreements: tuple[Agreement, ...] = ()

    @property
    def zone_options(self) -> list[tuple[str, str]]:
        """The time zones as options of a choice."""
        return [(zone, zone) for zone in self.zones]

    def help_of(self, fact: str, language: str) -> list[tuple[str, str, str]]:
        """Return (clause, language, wording) of every limb and exclusion that asks for a fact.

        They are those of the reference agreement; where it does not ask for the fact, those of the first that does,
        with the version of that agreement before the clause.
        """
        asked = {fact, fact.replace("service_harm.", "harm.")}
        found = (
            [
                (
                    limb.clause if agreement.id == self.agreement.id else f"{agreement.version}, {limb.clause}",
                    *limb.text.in_language(language),
                )
                for definition in agreement.definitions
                for limb in (*definition.limbs, *definition.exclusions)
                if asked & set(_facts_in(limb.when))
            ]
            for agreement in (self.agreement, *self.other_agreements)
        )
        return next(filter(None, found), [])

    def levels(self, name: str) -> Any:
        """Return the levels of impact or criticality."""
        return self.agreement.impacts if name == "impact" else self.agreement.criticalities

    @property
    def rsit(self) -> Mapping[str, tuple[str, ...]]:
        """The classes of the taxonomy and their types."""
        return rsit_taxonomy()

    def other_names(self, name: str) -> str:
        """Return the names in a list that cannot be ticked."""
        return ", ".join(item for item in names_in(self.fields.all(name)) if item not in self.known_names.get(name, ()))

    def named(self, name: str) -> frozenset[str]:
        """Return every name in a list."""
        return frozenset(names_in(self.fields.all(name)))


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
    agreements: Agreements,
    customers: Sequence[Customer],
    reader_language: str,
    own_zone: str | None = None,
) -> FactsForm:
    """Return the form for a reader. Texts that are there already decide which language comes first."""
    written = [language for language in LANGUAGES if fields[f"title.{language}"] or fields[f"summary.{language}"]]
    first = reader_language if reader_language in written or not written else written[0]
    zone = fields["time_zone"] or zone_of_form(own_zone, reader_language)
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
        agreement=agreements.reference,
        other_agreements=tuple(agreements.by_id.values()),
        zones=tuple(dict.fromkeys((zone, *_DEFAULT_ZONES))),
        known_names=known,
        customers=tuple(sorted(customers, key=lambda customer: (customer.name.casefold(), customer.id)))
        if ticked
        else (),
        customers_are_ticked=ticked,
    )
