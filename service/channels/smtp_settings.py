"""How to reach the relay, checked before anything is sent through it."""

import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from notifications.errors import Fault, InvalidInputError


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """How to reach the relay; raises InvalidInputError on settings that would send in clear or make no sense."""

    host: str
    port: int
    #: ``none`` is taken for a loopback address alone
    tls: Literal["starttls", "implicit", "none"]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: CA bundle for the relay's certificate; None for the system's
    ca_file: Path | None = None
    #: connections at most, one message in flight on each
    connections: int = 8
    #: bound on one message from connecting to the last reply
    send_timeout_seconds: float = 60
    #: a connection unused for longer is closed, before the relay does it
    idle_seconds: float = 30
    #: name in EHLO; None for the system's
    local_hostname: str | None = None

    def __post_init__(self) -> None:
        if self.tls == "none" and not self.is_loopback:
            raise InvalidInputError(
                Fault(
                    "smtp_tls", f"none is taken for a loopback relay alone, not {self.host}; use starttls or implicit"
                )
            )
        if (self.username is None) != (self.password is None):
            raise InvalidInputError(Fault("smtp_username", "user name and password go together"))
        if self.username is not None and self.tls == "none":
            raise InvalidInputError(Fault("smtp_username", "credentials are not sent without TLS"))
        if self.connections < 1:
            raise InvalidInputError(Fault("smtp_connections", "must be at least 1"))
        if self.send_timeout_seconds <= 0 or self.idle_seconds <= 0:
            raise InvalidInputError(Fault("smtp_send_timeout_seconds", "times must be above 0"))

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine. No name but ``localhost`` is resolved: DNS may change its mind."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def tls_context(self) -> ssl.SSLContext | None:
        """Return a context that verifies certificate and host name, or None for a clear connection.

        Raises InvalidInputError where the CA file cannot be used.
        """
        if self.tls == "none":
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
        except OSError as error:
            raise InvalidInputError(Fault("smtp_ca_file", f"cannot be used: {error}")) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
