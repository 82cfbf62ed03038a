"""Contacts as a product, from outside: encrypted mail, summaries, time zones, fallback, confirmed addresses."""

import asyncio
import hashlib
import re
import subprocess
from dataclasses import replace
from email import message_from_bytes
from email.policy import default as mail_policy
from io import StringIO
from uuid import UUID

import httpx2
import pytest
from rich.console import Console

from notifications.errors import VerificationError
from notifications.evidence.verification import MAIL_AGREES, verify_notice_mail
from notifications.mail.enveloped import parse_certificate
from service.cli.demo.environment import embedded_service
from service.cli.verify import load_trust, print_verification
from service.ports.accounts import Role
from support.clocks import TurnedClock
from support.openssl_certificates import EDI, X400, general_names, made_by_openssl, rfc822, utf8_mailbox
from support.scenario import affected, customer, declare, harm, ok, release
from support.smime_reader import SmimeReader
from support.world import account, at_customer, moment

SECRETS = {"title": "Rançongiciel", "summary": "Chiffrement des disques", "measures_taken": "Isolement du réseau"}


ADDRESS = "a@valmont.example"
ANY = {"If-Match": "*"}
#: What the cryptography library refuses to read or to encrypt to, and what a certificate says of somebody else.
UNJUDGED = {
    "X.400": {"names": general_names(rfc822(ADDRESS), X400)},
    "EDI": {"names": general_names(rfc822(ADDRESS), EDI)},
    "no RSA key": {"names": general_names(rfc822(ADDRESS)), "key": ("EC", "ec_paramgen_curve:secp160k1")},
    "RSASSA-PSS": {"names": general_names(rfc822(ADDRESS)), "key": ("RSA-PSS", "rsa_keygen_bits:2048")},
    "SmtpUTF8Mailbox": {"names": general_names(rfc822(ADDRESS), utf8_mailbox("eve@else.example"))},
    "emailAddress": {"names": general_names(rfc822(ADDRESS)), "email": "eve@else.example"},
}


@pytest.mark.parametrize(("reason", "options"), UNJUDGED.items(), ids=UNJUDGED)
async def test_a_certificate_that_cannot_be_judged_is_refused_with_its_reason(api, tmp_path, reason, options):
    owner = await customer(api, contacts=())
    made = await contact(api, owner, ADDRESS)
    path = f"/customers/{owner['id']}/contacts"
    body = {"name": "N", "email": ADDRESS, "language": "en", "smime_certificate": made_by_openssl(tmp_path, **options)}
    await ok(api.put(f"{path}/{made['id']}", json=body | {"smime_certificate": None, "active": False}, headers=ANY))
    for answer in (await api.post(path, json=body), await api.put(f"{path}/{made['id']}", json=body, headers=ANY)):
        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert error["field"] == "smime_certificate"
        assert reason in error["reason"]


@pytest.mark.parametrize(("reason", "options"), UNJUDGED.items(), ids=UNJUDGED)
async def test_a_certificate_that_was_taken_once_is_shown_with_its_fault_and_not_used(
    running, api, tmp_path, reason, options
):
    owner = await customer(api, contacts=())
    made = await contact(api, owner, ADDRESS, mail_content="encrypted_only")
    der = parse_certificate(made_by_openssl(tmp_path, **options))

    def take(tx):
        before = tx.customers.contact(UUID(made["id"]))
        tx.customers.save_contact(replace(before, smime_certificate=der, version=before.version + 1), before.version)

    await running.parts.store.write(take)
    (shown,) = (await ok(api.get(f"/customers/{owner['id']}/contacts")))["items"]
    assert reason in shown["certificate_fault"]
    assert (shown["mail_form"], shown["mail_form_reason"]) == ("summary", "certificate_unusable")
    await notified(running, api, owner, 1)
    # The alert about the certificate may be mailed before the notice.
    while not (mails := address_of(running, ADDRESS)):
        await running.sink.wait_for(len(running.sink.messages) + 1, timeout_seconds=60)
    assert len(mails) == 1
    assert b"enveloped-data" not in mails[0]


async def test_a_certificate_does_not_stay_beside_a_new_address(api):
    owner = await customer(api, contacts=())
    reader = SmimeReader(ADDRESS, moment())
    made = await contact(api, owner, ADDRESS, smime_certificate=reader.pem)
    path = f"/customers/{owner['id']}/contacts/{made['id']}"
    body = {"name": "N", "email": "other@valmont.example", "language": "en", "smime_certificate": reader.pem}
    refused = await api.put(path, json=body, headers=ANY)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["reason"] == "names another address (rfc822Name)"
    await ok(api.put(path, json=body | {"email": ADDRESS, "name": "M"}, headers=ANY))


