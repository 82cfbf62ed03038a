"""Build what signs notices in a process of its own."""

import contextlib
from dataclasses import dataclass

from notifications.errors import SealingUnavailableError
from notifications.notice import Provider
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies, SigningDependencies
from service.bootstrap.signing import at_once, certificate_of, cms_signer, timestamp_authority
from service.crypto.demo_keys import KeyFiles
from service.crypto.master_key import key_passphrases, load_masters
from service.settings import Settings
from service.store import open_store
from service.system.logging import SystemClock


@dataclass(frozen=True, slots=True)
class ConfiguredSigning:
    """Builds the parts from the records of the process that asks, and from the same key files."""

    settings: Settings
    agreements: Agreements
    provider: Provider
    sender: str
    #: of the embedded timestamp authority (DER), or None
    timestamp_certificate: bytes | None

    @classmethod
    def of(cls, settings: Settings, sealing: SealingDependencies) -> "ConfiguredSigning":
        """Return what builds the parts for the same notices as ``sealing``."""
        certificate = certificate_of(sealing.timestamp_authority)
        return cls(settings, sealing.agreements, sealing.provider, sealing.sender, certificate)

    def __call__(self, stack: contextlib.AsyncExitStack) -> SigningDependencies:
        """Build them; the stack closes them. Raises GreffierError, also if the timestamp key was replaced meanwhile."""
        settings, clock = self.settings, SystemClock()
        files = KeyFiles(settings.keys_dir, settings.trust_dir)
        passphrases = key_passphrases(settings, load_masters(settings))
        authority = timestamp_authority(settings, files, passphrases, clock, stack)
        if certificate_of(authority) != self.timestamp_certificate:
            raise SealingUnavailableError("the key of the timestamp authority was replaced since the start")
        return SigningDependencies(
            unit_of_work=open_store(settings.store_location(), migrate=False, readers=1),
            signer=cms_signer(settings, files, passphrases, clock),
            timestamp_authority=authority,
            clock=clock,
            agreements=self.agreements,
            provider=self.provider,
            sender=self.sender,
            at_once=at_once,
            own_timestamps_max=settings.timestamps.one_each_up_to,
        )
