"""When contacts are checked: after their confirmation, and then at a fixed interval. Runs on the leader only."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

import structlog

from notifications.errors import NotFoundError
from notifications.ports import Clock
from service.customers.contact_check.checker import ContactChecker
from service.ports.alerts import ContactToCheck
from service.ports.store import AccessStore
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

#: Wait after a contact was confirmed, because its data may still be changed.
_SETTLED = timedelta(minutes=5)
#: No checks for this time after a start.
_FIRST_AFTER = timedelta(minutes=5)
#: Most contacts in one call.
_AT_ONCE = 500


class ContactChecks(PeriodicTask):
    """Checks due contacts every few minutes; contacts that could not be checked are due again at the next call."""

    name = "checks"
    kinds: ClassVar[frozenset[str]] = frozenset()
    poll_seconds = 300.0
    shortest_seconds = 0.0

    def __init__(self, store: AccessStore, checker: ContactChecker, *, every_days: float, clock: Clock) -> None:
        """``every_days`` 0 switches the checks off."""
        super().__init__(clock)
        self._store, self._checker, self._every = store, checker, timedelta(days=every_days)
        self._first_at = clock.now() + _FIRST_AFTER

    async def look(self) -> datetime | None:
        """Check contacts that are new or due; return the time of the first call if it has not come yet."""
        if self._clock.now() < self._first_at:
            return self._first_at
        await self.check_due()
        return None

    async def check_due(self) -> int:
        """Check contacts that are new or due; return how many were due.

        For a contact that was checked before, its whole customer is checked again; for a new contact, only itself.
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
        """Check one customer; return whether the relay answered."""
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
