"""What the routes of the API and the pages get of the running service."""

from collections.abc import Sequence
from dataclasses import dataclass

from notifications.ports import Clock, Identifiers, WebhookChannel
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies
from notifications.wording.statements import Statement
from service.crypto.secret_box import SecretBox
from service.key_rotation.keeper import KeyKeeper
from service.monitoring.metrics import Metrics
from service.ports.store import AccessStore
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The parts of the service that routes need; built in ``service.bootstrap.server``."""

    unit_of_work: AccessStore
    clock: Clock
    identifiers: Identifiers
    agreements: Agreements
    #: prepared statements that an analyst can fill in
    statements: Sequence[Statement]
    sealing: SealingDependencies
    #: language of free text that is stated without one
    default_language: str
    keys: KeyKeeper
    settings: Settings
    metrics: Metrics
    #: encrypts and decrypts the secrets of webhooks
    secret_box: SecretBox
    #: posts to the systems of customers
    webhook: WebhookChannel | None = None
