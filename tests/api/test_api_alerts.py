"""Alerts of other systems: each opens one draft, repeats change it, the end closes it, and nothing is declared."""

import asyncio
import base64
import json
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import httpx2
import pytest

from notifications.audit.entry import parse_leaf
from service.cli.demo.environment import embedded_service
from service.drafts.alerts import Alert, AlertReception, facts_of
from service.ports.accounts import AccountKind, Role
from service.settings.incoming_alerts import IncomingAlertSettings
from support.people import browser, person
from support.scenario import ok
from support.world import account, at_provider

EVENT = "application/cloudevents+json"


@pytest.fixture
async def running(data_folder, service_log):
    async with embedded_service(
        data_folder,
        log__batch_seconds=0.01,
        access__requests_burst=20_000,
        incoming_alerts__alerts_per_request=5,
        incoming_alerts__open_drafts=4,
        provider__default_language="en",
    ) as service:
        yield service


@pytest.fixture
async def sender(running):
    """The client of a service account whose token may only declare."""
    _, token = await account(
        running,
        "alertmanager",
        at_provider(Role.SERVICE_ACCOUNT),
        kind=AccountKind.SERVICE,
        permissions=["incident.declare", "self"],
    )
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as client:
        yield client


def alert(fingerprint="1a30ba71cca2921f", **changes):
    """Return an alert as Alertmanager 0.25 sends it."""
    labels = {
        "alertname": "ProbeFailure", "service": "dns", "region": "sbg", "zone": "sbg1", "severity": "critical",
        "instance": "https://server.example.org",
    }  # fmt: skip
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "The name service is down", "description": "No answer for 5 minutes."},
        "startsAt": "2026-11-28T13:08:45.828123456Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.org:9090/graph?g0.expr=up",
        "fingerprint": fingerprint,
    } | changes


def message(*alerts, **changes):
    return {
        "receiver": "greffier",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "ProbeFailure"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.org:9093",
        "version": "4",
        "groupKey": '{}:{alertname="ProbeFailure"}',
        "truncatedAlerts": 0,
    } | changes


async def sent(sender, *alerts):
    """Send alerts; returns (outcome, draft id) of each."""
    answered = await ok(sender.post("/alerts", json=message(*alerts)))
    return [(item["outcome"], item["draft_id"]) for item in answered["items"]]


async def drafts(sender):
    return (await ok(sender.get("/drafts")))["items"]


async def test_an_alert_fills_in_a_draft_and_declares_nothing(api, sender):
    ((outcome, draft_id),) = await sent(sender, alert())
    assert outcome == "opened"
    draft = await ok(sender.get(f"/drafts/{draft_id}"))
    assert draft["source"] == "alert"
    assert draft["facts"] == {
        "title": {"en": "The name service is down"},
        "summary": {"en": "No answer for 5 minutes."},
        "detected_at": "2026-11-28T13:08:45.828123Z",
        "services": ["dns"],
        "regions": ["sbg"],
        "availability_zones": ["sbg1"],
        "impact": "I1",
    }
    assert draft["alert"]["labels"]["instance"] == "https://server.example.org"
    assert (await ok(api.get("/incidents")))["items"] == []


async def test_a_repeated_alert_never_makes_two_and_its_new_words_reach_the_draft(sender):
    ((_, first),) = await sent(sender, alert())
    assert await sent(sender, alert()) == [("unchanged", first)]
    worse = alert(annotations={"summary": "The name service is down in two regions"})
    assert await sent(sender, worse) == [("updated", first)]
    (draft,) = await drafts(sender)
    assert draft["facts"]["title"] == {"en": "The name service is down in two regions"}
    # Another fingerprint is another alert; both in one request.
    assert [outcome for outcome, _ in await sent(sender, worse, alert("ff00"))] == ["unchanged", "opened"]
    assert len(await drafts(sender)) == 2


async def test_each_sender_has_fingerprints_of_its_own(running, sender):
    """Two systems may name different alerts alike: neither changes or closes a draft of the other."""
    _, token = await account(
        running,
        "second",
        at_provider(Role.SERVICE_ACCOUNT),
        kind=AccountKind.SERVICE,
        permissions=["incident.declare", "self"],
    )
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as second:
        ((_, first_id),) = await sent(sender, alert())
        other = alert(annotations={"summary": "Another thing"})
        ((outcome, second_id),) = await sent(second, other)
        assert (outcome, second_id != first_id) == ("opened", True)
        assert await sent(second, other | {"status": "resolved"}) == [("closed", None)]
        assert await sent(sender, alert()) == [("unchanged", first_id)]


