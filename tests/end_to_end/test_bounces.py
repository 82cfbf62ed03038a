"""Bounces, from outside: real mails to a real server, reports as servers write them, a listener of our own."""

import asyncio
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from uuid import UUID

import aiosmtplib
import httpx2
import pytest

from notifications.audit.entry import parse_leaf
from service.cli.demo.environment import ADDRESS, embedded_service
from support import returned_samples as samples
from support.scenario import affected, customer, declare, harm, ok, release
from support.smtp_server import SmtpServer

CAMPAIGN = Path(__file__).parents[1] / "faults" / "returned_mails"
FIRST, SECOND = "rssi@valmont.example", "direction@valmont.example"


class House:
    def __init__(self, running, api, relay):
        self.running, self.api, self.relay = running, api, relay
        self._changed = asyncio.Event()
        running.parts.store.on_commit.append(lambda _kinds: self._changed.set())

    async def notified(self, *addresses):
        """Have a customer notified; returns the notice's id and the mail to its first contact, once it stands sent."""
        owner = await customer(self.api, contacts=())
        for order, address in enumerate(addresses or (FIRST, SECOND), 1):
            contact = {
                "name": address.split("@")[0], "email": address, "language": "fr", "order": order,
                "fallback": order > 1, "address_confirmed": True,
            }  # fmt: skip
            await ok(self.api.post(f"/customers/{owner['id']}/contacts", json=contact))
        incident = await declare(
            self.api, impact="I1", service_harm=harm(confidentiality="yes"), affected_customers=[affected(owner)]
        )
        (notice,) = await release(self.api, incident)
        await self.relay.until(lambda: self.to(FIRST))
        await self.stands(notice["id"], FIRST="sent")
        return notice["id"], self.to(FIRST)[0]

    def to(self, address):
        return [message for message in self.relay.messages if message.recipient == address]

    async def mail(self, notice_id):
        """Return the first delivery by mail, as the API shows it."""
        items = (await ok(self.api.get(f"/notices/{notice_id}/deliveries")))["items"]
        return next(item for item in items if item["channel"] == "email")

    async def stands(self, notice_id, **expected):
        state = expected.popitem()[1]
        async with asyncio.timeout(30):
            while True:
                self._changed.clear()
                if (found := await self.mail(notice_id))["state"] == state:
                    return found
                await self._changed.wait()

    async def comes_back(self, return_path, content):
        """Hand over a message as a mail server does; returns the reply's code."""
        async with aiosmtplib.SMTP(
            hostname="127.0.0.1", port=self.running.parts.bounces.port, start_tls=False
        ) as server:
            await server.ehlo()
            await server.mail("")
            try:
                await server.rcpt(return_path)
                return (await server.data(content)).code
            except aiosmtplib.SMTPResponseException as error:
                return error.code

    async def entries(self, kind):
        """Return the entries of a kind, sequenced or not."""
        found = await self.running.parts.store.read(
            lambda tx: (
                [parse_leaf(item.leaf) for item in tx.audit.entries(0, 1000)]
                + [parse_leaf(item.leaf) for item in tx.audit.pending(1000)]
            )
        )
        return [leaf for leaf in found if leaf.type == kind]


@asynccontextmanager
async def house_of(data_folder, **settings):
    of_returns = {
        "bounces__domain": "Bounces.Demo-Cloud.example",
        "bounces__listen_port": 0,
        "bounces__listen_protocol": "smtp",
    }
    async with (
        SmtpServer() as relay,
        embedded_service(
            data_folder, log__batch_seconds=0.01, mail__port=relay.port, **(of_returns | settings)
        ) as running,
    ):
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield House(running, api, relay)


@pytest.fixture
async def house(data_folder, service_log):
    async with house_of(data_folder) as opened:
        yield opened


