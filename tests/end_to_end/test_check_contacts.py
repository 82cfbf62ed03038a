"""``greffier check-contacts`` from outside, beside a running service: what it says, its exit code, what it leaves."""

import asyncio
import html
import json
import re
from email import message_from_bytes
from email.policy import default as mail_policy
from uuid import uuid4

import httpx2
import pytest

from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from support.commands import run_beside
from support.people import browser, person
from support.scenario import customer, ok
from support.tls_authority import new_authority
from support.webhook_server import answer, webhook_server


async def greffier(running, *arguments, **settings):
    """Run the command as an operator does; returns exit code, standard output and standard error."""
    environment = {
        "GREFFIER_MAIL__HOST": "127.0.0.1", "GREFFIER_MAIL__TLS": "none",
        "GREFFIER_MAIL__PORT": str(running.sink.port),
        "PATH": "/usr/bin:/bin",
        **{f"GREFFIER_{name.upper()}": str(value) for name, value in settings.items()},
    }  # fmt: skip
    done = await run_beside(*arguments, "--data", running.data, environment=environment)
    return done.returncode, done.stdout, done.stderr


async def test_a_check_beside_a_running_service_is_told_recorded_and_shown(running, api):
    hospital = await customer(api, contacts=(("rssi@valmont.example", "fr"),))
    silent = await customer(api, "Silent", contacts=())
    code, out, err = await greffier(running, "check-contacts")
    assert code == 1
    assert "ok\tHôpital de Valmont\trssi@valmont.example" in out
    assert "failed\tSilent" in out
    assert "ok 1, warning 1, failed 1" in err
    assert running.sink.messages == []
    found = await ok(api.get(f"/customers/{hospital['id']}/reachability"))
    assert found["reachable"] is True
    assert found["never_checked"] == 0
    assert [(item["subject"], item["ok"], item["code"]) for item in found["items"]] == [("contact", True, 250)]
    assert (await ok(api.get(f"/customers/{silent['id']}/reachability")))["reachable"] is False
    code, out, _ = await greffier(running, "check-contacts", "--customer", hospital["id"], "--quiet")
    assert code == 0
    assert "Silent" not in out
    assert "\nok" not in f"\n{out}"


