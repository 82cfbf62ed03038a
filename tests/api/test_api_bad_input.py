"""Bad input gets a clear problem, names the field, and loses nothing."""

import asyncio
import json
import uuid

import pytest

from support import scenario
from support.scenario import affected, ago, facts, ok

#: Fixed, so that every run collects the same tests.
_NOBODY = uuid.UUID(int=0xDEAD)


CREATED = 201
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def api(shared_api):
    """The one service of this module: what these tests declare is looked at by them only."""
    return shared_api


async def state(api):
    """Everything that a refused request must leave as it was."""
    incidents = await ok(api.get("/incidents"))
    customers = await ok(api.get("/customers"))
    return len(incidents["items"]), len(customers["items"])


def is_problem(response, status, field=None):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"].startswith("urn:greffier:problem:")
    assert problem["title"]
    assert problem["detail"]
    if field is not None:
        named = [fault["field"] for fault in problem.get("errors", [])]
        assert any(name == field or name.startswith(f"{field}.") for name in named), named
        assert all(fault["reason"] for fault in problem["errors"])
    return problem


FAULTY_FACTS = [
    ("unknown enum", {"intent": "evil"}, "intent"),
    ("unknown cause", {"cause": "gremlins"}, "cause"),
    ("a moment before the year 1", {"detected_at": "0001-01-01T00:00:00+14:00"}, "detected_at"),
    ("a moment after the year 9999", {"detected_at": "9999-12-31T23:59:59-14:00"}, "detected_at"),
    ("a moment that other zones do not have", {"next_update_by": "9999-12-31T23:59:59Z"}, "next_update_by"),
    ("a moment before those of other zones", {"started_at": "0001-01-01T00:00:00Z"}, "started_at"),
    ("unknown impact", {"impact": "I9"}, "impact"),
    ("unknown criticality", {"criticality": "C0"}, "criticality"),
    ("bad TLP", {"tlp": "TLP:PURPLE"}, "tlp"),
    ("TLP of version 1", {"tlp": "TLP:WHITE"}, "tlp"),
    ("bad RSIT class", {"rsit_class": "nonsense"}, "rsit_class"),
    ("RSIT type of another class", {"rsit_class": "availability", "rsit_type": "phishing"}, "rsit_type"),
    ("naive time", {"aware_at": "2026-01-01T00:00:00"}, "aware_at"),
    ("no time", {"aware_at": "yesterday"}, "aware_at"),
    ("time in the future", {"aware_at": ago(days=-1)}, "aware_at"),
    ("detected after awareness", {"detected_at": ago(minutes=1), "aware_at": ago(minutes=9)}, "aware_at"),
    ("started after detection", {"started_at": ago(minutes=20), "detected_at": ago(minutes=30)}, "detected_at"),
    ("line break in the title", {"title": "a\r\nBcc: press@example.org"}, "title"),
    ("control character in the title", {"title": {"en": "a\x07b"}}, "title"),
    ("control character in a text", {"summary": "a\x00b"}, "summary"),
    ("line separator in the title", {"title": "a\u2028b"}, "title"),
    ("line break in a service", {"services": ["a\nb"]}, "services"),
    ("unknown language", {"title": {"tlh": "nuqneH"}}, "title"),
    ("empty title", {"title": ""}, "title"),
    ("no title in any language", {"title": {}}, "title"),
    ("too long a title", {"title": "x" * 201}, "title"),
    ("unknown field", {"severity": "high"}, "severity"),
    ("another type", {"affected_customers": "all"}, "affected_customers"),
]


@pytest.mark.parametrize(("case", "change", "field"), FAULTY_FACTS, ids=[case for case, _, _ in FAULTY_FACTS])
async def test_faulty_facts_are_refused_by_field(api, case, change, field):
    before = await state(api)
    is_problem(await api.post("/incidents", json=facts(**change)), 422, field)
    assert await state(api) == before


async def test_all_faults_are_told_at_once(api):
    problem = is_problem(await api.post("/incidents", json=facts(impact="I9", criticality="C9", rsit_class="x")), 422)
    assert {"impact", "criticality", "rsit_class"} <= {fault["field"] for fault in problem["errors"]}


async def test_an_affected_customer_must_exist(api):
    nobody = {"id": str(uuid.uuid4())}
    problem = is_problem(await api.post("/incidents", json=facts(affected_customers=[affected(nobody)])), 422)
    assert problem["errors"][0]["field"] == "affected_customers.0.customer_id"


async def test_a_customer_listed_twice_is_refused(api):
    one = await scenario.customer(api)
    body = facts(affected_customers=[affected(one), affected(one)])
    is_problem(await api.post("/incidents", json=body), 422, "affected_customers")


@pytest.mark.parametrize("surrogate", [r"\ud800", r"\udc00 x", r"\ud800\ud800"])
@pytest.mark.parametrize("field", ["title", "summary"])
async def test_lone_surrogates_are_refused(api, field, surrogate):
    body = json.dumps(facts()).replace(json.dumps(facts()[field]), f'"{surrogate}"')
    assert surrogate in body
    response = await api.post("/incidents", content=body, headers={"Content-Type": "application/json"})
    is_problem(response, 422, field)


async def test_a_draft_that_could_not_be_shown_again_is_refused(api):
    for content in (rb'{"facts": {"title": "\ud800"}}', rb'{"facts": {"\ud800": [1]}}'):
        answer = await api.post("/drafts", content=content, headers={"Content-Type": "application/json"})
        is_problem(answer, 422, "facts")
    assert (await ok(api.get("/drafts")))["items"] == []


