"""Bounces: mails that were returned."""

from collections.abc import Sequence
from uuid import UUID

from notifications.mail.bounce_record import Bounce
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled_text
from service.store.tables import BounceRow

_RETURNED = FlatTable(Bounce, BounceRow)

_RETURNED_BY_ID, _OF_DELIVERY = _RETURNED.by("id"), _RETURNED.by("delivery_id", ordered=True)
_OF_NO_DELIVERY = compiled_text(
    f"SELECT {', '.join(column.name for column in _RETURNED.columns)} FROM returned_messages"  # noqa: S608 - names of columns, from this package
    " WHERE delivery_id IS NULL ORDER BY position"
)


class BounceRecords(Records):
    """Bounces, for ``notifications.ports.DeliveryRepository``."""

    def record_bounce(self, bounce: Bounce) -> None:
        """Record a bounce."""
        self._session.execute(_RETURNED.insert, _RETURNED.values(bounce))
        self._changed("returns")

    def bounce(self, bounce_id: UUID) -> Bounce | None:
        """Return the bounce."""
        row = self._session.one(_RETURNED_BY_ID, (bounce_id.bytes,))
        return None if row is None else _RETURNED.record(row)

    def bounces(self, delivery_id: UUID | None) -> Sequence[Bounce]:
        """Return the bounces of a delivery, or those of no known one, oldest first."""
        if delivery_id is None:
            rows = self._session.all(_OF_NO_DELIVERY)
        else:
            rows = self._session.all(_OF_DELIVERY, (delivery_id.bytes,))
        return [_RETURNED.record(row) for row in rows]
