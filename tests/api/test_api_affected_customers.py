"""What is stated of many customers at once: one version of the facts, one decision each."""

from support.scenario import NO_HARM, affected, customer, declare, harm, ok


async def stated(api, incident):
    facts = (await ok(api.get(f"/incidents/{incident['id']}")))["facts"]
    return [each["customer_id"] for each in facts["affected_customers"]]


async def patched(api, incident, version=1, **body):
    headers = {"If-Match": f'"{version}"'}
    return await api.patch(f"/incidents/{incident['id']}/affected-customers", json=body, headers=headers)


async def test_many_customers_are_stated_in_one_version(api):
    one, two, three = [await customer(api, name, contacts=()) for name in ("One", "Two", "Three")]
    incident = await declare(api, impact="I1", affected_customers=[affected(one), affected(two)])
    changes = [affected(each, data_harm=harm(confidentiality="yes")) for each in (three, one)]
    answer = await patched(api, incident, customers=changes, unlisted=[two["id"]])
    assert answer.status_code == 200, answer.text
    assert (answer.json()["version"], answer.headers["etag"], answer.json()["tally"]["notify"]) == (2, '"2"', 3)
    assert await stated(api, incident) == [one["id"], three["id"]]
    facts = answer.json()["facts"]["affected_customers"]
    assert facts[0]["data_harm"] == NO_HARM | {"confidentiality": "yes"}


async def test_what_is_wrong_is_named_and_changes_nothing(api):
    one = await customer(api, "One", contacts=())
    incident = await declare(api, affected_customers=[affected(one)])
    nobody = affected({"id": incident["id"]})
    for body, status in (
        ({"customers": [nobody]}, 422),
        ({"customers": [affected(one) | {"affected": "maybe"}]}, 422),
        ({"clients": []}, 422),
    ):
        answer = await patched(api, incident, **body)
        assert answer.status_code == status, answer.text
        assert answer.json()["errors"]
    assert (await patched(api, incident, version=7, customers=[affected(one)])).status_code == 412
    answer = await api.patch(f"/incidents/{incident['id']}/affected-customers", json={})
    assert answer.status_code == 428
    assert (await ok(api.get(f"/incidents/{incident['id']}")))["version"] == 1


async def test_a_repeated_request_changes_once(api):
    one = await customer(api, "One", contacts=())
    incident = await declare(api)
    headers = {"If-Match": "*", "Idempotency-Key": "many"}
    path, body = f"/incidents/{incident['id']}/affected-customers", {"customers": [affected(one)]}
    first = await api.patch(path, json=body, headers=headers)
    again = await api.patch(path, json=body, headers=headers)
    assert (first.status_code, first.content) == (200, again.content)
    assert again.json()["version"] == 2
