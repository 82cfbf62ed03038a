"""Tenant scope, in one place: a transaction that shows a caller only the records in its scope.

Routes, pages, exports and streams all get their transaction from here. Records outside the scope seem not to exist:
lookups return None, so that an object of another customer and a missing object give the same response. A method that is
not defined here cannot be called with a limited scope: deny by default.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NoReturn
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.customer.erasure import ErasureOrder
from notifications.customer.records import AgreementBinding, Contact, Customer, ProfileVersion
from notifications.delivery.acknowledgement import Acknowledgement, NoticeOpening
from notifications.delivery.call_task import CallTask
from notifications.delivery.delivery import ChannelPause, Delivery, DeliveryAttempt
from notifications.delivery.escalation import Escalation
from notifications.delivery.reachability import ReachabilityCheck
from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret
from notifications.errors import Fault, GreffierError, InvalidInputError, NotFoundError
from notifications.incident import Incident, IncidentFacts
from notifications.mail.bounce_record import Bounce
from notifications.notice import Notice, NoticeState
from notifications.notice.seal import SealedNotice
from notifications.ports import InboxItem, Page, SequencedEntry, StoredDecision, StoredResponse, TimestampedCheckpoint
from service.auth.caller import Scope
from service.ports.accounts import (
    CUSTOMER_ROLES,
    Account,
    ApiToken,
    Grant,
    Link,
    Passkey,
    Password,
    Session,
    Throttle,
    Totp,
)
from service.ports.alerts_and_mail import ServiceMail
from service.ports.figures import StoreFigures
from service.ports.store import AccessTransaction


class OutOfScopeError(GreffierError):
    """Code with a limited scope called a method that is not available there. This is a defect of the code."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is not available under a limited scope")


def within(tx: AccessTransaction, scope: Scope) -> AccessTransaction:
    """Return the transaction limited to a scope; for an unlimited scope, the transaction itself."""
    if scope.is_unlimited:
        return tx
    limited: AccessTransaction = _ScopedTransaction(tx, scope)
    return limited


