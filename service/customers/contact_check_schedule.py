"""When contacts are checked: once confirmed, and again after so many days; a duty of whoever leads."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog

from notifications.errors import NotFoundError
from notifications.ports import Clock
from service.customers.contact_check import ContactChecker
from service.ports.alerts import ContactToCheck
from service.ports.store import AccessStore

_log = structlog.get_logger(__name__)

#: A contact that was just confirmed is left alone for so long: whoever keeps it may not be done.
_SETTLED = timedelta(minutes=5)
_LOOK_SECONDS = 300.0
#: Contacts taken up by one look.
_AT_ONCE = 500


class ContactChecks:
    """Checks what is to be checked, a look every few minutes; what a look could not ask comes again with the next."""

    def __init__(self, store: AccessStore, checker: ContactChecker, *, every_days: float, clock: Clock) -> None:
        """``every_days`` 0: nothing is checked."""
        self._store, self._checker, self._clock = store, checker, clock
        self._every = timedelta(days=every_days)
        self._failure: str | None = None

    def health(self) -> str | None:
        """Return why contacts are not checked, or None."""
        return self._failure

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look()
                self._failure = None
            except Exception as error:  # noqa: BLE001 - the loop outlives any failure; it is logged and shown
                self._failure = f"{type(error).__name__}: {error}"
                _log.error("checks.stalled", exc_info=error)

    async def look(self) -> int:
        """Check contacts that are new or due; returns how many were taken up.

        Of a customer that was checked before everything is checked again; of a new contact only itself.
        """
        if not self._every:
            return 0
        now = self._clock.now()
        due = await self._store.read(
            lambda tx: tx.alerts.contacts_to_check(now - _SETTLED, now - self._every, _AT_ONCE)
        )
        by_customer: dict[UUID, list[ContactToCheck]] = {}
        for contact in due:
            by_customer.setdefault(contact.customer_id, []).append(contact)
        for customer_id, contacts in by_customer.items():
            if not await self._check(customer_id, contacts):
                break
        return len(due)

    async def _check(self, customer_id: UUID, contacts: Sequence[ContactToCheck]) -> bool:
        """Check one customer; returns whether the relay answers."""
        again = any(contact.was_checked for contact in contacts)
        only = None if again else frozenset(contact.contact_id for contact in contacts)
        try:
            report = await self._checker.check_customer(customer_id, only=only)
        except NotFoundError:
            return True
        failed = sum(line.verdict == "failed" for line in report.lines)
        _log.info("contacts.checked", customer_id=str(customer_id), contacts=len(contacts), failed=failed)
        if report.relay_fault is not None:
            _log.warning("checks.unasked", reason=report.relay_fault)
        return report.relay_fault is None
