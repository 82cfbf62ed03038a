"""Find the status of each customer in each announcement, from the leaves of the log, one leaf at a time.

A customer is *notified* of an announcement if its notice reached it by the ways that its agreement names: console or
mail as for incidents, and a registered letter on the day from which it counts as served. Where the agreement names
both, the later one counts; where it names the letter only, console and mail do not count. A letter counts from the
beginning of its day (UTC), because a return slip has no time.

The deadline is that of the decision on which the first notice rests: what is announced may move, and its lead with it.
A limit of the agreement that was over before a later decision replaced it stays. So an announcement that was cancelled
or that no longer concerns the customer owes nothing, unless such a limit was missed before. As for incidents, the
status is that of the first notice. ``lacks_last_version`` says that a change or a cancellation has not reached the
customer.

Entries of earlier releases do not state ``kind``, ``channels`` and ``cancelled`` in a decision. The kind is then that
of the declaration, the cancellation is known from its entry or the withdrawn draft, and the ways from letter and mails.

Not verified here: as in ``notification_report_builder``.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from itertools import pairwise

from notifications.agreement import DeadlineBinding
from notifications.audit.entry import Leaf
from notifications.decision import DueKind
from notifications.evidence.notification_report import (
    AnnouncementCount,
    AnnouncementLine,
    AnnouncementReport,
    Override,
    OverrideKind,
    ReportedDelivery,
    ReportedLetter,
    ReportedNotice,
    ReportStatus,
)
from notifications.evidence.release_reader import ReleaseReader
from notifications.evidence.report_status import (
    ACCEPTED,
    FAILED,
    binding_in,
    cause_of,
    moment_in,
    status_of,
)

_VERSIONS = frozenset({"announcement.declared", "announcement.changed", "announcement.cancelled"})
#: what became of an announcement, by the last of these entries
_OUTCOMES = {
    "announcement.declared": "open",
    "announcement.changed": "open",
    "announcement.cancelled": "cancelled",
    "announcement.carried_out": "carried_out",
    "announcement.elapsed": "elapsed",
}
#: concerns by which a customer gets a notice
_OWING = frozenset({"concerned", "told_before"})
_LETTER, _EMAIL, _CONSOLE = "registered_letter", "email", "console"

_Moment = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class _Decision:
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
        return self.concern in _OWING

    @property
    def verdict(self) -> str:
        return "notify" if self.owes and not self.cancelled else "do_not_notify"


@dataclass(slots=True)
class _Delivery:
    channel: str
    contact: str | None
    accepted: _Moment | None = None


@dataclass(slots=True)
class _Notice:
    kind: str | None = None
    version: int | None = None
    released: _Moment | None = None
    sealed: _Moment | None = None
    timestamped: _Moment | None = None
    acknowledged: _Moment | None = None
    deliveries: dict[str, _Delivery] = field(default_factory=dict)
    letter: ReportedLetter | None = None

    def notified(self, stated: tuple[str, ...]) -> _Moment | None:
        """Return when the notice reached the customer by the ways that its agreement names, and the entry."""
        ways = set(stated) or self._used
        needed: list[_Moment | None] = []
        if ways - {_LETTER}:
            accepted = (each.accepted for each in self.deliveries.values() if each.channel in ways and each.accepted)
            needed.append(min(accepted, default=None))
        if _LETTER in ways:
            needed.append(None if self.letter is None else _served(self.letter))
        reached = [each for each in needed if each is not None]
        return max(reached) if reached and len(reached) == len(needed) else None

    @property
    def _used(self) -> set[str]:
        """The ways that were used, where the decision does not state those of the agreement."""
        mailed = any(each.channel == _EMAIL for each in self.deliveries.values())
        return ({_LETTER} if self.letter else set()) | ({_CONSOLE, _EMAIL} if mailed or not self.letter else set())


@dataclass(slots=True)
class _Case:
    decisions: list[_Decision] = field(default_factory=list)
    indices: "array[int]" = field(default_factory=lambda: array("q"))
    notices: dict[str, _Notice] = field(default_factory=dict)
    #: the last answer: what it is, and the version that it is about
    answer: tuple[str, int | None] | None = None


@dataclass(slots=True)
class _Announcement:
    ticket: str | None = None
    declared: _Moment | None = None
    kind: str | None = None
    occurs_at: datetime | None = None
    version: int = 0
    #: last stated number of customers, and its entry
    stated: tuple[int, int] | None = None
    outcome: tuple[str, int] | None = None


class AnnouncementReportBuilder:
    """Takes the leaves of announcements in the order of the log. Its memory grows with announcements times customers.

    ``registered`` and ``erased``: the entries of customers that were taken so far, which the caller adds to.
    """

    def __init__(
        self,
        registered: Mapping[str, int],
        erased: Mapping[str, tuple[int, datetime]],
        interned: Callable[[str], str],
    ) -> None:
        self._registered, self._erased, self._interned = registered, erased, interned
        self._announcements: dict[str, _Announcement] = {}
        self._cases: dict[tuple[str, str], _Case] = {}
        self._releases = ReleaseReader("announcement", interned)

    def is_declared(self, announcement: str | None) -> bool:
        """Return whether the entry of its declaration was taken."""
        found = self._announcements.get(announcement or "")
        return found is not None and found.declared is not None

    def take(self, index: int, leaf: Leaf) -> None:
        """Take the next leaf whose subject is an announcement."""
        identifier = self._interned(leaf.subjects["announcement"])
        if leaf.type in _OUTCOMES:
            self._take_version(index, leaf, self._announcements.setdefault(identifier, _Announcement()))
        customer = leaf.subjects.get("customer")
        if customer is None:
            return
        announced = self._announcements.setdefault(identifier, _Announcement())
        announced.ticket = announced.ticket or _text(leaf, "ticket")
        case = self._cases.setdefault((identifier, self._interned(customer)), _Case())
        case.indices.append(index)
        if leaf.type == "announcement.decided":
            case.decisions.append(self._kept_decision(index, leaf, announced))
        if leaf.type.startswith("consent."):
            case.answer = leaf.type.removeprefix("consent."), _number(leaf, "facts_version")
        if (name := leaf.subjects.get("notice")) is not None:
            self._take_notice(index, leaf, case.notices.setdefault(self._interned(name), _Notice()))

    def _take_version(self, index: int, leaf: Leaf, announced: _Announcement) -> None:
        if leaf.type == "announcement.declared":
            announced.declared = announced.declared or (leaf.at, index)
        announced.ticket = _text(leaf, "ticket") or announced.ticket
        announced.outcome = _OUTCOMES[leaf.type], index
        announced.kind = _text(leaf, "kind") or announced.kind
        announced.occurs_at = moment_in(leaf, "occurs_at") or announced.occurs_at
        # The other entries count the customers that were decided then, without those erased since.
        if leaf.type in _VERSIONS:
            announced.version = _number(leaf, "version") or announced.version
            if (customers := _number(leaf, "customers")) is not None:
                announced.stated = customers, index

    def _kept_decision(self, index: int, leaf: Leaf, announced: _Announcement) -> _Decision:
        version = _number(leaf, "version") or 1
        announced.version = max(announced.version, version)
        concern = self._interned(_text(leaf, "concern") or "")
        is_cancelled = (
            announced.outcome is not None and announced.outcome[0] == "cancelled" and announced.version == version
        )
        is_withdrawn = concern in _OWING and leaf.detail.get("draft") == "withdrawn"
        ways = leaf.detail.get("channels")
        kind, agreement, clause, due_clause = (
            None if (text := _text(leaf, name)) is None else self._interned(text)
            for name in ("kind", "agreement", "clause", "due_clause")
        )
        return _Decision(
            index=index,
            at=leaf.at,
            actor=self._interned(leaf.actor),
            version=version,
            concern=concern,
            cancelled=leaf.detail.get("cancelled") is True or is_cancelled or is_withdrawn,
            kind=kind or announced.kind,
            agreement=agreement,
            clause=clause,
            due_at=moment_in(leaf, "due_at"),
            binding=binding_in(leaf, DueKind.ANNOUNCED.value),
            due_clause=due_clause,
            ways=tuple(self._interned(str(way)) for way in ways) if isinstance(ways, list) else (),
            consent=_text(leaf, "consent"),
        )

    def _take_notice(self, index: int, leaf: Leaf, notice: _Notice) -> None:
        now = (leaf.at, index)
        self._releases.take(index, leaf)
        match leaf.type:
            case "notice.released":
                notice.released = now
                notice.kind, notice.version = _text(leaf, "kind"), _number(leaf, "facts_version")
            case "notice.sealed":
                notice.sealed = now
                notice.kind, notice.version = _text(leaf, "kind"), _number(leaf, "facts_version")
                notice.timestamped = now if leaf.detail.get("timestamped") is True else None
            case "notice.timestamped":
                notice.timestamped = notice.timestamped or now
            case "notice.acknowledged":
                notice.acknowledged = notice.acknowledged or now
            case "delivery.queued" | "delivery.attempted" | "delivery.returned":
                _take_delivery(now, leaf, notice)
            case kind if kind.startswith("letter."):
                notice.letter = _letter_after(index, leaf, notice.letter or ReportedLetter(opened_index=index))

    def findings(self, as_of: datetime, *, whole: bool) -> AnnouncementReport:
        """Return the report at a time. ``whole`` states that every leaf of the log was taken."""
        passed_over = {
            (announcement, customer)
            for announcement, found in self._announcements.items()
            for customer, since in (self._registered.items() if whole else ())
            if found.declared is not None
            and since < found.declared[1]
            and not self._erased_before(customer, found.declared[1])
        }
        # A customer without a decision that came later has only entries such as that of its bundle.
        keys = {key for key, case in self._cases.items() if case.decisions or not whole} | passed_over
        overridden = self._releases.overridden
        lines = tuple(
            self._line(key, self._cases.get(key) or _Case(), as_of, overridden=key in overridden, whole=whole)
            for key in sorted(keys)
        )
        return AnnouncementReport(as_of, lines, self._overrides(), self._counts())

    def _overrides(self) -> tuple[Override, ...]:
        """Return the releases by one person and the reversed decisions, in the order of the log."""
        found = self._releases.found
        for (announcement, customer), case in self._cases.items():
            notified, _ = _first_notified(case)
            for before, later in pairwise(case.decisions):
                if before.owes and not later.owes and (notified is None or later.index < notified[1]):
                    found.append(
                        Override(
                            OverrideKind.TAKEN_BACK, announcement, customer, "", later.at, later.actor, None,
                            index=later.index, other_index=before.index,
                        )
                    )  # fmt: skip
        return tuple(sorted(found, key=lambda item: item.index))

    def _counts(self) -> tuple[AnnouncementCount, ...]:
        """Return each announcement with the number of customers that have a decision."""
        decided = dict.fromkeys(self._announcements, 0)
        for (announcement, customer), case in self._cases.items():
            stated = self._announcements[announcement].stated
            is_gone = stated is not None and self._erased_before(customer, stated[1])
            decided[announcement] += bool(case.decisions) and not is_gone
        return tuple(
            AnnouncementCount(
                incident=announcement,
                ticket=found.ticket,
                declared_index=None if found.declared is None else found.declared[1],
                declared_at=None if found.declared is None else found.declared[0],
                stated=None if found.stated is None else found.stated[0],
                decided=decided[announcement],
                kind=found.kind,
                occurs_at=found.occurs_at,
                versions=found.version,
                outcome=None if found.outcome is None else found.outcome[0],
                outcome_index=None if found.outcome is None else found.outcome[1],
            )
            for announcement, found in sorted(self._announcements.items())
        )

    def _erased_before(self, customer: str, index: int) -> bool:
        return customer in self._erased and self._erased[customer][0] < index

    def _line(
        self, key: tuple[str, str], case: _Case, as_of: datetime, *, overridden: bool, whole: bool
    ) -> AnnouncementLine:
        announcement, customer = key
        last = case.decisions[-1] if case.decisions else None
        notified, told_by = _first_notified(case)
        counting = _counting(case.decisions, told_by, as_of if notified is None else notified[0])
        released = min((each.released for each in case.notices.values() if each.released), default=None)
        due = None if counting is None else counting.due_at
        notified_at, released_at = notified and notified[0], released and released[0]
        verdict = "" if counting is None else counting.verdict
        is_hard = counting is not None and counting.binding is DeadlineBinding.HARD
        status = status_of(verdict, due, notified_at, as_of, is_hard=is_hard)
        if status is ReportStatus.UNDECIDED and not whole:
            status = ReportStatus.UNSTATED
        if status is ReportStatus.NOT_OWED:
            due = None
        found = self._announcements.get(announcement, _Announcement())
        erased = self._erased.get(customer)
        return AnnouncementLine(
            incident=announcement,
            ticket=found.ticket,
            customer=customer,
            status=status,
            cause=cause_of(status, due, released_at),
            verdict="" if last is None else last.verdict,
            reasons=() if last is None else (last.concern, *(("cancelled",) if last.cancelled else ())),
            duties=() if last is None or last.clause is None else (f"{last.kind or ''}:{last.clause}",),
            due_at=due,
            due_kind=None if due is None else DueKind.ANNOUNCED.value,
            binding=None if due is None or counting is None else counting.binding,
            target_at=None,
            released_at=released_at,
            notified_at=notified_at,
            delay=notified_at - due if notified_at is not None and due is not None and notified_at > due else None,
            channels=_channels(case),
            overridden=overridden,
            erased_at=None if erased is None else erased[1],
            decided_index=None if counting is None else counting.index,
            released_index=None if released is None else released[1],
            notified_index=None if notified is None else notified[1],
            notice=next(
                (name for name, each in case.notices.items() if each is told_by), next(iter(case.notices), None)
            ),
            indices=tuple(case.indices),
            kind=found.kind if last is None else last.kind,
            agreement=None if last is None else last.agreement,
            clause=None if last is None else last.clause,
            due_clause=None if counting is None else counting.due_clause,
            ways=() if counting is None else counting.ways,
            consent=_consent(last, case.answer),
            version=None if last is None else last.version,
            notified_version=max(
                (each.version or 0 for each in case.notices.values() if _notified(case, each)), default=None
            ),
            notices=tuple(_reported(name, each, _notified(case, each)) for name, each in case.notices.items()),
        )


def _take_delivery(now: _Moment, leaf: Leaf, notice: _Notice) -> None:
    name = leaf.subjects.get("delivery", "")
    channel = _text(leaf, "channel") or ""
    delivery = notice.deliveries.setdefault(name, _Delivery(channel, leaf.subjects.get("contact")))
    if leaf.type == "delivery.attempted" and leaf.detail.get("event") in ACCEPTED:
        delivery.accepted = delivery.accepted or now
    elif leaf.type == "delivery.returned" and leaf.detail.get("event") == FAILED:
        delivery.accepted = None


def _letter_after(index: int, leaf: Leaf, letter: ReportedLetter) -> ReportedLetter:
    """Return what is known of a letter after an entry about it."""
    match leaf.type:
        case "letter.posted":
            return replace(letter, posted_on=_day(leaf, "posted_on"), posted_index=index)
        case "letter.slip_attached":
            return replace(letter, slip_index=index)
        case "letter.outcome_recorded":
            outcome, outcome_on, served_on = _text(leaf, "outcome"), _day(leaf, "outcome_on"), _day(leaf, "served_on")
            return replace(letter, outcome=outcome, outcome_on=outcome_on, served_on=served_on, outcome_index=index)
        case _:
            return letter


def _served(letter: ReportedLetter) -> _Moment | None:
    """Return from when a letter counts as served, and the entry; the beginning of the day (UTC)."""
    if letter.served_on is None or letter.outcome_index is None:
        return None
    return datetime.combine(letter.served_on, time(), UTC), letter.outcome_index


def _decision_of(case: _Case, notice: _Notice) -> _Decision | None:
    """Return the decision on which a notice rests: that of its version."""
    version = notice.version
    return next((each for each in reversed(case.decisions) if version is None or each.version <= version), None)


def _notified(case: _Case, notice: _Notice) -> _Moment | None:
    decision = _decision_of(case, notice)
    return notice.notified(() if decision is None else decision.ways)


def _first_notified(case: _Case) -> tuple[_Moment | None, _Notice | None]:
    """Return when the customer was notified first, and by which notice."""
    found = [(moment, number) for number, each in enumerate(case.notices.values()) if (moment := _notified(case, each))]
    if not found:
        return None, None
    moment, number = min(found)
    return moment, list(case.notices.values())[number]


def _counting(decisions: Sequence[_Decision], told_by: _Notice | None, at: datetime) -> _Decision | None:
    """Return the decision that counts: the first whose limit was over when it was replaced, else the last.

    ``told_by``: the notice by which the customer was notified; later versions do not count then. ``at``: when it was
    notified, else the time of the report.
    """
    version = None if told_by is None else told_by.version
    counted = [each for each in decisions if version is None or each.version <= version]
    for each, later in pairwise(counted):
        if _is_over(each, min(at, later.at)):
            return each
    return counted[-1] if counted else None


def _is_over(decision: _Decision, at: datetime) -> bool:
    """Return whether a limit of the agreement was over at a time."""
    return decision.binding is DeadlineBinding.HARD and decision.due_at is not None and decision.due_at < at


def _consent(last: _Decision | None, answer: tuple[str, int | None] | None) -> str | None:
    if answer is not None and (last is None or answer[1] == last.version):
        return answer[0]
    return None if last is None else last.consent


def _channels(case: _Case) -> tuple[tuple[str, datetime], ...]:
    found: dict[str, datetime] = {}
    for notice in case.notices.values():
        for each in notice.deliveries.values():
            if each.accepted is not None:
                found[each.channel] = min(each.accepted[0], found.get(each.channel, each.accepted[0]))
        if notice.letter is not None and (served := _served(notice.letter)) is not None:
            found[_LETTER] = min(served[0], found.get(_LETTER, served[0]))
    return tuple(sorted(found.items()))


def _reported(name: str, notice: _Notice, notified: _Moment | None) -> ReportedNotice:
    released_at, released_index = notice.released or (None, None)
    sealed_at, sealed_index = notice.sealed or (None, None)
    timestamped_at, timestamped_index = notice.timestamped or (None, None)
    notified_at, notified_index = notified or (None, None)
    acknowledged_at, acknowledged_index = notice.acknowledged or (None, None)
    return ReportedNotice(
        notice=name,
        kind=notice.kind,
        version=notice.version,
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
            for delivery, each in notice.deliveries.items()
        ),
        letter=notice.letter,
    )


def _text(leaf: Leaf, name: str) -> str | None:
    value = leaf.detail.get(name)
    return value if isinstance(value, str) else None


def _number(leaf: Leaf, name: str) -> int | None:
    value = leaf.detail.get(name)
    return value if isinstance(value, int) else None


def _day(leaf: Leaf, name: str) -> date | None:
    value = _text(leaf, name)
    return None if value is None else date.fromisoformat(value)
