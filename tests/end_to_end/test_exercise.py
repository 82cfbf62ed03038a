"""An exercise runs the whole way: marked in every channel, to those who agreed, apart in the log, in no statistic."""

import base64
import email
import json
import re
from datetime import UTC, datetime
from email import policy
from uuid import UUID

import pytest
from click.testing import CliRunner

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.delivery.call_task import CallReason
from notifications.delivery.webhook_message import notice_event
from notifications.evidence.completeness import completeness_report
from notifications.evidence.notification_report import ReportStatus
from service.cli.demo.environment import embedded_service
from service.cli.verify import verify_command
from service.delivery.calls import call_script
from service.monitoring.alert_texts import alert_mail
from service.ports.accounts import Role
from support.commits import until
from support.people import browser, person
from support.records import make_customer, make_incident, make_notice, make_sealed
from support.scenario import affected, facts, harm, ok

MARKS = {"fr": "EXERCICE", "en": "EXERCISE", "de": "ÜBUNG"}
EXPLAINED = {"fr": "Ceci est un exercice.", "en": "This is an exercise.", "de": "Dies ist eine Übung."}


async def customer_with(api, name, *contacts):
    """Register a customer with contacts: (address, language, changes)."""
    bound = {"agreement_id": "secnumcloud_iaas_3_0", "effective_at": "2025-02-01T00:00:00+01:00"}
    registered = await ok(api.post("/customers", json={"name": name, "agreement": bound}))
    for order, (address, language, changes) in enumerate(contacts, 1):
        stated = {"name": address, "email": address, "language": language, "order": order, "address_confirmed": True}
        await ok(api.post(f"/customers/{registered['id']}/contacts", json=stated | changes))
    return registered


async def exercise(api, *customers, **changes):
    """Declare an exercise that concerns customers."""
    body = facts(
        exercise=True,
        impact="I1",
        service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(each, data_harm=harm(confidentiality="yes")) for each in customers],
        **changes,
    )
    return await ok(api.post("/incidents", json=body))


async def released(api, incident):
    match = {"If-Match": f'"{incident["version"]}"'}
    return (await ok(api.post(f"/incidents/{incident['id']}/release", headers=match)))["items"]


def words_of(received):
    """Return the subject of a mail, and its texts by type; the request to acknowledge is the ``note``."""
    message = email.message_from_bytes(received.content, policy=policy.default)
    bodies = {}
    for part in message.walk():
        if part.get_content_maintype() == "text" and part.get_filename() in {None, "acknowledge.txt"}:
            bodies["note" if part.get_filename() else part.get_content_type()] = part.get_content()
    return message["Subject"], bodies


def document_in(received):
    message = email.message_from_bytes(received.content, policy=policy.default)
    return next(json.loads(part.get_content()) for part in message.walk() if part.get_filename() == "notice.json")


AGREED = {"takes_exercises": True}


@pytest.fixture
async def running(data_folder, service_log):
    console = {"provider__console_url": "https://console.provider.example"}
    async with embedded_service(data_folder, log__batch_seconds=0.01, **console) as service:
        yield service


@pytest.fixture
async def valmont(api):
    return await customer_with(
        api, "Valmont",
        ("fr@valmont.example", "fr", AGREED), ("de@valmont.example", "de", AGREED),
        ("en@valmont.example", "en", AGREED), ("rssi@valmont.example", "fr", {}),
    )  # fmt: skip


async def notice_of(running, api, customer, **changes):
    """Return the notice of an exercise, and the mails that it sent."""
    incident = await exercise(api, customer, **changes)
    (notice,) = await released(api, incident)
    mails = await running.sink.wait_for(3)
    return incident, notice, mails


