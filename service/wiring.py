"""The only place where adapters meet ports: settings in, running parts out."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from notifications.agreement import Agreement, bundled_agreements, parse_agreement
from notifications.audit.entry import parse_leaf
from notifications.delivery import ChannelKind
from notifications.errors import Fault, InvalidInputError, SealingUnavailableError
from notifications.notice import Provider
from notifications.ports import Channel, Clock, Identifiers, TimestampAuthority
from notifications.use_cases.act import Act
from notifications.use_cases.customer_decider import Agreements
from notifications.use_cases.deliver_notice import Delivering
from notifications.use_cases.record_keys import record_keys
from notifications.use_cases.seal_notice import Sealing
from service.access.authenticating import AccessLimits, Authenticator
from service.access.first_account import ensure_first_account
from service.access.oidc import OidcSignIn
from service.access.own_credentials import OwnCredentials
from service.access.password_links import PasswordLinks
from service.access.secret_box import SecretBox
from service.access.sign_in import SignIn, SignInSettings
from service.alerting import Alerting, AlertSettings
from service.api.health import Probe
from service.api.requests import ApiContext
from service.channels.console_inbox import ConsoleInbox
from service.channels.email_smtp import EmailSmtp, SmtpSettings
from service.console.installing import ConsoleParts
from service.console.settings import ConsoleSettings
from service.data_folder import sole_use
from service.key_keeping import KeyKeeper
from service.observability import SystemClock, SystemIdentifiers
from service.oidc_setup import oidc_settings
from service.sealing.cms_signer import CmsSigner
from service.sealing.demo_keys import KeyFiles
from service.sealing.key_files import Passphrases, load_chain
from service.sealing.key_rotation import KeyRotation
from service.sealing.key_states import log_fingerprint
from service.sealing.log_keys import LogKeyFile
from service.sealing.master_key import key_passphrases, load_masters, master_fingerprint
from service.sealing.timestamping import EmbeddedTimestampAuthority, HttpTimestampAuthority
from service.sequencer import Sequencer, SequencerSettings
from service.service_mails import MailSender, ServiceMailer
from service.settings import Settings
from service.store import SqliteStore, SqlTransaction, open_store
from service.worker import Worker, WorkerSettings

_log = structlog.get_logger(__name__)

#: Certificates that expire within so many days are warned of.
_EXPIRY_WARNING_DAYS = 30
#: Entries without an index at a start: those that a crash or a command left.
_ENTRIES_LOOKED_AT = 10_000


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
            head_path=settings.data / "log-head",
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
        authority = _timestamp_authority(settings, files, passphrases, stack)
        channels: dict[ChannelKind, Channel] = {ChannelKind.CONSOLE: ConsoleInbox()}
        if settings.smtp_host is not None:
            mail = EmailSmtp(_smtp_settings(settings))
            stack.push_async_callback(mail.aclose)
            channels[ChannelKind.EMAIL] = mail
        sender = settings.mail_from or _address_or(signer, settings.contact_email)
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
            ),
            # Two messages a connection at most wait or are under way: both end long before the lease does.
            WorkerSettings(delivery_batch=2 * settings.smtp_connections),
        )
        store.on_commit.append(worker.wake)
        await _record_keys(
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
        alerting = Alerting(store, alert_settings, clock=clock, identifiers=identifiers)
        store.on_commit.append(alerting.wake)
        for part in (worker, mailer, alerting):
            running = asyncio.create_task(part.run(), name=type(part).__name__)
            stack.push_async_callback(_stop, running)
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
        )
        probes: dict[str, Probe] = {
            "log": sequencer.health,
            "signing": lambda: _signing_health(signer, sender, clock),
            "mail": lambda: None if ChannelKind.EMAIL in channels else "no smtp_host is set: mails wait",
            "worker": worker.health,
            "alerts": lambda: mailer.health() or alerting.health(),
        }
        for name, probe in probes.items():
            reason = probe()
            if reason is not None:
                _log.warning("part.degraded", part=name, reason=reason)
        _log.info("service.ready", data=str(settings.data), log_origin=settings.log_origin)
        console = _console(settings, store, clock, identifiers, SecretBox(masters), stack)
        yield Parts(context, authenticator, probes, store, sequencer, worker, mailer, alerting, console)


def _console(
    settings: Settings,
    store: SqliteStore,
    clock: Clock,
    identifiers: Identifiers,
    box: SecretBox,
    stack: contextlib.AsyncExitStack,
) -> ConsoleParts:
    """Return what pages need; without an address of the console they are meant for this machine."""
    stated = urlsplit(settings.console_url or "http://localhost")
    origin = f"{stated.scheme}://{stated.netloc}"
    of_sign_in = SignInSettings(origin=origin)
    parts = (store, clock, identifiers, box, of_sign_in)
    sign_in, of_oidc = SignIn(*parts), oidc_settings(settings)
    oidc = None if of_oidc is None else OidcSignIn(store, clock, identifiers, box, of_oidc, sign_in)
    if oidc is not None:
        stack.push_async_callback(oidc.aclose)
    return ConsoleParts(
        settings=ConsoleSettings(
            provider_name=settings.provider_name,
            contact_name=settings.contact_name,
            contact_email=settings.contact_email,
            origin=origin,
            default_language=settings.default_language,
            oidc_enabled=oidc is not None,
        ),
        sign_in=sign_in,
        own_credentials=OwnCredentials(*parts),
        password_links=PasswordLinks(*parts),
        oidc=oidc,
    )


def _free_leases(tx: SqlTransaction) -> None:
    if freed := tx.free_leases():
        _log.warning("leases.freed", deliveries=freed)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def load_agreements(settings: Settings) -> Agreements:
    """Return the bundled agreements and those of the settings' folder; raises AgreementError or InvalidInputError."""
    by_id: dict[str, Agreement] = dict(bundled_agreements())
    for path in sorted((settings.agreements_dir or Path("/nonexistent")).glob("*.toml")):
        agreement = parse_agreement(path.read_bytes(), path.name)
        if agreement.id in by_id:
            raise InvalidInputError(Fault("agreements_dir", f"{path} has the id of another agreement, {agreement.id}"))
        by_id[agreement.id] = agreement
    if settings.reference_agreement not in by_id:
        known = ", ".join(sorted(by_id))
        raise InvalidInputError(Fault("reference_agreement", f"no such agreement; known are {known}"))
    priorities = by_id[settings.reference_agreement].priority_ids
    for priority, seconds in settings.internal_targets_seconds.items():
        if priority not in priorities or seconds <= 0:
            raise InvalidInputError(Fault("internal_targets_seconds", f"{priority} is no priority, or has no time"))
    return Agreements(
        by_id, settings.reference_agreement, settings.internal_targets_seconds, four_eyes=settings.four_eyes
    )


