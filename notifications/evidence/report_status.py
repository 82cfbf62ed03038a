"""The status of a customer by its deadline, and what the leaves of incidents and of announcements state alike."""

from datetime import datetime

from notifications.agreement import DeadlineBinding
from notifications.audit.entry import Leaf
from notifications.canonical_json import parse_timestamp
from notifications.decision import binding_of
from notifications.evidence.notification_report import LateCause, ReportStatus

#: events of an attempt that placed a notice in the console, or that a relay or a webhook accepted
ACCEPTED = frozenset({"ContentConsignment", "RelayToNonERDS"})
#: event of a mail that bounced
FAILED = "RelayToNonERDSFailure"
#: channels that notify nobody: the agreement does not name them
NO_NOTIFICATION = frozenset({"webhook"})


def status_of(
    verdict: str, due_at: datetime | None, notified_at: datetime | None, as_of: datetime, *, is_hard: bool
) -> ReportStatus:
    """Return the status of a customer. ``verdict``: of the decision that counts; empty if there is none."""
    if notified_at is not None:
        if due_at is None or notified_at <= due_at:
            return ReportStatus.NOTIFIED
        return ReportStatus.LATE if is_hard else ReportStatus.AFTER_AIM
    match verdict:
        case "":
            return ReportStatus.UNDECIDED
        case "pending":
            return ReportStatus.PENDING
        case "do_not_notify":
            return ReportStatus.NOT_OWED
        case _:
            return ReportStatus.AWAITED if due_at is not None and as_of <= due_at else ReportStatus.MISSING


def cause_of(status: ReportStatus, due_at: datetime | None, released_at: datetime | None) -> LateCause | None:
    """Return where the time was lost, or None for a status that needs no cause."""
    match status:
        case ReportStatus.MISSING:
            return LateCause.NOT_RELEASED if released_at is None else LateCause.NOT_DELIVERED
        case ReportStatus.LATE | ReportStatus.AFTER_AIM:
            was_released_after = released_at is None or due_at is None or released_at > due_at
            if status is ReportStatus.LATE:
                return LateCause.RELEASED_LATE if was_released_after else LateCause.DELIVERED_LATE
            return LateCause.RELEASED_AFTER if was_released_after else LateCause.DELIVERED_AFTER
        case _:
            return None


def number_of_attempt(leaf: Leaf) -> int:
    """Return which attempt of its delivery an entry of an attempt or of a bounce is about, from 1; 0 if none is."""
    value = leaf.detail.get("number" if leaf.type == "delivery.attempted" else "attempt")
    return value if isinstance(value, int) else 0


def outlives(number: int, bounce: Leaf) -> bool:
    """Return whether an accepted attempt still counts after a bounce of its delivery.

    It does if the bounce is of an earlier attempt. The delivery then stays sent; otherwise no attempt was accepted that
    the bounce leaves.
    """
    return bounce.detail.get("state") == "sent" and number > number_of_attempt(bounce)


def moment_in(leaf: Leaf, name: str) -> datetime | None:
    """Return the moment that a leaf states under a name, or None."""
    value = leaf.detail.get(name)
    return parse_timestamp(value) if isinstance(value, str) else None


def binding_in(leaf: Leaf, due_kind: str) -> DeadlineBinding:
    """Return how strictly the deadline of a decision binds; for an unknown word of a later release, hard."""
    stated = leaf.detail.get("binding")
    try:
        return binding_of(due_kind, stated if isinstance(stated, str) else None)
    except ValueError:
        return DeadlineBinding.HARD
