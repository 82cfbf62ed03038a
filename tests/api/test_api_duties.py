"""Legal duties through the API: the law, any entity's clocks, the provider's reports, the customer's own duties."""

import json

import pytest
from jsonschema import Draft202012Validator

from support.commits import until
from support.dora_schema import SCHEMA, STRICT_SCHEMA
from support.scenario import affected, ago, change, customer, declare, facts, harm, ok, release

NOBODY = "00000000-0000-4000-8000-000000000000"


async def duties(api, incident):
    return await ok(api.get(f"/incidents/{incident['id']}/duties"))


async def assess(api, incident, version=0, **stated):
    path = f"/incidents/{incident['id']}/duties/assessment"
    return await api.put(path, json=stated, headers={"If-Match": f'"{version}"'})


def submission(minutes=1, **changes):
    return {"submitted_at": ago(minutes=minutes), "recipient": "CERT-FR", "submitted_by": "Ada"} | changes


def by_duty(found):
    return {clock["duty"]: clock for clock in found["clocks"]}


async def entries(running, kind):
    leaves = await running.parts.store.read(
        lambda tx: [item.leaf for item in (*tx.audit.entries(0, 10_000), *tx.audit.pending(10_000))]
    )
    found = {(leaf := json.loads(each))["id"]: leaf for each in leaves}
    return [leaf for leaf in found.values() if leaf["type"] == kind]


async def test_the_law_is_data_that_everybody_reads(api):
    law = await ok(api.get("/duties"))
    assert set(law["acts"]) == {"gdpr", "nis2", "dora", "eidas", "bsig", "cra"}
    assert "DE-BY" in law["member_states"]["DE"]
    assert {"credit_institution", "nis2_essential"} <= {sector["id"] for sector in law["sectors"]}


async def test_clocks_of_any_entity_with_every_step(api):
    asked = {
        "entity": {"member_state": "DE", "region": "DE-BY", "sectors": ["insurance_undertaking"]},
        "aware_at": "2026-01-01T08:00:00Z",
        "moments": {"awareness": "2026-01-01T08:00:00Z", "classification": "2026-01-02T09:00:00Z"},
        "submissions": {"dora_initial": ["2026-01-03T08:00:00Z"]},
    }
    found = {each["duty"]: each for each in (await ok(api.post("/duties/calculation", json=asked)))["items"]}
    assert (found["dora_initial"]["due_at"], found["dora_initial"]["in_time"]) == ("2026-01-02T13:00:00.000000Z", False)
    assert [step["kind"] for step in found["dora_initial"]["steps"]] == [
        "started", "hours_added", "second_limit_fell_away",
    ]  # fmt: skip
    assert found["dora_intermediate"]["due_at"] == "2026-01-07T11:00:00.000000Z"
    assert [step["name"] for step in found["dora_intermediate"]["steps"]] == [
        "dora_initial", None, "Heilige Drei Könige", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"entity": {"member_state": "XX"}}, "member_state"),
        ({"entity": {"member_state": "FR", "region": "DE-BY"}}, "region"),
        ({"entity": {"sectors": ["bank"]}}, "sectors"),
        ({"submissions": {"dora_first": []}}, "submissions.dora_first"),
        ({"aware_at": "2026-01-01T08:00:00"}, "aware_at"),
        ({"moments": {"noticing": "2026-01-01T08:00:00Z"}}, "moments.noticing"),
    ],
)
async def test_a_wrong_calculation_names_its_field(api, changes, field):
    refused = await api.post("/duties/calculation", json={"aware_at": "2026-01-01T08:00:00Z"} | changes)
    assert refused.status_code == 422
    assert [fault["field"] for fault in refused.json()["errors"]] == [field]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_a_moment_at_the_end_of_the_calendar_is_a_fault_of_its_request(api, moment):
    asked = {
        "entity": {"member_state": "DE", "sectors": ["insurance_undertaking"]},
        "aware_at": moment,
        "moments": {"classification": moment},
        "submissions": {"dora_initial": [moment]},
    }
    answer = await api.post("/duties/calculation", json=asked)
    assert answer.status_code == 422, answer.text
    fields = ["aware_at", "moments.classification", "submissions.dora_initial.0"]
    assert [fault["field"] for fault in answer.json()["errors"]] == fields
    answer = await api.get(f"/notices/{NOBODY}/own-duties", params={"aware_at": moment, "classified_at": moment})
    assert [fault["field"] for fault in answer.json()["errors"]] == ["aware_at", "classified_at"]


