"""What a report says of each bound customer in each incident: notified, late, missing, or not owed, and why."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class ReportStatus(StrEnum):
    """How one customer stands in one incident, at the moment of the account."""

    TOLD = "told"
    LATE = "late"
    MISSING = "missing"
    #: owed, not told, and the time for it is not over
    AWAITED = "awaited"
    #: the last decision waits for a fact
    PENDING = "pending"
    #: registered before the incident was declared, and no decision about it
    UNDECIDED = "undecided"
    #: decided that it is not told, with reasons
    NOT_OWED = "not_owed"
    #: of part of a log: its decision is not among the entries that are here
    UNSTATED = "unstated"


class LateCause(StrEnum):
    """Where the time was lost, of what is late or missing."""

    #: the release came after the notice was due
    RELEASED_LATE = "released_late"
    #: released in time, and reached the customer after it was due
    DELIVERED_LATE = "delivered_late"
    NOT_RELEASED = "not_released"
    #: released, and no console and no relay took it, or it came back
    NOT_DELIVERED = "not_delivered"


class OverrideKind(StrEnum):
    """What one person did alone, or what was undone."""

    #: released in an emergency past the rule of two people; somebody else reviewed it
    REVIEWED = "reviewed"
    #: as above, and nobody reviewed it
    UNREVIEWED = "unreviewed"
    #: released by whoever wrote it last, where no rule asked for a second person
    ONE_PERSON = "one_person"
    #: a decision to tell was replaced by one not to, or to wait, before the customer was told
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True)
class Override:
    """Something that went past a second pair of eyes, or past a decision, with the entries that show it."""

    kind: OverrideKind
    incident: str
    #: the customer's pseudonym
    customer: str
    #: empty where it concerns no notice
    notice: str
    at: datetime
    #: who did it, as in the log
    actor: str
    #: what required four eyes; None where nothing did
    rule: str | None
    index: int
    #: entry of the review, or of the decision that was taken back
    other_index: int | None


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One customer in one incident."""

    incident: str
    ticket: str | None
    #: the customer's pseudonym
    customer: str
    standing: ReportStatus
    cause: LateCause | None
    #: last decision: its verdict, reasons and duties (``<id>:<clause>``); empty where there is none
    verdict: str
    reasons: tuple[str, ...]
    duties: tuple[str, ...]
    #: earliest time that a decision to tell stated: a later decision cannot move a missed one
    due_at: datetime | None
    due_kind: str | None
    #: earliest internal target that a decision to tell stated; None in entries from before it was recorded
    target_at: datetime | None
    released_at: datetime | None
    told_at: datetime | None
    #: told after it was due by so much
    delay: timedelta | None
    #: when each channel first took it, unless it came back; ``webhook`` among them
    channels: tuple[tuple[str, datetime], ...]
    #: released by one person where two were asked for
    overridden: bool
    #: when the customer's data was erased (clause 9.7): names, words and mails of it are not available
    erased_at: datetime | None
    #: entries that state the deadline (else the last decision), the first release, and the telling; None where none is
    decided_index: int | None
    released_index: int | None
    told_index: int | None
    #: the notice released first, else one that is drafted; None where there is none
    notice: str | None
    #: every entry about this customer in this incident, in order
    indices: tuple[int, ...]

    @property
    def past_target(self) -> timedelta | None:
        """By how much it was told after the internal target; None where it was not, or where no target is known."""
        if self.told_at is None or self.target_at is None or self.told_at <= self.target_at:
            return None
        return self.told_at - self.target_at


@dataclass(frozen=True, slots=True)
class IncidentCount:
    """Of how many customers an incident was decided: as its entries state, and as many as decisions are here."""

    incident: str
    ticket: str | None
    #: entry and moment of its declaration; None where that is not among the leaves
    declared_index: int | None
    declared_at: datetime | None
    #: customers considered when its facts were last recorded; None in entries from before it was stated
    stated: int | None
    #: of how many customers of that moment a decision is here; those erased before are not among them
    decided: int

    @property
    def lacking(self) -> int:
        """How many decisions are stated and not here."""
        return 0 if self.stated is None else max(0, self.stated - self.decided)


@dataclass(frozen=True, slots=True)
class NotificationReport:
    """What leaves say of who was told."""

    as_of: datetime
    #: by incident, then by customer
    lines: tuple[ReportLine, ...]
    #: in the order of the log
    overrides: tuple[Override, ...]
    incidents: tuple[IncidentCount, ...]

    def standing_at(self, *standings: ReportStatus) -> tuple[ReportLine, ...]:
        """Return the lines that stand so."""
        return tuple(line for line in self.lines if line.standing in standings)

    @property
    def complete(self) -> bool:
        """Whether nobody was told late, is missing, or was passed over, and each emergency release was reviewed."""
        return (
            not self.standing_at(ReportStatus.LATE, ReportStatus.MISSING, ReportStatus.UNDECIDED)
            and not any(item.kind is OverrideKind.UNREVIEWED for item in self.overrides)
            and not any(item.lacking for item in self.incidents)
        )
