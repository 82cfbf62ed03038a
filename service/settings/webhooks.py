"""The settings of webhooks."""

from pathlib import Path

from pydantic import Field

from service.settings.part import Part


class WebhookSettings(Part):
    """Webhooks: posts to customers' own systems."""

    ca_file: Path | None = Field(
        default=None,
        description="CA bundle for the receivers' certificates. Without it, the CA certificates of the system.",
    )
    allow_private: bool = Field(
        default=False,
        description="Receivers may have private, loopback and link-local addresses. "
        "Set it only where every customer is a part of your own network.",
    )
    timeout_seconds: float = Field(default=30, gt=0, le=120, description="Time for one post.")
    failing_days: float = Field(
        default=5, gt=0, le=365, description="An endpoint that has taken nothing for this time is disabled."
    )
    at_once_per_host: int = Field(default=4, ge=1, description="Posts under way at once to one host.")
    per_minute_per_host: int | None = Field(
        default=None, ge=1, description="Posts that each process begins in a minute to one host. Without it, no limit."
    )
