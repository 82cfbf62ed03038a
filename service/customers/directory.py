"""The list of customers as a person looks through it: by name, agreement in force, state and reach."""

import json
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from uuid import UUID

from notifications.customer.records import AgreementBinding, Customer, binding_in_force
from notifications.errors import Fault, InvalidInputError
from notifications.ports import Page
from service.ports.store import AccessTransaction

#: A cursor holds so much of a name, so that it fits into an address.
_SORTED_CHARACTERS = 40
#: More customers than any installation has: one statement reads what concerns all of them.
_ALL = 1_000_000


class CustomerState(StrEnum):
    """The state of a customer's contract with the provider."""

    ACTIVE = "active"
    #: its contract ended, and its erasure is ordered
    ERASURE_ORDERED = "erasure_ordered"


class CustomerOrder(StrEnum):
    """How a list of customers is sorted."""

    NAME = "name"
    REGISTERED = "registered"


@dataclass(frozen=True, slots=True)
class CustomerFilter:
    """What is looked for; what is left out matches all."""

    #: part of the name, without regard to case and accents, or the whole identifier
    text: str = ""
    #: the agreement that is in force now
    agreement_id: str | None = None
    state: CustomerState | None = None
    #: only customers without an active contact
    unreachable: bool = False


@dataclass(frozen=True, slots=True)
class ListedCustomer:
    """One line of the list."""

    customer: Customer
    bindings: tuple[AgreementBinding, ...]
    #: None before the first agreement takes effect
    in_force: AgreementBinding | None
    state: CustomerState
    #: no contact is active, so that nobody could get a mail
    is_unreachable: bool


@dataclass(frozen=True, slots=True)
class FoundCustomers:
    """A page of the list."""

    items: Sequence[ListedCustomer]
    following: str | None
    #: how many customers match, on all pages
    total: int


def find_customers(
    tx: AccessTransaction,
    wanted: CustomerFilter,
    page: Page,
    now: datetime,
    order: CustomerOrder = CustomerOrder.NAME,
    *,
    at_provider: bool,
) -> FoundCustomers:
    """Return the customers that match, in a fixed order; raises InvalidInputError for a cursor of another list.

    ``at_provider``: whether the transaction shows every customer. Then neither the number of statements nor the work
    for a page without filters grows with the number of customers: the directory is read as every decision reads it,
    sorted once after each change, and compared here, because the engines compare letters outside ASCII differently. A
    caller from elsewhere has few customers, which are read one by one.
    """
    last = None if page.cursor is None else _parse_cursor(page.cursor, order)
    if not at_provider:
        own = [listed_customer(tx, item, now) for item in tx.customers.page(Page(page.limit))[0]]
        matching = [item for item in own if _matches(item, wanted)]
        if order is CustomerOrder.NAME:
            matching.sort(key=lambda item: _sort_key(item.customer, order))
        rest = [item for item in matching if last is None or _sort_key(item.customer, order) > last]
        shown: Sequence[ListedCustomer] = rest[: page.limit]
        total, another_follows = len(matching), len(rest) > page.limit
    else:
        known = _known(tx.customers.all(), tx.customers.bindings())
        matches = _matcher(tx, wanted, known, now)
        ordered = known.ordered[order]
        start = 0 if last is None else known.after(last, order)
        # One more than a page shows whether another follows.
        found = ordered[start:] if matches is None else filter(matches, ordered[start:])
        next_ones = list(islice(found, page.limit + 1))
        shown = _with_details(tx, next_ones[: page.limit], known, now)
        total = len(ordered) if matches is None else sum(map(matches, ordered))
        another_follows = len(next_ones) > page.limit
    following = _cursor_of(shown[-1].customer, order) if another_follows else None
    return FoundCustomers(shown, following, total)


def listed_customer(tx: AccessTransaction, customer: Customer, now: datetime) -> ListedCustomer:
    """Return one customer as the list has it."""
    return _one(
        customer,
        tx.customers.bindings(customer.id),
        now,
        is_unreachable=not any(contact.active for contact in tx.customers.contacts(customer.id)),
        is_ordered=tx.erasures.order(customer.id) is not None,
    )


