"""A customer erased at the end of its contract: told 21 days ahead, gone from the files, certified; the proof stays."""

import asyncio
import base64
import email
import hashlib
import io
import re
import subprocess
from datetime import timedelta
from email import policy
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from click.testing import CliRunner

from notifications.audit.checkpoint import verify_checkpoint
from notifications.audit.merkle import verify_consistency
from notifications.evidence.bundle.report import BundleReportBuilder
from notifications.evidence.bundle.verification import BUNDLE_STEPS, verify_bundle
from notifications.evidence.verification import verify_notice_mail
from service.audit_log.backup import log_keys
from service.audit_log.fsck.check import check_log
from service.cli.demo.environment import embedded_service
from service.cli.main import cli
from service.cli.verify import load_trust
from service.settings import load_settings
from service.system.logging import SystemClock
from support.commits import until
from support.postgresql_server import postgresql_server
from support.scenario import affected, customer, declare, harm, ok, release

#: What nobody may find afterwards: names, addresses, numbers, words and resources of the one customer.
NAME, BOX, OTHER_BOX, PHONE = (
    "Clinique des Trois Vallées",
    "rssi@vallees.example",
    "dpo@vallees.example",
    "+33 4 79 00 11 22",
)
EFFECT, MACHINE, MACHINE_NAME = (
    "Vos dossiers de radiologie sont lisibles par des tiers.",
    "vm-radiologie-0417",
    "pacs-nord",
)
MANAGER, MANAGER_BOX = "Odile Farges", "odile.farges@vallees.example"
HOOK = "https://hooks.vallees.example/greffier"


class MovedClock(SystemClock):
    """The system's clock, put forward."""

    moved = timedelta()

    def now(self):
        return super().now() + self.moved


@pytest.fixture(params=["sqlite", "postgresql"])
async def world(request, data_folder, service_log, tmp_path):
    """A service that told two customers of one incident, each with something of its own."""
    shared = {} if request.param == "sqlite" else {"database__url": postgresql_server().database()}
    clock = MovedClock()
    async with embedded_service(
        data_folder, clock=clock, log__batch_seconds=0.01, access__requests_burst=20_000, **shared
    ) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield World(running, api, clock, data_folder, shared)


class World:
    def __init__(self, running, api, clock, folder, shared):
        self.running, self.api, self.clock, self.folder, self.shared = running, api, clock, folder, shared

    async def fill(self):
        api = self.api
        self.gone = await customer(api, NAME, ((BOX, "fr"), (OTHER_BOX, "en")))
        self.stays = await customer(api, "Hôpital de Valmont")
        contacts = (await ok(api.get(f"/customers/{self.gone['id']}/contacts")))["items"]
        put = {key: contacts[0][key] for key in ("name", "email", "language", "order")} | {"phone": PHONE}
        match = {"If-Match": f'"{contacts[0]["version"]}"'}
        await ok(api.put(f"/customers/{self.gone['id']}/contacts/{contacts[0]['id']}", json=put, headers=match))
        await ok(api.post(f"/customers/{self.gone['id']}/webhooks", json={"url": HOOK, "description": "SOC"}))
        invited = {"email": MANAGER_BOX, "role": "customer_manager"}
        await ok(api.post(f"/customers/{self.gone['id']}/members", json=invited))
        breach = harm(confidentiality="yes")
        self.incident = await declare(
            api,
            impact="I1",
            service_harm=breach,
            affected_customers=[
                affected(
                    self.gone,
                    data_harm=breach,
                    effect={"fr": EFFECT},
                    resources=[{"kind": "machine", "id": MACHINE, "name": MACHINE_NAME}],
                ),
                affected(self.stays, data_harm=breach, effect={"fr": "Vos sauvegardes sont lisibles."}),
            ],
        )
        await release(api, self.incident)
        await self.until_mailed(lambda mail: mail.recipients[0] == "rssi@valmont.example")
        for box in (BOX, OTHER_BOX):
            await self.until_mailed(lambda mail, box=box: mail.recipients[0] == box and b"notice.json" in mail.content)

    async def until_mailed(self, wanted):
        async with asyncio.timeout(30):
            while not (found := [mail for mail in self.running.sink.messages if wanted(mail)]):
                await self.running.sink.wait_for(len(self.running.sink.messages) + 1, timeout_seconds=30)
        return found[0]

    async def until(self, asked):
        return await until(self.running.parts.store, asked)

    async def look(self):
        await self.running.parts.erasing.look()

    async def sequenced(self):
        store = self.running.parts.store
        while (await store.read(lambda tx: tx.log.size())) < await store.read(
            lambda tx: tx._session.one("SELECT count(*) FROM audit_entries")[0]
        ):
            await self.running.parts.sequencer.sequence_pending()

    def files(self):
        """Return the bytes of every file that the data is in."""
        roots = [self.folder]
        if self.shared:
            postgresql_server().execute("CHECKPOINT")
            roots += postgresql_server().folders_of(self.shared["database__url"])
        return {path: path.read_bytes() for root in roots for path in Path(root).rglob("*") if path.is_file()}