@pytest.fixture
async def served(data_folder, service_log):
    """A service with pages to link to, and its API."""
    async with embedded_service(
        data_folder, log__batch_seconds=0.01, provider__console_url="https://console.provider.example"
    ) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield running, api


def address_of(running, address):
    """Return the mails to one address, as bytes."""
    return [mail.content for mail in running.sink.messages if list(mail.recipients) == [address]]


async def contact(api, owner, email, **changes):
    body = {"name": "N", "email": email, "language": "en", "address_confirmed": True} | changes
    return await ok(api.post(f"/customers/{owner['id']}/contacts", json=body))


async def notified(running, api, owner, mails):
    incident = await declare(
        api, **SECRETS, impact="I1", service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(owner, data_harm=harm(confidentiality="yes"))],
    )  # fmt: skip
    (notice,) = await release(api, incident)
    await running.sink.wait_for(mails, timeout_seconds=60)
    return incident, notice


async def entries(api, kind):
    """Return the log's entries of a kind, once there is one."""
    async with asyncio.timeout(60):
        while True:
            page = await ok(api.get("/audit/entries", params={"limit": 200}))
            found = [item["leaf"] for item in page["items"] if item["leaf"]["type"] == kind]
            if found:
                return found
            await asyncio.sleep(0.02)


def openssl(*command):
    return subprocess.run(["openssl", "cms", *command], capture_output=True, check=False)


def signed_by(running, path):
    """Whether openssl takes the signature of a mail."""
    ca = running.trust_dir / "ca.pem"
    result = openssl("-verify", "-in", path, "-CAfile", ca, "-purpose", "smimesign", "-out", "/dev/null")
    return result.returncode == 0


async def test_an_encrypted_mail_is_read_by_its_contact_alone_and_then_verifies_as_any(served, tmp_path):
    running, api = served
    address = "rssi@valmont.example"
    reader, stranger = SmimeReader(address, moment()), SmimeReader(address, moment(), bits=3072)
    owner = await customer(api, contacts=())
    made = await contact(api, owner, address, smime_certificate=reader.pem)
    assert (made["mail_form"], made["certificate_fault"]) == ("encrypted", None)
    assert made["certificate_sha256"] == hashlib.sha256(reader.der).hexdigest()
    await notified(running, api, owner, 1)
    (mail,) = address_of(running, address)
    for word in SECRETS.values():
        assert word not in mail.decode()
    outer = message_from_bytes(mail, policy=mail_policy)
    assert outer["Content-Type"].startswith("application/pkcs7-mime")
    assert "Initial notice" in outer["Subject"]
    encrypted, decrypted = tmp_path / "mail.eml", tmp_path / "decrypted.eml"
    encrypted.write_bytes(mail)
    wrong = ("-decrypt", "-in", encrypted, "-inkey", stranger.write_key(tmp_path / "wrong.pem"), "-out", decrypted)
    openssl(*wrong)
    assert not decrypted.exists() or b"multipart/signed" not in decrypted.read_bytes()
    right = ("-decrypt", "-in", encrypted, "-inkey", reader.write_key(tmp_path / "key.pem"), "-out", decrypted)
    assert openssl(*right).returncode == 0
    assert signed_by(running, decrypted)
    entity, trust = decrypted.read_bytes(), load_trust(running.trust_dir)
    assert entity.startswith(b"MIME-Version: 1.0\r\nContent-Type: multipart/signed;")
    steps = {passed.step: passed for passed in verify_notice_mail(entity, trust)}
    assert len(steps) == 9
    assert [passed.step for passed in steps.values() if passed.partial] == [MAIL_AGREES]
    assert "not here to compare" in steps[MAIL_AGREES].finding
    # As a mail program stores it that keeps the headers outside: compared with what is signed of them.
    assert b"Auto-Submitted" not in mail
    kept = mail.partition(b"MIME-Version")[0]
    assert not any(passed.partial for passed in verify_notice_mail(kept + entity, trust))
    for changed in (kept.replace(b"Subject: ", b"Subject: Re "), kept.replace(b"rssi@", b"dpo@")):
        with pytest.raises(VerificationError) as refused:
            list(verify_notice_mail(changed + entity, trust))
        assert refused.value.step == MAIL_AGREES
    with pytest.raises(VerificationError, match="decrypt it first"):
        list(verify_notice_mail(mail, trust))
    assert not print_verification(mail, trust, Console(file=StringIO()))
    assert print_verification(entity, trust, Console(file=(shown := StringIO())))
    assert "7. partly" in shown.getvalue()
    protected = message_from_bytes(entity, policy=mail_policy).get_payload(0)
    assert protected["Content-Type"].params["hp"] == "cipher"
    assert protected["Subject"] != outer["Subject"]
    assert f"Subject: {outer['Subject']}" in str(protected.get_all("HP-Outer"))


