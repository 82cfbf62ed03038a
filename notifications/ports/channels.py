"""What carries a message to the next hop."""

from collections.abc import Sequence
from typing import Protocol

from notifications.delivery.delivery import ChannelKind, Outcome
from notifications.delivery.webhook import WebhookEndpoint, WebhookSecret


class Channel(Protocol):
    """Hands one message to the next hop."""

    @property
    def kind(self) -> ChannelKind:
        """Which channel this is."""
        ...

    async def send(
        self, *, sender: str, recipient: str, message_id: str, content: bytes, return_path: str | None = None
    ) -> Outcome:
        """Hand over the bytes unchanged and report what the next hop said.

        ``return_path`` is where failures are to be reported; None for the sender.

        Returns an Outcome for every answer and every failure of the other side or the network; raises only on
        programming errors. Never reports ``accepted`` unless the next hop took responsibility. May be called again
        with the same ``message_id`` after a crash.
        """
        ...


class WebhookChannel(Protocol):
    """Hands one message to a customer's own system."""

    async def post(
        self, *, endpoint: WebhookEndpoint, secrets: Sequence[WebhookSecret], message_id: str, content: bytes
    ) -> Outcome:
        """Post the bytes, signed by every secret that is in force, and report what the receiver said.

        As ``Channel.send``: an Outcome for every answer and every failure of the other side or the network;
        ``accepted`` for a 2xx alone; ``message_id`` goes out as ``webhook-id``, the same on every attempt.
        """
        ...
