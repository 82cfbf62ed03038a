"""What pages need, wired."""

import contextlib
from urllib.parse import urlsplit

from notifications.ports import Clock, Identifiers
from service.auth.oidc.flow import OidcSignIn
from service.auth.sign_in.own_credentials import OwnCredentials
from service.auth.sign_in.password_links import PasswordLinks
from service.auth.sign_in.sign_in import SignIn, SignInSettings
from service.bootstrap.oidc_setup import oidc_settings
from service.crypto.secret_box import SecretBox
from service.delivery.acknowledge_link import AcknowledgeLinks
from service.ports.store import AccessStore
from service.settings import Settings
from service.web.console.routes import ConsoleParts
from service.web.console.settings import ConsoleSettings


def console_parts(
    settings: Settings,
    store: AccessStore,
    clock: Clock,
    identifiers: Identifiers,
    box: SecretBox,
    stack: contextlib.AsyncExitStack,
) -> ConsoleParts:
    """Return what pages need; without an address of the console they are meant for this machine."""
    stated = urlsplit(settings.console_url or "http://localhost")
    origin = f"{stated.scheme}://{stated.netloc}"
    of_sign_in = SignInSettings(origin=origin)
    parts = (store, clock, identifiers, box, of_sign_in)
    sign_in, of_oidc = SignIn(*parts), oidc_settings(settings)
    oidc = None if of_oidc is None else OidcSignIn(store, clock, identifiers, box, of_oidc, sign_in)
    if oidc is not None:
        stack.push_async_callback(oidc.aclose)
    return ConsoleParts(
        settings=ConsoleSettings(
            provider_name=settings.provider_name,
            contact_name=settings.contact_name,
            contact_email=settings.contact_email,
            origin=origin,
            default_language=settings.default_language,
            oidc_enabled=oidc is not None,
        ),
        sign_in=sign_in,
        own_credentials=OwnCredentials(*parts),
        password_links=PasswordLinks(*parts),
        acknowledge_links=AcknowledgeLinks(box, settings.console_url or origin),
        oidc=oidc,
    )
