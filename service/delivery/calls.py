"""Call tasks as people see them: the board, nearest deadline first, and one task with whom to call and what to say.

The called person cannot know whether the call is genuine. So the caller says nothing confidential until the person has
called back on the number in the contract, which a stranger cannot have changed.
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
from notifications.wording.exercise import marked

#: say or guidance -> language -> part -> text
_WORDS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    (files(__package__) / "call_script.toml").read_text(encoding="utf-8")
)
_KEPT_TO = ("before", "number", "voicemail", "read_out")


@dataclass(frozen=True, slots=True)
class Task:
    """A task with its notice, its customer and the calls made."""

    task: CallTask
    notice: Notice
    customer: Customer
    ticket: str
    calls: Sequence[CallRecord]

    def is_overdue(self, now: datetime) -> bool:
        """Whether the deadline of the call has passed."""
        return self.task.state is CallTaskState.OPEN and self.task.due_at < now


@dataclass(frozen=True, slots=True)
class CallScript:
    """The text for a call to one contact."""

    language: str
    #: in spoken order
    say: tuple[str, ...]
    #: the only text to leave on an answering machine
    voicemail: str


@dataclass(frozen=True, slots=True)
class CallRecipient:
    """A person to call."""

    contact: Contact
    script: CallScript


@dataclass(frozen=True, slots=True)
class TaskInFull:
    """A task with the people to call, in order, and what to say."""

    item: Task
    tlp: str
    callees: Sequence[CallRecipient]
    #: rules for the analyst, in the analyst's language
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
    """Return one task with its texts, in the analyst's language; raises NotFoundError."""
    task = tx.escalations.require_call_task(task_id)
    item = _with_subject(tx, task)
    sealed = tx.notices.seal(task.notice_id)
    # Without a seal the label is not known, so the strictest one applies.
    tlp = "TLP:RED" if sealed is None else str(json.loads(sealed.document)["tlp"])
    active = [contact for contact in tx.customers.contacts(task.customer_id) if contact.active]
    by_turn = sorted(active, key=lambda contact: (contact.phone is None, contact.fallback, contact.order))
    callees = [
        CallRecipient(
            contact,
            call_script(
                contact.language,
                reason=task.reason,
                provider=provider,
                ticket=item.ticket,
                contact=contact.name,
                exercise=item.notice.exercise,
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


def call_script(
    language: str, *, reason: CallReason, provider: str, ticket: str, contact: str, exercise: bool = False
) -> CallScript:
    """Return the script of a call, without facts of the incident; in English if there is no text in the language."""
    language = language if language in _WORDS["say"] else "en"
    of_language = _WORDS["say"][language]

    def said(part: str) -> str:
        text = of_language[part].format(provider=provider, ticket=ticket, contact=contact)
        return marked(text, language) if exercise else text

    parts = ("opening", "genuine", "waiting", reason.value, "ask", "addresses")
    return CallScript(language, tuple(said(part) for part in parts), said("voicemail"))


def call_guidance(language: str, tlp: str) -> tuple[str, ...]:
    """Return the rules for the analyst under a TLP label, in the analyst's language; the label is never translated.

    A label without its own text is treated like TLP:RED.
    """
    of_language = _WORDS["guidance"].get(language, _WORDS["guidance"]["en"])
    return *(of_language[part] for part in _KEPT_TO), of_language.get(tlp, of_language["TLP:RED"])
