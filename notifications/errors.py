"""Domain errors. They contain no HTTP status: ``service.web.api.errors`` maps them to one, in one table."""

from dataclasses import dataclass
from typing import TypeVar

RecordT = TypeVar("RecordT")


class GreffierError(Exception):
    """Base class of every error that this product defines."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input."""

    #: a dotted path such as ``affected_customers.0.customer_id``; empty for the whole input
    field: str
    #: what is wrong, in one English sentence without a full stop
    reason: str


class InvalidInputError(GreffierError):
    """The input breaks a rule of the domain. Nothing was changed."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        lines = (f"{fault.field}: {fault.reason}" if fault.field else fault.reason for fault in faults)
        super().__init__("; ".join(lines))


class AgreementError(GreffierError):
    """An agreement file is not usable. Contains the file, the key and the reason."""

    def __init__(self, file: str, key: str, reason: str) -> None:
        self.file, self.key, self.reason = file, key, reason
        super().__init__(f"{file}: {key}: {reason}")


class NotFoundError(GreffierError):
    """The object does not exist, or the caller may not see it. Both cases give the same error."""

    def __init__(self, kind: str, identifier: object) -> None:
        self.kind, self.identifier = kind, identifier
        super().__init__(f"{kind} {identifier} does not exist")


def required(kind: str, identifier: object, record: RecordT | None) -> RecordT:
    """Return the record; raises NotFoundError where there is none."""
    if record is None:
        raise NotFoundError(kind, identifier)
    return record


class StateConflictError(GreffierError):
    """The state of the object does not allow the change, such as a closed incident or a released notice."""


class VersionMismatchError(GreffierError):
    """The object changed since the caller read it (optimistic concurrency). ``current`` is its version now."""

    def __init__(self, kind: str, identifier: object, expected: int, current: int) -> None:
        self.kind, self.identifier, self.expected, self.current = kind, identifier, expected, current
        super().__init__(f"{kind} {identifier} is at version {current}, not {expected}")


class IdempotencyMismatchError(GreffierError):
    """The idempotency key was already used for another request."""


class SealingUnavailableError(GreffierError):
    """There is no usable signing key, the certificate has expired, or it does not contain the From address.

    Nothing may be sent. The notice stays queued, and the analyst sees the reason.
    """


class TimestampUnavailableError(GreffierError):
    """The timestamp authority gave no usable token. A later try may succeed, and no notice waits for it."""


class PdfUnavailableError(GreffierError):
    """This installation cannot make a PDF, because what makes it is not installed. Everything else works."""


class LogUnavailableError(GreffierError):
    """The audit log cannot append or prove an entry now. Nothing that needs a proof may be sent."""


class StoreUnavailableError(GreffierError):
    """The store could not run the work (disk full, locked, closing). Nothing was recorded."""


class VerificationError(GreffierError):
    """A verification step failed. The verified object must not be trusted.

    ``step`` is the step's name as printed by ``greffier verify``.
    """

    def __init__(self, step: str, reason: str) -> None:
        self.step, self.reason = step, reason
        super().__init__(f"{step}: {reason}")


class UnreadableMailError(VerificationError):
    """The file does not contain the mail as it was sent. The reason says what to save instead.

    This error does not say whether the notice is genuine.
    """
