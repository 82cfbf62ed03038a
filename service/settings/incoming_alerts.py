"""How alerts of other systems become drafts of incidents."""

from typing import Annotated

from pydantic import Field

from service.settings.part import Part

Name = Annotated[str, Field(min_length=1, max_length=200)]


class IncomingAlertSettings(Part):
    """Alerts that come in by `POST /api/v1/alerts`, and which of their labels and annotations fill in which fact."""

    title: tuple[Name, ...] = Field(
        default=("summary", "title", "alertname"),
        description="Annotations or labels that the title is taken from, the first that is there.",
    )
    summary: tuple[Name, ...] = Field(
        default=("description", "message", "summary"),
        description="Annotations or labels that the summary is taken from, the first that is there.",
    )
    services: tuple[Name, ...] = Field(default=("service",), description="Labels that name services.")
    regions: tuple[Name, ...] = Field(default=("region",), description="Labels that name regions.")
    availability_zones: tuple[Name, ...] = Field(
        default=("zone", "availability_zone"), description="Labels that name availability zones."
    )
    severity: tuple[Name, ...] = Field(default=("severity",), description="Labels that state how severe it is.")
    impacts: dict[str, str] = Field(
        default={"critical": "I1", "warning": "I2"},
        description="Impact level by severity in small letters. A severity that is not here leaves the impact unknown.",
    )
    alerts_per_request: int = Field(
        default=200, ge=1, le=2_000, description="Alerts in one request. A request with more is refused."
    )
    open_drafts: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="Drafts of alerts that wait for a person. Beyond it new alerts are answered with 503, so that the "
        "sender tries again.",
    )
