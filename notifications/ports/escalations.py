"""The escalation clocks of notices, and the calls that they ask for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from notifications.delivery.call_task import CallRecord, CallTask
from notifications.delivery.escalation import Escalation
from notifications.ports.paging import Page


class EscalationRepository(Protocol):
    """The escalation clock of each notice, and the calls that it asks for."""

    def add(self, escalation: Escalation) -> None:
        """Start the clock of a sealed notice."""
        ...

    def get(self, notice_id: UUID) -> Escalation | None:
        """Return the clock of a notice."""
        ...

    def save(self, escalation: Escalation, expected_version: int) -> None:
        """Replace the clock; ``Transaction`` has the rule for versions."""
        ...

    def hasten(self, notice_id: UUID, at: datetime) -> bool:
        """Have the clock of a notice looked at by ``at``, after a change to the notice; returns False without a clock.

        The version of the clock rises in any case, so that a look that did not see the change cannot be saved. Any
        number of units of work may do so at once.
        """
        ...

    def due(self, now: datetime, limit: int) -> Sequence[Escalation]:
        """Return clocks whose ``next_look_at`` has come, earliest first."""
        ...

    def next_look_at(self) -> datetime | None:
        """Return the earliest ``next_look_at``, or None."""
        ...

    def add_call_task(self, task: CallTask) -> None:
        """Open a call task; raises StateConflictError where one is open for the notice."""
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
        """Return tasks, oldest first."""
        ...

    def call_tasks_of_notice(self, notice_id: UUID) -> Sequence[CallTask]:
        """Return the tasks of a notice, oldest first."""
        ...

    def add_call_record(self, record: CallRecord) -> None:
        """Record a call; calls are never changed."""
        ...

    def call_records(self, task_id: UUID) -> Sequence[CallRecord]:
        """Return the calls of a task, oldest first."""
        ...
