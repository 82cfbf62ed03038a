"""The report of who was notified: the status of each customer in each incident and announcement, with its proof."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from notifications.agreement import DeadlineBinding


class ReportStatus(StrEnum):
    """The status of one customer in one incident or announcement, at the time of the report."""

    NOTIFIED = "told"
    #: after a time that is to be met where possible, or after the provider's own target: no limit was missed
    AFTER_AIM = "after_aim"
    #: after a limit of the agreement
    LATE = "late"
    MISSING = "missing"
    #: owed and not notified yet; the deadline is not over
    AWAITED = "awaited"
    #: the last decision depends on a fact that is not known yet
    PENDING = "pending"
    #: registered before the incident or announcement was declared, but without a decision
    UNDECIDED = "undecided"
    #: decided, with reasons, that the customer is not notified
    NOT_OWED = "not_owed"
    #: only for a part of a log: its decision is not among these entries
    UNSTATED = "unstated"


class LateCause(StrEnum):
    """Why a notice is missing, or came after its deadline."""

    #: released after the limit
    RELEASED_LATE = "released_late"
    #: released in time, but delivered after the limit
    DELIVERED_LATE = "delivered_late"
    #: released after the time aimed at
    RELEASED_AFTER = "released_after"
    #: released in time, but delivered after the time aimed at
    DELIVERED_AFTER = "delivered_after"
    NOT_RELEASED = "not_released"
    #: released, but neither the console nor a relay accepted it, or it bounced; or its letter was not served
    NOT_DELIVERED = "not_delivered"


class OverrideKind(StrEnum):
    """An act of one person without a second one, or a reversed decision."""

    #: released in an emergency without four eyes; a second person reviewed it later
    REVIEWED = "reviewed"
    #: released in an emergency without four eyes; nobody has reviewed it
    UNREVIEWED = "unreviewed"
    #: released by its last author, where no rule requires four eyes
    ONE_PERSON = "one_person"
    #: a decision to notify was replaced by another verdict before the customer was notified
    TAKEN_BACK = "taken_back"


@dataclass(frozen=True, slots=True)
class Override:
    """A release without four eyes, or a reversed decision, with the entries that prove it."""

    kind: OverrideKind
    #: the incident, or the announcement
    incident: str
    #: the customer's pseudonym
    customer: str
    #: empty if it is not about a notice
    notice: str
    at: datetime
    #: who did it, as in the log
    actor: str
    #: the rule that required four eyes, or None
    rule: str | None
    index: int
    #: entry of the review, or of the reversed decision
    other_index: int | None


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One customer in one incident or announcement."""

    #: the incident, or the announcement
    incident: str
    ticket: str | None
    #: the customer's pseudonym
    customer: str
    status: ReportStatus
    cause: LateCause | None
    #: verdict, reasons and duties (``<id>:<clause>``) of the last decision; empty if there is no decision
    verdict: str
    reasons: tuple[str, ...]
    duties: tuple[str, ...]
    #: earliest deadline of all decisions to notify, so that a later decision cannot move a missed deadline; if a limit
    #: of the agreement was missed, the earliest limit
    due_at: datetime | None
    due_kind: str | None
    #: how strictly that deadline binds; None without a deadline. Old entries do not record it; see ``binding_of``
    binding: DeadlineBinding | None
    #: earliest internal target of all decisions to notify; None in old entries, which did not record it
    target_at: datetime | None
    released_at: datetime | None
    notified_at: datetime | None
    #: by how much the customer was notified after the deadline; None if in time or not at all
    delay: timedelta | None
    #: when each channel, including ``webhook``, first accepted it; without deliveries that bounced
    channels: tuple[tuple[str, datetime], ...]
    #: released by one person although four eyes were required
    overridden: bool
    #: when the customer's data was erased; its names, texts and mails are not available then
    erased_at: datetime | None
    #: entries of the deadline (else of the last decision), of the first release and of the notification, or None
    decided_index: int | None
    released_index: int | None
    notified_index: int | None
    #: the notice that was released first, else the first draft, else None
    notice: str | None
    #: every entry about this customer in it, in order
    indices: tuple[int, ...]

    @property
    def past_target(self) -> timedelta | None:
        """By how much the internal target was missed; None if it was met, or if there is none or no notification."""
        if self.notified_at is None or self.target_at is None or self.notified_at <= self.target_at:
            return None
        return self.notified_at - self.target_at


@dataclass(frozen=True, slots=True)
class IncidentCount:
    """The number of customers that were decided for an incident or announcement: as stated, and as in the entries."""

    #: the incident, or the announcement
    incident: str
    ticket: str | None
    #: entry and time of its declaration; None if that entry is not among the leaves
    declared_index: int | None
    declared_at: datetime | None
    #: number of customers when its facts were last recorded; None in old entries, which did not record it
    stated: int | None
    #: number of these customers with a decision in the entries; customers erased before are not counted
    decided: int
    #: when the provider became aware, by the last facts; None if no such entry is among the leaves
    aware_at: datetime | None = None

    @property
    def lacking(self) -> int:
        """How many stated decisions are missing in the entries."""
        return 0 if self.stated is None else max(0, self.stated - self.decided)


