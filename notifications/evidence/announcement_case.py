"""What the leaves of the log state about one customer in one announcement: decisions, notices, letters, consent.

A customer is *notified* by a notice that reached it by the ways that its agreement names: console or mail as for
incidents, and a registered letter on the day from which it counts as served. Where the agreement names both, the later
one counts; where it names the letter only, console and mail do not count. A letter counts from the beginning of its
day (UTC), because a return slip has no time.

The deadline is that of the decision on which the first notice rests: what is announced may move, and its lead with it.
A limit of the agreement that was over before a later decision replaced it stays.

Not verified here: as in ``notification_report_builder``.
"""

from array import array
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from itertools import pairwise

from notifications.agreement import DeadlineBinding
from notifications.audit.entry import Leaf
from notifications.evidence.notification_report import ReportedDelivery, ReportedLetter, ReportedNotice
from notifications.evidence.report_status import ACCEPTED, FAILED, number_of_attempt, outlives

#: concerns by which a customer gets a notice
OWING = frozenset({"concerned", "told_before"})
_LETTER, _EMAIL, _CONSOLE = "registered_letter", "email", "console"

#: a time, and the entry that states it
Moment = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class AnnouncementDecision:
    """The decision of one version about the customer."""

    index: int
    at: datetime
    actor: str
    version: int
    concern: str
    cancelled: bool
    kind: str | None
    agreement: str | None
    clause: str | None
    due_at: datetime | None
    binding: DeadlineBinding
    due_clause: str | None
    ways: tuple[str, ...]
    consent: str | None

    @property
    def owes(self) -> bool:
        """Whether a notice is owed by it, unless the announcement was cancelled."""
        return self.concern in OWING

    @property
    def verdict(self) -> str:
        """The word that decisions about incidents have for it."""
        return "notify" if self.owes and not self.cancelled else "do_not_notify"

    def is_over(self, at: datetime) -> bool:
        """Return whether a limit of the agreement was over at a time."""
        return self.binding is DeadlineBinding.HARD and self.due_at is not None and self.due_at < at


@dataclass(slots=True)
class _Delivery:
    channel: str
    contact: str | None
    #: by number of the attempt
    attempts: dict[int, Moment] = field(default_factory=dict)

    @property
    def accepted(self) -> Moment | None:
        """The first acceptance that did not bounce."""
        return min(self.attempts.values(), default=None)


@dataclass(slots=True)
class AnnouncementNotice:
    """One notice to the customer, and what became of it."""

    kind: str | None = None
    version: int | None = None
    released: Moment | None = None
    sealed: Moment | None = None
    timestamped: Moment | None = None
    acknowledged: Moment | None = None
    deliveries: dict[str, _Delivery] = field(default_factory=dict)
    letter: ReportedLetter | None = None

    def take(self, index: int, leaf: Leaf) -> None:
        """Take the next leaf whose subject is the notice."""
        now = (leaf.at, index)
        match leaf.type:
            case "notice.released":
                self.released = now
                self.kind, self.version = text_in(leaf, "kind"), number_in(leaf, "facts_version")
            case "notice.sealed":
                self.sealed = now
                self.kind, self.version = text_in(leaf, "kind"), number_in(leaf, "facts_version")
                self.timestamped = now if leaf.detail.get("timestamped") is True else None
            case "notice.timestamped":
                self.timestamped = self.timestamped or now
            case "notice.acknowledged":
                self.acknowledged = self.acknowledged or now
            case "delivery.queued" | "delivery.attempted" | "delivery.returned":
                self._take_delivery(now, leaf)
            case kind if kind.startswith("letter."):
                self.letter = _letter_after(index, leaf, self.letter or ReportedLetter(opened_index=index))

    def _take_delivery(self, now: Moment, leaf: Leaf) -> None:
        name = leaf.subjects.get("delivery", "")
        channel = text_in(leaf, "channel") or ""
        delivery = self.deliveries.setdefault(name, _Delivery(channel, leaf.subjects.get("contact")))
        if leaf.type == "delivery.attempted" and leaf.detail.get("event") in ACCEPTED:
            delivery.attempts.setdefault(number_of_attempt(leaf), now)
        elif leaf.type == "delivery.returned" and leaf.detail.get("event") == FAILED:
            delivery.attempts = {number: each for number, each in delivery.attempts.items() if outlives(number, leaf)}

    def notified(self, stated: tuple[str, ...]) -> Moment | None:
        """Return when the notice reached the customer by the ways that its agreement names, and the entry."""
        ways = set(stated) or self._used
        needed: list[Moment | None] = []
        if ways - {_LETTER}:
            accepted = (each.accepted for each in self.deliveries.values() if each.channel in ways and each.accepted)
            needed.append(min(accepted, default=None))
        if _LETTER in ways:
            needed.append(self.served)
        reached = [each for each in needed if each is not None]
        return max(reached) if reached and len(reached) == len(needed) else None

    @property
    def _used(self) -> set[str]:
        """The ways that were used, where the decision does not state those of the agreement."""
        mailed = any(each.channel == _EMAIL for each in self.deliveries.values())
        return ({_LETTER} if self.letter else set()) | ({_CONSOLE, _EMAIL} if mailed or not self.letter else set())

    @property
    def served(self) -> Moment | None:
        """From when its letter counts as served, and the entry; the beginning of the day (UTC)."""
        if self.letter is None or self.letter.served_on is None or self.letter.outcome_index is None:
            return None
        return datetime.combine(self.letter.served_on, time(), UTC), self.letter.outcome_index

    def reported(self, name: str, notified: Moment | None) -> ReportedNotice:
        """Return the notice as a report states it. ``name``: its id."""
        released_at, released_index = self.released or (None, None)
        sealed_at, sealed_index = self.sealed or (None, None)
        timestamped_at, timestamped_index = self.timestamped or (None, None)
        notified_at, notified_index = notified or (None, None)
        acknowledged_at, acknowledged_index = self.acknowledged or (None, None)
        return ReportedNotice(
            notice=name,
            kind=self.kind,
            version=self.version,
            released_at=released_at,
            released_index=released_index,
            sealed_at=sealed_at,
            sealed_index=sealed_index,
            timestamped_at=timestamped_at,
            timestamped_index=timestamped_index,
            notified_at=notified_at,
            notified_index=notified_index,
            acknowledged_at=acknowledged_at,
            acknowledged_index=acknowledged_index,
            deliveries=tuple(
                ReportedDelivery(delivery, each.channel, each.contact, *(each.accepted or (None, None)))
                for delivery, each in self.deliveries.items()
            ),
            letter=self.letter,
        )