async def test_a_body_of_ten_megabytes_is_refused_before_it_is_parsed(api):
    response = await api.post("/incidents", content=b'{"title": "' + b"x" * 10_000_000 + b'"}')
    is_problem(response, 413)


async def test_a_body_sent_in_chunks_is_bounded_too(api):
    async def chunks():
        for _ in range(100):
            yield b"x" * 100_000

    is_problem(await api.post("/incidents", content=chunks()), 413)


@pytest.mark.parametrize("depth", [40, 5_000, 200_000])
@pytest.mark.parametrize("bracket", ["[", '{"a":'])
async def test_deep_json_is_refused(api, depth, bracket):
    is_problem(await api.post("/incidents", content=(bracket * depth).encode()), 400)


@pytest.mark.parametrize("body", [b"", b"{", b"nope", b'"text"', b"[]", b"null", b"\xff\xfe", b'{"title":NaN}'])
async def test_what_is_no_json_object_is_refused(api, body):
    response = await api.post("/incidents", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in {400, 422}
    is_problem(response, response.status_code)


ADDRESSES = [
    ("rssi@hopital.example", True),
    ("rssi+alerte@sub.hopital.example", True),
    ("rené@hôpital.example", True),
    ("用户@例子.example", True),
    ("no-at-sign", False),
    ("a@b@c.example", False),
    ("@example.org", False),
    ("a@", False),
    ("a b@example.org", False),
    ("a@example.org\r\nBcc: x@example.org", False),
    ("a@example.org, b@example.org", False),
    ("Name <a@example.org>", False),
    ("a\u202e@example.org", False),
    ("", False),
]


@pytest.mark.parametrize(("address", "valid"), ADDRESSES)
async def test_contact_addresses(api, address, valid):
    one = await scenario.customer(api, contacts=())
    response = await api.post(f"/customers/{one['id']}/contacts", json={"name": "RSSI", "email": address})
    if valid:
        assert response.status_code == CREATED, response.text
    else:
        is_problem(response, 422, "email")
        assert not (await ok(api.get(f"/customers/{one['id']}/contacts")))["items"]


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x00b", "a\x7fb", "\u2029", "a\u202eb", "a\u2066b", ""])
async def test_names_that_would_break_a_header_are_refused(api, name):
    one = await scenario.customer(api, contacts=())
    contact = {"name": name, "email": "a@example.org"}
    is_problem(await api.post(f"/customers/{one['id']}/contacts", json=contact), 422, "name")


async def test_a_closed_incident_takes_no_change(api):
    incident = await scenario.declare(api)
    closed = await ok(api.post(f"/incidents/{incident['id']}/close", headers={"If-Match": "*"}))
    response = await api.patch(
        f"/incidents/{incident['id']}/facts", json={"impact": "I1"}, headers={"If-Match": f'"{closed["version"]}"'}
    )
    is_problem(response, 409)
    assert (await ok(api.get(f"/incidents/{incident['id']}")))["facts"]["impact"] == "I3"


async def test_a_change_names_the_version_it_was_made_on(api):
    incident = await scenario.declare(api)
    path = f"/incidents/{incident['id']}/facts"
    is_problem(await api.patch(path, json={"impact": "I1"}), 428)
    is_problem(await api.patch(path, json={"impact": "I1"}, headers={"If-Match": '"7"'}), 412)
    is_problem(await api.patch(path, json={"impact": "I1"}, headers={"If-Match": "W/x"}), 422)
    await ok(api.patch(path, json={"impact": "I1"}, headers={"If-Match": '"1"'}))
    is_problem(await api.patch(path, json={"impact": "I2"}, headers={"If-Match": '"1"'}), 412)
    assert (await ok(api.get(f"/incidents/{incident['id']}")))["facts"]["impact"] == "I1"


async def test_of_two_changes_at_once_one_wins_and_the_other_is_told(api):
    incident = await scenario.declare(api)
    path = f"/incidents/{incident['id']}/facts"
    answers = await asyncio.gather(
        *(api.patch(path, json={"impact": impact}, headers={"If-Match": '"1"'}) for impact in ("I1", "I2"))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/incidents/{_NOBODY}", 404),
        ("/incidents/not-a-uuid", 422),
        (f"/notices/{_NOBODY}/document", 404),
        (f"/customers/{_NOBODY}/inbox", 404),
        ("/audit/entries/123456", 404),
        ("/audit/entries/-1", 404),
        ("/agreements/none", 404),
        ("/incidents?cursor=%00", 422),
        ("/incidents?cursor=AAAA", 422),
        ("/incidents?limit=0", 422),
        ("/incidents?limit=100000", 422),
        ("/incidents?state=odd", 422),
        ("/audit/entries?cursor=abc", 422),
        ("/nowhere", 404),
    ],
)
async def test_what_is_not_there_or_not_well_named(api, path, status):
    is_problem(await api.get(path), status)


async def test_a_wrong_method_is_a_problem_too(api):
    is_problem(await api.delete("/incidents"), 405)


async def test_profiles_name_levels_of_the_agreement(api):
    one = await scenario.customer(api)
    body = {"choices": [{"impacts": ["I7"]}]}
    is_problem(await api.post(f"/customers/{one['id']}/profiles", json=body), 422, "choices.0.impacts")
    assert not (await ok(api.get(f"/customers/{one['id']}/profiles")))["items"]


async def test_a_problem_echoes_no_input(api):
    response = await api.post("/incidents", json=facts(intent="<script>SECRET</script>"))
    assert "SECRET" not in response.text
