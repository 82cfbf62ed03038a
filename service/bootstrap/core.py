"""What every process stands on, whatever it does: settings that hold, keys, store, log, and what seals."""

import contextlib
from dataclasses import dataclass
from importlib.metadata import version

from notifications.delivery.escalation_plan import EscalationPolicy
from notifications.notice import Provider
from notifications.ports import Clock, Identifiers, TimestampAuthority
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.notices.seal_notice import SealingDependencies
from service.audit_log.sequencer import Sequencer, SequencerSettings
from service.audit_log.witness.client import WitnessClient, heads_elsewhere
from service.auth.authentication import AccessLimits, Authenticator
from service.bootstrap.agreements import load_agreements
from service.bootstrap.signing import address_or, record_known_keys, timestamp_authority, witness_clients
from service.bootstrap.store import leadership_of, opened_store
from service.channels.webhook_https import WebhookHttps, WebhookSettings
from service.crypto.cms_signer import CmsSigner
from service.crypto.demo_keys import KeyFiles
from service.crypto.key_states import log_fingerprint
from service.crypto.log_keys import LogKeyFile
from service.crypto.master_key import key_passphrases, load_masters, master_fingerprint
from service.crypto.secret_box import SecretBox
from service.key_rotation.keeper import KeyKeeper
from service.key_rotation.rotation import KeyRotation
from service.monitoring.metrics import Metrics
from service.settings import Settings
from service.store import Store
from service.system.leadership import Leadership
from service.system.logging import SystemClock, SystemIdentifiers


@dataclass(frozen=True, slots=True)
class Core:
    """What every process stands on, started."""

    settings: Settings
    clock: Clock
    identifiers: Identifiers
    agreements: Agreements
    #: the master keys, the current one first
    masters: list[bytes]
    log_keys: LogKeyFile
    store: Store
    authenticator: Authenticator
    metrics: Metrics
    keeper: KeyKeeper
    leadership: Leadership
    sequencer: Sequencer
    #: who cosigns each head
    witnesses: list[WitnessClient]
    signer: CmsSigner
    timestamp_authority: TimestampAuthority
    sealing: SealingDependencies
    webhook: WebhookHttps

    @property
    def sender_name(self) -> str:
        """The name beside the address that mails come from."""
        return self.settings.mail_from_name or self.settings.provider_name

    def act(self) -> AuditContext:
        """Return an act of the service itself, of this moment."""
        return AuditContext("system:service", self.clock.now(), self.identifiers)


async def build_core(
    settings: Settings,
    clock: Clock | None,
    identifiers: Identifiers | None,
    stack: contextlib.AsyncExitStack,
    *,
    serves: bool,
    works: bool,
) -> Core:
    """Start what every process needs; the stack stops it in reverse. Raises what a part that must be there raises.

    1. Settings that must hold: agreements, master key, log key.
    2. Store, and who leads. Only a process that works stands for the lead.
    3. Keys: a rotation that a crash interrupted is ended, by a process that serves, for they begin there. Sequencer,
       guarded by the head file outside the database and by the heads that witnesses show; where another process leads
       it follows.
    4. Signer and timestamp authority. A signer without a usable key is no reason not to start: incidents are declared
       and decided, notices wait, and the readiness says why.
    """
    # 1.
    clock, identifiers = clock or SystemClock(), identifiers or SystemIdentifiers()
    agreements = load_agreements(settings)
    masters = load_masters(settings)
    passphrases = key_passphrases(settings, masters)
    files = KeyFiles(settings.keys_dir, settings.trust_dir)
    log_keys = LogKeyFile(settings.log_key_file or files.log_key, settings.log_origin, passphrases, clock)
    log_keys.ring()
    # 2.
    store = await opened_store(settings, stack, alone=serves and works)
    leadership = await leadership_of(settings, stack, stands=works)
    # 3.
    keeper = KeyKeeper(
        settings,
        KeyRotation(settings, passphrases, clock),
        unit_of_work=store,
        log_store=store,
        clock=clock,
        identifiers=identifiers,
        refusal=lambda: sequencer.refusal,
    )
    if serves:
        await keeper.settle_at_start()
    witnesses = witness_clients(settings, stack)
    sequencer = Sequencer(
        store,
        keys=log_keys,
        head_path=settings.head_file,
        settings=SequencerSettings(batch_seconds=settings.sequencer_period_seconds),
        leadership=leadership,
        elsewhere=lambda: heads_elsewhere(witnesses, log_keys.origin),
    )
    await sequencer.start()
    stack.push_async_callback(sequencer.stop)
    # 4.
    signer = CmsSigner(
        settings.signing_key_file or files.signing_key,
        settings.signing_chain_file or files.signing_chain,
        passphrases,
        clock,
        look_again_seconds=0.05,
    )
    authority = timestamp_authority(settings, files, passphrases, clock, stack)
    ground = Core(
        settings=settings,
        clock=clock,
        identifiers=identifiers,
        agreements=agreements,
        masters=masters,
        log_keys=log_keys,
        store=store,
        authenticator=_authenticator(settings, store, clock),
        metrics=Metrics(store, clock, version=version("greffier")),
        keeper=keeper,
        leadership=leadership,
        sequencer=sequencer,
        witnesses=witnesses,
        signer=signer,
        timestamp_authority=authority,
        sealing=SealingDependencies(
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
            sender=settings.mail_from or address_or(signer, settings.contact_email),
            escalation=EscalationPolicy(
                fallback_lead_seconds=settings.fallback_lead_seconds,
                call_lead_seconds=settings.call_lead_seconds,
                grace_seconds=settings.escalation_grace_seconds,
                call_within_seconds=settings.call_within_seconds,
            ),
        ),
        webhook=webhook_channel(settings, masters, clock),
    )
    in_use = {"log": log_fingerprint(log_keys.ring().known[-1]), "master": master_fingerprint(masters[0])}
    await record_known_keys(store, ground.act(), signer, in_use, authority)
    return ground


def _authenticator(settings: Settings, store: Store, clock: Clock) -> Authenticator:
    limits = AccessLimits(
        session_idle_seconds=settings.session_idle_seconds,
        requests_per_second=settings.requests_per_second,
        requests_burst=settings.requests_burst,
        stranger_requests_per_second=settings.stranger_requests_per_second,
        stranger_requests_burst=settings.stranger_requests_burst,
    )
    return Authenticator(store, clock, limits)


def webhook_channel(settings: Settings, masters: list[bytes], clock: Clock) -> WebhookHttps:
    """Return what posts to customers' own systems."""
    return WebhookHttps(
        WebhookSettings(
            ca_file=settings.webhook_ca_file,
            allow_private=settings.webhook_allow_private,
            total_timeout_seconds=settings.webhook_timeout_seconds,
        ),
        SecretBox(masters),
        clock,
    )