async def test_significance_is_answered_from_facts_and_by_the_analyst(api, running):
    incident = await declare(api, service_harm=harm(availability="yes"))
    before = await duties(api, incident)
    answers = {each["question"]: (each["answer"], each["answered_by"]) for each in before["criteria"]}
    assert before["significant"] == "unknown"
    assert answers["malicious_access"] == ("no", "facts")
    assert answers["completely_unavailable"] == ("unknown", "nobody")
    assert by_duty(before)["nis2_early_warning"]["occasion"] == "unknown"
    assert (await assess(api, incident, 1, answers={"death": "no"})).status_code == 412
    made = await assess(api, incident, answers={"completely_unavailable": "yes", "planned_maintenance": "no"}, note="N")
    assert (made.status_code, made.headers["ETag"]) == (200, '"1"')
    after = await duties(api, incident)
    assert after["significant"] == "yes"
    clock = by_duty(after)["nis2_early_warning"]
    assert (clock["state"], clock["occasion"]) == ("running", "yes")
    (entry,) = await entries(running, "duty.assessed")
    assert entry["detail"]["answers"] == ["completely_unavailable:yes", "planned_maintenance:no"]
    assert entry["detail"]["significant"] == "yes"
    assert set(entry["commitments"]) == {"payload"}


async def test_an_incident_known_to_be_insignificant_owes_no_report(api):
    incident = await declare(api)
    no = dict.fromkeys(
        ("loss", "trade_secrets", "death", "health_damage", "malicious_access", "recurring", "completely_unavailable",
         "limited_availability", "data_compromised", "data_compromised_widely"), "no",
    )  # fmt: skip
    assert (await assess(api, incident, answers=no)).status_code == 200
    found = await duties(api, incident)
    assert (found["significant"], found["clocks"]) == ("no", [])


async def test_a_breach_without_a_risk_for_people_is_not_owed_to_the_authority(api):
    """GDPR 33(1): the provider as a controller; its duty as a processor has no such exception."""
    rows = [
        affected(await customer(api, name), personal_data={"breach": "confirmed", "controller": controller})
        for name, controller in (("Valmont", "provider"), ("Orion", "customer"))
    ]
    incident = await declare(api, affected_customers=rows)
    assert by_duty(await duties(api, incident))["gdpr_authority"]["occasion"] == "yes"
    assert (await assess(api, incident, answers={"risk_unlikely": "yes"})).status_code == 200
    found = await duties(api, incident)
    assert {"gdpr_authority", "gdpr_data_subjects"}.isdisjoint(by_duty(found))
    assert (found["significant"], "gdpr_controller" in by_duty(found)) == ("unknown", True)
    high = {"answers": {"risk_unlikely": "yes"}, "high_risk_at": ago(minutes=1)}
    assert (await assess(api, incident, 1, **high)).status_code == 200
    assert {"gdpr_authority", "gdpr_data_subjects"} <= set(by_duty(await duties(api, incident)))


async def test_incidents_with_the_same_cause_count_together(api):
    first, second = await declare(api), await declare(api)
    cause = {"apparent_cause": "storage controller", "loss_eur": 300_000}
    assert (await assess(api, first, **cause)).status_code == 200
    assert (await assess(api, second, **cause)).status_code == 200
    found = await duties(api, second)
    answers = {each["question"]: each["answer"] for each in found["criteria"]}
    # No turnover is set, and 5 % of it may be less than this loss.
    assert (answers["loss"], answers["recurring"], found["significant"]) == ("unknown", "yes", "yes")


async def test_a_report_is_filled_from_facts_written_carried_over_and_submitted(api, running):
    incident = await declare(api, service_harm=harm(availability="yes"), measures_taken={"en": "Rebooted."})
    assert (
        await assess(api, incident, answers={"completely_unavailable": "yes", "planned_maintenance": "no"})
    ).is_success
    path = f"/incidents/{incident['id']}/duties"
    draft = await ok(api.get(f"{path}/nis2_early_warning/report", params={"language": "en"}))
    items = {each["id"]: each for each in draft["items"]}
    assert (items["description"]["text"], items["description"]["origin"]) == ("Something happened.", "facts")
    assert "accidental" in items["malicious"]["text"]
    assert (items["cross_border"]["text"], items["cross_border"]["origin"]) == ("", "nothing")
    written = {"description": "Storage down in one site.", "cross_border": "Belgium"}
    saved = await api.put(f"{path}/nis2_early_warning/report", json={"items": written}, headers={"If-Match": '"0"'})
    assert (saved.status_code, saved.headers["ETag"]) == (200, '"1"')
    again = await api.put(f"{path}/nis2_early_warning/report", json={"items": {}}, headers={"If-Match": '"0"'})
    assert again.status_code == 412
    unknown = await api.put(f"{path}/nis2_early_warning/report", json={"items": {"x": "y"}}, headers={"If-Match": "*"})
    assert [fault["field"] for fault in unknown.json()["errors"]] == ["items.x"]
    sent = await ok(api.post(f"{path}/nis2_early_warning/submissions", json=submission(reference="C-1")))
    assert sent["items"] == written
    following = await ok(api.get(f"{path}/nis2_notification/report", params={"language": "en"}))
    items = {each["id"]: each for each in following["items"]}
    assert (items["cross_border"]["text"], items["cross_border"]["origin"]) == ("Belgium", "carried")
    assert items["description"]["facts_now"] == "Something happened."
    assert items["severity"]["origin"] == "facts"
    (entry,) = await entries(running, "authority_report.submitted")
    assert (entry["detail"]["duty"], entry["detail"]["withdrawn"]) == ("nis2_early_warning", False)
    assert "CERT-FR" not in json.dumps(entry)


