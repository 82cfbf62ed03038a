"""People of the demo: an analyst, an approver who also administers, a customer's manager and an auditor."""

from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import httpx2

from notifications.errors import GreffierError
from notifications.use_cases.audit_context import AuditContext
from service.auth.memberships import accept_membership
from service.cli.demo.environment import RunningService
from service.cli.demo.one_click import DemoPerson
from service.ports.accounts import Account
from service.ports.store import AccessTransaction


class PersonError(GreffierError):
    """A person of the demo could not be made."""


async def make_people(api: httpx2.AsyncClient, running: RunningService) -> list[DemoPerson]:
    """Make the accounts with their roles; the customer's person accepts its membership, as a person would."""
    first = (await _done(api.get("/customers")))["items"][0]
    people: tuple[tuple[str, str, str, list[dict[str, Any]]], ...] = (
        ("analyst", "Ada Moreau", "ada@demo-cloud.example", [{"role": "analyst"}]),
        ("approver", "Grace Lindqvist", "grace@demo-cloud.example", [{"role": "approver"}, {"role": "administrator"}]),
        ("customer", f"Inès Caron ({first['name']})", "rssi@ch-valmont.example", [
            {"role": "customer_manager", "customer_id": first["id"]},
        ]),
        ("auditor", "Felix Adler", "auditor@passi.example", [{"role": "auditor"}]),
    )  # fmt: skip
    made = []
    for key, name, email, grants in people:
        # The customer's person speaks the language of the customer.
        language = first["language"] if key == "customer" else "en"
        body = {"kind": "person", "name": name, "email": email, "language": language}
        account_id = UUID((await _done(api.post("/accounts", json=body)))["id"])
        for grant in grants:
            held = await _done(api.post(f"/accounts/{account_id}/grants", json=grant))
            if not held["accepted"]:
                await _accept(running, account_id, UUID(held["id"]))
        made.append(DemoPerson(key, await _account(running, account_id)))
    return made


async def _accept(running: RunningService, account_id: UUID, member_id: UUID) -> None:
    context = running.parts.context
    act = AuditContext(f"account:{account_id}", context.clock.now(), context.identifiers)
    await running.parts.store.write(lambda tx: accept_membership(tx, act, account_id, member_id))


async def _account(running: RunningService, account_id: UUID) -> Account:
    def work(tx: AccessTransaction) -> Account:
        return tx.accounts.require(account_id)

    return await running.parts.store.read(work)


async def _done(request: Awaitable[httpx2.Response]) -> dict[str, Any]:
    response = await request
    if response.is_error:
        raise PersonError(f"{response.request.method} {response.request.url.path}: {response.text}")
    answer: dict[str, Any] = response.json()
    return answer
