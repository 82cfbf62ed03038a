"""A second agreement is a file; each customer is decided by the version and profile in force for it at awareness."""

from importlib import resources

import httpx2
import pytest

from notifications.errors import GreffierError
from service.cli.demo.environment import embedded_service
from support import scenario
from support.scenario import ok

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I2", "criticality": "C1"}


@pytest.fixture
def second_agreement(tmp_path):
    """The bundled agreement with another name."""
    text = (resources.files("notifications.agreement") / "secnumcloud_iaas_3_0.toml").read_text(encoding="utf-8")
    changed = text.replace('id = "secnumcloud_iaas_3_0"', 'id = "secnumcloud_iaas_4_0"', 1)
    folder = tmp_path / "agreements"
    folder.mkdir()
    (folder / "secnumcloud_iaas_4_0.toml").write_text(changed, encoding="utf-8")
    return folder


async def test_a_second_agreement_without_code(data_folder, service_log, second_agreement):
    async with embedded_service(data_folder, agreements__folder=second_agreement) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            known = {item["id"] for item in (await ok(api.get("/agreements")))["items"]}
            assert known == {"secnumcloud_2026", "secnumcloud_iaas_3_0", "secnumcloud_iaas_4_0"}
            old = await scenario.customer(api, name="Old")
            new = await scenario.customer(
                api,
                name="New",
                agreement={"agreement_id": "secnumcloud_iaas_4_0", "effective_at": "2025-02-01T00:00:00Z"},
            )
            incident = await scenario.declare(api, **GRAVE)
            assert (await scenario.assessment(api, incident, old))["agreement_id"] == "secnumcloud_iaas_3_0"
            assert (await scenario.assessment(api, incident, new))["agreement_id"] == "secnumcloud_iaas_4_0"


async def test_a_faulty_agreement_file_is_named_with_key_and_reason(data_folder, service_log, second_agreement):
    file = second_agreement / "secnumcloud_iaas_4_0.toml"
    file.write_text(file.read_text(encoding="utf-8").replace('id = "P1"', 'id = "P9"', 1), encoding="utf-8")
    with pytest.raises(GreffierError, match=r"secnumcloud_iaas_4_0\.toml: "):
        async with embedded_service(data_folder, agreements__folder=second_agreement):
            pass


async def test_before_its_agreement_a_customer_is_not_bound_and_the_decision_says_so(api):
    late = await scenario.customer(
        api, agreement={"agreement_id": "secnumcloud_iaas_3_0", "effective_at": scenario.ago(minutes=1)}
    )
    incident = await scenario.declare(api, **GRAVE)
    decision = await scenario.assessment(api, incident, late)
    assert decision["verdict"] == "do_not_notify"
    assert [reason["id"] for reason in decision["reasons"]] == ["not_bound"]
    assert all(decision["reasons"][0]["text"].values())


async def test_the_profile_in_force_at_awareness_decides(api):
    one = await scenario.customer(api)
    body = {"choices": [], "effective_at": scenario.ago(minutes=5)}
    await ok(api.post(f"/customers/{one['id']}/profiles", json=body))
    before = await scenario.declare(api, **GRAVE, aware_at=scenario.ago(minutes=9))
    after = await scenario.declare(api, **GRAVE, aware_at=scenario.ago(minutes=2))
    assert (await scenario.assessment(api, before, one))["verdict"] == "notify"
    assert (await scenario.assessment(api, after, one))["verdict"] == "do_not_notify"


PROFILES = [
    ([{}], GRAVE | {"impact": "I3"}, "notify"),
    ([{"impacts": ["I1"]}], GRAVE, "do_not_notify"),
    ([{"impacts": ["I1", "I2"]}], GRAVE, "notify"),
    ([{"priorities": ["P1", "P2"]}], GRAVE, "notify"),
    ([{"priorities": ["P1"]}], GRAVE, "do_not_notify"),
    ([{"impacts": ["I2"], "criticalities": ["C2"]}], GRAVE, "do_not_notify"),
    ([{"impacts": ["I1"]}, {"criticalities": ["C1"]}], GRAVE, "notify"),
    (None, GRAVE, "notify"),
    ([], GRAVE, "do_not_notify"),
]


@pytest.mark.parametrize(("choices", "change", "verdict"), PROFILES)
async def test_chosen_levels(api, choices, change, verdict):
    one = await scenario.customer(api, profile={"choices": choices})
    result = await ok(api.post("/incidents/dry-run", json=scenario.facts(**change)))
    (decision,) = result["assessments"]
    assert decision["customer_id"] == one["id"]
    assert decision["verdict"] == verdict


async def test_a_profile_cannot_waive_personal_data_nor_plain_incidents(api):
    one = await scenario.customer(api, profile={"choices": []})
    breach = {"personal_data": {"breach": "suspected", "controller": "customer"}}
    for change, clause in (
        (GRAVE | {"affected_customers": [scenario.affected(one, **breach)]}, "11.1.1.3 (3)"),
        (
            {"service_harm": scenario.harm(availability="yes"), "affected_customers": [scenario.affected(one)]},
            "11.1.1.2",
        ),
    ):
        result = await ok(api.post("/incidents/dry-run", json=scenario.facts(**change)))
        (decision,) = result["assessments"]
        assert decision["verdict"] == "notify"
        assert clause in {reason["clause"] for reason in decision["reasons"] if reason["holds"] == "yes"}


async def test_a_profile_dry_run_says_what_it_would_have_changed(api):
    one = await scenario.customer(api)
    told = await scenario.declare(api, **GRAVE)
    untold = await scenario.declare(api, **GRAVE | {"impact": "I3"})
    result = await ok(api.post(f"/customers/{one['id']}/profiles/dry-run", json={"choices": [{"impacts": ["I3"]}]}))
    assert (result["incidents_examined"], result["more_notices"], result["fewer_notices"]) == (2, 1, 1)
    assert {item["ticket"] for item in result["differences"]} == {told["ticket"], untold["ticket"]}
    assert (await ok(api.get(f"/customers/{one['id']}/profiles")))["items"] == []


async def test_a_start_without_an_agreement_that_binds_a_customer_names_it(data_folder, service_log, second_agreement):
    async with embedded_service(data_folder, agreements__folder=second_agreement) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            bound = {"agreement_id": "secnumcloud_iaas_4_0", "effective_at": "2025-02-01T00:00:00Z"}
            await scenario.customer(api, agreement=bound)
    with pytest.raises(GreffierError, match="customers are bound to secnumcloud_iaas_4_0, and no file has this id"):
        async with embedded_service(data_folder):
            pass
