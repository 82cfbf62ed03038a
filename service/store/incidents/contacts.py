"""Contacts of customers."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select

from notifications.customer.records import Contact, ContactRole, MailContent
from notifications.errors import required
from service.store.search.documents import SearchDocuments
from service.store.sql.encoding import (
    from_microseconds,
    from_optional_microseconds,
    to_microseconds,
    to_optional_microseconds,
)
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text, insert_of
from service.store.tables import ContactRow, table

_contacts = table(ContactRow).c
#: Number of customers in one statement; both engines take more than twice as many parameters.
CUSTOMERS_AT_ONCE = 500

#: The columns of a contact, in the order of its fields; also read together with a due delivery.
CONTACT = (
    _contacts.id, _contacts.customer_id, _contacts.name, _contacts.role, _contacts.email, _contacts.language,
    _contacts.order, _contacts.active, _contacts.created_at, _contacts.version, _contacts.time_zone,
    _contacts.fallback, _contacts.mail_content, _contacts.smime_certificate, _contacts.verified_at,
    _contacts.phone, _contacts.takes_exercises,
)  # fmt: skip
_INSERT = insert_of(ContactRow)
_CONTACT_BY_ID = compiled(select(*CONTACT).where(_contacts.id == bindparam("id")), "id")
#: The order of one customer's contacts.
IN_ORDER = (_contacts.order, _contacts.position)
_CONTACTS = compiled(
    select(*CONTACT).where(_contacts.customer_id == bindparam("id")).order_by(*IN_ORDER),
    "id",
)
#: What a change of a contact may replace, in the order of its fields.
_CHANGED = [c.name for c in CONTACT if c.name not in {"id", "customer_id", "created_at", "version"}]
_ASSIGNED = ", ".join(f'"{name}" = :{name}' for name in (*_CHANGED, "version"))
_UPDATE_CONTACT = compiled_text(
    f"UPDATE contacts SET {_ASSIGNED} WHERE id = :id AND version = :expected",  # noqa: S608 - names of columns
    *(*_CHANGED, "version", "id", "expected"),
)
_CONTACT_VERSION = compiled(select(_contacts.version).where(_contacts.id == bindparam("id")), "id")


@lru_cache(maxsize=64)
def _reached(count: int) -> str:
    some = ", ".join("?" * count)
    return f"SELECT DISTINCT customer_id FROM contacts WHERE active AND customer_id IN ({some})"  # noqa: S608 - only placeholders


@lru_cache(maxsize=64)
def _contacts_of(count: int) -> str:
    listed, some = ", ".join(f'"{column.name}"' for column in CONTACT), ", ".join("?" * count)
    return f'SELECT {listed} FROM contacts WHERE customer_id IN ({some}) ORDER BY "order", position'  # noqa: S608 - names of columns


def contact_of_row(*row: Any) -> Contact:
    """Return the contact of a row, in the order of ``CONTACT``."""
    (
        id_bytes, customer_id, name, role, email, language, order, active, created_at, version,
        time_zone, fallback, mail_content, smime_certificate, verified_at, phone, takes_exercises,
    ) = row  # fmt: skip
    return Contact(
        UUID(bytes=id_bytes),
        UUID(bytes=customer_id),
        name,
        ContactRole(role),
        email,
        language,
        order,
        bool(active),
        from_microseconds(created_at),
        version,
        time_zone,
        bool(fallback),
        MailContent(mail_content),
        smime_certificate,
        from_optional_microseconds(verified_at),
        phone,
        bool(takes_exercises),
    )


def _row_of_contact(contact: Contact) -> tuple[object, ...]:
    return (
        contact.id.bytes,
        contact.customer_id.bytes,
        contact.name,
        contact.role.value,
        contact.email,
        contact.language,
        contact.order,
        contact.active,
        to_microseconds(contact.created_at),
        contact.version,
        contact.time_zone,
        contact.fallback,
        contact.mail_content.value,
        contact.smime_certificate,
        to_optional_microseconds(contact.verified_at),
        contact.phone,
        contact.takes_exercises,
    )


class ContactRecords(Records):
    """Contacts."""

    def add_contact(self, contact: Contact) -> None:
        """Store a new contact."""
        self.add_contacts([contact])

    def add_contacts(self, contacts: Sequence[Contact]) -> None:
        """Store new contacts."""
        if contacts:
            self._session.execute_many(_INSERT, map(_row_of_contact, contacts))
            SearchDocuments(self._session).add_contacts(contacts)
            self._changed("customers")

    def contact(self, contact_id: UUID) -> Contact | None:
        """Return the contact."""
        row = self._session.one(_CONTACT_BY_ID, (contact_id.bytes,))
        return None if row is None else contact_of_row(*row)

    def reached(self, customer_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return those of these customers that have an active contact."""
        if not customer_ids:
            return frozenset()
        rows = self._session.all(_reached(len(customer_ids)), [each.bytes for each in customer_ids])
        return frozenset(UUID(bytes=row[0]) for row in rows)

    def require_contact(self, contact_id: UUID) -> Contact:
        """Return the contact; raises NotFoundError where there is none."""
        return required("contact", contact_id, self.contact(contact_id))

    def save_contact(self, contact: Contact, expected_version: int) -> None:
        """Replace the contact; raises VersionMismatchError."""
        row = dict(zip((column.name for column in CONTACT), _row_of_contact(contact), strict=True))
        self._replace(
            "contact",
            contact.id,
            expected_version,
            contact.version,
            _CONTACT_VERSION,
            _UPDATE_CONTACT,
            tuple(row[name] for name in _CHANGED),
        )
        SearchDocuments(self._session).put_contact(contact)
        self._changed("customers")

    def contacts(self, customer_id: UUID) -> Sequence[Contact]:
        """Return the contacts of one customer, by ``order`` then creation."""
        return [contact_of_row(*row) for row in self._session.all(_CONTACTS, (customer_id.bytes,))]

    def contacts_of(self, customer_ids: Collection[UUID]) -> Mapping[UUID, Sequence[Contact]]:
        """Return the contacts of some customers, each sorted as by ``contacts``; a customer without one is missing."""
        found: dict[UUID, list[Contact]] = {}
        asked = list(customer_ids)
        for start in range(0, len(asked), CUSTOMERS_AT_ONCE):
            some = [each.bytes for each in asked[start : start + CUSTOMERS_AT_ONCE]]
            for row in self._session.all(_contacts_of(len(some)), some):
                contact = contact_of_row(*row)
                found.setdefault(contact.customer_id, []).append(contact)
        return found
