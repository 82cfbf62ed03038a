"""Build and run the background tasks: sealing and delivery in each process that works, the rest in the leader only."""

import asyncio
import contextlib
import os
import random
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from notifications.customer.records import Contact
from notifications.delivery.acknowledgement import MailedLink
from notifications.delivery.delivery import ChannelKind, Delivery
from notifications.errors import Fault, InvalidInputError
from notifications.ports import Channel, DueDelivery
from notifications.use_cases.notices.deliver_notice import DeliveryDependencies
from service.audit_log.checkpoint_timestamps import CheckpointTimestamper, TimestampingState
from service.audit_log.cosigning import Cosigning, CosigningPace, WitnessState
from service.audit_log.fsck_schedule import FsckSchedule, check_by_process
from service.bootstrap.bounces import return_path_of
from service.bootstrap.contact_checks import contact_checker
from service.bootstrap.core import Core
from service.bootstrap.signing_parts import ConfiguredSigning
from service.channels.console_inbox import ConsoleInbox
from service.channels.email_smtp import EmailSmtp
from service.crypto.secret_box import SecretBox
from service.customers.contact_check.checker import ContactChecker
from service.customers.contact_check_schedule import ContactChecks
from service.customers.erasure import ErasureCertificates, ErasureTask
from service.customers.second_channel_schedule import SecondChannelTests
from service.delivery.acknowledge_link import AcknowledgeLinks
from service.delivery.announcement_ends import AnnouncementEnds
from service.delivery.attached_pdf import AttachedPdf
from service.delivery.destinations import DestinationLimits, Destinations
from service.delivery.escalation import EscalationTask
from service.delivery.signing_process import SigningProcess
from service.delivery.transactional_mail import MailSender, ServiceMailer
from service.delivery.webhook_disabled_mail import EndpointDisabled
from service.delivery.worker import Worker
from service.delivery.worker_settings import WorkerSettings
from service.drafts.expiry import DraftExpiry
from service.monitoring.alerts import AlertSources, AlertTask
from service.monitoring.certificate_expiry import certificate_ends
from service.monitoring.disk_space import free_bytes
from service.monitoring.duty_reminders import DutyReminders
from service.notice_pdf.installation import ADVICE
from service.ports.health import Probe
from service.reports.issuing import ReportIssue
from service.settings import Settings
from service.store import BackgroundUnitOfWork
from service.system.leadership import while_leading
from service.system.logging import SystemClock
from service.system.signals import stopped

_HANDING_BACK_SECONDS = 5.0

Channels = dict[ChannelKind, Channel]


@dataclass(frozen=True, slots=True)
class BackgroundTask:
    """A task that runs until the process stops."""

    #: its name in the log when a stop aborts it
    name: str
    run: Callable[[], Coroutine[Any, Any, None]]
    #: called after each commit with the kinds of changed things; None if no commit wakes the task
    wake: Callable[[set[str]], None] | None = None
    #: its name in ``/readyz``, with the function that returns why it is degraded, or None
    part: str = ""
    health: Probe = lambda: None
    leader_only: bool = True
    #: False if the settings leave it nothing to do
    is_wanted: bool = True


@dataclass(frozen=True, slots=True)
class BackgroundTasks:
    """The running background tasks of this process."""

    worker: Worker
    alerting: AlertTask
    escalating: EscalationTask
    ending: AnnouncementEnds
    erasing: ErasureTask
    head_timestamping: TimestampingState
    log_checking: FsckSchedule
    witnesses: Sequence[WitnessState]
    #: part -> why it is degraded, or None
    probes: dict[str, Probe]


