"""New customers with their contacts, written some thousand at a time: the same records and entries as one by one."""

from datetime import date, datetime
from uuid import UUID

from notifications.audit.entry import AuditEntry, pseudonym
from notifications.customer.records import AgreementBinding, Contact, Customer
from notifications.ports import Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.customer_entries import (
    ContactDraft,
    CustomerDraft,
    bound_entry,
    contact_entries,
    customer_entry,
    new_contact,
    new_customer,
)
from notifications.use_cases.customers.manage_customers import local_day, verify_terms
from notifications.use_cases.incidents.customer_decider import Agreements

#: Entries that are written together, which limits the memory of a large import.
_ENTRIES_AT_ONCE = 4096


class NewCustomers:
    """Collects new customers, their bindings and contacts, and the entries about them, in order, until ``write``."""

    def __init__(self, tx: Transaction, act: AuditContext, agreements: Agreements) -> None:
        self._tx, self._act, self._agreements = tx, act, agreements
        self._pseudonyms: dict[UUID, str] = {}
        self._verified: set[tuple[str, date, str | None, tuple[str, ...] | None]] = set()
        self.discard()

    def register(
        self,
        draft: CustomerDraft,
        agreement_id: str,
        effective_at: datetime,
        dpa_id: str | None,
        products: tuple[str, ...] | None,
    ) -> UUID:
        """Add a customer with its agreement, as ``register_customer`` does; raises InvalidInputError."""
        day = local_day(effective_at, draft.time_zone)
        terms = (agreement_id, day, dpa_id, products)
        if terms not in self._verified:
            verify_terms(self._agreements.named(agreement_id), day, dpa_id, products, self._agreements)
            self._verified.add(terms)
        customer, salt = new_customer(self._act, draft), self._act.identifiers.new_salt()
        ordered = None if products is None else tuple(sorted(products))
        binding = AgreementBinding(customer.id, agreement_id, effective_at, self._act.now, dpa_id, ordered)
        name = self._pseudonyms[customer.id] = pseudonym(salt, customer.id)
        self._customers.append((customer, salt))
        self._bindings.append(binding)
        self._entries.append(customer_entry(self._act, name, "customer.registered", customer))
        self._entries.append(bound_entry(self._act, name, binding))
        return customer.id

    def add_contact(self, customer_id: UUID, draft: ContactDraft) -> None:
        """Add a contact; raises InvalidInputError for its certificate.

        NOT checked here: whether the customer has another active contact with this address.
        """
        contact = new_contact(self._act, customer_id, draft)
        name = self._pseudonyms.get(customer_id) or self._tx.customers.pseudonym(customer_id)
        self._contacts.append(contact)
        self._entries += contact_entries(self._act, name, None, contact)

    def write_if_many(self) -> None:
        """Write what was collected if it is enough for a batch."""
        if len(self._entries) >= _ENTRIES_AT_ONCE:
            self.write()

    def write(self) -> None:
        """Write what was collected."""
        if self._customers:
            self._tx.customers.add_all(self._customers)
            self._tx.customers.add_bindings(self._bindings)
        if self._contacts:
            self._tx.customers.add_contacts(self._contacts)
        if self._entries:
            self._tx.audit.append(self._entries)
        self.discard()

    def discard(self) -> None:
        """Forget what was collected and not written."""
        self._customers: list[tuple[Customer, bytes]] = []
        self._bindings: list[AgreementBinding] = []
        self._contacts: list[Contact] = []
        self._entries: list[AuditEntry] = []