async def test_a_summary_says_that_there_is_a_notice_and_where_to_read_it(served, tmp_path):
    running, api = served
    owner = await customer(api, "Hôpital de Valmont", contacts=())
    await contact(api, owner, "summary@valmont.example", mail_content="summary")
    await contact(api, owner, "full@valmont.example")
    incident, notice = await notified(running, api, owner, 2)
    (summary,), (full,) = (address_of(running, f"{name}@valmont.example") for name in ("summary", "full"))
    words = message_from_bytes(summary, policy=mail_policy)
    text = words.get_body(("plain",)).get_content()
    assert incident["ticket"] in words["Subject"]
    assert "https://console.provider.example" in text
    for word in (*SECRETS.values(), "Valmont", "notice.json.p7s"):
        assert word not in text + words["Subject"]
    assert b'filename="notice' not in summary
    document = await api.get(f"/notices/{notice['id']}/document")
    assert hashlib.sha256(document.content).hexdigest() in text
    assert "Rançongiciel" in message_from_bytes(full, policy=mail_policy).get_body(("plain",)).get_content()
    path = tmp_path / "summary.eml"
    path.write_bytes(summary)
    assert signed_by(running, path)


@pytest.mark.parametrize("content", ["ticket_and_criticality", "ticket_only"])
async def test_a_contact_may_choose_mails_with_the_ticket_only(served, tmp_path, content):
    """PDIS 2.0, IV.2.3: a contact chooses how much a mail says; the console has the whole notice."""
    running, api = served
    owner = await customer(api, "Hôpital de Valmont", contacts=())
    await contact(api, owner, f"{content}@valmont.example", mail_content=content)
    incident, notice = await notified(running, api, owner, 1)
    (mail,) = address_of(running, f"{content}@valmont.example")
    words = message_from_bytes(mail, policy=mail_policy)
    text = words.get_body(("plain",)).get_content()
    document = (await api.get(f"/notices/{notice['id']}/document")).json()
    assert incident["ticket"] in words["Subject"]
    assert "https://console.provider.example" in text
    for word in (*SECRETS.values(), "Valmont", "notice.json", document["tlp"], "#1"):
        assert word not in text + words["Subject"]
    # The link to acknowledge holds any letters, so a line of its own is looked for.
    level = document["classification"]["criticality"] or "not stated"
    stated = [line for line in text.splitlines() if line.startswith("Criticality: ")]
    assert len(stated) == (content == "ticket_and_criticality")
    assert all(level in line for line in stated)
    path = tmp_path / "ticket.eml"
    path.write_bytes(mail)
    assert signed_by(running, path)


async def test_a_contact_reads_times_in_its_own_zone_and_the_mail_verifies(served):
    running, api = served
    owner = await customer(api, contacts=(), time_zone="Europe/Paris")
    await contact(api, owner, "paris@valmont.example")
    await contact(api, owner, "reunion@valmont.example", time_zone="Indian/Reunion")
    await notified(running, api, owner, 2)
    for name, zone in (("paris", "Europe/Paris"), ("reunion", "Indian/Reunion")):
        (mail,) = address_of(running, f"{name}@valmont.example")
        text = message_from_bytes(mail, policy=mail_policy).get_body(("plain",)).get_content()
        assert zone in text
        assert ({"Europe/Paris", "Indian/Reunion"} - {zone}).pop() not in text
        assert len(list(verify_notice_mail(mail, load_trust(running.trust_dir)))) >= 9


async def test_a_fallback_is_served_once_nobody_else_can_be(served):
    running, api = served
    owner = await customer(api, contacts=())
    first = await contact(api, owner, "first@valmont.example")
    await contact(api, owner, "fallback@valmont.example", fallback=True)
    await notified(running, api, owner, 1)
    assert not address_of(running, "fallback@valmont.example")
    body = {"name": "N", "email": "first@valmont.example", "language": "en", "active": False}
    await ok(api.put(f"/customers/{owner['id']}/contacts/{first['id']}", json=body, headers={"If-Match": "*"}))
    await notified(running, api, owner, 2)
    assert len(address_of(running, "fallback@valmont.example")) == 1


