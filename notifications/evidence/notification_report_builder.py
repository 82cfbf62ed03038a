"""Find the status of each customer in each incident, from the leaves of the log, one leaf at a time.

Leaves of announcements go to ``announcement_report_builder``.

A customer is *notified* if a notice was placed in its console, or if a mail relay accepted it and it did not bounce.
These are the channels of the agreement. A webhook that accepted the notice is stated, but does not count as
a notification; neither does a call. ``reasons`` of a decision are what applied. ``duties`` are the reasons that oblige
and applied, each with its clause; old entries do not have them. ``clauses`` lists all clauses that could oblige, and is
not used here. How a status follows from all this: ``incident_case``.

Not verified here: that these are all leaves (``completeness``), that they are in a log (``bundle``), and whether the
records are true.
"""

from datetime import datetime
from itertools import pairwise

from notifications.audit.entry import Leaf
from notifications.evidence.announcement_report_builder import AnnouncementReportBuilder
from notifications.evidence.incident_case import Accepted, IncidentCase, KeptDecision, judged_case
from notifications.evidence.notification_report import (
    IncidentCount,
    NotificationReport,
    Override,
    OverrideKind,
    ReportLine,
    ReportStatus,
)
from notifications.evidence.release_reader import ReleaseReader
from notifications.evidence.report_status import (
    ACCEPTED,
    FAILED,
    NO_NOTIFICATION,
    binding_in,
    cause_of,
    moment_in,
    number_of_attempt,
    outlives,
)

_FACTS = frozenset({"incident.declared", "incident.facts_changed", "incident.closed", "incident.reopened"})