class _ScopedTransaction:
    """A transaction within one scope. Methods of ``AccessTransaction`` missing here raise OutOfScopeError."""

    def __init__(self, tx: AccessTransaction, scope: Scope) -> None:
        self._tx, self._scope = tx, scope

    def __getattr__(self, name: str) -> NoReturn:
        raise OutOfScopeError(name)

    # -- needed by every change; a stored response has a key that begins with its actor
    def append_audit(self, entries: Iterable[AuditEntry]) -> None:
        self._tx.append_audit(entries)

    def stored_response(self, key: str) -> StoredResponse | None:
        return self._tx.stored_response(key)

    def store_response(self, key: str, response: StoredResponse, at: datetime) -> None:
        self._tx.store_response(key, response, at)

    # -- customers
    def customer_pseudonym(self, customer_id: UUID) -> str:
        self._must_cover(customer_id)
        return self._tx.customer_pseudonym(customer_id)

    def customer(self, customer_id: UUID) -> Customer | None:
        return self._tx.customer(customer_id) if self._scope.covers_customer(customer_id) else None

    def customers(self, page: Page) -> tuple[list[Customer], str | None]:
        """Return every customer in the scope on one page; they are few, so the page's limit is ignored."""
        if self._scope.customer_ids is None:
            return self._tx.customers(page)
        if page.cursor is not None:
            raise InvalidInputError(Fault("cursor", "is not a cursor of this list"))
        found = (self._tx.customer(customer_id) for customer_id in self._scope.customer_ids)
        return sorted((item for item in found if item is not None), key=lambda item: (item.created_at, item.id)), None

    def bindings(self, customer_id: UUID | None = None) -> Sequence[AgreementBinding]:
        return self._tx.bindings(customer_id) if self._covers_one(customer_id) else ()

    def profiles(self, customer_id: UUID | None = None) -> Sequence[ProfileVersion]:
        return self._tx.profiles(customer_id) if self._covers_one(customer_id) else ()

    def add_profile(self, profile: ProfileVersion) -> None:
        self._must_cover(profile.customer_id)
        self._tx.add_profile(profile)

    def contacts(self, customer_id: UUID) -> Sequence[Contact]:
        return self._tx.contacts(customer_id) if self._scope.covers_customer(customer_id) else ()

    def contact(self, contact_id: UUID) -> Contact | None:
        contact = self._tx.contact(contact_id)
        return contact if contact is not None and self._scope.covers_customer(contact.customer_id) else None

    def add_contact(self, contact: Contact) -> None:
        self._must_cover(contact.customer_id)
        self._tx.add_contact(contact)

    def save_contact(self, contact: Contact, expected_version: int) -> None:
        if self.contact(contact.id) is None:
            raise NotFoundError("contact", contact.id)
        self._must_cover(contact.customer_id)
        self._tx.save_contact(contact, expected_version)

    # -- notices: for a customer they exist once they are sealed
    def notice(self, notice_id: UUID) -> Notice | None:
        notice = self._tx.notice(notice_id)
        return notice if notice is not None and self._shows(notice) else None

    def notices(
        self,
        page: Page,
        *,
        incident_id: UUID | None = None,
        customer_id: UUID | None = None,
        state: str | None = None,
    ) -> tuple[list[Notice], str | None]:
        """Return a page of the notices in the scope; it may have fewer than its limit although more pages follow.

        A caller for several customers must state one: a list never mixes notices of different customers.
        """
        ids = self._scope.customer_ids
        if ids is not None and customer_id is None:
            if len(ids) > 1:
                raise InvalidInputError(Fault("customer_id", "state which of your customers is meant"))
            (customer_id,) = ids
        if customer_id is not None and not self._scope.covers_customer(customer_id):
            return [], None
        found, following = self._tx.notices(page, incident_id=incident_id, customer_id=customer_id, state=state)
        return [notice for notice in found if self._shows(notice)], following

    def notices_of_incident(self, incident_id: UUID, customer_id: UUID | None = None) -> Sequence[Notice]:
        found = self._tx.notices_of_incident(incident_id, customer_id)
        return [notice for notice in found if self._shows(notice)]

    def sealed(self, notice_id: UUID) -> SealedNotice | None:
        return None if self.notice(notice_id) is None else self._tx.sealed(notice_id)

    def sealed_entry_id(self, notice_id: UUID) -> UUID | None:
        return None if self.notice(notice_id) is None else self._tx.sealed_entry_id(notice_id)

    def deliveries(self, notice_id: UUID) -> Sequence[Delivery]:
        return () if self.notice(notice_id) is None else self._tx.deliveries(notice_id)

    def delivery(self, delivery_id: UUID) -> Delivery | None:
        delivery = self._tx.delivery(delivery_id)
        return delivery if delivery is not None and self.notice(delivery.notice_id) is not None else None

    def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._must_show(delivery.notice_id, delivery.customer_id)
        self._tx.add_deliveries(deliveries)

    def save_delivery(self, delivery: Delivery, expected_attempts: int) -> None:
        if self.delivery(delivery.id) is None:
            raise NotFoundError("delivery", delivery.id)
        self._tx.save_delivery(delivery, expected_attempts)

    def attempts(self, delivery_id: UUID) -> Sequence[DeliveryAttempt]:
        # Callers get the identifier only from ``deliveries``, and nobody can guess it.
        return self._tx.attempts(delivery_id)

    def message_sent(self, delivery_id: UUID) -> bytes | None:
        # Same reason as for ``attempts``.
        return self._tx.message_sent(delivery_id)

    def inbox(self, customer_id: UUID, page: Page) -> tuple[list[InboxItem], str | None]:
        if not self._scope.covers_customer(customer_id):
            return [], None
        items, following = self._tx.inbox(customer_id, page)
        return [item for item in items if self._scope.covers(customer_id, item.placed_at)], following

    # -- actions on notices, and bounces
    def returned_messages(self, delivery_id: UUID | None) -> Sequence[Bounce]:
        if delivery_id is None:
            self._at_provider("returned messages of no delivery")
            return self._tx.returned_messages(None)
        return () if self.delivery(delivery_id) is None else self._tx.returned_messages(delivery_id)

    def openings(self, notice_id: UUID) -> Sequence[NoticeOpening]:
        return () if self.notice(notice_id) is None else self._tx.openings(notice_id)

    def add_opening(self, opening: NoticeOpening) -> bool:
        self._must_show(opening.notice_id, opening.customer_id)
        return self._tx.add_opening(opening)

    def acknowledgements(self, notice_id: UUID) -> Sequence[Acknowledgement]:
        return () if self.notice(notice_id) is None else self._tx.acknowledgements(notice_id)

    def add_acknowledgement(self, acknowledgement: Acknowledgement) -> bool:
        self._must_show(acknowledgement.notice_id, acknowledgement.customer_id)
        return self._tx.add_acknowledgement(acknowledgement)

    def escalation(self, notice_id: UUID) -> Escalation | None:
        return None if self.notice(notice_id) is None else self._tx.escalation(notice_id)

    def save_escalation(self, escalation: Escalation, expected_version: int) -> None:
        self._must_show(escalation.notice_id, escalation.customer_id)
        self._tx.save_escalation(escalation, expected_version)

    def hasten_escalation(self, notice_id: UUID, at: datetime) -> bool:
        return self.notice(notice_id) is not None and self._tx.hasten_escalation(notice_id, at)

    def call_tasks_of_notice(self, notice_id: UUID) -> Sequence[CallTask]:
        return () if self.notice(notice_id) is None else self._tx.call_tasks_of_notice(notice_id)

    def save_call_task(self, task: CallTask, expected_version: int) -> None:
        self._must_show(task.notice_id, task.customer_id)
        self._tx.save_call_task(task, expected_version)

    # -- webhooks and checks of a customer
    def webhook_endpoints(self, customer_id: UUID | None) -> Sequence[WebhookEndpoint]:
        return self._tx.webhook_endpoints(customer_id) if self._covers_one(customer_id) else ()

    def webhook_endpoint(self, endpoint_id: UUID) -> WebhookEndpoint | None:
        endpoint = self._tx.webhook_endpoint(endpoint_id)
        return endpoint if endpoint is not None and self._scope.covers_customer(endpoint.customer_id) else None

    def add_webhook_endpoint(self, endpoint: WebhookEndpoint) -> None:
        self._must_cover(endpoint.customer_id)
        self._tx.add_webhook_endpoint(endpoint)

    def save_webhook_endpoint(self, endpoint: WebhookEndpoint, expected_version: int) -> None:
        self._must_have_endpoint(endpoint.id)
        self._must_cover(endpoint.customer_id)
        self._tx.save_webhook_endpoint(endpoint, expected_version)

    def webhook_secrets(self, endpoint_id: UUID | None) -> Sequence[WebhookSecret]:
        if endpoint_id is None:
            raise OutOfScopeError("a list over every customer")
        return () if self.webhook_endpoint(endpoint_id) is None else self._tx.webhook_secrets(endpoint_id)

    def add_webhook_secret(self, secret: WebhookSecret) -> None:
        self._must_have_endpoint(secret.endpoint_id)
        self._tx.add_webhook_secret(secret)

    def save_webhook_secret(self, secret: WebhookSecret) -> None:
        self._must_have_endpoint(secret.endpoint_id)
        if all(known.id != secret.id for known in self._tx.webhook_secrets(secret.endpoint_id)):
            raise NotFoundError("webhook secret", secret.id)
        self._tx.save_webhook_secret(secret)

    def drop_webhook_secret(self, secret_id: UUID) -> bool:
        within = (
            secret.id
            for customer_id in self._scope.customer_ids or ()
            for endpoint in self._tx.webhook_endpoints(customer_id)
            for secret in self._tx.webhook_secrets(endpoint.id)
        )
        return secret_id in within and self._tx.drop_webhook_secret(secret_id)

    def latest_reachability_checks(self, customer_id: UUID | None) -> Sequence[ReachabilityCheck]:
        return self._tx.latest_reachability_checks(customer_id) if self._covers_one(customer_id) else ()

    def erasure_order(self, customer_id: UUID) -> ErasureOrder | None:
        return self._tx.erasure_order(customer_id) if self._scope.covers_customer(customer_id) else None

    def erasure_obstacles(self, customer_id: UUID) -> dict[str, int]:
        return self._tx.erasure_obstacles(customer_id) if self._scope.covers_customer(customer_id) else {}

    # -- incidents: only for a scope at the provider, which may be limited in time
    def incident(self, incident_id: UUID) -> Incident | None:
        incident = self._tx.incident(incident_id)
        return incident if incident is not None and self._covers_incident(incident) else None

    def incidents(self, page: Page, *, state: str | None = None) -> tuple[list[Incident], str | None]:
        """Return a page of the incidents in the scope; like for ``notices`` it may have fewer than its limit."""
        self._at_provider("incidents")
        found, following = self._tx.incidents(page, state=state)
        return [incident for incident in found if self._covers_incident(incident)], following

    def facts_at(self, incident_id: UUID, version: int) -> IncidentFacts | None:
        return None if self.incident(incident_id) is None else self._tx.facts_at(incident_id, version)

    def current_decisions(self, incident_id: UUID) -> dict[UUID, StoredDecision]:
        return {} if self.incident(incident_id) is None else self._tx.current_decisions(incident_id)

    def decisions(
        self, incident_id: UUID, page: Page, *, verdict: str | None = None
    ) -> tuple[list[StoredDecision], str | None]:
        return (
            ([], None) if self.incident(incident_id) is None else self._tx.decisions(incident_id, page, verdict=verdict)
        )

    # -- the log: hashes for everybody; entries about a customer for that customer
    def log_size(self) -> int:
        return self._tx.log_size()

    def log_checkpoint(self) -> bytes | None:
        return self._tx.log_checkpoint()

    def cosignatures(self, size: int) -> Sequence[str]:
        return self._tx.cosignatures(size)

    def stamped_checkpoint(self, size: int | None = None) -> TimestampedCheckpoint | None:
        return self._tx.stamped_checkpoint(size)

    def stamped_sizes(self) -> Sequence[int]:
        return self._tx.stamped_sizes()

    def log_node_hashes(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        return self._tx.log_node_hashes(wanted)

    def log_entries(self, start: int, limit: int) -> Sequence[SequencedEntry]:
        return [entry for entry in self._tx.log_entries(start, limit) if self._shows_entry(entry)]

    def log_entries_about(self, kind: str, identifier: str, page: Page) -> tuple[list[SequencedEntry], str | None]:
        found, following = self._tx.log_entries_about(kind, identifier, page)
        return [entry for entry in found if self._shows_entry(entry)], following

    def log_entry(self, entry_id: UUID) -> SequencedEntry | None:
        entry = self._tx.log_entry(entry_id)
        return entry if entry is not None and self._shows_entry(entry) else None

    def entry_openings(self, entry_id: UUID) -> dict[str, tuple[bytes, bytes]]:
        return {} if self.log_entry(entry_id) is None else self._tx.entry_openings(entry_id)

    # -- members of a customer, managed by its manager
    def grants_at(self, customer_id: UUID) -> Sequence[Grant]:
        if not self._scope.covers_customer(customer_id):
            return ()
        return [grant for grant in self._tx.grants_at(customer_id) if grant.role in CUSTOMER_ROLES]

    def account(self, account_id: UUID) -> Account | None:
        """Return an account: at the provider any account, else one with a role for a customer in the scope."""
        if self._scope.at_provider:
            return self._tx.account(account_id)
        held = any(
            grant.customer_id is not None and self._scope.covers_customer(grant.customer_id)
            for grant in self._tx.grants(account_id)
        )
        return self._tx.account(account_id) if held else None

    def accounts(self, page: Page) -> tuple[list[Account], str | None]:
        self._at_provider("accounts")
        return self._tx.accounts(page)

    def grants(self, account_id: UUID) -> Sequence[Grant]:
        self._at_provider("grants")
        return self._tx.grants(account_id)

    def sessions(self, account_id: UUID) -> Sequence[Session]:
        self._at_provider("sessions")
        return self._tx.sessions(account_id)

    def tokens(self, account_id: UUID) -> Sequence[ApiToken]:
        self._at_provider("tokens")
        return self._tx.tokens(account_id)

    def password(self, account_id: UUID) -> Password | None:
        self._at_provider("password")
        return self._tx.password(account_id)

    def totp(self, account_id: UUID) -> Totp | None:
        self._at_provider("totp")
        return self._tx.totp(account_id)

    def passkeys(self, account_id: UUID) -> Sequence[Passkey]:
        self._at_provider("passkeys")
        return self._tx.passkeys(account_id)

    def account_by_email(self, email: str) -> Account | None:
        # The inviting person enters the address. The code of the invitation decides what it reveals about the account.
        return self._tx.account_by_email(email)

    def add_account(self, account: Account) -> None:
        # An account without a grant has no permission, so only the grant is checked.
        self._tx.add_account(account)

    def add_grant(self, grant: Grant) -> None:
        if grant.role not in CUSTOMER_ROLES or grant.customer_id is None:
            raise OutOfScopeError("a grant of another role")
        self._must_cover(grant.customer_id)
        self._tx.add_grant(grant)

    def remove_grant(self, grant_id: UUID) -> None:
        known = self._scope.customer_ids or ()
        if all(grant.id != grant_id for customer_id in known for grant in self.grants_at(customer_id)):
            raise NotFoundError("grant", grant_id)
        self._tx.remove_grant(grant_id)

    # -- figures of the service, for the provider
    def channel_pauses(self) -> Sequence[ChannelPause]:
        self._at_provider("channel_pauses")
        return self._tx.channel_pauses()

    def store_figures(self, now: datetime) -> StoreFigures:
        self._at_provider("store_figures")
        return self._tx.store_figures(now)

    # -- links and mails that a change in the scope causes
    def add_link(self, link: Link) -> None:
        self._tx.add_link(link)

    def drop_links(self, purpose: str, subject_id: UUID) -> None:
        if self.contact(subject_id) is None:
            raise NotFoundError("contact", subject_id)
        self._tx.drop_links(purpose, subject_id)

    def throttle(self, key: bytes) -> Throttle | None:
        return self._tx.throttle(key)

    def save_throttle(self, throttle: Throttle) -> None:
        self._tx.save_throttle(throttle)

    def add_service_mail(self, mail: ServiceMail) -> None:
        self._tx.add_service_mail(mail)

    # -- checks of the scope
    def _must_show(self, notice_id: UUID, customer_id: UUID) -> None:
        notice = self.notice(notice_id)
        if notice is None or notice.customer_id != customer_id:
            raise NotFoundError("notice", notice_id)

    def _must_have_endpoint(self, endpoint_id: UUID) -> None:
        if self.webhook_endpoint(endpoint_id) is None:
            raise NotFoundError("webhook endpoint", endpoint_id)

    def _must_cover(self, customer_id: UUID) -> None:
        if not self._scope.covers_customer(customer_id):
            raise NotFoundError("customer", customer_id)

    def _covers_one(self, customer_id: UUID | None) -> bool:
        if customer_id is None:
            raise OutOfScopeError("a list over every customer")
        return self._scope.covers_customer(customer_id)

    def _at_provider(self, name: str) -> None:
        if not self._scope.at_provider:
            raise OutOfScopeError(name)

    def _covers_incident(self, incident: Incident) -> bool:
        return self._scope.covers(None, incident.opened_at, served=False)

    def _shows(self, notice: Notice) -> bool:
        """Return whether a notice is in the scope: by its creation time and, for a customer, only once it is sealed."""
        served = notice.state is NoticeState.SEALED
        return self._scope.covers(notice.customer_id, notice.created_at, served=served)

    def _shows_entry(self, entry: SequencedEntry) -> bool:
        """Return whether an entry is in the scope: every entry of the period at the provider, else by its customer."""
        leaf = json.loads(entry.leaf)
        at = datetime.fromisoformat(leaf["at"])
        if self._scope.covers(None, at, served=False):
            return True
        named = leaf["subjects"].get("customer")
        return any(
            named == self._tx.customer_pseudonym(customer_id)
            and self._scope.covers(customer_id, at)
            and self._was_told(customer_id, leaf["subjects"])
            for customer_id in self._scope.customer_ids or ()
        )

    def _was_told(self, customer_id: UUID, subjects: dict[str, str]) -> bool:
        """Return whether the customer was served the entry's notice or incident; it must not see other ones."""
        if "notice" in subjects:
            return self.notice(UUID(subjects["notice"])) is not None
        if "incident" not in subjects:
            return True
        sealed, _ = self._tx.notices(
            Page(1),
            incident_id=UUID(subjects["incident"]),
            customer_id=customer_id,
            state=NoticeState.SEALED.value,
        )
        return bool(sealed)
