"""Runs on the leader only: erase drafts that nobody has changed for 14 days."""

from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from notifications.ports import Clock
from service.ports.store import AccessStore, AccessTransaction
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

#: A draft is kept for so long after its last change.
KEPT_FOR = timedelta(days=14)
_AT_ONCE = 200


class DraftExpiry(PeriodicTask):
    """Erases expired drafts, every few minutes. On SQLite the engine overwrites their bytes (``secure_delete``)."""

    name = "draft_expiry"
    kinds: ClassVar[frozenset[str]] = frozenset()
    poll_seconds = 600.0
    shortest_seconds = 0.0

    def __init__(self, store: AccessStore, *, clock: Clock) -> None:
        super().__init__(clock)
        self._store = store

    async def look(self) -> datetime | None:
        """Erase what is due."""
        await self.erase_due()
        return None

    async def erase_due(self) -> int:
        """Erase expired drafts; return how many."""
        before, erased = self._clock.now() - KEPT_FOR, 0

        def work(tx: AccessTransaction) -> int:
            return sum(tx.drafts.remove(draft_id) for draft_id in tx.drafts.changed_before(before, _AT_ONCE))

        if not await self._store.read(lambda tx: tx.drafts.changed_before(before, 1)):
            return 0
        while count := await self._store.write(work):
            erased += count
        _log.info("drafts.expired", count=erased)
        return erased