async def test_mails_reach_those_who_agreed_and_are_marked_in_every_word(running, api, valmont, tmp_path):
    incident, notice, mails = await notice_of(running, api, valmont)
    assert incident["ticket"].startswith("EX-")
    assert notice["exercise"] is True
    assert {mail.recipients for mail in mails} == {(f"{each}@valmont.example",) for each in MARKS}
    for mail in mails:
        mark = MARKS[mail.recipients[0][:2]]
        subject, bodies = words_of(mail)
        assert subject.startswith(mark)
        assert bodies["text/plain"].count(mark) > 5
        assert bodies["note"].startswith(mark)
        assert mark in bodies["text/plain"].rpartition("-- ")[2]
        assert mark in bodies["text/html"].partition("<footer>")[2]
        assert EXPLAINED[mail.recipients[0][:2]] in " ".join(bodies["text/plain"].split())
        assert EXPLAINED[mail.recipients[0][:2]] in bodies["text/html"]
        headings = [part.partition("</h")[0] for part in bodies["text/html"].split("<h")[2:] if part[:1] in "12"]
        assert headings
        assert all(mark in heading for heading in headings)
        assert document_in(mail)["exercise"] is True
    (tmp_path / "mail.eml").write_bytes(mails[0].content)
    said = CliRunner().invoke(verify_command, [str(tmp_path / "mail.eml"), "--trust", str(running.trust_dir)])
    assert said.exit_code == 0, said.output
    assert said.output.splitlines()[-1].startswith("GENUINE EXERCISE:")
    assert "EXERCISE: what this notice describes did not happen" in said.output


async def test_what_the_notice_fills_of_reports_is_marked(running, api, valmont):
    _, notice, _ = await notice_of(running, api, valmont)
    draft = await ok(api.get(f"/notices/{notice['id']}/dora-report"))
    assert draft["report"]["incident"]["incidentDescription"].startswith(tuple(MARKS.values()))
    own = await ok(api.get(f"/notices/{notice['id']}/own-duties", params={"language": "en"}))
    texts = [item["text"] for duty in own["items"] for item in duty["items"] if item["text"]]
    assert texts
    assert all(text.startswith(MARKS["en"]) for text in texts)


async def test_a_summary_and_its_request_to_acknowledge_are_marked(running, api):
    customer = await customer_with(api, "Valmont", ("fr@valmont.example", "fr", AGREED | {"mail_content": "summary"}))
    await released(api, await exercise(api, customer))
    (mail,) = await running.sink.wait_for(1)
    subject, bodies = words_of(mail)
    assert subject.startswith("EXERCICE")
    assert bodies["text/plain"].startswith("EXERCICE")
    assert "EXERCICE — Accuser réception" in bodies["text/plain"]


async def test_a_customer_without_consent_gets_nothing_and_the_decision_says_why(running, api, valmont):
    bergen = await customer_with(api, "Bergen", ("soc@bergen.example", "en", {}))
    incident = await exercise(api, valmont, bergen)
    decision = await ok(api.get(f"/incidents/{incident['id']}/assessments/{bergen['id']}"))
    assert decision["verdict"] == "do_not_notify"
    assert [reason["id"] for reason in decision["reasons"]] == ["exercise_without_consent"]
    notices = await released(api, incident)
    assert [notice["customer_id"] for notice in notices] == [valmont["id"]]
    await running.sink.wait_for(3)
    assert all("bergen" not in mail.recipients[0] for mail in running.sink.messages)
    shown = await ok(api.get(f"/customers/{bergen['id']}/inbox"))
    assert shown["items"] == []
    waiting = await ok(api.get("/attention"))
    assert [item for item in waiting["items"] if item.get("customer_id") == bergen["id"]] == []


async def test_withdrawn_consent_holds_the_notice(running, api):
    customer = await customer_with(api, "Valmont", ("fr@valmont.example", "fr", AGREED))
    incident = await exercise(api, customer)
    (contact,) = (await ok(api.get(f"/customers/{customer['id']}/contacts")))["items"]
    stated = {name: contact[name] for name in ("name", "email", "language", "order")}
    await ok(api.put(f"/customers/{customer['id']}/contacts/{contact['id']}", json=stated, headers={"If-Match": "*"}))
    (notice,) = await released(api, incident)

    async def held():
        return (await ok(api.get(f"/notices/{notice['id']}")))["hold_reason"]

    assert "takes part" in await until(running.parts.store, held)
    assert running.sink.messages == []


