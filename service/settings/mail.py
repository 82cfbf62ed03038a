"""The mail relay, bounces, and checks of contacts."""

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from notifications.errors import Fault, InvalidInputError
from service.settings.part import Part, PortNumber, read_text


class MailSettings(Part):
    """The sender of mails, and the relay that takes them.

    Raises InvalidInputError for a relay to which mails or credentials would go in clear text.
    """

    sender: str | None = Field(
        default=None,
        description="Address that mails come from. It must be the address in the signing certificate, "
        "which is used where this is not set.",
    )
    sender_name: str | None = Field(
        default=None, description="Name beside that address. Without it, the provider's name."
    )
    host: str | None = Field(default=None, description="Name or address of the relay. Without it, mails wait, visibly.")
    port: int = Field(default=587, ge=1, le=65_535, description="Port of the relay.")
    tls: Literal["starttls", "implicit", "none"] = Field(
        default="starttls",
        description="`starttls`, `implicit` or `none`. `none` is allowed for a relay on loopback only.",
    )
    username: str | None = Field(default=None, description="User name at the relay. It goes together with a password.")
    password: SecretStr | None = Field(
        default=None, description="Password at the relay. A file is the better place for it."
    )
    password_file: Path | None = Field(default=None, description="File that holds the password at the relay.")
    ca_file: Path | None = Field(
        default=None,
        description="CA bundle for the relay's certificate. Without it, the CA certificates of the system.",
    )
    connections: int = Field(default=8, ge=1, le=256, description="Connections to the relay at once, one mail on each.")
    send_timeout_seconds: float = Field(
        default=60, gt=0, description="Time for one mail, from connecting to the last reply."
    )
    at_once_per_domain: int | None = Field(
        default=None,
        ge=1,
        description="Mails under way at once to one domain. Without it, as many as there are connections.",
    )
    per_minute_per_domain: int | None = Field(
        default=None,
        ge=1,
        description="Mails that each process begins in a minute to one domain. Without it, no limit.",
    )

    attach_pdf_max_bytes: int = Field(
        default=0,
        ge=0,
        description="A mail with the whole notice also carries `notice.pdf` if that has at most so many bytes; a page "
        "or two have about 100,000. 0: no mail carries one. Needs the optional extra `pdf`.",
    )

    @model_validator(mode="after")
    def _verify_relay(self) -> Self:
        if self.host is None:
            return self
        if self.tls == "none" and not self.is_loopback:
            reason = f"none is taken for a loopback relay only, not {self.host}; use starttls or implicit"
            raise InvalidInputError(Fault("mail.tls", reason))
        given = self.password_file is not None or (self.password is not None and self.password.get_secret_value() != "")
        if (self.username is not None) != given:
            raise InvalidInputError(Fault("mail.username", "user name and password go together"))
        if self.username is not None and self.tls == "none":
            raise InvalidInputError(Fault("mail.username", "credentials are not sent without TLS"))
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether the relay is this machine. Of names only ``localhost`` counts, because DNS can change."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host or "").is_loopback
        except ValueError:
            return False

    def secret(self) -> str | None:
        """Return the password at the relay, or None; raises InvalidInputError for a file that cannot be read."""
        if self.password is not None:
            return self.password.get_secret_value() or None
        if self.password_file is None:
            return None
        return read_text(self.password_file, "mail.password_file").strip() or None


class BounceSettings(Part):
    """Bounces: reports and answers that mail systems return to the address a mail was sent from."""

    domain: str | None = Field(
        default=None,
        description="Domain of the return paths. All mail to it must reach the listener. "
        "Without it, bounces go to `mail.sender` and the service does not read them.",
    )
    listen_port: PortNumber | None = Field(
        default=None,
        description="Port of the listener, in one process that serves. Without it, this process does not listen.",
    )
    listen_host: str = Field(default="127.0.0.1", description="Address of the listener. It speaks no TLS.")
    listen_protocol: Literal["lmtp", "smtp"] = Field(default="lmtp", description="`lmtp` or `smtp`.")
    max_bytes: int = Field(
        default=5_000_000, ge=10_000, le=100_000_000, description="Largest bounce. It may quote the whole notice."
    )


class ContactCheckSettings(Part):
    """Checks of contacts before an incident."""

    every_days: float = Field(
        default=7, ge=0, description="Time between two checks of a confirmed contact. 0: no checks."
    )
    second_channel_days: float = Field(
        default=182, ge=0, description="Time between two tests of a customer's second channel. 0: no tests."
    )
    dns: bool = Field(default=False, description="Also look up the domain of each address.")
