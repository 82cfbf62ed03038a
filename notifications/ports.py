"""Ports: what the use cases need of the outside. Each docstring is a contract that every adapter's suite tests."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from notifications.audit.entry import AuditEntry
from notifications.customer.records import AgreementBinding, Contact, Customer, ProfileVersion
from notifications.decision import Decision
from notifications.delivery.acknowledgement import Acknowledgement, NoticeOpening
from notifications.delivery.call_task import CallRecord, CallTask
from notifications.delivery.delivery import ChannelKind, ChannelPause, Delivery, DeliveryAttempt, Outcome
from notifications.delivery.escalation import Escalation
from notifications.delivery.reachability import ReachabilityCheck
from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret
from notifications.incident import Incident, IncidentFacts
from notifications.mail.bounce_record import Bounce
from notifications.notice import Notice
from notifications.notice.seal import SealedNotice, UndatedNotice

ResultT = TypeVar("ResultT")


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present as aware UTC, to the microsecond, never earlier than a value returned before."""
        ...


class Identifiers(Protocol):
    """Gives identifiers and randomness that nobody can guess."""

    def new_id(self) -> UUID:
        """Return an identifier never given before."""
        ...

    def new_salt(self) -> bytes:
        """Return 32 bytes from the system's secure random source."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is wanted."""

    #: at most so many items
    limit: int
    #: opaque position returned by the previous page, or None for the first
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """The answer that was given to a request with an idempotency key."""

    #: SHA-256 of method, path and body
    fingerprint: bytes
    status: int
    #: the response body, verbatim
    body: bytes
    #: response headers that belong to the answer: ETag, Location
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as recorded."""

    id: UUID
    incident_id: UUID
    facts_version: int
    recorded_at: datetime
    decision: Decision


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A notice placed in the customer's console."""

    notice_id: UUID
    customer_id: UUID
    placed_at: datetime


@dataclass(frozen=True, slots=True)
class SequencedEntry:
    """An entry of the log as it stands in the tree."""

    index: int
    entry_id: UUID
    #: the exact leaf bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class TimestampedCheckpoint:
    """A head of the log that a timestamp authority saw."""

    size: int
    #: the signed note that the token is over, without the lines of witnesses
    note: bytes
    #: the authority's response (RFC 3161, DER)
    token: bytes
    #: when it was obtained, by this service's clock; the authority's own time is in the token
    made_at: datetime


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """A leased delivery with what is needed to attempt it."""

    delivery: Delivery
    notice: Notice
    sealed: SealedNotice
    customer: Customer
    #: None for the console inbox and for a webhook
    contact: Contact | None
    #: Message-IDs of earlier notices of the same incident to the same contact, oldest first
    earlier_message_ids: tuple[str, ...]
    #: where a webhook goes, and every secret that signs it; None and empty for any other channel
    endpoint: WebhookEndpoint | None = None
    secrets: tuple[WebhookSecret, ...] = ()


