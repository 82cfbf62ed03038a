"""Decisions: one per customer and version of the facts, thousands at a time and nearly all equal.

The stored text of a decision does not contain its customer. So equal decisions have one text, which is encoded and
decoded once.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select

from notifications.decision import Decision
from notifications.ports import Page, StoredDecision
from service.store.sql.encoding import JsonCodec, from_microseconds, to_microseconds
from service.store.sql.paging import FIRST, paged, start_of
from service.store.sql.records import Records
from service.store.sql.statements import compiled, insert_of, limited
from service.store.tables import CustomerRow, DecisionRow, table

_DECISION: JsonCodec[Decision] = JsonCodec(Decision)
_NO_CUSTOMER = UUID(int=0)
_without_reasons = attrgetter(*({member.name for member in fields(Decision)} - {"customer_id", "reasons"}))

_decisions, _customers = table(DecisionRow).c, table(CustomerRow).c

_INSERT_DECISION = insert_of(DecisionRow)
_DECIDED = (
    _decisions.id, _decisions.incident_id, _decisions.customer_id, _decisions.facts_version, _decisions.recorded_at,
    _decisions.decision,
)  # fmt: skip
_later = table(DecisionRow).alias("later")
_latest_of_customer = (
    select(func.max(_later.c.position))
    .where(_later.c.incident_id == _decisions.incident_id, _later.c.customer_id == _decisions.customer_id)
    .scalar_subquery()
)
_CURRENT_DECISIONS = compiled(
    select(*_DECIDED)
    .where(_decisions.incident_id == bindparam("incident_id"), _decisions.position == _latest_of_customer)
    .order_by(_decisions.position),
    "incident_id",
)
# Starts from the customers in order, so that a page reads only its own decisions and not all of the incident.
_latest_of_walked = (
    select(func.max(_later.c.position))
    .where(_later.c.incident_id == bindparam("incident_id"), _later.c.customer_id == _customers.id)
    .scalar_subquery()
)
_page_of_decisions = (
    select(_customers.position, *_DECIDED)
    .select_from(table(CustomerRow).join(table(DecisionRow), _decisions.position == _latest_of_walked))
    .where(_customers.position > bindparam("after"))
    .order_by(_customers.position)
)
_DECISIONS_PAGE = limited(_page_of_decisions, "incident_id", "after")
_DECISIONS_PAGE_BY_VERDICT = limited(
    _page_of_decisions.where(_decisions.verdict == bindparam("verdict")), "incident_id", "after", "verdict"
)


class _Alike:
    """Encodes and decodes the decisions of one call; each different text is handled once."""

    def __init__(self) -> None:
        self._texts: dict[tuple[object, ...], str] = {}
        self._values: dict[str, Decision] = {}

    def text_of(self, decision: Decision) -> str:
        # Reasons are compared by identity: equal decisions share the object, and hashing costs as much as encoding.
        # The caller keeps the decisions alive, so no identity is reused in the meantime.
        key = (id(decision.reasons), *_without_reasons(decision))
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = _DECISION.encode(replace(decision, customer_id=_NO_CUSTOMER))
        return text

    def decision_of(self, text: str, customer_id: bytes) -> Decision:
        value = self._values.get(text)
        if value is None:
            value = self._values[text] = _DECISION.decode(text)
        return replace(value, customer_id=UUID(bytes=customer_id))

    def stored_of_row(self, *row: Any) -> StoredDecision:
        id_bytes, incident_id, customer_id, facts_version, recorded_at, text = row
        return StoredDecision(
            id=UUID(bytes=id_bytes),
            incident_id=UUID(bytes=incident_id),
            facts_version=facts_version,
            recorded_at=from_microseconds(recorded_at),
            decision=self.decision_of(text, customer_id),
        )


class DecisionRecords(Records):
    """Decisions."""

    def add_decisions(self, decisions: Sequence[StoredDecision]) -> None:
        """Record decisions."""
        alike = _Alike()
        self._session.execute_many(
            _INSERT_DECISION,
            [
                (
                    stored.id.bytes,
                    stored.incident_id.bytes,
                    stored.decision.customer_id.bytes,
                    stored.facts_version,
                    to_microseconds(stored.recorded_at),
                    stored.decision.verdict.value,
                    alike.text_of(stored.decision),
                )
                for stored in decisions
            ],
        )
        if decisions:
            self._changed("decisions")

    def current_decisions(self, incident_id: UUID) -> dict[UUID, StoredDecision]:
        """Return the latest decision per customer of an incident."""
        rows = self._session.all(_CURRENT_DECISIONS, (incident_id.bytes,))
        stored_of_row = _Alike().stored_of_row
        found = [stored_of_row(*row) for row in rows]
        return {stored.decision.customer_id: stored for stored in found}

    def decisions(
        self, incident_id: UUID, page: Page, *, verdict: str | None = None
    ) -> tuple[list[StoredDecision], str | None]:
        """Return the latest decision per customer, by customer creation, as a page."""
        after = start_of("decisions", page, FIRST)
        key = incident_id.bytes
        if verdict is None:
            rows = self._session.all(_DECISIONS_PAGE, (key, after, page.limit + 1))
        else:
            rows = self._session.all(_DECISIONS_PAGE_BY_VERDICT, (key, after, verdict, page.limit + 1))
        return paged("decisions", page, rows, _Alike().stored_of_row)
