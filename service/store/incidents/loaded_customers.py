"""Customers that a unit of work read ahead: many with few statements, for work on many notices at once."""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select

from notifications.audit.entry import pseudonym
from notifications.customer.records import AgreementBinding, Contact, Customer, ProfileVersion
from service.store.incidents.contacts import CONTACT, CUSTOMERS_AT_ONCE, IN_ORDER, ContactRecords, contact_of_row
from service.store.incidents.customers import (
    BINDING,
    PROFILE,
    CustomerRecords,
    binding_of_row,
    profile_of_row,
)
from service.store.sql.session import Session
from service.store.sql.statements import among
from service.store.tables import AgreementBindingRow, ContactRow, CustomerSaltRow, ProfileRow, table

_contacts, _salts = table(ContactRow).c, table(CustomerSaltRow).c
_bindings, _profiles = table(AgreementBindingRow).c, table(ProfileRow).c

_CONTACTS = select(*CONTACT).order_by(*IN_ORDER)
_BINDINGS = select(*BINDING).order_by(_bindings.position)
_PROFILES = select(*PROFILE).order_by(_profiles.version)
_SALTS = select(_salts.customer_id, _salts.salt)


class LoadedCustomers(CustomerRecords, ContactRecords):
    """Customers and contacts. Of those that were loaded, look-ups cost no statement until one of them is changed."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._customers: dict[UUID, Customer] = {}
        self._pseudonyms: dict[UUID, str] = {}
        self._contacts: dict[UUID, list[Contact]] = {}
        self._bindings: dict[UUID, list[AgreementBinding]] = {}
        self._profiles: dict[UUID, list[ProfileVersion]] = {}

    def load(self, customer_ids: Collection[UUID]) -> None:
        """Read these customers with their contacts, bindings, profiles and pseudonyms."""
        wanted = [each for each in customer_ids if each not in self._customers]
        for start in range(0, len(wanted), CUSTOMERS_AT_ONCE):
            self._load(wanted[start : start + CUSTOMERS_AT_ONCE])

    def _load(self, wanted: Sequence[UUID]) -> None:
        keys, count = [each.bytes for each in wanted], len(wanted)
        self._customers |= {customer.id: customer for customer in self.some(wanted)}
        for key, salt in self._session.all(among(_SALTS, _salts.customer_id, count), keys):
            self._pseudonyms[UUID(bytes=key)] = pseudonym(salt, UUID(bytes=key))
        for each in wanted:
            self._contacts[each], self._bindings[each], self._profiles[each] = [], [], []
        for row in self._session.all(among(_CONTACTS, _contacts.customer_id, count), keys):
            contact = contact_of_row(*row)
            self._contacts[contact.customer_id].append(contact)
        for row in self._session.all(among(_BINDINGS, _bindings.customer_id, count), keys):
            binding = binding_of_row(row)
            self._bindings[binding.customer_id].append(binding)
        for row in self._session.all(among(_PROFILES, _profiles.customer_id, count), keys):
            profile = profile_of_row(row)
            self._profiles[profile.customer_id].append(profile)

    def get(self, customer_id: UUID) -> Customer | None:
        """Return the customer."""
        return self._customers.get(customer_id) or super().get(customer_id)

    def pseudonym(self, customer_id: UUID) -> str:
        """Return the customer's pseudonym in the log; raises NotFoundError where there is no salt."""
        return self._pseudonyms.get(customer_id) or super().pseudonym(customer_id)

    def contacts(self, customer_id: UUID) -> Sequence[Contact]:
        """Return the contacts of one customer, by ``order`` then creation."""
        known = self._contacts.get(customer_id)
        return super().contacts(customer_id) if known is None else known

    def bindings(self, customer_id: UUID | None = None) -> Sequence[AgreementBinding]:
        """Return the bindings of one customer, or of all, as recorded."""
        known = None if customer_id is None else self._bindings.get(customer_id)
        return super().bindings(customer_id) if known is None else known

    def profiles(self, customer_id: UUID | None = None) -> Sequence[ProfileVersion]:
        """Return the profile versions of one customer, or of all, by version."""
        known = None if customer_id is None else self._profiles.get(customer_id)
        return super().profiles(customer_id) if known is None else known

    def _changed(self, kind: str) -> None:
        super()._changed(kind)
        for known in (self._customers, self._pseudonyms, self._contacts, self._bindings, self._profiles):
            known.clear()