async def test_a_submission_starts_the_next_clock_and_a_correction_moves_it(api, running):
    incident = await declare(api, aware_at=ago(days=2))
    path = f"/incidents/{incident['id']}"
    assert by_duty(await duties(api, incident))["nis2_progress"]["state"] == "not_started"
    sent = await ok(api.post(f"{path}/duties/nis2_notification/submissions", json=submission(60)))
    found = await duties(api, incident)
    clock = by_duty(found)["nis2_progress"]
    assert (clock["state"], clock["started_at"]) == ("running", sent["submitted_at"])
    assert by_duty(found)["nis2_notification"]["in_time"] is True
    wrong = f"{path}/submissions/{sent['id']}/correction"
    right = submission(30, recipient="ANSSI")
    made = await ok(api.post(wrong, json={"reason": "the clock was wrong", "submission": right}))
    assert (made["corrects"], made["in_force"]) == (sent["id"], True)
    found = await duties(api, incident)
    assert by_duty(found)["nis2_progress"]["started_at"] == made["submitted_at"]
    assert [(each["id"], each["in_force"]) for each in found["submissions"]] == [
        (sent["id"], False),
        (made["id"], True),
    ]
    assert (await api.post(wrong, json={"reason": "again"})).status_code == 409
    await ok(api.post(f"{path}/submissions/{made['id']}/correction", json={"reason": "it was never sent"}))
    assert by_duty(await duties(api, incident))["nis2_progress"]["state"] == "not_started"
    assert len(await entries(running, "authority_report.corrected")) == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"submitted_at": "2999-01-01T00:00:00Z"}, "submitted_at"),
        ({"submitted_at": "2020-01-01T00:00:00Z"}, "submitted_at"),
        ({"recipient": " "}, "recipient"),
        ({"items": {"phone": "1"}}, "items.phone"),
        ({"items": {"description": "a\x00b"}}, "items.description"),
    ],
)
async def test_a_wrong_submission_names_its_field(api, changes, field):
    incident = await declare(api)
    path = f"/incidents/{incident['id']}/duties/nis2_notification/submissions"
    refused = await api.post(path, json=submission() | changes)
    assert refused.status_code == 422
    assert [fault["field"] for fault in refused.json()["errors"]] == [field]


async def test_what_does_not_exist_is_not_found(api):
    incident = await declare(api)
    path = f"/incidents/{incident['id']}"
    assert (await api.get(f"/incidents/{NOBODY}/duties")).status_code == 404
    assert (await api.get(f"{path}/duties/dora_initial/report")).status_code == 404
    assert (await api.post(f"{path}/duties/nis2_x/submissions", json=submission())).status_code == 404
    assert (await api.post(f"{path}/submissions/{NOBODY}/correction", json={"reason": "R"})).status_code == 404


async def test_nothing_is_reported_of_an_exercise(api):
    exercise = await ok(api.post("/incidents", json=facts() | {"exercise": True}))
    refused = await api.post(f"/incidents/{exercise['id']}/duties/nis2_notification/submissions", json=submission())
    assert refused.status_code == 409


