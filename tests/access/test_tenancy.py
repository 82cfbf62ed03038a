"""Tenant scope from outside: own and foreign objects, an integrator of two customers, an auditor's traces."""

import inspect
import json
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import httpx2
import pytest

from notifications.delivery.call_task import CallTaskState
from notifications.use_cases.audit_context import AuditContext
from service.auth.caller import Reach, Scope, customer_scope
from service.auth.scope.transaction import within
from service.auth.scope.visibility import OutOfScopeError
from service.ports.accounts import AccountKind, Role
from service.ports.store import AccessTransaction
from support.repositories import methods, repositories
from support.scenario import affected, customer, declare, harm, ok, release
from support.serving_records import make_call_task
from support.world import account, at_customer, at_provider, build_world


@pytest.fixture
async def world(running, api):
    return await build_world(running, api)


def client(running, token):
    return httpx2.AsyncClient(
        base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )


async def test_what_lies_outside_cannot_be_reached_even_by_a_defect_of_ours(running, api):
    theirs = await customer(api)
    scope = Scope((Reach(UUID(theirs["id"]), None, None, at_provider=False, logged=False),))
    for reached in (
        lambda tx: tx.customers.all(),
        lambda tx: tx.incidents.page(None),
        lambda tx: tx.customers.bindings(),
        lambda tx: tx.notices.released(1),
        lambda tx: tx.accounts.page(None),
        lambda tx: tx.customers.add(None, b""),
        lambda tx: tx.tokens.get(b""),
    ):
        with pytest.raises(OutOfScopeError):
            await running.parts.store.read(lambda tx, reached=reached: reached(within(tx, scope)))


#: What a limited scope is given of each repository, in a form of its own; a change of this list is a decision.
SCOPED = {
    "accounts": "add add_offer by_email get grants grants_at offers offers_at page remove_grant remove_offer require",
    "alerts": "customers_without_contact",
    "audit": "about append at entries get matching openings",
    "board": "figures page",
    "credentials": "passkeys password totp",
    "customers": "add_contact add_contacts add_profile add_reachability_checks all bindings by_pseudonyms contact"
    " contacts contacts_of get latest_reachability_checks named page profiles pseudonym reached require"
    " require_contact salt save_contact some",
    "announcements": "customer customers letter letters_of_notice open_letters require_letter save_customer state",
    "deliveries": "add attempts bounces channel_pauses get inbox message_sent of_notice save",
    "drafts": "add alerts_count by_alert get of_alerts of_owner remove save",
    "duties": "add_customer_submission add_legal_profile assessments assessments_since customer_submissions drafts"
    " legal_profile legal_profiles submissions",
    "erasures": "obstacles order orders",
    "escalations": "call_records call_task call_tasks call_tasks_of_notice get hasten require_call_task save"
    " save_call_task",
    "figures": "collect",
    "incidents": "by_ticket current_decisions decisions facts_at get interventions page require require_announcement",
    "log": "checkpoint cosignatures head heads node_hashes size timestamped_checkpoint timestamped_sizes",
    "mails": "add",
    # A preview says whether its notice shares its timestamp: only the provider counts the notices of a release.
    "notices": "acknowledgements add_acknowledgement add_opening counted get inbox inbox_counts is_of_more_than listed"
    " of_incident openings page readers require seal seal_entry_id",
    "resources": "add_lookup concerned concerned_resources counts drop_lookups history latest_snapshot lookup page",
    "reports": "of_period periods",
    "responses": "add get",
    "questions": "add feedback get of_incident of_notice require save set_feedback unanswered",
    "search": "find",
    "sessions": "add_link drop_links of_account save_throttle throttle",
    "tokens": "of_account",
    "webhooks": "add add_secret drop_secret endpoints get save save_secret secrets",
}