async def test_nothing_is_escalated_or_called_and_no_deadline_is_missed(running, api, valmont):
    _, notice, _ = await notice_of(running, api, valmont)
    assert await running.parts.store.read(lambda tx: tx.escalations.get(UUID(notice["id"]))) is None
    drafted = await exercise(api, valmont)
    items = [item for item in (await ok(api.get("/attention")))["items"] if item.get("incident_id") == drafted["id"]]
    assert items
    assert all(item["what"].startswith("EXERCISE") and not item["overdue"] for item in items)


async def test_an_exercise_stays_one_and_has_numbers_of_its_own(api, valmont):
    first = await exercise(api, valmont)
    real = await ok(api.post("/incidents", json=facts()))
    second = await exercise(api, valmont)
    assert [each["ticket"][-6:] for each in (first, real, second)] == ["000001", "000001", "000002"]
    assert (real["exercise"], real["ticket"][:4]) == (False, "INC-")
    match = {"If-Match": f'"{first["version"]}"'}
    refused = await api.patch(f"/incidents/{first['id']}/facts", json={"exercise": False}, headers=match)
    assert refused.status_code == 422
    changed = await ok(api.patch(f"/incidents/{first['id']}/facts", json={"impact": "I2"}, headers=match))
    assert changed["exercise"] is True


async def test_the_log_has_it_apart_and_reports_leave_it_out(running, api, valmont):
    incident, notice, _ = await notice_of(running, api, valmont)
    real = await ok(api.post("/incidents", json=facts()))
    store = running.parts.store

    def leaves(tx):
        return [entry.leaf for entry in tx.audit.entries(0, 1000)]

    async def declared():
        found = await store.read(leaves)
        return found if any(real["id"].encode() in leaf for leaf in found) else None

    found = await until(store, declared)
    about = [json.loads(leaf) for leaf in found if incident["id"].encode() in leaf]
    kinds = {leaf["type"] for leaf in about}
    assert {"incident.declared", "decision.recorded", "notice.released", "notice.sealed", "delivery.queued"} <= kinds
    assert [leaf["type"] for leaf in about if leaf["detail"].get("exercise") is not True] == []
    others = [json.loads(leaf) for leaf in found if incident["id"].encode() not in leaf]
    assert not any("exercise" in leaf["detail"] for leaf in others)
    note = await store.read(lambda tx: tx.log.checkpoint())
    head = parse_checkpoint_note(note)
    whole = await store.read(lambda tx: [entry.leaf for entry in tx.audit.entries(0, head.size)])
    report = completeness_report(whole, head.size, head.root, datetime.now(UTC))
    assert report.exercises == 1
    assert {line.incident for line in report.lines} == {real["id"]}
    assert {item.incident for item in report.incidents} == {real["id"]}
    assert report.with_status(ReportStatus.MISSING, ReportStatus.LATE) == ()
    assert report.overrides == ()
    figures = await store.read(lambda tx: tx.figures.collect(datetime.now(UTC)))
    assert (figures.open_exercises, dict(figures.unsealed)) == (1, {})
    assert notice["id"]


async def test_pages_are_marked_from_top_to_bottom(running, api, valmont):
    incident, notice, _ = await notice_of(running, api, valmont)
    real = await ok(api.get("/notices", params={"limit": 5}))
    assert real["items"]
    analyst = await person(running, "Ada", (Role.ANALYST, None))
    member = await person(running, "Max", (Role.CUSTOMER_MEMBER, valmont["id"]), language="de")
    async with browser(running, analyst) as pages:
        for path in (f"/notices/{notice['id']}", f"/incidents/{incident['id']}/acknowledgements"):
            html = (await pages.get(path)).text
            assert html.count("EXERCISE</strong>") == 2, path
            assert "<title>EXERCISE" in html, path
        assert 'class="exercise-mark">EXERCISE' in (await pages.get("/")).text
    async with browser(running, member) as pages:
        assert 'class="exercise-mark">ÜBUNG' in (await pages.get("/")).text
        assert "<title>ÜBUNG" in (await pages.get(f"/notices/{notice['id']}")).text


