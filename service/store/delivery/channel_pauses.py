"""Paused channels."""

from collections.abc import Sequence

from notifications.delivery.delivery import ChannelKind, ChannelPause
from service.store.sql.flat import FlatTable
from service.store.sql.records import Records
from service.store.sql.statements import compiled, compiled_text
from service.store.tables import ChannelPauseRow, table

_PAUSES = FlatTable(ChannelPause, ChannelPauseRow)

_PAUSE = _PAUSES.upsert("channel")
_RESUME = compiled_text("DELETE FROM channel_pauses WHERE channel = :channel", "channel")
_ALL_PAUSES = compiled(_PAUSES.select().order_by(table(ChannelPauseRow).c.channel))


class ChannelPauseRecords(Records):
    """Pauses, for ``notifications.ports.DeliveryRepository``."""

    def pause_channel(self, pause: ChannelPause) -> None:
        """Record that a channel is paused."""
        self._session.execute(_PAUSE, _PAUSES.values(pause))
        self._changed("deliveries")

    def resume_channel(self, channel: ChannelKind) -> bool:
        """End a pause; returns whether there was one."""
        ended: int = self._session.execute(_RESUME, (channel.value,)).rowcount
        if ended:
            self._changed("deliveries")
        return ended > 0

    def channel_pauses(self) -> Sequence[ChannelPause]:
        """Return the pauses."""
        return [_PAUSES.record(row) for row in self._session.all(_ALL_PAUSES)]
