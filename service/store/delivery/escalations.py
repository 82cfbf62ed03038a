"""Escalation: the clocks of notices, calls to make and calls made."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam

from notifications.delivery.call_task import CallRecord, CallTask
from notifications.delivery.escalation import Escalation
from notifications.errors import NotFoundError, VersionMismatchError, required
from notifications.ports import Page
from service.store.sql.encoding import from_optional_microseconds, to_microseconds
from service.store.sql.flat import FlatTable
from service.store.sql.paging import FIRST, paged, start_of
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text, limited
from service.store.tables import (
    CallRecordRow,
    CallTaskRow,
    EscalationRow,
    table,
)

_ESCALATIONS = FlatTable(Escalation, EscalationRow)
_TASKS, _CALLS = FlatTable(CallTask, CallTaskRow), FlatTable(CallRecord, CallRecordRow)
_escalations, _tasks = table(EscalationRow).c, table(CallTaskRow).c

_OF_NOTICE = _ESCALATIONS.by("notice_id")
_SAVE_ESCALATION = compiled_text(
    "UPDATE escalations SET due_at = :due_at, acknowledge_by = :acknowledge_by, next_look_at = :next_look_at,"
    " version = :version WHERE notice_id = :notice_id AND version = :expected",
    "due_at", "acknowledge_by", "next_look_at", "version", "notice_id", "expected",
)  # fmt: skip
_HASTEN = compiled_text(
    "UPDATE escalations SET next_look_at = CASE WHEN next_look_at < :at THEN next_look_at ELSE :at_latest END,"
    " version = version + 1 WHERE notice_id = :notice_id",
    "at", "at_latest", "notice_id",
)  # fmt: skip
_DUE = limited(
    _ESCALATIONS.select()
    .where(_escalations.next_look_at <= bindparam("now"))
    .order_by(_escalations.next_look_at, _escalations.notice_id),
    "now",
)
_NEXT = compiled_text("SELECT min(next_look_at) FROM escalations WHERE next_look_at IS NOT NULL")

_TASK, _TASKS_OF_NOTICE = _TASKS.by("id"), _TASKS.by("notice_id", ordered=True)
_all_tasks = _TASKS.page().where(_tasks.position > bindparam("after")).order_by(_tasks.position)
_TASK_PAGE = limited(_all_tasks, "after")
_TASK_PAGE_OF_STATE = limited(_all_tasks.where(_tasks.state == bindparam("state")), "after", "state")
_SAVE_TASK = compiled_text(
    "UPDATE call_tasks SET reason = :reason, due_at = :due_at, state = :state, closed_at = :closed_at,"
    " version = :version WHERE id = :id AND version = :expected",
    "reason", "due_at", "state", "closed_at", "version", "id", "expected",
)  # fmt: skip
_TASK_VERSION = compiled_text("SELECT version FROM call_tasks WHERE id = :id", "id")
_CALLS_OF_TASK = _CALLS.by("task_id", ordered=True)


class EscalationRecords(Records):
    """Implements ``notifications.ports.EscalationRepository``."""

    def add(self, escalation: Escalation) -> None:
        """Start the clock of a sealed notice."""
        self._session.execute(_ESCALATIONS.insert, _ESCALATIONS.values(escalation))
        self._changed("escalations")

    def get(self, notice_id: UUID) -> Escalation | None:
        """Return the clock of a notice."""
        row = self._session.one(_OF_NOTICE, (notice_id.bytes,))
        return None if row is None else _ESCALATIONS.record(row)

    def save(self, escalation: Escalation, expected_version: int) -> None:
        """Replace the clock; raises VersionMismatchError."""
        if escalation.version != expected_version + 1:
            raise ValueError(f"version {escalation.version} does not follow {expected_version}")
        names = ("due_at", "acknowledge_by", "next_look_at", "version", "notice_id")
        values = (*_ESCALATIONS.some_values(escalation, *names), expected_version)
        if self._session.execute(_SAVE_ESCALATION, values).rowcount != 1:
            current = self.get(escalation.notice_id)
            if current is None:
                raise NotFoundError("escalation", escalation.notice_id)
            raise VersionMismatchError("escalation", escalation.notice_id, expected_version, current.version)
        self._changed("escalations")

    def hasten(self, notice_id: UUID, at: datetime) -> bool:
        """Look at a notice again by ``at``; returns False where it has no clock."""
        moment = to_microseconds(at)
        hastened: int = self._session.execute(_HASTEN, (moment, moment, notice_id.bytes)).rowcount
        if hastened:
            self._changed("escalations")
        return hastened > 0

    def due(self, now: datetime, limit: int) -> Sequence[Escalation]:
        """Return clocks whose time has come, earliest first."""
        return [_ESCALATIONS.record(row) for row in self._session.all(_DUE, (to_microseconds(now), limit))]

    def next_look_at(self) -> datetime | None:
        """Return when the next clock strikes."""
        row = self._session.one(_NEXT)
        return None if row is None else from_optional_microseconds(row[0])

    # -- calls

    def add_call_task(self, task: CallTask) -> None:
        """Open a call task; raises StateConflictError if one is open for the notice."""
        self._session.execute(_TASKS.insert, _TASKS.values(task))
        self._changed("call_tasks")

    def call_task(self, task_id: UUID) -> CallTask | None:
        """Return the task."""
        row = self._session.one(_TASK, (task_id.bytes,))
        return None if row is None else _TASKS.record(row)

    def require_call_task(self, task_id: UUID) -> CallTask:
        """Return the call task; raises NotFoundError where there is none."""
        return required("call task", task_id, self.call_task(task_id))

    def save_call_task(self, task: CallTask, expected_version: int) -> None:
        """Replace the task; raises VersionMismatchError."""
        values = _TASKS.some_values(task, "reason", "due_at", "state", "closed_at")
        self._replace("call task", task.id, expected_version, task.version, _TASK_VERSION, _SAVE_TASK, values)
        self._changed("call_tasks")

    def call_tasks(self, page: Page, *, state: str | None = None) -> tuple[list[CallTask], str | None]:
        """Return tasks, oldest first."""
        after = start_of("tasks", page, FIRST)
        if state is None:
            rows = self._session.all(_TASK_PAGE, (after, page.limit + 1))
        else:
            rows = self._session.all(_TASK_PAGE_OF_STATE, (after, state, page.limit + 1))
        return paged("tasks", page, rows, lambda *row: _TASKS.record(row))

    def call_tasks_of_notice(self, notice_id: UUID) -> Sequence[CallTask]:
        """Return the tasks of a notice, oldest first."""
        return [_TASKS.record(row) for row in self._session.all(_TASKS_OF_NOTICE, (notice_id.bytes,))]

    def add_call_record(self, record: CallRecord) -> None:
        """Record a call."""
        self._session.execute(_CALLS.insert, _CALLS.values(record))
        self._changed("call_tasks")

    def call_records(self, task_id: UUID) -> Sequence[CallRecord]:
        """Return the calls of a task, oldest first."""
        return [_CALLS.record(row) for row in self._session.all(_CALLS_OF_TASK, (task_id.bytes,))]