def subject_of(mail):
    return email.message_from_bytes(mail.content, policy=policy.default)["Subject"]


def text_of(mail):
    signed = email.message_from_bytes(mail.content, policy=policy.default)
    return signed.get_body(("plain",)).get_content().replace("\r\n", "\n")


async def test_a_customer_is_told_waits_21_days_and_is_gone_while_every_proof_stands(world, tmp_path):
    await world.fill()
    api, gone = world.api, world.gone
    kept = [mail.content for mail in world.running.sink.messages if b"notice.json" in mail.content]
    # Ordered: nothing happens but that it is told, by signed mail, with what the customer needs later.
    ordered = await ok(api.put(f"/customers/{gone['id']}/erasure", json={}))
    assert ordered["in_the_way"] == {} or ordered["in_the_way"].keys() <= {"queued_deliveries"}
    told = await world.until_mailed(lambda mail: mail.recipients[0] == BOX and "effacement" in subject_of(mail))
    words = text_of(told)
    pseudonym = re.search(r"^([0-9a-f]{64})$", words, re.MULTILINE)[1]
    salt = bytes.fromhex(re.search(r"^sel ([0-9a-f]{64})$", words, re.MULTILINE)[1])
    assert pseudonym == hashlib.sha256(b"greffier/pseudonym/v1\n" + salt + UUID(gone["id"]).bytes).hexdigest()
    (tmp_path / "told.eml").write_bytes(told.content)
    openssl("cms", "-verify", "-in", tmp_path / "told.eml", "-CAfile", world.folder / "trust" / "ca.pem",
            "-purpose", "smimesign", "-out", tmp_path / "out")  # fmt: skip
    again = await api.put(f"/customers/{gone['id']}/erasure", json={})
    assert again.status_code == 409

    async def noticed():
        await world.look()
        return (await ok(api.get(f"/customers/{gone['id']}/erasure")))["noticed_at"]

    await world.until(noticed)
    # 21 times 24 hours are not 21 calendar days.
    world.clock.moved = timedelta(days=20, hours=23)
    await world.look()
    assert (await api.get(f"/customers/{gone['id']}")).status_code == 200
    assert (await api.get(f"/erasures/{pseudonym}")).status_code == 404

    before = {path: data for path, data in world.files().items() if BOX.encode() in data}
    assert before, "the search would find nothing in any case"
    old_head = verify_checkpoint((await api.get("/audit/checkpoint")).content, *log_keys(settings_of(world)))

    world.clock.moved = timedelta(days=22, hours=1)
    # The webhook's host is nowhere: what is owed stands in the way until somebody has seen to it.
    await world.until(lambda: settled(world))
    await world.look()
    done = await ok(api.get(f"/erasures/{pseudonym}"))
    assert done["certified_at"], done
    assert done["erased_rows"] > 20
    await world.sequenced()

    # Gone, for everybody.
    assert (await api.get(f"/customers/{gone['id']}")).status_code == 404
    assert (await api.get(f"/customers/{gone['id']}/erasure")).status_code == 404
    facts = await ok(api.get(f"/incidents/{world.incident['id']}/facts"))
    assert [stated["customer_id"] for stated in facts["facts"]["affected_customers"]] == [world.stays["id"]]
    assert [item["customer_id"] for item in (await ok(api.get("/notices")))["items"]] == [world.stays["id"]]
    named = (NAME, BOX, OTHER_BOX, PHONE, EFFECT, MACHINE, MACHINE_NAME, MANAGER, MANAGER_BOX, HOOK, gone["id"])
    wanted = [word.encode() for word in named] + [salt, UUID(gone["id"]).bytes]
    for path, data in world.files().items():
        for word in wanted:
            assert word not in data, (path, word)

    # The log stands: every old proof, and the tree over all of it.
    trust = load_trust(world.running.trust_dir)
    for mail in kept:
        assert len(list(verify_notice_mail(mail, trust))) == 9
    settings = settings_of(world)
    head = verify_checkpoint((await api.get("/audit/checkpoint")).content, *log_keys(settings))
    proof = await ok(api.get("/audit/consistency", params={"old_size": old_head.size, "new_size": head.size}))
    hashes = [base64.b64decode(one) for one in proof["hashes"]]
    verify_consistency(old_head.size, old_head.root, head.size, head.root, hashes)
    report = await asyncio.to_thread(check_log, settings.store_location(), log_keys(settings), settings.head_file)
    assert report.differences == []
    assert (report.erased_customers, report.erased > 10) == (1, True)

    # What was decided about it and when it was told is still accounted for, under its pseudonym.
    shown = (await api.get(f"{world.running.url}/audit")).text
    assert pseudonym[:16] in shown
    assert f"effacé le {done['erased_at'][:10]}" in shown
    assert NAME not in shown
    evidence = await api.get("/audit/bundle", params={"incident_id": world.incident["id"], "language": "en"})
    made = BundleReportBuilder()
    assert len(list(verify_bundle(io.BytesIO(evidence.content), trust, report_builder=made))) == len(BUNDLE_STEPS)
    assert pseudonym in {line.customer for line in made.findings().lines}

    # Certified, for tools that are not ours; without an account.
    async with httpx2.AsyncClient(base_url=world.running.url, timeout=120) as stranger:
        for name in ("certificate.json", "certificate.json.p7s", "certificate.json.tsr"):
            answer = await stranger.get(f"/api/v1/erasures/{pseudonym}/{name}")
            (tmp_path / name).write_bytes(answer.content)
            assert answer.status_code == 200
        assert (await stranger.get(f"/api/v1/erasures/{pseudonym}/other")).status_code == 404
        assert (await stranger.get(f"/api/v1/erasures/{'0' * 64}")).status_code == 404
        page = await stranger.get(f"/erasures/{pseudonym}", headers={"Accept-Language": "de"})
        assert "Löschbescheinigung" in page.text
    openssl("cms", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "certificate.json.p7s", "-content",
            tmp_path / "certificate.json", "-CAfile", world.folder / "trust" / "ca.pem", "-purpose", "smimesign",
            "-out", tmp_path / "out")  # fmt: skip
    openssl("ts", "-verify", "-in", tmp_path / "certificate.json.tsr", "-data", tmp_path / "certificate.json.p7s",
            "-CAfile", world.folder / "trust" / "tsa.pem")  # fmt: skip
    listed = await command(world, "list")
    assert listed == f"{pseudonym} erased {done['erased_at']}, certified\n"
    # The other customer goes on.
    again = await declare(
        api, impact="I1", affected_customers=[affected(world.stays)], intent="malicious", cause="attack"
    )
    assert len(await release(api, again)) == 1


