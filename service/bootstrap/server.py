"""The only place, with the modules ``wiring_…``, where adapters meet ports: settings in, running parts out."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from notifications.ports import Clock, Identifiers
from service.audit_log.sequencer import Sequencer
from service.auth.authentication import Authenticator
from service.auth.first_account import ensure_first_account
from service.bootstrap.bounces import listening_for_returns
from service.bootstrap.console import console_parts
from service.bootstrap.core import Core, build_core
from service.bootstrap.delivery import BackgroundTasks, alert_settings, start_background_tasks
from service.bootstrap.signing import signing_health
from service.channels.bounce_listener import BounceListener
from service.crypto.secret_box import SecretBox
from service.customers.erasure import ErasureTask
from service.delivery.escalation import EscalationTask
from service.delivery.transactional_mail import ServiceMailer
from service.delivery.worker import Worker
from service.monitoring.alerts import AlertTask
from service.monitoring.certificate_expiry import certificate_ends
from service.monitoring.disk_space import disk_health, free_bytes
from service.monitoring.metrics import MetricSources
from service.monitoring.metrics_listener import metrics_listener
from service.settings import Settings
from service.store import Store
from service.web.api.health import Probe
from service.web.api.requests import ApiContext
from service.web.console.routes import ConsoleParts

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """A process that works and serves nobody, taken together."""

    authenticator: Authenticator
    probes: dict[str, Probe]
    store: Store
    sequencer: Sequencer
    worker: Worker


@dataclass(frozen=True, slots=True)
class ServerParts:
    """A process that serves, taken together."""

    context: ApiContext
    authenticator: Authenticator
    probes: dict[str, Probe]
    store: Store
    sequencer: Sequencer
    console: ConsoleParts
    #: None, as what follows, in a process that only serves
    worker: Worker | None
    mailer: ServiceMailer | None
    alerting: AlertTask | None
    escalating: EscalationTask | None
    erasing: ErasureTask | None
    #: None where no port is set for what comes back
    returns: BounceListener | None


@asynccontextmanager
async def build_server(
    settings: Settings, *, clock: Clock | None = None, identifiers: Identifiers | None = None, works: bool = True
) -> AsyncIterator[ServerParts]:
    """Start the parts of a process that serves in order and stop them in reverse; raises as ``build_core`` does.

    1. What every process stands on. An installation without any account gets its first one.
    2. Work, unless other processes do it.
    3. What requests and pages need.
    """
    first_token = settings.token()
    async with contextlib.AsyncExitStack() as stack:
        # 1.
        ground = await build_core(settings, clock, identifiers, stack, serves=True, works=works)
        act, language = ground.act(), settings.default_language
        await ground.store.write(lambda tx: ensure_first_account(tx, act, first_token, language))
        # 2.
        work = start_background_tasks(ground, stack) if works else None
        # 3.
        box = SecretBox(ground.masters)
        context = ApiContext(
            unit_of_work=ground.store,
            clock=ground.clock,
            identifiers=ground.identifiers,
            agreements=ground.agreements,
            sealing=ground.sealing,
            default_language=settings.default_language,
            keys=ground.keeper,
            settings=settings,
            alerts=alert_settings(settings),
            metrics=ground.metrics,
            box=box,
            webhook=ground.webhook,
        )
        console = console_parts(settings, ground.store, ground.clock, ground.identifiers, box, stack)
        returns = await listening_for_returns(ground, alert_settings(settings), stack)
        probes = await _watched(ground, work, stack, returns)
        yield ServerParts(
            context=context,
            authenticator=ground.authenticator,
            probes=probes,
            store=ground.store,
            sequencer=ground.sequencer,
            console=console,
            worker=None if work is None else work.worker,
            mailer=None if work is None else work.mailer,
            alerting=None if work is None else work.alerting,
            escalating=None if work is None else work.escalating,
            erasing=None if work is None else work.erasing,
            returns=returns,
        )


@asynccontextmanager
async def build_worker(
    settings: Settings, *, clock: Clock | None = None, identifiers: Identifiers | None = None
) -> AsyncIterator[WorkerParts]:
    """Start the parts of a process that works and serves nobody, and stop them in reverse; raises as above."""
    async with contextlib.AsyncExitStack() as stack:
        ground = await build_core(settings, clock, identifiers, stack, serves=False, works=True)
        work = start_background_tasks(ground, stack)
        probes = await _watched(ground, work, stack)
        yield WorkerParts(ground.authenticator, probes, ground.store, ground.sequencer, work.worker)


async def _watched(
    ground: Core, work: BackgroundTasks | None, stack: contextlib.AsyncExitStack, returns: BounceListener | None = None
) -> dict[str, Probe]:
    """Return what tells whether this process does its whole job, once said in the log and told to metrics."""
    settings, sender = ground.settings, ground.sealing.sender
    probes: dict[str, Probe] = {
        "log": lambda: ground.sequencer.health() or ground.leadership.health(),
        "signing": lambda: signing_health(ground.signer, sender, ground.clock),
        "disk": lambda: disk_health(settings.data, settings.disk_least_bytes),
        **({} if work is None else work.probes),
        **({} if returns is None else {"returns": returns.health}),
    }
    ground.metrics.sources = MetricSources(
        probes=probes,
        certificates=lambda: certificate_ends(settings),
        free_bytes=lambda: free_bytes(settings.data),
        open_circuits=dict if work is None else lambda: work.worker.lanes.open_by_channel(ground.clock.now()),
        head_stamped_at=lambda: None if work is None else work.head_timestamping.stamped_at,
        log_check=lambda: None if work is None else work.log_checking.last,
        witnesses=tuple if work is None else lambda: work.witnesses,
        log_key_since=lambda: ground.log_keys.ring().keys[0].since,
    )
    if settings.metrics_port is not None:
        listener = metrics_listener(ground.metrics, settings.metrics_host, settings.metrics_port)
        await stack.enter_async_context(listener)
    _say_what_is_degraded(probes)
    _log.info("service.ready", data=str(settings.data), log_origin=settings.log_origin)
    return probes


def _say_what_is_degraded(probes: Mapping[str, Probe]) -> None:
    for name, probe in probes.items():
        if (reason := probe()) is not None:
            _log.warning("part.degraded", part=name, reason=reason)