def start_background_tasks(core: Core, stack: contextlib.AsyncExitStack) -> BackgroundTasks:
    """Build and start every task. Work that an earlier run left unfinished is continued at once.

    The stack stops the tasks: work in flight gets time to end, the rest is given back.
    """
    log, channels = core.settings.log, _channels(core.settings, stack)
    worker, mailer = _worker(core, channels, stack), _mailer(core, channels)
    cosigning, timestamper, fsck = _cosigning(core), _timestamper(core), _fsck(core)
    alerts, escalation, erasure = _alerts(core, cosigning, timestamper, fsck), _escalation(core), _erasure(core)
    checker = _contact_checker(core, stack, channels)
    checks, second_channels = _contact_checks(core, checker), _second_channel_tests(core, checker)
    drafts = DraftExpiry(core.store, clock=core.clock)
    reports = ReportIssue(core.store, core.settings.reports, clock=core.clock, identifiers=core.identifiers)
    reminders = _duty_reminders(core)
    ends = AnnouncementEnds(core.store, clock=core.clock, identifiers=core.identifiers)
    tasks = [
        BackgroundTask("worker", worker.run, worker.wake, "worker", worker.health, leader_only=False),
        BackgroundTask("mailer", mailer.run, mailer.wake, "alerts", mailer.health),
        BackgroundTask("alerting", alerts.run, alerts.wake, "alerts", alerts.health),
        BackgroundTask("duty_reminders", reminders.run, reminders.wake, "alerts", reminders.health),
        BackgroundTask("escalating", escalation.run, escalation.wake, "escalation", escalation.health),
        BackgroundTask("checks", checks.run, None, "checks", checks.health),
        BackgroundTask("second_channel_tests", second_channels.run, None, "checks", second_channels.health),
        BackgroundTask("draft_expiry", drafts.run, None, "drafts", drafts.health),
        BackgroundTask("erasing", erasure.run, erasure.wake, "erasing", erasure.health),
        BackgroundTask("announcement_ends", ends.run, None, "announcements", ends.health),
        BackgroundTask("reports", reports.run, None, "reports", reports.health),
        BackgroundTask("witnessing", cosigning.run, cosigning.wake, is_wanted=bool(core.witnesses)),
        BackgroundTask(
            "head_timestamping", timestamper.run, timestamper.wake, is_wanted=log.timestamp_every_seconds > 0
        ),
        BackgroundTask("log_checking", fsck.run, None, "log_check", fsck.health, is_wanted=log.check_every_hours > 0),
    ]
    probes: dict[str, Probe] = {
        "mail": lambda: None if ChannelKind.EMAIL in channels else "no mail.host is set: mails wait"
    }
    for task in tasks:
        if task.wake is not None:
            core.store.on_commit.append(task.wake)
        if task.part:
            probes[task.part] = _both(probes.get(task.part), task.health)
    for task in tasks:
        if task.is_wanted:
            _start(task, core, stack)
    return BackgroundTasks(worker, alerts, escalation, ends, erasure, timestamper.state, fsck, cosigning.states, probes)


def _start(task: BackgroundTask, core: Core, stack: contextlib.AsyncExitStack) -> None:
    run = partial(while_leading, core.leadership, task.run) if task.leader_only else task.run
    running = asyncio.create_task(run(), name=task.name)
    # A task with its own stop limit ends within this time; the margin is for giving work back.
    stack.push_async_callback(stopped, running, core.settings.limits.stop_seconds + _HANDING_BACK_SECONDS)


def _both(first: Probe | None, second: Probe) -> Probe:
    return second if first is None else lambda: first() or second()


def _channels(settings: Settings, stack: contextlib.AsyncExitStack) -> Channels:
    channels: Channels = {ChannelKind.CONSOLE: ConsoleInbox()}
    if settings.mail.host is not None:
        mail = EmailSmtp(settings.mail)
        stack.push_async_callback(mail.aclose)
        channels[ChannelKind.EMAIL] = mail
    return channels


def _worker(core: Core, channels: Channels, stack: contextlib.AsyncExitStack) -> Worker:
    settings = core.settings
    dependencies = DeliveryDependencies(
        # Hundreds of notices are composed in its reads: requests do not wait for them.
        sealing=replace(core.sealing, unit_of_work=BackgroundUnitOfWork(core.store)),
        channels=channels,
        sender_name=core.sender_name,
        # The jitter spreads load and needs no secrecy, so a fast generator is enough.
        jitter=random.Random().random,  # noqa: S311 - spreads retries, keeps no secret
        acknowledge_link=_acknowledge_link(core),
        pdf_of=_attached_pdf(core),
        return_path_of=return_path_of(settings.bounces, core.masters, core.clock),
        webhook=core.webhook,
        webhook_failing_for=timedelta(days=settings.webhooks.failing_days),
        endpoint_disabled=EndpointDisabled(settings.provider),
        watch=core.metrics.attempted,
    )
    pace = WorkerSettings(
        lease_seconds=settings.limits.lease_seconds,
        stop_seconds=settings.limits.stop_seconds,
        mails_at_once=settings.mail.connections,
    )
    process = _signing_process(core)
    if process is not None:
        stack.push_async_callback(process.aclose)
    return Worker(dependencies, pace, Destinations(_destination_limits(settings)), process)


def _signing_process(core: Core) -> SigningProcess | None:
    """Return the process for large releases, not started; None without the setting, and on one processor.

    On PostgreSQL as many processes work as the operator wants. A clock that is not the system's has no second process.
    """
    settings = core.settings
    wanted = settings.limits.signing_process and settings.database.url is None and type(core.clock) is SystemClock
    several_processors = (os.cpu_count() or 1) > 1
    return SigningProcess(ConfiguredSigning.of(settings, core.sealing)) if wanted and several_processors else None


