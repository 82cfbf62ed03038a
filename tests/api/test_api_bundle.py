"""The evidence bundle as its readers get it: whole, the same bytes again, of one customer alone, for tools not ours."""

import base64
import io
import json
import os
import re
import subprocess
import zipfile
from datetime import UTC, datetime
from email import message_from_bytes
from uuid import UUID

import pytest
import pytest_asyncio
from test_api_accounts import caller, service
from test_api_trail import sequenced

from notifications.audit.entry import parse_leaf
from notifications.audit.proof import parse_notice_extra, parse_proof
from notifications.evidence.bundle.contents import PROVIDER
from notifications.evidence.bundle.verification import BUNDLE_STEPS, verify_bundle
from notifications.use_cases.evidence.bundle_evidence import BundleRequest, plan_bundle
from service.audit_log.bundle_writer import read_anchors, write_bundle
from service.cli.verify import load_trust
from support import scenario
from support.announcements import ahead, announce, bound, released
from support.commands import run_beside
from support.commits import until
from support.postgresql_server import database_settings
from support.scenario import affected, all_sent, harm, ok

__all__ = ["caller"]

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}
OWN, FOREIGN = "Hôpital de Valmont", "Klinik Geheim"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_settings(request):
    """Either engine; commands that are run beside the service find its database."""
    with database_settings(request.param) as settings, pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(f"GREFFIER_{name.upper()}", value)
        yield settings


@pytest.fixture(scope="module")
def running(shared_service):
    return shared_service


@pytest.fixture(scope="module")
def api(shared_api):
    return shared_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(running, api):
    """One incident of two customers, told to both; and a third one that is not told."""
    own = await scenario.customer(api, OWN, contacts=(("rssi@valmont.example", "fr"), ("cert@valmont.example", "de")))
    foreign = await scenario.customer(api, FOREIGN, contacts=(("it@klinik.example", "de"),))
    await scenario.customer(api, "Untold", contacts=(("soc@untold.example", "en"),), profile={"choices": []})
    incident = await scenario.declare(
        api,
        **GRAVE,
        service_harm=harm(confidentiality="yes"),
        affected_customers=[
            affected(own, effect={"fr": "Vos machines."}, resources=[{"kind": "machine", "id": "vm-own-1"}]),
            affected(
                foreign, effect={"de": "Ihre Datenträger."}, resources=[{"kind": "volume", "id": "vol-foreign-1"}]
            ),
        ],
    )
    await scenario.release(api, incident)
    notices = await scenario.notices(api, incident)
    await until(running.parts.store, lambda: all_sent(api, notices))
    await sequenced(running)
    return incident, own, foreign


async def bundle(client, path, **params):
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.content


def passed(content, running):
    return {item.step: item for item in verify_bundle(io.BytesIO(content), load_trust(running.trust_dir))}


async def test_an_incident_whole_for_an_auditor(running, api, shared):
    incident, *_ = shared
    content = await bundle(api, "/audit/bundle", incident_id=incident["id"])
    steps = passed(content, running)
    assert list(steps) == list(BUNDLE_STEPS)
    assert not any(item.pending for item in steps.values())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    for ending in ("notice.json", "notice.json.p7s", "notice.json.tsr", "payload.json", "words.fr.txt", "message.eml"):
        assert any(name.endswith(f"/{ending}") for name in names), ending
    assert sum(name.endswith("/notice.json") for name in names) == 2
    assert sum(name.endswith("/message.eml") for name in names) == 3


async def test_the_same_content_is_the_same_bytes(running, api, shared):
    incident, *_ = shared
    store, keys = running.parts.store, running.parts.context.keys
    wanted = BundleRequest(incident_id=UUID(incident["id"]))
    plan = await store.read(lambda tx: plan_bundle(tx, wanted, reader=PROVIDER, language="de"))
    made = []
    for _ in range(2):
        file = io.BytesIO()
        await write_bundle(file, store.read, plan, read_anchors(running.trust_dir), await keys.log_signers())
        made.append(file.getvalue())
        # Whatever happens meanwhile is not in it.
        await scenario.declare(api, **GRAVE)
        await sequenced(running)
    assert made[0] == made[1]
    passed(made[0], running)


def entry_links(report):
    return re.findall(r'href="(entries/[^"]+)"', report)


