"""TLS to the relay."""

import ssl

from notifications.errors import Fault, InvalidInputError
from service.settings.mail import MailSettings


def tls_context(settings: MailSettings) -> ssl.SSLContext | None:
    """Return a context that verifies certificate and host name, or None for a connection without TLS.

    Raises InvalidInputError if the CA file cannot be used.
    """
    if settings.tls == "none":
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise InvalidInputError(Fault("mail.ca_file", f"cannot be used: {error}")) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
