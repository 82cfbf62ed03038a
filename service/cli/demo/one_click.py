"""One click signs in as a person of the demonstration: only on this machine, only from a page of its own."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from notifications.errors import NotFoundError
from service.auth.authentication import CsrfError
from service.auth.route_guard import open_to_strangers, verify_every_route_declares
from service.auth.sign_in.sign_in import SignInRefusedError
from service.ports.accounts import Account
from service.web.console.failures import PageRoute
from service.web.console.forms import browser_of, form_of, give_session, see_other
from service.web.console.sign_in.account_page import sign_in_of
from service.web.console.sign_in.demo_offer import DemoOffer, OfferedPerson

PATH = "/demo/sign-in"
_METHOD = "demo"
#: What a proxy adds: a request through one may come from anywhere.
_OF_PROXIES = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """A person of the demonstration."""

    #: names the words of what the person can do
    key: str
    account: Account


class OneClickSignIn:
    """Implements ``DemoSignIn``, and answers its form."""

    def __init__(self, people: Sequence[DemoPerson], port: int) -> None:
        self._people = {person.key: person for person in people}
        self._hosts = frozenset(f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]"))
        self._token = secrets.token_urlsafe(32)

    def offered_to(self, request: Request) -> DemoOffer | None:
        """Return the offer, or None to a request that does not come from this machine."""
        try:
            self._verify_local(request)
        except CsrfError:
            return None
        people = [OfferedPerson(person.key, person.account.name) for person in self._people.values()]
        return DemoOffer(people, self._token)

    async def sign_in(self, request: Request) -> Response:
        """Start a session of a person; raises CsrfError and NotFoundError.

        1. The connection is from this machine, through no proxy, to a name of this machine.
        2. The browser says that our own page sent the form, and the form carries what only our page shows.
        """
        # 1.
        self._verify_local(request)
        # 2.
        if request.headers.get("origin") != f"http://{request.headers['host']}":
            raise CsrfError("the form of the demonstration comes from another origin, or from none")
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise CsrfError("the form of the demonstration comes from another site")
        form = await form_of(request)
        if not hmac.compare_digest(form["demo_token"].encode("utf-8", "replace"), self._token.encode()):
            raise CsrfError("the proof that our own page sent this is missing or wrong")
        person = self._people.get(form["person"])
        if person is None:
            raise NotFoundError("person of the demonstration", "")
        try:
            signed_in = await sign_in_of(request).start_session(person.account, _METHOD, browser_of(request))
        except SignInRefusedError:
            # Somebody made the account inactive, to see what happens.
            raise NotFoundError("active person of the demonstration", "") from None
        answer = see_other("/")
        give_session(answer, signed_in)
        return answer

    def _verify_local(self, request: Request) -> None:
        """Raise CsrfError unless the request comes from this machine and names it."""
        if request.client is None or not _is_loopback(request.client.host):
            raise CsrfError("the demonstration signs in on its own machine alone")
        if any(name in request.headers for name in _OF_PROXIES):
            raise CsrfError("the demonstration signs in through no proxy")
        if request.headers.get("host") not in self._hosts:
            raise CsrfError("the demonstration signs in under a name of its own machine alone")


def install_one_click(app: FastAPI, people: Sequence[DemoPerson], port: int) -> None:
    """Add the way to sign in to a running application of the demonstration."""
    one_click = OneClickSignIn(people, port)
    router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[Depends(open_to_strangers)])
    router.add_api_route(PATH, one_click.sign_in, methods=["POST"])
    app.include_router(router)
    app.state.demo_sign_in = one_click
    verify_every_route_declares(router.routes, undeclared=frozenset())


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