async def test_the_report_says_who_was_told_and_leads_to_the_proofs(running, api, shared):
    incident, *_ = shared
    for language, words in (
        ("en", ("Who was told", "told late", "need not be told", "3 customers")),
        ("fr", ("Qui a été informé", "informé en retard", "pas à informer", "3 commanditaires")),
        ("de", ("Wer benachrichtigt wurde", "verspätet", "nicht zu benachr", "3 Auftraggeber")),
    ):
        content = await bundle(api, "/audit/bundle", incident_id=incident["id"], language=language)
        passed(content, running)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            report = archive.read("report.html").decode()
            assert {*entry_links(report)} <= {*archive.namelist()}
        account, _, entries = report.partition("</table>")
        for word in words:
            assert word in account, word
        # Two were told, each by a decision, a release and a delivery; one not, by its decision; and the declaration.
        assert len(set(entry_links(account))) == 2 * 3 + 1 + 1
        assert entries.count("<tr id=") > len(set(entry_links(account)))


async def test_the_account_of_a_bundle_is_made_without_the_service(running, api, shared, tmp_path):
    incident, own, _ = shared
    path = tmp_path / "bundle.zip"
    path.write_bytes(await bundle(api, "/audit/bundle", incident_id=incident["id"]))
    said = await greffier("audit", "--bundle", path, "--trust", running.trust_dir, "--json")
    assert said.returncode == 0, said.stderr
    made = json.loads(said.stdout)
    assert sorted(line["standing"] for line in made["lines"]) == ["not_owed", "told", "told"]
    assert [(item["customers_stated"], item["customers_decided"]) for item in made["incidents"]] == [(3, 3)]
    assert (made["whole"], made["root_sha256"], made["scope"]) == (False, None, {"incident": incident["id"]})
    assert "no other entry" in made["does_not_prove"][0]
    said = await greffier("audit", "--bundle", path, "--trust", running.trust_dir)
    assert b"not proven: that the log has no other entry" in said.stdout
    # A customer's own bundle accounts for it alone, and cannot count the others.
    path.write_bytes(await bundle(api, f"/customers/{own['id']}/bundle"))
    made = json.loads((await greffier("audit", "--bundle", path, "--trust", running.trust_dir, "--json")).stdout)
    assert [(line["standing"], line["name"]) for line in made["lines"]] == [("told", None)]
    assert made["incidents"] == []
    # What does not verify has no account.
    path.write_bytes(path.read_bytes().replace(b'"reader":"customer"', b'"reader":"provider"'))
    said = await greffier("audit", "--bundle", path, "--trust", running.trust_dir)
    assert (said.returncode, said.stdout, said.stderr.count(b"\n")) == (2, b"", 1)


async def test_the_command_makes_it_beside_the_service_and_another_command_verifies_it(running, api, shared):
    incident, own, _ = shared
    path = running.data / "made.zip"
    selections = (
        (["--incident", incident["ticket"]], "for the provider"),
        (["--customer", own["id"], "--language", "en"], "for the customer"),
        (["--period", "2020-01-01/", "--incident", incident["id"]], "for the provider"),
    )
    for words, told in selections:
        ran = await greffier("bundle", "--data", running.data, *words, "-o", path)
        assert (ran.returncode, ran.stderr) == (0, b""), ran.stderr
        assert told in ran.stdout.decode()
        ran = await greffier("verify", path, "--trust", running.trust_dir)
        assert ran.returncode == 0, ran.stdout
        assert ran.stdout.decode().splitlines()[-1].startswith("GENUINE: ")
    for words in (["--incident", "INC-1999-000001"], [], ["--period", "yesterday"], ["--for", "customer"],
                  ["--period", "2020-01-01/2019-01-01"], ["--period", "/9999-12-31T23:59:59-12:00"],
                  ["--notice", own["id"]]):  # fmt: skip
        ran = await greffier("bundle", "--data", running.data, *words, "-o", running.data / "none.zip")
        assert (ran.returncode, ran.stdout, ran.stderr.count(b"\n")) == (2, b"", 1), words
    assert not [item for item in running.data.iterdir() if "none.zip" in item.name]
    # What is no ordinary file stays what it was: a rename over /dev/null would break every program of the machine.
    os.mkfifo(running.data / "pipe")
    ran = await greffier("bundle", "--data", running.data, "--customer", own["id"], "-o", running.data / "pipe")
    assert (ran.returncode, ran.stderr.count(b"\n")) == (2, 1)
    assert (running.data / "pipe").is_fifo()
    await sequenced(running)
    wanted = {"type": "bundle.made", "actor": f"operator:{os.getuid()}"}
    made = [item["leaf"] for item in (await ok(api.get("/audit/entries", params=wanted)))["items"]]
    assert [leaf["detail"]["reader"] for leaf in made] == ["provider", "customer", "provider"]