def test_every_method_of_every_repository_has_a_scoped_form_or_is_refused():
    scope = customer_scope(UUID(int=1))
    unlimited = object()  # whatever reaches it fails: it has no repository at all
    limited = within(unlimited, scope)
    declared = repositories(AccessTransaction)
    assert SCOPED.keys() <= declared.keys()
    for repository, protocol in declared.items():
        scoped = set(SCOPED.get(repository, "").split())
        assert scoped <= methods(protocol).keys(), repository
        for name, method in methods(protocol).items():
            if name in scoped:
                form = vars(type(getattr(limited, repository)))[name]
                assert inspect.signature(form).parameters == inspect.signature(method).parameters, (repository, name)
            else:
                with pytest.raises(OutOfScopeError):
                    getattr(getattr(limited, repository), name)


def test_what_the_ports_do_not_declare_is_refused_too():
    limited = within(object(), customer_scope(UUID(int=1)))
    for reached in (
        lambda tx: tx.log.grow,
        lambda tx: tx.audit.pending,
        lambda tx: tx.deliveries.free_leases,
        lambda tx: tx.another_repository,
    ):
        with pytest.raises(OutOfScopeError):
            reached(limited)


async def test_a_foreign_object_answers_as_one_that_never_was(running, world):
    never = "00000000-0000-4000-8000-000000000000"
    async with client(running, world.tokens["manager"]) as theirs:
        for path in ("/customers/{customer_id}", "/customers/{customer_id}/contacts", "/notices/{notice_id}",
                     "/notices/{notice_id}/document", "/customers/{customer_id}/inbox"):  # fmt: skip
            foreign = await theirs.get(path.format(**world.foreign))
            missing = await theirs.get(path.format(customer_id=never, notice_id=never))
            assert foreign.status_code == missing.status_code == 404
            told, expected = foreign.json(), missing.json()
            for body, names in ((told, world.foreign), (expected, {"customer_id": never, "notice_id": never})):
                for value in (names["customer_id"], names["notice_id"]):
                    body["detail"] = body["detail"].replace(value, "?")
                    body["instance"] = body["instance"].replace(value, "?")
            assert told == expected


async def test_a_draft_does_not_exist_for_its_customer_until_it_is_sealed(running, world):
    async with client(running, world.tokens["member"]) as theirs:
        assert (await theirs.get(f"/notices/{world.own['draft_id']}")).status_code == 404
        assert (await theirs.get(f"/notices/{world.own['draft_id']}/deliveries")).status_code == 404
        listed = (await ok(theirs.get("/notices")))["items"]
        assert [item["id"] for item in listed] == [world.own["notice_id"]]
        assert (await ok(theirs.get("/notices", params={"state": "draft"})))["items"] == []


async def test_an_integrator_sees_its_customers_side_by_side_and_no_third(running, api, world):
    third = await customer(api, "Third", contacts=(("soc@third.example", "en"),))
    own, foreign = world.own["customer_id"], world.foreign["customer_id"]
    _, token = await account(
        running, "Integrator", at_customer(Role.CUSTOMER_MEMBER, own), at_customer(Role.CUSTOMER_MEMBER, foreign)
    )
    async with client(running, token) as theirs:
        listed = (await ok(theirs.get("/customers")))["items"]
        assert [item["id"] for item in listed] == [own, foreign]
        assert (await theirs.get(f"/customers/{third['id']}")).status_code == 404
        both = await theirs.get("/notices")
        assert both.status_code == 422
        assert both.json()["errors"][0]["field"] == "customer_id"
        for names in (world.own, world.foreign):
            items = (await ok(theirs.get("/notices", params={"customer_id": names["customer_id"]})))["items"]
            assert [item["id"] for item in items] == [names["notice_id"]]
            document = (await theirs.get(f"/notices/{names['notice_id']}/document")).text
            other = world.foreign if names is world.own else world.own
            assert names["customer_id"] in document
            assert other["customer_id"] not in document


