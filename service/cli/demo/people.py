"""People of the demo: an analyst, an approver, a customer's manager and an auditor, each with an invitation."""

from collections.abc import Awaitable
from typing import Any

import httpx

from notifications.errors import GreffierError


class InvitationError(GreffierError):
    """A person of the demo could not be invited."""


async def invite_people(api: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Create the accounts; return for each person the role and the link to set a password."""
    customers = (await _done(api.get("/customers")))["items"]
    first = customers[0]
    people = (
        ("analyst", "ada@demo-cloud.example", [{"role": "analyst"}]),
        ("approver", "grace@demo-cloud.example", [{"role": "approver"}]),
        (f"customer ({first['name']})", "rssi@ch-valmont.example", [
            {"role": "customer_manager", "customer_id": first["id"]},
        ]),
        ("auditor", "auditor@passi.example", [{"role": "auditor"}]),
    )  # fmt: skip
    invited = []
    for who, email, grants in people:
        person = {"kind": "person", "name": email.split("@")[0].title(), "email": email, "language": "en"}
        account = await _done(api.post("/accounts", json=person))
        for grant in grants:
            await _done(api.post(f"/accounts/{account['id']}/grants", json=grant))
        invitation = await _done(api.post(f"/accounts/{account['id']}/invitation"))
        invited.append((f"{who}: {email}", invitation["link"]))
    return invited


async def _done(request: Awaitable[httpx.Response]) -> dict[str, Any]:
    response = await request
    if response.is_error:
        raise InvitationError(f"{response.request.method} {response.request.url.path}: {response.text}")
    answer: dict[str, Any] = response.json()
    return answer
