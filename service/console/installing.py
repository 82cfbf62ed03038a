"""Puts the pages into the application."""

from dataclasses import dataclass

from fastapi import FastAPI

from service.access.oidc import OidcSignIn
from service.access.own_credentials import OwnCredentials
from service.access.password_links import PasswordLinks
from service.access.sign_in import SignIn
from service.acknowledge_link import AcknowledgeLinks
from service.console import (
    acknowledge_pages,
    audit_page,
    call_pages,
    channel_page,
    credential_pages,
    erasure_page,
    home,
    link_pages,
    notice_page,
    oidc,
    reachability_page,
    session_pages,
    sign_in_pages,
    static_files,
    verify_page,
    webhooks_page,
)
from service.console.failures import install_page_errors
from service.console.settings import ConsoleSettings


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What pages need beside what the API has."""

    settings: ConsoleSettings
    sign_in: SignIn
    own_credentials: OwnCredentials
    password_links: PasswordLinks
    acknowledge_links: AcknowledgeLinks
    #: None where no OpenID provider is set
    oidc: OidcSignIn | None = None


def install_console(app: FastAPI, parts: ConsoleParts) -> None:
    """Add pages and their error pages; after the error handlers of the API, which stay as they are under ``/api``."""
    app.state.console = parts.settings
    app.state.sign_in = parts.sign_in
    app.state.own_credentials = parts.own_credentials
    app.state.password_links = parts.password_links
    app.state.acknowledge_links = parts.acknowledge_links
    app.state.oidc = parts.oidc
    for router in (
        static_files.router,
        verify_page.router,
        erasure_page.router,
        sign_in_pages.router,
        sign_in_pages.leaving,
        oidc.router,
        link_pages.router,
        acknowledge_pages.of_strangers,
        acknowledge_pages.router,
        home.router,
        notice_page.router,
        audit_page.router,
        channel_page.router,
        call_pages.router,
        reachability_page.router,
        webhooks_page.router,
        credential_pages.router,
        session_pages.router,
    ):
        app.include_router(router)
    install_page_errors(app)
