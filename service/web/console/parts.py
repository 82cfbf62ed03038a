"""The parts of the service that pages need. The pages themselves are in ``service.web.areas``."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.auth.sign_in.own_credentials import OwnCredentials
from service.auth.sign_in.password_links import PasswordLinks
from service.auth.sign_in.sign_in import SignIn
from service.delivery.acknowledge_link import AcknowledgeLinks
from service.settings.provider import ProviderSettings

if TYPE_CHECKING:
    from service.auth.oidc.flow import OidcSignIn

#: Where an OpenID provider sends browsers back to.
CALLBACK_PATH = "/sign-in/oidc/callback"


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What pages need beside what the API has."""

    provider: ProviderSettings
    sign_in: SignIn
    own_credentials: OwnCredentials
    password_links: PasswordLinks
    acknowledge_links: AcknowledgeLinks
    #: None where no OpenID provider is set
    oidc: "OidcSignIn | None" = None
    #: parts that are for demonstration only, such as ``signing_key``; each page says so
    demonstration: tuple[str, ...] = ()
