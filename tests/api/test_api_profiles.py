"""Changed profiles: from when they hold, what stays, and what a dry run tells to whom."""

from datetime import timedelta

import httpx
import pytest

from service.ports.accounts import Role
from support.scenario import affected, assessment, customer, declare, harm, notices, ok
from support.world import account, at_customer, at_provider

ONLY_I1 = {"choices": [{"impacts": ["I1"]}]}
EVERYTHING = {"choices": [{}]}


def client(running, token):
    return httpx.AsyncClient(base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30)


@pytest.fixture
async def hospital(api):
    """A customer with three security incidents behind it: one of each impact."""
    made = await customer(api)
    for impact in ("I1", "I2", "I3"):
        await declare(api, title=f"Secret {impact}", impact=impact, intent="malicious", cause="attack",
                      affected_customers=[affected(made)])  # fmt: skip
    return made


async def test_a_dry_run_counts_notices_and_names_incidents_to_analysts_alone(running, api, hospital):
    path = f"/customers/{hospital['id']}/profiles/dry-run"
    whole = await ok(api.post(path, json=ONLY_I1))
    assert (whole["incidents_examined"], whole["more_notices"], whole["fewer_notices"]) == (3, 0, 1)
    assert whole["differences"][0]["ticket"]
    more = await ok(api.post(path, json=EVERYTHING))
    assert (more["more_notices"], more["fewer_notices"]) == (1, 0)
    for grant in (at_customer(Role.CUSTOMER_MEMBER, hospital["id"]), at_provider(Role.ADMINISTRATOR)):
        _, token = await account(running, str(grant[0]), grant)
        async with client(running, token) as other:
            answer = await other.post(path, json=EVERYTHING)
            assert answer.status_code == 200
            told = answer.json()
            assert (told["more_notices"], told["fewer_notices"]) == (1, 0)
            (difference,) = told["differences"]
            assert difference["notice"] == "more"
            assert all(difference[name] is None for name in ("incident_id", "ticket", "present", "changed"))
            assert "Secret" not in answer.text
            assert "INC-" not in answer.text


async def test_incidents_of_more_than_a_year_ago_do_not_count(running, api, hospital):
    long_ago = (running.parts.context.clock.now() - timedelta(days=366)).isoformat()
    await declare(api, aware_at=long_ago, impact="I2", intent="malicious", affected_customers=[affected(hospital)])
    assert (await ok(api.post(f"/customers/{hospital['id']}/profiles/dry-run", json=ONLY_I1)))[
        "incidents_examined"
    ] == 3


async def test_a_dry_run_records_nothing(running, api, hospital):
    def written(tx):
        return tx.log.size() + len(tx.audit.pending(10_000))

    before = await running.parts.store.read(written)
    await ok(api.post(f"/customers/{hospital['id']}/profiles/dry-run", json=EVERYTHING))
    assert (await ok(api.get(f"/customers/{hospital['id']}/profiles")))["items"] == []
    assert await running.parts.store.read(written) == before


async def test_a_change_takes_effect_from_its_time_and_the_past_keeps_its_profile(running, api, hospital):
    from_when = running.parts.context.clock.now() - timedelta(minutes=5)
    chosen = await ok(
        api.post(f"/customers/{hospital['id']}/profiles", json=ONLY_I1 | {"effective_at": from_when.isoformat()})
    )
    assert chosen["version"] == 1
    told = {}
    for minutes in (10, 1):
        aware_at = (running.parts.context.clock.now() - timedelta(minutes=minutes)).isoformat()
        incident = await declare(
            api, aware_at=aware_at, impact="I2", intent="malicious", cause="attack",
            affected_customers=[affected(hospital)],
        )  # fmt: skip
        decided = await assessment(api, incident, hospital)
        told[minutes] = (decided["verdict"], decided["profile_version"], len(await notices(api, incident)))
    assert told == {10: ("notify", None, 1), 1: ("do_not_notify", 1, 0)}
    await ok(api.post(f"/customers/{hospital['id']}/profiles", json={"choices": None}))
    history = (await ok(api.get(f"/customers/{hospital['id']}/profiles")))["items"]
    assert [item["version"] for item in history] == [1, 2]
    assert [item["choices"] is None for item in history] == [False, True]


async def test_what_cannot_be_waived_stays_whatever_is_chosen(api, hospital):
    await ok(api.post(f"/customers/{hospital['id']}/profiles", json={"choices": []}))
    incident = await declare(
        api, impact="I3",
        affected_customers=[affected(
            hospital, data_harm=harm(confidentiality="yes"),
            personal_data={"breach": "suspected", "controller": "customer"},
        )],
    )  # fmt: skip
    assert (await assessment(api, incident, hospital))["verdict"] == "notify"


async def test_a_choice_that_is_no_level_leaves_nothing(running, api, hospital):
    for body in ({"choices": [{"impacts": ["I1"]}, {"impacts": ["I9"]}]}, {"choices": [{"nothing": ["I1"]}]}, {}):
        refused = await api.post(f"/customers/{hospital['id']}/profiles", json=body)
        assert refused.status_code == 422
        assert refused.json()["errors"]
    assert (await ok(api.get(f"/customers/{hospital['id']}/profiles")))["items"] == []


async def test_whoever_chooses_is_named_in_the_log(running, api, hospital):
    made, token = await account(running, "Manager", at_customer(Role.CUSTOMER_MANAGER, hospital["id"]))
    async with client(running, token) as manager:
        chosen = await ok(manager.post(f"/customers/{hospital['id']}/profiles", json=EVERYTHING))
    assert chosen["recorded_by"] == f"account:{made.id}"
