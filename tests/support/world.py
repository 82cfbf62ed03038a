"""Two customers with notices, one incident, and one account with a token per role, in a running service.

Use it in tests of who may read or change what: ``own`` are the ids that a customer's account reaches, ``foreign`` are
the ids of the other customer. Use ``account`` only, if the test needs an account with chosen grants.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from notifications.use_cases.audit_context import AuditContext
from service.auth.permissions import permissions_of
from service.auth.tokens import issue_token, new_token
from service.ports.accounts import Account, AccountKind, Grant, Role
from support.scenario import affected, customer, declare, harm, ok, release


@dataclass
class World:
    """The records of the world, by name."""

    own: dict[str, str] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)
    #: role name to bearer token
    tokens: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)


async def account(running, name, *grants, kind=AccountKind.PERSON, permissions=None, email=None):
    """Create an account with (role, customer id, starts_at, ends_at) grants and a token; return both."""
    context = running.parts.context
    act = AuditContext("operator:test", context.clock.now(), context.identifiers)
    token = new_token()

    def work(tx):
        made = Account(
            act.identifiers.new_id(), kind, name, email, "en", active=True, created_at=act.now, created_by=act.actor
        )
        tx.accounts.add(made)
        held = {"self"}
        for role, customer_id, starts_at, ends_at in grants:
            tx.accounts.add_grant(
                Grant(act.identifiers.new_id(), made.id, role, customer_id, starts_at, ends_at, act.now, act.actor)
            )
            held |= {item.value for item in permissions_of(role, at_one_customer=customer_id is not None)}
        expires_at = act.now + timedelta(days=1)
        issue_token(
            tx, act, made, name="test", permissions=permissions or sorted(held), expires_at=expires_at, token=token
        )
        return made

    return await running.parts.store.write(work), token


def at_provider(role):
    """Return a grant of a role at the provider."""
    return (role, None, None, None)


def at_customer(role, customer_id):
    """Return a grant of a role at a customer."""
    return (role, UUID(customer_id), None, None)


async def build_world(running, api, *, customer_names=("Own", "Foreign"), **changes):
    """Create the world: for both customers, every record that a route can name. ``changes`` are facts of incidents.

    With one name there is no foreign customer.
    """
    world = World()
    customers = [
        await customer(api, name, contacts=((f"soc@{domain}", "en"),))
        for name, domain in zip(customer_names, ("own.example", "foreign.example"), strict=False)
    ]
    incident = await declare(
        api,
        impact="I1",
        service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(item, data_harm=harm(confidentiality="yes")) for item in customers],
        **changes,
    )
    notices = {item["customer_id"]: item for item in await release(api, incident)}
    draft_incident = await declare(
        api,
        impact="I1",
        service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(item, data_harm=harm(confidentiality="yes")) for item in customers],
        **changes,
    )
    drafts = {
        item["customer_id"]: item for item in (await ok(api.get(f"/incidents/{draft_incident['id']}/notices")))["items"]
    }
    await running.sink.wait_for(len(customers), timeout_seconds=60)
    for number, item in enumerate(customers):
        await ok(api.put(f"/customers/{item['id']}/resources/volume/vol-{number}", json={"host": "st-07"}))
    at = {"at": (datetime.now(UTC) + timedelta(seconds=1)).isoformat(), "hosts": ["st-07"]}
    lookup = await ok(api.post("/resources/lookup", json=at))
    # This account makes no requests; others read and change it.
    subject, _ = await account(running, "subject")
    for names, item in zip((world.own, world.foreign), customers, strict=False):
        notice = notices[item["id"]]
        deliveries = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
        contacts = (await ok(api.get(f"/customers/{item['id']}/contacts")))["items"]
        hook = await ok(api.post(f"/customers/{item['id']}/webhooks", json={"url": "https://hook.invalid/"}))
        names |= {
            "endpoint_id": hook["id"],
            "secret_id": "00000000-0000-4000-8000-000000000000",
            "statement_id": "no_action_needed",
            # A month and a year that are over, of which nothing is issued.
            "month": "2026-01",
            "year": "2025",
            "period": "2026-01",
            "customer_id": item["id"],
            "incident_id": incident["id"],
            "notice_id": notice["id"],
            "channel": "webhook",
            "draft_id": drafts[item["id"]]["id"],
            "delivery_id": next(one["id"] for one in deliveries if one["channel"] == "email"),
            "contact_id": contacts[0]["id"],
            "agreement_id": "secnumcloud_iaas_3_0",
            "index": "0",
            "duty_id": "nis2_early_warning",
            "submission_id": "00000000-0000-4000-8000-000000000000",
            "language": "en",
            **dict.fromkeys(("passkey_id", "session_id", "token_id"), "00000000-0000-4000-8000-000000000000"),
            "call_task_id": "00000000-0000-4000-8000-000000000000",
            # There was no bounce.
            "returned_id": "00000000-0000-4000-8000-000000000000",
            "question_id": "00000000-0000-4000-8000-000000000000",
            **dict.fromkeys(("announcement_id", "letter_id"), "00000000-0000-4000-8000-000000000000"),
            "alert_id": "00000000-0000-4000-8000-000000000000",
            **dict.fromkeys(("grant_id", "member_id"), "00000000-0000-4000-8000-000000000000"),
            "lookup_id": lookup["id"],
            "kind": "machine",
            "identifier": "vm-1",
            "account_id": str(subject.id),
        }
    own = world.own["customer_id"]
    roles = {
        "analyst": at_provider(Role.ANALYST),
        "approver": at_provider(Role.APPROVER),
        "administrator": at_provider(Role.ADMINISTRATOR),
        "member": at_customer(Role.CUSTOMER_MEMBER, own),
        "manager": at_customer(Role.CUSTOMER_MANAGER, own),
        "auditor": at_provider(Role.AUDITOR),
        "auditor_of_own": at_customer(Role.AUDITOR, own),
        "service": at_provider(Role.SERVICE_ACCOUNT),
    }
    for name, grant in roles.items():
        kind = AccountKind.SERVICE if name == "service" else AccountKind.PERSON
        world.accounts[name], world.tokens[name] = await account(running, name, grant, kind=kind)
    return world


def moment(**delta):
    """Return a moment relative to now."""
    return datetime.now(UTC) + timedelta(**delta)