def _timestamp_authority(
    settings: Settings, files: KeyFiles, passphrases: Passphrases, stack: contextlib.AsyncExitStack
) -> TimestampAuthority:
    if settings.timestamp_url is None:
        return EmbeddedTimestampAuthority(files.timestamp_key, files.timestamp_chain, passphrases)
    if settings.timestamp_ca_file is None:
        raise InvalidInputError(Fault("timestamp_ca_file", "is needed with timestamp_url"))
    authority = HttpTimestampAuthority(
        settings.timestamp_url,
        load_chain(settings.timestamp_ca_file),
        independent=settings.timestamp_independent,
        timeout_seconds=settings.timestamp_timeout_seconds,
    )
    stack.push_async_callback(authority.aclose)
    return authority


def _smtp_settings(settings: Settings) -> SmtpSettings:
    return SmtpSettings(
        host=settings.smtp_host or "",
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        ca_file=settings.smtp_ca_file,
        connections=settings.smtp_connections,
        send_timeout_seconds=settings.smtp_send_timeout_seconds,
    )


def _address_or(signer: CmsSigner, otherwise: str) -> str:
    try:
        return signer.address
    except SealingUnavailableError:
        return otherwise


def _signing_health(signer: CmsSigner, sender: str, clock: Clock) -> str | None:
    """Return why nothing can be signed, or will not be soon; None when all is well."""
    try:
        address, not_after = signer.address, signer.not_after
    except SealingUnavailableError as error:
        return str(error)
    days = (not_after - clock.now()).days
    if address.casefold() != sender.casefold():
        return f"mail_from is {sender}, the signing certificate names {address}"
    if days < _EXPIRY_WARNING_DAYS:
        return f"the signing certificate {'expired' if days < 0 else f'expires in {days} days'}"
    return None


async def _record_keys(
    store: SqliteStore, act: Act, signer: CmsSigner, known: Mapping[str, str], authority: TimestampAuthority
) -> None:
    fingerprints = dict(known)
    with contextlib.suppress(SealingUnavailableError):
        fingerprints["signing"] = signer.fingerprint
    certificate = getattr(authority, "certificate", None)
    if isinstance(certificate, x509.Certificate):
        fingerprints["timestamp"] = certificate.fingerprint(hashes.SHA256()).hex()

    def work(tx: SqlTransaction) -> list[str]:
        waiting = [parse_leaf(item.leaf) for item in tx.pending_leaves(_ENTRIES_LOOKED_AT)]
        appended = frozenset(leaf.subjects.get("key", "") for leaf in waiting if leaf.type == "key.activated")
        return record_keys(tx, act, fingerprints, appended=appended)

    await store.write(work)
