"""Build the parts of the console; the settings of an OpenID provider are checked before anything starts."""

import contextlib

from notifications.errors import Fault, InvalidInputError
from notifications.ports import Clock, Identifiers
from service.auth.oidc.claims import MAPPED_ROLES
from service.auth.sign_in.own_credentials import OwnCredentials
from service.auth.sign_in.password_links import PasswordLinks
from service.auth.sign_in.sign_in import SignIn, SignInSettings
from service.bootstrap.signing import demonstration_parts
from service.crypto.secret_box import SecretBox
from service.delivery.acknowledge_link import AcknowledgeLinks
from service.ports.store import AccessStore
from service.settings import Settings
from service.settings.oidc import OidcSettings
from service.web.console.parts import CALLBACK_PATH, ConsoleParts


def build_console(
    settings: Settings,
    store: AccessStore,
    clock: Clock,
    identifiers: Identifiers,
    secret_box: SecretBox,
    stack: contextlib.AsyncExitStack,
) -> ConsoleParts:
    """Return the parts of the console; the stack closes them. Raises InvalidInputError."""
    provider = settings.provider
    parts = (store, clock, identifiers, secret_box, SignInSettings(provider.origin))
    sign_in, oidc = SignIn(*parts), None
    if (of_oidc := oidc_settings(settings)) is not None:
        from service.auth.oidc.flow import OidcSignIn  # noqa: PLC0415 - most installations have no OpenID provider

        oidc = OidcSignIn(
            store,
            clock,
            identifiers,
            secret_box,
            of_oidc,
            sign_in,
            redirect_uri=f"{provider.origin}{CALLBACK_PATH}",
            default_language=provider.default_language,
        )
        stack.push_async_callback(oidc.aclose)
    return ConsoleParts(
        provider=provider,
        sign_in=sign_in,
        own_credentials=OwnCredentials(*parts),
        password_links=PasswordLinks(*parts),
        acknowledge_links=AcknowledgeLinks(secret_box, provider.console_url or provider.origin),
        oidc=oidc,
        demonstration=demonstration_parts(settings),
    )


def oidc_settings(settings: Settings) -> OidcSettings | None:
    """Return the checked settings of the OpenID provider, or None if none is set; raises InvalidInputError."""
    oidc = settings.oidc
    if not oidc.issuer:
        return None
    from service.auth.oidc.provider import verify_issuer_url  # noqa: PLC0415 - as above

    verify_issuer_url(oidc.issuer)
    faults = [
        Fault(f"oidc.roles.{value}", f"{role} is not one of {', '.join(sorted(MAPPED_ROLES))}")
        for value, role in oidc.roles.items()
        if role not in MAPPED_ROLES
    ]
    if not oidc.client_id:
        faults.append(Fault("oidc.client_id", "is needed with oidc.issuer"))
    if "openid" not in oidc.scopes.split():
        faults.append(Fault("oidc.scopes", "must contain openid"))
    if oidc.roles and oidc.role_claim is None:
        faults.append(Fault("oidc.role_claim", "is needed with oidc.roles"))
    if settings.provider.console_url is None:
        reason = "is needed with oidc.issuer: the OpenID provider sends browsers back there"
        faults.append(Fault("provider.console_url", reason))
    if faults:
        raise InvalidInputError(*faults)
    oidc.secret()
    return oidc
