"""The language of the pages in one browser, chosen before or after the sign-in and kept in a cookie."""

from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from notifications.errors import Fault, InvalidInputError
from notifications.incident import LANGUAGES
from service.auth.route_guard import open_to_strangers
from service.web.console.failures import PageRoute
from service.web.console.forms import DEVICE_SECONDS, form_of, give_cookie, local_path, see_other, verify_our_page
from service.web.console.rendering import LANGUAGE_COOKIE

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(open_to_strangers)])


@router.post("/sign-in/language")
async def choose_language(request: Request) -> Response:
    """Keep the choice in this browser and show the sign-in; a person who is signed in goes on to its page."""
    verify_our_page(request)
    form = await form_of(request)
    if form["language"] not in LANGUAGES:
        raise InvalidInputError(Fault("language", f"must be one of {', '.join(LANGUAGES)}"))
    answer = see_other(f"/sign-in?return_to={quote(local_path(form['return_to']), safe='')}")
    give_cookie(answer, LANGUAGE_COOKIE, form["language"], seconds=DEVICE_SECONDS)
    return answer
