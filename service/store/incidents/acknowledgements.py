"""Who opened notices, and who acknowledged them."""

from collections.abc import Sequence
from uuid import UUID

from notifications.delivery.acknowledgement import Acknowledgement, NoticeOpening
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.tables import AcknowledgementRow, NoticeOpeningRow

_OPENINGS = FlatTable(NoticeOpening, NoticeOpeningRow)
_ACKNOWLEDGEMENTS = FlatTable(Acknowledgement, AcknowledgementRow)

_OPENINGS_OF, _ACKNOWLEDGEMENTS_OF = (
    _OPENINGS.by("notice_id", ordered=True),
    _ACKNOWLEDGEMENTS.by("notice_id", ordered=True),
)
_OPENING_BY, _ACKNOWLEDGEMENT_BY = _OPENINGS.by("notice_id", "by"), _ACKNOWLEDGEMENTS.by("notice_id", "by")


class AcknowledgementRecords(Records):
    """Openings and acknowledgements, for ``notifications.ports.NoticeRepository``."""

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