async def test_a_draft_of_an_earlier_release_is_still_that_of_its_alert(running, sender):
    ((_, draft_id),) = await sent(sender, alert())

    def as_before(tx):
        draft = tx.drafts.get(UUID(draft_id))
        key = Alert("alertmanager", alert()["fingerprint"], False, {}, {}, None).earlier_key
        tx.drafts.remove(draft.id)
        tx.drafts.add(replace(draft, alert_key=key))

    await running.parts.store.write(as_before)
    assert await sent(sender, alert()) == [("unchanged", draft_id)]
    assert await sent(sender, alert(status="resolved")) == [("closed", None)]
    assert await drafts(sender) == []


async def test_alerts_that_come_at_once_make_one_draft(sender):
    answers = await asyncio.gather(*(sent(sender, alert()) for _ in range(8)))
    assert sorted(outcome for ((outcome, _),) in answers) == ["opened", *["unchanged"] * 7]
    assert len({draft_id for ((_, draft_id),) in answers}) == 1


async def test_what_is_resolved_is_erased_unless_a_person_works_on_it(running, sender):
    over = alert(status="resolved", endsAt="2026-11-28T14:00:00Z")
    ((_, first),) = await sent(sender, alert())
    assert await sent(sender, over) == [("closed", None)]
    assert (await sender.get(f"/drafts/{first}")).status_code == 404
    assert await sent(sender, over) == [("unchanged", None)]
    # It fires again, and a person writes.
    ((outcome, second),) = await sent(sender, alert(startsAt="2026-11-28T15:00:00Z"))
    assert (outcome, second != first) == ("opened", True)
    ada = await person(running, "Ada", (Role.ANALYST, None))
    async with browser(running, ada) as page:
        typed = {"draft_id": second, "draft_version": "1", "form_id": "page", "title.en": "Ada's title"}
        assert (await page.post("/incidents/new/draft", data=ada.form(**typed))).status_code == 303
        assert await sent(sender, alert(annotations={"summary": "other words"})) == [("updated", second)]
        assert await sent(sender, over) == [("resolved", second)]
        assert await sent(sender, over) == [("unchanged", second)]
        draft = await ok(sender.get(f"/drafts/{second}"))
        assert draft["facts"]["title"] == {"en": "Ada's title"}
        assert draft["resolved_at"] == "2026-11-28T14:00:00.000000Z"
        assert draft["alert"]["annotations"] == {"summary": "other words"}
        shown = await page.get(f"/incidents/new?draft={second}")
        assert "The alert was resolved:" in shown.text
        assert "alert resolved" in (await page.get("/drafts")).text
        # What the alert did meanwhile is no conflict for the page that she has open.
        typed |= {"title.en": "Ada goes on"}
        assert (await page.post("/incidents/new/draft", data=ada.form(**typed))).status_code == 303


async def test_an_alert_that_a_person_has_answered_opens_no_second_draft_until_it_fires_anew(running, sender):
    ((_, draft_id),) = await sent(sender, alert())
    gone = await sender.delete(f"/drafts/{draft_id}", headers={"If-Match": '"1"'})
    assert gone.is_success
    assert await sent(sender, alert()) == [("answered", None)]
    assert await drafts(sender) == []
    # Nothing of its content is left.
    kept = await running.parts.store.read(lambda tx: tx.drafts.all())
    assert [draft.closed_at is not None for draft in kept] == [True]
    assert len(kept[0].sealed) < 200
    ((outcome, _),) = await sent(sender, alert(startsAt="2026-11-28T16:00:00Z"))
    assert outcome == "opened"


async def test_the_draft_becomes_an_incident_by_a_person_only(running, api, sender):
    ((_, draft_id),) = await sent(sender, alert())
    ada = await person(running, "Ada", (Role.ANALYST, None))
    async with browser(running, ada) as page:
        shown = await page.get(f"/incidents/new?draft={draft_id}")
        assert 'value="The name service is down"' in shown.text
        facts = {
            "draft_id": draft_id, "draft_version": "1", "form_id": "f", "title.en": "The name service is down",
            "summary.en": "s", "aware_at": "2026-11-28T13:10", "time_zone": "UTC", "services": "dns",
        }  # fmt: skip
        declared = await page.post("/incidents/new", data=ada.form(**facts))
        assert declared.status_code == 303
    assert await sent(sender, alert()) == [("answered", None)]
    assert len((await ok(api.get("/incidents")))["items"]) == 1


# -- bounds and bad input


BAD_ALERTS = [
    ({"status": "burning"}, "alerts.1.status"),
    ({"labels": None}, "alerts.1.labels"),
    ({"labels": {"a": 1}}, "alerts.1.labels.a"),
    ({"labels": {str(number): "x" for number in range(101)}}, "alerts.1.labels"),
    ({"labels": {"a": "x" * 10_001}}, "alerts.1.labels.a"),
    ({"startsAt": "yesterday"}, "alerts.1.startsAt"),
    ({"startsAt": "2026-11-28T13:08:45"}, "alerts.1.startsAt"),
    ({"fingerprint": "<script>"}, "alerts.1.fingerprint"),
    ({"fingerprint": "x" * 201}, "alerts.1.fingerprint"),
]


