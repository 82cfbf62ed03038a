"""Puts the pages into the application."""

from dataclasses import dataclass

from fastapi import FastAPI

from service.auth.oidc.flow import OidcSignIn
from service.auth.sign_in.own_credentials import OwnCredentials
from service.auth.sign_in.password_links import PasswordLinks
from service.auth.sign_in.sign_in import SignIn
from service.delivery.acknowledge_link import AcknowledgeLinks
from service.settings.provider import ProviderSettings
from service.web.api.schemas import add_routes
from service.web.console import static_files
from service.web.console.failures import install_page_errors
from service.web.console.pages import (
    acknowledge_pages,
    announcement_pages,
    board_page,
    call_pages,
    channel_page,
    customer_contacts,
    customer_data,
    customer_law,
    customer_levels,
    customer_members,
    customer_trail,
    declare_page,
    drafts_page,
    erasure_page,
    home,
    inbox_page,
    incident,
    inventory_import,
    inventory_pages,
    letter_pages,
    notice_list,
    notice_page,
    own_duties_page,
    question_pages,
    reachability_page,
    search_page,
    verify_page,
    webhooks_page,
)
from service.web.console.pages.administration import (
    account_forms,
    account_list,
    alerts_page,
    health_page,
    index_page,
    keys_page,
    settings_page,
)
from service.web.console.pages.audit import bundles_page, entries_page, heads_page, report_page
from service.web.console.pages.customers import erasure_order, form_page, import_page, list_page, overview_page
from service.web.console.pages.reports import reports_page
from service.web.console.sign_in import (
    credential_pages,
    language_choice,
    link_pages,
    oidc,
    session_pages,
    sign_in_pages,
)


@dataclass(frozen=True, slots=True)
class ConsoleParts:
    """What pages need beside what the API has."""

    provider: ProviderSettings
    sign_in: SignIn
    own_credentials: OwnCredentials
    password_links: PasswordLinks
    acknowledge_links: AcknowledgeLinks
    #: None where no OpenID provider is set
    oidc: OidcSignIn | None = None
    #: parts that are for demonstration only, such as ``signing_key``; each page says so
    demonstration: tuple[str, ...] = ()


def install_console(app: FastAPI, parts: ConsoleParts) -> None:
    """Add pages and their error pages; after the error handlers of the API, which stay as they are under ``/api``."""
    app.state.provider = parts.provider
    app.state.sign_in = parts.sign_in
    app.state.own_credentials = parts.own_credentials
    app.state.password_links = parts.password_links
    app.state.acknowledge_links = parts.acknowledge_links
    app.state.oidc = parts.oidc
    app.state.demonstration = parts.demonstration
    # Only ``greffier demo`` offers people to sign in as: no setting does.
    app.state.demo_sign_in = None
    add_routes(
        app,
        static_files.router,
        verify_page.router,
        erasure_page.router,
        sign_in_pages.router,
        sign_in_pages.leaving,
        language_choice.router,
        oidc.router,
        link_pages.router,
        acknowledge_pages.of_strangers,
        acknowledge_pages.router,
        home.router,
        # Before what takes an identifier in the place of ``new``.
        declare_page.router,
        board_page.router,
        search_page.router,
        drafts_page.router,
        notice_list.router,
        notice_page.router,
        own_duties_page.router,
        question_pages.router,
        inbox_page.router,
        report_page.router,
        entries_page.router,
        heads_page.router,
        bundles_page.router,
        reports_page.router,
        channel_page.router,
        announcement_pages.router,
        letter_pages.router,
        call_pages.router,
        reachability_page.router,
        webhooks_page.router,
        inventory_import.router,
        inventory_pages.router,
        customer_contacts.router,
        customer_levels.router,
        customer_law.router,
        customer_members.router,
        customer_trail.router,
        customer_data.router,
        # Before what takes an identifier in the place of ``new``.
        list_page.router,
        form_page.router,
        import_page.router,
        overview_page.router,
        index_page.router,
        alerts_page.router,
        health_page.router,
        keys_page.router,
        settings_page.router,
        account_list.router,
        account_forms.router,
        erasure_order.router,
        credential_pages.router,
        session_pages.router,
        *incident.routers,
    )
    install_page_errors(app)