async def settled(world):
    """Fail what cannot be delivered, and close the calls: nothing is owed any more."""
    # The clock was put forward, which the worker is not told.
    world.running.parts.worker.wake({"deliveries"})
    for task in (await ok(world.api.get("/call-tasks", params={"state": "open"})))["items"]:
        body = {"reason": "Contract ended; told by letter."}
        match = {"If-Match": f'"{task["version"]}"'}
        await ok(world.api.post(f"/call-tasks/{task['id']}/close", json=body, headers=match))
    return (await ok(world.api.get(f"/customers/{world.gone['id']}/erasure")))["in_the_way"] == {}


def settings_of(world):
    return load_settings(world.folder, **world.shared)


async def command(world, name):
    environment = {f"GREFFIER_{key.upper()}": value for key, value in world.shared.items()}
    ran = await asyncio.to_thread(
        CliRunner(env=environment).invoke, cli, ["erasures", name, "--data", str(world.folder)]
    )
    assert ran.exit_code == 0, ran.output
    return ran.output


def openssl(*arguments):
    ran = subprocess.run(["openssl", *arguments], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


async def test_an_order_is_taken_back_and_a_letter_counts_from_when_it_was_served(world):
    api = world.api
    asked = await customer(api)
    path = f"/customers/{asked['id']}/erasure"
    for body, field in (
        ({"served_by": "letter"}, "reference"),
        ({"served_by": "letter", "reference": "RR 1", "served_at": "2020-01-01T00:00:00Z"}, "served_at"),
    ):
        refused = await api.put(path, json=body)
        assert refused.status_code == 422
        assert field in refused.text
    alone = await customer(api, "Sans adresse", ())
    assert (await api.put(f"/customers/{alone['id']}/erasure", json={})).status_code == 422
    served_at = world.clock.now() - timedelta(days=15)
    body = {"served_by": "letter", "reference": "RR 123 456 789 FR", "served_at": served_at.isoformat()}
    ordered = await ok(api.put(path, json=body))
    assert f"{asked['id']} to be erased from {ordered['not_before']}" in await command(world, "list")
    assert (ordered["noticed_at"] is not None, ordered["ordered_by"].partition(":")[0]) == (True, "account")
    stood = await ok(api.post(f"{path}/withdraw", json={"reason": "The contract was prolonged."}))
    assert stood["noticed_at"] == ordered["noticed_at"]
    assert (await api.get(path)).status_code == 404
    world.clock.moved = timedelta(days=40)
    await world.look()
    assert (await api.get(f"/customers/{asked['id']}")).status_code == 200
