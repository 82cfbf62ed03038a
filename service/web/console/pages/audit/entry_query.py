"""What a reader looks for in the log: the filters of the address, and the entries that they mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from notifications.customer.records import Customer
from notifications.incident import Incident
from notifications.ports import EntryFilter
from notifications.time_zones import time_zone
from service.auth.permissions import Permission
from service.auth.route_guard import Access
from service.ports.store import AccessTransaction
from service.web.console.catalogues import CATALOGUES
from service.web.console.listing import access_under
from service.web.console.rendering import reader_zone

FIELDS = ("from", "to", "type", "incident", "customer", "actor", "first", "last")
_FIELD_CHARACTERS = 200
_KIND_KEYS = "entry_kind."
#: Customers that are offered where several have such a name.
_OFFERED = 10
_LARGEST_INDEX = 2**53


def known_types() -> list[str]:
    """Return every kind of entry that the pages have words for."""
    return [key.removeprefix(_KIND_KEYS) for key in CATALOGUES["en"] if key.startswith(_KIND_KEYS)]


def day_of(stated: str) -> date | None:
    """Return the day of a date field, or None for anything else."""
    try:
        return date.fromisoformat(stated)
    except ValueError:
        return None


def midnight(day: date, zone: str = "UTC") -> datetime:
    """Return the moment at which a day begins in a zone; where the clocks skip midnight, when they are changed."""
    try:
        return datetime.combine(day, time(), time_zone(zone)).astimezone(UTC)
    except OverflowError:
        return datetime.combine(day, time(), UTC)


def day_after(day: date, zone: str = "UTC") -> datetime:
    """Return the moment at which a day ends in a zone; the last day of the calendar has no next day."""
    return datetime.max.replace(tzinfo=UTC) if day == date.max else midnight(day + timedelta(days=1), zone)


@dataclass(slots=True)
class EntryQuery:
    """The filters as they were typed, with the errors by field, and what they mean where there is no error."""

    values: dict[str, str]
    #: in which the days ``from`` and ``to`` are meant
    zone: str
    errors: dict[str, str] = field(default_factory=dict)
    #: where several customers have such a name
    candidates: list[Customer] = field(default_factory=list)
    filter: EntryFilter = field(default_factory=EntryFilter)


def typed_values(query: Mapping[str, str], names: tuple[str, ...] = FIELDS) -> dict[str, str]:
    """Return the wanted fields of an address, without spaces around them."""
    return {name: query.get(name, "").strip()[:_FIELD_CHARACTERS] for name in names}


def parsed_query(tx: AccessTransaction, access: Access, values: dict[str, str]) -> EntryQuery:
    """Return what the filters mean; ``errors`` has the key of the words for each field that means nothing.

    What the caller may not see does not exist: it is an unknown ticket or customer.
    """
    query = EntryQuery(values, reader_zone(access.caller))
    starts_at, ends_at = parsed_period(query)
    subjects: list[tuple[str, str]] = []
    if values["incident"]:
        found = incident_of(tx, values["incident"])
        if found is None:
            query.errors["incident"] = "no_incident"
        else:
            subjects.append(("incident" if found.facts.announcement is None else "announcement", str(found.id)))
    if values["customer"]:
        customer = customer_of(tx, query)
        if customer is not None:
            subjects.append(("customer", tx.customers.pseudonym(customer.id)))
    query.filter = EntryFilter(
        values["type"] or None,
        _actor(tx, access, query),
        tuple(subjects),
        starts_at,
        ends_at,
        _index(query, "first"),
        _index(query, "last"),
    )
    return query


def parsed_period(query: EntryQuery) -> tuple[datetime | None, datetime | None]:
    """Return the beginning and the end of the days ``from`` and ``to``, both included."""
    begins, ends = day_of(query.values["from"]), day_of(query.values["to"])
    for name, day in (("from", begins), ("to", ends)):
        if query.values[name] and day is None:
            query.errors[name] = "no_day"
    if begins is not None and ends is not None and begins > ends:
        query.errors["to"] = "to_before_from"
    zone = query.zone
    return None if begins is None else midnight(begins, zone), None if ends is None else day_after(ends, zone)


def incident_of(tx: AccessTransaction, stated: str) -> Incident | None:
    """Return the incident or the announcement of a ticket or an identifier, or None."""
    identifier = _uuid(stated)
    return tx.incidents.by_ticket(stated.upper()) if identifier is None else tx.incidents.get(identifier)


def customer_of(tx: AccessTransaction, query: EntryQuery) -> Customer | None:
    """Return the one customer that ``customer`` means: an identifier, or a part of a name that one customer has."""
    stated = query.values["customer"]
    identifier = _uuid(stated)
    if identifier is not None:
        found = tx.customers.get(identifier)
        if found is None:
            query.errors["customer"] = "no_customer"
        return found
    named = tx.customers.named(stated, _OFFERED)
    exact = [item for item in named if item.name.casefold() == stated.casefold()]
    if len(named) == 1 or len(exact) == 1:
        return (exact or list(named))[0]
    query.errors["customer"] = "several_customers" if named else "no_customer"
    query.candidates = list(named)
    return None


def _actor(tx: AccessTransaction, access: Access, query: EntryQuery) -> str | None:
    """Return the actor as in the log; an e-mail address is that of an account, if the caller may read accounts."""
    stated = query.values["actor"]
    if not stated:
        return None
    if "@" in stated:
        accounts = access_under(access, Permission.ACCOUNT_READ)
        account = None if accounts is None else accounts.view(tx).accounts.by_email(stated.lower())
        if account is None:
            query.errors["actor"] = "no_account"
            return None
        return f"account:{account.id}"
    return stated if _uuid(stated) is None else f"account:{_uuid(stated)}"


def _index(query: EntryQuery, name: str) -> int | None:
    stated = query.values[name]
    if not stated:
        return None
    if not (stated.isascii() and stated.isdigit()) or int(stated) > _LARGEST_INDEX:
        query.errors[name] = "no_index"
        return None
    return int(stated)


def _uuid(stated: str) -> UUID | None:
    try:
        return UUID(stated)
    except ValueError:
        return None
