"""The only place where adapters meet ports: settings in, running parts out."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

import structlog

from notifications.delivery import ChannelKind
from notifications.notice import Provider
from notifications.ports import Channel, Clock, Identifiers
from notifications.use_cases.act import Act
from notifications.use_cases.deliver_notice import Delivering
from notifications.use_cases.seal_notice import Sealing
from service.access.authenticating import AccessLimits, Authenticator
from service.access.first_account import ensure_first_account
from service.access.secret_box import SecretBox
from service.agreement_files import load_agreements
from service.alerting import Alerting, AlertSettings
from service.api.health import Probe
from service.api.requests import ApiContext
from service.certificates import certificate_ends
from service.channels.console_inbox import ConsoleInbox
from service.channels.email_smtp import EmailSmtp
from service.console.installing import ConsoleParts
from service.data_folder import sole_use
from service.key_keeping import KeyKeeper
from service.metrics import Metrics, Sources
from service.metrics_listener import metrics_listener
from service.observability import SystemClock, SystemIdentifiers
from service.sealing.cms_signer import CmsSigner
from service.sealing.demo_keys import KeyFiles
from service.sealing.key_rotation import KeyRotation
from service.sealing.key_states import log_fingerprint
from service.sealing.log_keys import LogKeyFile
from service.sealing.master_key import key_passphrases, load_masters, master_fingerprint
from service.sequencer import Sequencer, SequencerSettings
from service.service_mails import MailSender, ServiceMailer
from service.settings import Settings
from service.stopping import stopped
from service.store import SqliteStore, SqlTransaction, open_store
from service.wiring_console import console_parts
from service.wiring_delivery import smtp_settings
from service.wiring_sealing import address_or, record_known_keys, signing_health, timestamp_authority
from service.worker import Worker, WorkerSettings

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """The running service, taken together."""

    context: ApiContext
    authenticator: Authenticator
    probes: dict[str, Probe]
    store: SqliteStore
    sequencer: Sequencer
    worker: Worker
    mailer: ServiceMailer
    alerting: Alerting
    console: ConsoleParts


@asynccontextmanager
async def running_parts(
    settings: Settings, *, clock: Clock | None = None, identifiers: Identifiers | None = None
) -> AsyncIterator[Parts]:
    """Start the parts in order and stop them in reverse; raises what a part that must be there raises.

    1. Settings that must hold: first token, agreements, master key, log key.
    2. Store, for this process alone, brought up to date; leases that a process left when it died are freed, and an
       installation without any account gets its first one.
    3. Keys: a rotation that a crash interrupted is ended. Sequencer, guarded by the head file outside the database.
    4. Signer, timestamp authority and channels. A signer without a usable key is no reason not to start: incidents are
       declared and decided, notices wait, and the readiness says why.
    5. Worker, the service's own mails, alerts. What an earlier run left over is taken up at once.
    """
    # 1.
    clock, identifiers = clock or SystemClock(), identifiers or SystemIdentifiers()
    first_token = settings.token()
    agreements = load_agreements(settings)
    masters = load_masters(settings)
    passphrases = key_passphrases(settings, masters)
    files = KeyFiles(settings.keys_dir, settings.trust_dir)
    log_keys = LogKeyFile(settings.log_key_file or files.log_key, settings.log_origin, passphrases, clock)
    log_keys.ring()
    async with contextlib.AsyncExitStack() as stack:
        # 2.
        stack.enter_context(sole_use(settings.data))
        store = open_store(settings.database_file)
        stack.push_async_callback(store.close)
        metrics = Metrics(store, clock, version=version("greffier"))
        await store.write(_free_leases)
        act = Act("system:service", clock.now(), identifiers)
        await store.write(lambda tx: ensure_first_account(tx, act, first_token, settings.default_language))
        authenticator = Authenticator(
            store,
            clock,
            AccessLimits(
                session_idle_seconds=settings.session_idle_seconds,
                requests_per_second=settings.requests_per_second,
                requests_burst=settings.requests_burst,
                stranger_requests_per_second=settings.stranger_requests_per_second,
                stranger_requests_burst=settings.stranger_requests_burst,
            ),
        )
        # 3.
        rotation = KeyRotation(settings, passphrases, clock)
        keeper = KeyKeeper(
            settings,
            rotation,
            unit_of_work=store,
            log_store=store,
            clock=clock,
            identifiers=identifiers,
            refusal=lambda: sequencer.refusal,
        )
        await keeper.settle_at_start()
        sequencer = Sequencer(
            store,
            keys=log_keys,
            head_path=settings.head_file,
            settings=SequencerSettings(batch_seconds=settings.sequencer_period_seconds),
        )
        await sequencer.start()
        stack.push_async_callback(sequencer.stop)
        # 4.
        signer = CmsSigner(
            settings.signing_key_file or files.signing_key,
            settings.signing_chain_file or files.signing_chain,
            passphrases,
            clock,
        )
        authority = timestamp_authority(settings, files, passphrases, stack)
        channels: dict[ChannelKind, Channel] = {ChannelKind.CONSOLE: ConsoleInbox()}
        if settings.smtp_host is not None:
            mail = EmailSmtp(smtp_settings(settings))
            stack.push_async_callback(mail.aclose)
            channels[ChannelKind.EMAIL] = mail
        sender = settings.mail_from or address_or(signer, settings.contact_email)
        sealing = Sealing(
            unit_of_work=store,
            log=sequencer,
            signer=signer,
            timestamp_authority=authority,
            clock=clock,
            identifiers=identifiers,
            agreements=agreements,
            provider=Provider(
                name=settings.provider_name,
                contact_name=settings.contact_name,
                contact_email=settings.contact_email,
                contact_phone=settings.contact_phone,
                console_url=settings.console_url,
            ),
            sender=sender,
        )
        # 5.
        worker = Worker(
            Delivering(
                sealing=sealing,
                channels=channels,
                sender_name=settings.mail_from_name or settings.provider_name,
                jitter=secrets.SystemRandom().random,
                watch=metrics.attempted,
            ),
            # Two messages a connection at most wait or are under way: both end long before the lease does.
            WorkerSettings(lease_seconds=settings.lease_seconds, delivery_batch=2 * settings.smtp_connections),
        )
        store.on_commit.append(worker.wake)
        await record_known_keys(
            store,
            Act("system:service", clock.now(), identifiers),
            signer,
            {"log": log_fingerprint(log_keys.ring().known[-1]), "master": master_fingerprint(masters[0])},
            authority,
        )
        mailer = ServiceMailer(
            store,
            MailSender(
                signer, channels.get(ChannelKind.EMAIL), sender, settings.mail_from_name or settings.provider_name
            ),
            clock=clock,
            identifiers=identifiers,
            jitter=secrets.SystemRandom().random,
        )
        store.on_commit.append(mailer.wake)
        alert_settings = AlertSettings(
            mailbox=settings.contact_email,
            language=settings.default_language,
            provider_name=settings.provider_name,
            console_url=settings.console_url,
            lead_seconds=settings.alert_lead_seconds,
            grace_seconds=settings.alert_grace_seconds,
        )
        alerting = Alerting(store, alert_settings, clock=clock, identifiers=identifiers, metrics=metrics)
        store.on_commit.append(alerting.wake)
        for part in (worker, mailer, alerting):
            running = asyncio.create_task(part.run(), name=type(part).__name__)
            stack.push_async_callback(stopped, running, settings.stop_seconds)
        context = ApiContext(
            unit_of_work=store,
            clock=clock,
            identifiers=identifiers,
            agreements=agreements,
            sealing=sealing,
            default_language=settings.default_language,
            keys=keeper,
            settings=settings,
            alerts=alert_settings,
            metrics=metrics,
        )
        probes: dict[str, Probe] = {
            "log": sequencer.health,
            "signing": lambda: signing_health(signer, sender, clock),
            "mail": lambda: None if ChannelKind.EMAIL in channels else "no smtp_host is set: mails wait",
            "worker": worker.health,
            "alerts": lambda: mailer.health() or alerting.health(),
        }
        await _open_metrics(metrics, settings, probes, log_keys, stack)
        _say_what_is_degraded(probes)
        _log.info("service.ready", data=str(settings.data), log_origin=settings.log_origin)
        console = console_parts(settings, store, clock, identifiers, SecretBox(masters), stack)
        yield Parts(context, authenticator, probes, store, sequencer, worker, mailer, alerting, console)


async def _open_metrics(
    metrics: Metrics,
    settings: Settings,
    probes: Mapping[str, Probe],
    log_keys: LogKeyFile,
    stack: contextlib.AsyncExitStack,
) -> None:
    """Say where metrics are read from, and listen for those who scrape them where that is set."""
    metrics.sources = Sources(
        probes=probes,
        certificates=lambda: certificate_ends(settings),
        log_key_since=lambda: log_keys.ring().keys[0].since,
    )
    if settings.metrics_port is not None:
        await stack.enter_async_context(metrics_listener(metrics, settings.metrics_host, settings.metrics_port))


def _say_what_is_degraded(probes: Mapping[str, Probe]) -> None:
    for name, probe in probes.items():
        if (reason := probe()) is not None:
            _log.warning("part.degraded", part=name, reason=reason)


def _free_leases(tx: SqlTransaction) -> None:
    if freed := tx.free_leases():
        _log.warning("leases.freed", deliveries=freed)
