"""From declaration to a mail that its reader verifies: the whole job, seen from outside."""

import base64
import json
import subprocess
from email import message_from_bytes
from email.policy import default

import pytest

from notifications.audit.checkpoint import verify_checkpoint
from notifications.audit.entry import parse_leaf
from notifications.audit.merkle import leaf_hash, verify_inclusion
from notifications.audit.note import parse_verifier_key
from notifications.audit.proof import parse_proof
from notifications.evidence.verification import MAIL_STEPS, NoticeFiles, verify_notice_files, verify_notice_mail
from service.cli.verify import load_trust
from support import scenario
from support.commits import until
from support.scenario import affected, harm, ok

SECRET = "Klinik Geheim"
GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


def read(content):
    return message_from_bytes(content, policy=default)


def text_of(content):
    return next(part.get_content() for part in read(content).walk() if part.get_content_type() == "text/plain")


def document_of(content):
    for part in read(content).walk():
        if part.get_filename() == "notice.json":
            return json.loads(part.get_payload(decode=True))
    raise AssertionError("no notice.json")


async def delivered(running, api, items, count):
    """Wait for the mails; returns them by recipient, in order of arrival."""
    await running.sink.wait_for(count)
    received = {}
    for message in running.sink.messages:
        (recipient,) = message.recipients
        received.setdefault(recipient, []).append(message.content)
    return received


async def settled(running, api, notice):
    """Wait until every delivery of a notice has its evidence; returns them."""

    async def look():
        items = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
        return items if all(item["state"] == "sent" for item in items) else []

    return await until(running.parts.store, look)


async def test_each_contact_gets_its_own_genuine_mail(running, api, tmp_path):
    hospital = await scenario.customer(
        api, contacts=(("rssi@valmont.example", "fr"), ("cert@valmont.example", "de"), ("soc@valmont.example", "en"))
    )
    await scenario.customer(api, name=SECRET, contacts=(("it@klinik.example", "de"),), profile={"choices": []})
    incident = await scenario.declare(api, **GRAVE, affected_customers=[affected(hospital)])
    (notice,) = await scenario.release(api, incident)
    mails = await delivered(running, api, [notice], 3)
    assert set(mails) == {"rssi@valmont.example", "cert@valmont.example", "soc@valmont.example"}
    trust = load_trust(running.trust_dir)
    for recipient, (content,) in mails.items():
        message = read(content)
        assert message["To"].addresses[0].addr_spec == recipient
        assert "Bcc" not in message
        assert "Cc" not in message
        for other in set(mails) - {recipient}:
            assert other.encode() not in content
        assert [passed.step for passed in verify_notice_mail(content, trust)] == list(MAIL_STEPS)
        path = tmp_path / "mail.eml"
        path.write_bytes(content)
        command = ["openssl", "cms", "-verify", "-in", path, "-CAfile", running.trust_dir / "ca.pem",
                   "-purpose", "smimesign", "-out", "/dev/null"]  # fmt: skip
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert "TLP:AMBER+STRICT" in text_of(mails["rssi@valmont.example"][0])
    assert {read(content[0])["Content-Language"] for content in mails.values()} <= {None, "fr", "de", "en"}
    assert document_of(mails["soc@valmont.example"][0]) == document_of(mails["cert@valmont.example"][0])


async def test_a_notice_names_no_other_customer(running, api):
    one = await scenario.customer(api, name="Wattignies & Fils", contacts=(("a@one.example", "fr"),))
    two = await scenario.customer(api, name=SECRET, contacts=(("b@two.example", "de"),))
    entries = [
        affected(one, effect={"fr": "Vos machines."}, resources=[{"kind": "machine", "id": "vm-one-1"}]),
        affected(two, effect={"de": "Ihre Datenträger."}, resources=[{"kind": "volume", "id": "vol-two-1"}]),
    ]
    incident = await scenario.declare(api, **GRAVE, affected_customers=entries)
    await scenario.release(api, incident)
    mails = await delivered(running, api, [], 2)
    first, second = mails["a@one.example"][0], mails["b@two.example"][0]
    assert document_of(first)["effect"]["resources"][0]["id"] == "vm-one-1"
    for foreign in (SECRET, two["id"], "vol-two-1", "Datenträger", "b@two.example"):
        assert foreign not in json.dumps(document_of(first), ensure_ascii=False)
        assert foreign not in text_of(first)
    for foreign in ("Wattignies", one["id"], "vm-one-1", "a@one.example"):
        assert foreign not in json.dumps(document_of(second), ensure_ascii=False)
        assert foreign not in text_of(second)


