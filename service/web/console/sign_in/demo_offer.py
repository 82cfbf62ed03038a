"""What the sign-in page of the demonstration offers. The product offers nothing of it, and has no route that takes it.

Only ``greffier demo`` puts a ``DemoSignIn`` into the running application; no setting does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class OfferedPerson:
    """A person that one click signs in as."""

    #: ``analyst``, ``approver``, ``customer`` or ``auditor``: also names the words of what the person can do
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class DemoOffer:
    """The buttons of one page."""

    people: Sequence[OfferedPerson]
    #: proves that our own page sent the form
    token: str = field(repr=False)


class DemoSignIn(Protocol):
    """Offers the people of the demonstration to a browser on this machine."""

    def offered_to(self, request: Request) -> DemoOffer | None:
        """Return the offer, or None to a request that does not come from this machine."""
        ...


def demo_offer(request: Request) -> DemoOffer | None:
    """Return what the running application offers; None everywhere but in the demonstration."""
    demo: DemoSignIn | None = request.app.state.demo_sign_in
    return None if demo is None else demo.offered_to(request)
