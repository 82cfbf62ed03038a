"""Figures of the service, counted in one snapshot. Every statement reads an index of open records, or only few rows.

Finished work is not counted here, because it grows for ever; it is counted when it happens.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from notifications.audit.entry import parse_leaf
from notifications.delivery.delivery import ChannelKind, Outcome, OutcomeKind
from service.ports.figures import LogFigures, QueueFigures, StoreFigures
from service.store.sql.encoding import JsonCodec, from_optional_microseconds, to_microseconds
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text

_OUTCOME: JsonCodec[Outcome] = JsonCodec(Outcome)

_QUEUED = compiled_text(
    "SELECT channel,"
    " sum(CASE WHEN next_attempt_at <= :due AND (leased_until IS NULL OR leased_until <= :free) THEN 1 ELSE 0 END),"
    " sum(CASE WHEN next_attempt_at > :later AND (leased_until IS NULL OR leased_until <= :gone) THEN 1 ELSE 0 END),"
    " sum(CASE WHEN leased_until > :held THEN 1 ELSE 0 END),"
    " sum(CASE WHEN leased_until <= :over THEN 1 ELSE 0 END),"
    " min(CASE WHEN next_attempt_at <= :ripe THEN next_attempt_at END), min(due_at)"
    " FROM deliveries WHERE state = 'queued' GROUP BY channel ORDER BY channel",
    "due", "free", "later", "gone", "held", "over", "ripe",
)  # fmt: skip
_FAILED = compiled_text(
    "SELECT channel, count(*) FROM deliveries WHERE last_error IS NOT NULL AND state = 'failed'"
    " GROUP BY channel ORDER BY channel"
)
_UNSEALED = compiled_text(
    "SELECT state, count(*), min(due_at) FROM notices WHERE state IN ('draft', 'released')"
    " AND NOT exercise GROUP BY state"
)
_HELD = compiled_text(
    "SELECT hold_reason, count(*) FROM notices WHERE state = 'released' AND hold_reason IS NOT NULL"
    " AND NOT exercise GROUP BY hold_reason ORDER BY hold_reason"
)
_OWED = compiled_text("SELECT kind, count(*) FROM owed_evidence GROUP BY kind")
_MAILS = compiled_text(
    "SELECT 'queued', count(*) FROM service_mails WHERE state = 'queued' UNION ALL"
    " SELECT 'failed', count(*) FROM service_mails"
    " WHERE (state = 'failed' OR (state = 'queued' AND last_error IS NOT NULL)) AND state = 'failed'"
)
_ALERTS = compiled_text("SELECT kind, count(*) FROM alerts WHERE seen_at IS NULL GROUP BY kind ORDER BY kind")
_WITHOUT_CONTACT = compiled_text(
    "SELECT count(*) FROM customers WHERE NOT EXISTS"
    " (SELECT 1 FROM contacts WHERE contacts.customer_id = customers.id AND contacts.active)"
)
_ENDPOINTS = compiled_text("SELECT state, count(*) FROM webhook_endpoints GROUP BY state ORDER BY state")
_EXERCISES = compiled_text("SELECT count(*) FROM incidents WHERE state = 'open' AND exercise")
_CALLS = compiled_text("SELECT count(*) FROM call_tasks WHERE state = 'open'")
_PAUSED = compiled_text("SELECT channel FROM channel_pauses WHERE until IS NULL OR until > :now", "now")
_SIZE = compiled_text("SELECT coalesce(max(size), 0) FROM log_checkpoints")
_LAST_SEQUENCED = compiled_text(
    "SELECT audit_entries.position, audit_entries.leaf FROM log_leaves"
    " JOIN audit_entries ON audit_entries.position = log_leaves.position"
    " WHERE log_leaves.leaf_index = (SELECT max(leaf_index) FROM log_leaves)"
)
_PENDING = compiled_text("SELECT count(*), min(position) FROM audit_entries WHERE position > :last", "last")
_RECENT = compiled_text(
    "SELECT deliveries.channel, recent.outcome FROM"
    " (SELECT delivery_id, outcome, ended_at FROM delivery_attempts ORDER BY position DESC LIMIT :limit) AS recent"
    " JOIN deliveries ON deliveries.id = recent.delivery_id WHERE recent.ended_at > :since",
    "limit", "since",
)  # fmt: skip
_LEAF = compiled_text("SELECT leaf FROM audit_entries WHERE position = :position", "position")


class FigureRecords(Records):
    """Implements ``service.ports.figures.FigureRepository``."""

    def collect(self, now: datetime) -> StoreFigures:
        """Return the figures as they are now."""
        at = to_microseconds(now)
        calls, customers = self._session.one(_CALLS), self._session.one(_WITHOUT_CONTACT)
        unsealed = self._session.all(_UNSEALED)
        deadlines = {row[0]: from_optional_microseconds(row[2]) for row in unsealed}
        return StoreFigures(
            queues=self._queues(at),
            log=self._log(),
            unsealed={row[0]: row[1] for row in unsealed},
            unsealed_deadlines={state: due for state, due in deadlines.items() if due is not None},
            held=self._counted(_HELD),
            owed=self._counted(_OWED),
            mails=self._counted(_MAILS),
            open_alerts=self._counted(_ALERTS),
            without_contact=0 if customers is None else customers[0],
            endpoints=self._counted(_ENDPOINTS),
            open_calls=0 if calls is None else calls[0],
            open_exercises=self._number(_EXERCISES),
            paused=frozenset(row[0] for row in self._session.all(_PAUSED, (at,))),
        )

    def recent_outcomes(self, since: datetime, limit: int) -> Mapping[tuple[ChannelKind, OutcomeKind], int]:
        """Count the last attempts by channel and outcome."""
        rows = self._session.all(_RECENT, (limit, to_microseconds(since)))
        return Counter((ChannelKind(channel), _OUTCOME.decode(outcome).kind) for channel, outcome in rows)

    def _log(self) -> LogFigures:
        size, last = self._session.one(_SIZE), self._session.one(_LAST_SEQUENCED)
        pending = self._session.one(_PENDING, (0 if last is None else last[0],))
        count, oldest = (0, None) if pending is None else pending
        waiting = None if oldest is None else self._session.one(_LEAF, (oldest,))
        return LogFigures(
            size=0 if size is None else size[0],
            pending=count,
            oldest_pending_at=None if waiting is None else parse_leaf(bytes(waiting[0])).at,
            newest_sequenced_at=None if last is None else parse_leaf(bytes(last[1])).at,
        )

    def _queues(self, at: int) -> tuple[QueueFigures, ...]:
        failed = self._counted(_FAILED)
        queued = {row[0]: row[1:] for row in self._session.all(_QUEUED, (at,) * 7)}
        return tuple(
            _queue(channel, queued.get(channel, (0, 0, 0, 0, None, None)), failed.get(channel, 0))
            for channel in sorted({*queued, *failed})
        )

    def _counted(self, statement: str) -> dict[str, int]:
        return {row[0]: row[1] for row in self._session.all(statement)}


def _queue(channel: str, queued: Sequence[int | None], failed: int) -> QueueFigures:
    due, waiting, leased, lease_expired, oldest, nearest = queued
    return QueueFigures(
        channel=channel,
        due=int(due or 0),
        waiting=int(waiting or 0),
        leased=int(leased or 0),
        lease_expired=int(lease_expired or 0),
        failed=failed,
        oldest_due_at=from_optional_microseconds(oldest),
        nearest_deadline=from_optional_microseconds(nearest),
    )
