"""Build the parts that every process needs: agreements, keys, store, log, signer, timestamp authority."""

import contextlib
from dataclasses import dataclass, replace
from importlib.metadata import version

import structlog

from notifications.delivery.escalation_plan import EscalationPolicy
from notifications.notice import Provider
from notifications.ports import Clock, Identifiers, TimestampAuthority
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies
from service.audit_log.sequencer import Sequencer, SequencerSettings
from service.audit_log.shared_timestamps import SharedTimestamps
from service.audit_log.witness.client import WitnessClient, heads_elsewhere
from service.auth.authentication import Authenticator
from service.bootstrap.agreements import load_agreements
from service.bootstrap.duties import load_duties
from service.bootstrap.signing import (
    address_or,
    at_once,
    cms_signer,
    record_known_keys,
    timestamp_authority,
    witness_clients,
)
from service.bootstrap.store import index_all_incidents, open_configured_store, start_leadership, verify_bindings
from service.channels.webhook_https import WebhookHttps
from service.crypto.cms_signer import CmsSigner
from service.crypto.demo_keys import KeyFiles
from service.crypto.key_states import log_fingerprint
from service.crypto.log_keys import LogKeyFile
from service.crypto.master_key import key_passphrases, load_masters, master_fingerprint
from service.crypto.secret_box import SecretBox
from service.key_rotation.keeper import KeyKeeper
from service.key_rotation.rotation import KeyRotation
from service.monitoring.metrics import Metrics
from service.notice_pdf.installation import pdf_maker
from service.settings import Settings
from service.store import Store
from service.system.leadership import Leadership
from service.system.logging import SystemClock, SystemIdentifiers

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Core:
    """The running parts that every process needs."""

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
    #: the witnesses that cosign each head
    witnesses: list[WitnessClient]
    signer: CmsSigner
    timestamp_authority: TimestampAuthority
    sealing: SealingDependencies
    webhook: WebhookHttps

    @property
    def sender_name(self) -> str:
        """The display name in the From field of mails."""
        return self.settings.mail.sender_name or self.settings.provider.name

    def act(self) -> AuditContext:
        """Return the context of a change that the service itself makes now."""
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
    """Start the parts that every process needs; the stack stops them in reverse. Raises the error of a required part.

    1. Read the required settings: agreements, master key, log key.
    2. Open the store, index the incidents of an earlier release, check that the files have every agreement that binds a
       customer, and join the leader election. Only a process that runs
       background tasks is a candidate.
    3. Start the key keeper and the sequencer. Only a process that serves starts rotations, so it also ends a rotation
       that a crash interrupted. The head file outside the database and the heads of the witnesses protect the
       sequencer. If another process leads, the sequencer follows.
    4. Build the signer and the timestamp authority. The process also starts without a usable signing key: then
       incidents are declared and decided, notices wait, and ``/readyz`` says why.
    5. Warn of old names of settings, and log the keys in use.
    """
    # 1.
    clock, identifiers = clock or SystemClock(), identifiers or SystemIdentifiers()
    agreements = replace(load_agreements(settings.agreements), duties=load_duties(settings.duties))
    masters = load_masters(settings)
    passphrases = key_passphrases(settings, masters)
    files = KeyFiles(settings.keys_dir, settings.trust_dir)
    log_keys = LogKeyFile(settings.log.key_file or files.log_key, settings.log.origin, passphrases, clock)
    log_keys.ring()
    # 2.
    store = await open_configured_store(settings, stack, alone=serves and works)
    await index_all_incidents(store, agreements)
    await verify_bindings(store, agreements)
    leadership = await start_leadership(settings, stack, candidate=works)
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
        settings=SequencerSettings(batch_seconds=settings.log.batch_seconds),
        leadership=leadership,
        elsewhere=lambda: heads_elsewhere(witnesses, log_keys.origin),
    )
    await sequencer.start()
    stack.push_async_callback(sequencer.stop)
    # 4.
    signer = cms_signer(settings, files, passphrases, clock)
    authority = timestamp_authority(settings, files, passphrases, clock, stack)
    core = Core(
        settings=settings,
        clock=clock,
        identifiers=identifiers,
        agreements=agreements,
        masters=masters,
        log_keys=log_keys,
        store=store,
        authenticator=Authenticator(store, clock, settings.access),
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
            provider=Provider(**settings.provider.model_dump(exclude={"default_language", "random_tickets"})),
            sender=settings.mail.sender or address_or(signer, settings.provider.contact_email),
            escalation=EscalationPolicy(**settings.escalation.model_dump()),
            pdf_maker=pdf_maker(signer, authority),
            at_once=at_once,
            own_timestamps_max=settings.timestamps.one_each_up_to,
            checkpoint_timestamps=SharedTimestamps(
                store, authority, clock, every_seconds=settings.timestamps.shared_every_seconds
            ),
        ),
        webhook=webhook_channel(settings, masters, clock),
    )
    # 5.
    if settings.old_names:
        _log.warning("settings.renamed", names=settings.old_names, read_until="the next release")
    in_use = {"log": log_fingerprint(log_keys.ring().known[-1]), "master": master_fingerprint(masters[0])}
    await record_known_keys(store, core.act(), signer, in_use, authority)
    return core


def webhook_channel(settings: Settings, masters: list[bytes], clock: Clock) -> WebhookHttps:
    """Return the channel that posts to customers' own systems."""
    return WebhookHttps(settings.webhooks, SecretBox(masters), clock)