async def test_a_customer_that_nobody_is_reached_at_is_still_told_in_the_console(served):
    running, api = served
    owner = await customer(api, contacts=())
    _, notice = await notified(running, api, owner, 0)
    # The console is a delivery like any other: its attempt is the last that the log holds of the notice.
    await entries(api, "delivery.attempted")
    (item,) = (await ok(api.get(f"/customers/{owner['id']}/inbox")))["items"]
    assert item["notice_id"] == notice["id"]
    (sealed,) = await entries(api, "notice.sealed")
    assert sealed["detail"]["mail_recipients"] == 0
    assert running.sink.messages == []


async def test_one_mailbox_at_two_customers_gets_the_notice_of_each_as_its_own_contact(served):
    """An integrator reads for several customers; a delivery is to the contact of the customer it is about, alone."""
    running, api = served
    mailbox = "soc@integrator.example"
    own, other = await customer(api, "Own", contacts=()), await customer(api, "Other", contacts=())
    contacts = {owner["id"]: (await contact(api, owner, mailbox))["id"] for owner in (own, other)}
    harmed = harm(confidentiality="yes")
    touched = [affected(owner, data_harm=harmed) for owner in (own, other)]
    incident = await declare(api, impact="I1", service_harm=harmed, affected_customers=touched)
    released = await release(api, incident)
    assert len(released) == 2
    await running.sink.wait_for(2, timeout_seconds=60)
    for notice in released:
        deliveries = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
        told = [item["contact_id"] for item in deliveries if item["channel"] == "email"]
        assert told == [contacts[notice["customer_id"]]]


