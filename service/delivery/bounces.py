"""Process a bounce: parse it, update its delivery, and raise an alert if the service cannot interpret it."""

import asyncio
from collections.abc import Callable

import structlog

from notifications.mail.bounce_parser import parse_bounce
from notifications.mail.bounce_record import BounceKind
from notifications.mail.return_path import ReturnPath
from notifications.ports import Clock, Identifiers
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.process_bounce import ACTOR, BounceResult, process_bounce
from service.monitoring.alerts import raise_alerts
from service.monitoring.notice_findings import bounce_finding
from service.ports.store import AccessStore, AccessTransaction
from service.settings.provider import ProviderSettings

_log = structlog.get_logger(__name__)


class BounceIntake:
    """Receives messages for verified return paths."""

    def __init__(
        self,
        store: AccessStore,
        provider: ProviderSettings,
        *,
        clock: Clock,
        identifiers: Identifiers,
        jitter: Callable[[], float],
    ) -> None:
        self._store, self._provider = store, provider
        self._clock, self._identifiers, self._jitter = clock, identifiers, jitter

    async def receive(self, path: ReturnPath, content: bytes) -> None:
        """Store a message to a return path and its consequences; returns once that is durable.

        A message that cannot be interpreted raises an alert in the same unit of work. Raises as ``process_bounce`` and
        the store do.
        """
        report = await asyncio.to_thread(parse_bounce, content)
        jitter = self._jitter()

        def work(tx: AccessTransaction) -> BounceResult:
            act = AuditContext(ACTOR, self._clock.now(), self._identifiers)
            taken = process_bounce(tx, act, path, content, report, jitter=jitter)
            if taken.is_new and (taken.message.kind is BounceKind.UNKNOWN or taken.delivery is None):
                raise_alerts(tx, act, [bounce_finding(tx, taken.message, taken.notice)], self._provider)
            return taken

        taken = await self._store.write(work)
        kind = taken.message.kind
        log = _log.warning if taken.reopened or kind is BounceKind.UNKNOWN else _log.info
        log(
            "delivery.returned",
            delivery_id=str(path.delivery_id),
            kind=kind.value,
            status=taken.message.status,
            known=not taken.is_new,
            reopened=taken.reopened,
        )
