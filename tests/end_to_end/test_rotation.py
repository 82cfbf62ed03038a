"""Keys replaced while the service runs: nothing lost, nothing mixed, old and new verify, and the log says it first."""

import asyncio
import json
import shutil
import subprocess
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.checkpoint import Checkpoint, sign_checkpoint, verify_checkpoint
from notifications.audit.note import parse_note, parse_verifier_key
from notifications.evidence.verification import verify_notice_mail
from service.cli.demo.environment import embedded_service
from service.cli.verify import load_trust
from service.system.logging import SystemClock
from support.scenario import affected, customer, declare, harm, ok, release


@asynccontextmanager
async def serving(data_folder, **settings):
    """A service on a folder, and its client."""
    async with embedded_service(data_folder, log__batch_seconds=0.01, **settings) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield api


async def entries(api, kind):
    """Return the leaves of a type, oldest first."""
    found, cursor = [], None
    while True:
        page = await ok(api.get("/audit/entries", params={"limit": 200} | ({"cursor": cursor} if cursor else {})))
        found += [item["leaf"] for item in page["items"] if item["leaf"]["type"] == kind]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def until_logged(api, kind, count):
    async with asyncio.timeout(20):
        while len(found := await entries(api, kind)) < count:
            continue
    return found


async def keys_of(api, kind):
    return [item for item in (await ok(api.get("/keys")))["items"] if item["kind"] == kind]


def openssl_accepts(mail, trust, folder):
    (folder / "mail.eml").write_bytes(mail)
    command = ["openssl", "cms", "-verify", "-in", folder / "mail.eml", "-CAfile", trust / "ca.pem"]
    ran = subprocess.run(
        [*command, "-purpose", "smimesign", "-out", folder / "content", "-signer", folder / "signer.pem"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return (folder / "signer.pem").read_bytes()


async def test_a_dispatch_in_which_the_signing_key_changes_loses_and_mixes_nothing(running, api, tmp_path):
    addresses = [f"c{number}@valmont.example" for number in range(60)]
    customers = [
        await customer(api, f"Customer {first}", contacts=[(item, "en") for item in addresses[first : first + 20]])
        for first in (0, 20, 40)
    ]
    incident = await declare(
        api,
        impact="I1",
        service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(item, data_harm=harm(confidentiality="yes")) for item in customers],
    )
    before = (await keys_of(api, "signing"))[0]["fingerprint"]
    released = asyncio.create_task(release(api, incident))
    rotated = []
    for count in (1, 10, 25, 40):
        await running.sink.wait_for(count, timeout_seconds=60)
        rotated.append((await ok(api.post("/keys/signing/rotate")))["key"]["fingerprint"])
    await released
    await running.sink.wait_for(60, timeout_seconds=60)

    mails = running.sink.messages
    assert sorted(mail.recipients[0] for mail in mails) == sorted(addresses)
    trust = load_trust(running.trust_dir)
    signers = set()
    for mail in mails:
        assert len(list(verify_notice_mail(mail.content, trust))) == 9
        signers.add(openssl_accepts(mail.content, running.trust_dir, tmp_path))
    assert len(signers) > 1
    assert not [item for item in (await ok(api.get("/attention")))["items"] if item["kind"] == "held"]
    logged = await until_logged(api, "key.rotated", 4)
    assert [item["subjects"]["key"] for item in logged] == rotated
    assert [item["subjects"]["previous_key"] for item in logged] == [before, *rotated[:-1]]
    states = await keys_of(api, "signing")
    assert [item["state"] for item in states] == ["current", *["retired"] * 4]
    assert states[0]["fingerprint"] == rotated[-1]
    assert {item["fingerprint"] for item in states[1:]} == {before, *rotated[:-1]}


async def test_the_log_is_signed_by_both_keys_until_the_overlap_ends_and_old_verifiers_go_on(data_folder, service_log):
    clock = MovedClock()
    old_text = (data_folder / "trust" / "log.vkey").read_text()
    old = parse_verifier_key(old_text)
    async with serving(data_folder, clock=clock) as api:
        await customer(api, "First")
        answer = await ok(api.post("/keys/log/rotate"))
        new = parse_verifier_key(answer["key"]["verifier_key"])
        assert (answer["key"]["state"], answer["previous"]["state"]) == ("current", "overlapping")
        (announced,) = await until_logged(api, "key.rotated", 1)
        assert announced["subjects"] == {
                "key": answer["key"]["fingerprint"], "previous_key": answer["previous"]["fingerprint"],
            }  # fmt: skip
        assert announced["detail"] == {"use": "log", "overlap_until": answer["overlap_until"]}
        assert announced["actor"].startswith("account:")
        # What confirms that the key is in place is under its own signature.
        await until_signed_by(api, new)
        note = (await api.get("/audit/checkpoint")).content
        assert verify_checkpoint(note, old) == verify_checkpoint(note, new) == verify_checkpoint(note, old, new)
        assert (await api.get("/audit/verifier-key")).text == old_text + new.text() + "\n"
        assert (data_folder / "trust" / "log.vkey").read_text() == old_text + new.text() + "\n"
        clock.moved += timedelta(days=31)
        await customer(api, "Second", contacts=())
        await until(api, lambda note: not signed_by(note, old))
        assert [item["state"] for item in await keys_of(api, "log")] == ["current", "retired"]
    # After a start the old private key is gone, and the head that it once signed is still ours.
    async with serving(data_folder, clock=clock) as api:
        await customer(api, "Third", contacts=())
        await until(api, lambda note: signed_by(note, new))
    kept = (data_folder / "keys" / "log.key").read_bytes()
    assert kept.count(b"BEGIN ENCRYPTED PRIVATE KEY") == 1
    assert old.text().encode() in kept
    assert len(logged_errors(service_log)) == 0


class MovedClock(SystemClock):
    """The system's clock, put forward."""

    moved = timedelta()

    def now(self):
        return super().now() + self.moved


def logged_errors(service_log):
    return [line for line in service_log.getvalue().splitlines() if json.loads(line)["level"] == "error"]


def signed_by(note, key):
    return any(line.key_id == key.id for line in parse_note(note).signatures)


async def until(api, condition):
    async with asyncio.timeout(20):
        # Before the first entry is in the tree there is no checkpoint.
        while not ((answer := await api.get("/audit/checkpoint")).is_success and condition(answer.content)):
            continue


async def until_signed_by(api, key):
    await until(api, lambda note: signed_by(note, key))


async def test_a_notice_of_the_overlap_verifies_by_a_trust_folder_of_before(running, api, tmp_path):
    shutil.copytree(running.trust_dir, tmp_path / "before")
    await ok(api.post("/keys/log/rotate"))
    item = await customer(api)
    incident = await declare(
        api,
        impact="I1",
        service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(item, data_harm=harm(confidentiality="yes"))],
    )
    await release(api, incident)
    await running.sink.wait_for(1, timeout_seconds=60)
    mail = running.sink.messages[0].content
    for folder in (tmp_path / "before", running.trust_dir):
        assert len(list(verify_notice_mail(mail, load_trust(folder)))) == 9


