"""Decide whether an announcement concerns a customer, and by when its notice is due, by its own agreement."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum

from notifications.agreement import Agreement, DeadlineBinding
from notifications.agreement.commitments import DayCount, NoticeKind, NoticeTime
from notifications.agreement.terms import CLAUSE_SEPARATOR
from notifications.customer.records import Customer
from notifications.duties.month import add_months
from notifications.duties.working_days import day_off
from notifications.errors import Fault
from notifications.incident import Announcement, IncidentFacts
from notifications.time_zones import time_zone

#: Where the agreement states no support hours: the country and the zone of the law that governs it.
_COUNTRY, _ZONE = "FR", "Europe/Paris"


class Concern(StrEnum):
    """Whether an announcement concerns a customer, or why it does not."""

    CONCERNED = "concerned"
    #: a notice of an earlier version was released to it
    TOLD_BEFORE = "told_before"
    NOT_BOUND = "not_bound"
    #: the agreement that binds the customer, for the products it ordered, does not have this kind of notice
    NO_SUCH_KIND = "no_such_kind"
    NOT_CHOSEN = "not_chosen"
    OTHER_PRODUCT = "other_product"
    OTHER_PLACE = "other_place"

    @property
    def is_told(self) -> bool:
        """Whether the customer gets a notice."""
        return self in {Concern.CONCERNED, Concern.TOLD_BEFORE}


@dataclass(frozen=True, slots=True)
class AnnouncedDue:
    """When the notice is due, and how strictly."""

    at: datetime
    binding: DeadlineBinding
    #: the clause of the time that counts, and of equal ones each. None: no text sets a time
    clause: str | None = None
    #: the time that counts
    time: NoticeTime | None = None


def kind_of(terms: Agreement, kind_id: str) -> NoticeKind | None:
    """Return the kind of notice by id, or None if what binds the customer has none of this id."""
    return next((kind for kind in terms.notices if kind.id == kind_id), None)


def concern(facts: IncidentFacts, announced: Announcement, customer: Customer, terms: Agreement | None) -> Concern:
    """Return whether an announcement concerns a customer. ``terms``: what binds it; None if nothing does.

    1. The customer must be bound by an agreement that has the kind of notice for its products.
    2. If the announcement lists customers, the customer must be listed.
    3. The customer must have ordered one of the products that the announcement names, if it names any.
    4. The customer must use one of the services and one of the regions named. A customer whose record names no
       services or regions counts as using all of them.
    """
    # 1.
    if terms is None:
        return Concern.NOT_BOUND
    if kind_of(terms, announced.kind) is None:
        return Concern.NO_SUCH_KIND
    # 2.
    if announced.customers and customer.id not in announced.customers:
        return Concern.NOT_CHOSEN
    # 3.
    if announced.products and terms.product_ids and not set(announced.products) & set(terms.product_ids):
        return Concern.OTHER_PRODUCT
    # 4.
    for named, used in ((facts.services, customer.services), (facts.regions, customer.regions)):
        if named and used and not set(named) & set(used):
            return Concern.OTHER_PLACE
    return Concern.CONCERNED


def item_faults(announced: Announcement, kinds: Iterable[tuple[Agreement, NoticeKind]]) -> Iterator[Fault]:
    """Yield a fault for each mandatory item that is missing, and for each item that no agreement asks for.

    ``kinds``: the kind of notice in each agreement that binds a concerned customer.
    """
    stated = {item.id for item in announced.items}
    known: set[str] = set()
    missing: dict[str, str] = {}
    for agreement, kind in kinds:
        known |= {item.id for item in kind.items}
        for item in kind.items:
            if item.mandatory and item.id not in stated:
                text = item.text.in_language("en")[1]
                clause = item.clause or kind.clause
                missing.setdefault(item.id, f"is missing: {text} (clause {clause} of {agreement.id})")
    yield from (Fault(f"items.{identifier}", reason) for identifier, reason in missing.items())
    for identifier in sorted(stated - known):
        yield Fault(f"items.{identifier}", f"is no item of this kind; it has: {', '.join(sorted(known))}")


def announced_due(terms: Agreement, kind: NoticeKind, occurs_at: datetime, aware_at: datetime) -> AnnouncedDue:
    """Return when the notice is due under what binds the customer.

    A lead counts back from ``occurs_at``, at the same local time of day; ``after`` counts from it. Working days are
    those of the country of the support hours. Without a number the notice is due before what it announces occurs, or,
    if the agreement names no time at all or the event is over, as soon as the provider is aware (``aware_at``).
    Where agreement and DPA set a time, the earlier moment counts, then the stricter; one without a number comes last.
    """
    strictness = tuple(DeadlineBinding)
    found = sorted(
        (_due(terms, kind, time, occurs_at, aware_at) for time in kind.times),
        key=lambda due: (due.binding is DeadlineBinding.NO_NUMBER, due.at, strictness.index(due.binding)),
    )
    if not found:
        return AnnouncedDue(aware_at, DeadlineBinding.NO_NUMBER)
    counts = found[0]
    equal = [due.clause for due in found if (due.at, due.binding) == (counts.at, counts.binding) and due.clause]
    return replace(counts, clause=CLAUSE_SEPARATOR.join(equal))


def _due(terms: Agreement, kind: NoticeKind, time: NoticeTime, occurs_at: datetime, aware_at: datetime) -> AnnouncedDue:
    hours = terms.support_hours
    zone = time_zone(_ZONE if hours is None else hours.time_zone)
    country = _COUNTRY if hours is None else hours.holidays
    if time.binding is not DeadlineBinding.NO_NUMBER:
        at = _moved(occurs_at, time, -1 if kind.lead else 1, zone, country)
    else:
        at = max(occurs_at, aware_at) if kind.lead else aware_at
    return AnnouncedDue(at, time.binding, time.clause or kind.clause, time)


def _moved(moment: datetime, by: NoticeTime, sign: int, zone: tzinfo, country: str) -> datetime:
    local = moment.astimezone(zone)
    day = local.date()
    if by.months is not None:
        day = add_months(day, sign * by.months)[0]
    elif by.days is not None and by.day_count is DayCount.CALENDAR:
        day += timedelta(days=sign * by.days)
    else:
        day = _working_days_away(day, by.days or 0, sign, country)
    return datetime.combine(day, local.timetz()).astimezone(moment.tzinfo)


def _working_days_away(day: date, count: int, sign: int, country: str) -> date:
    """Return the working day with ``count`` working days from it to ``day``; ``day`` itself does not count."""
    while count:
        day += timedelta(days=sign)
        count -= day_off(day, country, None) is None
    return day
