"""The store in memory. It keeps the contracts of ``notifications.ports`` and of ``service.ports.log``, with dicts.

It shares no code with the SQL store on purpose: the contract suite runs on both, so each one checks the other. A unit
of work changes a copy of all records; the copy replaces the original when the unit of work succeeds.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from notifications.audit.entry import leaf_bytes, parse_leaf, pseudonym
from notifications.errors import LogUnavailableError, NotFoundError, StateConflictError, required
from notifications.incident import announcement_state
from notifications.notice import NoticeState
from notifications.notice.seal import UndatedNotice
from notifications.ports import CosignedBy, LoggedHead, SequencedEntry, TimestampedCheckpoint
from service.ports.log import PendingLeaf
from support.memory_records import MemoryRepository, Records, of, page_of, within
from support.memory_serving import MemoryDeliveries, MemoryEscalations, MemoryWebhooks


class MemoryAudit(MemoryRepository):
    def append(self, entries):
        self._writing()
        for entry in entries:
            self._add(self._records.entries, entry.id, leaf_bytes(entry))
            self._records.openings[entry.id] = {item.name: (item.salt, item.value) for item in entry.openings}
            self._writing("audit")

    def _sequenced_entry(self, index):
        entry_id = self._records.sequenced[index]
        return SequencedEntry(index, entry_id, self._records.entries[entry_id])

    def _all(self, within):
        everything = [self._sequenced_entry(index) for index in range(self._tx.log.size())]
        return [item for item in everything if within is None or any(self._covers(each, item) for each in within)]

    def _covers(self, extent, item):
        leaf = parse_leaf(item.leaf)
        return (
            (extent.customer_id is None or leaf.subjects.get("customer") == extent.pseudonym)
            and (extent.starts_at is None or extent.starts_at <= leaf.at)
            and (extent.ends_at is None or leaf.at < extent.ends_at)
            and (not extent.served_only or self._was_served(extent.customer_id, leaf))
        )

    def _was_served(self, customer_id, leaf):
        sealed = [
            notice
            for notice in self._records.notices.values()
            if notice.customer_id == customer_id and notice.state is NoticeState.SEALED
        ]
        if "notice" in leaf.subjects:
            return any(str(notice.id) == leaf.subjects["notice"] for notice in sealed)
        about = leaf.subjects.get("incident") or leaf.subjects.get("announcement")
        return about is None or any(
            str(notice.incident_id) == about and leaf.at <= notice.sealed_at for notice in sealed
        )

    def entries(self, start, limit, *, within=None):
        return [item for item in self._all(within) if item.index >= start][:limit]

    def about(self, kind, identifier, page, *, newest_first=False):
        found = [item for item in self._all(page.within) if parse_leaf(item.leaf).subjects.get(kind) == identifier]
        listing = "newest" if newest_first else "entries"
        return page_of(listing, page, found, lambda item: item.index, newest_first=newest_first)

    def matching(self, wanted, page, *, newest_first=False):
        def meets(item):
            leaf = parse_leaf(item.leaf)
            return (
                (wanted.type is None or leaf.type == wanted.type)
                and (wanted.actor is None or leaf.actor == wanted.actor)
                and all(leaf.subjects.get(kind) == identifier for kind, identifier in wanted.subjects)
                and (wanted.starts_at is None or wanted.starts_at <= leaf.at)
                and (wanted.ends_at is None or leaf.at < wanted.ends_at)
                and (wanted.first_index is None or wanted.first_index <= item.index)
                and (wanted.last_index is None or item.index <= wanted.last_index)
            )

        found = [item for item in self._all(page.within) if meets(item)]
        return page_of(
            "newest" if newest_first else "matching", page, found, lambda item: item.index, newest_first=newest_first
        )

    def get(self, entry_id, *, within=None):
        return next((item for item in self._all(within) if item.entry_id == entry_id), None)

    def at(self, index, *, within=None):
        return next((item for item in self._all(within) if item.index == index), None)

    def some(self, entry_ids):
        return {item.entry_id: item for item in self._all(None) if item.entry_id in entry_ids}

    def openings_of(self, entry_ids):
        return {each: self.openings(each) for each in entry_ids if self.openings(each)}

    def openings(self, entry_id):
        return dict(self._records.openings.get(entry_id, {}))

    def is_appended(self, entry_id):
        return entry_id in self._records.entries

    def pending(self, limit):
        entries = list(self._records.entries.items())
        start = self._tx.log.size()
        return [
            PendingLeaf(position, entry_id.bytes, leaf)
            for position, (entry_id, leaf) in enumerate(entries[start : start + limit], start + 1)
        ]


class MemoryLog(MemoryRepository):
    def size(self):
        return len(self._records.sequenced)

    def checkpoint(self):
        return self._records.checkpoint

    def node_hashes(self, wanted):
        for level, index in wanted:
            if (level, index) not in self._records.nodes:
                raise LogUnavailableError(f"the tree has no node {index} at level {level}")
        return [self._records.nodes[node] for node in wanted]

    def grow(self, expected_size, leaves, nodes, checkpoint):
        self._writing("log")
        if self.size() != expected_size:
            raise StateConflictError(f"the tree has {self.size()} leaves, not {expected_size}")
        self._records.sequenced.extend(pending.entry_id for pending in leaves)
        self._records.nodes.update({(level, index): node_hash for level, index, node_hash in nodes})
        self._records.checkpoint = checkpoint
        self._records.notes[self.size()] = checkpoint

    def add_cosignature(self, size, witness, line, cosigned_at):
        self._writing("cosignatures")
        self._records.cosignatures.setdefault((size, witness), (line, cosigned_at))

    def head(self, size):
        if size not in self._records.notes:
            return None
        given = sorted((by, at, line) for (of, by), (line, at) in self._records.cosignatures.items() if of == size)
        token, _ = self._records.stamps.get(size, (None, None))
        newest = parse_leaf(self._tx.audit.at(size - 1).leaf).at if size else None
        return LoggedHead(size, self._records.notes[size], newest, tuple(CosignedBy(*item) for item in given), token)

    def heads(self, page, *, confirmed=False):
        found = [self.head(size) for size in sorted(self._records.notes)]
        found = [head for head in found if not confirmed or head.cosigned or head.token is not None]
        return page_of("heads", page, found, lambda head: head.size, newest_first=True)

    def cosignatures(self, size):
        given = sorted((witness, line) for (at, witness), (line, _) in self._records.cosignatures.items() if at == size)
        return [line for _, line in given]

    def add_timestamp(self, size, token, made_at):
        self._writing("timestamps")
        self._records.stamps.setdefault(size, (token, made_at))

    def timestamped_checkpoint(self, size=None):
        size = max(self.timestamped_sizes(), default=None) if size is None else size
        if size not in self.timestamped_sizes():
            return None
        token, made_at = self._records.stamps[size]
        return TimestampedCheckpoint(size, self._records.notes[size], token, made_at)

    def timestamped_sizes(self):
        return sorted(self._records.stamps.keys() & self._records.notes.keys())

    def last_cosigned(self, witness):
        given = ((size, at) for (size, by), (_, at) in self._records.cosignatures.items() if by == witness)
        return max(given, default=None)


class MemoryResponses(MemoryRepository):
    def get(self, key):
        return self._records.responses.get(key)

    def add(self, key, response, at):
        self._writing()
        self._add(self._records.responses, key, response)


class MemoryIncidents(MemoryRepository):
    def next_ticket_number(self, year, *, exercise=False, announcement=False):
        self._writing()
        year = (year, exercise, announcement)
        number = self._records.tickets.get(year, 0) + 1
        self._records.tickets[year] = number
        return number

    def add(self, incident):
        self._writing("incidents")
        if self.by_ticket(incident.ticket) is not None:
            raise StateConflictError(f"ticket {incident.ticket} exists already")
        self._add(self._records.incidents, incident.id, incident)
        self._records.facts[incident.id, incident.version] = incident.facts

    def get(self, incident_id):
        return self._records.incidents.get(incident_id)

    def require(self, incident_id):
        return self._of_subject("incident", incident_id)

    def require_announcement(self, incident_id):
        return self._of_subject("announcement", incident_id)

    def _of_subject(self, subject, incident_id):
        found = self.get(incident_id)
        announces = found is not None and found.facts.announcement is not None
        return required(subject, incident_id, found if announces == (subject == "announcement") else None)

    def by_ticket(self, ticket):
        return next((found for found in self._records.incidents.values() if found.ticket == ticket), None)

    def facts_at(self, incident_id, version):
        return self._records.facts.get((incident_id, version))

    def save(self, incident, expected_version):
        self._writing("incidents")
        self._replace("incident", self._records.incidents, incident, expected_version)
        self._records.facts[incident.id, incident.version] = incident.facts

    def save_overview(self, overview):
        self._writing()
        self._refer(self._records.incidents, overview.incident_id)
        self._records.overviews[overview.incident_id] = overview

    def overview(self, incident_id):
        return self._records.overviews.get(incident_id)

    def without_overview(self, limit):
        found = [
            item
            for item in self._records.incidents.values()
            if item.id not in self._records.overviews and item.facts.announcement is None
        ]
        return found[:limit]

    def page(self, page, *, state=None, announcements=False):
        found = [item for item in self._records.incidents.values() if state is None or item.state == state]
        found = [item for item in found if (item.facts.announcement is not None) == announcements]
        found = within(page, found, at=lambda item: item.opened_at)
        return page_of("incidents", page, found, lambda item: item.id, newest_first=True)

    def add_intervention(self, intervention):
        self._writing("incidents")
        self._refer(self._records.incidents, intervention.incident_id)
        self._add(self._records.interventions, (intervention.incident_id, intervention.number), intervention)

    def interventions(self, incident_id):
        return [item for item in self._records.interventions.values() if item.incident_id == incident_id]

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
        return page_of("decisions", page, found, lambda item: item.decision.customer_id)


class MemoryCustomers(MemoryRepository):
    def pseudonym(self, customer_id):
        salt = self._records.salts.get(customer_id)
        if salt is None:
            raise NotFoundError("customer", customer_id)
        return pseudonym(salt, customer_id)

    def add(self, customer, pseudonym_salt):
        self._writing("customers")
        self._add(self._records.customers, customer.id, customer)
        self._records.salts[customer.id] = pseudonym_salt

    def add_all(self, customers):
        for customer, salt in customers:
            self.add(customer, salt)

    def some(self, customer_ids):
        found = [item for key, item in self._records.customers.items() if key in customer_ids]
        return sorted(found, key=lambda item: (item.name.casefold(), item.id))

    def load(self, customer_ids):
        pass

    def by_pseudonyms(self, pseudonyms):
        known = {self.pseudonym(item.id): item for item in self.all() if item.id in self._records.salts}
        return {name: item for name, item in known.items() if name in pseudonyms}

    def named(self, part, limit):
        return [item for item in self.all() if part.casefold() in item.name.casefold()][:limit]

    def salt(self, customer_id):
        return required("customer", customer_id, self._records.salts.get(customer_id))

    def get(self, customer_id):
        return self._records.customers.get(customer_id)

    def require(self, customer_id):
        return required("customer", customer_id, self.get(customer_id))

    def save(self, customer, expected_version):
        self._writing("customers")
        self._replace("customer", self._records.customers, customer, expected_version)

    def page(self, page):
        return page_of("customers", page, list(self._records.customers.values()), lambda item: item.id)

    def all(self):
        return tuple(self._records.customers.values())

    def add_binding(self, binding):
        self._writing("customers")
        self._refer(self._records.customers, binding.customer_id)
        self._records.bindings.append(binding)

    def add_bindings(self, bindings):
        for binding in bindings:
            self.add_binding(binding)

    def bindings(self, customer_id=None):
        return [item for item in self._records.bindings if customer_id is None or item.customer_id == customer_id]

    def add_contact(self, contact):
        self._writing("customers")
        self._refer(self._records.customers, contact.customer_id)
        self._add(self._records.contacts, contact.id, contact)

    def add_contacts(self, contacts):
        for contact in contacts:
            self.add_contact(contact)

    def contacts_of(self, customer_ids):
        return {key: found for key in customer_ids if (found := self.contacts(key))}

    def contact(self, contact_id):
        return self._records.contacts.get(contact_id)

    def require_contact(self, contact_id):
        return required("contact", contact_id, self.contact(contact_id))

    def save_contact(self, contact, expected_version):
        self._writing("customers")
        self._replace("contact", self._records.contacts, contact, expected_version)

    def reached(self, customer_ids):
        contacts = self._records.contacts.values()
        return frozenset(item.customer_id for item in contacts if item.active and item.customer_id in customer_ids)

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

    def add_reachability_checks(self, checks):
        self._writing()
        for check in checks:
            self._writing("checks")
            self._refer(self._records.customers, check.customer_id)
            self._add(self._records.checks, check.id, check)

    def latest_reachability_checks(self, customer_id):
        latest = {}
        for check in self._records.checks.values():
            key = check.customer_id, check.subject, check.subject_id
            latest.pop(key, None)
            latest[key] = check
        return of(latest.values(), "customer_id", customer_id)


class MemoryNotices(MemoryRepository):
    def add(self, notices):
        self._writing()
        for notice in notices:
            self._writing("notices")
            self._refer(self._records.incidents, notice.incident_id)
            self._refer(self._records.customers, notice.customer_id)
            self._add(self._records.notices, notice.id, notice)
            self._verify_not_twice(notice)

    def _verify_not_twice(self, notice):
        key = (notice.incident_id, notice.customer_id, notice.sequence)
        same = [
            item
            for item in self._records.notices.values()
            if item.state is not NoticeState.WITHDRAWN and (item.incident_id, item.customer_id, item.sequence) == key
        ]
        if len(same) > 1:
            raise StateConflictError(f"notice {notice.sequence} exists already")

    def get(self, notice_id):
        return self._records.notices.get(notice_id)

    def some(self, notice_ids):
        return {each: self._records.notices[each] for each in notice_ids if each in self._records.notices}

    def require(self, notice_id):
        return required("notice", notice_id, self.get(notice_id))

    def save(self, notice, expected_version):
        self._writing("notices")
        self._replace("notice", self._records.notices, notice, expected_version)
        self._verify_not_twice(notice)

    def of_incident(self, incident_id, customer_id=None):
        order = list(self._records.customers)
        found = [
            item
            for item in self._records.notices.values()
            if item.incident_id == incident_id and customer_id in (None, item.customer_id)
        ]
        return sorted(found, key=lambda item: (order.index(item.customer_id), item.sequence))

    def page(self, page, *, incident_id=None, customer_id=None, state=None):
        found = [
            item
            for item in self._records.notices.values()
            if incident_id in {None, item.incident_id}
            and customer_id in {None, item.customer_id}
            and state in {None, item.state}
        ]
        found = within(
            page,
            found,
            at=lambda item: item.created_at,
            customer_id=lambda item: item.customer_id,
            served=lambda item: item.state == "sealed",
        )
        return page_of("notices", page, found, lambda item: item.id, newest_first=True)

    def released(self, limit):
        found = [item for item in self._records.notices.values() if item.state is NoticeState.RELEASED]
        return sorted(found, key=lambda item: item.due_at)[:limit]

    def lease_released(self, now, lease_until, limit):
        self._writing()
        leases = self._records.notice_leases
        released = self.released(len(self._records.notices))
        found = [
            item
            for item in released
            if leases.get(item.id, now) <= now and not any(_is_followed(each, item) for each in released)
        ]
        for item in found[:limit]:
            leases[item.id] = lease_until
        return found[:limit]

    def release_leases(self, notice_ids):
        self._writing()
        for notice_id in notice_ids:
            self._records.notice_leases.pop(notice_id, None)

    def add_seal(self, sealed, entry_id):
        self._writing("notices")
        self._refer(self._records.notices, sealed.notice_id)
        self._add(self._records.sealed, sealed.notice_id, sealed)
        self._records.sealed_entries[sealed.notice_id] = entry_id

    def add_seals(self, seals):
        for sealed, entry_id in seals:
            self.add_seal(sealed, entry_id)

    def seal(self, notice_id):
        return self._records.sealed.get(notice_id)

    def seal_entry_id(self, notice_id):
        return self._records.sealed_entries.get(notice_id)

    def _set_once(self, notice_id, name, **values):
        sealed = self._records.sealed.get(notice_id)
        if sealed is None:
            raise NotFoundError("sealed notice", notice_id)
        if getattr(sealed, name) is not None:
            raise StateConflictError(f"notice {notice_id} has its {name} already")
        self._records.sealed[notice_id] = replace(sealed, **values)

    def seal_entry_ids(self, notice_ids):
        known = self._records.sealed_entries
        return {each: known[each] for each in notice_ids if each in known}

    def owing_log_proof(self, notice_ids):
        sealed = self._records.sealed
        return frozenset(each for each in notice_ids if each in sealed and sealed[each].log_proof is None)

    def set_log_proofs(self, proofs):
        for notice_id, proof in proofs.items():
            self.set_log_proof(notice_id, proof)

    def set_log_proof(self, notice_id, proof):
        self._writing("deliveries")
        self._set_once(notice_id, "log_proof", log_proof=proof)

    def add_pdf(self, notice_id, language, time_zone, entry_id):
        self._writing("notices")
        self._refer(self._records.sealed, notice_id)
        self._add(self._records.pdfs, (notice_id, language, time_zone), entry_id)

    def pdf(self, notice_id, language, time_zone=None):
        entry_id = self._records.pdfs.get((notice_id, language, time_zone))
        opened = self._records.openings.get(entry_id, {}).get("pdf")
        return None if opened is None else opened[1]

    def without_log_proof(self, limit):
        return [key for key, item in self._records.sealed.items() if item.log_proof is None][:limit]

    def set_timestamp(self, notice_id, token, *, independent):
        self._writing("notices")
        self._set_once(notice_id, "timestamp", timestamp=token, timestamp_independent=independent)

    def owing_shared_timestamp(self, notice_ids):
        sealed = self._records.sealed
        return frozenset(
            each
            for each in notice_ids
            if each in sealed and sealed[each].shares_timestamp and sealed[each].timestamp is None
        )

    def set_shared_timestamps(self, proofs, size, *, independent):
        self._writing("notices")
        token = self._records.stamps[size][0]
        for notice_id, proof in proofs.items():
            if notice_id in self._records.sealed and not self._records.sealed[notice_id].shares_timestamp:
                raise StateConflictError(f"notice {notice_id} shares no timestamp")
            kept = {} if proof is None else {"log_proof": proof}
            self._set_once(notice_id, "timestamp", timestamp=token, timestamp_independent=independent, **kept)

    def without_shared_timestamp(self, limit):
        owed = self.owing_shared_timestamp(self._records.sealed)
        return [key for key, item in self._records.sealed.items() if key in owed and item.log_proof is not None][:limit]

    def is_of_more_than(self, number, incident_id, facts_version):
        stating = [
            notice
            for notice in self._records.notices.values()
            if (notice.incident_id, notice.facts_version) == (incident_id, facts_version)
            and notice.state is not NoticeState.WITHDRAWN
        ]
        return len(stating) > number

    def undated(self, limit):
        return [
            UndatedNotice(key, self._records.sealed[key].sealed_at, self._records.timestamp_refusals.get(key))
            for key in self._undated()[:limit]
        ]

    def _undated(self):
        return [key for key, item in self._records.sealed.items() if item.timestamp is None]

    def set_timestamp_refusal(self, reason):
        self._writing()
        owed = self._undated()
        self._records.timestamp_refusals.update(dict.fromkeys(owed, reason))

    def without_timestamp(self, limit):
        sealed = self._records.sealed.items()
        return [key for key, item in sealed if item.timestamp is None and not item.shares_timestamp][:limit]

    def add_opening(self, opening):
        self._writing("acknowledgements")
        self._refer(self._records.notices, opening.notice_id)
        return self._once(self._records.opened, opening)

    def openings(self, notice_id):
        return of(self._records.opened.values(), "notice_id", notice_id)

    def add_acknowledgement(self, acknowledgement):
        self._writing("acknowledgements")
        self._refer(self._records.notices, acknowledgement.notice_id)
        return self._once(self._records.acknowledged, acknowledgement)

    def acknowledgements(self, notice_id):
        return of(self._records.acknowledged.values(), "notice_id", notice_id)

    @staticmethod
    def _once(where, act):
        key = act.notice_id, act.by
        if key in where:
            return False
        where[key] = act
        return True


class MemoryQuestions(MemoryRepository):
    def add(self, question):
        self._writing("questions")
        self._refer(self._records.notices, question.notice_id)
        self._add(self._records.questions, question.id, question)

    def get(self, question_id):
        return self._records.questions.get(question_id)

    def require(self, question_id):
        return required("question", question_id, self.get(question_id))

    def save(self, question, expected_version):
        self._writing("questions")
        self._replace("question", self._records.questions, question, expected_version)

    def of_notice(self, notice_id):
        return of(self._records.questions.values(), "notice_id", notice_id)

    def of_incident(self, incident_id):
        notices = {item.id for item in of(self._records.notices.values(), "incident_id", incident_id)}
        return [item for item in self._records.questions.values() if item.notice_id in notices]

    def unanswered(self, limit):
        return [item for item in self._records.questions.values() if item.answered_at is None][:limit]

    def set_feedback(self, feedback):
        self._writing("questions")
        self._records.feedback[feedback.notice_id, feedback.by] = feedback

    def feedback(self, notice_id):
        return of(self._records.feedback.values(), "notice_id", notice_id)


class MemoryAnnouncements(MemoryRepository):
    def state(self, announcement_id):
        found = self._records.incidents.get(announcement_id)
        if found is None or found.facts.announcement is None:
            return None
        return announcement_state(found.facts.announcement, is_open=found.state == "open")

    def add_customers(self, customers):
        self._writing("incidents")
        for each in customers:
            self._refer(self._records.incidents, each.announcement_id)
            self._refer(self._records.customers, each.customer_id)
            if self.customer(each.announcement_id, each.customer_id) is not None:
                raise StateConflictError("the announcement has this customer already")
            self._add(self._records.announced, each.id, each)

    def customers(self, announcement_id):
        return of(self._records.announced.values(), "announcement_id", announcement_id)

    def customer(self, announcement_id, customer_id):
        return next((each for each in self.customers(announcement_id) if each.customer_id == customer_id), None)

    def save_customer(self, customer, expected_version):
        self._writing("incidents")
        self._replace("customer of an announcement", self._records.announced, customer, expected_version)

    def add_letter(self, task):
        self._writing("call_tasks")
        self._refer(self._records.notices, task.notice_id)
        self._add(self._records.letters, task.id, task)

    def letter(self, task_id):
        return self._records.letters.get(task_id)

    def require_letter(self, task_id):
        return required("letter task", task_id, self.letter(task_id))

    def save_letter(self, task, expected_version):
        self._writing("call_tasks")
        self._replace("letter task", self._records.letters, task, expected_version)

    def letters_of_notice(self, notice_id):
        return of(self._records.letters.values(), "notice_id", notice_id)

    def open_letters(self, limit):
        found = [each for each in self._records.letters.values() if each.state == "open"]
        return sorted(found, key=lambda each: each.due_at)[:limit]


class MemoryDuties(MemoryRepository):
    def add_legal_profile(self, profile):
        self._writing("customers")
        self._refer(self._records.customers, profile.customer_id)
        self._add(self._records.legal_profiles, (profile.customer_id, profile.version), profile)

    def legal_profile(self, customer_id):
        return max(self.legal_profiles(customer_id), key=lambda each: each.version, default=None)

    def legal_profiles(self, customer_id):
        return of(self._records.legal_profiles.values(), "customer_id", customer_id)

    def add_assessment(self, assessment):
        self._writing("duties")
        self._refer(self._records.incidents, assessment.incident_id)
        self._add(self._records.assessments, (assessment.incident_id, assessment.version), assessment)

    def assessments(self, incident_id):
        return of(self._records.assessments.values(), "incident_id", incident_id)

    def assessments_since(self, moment, limit):
        found = [each for each in self._records.assessments.values() if each.recorded_at >= moment]
        return sorted(found, key=lambda each: each.recorded_at, reverse=True)[:limit]

    def add_submission(self, submission):
        self._writing("duties")
        self._refer(self._records.incidents, submission.incident_id)
        self._add(self._records.submissions, submission.id, submission)

    def submissions(self, incident_id):
        return of(self._records.submissions.values(), "incident_id", incident_id)

    def add_draft(self, draft):
        self._writing("duties")
        self._refer(self._records.incidents, draft.incident_id)
        self._add(self._records.report_drafts, (draft.incident_id, draft.duty_id, draft.version), draft)

    def drafts(self, incident_id):
        return of(self._records.report_drafts.values(), "incident_id", incident_id)

    def add_customer_submission(self, submission):
        self._writing("duties")
        self._refer(self._records.notices, submission.notice_id)
        self._refer(self._records.customers, submission.customer_id)
        self._add(self._records.customer_submissions, submission.id, submission)

    def customer_submissions(self, notice_id):
        return of(self._records.customer_submissions.values(), "notice_id", notice_id)

    def set_timer(self, incident_id, look_at):
        self._writing("duties")
        self._refer(self._records.incidents, incident_id)
        self._records.timers[incident_id] = look_at

    def without_timer(self, closed_since, limit):
        return [
            each.id
            for each in self._records.incidents.values()
            if each.facts.announcement is None
            and (each.state != "closed" or each.closed_at >= closed_since)
            and each.id not in self._records.timers
        ][:limit]

    def add_timer(self, incident_id, look_at):
        self._writing("duties")
        self._refer(self._records.incidents, incident_id)
        if incident_id in self._records.timers:
            return False
        self._records.timers[incident_id] = look_at
        return True

    def due_timers(self, now, limit):
        due = [
            (look_at, incident_id)
            for incident_id, look_at in self._records.timers.items()
            if look_at and look_at <= now
        ]
        return [incident_id for _, incident_id in sorted(due)][:limit]

    def next_timer_at(self):
        return min(filter(None, self._records.timers.values()), default=None)


class MemoryTransaction:
    def __init__(self, records, *, read_only):
        self.records, self.read_only = records, read_only
        self.changed = set()
        self.audit = MemoryAudit(self)
        self.log = MemoryLog(self)
        self.responses = MemoryResponses(self)
        self.incidents = MemoryIncidents(self)
        self.announcements = MemoryAnnouncements(self)
        self.customers = MemoryCustomers(self)
        self.notices = MemoryNotices(self)
        self.questions = MemoryQuestions(self)
        self.duties = MemoryDuties(self)
        self.deliveries = MemoryDeliveries(self)
        self.escalations = MemoryEscalations(self)
        self.webhooks = MemoryWebhooks(self)


class MemoryStore:
    """Implements ``notifications.ports.UnitOfWork``; for one event loop; nothing is durable."""

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


def _is_followed(earlier, notice):
    """Return whether a released notice is about to be sealed before another one to the same customer."""
    about = (earlier.incident_id, earlier.customer_id) == (notice.incident_id, notice.customer_id)
    return about and earlier.sequence < notice.sequence and earlier.hold_reason is None
