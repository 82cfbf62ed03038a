"""Every route × every role × own and foreign tenant, against a table written by hand.

In the table a column is a role and holds two marks, for an own and for a foreign object: ``+`` gets through (whatever
the domain then says), ``-`` is forbidden (403), ``0`` does not exist (404). A route without a row fails.
"""

import httpx2
import pytest
import pytest_asyncio
from fastapi.routing import iter_route_contexts

from service.auth.route_guard import declared_permission
from support.matrix_rows import BODIES, OPEN, ROLES, ROWS
from support.world import build_world

MARKS = {403: "-", 404: "0"}
_UNDECLARED = {"/api/v1/openapi.json"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared_service, shared_api):
    return await build_world(shared_service, shared_api)


def routes(running):
    """Return (method, path, permission) of every route that the application serves."""
    running.app.state.areas.build_all()
    for route in iter_route_contexts(running.app.routes):
        if route.path not in _UNDECLARED:
            for method in sorted(route.methods - {"HEAD"}):
                yield method, route.path, declared_permission(route)


def filled(path, names, operation):
    """Return the path with names of the world; a release is tried on a draft."""
    names = dict(names)
    if operation.endswith(("/release", "/release-override")) and "notice_id" in operation:
        names["notice_id"] = names["draft_id"]
    # There is no head and no timestamp of this size.
    names["size"] = "999999999"
    names["path"] = "000.p/1" if "/entries/" in path else "0/000.p/1"
    return path.replace(":path}", "}").format_map(names)


def request_of(operation, names):
    """Return body and headers of a request that is well formed, and changes nothing where a version guards it."""
    body = BODIES.get(operation, {})
    body = body(names) if callable(body) else body
    return body, {"If-Match": '"0"'}


async def tried(client, operation, names):
    """Return the status of one request."""
    method, path = operation.split(" ")
    url = filled(path, names, operation)
    if method == "GET":
        # Without its body: a stream of events has no end.
        async with client.stream("GET", url) as answer:
            return answer.status_code
    body, headers = request_of(operation, names)
    if isinstance(body, str):
        headers["Content-Type"] = "text/csv"
        return (await client.request(method, url, content=body, headers=headers)).status_code
    return (await client.request(method, url, json=body, headers=headers)).status_code


async def test_every_route_has_a_row_and_every_row_a_route(shared_service):
    served = {f"{method} {path}": permission for method, path, permission in routes(shared_service)}
    guarded = {operation for operation, permission in served.items() if permission is not None}
    assert guarded - ROWS.keys() == set(), "routes without a row"
    assert ROWS.keys() - guarded == set(), "rows without a route"
    assert served.keys() - guarded == OPEN, "routes open to strangers"


async def test_every_route_lets_in_whom_the_table_says_and_nobody_else(shared_service, world):
    wrong = []
    async with httpx2.AsyncClient(base_url=shared_service.url, timeout=120) as client:
        for operation, row in ROWS.items():
            for role, expected in zip(ROLES, row.split(), strict=True):
                client.headers["Authorization"] = f"Bearer {world.tokens[role]}"
                for names, mark in ((world.own, expected[0]), (world.foreign, expected[1])):
                    status = await tried(client, operation, names)
                    found = MARKS.get(status, "+")
                    if found != mark or status == 401 or status >= 500:
                        wrong.append(f"{operation} as {role}: {status}, expected {mark} of {expected}")
    assert wrong == []


async def test_nobody_unknown_gets_through(shared_service, world):
    async with httpx2.AsyncClient(base_url=shared_service.url, timeout=120) as client:
        for operation in ROWS:
            assert await tried(client, operation, world.own) == 401, operation
