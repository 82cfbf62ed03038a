"""Find the status of each customer in each announcement, from the leaves of the log, one leaf at a time.

``announcement_case`` has the rules: when a customer counts as notified, and which decision counts. An announcement that
was cancelled or that no longer concerns the customer owes nothing, unless a limit of the agreement was missed before.
As for incidents, the status is that of the first notice. ``lacks_last_version`` says that a change or a cancellation
has not reached the customer.

Entries of earlier releases do not state ``kind``, ``channels`` and ``cancelled`` in a decision. The kind is then that
of the declaration, the cancellation is known from its entry or the withdrawn draft, and the ways from letter and mails.

Not verified here: as in ``notification_report_builder``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from notifications.agreement import DeadlineBinding
from notifications.audit.entry import Leaf
from notifications.decision import DueKind
from notifications.evidence.announcement_case import (
    OWING,
    AnnouncementCase,
    AnnouncementDecision,
    AnnouncementNotice,
    Moment,
    number_in,
    text_in,
)
from notifications.evidence.notification_report import (
    AnnouncementCount,
    AnnouncementLine,
    AnnouncementReport,
    Override,
    OverrideKind,
    ReportStatus,
)
from notifications.evidence.release_reader import ReleaseReader
from notifications.evidence.report_status import binding_in, cause_of, moment_in, status_of

_VERSIONS = frozenset({"announcement.declared", "announcement.changed", "announcement.cancelled"})
#: what became of an announcement, by the last of these entries
_OUTCOMES = {
    "announcement.declared": "open",
    "announcement.changed": "open",
    "announcement.cancelled": "cancelled",
    "announcement.carried_out": "carried_out",
    "announcement.elapsed": "elapsed",
}


@dataclass(slots=True)
class _Announcement:
    ticket: str | None = None
    declared: Moment | None = None
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
        self._cases: dict[tuple[str, str], AnnouncementCase] = {}
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
        announced.ticket = announced.ticket or text_in(leaf, "ticket")
        case = self._cases.setdefault((identifier, self._interned(customer)), AnnouncementCase())
        case.indices.append(index)
        if leaf.type == "announcement.decided":
            case.decisions.append(self._kept_decision(index, leaf, announced))
        if leaf.type.startswith("consent."):
            case.answer = leaf.type.removeprefix("consent."), number_in(leaf, "facts_version")
        if (name := leaf.subjects.get("notice")) is not None:
            self._releases.take(index, leaf)
            case.notices.setdefault(self._interned(name), AnnouncementNotice()).take(index, leaf)

    def _take_version(self, index: int, leaf: Leaf, announced: _Announcement) -> None:
        if leaf.type == "announcement.declared":
            announced.declared = announced.declared or (leaf.at, index)
        announced.ticket = text_in(leaf, "ticket") or announced.ticket
        announced.outcome = _OUTCOMES[leaf.type], index
        announced.kind = text_in(leaf, "kind") or announced.kind
        announced.occurs_at = moment_in(leaf, "occurs_at") or announced.occurs_at
        # The other entries count the customers that were decided then, without those erased since.
        if leaf.type in _VERSIONS:
            announced.version = number_in(leaf, "version") or announced.version
            if (customers := number_in(leaf, "customers")) is not None:
                announced.stated = customers, index

    def _kept_decision(self, index: int, leaf: Leaf, announced: _Announcement) -> AnnouncementDecision:
        version = number_in(leaf, "version") or 1
        announced.version = max(announced.version, version)
        concern = self._interned(text_in(leaf, "concern") or "")
        is_cancelled = (
            announced.outcome is not None and announced.outcome[0] == "cancelled" and announced.version == version
        )
        is_withdrawn = concern in OWING and leaf.detail.get("draft") == "withdrawn"
        ways = leaf.detail.get("channels")
        kind, agreement, clause, due_clause = (
            None if (text := text_in(leaf, name)) is None else self._interned(text)
            for name in ("kind", "agreement", "clause", "due_clause")
        )
        return AnnouncementDecision(
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
            consent=text_in(leaf, "consent"),
        )

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
            self._line(
                key, self._cases.get(key) or AnnouncementCase(), as_of, overridden=key in overridden, whole=whole
            )
            for key in sorted(keys)
        )
        return AnnouncementReport(as_of, lines, self._overrides(), self._counts())

    def _overrides(self) -> tuple[Override, ...]:
        """Return the releases by one person and the reversed decisions, in the order of the log."""
        found = self._releases.found
        for (announcement, customer), case in self._cases.items():
            notified, _ = case.first_notified()
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
        self, key: tuple[str, str], case: AnnouncementCase, as_of: datetime, *, overridden: bool, whole: bool
    ) -> AnnouncementLine:
        announcement, customer = key
        last = case.decisions[-1] if case.decisions else None
        notified, told_by = case.first_notified()
        counting = case.counting(told_by, as_of if notified is None else notified[0])
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
            channels=case.channels(),
            overridden=overridden,
            erased_at=None if erased is None else erased[1],
            decided_index=None if counting is None else counting.index,
            released_index=None if released is None else released[1],
            notified_index=None if notified is None else notified[1],
            notice=told_by or next(iter(case.notices), None),
            indices=tuple(case.indices),
            kind=found.kind if last is None else last.kind,
            agreement=None if last is None else last.agreement,
            clause=None if last is None else last.clause,
            due_clause=None if counting is None else counting.due_clause,
            ways=() if counting is None else counting.ways,
            consent=case.consent(),
            version=None if last is None else last.version,
            notified_version=max(
                (each.version or 0 for each in case.notices.values() if case.notified(each)), default=None
            ),
            notices=tuple(each.reported(name, case.notified(each)) for name, each in case.notices.items()),
        )
