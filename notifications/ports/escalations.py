"""The escalations of notices, and the call tasks that they open."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.delivery.call_task import CallRecord, CallTask
from notifications.delivery.escalation import Escalation
from notifications.ports.paging import Page


class EscalationRepository(Protocol):
    """The escalation of each notice, with its call tasks and calls."""

    def add(self, escalation: Escalation) -> None:
        """Start the escalation of a sealed notice."""
        ...

    def get(self, notice_id: UUID) -> Escalation | None:
        """Return the escalation of a notice."""
        ...

    def save(self, escalation: Escalation, expected_version: int) -> None:
        """Replace the escalation; ``Transaction`` has the rule for versions."""
        ...

    def hasten(self, notice_id: UUID, at: datetime) -> bool:
        """Bring the next check of a notice forward to ``at``, after a change; returns False without an escalation.

        The version of the escalation always increases, so that a check that did not see the change cannot be saved. Any
        number of units of work may call this concurrently.
        """
        ...

    def due(self, now: datetime, limit: int) -> Sequence[Escalation]:
        """Return the escalations whose ``next_look_at`` has come, earliest first."""
        ...

    def next_look_at(self) -> datetime | None:
        """Return the earliest ``next_look_at``, or None."""
        ...

    def add_call_task(self, task: CallTask) -> None:
        """Open a call task; raises StateConflictError if one is already open for the notice."""
        ...

    def call_task(self, task_id: UUID) -> CallTask | None:
        """Return the task."""
        ...

    def require_call_task(self, task_id: UUID) -> CallTask:
        """Return the task; raises NotFoundError where there is none."""
        ...

    def save_call_task(self, task: CallTask, expected_version: int) -> None:
        """Replace the task; ``Transaction`` has the rule for versions."""
        ...

    def call_tasks(self, page: Page, *, state: str | None = None) -> tuple[list[CallTask], str | None]:
        """Return a page of tasks, oldest first."""
        ...

    def call_tasks_of_notice(self, notice_id: UUID) -> Sequence[CallTask]:
        """Return the tasks of a notice, oldest first."""
        ...

    def add_call_record(self, record: CallRecord) -> None:
        """Record a call. A record is never changed."""
        ...

    def call_records(self, task_id: UUID) -> Sequence[CallRecord]:
        """Return the calls of a task, oldest first."""
        ...