async def test_a_mail_leaves_with_a_return_path_of_its_own_and_from_whom_it_always_was(house):
    _, mail = await house.notified()
    local_part, _, domain = mail.sender.partition("@")
    assert local_part.startswith("bounce+")
    assert domain == "bounces.demo-cloud.example"
    assert ADDRESS in message_from_bytes(mail.content)["From"]
    assert mail.sender not in mail.content.decode()
    assert "NOTIFY=SUCCESS,FAILURE,DELAY" in mail.rcpt


async def test_a_failure_after_acceptance_fails_the_delivery_and_the_next_contact_is_told(house):
    notice, mail = await house.notified()
    assert await house.comes_back(mail.sender, samples.failed(FIRST)) == 250
    failed = await house.mail(notice)
    assert failed["state"] == "failed"
    assert "no such user" in failed["last_error"]
    (back,) = failed["returned"]
    assert (back["kind"], back["status"], back["reporting_mta"]) == ("failed", "5.1.1", "mx.customer.example")
    # Nobody turns a clock: the failure itself has the next contact told.
    await house.relay.until(lambda: house.to(SECOND))
    assert len(house.to(FIRST)) == 1
    (entry,) = await house.entries("delivery.returned")
    assert (entry.detail["event"], entry.detail["state"]) == ("RelayToNonERDSFailure", "failed")
    url = f"/notices/{notice}/deliveries/{failed['id']}/returned/{back['id']}"
    raw = await house.api.get(url)
    assert raw.content == samples.failed(FIRST)
    assert raw.headers["Content-Disposition"] == 'attachment; filename="returned.eml"'
    assert (await house.api.get(f"/notices/{notice}/deliveries/{UUID(int=1)}/returned/{back['id']}")).status_code == 404


async def test_a_replay_is_taken_and_stored_once(house):
    notice, mail = await house.notified()
    for _ in range(3):
        assert await house.comes_back(mail.sender, samples.failed(FIRST)) == 250
    assert len((await house.mail(notice))["returned"]) == 1
    assert len(await house.entries("delivery.returned")) == 1


async def test_a_forged_return_path_is_refused_and_changes_nothing(house):
    notice, mail = await house.notified()
    place = mail.sender.index("@") - 5
    other = "b" if mail.sender[place] != "b" else "c"
    forged = mail.sender[:place] + other + mail.sender[place + 1 :]
    assert await house.comes_back(forged, samples.failed(FIRST)) == 550
    assert await house.comes_back(ADDRESS, samples.failed(FIRST)) == 550
    found = await house.mail(notice)
    assert (found["state"], found["returned"]) == ("sent", [])


def absence(mail):
    """Return the absence note that the contact's mail program answers a mail with."""
    subject = message_from_bytes(mail.content, policy=default)["Subject"]
    header = f"From: <{FIRST}>\nSubject: Automatic reply: {subject}\nAuto-Submitted: auto-replied\n"
    return samples.message(header, "Away.")


@pytest.mark.parametrize(
    ("content", "kind"),
    [(absence, "auto_reply"), (samples.delayed(FIRST), "delayed"), (samples.succeeded(), "delivered")],
)
async def test_what_is_no_failure_is_shown_and_changes_nothing(house, content, kind):
    notice, mail = await house.notified()
    content = content(mail) if callable(content) else content
    assert await house.comes_back(mail.sender, content) == 250
    found = await house.mail(notice)
    assert (found["state"], [back["kind"] for back in found["returned"]]) == ("sent", [kind])
    assert (await ok(house.api.get("/attention")))["items"] == []
    assert not await house.running.parts.store.read(lambda tx: tx.notices.acknowledgements(UUID(notice)))
    assert house.to(SECOND) == []


