"""Build the parts for bounces: return paths for outgoing mail, and the listener that receives bounces."""

import contextlib
import secrets
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from notifications.errors import Fault, InvalidInputError
from notifications.mail.return_path import ReturnPaths
from notifications.ports import Clock, DueDelivery
from service.bootstrap.core import Core
from service.crypto.master_key import return_path_key
from service.delivery.bounces import BounceIntake
from service.settings.mail import BounceSettings

if TYPE_CHECKING:
    from service.channels.bounce_listener import BounceListener


def return_paths(settings: BounceSettings, masters: Sequence[bytes]) -> ReturnPaths | None:
    """Return the maker and verifier of return paths; None if no domain is set.

    Raises InvalidInputError for an invalid domain, and for a listener without a domain.
    """
    if settings.domain is None:
        if settings.listen_port is not None:
            raise InvalidInputError(
                Fault(
                    "bounces.domain",
                    "is needed with bounces.listen_port: the listener accepts mail only for return paths",
                )
            )
        return None
    return ReturnPaths(settings.domain.lower(), tuple(return_path_key(master) for master in masters))


def return_path_of(
    settings: BounceSettings, masters: Sequence[bytes], clock: Clock
) -> Callable[[DueDelivery], str] | None:
    """Return the function that gives the next attempt of a delivery its return path.

    None if no domain is set: then bounces go to the sender address.
    """
    paths = return_paths(settings, masters)
    if paths is None:
        return None
    return lambda due: paths.address_of(due.delivery.id, due.delivery.attempts + 1, clock.now())


async def start_bounce_listener(core: Core, stack: contextlib.AsyncExitStack) -> "BounceListener | None":
    """Start the listener if its port is set; the stack stops it. Raises InvalidInputError."""
    settings = core.settings.bounces
    paths = return_paths(settings, core.masters)
    if paths is None or settings.listen_port is None:
        return None
    from service.channels.bounce_listener import BounceListener  # noqa: PLC0415 - a listener needs an SMTP server

    intake = BounceIntake(
        core.store,
        core.settings.provider,
        clock=core.clock,
        identifiers=core.identifiers,
        jitter=secrets.SystemRandom().random,
    )
    return await stack.enter_async_context(BounceListener(paths, intake.receive, core.clock, settings))
