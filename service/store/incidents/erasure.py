"""Erase a customer: its own rows are deleted, and its data in other rows is blanked.

What remains: leaves, tree and subjects, which name it by a pseudonym whose salt is deleted, and the erasure record.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam

from notifications.customer.erasure import ErasedRows, Erasure, ErasureOrder
from notifications.errors import NotFoundError
from notifications.incident import IncidentFacts, LocalizedText
from notifications.mail_address import normal_address
from service.store.incidents.incidents import put_excerpt
from service.store.search.documents import SearchDocuments
from service.store.sql.encoding import JsonCodec, to_microseconds
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.session import Row
from service.store.sql.statements import compiled_text, limited
from service.store.tables import ErasureOrderRow, ErasureRow, table

_ORDERS, _ERASURES = FlatTable(ErasureOrder, ErasureOrderRow), FlatTable(Erasure, ErasureRow)
_ITEMS_CODEC: JsonCodec[tuple[tuple[str, str], ...]] = JsonCodec(tuple[tuple[str, str], ...])
#: Kinds of entries of reports that were submitted, and beginnings of kinds with words that people wrote.
_SUBMITTED = frozenset({"authority_report.submitted", "authority_report.corrected"})
_WRITTEN = ("authority_report.drafted", "duty.assessed", "announcement.")
_FACTS_CODEC: JsonCodec[IncidentFacts] = JsonCodec(IncidentFacts)
_orders, _erasures = table(ErasureOrderRow).c, table(ErasureRow).c

_ORDER, _ERASURE = _ORDERS.by("customer_id"), _ERASURES.by("pseudonym")
_ALL_ORDERS = limited(_ORDERS.select().order_by(_orders.ordered_at, _orders.customer_id))
_ALL_ERASURES = limited(
    _ERASURES.select().where(_erasures.pseudonym > bindparam("after")).order_by(_erasures.pseudonym), "after"
)
_UNFINISHED = limited(_ERASURES.select().where(_erasures.certified_at.is_(None)).order_by(_erasures.erased_at))
_NOTICED = compiled_text(
    "UPDATE erasure_orders SET noticed_at = :noticed_at WHERE customer_id = :customer_id", "noticed_at", "customer_id"
)
_BEGIN = compiled_text(
    "UPDATE erasure_orders SET begun_at = :begun_at WHERE customer_id = :customer_id", "begun_at", "customer_id"
)
_DROP_ORDER = "DELETE FROM erasure_orders WHERE customer_id = ?"
_FINISH = _ERASURES.update("compacted_at", "document", "signature", "timestamp", "certified_at", key="pseudonym")

_IN_THE_WAY = (
    ("unserved_notices", "SELECT count(*) FROM notices WHERE customer_id = ? AND state IN ('draft', 'released')"),
    ("queued_deliveries", "SELECT count(*) FROM deliveries WHERE customer_id = ? AND state = 'queued'"),
    ("open_letter_tasks", "SELECT count(*) FROM letter_tasks WHERE customer_id = ? AND state = 'open'"),
    ("open_call_tasks", "SELECT count(*) FROM call_tasks WHERE customer_id = ? AND state = 'open'"),
    # A later notice says something else of the end of the contract than the one that the order rests on.
    (
        "later_notices",
        (
            "SELECT count(*) FROM erasure_orders o JOIN notices n ON n.id = o.notice_id JOIN notices l ON "
            "l.incident_id = n.incident_id AND l.customer_id = n.customer_id AND l.sequence > n.sequence "
            "WHERE o.customer_id = ? AND l.state = 'sealed'"
        ),
    ),
    # The mail with which its days began was returned; what reached the customer since then, if anything did, was later.
    (
        "returned_notices",
        (
            "SELECT count(*) FROM erasure_orders o WHERE o.customer_id = ? AND o.notice_id IS NOT NULL "
            "AND o.noticed_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.notice_id = o.notice_id "
            "AND d.channel = 'email' AND d.state = 'sent' AND d.sent_at <= o.noticed_at) AND NOT EXISTS "
            "(SELECT 1 FROM letter_tasks t WHERE t.notice_id = o.notice_id AND t.served_on IS NOT NULL)"
        ),
    ),
)

_NOTICES = "(SELECT id FROM notices WHERE customer_id = ?)"
_DELIVERIES = "(SELECT id FROM deliveries WHERE customer_id = ?)"
#: Deletes the rows of the customer, in an order that respects references. Each statement has its id as parameter.
_ROWS_OF_CUSTOMER = (
    f"DELETE FROM sent_messages WHERE delivery_id IN {_DELIVERIES}",  # noqa: S608 - this file's own words, as below
    f"DELETE FROM delivery_attempts WHERE delivery_id IN {_DELIVERIES}",  # noqa: S608
    f"DELETE FROM returned_messages WHERE delivery_id IN {_DELIVERIES}",  # noqa: S608
    "DELETE FROM deliveries WHERE customer_id = ?",
    "DELETE FROM webhook_secrets WHERE endpoint_id IN (SELECT id FROM webhook_endpoints WHERE customer_id = ?)",
    "DELETE FROM webhook_endpoints WHERE customer_id = ?",
    "DELETE FROM call_records WHERE task_id IN (SELECT id FROM call_tasks WHERE customer_id = ?)",
    "DELETE FROM call_tasks WHERE customer_id = ?",
    "DELETE FROM escalations WHERE customer_id = ?",
    "DELETE FROM letter_tasks WHERE customer_id = ?",
    "DELETE FROM announced_customers WHERE customer_id = ?",
    "DELETE FROM questions WHERE customer_id = ?",
    "DELETE FROM feedback WHERE customer_id = ?",
    "DELETE FROM acknowledgements WHERE customer_id = ?",
    "DELETE FROM notice_openings WHERE customer_id = ?",
    "DELETE FROM inbox_items WHERE customer_id = ?",
    "DELETE FROM reachability_checks WHERE customer_id = ?",
    f"DELETE FROM owed_evidence WHERE notice_id IN {_NOTICES}",  # noqa: S608
    f"DELETE FROM seal_proofs WHERE notice_id IN {_NOTICES}",  # noqa: S608
    f"DELETE FROM shared_timestamps WHERE notice_id IN {_NOTICES}",  # noqa: S608
    f"DELETE FROM seal_timestamps WHERE notice_id IN {_NOTICES}",  # noqa: S608
    f"DELETE FROM notice_pdfs WHERE notice_id IN {_NOTICES}",  # noqa: S608
    f"DELETE FROM notice_subjects WHERE notice_id IN {_NOTICES}",  # noqa: S608
    f"DELETE FROM sealed_notices WHERE notice_id IN {_NOTICES}",  # noqa: S608
    f"DELETE FROM alerts WHERE notice_id IN {_NOTICES}",  # noqa: S608
    "DELETE FROM alerts WHERE customer_id = ?",
    "DELETE FROM customer_submissions WHERE customer_id = ?",
    "DELETE FROM notices WHERE customer_id = ?",
    "DELETE FROM decisions WHERE customer_id = ?",
    "DELETE FROM resources WHERE customer_id = ?",
    "DELETE FROM profiles WHERE customer_id = ?",
    "DELETE FROM legal_profiles WHERE customer_id = ?",
    "DELETE FROM agreement_bindings WHERE customer_id = ?",
    "DELETE FROM links WHERE subject_id IN (SELECT id FROM contacts WHERE customer_id = ?)",
    "DELETE FROM contacts WHERE customer_id = ?",
    "DELETE FROM customer_salts WHERE customer_id = ?",
    "DELETE FROM grants WHERE customer_id = ?",
    "DELETE FROM membership_offers WHERE customer_id = ?",
    "DELETE FROM customers WHERE id = ?",
)
_DECIDED_LAST = (
    "SELECT d.incident_id FROM decisions d WHERE d.customer_id = ? AND d.verdict = ? AND d.position = (SELECT "
    "max(l.position) FROM decisions l WHERE l.incident_id = d.incident_id AND l.customer_id = d.customer_id)"
)
#: Takes the customer out of the numbers that lists of incidents show: (verdict, statement).
_UNCOUNT = (
    ("pending", f"UPDATE incident_overviews SET pending = pending - 1 WHERE incident_id IN ({_DECIDED_LAST})"),  # noqa: S608
    ("notify", f"UPDATE incident_overviews SET to_notify = to_notify - 1 WHERE incident_id IN ({_DECIDED_LAST})"),  # noqa: S608
)
_ONLY_HERE = (
    "SELECT a.id, a.name, a.email FROM accounts a WHERE a.id IN "
    "(SELECT account_id FROM grants WHERE customer_id = ? "
    "UNION SELECT account_id FROM membership_offers WHERE customer_id = ?) "
    "AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.account_id = a.id "
    "AND (g.customer_id IS NULL OR g.customer_id <> ?)) "
    "AND NOT EXISTS (SELECT 1 FROM membership_offers o WHERE o.account_id = a.id AND o.customer_id <> ?) "
    "ORDER BY a.position"
)
#: Deletes the rows of an account that had no other role than for this customer.
_ROWS_OF_ACCOUNT = (
    *(
        f"DELETE FROM {name} WHERE account_id = ?"  # noqa: S608
        for name in (
            "sessions", "api_tokens", "passkeys", "passwords", "recovery_codes", "totps", "external_identities",
            "pending_sign_ins",
        )
    ),
    "DELETE FROM links WHERE subject_id = ?",
    "DELETE FROM accounts WHERE id = ?",
)  # fmt: skip
_OPENINGS_ABOUT = (
    "DELETE FROM audit_openings WHERE position IN "
    "(SELECT position FROM audit_subjects WHERE kind = ? AND identifier = ?)"
)
#: Openings of entries that name no customer; openings of other customers are not read.
_OPENINGS_OF_NOBODY = (
    "SELECT o.position, e.id, o.name, o.value, e.type FROM audit_openings o "
    "JOIN audit_entries e ON e.position = o.position WHERE (o.position, o.name) > (?, ?) AND NOT EXISTS "
    "(SELECT 1 FROM audit_subjects s WHERE s.kind = 'customer' AND s.position = o.position) "
    "ORDER BY o.position, o.name LIMIT ?"
)
#: PDFs of reports that name the customer: its own, and those on all customers of a period in which it has one.
_REPORT_PDFS = (
    "DELETE FROM report_pdfs WHERE customer = ?",
    (
        "DELETE FROM report_pdfs WHERE customer = '' AND EXISTS (SELECT 1 FROM issued_reports i WHERE i.customer = ? "
        "AND (i.period = report_pdfs.period OR substr(i.period, 1, 4) = report_pdfs.period))"
    ),
)
_DROP_OPENING = "DELETE FROM audit_openings WHERE position = ? AND name = ?"
_FACTS = "SELECT incident_id, version, facts FROM incident_facts WHERE facts LIKE ?"
_FACTS_IN_FORCE = (
    "SELECT f.facts FROM incident_facts f JOIN incidents i ON i.id = f.incident_id AND i.version = f.version"
    " WHERE f.incident_id = ?"
)
_BLANK_FACTS = "UPDATE incident_facts SET facts = ? WHERE incident_id = ? AND version = ?"
_DRAFTS = "SELECT position, items FROM report_drafts"
_BLANK_DRAFT = "UPDATE report_drafts SET items = ? WHERE position = ?"
_ASSESSMENTS = "SELECT position, apparent_cause, note FROM duty_assessments"
_BLANK_ASSESSMENT = "UPDATE duty_assessments SET apparent_cause = ?, note = ? WHERE position = ?"
_OTHER_RETURNS = "SELECT id, content, diagnostic FROM returned_messages WHERE delivery_id IS NULL"
_MAILS = "SELECT id, recipient, state, subject, text FROM service_mails"
_RESPONSES = "SELECT key, body FROM stored_responses"
_ALERTS = "SELECT id, what FROM alerts"
_LOOKUPS_NAMING = "DELETE FROM resource_lookups WHERE proposed LIKE ?"
_NAMES = "SELECT name FROM customers WHERE id = ?"
_CONTACTS = "SELECT email FROM contacts WHERE customer_id = ?"
_DIRECTORY = "UPDATE directory_version SET version = version + 1"

#: In the place of an erased customer among those chosen for an announcement: an empty list would mean every customer.
NOBODY_LEFT = UUID(int=0)
_AT_ONCE = 1000


class ErasureRecords(Records):
    """Erasure orders and erasures."""

    def add_order(self, order: ErasureOrder) -> None:
        """Store an order; a second one for the same customer raises StateConflictError."""
        self._session.execute(_ORDERS.insert, _ORDERS.values(order))
        self._changed("erasures")

    def order(self, customer_id: UUID) -> ErasureOrder | None:
        """Return the open order for a customer."""
        row = self._session.one(_ORDER, (customer_id.bytes,))
        return None if row is None else _ORDERS.record(row)

    def orders(self, limit: int) -> Sequence[ErasureOrder]:
        """Return the open orders, oldest first."""
        return [_ORDERS.record(row) for row in self._session.all(_ALL_ORDERS, (limit,))]

    def set_noticed(self, customer_id: UUID, noticed_at: datetime) -> None:
        """Record when the formal notice was served; it is never changed."""
        self._session.execute(_NOTICED, (to_microseconds(noticed_at), customer_id.bytes))
        self._changed("erasures")

    def drop_order(self, customer_id: UUID) -> None:
        """Take an order back."""
        self._session.execute(_DROP_ORDER, (customer_id.bytes,))
        self._changed("erasures")

    def obstacles(self, customer_id: UUID) -> dict[str, int]:
        """Return what the customer is still owed: kind to number, empty for nothing."""
        counts = {kind: self._session.one(statement, (customer_id.bytes,)) for kind, statement in _IN_THE_WAY}
        return {kind: row[0] for kind, row in counts.items() if row is not None and row[0]}

    def erase(self, customer_id: UUID, pseudonym: str, begun_at: datetime) -> ErasedRows:
        """Erase everything of a customer, its order last; raises NotFoundError where there is no customer.

        The engine refuses this without an order the days of whose formal notice are over.
        """
        key = customer_id.bytes
        named = self._session.one(_NAMES, (key,))
        if named is None:
            raise NotFoundError("customer", customer_id)
        self._session.execute(_BEGIN, (to_microseconds(begun_at), key))
        accounts = self._session.all(_ONLY_HERE, (key, key, key, key))
        mailboxes = {str(row[0]) for row in self._session.all(_CONTACTS, (key,))}
        mailboxes |= {str(email) for _, _, email in accounts if email is not None}
        # Recorded texts may contain an address in each of its spellings.
        spelled = mailboxes | {normal_address(mailbox) for mailbox in mailboxes}
        words = [*sorted(spelled), str(customer_id)]
        rows = self._count(_OPENINGS_ABOUT, ("customer", pseudonym))
        for account_id, _, _ in accounts:
            rows += self._count(_OPENINGS_ABOUT, ("account", str(UUID(bytes=account_id))))
        rows += self._blank_facts(customer_id, str(named[0]))
        rows += self._drop_texts(words, mailboxes, str(named[0]))
        rows += self._blank_duties(words, str(named[0]))
        rows += self._count(_LOOKUPS_NAMING, (f"%{customer_id}%",))
        SearchDocuments(self._session).drop_customer(customer_id)
        for verdict, statement in _UNCOUNT:
            self._session.execute(statement, (key, verdict))
        for statement in _ROWS_OF_CUSTOMER:
            rows += self._count(statement, (key,))
        for statement in _REPORT_PDFS:
            rows += self._count(statement, (pseudonym,))
        for account_id, _, _ in accounts:
            for statement in _ROWS_OF_ACCOUNT:
                rows += self._count(statement, (account_id,))
        entries = self._drop_openings_of_nobody(words, str(named[0]))
        self._session.execute(_DROP_ORDER, (key,))
        self._session.execute(_DIRECTORY)
        self._session.directory_changed = True
        self._session.directory.forget_seals()
        for kind in ("erasures", "customers", "access", "notices", "deliveries", "messages", "decisions", "incidents"):
            self._changed(kind)
        return ErasedRows(rows + len(entries), tuple(UUID(bytes=row[0]) for row in accounts), tuple(entries))

    def add(self, erasure: Erasure) -> None:
        """Record an erasure that was done."""
        self._session.execute(_ERASURES.insert, _ERASURES.values(erasure))
        self._changed("erasures")

    def get(self, pseudonym: str) -> Erasure | None:
        """Return the erasure of the customer of a pseudonym."""
        row = self._session.one(_ERASURE, (pseudonym,))
        return None if row is None else _ERASURES.record(row)

    def after(self, after: str, limit: int) -> Sequence[Erasure]:
        """Return erasures by pseudonym, from behind one on."""
        return [_ERASURES.record(row) for row in self._session.all(_ALL_ERASURES, (after, limit))]

    def unfinished(self, limit: int) -> Sequence[Erasure]:
        """Return erasures that are not certified yet, oldest first."""
        return [_ERASURES.record(row) for row in self._session.all(_UNFINISHED, (limit,))]

    def save(self, erasure: Erasure) -> None:
        """Add what an erasure did not have yet; the engine refuses to change what it has."""
        names = ("compacted_at", "document", "signature", "timestamp", "certified_at", "pseudonym")
        self._session.execute(_FINISH, _ERASURES.some_values(erasure, *names))
        self._changed("erasures")

    def _count(self, statement: str, parameters: Sequence[object]) -> int:
        return max(0, int(self._session.execute(statement, parameters).rowcount))

    def _blank_facts(self, customer_id: UUID, name: str) -> int:
        """Remove the customer's part from every version of the facts of incidents.

        Of announcements for this customer, the texts that mention its name are blanked too.
        """
        rows = self._session.all(_FACTS, (f"%{customer_id}%",))
        for incident_id, version, text in rows:
            facts = _FACTS_CODEC.decode(text)
            others = tuple(stated for stated in facts.affected_customers if stated.customer_id != customer_id)
            announced = facts.announcement
            if announced is not None:
                chosen = tuple(NOBODY_LEFT if each == customer_id else each for each in announced.customers)
                items = tuple(replace(item, text=_unnamed(item.text, name)) for item in announced.items)
                announced = replace(announced, customers=chosen, items=items)
                facts = replace(facts, title=_unnamed(facts.title, name), summary=_unnamed(facts.summary, name))
            blanked = _FACTS_CODEC.encode(replace(facts, affected_customers=others, announcement=announced))
            self._session.execute(_BLANK_FACTS, (blanked, incident_id, version))
        for incident_id in dict.fromkeys(row[0] for row in rows):
            for (text,) in self._session.all(_FACTS_IN_FORCE, (incident_id,)):
                put_excerpt(self._session, incident_id, _FACTS_CODEC.decode(text))
        return len(rows)

    def _blank_duties(self, words: Sequence[str], name: str) -> int:
        """Remove what names the customer from drafts of reports and from assessments; return the number of rows.

        Reports that were submitted stay as they are: they prove how the provider met a duty of its own, and the
        authority has them.
        """
        blanked = 0
        for position, items in self._session.all(_DRAFTS):
            kept = [[item, text] for item, text in json.loads(items) if not _mentions(text, words, name)]
            if len(kept) < len(json.loads(items)):
                self._session.execute(_BLANK_DRAFT, (_ITEMS_CODEC.encode(tuple(map(tuple, kept))), position))
                blanked += 1
        for position, *texts in self._session.all(_ASSESSMENTS):
            kept_texts = [None if text is None or _mentions(text, words, name) else text for text in texts]
            if kept_texts != texts:
                self._session.execute(_BLANK_ASSESSMENT, (*kept_texts, position))
                blanked += 1
        return blanked

    def _drop_texts(self, words: Sequence[str], mailboxes: Iterable[str], name: str) -> int:
        """Delete texts that name the customer: mails, stored responses, alerts.

        A queued mail to another recipient is still sent; its text is blanked after that.
        """
        sought = [word.casefold().encode() for word in words]
        theirs = {normal_address(mailbox) for mailbox in mailboxes}
        by_name = _name_pattern(name)
        mails = [
            mail_id
            for mail_id, recipient, state, subject, text in self._session.all(_MAILS)
            if normal_address(recipient) in theirs
            or (state != "queued" and (_names((subject, text), sought) or by_name.search(f"{subject}\n{text}")))
        ]
        dropped = sum(self._count("DELETE FROM service_mails WHERE id = ?", (mail_id,)) for mail_id in mails)
        for statement, drop in (
            (_RESPONSES, "DELETE FROM stored_responses WHERE key = ?"),
            (_ALERTS, "DELETE FROM alerts WHERE id = ?"),
            (_OTHER_RETURNS, "DELETE FROM returned_messages WHERE id = ?"),
        ):
            found = [row[0] for row in self._session.all(statement) if _names(row[1:], sought)]
            dropped += sum(self._count(drop, (key,)) for key in found)
        return dropped

    def _drop_openings_of_nobody(self, words: Iterable[str], name: str) -> list[UUID]:
        """Delete openings that mention this customer, of entries that name no customer; return the entries.

        Openings of submitted reports stay, as their rows do. Those of announcements and of words on the provider's
        duties are searched for the customer's name too, because people write them.
        """
        sought = [word.casefold().encode() for word in words]
        found: dict[UUID, None] = {}
        after: tuple[int, str] = (0, "")
        while rows := self._session.all(_OPENINGS_OF_NOBODY, (*after, _AT_ONCE)):
            after = (rows[-1][0], rows[-1][2])
            for position, entry_id, opening, value, kind in rows:
                if kind in _SUBMITTED:
                    continue
                said = kind.startswith(_WRITTEN) and _mentions(bytes(value).decode(errors="replace"), (), name)
                if said or _names((value,), sought):
                    self._session.execute(_DROP_OPENING, (position, opening))
                    found[UUID(bytes=entry_id)] = None
            if len(rows) < _AT_ONCE:
                break
        return list(found)


def _name_pattern(name: str) -> re.Pattern[str]:
    """Return the pattern of a customer's name as a whole word; case does not matter."""
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)


def _unnamed(text: LocalizedText, name: str) -> LocalizedText:
    """Return a text without the languages in which it mentions a customer: a dash takes their place."""
    return LocalizedText(tuple((lang, "—" if _mentions(said, (), name) else said) for lang, said in text.texts))


def _mentions(text: str, words: Sequence[str], name: str) -> bool:
    """Return whether a text that people wrote mentions the customer: its name, or one of the words."""
    folded = text.casefold()
    return _name_pattern(name).search(text) is not None or any(word.casefold() in folded for word in words)


def _names(values: Row | Sequence[object], sought: Sequence[bytes]) -> bool:
    """Return whether one of the values contains one of the sought words; case does not matter."""
    for value in values:
        if isinstance(value, str):
            text = value.casefold().encode()
        elif isinstance(value, bytes):
            text = value.lower()
        else:
            continue
        if any(word in text for word in sought):
            return True
    return False
