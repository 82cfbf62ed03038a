"""The store in memory: keeps the contracts of ``notifications.ports`` and of ``service.ports.log``, with plain dicts.

Written apart from the SQL store on purpose: the contract suite runs against both, so each checks the other.
A unit of work is a copy of everything that replaces the original when it succeeds.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from notifications.audit.entry import leaf_bytes, parse_leaf, pseudonym
from notifications.delivery.delivery import DeliveryState, turn_of
from notifications.errors import (
    Fault,
    InvalidInputError,
    LogUnavailableError,
    NotFoundError,
    StateConflictError,
    VersionMismatchError,
)
from notifications.notice import NoticeState
from notifications.ports import DueDelivery, SequencedEntry, TimestampedCheckpoint
from service.ports.log import PendingLeaf
from support.memory_serving import ServingRecords


@dataclass
class Records:
    """Everything there is; dicts keep the order of creation."""

    responses: dict = field(default_factory=dict)
    tickets: dict = field(default_factory=dict)
    incidents: dict = field(default_factory=dict)
    facts: dict = field(default_factory=dict)
    customers: dict = field(default_factory=dict)
    salts: dict = field(default_factory=dict)
    bindings: list = field(default_factory=list)
    contacts: dict = field(default_factory=dict)
    profiles: dict = field(default_factory=dict)
    decisions: dict = field(default_factory=dict)
    notices: dict = field(default_factory=dict)
    sealed: dict = field(default_factory=dict)
    sealed_entries: dict = field(default_factory=dict)
    deliveries: dict = field(default_factory=dict)
    leases: dict = field(default_factory=dict)
    attempts: dict = field(default_factory=dict)
    messages: dict = field(default_factory=dict)
    inbox: dict = field(default_factory=dict)
    entries: dict = field(default_factory=dict)
    openings: dict = field(default_factory=dict)
    sequenced: list = field(default_factory=list)
    nodes: dict = field(default_factory=dict)
    checkpoint: bytes | None = None
    cosignatures: dict = field(default_factory=dict)
    stamps: dict = field(default_factory=dict)
    notes: dict = field(default_factory=dict)
    turns: dict = field(default_factory=dict)
    notice_leases: dict = field(default_factory=dict)
    endpoints: dict = field(default_factory=dict)
    secrets: dict = field(default_factory=dict)
    returned: dict = field(default_factory=dict)
    opened: dict = field(default_factory=dict)
    acknowledged: dict = field(default_factory=dict)
    escalations: dict = field(default_factory=dict)
    call_tasks: dict = field(default_factory=dict)
    call_records: dict = field(default_factory=dict)
    checks: dict = field(default_factory=dict)
    pauses: dict = field(default_factory=dict)

    def copied(self):
        return Records(**{member.name: copy.copy(getattr(self, member.name)) for member in fields(self)})


def _page(listing, page, items, cursor_key, *, newest_first=False):
    """Cut a page out of ``items``, which are in order of creation; the cursor names the last item's key."""
    if page.limit < 1:
        raise InvalidInputError(Fault("limit", "must be at least 1"))
    ordered = list(reversed(items)) if newest_first else list(items)
    start = 0
    if page.cursor is not None:
        keys = [f"{listing}-{cursor_key(item)}" for item in ordered]
        if page.cursor not in keys:
            raise InvalidInputError(Fault("cursor", "is not a cursor of this list"))
        start = keys.index(page.cursor) + 1
    kept = ordered[start : start + page.limit]
    more = start + page.limit < len(ordered)
    return kept, f"{listing}-{cursor_key(kept[-1])}" if more else None


