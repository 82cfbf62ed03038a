"""Sessions: started with a secret that was never seen before, replaced when a credential changes, ended one or all."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from service.access.records import CUSTOMER_ROLES, Account, Grant

#: Binds a sign-in half way to one browser; gone when the browser closes.
PENDING_COOKIE = "__Host-greffier-pending"
#: Says that someone signed in from this browser before; outlives sessions.
DEVICE_COOKIE = "__Host-greffier-device"
_USER_AGENT_CHARACTERS = 200
#: Ways to sign in that rest on one factor of ours.
_ONE_FACTOR = frozenset({"password"})


@dataclass(frozen=True, slots=True)
class Browser:
    """What a request says of where it comes from. Nothing of it is believed; ``device`` is checked by its MAC."""

    #: network address, as ``authenticating.client_address`` gives it
    address: str
    user_agent: str = ""
    #: value of ``DEVICE_COOKIE``, where there is one
    device: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person is signed in: what its browser is to be given."""

    account: Account
    session_id: UUID
    #: value of ``SESSION_COOKIE``; new at each sign-in and at each change of a credential, never one that was sent to us
    session_secret: str = field(repr=False)
    #: absolute end of the session
    expires_at: datetime
    #: value of ``DEVICE_COOKIE``
    device: str = field(repr=False)
    method: str
    #: a person at the provider that has no second factor: to be sent to enrolment, and nowhere else
    must_enrol: bool


def must_enrol(method: str, grants: tuple[Grant, ...]) -> bool:
    """Whether a session by this method needs a second factor before anything else: at the provider, by password alone.

    What an identity provider asks of its users is that provider's affair: ``oidc`` is not asked for more.
    """
    return method in _ONE_FACTOR and any(grant.role not in CUSTOMER_ROLES for grant in grants)
