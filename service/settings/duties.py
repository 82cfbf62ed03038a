"""The provider under the law: what it is, to whom it reports, and when it is reminded."""

from pathlib import Path

from pydantic import Field

from service.settings.part import Part


class DutySettings(Part):
    """The provider's own legal duties."""

    member_state: str | None = Field(
        default="FR", description="Member State of the provider's main establishment (ISO 3166-1, such as `FR`)."
    )
    region: str | None = Field(
        default=None, description="Region whose public holidays the provider keeps (ISO 3166-2, such as `DE-BY`)."
    )
    sectors: list[str] = Field(
        default_factory=lambda: ["nis2_essential"],
        description="What the provider is: ids of `notifications/duties/sectors.toml`.",
    )
    turnover_eur: int | None = Field(
        default=None,
        gt=0,
        description="Total annual turnover of the year before, in EUR. A loss above 5 % of it, or above 500,000 EUR, "
        "makes an incident significant (2024/2690 art. 3(1)(a)).",
    )
    authorities: dict[str, str] = Field(
        default_factory=dict,
        description="The authority to which each duty is reported, by the id of the duty: "
        '`{ nis2_early_warning = "CERT-FR" }`. It fills the form in which a submission is recorded.',
    )
    reminders_percent: list[int] = Field(
        default_factory=lambda: [50, 75, 90, 100],
        description="Parts of the time of a report after which the people on call are reminded, in percent, ascending.",
    )
    folder: Path | None = Field(
        default=None,
        description="Folder with more files of legal duties (`*.toml`). A file with the id of a bundled act takes its "
        "place.",
    )