async def test_update_correction_and_final_thread_under_the_first(running, api):
    hospital = await scenario.customer(api)
    incident = await scenario.declare(
        api, **GRAVE | {"criticality": "unknown"}, affected_customers=[affected(hospital)]
    )
    kinds = []
    # Told once; then an unknown becomes known, a known turns out wrong, and the incident ends.
    for step in ("initial", {"criticality": "C2"}, {"impact": "I2"}, "final"):
        if isinstance(step, dict):
            incident = await scenario.change(api, incident, **step)
        elif step == "final":
            match = {"If-Match": f'"{incident["version"]}"'}
            incident = await ok(api.post(f"/incidents/{incident['id']}/close", headers=match))
        (notice,) = await scenario.release(api, incident)
        kinds.append(notice["kind"])
        await settled(running, api, notice)
    assert kinds == ["initial", "update", "correction", "final"]
    mails = [read(message.content) for message in running.sink.messages]
    ids = [mail["Message-ID"] for mail in mails]
    assert len(set(ids)) == 4
    assert [mail["In-Reply-To"] for mail in mails] == [None, *ids[:3]]
    assert [(mail["References"] or "").split() for mail in mails] == [ids[:count] for count in range(4)]
    documents = [document_of(message.content) for message in running.sink.messages]
    assert [document["sequence"] for document in documents] == [1, 2, 3, 4]
    assert documents[2]["supersedes"]["sequence"] == 2
    assert {"fact": "impact", "from": "I1", "to": "I2"} in documents[2]["changes"]
    for message in running.sink.messages:
        assert len(list(verify_notice_mail(message.content, load_trust(running.trust_dir)))) == 9


async def test_a_customer_newly_owed_gets_a_first_notice_and_one_told_wrongly_a_correction(running, api):
    one = await scenario.customer(api, name="One", contacts=(("a@one.example", "en"),))
    two = await scenario.customer(api, name="Two", contacts=(("b@two.example", "en"),))
    entry = affected(one, data_harm=harm(confidentiality="yes"))
    incident = await scenario.declare(
        api, intent="malicious", cause="attack", affected_customers=[entry, affected(two)]
    )
    assert (await scenario.assessment(api, incident, two))["verdict"] == "do_not_notify"
    await scenario.release(api, incident)
    await running.sink.wait_for(1)
    # It was not One's data but Two's.
    entries = [affected(one), affected(two, data_harm=harm(confidentiality="yes"))]
    incident = await scenario.change(api, incident, affected_customers=entries)
    released = {notice["customer_id"]: notice for notice in await scenario.release(api, incident)}
    assert released[one["id"]]["kind"] == "correction"
    assert released[two["id"]]["kind"] == "initial"
    mails = await delivered(running, api, [], 3)
    assert len(mails["a@one.example"]) == 2
    assert len(mails["b@two.example"]) == 1


async def test_what_is_stated_of_others_gives_a_customer_no_update(running, api):
    one = await scenario.customer(api, name="One", contacts=(("a@one.example", "en"),))
    two = await scenario.customer(api, name="Two", contacts=(("b@two.example", "en"),))
    incident = await scenario.declare(api, **GRAVE, affected_customers=[affected(one), affected(two)])
    await scenario.release(api, incident)
    entries = [affected(one), affected(two, resources=[{"kind": "machine", "id": "vm-2"}])]
    await scenario.change(api, incident, affected_customers=entries)
    drafts = [item for item in await scenario.notices(api, incident) if item["state"] == "draft"]
    assert [draft["customer_id"] for draft in drafts] == [two["id"]]


