"""What came back, from the bytes to the record: read, taken back, and shown to a person where nobody can tell."""

import asyncio
from collections.abc import Callable

import structlog

from notifications.mail.bounce_parser import parse_returned
from notifications.mail.bounce_record import ReturnKind
from notifications.mail.return_path import ReturnPath
from notifications.ports import Clock, Identifiers
from notifications.use_cases.audit_context import Act
from notifications.use_cases.notices.process_bounce import ACTOR, TakenBack, take_back
from service.monitoring.alerts import AlertSettings, raise_alerts
from service.monitoring.notice_findings import returned_finding
from service.ports.store import AccessStore, AccessTransaction

_log = structlog.get_logger(__name__)


class Returns:
    """Takes in messages for verified return paths."""

    def __init__(
        self,
        store: AccessStore,
        alerts: AlertSettings,
        *,
        clock: Clock,
        identifiers: Identifiers,
        jitter: Callable[[], float],
    ) -> None:
        self._store, self._alerts = store, alerts
        self._clock, self._identifiers, self._jitter = clock, identifiers, jitter

    async def take_in(self, path: ReturnPath, content: bytes) -> None:
        """Store what came to a return path, with what follows from it; returns once that is durable.

        What nobody can tell is alerted in the same unit of work. Raises as ``take_back`` and the store do.
        """
        report = await asyncio.to_thread(parse_returned, content)
        jitter = self._jitter()

        def work(tx: AccessTransaction) -> TakenBack:
            act = Act(ACTOR, self._clock.now(), self._identifiers)
            taken = take_back(tx, act, path, content, report, jitter=jitter)
            if taken.is_new and (report.kind is ReturnKind.UNKNOWN or taken.delivery is None):
                raise_alerts(tx, act, [returned_finding(tx, taken.message, taken.notice)], self._alerts)
            return taken

        taken = await self._store.write(work)
        told = _log.warning if taken.reopened or report.kind is ReturnKind.UNKNOWN else _log.info
        told(
            "delivery.returned",
            delivery_id=str(path.delivery_id),
            kind=report.kind.value,
            status=report.status,
            known=not taken.is_new,
            reopened=taken.reopened,
        )
