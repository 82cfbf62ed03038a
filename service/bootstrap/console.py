"""What pages need, wired; the settings of an OpenID provider are checked before anything starts."""

import contextlib
from urllib.parse import urlsplit

from notifications.errors import Fault, InvalidInputError
from notifications.ports import Clock, Identifiers
from service.auth.oidc.claims import MAPPED_ROLES
from service.auth.oidc.flow import OidcSignIn
from service.auth.oidc.provider import verify_issuer_url
from service.auth.oidc.settings import OidcSettings
from service.auth.sign_in.own_credentials import OwnCredentials
from service.auth.sign_in.password_links import PasswordLinks
from service.auth.sign_in.sign_in import SignIn, SignInSettings
from service.crypto.secret_box import SecretBox
from service.delivery.acknowledge_link import AcknowledgeLinks
from service.ports.store import AccessStore
from service.settings import Settings
from service.web.console.routes import ConsoleParts
from service.web.console.settings import ConsoleSettings
from service.web.console.sign_in.oidc import CALLBACK_PATH


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


def oidc_settings(settings: Settings) -> OidcSettings | None:
    """Return the settings of the provider, or None where none is set; raises InvalidInputError naming what is wrong."""
    if settings.oidc_issuer is None:
        return None
    verify_issuer_url(settings.oidc_issuer)
    faults = [
        Fault(f"oidc_roles.{value}", f"{role} is none of {', '.join(sorted(MAPPED_ROLES))}")
        for value, role in settings.oidc_roles.items()
        if role not in MAPPED_ROLES
    ]
    if not settings.oidc_client_id:
        faults.append(Fault("oidc_client_id", "is needed with oidc_issuer"))
    if "openid" not in settings.oidc_scopes.split():
        faults.append(Fault("oidc_scopes", "must hold openid"))
    if settings.oidc_roles and settings.oidc_role_claim is None:
        faults.append(Fault("oidc_role_claim", "is needed with oidc_roles"))
    if settings.console_url is None:
        faults.append(Fault("console_url", "is needed with oidc_issuer: the provider sends browsers back there"))
    if faults:
        raise InvalidInputError(*faults)
    own = urlsplit(settings.console_url or "")
    return OidcSettings(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_secret(),
        redirect_uri=f"{own.scheme}://{own.netloc}{CALLBACK_PATH}",
        scopes=settings.oidc_scopes,
        role_claim=settings.oidc_role_claim,
        roles=settings.oidc_roles,
        customer_claim=settings.oidc_customer_claim,
        customers=settings.oidc_customers,
        create_accounts=settings.oidc_create_accounts,
        trust_email=settings.oidc_trust_email,
        clock_skew_seconds=settings.oidc_clock_skew_seconds,
        require_acr=settings.oidc_require_acr,
        require_amr=settings.oidc_require_amr,
        ca_file=settings.oidc_ca_file,
        timeout_seconds=settings.oidc_timeout_seconds,
        default_language=settings.default_language,
    )
