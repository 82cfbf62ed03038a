"""Compare rows with the commitments of the log: seals, timestamps, proofs, attempts, mails as sent.

A row may be missing only if its customer was erased; ``check`` verifies that erasure. Each row is found from its entry.
A separate check covers all rows at once: every row has an entry.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from notifications.audit.checkpoint import verify_checkpoint
from notifications.audit.entry import Leaf, parse_leaf
from notifications.audit.merkle import leaf_hash, verify_inclusion
from notifications.audit.note import VerifierKey
from notifications.audit.proof import parse_notice_extra, parse_proof
from notifications.canonical_json import parse_timestamp, timestamp_text
from notifications.delivery.delivery import ChannelKind
from notifications.errors import InvalidInputError, VerificationError
from notifications.evidence.verification import shares_timestamp
from service.audit_log.fsck.decisions import ACKNOWLEDGED, DECIDED, KINDS, DecisionChecks
from service.audit_log.fsck.findings import (
    ACKNOWLEDGEMENTS,
    ATTEMPTS,
    DECISIONS,
    MAILS,
    OPENINGS,
    PROOFS,
    SEALS,
    TIMESTAMPS,
    Difference,
    RangeFound,
)
from service.store.maintenance.inspection import Inspection
from service.store.sql.encoding import from_microseconds

_SEALED, _TIMESTAMPED, _ATTEMPTED = "notice.sealed", "notice.timestamped", "delivery.attempted"
#: Types of the entries that record an erasure and the formal notice before it.
ERASED, _NOTICED = "customer.erased", "customer.erasure_noticed"
#: The days of notice in entries that do not state them: earlier releases knew no other number.
_DAYS_NOT_STATED = 21
#: Types of the entries that have rows, and the last bytes of their leaves: ``type`` and ``v`` are the last members.
WITH_ROWS = frozenset((_SEALED, _TIMESTAMPED, _ATTEMPTED, ERASED, _NOTICED, *KINDS))
ROWS_OF = tuple(f'"type":"{kind}","v":1}}'.encode() for kind in WITH_ROWS)

_SEAL = (
    "SELECT s.notice_id, s.document, s.signature, s.resources_csv, s.renderings, p.proof FROM sealed_notices s "
    "LEFT JOIN seal_proofs p ON p.notice_id = s.notice_id WHERE s.notice_id = ? AND s.entry_id = ?"
)
_SHARED = (
    "SELECT s.shares_timestamp, h.size, h.proof, t.token, c.note, o.kind FROM sealed_notices s "
    "LEFT JOIN shared_timestamps h ON h.notice_id = s.notice_id "
    "LEFT JOIN checkpoint_timestamps t ON t.size = h.size LEFT JOIN log_checkpoints c ON c.size = h.size "
    "LEFT JOIN owed_evidence o ON o.notice_id = s.notice_id AND o.kind = 'shared_timestamp' WHERE s.notice_id = ?"
)
_TIMESTAMP = "SELECT token FROM seal_timestamps WHERE notice_id = ?"
_ATTEMPT = (
    "SELECT a.outcome, a.evidence_event, a.message_sha256, m.content, a.started_at, a.ended_at "
    "FROM delivery_attempts a LEFT JOIN sent_messages m ON m.delivery_id = a.delivery_id AND m.number = a.number "
    "WHERE a.delivery_id = ? AND a.number = ?"
)
_SEALS_WITHOUT_ENTRY = (
    "SELECT s.notice_id FROM sealed_notices s LEFT JOIN audit_entries e ON e.id = s.entry_id WHERE e.id IS NULL LIMIT 1"
)
_MAILS_WITHOUT_ATTEMPT = (
    "SELECT m.delivery_id, m.number FROM sent_messages m LEFT JOIN delivery_attempts a "
    "ON a.delivery_id = m.delivery_id AND a.number = m.number WHERE a.id IS NULL LIMIT 1"
)
_ATTEMPTS = "SELECT count(*) FROM delivery_attempts"
_DECISIONS = "SELECT count(*) FROM decisions"
_ACKNOWLEDGEMENTS = "SELECT count(*) FROM acknowledgements"
_TIMESTAMPS = "SELECT count(*) FROM seal_timestamps"
_OPENINGS_WITHOUT_ENTRY = (
    "SELECT o.position FROM audit_openings o LEFT JOIN audit_entries e ON e.position = o.position "
    "WHERE e.id IS NULL LIMIT 1"
)


class RowChecks:
    """Compares rows with the entries of one range."""

    def __init__(self, inspection: Inspection, found: RangeFound, keys: Sequence[VerifierKey]) -> None:
        self._inspection, self._found, self._keys = inspection, found, keys
        self._decided = DecisionChecks(inspection, found)

    def erased(self, index: int, leaf: bytes, gone: int) -> None:
        """Record missing openings under their owner: the entry's customer, its account, or the entry itself."""
        said = json.loads(leaf)
        subjects = said["subjects"]
        if "customer" in subjects:
            whose = str(subjects["customer"])
        elif "account" in subjects:
            whose = f"account {subjects['account']}"
        else:
            whose = f"entry {said['id']}"
        self._gone(index, whose, gone)

    def compare(self, index: int, leaf: bytes, opened: Mapping[str, bytes]) -> None:
        """Compare the rows of an entry with the values in its openings."""
        try:
            said = parse_leaf(leaf)
        except InvalidInputError:
            return  # this program did not write the leaf; the comparison of the tree reports it if it was changed
        subjects = said.subjects
        try:
            if said.type == _SEALED:
                self._compare_seal(index, leaf, said.id, UUID(subjects["notice"]), opened, subjects.get("customer", ""))
                if "timestamp" in said.commitments:
                    self._compare_timestamp(index, UUID(subjects["notice"]), opened, subjects.get("customer", ""))
            elif said.type == _TIMESTAMPED:
                self._compare_timestamp(index, UUID(subjects["notice"]), opened, subjects.get("customer", ""))
            elif said.type == _ATTEMPTED:
                self._compare_attempt(index, UUID(subjects["delivery"]), said.detail, subjects.get("customer", ""))
            elif said.type in KINDS:
                if not self._decided.compare(index, said, opened):
                    self._gone(index, subjects.get("customer", f"entry {said.id}"))
            elif said.type == _NOTICED:
                # A letter was served before the entry was made.
                days = int(str(said.detail.get("notice_days", _DAYS_NOT_STATED)))
                self._found.noticed[subjects["customer"]] = parse_timestamp(str(said.detail["noticed_at"])), days
            elif said.type == ERASED:
                self._note_erasure(index, said)
        except (KeyError, ValueError) as error:
            self._found.differs(SEALS, f"index {index}", f"names no row: {error}")

    def _note_erasure(self, index: int, said: Leaf) -> None:
        """Record the owners that an erasure covers: the customer, its accounts, and single entries."""
        customer = said.subjects["customer"]
        self._found.said_erased[customer] = index
        for kind, name in (("accounts", "account"), ("entries", "entry")):
            listed = said.detail[kind]
            for one in listed if isinstance(listed, list) else ():
                self._found.said_erased[f"{name} {one}"] = index
        self._found.erasures.append((index, customer, said.at))

    def _gone(self, index: int, whose: str, number: int = 1) -> None:
        before, first, last = self._found.erased.get(whose, (0, index, index))
        self._found.erased[whose] = (before + number, first, max(last, index))

    def _compare_seal(
        self, index: int, leaf: bytes, entry_id: UUID, notice_id: UUID, opened: Mapping[str, bytes], customer: str
    ) -> None:
        rows = self._inspection.all(_SEAL, (notice_id.bytes, entry_id.bytes))
        if not rows:
            self._gone(index, customer)
            return
        (_, document, signature, resources_csv, renderings, proof) = rows[0]
        where = f"notice {notice_id}, sealed at index {index},"
        for name, part in (("document", document), ("signature", signature)):
            if name in opened and hashlib.sha256(part).digest() != opened[name]:
                self._found.differs(SEALS, where, f"has another {name} than the log commits to")
        if "document" in opened:
            self._compare_words(where, document, resources_csv, renderings)
            self._compare_shared(index, leaf, notice_id, document, proof, where)
        self._found.count(SEALS)
        if proof is not None:
            self._compare_proof(index, leaf, proof, where)

    def _compare_words(self, where: str, document: bytes, resources_csv: bytes | None, renderings: str) -> None:
        """Compare the renderings and the list of resources with the digests in the document."""
        try:
            stated: Any = json.loads(document)
            digests = {item["sha256"] for item in stated.get("renderings", [])}
            resources = (stated.get("effect") or {}).get("resources_csv_sha256")
            words = json.loads(renderings)
            kept = {hashlib.sha256(item[form].encode()).hexdigest() for item in words for form in ("text", "html")}
        except (ValueError, KeyError, TypeError, AttributeError):
            self._found.differs(SEALS, where, "has a document or words that cannot be read")
            return
        if kept != digests:
            self._found.differs(SEALS, where, "has other words than its document commits to")
        attached = None if resources_csv is None else hashlib.sha256(resources_csv).hexdigest()
        if attached != resources:
            self._found.differs(SEALS, where, "has another list of resources than its document commits to")

    def _compare_shared(
        self, index: int, leaf: bytes, notice_id: UUID, document: bytes, proof: bytes | None, where: str
    ) -> None:
        """Compare the timestamp that a notice shares; the token itself is verified with the head that it is over."""
        ((shares, size, late_proof, token, note, owed),) = self._inspection.all(_SHARED, (notice_id.bytes,))
        if bool(shares) != shares_timestamp(document):
            self._found.differs(SEALS, where, "is kept with another kind of timestamp than its document says")
        if not shares:
            return
        if size is None or token is None:
            if size is not None or owed is None:
                self._found.differs(TIMESTAMPS, where, "shares a timestamp, which is neither here nor owed")
            return
        if late_proof is not None:
            self._compare_proof(index, leaf, late_proof, where)
        try:
            under = parse_proof(late_proof or proof or b"").checkpoint
        except InvalidInputError:
            under = b""
        if note is None or under != bytes(note):
            self._found.differs(PROOFS, where, "has a proof under another checkpoint than its timestamp is over")

    def _compare_proof(self, index: int, leaf: bytes, proof: bytes, where: str) -> None:
        try:
            parsed = parse_proof(proof)
            checkpoint = verify_checkpoint(parsed.checkpoint, *self._keys)
            verify_inclusion(leaf_hash(leaf), parsed.index, checkpoint.size, parsed.hashes, checkpoint.root)
            if parsed.index != index:
                self._found.differs(PROOFS, where, f"has a proof of index {parsed.index}")
            elif parsed.extra is not None and parse_notice_extra(parsed.extra).leaf != leaf:
                self._found.differs(PROOFS, where, "has a proof that carries another leaf")
        except (InvalidInputError, VerificationError) as error:
            self._found.differs(PROOFS, where, f"has a proof that does not hold: {error}")
        self._found.count(PROOFS)

    def _compare_timestamp(self, index: int, notice_id: UUID, opened: Mapping[str, bytes], customer: str) -> None:
        rows = self._inspection.all(_TIMESTAMP, (notice_id.bytes,))
        if not rows:
            self._gone(index, customer)
        elif "timestamp" in opened and hashlib.sha256(rows[0][0]).digest() != opened["timestamp"]:
            where = f"notice {notice_id}, timestamped at index {index},"
            self._found.differs(TIMESTAMPS, where, "has another token than the log commits to")
        self._found.count(TIMESTAMPS)

    def _compare_attempt(self, index: int, delivery_id: UUID, detail: Mapping[str, object], customer: str) -> None:
        rows = self._inspection.all(_ATTEMPT, (delivery_id.bytes, detail["number"]))
        self._found.count(ATTEMPTS)
        if not rows:
            self._gone(index, customer)
            return
        outcome, event, digest, content, started_at, ended_at = rows[0]
        where = f"attempt {detail['number']} of delivery {delivery_id}, index {index},"
        if (digest, event) != (detail["message_sha256"], detail["event"]):
            self._found.differs(ATTEMPTS, where, "has another digest or event than the log says")
        kept = json.loads(outcome)
        if (kept.get("kind"), kept.get("code")) != (detail["outcome"], detail["code"]):
            self._found.differs(ATTEMPTS, where, "has another outcome than the log says")
        times = {"started_at": started_at, "ended_at": ended_at}
        # Entries of earlier releases contain only the start time.
        if any(detail.get(name, text) != text for name, text in ((n, _moment(at)) for n, at in times.items())):
            self._found.differs(ATTEMPTS, where, "has other times than the log says")
        # The console shows the notice itself, so no message is stored for it.
        if content is None and digest is not None and detail["channel"] != ChannelKind.CONSOLE.value:
            self._gone(index, customer)
        elif content is not None:
            if hashlib.sha256(content).hexdigest() != detail["message_sha256"]:
                self._found.differs(MAILS, where, "kept other bytes than the log says were handed over")
            self._found.count(MAILS)


