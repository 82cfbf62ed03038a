"""Build the two kinds of process: one that serves, and one that only runs background tasks."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from notifications.ports import Clock, Identifiers
from service.audit_log.sequencer import Sequencer
from service.auth.authentication import Authenticator
from service.auth.first_account import ensure_first_account
from service.bootstrap.bounces import start_bounce_listener
from service.bootstrap.console import build_console
from service.bootstrap.core import Core, build_core
from service.bootstrap.delivery import BackgroundTasks, start_background_tasks
from service.bootstrap.signing import DEMONSTRATION_ADVICE, demonstration_parts, signing_health
from service.bootstrap.statements import load_statements
from service.crypto.secret_box import SecretBox
from service.customers.erasure import ErasureTask
from service.delivery.announcement_ends import AnnouncementEnds
from service.delivery.escalation import EscalationTask
from service.delivery.worker import Worker
from service.monitoring.alerts import AlertTask
from service.monitoring.certificate_expiry import certificate_ends
from service.monitoring.disk_space import disk_health, free_bytes
from service.monitoring.metrics import MetricSources
from service.monitoring.metrics_listener import metrics_listener
from service.ports.health import Probe
from service.settings import Settings
from service.store import Store
from service.web.api.context import ApiContext
from service.web.console.parts import ConsoleParts

if TYPE_CHECKING:
    from service.channels.bounce_listener import BounceListener

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """The parts of a process that only runs background tasks."""

    authenticator: Authenticator
    probes: dict[str, Probe]
    store: Store
    sequencer: Sequencer
    worker: Worker


@dataclass(frozen=True, slots=True)
class ServerParts:
    """The parts of a process that serves."""

    context: ApiContext
    authenticator: Authenticator
    probes: dict[str, Probe]
    store: Store
    sequencer: Sequencer
    console: ConsoleParts
    #: None, like the next three, in a process without background tasks
    worker: Worker | None
    alerting: AlertTask | None
    escalating: EscalationTask | None
    ending: AnnouncementEnds | None
    erasing: ErasureTask | None
    #: the listener for bounces; None if its port is not set
    bounces: "BounceListener | None"


@asynccontextmanager
async def build_server(
    settings: Settings, *, clock: Clock | None = None, identifiers: Identifiers | None = None, works: bool = True
) -> AsyncIterator[ServerParts]:
    """Start the parts of a process that serves, in order, and stop them in reverse; raises as ``build_core`` does.

    1. The core. An installation without accounts gets its first account.
    2. The background tasks, unless other processes run them.
    3. The parts for requests and pages.
    """
    first_token = settings.token()
    async with contextlib.AsyncExitStack() as stack:
        # 1.
        core = await build_core(settings, clock, identifiers, stack, serves=True, works=works)
        act, language = core.act(), settings.provider.default_language
        await core.store.write(lambda tx: ensure_first_account(tx, act, first_token, language))
        # 2.
        work = start_background_tasks(core, stack) if works else None
        # 3.
        secret_box = SecretBox(core.masters)
        context = ApiContext(
            unit_of_work=core.store,
            clock=core.clock,
            identifiers=core.identifiers,
            agreements=core.agreements,
            statements=load_statements(settings.statements.file),
            sealing=core.sealing,
            default_language=settings.provider.default_language,
            keys=core.keeper,
            settings=settings,
            metrics=core.metrics,
            secret_box=secret_box,
            webhook=core.webhook,
        )
        console = build_console(settings, core.store, core.clock, core.identifiers, secret_box, stack)
        bounces = await start_bounce_listener(core, stack)
        probes = await _start_monitoring(core, work, stack, bounces)
        yield ServerParts(
            context=context,
            authenticator=core.authenticator,
            probes=probes,
            store=core.store,
            sequencer=core.sequencer,
            console=console,
            worker=None if work is None else work.worker,
            alerting=None if work is None else work.alerting,
            escalating=None if work is None else work.escalating,
            ending=None if work is None else work.ending,
            erasing=None if work is None else work.erasing,
            bounces=bounces,
        )


@asynccontextmanager
async def build_worker(
    settings: Settings, *, clock: Clock | None = None, identifiers: Identifiers | None = None
) -> AsyncIterator[WorkerParts]:
    """Start the parts of a process with background tasks only, stop them in reverse; raises as ``build_core`` does."""
    async with contextlib.AsyncExitStack() as stack:
        core = await build_core(settings, clock, identifiers, stack, serves=False, works=True)
        work = start_background_tasks(core, stack)
        probes = await _start_monitoring(core, work, stack)
        yield WorkerParts(core.authenticator, probes, core.store, core.sequencer, work.worker)


async def _start_monitoring(
    core: Core, work: BackgroundTasks | None, stack: contextlib.AsyncExitStack, bounces: "BounceListener | None" = None
) -> dict[str, Probe]:
    """Return the health probes and register them with the metrics; log the parts that are degraded at the start."""
    settings, sender = core.settings, core.sealing.sender
    probes: dict[str, Probe] = {
        "log": lambda: core.sequencer.health() or core.leadership.health(),
        "signing": lambda: signing_health(core.signer, sender, core.clock),
        "disk": lambda: disk_health(settings.data, settings.alerts.least_free_bytes),
        **({} if work is None else work.probes),
        **({} if bounces is None else {"returns": bounces.health}),
    }
    core.metrics.sources = MetricSources(
        probes=probes,
        certificates=lambda: certificate_ends(settings),
        free_bytes=lambda: free_bytes(settings.data),
        open_circuits=dict if work is None else lambda: work.worker.destinations.open_by_channel(core.clock.now()),
        head_stamped_at=lambda: None if work is None else work.head_timestamping.stamped_at,
        log_check=lambda: None if work is None else work.log_checking.last,
        witnesses=tuple if work is None else lambda: work.witnesses,
        log_key_since=lambda: core.log_keys.ring().keys[0].since,
        leads=lambda: core.leadership.leads,
    )
    if settings.metrics.port is not None:
        listener = metrics_listener(core.metrics, settings.metrics.host, settings.metrics.port)
        await stack.enter_async_context(listener)
    _log_degraded_parts(probes)
    if mode := settings.data.stat().st_mode & 0o077:
        _log.warning("data_folder.open", path=str(settings.data), others=f"{mode:03o}", advice="chmod 700")
    for part in demonstration_parts(settings):
        _log.warning("part.for_demonstration", part=part, advice=DEMONSTRATION_ADVICE[part])
    _log.info("service.ready", data=str(settings.data), log_origin=settings.log.origin)
    return probes


def _log_degraded_parts(probes: Mapping[str, Probe]) -> None:
    for name, probe in probes.items():
        if (reason := probe()) is not None:
            _log.warning("part.degraded", part=name, reason=reason)