class TestConfirmation:
    async def test_another_link_may_be_asked_for_after_five_minutes_and_whoever_confirms_is_in_the_log(
        self, data_folder, service_log
    ):
        clock = TurnedClock()
        console = {"provider__console_url": "https://console.provider.example"}
        async with embedded_service(data_folder, clock=clock, log__batch_seconds=0.01, **console) as running:
            headers = {"Authorization": f"Bearer {running.token}"}
            async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
                owner = await customer(api, contacts=())
                made = await contact(api, owner, "a@valmont.example", address_confirmed=False)
                path = f"/customers/{owner['id']}/contacts/{made['id']}"
                assert (await api.post(f"{path}/confirmation")).status_code == 409
                clock.turn(minutes=5, seconds=1)
                assert (await api.post(f"{path}/confirmation")).status_code == 200
                again = await api.post(f"{path}/confirmation")
                assert (again.status_code, "minutes ago" in again.json()["detail"]) == (409, True)
                body = {"name": "N", "email": "a@valmont.example", "language": "en", "address_confirmed": True}
                assert (await ok(api.put(path, json=body, headers={"If-Match": "*"})))["verified_at"]
                done = await api.post(f"{path}/confirmation")
                assert (done.status_code, done.json()["detail"]) == (409, "the address is confirmed already")
                assert (await ok(api.put(path, json=body, headers={"If-Match": "*"})))["verified_at"]
                confirmed = await entries(api, "contact.address_confirmed")
                assert [(leaf["subjects"]["contact"], leaf["detail"]["way"]) for leaf in confirmed] == [
                    (made["id"], "out_of_band")
                ]

    async def test_an_address_that_nobody_confirmed_gets_a_link_and_summaries(self, served):
        running, api = served
        owner = await customer(api, contacts=())
        made = await contact(api, owner, "typo@valmont.example", address_confirmed=False)
        assert (made["verified_at"], made["mail_form"], made["mail_form_reason"]) == (
            None, "summary", "address_unconfirmed",
        )  # fmt: skip
        await running.sink.wait_for(1, timeout_seconds=60)
        (asked,) = address_of(running, "typo@valmont.example")
        assert "https://console.provider.example/confirm-address/" in asked.decode().replace("=\r\n", "")
        await notified(running, api, owner, 2)
        text = message_from_bytes(address_of(running, "typo@valmont.example")[1], policy=mail_policy)
        assert "Rançongiciel" not in text.as_string()

    async def test_the_mailed_link_confirms_by_a_click_once_and_not_by_being_looked_at(self, served):
        running, api = served
        owner = await customer(api, contacts=())
        made = await contact(api, owner, "new@valmont.example", address_confirmed=False)
        await running.sink.wait_for(1, timeout_seconds=60)
        words = message_from_bytes(address_of(running, "new@valmont.example")[0], policy=mail_policy)
        link = re.search(r"/confirm-address/\S+", words.get_body(("plain",)).get_content())[0]
        path = f"/customers/{owner['id']}/contacts/{made['id']}"
        async with httpx2.AsyncClient(base_url=running.url, timeout=120) as reader:
            for _ in range(2):  # a link scanner, then the person
                assert "new@valmont.example" in (await reader.get(link)).text
            assert (await ok(api.get(path)))["verified_at"] is None
            assert (await reader.post(link)).headers["location"] == "/address-confirmed"
            confirmed = await ok(api.get(path))
            assert (confirmed["mail_form"], confirmed["verified_at"] is not None) == ("full", True)
            assert (await reader.post(link)).status_code >= 400
            forged = await reader.post(link, headers={"Sec-Fetch-Site": "cross-site"})
            assert forged.status_code == 403

    async def test_a_changed_address_is_unconfirmed_again(self, served):
        _, api = served
        owner = await customer(api, contacts=())
        made = await contact(api, owner, "a@valmont.example")
        assert made["verified_at"]
        path = f"/customers/{owner['id']}/contacts/{made['id']}"
        same = {"name": "Other", "email": "a@valmont.example", "language": "en"}
        assert (await ok(api.put(path, json=same, headers={"If-Match": '"1"'})))["verified_at"]
        other = same | {"email": "b@valmont.example"}
        assert (await ok(api.put(path, json=other, headers={"If-Match": '"2"'})))["verified_at"] is None

    async def test_only_whoever_keeps_customers_answers_for_an_address(self, served):
        running, api = served
        owner = await customer(api, contacts=())
        _, token = await account(running, "Manager", at_customer(Role.CUSTOMER_MANAGER, owner["id"]))
        body = {"name": "N", "email": "m@valmont.example", "language": "en", "address_confirmed": True}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", timeout=120) as manager:
            manager.headers["Authorization"] = f"Bearer {token}"
            refused = await manager.post(f"/customers/{owner['id']}/contacts", json=body)
            assert refused.status_code == 422
            assert refused.json()["errors"][0]["field"] == "address_confirmed"
            made = await ok(
                manager.post(f"/customers/{owner['id']}/contacts", json=body | {"address_confirmed": False})
            )
            assert made["verified_at"] is None
            path = f"/customers/{owner['id']}/contacts/{made['id']}/confirmation"
            assert (await manager.post(path)).status_code == 409  # a moment ago

    async def test_without_pages_there_is_no_link_and_it_is_said(self, api, running):
        owner = await customer(api, contacts=())
        made = await contact(api, owner, "a@valmont.example", address_confirmed=False)
        answer = await api.post(f"/customers/{owner['id']}/contacts/{made['id']}/confirmation")
        assert answer.status_code == 409
        assert "console_url" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"kind": "ec"}, "RSA"), ({"days": -0.5}, "expired"), ({"named": "x@else.example"}, "another address")],
)
async def test_a_certificate_that_does_not_serve_is_refused_at_the_border(api, options, reason):
    owner = await customer(api, contacts=())
    reader = SmimeReader("a@valmont.example", moment(), **options)
    body = {"name": "N", "email": "a@valmont.example", "language": "en", "smime_certificate": reader.pem}
    refused = await api.post(f"/customers/{owner['id']}/contacts", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "smime_certificate"
    assert reason in refused.json()["errors"][0]["reason"]
    assert (await ok(api.get(f"/customers/{owner['id']}/contacts")))["items"] == []


@pytest.mark.parametrize("spelled", ["rssi@h\u00f4pital.example", "RSSI@XN--HPITAL-IXA.example"])
async def test_two_spellings_of_an_accented_domain_are_one_address(api, spelled):
    owner = await customer(api, contacts=())
    made = await contact(api, owner, "rssi@xn--hpital-ixa.example")
    assert made["email"] == "rssi@xn--hpital-ixa.example"
    body = {"name": "N", "email": spelled, "language": "en"}
    refused = await api.post(f"/customers/{owner['id']}/contacts", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "email")
    # Spelled otherwise it is no other address: it stays confirmed.
    changed = await api.put(
        f"/customers/{owner['id']}/contacts/{made['id']}",
        json=body | {"email": "rssi@h\u00f4pital.example"},
        headers={"If-Match": '"1"'},
    )
    assert (changed.status_code, changed.json()["verified_at"]) == (200, made["verified_at"])
