"""Domain errors. None of them knows an HTTP status; ``service.web.api.errors`` maps them in one table."""

from dataclasses import dataclass
from typing import TypeVar

RecordT = TypeVar("RecordT")


class GreffierError(Exception):
    """Root of every error that this product raises on purpose."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input."""

    #: where, as a dotted path such as ``affected_customers.0.customer_id``; empty for the whole input
    field: str
    #: why, in one English sentence without a final stop
    reason: str


class InvalidInputError(GreffierError):
    """The input breaks a rule of the domain; nothing was changed."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        told = (f"{fault.field}: {fault.reason}" if fault.field else fault.reason for fault in faults)
        super().__init__("; ".join(told))


class AgreementError(GreffierError):
    """An agreement file is not usable; names the file, the key and the reason."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        self.file, self.key, self.reason = file, key, reason
        super().__init__(f"{file}: {key}: {reason}")


class NotFoundError(GreffierError):
    """The object does not exist, or not for the caller: the two are told apart nowhere."""

    def __init__(self, kind: str, identifier: object) -> None:
        self.kind, self.identifier = kind, identifier
        super().__init__(f"{kind} {identifier} does not exist")


def required(kind: str, identifier: object, record: RecordT | None) -> RecordT:
    """Return the record; raises NotFoundError where there is none."""
    if record is None:
        raise NotFoundError(kind, identifier)
    return record


class StateConflictError(GreffierError):
    """The object is in a state that does not allow the change (a closed incident, a released notice)."""


class VersionMismatchError(GreffierError):
    """The object changed since the caller read it (optimistic concurrency); ``current`` is the version in force."""

    def __init__(self, kind: str, identifier: object, expected: int, current: int) -> None:
        self.kind, self.identifier, self.expected, self.current = kind, identifier, expected, current
        super().__init__(f"{kind} {identifier} is at version {current}, not {expected}")


class IdempotencyMismatchError(GreffierError):
    """The idempotency key was used before with another request."""


class SealingUnavailableError(GreffierError):
    """No usable signing key, an expired certificate, or a From address it does not cover.

    Nothing may be sent; the notice stays queued and the reason is shown to the analyst.
    """


class TimestampUnavailableError(GreffierError):
    """The timestamp authority gave no usable token now; a later try may succeed. Holds up no notice."""


class LogUnavailableError(GreffierError):
    """The audit log cannot take or prove an entry now; nothing that needs a proof may be sent."""


class StoreUnavailableError(GreffierError):
    """The store could not do the work now (disk full, locked, closing); nothing of it is recorded."""


class VerificationError(GreffierError):
    """A verification step failed: the artefact must not be trusted.

    ``step`` is the step's name as printed by ``greffier verify``.
    """

    def __init__(self, step: str, reason: str) -> None:
        self.step, self.reason = step, reason
        super().__init__(f"{step}: {reason}")


class UnreadableMailError(VerificationError):
    """The file does not hold the mail as it was sent; the reason says what to save instead. Nothing else is known."""
