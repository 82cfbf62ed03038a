"""An announcement from the declaration to a mail that its reader verifies; consent, letters, and who sees what."""

import hashlib
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default

import httpx2
import pytest

from notifications.evidence.bundle.verification import BUNDLE_STEPS, verify_bundle
from notifications.evidence.verification import MAIL_STEPS, verify_notice_mail
from service.cli.verify import load_trust
from service.ports.accounts import Role
from support.announcements import V2, act_on, announce, bound, open_letter, released
from support.scenario import customer, ok
from support.world import account, at_customer, at_provider

SLIP = b"%PDF-1.7\nsigned by somebody ]]]]]" + b"[" * 200


def client(running, token):
    return httpx2.AsyncClient(
        base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30
    )


@pytest.fixture
async def member(running, api):
    """A customer under the second agreement, and a client of one of its people."""
    own = await bound(api, "Own", "soc@own.example", language="de")
    _, token = await account(running, "Erika", at_customer(Role.CUSTOMER_MANAGER, own["id"]))
    async with client(running, token) as opened:
        yield opened


def parts(content):
    message = message_from_bytes(content, policy=default)
    found = {part.get_filename() or part.get_content_type(): part for part in message.walk()}
    return json.loads(found["notice.json"].get_payload(decode=True)), found["text/plain"].get_content()


async def sequenced(running):
    """Wait until every entry is in the tree."""
    for leaf in await running.parts.store.read(lambda tx: tx.audit.pending(10_000)):
        await running.parts.sequencer.included(leaf.entry_id)


async def test_planned_work_reaches_each_customer_as_a_genuine_mail(running, api):
    await bound(api, "Third", "a@three.example", "secnumcloud_iaas_3_0")
    await bound(api, "Platform", "b@two.example", language="de", products=["paas"])
    made = await announce(api)
    await released(api, made)
    await running.sink.wait_for(2)
    trust = load_trust(running.trust_dir)
    mails = {message.recipients[0]: message.content for message in running.sink.messages}
    said = {}
    for recipient, content in mails.items():
        assert [passed.step for passed in verify_notice_mail(content, trust)] == list(MAIL_STEPS)
        document, said[recipient] = parts(content)
        assert document["schema"] == "greffier.announcement/1"
        assert [item["id"] for item in document["announcement"]["items"]] == list(made["items"])
        assert not {"classification", "personal_data", "why_you_are_told"} & set(document)
        assert "GTI" not in said[recipient]
    assert "9.1" in said["a@three.example"]
    assert "Words on mitigation" in said["a@three.example"]
    german = said["b@two.example"]
    assert "5.1" in german
    assert "Maßnahmen, die die Auswirkung mindern" in german
    assert "Text zu mitigation" in german


async def test_four_eyes_hold_for_announcements(running, api):
    both = (at_provider(Role.ANALYST), at_provider(Role.APPROVER))
    _, ada = await account(running, "Ada", *both)
    _, grace = await account(running, "Grace", *both)
    strict = {"agreement_id": V2, "effective_at": "2026-05-01T00:00:00+02:00"}
    await customer(api, "Strict", agreement=strict, four_eyes=True)
    async with client(running, ada) as first, client(running, grace) as second:
        made = await announce(first)
        refused = await act_on(first, made, "release")
        assert refused.status_code == 409
        assert "somebody else" in refused.json()["detail"]
        assert [each["state"] for each in await released(second, made)] == ["released"]


async def test_access_of_a_third_party_waits_for_the_consent(running, api, member):
    made = await announce(api, "third_party_access")
    (notice,) = await released(api, made)
    await running.sink.wait_for(1)
    path = f"/notices/{notice['id']}/consent"
    assert (await ok(member.get(path)))["state"] == "asked"
    early = await act_on(api, made, "carry-out")
    assert early.status_code == 409
    assert "Own" in early.json()["detail"]
    # Nobody at the provider consents in the name of a customer.
    assert (await api.post(path, json={"answer": "accept", "name": "Me"})).status_code in {403, 404}
    refusal = {"answer": "refuse", "name": "Erika Muster", "reason": "Not this week"}
    assert (await ok(member.post(path, json=refusal)))["state"] == "refused"
    (row,) = (await ok(api.get(f"/announcements/{made['id']}")))["concerned"]
    assert (row["consent"]["state"], row["consent"]["name"], row["consent"]["reason"]) == (
        "refused",
        "Erika Muster",
        "Not this week",
    )
    assert (await act_on(api, made, "carry-out")).status_code == 409
    assert (await ok(member.post(path, json={"answer": "accept", "name": "Erika Muster"})))["state"] == "given"
    assert (await ok(act_on(api, made, "carry-out")))["state"] == "closed"
    late = await member.post(path, json={"answer": "refuse", "name": "Erika Muster"})
    assert late.status_code == 409