async def test_the_page_behind_a_link_is_marked(running, api, valmont):
    _, _, mails = await notice_of(running, api, valmont)
    mail = next(each for each in mails if each.recipients[0].startswith("de@"))
    _, bodies = words_of(mail)
    link = next(word for word in bodies["note"].split() if "/acknowledge/" in word)
    async with browser(running) as pages:
        assert "<title>ÜBUNG" in (await pages.get("/" + link.split("/", 3)[3])).text


@pytest.mark.parametrize("language", MARKS)
def test_a_script_and_an_alert_are_marked(language):
    script = call_script(
        language, reason=CallReason.ALL_FAILED, provider="P", ticket="EX-1", contact="C", exercise=True
    )
    assert all(line.startswith(MARKS[language]) for line in (*script.say, script.voicemail))
    alert = alert_mail("draft_overdue", language, ticket="EX-1", count=1, due_at=None, url=None, exercise=True)
    assert alert.subject.startswith(MARKS[language])
    assert alert.text.startswith(MARKS[language])


def test_a_webhook_says_that_it_is_an_exercise():
    stated = {"ticket": "EX-1", "sequence": 1, "kind": "initial", "tlp": "TLP:GREEN", "exercise": True}
    sealed = make_sealed(make_notice(make_incident(), make_customer()), document=json.dumps(stated).encode())
    event = json.loads(notice_event(sealed, message_id="<m@x>", source="s", console_url=None))
    assert (event["type"], event["data"]["exercise"]) == ("greffier.exercise.v1", True)
    assert json.loads(base64.b64decode(event["data"]["document"]))["exercise"] is True


async def test_an_analyst_declares_one_on_the_page_and_a_contact_agrees_on_its_page(running, api, valmont):
    ada = await person(running, "Ada", (Role.ANALYST, None))
    alan = await person(running, "Alan", (Role.ADMINISTRATOR, None))
    async with browser(running, ada) as pages:
        assert 'name="exercise"' in (await pages.get("/incidents/new")).text
        fields = {"title.en": "Drill", "summary.en": "A drill.", "aware_at": "2026-02-01T01:40", "time_zone": "UTC"}
        done = await pages.post("/incidents/new", data=ada.form(exercise="yes", **fields))
        assert done.status_code == 303, done.text
        shown = (await pages.get(done.headers["location"])).text
        assert "<title>EXERCISE" in shown
        assert "EX-" in shown
        listed = (await pages.get("/incidents")).text
        assert re.search(r'<p class="marks">\s*<strong class="exercise-mark">EXERCISE', listed)
        refused = await pages.post("/incidents/new", data=ada.form(exercise="yes"))
        assert re.search(r'name="exercise" value="yes" checked', refused.text)
    contacts = (await ok(api.get(f"/customers/{valmont['id']}/contacts")))["items"]
    silent = next(each for each in contacts if not each["takes_exercises"])
    async with browser(running, alan) as pages:
        path = f"/customers/{valmont['id']}/contacts/{silent['id']}"
        assert 'name="takes_exercises"' in (await pages.get(path)).text
        stated = {name: str(silent[name]) for name in ("name", "email", "language", "order", "role", "mail_content")}
        form = alan.form(**stated, version=str(silent["version"]), active="yes", takes_exercises="yes")
        answer = await pages.post(path, data=form)
        assert answer.status_code == 303, answer.text
    changed = await ok(api.get(f"/customers/{valmont['id']}/contacts"))
    assert all(each["takes_exercises"] for each in changed["items"])


async def test_an_incident_is_no_duplicate_of_an_exercise(api, valmont):
    await exercise(api, valmont)
    foreseen = await ok(api.post("/incidents/dry-run", json=facts()))
    assert foreseen["possible_duplicates"] == []
    again = await ok(api.post("/incidents/dry-run", json=facts(exercise=True)))
    assert len(again["possible_duplicates"]) == 1
