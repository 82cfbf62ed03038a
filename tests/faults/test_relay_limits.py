"""A relay that cannot take what is sent: gone round where that can be done, and never the customer's refusal."""

import asyncio
import contextlib
from email import message_from_bytes
from email.policy import default

import httpx2
import pytest
from test_misbehaving_relay import GRAVE, mail_once

from service.cli.demo.environment import embedded_service
from support import scenario
from support.clocks import TurnedClock
from support.scenario import ok
from support.smtp_server import SmtpServer

WHOLE = ("SIZE 10000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


@contextlib.asynccontextmanager
async def service_before(data_folder, relay):
    async with embedded_service(
        data_folder, clock=TurnedClock(), mail__port=relay.port, log__batch_seconds=0
    ) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield running, api


async def released(api, address="rssi@valmont.example"):
    await scenario.customer(api, contacts=((address, "fr"),))
    (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
    return notice


async def on_the_board(running, api, kind):
    """Return the first thing of a kind that waits for a person, once there is one."""
    changed = asyncio.Event()
    running.parts.store.on_commit.append(lambda _kinds: changed.set())
    async with asyncio.timeout(20):
        while True:
            changed.clear()
            for item in (await ok(api.get("/attention")))["items"]:
                if item["kind"] == kind:
                    return item
            await changed.wait()


def sent_to(relay, address):
    return [message for message in relay.messages if message.recipient == address]


@pytest.mark.parametrize(
    ("extensions", "step", "answer"),
    [
        (("SIZE 20000", *WHOLE[1:]), None, None),
        (WHOLE, "MAIL", "552 5.3.4 message size exceeds fixed limit"),
        (WHOLE, "DATA", "552 5.3.4 too big"),
        (WHOLE, "CONTENT", "552 5.3.4 message file too big"),
        (WHOLE, "CONTENT", "552 message size exceeds maximum"),
    ],
)
async def test_what_is_too_large_for_the_relay_goes_out_as_a_summary_at_once(
    data_folder, service_log, extensions, step, answer
):
    async with SmtpServer(extensions=extensions) as relay, service_before(data_folder, relay) as (running, api):
        if step is not None:
            relay.cue(step, answer)
        notice = await released(api)
        mail = await mail_once(running, api, notice, lambda item: item["state"] == "sent")
        refused, taken = mail["evidence"]
        assert (refused["outcome"], refused["limit"], refused["message_sha256"]) == ("refused_here", "size", None)
        assert taken["outcome"] == "accepted"
        assert mail["too_large_at"] is not None
        message = sent_to(relay, "rssi@valmont.example")[-1]
        assert len(message.content) < 20_000
        assert b'name="notice.json"' not in message.content
        text = message_from_bytes(message.content, policy=default).get_body(("plain",)).get_content()
        assert "r\u00e9sum\u00e9" in text
        assert "taille accept\u00e9e" in text
        item = await on_the_board(running, api, "alert")
        assert item["what"].startswith("delivery_too_large: ")
        assert item["notice_id"] == notice["id"]


async def test_a_relay_too_small_for_a_summary_is_ours_to_repair(data_folder, service_log):
    async with SmtpServer(extensions=("SIZE 500",)) as relay, service_before(data_folder, relay) as (running, api):
        notice = await released(api)
        mail = await mail_once(running, api, notice, lambda item: item["attempts"] == 2)
        assert (mail["state"], relay.messages) == ("queued", [])
        assert "ours to repair" in mail["last_error"]
        assert "500 bytes" in mail["last_error"]
        item = await on_the_board(running, api, "delivery_failing")
        assert "our relay takes 500 bytes at most" in item["what"]


@pytest.mark.parametrize("typed", ["rssi@h\u00f4pital.example", "rssi@xn--hpital-ixa.example"])
async def test_a_contact_at_an_accented_domain_has_its_mail_by_a_relay_that_knows_only_ascii(
    data_folder, service_log, typed
):
    async with SmtpServer(extensions=()) as relay, service_before(data_folder, relay) as (running, api):
        notice = await released(api, typed)
        await mail_once(running, api, notice, lambda item: item["state"] == "sent")
        (message,) = sent_to(relay, "rssi@xn--hpital-ixa.example")
        assert message.content.isascii()
        assert message_from_bytes(message.content, policy=default)["To"].addresses[0].domain == "xn--hpital-ixa.example"


async def test_an_address_that_needs_smtputf8_waits_for_a_relay_that_offers_it(data_folder, service_log):
    async with SmtpServer(extensions=("8BITMIME",)) as relay, service_before(data_folder, relay) as (running, api):
        notice = await released(api, "j\u00e9r\u00f4me@hopital.example")
        mail = await mail_once(running, api, notice, lambda item: item["attempts"])
        assert mail["state"] == "queued"
        (evidence,) = mail["evidence"]
        assert (evidence["outcome"], evidence["limit"]) == ("refused_here", "smtputf8")
        item = await on_the_board(running, api, "delivery_failing")
        assert "our relay does not take internationalised addresses" in item["what"]
