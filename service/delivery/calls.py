"""Call tasks as people see them: the board, nearest deadline first, and one task with whom to call and what to say.

Whoever is called cannot know that the call is genuine, and is given no reason to believe it: nothing confidential is
said until they have called back on the number that stands in their contract, which a stranger cannot have changed.
"""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from uuid import UUID

from notifications.customer.records import Contact, Customer
from notifications.delivery.call_task import CallReason, CallRecord, CallTask, CallTaskState
from notifications.errors import NotFoundError
from notifications.notice import Notice
from notifications.ports import Page, Transaction
from notifications.use_cases.notices.manage_calls import nearest_open_tasks

#: say or guidance -> language -> part -> words
_WORDS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    (files(__package__) / "call_script.toml").read_text(encoding="utf-8")
)
_KEPT_TO = ("before", "number", "voicemail", "read_out")


@dataclass(frozen=True, slots=True)
class Task:
    """A task with what it is about."""

    task: CallTask
    notice: Notice
    customer: Customer
    ticket: str
    calls: Sequence[CallRecord]

    def is_overdue(self, now: datetime) -> bool:
        """Whether somebody should have called by now."""
        return self.task.state is CallTaskState.OPEN and self.task.due_at < now


@dataclass(frozen=True, slots=True)
class CallScript:
    """What is said to one contact."""

    language: str
    #: in the order in which it is said
    say: tuple[str, ...]
    #: left on a machine, and nothing else
    voicemail: str


@dataclass(frozen=True, slots=True)
class CallRecipient:
    """Somebody to be called."""

    contact: Contact
    script: CallScript


@dataclass(frozen=True, slots=True)
class TaskInFull:
    """A task with whom to call, in order, and what to say."""

    item: Task
    tlp: str
    callees: Sequence[CallRecipient]
    #: what the analyst keeps to, in the analyst's language
    guidance: Sequence[str]


def open_tasks(tx: Transaction, limit: int) -> tuple[list[Task], bool]:
    """Return open tasks, nearest ``due_at`` first, and whether these are all."""
    nearest, whole = nearest_open_tasks(tx, limit)
    return [_with_subject(tx, task) for task in nearest], whole


def tasks_of_state(tx: Transaction, page: Page, state: CallTaskState | None) -> tuple[list[Task], str | None]:
    """Return tasks in a state, or all, oldest first, as a page."""
    found, following = tx.escalations.call_tasks(page, state=None if state is None else state.value)
    return [_with_subject(tx, task) for task in found], following


def task_in_full(tx: Transaction, task_id: UUID, *, provider: str, language: str) -> TaskInFull:
    """Return one task as an analyst reads it in a language; raises NotFoundError."""
    task = tx.escalations.require_call_task(task_id)
    item = _with_subject(tx, task)
    sealed = tx.notices.seal(task.notice_id)
    # Without a seal nothing was served; then nothing is said either.
    tlp = "TLP:RED" if sealed is None else str(json.loads(sealed.document)["tlp"])
    active = [contact for contact in tx.customers.contacts(task.customer_id) if contact.active]
    by_turn = sorted(active, key=lambda contact: (contact.phone is None, contact.fallback, contact.order))
    callees = [
        CallRecipient(
            contact,
            call_script(
                contact.language, reason=task.reason, provider=provider, ticket=item.ticket, contact=contact.name
            ),
        )
        for contact in by_turn
    ]
    return TaskInFull(item, tlp, callees, call_guidance(language, tlp))


def _with_subject(tx: Transaction, task: CallTask) -> Task:
    notice, customer = tx.notices.get(task.notice_id), tx.customers.get(task.customer_id)
    incident = None if notice is None else tx.incidents.get(notice.incident_id)
    if notice is None or customer is None or incident is None:
        raise NotFoundError("call task", task.id)
    return Task(task, notice, customer, incident.ticket, tx.escalations.call_records(task.id))


def call_script(language: str, *, reason: CallReason, provider: str, ticket: str, contact: str) -> CallScript:
    """Return the script of a call for a reason; a language without words gets English. No fact of an incident."""
    language = language if language in _WORDS["say"] else "en"
    of_language = _WORDS["say"][language]

    def said(part: str) -> str:
        return of_language[part].format(provider=provider, ticket=ticket, contact=contact)

    parts = ("opening", "genuine", "waiting", reason.value, "ask", "addresses")
    return CallScript(language, tuple(said(part) for part in parts), said("voicemail"))


def call_guidance(language: str, tlp: str) -> tuple[str, ...]:
    """Return what the analyst keeps to, in the analyst's language, under a TLP label; the label is never translated.

    A label without words is kept to like TLP:RED.
    """
    of_language = _WORDS["guidance"].get(language, _WORDS["guidance"]["en"])
    return *(of_language[part] for part in _KEPT_TO), of_language.get(tlp, of_language["TLP:RED"])
