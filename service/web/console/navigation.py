"""The main navigation: one link for each area of pages that the reader may open, in the order of its work.

One's own account is not in it: its link and the end of the session are above, beside the search.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from service.auth.caller import Caller
from service.auth.permissions import Permission


@dataclass(frozen=True, slots=True)
class Area:
    """One link: its words are ``layout.<name>``; a page of the area says ``{% set here = "<name>" %}``."""

    name: str
    path: str
    permission: Permission
    #: for callers with the permission at the provider; an area of one's own customers has False
    at_provider: bool


AREAS = (
    Area("home", "/", Permission.SELF, at_provider=False),
    Area("incidents", "/incidents", Permission.INCIDENT_READ, at_provider=True),
    Area("declare", "/incidents/new", Permission.INCIDENT_DECLARE, at_provider=True),
    # Of two entries of one name, the first that may be opened is shown.
    Area("notices", "/notices", Permission.INCIDENT_READ, at_provider=True),
    # Who acknowledges is of a customer: nobody at the provider has an inbox.
    Area("notices", "/inbox", Permission.NOTICE_ACKNOWLEDGE, at_provider=False),
    Area("questions", "/questions", Permission.INCIDENT_READ, at_provider=True),
    Area("calls", "/calls", Permission.CALL_READ, at_provider=True),
    Area("announcements", "/announcements", Permission.ANNOUNCEMENT_READ, at_provider=True),
    Area("channels", "/channels", Permission.CHANNEL_READ, at_provider=True),
    Area("customers", "/customers", Permission.CUSTOMER_READ, at_provider=True),
    Area("inventory", "/inventory", Permission.RESOURCE_READ, at_provider=True),
    Area("inventory", "/inventory/import", Permission.RESOURCE_CHANGE, at_provider=True),
    Area("reports", "/reports", Permission.REPORT_READ, at_provider=False),
    Area("audit", "/audit", Permission.LOG_READ, at_provider=True),
    Area("administration", "/administration", Permission.SETTING_READ, at_provider=True),
)


def areas_of(caller: Caller) -> Iterator[Area]:
    """Return the areas that a caller may open."""
    shown: set[str] = set()
    for area in AREAS:
        scope = caller.scope(area.permission)
        if area.name not in shown and scope is not None and (scope.at_provider or not area.at_provider):
            shown.add(area.name)
            yield area
