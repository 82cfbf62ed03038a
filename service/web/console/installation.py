"""Puts the parts that pages need, and the pages for errors, into the application."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from service.web.console.parts import ConsoleParts


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