async def test_another_customer_sees_nothing_of_it(running, api, member):
    other = await bound(api, "Other", "soc@other.example")
    made = await announce(api, "third_party_access", customers=[other["id"]])
    (notice,) = await released(api, made)
    await running.sink.wait_for(1)
    for path in ("", "/consent"):
        assert (await member.get(f"/notices/{notice['id']}{path}")).status_code == 404
    answer = await member.post(f"/notices/{notice['id']}/consent", json={"answer": "accept", "name": "X"})
    assert answer.status_code == 404
    assert (await member.get(f"/announcements/{made['id']}")).status_code == 403
    assert (await ok(member.get("/notices")))["items"] == []
    (own,) = (await ok(member.get("/customers")))["items"]
    trail = await ok(member.get(f"/customers/{own['id']}/trail"))
    assert made["id"] not in json.dumps(trail)


async def test_the_letter_is_a_task_with_number_and_slip(running, api, member):
    made = await announce(api, "loss_of_qualification", occurs_at=datetime.now(UTC).isoformat())
    (notice,) = await released(api, made)
    letter = await open_letter(running, api)
    assert (letter["notice_id"], letter["state"], letter["ticket"]) == (notice["id"], "open", made["ticket"])
    path, first = f"/letters/{letter['id']}", {"If-Match": '"1"'}
    assert (await member.get(path)).status_code == 403
    assert (await api.post(f"{path}/close", headers=first)).status_code == 409
    scan = {"Content-Type": "application/pdf"}
    assert (await api.put(f"{path}/slip", content=SLIP, headers=first | scan)).status_code == 409
    today = datetime.now(UTC).date()
    wrong = {"posting_number": "?", "posted_on": str(today + timedelta(days=9))}
    refused = await api.post(f"{path}/posting", json=wrong, headers=first)
    assert {fault["field"] for fault in refused.json()["errors"]} == {"posting_number", "posted_on"}
    posting = {"posting_number": "1A 234 567 8901 2", "posted_on": str(today)}
    posted = await ok(api.post(f"{path}/posting", json=posting, headers=first))
    assert (posted["posting_number"], posted["posted_on"]) == (posting["posting_number"], posting["posted_on"])
    second = {"If-Match": '"2"'}
    assert (await api.put(f"{path}/slip", content=b"GIF89a", headers=second)).status_code == 422
    large = b"%PDF-" + b"x" * (5 * 1024 * 1024)
    assert (await api.put(f"{path}/slip", content=large, headers=second | scan)).status_code == 422
    attached = await ok(api.put(f"{path}/slip", content=SLIP, headers=second | scan))
    assert attached["slip_sha256"] == hashlib.sha256(SLIP).hexdigest()
    read = await api.get(f"{path}/slip")
    assert (read.content, read.headers["content-type"]) == (SLIP, "application/pdf")
    assert (await ok(api.post(f"{path}/close", headers={"If-Match": '"3"'})))["state"] == "closed"
    assert (await ok(api.get("/letters")))["items"] == []
    entries = await running.parts.store.read(
        lambda tx: [json.loads(item.leaf) for item in (*tx.audit.entries(0, 10_000), *tx.audit.pending(10_000))]
    )
    kinds = [leaf["type"] for leaf in entries if leaf["type"].startswith("letter.")]
    assert kinds == ["letter.opened", "letter.posted", "letter.slip_attached", "letter.closed"]
    (slip,) = [leaf for leaf in entries if leaf["type"] == "letter.slip_attached"]
    assert slip["detail"]["slip_sha256"] == attached["slip_sha256"]


async def test_a_bundle_proves_the_announcement_and_the_provider_s_holds_the_slip_of_its_letter(running, api, member):
    made = await announce(api, "loss_of_qualification", occurs_at=datetime.now(UTC).isoformat())
    (notice,) = await released(api, made)
    letter = await open_letter(running, api)
    path = f"/letters/{letter['id']}"
    posting = {"posting_number": "1A 234 567 8901 2", "posted_on": str(datetime.now(UTC).date())}
    await ok(api.post(f"{path}/posting", json=posting, headers={"If-Match": '"1"'}))
    scan = {"Content-Type": "application/pdf", "If-Match": '"2"'}
    await ok(api.put(f"{path}/slip", content=SLIP, headers=scan))
    await sequenced(running)
    (own,) = (await ok(member.get("/customers")))["items"]
    for reader, where in ((api, "/audit/bundle"), (member, f"/customers/{own['id']}/bundle")):
        answer = await reader.get(where, params={"notice_id": notice["id"]})
        assert answer.status_code == 200, answer.text
        trust = load_trust(running.trust_dir)
        assert [passed.step for passed in verify_bundle(io.BytesIO(answer.content), trust)] == list(BUNDLE_STEPS)
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        documents = [json.loads(found) for name, found in contents.items() if name.endswith("/notice.json")]
        assert [each["schema"] for each in documents] == ["greffier.announcement/1"]
        # To the customer the slip is a commitment, as every record of the provider's own work is.
        assert (SLIP in contents.values()) is (reader is api)