async def test_a_repeated_request_rotates_once(running, api):
    key = {"Idempotency-Key": "r-1"}
    first = await api.post("/keys/log/rotate", headers=key)
    again = await api.post("/keys/log/rotate", headers=key)
    assert (first.status_code, first.content) == (200, again.content)
    assert len(await keys_of(api, "log")) == 2


async def test_no_more_keys_sign_the_log_than_a_note_has_room_for(running, api):
    answers = [(await api.post("/keys/log/rotate")).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 409]
    assert [item["state"] for item in await keys_of(api, "log")] == ["current", *["overlapping"] * 3]


async def test_two_rotations_at_once_are_one_after_the_other_or_refused(running, api):
    answers = await asyncio.gather(*(api.post("/keys/log/rotate") for _ in range(4)))
    done = [answer for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len(await keys_of(api, "log")) == 1 + len(done)
    assert len(await until_logged(api, "key.rotated", len(done))) == len(done)


async def test_where_the_log_refuses_to_sign_no_key_is_replaced(data_folder, service_log):
    async with serving(data_folder) as api:
        await customer(api)
        await until(api, lambda note: parse_note(note).text.split("\n")[1] != "0")
    # The head of another log: as if the database were not the one it belongs to.
    other = Ed25519PrivateKey.generate()
    origin = parse_verifier_key((data_folder / "trust" / "log.vkey").read_text()).name
    (data_folder / "log-head").write_bytes(sign_checkpoint(other, Checkpoint(origin, 9, b"x" * 32)))
    kept = {path: path.read_bytes() for path in (data_folder / "keys").rglob("*") if path.is_file()}
    async with serving(data_folder) as api:
        for path in ("/keys/log/rotate", "/keys/signing/rotate"):
            assert (await api.post(path)).status_code == 503
    assert kept == {path: path.read_bytes() for path in (data_folder / "keys").rglob("*") if path.is_file()}


async def test_the_settings_are_shown_and_their_secrets_are_not(data_folder, service_log):
    async with serving(data_folder, access__api_token=TOKEN) as api:
        answer = await api.get("/settings")
    assert TOKEN not in answer.text
    values = {item["name"]: item["value"] for item in answer.json()["items"]}
    assert (values["api_token"], values["smtp_password"]) == ("set", "not set")
    assert values["log_key_overlap_days"] == 30


TOKEN = "grf_" + "t" * 43
