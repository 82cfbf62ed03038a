"""When people are alerted, and when a customer without a received notice gets further mails or a call."""

from pydantic import Field

from service.settings.part import Part


class AlertSettings(Part):
    """Alerts to the provider's people."""

    lead_seconds: float = Field(
        default=15 * 60,
        gt=0,
        description="Time before its deadline at which an unreleased notice is alerted a last time.",
    )
    grace_seconds: float = Field(
        default=2 * 60, ge=0, description="Time for which a draft is left to its author before its first alert."
    )
    queue_age_seconds: float = Field(
        default=10 * 60,
        gt=0,
        description="Time for which a delivery may be due without an attempt before that is alerted.",
    )
    log_lag_seconds: float = Field(
        default=60,
        gt=0,
        description="Time for which an entry of the log may wait for a signed checkpoint before that is alerted.",
    )
    least_free_bytes: int = Field(
        default=256 * 2**20,
        ge=0,
        description="Free space on the disk of the data folder, below which it counts as full.",
    )


class EscalationSettings(Part):
    """Escalation, where no contact of a customer has received a notice."""

    fallback_lead_seconds: int = Field(
        default=30 * 60,
        gt=0,
        description="Time before its deadline at which a notice goes to every contact that is left. "
        "At half of the time, where that is earlier.",
    )
    call_lead_seconds: int = Field(
        default=15 * 60, gt=0, description="Time before its deadline at which a person must call the customer."
    )
    console_news_seconds: int = Field(
        default=24 * 3600,
        gt=0,
        description="Time in which a customer that chose the console for news of the handling must have it. If nobody"
        " opened it there by half of this time, it is mailed to the contacts.",
    )