async def test_a_draft_follows_the_facts_and_is_withdrawn_when_owed_no_more(api):
    await scenario.customer(api)
    incident = await scenario.declare(api, **GRAVE)
    incident = await scenario.change(api, incident, criticality="C3")
    (draft,) = await scenario.notices(api, incident)
    assert (draft["state"], draft["facts_version"], draft["sequence"]) == ("draft", 2, 1)
    incident = await scenario.change(api, incident, intent="accidental", cause="bug")
    (draft,) = await scenario.notices(api, incident)
    assert draft["state"] == "withdrawn"
    incident = await scenario.change(api, incident, intent="malicious", cause="attack")
    standing = [item for item in await scenario.notices(api, incident) if item["state"] == "draft"]
    assert [item["sequence"] for item in standing] == [1]
    await scenario.release(api, incident)


async def test_a_pending_verdict_keeps_the_incident_open(api):
    await scenario.customer(api)
    incident = await scenario.declare(api, intent="malicious", cause="attack", unlisted_customers="unknown")
    assert incident["tally"]["pending"] == 1
    answer = await api.post(f"/incidents/{incident['id']}/close", headers={"If-Match": "*"})
    assert answer.status_code == 409
    assert "affected" in answer.json()["detail"] or "unlisted" in answer.json()["detail"]


async def test_the_reviewer_reads_what_will_go_out(running, api):
    await scenario.customer(api, contacts=(("a@one.example", "en"),))
    incident = await scenario.declare(api, **GRAVE)
    (draft,) = await scenario.notices(api, incident)
    previews = {
        language: await ok(api.get(f"/notices/{draft['id']}/preview", params={"language": language}))
        for language in ("fr", "en", "de")
    }
    assert len({preview["text"] for preview in previews.values()}) == 3
    assert running.sink.messages == []
    await scenario.release(api, incident)
    (message,) = await running.sink.wait_for(1)
    assert read(message.content)["Subject"] == previews["en"]["subject"]


async def test_the_artefacts_served_are_the_ones_sent_and_verify(running, api):
    many = [{"kind": "machine", "id": f"vm-{number:04d}"} for number in range(120)]
    hospital = await scenario.customer(api)
    incident = await scenario.declare(api, **GRAVE, affected_customers=[affected(hospital, resources=many)])
    (notice,) = await scenario.release(api, incident)
    await settled(running, api, notice)
    parts = {}
    for name in ("document", "signature", "timestamp", "proof", "resources.csv"):
        answer = await api.get(f"/notices/{notice['id']}/{name}")
        assert answer.status_code == 200
        parts[name.partition(".")[0]] = answer.content
    files = NoticeFiles(
        document=parts["document"],
        signature=parts["signature"],
        timestamp=parts["timestamp"],
        proof=parts["proof"],
        resources_csv=parts["resources"],
    )
    assert len(list(verify_notice_files(files, load_trust(running.trust_dir)))) == 6
    content = running.sink.messages[0].content
    attached = {
        part.get_filename(): part.get_payload(decode=True) for part in read(content).walk() if part.get_filename()
    }
    assert attached["notice.json"] == parts["document"]
    assert attached["notice.json.p7s"] == parts["signature"]
    assert attached["notice.json.tsr"] == parts["timestamp"]
    assert attached["resources.csv"] == parts["resources"]
    assert attached["resources.csv"].count(b"vm-") == 120
    mail = next(item for item in (await settled(running, api, notice)) if item["channel"] == "email")
    assert (await api.get(f"/notices/{notice['id']}/deliveries/{mail['id']}/message")).content == content


