"""When second channels are tested: soon after a customer is registered, then every six months. Runs on the leader."""

from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from notifications.errors import NotFoundError
from notifications.ports import Clock
from service.customers.contact_check.checker import ContactChecker
from service.ports.store import AccessStore
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

#: Wait after a customer was registered, because its contacts may still be entered.
_SETTLED = timedelta(hours=1)
#: Most customers in one call, so that no relay gets thousands of test mails at once.
_AT_ONCE = 50


class SecondChannelTests(PeriodicTask):
    """Tests due second channels every few minutes; what could not be tried is due again at the next call."""

    name = "second_channel_tests"
    kinds: ClassVar[frozenset[str]] = frozenset()
    poll_seconds = 300.0
    shortest_seconds = 0.0

    def __init__(self, store: AccessStore, checker: ContactChecker, *, every_days: float, clock: Clock) -> None:
        """``every_days`` 0 switches the tests off."""
        super().__init__(clock)
        self._store, self._checker, self._every = store, checker, timedelta(days=every_days)

    async def look(self) -> datetime | None:
        """Test the second channels that are due."""
        await self.test_due()
        return None

    async def test_due(self) -> int:
        """Test the second channels that are due; return how many were tried."""
        if not self._every:
            return 0
        now = self._clock.now()
        due = await self._store.read(
            lambda tx: tx.alerts.second_channels_to_test(now - _SETTLED, now - self._every, _AT_ONCE)
        )
        tried = 0
        for customer_id in due:
            try:
                tested = await self._checker.test_second_channel(customer_id)
            except NotFoundError:
                # It was erased meanwhile.
                continue
            tried += tested
            _log.info("second_channel.tested", customer_id=str(customer_id), tried=tested)
        return tried
