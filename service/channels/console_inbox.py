"""The console inbox. Nothing is sent: the use case stores notice and outcome in the inbox, in one transaction."""

from notifications.delivery.delivery import ChannelKind, Outcome, OutcomeKind


class ConsoleInbox:
    """Implements ``notifications.ports.Channel`` for the customer's console."""

    @property
    def kind(self) -> ChannelKind:
        """Which channel this is."""
        return ChannelKind.CONSOLE

    async def send(
        self, *, sender: str, recipient: str, message_id: str, content: bytes, return_path: str | None = None
    ) -> Outcome:
        """Accept: the notice is in the store already, and its inbox entry is written with this outcome."""
        del sender, recipient, message_id, content, return_path
        return Outcome(
            kind=OutcomeKind.ACCEPTED,
            code=None,
            enhanced_status=None,
            text="placed in the console inbox",
            queue_id=None,
            tls_version=None,
            tls_cipher=None,
            remote=None,
        )
