"""A release to many customers asks a real HTTP authority for few tokens, and everybody else's tools take what was sent.

``greffier verify``, openssl by the commands of the mail, Go's sumdb, the bundle with its README, and fsck.
"""

import asyncio
import io
import re
import shutil
import subprocess
import zipfile
from email import message_from_bytes
from email.policy import default
from uuid import UUID

import httpx2
import pytest
from click.testing import CliRunner
from test_timestamp_authority_fails import Authority, stamper_of

from notifications.evidence.bundle.verification import verify_bundle
from notifications.evidence.verification import verify_notice_mail
from service.audit_log.backup import log_keys
from service.audit_log.fsck.check import check_log
from service.audit_log.fsck.heads import ExternalHeads
from service.cli.demo.environment import embedded_service
from service.cli.verify import load_trust, verify_command
from service.settings import load_settings
from support import scenario
from support.announcements import announce, bound, released
from support.go_program import built_go
from support.postgresql_server import postgresql_server
from support.scenario import ok

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}
CUSTOMERS = 6
FILES = ("notice.json", "notice.json.p7s", "notice.json.tsr", "notice.tlog-proof")


@pytest.fixture(scope="module")
def go_client(tmp_path_factory):
    return built_go("notice", tmp_path_factory.mktemp("go"))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request):
    return {} if request.param == "sqlite" else {"database__url": postgresql_server().database()}


def settings_for(authority, data_folder, **more):
    return {
        "timestamps__url": authority.url,
        "timestamps__ca_file": data_folder / "trust" / "tsa.pem",
        "timestamps__one_each_up_to": 2,
        "timestamps__shared_every_seconds": 0,
        "log__batch_seconds": 0.01,
        # The head is dated once, before the release.
        "log__timestamp_every_seconds": 0,
        **more,
    }


def parts_of(mail, folder):
    """Save the mail and its attachments, as its reader does; return the commands that it tells."""
    (folder / "mail.eml").write_bytes(mail)
    message = message_from_bytes(mail, policy=default)
    for part in message.walk():
        if part.get_filename() in FILES:
            (folder / part.get_filename()).write_bytes(part.get_content())
    text = next(part for part in message.walk() if part.get_content_type() == "text/plain").get_content()
    return [line.strip() for line in text.splitlines() if re.match(r"\s*(openssl|sed) ", line)]


def takes(commands, folder):
    return all(
        subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, check=False).returncode == 0
        for command in commands
    )


async def told(running, api, customers, number):
    """Register customers, declare an incident that concerns them all, release, and return notices and mails."""
    for each in range(customers):
        await scenario.customer(api, f"Customer {number}.{each}", contacts=((f"c{number}.{each}@example.org", "en"),))
    sent = len(running.sink.messages)
    incident = await scenario.declare(api, **GRAVE)
    draft, *_ = await scenario.notices(api, incident)
    preview = (await ok(api.get(f"/notices/{draft['id']}/preview", params={"language": "en"})))["document"]
    assert preview["timestamping"] == "by_checkpoint"
    notices = await scenario.release(api, incident)
    return notices, (await running.sink.wait_for(sent + len(notices)))[sent:]


async def test_what_was_sent_is_taken_by_every_verifier_and_refused_after_a_change(
    data_folder, tmp_path, engine, go_client, service_log
):
    async with Authority(stamper_of(data_folder)) as authority:
        async with embedded_service(data_folder, **settings_for(authority, data_folder, **engine)) as running:
            headers = {"Authorization": f"Bearer {running.token}"}
            async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
                notices, mails = await told(running, api, CUSTOMERS, 1)
                assert len(notices) == len(mails) == CUSTOMERS
                assert authority.asked <= 2
                trust = load_trust(running.trust_dir)
                for mail in mails:
                    steps = list(verify_notice_mail(mail.content, trust))
                    assert not [step.step for step in steps if step.pending]
                    assert steps[3].finding.endswith("over the checkpoint of the proof")
                mail = tmp_path / "notice.eml"
                mail.write_bytes(mails[0].content)
                ran = CliRunner().invoke(verify_command, [str(mail), "--trust", str(running.trust_dir)])
                assert ran.exit_code == 0, ran.output
                # openssl by the commands in the mail, and Go.
                folder = tmp_path / "saved"
                shutil.copytree(running.trust_dir, folder)
                commands = parts_of(mails[0].content, folder)
                assert len(commands) == 4
                assert takes(commands, folder)
                assert subprocess.run([go_client, folder], check=True, capture_output=True).stdout
                for name in FILES:
                    genuine = (folder / name).read_bytes()
                    changed = bytearray(genuine)
                    changed[-9] ^= 1
                    (folder / name).write_bytes(changed)
                    assert not takes(commands, folder), name
                    if name != "notice.json.tsr":
                        # What follows the statement in a token is its signature, which Go leaves to openssl.
                        assert subprocess.run([go_client, folder], check=False, capture_output=True).returncode, name
                    (folder / name).write_bytes(genuine)
                # The token of another release is over another checkpoint.
                other, _ = await told(running, api, CUSTOMERS, 2)
                token = (await api.get(f"/notices/{other[-1]['id']}/timestamp")).content
                assert token != (folder / "notice.json.tsr").read_bytes()
                (folder / "notice.json.tsr").write_bytes(token)
                assert not takes(commands, folder)
                assert subprocess.run([go_client, folder], check=False, capture_output=True).returncode
                # The paper has the same proofs.
                if running.parts.context.sealing.pdf_maker is not None:
                    pdf = tmp_path / "notice.pdf"
                    content = await api.get(f"/notices/{notices[0]['id']}/notice.pdf", params={"language": "en"})
                    pdf.write_bytes(content.content)
                    arguments = [str(pdf), "--trust", str(running.trust_dir)]
                    ran = await asyncio.to_thread(CliRunner().invoke, verify_command, arguments)
                    assert ran.exit_code == 0, ran.output
                bundle = await api.get("/audit/bundle", params={"incident_id": notices[0]["incident_id"]})
                verify_whole(bundle.content, trust, tmp_path / "bundle")
        found = checked(data_folder, engine)
        assert not found.differences, found.differences
        assert found.counts["log proofs"] >= 3 * CUSTOMERS


