"""What pages need to know of the installation."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """How the installation names itself to the people who use its pages."""

    provider_name: str
    #: who is asked when something does not work
    contact_name: str
    contact_email: str
    #: where browsers reach the service, such as ``https://greffier.example``
    origin: str
    #: language of a stranger whose browser asks for none that there is
    default_language: str = "fr"
    #: whether people may sign in by the organisation's OpenID provider
    oidc_enabled: bool = False