async def test_a_customer_states_what_it_is_and_its_notice_names_its_duties(api, running):
    bank = await customer(api)
    path = f"/customers/{bank['id']}/legal-profile"
    assert (await ok(api.get(path)))["version"] == 0
    stated = {"member_state": "FR", "sectors": ["credit_institution"], "lei": "969500TJ5KRTCJQWXH05"}
    assert (await api.put(path, json=stated)).status_code == 428
    put = await api.put(path, json=stated, headers={"If-Match": '"0"'})
    assert (put.status_code, put.json()["version"]) == (200, 1)
    assert (await api.put(path, json=stated, headers={"If-Match": '"0"'})).status_code == 412
    wrong = await api.put(path, json={"member_state": "FR", "region": "FR-ZZ"}, headers={"If-Match": '"1"'})
    assert [fault["field"] for fault in wrong.json()["errors"]] == ["region"]
    breach = {"breach": "confirmed", "controller": "customer", "data_subjects_approx": 1200}
    entry = affected(bank, data_harm=harm(confidentiality="yes"), personal_data=breach)
    incident = await declare(
        api, intent="malicious", cause="attack", impact="I1", affected_customers=[entry], detected_at=ago(minutes=12)
    )
    (notice,) = await release(api, incident)

    async def document():
        answer = await api.get(f"/notices/{notice['id']}/document")
        return answer.json() if answer.is_success else None

    sealed = await until(running.parts.store, document)
    assert [duty["id"] for duty in sealed["your_deadlines"]["duties"]] == [
        "dora_initial", "dora_intermediate", "dora_final", "gdpr_authority", "gdpr_data_subjects",
    ]  # fmt: skip
    own = await ok(api.get(f"/notices/{notice['id']}/own-duties", params={"language": "en"}))
    found = {each["clock"]["duty"]: each for each in own["items"]}
    assert {each["clock"]["due_at"] for each in own["items"]} == {None}
    filled = {item["id"]: item["text"] for item in found["gdpr_authority"]["items"]}
    assert filled["data_subjects"] == "1,200"
    assert sealed["provider"]["contact_point"]["email"] in filled["contact_point"]
    assert filled["delay_reasons"] == ""
    aware = {"aware_at": "2026-06-01T08:00:00Z", "classified_at": "2026-06-01T09:00:00Z"}
    counted = await ok(api.get(f"/notices/{notice['id']}/own-duties", params=aware))
    due = {each["clock"]["duty"]: each["clock"]["due_at"] for each in counted["items"]}
    assert due["gdpr_authority"] == "2026-06-04T08:00:00.000000Z"
    assert due["dora_initial"] == "2026-06-01T13:00:00.000000Z"
    # An insurer's reports: the intermediate one counts from the initial one, the final one from the latest update.
    sent = {"submitted": ["dora_initial@2026-06-01T12:00:00Z", "dora_intermediate@2026-06-03T12:00:00Z",
                          "dora_intermediate@2026-06-30T14:00:00+02:00"]}  # fmt: skip
    counted = await ok(api.get(f"/notices/{notice['id']}/own-duties", params=aware | sent))
    due = {each["clock"]["duty"]: each["clock"]["due_at"] for each in counted["items"]}
    assert due["dora_intermediate"] == "2026-06-04T12:00:00.000000Z"
    assert due["dora_final"] == "2026-07-30T12:00:00.000000Z"
    for wrong in ("dora_first@2026-06-01T12:00:00Z", "dora_initial@2026-06-01T12:00:00", "dora_initial",
                  "dora_initial@0001-01-01T00:00:00+14:00", "dora_initial@9999-12-31T23:59:59Z"):  # fmt: skip
        refused = await api.get(f"/notices/{notice['id']}/own-duties", params={"submitted": wrong})
        assert (refused.status_code, [each["field"] for each in refused.json()["errors"]]) == (422, ["submitted"])
    for kind in ("initial_notification", "intermediate_report", "final_report"):
        draft = await ok(api.get(f"/notices/{notice['id']}/dora-report", params={"submission": kind}))
        _validate(draft["report"])
        assert draft["report"]["incidentSubmission"] == kind
        assert "2.3" in {field["number"] for field in draft["empty"]}
    assert draft["report"]["incident"]["incidentType"]["incidentClassification"] == ["cybersecurity-related"]
    assert draft["report"]["primaryContact"]["email"] == "rssi@valmont.example"
    # What only the customer knows it states itself; without it the draft says nothing of measures.
    path = f"/notices/{notice['id']}/dora-report"
    (note,) = (field["note"] for field in draft["empty"] if field["number"] == "3.33")
    assert set(note) == {"fr", "en", "de"}
    for answer, value in (("yes", True), ("no", False)):
        stated = await ok(api.get(path, params=aware | {"submission": "final_report", "temporary_measures": answer}))
        _validate(stated["report"], STRICT_SCHEMA)
        assert stated["report"]["impactAssessment"]["serviceImpact"] == {"isTemporaryActionsMeasuresForRecovery": value}
        assert stated["report"]["incident"]["detectionDateTime"] == "2026-06-01T08:00:00Z"
        assert stated["report"]["incident"]["classificationDateTime"] == "2026-06-01T09:00:00Z"
        assert not {"2.2", "2.3", "3.33"} & {field["number"] for field in stated["empty"]}
    assert (await api.get(path, params={"temporary_measures": "perhaps"})).status_code == 422
    # The provider's later change of the facts shows the customer nothing that it was not served.
    await change(api, incident, cause="bug", intent="accidental")
    again = await ok(api.get(f"/notices/{notice['id']}/dora-report"))
    assert again["report"]["incident"]["incidentDescription"] == draft["report"]["incident"]["incidentDescription"]


def _validate(report, schema=SCHEMA):
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(report)
