"""Runs on the leader only: carry out ordered erasures in time, and certify them.

No state is in memory. The next step depends only on the stored order and erasure, so the work continues after a crash.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

import structlog

from notifications.agreement import Reference
from notifications.customer.erasure import Erasure, ErasureOrder, certificate
from notifications.errors import NotFoundError, StateConflictError
from notifications.ports import Clock, Identifiers, Signer, TimestampAuthority
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.erase_customer import erase_customer, notice_served, notice_served_at
from notifications.use_cases.incidents.customer_decider import Agreements
from service.ports.store import AccessStore, AccessTransaction
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

ACTOR = "system:erasing"
_AT_ONCE = 100


class ErasableStore(AccessStore, Protocol):
    """A store whose files can be rewritten."""

    async def compact(self) -> None:
        """Rewrite the files, so that nothing of deleted rows is left in them; raises StoreUnavailableError."""
        ...


@dataclass(frozen=True, slots=True)
class ErasureCertificates:
    """The dependencies for making certificates."""

    provider_name: str
    agreements: Agreements
    signer: Signer
    timestamp_authority: TimestampAuthority


class ErasureTask(PeriodicTask):
    """Carries out orders and erasures, after commits and when the days of an order's notice are over."""

    name = "erasing"
    kinds = frozenset({"erasures", "messages", "deliveries", "call_tasks", "notices"})
    poll_seconds = 300.0
    shortest_seconds = 1.0

    def __init__(
        self, store: ErasableStore, certifying: ErasureCertificates, *, clock: Clock, identifiers: Identifiers
    ) -> None:
        super().__init__(clock)
        self._store, self._certifying, self._identifiers = store, certifying, identifiers

    async def look(self) -> datetime | None:
        """Do the due steps; return when the next order is due.

        1. When the first mail of an order, or of the sealed notice that it rests on, was accepted, or when the
           registered letter of that notice counts as served, the order is served: record that its days begin.
        2. When the days of an order's notice are over, erase the customer, unless a notice to it is still open.
        3. Rewrite the database files after an erasure.
        4. Make the certificate: signed, timestamped, logged.

        A failure delays no other order; the first failure is raised after all were handled.
        """
        failures: list[Exception] = []
        moments: list[datetime] = []
        for order in await self._store.read(lambda tx: tx.erasures.orders(_AT_ONCE)):
            try:
                # 1. and 2.
                moments += await self._carry_on(order)
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)
        for erasure in await self._store.read(lambda tx: tx.erasures.unfinished(_AT_ONCE)):
            try:
                # 3. and 4.
                await self._finish(erasure)
            except Exception as error:  # noqa: BLE001 - raised below
                failures.append(error)
        if failures:
            raise failures[0]
        return min(moments, default=None)

    def _act(self) -> AuditContext:
        return AuditContext(ACTOR, self._clock.now(), self._identifiers)

    async def _carry_on(self, order: ErasureOrder) -> list[datetime]:
        """Return when to look at an order again; empty if only a change can make it due."""
        customer = await self._store.read(lambda tx: tx.customers.get(order.customer_id))
        if customer is None:
            return []
        window = order.window(customer.time_zone)
        if window is None:
            await self._store.write(lambda tx: _note_served(tx, self._act(), order, customer.time_zone))
            return []
        if self._clock.now() < window.not_before:
            return [window.not_before]
        try:
            erasure = await self._store.write(lambda tx: erase_customer(tx, self._act(), order.customer_id))
        except StateConflictError as error:
            # Open obligations to the customer come first; an alert informs the administrators.
            _log.warning("erasure.waiting", customer_id=str(order.customer_id), reason=str(error))
            return []
        except NotFoundError:
            # Another process looked at the same moment, or the order was withdrawn.
            return []
        _log.info("customer.erased", rows=erasure.erased_rows)
        return []

    async def _finish(self, erasure: Erasure) -> None:
        if erasure.compacted_at is None:
            await self._store.compact()
            erasure = replace(erasure, compacted_at=self._clock.now())
            saved = erasure
            await self._store.write(lambda tx: _save_compacted(tx, saved))
        parts = self._certifying
        act = self._act()
        clauses = parts.agreements.clauses_of(erasure.agreement_id, Reference.ERASURE)
        document = certificate(erasure, provider_name=parts.provider_name, clauses=clauses, issued_at=act.now)
        signature = parts.signer.sign_detached(document)
        token = await parts.timestamp_authority.timestamp(signature)
        certified = replace(erasure, document=document, signature=signature, timestamp=token, certified_at=act.now)

        def work(tx: AccessTransaction) -> None:
            recorded = tx.erasures.get(certified.pseudonym)
            if recorded is None or recorded.certified_at is not None or recorded.compacted_at != certified.compacted_at:
                return
            tx.erasures.save(certified)
            tx.audit.append([
                act.entry(
                    "erasure.certified",
                    subjects={"customer": certified.pseudonym},
                    detail={
                        f"{name}_sha256": hashlib.sha256(part).hexdigest()
                        for name, part in (("document", document), ("signature", signature), ("timestamp", token))
                    },
                )
            ])  # fmt: skip

        await self._store.write(work)
        _log.info("erasure.certified", pseudonym=certified.pseudonym)


def _save_compacted(tx: AccessTransaction, erasure: Erasure) -> None:
    recorded = tx.erasures.get(erasure.pseudonym)
    if recorded is not None and recorded.compacted_at is None:
        tx.erasures.save(erasure)


def _note_served(tx: AccessTransaction, act: AuditContext, order: ErasureOrder, time_zone: str) -> None:
    """Begin the days of an order once the first of its mails was accepted, or its sealed notice was served."""
    ordered = tx.erasures.order(order.customer_id)
    if ordered is None or ordered.noticed_at is not None:
        return
    if ordered.notice_id is not None:
        since = notice_served_at(tx, ordered.notice_id, time_zone)
        if since is not None:
            notice_served(tx, act, ordered, time_zone, since)
        return
    mails = (tx.mails.get(UUID(mail_id)) for mail_id in order.mail_ids)
    if any(mail is not None and mail.state == "sent" for mail in mails):
        notice_served(tx, act, ordered, time_zone, act.now)
