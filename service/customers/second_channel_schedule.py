"""When second channels are tested: soon after a customer is registered, then every six months. Runs on the leader."""

from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

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
#: Wait for a customer whose test could not be tried. Meanwhile those after it are tested.
_PUT_OFF = timedelta(hours=1)


class SecondChannelTests(PeriodicTask):
    """Tests due second channels every few minutes; what could not be tried is due again after an hour."""

    name = "second_channel_tests"
    kinds: ClassVar[frozenset[str]] = frozenset()
    poll_seconds = 300.0
    shortest_seconds = 0.0

    def __init__(self, store: AccessStore, checker: ContactChecker, *, every_days: float, clock: Clock) -> None:
        """``every_days`` 0 switches the tests off."""
        super().__init__(clock)
        self._store, self._checker, self._every = store, checker, timedelta(days=every_days)
        #: customers whose test could not be tried, with the moment at which it is tried again
        self._put_off: dict[UUID, datetime] = {}

    async def look(self) -> datetime | None:
        """Test the second channels that are due."""
        await self.test_due()
        return None

    async def test_due(self) -> int:
        """Test the second channels that are due; return how many were tried.

        Raises the error of a customer whose test failed unexpectedly, after all others were tested.
        """
        if not self._every:
            return 0
        now = self._clock.now()
        self._put_off = {customer_id: at for customer_id, at in self._put_off.items() if at > now}
        limit = _AT_ONCE + len(self._put_off)
        due = await self._store.read(
            lambda tx: tx.alerts.second_channels_to_test(now - _SETTLED, now - self._every, limit)
        )
        tried, failure = 0, None
        for customer_id in [each for each in due if each not in self._put_off][:_AT_ONCE]:
            try:
                tested = await self._checker.test_second_channel(customer_id)
            except NotFoundError:
                # It was erased meanwhile.
                continue
            except Exception as error:  # noqa: BLE001 - one customer must not keep the others from their test
                tested, failure = False, error
            if not tested:
                self._put_off[customer_id] = now + _PUT_OFF
            tried += tested
            _log.info("second_channel.tested", customer_id=str(customer_id), tried=tested)
        if failure is not None:
            raise failure
        return tried