class Transaction(Protocol):
    """One unit of work: all of it becomes durable, or none.

    Every ``add_*`` of a record whose id exists raises; lookups return None where there is nothing.
    All lists are returned in a stable order. Times come back as aware UTC, equal to what was written.
    """

    # -- audit: the only way a change is allowed to happen is beside its entry
    def append_audit(self, entries: Iterable[AuditEntry]) -> None:
        """Append entries, pending until the sequencer has put them into the tree, in the order given."""
        ...

    def customer_pseudonym(self, customer_id: UUID) -> str:
        """Return the customer's pseudonym in the log (hex SHA-256 under a salt kept with the customer)."""
        ...

    # -- idempotency
    def stored_response(self, key: str) -> StoredResponse | None:
        """Return the answer recorded under the key, or None."""
        ...

    def store_response(self, key: str, response: StoredResponse, at: datetime) -> None:
        """Record the answer under the key, in this unit of work."""
        ...

    # -- incidents
    def next_ticket_number(self, year: int) -> int:
        """Return the next number of the year, from 1, without gaps among committed units of work."""
        ...

    def add_incident(self, incident: Incident) -> None:
        """Store a new incident with version 1 of its facts."""
        ...

    def incident(self, incident_id: UUID) -> Incident | None:
        """Return the incident with the facts in force."""
        ...

    def incident_by_ticket(self, ticket: str) -> Incident | None:
        """Return the incident by its ticket number."""
        ...

    def facts_at(self, incident_id: UUID, version: int) -> IncidentFacts | None:
        """Return one version of the facts."""
        ...

    def save_incident(self, incident: Incident, expected_version: int) -> None:
        """Replace the incident and add its facts as a new version.

        Raises VersionMismatchError unless the stored version is ``expected_version``; ``incident.version`` must be
        ``expected_version + 1``.
        """
        ...

    def incidents(self, page: Page, *, state: str | None = None) -> tuple[list[Incident], str | None]:
        """Return incidents, newest first, and the cursor of the next page or None."""
        ...

    # -- customers
    def add_customer(self, customer: Customer, pseudonym_salt: bytes) -> None:
        """Store a new customer and the salt of its pseudonym."""
        ...

    def customer(self, customer_id: UUID) -> Customer | None:
        """Return the customer."""
        ...

    def save_customer(self, customer: Customer, expected_version: int) -> None:
        """Replace the customer; as ``save_incident`` for versions."""
        ...

    def customers(self, page: Page) -> tuple[list[Customer], str | None]:
        """Return customers by creation, oldest first."""
        ...

    def all_customers(self) -> Sequence[Customer]:
        """Return every customer, oldest first. Meant for deciding: one query, whatever the number."""
        ...

    def add_binding(self, binding: AgreementBinding) -> None:
        """Record an agreement binding; bindings are never changed."""
        ...

    def bindings(self, customer_id: UUID | None = None) -> Sequence[AgreementBinding]:
        """Return the bindings of one customer, or of all (one query)."""
        ...

    def add_contact(self, contact: Contact) -> None:
        """Store a new contact."""
        ...

    def contact(self, contact_id: UUID) -> Contact | None:
        """Return the contact."""
        ...

    def save_contact(self, contact: Contact, expected_version: int) -> None:
        """Replace the contact; as ``save_incident`` for versions."""
        ...

    def contacts(self, customer_id: UUID) -> Sequence[Contact]:
        """Return the contacts of one customer, by ``order`` then creation."""
        ...

    def add_profile(self, profile: ProfileVersion) -> None:
        """Record a profile version; profiles are never changed, only followed by a later version."""
        ...

    def profiles(self, customer_id: UUID | None = None) -> Sequence[ProfileVersion]:
        """Return the profile versions of one customer, or of all (one query), by version."""
        ...

    # -- decisions
    def add_decisions(self, decisions: Sequence[StoredDecision]) -> None:
        """Record decisions; decisions are never changed, only followed."""
        ...

    def current_decisions(self, incident_id: UUID) -> dict[UUID, StoredDecision]:
        """Return the latest decision per customer of an incident."""
        ...

    def decisions(
        self, incident_id: UUID, page: Page, *, verdict: str | None = None
    ) -> tuple[list[StoredDecision], str | None]:
        """Return the latest decision per customer, by customer creation, as a page."""
        ...

    # -- notices
    def add_notices(self, notices: Sequence[Notice]) -> None:
        """Store new notices."""
        ...

    def notice(self, notice_id: UUID) -> Notice | None:
        """Return the notice."""
        ...

    def save_notice(self, notice: Notice, expected_version: int) -> None:
        """Replace the notice; as ``save_incident`` for versions."""
        ...

    def notices_of_incident(self, incident_id: UUID, customer_id: UUID | None = None) -> Sequence[Notice]:
        """Return every notice of an incident, or those to one customer, by customer creation then sequence."""
        ...

    def notices(
        self,
        page: Page,
        *,
        incident_id: UUID | None = None,
        customer_id: UUID | None = None,
        state: str | None = None,
    ) -> tuple[list[Notice], str | None]:
        """Return notices, newest first."""
        ...

    def released_notices(self, limit: int) -> Sequence[Notice]:
        """Return notices that are released and not sealed yet, earliest ``due_at`` first."""
        ...

    def lease_released_notices(self, now: datetime, lease_until: datetime, limit: int) -> Sequence[Notice]:
        """Take notices that are released, not sealed yet and not leased, earliest ``due_at`` first.

        As with deliveries, a lease that ran out is free again.
        """
        ...

    def release_notice_leases(self, notice_ids: Collection[UUID]) -> None:
        """Give leases back before they run out."""
        ...

    def add_sealed(self, sealed: SealedNotice, entry_id: UUID) -> None:
        """Store the seal of a notice and the id of its ``notice.sealed`` entry; the bytes are never changed."""
        ...

    def sealed(self, notice_id: UUID) -> SealedNotice | None:
        """Return the seal with its timestamp and log proof where they exist already."""
        ...

    def sealed_entry_id(self, notice_id: UUID) -> UUID | None:
        """Return the id of the audit entry of the seal."""
        ...

    def set_log_proof(self, notice_id: UUID, proof: bytes) -> None:
        """Record the proof, once; a second call raises StateConflictError."""
        ...

    def sealed_without_proof(self, limit: int) -> Sequence[UUID]:
        """Return notices whose log proof is still owed, oldest first."""
        ...

    def set_timestamp(self, notice_id: UUID, token: bytes, *, independent: bool) -> None:
        """Record a timestamp that the seal did not have yet, once."""
        ...

    def sealed_without_timestamp(self, limit: int) -> Sequence[UUID]:
        """Return notices whose timestamp is still owed, oldest first."""
        ...

    def undated_notices(self, limit: int) -> Sequence[UndatedNotice]:
        """Return notices whose timestamp is still owed, with the authority's reason, oldest first."""
        ...

    def set_timestamp_refusal(self, reason: str) -> None:
        """Record why the authority gives none of the timestamps that are owed now."""
        ...

    # -- delivery
    def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Queue deliveries."""
        ...

    def delivery(self, delivery_id: UUID) -> Delivery | None:
        """Return the delivery."""
        ...

    def save_delivery(self, delivery: Delivery, expected_attempts: int) -> None:
        """Replace state, next attempt, last error and ``sent_at`` without an attempt, and end the lease.

        For what comes back later and for what is sent again. Raises VersionMismatchError unless the stored delivery
        counts ``expected_attempts``, NotFoundError where there is none.
        """
        ...

    def deliveries(self, notice_id: UUID) -> Sequence[Delivery]:
        """Return the deliveries of a notice, in creation order."""
        ...

    def troubled_deliveries(self, limit: int) -> Sequence[Delivery]:
        """Return deliveries whose last attempt failed, for now or for good, nearest notice ``due_at`` first."""
        ...

    def lease_deliveries(
        self,
        now: datetime,
        lease_until: datetime,
        limit: int,
        *,
        except_channels: Collection[ChannelKind] = (),
        except_lanes: Collection[str] = (),
    ) -> Sequence[DueDelivery]:
        """Take deliveries that are queued and due and not leased, whose seal has its log proof.

        Nearest notice ``due_at`` first; of one deadline by turns (``delivery.turn_of``), so that no customer stands in
        another's way. Channels and lanes (``delivery.destination_of``) that are named are passed
        over; of many lanes some may come all the same. A lease that ran out is free again: a worker that died loses
        nothing.
        """
        ...

    def release_leases(self, delivery_ids: Collection[UUID]) -> None:
        """Give leases back before they run out: due again at once."""
        ...

    def finish_attempt(self, delivery: Delivery, attempt: DeliveryAttempt, message: bytes | None) -> None:
        """Record the attempt, the bytes as sent (or None) and the delivery's new state, and end the lease.

        Raises VersionMismatchError where the stored delivery has not one attempt less: another worker, whose lease had
        run out, finished one meanwhile.
        """
        ...

    def finish_attempts(self, finished: Sequence[tuple[Delivery, DeliveryAttempt, bytes | None]]) -> None:
        """As ``finish_attempt`` for each of them, of different deliveries, by few statements; raises as it does."""
        ...

    def attempts(self, delivery_id: UUID) -> Sequence[DeliveryAttempt]:
        """Return the attempts of a delivery, in order."""
        ...

    def message_sent(self, delivery_id: UUID) -> bytes | None:
        """Return the bytes of the last message handed over, or None."""
        ...

    def add_inbox_item(self, item: InboxItem) -> None:
        """Place a notice in the console inbox; a second placing of the same notice changes nothing."""
        ...

    def inbox(self, customer_id: UUID, page: Page) -> tuple[list[InboxItem], str | None]:
        """Return the console inbox of a customer, newest first."""
        ...

    def pause_channel(self, pause: ChannelPause) -> None:
        """Record that a channel is paused, in place of an earlier pause."""
        ...

    def resume_channel(self, channel: ChannelKind) -> bool:
        """End a pause; returns whether there was one."""
        ...

    def channel_pauses(self) -> Sequence[ChannelPause]:
        """Return the pauses, by channel, also those whose end has come."""
        ...

    # -- what came back, and what people did
    def add_returned_message(self, message: Bounce) -> None:
        """Record a message that came back."""
        ...

    def returned_message(self, message_id: UUID) -> Bounce | None:
        """Return the message."""
        ...

    def returned_messages(self, delivery_id: UUID | None) -> Sequence[Bounce]:
        """Return what came back of a delivery, or (None) of no known one, oldest first."""
        ...

    def add_opening(self, opening: NoticeOpening) -> bool:
        """Record that somebody opened a notice; returns False, and records nothing, where they had before."""
        ...

    def openings(self, notice_id: UUID) -> Sequence[NoticeOpening]:
        """Return who opened a notice, oldest first."""
        ...

    def add_acknowledgement(self, acknowledgement: Acknowledgement) -> bool:
        """Record an acknowledgement; returns False, and records nothing, where the same person gave one before."""
        ...

    def acknowledgements(self, notice_id: UUID) -> Sequence[Acknowledgement]:
        """Return the acknowledgements of a notice, oldest first."""
        ...

    # -- escalation and calls
    def add_escalation(self, escalation: Escalation) -> None:
        """Start the clock of a sealed notice."""
        ...

    def escalation(self, notice_id: UUID) -> Escalation | None:
        """Return the clock of a notice."""
        ...

    def save_escalation(self, escalation: Escalation, expected_version: int) -> None:
        """Replace the clock; as ``save_incident`` for versions."""
        ...

    def hasten_escalation(self, notice_id: UUID, at: datetime) -> bool:
        """Look at a notice again by ``at``: for whoever changed how it stands. Returns False where it has no clock.

        Its version rises in any case, so that a look that did not see the change is not the last one. Any number of
        works may do so at once.
        """
        ...

    def due_escalations(self, now: datetime, limit: int) -> Sequence[Escalation]:
        """Return clocks whose ``next_look_at`` has come, earliest first."""
        ...

    def next_escalation_at(self) -> datetime | None:
        """Return when the next clock strikes, or None."""
        ...

    def add_call_task(self, task: CallTask) -> None:
        """Open a call task; raises StateConflictError where one is open for the notice."""
        ...

    def call_task(self, task_id: UUID) -> CallTask | None:
        """Return the task."""
        ...

    def save_call_task(self, task: CallTask, expected_version: int) -> None:
        """Replace the task; as ``save_incident`` for versions."""
        ...

    def call_tasks(self, page: Page, *, state: str | None = None) -> tuple[list[CallTask], str | None]:
        """Return tasks, oldest first."""
        ...

    def call_tasks_of_notice(self, notice_id: UUID) -> Sequence[CallTask]:
        """Return the tasks of a notice, oldest first."""
        ...

    def add_call_record(self, record: CallRecord) -> None:
        """Record a call; never changed."""
        ...

    def call_records(self, task_id: UUID) -> Sequence[CallRecord]:
        """Return the calls of a task, oldest first."""
        ...

    # -- webhooks
    def add_webhook_endpoint(self, endpoint: WebhookEndpoint) -> None:
        """Store a new endpoint."""
        ...

    def webhook_endpoint(self, endpoint_id: UUID) -> WebhookEndpoint | None:
        """Return the endpoint."""
        ...

    def save_webhook_endpoint(self, endpoint: WebhookEndpoint, expected_version: int) -> None:
        """Replace the endpoint; as ``save_incident`` for versions."""
        ...

    def webhook_endpoints(self, customer_id: UUID | None) -> Sequence[WebhookEndpoint]:
        """Return the endpoints of a customer, or (None) of all, oldest first."""
        ...

    def add_webhook_secret(self, secret: WebhookSecret) -> None:
        """Store a new secret."""
        ...

    def webhook_secrets(self, endpoint_id: UUID | None) -> Sequence[WebhookSecret]:
        """Return the secrets of an endpoint, or (None) of all, oldest first."""
        ...

    def save_webhook_secret(self, secret: WebhookSecret) -> None:
        """Replace what is sealed and when it expires; raises NotFoundError."""
        ...

    def drop_webhook_secret(self, secret_id: UUID) -> bool:
        """Remove a secret; returns whether there was one."""
        ...

    # -- reachability
    def add_reachability_checks(self, checks: Sequence[ReachabilityCheck]) -> None:
        """Record checks."""
        ...

    def latest_reachability_checks(self, customer_id: UUID | None) -> Sequence[ReachabilityCheck]:
        """Return the latest check of each subject of a customer, or (None) of all, oldest first."""
        ...

    # -- audit log, reading
    def log_size(self) -> int:
        """Return the number of sequenced entries under the latest checkpoint."""
        ...

    def log_checkpoint(self) -> bytes | None:
        """Return the latest signed checkpoint, or None before the first."""
        ...

    def cosignatures(self, size: int) -> Sequence[str]:
        """Return the lines that witnesses gave under the checkpoint of a size, by the witness's name."""
        ...

    def stamped_checkpoint(self, size: int | None = None) -> TimestampedCheckpoint | None:
        """Return the checkpoint of a size, or (None) the newest one, that has a timestamp, or None."""
        ...

    def stamped_sizes(self) -> Sequence[int]:
        """Return the sizes of the checkpoints that have a timestamp, rising."""
        ...

    def log_entries(self, start: int, limit: int) -> Sequence[SequencedEntry]:
        """Return sequenced entries from an index on."""
        ...

    def log_entries_about(self, kind: str, identifier: str, page: Page) -> tuple[list[SequencedEntry], str | None]:
        """Return sequenced entries whose subjects name ``identifier`` under ``kind``, oldest first."""
        ...

    def log_entry(self, entry_id: UUID) -> SequencedEntry | None:
        """Return an entry by id once it is sequenced."""
        ...

    def entry_openings(self, entry_id: UUID) -> dict[str, tuple[bytes, bytes]]:
        """Return commitment name to (salt, value) of an entry; erased ones are missing."""
        ...

    def log_node_hashes(self, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return hashes of complete subtrees: (level, index) with level 0 the leaf hashes.

        Raises LogUnavailableError where a hash is not there.
        """
        ...


class UnitOfWork(Protocol):
    """Runs work against the store."""

    async def write(self, work: Callable[[Transaction], ResultT], *, concurrently: bool = False) -> ResultT:
        """Run ``work`` in a transaction and return its result once it is durable on disk.

        An exception from ``work`` undoes all of it and is raised here unchanged. ``work`` may be called more than
        once (an engine may ask for a retry), so it must have no effect but through the transaction. Works are
        serialised with one another; many may share one commit, and none sees another's failure.

        ``concurrently`` says of a work that it changes only what its caller holds a lease on, and else by
        compare-and-swap: an engine with several writers may run it beside others of the kind.
        """
        ...

    async def read(self, work: Callable[[Transaction], ResultT]) -> ResultT:
        """Run ``work`` against one consistent snapshot; it must not write. Does not wait for writers."""
        ...


class Log(Protocol):
    """The sequenced audit log, as use cases wait for it."""

    async def included(self, entry_id: UUID) -> int:
        """Return the entry's index once a signed checkpoint covers it.

        Raises LogUnavailableError when the sequencer has stopped or refuses to sign. The entry stays pending.
        """
        ...


class Signer(Protocol):
    """Signs notices and mails with the provider's certificate."""

    @property
    def address(self) -> str:
        """The mail address that the certificate's subjectAltName names, and that every mail comes from."""
        ...

    def sign_detached(self, content: bytes) -> bytes:
        """Return detached CMS SignedData (DER) over exactly these bytes, with the certificate chain in it.

        Raises SealingUnavailableError with a reason that an analyst can act on: no key, key and certificate do not
        match, certificate expired or not yet valid, wrong extended key usage. Never returns a signature that
        ``openssl cms -verify -purpose smimesign`` would refuse at this moment.
        """
        ...


class TimestampAuthority(Protocol):
    """Gives RFC 3161 timestamps."""

    @property
    def independent(self) -> bool:
        """Whether the authority is another party than the provider."""
        ...

    async def timestamp(self, content: bytes) -> bytes:
        """Return a TimeStampResp (DER) over SHA-256 of the content, already verified against the request.

        Raises TimestampUnavailableError when there is none to be had now. Never returns an unverified token.
        """
        ...


class Channel(Protocol):
    """Hands one message to the next hop."""

    @property
    def kind(self) -> ChannelKind:
        """Which channel this is."""
        ...

    async def send(
        self, *, sender: str, recipient: str, message_id: str, content: bytes, return_path: str | None = None
    ) -> Outcome:
        """Hand over the bytes unchanged and report what the next hop said.

        ``return_path`` is where failures are to be reported; None for the sender.

        Returns an Outcome for every answer and every failure of the other side or the network; raises only on
        programming errors. Never reports ``accepted`` unless the next hop took responsibility. May be called again
        with the same ``message_id`` after a crash.
        """
        ...


class WebhookChannel(Protocol):
    """Hands one message to a customer's own system."""

    async def post(
        self, *, endpoint: WebhookEndpoint, secrets: Sequence[WebhookSecret], message_id: str, content: bytes
    ) -> Outcome:
        """Post the bytes, signed by every secret that is in force, and report what the receiver said.

        As ``Channel.send``: an Outcome for every answer and every failure of the other side or the network;
        ``accepted`` for a 2xx alone; ``message_id`` goes out as ``webhook-id``, the same on every attempt.
        """
        ...
