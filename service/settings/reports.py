"""Monthly reports and yearly statistics."""

from pydantic import Field, field_validator

from notifications.time_zones import time_zone_names
from service.settings.part import Part


class ReportSettings(Part):
    """Monthly reports (SLA 8) and yearly statistics. A report that was issued does not change with these settings."""

    time_zone: str = Field(
        default="Europe/Paris", description="IANA time zone in which months and years begin at midnight."
    )
    issued_after_days: int = Field(
        default=10,
        ge=1,
        le=90,
        description="Days after the end of a month or a year until its report is issued. What the log gets later is a "
        "correction.",
    )

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        if name not in time_zone_names():
            raise ValueError("is no IANA time zone")
        return name
