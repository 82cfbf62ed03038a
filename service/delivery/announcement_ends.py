"""Runs on the leader only: end announcements whose time has passed.

No state is in memory: an announcement that ended is closed in the store, in the transaction that logs it. So a second
leader or a crash ends nothing twice.
"""

from datetime import datetime
from functools import partial
from typing import ClassVar
from uuid import UUID

import structlog

from notifications.errors import VersionMismatchError
from notifications.incident import Incident
from notifications.ports import Clock, Identifiers, Page, Transaction, UnitOfWork
from notifications.use_cases.announcements.announce import elapse_announcement
from notifications.use_cases.audit_context import AuditContext
from service.system.periodic import PeriodicTask

_log = structlog.get_logger(__name__)

ACTOR = "system:announcements"
_AT_ONCE = 200


class AnnouncementEnds(PeriodicTask):
    """Ends what is over, every few minutes and when the next announcement is over."""

    name = "announcement_ends"
    kinds: ClassVar[frozenset[str]] = frozenset()
    poll_seconds = 300.0
    shortest_seconds = 1.0

    def __init__(self, unit_of_work: UnitOfWork, *, clock: Clock, identifiers: Identifiers) -> None:
        super().__init__(clock)
        self._store, self._identifiers = unit_of_work, identifiers

    async def look(self) -> datetime | None:
        """End every announcement that is over; return when the next one will be."""
        now, following = self._clock.now(), []
        for announcement_id, over_at in await self._open():
            if now < over_at:
                following.append(over_at)
            elif await self._end(announcement_id):
                _log.info("announcement.elapsed", announcement_id=str(announcement_id))
        return min(following, default=None)

    async def _open(self) -> list[tuple[UUID, datetime]]:
        found: list[Incident] = []
        cursor: str | None = None
        while True:
            items, cursor = await self._store.read(partial(_page, cursor))
            found += items
            if cursor is None:
                break
        stated = ((each.id, each.facts.announcement) for each in found)
        return [(identifier, announced.over_at) for identifier, announced in stated if announced is not None]

    async def _end(self, announcement_id: UUID) -> bool:
        act = AuditContext(ACTOR, self._clock.now(), self._identifiers)
        try:
            return await self._store.write(lambda tx: elapse_announcement(tx, act, announcement_id))
        except VersionMismatchError:
            # Somebody changed it meanwhile; the next look sees what it says then.
            return False


def _page(cursor: str | None, tx: Transaction) -> tuple[list[Incident], str | None]:
    return tx.incidents.page(Page(_AT_ONCE, cursor), state="open", announcements=True)
