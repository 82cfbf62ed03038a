"""From a template and its values to an answer: escaped, in the reader's language, with the headers of a page."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from notifications.canonical_json import timestamp_text
from notifications.incident import LANGUAGES
from notifications.wording import words
from notifications.wording.exercise import exercise_mark
from notifications.wording.formats import moment, set_in_french
from service.auth.caller import Caller
from service.auth.permissions import Permission
from service.settings.provider import ProviderSettings
from service.web.console.answers import meaning_of, meaning_of_status
from service.web.console.catalogues import CATALOGUES, has_text, language_of, text
from service.web.console.forms import new_form_id
from service.web.console.navigation import areas_of
from service.web.console.static_files import static_path

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

#: The language that a person chose in this browser; it is for pages only, and no secret.
LANGUAGE_COOKIE = "__Host-greffier-language"
#: A moment in a line that the service wrote for programs and people, such as the line of an alert.
_TIMESTAMP = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")

_environment = Environment(
    loader=PackageLoader("service.web.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

#: How clauses name the GDPR; the names of the other acts are the same in every language.
_GDPR = {"fr": "RGPD", "de": "DSGVO"}


@pass_context
def _typeset(context: Context, said: str) -> str:
    """Return a text or a clause of the law or of an agreement as the page's language writes it."""
    named = re.sub(r"\bGDPR\b", _GDPR.get(context["language"], "GDPR"), said)
    return set_in_french(named) if context["language"] == "fr" else named


_environment.filters["typeset"] = _typeset
_environment.globals |= {"meaning_of": meaning_of, "meaning_of_status": meaning_of_status}


def provider_of(request: Request) -> ProviderSettings:
    """Return how the provider names itself on its pages."""
    provider: ProviderSettings = request.app.state.provider
    return provider


def reader_language(request: Request, caller: Caller | None) -> str:
    """Return the language to speak: as chosen in this browser, of the account, the browser, the installation."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in CATALOGUES:
        return chosen
    if caller is not None:
        return caller.language
    return language_of(request.headers.get("accept-language", ""), provider_of(request).default_language)


def reader_zone(caller: Caller) -> str:
    """Return the zone in which a person reads and types times; UTC where neither it nor a customer names one."""
    return caller.time_zone or "UTC"


def page(
    request: Request,
    template: str,
    caller: Caller | None,
    values: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    secret_in_path: bool = False,
    frames: bool = False,
    language: str | None = None,
) -> Response:
    """Return the page that a template makes. The value ``exercise`` marks the whole page.

    ``secret_in_path``: the browser must not send the address of the page to anybody, not even to this service. On other
    pages it may send this service's origin to this service: the forms are checked by it. ``frames``: the page
    shows one of our own. ``language``: of the reader where we know it by other means than its account and its browser.
    """
    language = language or reader_language(request, caller)

    def say(key: str, **filled: object) -> str:
        return text(key, language, **filled)

    def with_moments(line: str) -> str:
        return _TIMESTAMP.sub(lambda found: shown_moment(datetime.fromisoformat(found[0])), line)

    def shown_moment(at: datetime, time_zone: str = "UTC") -> str:
        # In the reader's own zone; in the one that the page names, such as the customer's, only where there is none.
        own = None if caller is None else caller.time_zone
        return moment(timestamp_text(at), language, own or time_zone)

    content = _environment.get_template(f"{template}.html.jinja").render(
        **(values or {}),
        t=say,
        has=lambda key: has_text(key, language),
        words=lambda identifier: words(identifier, language),
        moment=shown_moment,
        with_moments=with_moments,
        colon=set_in_french(" :") if language == "fr" else ":",
        iso=timestamp_text,
        static=static_path,
        new_form_id=new_form_id,
        areas=() if caller is None else tuple(areas_of(caller)),
        exercise_mark=exercise_mark(language),
        language=language,
        page_languages=[(name, text("layout.language_name", name)) for name in LANGUAGES],
        caller=caller,
        may=lambda name: caller is not None and caller.scope(Permission(name)) is not None,
        provider=provider_of(request),
        demonstration=request.app.state.demonstration,
    )
    policy = f"{_POLICY}; frame-src 'self'" if frames else _POLICY
    return HTMLResponse(
        content,
        status,
        {
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer" if secret_in_path else "same-origin",
            "Cache-Control": "no-store",
            "Content-Language": language,
            "Vary": "Accept, Accept-Language, Cookie",
            **(headers or {}),
        },
    )