async def test_the_evidence_claims_no_more_than_is_known(running, api):
    hospital = await scenario.customer(api)
    incident = await scenario.declare(api, **GRAVE)
    (notice,) = await scenario.release(api, incident)
    deliveries = {item["channel"]: item for item in await settled(running, api, notice)}
    assert set(deliveries) == {"email", "console"}
    assert deliveries["email"]["evidence"][0]["event"] == "RelayToNonERDS"
    assert deliveries["email"]["evidence"][0]["queue_id"].startswith("SINK")
    assert deliveries["console"]["evidence"][0]["event"] == "ContentConsignment"
    assert deliveries["email"]["evidence"][0]["event_uri"] == "http://uri.etsi.org/19522/Event/RelayToNonERDS"
    (item,) = (await ok(api.get(f"/customers/{hospital['id']}/inbox")))["items"]
    assert item["notice_id"] == notice["id"]


async def test_everything_that_happened_stands_in_the_log_and_is_proven(running, api):
    hospital = await scenario.customer(api, name=SECRET, contacts=(("geheim@klinik.example", "de"),))
    incident = await scenario.declare(api, **GRAVE, affected_customers=[affected(hospital)])
    (notice,) = await scenario.release(api, incident)
    deliveries = await settled(running, api, notice)
    page = await ok(api.get("/audit/entries", params={"limit": 200}))
    types = [item["leaf"]["type"] for item in page["items"]]
    for expected in (
        "key.activated", "customer.registered", "agreement.bound", "contact.added", "incident.declared",
        "decision.recorded", "notice.released", "notice.sealed", "delivery.queued",
    ):  # fmt: skip
        assert expected in types
    decided = next(item["leaf"] for item in page["items"] if item["leaf"]["type"] == "decision.recorded")
    assert (decided["detail"]["draft"], decided["subjects"]["notice"]) == ("drafted", notice["id"])
    assert types.index("incident.declared") < types.index("notice.released") < types.index("notice.sealed")
    # Nothing personal stands in a leaf.
    leaves = "".join(json.dumps(item["leaf"], ensure_ascii=False) for item in page["items"])
    for personal in (SECRET, "geheim@klinik.example", "geheim", hospital["id"], "Load balancer"):
        assert personal not in leaves
    # Every entry is proven under the log's key, by index.
    key = parse_verifier_key((await api.get("/audit/verifier-key")).text.strip())
    for item in page["items"]:
        proof = parse_proof((await api.get(f"/audit/entries/{item['index']}/proof")).content)
        checkpoint = verify_checkpoint(proof.checkpoint, key)
        leaf = base64.b64decode(item["leaf_base64"])
        assert str(parse_leaf(leaf).id) == item["id"]
        verify_inclusion(leaf_hash(leaf), item["index"], checkpoint.size, proof.hashes, checkpoint.root)
    # What concerns one customer is found by it.
    about = await ok(api.get("/audit/entries", params={"customer_id": hospital["id"], "limit": 200}))
    assert {item["leaf"]["type"] for item in about["items"]} >= {"decision.recorded", "notice.sealed"}
    assert len(deliveries) == 2


@pytest.mark.parametrize("declared_by", ["declare", "patch"])
async def test_a_decision_not_to_notify_is_recorded_with_its_reasons(running, api, declared_by):
    hospital = await scenario.customer(api, profile={"choices": []})
    incident = await scenario.declare(api, **GRAVE)
    if declared_by == "patch":
        incident = await scenario.change(api, incident, criticality="C3")
    decision = await scenario.assessment(api, incident, hospital)
    assert decision["verdict"] == "do_not_notify"
    assert decision["profile_version"] == 1
    assert any(reason["id"] == "profile" for reason in decision["reasons"])

    async def look():
        entries = await ok(api.get("/audit/entries", params={"incident_id": incident["id"], "limit": 200}))
        return [item["leaf"]["detail"] for item in entries["items"] if item["leaf"]["type"] == "decision.recorded"]

    recorded = await until(running.parts.store, look)
    assert recorded[-1]["verdict"] == "do_not_notify"
    assert recorded[-1]["reasons"]
