"""Every page that a person can open, each as the roles see it: for accessibility checks and for pictures.

The pages come from the access table (``matrix_rows``), so a new page is on the tour by its row there. Use it with
``world.build_world``.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from string import Formatter
from uuid import UUID

from notifications.delivery.call_task import CallReason, CallTask
from notifications.delivery.question import Question
from service.ports.accounts import Role
from service.ports.alerts import Alert
from support.matrix_rows import ROLES, ROWS
from support.people import Person, act_of, browser, person
from support.scenario import facts, ok

#: Whose pages are seen, one role of the provider and one of a customer for each page: the first that may open it.
_PROVIDER = ("analyst", "administrator", "auditor", "approver")
_CUSTOMER = ("manager", "member")
#: Pages without sign-in that need no secret in their address.
_OPEN = ("/sign-in", "/sign-in?return_to=%2F&again=1", "/reset", "/reset-asked", "/address-confirmed", "/acknowledged",
         "/verify", "/nothing-here")  # fmt: skip
#: What a filter, a search or a done act makes of a page: the query that shows it.
_STATES = {
    "/incidents": ("text=zzz",),
    "/search": ("q=INC", "q=zzz"),
    "/customers": ("q=zzz",),
    "/inbox": ("contains=zzz",),
    "/notices": ("state=withdrawn",),
    "/channels": ("done=paused",),
    "/audit": ("incident=zzz",),
    "/audit/entries": ("incident=zzz", "first=99999999"),
    "/inventory/lookup": ("at=zzz",),
}
#: Names and words that are hard to set: the longest German ones, a name from right to left, 10,000 characters.
LONG_NAME = "Rechtsschutzversicherungsgesellschaften-Datenverarbeitungszentrum Donaudampfschifffahrt AG"
RIGHT_TO_LEFT = "مستشفى الوادي"
LONG_TEXT = ("Le stockage de la zone est indisponible depuis cette nuit. " * 170)[:10_000]
HARD_WORDS = {
    "title": {"fr": LONG_TEXT[:190], "de": f"{LONG_NAME} nicht erreichbar"},
    "summary": {"fr": LONG_TEXT, "en": LONG_TEXT},
    "measures_taken": {"fr": LONG_TEXT[:3000]},
}
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
    #: of the person; None where nobody is signed in
    role: str | None = None


async def add_waiting_work(running, api, world, words="Is it over?"):
    """Add what waits for a person, so that its pages exist: a question, a call to be made, an alert, a draft."""
    act, own = act_of(running), world.own
    notice_id, customer_id = UUID(own["notice_id"]), UUID(own["customer_id"])
    question_id, task_id, alert_id = (act.identifiers.new_id() for _ in range(3))
    due_at = act.now + timedelta(hours=1)

    def work(tx):
        asked_by = f"account:{world.accounts['member'].id}"
        tx.questions.add(Question(question_id, notice_id, customer_id, asked_by, act.now, words))
        tx.escalations.add_call_task(CallTask(task_id, notice_id, customer_id, CallReason.ALL_FAILED, act.now, due_at))
        tx.alerts.add(Alert(alert_id, "tour", "customer_unreachable", act.now, customer_id=customer_id, what=words))

    await running.parts.store.write(work)
    await ok(api.post("/drafts", json={"facts": facts(title=words[:190])}))
    world.own |= {"question_id": str(question_id), "call_task_id": str(task_id), "alert_id": str(alert_id)}


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
        found += [role for role in roles if marks[role][0] in "+0"][:1]
    return found


async def people_of(running, world, language):
    """Create the people of a tour, who read one language; returns them by role."""
    own = world.own.get("customer_id")
    roles = _AT_PROVIDER | (_AT_CUSTOMER if own is not None else {})
    return {
        name: await person(
            running, f"{name.title()}-{language}", (role, own if name in _AT_CUSTOMER else None), language=language
        )
        for name, role in roles.items()
    }


def taken_by(people, stops):
    """Return the same stops as other people see them, for example those of another language."""
    return [stop if stop.whom is None else replace(stop, whom=people[stop.role]) for stop in stops]


async def tour_of(running, world, language="en"):
    """Return the stops: pages that answer with HTML, one role of each side, in one language.

    In a world without customers, the pages that name a record are left out, and the people of a customer too.
    """
    people = await people_of(running, world, language)
    stops = [Stop(f"open-{path.strip('/').partition('?')[0].replace('/', '-')}-{number}", path, None)
             for number, path in enumerate(_OPEN)]  # fmt: skip
    for route, marks in _page_routes():
        for role in _visitors(route, marks):
            if role not in people or not world.own.keys() >= {name for _, name, *_ in Formatter().parse(route) if name}:
                continue
            paths = [route.format_map(world.own)]
            paths += [f"{route}?{query}" for query in _STATES.get(route, ())]
            name = f"{role}-{route.strip('/').replace('/', '-').replace('{', '').replace('}', '') or 'home'}"
            async with browser(running, people[role]) as client:
                for number, path in enumerate(paths):
                    if await _is_page(client, path):
                        stops.append(Stop(f"{name}-{number}" if number else name, path, people[role], role))
    return stops


async def _is_page(client, path):
    async with client.stream("GET", path) as answer:
        assert answer.status_code < 500, (path, answer.status_code)
        # A letter in a frame runs no script, not even that of a test.
        is_page = answer.headers.get("content-type", "").startswith("text/html")
        is_page &= "sandbox" not in answer.headers.get("content-security-policy", "")
        # "0" in the table: there is such a page only where its record was made.
        return is_page and (answer.is_success or "?" in path)
