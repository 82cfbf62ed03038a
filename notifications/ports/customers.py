"""Customers: their agreements, contacts and profiles, and whether they can be reached."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from notifications.customer.records import AgreementBinding, Contact, Customer, ProfileVersion
from notifications.delivery.reachability import ReachabilityCheck
from notifications.ports.paging import Page


class CustomerRepository(Protocol):
    """Customers with their agreements, contacts, profiles and checks."""

    def add(self, customer: Customer, pseudonym_salt: bytes) -> None:
        """Store a new customer and the salt of its pseudonym."""
        ...

    def add_all(self, customers: Sequence[tuple[Customer, bytes]]) -> None:
        """Store new customers, each with the salt of its pseudonym, in a few statements."""
        ...

    def get(self, customer_id: UUID) -> Customer | None:
        """Return the customer."""
        ...

    def require(self, customer_id: UUID) -> Customer:
        """Return the customer; raises NotFoundError where there is none."""
        ...

    def save(self, customer: Customer, expected_version: int) -> None:
        """Replace the customer; ``Transaction`` has the rule for versions."""
        ...

    def page(self, page: Page) -> tuple[list[Customer], str | None]:
        """Return a page of customers, oldest first."""
        ...

    def all(self) -> Sequence[Customer]:
        """Return every customer, oldest first, with one query, because every decision reads them all."""
        ...

    def some(self, customer_ids: Collection[UUID]) -> Sequence[Customer]:
        """Return the customers with these ids, by name, in one statement; an id without a customer gives none."""
        ...

    def load(self, customer_ids: Collection[UUID]) -> None:
        """Read these customers with their contacts, bindings, profiles and pseudonyms, with few statements.

        Later look-ups of them in this unit of work cost no statement. They return the same as without it, because a
        change in this unit of work makes it forget what it read.
        """
        ...

    def pseudonym(self, customer_id: UUID) -> str:
        """Return the customer's pseudonym in the log: SHA-256 in hex, salted with the customer's own salt."""
        ...

    def by_pseudonyms(self, pseudonyms: Collection[str]) -> dict[str, Customer]:
        """Return the customers by their pseudonyms in the log, with one query; erased ones are missing."""
        ...

    def named(self, part: str, limit: int) -> Sequence[Customer]:
        """Return at most ``limit`` customers whose name contains a text, in any case, oldest first."""
        ...

    def salt(self, customer_id: UUID) -> bytes:
        """Return the 32-byte salt of the customer's pseudonym; raises NotFoundError."""
        ...

    def add_binding(self, binding: AgreementBinding) -> None:
        """Record an agreement binding. A binding is never changed."""
        ...

    def add_bindings(self, bindings: Sequence[AgreementBinding]) -> None:
        """Record agreement bindings in this order, in a few statements."""
        ...

    def bindings(self, customer_id: UUID | None = None) -> Sequence[AgreementBinding]:
        """Return the bindings of one customer, or (None) of all customers with one query."""
        ...

    def add_contact(self, contact: Contact) -> None:
        """Store a new contact."""
        ...

    def add_contacts(self, contacts: Sequence[Contact]) -> None:
        """Store new contacts in a few statements."""
        ...

    def contact(self, contact_id: UUID) -> Contact | None:
        """Return the contact."""
        ...

    def require_contact(self, contact_id: UUID) -> Contact:
        """Return the contact; raises NotFoundError where there is none."""
        ...

    def save_contact(self, contact: Contact, expected_version: int) -> None:
        """Replace the contact; ``Transaction`` has the rule for versions."""
        ...

    def contacts(self, customer_id: UUID) -> Sequence[Contact]:
        """Return the contacts of one customer, sorted by ``order``, then by creation."""
        ...

    def contacts_of(self, customer_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Contact]]:
        """Return the contacts of some customers, each sorted as by ``contacts``; a customer without one is missing."""
        ...

    def reached(self, customer_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return those of these customers that have an active contact, in one statement."""
        ...

    def add_profile(self, profile: ProfileVersion) -> None:
        """Record a profile version. A version is never changed; a later version replaces it."""
        ...

    def profiles(self, customer_id: UUID | None = None) -> Sequence[ProfileVersion]:
        """Return the profile versions of one customer, or (None) of all with one query, sorted by version."""
        ...

    def add_reachability_checks(self, checks: Sequence[ReachabilityCheck]) -> None:
        """Record the results of reachability checks."""
        ...

    def latest_reachability_checks(self, customer_id: UUID | None) -> Sequence[ReachabilityCheck]:
        """Return the latest check of each subject, of one customer or (None) of all, oldest first."""
        ...
