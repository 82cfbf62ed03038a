"""What sealing and delivery need from the outside."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from notifications.delivery.escalation_plan import DEFAULT_ESCALATION_POLICY, EscalationPolicy
from notifications.errors import (
    SealingUnavailableError,
)
from notifications.mail_address import normal_address
from notifications.notice import (
    Provider,
)
from notifications.ports import (
    CheckpointTimestamps,
    Clock,
    Identifiers,
    Log,
    PdfMaker,
    Signer,
    TimestampAuthority,
    UnitOfWork,
)
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.customer_decider import Agreements, DeciderCache

#: The actor of sealing and sending in the audit log.
WORKER = "system:worker"


#: Asks for a timestamp; returns None where the authority gives none.
TimestampRequest = Callable[[], Awaitable[bytes | None]]


async def one_after_the_other(requests: Sequence[TimestampRequest]) -> list[bytes | None]:
    """Make requests for timestamps one by one."""
    return [await request() for request in requests]


@dataclass(frozen=True, slots=True)
class SigningDependencies:
    """What composing, signing and timestamping needs from the outside; it stores nothing."""

    unit_of_work: UnitOfWork
    signer: Signer
    timestamp_authority: TimestampAuthority
    clock: Clock
    agreements: Agreements
    provider: Provider
    #: the From address of every mail; the signing certificate must contain it
    sender: str
    #: makes the requests for the timestamps of one batch, in any order
    at_once: Callable[[Sequence[TimestampRequest]], Awaitable[list[bytes | None]]] = one_after_the_other
    #: notices of more than so many that state the same facts share a timestamp; None if none do
    own_timestamps_max: int | None = None
    #: cache of the deciders of recent facts
    deciders: DeciderCache = field(default_factory=DeciderCache)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingDependencies(SigningDependencies):
    """The dependencies of sealing and delivery."""

    log: Log
    identifiers: Identifiers
    #: the times of escalation
    escalation: EscalationPolicy = DEFAULT_ESCALATION_POLICY
    #: makes the PDFs of notices; None if it is not installed
    pdf_maker: PdfMaker | None = None
    #: the timestamps that notices share; None in a process that obtains none
    checkpoint_timestamps: CheckpointTimestamps | None = None

    @property
    def mail_domain(self) -> str:
        """Right-hand side of Message-IDs."""
        return self.sender.rpartition("@")[2]

    def act(self) -> AuditContext:
        """Return the worker as actor, at the current time."""
        return AuditContext(WORKER, self.clock.now(), self.identifiers)


def verify_sender(signer: Signer, sender: str) -> None:
    """Raise SealingUnavailableError unless the signing certificate contains the sender's address."""
    named = signer.address
    if normal_address(sender) != normal_address(named):
        raise SealingUnavailableError(
            f"the From address {sender} is not the one the signing certificate names ({named})"
        )
