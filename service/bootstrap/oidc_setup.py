"""From the operator's settings to those of signing in by an OpenID provider, checked before anything starts."""

from urllib.parse import urlsplit

from notifications.errors import Fault, InvalidInputError
from service.auth.oidc.claims import MAPPED_ROLES
from service.auth.oidc.provider import verify_issuer_url
from service.auth.oidc.settings import OidcSettings
from service.settings import Settings
from service.web.console.sign_in.oidc import CALLBACK_PATH


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
