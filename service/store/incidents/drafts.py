"""Drafts, each encrypted."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from notifications.errors import NotFoundError
from service.ports.drafts import Draft
from service.store.sql.encoding import to_microseconds
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text, limited
from service.store.tables import IncidentDraftRow, table

_DRAFTS = FlatTable(Draft, IncidentDraftRow)
_drafts = table(IncidentDraftRow).c
_LATEST = (_drafts.changed_at.desc(), _drafts.position.desc())

_BY_ID, _BY_ALERT, _ALL_DRAFTS = _DRAFTS.by("id"), _DRAFTS.by("alert_key"), _DRAFTS.by(ordered=True)
_OF_OWNER = compiled(_DRAFTS.select().where(text("owner_id = :owner_id")).order_by(*_LATEST), "owner_id")
_OF_ALERTS = limited(_DRAFTS.select().where(text("alert_key IS NOT NULL AND closed_at IS NULL")).order_by(*_LATEST))
_ALERTS_COUNT = compiled_text("SELECT count(*) FROM incident_drafts WHERE alert_key IS NOT NULL AND closed_at IS NULL")
_CHANGED_BEFORE = compiled_text(
    "SELECT id FROM incident_drafts WHERE changed_at < :at ORDER BY changed_at, position LIMIT :limit", "at", "limit"
)
_CHANGED = ("sealed", "changed_at", "changed_by", "is_touched", "resolved_at", "fired_at", "closed_at")
_UPDATE = compiled_text(
    "UPDATE incident_drafts SET sealed = :sealed, changed_at = :changed_at, changed_by = :changed_by,"
    " is_touched = :is_touched, resolved_at = :resolved_at, fired_at = :fired_at, closed_at = :closed_at,"
    " version = :version"
    " WHERE id = :id AND version = :expected",
    *_CHANGED, "version", "id", "expected",
)  # fmt: skip
_VERSION = compiled_text("SELECT version FROM incident_drafts WHERE id = :id", "id")
_RESEAL = _DRAFTS.update("sealed")
_REMOVE = compiled_text("DELETE FROM incident_drafts WHERE id = :id", "id")


class DraftRecords(Records):
    """Drafts; see ``service.ports.drafts``."""

    def add(self, draft: Draft) -> None:
        """Store a new draft."""
        self._session.execute(_DRAFTS.insert, _DRAFTS.values(draft))
        self._changed("drafts")

    def get(self, draft_id: UUID) -> Draft | None:
        """Return the draft."""
        row = self._session.one(_BY_ID, (draft_id.bytes,))
        return None if row is None else _DRAFTS.record(row)

    def by_alert(self, alert_key: str) -> Draft | None:
        """Return the draft of an alert."""
        row = self._session.one(_BY_ALERT, (alert_key,))
        return None if row is None else _DRAFTS.record(row)

    def save(self, draft: Draft, expected_version: int) -> None:
        """Replace the draft; raises VersionMismatchError."""
        values = _DRAFTS.some_values(draft, *_CHANGED)
        self._replace("draft", draft.id, expected_version, draft.version, _VERSION, _UPDATE, values)
        self._changed("drafts")

    def reseal(self, draft: Draft) -> None:
        """Replace only the encrypted content."""
        if self._session.execute(_RESEAL, _DRAFTS.some_values(draft, "sealed", "id")).rowcount != 1:
            raise NotFoundError("draft", draft.id)

    def remove(self, draft_id: UUID) -> bool:
        """Erase the draft."""
        removed: int = self._session.execute(_REMOVE, (draft_id.bytes,)).rowcount
        if removed:
            self._changed("drafts")
        return removed > 0

    def of_owner(self, owner_id: UUID) -> Sequence[Draft]:
        """Return the drafts of an account."""
        return [_DRAFTS.record(row) for row in self._session.all(_OF_OWNER, (owner_id.bytes,))]

    def of_alerts(self, limit: int) -> Sequence[Draft]:
        """Return drafts that alerts made."""
        return [_DRAFTS.record(row) for row in self._session.all(_OF_ALERTS, (limit,))]

    def alerts_count(self) -> int:
        """Return how many drafts alerts have made."""
        return self._number(_ALERTS_COUNT)

    def changed_before(self, at: datetime, limit: int) -> Sequence[UUID]:
        """Return drafts that nobody has changed since a time."""
        rows = self._session.all(_CHANGED_BEFORE, (to_microseconds(at), limit))
        return [UUID(bytes=row[0]) for row in rows]

    def all(self) -> Sequence[Draft]:
        """Return every draft."""
        return [_DRAFTS.record(row) for row in self._session.all(_ALL_DRAFTS)]
