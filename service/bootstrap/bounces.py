"""What comes back, wired: return paths for what leaves, and the listener that takes what comes to them."""

import contextlib
import secrets
from collections.abc import Callable, Sequence

from notifications.errors import Fault, InvalidInputError
from notifications.mail.return_path import ReturnPaths
from notifications.ports import Clock, DueDelivery
from service.bootstrap.core import Core
from service.channels.bounce_listener import BounceListener, ListenerSettings
from service.crypto.master_key import return_path_key
from service.delivery.bounces import BounceIntake
from service.monitoring.alerts import AlertSettings
from service.settings import Settings


def return_paths(settings: Settings, masters: Sequence[bytes]) -> ReturnPaths | None:
    """Return what makes and knows return paths, None without a domain for them.

    Raises InvalidInputError for a domain that cannot be, and for a listener without one.
    """
    if settings.bounce_domain is None:
        if settings.bounce_listen_port is not None:
            raise InvalidInputError(Fault("bounce_domain", "is needed for a listener: it takes return paths alone"))
        return None
    return ReturnPaths(settings.bounce_domain.lower(), tuple(return_path_key(master) for master in masters))


def return_path_of(settings: Settings, masters: Sequence[bytes], clock: Clock) -> Callable[[DueDelivery], str] | None:
    """Return what gives the next attempt of a delivery its return path, None where failures go to the sender."""
    paths = return_paths(settings, masters)
    if paths is None:
        return None
    return lambda due: paths.address_of(due.delivery.id, due.delivery.attempts + 1, clock.now())


async def listening_for_returns(
    ground: Core, alerts: AlertSettings, stack: contextlib.AsyncExitStack
) -> BounceListener | None:
    """Start the listener where a port is set; the stack stops it. Raises InvalidInputError."""
    settings = ground.settings
    paths = return_paths(settings, ground.masters)
    if paths is None or settings.bounce_listen_port is None:
        return None
    returns = BounceIntake(
        ground.store,
        alerts,
        clock=ground.clock,
        identifiers=ground.identifiers,
        jitter=secrets.SystemRandom().random,
    )
    of_listener = ListenerSettings(
        host=settings.bounce_listen_host,
        port=settings.bounce_listen_port,
        protocol=settings.bounce_listen_protocol,
        hostname=paths.domain,
        max_bytes=settings.bounce_max_bytes,
    )
    return await stack.enter_async_context(BounceListener(paths, returns.take_in, ground.clock, of_listener))