async def test_a_bad_alert_is_named_by_its_index_and_none_of_the_request_counts(sender):
    for changes, field in BAD_ALERTS:
        answered = await sender.post("/alerts", json=message(alert(), alert("other") | changes))
        assert answered.status_code == 422, changes
        assert answered.headers["content-type"] == "application/problem+json"
        assert field in [error["field"] for error in answered.json()["errors"]]
    assert await drafts(sender) == []


NO_MESSAGES = [
    (b"{", {}, 400),
    (b"[" * 40 + b"]" * 40, {}, 400),
    (b"[]", {}, 422),
    (b'"x"', {}, 422),
    (b'{"version":"3","alerts":[]}', {}, 422),
    (b'{"version":"4"}', {}, 422),
    (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    (b"[]", {"Content-Type": "application/cloudevents-batch+json"}, 415),
    (b"x" * 2_000_001, {}, 413),
]


async def test_what_is_no_message_is_refused(sender):
    for body, headers, status in NO_MESSAGES:
        answered = await sender.post("/alerts", content=body, headers={"Content-Type": "application/json"} | headers)
        assert answered.status_code == status, body[:40]
        assert answered.json()["status"] == status


async def test_an_alert_without_a_fingerprint_is_known_by_its_labels(sender):
    bare = {name: value for name, value in alert().items() if name != "fingerprint"}
    ((_, first),) = await sent(sender, bare)
    turned = bare | {"labels": dict(reversed(bare["labels"].items()))}
    assert await sent(sender, turned) == [("unchanged", first)]
    assert (await sent(sender, bare | {"labels": {"alertname": "Other"}}))[0][0] == "opened"


async def test_a_flood_is_bounded_and_the_sender_tries_again(sender):
    many = await sender.post("/alerts", json=message(*(alert(str(number)) for number in range(6))))
    assert many.status_code == 422
    assert many.json()["errors"][0]["field"] == "alerts"
    await sent(sender, *(alert(str(number)) for number in range(4)))
    full = await sender.post("/alerts", json=message(alert("0", annotations={"summary": "new"}), alert("one-more")))
    assert full.status_code == 503
    # All or none; what has its draft is still taken.
    assert await sent(sender, alert("0")) == [("unchanged", (await by_title(sender, "0")))]
    assert len(await drafts(sender)) == 4
    await sent(sender, alert("1", status="resolved"))
    assert (await sent(sender, alert("one-more")))[0][0] == "opened"


async def by_title(sender, fingerprint):
    return next(item["id"] for item in await drafts(sender) if item["alert"]["fingerprint"] == fingerprint)


async def test_who_may_not_declare_sends_no_alert(running):
    _, token = await account(running, "approver", at_provider(Role.APPROVER))
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", timeout=120) as client:
        assert (await client.post("/alerts", json=message(alert()))).status_code == 401
        client.headers["Authorization"] = f"Bearer {token}"
        assert (await client.post("/alerts", json=message(alert()))).status_code == 403


async def test_the_opening_of_a_draft_is_in_the_log_without_a_word_of_it(running, sender):
    ((_, draft_id),) = await sent(sender, alert())

    def leaves(tx):
        return [item.leaf for item in (*tx.audit.pending(500), *tx.audit.entries(0, 500))]

    found = [leaf for leaf in await running.parts.store.read(leaves) if parse_leaf(leaf).type == "draft.opened"]
    (leaf,) = set(found)
    assert parse_leaf(leaf).subjects == {"draft": draft_id}
    assert b"name service" not in leaf
    assert b"server.example" not in leaf


async def test_scripts_in_labels_and_annotations_stay_words(running, sender):
    xss = "\"'><script>alert(1)</script>\x07\u202e"
    odd = alert(
        annotations={"summary": xss, "description": xss}, labels={xss[:40]: xss, "service": "a b<c", "zone": xss}
    )
    ((outcome, draft_id),) = await sent(sender, odd)
    assert outcome == "opened"
    facts = (await ok(sender.get(f"/drafts/{draft_id}")))["facts"]
    assert facts["services"] == ["a"]
    assert "\x07" not in facts["title"]["en"]
    ada = await person(running, "Ada", (Role.ANALYST, None))
    async with browser(running, ada) as page:
        for path in ("/drafts", f"/incidents/new?draft={draft_id}", "/incidents/new"):
            shown = await page.get(path)
            assert shown.status_code == 200
            assert "<script>alert" not in shown.text


# -- CloudEvents


def event(**changes):
    return {
        "specversion": "1.0",
        "id": "A234-1234-1234",
        "source": "https://edr.example/sensors/7",
        "type": "example.edr.detection",
        "subject": "host-7",
        "time": "2026-11-28T17:31:00+01:00",
        "datacontenttype": "application/json",
        "data": {"summary": "Ransom note found", "service": "files", "severity": "critical", "score": 98, "deep": {}},
    } | changes


async def post_event(sender, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await sender.post("/alerts", content=content, headers={"Content-Type": EVENT} | headers)


async def test_an_event_in_structured_mode_opens_a_draft(sender):
    (item,) = (await ok(post_event(sender, event())))["items"]
    assert item["outcome"] == "opened"
    draft = await ok(sender.get(f"/drafts/{item['draft_id']}"))
    assert draft["facts"] == {
        "title": {"en": "Ransom note found"},
        "summary": {"en": "Ransom note found"},
        "detected_at": "2026-11-28T16:31:00.000000Z",
        "services": ["files"],
        "impact": "I1",
    }
    assert draft["alert"]["labels"]["score"] == "98"
    # The same subject again, with another id, is the same alert.
    again = (await ok(post_event(sender, event(id="B"))))["items"]
    assert again == [item | {"outcome": "unchanged"}]
    over = await ok(post_event(sender, event(id="C", data={"status": "resolved"})))
    assert over["items"][0]["outcome"] == "closed"


async def test_an_event_in_binary_mode_is_the_same_event(sender):
    body = json.dumps(event()["data"]).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8", "ce-specversion": "1.0", "ce-id": "1",
        "ce-source": "https://edr.example/sensors/7", "ce-type": "example.edr.detection", "ce-subject": "host%2D7",
        "ce-time": "2026-11-28T17:31:00+01:00",
    }  # fmt: skip
    binary = (await ok(sender.post("/alerts", content=body, headers=headers)))["items"][0]
    assert binary["outcome"] == "opened"
    assert (await ok(post_event(sender, event())))["items"][0] == binary | {"outcome": "unchanged"}
    without_data = {name: value for name, value in headers.items() if name != "Content-Type"} | {"ce-subject": "other"}
    bare = (await ok(sender.post("/alerts", headers=without_data)))["items"][0]
    facts = (await ok(sender.get(f"/drafts/{bare['draft_id']}")))["facts"]
    assert facts["title"] == {"en": "other"}


async def test_the_data_of_an_event_may_be_in_base64(sender):
    data = base64.b64encode(json.dumps({"summary": "From base64"}).encode()).decode()
    item = (await ok(post_event(sender, event(data=None, data_base64=data))))["items"][0]
    facts = (await ok(sender.get(f"/drafts/{item['draft_id']}")))["facts"]
    assert facts["title"] == {"en": "From base64"}


BAD_EVENTS = [
    ({"specversion": "0.3"}, "specversion"),
    ({"id": ""}, "id"),
    ({"source": None}, "source"),
    ({"type": 7}, "type"),
    ({"time": "soon"}, "time"),
    ({"data": [1]}, "data"),
    ({"data": {"labels": {"a": []}}}, "data.labels.a"),
    ({"data": {"startsAt": "x"}}, "data.startsAt"),
    ({"data": {"note": "x" * 10_001}}, "data.note"),
    ({"datacontenttype": "text/xml"}, "datacontenttype"),
    ({"data": None, "data_base64": "###"}, "data_base64"),
    ({"data_base64": "e30="}, "data_base64"),
]


async def test_a_bad_event_names_the_attribute(sender):
    for changes, field in BAD_EVENTS:
        answered = await post_event(sender, event(**changes))
        assert answered.status_code == 422, answered.text
        assert answered.json()["errors"][0]["field"] == field
    assert await drafts(sender) == []


def test_the_mapping_is_a_setting():
    settings = IncomingAlertSettings(
        title=("headline",), services=("component", "app"), severity=("level",), impacts={"1": "I3"}
    )
    reception = AlertReception(settings, None, "de")
    given = Alert(
        "x", "f", False, {"component": "dns, vpn", "app": "dns", "level": "1"}, {"headline": "Titel"},
        datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
    )  # fmt: skip
    assert facts_of(given, reception) == {
        "title": {"de": "Titel"}, "detected_at": "2026-01-01T00:00:00.000000Z", "services": ["dns", "vpn"],
        "impact": "I3",
    }  # fmt: skip
    assert facts_of(replace(given, labels={}, annotations={}, started_at=None), reception) == {}
    assert given.key("account:a") != replace(given, system="y").key("account:a")
    assert given.key("account:a") != given.key("account:b")
    assert UUID(hex=given.key("account:a")[:32])
