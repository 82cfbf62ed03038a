"""The one error by which a sign-in at the OpenID provider is refused."""


class OidcRefusedError(Exception):
    """The sign-in is refused; ``reason`` is a code for the log, and nothing that the provider or a URL said."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the sign-in by the OpenID provider was refused: {reason}")
