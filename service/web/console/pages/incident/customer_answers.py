"""What is stated of single customers, as short codes: from the columns of a table, and into them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from notifications.customer.records import Customer
from notifications.decision import Decision
from notifications.incident import (
    UNKNOWN,
    AffectedCustomer,
    Answer,
    Controller,
    PersonalDataBreach,
    Property,
)
from notifications.incident.validation import COUNT_MAX

_HARMS = tuple(harmed.value for harmed in Property)
#: column -> its codes; a count has none
CODES: Mapping[str, tuple[str, ...]] = {
    "affected": tuple(Answer),
    **dict.fromkeys(_HARMS, tuple(Answer)),
    "breach": tuple(PersonalDataBreach),
    "controller": tuple(Controller),
    "health_data": tuple(Answer),
}
COUNTS = ("data_subjects_approx", "records_approx")
COLUMNS = (*CODES, *COUNTS)


@dataclass(frozen=True, slots=True)
class Row:
    """One customer of the table."""

    customer: Customer
    decision: Decision
    #: None where nothing is stated of it
    stated: AffectedCustomer | None

    @property
    def codes(self) -> dict[str, str]:
        """What is stated, by column; empty where nothing is."""
        return {} if self.stated is None else codes_of(self.stated)


def codes_of(stated: AffectedCustomer) -> dict[str, str]:
    """Return what is stated of a customer, by column; an unknown count is empty."""
    data = stated.personal_data
    return {
        "affected": stated.affected.value,
        **{name: stated.data_harm.of(Property(name)).value for name in _HARMS},
        "breach": data.breach.value,
        "controller": data.controller.value,
        "health_data": data.health_data.value,
        **{name: "" if (count := getattr(data, name)) is None else str(count) for name in COUNTS},
    }


def answered(customer_id: UUID, stated: AffectedCustomer | None, codes: Mapping[str, str]) -> AffectedCustomer:
    """Return what is stated of a customer with some columns answered otherwise; every other statement stays.

    Of a customer of which nothing was stated, what is not answered is unknown. The codes are valid.
    """
    base = stated or AffectedCustomer(customer_id, affected=Answer.UNKNOWN)
    harm = {name: Answer(codes[name]) for name in _HARMS if name in codes}
    data = base.personal_data
    if "breach" in codes:
        data = replace(data, breach=PersonalDataBreach(codes["breach"]))
    if "controller" in codes:
        data = replace(data, controller=Controller(codes["controller"]))
    if "health_data" in codes:
        data = replace(data, health_data=Answer(codes["health_data"]))
    for name in COUNTS:
        if name in codes:
            data = replace(data, **{name: None if codes[name] == UNKNOWN else int(codes[name])})  # type: ignore[arg-type]  # a count
    return replace(
        base,
        affected=Answer(codes.get("affected", base.affected)),
        data_harm=replace(base.data_harm, **harm),
        personal_data=data,
    )


def is_code(column: str, code: str) -> bool:
    """Whether a column takes a code."""
    if column in COUNTS:
        return code == UNKNOWN or (code.isascii() and code.isdigit() and len(code) < 16 and int(code) <= COUNT_MAX)  # noqa: PLR2004 - digits of COUNT_MAX
    return code in CODES[column]


def differing(row: Row, codes: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (column, before, after) for every answer that would change."""
    now = row.codes
    return [
        (column, now.get(column, "") or UNKNOWN if row.stated is not None else "", code)
        for column, code in codes.items()
        if row.stated is None or (now[column] or UNKNOWN) != code
    ]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which customers of the table are meant."""

    text: str = ""
    verdict: str = ""
    #: a service, region or zone that the customer uses
    place: str = ""

    def keeps(self, row: Row) -> bool:
        """Whether a customer is meant."""
        if self.text.casefold() not in row.customer.name.casefold():
            return False
        if self.verdict and row.decision.verdict.value != self.verdict:
            return False
        return not self.place or self.place in places_of(row.customer)


def places_of(customer: Customer) -> tuple[str, ...]:
    """Return the services, regions and zones that a customer uses."""
    return (*customer.services, *customer.regions, *customer.availability_zones)


def all_places(rows: Sequence[Row]) -> Iterator[str]:
    """Yield every service, region and zone that a customer uses, sorted, once."""
    yield from sorted({place for row in rows for place in places_of(row.customer)})