def _destination_limits(settings: Settings) -> DestinationLimits:
    mail, webhooks = settings.mail, settings.webhooks
    per_minute = {
        ChannelKind.EMAIL: mail.per_minute_per_domain,
        ChannelKind.WEBHOOK: webhooks.per_minute_per_host,
    }
    return DestinationLimits(
        concurrent={
            ChannelKind.EMAIL: mail.at_once_per_domain or mail.connections,
            ChannelKind.WEBHOOK: webhooks.at_once_per_host,
        },
        per_minute={channel: limit for channel, limit in per_minute.items() if limit is not None},
    )


def _acknowledge_link(core: Core) -> Callable[[Delivery, Contact, datetime], MailedLink] | None:
    """Return the function that gives each mail its link to acknowledge, or None if there are no pages to link to."""
    console_url = core.settings.provider.console_url
    return None if console_url is None else AcknowledgeLinks(SecretBox(core.masters), console_url).mailed


def _attached_pdf(core: Core) -> Callable[[DueDelivery], Awaitable[bytes | None]] | None:
    """Return the function that gives a mail its PDF, or None if mails carry none; raises InvalidInputError."""
    max_bytes = core.settings.mail.attach_pdf_max_bytes
    if not max_bytes:
        return None
    if core.sealing.pdf_maker is None:
        raise InvalidInputError(Fault("mail.attach_pdf_max_bytes", ADVICE))
    return AttachedPdf(core.sealing, max_bytes).of


def _mailer(core: Core, channels: Channels) -> ServiceMailer:
    return ServiceMailer(
        core.store,
        MailSender(core.signer, channels.get(ChannelKind.EMAIL), core.sealing.sender, core.sender_name),
        clock=core.clock,
        identifiers=core.identifiers,
        jitter=secrets.SystemRandom().random,
    )


def _cosigning(core: Core) -> Cosigning:
    return Cosigning(
        core.store,
        core.witnesses,
        measure=core.sequencer.measure,
        clock=core.clock,
        pace=CosigningPace(period_seconds=core.settings.witnesses.period_seconds),
        failed=core.metrics.witness_failed,
    )


def _timestamper(core: Core) -> CheckpointTimestamper:
    return CheckpointTimestamper(
        core.store,
        core.timestamp_authority,
        every_seconds=core.settings.log.timestamp_every_seconds,
        clock=core.clock,
        failed=core.metrics.head_not_timestamped,
    )


def _fsck(core: Core) -> FsckSchedule:
    settings = core.settings
    result_path = settings.data / "log-check.json"
    return FsckSchedule(
        check_by_process(settings), result_path, every_hours=settings.log.check_every_hours, clock=core.clock
    )


def _alerts(core: Core, cosigning: Cosigning, timestamper: CheckpointTimestamper, fsck: FsckSchedule) -> AlertTask:
    settings = core.settings
    return AlertTask(
        core.store,
        settings.alerts,
        settings.provider,
        clock=core.clock,
        identifiers=core.identifiers,
        metrics=core.metrics,
        sources=AlertSources(
            lambda: certificate_ends(settings),
            lambda: free_bytes(settings.data),
            lambda: cosigning.states,
            lambda: timestamper.state,
            lambda: fsck.last,
        ),
    )


def _duty_reminders(core: Core) -> DutyReminders:
    return DutyReminders(
        core.store,
        core.agreements.duties,
        core.settings.provider,
        clock=core.clock,
        identifiers=core.identifiers,
        metrics=core.metrics,
    )


def _escalation(core: Core) -> EscalationTask:
    return EscalationTask(
        core.store,
        core.sealing.escalation,
        mail_domain=core.sealing.mail_domain,
        clock=core.clock,
        identifiers=core.identifiers,
    )


def _erasure(core: Core) -> ErasureTask:
    return ErasureTask(
        core.store,
        ErasureCertificates(core.settings.provider.name, core.agreements, core.signer, core.timestamp_authority),
        clock=core.clock,
        identifiers=core.identifiers,
    )


def _contact_checker(core: Core, stack: contextlib.AsyncExitStack, channels: Channels) -> ContactChecker:
    return contact_checker(
        core.settings,
        core.store,
        core.signer,
        core.sealing.sender,
        stack,
        clock=core.clock,
        identifiers=core.identifiers,
        mail=channels.get(ChannelKind.EMAIL),
        webhook=core.webhook,
    )


def _contact_checks(core: Core, checker: ContactChecker) -> ContactChecks:
    return ContactChecks(core.store, checker, every_days=core.settings.contact_checks.every_days, clock=core.clock)


def _second_channel_tests(core: Core, checker: ContactChecker) -> SecondChannelTests:
    every_days = core.settings.contact_checks.second_channel_days
    return SecondChannelTests(core.store, checker, every_days=every_days, clock=core.clock)