async def test_a_test_mail_is_signed_as_real_ones_and_is_no_notice(running, api):
    hospital = await customer(api, contacts=(("rssi@valmont.example", "fr"),))
    code, _, err = await greffier(running, "check-contacts", "--send")
    assert code == 0, err
    (received,) = running.sink.messages
    mail = message_from_bytes(received.content, policy=mail_policy)
    assert mail["Subject"].startswith("[TEST] Demo Cloud")
    path = running.data / "test.eml"
    path.write_bytes(received.content)
    verified = await asyncio.create_subprocess_exec(
        "openssl", "cms", "-verify", "-in", str(path), "-CAfile", str(running.trust_dir / "ca.pem"),
        "-purpose", "smimesign", "-out", "/dev/null", stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await verified.wait() == 0
    assert (await ok(api.get("/notices", params={"customer_id": hospital["id"]})))["items"] == []
    entries = await running.parts.store.read(lambda tx: [*tx.audit.entries(0, 999), *tx.audit.pending(999)])
    leaves = [json.loads(entry.leaf) for entry in entries]
    (checked,) = [leaf for leaf in leaves if leaf["type"] == "contacts.checked"]
    assert checked["detail"]["test_messages"] is True
    assert checked["actor"].startswith("operator:")
    assert [leaf for leaf in leaves if leaf["type"].startswith("delivery.")] == []


@pytest.mark.parametrize("arguments", [("--customer", "x"), ("--customer", str(uuid4())), ("--nonsense",)])
async def test_a_wrong_input_is_one_line_and_exit_code_2(arguments, running):
    code, out, err = await greffier(running, "check-contacts", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("greffier: ")


async def test_a_customers_own_people_see_what_was_found_and_nobody_elses(running, api):
    hospital, other = await customer(api), await customer(api, "Other", contacts=(("soc@other.example", "en"),))
    await greffier(running, "check-contacts")
    zoe = await person(running, "Zoe", (Role.CUSTOMER_MEMBER, hospital["id"]), language="fr")
    async with browser(running, zoe) as page:
        home = await page.get("/")
        link = f"/customers/{hospital['id']}/reachability"
        assert link in home.text
        shown = await page.get(link)
        assert shown.status_code == 200
        assert "rssi@valmont.example" in shown.text
        assert "Derniers essais" in shown.text
        assert (await page.get(f"/customers/{other['id']}/reachability")).status_code == 404
    async with httpx2.AsyncClient(base_url=running.url, timeout=120) as stranger:
        assert (await stranger.get(f"/api/v1/customers/{hospital['id']}/reachability")).status_code == 401


async def test_the_second_channel_is_shown_and_a_test_call_is_recorded_once(running, api):
    hospital = await customer(api, contacts=())
    owner = f"/customers/{hospital['id']}"
    contact = {"name": "RSSI", "email": "rssi@valmont.example", "address_confirmed": True}
    await ok(api.post(f"{owner}/contacts", json=contact))
    assert (await ok(api.get(f"{owner}/reachability")))["second_channel"] is None
    assert (await api.post(f"{owner}/second-channel-calls", json={"reached": True})).status_code == 409
    await ok(api.post(f"{owner}/contacts", json=contact | {"email": "dir@valmont.example", "phone": "+33 1 23"}))
    shown = (await ok(api.get(f"{owner}/reachability")))["second_channel"]
    assert (shown["kind"], shown["tested_at"], shown["ok"]) == ("mail", None, None)
    silent = await customer(api, "Silent", contacts=())
    other = f"/customers/{silent['id']}"
    await ok(api.post(f"{other}/contacts", json=contact | {"email": "s@silent.example", "phone": "+33 1 23 45"}))
    yves = await person(running, "Yves", (Role.ANALYST, None), language="fr")
    async with browser(running, yves) as page:
        before = (await page.get(f"{other}/reachability")).text
        assert "+33 1 23 45" in before
        assert "Pas encore essayé" in before
        form_id = re.search(r'name="form_id" value="([^"]+)"', before)[1]
        # A form that says nothing records no call that reached nobody.
        assert (await page.post(f"{other}/second-channel-calls", data=yves.form(form_id=form_id))).status_code == 422
        for _ in range(2):
            sent = yves.form(reached="yes", form_id=form_id)
            answer = await page.post(f"{other}/second-channel-calls", data=sent)
            assert answer.status_code == 303, answer.text
        assert "essai est enregistré" in html.unescape((await page.get(answer.headers["location"])).text)
    called = (await ok(api.get(f"{other}/reachability")))["second_channel"]
    assert (called["kind"], called["ok"], called["reason"]) == ("telephone", True, None)
    # Tests are switched off in this service.
    assert (called["tested_at"] is not None, called["next_test_at"]) == (True, None)
    entries = await running.parts.store.read(lambda tx: [*tx.audit.entries(0, 999), *tx.audit.pending(999)])
    tests = [leaf for leaf in (json.loads(entry.leaf) for entry in entries) if leaf["detail"].get("second_channel")]
    assert [leaf["detail"]["failed"] for leaf in tests] == [0]


async def test_a_webhook_gets_an_event_that_says_that_it_is_a_test(data_folder, service_log, tmp_path):
    authority = new_authority()
    (tmp_path / "tls").mkdir()
    (tmp_path / "ca.pem").write_bytes(authority.pem())
    reach = {"webhooks__ca_file": tmp_path / "ca.pem", "webhooks__allow_private": True}
    async with (
        webhook_server(authority.server_context(tmp_path / "tls", "localhost")) as receiver,
        embedded_service(data_folder, **reach) as running,
        httpx2.AsyncClient(
            base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {running.token}"}, timeout=30
        ) as api,
    ):
        hospital = await customer(api, contacts=())
        await ok(api.post(f"/customers/{hospital['id']}/webhooks", json={"url": receiver.url()}))
        code, out, err = await greffier(running, "check-contacts", **reach)
        assert code == 0, out + err
        # The authority of the tests gives 30 days.
        assert f"warning\tHôpital de Valmont\t{receiver.url()}\tthe receiver's certificate ends in 29 days" in out
        (received,) = receiver.received
        event = json.loads(received.body)
        assert (event["type"], event["data"]) == ("greffier.test.v1", {"test": True})
        assert received.headers["webhook-signature"].startswith("v1")
        receiver.answers = [answer(500)]
        code, out, _ = await greffier(running, "check-contacts", **reach)
        assert code == 1
        assert "500" in out
        found = await ok(api.get(f"/customers/{hospital['id']}/reachability"))
        assert found["reachable"] is False
        assert [(item["subject"], item["ok"], item["code"]) for item in found["items"]] == [("webhook", False, 500)]
        board = [item["kind"] for item in (await ok(api.get("/attention")))["items"]]
        assert {"contact_check_failed", "customer_check_failed", "operating"} <= set(board)
