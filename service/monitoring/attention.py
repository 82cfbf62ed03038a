"""What waits for a person: open questions with their clocks, drafts, held notices, deliveries in trouble."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from notifications.wording.exercise import exercise_mark
from service.monitoring import attention_incidents, attention_service
from service.monitoring.attention_item import AttentionItem
from service.ports.store import AccessTransaction


@dataclass(frozen=True, slots=True)
class AttentionList:
    """What waits, nearest deadline first."""

    items: Sequence[AttentionItem]
    #: whether everything was looked at; False where a list was longer than the limit
    complete: bool


def attention_list(tx: AccessTransaction, now: datetime, limit: int, *, reads_incidents: bool) -> AttentionList:
    """Return what waits, nearest deadline first; without the right to read incidents, nothing about incidents."""
    tickets = attention_incidents.Tickets(tx)
    unreachable, open_alerts = attention_service.unreachable_customers(tx, limit), tx.alerts.unseen(limit)
    items = [
        *unreachable,
        *attention_service.failed_mails(open_alerts),
        *attention_service.expiring_certificates(tx, open_alerts, now),
    ]
    items += (
        *attention_service.failed_checks(tx, open_alerts),
        *attention_service.paused_channels(tx, now),
        *attention_service.operating_findings(open_alerts),
    )
    complete = max(len(unreachable), len(open_alerts)) < limit
    if reads_incidents:
        pending, all_pending = attention_incidents.pending_decisions(tx, now, limit)
        waiting, all_waiting = attention_incidents.waiting_notices(tx, tickets, now, limit)
        troubled = attention_incidents.troubled_deliveries(tx, tickets, now, limit)
        undated = attention_incidents.undated_notices(tx, tickets, limit)
        calls, all_calls = attention_incidents.due_calls(tx, tickets, now, limit)
        questions = attention_incidents.unanswered_questions(tx, tickets, limit)
        letters = attention_incidents.due_letters(tx, tickets, now, limit)
        items += (
            *pending,
            *waiting,
            *undated,
            *troubled,
            *calls,
            *attention_incidents.unseen_alerts(tx, open_alerts, tickets, now),
            *questions,
            *letters,
        )
        longest = max(len(troubled), len(undated), len(questions), len(letters))
        complete = complete and all_pending and all_waiting and all_calls and longest < limit
    items = [_marked(item) if tickets.is_exercise(item.incident_id) else item for item in items]
    # What nothing is owed by yet comes last.
    items.sort(key=lambda item: (item.due_at is None, item.due_at or now))
    return AttentionList(items=items, complete=complete)


def _marked(item: AttentionItem) -> AttentionItem:
    """Return what waits in an exercise: it says so, and no deadline was missed."""
    mark = exercise_mark("en")
    what = item.what if item.what.startswith(mark) else f"{mark}: {item.what}"
    return replace(item, what=what, overdue=False)