class ReportBuilder:
    """Takes the leaves in the order of the log. Its memory grows with incidents times customers.

    ``by_first_notice`` judges as the first release did, so that its reports are computed again as they were issued: a
    duty that is found later counts as met by the first notice, and a bounce takes back every sending of its mail.
    """

    def __init__(self, *, by_first_notice: bool = False) -> None:
        self._by_first_notice = by_first_notice
        self._cases: dict[tuple[str, str], IncidentCase] = {}
        #: by incident: entry and time of its declaration; its ticket; the last stated number of customers and its
        #: entry; the last stated moment of awareness
        self._declared: dict[str, tuple[int, datetime]] = {}
        self._tickets: dict[str, str] = {}
        self._stated: dict[str, tuple[int, int]] = {}
        self._aware: dict[str, datetime] = {}
        self._registered: dict[str, int] = {}
        self._erased: dict[str, tuple[int, datetime]] = {}
        #: incidents and announcements that are exercises
        self._exercises: set[str] = set()
        #: texts that are in many leaves, each kept once to save memory
        self._names: dict[str, str] = {}
        self._known_codes: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._releases = ReleaseReader("incident", self._interned)
        self._announcements = AnnouncementReportBuilder(self._registered, self._erased, self._interned)

    def take(self, index: int, leaf: Leaf) -> None:
        """Take the next leaf."""
        incident, customer, notice = (
            None if (name := leaf.subjects.get(kind)) is None else self._interned(name)
            for kind in ("incident", "customer", "notice")
        )
        announcement = leaf.subjects.get("announcement")
        # What was declared as no exercise stays none, whatever a later entry says.
        declared = incident in self._declared or self._announcements.is_declared(announcement)
        if (subject := incident or announcement) and leaf.detail.get("exercise") is True and not declared:
            self._exercises.add(subject)
        if subject in self._exercises:
            return
        if incident is not None and leaf.type in _FACTS:
            self._take_facts(index, leaf, incident)
        if customer is not None and leaf.type == "customer.registered":
            self._registered.setdefault(customer, index)
        if customer is not None and leaf.type == "customer.erased":
            self._erased.setdefault(customer, (index, leaf.at))
        if announcement is not None:
            self._announcements.take(index, leaf)
        if incident is None or customer is None:
            return
        # Who asked for evidence about a customer says nothing of whether a decision was owed.
        if leaf.type == "bundle.made" and (incident, customer) not in self._cases:
            return
        case = self._cases.setdefault((incident, customer), IncidentCase())
        case.indices.append(index)
        case.drafted = case.drafted or notice
        if isinstance(ticket := leaf.detail.get("ticket"), str):
            self._tickets[incident] = ticket
        match leaf.type:
            case "decision.recorded":
                case.decisions.append(self._kept_decision(index, leaf))
            case "delivery.attempted" if leaf.detail.get("event") in ACCEPTED:
                channel = self._interned(str(leaf.detail.get("channel") or ""))
                accepted = Accepted(channel, leaf.at, index, notice or "")
                case.accepted.setdefault((leaf.subjects.get("delivery", ""), number_of_attempt(leaf)), accepted)
            case "delivery.returned" if leaf.detail.get("event") == FAILED:
                bounced = leaf.subjects.get("delivery", "")
                for delivery, number in list(case.accepted):
                    if delivery == bounced and (self._by_first_notice or not outlives(number, leaf)):
                        del case.accepted[delivery, number]
            case "notice.released" | "notice.released_by_override" | "override.reviewed":
                self._take_release(index, leaf, case)

    def _interned(self, name: str) -> str:
        """Return the one kept copy of a text, because the same text is in many leaves."""
        return self._names.setdefault(name, name)

    def _take_facts(self, index: int, leaf: Leaf, incident: str) -> None:
        if leaf.type == "incident.declared":
            self._declared.setdefault(incident, (index, leaf.at))
        if isinstance(ticket := leaf.detail.get("ticket"), str):
            self._tickets[incident] = ticket
        if isinstance(customers := leaf.detail.get("customers"), int):
            self._stated[incident] = (customers, index)
        if (aware_at := moment_in(leaf, "aware_at")) is not None:
            self._aware[incident] = aware_at

    def _kept_decision(self, index: int, leaf: Leaf) -> KeptDecision:
        reasons, duties = _codes(leaf, "reasons"), _codes(leaf, "duties")
        due_kind = self._interned(str(leaf.detail.get("due_kind")))
        return KeptDecision(
            index=index,
            at=leaf.at,
            actor=self._interned(leaf.actor),
            version=_version(leaf),
            verdict=self._interned(str(leaf.detail.get("verdict"))),
            due_at=moment_in(leaf, "due_at"),
            due_kind=due_kind,
            binding=binding_in(leaf, due_kind),
            target_at=moment_in(leaf, "target_at"),
            reasons=self._known_codes.setdefault(reasons, reasons),
            duties=self._known_codes.setdefault(duties, duties),
        )

    def _take_release(self, index: int, leaf: Leaf, case: IncidentCase) -> None:
        if leaf.type == "notice.released":
            notice = self._interned(leaf.subjects.get("notice", ""))
            case.released.append((leaf.at, index, notice, _version(leaf)))
        self._releases.take(index, leaf)

    def findings(self, as_of: datetime, *, whole: bool) -> NotificationReport:
        """Return the report at a time. ``whole`` states that every leaf of the log was taken."""
        return NotificationReport(
            as_of, self._lines(as_of, whole=whole), self._overrides(), self._incidents(), len(self._exercises),
            self._announcements.findings(as_of, whole=whole),
        )  # fmt: skip

    def _lines(self, as_of: datetime, *, whole: bool) -> tuple[ReportLine, ...]:
        """Return a line for each customer that has, or must have, a decision; sorted by incident and customer."""
        for incident, (at, _) in self._declared.items() if whole else ():
            for customer, since in self._registered.items():
                if since < at and not self._erased_before(customer, at):
                    self._cases.setdefault((incident, customer), IncidentCase())
        overridden = self._releases.overridden
        return tuple(
            self._line(key, case, as_of, overridden=key in overridden, whole=whole)
            for key, case in sorted(self._cases.items(), key=lambda item: item[0])
        )

    def _overrides(self) -> tuple[Override, ...]:
        """Return the releases by one person and the reversed decisions, in the order of the log."""
        found = self._releases.found
        for (incident, customer), case in self._cases.items():
            notified = min(
                (item.index for item in case.accepted.values() if item.channel not in NO_NOTIFICATION), default=None
            )
            for before, later in pairwise(case.decisions):
                was_reversed = before.verdict == "notify" != later.verdict
                if was_reversed and (notified is None or later.index < notified):
                    found.append(
                        Override(
                            OverrideKind.TAKEN_BACK, incident, customer, "", later.at, later.actor, None,
                            index=later.index, other_index=before.index,
                        )
                    )  # fmt: skip
        return tuple(sorted(found, key=lambda item: item.index))

    def _incidents(self) -> tuple[IncidentCount, ...]:
        """Return each incident with the number of customers that have a decision."""
        decided = dict.fromkeys((*self._declared, *self._stated), 0)
        for (incident, customer), case in self._cases.items():
            _, at = self._stated.get(incident, (None, -1))
            counts = bool(case.decisions) and not self._erased_before(customer, at)
            decided[incident] = decided.get(incident, 0) + counts
        return tuple(self._count(incident, decided[incident]) for incident in sorted(decided))

    def _count(self, incident: str, decided: int) -> IncidentCount:
        index, at = self._declared.get(incident, (None, None))
        stated, _ = self._stated.get(incident, (None, None))
        aware_at = self._aware.get(incident)
        return IncidentCount(incident, self._tickets.get(incident), index, at, stated, decided, aware_at)

    def _erased_before(self, customer: str, index: int) -> bool:
        return customer in self._erased and self._erased[customer][0] < index

    def _line(
        self, key: tuple[str, str], case: IncidentCase, as_of: datetime, *, overridden: bool, whole: bool
    ) -> ReportLine:
        incident, customer = key
        last = case.decisions[-1] if case.decisions else None
        owed = [item for item in case.decisions if item.verdict == "notify"]
        judged = judged_case(case, as_of, by_first_notice=self._by_first_notice)
        status, stating, released, notified = judged.status, judged.stating, judged.released, judged.notified
        due = None if stating is None else stating.due_at
        channels: dict[str, datetime] = {}
        for each in case.accepted.values():
            channels[each.channel] = min(each.at, channels.get(each.channel, each.at))
        notified_at = None if notified is None else notified.at
        released_at = None if released is None else released[0]
        if status is ReportStatus.UNDECIDED and not whole:
            status = ReportStatus.UNSTATED
        erased, decided = self._erased.get(customer), stating or last
        return ReportLine(
            incident=incident,
            ticket=self._tickets.get(incident),
            customer=customer,
            status=status,
            cause=cause_of(status, due, released_at),
            verdict="" if last is None else last.verdict,
            reasons=() if last is None else last.reasons,
            duties=() if last is None else last.duties,
            due_at=due,
            due_kind=None if stating is None else stating.due_kind,
            binding=None if stating is None else stating.binding,
            target_at=min((item.target_at for item in owed if item.target_at), default=None),
            released_at=released_at,
            notified_at=notified_at,
            delay=notified_at - due if notified_at is not None and due is not None and notified_at > due else None,
            channels=tuple(sorted(channels.items())),
            overridden=overridden,
            erased_at=None if erased is None else erased[1],
            decided_index=None if decided is None else decided.index,
            released_index=None if released is None else released[1],
            notified_index=None if notified is None else notified.index,
            notice=case.drafted if released is None else released[2] or None,
            indices=tuple(case.indices),
        )


def _version(leaf: Leaf) -> int:
    """Return the version of the facts that a decision or a released notice states; 0 if it states none."""
    value = leaf.detail.get("facts_version")
    return value if isinstance(value, int) else 0


def _codes(leaf: Leaf, name: str) -> tuple[str, ...]:
    value = leaf.detail.get(name)
    return tuple(value) if isinstance(value, list) else ()
