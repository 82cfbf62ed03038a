"""Channels: they hand a message to the next hop."""

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
        """Hand over the bytes unchanged and return the answer of the next hop.

        ``return_path`` is the address for failure reports; None for the sender's own.

        Returns an Outcome for every answer and for every failure of the other side or of the network. Raises only for
        a programming error. Returns ``accepted`` only if the next hop took responsibility. The caller may call it again
        with the same ``message_id`` after a crash.
        """
        ...


class WebhookChannel(Protocol):
    """Hands one message to a customer's own system."""

    async def post(
        self, *, endpoint: WebhookEndpoint, secrets: Sequence[WebhookSecret], message_id: str, content: bytes
    ) -> Outcome:
        """Post the bytes, signed with every secret that is in force, and return the answer of the receiver.

        As for ``Channel.send``, every answer and every failure gives an Outcome. Only a 2xx answer gives ``accepted``.
        ``message_id`` becomes the ``webhook-id``, which is the same on every attempt.
        """
        ...