class MemoryTransaction(ServingRecords):
    def __init__(self, records, *, read_only):
        self._records, self._read_only = records, read_only
        self.changed = set()

    def _writing(self, kind=None):
        if self._read_only:
            raise RuntimeError("a read must not write")
        if kind:
            self.changed.add(kind)

    @staticmethod
    def _page(listing, page, items):
        return _page(listing, page, items, lambda item: item.id)

    def _add(self, where, key, value):
        if key in where:
            raise StateConflictError(f"a record with this identity exists already ({key})")
        where[key] = value

    def _refer(self, where, key):
        if key not in where:
            raise StateConflictError(f"the record refers to one that does not exist ({key})")

    def _replace(self, kind, where, record, expected):
        if record.version != expected + 1:
            raise ValueError(f"version {record.version} does not follow {expected}")
        current = where.get(record.id)
        if current is None:
            raise NotFoundError(kind, record.id)
        if current.version != expected:
            raise VersionMismatchError(kind, record.id, expected, current.version)
        where[record.id] = record

    # -- audit

    def append_audit(self, entries):
        self._writing()
        for entry in entries:
            self._add(self._records.entries, entry.id, leaf_bytes(entry))
            self._records.openings[entry.id] = {item.name: (item.salt, item.value) for item in entry.openings}
            self._writing("audit")

    def customer_pseudonym(self, customer_id):
        salt = self._records.salts.get(customer_id)
        if salt is None:
            raise NotFoundError("customer", customer_id)
        return pseudonym(salt, customer_id)

    # -- idempotency

    def stored_response(self, key):
        return self._records.responses.get(key)

    def store_response(self, key, response, at):
        self._writing()
        self._add(self._records.responses, key, response)

    # -- incidents

    def next_ticket_number(self, year):
        self._writing()
        number = self._records.tickets.get(year, 0) + 1
        self._records.tickets[year] = number
        return number

    def add_incident(self, incident):
        self._writing("incidents")
        if self.incident_by_ticket(incident.ticket) is not None:
            raise StateConflictError(f"ticket {incident.ticket} exists already")
        self._add(self._records.incidents, incident.id, incident)
        self._records.facts[incident.id, incident.version] = incident.facts

    def incident(self, incident_id):
        return self._records.incidents.get(incident_id)

    def incident_by_ticket(self, ticket):
        return next((found for found in self._records.incidents.values() if found.ticket == ticket), None)

    def facts_at(self, incident_id, version):
        return self._records.facts.get((incident_id, version))

    def save_incident(self, incident, expected_version):
        self._writing("incidents")
        self._replace("incident", self._records.incidents, incident, expected_version)
        self._records.facts[incident.id, incident.version] = incident.facts

    def incidents(self, page, *, state=None):
        found = [item for item in self._records.incidents.values() if state is None or item.state == state]
        return _page("incidents", page, found, lambda item: item.id, newest_first=True)

    # -- customers

    def add_customer(self, customer, pseudonym_salt):
        self._writing("customers")
        self._add(self._records.customers, customer.id, customer)
        self._records.salts[customer.id] = pseudonym_salt

    def customer(self, customer_id):
        return self._records.customers.get(customer_id)

    def save_customer(self, customer, expected_version):
        self._writing("customers")
        self._replace("customer", self._records.customers, customer, expected_version)

    def customers(self, page):
        return _page("customers", page, list(self._records.customers.values()), lambda item: item.id)

    def all_customers(self):
        return tuple(self._records.customers.values())

    def add_binding(self, binding):
        self._writing("customers")
        self._refer(self._records.customers, binding.customer_id)
        self._records.bindings.append(binding)

    def bindings(self, customer_id=None):
        return [item for item in self._records.bindings if customer_id is None or item.customer_id == customer_id]

    def add_contact(self, contact):
        self._writing("customers")
        self._refer(self._records.customers, contact.customer_id)
        self._add(self._records.contacts, contact.id, contact)

    def contact(self, contact_id):
        return self._records.contacts.get(contact_id)

    def save_contact(self, contact, expected_version):
        self._writing("customers")
        self._replace("contact", self._records.contacts, contact, expected_version)

    def contacts(self, customer_id):
        found = [item for item in self._records.contacts.values() if item.customer_id == customer_id]
        return sorted(found, key=lambda item: item.order)

    def add_profile(self, profile):
        self._writing("customers")
        self._refer(self._records.customers, profile.customer_id)
        if any(item.version == profile.version for item in self.profiles(profile.customer_id)):
            raise StateConflictError(f"version {profile.version} of the profile exists already")
        self._add(self._records.profiles, profile.id, profile)

    def profiles(self, customer_id=None):
        found = [
            item for item in self._records.profiles.values() if customer_id is None or item.customer_id == customer_id
        ]
        return sorted(found, key=lambda item: item.version)

    # -- decisions

    def add_decisions(self, decisions):
        self._writing()
        for stored in decisions:
            self._writing("decisions")
            self._refer(self._records.incidents, stored.incident_id)
            self._refer(self._records.customers, stored.decision.customer_id)
            self._add(self._records.decisions, stored.id, stored)

    def current_decisions(self, incident_id):
        found = [item for item in self._records.decisions.values() if item.incident_id == incident_id]
        return {item.decision.customer_id: item for item in found}

    def decisions(self, incident_id, page, *, verdict=None):
        current = self.current_decisions(incident_id)
        found = [current[customer_id] for customer_id in self._records.customers if customer_id in current]
        found = [item for item in found if verdict is None or item.decision.verdict == verdict]
        return _page("decisions", page, found, lambda item: item.decision.customer_id)

    # -- notices

    def add_notices(self, notices):
        self._writing()
        for notice in notices:
            self._writing("notices")
            self._refer(self._records.incidents, notice.incident_id)
            self._refer(self._records.customers, notice.customer_id)
            self._add(self._records.notices, notice.id, notice)
            self._verify_standing(notice)

    def _verify_standing(self, notice):
        key = (notice.incident_id, notice.customer_id, notice.sequence)
        standing = [
            item
            for item in self._records.notices.values()
            if item.state is not NoticeState.WITHDRAWN and (item.incident_id, item.customer_id, item.sequence) == key
        ]
        if len(standing) > 1:
            raise StateConflictError(f"notice {notice.sequence} exists already")

    def notice(self, notice_id):
        return self._records.notices.get(notice_id)

    def save_notice(self, notice, expected_version):
        self._writing("notices")
        self._replace("notice", self._records.notices, notice, expected_version)
        self._verify_standing(notice)

    def notices_of_incident(self, incident_id, customer_id=None):
        order = list(self._records.customers)
        found = [
            item
            for item in self._records.notices.values()
            if item.incident_id == incident_id and customer_id in (None, item.customer_id)
        ]
        return sorted(found, key=lambda item: (order.index(item.customer_id), item.sequence))

    def notices(self, page, *, incident_id=None, customer_id=None, state=None):
        found = [
            item
            for item in self._records.notices.values()
            if incident_id in {None, item.incident_id}
            and customer_id in {None, item.customer_id}
            and state in {None, item.state}
        ]
        return _page("notices", page, found, lambda item: item.id, newest_first=True)

    def released_notices(self, limit):
        found = [item for item in self._records.notices.values() if item.state is NoticeState.RELEASED]
        return sorted(found, key=lambda item: item.due_at)[:limit]

    def lease_released_notices(self, now, lease_until, limit):
        self._writing()
        leases = self._records.notice_leases
        found = [item for item in self.released_notices(len(self._records.notices)) if leases.get(item.id, now) <= now]
        for item in found[:limit]:
            leases[item.id] = lease_until
        return found[:limit]

    def release_notice_leases(self, notice_ids):
        self._writing()
        for notice_id in notice_ids:
            self._records.notice_leases.pop(notice_id, None)

    # -- seals

    def add_sealed(self, sealed, entry_id):
        self._writing("notices")
        self._refer(self._records.notices, sealed.notice_id)
        self._add(self._records.sealed, sealed.notice_id, sealed)
        self._records.sealed_entries[sealed.notice_id] = entry_id

    def sealed(self, notice_id):
        return self._records.sealed.get(notice_id)

    def sealed_entry_id(self, notice_id):
        return self._records.sealed_entries.get(notice_id)

    def _set_once(self, notice_id, name, **values):
        sealed = self._records.sealed.get(notice_id)
        if sealed is None:
            raise NotFoundError("sealed notice", notice_id)
        if getattr(sealed, name) is not None:
            raise StateConflictError(f"notice {notice_id} has its {name} already")
        self._records.sealed[notice_id] = replace(sealed, **values)

    def set_log_proof(self, notice_id, proof):
        self._writing("deliveries")
        self._set_once(notice_id, "log_proof", log_proof=proof)

    def sealed_without_proof(self, limit):
        return [key for key, item in self._records.sealed.items() if item.log_proof is None][:limit]

    def set_timestamp(self, notice_id, token, *, independent):
        self._writing("notices")
        self._set_once(notice_id, "timestamp", timestamp=token, timestamp_independent=independent)

    def sealed_without_timestamp(self, limit):
        return [key for key, item in self._records.sealed.items() if item.timestamp is None][:limit]

    # -- deliveries

    def add_deliveries(self, deliveries):
        self._writing()
        for delivery in deliveries:
            self._writing("deliveries")
            self._refer(self._records.notices, delivery.notice_id)
            self._refer(self._records.customers, delivery.customer_id)
            if delivery.contact_id is not None:
                self._refer(self._records.contacts, delivery.contact_id)
            if delivery.endpoint_id is not None:
                self._refer(self._records.endpoints, delivery.endpoint_id)
            self._records.turns[delivery.id] = turn_of(len(self.deliveries(delivery.notice_id)))
            self._add(self._records.deliveries, delivery.id, delivery)

    def delivery(self, delivery_id):
        return self._records.deliveries.get(delivery_id)

    def deliveries(self, notice_id):
        return [item for item in self._records.deliveries.values() if item.notice_id == notice_id]

    def troubled_deliveries(self, limit):
        troubled = [item for item in self._records.deliveries.values() if item.last_error is not None]
        return sorted(troubled, key=lambda item: self._records.notices[item.notice_id].due_at)[:limit]

    def lease_deliveries(self, now, lease_until, limit, *, except_channels=(), except_lanes=()):
        self._writing()
        due = [
            item
            for item in self._records.deliveries.values()
            if item.state is DeliveryState.QUEUED
            and item.next_attempt_at is not None
            and item.next_attempt_at <= now
            and self._records.leases.get(item.id, now) <= now
            and item.notice_id in self._records.sealed
            and self._records.sealed[item.notice_id].log_proof is not None
            and item.channel not in except_channels
            and item.lane not in except_lanes
        ]
        turns = self._records.turns
        due = sorted(due, key=lambda item: (self._records.notices[item.notice_id].due_at, turns[item.id]))[:limit]
        for item in due:
            self._records.leases[item.id] = lease_until
        return [self._due(item) for item in due]

    def release_leases(self, delivery_ids):
        self._writing()
        for delivery_id in delivery_ids:
            self._records.leases.pop(delivery_id, None)

    def _due(self, delivery):
        notice = self._records.notices[delivery.notice_id]
        earlier = sorted(
            (
                (self._records.notices[item.notice_id].sequence, item.message_id)
                for item in self._records.deliveries.values()
                if delivery.contact_id is not None
                and item.contact_id == delivery.contact_id
                and item.channel == delivery.channel
                and self._records.notices[item.notice_id].incident_id == notice.incident_id
                and self._records.notices[item.notice_id].sequence < notice.sequence
            ),
            key=lambda pair: pair[0],
        )
        return DueDelivery(
            delivery=delivery,
            notice=notice,
            sealed=self._records.sealed[delivery.notice_id],
            customer=self._records.customers[delivery.customer_id],
            contact=None if delivery.contact_id is None else self._records.contacts[delivery.contact_id],
            earlier_message_ids=tuple(message_id for _, message_id in earlier),
            endpoint=self._records.endpoints.get(delivery.endpoint_id),
            secrets=() if delivery.endpoint_id is None else tuple(self.webhook_secrets(delivery.endpoint_id)),
        )

    def finish_attempt(self, delivery, attempt, message):
        self._writing("deliveries")
        self._stand(delivery, attempt.number - 1)
        self._add(self._records.attempts, (delivery.id, attempt.number), attempt)
        if message is not None:
            self._records.messages[delivery.id, attempt.number] = message

    def finish_attempts(self, finished):
        for delivery, attempt, message in finished:
            self.finish_attempt(delivery, attempt, message)

    def save_delivery(self, delivery, expected_attempts):
        self._writing("deliveries")
        self._stand(delivery, expected_attempts)

    def _stand(self, delivery, expected_attempts):
        stored = self._records.deliveries.get(delivery.id)
        if stored is None:
            raise NotFoundError("delivery", delivery.id)
        if stored.attempts != expected_attempts:
            raise VersionMismatchError("delivery", delivery.id, expected_attempts, stored.attempts)
        names = ("state", "attempts", "next_attempt_at", "last_error", "sent_at")
        changed = {name: getattr(delivery, name) for name in names}
        self._records.deliveries[delivery.id] = replace(stored, **changed)
        self._records.leases.pop(delivery.id, None)

    def attempts(self, delivery_id):
        found = [item for (key, _), item in self._records.attempts.items() if key == delivery_id]
        return sorted(found, key=lambda item: item.number)

    def message_sent(self, delivery_id):
        numbers = [number for key, number in self._records.messages if key == delivery_id]
        return self._records.messages[delivery_id, max(numbers)] if numbers else None

    def add_inbox_item(self, item):
        self._writing("deliveries")
        self._refer(self._records.notices, item.notice_id)
        self._records.inbox.setdefault(item.notice_id, item)

    def inbox(self, customer_id, page):
        found = [item for item in self._records.inbox.values() if item.customer_id == customer_id]
        return _page("inbox", page, found, lambda item: item.notice_id, newest_first=True)

    # -- the log

    def _sequenced_entry(self, index):
        entry_id = self._records.sequenced[index]
        return SequencedEntry(index, entry_id, self._records.entries[entry_id])

    def log_size(self):
        return len(self._records.sequenced)

    def log_checkpoint(self):
        return self._records.checkpoint

    def log_entries(self, start, limit):
        return [self._sequenced_entry(index) for index in range(len(self._records.sequenced))[start : start + limit]]

    def log_entries_about(self, kind, identifier, page):
        everything = [self._sequenced_entry(index) for index in range(self.log_size())]
        found = [item for item in everything if parse_leaf(item.leaf).subjects.get(kind) == identifier]
        return _page("entries", page, found, lambda item: item.index)

    def log_entry(self, entry_id):
        if entry_id not in self._records.sequenced:
            return None
        return self._sequenced_entry(self._records.sequenced.index(entry_id))

    def entry_openings(self, entry_id):
        return dict(self._records.openings.get(entry_id, {}))

    def log_node_hashes(self, wanted):
        for level, index in wanted:
            if (level, index) not in self._records.nodes:
                raise LogUnavailableError(f"the tree has no node {index} at level {level}")
        return [self._records.nodes[node] for node in wanted]

    def is_appended(self, entry_id):
        return entry_id in self._records.entries

    def pending_leaves(self, limit):
        entries = list(self._records.entries.items())
        start = self.log_size()
        return [
            PendingLeaf(position, entry_id.bytes, leaf)
            for position, (entry_id, leaf) in enumerate(entries[start : start + limit], start + 1)
        ]

    def grow_tree(self, expected_size, leaves, nodes, checkpoint):
        self._writing("log")
        if self.log_size() != expected_size:
            raise StateConflictError(f"the tree has {self.log_size()} leaves, not {expected_size}")
        self._records.sequenced.extend(pending.entry_id for pending in leaves)
        self._records.nodes.update({(level, index): node_hash for level, index, node_hash in nodes})
        self._records.checkpoint = checkpoint
        self._records.notes[self.log_size()] = checkpoint

    def add_cosignature(self, size, witness, line, cosigned_at):
        self._writing("cosignatures")
        self._records.cosignatures.setdefault((size, witness), (line, cosigned_at))

    def cosignatures(self, size):
        given = sorted((witness, line) for (at, witness), (line, _) in self._records.cosignatures.items() if at == size)
        return [line for _, line in given]

    def add_checkpoint_timestamp(self, size, token, made_at):
        self._writing("timestamps")
        self._records.stamps.setdefault(size, (token, made_at))

    def stamped_checkpoint(self, size=None):
        size = max(self.stamped_sizes(), default=None) if size is None else size
        if size not in self.stamped_sizes():
            return None
        token, made_at = self._records.stamps[size]
        return TimestampedCheckpoint(size, self._records.notes[size], token, made_at)

    def stamped_sizes(self):
        return sorted(self._records.stamps.keys() & self._records.notes.keys())

    def last_cosigned(self, witness):
        given = ((size, at) for (size, by), (_, at) in self._records.cosignatures.items() if by == witness)
        return max(given, default=None)


class MemoryStore:
    """Implements ``notifications.ports.UnitOfWork``; one event loop, nothing durable."""

    def __init__(self):
        self._records = Records()
        self.on_commit: list[Callable[[set[str]], None]] = []

    async def write(self, work: Callable[[Any], Any], *, concurrently: bool = False) -> Any:
        records = self._records.copied()
        tx = MemoryTransaction(records, read_only=False)
        result = work(tx)
        self._records = records
        for hook in self.on_commit:
            hook(tx.changed)
        return result

    async def read(self, work: Callable[[Any], Any]) -> Any:
        return work(MemoryTransaction(self._records, read_only=True))

    async def close(self) -> None:
        pass