async def test_a_right_at_one_customer_is_none_at_another(running, api, world):
    """Member of one and manager of another: what it may change follows the customer, not the account."""
    own, foreign = world.own, world.foreign
    _, token = await account(
        running, "Mixed", at_customer(Role.CUSTOMER_MEMBER, own["customer_id"]),
        at_customer(Role.CUSTOMER_MANAGER, foreign["customer_id"]),
    )  # fmt: skip
    contact = {"name": "New", "email": "new@integrator.example", "language": "en", "order": 2}
    async with client(running, token) as theirs:
        refused = await theirs.post(f"/customers/{own['customer_id']}/contacts", json=contact)
        assert refused.status_code == 404
        assert (await theirs.get(f"/customers/{own['customer_id']}/contacts")).status_code == 200
        made = await theirs.post(f"/customers/{foreign['customer_id']}/contacts", json=contact)
        assert made.status_code == 201


async def test_an_auditor_of_a_period_sees_what_lies_in_it(running, api, world):
    now = running.parts.context.clock.now()
    grants = {
        "before": (Role.AUDITOR, None, None, now - timedelta(days=1)),
        "around": (Role.AUDITOR, None, now - timedelta(days=1), now + timedelta(days=1)),
        "after": (Role.AUDITOR, None, now + timedelta(days=1), None),
    }
    seen = {}
    for name, grant in grants.items():
        _, token = await account(running, name, grant)
        async with client(running, token) as theirs:
            seen[name] = (
                (await theirs.get(f"/incidents/{world.own['incident_id']}")).status_code,
                (await theirs.get(f"/notices/{world.own['notice_id']}")).status_code,
                len((await ok(theirs.get("/notices", params={"customer_id": world.own["customer_id"]})))["items"]),
                len((await ok(theirs.get("/incidents")))["items"]),
                len((await ok(theirs.get("/audit/entries", params={"limit": 5})))["items"]) > 0,
            )
    assert seen == {
        "before": (404, 404, 0, 0, False),
        "around": (200, 200, 2, 2, True),
        "after": (404, 404, 0, 0, False),
    }


async def test_an_auditor_of_a_period_counts_only_the_notices_of_an_incident_that_lie_in_it(running, api, world):
    own, hurt = {"id": world.own["customer_id"]}, {"data_harm": harm(confidentiality="yes")}
    incident = await declare(api, impact="I1", affected_customers=[affected(own, **hurt)])
    path = f"/incidents/{incident['id']}/notices"
    before = [each["id"] for each in (await ok(api.get(path)))["items"]]
    until = running.parts.context.clock.now()
    late = await customer(api, "Late")
    stated = {"affected_customers": [affected(own, **hurt), affected(late, **hurt)]}
    await ok(api.patch(f"/incidents/{incident['id']}/facts", json=stated, headers={"If-Match": "*"}))
    _, token = await account(running, "until", (Role.AUDITOR, None, None, until))
    seen, cursor = [], None
    async with client(running, token) as theirs:
        while cursor or not seen:
            page = await ok(theirs.get(path, params={"limit": 1} | ({"cursor": cursor} if cursor else {})))
            seen += [each["id"] for each in page["items"]]
            assert (page["total"], page["summary"]["by_state"]) == (len(before), {"draft": len(before)})
            cursor = page["next_cursor"]
    assert seen == before
    whole = await ok(api.get(path))
    assert whole["total"] == len(before) + 1
    assert whole["items"][-1]["customer_id"] == late["id"]


async def test_an_auditor_of_a_period_reads_the_calls_of_its_notices(running, api, world):
    store, now = running.parts.store, running.parts.context.clock.now()
    own, foreign = await store.read(
        lambda tx: [tx.notices.require(UUID(names["notice_id"])) for names in (world.own, world.foreign)]
    )
    tasks = [make_call_task(notice) for notice in (own, foreign, own)]
    tasks[2] = replace(tasks[2], state=CallTaskState.DONE, closed_at=now)
    await store.write(lambda tx: [tx.escalations.add_call_task(task) for task in tasks])
    grants = {
        "before": (Role.AUDITOR, None, None, now - timedelta(days=1)),
        "around": (Role.AUDITOR, None, now - timedelta(days=1), now + timedelta(days=1)),
    }
    seen = {}
    for name, grant in grants.items():
        _, token = await account(running, name, grant)
        async with client(running, token) as theirs:
            found, cursor = [], None
            while cursor is not None or not found:
                page = await ok(
                    theirs.get(
                        "/call-tasks",
                        params={"state": "all", "limit": "1"} | ({} if cursor is None else {"cursor": cursor}),
                    )
                )
                found.append(len(page["items"]))
                cursor = page["next_cursor"]
            opened = len((await ok(theirs.get("/call-tasks")))["items"])
            seen[name] = found, opened, (await theirs.get(f"/call-tasks/{tasks[0].id}")).status_code
    assert seen == {"before": ([0], 0, 404), "around": ([1, 1, 1], 2, 200)}