@dataclass(frozen=True, slots=True)
class ReportedDelivery:
    """One delivery of a notice of an announcement."""

    delivery: str
    channel: str
    #: the contact's id; None for the console and for webhooks
    contact: str | None
    #: when console, relay or webhook accepted it, and the entry; None if it did not, or if the mail bounced
    accepted_at: datetime | None
    accepted_index: int | None


@dataclass(frozen=True, slots=True)
class ReportedLetter:
    """The registered letter of a notice: its posting, and what the return slip says, by the last record of each."""

    opened_index: int
    posted_on: date | None = None
    posted_index: int | None = None
    slip_index: int | None = None
    #: ``handed_over``, ``refused`` or ``not_collected``
    outcome: str | None = None
    outcome_on: date | None = None
    #: the day from which it counts as served under the agreement; None if it does not
    served_on: date | None = None
    outcome_index: int | None = None


@dataclass(frozen=True, slots=True)
class ReportedNotice:
    """One notice of an announcement to one customer; each moment has the index of its entry."""

    notice: str
    #: ``initial``, ``update`` or ``final``; None before its release
    kind: str | None
    #: the version of the announcement that it states; None before its release
    version: int | None
    released_at: datetime | None
    released_index: int | None
    sealed_at: datetime | None
    sealed_index: int | None
    #: when its own timestamp was recorded. None: it has none; a timestamp over a checkpoint has no entry
    timestamped_at: datetime | None
    timestamped_index: int | None
    #: when it reached the customer by the ways of its agreement
    notified_at: datetime | None
    notified_index: int | None
    #: when a person of the customer acknowledged it first
    acknowledged_at: datetime | None
    acknowledged_index: int | None
    deliveries: tuple[ReportedDelivery, ...]
    letter: ReportedLetter | None


@dataclass(frozen=True, slots=True)
class AnnouncementLine(ReportLine):
    """One customer in one announcement. ``incident`` is its id; ``reasons`` say why it is owed or not."""

    #: id of the kind of notice; None if no entry here states it
    kind: str | None
    agreement: str | None
    #: clause of the kind of notice, and clause of the time that counts, in what binds the customer
    clause: str | None
    due_clause: str | None
    #: ways that the agreement names; empty if the decision does not state them, as in old entries
    ways: tuple[str, ...]
    #: ``asked``, ``given`` or ``refused``, if the agreement asks for consent
    consent: str | None
    #: the last version that was decided, and the last one of which the customer was notified
    version: int | None
    notified_version: int | None
    notices: tuple[ReportedNotice, ...]

    @property
    def lacks_last_version(self) -> bool:
        """Whether the customer was notified, but not of the last change or the cancellation."""
        return self.notified_version is not None and self.version is not None and self.notified_version < self.version


@dataclass(frozen=True, slots=True)
class AnnouncementCount(IncidentCount):
    """One announcement: what was declared and what became of it, and the customers decided. Nobody becomes aware."""

    kind: str | None = None
    occurs_at: datetime | None = None
    #: number of its versions; a change and a cancellation make one each
    versions: int = 0
    #: ``open``, ``carried_out``, ``cancelled`` or ``elapsed``, and the entry that says so; None if none is here
    outcome: str | None = None
    outcome_index: int | None = None


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """The report on incidents, or on announcements."""

    as_of: datetime
    #: by incident, then by customer
    lines: tuple[ReportLine, ...]
    #: in the order of the log
    overrides: tuple[Override, ...]
    incidents: tuple[IncidentCount, ...]

    def with_status(self, *statuses: ReportStatus) -> tuple[ReportLine, ...]:
        """Return the lines with one of these statuses."""
        return tuple(line for line in self.lines if line.status in statuses)

    @property
    def complete(self) -> bool:
        """Whether no customer is late, missing or undecided, no decision is missing, and overrides were reviewed.

        A customer that was notified after the time aimed at is notified: the report lists it, and is complete.
        """
        return self._holds()

    def _holds(self) -> bool:
        return (
            not self.with_status(ReportStatus.LATE, ReportStatus.MISSING, ReportStatus.UNDECIDED)
            and not any(item.kind is OverrideKind.UNREVIEWED for item in self.overrides)
            and not any(item.lacking for item in self.incidents)
        )


@dataclass(frozen=True, slots=True)
class AnnouncementReport(SubjectReport):
    """The report on announcements."""

    lines: tuple[AnnouncementLine, ...]
    incidents: tuple[AnnouncementCount, ...]


@dataclass(frozen=True, slots=True)
class NotificationReport(SubjectReport):
    """The report of who was notified, from the leaves of a log: of incidents, and beside them of announcements."""

    #: exercises; they are in no line, no override and no other count
    exercises: int
    announcements: AnnouncementReport

    @property
    def complete(self) -> bool:
        """Whether the report on incidents and the one on announcements are complete."""
        return self._holds() and self.announcements.complete
