"""Four eyes: whoever wrote a notice last does not release it; the emergency way past that stands out."""

import json

import httpx2
import pytest

from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from support.scenario import AGREEMENT_ID, change, customer, declare, harm, notices, ok
from support.world import account, at_provider


def client(running, token):
    return httpx2.AsyncClient(
        base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )


@pytest.fixture
async def people(running):
    """Two analysts that are approvers too, and one that is only an approver; each its own client."""
    both = (at_provider(Role.ANALYST), at_provider(Role.APPROVER))
    ada, grace, third = [
        (await account(running, name, *grants))[1]
        for name, grants in (("Ada", both), ("Grace", both), ("Third", both[1:]))
    ]
    async with client(running, ada) as first, client(running, grace) as second, client(running, third) as approver:
        yield first, second, approver


async def released(api, incident, path="release", **body):
    match = {"If-Match": f'"{incident["version"]}"'}
    return await api.post(f"/incidents/{incident['id']}/{path}", headers=match, json=body or None)


async def declared(analyst):
    return await declare(analyst, impact="I1", service_harm=harm(confidentiality="yes"), unlisted_customers="unknown")


async def test_whoever_wrote_it_last_does_not_release_it(api, people):
    ada, grace, _ = people
    await customer(api, four_eyes=True)
    incident = await declared(ada)
    refused = await released(ada, incident)
    assert refused.status_code == 409
    assert "must be released by somebody else than you" in refused.json()["detail"]
    assert {item["state"] for item in await notices(ada, incident)} == {"draft"}
    assert (await released(grace, incident)).status_code == 200


async def test_a_changed_fact_makes_its_author_the_one_who_may_not(api, people):
    ada, grace, _ = people
    await customer(api, four_eyes=True)
    incident = await change(grace, await declared(ada), criticality="C1")
    assert (await released(grace, incident)).status_code == 409
    assert (await released(ada, incident)).status_code == 200


async def test_all_or_none_where_one_of_several_customers_requires_it(api, people):
    ada, grace, _ = people
    await customer(api, "Strict", four_eyes=True, contacts=(("a@strict.example", "en"),))
    await customer(api, "Plain", contacts=(("a@plain.example", "en"),))
    incident = await declared(ada)
    refused = await released(ada, incident)
    assert refused.status_code == 409
    assert "1 of 2 notice(s), for Strict," in refused.json()["detail"]
    assert {item["state"] for item in await notices(ada, incident)} == {"draft"}
    assert len((await ok(released(grace, incident)))["items"]) == 2


async def test_without_a_rule_an_author_who_may_release_does(api, people):
    ada, _, _ = people
    await customer(api)
    assert (await released(ada, await declared(ada))).status_code == 200


async def test_a_setting_requires_it_of_everybody(data_folder, service_log):
    async with (
        embedded_service(data_folder, agreements__four_eyes=True) as running,
        client(running, running.token) as api,
    ):
        await customer(api)
        incident = await declared(api)
        assert (await released(api, incident)).status_code == 409


async def test_an_agreement_requires_it_of_its_customers(data_folder, service_log, tmp_path):
    source = AGREEMENT_ID
    from importlib.resources import files

    text = (files("notifications.agreement") / f"{source}.toml").read_text("utf-8")
    strict = text.replace(f'id = "{source}"', 'id = "strict"\nfour_eyes = true\nfour_eyes_clause = "7.1"', 1)
    (tmp_path / "agreements").mkdir()
    (tmp_path / "agreements" / "strict.toml").write_text(strict, "utf-8")
    folder = tmp_path / "agreements"
    async with (
        embedded_service(data_folder, agreements__folder=folder) as running,
        client(running, running.token) as api,
    ):
        shown = await ok(api.get("/agreements/strict"))
        assert (shown["four_eyes"], shown["four_eyes_clause"]) == (True, "7.1")
        assert (await ok(api.get(f"/agreements/{source}")))["four_eyes"] is False
        bound = {"agreement_id": "strict", "effective_at": "2025-02-01T00:00:00Z"}
        await customer(api, agreement=bound)
        assert (await released(api, await declared(api))).status_code == 409


class TestOverride:
    async def test_it_releases_and_stands_out_in_the_log(self, api, running, people, service_log):
        ada, _, _ = people
        await customer(api, four_eyes=True)
        incident = await declared(ada)
        (notice,) = (await ok(released(ada, incident, "release-override", reason="Nobody else is awake.")))["items"]
        assert notice["override_reason"] == "Nobody else is awake."
        # The notice, and the alert to the provider's mailbox.
        await running.sink.wait_for(2, timeout_seconds=60)
        (line,) = [json.loads(line) for line in service_log.getvalue().splitlines() if '"critical"' in line]
        assert (line["event"], line["notice_id"]) == ("notice.released_by_override", notice["id"])
        entries = (await ok(api.get("/audit/entries", params={"limit": 200})))["items"]
        (entry,) = [item["leaf"] for item in entries if item["leaf"]["type"] == "notice.released_by_override"]
        assert entry["detail"] == {"own_draft": True, "rule": "customer", "sequence": 1}
        assert "awake" not in str(entry)

    async def test_an_analyst_who_is_no_approver_has_it_too(self, api, running):
        await customer(api)
        _, token = await account(running, "Night", at_provider(Role.ANALYST))
        async with client(running, token) as night:
            incident = await declared(night)
            assert (await released(night, incident)).status_code == 403
            (draft,) = await notices(night, incident)
            answer = await night.post(
                f"/notices/{draft['id']}/release-override", json={"reason": "Alone."}, headers={"If-Match": '"1"'}
            )
            assert answer.status_code == 200
            assert answer.json()["state"] == "released"

    @pytest.mark.parametrize(
        "body", [None, {}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 2001}, {"reason": 1}]
    )
    async def test_it_needs_a_reason(self, api, people, body):
        ada, _, _ = people
        await customer(api)
        incident = await declared(ada)
        answer = await ada.post(f"/incidents/{incident['id']}/release-override", json=body, headers={"If-Match": '"1"'})
        assert answer.status_code == 422
        assert {item["state"] for item in await notices(ada, incident)} == {"draft"}

    async def test_it_is_reviewed_by_somebody_else_once(self, api, people):
        ada, _, third = people
        await customer(api, four_eyes=True)
        incident = await declared(ada)
        (notice,) = (await ok(released(ada, incident, "release-override", reason="Now.")))["items"]
        path, match = f"/notices/{notice['id']}/override-review", {"If-Match": "*"}
        assert (await ada.post(path, headers=match)).status_code == 409
        reviewed = await ok(third.post(path, headers=match))
        assert reviewed["override_reviewed_by"].startswith("account:")
        assert (await third.post(path, headers=match)).status_code == 409

    async def test_a_release_by_the_rules_has_nothing_to_review(self, api, people):
        ada, _, third = people
        await customer(api)
        (notice,) = (await ok(released(ada, await declared(ada))))["items"]
        answer = await third.post(f"/notices/{notice['id']}/override-review", headers={"If-Match": "*"})
        assert answer.status_code == 409
