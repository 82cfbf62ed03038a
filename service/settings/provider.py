"""The provider's name and contact, the agreements, and prepared statements."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from service.settings.part import Part


class ProviderSettings(Part):
    """The provider: as every notice, mail and page names it."""

    name: str = Field(default="Cloud provider", description="Name of the provider.")
    contact_name: str = Field(default="SOC", description="Name of the contact point.")
    contact_email: str = Field(
        default="soc@provider.example", description="Mailbox of the contact point. Every alert goes there too."
    )
    contact_phone: str | None = Field(default=None, description="Telephone of the contact point.")
    console_url: str | None = Field(
        default=None,
        description="Address at which browsers reach the pages. Without it, mails carry no links.",
    )
    default_language: Literal["fr", "en", "de"] = Field(
        default="fr", description="Language of text and people for which no language is stated."
    )
    random_tickets: bool = Field(
        default=False,
        description="New incidents get a random ticket number (`INC-2026-493817205`). Sequential ones "
        "(`INC-2026-000042`) tell a customer how many incidents were declared between two of its own.",
    )

    @property
    def origin(self) -> str:
        """Scheme and host of the pages; without ``console_url`` the pages are only for this machine."""
        stated = urlsplit(self.console_url or "http://localhost")
        return f"{stated.scheme}://{stated.netloc}"


class AgreementSettings(Part):
    """The agreements with customers, and the provider's own rules beside them."""

    reference: str = Field(
        default="secnumcloud_iaas_3_0",
        description="Id of the agreement by which the provider itself reads an incident.",
    )
    folder: Path | None = Field(
        default=None,
        description="Folder with more agreement files (`*.toml`). The bundled agreements are always there.",
    )
    internal_targets_seconds: dict[str, int] = Field(
        default_factory=dict,
        description='The provider\'s own target for each priority, where the contract says "as soon as possible". '
        "Without it, the agreement's GTI is the target.",
    )
    four_eyes: bool = Field(
        default=False,
        description="Every notice is released by a person who did not write its last version. "
        "A customer or an agreement file can ask for it too.",
    )


class StatementSettings(Part):
    """Prepared statements that an analyst fills in."""

    file: Path | None = Field(
        default=None,
        description="File with statements of your own (TOML, in the form of `notifications/wording/statements.toml`). "
        "They are offered before the bundled ones.",
    )
