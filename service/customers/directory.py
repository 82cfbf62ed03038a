"""The list of customers as a person looks through it: by name, agreement in force, state and reach."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
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

    ``at_provider``: whether the transaction shows every customer. Then the number of statements does not grow with the
    number of customers: the directory is read as every decision reads it, and compared here, because the engines
    compare letters outside ASCII differently. A caller from elsewhere has few customers, which are read one by one.
    """
    listed = (
        _all(tx, now)
        if at_provider
        else [listed_customer(tx, item, now) for item in tx.customers.page(Page(page.limit))[0]]
    )
    matching = [item for item in listed if _matches(item, wanted)]
    if order is CustomerOrder.NAME:
        matching.sort(key=lambda item: _sort_key(item.customer, order))
    rest = matching if page.cursor is None else _after(matching, _parse_cursor(page.cursor, order), order)
    shown = rest[: page.limit]
    following = _cursor_of(shown[-1].customer, order) if len(rest) > page.limit else None
    return FoundCustomers(shown, following, len(matching))


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


def _all(tx: AccessTransaction, now: datetime) -> Sequence[ListedCustomer]:
    bindings: dict[UUID, list[AgreementBinding]] = {}
    for binding in tx.customers.bindings():
        bindings.setdefault(binding.customer_id, []).append(binding)
    without_contact = frozenset(tx.alerts.customers_without_contact(_ALL))
    ordered = frozenset(order.customer_id for order in tx.erasures.orders(_ALL))
    return [
        _one(
            customer,
            bindings.get(customer.id, ()),
            now,
            is_unreachable=customer.id in without_contact,
            is_ordered=customer.id in ordered,
        )
        for customer in tx.customers.all()
    ]


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
    in_force = None if item.in_force is None else item.in_force.agreement_id
    if wanted.agreement_id is not None and in_force != wanted.agreement_id:
        return False
    sought = wanted.text.strip()
    return folded(sought) in _folded_name(item.customer.name) or sought.lower() == str(item.customer.id)


#: A name is folded once, not at each look at the list.
_folded_name = lru_cache(maxsize=50_000)(folded)


def _sort_key(customer: Customer, order: CustomerOrder) -> tuple[str, str]:
    by_name = order is CustomerOrder.NAME
    first = _folded_name(customer.name)[:_SORTED_CHARACTERS] if by_name else customer.created_at.isoformat()
    return first, customer.id.hex


def _after(matching: Sequence[ListedCustomer], last: tuple[str, str], order: CustomerOrder) -> Sequence[ListedCustomer]:
    """Return what follows the last customer of a page; where that one is gone, what is sorted behind it."""
    for position, item in enumerate(matching):
        if _sort_key(item.customer, order) == last:
            return matching[position + 1 :]
    return [item for item in matching if _sort_key(item.customer, order)[0] > last[0]]


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
