"""The parts that pages need, put into the application. The pages themselves are in ``service.web.areas``."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

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


def install_console(app: FastAPI, parts: ConsoleParts) -> None:
    """Add the parts and the error pages; after the error handlers of the API, which stay as they are under ``/api``."""
    app.state.provider = parts.provider
    app.state.sign_in = parts.sign_in
    app.state.own_credentials = parts.own_credentials
    app.state.password_links = parts.password_links
    app.state.acknowledge_links = parts.acknowledge_links
    app.state.oidc = parts.oidc
    app.state.demonstration = parts.demonstration
    # Only ``greffier demo`` offers people to sign in as: no setting does.
    app.state.demo_sign_in = None
    _install_page_errors(app)


def _install_page_errors(app: FastAPI) -> None:
    """Answer unknown addresses with a page too; under ``/api`` nothing changes."""
    otherwise: Callable[[Request, HTTPException], Awaitable[Response]] = app.exception_handlers[HTTPException]  # type: ignore[assignment]  # Starlette types its handlers loosely

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if not request.url.path.startswith("/api/"):
            # Imported here, because it reads the words of all pages.
            from service.web.console.failures import failure_page, wants_html  # noqa: PLC0415

            if wants_html(request):
                return await failure_page(request, error)
        return await otherwise(request, error)