async def test_what_nobody_can_tell_waits_for_a_person_and_is_mailed_once(house):
    notice, mail = await house.notified()
    assert await house.comes_back(mail.sender, samples.ANSWER) == 250
    assert await house.comes_back(mail.sender, samples.QMAIL) == 250
    items = [item for item in (await ok(house.api.get("/attention")))["items"] if item["kind"] == "alert"]
    assert [item["notice_id"] for item in items] == [notice, notice]
    assert all(item["what"].startswith("return_unread") for item in items)
    provider = house.running.parts.context.settings.provider.contact_email
    await house.relay.until(lambda: house.to(provider))
    mails = await house.running.parts.store.read(lambda tx: tx.mails.troubled(10))
    assert (len(house.to(provider)), list(mails)) == (1, [])
    for item in items:
        await ok(house.api.post(f"/attention/alerts/{item['alert_id']}/seen"))
    assert [item for item in (await ok(house.api.get("/attention")))["items"] if item["kind"] == "alert"] == []


@pytest.mark.parametrize("name", ["icewarp_challenge", "mailman2_moderated", "proofpoint_quarantine_p7s"])
async def test_a_machine_that_keeps_the_mail_stands_on_the_board_with_what_it_says(house, name):
    notice, mail = await house.notified()
    content = (CAMPAIGN / f"{name}.eml").read_bytes().replace(b"rssi@ch-valmont.example", FIRST.encode())
    assert await house.comes_back(mail.sender, content) == 250
    found = await house.mail(notice)
    ((back,), state) = (found["returned"], found["state"])
    assert (state, back["kind"]) == ("sent", "unknown")
    said = message_from_bytes(content, policy=default).get_content().split()
    assert back["text"].split() == said
    (item,) = [item for item in (await ok(house.api.get("/attention")))["items"] if item["kind"] == "alert"]
    assert item["what"].startswith("return_unread: ")
    assert " ".join(said)[:100] in item["what"]


async def test_a_report_in_html_without_a_delivery_status_fails_the_delivery_and_the_next_contact_is_told(house):
    notice, mail = await house.notified()
    content = (CAMPAIGN / "exchange_ndr_html_it.eml").read_bytes().replace(b"rssi@ch-valmont.example", FIRST.encode())
    assert await house.comes_back(mail.sender, content) == 250
    found = await house.mail(notice)
    assert (found["state"], found["returned"][0]["status"]) == ("failed", "5.1.10")
    await house.relay.until(lambda: house.to(SECOND))


async def test_what_is_too_large_for_the_customer_goes_out_again_as_a_summary(house):
    notice, mail = await house.notified()
    content = samples.failed(FIRST, "5.2.3", "552 5.2.3 message too large for this mailbox")
    assert await house.comes_back(mail.sender, content) == 250
    await house.relay.until(lambda: len(house.to(FIRST)) == 2)
    found = await house.stands(notice, FIRST="sent")
    assert found["too_large_at"] is not None
    first, second = house.to(FIRST)
    assert message_from_bytes(first.content)["Message-ID"] == message_from_bytes(second.content)["Message-ID"]
    assert b'name="notice.json"' in first.content
    assert b'name="notice.json"' not in second.content
    assert house.to(SECOND) == []


async def test_a_refusal_by_policy_is_tried_again_with_the_same_message_id(house):
    notice, mail = await house.notified()
    assert await house.comes_back(mail.sender, samples.failed(FIRST, "5.7.1", "550 5.7.1 blocked")) == 250
    found = await house.mail(notice)
    assert (found["state"], found["attempts"]) == ("queued", 1)
    assert found["next_attempt_at"] is not None


async def test_nothing_is_accepted_while_the_store_is_down(house):
    _, mail = await house.notified()
    await house.running.parts.store.close()
    assert await house.comes_back(mail.sender, samples.failed(FIRST)) == 451
    ready = await house.api.get(house.running.url + "/readyz")
    assert ready.status_code == 503


async def test_without_a_domain_failures_go_to_the_sender_and_nothing_listens(data_folder, service_log):
    async with house_of(data_folder, bounces__domain=None, bounces__listen_port=None) as house:
        _, mail = await house.notified()
        assert mail.sender == ADDRESS
        assert house.running.parts.bounces is None