async def test_an_announcement_by_its_own_id(running, api, caller, shared):
    incident, *_ = shared
    own = await bound(api, "Rivière", "soc@riviere.example")
    foreign = await bound(api, "Stranger", "soc@stranger.example")
    made = await announce(api, "subcontractor_change", customers=[own["id"]], occurs_at=ahead(days=90))
    other = await announce(api, "capacity", customers=[foreign["id"]])
    (notice,), _ = await released(api, made), await released(api, other)
    await until(running.parts.store, lambda: all_sent(api, [notice]))
    await sequenced(running)
    content = await bundle(api, "/audit/bundle", announcement_id=made["id"])
    assert list(passed(content, running)) == list(BUNDLE_STEPS)
    leaves = leaves_in(content)
    assert {leaf.subjects["announcement"] for leaf in leaves} == {made["id"]}
    kinds = {leaf.type for leaf in leaves}
    assert {"announcement.declared", "announcement.decided", "notice.sealed", "delivery.attempted"} <= kinds
    # Nothing that the bundle of its notice has is missing.
    of_notice = leaves_in(await bundle(api, "/audit/bundle", notice_id=notice["id"]))
    assert {leaf.id for leaf in of_notice} <= {leaf.id for leaf in leaves}
    (decided,) = [leaf for leaf in leaves if leaf.detail.get("concern") == "concerned"]
    assert decided.detail["due_clause"] == "5.1, 7, DPA 13"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert json.loads(archive.read("bundle.json"))["schema"] == "greffier.bundle/2"
        report, readme = archive.read("report.html").decode(), archive.read("README.txt").decode()
    for text in (report, readme):
        assert f"Annonce : {made['id']}" in text
    assert "5.1, 7, DPA 13" in report
    with zipfile.ZipFile(io.BytesIO(await bundle(api, "/audit/bundle", incident_id=incident["id"]))) as archive:
        assert json.loads(archive.read("bundle.json"))["schema"] == "greffier.bundle/1"
    # The conditions narrow one another; another announcement, an incident and nothing are none.
    both = await bundle(api, "/audit/bundle", announcement_id=made["id"], customer_id=own["id"])
    assert {leaf.type for leaf in leaves_in(both)} < kinds
    for asked in (incident["id"], str(UUID(int=7))):
        assert (await api.get("/audit/bundle", params={"announcement_id": asked})).status_code == 404
    await sequenced(running)
    (recorded, *_) = (await ok(api.get("/audit/entries", params={"type": "bundle.made", "order": "newest_first"})))[
        "items"
    ]
    assert recorded["leaf"]["subjects"] == {"announcement": made["id"], "customer": decided.subjects["customer"]}

    _, token = await service(api, "customer_member", ("trail.read", "notice.read"), customer_id=own["id"])
    async with caller(token) as member:
        path = f"/customers/{own['id']}/bundle"
        mine = await bundle(member, path, announcement_id=made["id"])
        assert list(passed(mine, running)) == list(BUNDLE_STEPS)
        assert {leaf.subjects["customer"] for leaf in leaves_in(mine)} == {decided.subjects["customer"]}
        assert b"Stranger" not in everything_in(mine)
        assert (await member.get(path, params={"announcement_id": other["id"]})).status_code == 404

    path = running.data / "announced.zip"
    for named in (made["id"], made["ticket"]):
        ran = await greffier("bundle", "--data", running.data, "--announcement", named, "-o", path)
        assert (ran.returncode, ran.stderr) == (0, b""), ran.stderr
        ran = await greffier("verify", path, "--trust", running.trust_dir)
        assert ran.stdout.decode().splitlines()[-1].startswith("GENUINE: ")
    for words in (["--announcement", incident["ticket"]], ["--incident", made["ticket"]], ["--announcement", "ANN-1"]):
        ran = await greffier("bundle", "--data", running.data, *words, "-o", running.data / "none.zip")
        assert (ran.returncode, ran.stdout, ran.stderr.count(b"\n")) == (2, b"", 1), words


