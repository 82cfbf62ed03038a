"""Bounces, first openings of notices, and acknowledgements."""

from collections.abc import Sequence
from uuid import UUID

from notifications.delivery.acknowledgement import Acknowledgement, NoticeOpening
from notifications.mail.bounce_record import Bounce
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text
from service.store.tables import AcknowledgementRow, BounceRow, NoticeOpeningRow

_RETURNED = FlatTable(Bounce, BounceRow)
_OPENINGS = FlatTable(NoticeOpening, NoticeOpeningRow)
_ACKNOWLEDGEMENTS = FlatTable(Acknowledgement, AcknowledgementRow)

_RETURNED_BY_ID, _OF_DELIVERY = _RETURNED.by("id"), _RETURNED.by("delivery_id", ordered=True)
_OF_NO_DELIVERY = compiled_text(
    f"SELECT {', '.join(column.name for column in _RETURNED.columns)} FROM returned_messages"  # noqa: S608 - names of columns, from this package
    " WHERE delivery_id IS NULL ORDER BY position"
)
_OPENINGS_OF, _ACKNOWLEDGEMENTS_OF = (
    _OPENINGS.by("notice_id", ordered=True),
    _ACKNOWLEDGEMENTS.by("notice_id", ordered=True),
)
_OPENING_BY, _ACKNOWLEDGEMENT_BY = _OPENINGS.by("notice_id", "by"), _ACKNOWLEDGEMENTS.by("notice_id", "by")


class ReturnRecords(Records):
    """Bounces, openings and acknowledgements; see ``notifications.ports``."""

    def add_returned_message(self, message: Bounce) -> None:
        """Record a bounce."""
        self._session.execute(_RETURNED.insert, _RETURNED.values(message))
        self._changed("returns")

    def returned_message(self, message_id: UUID) -> Bounce | None:
        """Return the bounce."""
        row = self._session.one(_RETURNED_BY_ID, (message_id.bytes,))
        return None if row is None else _RETURNED.record(row)

    def returned_messages(self, delivery_id: UUID | None) -> Sequence[Bounce]:
        """Return the bounces of a delivery, or (None) those of no known delivery, oldest first."""
        if delivery_id is None:
            rows = self._session.all(_OF_NO_DELIVERY)
        else:
            rows = self._session.all(_OF_DELIVERY, (delivery_id.bytes,))
        return [_RETURNED.record(row) for row in rows]

    def add_opening(self, opening: NoticeOpening) -> bool:
        """Record that somebody opened a notice, once."""
        if self._session.one(_OPENING_BY, (opening.notice_id.bytes, opening.by)) is not None:
            return False
        self._session.execute(_OPENINGS.insert, _OPENINGS.values(opening))
        self._changed("acknowledgements")
        return True

    def openings(self, notice_id: UUID) -> Sequence[NoticeOpening]:
        """Return who opened a notice, oldest first."""
        return [_OPENINGS.record(row) for row in self._session.all(_OPENINGS_OF, (notice_id.bytes,))]

    def add_acknowledgement(self, acknowledgement: Acknowledgement) -> bool:
        """Record an acknowledgement, once per person."""
        if self._session.one(_ACKNOWLEDGEMENT_BY, (acknowledgement.notice_id.bytes, acknowledgement.by)) is not None:
            return False
        self._session.execute(_ACKNOWLEDGEMENTS.insert, _ACKNOWLEDGEMENTS.values(acknowledgement))
        self._changed("acknowledgements")
        return True

    def acknowledgements(self, notice_id: UUID) -> Sequence[Acknowledgement]:
        """Return the acknowledgements of a notice, oldest first."""
        return [_ACKNOWLEDGEMENTS.record(row) for row in self._session.all(_ACKNOWLEDGEMENTS_OF, (notice_id.bytes,))]
