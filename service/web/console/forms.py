"""Forms: the fields, the proof that a page of this service sent the form, the redirect after it, and cookies."""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from notifications.errors import Fault, InvalidInputError
from notifications.ports import StoredResponse
from notifications.use_cases.audit_context import AuditContext
from service.auth.authentication import SESSION_COOKIE, CsrfError, client_address
from service.auth.route_guard import Access
from service.auth.sign_in.sessions import DEVICE_COOKIE, PENDING_COOKIE, Browser, SignedIn
from service.ports.store import AccessTransaction

SchemaT = TypeVar("SchemaT", bound=BaseModel)

_MAX_PATH_CHARACTERS = 500
_MAX_FIELD_CHARACTERS = 20_000
#: Characters of one field of facts or of an announcement that the form gives back when it is shown again.
LONGEST_FIELD = 200_000
_FORM_ID_CHARACTERS = 40
#: Fields that carry a form: a new sign-in changes the one, saving a draft the other.
_CARRIERS = frozenset({"csrf_token", "draft_version"})
_SEE_OTHER = 303
#: No version, and no place in a list, is longer.
_NUMBER_CHARACTERS = 11
#: How long a browser stays known after a person signed in with it.
DEVICE_SECONDS = 400 * 24 * 3600


class Form:
    """The fields of a form, as text. A field is empty if it is missing, a file, or far too long."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        """Return the first value of a field."""
        return next(iter(self._fields.get(name, ())), "")

    def all(self, name: str) -> list[str]:
        """Return all values of a field, for example of checkboxes."""
        return list(self._fields.get(name, ()))

    def items(self) -> Iterator[tuple[str, list[str]]]:
        """Return every field with its values."""
        yield from ((name, list(values)) for name, values in self._fields.items())


def stated_number(text: str) -> int | None:
    """Return the whole number that a form or an address states, or None if it states none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _NUMBER_CHARACTERS else None


def stated_version(text: str) -> int:
    """Return the version that a form was shown at; 0, which no record has, if it states none."""
    return stated_number(text) or 0


async def form_of(request: Request, longest: int = _MAX_FIELD_CHARACTERS) -> Form:
    """Return the form of a request; raises HTTPException 400 if the form is malformed.

    ``longest``: characters of one field. A page that gives back what was typed takes more than it accepts.
    """
    fields: dict[str, list[str]] = {}
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str) and len(value) <= longest:
            fields.setdefault(name, []).append(value)
    return Form(fields)


def stated(schema: type[SchemaT], fields: Mapping[str, object]) -> SchemaT:
    """Return what a form states, as the API takes it; raises InvalidInputError with the fields that are wrong."""
    try:
        return schema.model_validate(fields)
    except ValidationError as error:
        raise InvalidInputError(*(Fault(str(each["loc"][0]), each["msg"]) for each in error.errors())) from None


def verify_our_page(request: Request) -> None:
    """Raise CsrfError unless a page of this service sent the form. For forms before sign-in, which have no session.

    1. If the browser states the site of the request, it is this site.
    2. If the browser states the origin, it is this origin; ``null`` means no origin and proves nothing.
    Programs that are not browsers state neither. They hold no cookies of a person that could be misused.
    """
    # 1.
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise CsrfError("the form comes from another site")
    # 2.
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise CsrfError("the form comes from another origin")


def verify_not_another_site(request: Request) -> None:
    """Raise CsrfError if the browser states that another site sent the form.

    For links that carry their own secret. Their pages send no referrer, so there is no origin to compare.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise CsrfError("the form comes from another site")


def new_form_id() -> str:
    """Return the identifier that a shown form carries, so that sending it twice does its work once."""
    return secrets.token_urlsafe(16)


async def write_once(access: Access, form: Form, work: Callable[[AccessTransaction, AuditContext], str]) -> Response:
    """Run the change that a form asks for, once for each time that the form was shown, and go to the page it returns.

    1. What the path names must be within the caller's scope now.
    2. A form that was sent before, by a double click or a reload, leads to the page that its first sending led to.
    3. Else the change and the page are recorded in one transaction. A change that fails records nothing: the form is
       shown again, with the same identifier, and can be sent again.
    Sent before means sent with the same fields: what a person goes back to and changes is another change.
    A form without an identifier is not recorded. ``form.once`` in ``templates/forms.html.jinja`` is the field.
    """
    form_id = form["form_id"]

    def unit(tx: AccessTransaction, act: AuditContext) -> str:
        # 1.
        access.verify_named(tx)
        if not form_id:
            return work(access.view(tx), act)
        # 2.
        sent = f"{form_id[:_FORM_ID_CHARACTERS]}:{_digest_of(form)}"
        key = f"{access.actor}:form:{access.operation}:{sent}"
        stored = tx.responses.get(key)
        if stored is not None:
            return stored.body.decode()
        # 3.
        path = work(access.view(tx), act)
        tx.responses.add(key, StoredResponse(b"", _SEE_OTHER, path.encode(), ()), act.now)
        return path

    act = access.act()
    return see_other(await access.store.write(lambda tx: unit(tx, act)))


def _digest_of(form: Form) -> str:
    """Return the digest of what a form states, without the fields that differ between two sendings of the same."""
    stated = sorted((name, values) for name, values in form.items() if name not in _CARRIERS)
    return hashlib.sha256(json.dumps(stated).encode()).hexdigest()


def local_path(wanted: str) -> str:
    """Return the path if it is a path of this service, else ``/``."""
    is_local = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and len(wanted) <= _MAX_PATH_CHARACTERS
    if not is_local or "\\" in wanted or not wanted.isprintable() or not wanted.isascii():
        return "/"
    parts = urlsplit(wanted)
    return "/" if parts.scheme or parts.netloc or parts.path.startswith("/sign-") else wanted


def browser_of(request: Request) -> Browser:
    """Return the address and the browser name of a request."""
    return Browser(
        address=client_address(request),
        user_agent=request.headers.get("user-agent", ""),
        device=request.cookies.get(DEVICE_COOKIE),
    )


def see_other(path: str) -> Response:
    """Return the redirect to a page after a form."""
    return RedirectResponse(path, _SEE_OTHER)


def give_session(response: Response, signed_in: SignedIn) -> None:
    """Set the cookie of the new session, and remove the cookies that were only needed to sign in."""
    give_cookie(response, SESSION_COOKIE, signed_in.session_secret)
    give_device(response, signed_in.device)
    take_cookie(response, PENDING_COOKIE)


def give_device(response: Response, device: str) -> None:
    """Set the cookie by which the browser is known the next time."""
    give_cookie(response, DEVICE_COOKIE, device, seconds=DEVICE_SECONDS)


def give_cookie(response: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """Set a cookie that no script can read and that the browser returns only to this host, only over TLS.

    Without ``seconds`` the cookie ends when the browser closes.
    """
    response.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def take_cookie(response: Response, name: str) -> None:
    """Remove a cookie. A ``__Host-`` cookie is removed only with the attributes with which it was set."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
