"""Every page that a person can open, each as the roles see it: for accessibility checks and for pictures.

The pages come from the access table (``matrix_rows``), so a new page is on the tour by its row there. Use it with
``world.build_world``.
"""

from dataclasses import dataclass

from service.ports.accounts import Role
from support.matrix_rows import ROLES, ROWS
from support.people import Person, browser, person

#: Whose pages are seen, one role of the provider and one of a customer for each page: the first that may open it.
_PROVIDER = ("analyst", "administrator", "auditor", "approver")
_CUSTOMER = ("manager", "member")
#: Pages without sign-in that need no secret in their address.
_OPEN = ("/sign-in", "/sign-in?return_to=%2F&again=1", "/reset", "/reset-asked", "/address-confirmed", "/acknowledged",
         "/verify", "/nothing-here")  # fmt: skip
_AT_CUSTOMER = {"manager": Role.CUSTOMER_MANAGER, "member": Role.CUSTOMER_MEMBER}
_AT_PROVIDER = {
    "analyst": Role.ANALYST,
    "administrator": Role.ADMINISTRATOR,
    "auditor": Role.AUDITOR,
    "approver": Role.APPROVER,
}


@dataclass(frozen=True)
class Stop:
    """One page as one person sees it."""

    #: for a file name and a message: ``analyst-incidents-incident_id``
    name: str
    path: str
    whom: Person | None


def _page_routes():
    """Return (route, marks by role) of every GET route that is no API."""
    for operation, row in ROWS.items():
        method, route = operation.split(" ")
        if method == "GET" and not route.startswith(("/api/", "/log/", "/metrics")):
            yield route, dict(zip(ROLES, row.split(), strict=True))


def _visitors(route, marks):
    """Return the roles that look at a page; one's own account is everybody's."""
    if route.startswith("/account"):
        return ("analyst", "manager")
    found = []
    for roles in (_PROVIDER, _CUSTOMER):
        found += [role for role in roles if marks[role][0] == "+"][:1]
    return found


async def tour_of(running, world, language="en"):
    """Return the stops: pages that answer with HTML, one role of each side, in one language."""
    people = {
        name: await person(running, f"{name.title()}-{language}", (role, None), language=language)
        for name, role in _AT_PROVIDER.items()
    }
    own = world.own["customer_id"]
    people |= {
        name: await person(running, f"{name.title()}-{language}", (role, own), language=language)
        for name, role in _AT_CUSTOMER.items()
    }
    stops = [Stop(f"open-{path.strip('/').partition('?')[0].replace('/', '-')}-{number}", path, None)
             for number, path in enumerate(_OPEN)]  # fmt: skip
    for route, marks in _page_routes():
        for role in _visitors(route, marks):
            path = route.format_map(world.own)
            name = f"{role}-{route.strip('/').replace('/', '-').replace('{', '').replace('}', '') or 'home'}"
            async with browser(running, people[role]) as client, client.stream("GET", path) as answer:
                # A letter in a frame runs no script, not even that of a test.
                is_page = answer.headers.get("content-type", "").startswith("text/html")
                is_page &= "sandbox" not in answer.headers.get("content-security-policy", "")
                assert answer.status_code < 500, (path, answer.status_code)
            if is_page and not answer.is_redirect:
                stops.append(Stop(name, path, people[role]))
    return stops