def _moment(microseconds: int) -> str:
    return timestamp_text(from_microseconds(microseconds))


def rows_without_entries(inspection: Inspection, last_position: int, counts: Mapping[str, int]) -> list[Difference]:
    """Return rows without an entry in the log; ``counts`` are the entries up to ``last_position``, by step.

    Rows of attempts and timestamps do not name their entry. Their number must equal the number of entries, including
    entries without an index.
    """
    found = []
    with inspection.snapshot():
        for step, statement, what in (
            (SEALS, _SEALS_WITHOUT_ENTRY, "is a seal that no entry speaks of"),
            (MAILS, _MAILS_WITHOUT_ATTEMPT, "is a mail of no attempt"),
            (OPENINGS, _OPENINGS_WITHOUT_ENTRY, "opens no entry"),
        ):
            for row in inspection.all(statement):
                name = row[0].hex() if isinstance(row[0], bytes) else str(row[0])
                found.append(Difference(step, name, what))
        said = {step: counts.get(step, 0) for step in (ATTEMPTS, TIMESTAMPS, DECISIONS, ACKNOWLEDGEMENTS)}
        for leaf in inspection.leaves_after(last_position):
            if leaf.endswith(ROWS_OF):
                kind = parse_leaf(leaf)
                said[ATTEMPTS] += kind.type == _ATTEMPTED
                said[TIMESTAMPS] += "timestamp" in kind.commitments
                said[DECISIONS] += kind.type == DECIDED
                said[ACKNOWLEDGEMENTS] += kind.type == ACKNOWLEDGED
        for step, statement in (
            (ATTEMPTS, _ATTEMPTS),
            (TIMESTAMPS, _TIMESTAMPS),
            (DECISIONS, _DECISIONS),
            (ACKNOWLEDGEMENTS, _ACKNOWLEDGEMENTS),
        ):
            stored = int(inspection.all(statement)[0][0])
            if stored > said[step]:
                found.append(Difference(step, f"{stored} rows", f"exist, but the log has entries for {said[step]}"))
    return found