def leaves_in(content):
    """Return the leaves in a bundle; each is in the proof of its entry."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        proofs = [archive.read(name) for name in archive.namelist() if name.endswith("/entry.tlog-proof")]
    return [parse_leaf(parse_notice_extra(parse_proof(proof).extra).leaf) for proof in proofs]


async def greffier(*words):
    return await run_beside(*words, text=False)


async def test_a_customer_s_bundle_reveals_nothing_of_another(running, api, caller, shared):
    incident, own, foreign = shared
    _, token = await service(api, "customer_member", ("trail.read", "notice.read"), customer_id=own["id"])
    async with caller(token) as member:
        content = await bundle(member, f"/customers/{own['id']}/bundle", language="en")
        assert (await member.get(f"/customers/{foreign['id']}/bundle")).status_code == 404
        assert (await member.get("/audit/bundle", params={"customer_id": own["id"]})).status_code == 403
    for made in (content, await bundle(api, f"/customers/{own['id']}/bundle", incident_id=incident["id"])):
        steps = passed(made, running)
        assert steps["notices"].finding.startswith("1 notices")
        assert steps["messages"].finding.startswith("2 messages, 2 whole mails")
        text = everything_in(made)
        hidden = await names_of(running, api, incident, foreign)
        assert len(hidden) > 10
        for value in hidden:
            assert value not in text, value
        for value in (OWN.encode(), b"vm-own-1", b"rssi@valmont.example"):
            assert value in text, value


async def test_a_customer_learns_nothing_of_an_incident_that_it_was_not_told_of(running, api, shared):
    incident, *_ = shared
    customers = (await ok(api.get("/customers", params={"limit": 50})))["items"]
    (untold,) = [item for item in customers if item["name"] == "Untold"]
    content = await bundle(api, f"/customers/{untold['id']}/bundle")
    assert int(passed(content, running)["entries in the log"].finding.split()[0]) >= 3
    text = everything_in(content)
    assert b"soc@untold.example" in text
    assert incident["id"].encode() not in text
    answer = await api.get(f"/customers/{untold['id']}/bundle", params={"incident_id": incident["id"]})
    assert answer.status_code == 404
    # For the provider's side the decision not to tell is evidence like any other.
    whole = everything_in(await bundle(api, "/audit/bundle", customer_id=untold["id"]))
    assert incident["id"].encode() in whole
    assert b'"verdict":"do_not_notify"' in whole


def everything_in(content):
    """Return every part, and whatever is encoded in it, as one text."""
    found = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            found += [name.encode(), data]
            if name.endswith(".tlog-proof"):
                extra = data.splitlines()[1]
                decoded = base64.b64decode(extra.removeprefix(b"extra "))
                found += [decoded, base64.b64decode(json.loads(decoded)["leaf"])]
            if name.endswith(".eml"):
                found += [part.get_payload(decode=True) or b"" for part in message_from_bytes(data).walk()]
    return b"\n".join(found)


async def names_of(running, api, incident, customer):
    """Return every identifier, name and pseudonym of a customer."""
    pseudonym = await running.parts.store.read(lambda tx: tx.customers.pseudonym(UUID(customer["id"])))
    contacts = (await ok(api.get(f"/customers/{customer['id']}/contacts")))["items"]
    names = {customer["id"], customer["name"], pseudonym, "vol-foreign-1", "Datenträger", "klinik"}
    names |= {contact[key] for contact in contacts for key in ("id", "email", "name")}
    for notice in await scenario.notices(api, incident):
        if notice["customer_id"] == customer["id"]:
            names.add(notice["id"])
            items = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
            names |= {item["id"] for item in items}
    return {name.encode() for name in names if len(name) > 3}


async def test_openssl_and_sha256sum_verify_it_by_the_readme_alone(running, api, shared, tmp_path):
    incident, *_ = shared
    store, authority = running.parts.store, running.parts.context.sealing.timestamp_authority
    for language in ("fr", "en", "de"):
        # That a bundle was made is of the incident too: each is under a head of its own.
        await sequenced(running)
        size, note = await store.read(lambda tx: (tx.log.size(), tx.log.checkpoint()))
        token = await authority.timestamp(note)
        await store.write(lambda tx, at=(size, token): tx.log.add_timestamp(*at, datetime.now(UTC)))
        content = await bundle(api, "/audit/bundle", incident_id=incident["id"], language=language)
        folder = tmp_path / language
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(folder)
        lines = (folder / "README.txt").read_text().splitlines()
        commands = [line.strip() for line in lines if line.startswith("    ") and "FILE.zip" not in line]
        assert len(commands) == 6
        for command in commands:
            ran = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, check=False)
            assert ran.returncode == 0, (command, ran.stderr)
        for target, command in zip(
            ("bundle.json", "sums.sha256", "*/notice.json", "*/notice.json.tsr", "checkpoint.tsr", "*/message.eml"),
            commands,
            strict=True,
        ):
            path = next(folder.glob(target if "*" not in target else f"entries/{target}"))
            genuine = path.read_bytes()
            path.write_bytes(genuine[:-9] + bytes([genuine[-9] ^ 1]) + genuine[-8:])
            ran = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, check=False)
            if target != "*/message.eml":
                assert ran.returncode != 0, command
            path.write_bytes(genuine)
