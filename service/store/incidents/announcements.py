"""What became of announcements at each customer, and the registered letters."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, literal_column, select

from notifications.errors import required
from notifications.incident import AnnouncementState, IncidentState, announcement_state
from notifications.ports import AnnouncedCustomer, LetterState, LetterTask
from service.store.incidents.incidents import IN_FORCE, INCIDENT, incident_of_row
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text, limited
from service.store.tables import AnnouncedCustomerRow, IncidentRow, LetterTaskRow, table

_CUSTOMERS, _LETTERS = FlatTable(AnnouncedCustomer, AnnouncedCustomerRow), FlatTable(LetterTask, LetterTaskRow)
_customers, _letters, _incidents = table(AnnouncedCustomerRow).c, table(LetterTaskRow).c, table(IncidentRow).c

_STATE = compiled(
    select(*INCIDENT)
    .select_from(IN_FORCE)
    .where(_incidents.id == bindparam("id"), _incidents.subject == literal_column("'announcement'")),
    "id",
)
_OF_ANNOUNCEMENT = _CUSTOMERS.by("announcement_id", ordered=True)
_CUSTOMER = _CUSTOMERS.by("announcement_id", "customer_id")
_CUSTOMER_VERSION = compiled(select(_customers.version).where(_customers.id == bindparam("id")), "id")
_CUSTOMER_FIELDS = (
    "facts_version", "concern", "agreement_id", "clause", "due_at", "binding", "due_clause", "decided_at", "consent",
    "consent_name", "consent_reason", "consent_by", "consent_at",
)  # fmt: skip
_LETTER, _OF_NOTICE = _LETTERS.by("id"), _LETTERS.by("notice_id", ordered=True)
_LETTER_VERSION = compiled(select(_letters.version).where(_letters.id == bindparam("id")), "id")
_LETTER_FIELDS = (
    "state", "posting_number", "posted_on", "posted_by", "slip_type", "slip_sha256", "slip_entry_id", "outcome",
    "outcome_on", "served_on", "closed_at", "closed_by",
)  # fmt: skip
_OPEN = limited(
    _LETTERS.select()
    .where(_letters.state == literal_column(f"'{LetterState.OPEN.value}'"))
    .order_by(_letters.due_at, _letters.position)
)


def _update(name: str, fields: tuple[str, ...]) -> str:
    assigned = ", ".join(f"{field} = :{field}" for field in fields)
    statement = f"UPDATE {name} SET {assigned}, version = :version WHERE id = :id AND version = :expected"  # noqa: S608 - names of columns
    return compiled_text(statement, *fields, "version", "id", "expected")


_SAVE_CUSTOMER = _update("announced_customers", _CUSTOMER_FIELDS)
_SAVE_LETTER = _update("letter_tasks", _LETTER_FIELDS)


class AnnouncementRecords(Records):
    """Implements ``notifications.ports.AnnouncementRepository``."""

    def state(self, announcement_id: UUID) -> AnnouncementState | None:
        """Return what became of an announcement; None where there is none."""
        row = self._session.one(_STATE, (announcement_id.bytes,))
        found = None if row is None else incident_of_row(*row)
        if found is None or found.facts.announcement is None:
            return None
        return announcement_state(found.facts.announcement, is_open=found.state is IncidentState.OPEN)

    def add_customers(self, customers: Sequence[AnnouncedCustomer]) -> None:
        """Record customers of an announcement."""
        for customer in customers:
            self._session.execute(_CUSTOMERS.insert, _CUSTOMERS.values(customer))
        self._changed("incidents")

    def customers(self, announcement_id: UUID) -> Sequence[AnnouncedCustomer]:
        """Return the customers of an announcement, in the order in which they were added."""
        return [_CUSTOMERS.record(row) for row in self._session.all(_OF_ANNOUNCEMENT, (announcement_id.bytes,))]

    def customer(self, announcement_id: UUID, customer_id: UUID) -> AnnouncedCustomer | None:
        """Return one customer of an announcement."""
        row = self._session.one(_CUSTOMER, (announcement_id.bytes, customer_id.bytes))
        return None if row is None else _CUSTOMERS.record(row)

    def save_customer(self, customer: AnnouncedCustomer, expected_version: int) -> None:
        """Replace one customer of an announcement; raises VersionMismatchError."""
        self._replace(
            "customer of an announcement", customer.id, expected_version, customer.version, _CUSTOMER_VERSION,
            _SAVE_CUSTOMER, _CUSTOMERS.some_values(customer, *_CUSTOMER_FIELDS),
        )  # fmt: skip
        self._changed("incidents")

    def add_letter(self, task: LetterTask) -> None:
        """Open a letter task."""
        self._session.execute(_LETTERS.insert, _LETTERS.values(task))
        self._changed("call_tasks")

    def letter(self, task_id: UUID) -> LetterTask | None:
        """Return the letter task."""
        row = self._session.one(_LETTER, (task_id.bytes,))
        return None if row is None else _LETTERS.record(row)

    def require_letter(self, task_id: UUID) -> LetterTask:
        """Return the letter task; raises NotFoundError where there is none."""
        return required("letter task", task_id, self.letter(task_id))

    def save_letter(self, task: LetterTask, expected_version: int) -> None:
        """Replace the letter task; raises VersionMismatchError."""
        self._replace(
            "letter task", task.id, expected_version, task.version, _LETTER_VERSION, _SAVE_LETTER,
            _LETTERS.some_values(task, *_LETTER_FIELDS),
        )  # fmt: skip
        self._changed("call_tasks")

    def letters_of_notice(self, notice_id: UUID) -> Sequence[LetterTask]:
        """Return the letter tasks of a notice, oldest first."""
        return [_LETTERS.record(row) for row in self._session.all(_OF_NOTICE, (notice_id.bytes,))]

    def open_letters(self, limit: int) -> Sequence[LetterTask]:
        """Return the open letter tasks, earliest ``due_at`` first."""
        return [_LETTERS.record(row) for row in self._session.all(_OPEN, (limit,))]
