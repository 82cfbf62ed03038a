"""The priority of an incident and its guaranteed time to intervention (GTI), as an entry of the log states it."""

from dataclasses import dataclass

_PARTS = 4


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """The priority by one agreement, and what the agreement guarantees for it."""

    agreement: str
    #: None while it is not established
    priority: str | None
    #: from the opening of the ticket to the first intervention; None if the agreement guarantees no time
    gti_seconds: int | None
    #: share of the month's tickets for which the guarantee must be met; None if there is no target
    target_percent: int | None

    def __str__(self) -> str:
        """Return the code of the log, ``<agreement>:<priority>:<seconds>:<percent>``; what is None is empty."""
        parts = (self.agreement, self.priority, self.gti_seconds, self.target_percent)
        return ":".join("" if part is None else str(part) for part in parts)


def parse_service_level(code: str) -> ServiceLevel | None:
    """Return the level of a code, or None if it is no such code."""
    parts = code.rsplit(":", _PARTS - 1)
    if len(parts) != _PARTS or not all(not part or (part.isascii() and part.isdigit()) for part in parts[2:]):
        return None
    agreement, priority, seconds, percent = parts
    return ServiceLevel(
        agreement, priority or None, int(seconds) if seconds else None, int(percent) if percent else None
    )
