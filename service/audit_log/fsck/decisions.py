"""Compare rows with the log: facts of incidents, decisions, acknowledgements.

The log commits to facts and states each decision and acknowledgement. With a row that was edited afterwards, pages and
reports would show a wrong past. The customer of an entry is found by the salt of its pseudonym, until the salt is
erased.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from notifications.audit.entry import Leaf, pseudonym
from notifications.canonical_json import canonicalize, parse_canonical, timestamp_text
from notifications.decision import Decision
from notifications.incident import UNKNOWN, IncidentFacts
from notifications.use_cases.audit_context import as_json
from service.audit_log.fsck.findings import ACKNOWLEDGEMENTS, DECISIONS, FACTS, RangeFound
from service.store.maintenance.inspection import Inspection
from service.store.sql.encoding import JsonCodec, from_microseconds

DECIDED, ACKNOWLEDGED, STATED = "decision.recorded", "notice.acknowledged", "incident.effect_stated"
OF_FACTS = ("incident.declared", "incident.facts_changed", "incident.closed", "incident.reopened")
KINDS = (DECIDED, ACKNOWLEDGED, STATED, *OF_FACTS)

_DECISION: JsonCodec[Decision] = JsonCodec(Decision)
_INCIDENT_FACTS: JsonCodec[IncidentFacts] = JsonCodec(IncidentFacts)
_decoded_decision, _decoded_facts = lru_cache(256)(_DECISION.decode), lru_cache(16)(_INCIDENT_FACTS.decode)

_SALTS = "SELECT customer_id, salt FROM customer_salts"
_OF_CUSTOMER = (
    "SELECT verdict, decision, recorded_at FROM decisions "
    "WHERE incident_id = ? AND customer_id = ? AND facts_version = ?"
)
_FACTS_AT = "SELECT facts FROM incident_facts WHERE incident_id = ? AND version = ?"
_GIVEN = 'SELECT via, acknowledged_at, note FROM acknowledgements WHERE notice_id = ? AND "by" = ?'


class DecisionChecks:
    """Compares the rows of decisions with the entries of one range."""

    def __init__(self, inspection: Inspection, found: RangeFound) -> None:
        self._inspection, self._found = inspection, found
        self._customers: dict[str, bytes] | None = None

    def compare(self, index: int, said: Leaf, opened: Mapping[str, bytes]) -> bool:
        """Compare the row of an entry with the entry; return False if the row is missing."""
        if said.type == DECIDED:
            return self._compare_decision(index, said)
        if said.type == ACKNOWLEDGED:
            return self._compare_acknowledgement(index, said, opened)
        return self._compare_facts(index, said, opened)

    def _customer(self, name: str) -> bytes | None:
        """Return the customer id of a pseudonym; for an unknown one, the customers are read again."""
        if self._customers is None or name not in self._customers:
            self._customers = {
                pseudonym(bytes(salt), UUID(bytes=bytes(customer))): bytes(customer)
                for customer, salt in self._inspection.all(_SALTS)
            }
        return self._customers.get(name)

    def _compare_decision(self, index: int, said: Leaf) -> bool:
        self._found.count(DECISIONS)
        customer = self._customer(said.subjects["customer"])
        incident, detail = UUID(said.subjects["incident"]), said.detail
        rows = [] if customer is None else self._inspection.all(
            _OF_CUSTOMER, (incident.bytes, customer, detail["facts_version"])
        )  # fmt: skip
        if not rows:
            return False
        verdict, text, recorded_at = rows[0]
        decision = _decoded_decision(text)
        stored = {
            "verdict": decision.verdict.value,
            "nature": decision.nature.value,
            "priority": decision.priority,
            "agreement": decision.agreement_id,
            "profile_version": decision.profile_version,
            "reasons": [f"{reason.id}:{reason.holds.value}" for reason in decision.reasons],
            "due_at": None if decision.due_at is None else timestamp_text(decision.due_at),
            "due_kind": None if decision.due_kind is None else decision.due_kind.value,
        }
        if "binding" in detail:
            # Entries of earlier releases do not state it.
            stored["binding"] = None if decision.binding is None else decision.binding.value
        other = [name for name, value in stored.items() if detail[name] != value]
        if verdict != detail["verdict"]:
            other.append("verdict")
        if from_microseconds(recorded_at) != said.at:
            other.append("time")
        if other:
            where = f"decision of index {index} on incident {incident}"
            self._found.differs(DECISIONS, where, f"has another {other[0]} than the log says")
        return True

    def _compare_facts(self, index: int, said: Leaf, opened: Mapping[str, bytes]) -> bool:
        incident, version = UUID(said.subjects["incident"]), said.detail["version"]
        self._found.count(FACTS)
        rows = self._inspection.all(_FACTS_AT, (incident.bytes, version))
        if not rows:
            return False
        if "payload" not in opened:
            return True
        facts, committed = _decoded_facts(rows[0][0]), parse_canonical(opened["payload"])
        stored: Any
        if said.type == STATED:
            customer = self._customer(said.subjects["customer"])
            affected = as_json(None if customer is None else facts.for_customer(UUID(bytes=customer)))
            assert isinstance(committed, dict)
            stored = {"affected": as_committed(affected, committed["affected"])}
        else:
            shape = as_json(facts)
            assert isinstance(shape, dict)
            assert isinstance(committed, dict)
            # Entries of earlier releases also commit to the facts about single customers.
            stored = {
                "facts": {
                    name: as_committed(shape[name], then) for name, then in committed["facts"].items() if name in shape
                }
            }
        if canonicalize(as_json(stored)) != opened["payload"]:
            where = f"version {version} of the facts of incident {incident}, index {index},"
            self._found.differs(FACTS, where, "says something else than the log commits to")
        return True

    def _compare_acknowledgement(self, index: int, said: Leaf, opened: Mapping[str, bytes]) -> bool:
        self._found.count(ACKNOWLEDGEMENTS)
        notice = UUID(said.subjects["notice"])
        rows = self._inspection.all(_GIVEN, (notice.bytes, said.actor))
        if not rows:
            return False
        via, at, note = rows[0]
        same = (via, from_microseconds(at)) == (said.detail["via"], said.at)
        if "payload" in opened:
            same = same and canonicalize({"note": note}) == opened["payload"]
        if not same:
            where = f"acknowledgement of notice {notice}, index {index},"
            self._found.differs(ACKNOWLEDGEMENTS, where, "is another than the log says")
        return True


def as_committed(stored: Any, committed: Any) -> Any:
    """Return a stored value without the facts that are unknown and that the release of the entry did not have."""
    if isinstance(stored, Mapping) and isinstance(committed, Mapping):
        return {
            name: as_committed(value, committed.get(name))
            for name, value in stored.items()
            if name in committed or value != UNKNOWN
        }
    if isinstance(stored, list) and isinstance(committed, list) and len(stored) == len(committed):
        return [as_committed(each, then) for each, then in zip(stored, committed, strict=True)]
    return stored