@dataclass(slots=True)
class AnnouncementCase:
    """One customer in one announcement."""

    decisions: list[AnnouncementDecision] = field(default_factory=list)
    indices: "array[int]" = field(default_factory=lambda: array("q"))
    notices: dict[str, AnnouncementNotice] = field(default_factory=dict)
    #: the last answer: what it is, and the version that it is about
    answer: tuple[str, int | None] | None = None

    def notified(self, notice: AnnouncementNotice) -> Moment | None:
        """Return when a notice reached the customer, by the ways of the decision on which the notice rests."""
        version = notice.version
        decision = next((each for each in reversed(self.decisions) if version is None or each.version <= version), None)
        return notice.notified(() if decision is None else decision.ways)

    def first_notified(self) -> tuple[Moment | None, str | None]:
        """Return when the customer was notified first, and the id of the notice."""
        found = [
            (moment, number, name)
            for number, (name, each) in enumerate(self.notices.items())
            if (moment := self.notified(each))
        ]
        if not found:
            return None, None
        moment, _, name = min(found)
        return moment, name

    def counting(self, told_by: str | None, at: datetime) -> AnnouncementDecision | None:
        """Return the decision that counts: the first whose limit was over when it was replaced, else the last.

        ``told_by``: the notice by which the customer was notified; later versions do not count then. ``at``: when it
        was notified, else the time of the report.
        """
        version = None if told_by is None else self.notices[told_by].version
        counted = [each for each in self.decisions if version is None or each.version <= version]
        for each, later in pairwise(counted):
            if each.is_over(min(at, later.at)):
                return each
        return counted[-1] if counted else None

    def consent(self) -> str | None:
        """Return the customer's answer to the last version, else what the last decision states."""
        last = self.decisions[-1] if self.decisions else None
        if self.answer is not None and (last is None or self.answer[1] == last.version):
            return self.answer[0]
        return None if last is None else last.consent

    def channels(self) -> tuple[tuple[str, datetime], ...]:
        """Return each channel by which a notice reached the customer, with the first time."""
        found: dict[str, datetime] = {}
        for notice in self.notices.values():
            for each in notice.deliveries.values():
                if each.accepted is not None:
                    found[each.channel] = min(each.accepted[0], found.get(each.channel, each.accepted[0]))
            if (served := notice.served) is not None:
                found[_LETTER] = min(served[0], found.get(_LETTER, served[0]))
        return tuple(sorted(found.items()))


def text_in(leaf: Leaf, name: str) -> str | None:
    """Return the text that a leaf states under a name, or None."""
    value = leaf.detail.get(name)
    return value if isinstance(value, str) else None


def number_in(leaf: Leaf, name: str) -> int | None:
    """Return the number that a leaf states under a name, or None."""
    value = leaf.detail.get(name)
    return value if isinstance(value, int) else None


def _day_in(leaf: Leaf, name: str) -> date | None:
    value = text_in(leaf, name)
    return None if value is None else date.fromisoformat(value)


def _letter_after(index: int, leaf: Leaf, letter: ReportedLetter) -> ReportedLetter:
    """Return what is known of a letter after an entry about it."""
    match leaf.type:
        case "letter.posted":
            return replace(letter, posted_on=_day_in(leaf, "posted_on"), posted_index=index)
        case "letter.slip_attached":
            return replace(letter, slip_index=index)
        case "letter.outcome_recorded":
            outcome = text_in(leaf, "outcome")
            outcome_on, served_on = _day_in(leaf, "outcome_on"), _day_in(leaf, "served_on")
            return replace(letter, outcome=outcome, outcome_on=outcome_on, served_on=served_on, outcome_index=index)
        case _:
            return letter
