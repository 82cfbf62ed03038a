"""Customers within a scope, and what belongs to them."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from notifications.customer.erasure import ErasureOrder
from notifications.customer.records import AgreementBinding, Contact, Customer, ProfileVersion
from notifications.delivery.reachability import ReachabilityCheck
from notifications.errors import Fault, InvalidInputError, required
from notifications.ports import Page
from service.auth.scope.visibility import ScopedRepository


class ScopedCustomers(ScopedRepository):
    """The customers within."""

    _name = "customers"

    def pseudonym(self, customer_id: UUID) -> str:
        self._verify_customer(customer_id)
        return self._tx.customers.pseudonym(customer_id)

    def salt(self, customer_id: UUID) -> bytes:
        self._verify_customer(customer_id)
        return self._tx.customers.salt(customer_id)

    def get(self, customer_id: UUID) -> Customer | None:
        return self._tx.customers.get(customer_id) if self._scope.covers_customer(customer_id) else None

    def require(self, customer_id: UUID) -> Customer:
        return required("customer", customer_id, self.get(customer_id))

    def some(self, customer_ids: Collection[UUID]) -> Sequence[Customer]:
        return self._tx.customers.some([each for each in customer_ids if self._scope.covers_customer(each)])

    def page(self, page: Page) -> tuple[list[Customer], str | None]:
        """Return every customer within the scope; few enough for one page, whatever its limit."""
        if self._scope.customer_ids is None:
            return self._tx.customers.page(page)
        if page.cursor is not None:
            raise InvalidInputError(Fault("cursor", "is not a cursor of this list"))
        found = (self._tx.customers.get(customer_id) for customer_id in self._scope.customer_ids)
        return sorted((item for item in found if item is not None), key=lambda item: (item.created_at, item.id)), None

    def all(self) -> Sequence[Customer]:
        """Return every customer, at the provider: customers have no moment, so that a period leaves none out."""
        self._verify_at_provider("all")
        return self._tx.customers.all()

    def by_pseudonyms(self, pseudonyms: Collection[str]) -> dict[str, Customer]:
        found = self._tx.customers.by_pseudonyms(pseudonyms)
        return {name: item for name, item in found.items() if self._scope.covers_customer(item.id)}

    def named(self, part: str, limit: int) -> Sequence[Customer]:
        if self._scope.customer_ids is None:
            return self._tx.customers.named(part, limit)
        own, _ = self.page(Page(limit))
        return [item for item in own if part.casefold() in item.name.casefold()][:limit]

    def bindings(self, customer_id: UUID | None = None) -> Sequence[AgreementBinding]:
        if customer_id is None:
            self._verify_at_provider("bindings")
            return self._tx.customers.bindings()
        return self._tx.customers.bindings(customer_id) if self._covers_one(customer_id) else ()

    def profiles(self, customer_id: UUID | None = None) -> Sequence[ProfileVersion]:
        return self._tx.customers.profiles(customer_id) if self._covers_one(customer_id) else ()

    def add_profile(self, profile: ProfileVersion) -> None:
        self._verify_customer(profile.customer_id)
        self._tx.customers.add_profile(profile)

    def contacts(self, customer_id: UUID) -> Sequence[Contact]:
        return self._tx.customers.contacts(customer_id) if self._scope.covers_customer(customer_id) else ()

    def contacts_of(self, customer_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Contact]]:
        return self._tx.customers.contacts_of([each for each in customer_ids if self._scope.covers_customer(each)])

    def reached(self, customer_ids: Collection[UUID]) -> frozenset[UUID]:
        return self._tx.customers.reached([each for each in customer_ids if self._scope.covers_customer(each)])

    def contact(self, contact_id: UUID) -> Contact | None:
        contact = self._tx.customers.contact(contact_id)
        return contact if contact is not None and self._scope.covers_customer(contact.customer_id) else None

    def require_contact(self, contact_id: UUID) -> Contact:
        return required("contact", contact_id, self.contact(contact_id))

    def add_contact(self, contact: Contact) -> None:
        self._verify_customer(contact.customer_id)
        self._tx.customers.add_contact(contact)

    def add_contacts(self, contacts: Sequence[Contact]) -> None:
        for customer_id in {contact.customer_id for contact in contacts}:
            self._verify_customer(customer_id)
        self._tx.customers.add_contacts(contacts)

    def save_contact(self, contact: Contact, expected_version: int) -> None:
        self.require_contact(contact.id)
        self._verify_customer(contact.customer_id)
        self._tx.customers.save_contact(contact, expected_version)

    def add_reachability_checks(self, checks: Sequence[ReachabilityCheck]) -> None:
        self._verify_at_provider("add_reachability_checks")
        for check in checks:
            self._verify_customer(check.customer_id)
        self._tx.customers.add_reachability_checks(checks)

    def latest_reachability_checks(self, customer_id: UUID | None) -> Sequence[ReachabilityCheck]:
        return self._tx.customers.latest_reachability_checks(customer_id) if self._covers_one(customer_id) else ()


class ScopedErasures(ScopedRepository):
    """The orders to erase a customer within."""

    _name = "erasures"

    def order(self, customer_id: UUID) -> ErasureOrder | None:
        return self._tx.erasures.order(customer_id) if self._scope.covers_customer(customer_id) else None

    def orders(self, limit: int) -> Sequence[ErasureOrder]:
        self._verify_at_provider("orders")
        return self._tx.erasures.orders(limit)

    def obstacles(self, customer_id: UUID) -> dict[str, int]:
        # They count drafts, which do not exist for a customer.
        return self._tx.erasures.obstacles(customer_id) if self._scope.at_provider else {}