def verify_whole(content, trust, folder):
    steps = {step.step: step for step in verify_bundle(io.BytesIO(content), trust)}
    assert steps["notices"].finding == f"{CUSTOMERS} notices"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    lines = (folder / "README.txt").read_text().splitlines()
    commands = [line.strip() for line in lines if line.startswith("    ") and "FILE.zip" not in line]
    assert takes(commands, folder)
    token = next(folder.glob("entries/*/notice.json.tsr"))
    proof = token.with_name("notice.tlog-proof")
    content = proof.read_bytes()
    proof.write_bytes(content[:-9] + (b"A" if content[-9:-8] != b"A" else b"B") + content[-8:])
    assert not takes(commands[1:], folder)


def checked(data_folder, engine):
    settings = load_settings(data_folder, **engine)
    others = ExternalHeads(load_trust(data_folder / "trust").timestamp_roots)
    return check_log(settings.store_location(), log_keys(settings), settings.head_file, others=others)


async def test_while_the_authority_is_away_they_go_undated_and_one_token_dates_them_all(
    data_folder, tmp_path, engine, service_log
):
    async with Authority(stamper_of(data_folder)) as authority:
        authority.behave = authority.closed
        async with embedded_service(data_folder, **settings_for(authority, data_folder, **engine)) as running:
            headers = {"Authorization": f"Bearer {running.token}"}
            async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
                notices, mails = await told(running, api, CUSTOMERS, 1)
                trust = load_trust(running.trust_dir)
                for mail in mails:
                    assert [step.step for step in verify_notice_mail(mail.content, trust) if step.pending] == [
                        "timestamp"
                    ]
                await running.parts.worker.sealing.timestamp_sealed()
                assert "timestamp_authority" in running.parts.worker.health()
                items = (await ok(api.get("/attention")))["items"]
                assert {item["notice_id"] for item in items} == {notice["id"] for notice in notices}
                for notice in notices:
                    assert (await api.get(f"/notices/{notice['id']}/timestamp")).status_code == 404
                authority.behave, authority.asked = authority.well, 0
                await running.parts.worker.sealing.timestamp_sealed()
                assert authority.asked == 1
                assert running.parts.worker.health() is None
                assert (await ok(api.get("/attention")))["items"] == []
                store = running.parts.store
                seals = [await store.read(lambda tx, each=each: tx.notices.seal(UUID(each["id"]))) for each in notices]
                assert len({seal.timestamp for seal in seals}) == 1
                bundle = await api.get("/audit/bundle", params={"incident_id": notices[0]["incident_id"]})
                verify_whole(bundle.content, trust, tmp_path / "bundle")
        found = checked(data_folder, engine)
        assert not found.differences, found.differences


async def test_the_notices_of_an_announcement_share_too(data_folder, service_log):
    async with (
        Authority(stamper_of(data_folder)) as authority,
        embedded_service(data_folder, **settings_for(authority, data_folder)) as running,
    ):
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            for number in range(CUSTOMERS):
                await bound(api, f"Customer {number}", f"c{number}@example.org")
            await released(api, await announce(api))
            mails = await running.sink.wait_for(CUSTOMERS)
            assert authority.asked <= 2
            trust = load_trust(running.trust_dir)
            for mail in mails:
                steps = list(verify_notice_mail(mail.content, trust))
                assert steps[3].finding.endswith("over the checkpoint of the proof")
