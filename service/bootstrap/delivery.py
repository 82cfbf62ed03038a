"""What delivers, wired: channels by their settings, the worker, and the duties of whoever leads."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from notifications.customer.records import Contact
from notifications.delivery.acknowledgement import MailedLink
from notifications.delivery.delivery import ChannelKind, Delivery
from notifications.ports import Channel
from notifications.use_cases.notices.deliver_notice import DeliveryDependencies
from service.audit_log.checkpoint_timestamps import CheckpointTimestamper, TimestampingState
from service.audit_log.cosigning import Cosigning, WitnessSettings, WitnessState
from service.audit_log.fsck_schedule import FsckSchedule, check_by_process
from service.bootstrap.bounces import return_path_of
from service.bootstrap.contact_checks import contact_checker
from service.bootstrap.core import Core
from service.channels.console_inbox import ConsoleInbox
from service.channels.email_smtp import EmailSmtp, SmtpSettings
from service.crypto.secret_box import SecretBox
from service.customers.contact_check_schedule import ContactChecks
from service.customers.erasure import ErasureCertificates, ErasureTask
from service.delivery.acknowledge_link import AcknowledgeLinks
from service.delivery.destinations import DestinationLimits, Destinations
from service.delivery.escalation import EscalationTask
from service.delivery.transactional_mail import MailSender, ServiceMailer
from service.delivery.webhook_disabled_mail import EndpointDisabled
from service.delivery.worker import Worker
from service.delivery.worker_settings import WorkerSettings
from service.monitoring.alerts import AlertSettings, AlertSources, AlertTask
from service.monitoring.certificate_expiry import certificate_ends
from service.monitoring.disk_space import free_bytes
from service.settings import Settings
from service.system.leadership import while_leading
from service.system.signals import stopped
from service.web.api.health import Probe

_HANDING_BACK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class BackgroundTasks:
    """What seals, delivers and tells, running."""

    worker: Worker
    mailer: ServiceMailer
    alerting: AlertTask
    escalating: EscalationTask
    erasing: ErasureTask
    head_timestamping: TimestampingState
    log_checking: FsckSchedule
    witnesses: Sequence[WitnessState]
    #: part -> why it does not do its whole job, or None
    probes: dict[str, Probe]


def start_background_tasks(ground: Core, stack: contextlib.AsyncExitStack) -> BackgroundTasks:
    """Start sealing and delivering, which every process that works does, and the duties of the one that leads.

    What an earlier run left over is taken up at once. The stack stops it all: what is in flight ends, so long as it
    may, and what does not is handed back.
    """
    settings = ground.settings
    channels = _channels(settings, stack)
    worker = Worker(
        DeliveryDependencies(
            sealing=ground.sealing,
            channels=channels,
            sender_name=ground.sender_name,
            # Spreads load and hides nothing: no need to ask the system for each number.
            jitter=random.Random().random,  # noqa: S311
            acknowledge_link=_acknowledge_link(ground),
            return_path_of=return_path_of(settings, ground.masters, ground.clock),
            webhook=ground.webhook,
            webhook_failing_for=timedelta(days=settings.webhook_failing_days),
            endpoint_disabled=EndpointDisabled(alert_settings(settings)),
            watch=ground.metrics.attempted,
        ),
        WorkerSettings(
            lease_seconds=settings.lease_seconds,
            leased_ahead=4 * settings.smtp_connections,
            leased_ahead_most=32 * settings.smtp_connections,
            sends_at_once={
                ChannelKind.EMAIL: settings.smtp_connections,
                ChannelKind.WEBHOOK: 4 * settings.smtp_connections,
                ChannelKind.CONSOLE: 4 * settings.smtp_connections,
            },
            stop_seconds=settings.stop_seconds,
        ),
        Destinations(_lane_settings(settings)),
    )
    mailer = ServiceMailer(
        ground.store,
        MailSender(ground.signer, channels.get(ChannelKind.EMAIL), ground.sealing.sender, ground.sender_name),
        clock=ground.clock,
        identifiers=ground.identifiers,
        jitter=secrets.SystemRandom().random,
    )
    witnessing = Cosigning(
        ground.store,
        ground.witnesses,
        measure=ground.sequencer.measure,
        clock=ground.clock,
        settings=WitnessSettings(period_seconds=settings.witness_period_seconds),
        failed=ground.metrics.witness_failed,
    )
    stamping = CheckpointTimestamper(
        ground.store,
        ground.timestamp_authority,
        every_seconds=settings.log_timestamp_every_seconds,
        clock=ground.clock,
        failed=ground.metrics.head_not_timestamped,
    )
    checking = FsckSchedule(
        check_by_process(settings),
        settings.data / "log-check.json",
        every_hours=settings.log_check_every_hours,
        clock=ground.clock,
    )
    alerting = AlertTask(
        ground.store,
        alert_settings(settings),
        clock=ground.clock,
        identifiers=ground.identifiers,
        metrics=ground.metrics,
        surroundings=AlertSources(
            lambda: certificate_ends(settings),
            lambda: free_bytes(settings.data),
            lambda: witnessing.states,
            lambda: stamping.state,
            lambda: checking.last,
        ),
    )
    escalating = EscalationTask(
        ground.store,
        ground.sealing.escalation,
        mail_domain=ground.sealing.mail_domain,
        clock=ground.clock,
        identifiers=ground.identifiers,
    )
    checks = ContactChecks(
        ground.store,
        contact_checker(
            settings,
            ground.store,
            ground.signer,
            ground.sealing.sender,
            stack,
            relay=None if settings.smtp_host is None else smtp_settings(settings),
            alerts=alert_settings(settings),
            clock=ground.clock,
            identifiers=ground.identifiers,
            webhook=ground.webhook,
        ),
        every_days=settings.check_contacts_every_days,
        clock=ground.clock,
    )
    erasing = ErasureTask(
        ground.store,
        ErasureCertificates(settings.provider_name, ground.signer, ground.timestamp_authority),
        clock=ground.clock,
        identifiers=ground.identifiers,
    )
    for part in (worker, mailer, alerting, escalating, witnessing, erasing, stamping):
        ground.store.on_commit.append(part.wake)
    _run("worker", worker.run, ground, stack)
    duties = {
        "mailer": mailer.run,
        "alerting": alerting.run,
        "escalating": escalating.run,
        "checks": checks.run,
        "erasing": erasing.run,
    }
    if ground.witnesses:
        duties["witnessing"] = witnessing.run
    if settings.log_timestamp_every_seconds:
        duties["head_timestamping"] = stamping.run
    if settings.log_check_every_hours:
        duties["log_checking"] = checking.run
    for name, duty in duties.items():
        _run(name, _duty_of_leader(ground, duty), ground, stack)
    probes: dict[str, Probe] = {
        "mail": lambda: None if ChannelKind.EMAIL in channels else "no smtp_host is set: mails wait",
        "worker": worker.health,
        "alerts": lambda: mailer.health() or alerting.health(),
        "escalation": escalating.health,
        "checks": checks.health,
        "erasing": erasing.health,
        "log_check": checking.health,
    }
    return BackgroundTasks(
        worker, mailer, alerting, escalating, erasing, stamping.state, checking, witnessing.states, probes
    )


def _lane_settings(settings: Settings) -> DestinationLimits:
    per_minute = {
        ChannelKind.EMAIL: settings.mails_per_minute_per_domain,
        ChannelKind.WEBHOOK: settings.webhooks_per_minute_per_host,
    }
    return DestinationLimits(
        concurrent={
            ChannelKind.EMAIL: settings.mails_at_once_per_domain or settings.smtp_connections,
            ChannelKind.WEBHOOK: settings.webhooks_at_once_per_host,
        },
        per_minute={channel: limit for channel, limit in per_minute.items() if limit is not None},
    )


Running = Callable[[], Coroutine[Any, Any, None]]


def _duty_of_leader(ground: Core, duty: Running) -> Running:
    return lambda: while_leading(ground.leadership, duty)


def _acknowledge_link(ground: Core) -> Callable[[Delivery, Contact, datetime], MailedLink] | None:
    """Return what gives each mail its link to acknowledge by, or None where there are no pages to link to."""
    console_url = ground.settings.console_url
    return None if console_url is None else AcknowledgeLinks(SecretBox(ground.masters), console_url).mailed


def _run(name: str, run: Running, ground: Core, stack: contextlib.AsyncExitStack) -> None:
    running = asyncio.create_task(run(), name=name)
    # A part that bounds its stop by itself ends in this time; the margin is for handing back.
    stack.push_async_callback(stopped, running, ground.settings.stop_seconds + _HANDING_BACK_SECONDS)


def alert_settings(settings: Settings) -> AlertSettings:
    """Return who is alerted, and how early."""
    return AlertSettings(
        mailbox=settings.contact_email,
        language=settings.default_language,
        provider_name=settings.provider_name,
        console_url=settings.console_url,
        lead_seconds=settings.alert_lead_seconds,
        grace_seconds=settings.alert_grace_seconds,
        queue_age_seconds=settings.alert_queue_age_seconds,
        log_lag_seconds=settings.alert_log_lag_seconds,
        free_bytes=settings.disk_least_bytes,
    )


def _channels(settings: Settings, stack: contextlib.AsyncExitStack) -> dict[ChannelKind, Channel]:
    channels: dict[ChannelKind, Channel] = {ChannelKind.CONSOLE: ConsoleInbox()}
    if settings.smtp_host is not None:
        mail = EmailSmtp(smtp_settings(settings))
        stack.push_async_callback(mail.aclose)
        channels[ChannelKind.EMAIL] = mail
    return channels


def smtp_settings(settings: Settings) -> SmtpSettings:
    """Return how the relay is reached."""
    return SmtpSettings(
        host=settings.smtp_host or "",
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=settings.smtp_secret(),
        ca_file=settings.smtp_ca_file,
        connections=settings.smtp_connections,
        send_timeout_seconds=settings.smtp_send_timeout_seconds,
    )