async def test_pages_of_the_log_are_full_for_an_auditor_of_a_period_and_say_nothing_of_the_rest(running, api, world):
    parts = running.parts
    await parts.sequencer.included(await _marker(running))
    moments = [json.loads(each.leaf)["at"] for each in await parts.store.read(lambda tx: tx.audit.entries(0, 9999))]
    start, end = (datetime.fromisoformat(sorted(moments)[at]) for at in (len(moments) // 3, 2 * len(moments) // 3))
    wanted = [index for index, at in enumerate(moments) if start <= datetime.fromisoformat(at) < end]
    assert 10 < len(wanted) < len(moments)
    _, token = await account(running, "Period", (Role.AUDITOR, None, start, end))
    async with client(running, token) as theirs:
        for params in ({}, {"customer_id": world.own["customer_id"]}, {"incident_id": world.own["incident_id"]}):
            whole = (await ok(theirs.get("/audit/entries", params=params | {"limit": 200})))["items"]
            indices = [item["index"] for item in whole]
            assert indices
            assert set(indices) <= set(wanted)
            assert params or indices == wanted
            paged, cursor = [], None
            while cursor or not paged:
                part = params | {"limit": 3} | ({"cursor": cursor} if cursor else {})
                page = await ok(theirs.get("/audit/entries", params=part))
                cursor = page["next_cursor"]
                assert len(page["items"]) == 3 or cursor is None
                paged += [item["index"] for item in page["items"]]
            assert paged == indices
        for index in range(len(moments)):
            for path in (f"/audit/entries/{index}", f"/audit/entries/{index}/proof"):
                assert ((await theirs.get(path)).status_code == 200) == (index in wanted), path


async def test_a_tile_of_entries_is_whole_or_does_not_exist_for_an_auditor_of_a_period(running, api, world):
    parts = running.parts
    await parts.sequencer.included(await _marker(running))
    entries = await parts.store.read(lambda tx: tx.audit.entries(0, 9999))
    moments = [datetime.fromisoformat(json.loads(entry.leaf)["at"]) for entry in entries]
    end = sorted(moments)[len(moments) // 2]
    whole = next(index for index, at in enumerate(moments) if at >= end)
    _, unlimited = await account(running, "All", at_provider(Role.AUDITOR))
    _, limited = await account(running, "Half", (Role.AUDITOR, None, None, end))
    url = str(running.url)
    for width in range(1, len(entries) + 1):
        path = f"{url}/log/tile/entries/000.p/{width}"
        async with client(running, unlimited) as everything, client(running, limited) as theirs:
            served, seen = await everything.get(path), await theirs.get(path)
        assert served.status_code == 200
        assert (seen.status_code == 200) == (width <= whole), width
        assert seen.status_code != 200 or seen.content == served.content


async def _traces(running):
    """Return the traces of reads, as committed: sequenced or still to be."""
    await running.parts.sequencer.included(await _marker(running))
    entries = await running.parts.store.read(lambda tx: tx.audit.entries(0, 100_000))
    leaves = [json.loads(entry.leaf) for entry in entries]
    return [leaf for leaf in leaves if leaf["type"] == "record.read"]


async def _marker(running):
    """Append an entry behind all that is committed and return its id."""
    context = running.parts.context
    entry = AuditContext("operator:test", context.clock.now(), context.identifiers).entry("test.marked", subjects={})
    await running.parts.store.write(lambda tx: tx.audit.append([entry]))
    return entry.id


async def test_every_read_of_an_auditor_is_in_the_log_before_it_is_answered(running, api, world):
    made, token = world.accounts["auditor"], world.tokens["auditor"]
    notice = world.own["notice_id"]
    async with client(running, token) as theirs:
        contacts = f"/customers/{world.own['customer_id']}/contacts"
        for path in (f"/notices/{notice}", "/incidents", "/agreements", contacts, "/audit/checkpoint"):
            assert (await theirs.get(path)).status_code == 200
        assert (await theirs.get("/notices/00000000-0000-4000-8000-000000000000")).status_code == 404

    logged = [(leaf["actor"], leaf["detail"]["operation"]) for leaf in await _traces(running)]
    assert logged == [
        (f"account:{made.id}", f"GET /api/v1{path}")
        for path in ("/notices/{notice_id}", "/incidents", "/agreements", "/customers/{customer_id}/contacts",
                     "/audit/checkpoint")
    ]  # fmt: skip


async def test_reads_of_others_leave_no_trace(running, api, world):
    async with client(running, world.tokens["analyst"]) as theirs:
        assert (await theirs.get("/incidents")).status_code == 200
    assert await _traces(running) == []


async def test_an_account_made_inactive_and_a_token_revoked_or_over_are_out_at_once(running, api):
    made, token = await account(running, "Leaver", at_provider(Role.ANALYST))
    store, clock = running.parts.store, running.parts.context.clock
    async with client(running, token) as theirs:
        assert (await theirs.get("/incidents")).status_code == 200
        stored = await store.read(lambda tx: tx.tokens.of_account(made.id)[0])
        await store.write(lambda tx: tx.tokens.revoke(stored.id, clock.now()))
        assert (await theirs.get("/incidents")).status_code == 401


async def test_a_token_carries_no_more_than_it_says(running, world):
    _, token = await account(
        running, "SIEM", at_provider(Role.SERVICE_ACCOUNT), kind=AccountKind.SERVICE, permissions=["incident.declare"]
    )
    async with client(running, token) as siem:
        declared = await declare(siem, service_harm=harm(confidentiality="yes"))
        assert declared["ticket"]
        for path in ("/incidents", f"/incidents/{declared['id']}", "/customers", "/attention", "/audit/entries"):
            assert (await siem.get(path)).status_code == 403
        refused = await siem.post(f"/incidents/{declared['id']}/release", headers={"If-Match": "*"})
        assert refused.status_code == 403
        assert refused.json()["type"] == "urn:greffier:problem:forbidden"


async def test_nothing_of_a_foreign_customer_is_in_any_answer_to_a_customer(running, api, world):
    """Every GET that its roles allow, own paths: the other's name, domain and identifiers occur nowhere."""
    document = (await api.get("/openapi.json")).json()
    secret = {
        "Foreign",
        "foreign.example",
        *(world.foreign[name] for name in ("customer_id", "notice_id", "contact_id")),
    }
    read = 0
    async with client(running, world.tokens["manager"]) as theirs:
        for path, item in document["paths"].items():
            if "get" not in item or not path.startswith("/api/v1/"):
                continue
            answer = await theirs.get(path.removeprefix("/api/v1").format_map(_Names(world.own)))
            if answer.status_code == 200:
                read += 1
                assert not [word for word in secret if word in answer.text], path
    assert read > 15


class _Names(dict):
    def __missing__(self, name):
        return "00000000-0000-4000-8000-000000000000"


async def test_release_by_an_analyst_alone_is_refused_and_an_approver_may(running, api, world):
    own = await customer(api, "Another", contacts=(("a@another.example", "en"),))
    incident = await declare(
        api, impact="I1", service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(own, data_harm=harm(confidentiality="yes"))],
    )  # fmt: skip
    async with (
        client(running, world.tokens["analyst"]) as analyst,
        client(running, world.tokens["approver"]) as approver,
    ):
        assert (
            await analyst.post(f"/incidents/{incident['id']}/release", headers={"If-Match": '"1"'})
        ).status_code == 403
        assert len(await release(approver, incident)) >= 1