def folded(text: str) -> str:
    """Return a text as it is compared: without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


class _Directory:
    """All customers in each order, and their agreements."""

    def __init__(self, customers: Sequence[Customer], bindings: Sequence[AgreementBinding]) -> None:
        self.of = customers, bindings
        by_name = sorted(customers, key=lambda item: _sort_key(item, CustomerOrder.NAME))
        self.ordered: dict[CustomerOrder, Sequence[Customer]] = {
            CustomerOrder.NAME: by_name,
            CustomerOrder.REGISTERED: customers,
        }
        self._places = {
            order: {item.id.hex: place for place, item in enumerate(listed)} for order, listed in self.ordered.items()
        }
        self._bindings: dict[UUID, list[AgreementBinding]] = {}
        for binding in bindings:
            self._bindings.setdefault(binding.customer_id, []).append(binding)

    def bindings(self, customer_id: UUID) -> Sequence[AgreementBinding]:
        return self._bindings.get(customer_id, ())

    def after(self, last: tuple[str, str], order: CustomerOrder) -> int:
        """Return where the list goes on after a customer; where that one is gone, at what is sorted behind it."""
        first, identifier = last
        listed, place = self.ordered[order], self._places[order].get(identifier)
        if place is not None and _sort_key(listed[place], order) == last:
            return place + 1
        return bisect_right(listed, first, key=lambda item: _sort_key(item, order)[0])


class _Kept:
    """The last directories that were sorted. The store gives the same lists until its directory changes."""

    def __init__(self) -> None:
        #: newest first; more than one where a process has several stores
        self._kept: tuple[_Directory, ...] = ()

    def __call__(self, customers: Sequence[Customer], bindings: Sequence[AgreementBinding]) -> _Directory:
        for known in self._kept:
            if known.of[0] is customers and known.of[1] is bindings:
                return known
        made = _Directory(customers, bindings)
        self._kept = (made, *self._kept[:1])
        return made


_known = _Kept()


def _matcher(
    tx: AccessTransaction, wanted: CustomerFilter, known: _Directory, now: datetime
) -> Callable[[Customer], bool] | None:
    """Return whether a customer matches; None for a list without filters. Cheap conditions come first."""
    conditions: list[Callable[[Customer], bool]] = []
    if sought := wanted.text.strip():
        conditions.append(lambda item: _is_named(item, sought))
    if wanted.state is not None:
        ordered, is_active = _ordered(tx), wanted.state is CustomerState.ACTIVE
        conditions.append(lambda item: (item.id not in ordered) is is_active)
    if wanted.unreachable:
        without_contact = frozenset(tx.alerts.customers_without_contact(_ALL))
        conditions.append(lambda item: item.id in without_contact)
    if wanted.agreement_id is not None:
        conditions.append(
            lambda item: _agreement_of(binding_in_force(known.bindings(item.id), now)) == wanted.agreement_id
        )
    return (lambda item: all(condition(item) for condition in conditions)) if conditions else None


def _with_details(
    tx: AccessTransaction, customers: Sequence[Customer], known: _Directory, now: datetime
) -> Sequence[ListedCustomer]:
    reached, ordered = tx.customers.reached([item.id for item in customers]), _ordered(tx)
    return [
        _one(
            item,
            known.bindings(item.id),
            now,
            is_unreachable=item.id not in reached,
            is_ordered=item.id in ordered,
        )
        for item in customers
    ]


def _ordered(tx: AccessTransaction) -> frozenset[UUID]:
    return frozenset(order.customer_id for order in tx.erasures.orders(_ALL))


def _agreement_of(binding: AgreementBinding | None) -> str | None:
    return None if binding is None else binding.agreement_id


def _one(
    customer: Customer, bindings: Sequence[AgreementBinding], now: datetime, *, is_unreachable: bool, is_ordered: bool
) -> ListedCustomer:
    return ListedCustomer(
        customer=customer,
        bindings=tuple(bindings),
        in_force=binding_in_force(bindings, now),
        state=CustomerState.ERASURE_ORDERED if is_ordered else CustomerState.ACTIVE,
        is_unreachable=is_unreachable,
    )


def _matches(item: ListedCustomer, wanted: CustomerFilter) -> bool:
    if wanted.unreachable and not item.is_unreachable:
        return False
    if wanted.state is not None and item.state is not wanted.state:
        return False
    if wanted.agreement_id is not None and _agreement_of(item.in_force) != wanted.agreement_id:
        return False
    return _is_named(item.customer, wanted.text.strip())


def _is_named(customer: Customer, sought: str) -> bool:
    return _folded_text(sought) in _folded_name(customer.name) or sought.lower() == str(customer.id)


#: A name is folded once, not at each look at the list.
_folded_name, _folded_text = lru_cache(maxsize=50_000)(folded), lru_cache(maxsize=64)(folded)


def _sort_key(customer: Customer, order: CustomerOrder) -> tuple[str, str]:
    by_name = order is CustomerOrder.NAME
    first = _folded_name(customer.name)[:_SORTED_CHARACTERS] if by_name else customer.created_at.isoformat()
    return first, customer.id.hex


def _cursor_of(customer: Customer, order: CustomerOrder) -> str:
    return json.dumps([order, *_sort_key(customer, order)], ensure_ascii=False)


def _parse_cursor(cursor: str, order: CustomerOrder) -> tuple[str, str]:
    try:
        stated, first, identifier = json.loads(cursor)
    except (ValueError, TypeError):
        stated, first, identifier = "", "", ""
    if stated != order or not isinstance(first, str) or not isinstance(identifier, str):
        raise InvalidInputError(Fault("cursor", "is not a cursor of this list"))
    return first, identifier
