"""What delivers, wired: channels by their settings."""

from service.channels.email_smtp import SmtpSettings
from service.settings import Settings


def smtp_settings(settings: Settings) -> SmtpSettings:
    """Return how the mail channel reaches its relay."""
    return SmtpSettings(
        host=settings.smtp_host or "",
        port=settings.smtp_port,
        tls=settings.smtp_tls,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
        ca_file=settings.smtp_ca_file,
        connections=settings.smtp_connections,
        send_timeout_seconds=settings.smtp_send_timeout_seconds,
    )
