"""Documents of the full-text index: what each kind of thing is found by, and what a result shows of it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select

from notifications.customer.records import Contact, Customer
from notifications.incident import AffectedCustomer, Incident, LocalizedText
from notifications.notice.seal import SealedNotice
from service.store.search.terms import indexed_terms, kind_facet
from service.store.sql.encoding import to_microseconds
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text
from service.store.tables import NoticeRow, SearchDocumentRow, table

_documents, _notices = table(SearchDocumentRow).c, table(NoticeRow).c

_INSERT = (
    "INSERT INTO search_documents (kind, subject_id, customer_id, at, shown, terms) VALUES (?, ?, ?, ?, ?, ?)"
    " RETURNING position, kind, terms"
)
_OF_SUBJECT = compiled(
    select(_documents.position, _documents.customer_id, _documents.shown, _documents.terms).where(
        _documents.subject_id == bindparam("subject_id"), _documents.kind == bindparam("kind")
    ),
    "subject_id",
    "kind",
)
_OF_CUSTOMER = compiled(
    select(_documents.kind, _documents.position, _documents.terms).where(
        _documents.customer_id == bindparam("customer_id")
    ),
    "customer_id",
)
_UPDATE = compiled_text(
    "UPDATE search_documents SET shown = :shown, terms = :terms WHERE position = :position",
    "shown", "terms", "position",
)  # fmt: skip
_DELETE = compiled_text("DELETE FROM search_documents WHERE position = :position", "position")
_NOTICE = compiled(
    select(_notices.customer_id, _notices.created_at, _notices.sequence, _notices.kind).where(
        _notices.id == bindparam("id")
    ),
    "id",
)

#: The parts of a sealed document in which somebody wrote words.
_WORDED = (
    "ticket", "title", "what_happened", "effect", "measures_taken", "recommendations", "not_known_yet", "personal_data",
)  # fmt: skip

#: What is shown of a document, and its texts.
_Document = tuple[Mapping[str, Any], Iterable[str]]
#: The documents of one subject by customer; None: of no single one.
_Documents = Mapping[UUID | None, _Document]
#: A document that is not stored yet: kind, subject, customer, time, what is shown, terms.
_NewDocument = tuple[str, bytes, bytes | None, int, str, str]


class SearchDocuments(Records):
    """Writes the documents; the repositories call it with everything that they write."""

    def put_incident(self, incident: Incident) -> None:
        """Index an incident, and apart from it what its facts state of single customers."""
        facts, at = incident.facts, to_microseconds(incident.opened_at)
        shown = {"ticket": incident.ticket, "title": facts.title.as_mapping()}
        shared = (
            incident.ticket, *_texts(facts.title), *_texts(facts.summary), *_texts(facts.measures_taken),
            *_texts(facts.recommendations), *_texts(facts.not_known_yet), *facts.services, *facts.regions,
            *facts.availability_zones,
        )  # fmt: skip
        self._put("incident", incident.id, at, {None: (shown | {"state": incident.state.value}, shared)})
        effects: dict[UUID | None, tuple[dict[str, Any], Iterable[str]]] = {
            stated.customer_id: (shown, texts) for stated in facts.affected_customers if (texts := _said(stated))
        }
        self._put("effect", incident.id, at, effects)

    def put_customer(self, customer: Customer) -> None:
        """Index a customer."""
        self._put("customer", customer.id, to_microseconds(customer.created_at), {customer.id: _of_customer(customer)})

    def add_customers(self, customers: Sequence[Customer]) -> None:
        """Index new customers."""
        self._add([
            _new("customer", each.id, each.id, each.created_at, _of_customer(each)) for each in customers
        ])  # fmt: skip

    def put_contact(self, contact: Contact) -> None:
        """Index a contact."""
        at = to_microseconds(contact.created_at)
        self._put("contact", contact.id, at, {contact.customer_id: _of_contact(contact)})

    def add_contacts(self, contacts: Sequence[Contact]) -> None:
        """Index new contacts."""
        self._add([
            _new("contact", each.id, each.customer_id, each.created_at, _of_contact(each)) for each in contacts
        ])  # fmt: skip

    def put_notice(self, sealed: SealedNotice) -> None:
        """Index a sealed notice; a draft is found only by the facts of its incident."""
        row = self._session.one(_NOTICE, (sealed.notice_id.bytes,))
        document = _object(sealed.document)
        if row is None or not document:
            return
        customer_id, created_at, sequence, kind = row
        shown = {"ticket": document.get("ticket"), "title": document.get("title"), "sequence": sequence, "kind": kind}
        texts = [text for name in _WORDED for text in _strings(document.get(name))]
        self._put("notice", sealed.notice_id, created_at, {UUID(bytes=customer_id): (shown, texts)})

    def drop_customer(self, customer_id: UUID) -> None:
        """Delete every document of a customer."""
        for kind, position, terms in self._session.all(_OF_CUSTOMER, (customer_id.bytes,)):
            self._drop(kind, position, terms)

    def _put(self, kind: str, subject_id: UUID, at: int, documents: _Documents) -> None:
        """Make these the documents of a subject; those that did not change are not written again."""
        stored = {
            None if customer is None else UUID(bytes=customer): (position, shown, terms)
            for position, customer, shown, terms in self._session.all(_OF_SUBJECT, (subject_id.bytes, kind))
        }
        for customer_id, (shown, texts) in documents.items():
            new = _content(kind, shown, texts)
            known = stored.pop(customer_id, None)
            if known is None:
                key = None if customer_id is None else customer_id.bytes
                self._add([(kind, subject_id.bytes, key, at, *new)])
            elif known[1:] != new:
                self._session.unindex_terms(kind, known[0], known[2])
                self._session.execute(_UPDATE, (*new, known[0]))
                self._session.index_terms([(kind, known[0], new[1])])
        for position, _, terms in stored.values():
            self._drop(kind, position, terms)

    def _add(self, documents: Sequence[_NewDocument]) -> None:
        written = self._session.insert_returning(_INSERT, documents)
        self._session.index_terms([(kind, position, terms) for position, kind, terms in written])

    def _drop(self, kind: str, position: int, terms: str) -> None:
        self._session.unindex_terms(kind, position, terms)
        self._session.execute(_DELETE, (position,))


_shown_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _content(kind: str, shown: Mapping[str, Any], texts: Iterable[str]) -> tuple[str, str]:
    """Return what is stored of a document: what is shown as JSON, and its terms."""
    return _shown_text(shown), indexed_terms([kind_facet(kind)], texts)


def _new(kind: str, subject_id: UUID, customer_id: UUID, at: datetime, document: _Document) -> _NewDocument:
    return kind, subject_id.bytes, customer_id.bytes, to_microseconds(at), *_content(kind, *document)


def _of_customer(customer: Customer) -> _Document:
    texts = (customer.name, *customer.services, *customer.regions, *customer.availability_zones)
    return {"name": customer.name}, texts


def _of_contact(contact: Contact) -> _Document:
    shown = {"name": contact.name, "email": contact.email, "role": contact.role.value, "active": contact.active}
    return shown, (contact.name, contact.email, contact.phone or "")


def _texts(text: LocalizedText | None) -> Iterator[str]:
    if text is not None:
        yield from (said for _, said in text.texts)


def _said(stated: AffectedCustomer) -> tuple[str, ...]:
    """Return the texts about one customer; empty where only codes are stated."""
    resources = (part for resource in stated.resources for part in (resource.id, resource.name or ""))
    return (*_texts(stated.effect), *_texts(stated.personal_data.likely_consequences), *resources)


def _object(document: bytes) -> dict[str, Any]:
    """Return a sealed document; empty for bytes of another form, which an index cannot refuse."""
    try:
        value = json.loads(document)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> Iterator[str]:
    """Yield every text in a value of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
