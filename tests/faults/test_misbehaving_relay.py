"""A relay that misbehaves on cue, before the real worker: what was said is evidence, what is owed is tried again."""

import asyncio
import contextlib
from email import message_from_bytes
from email.policy import default

import httpx2
import pytest

from service.cli.demo.environment import embedded_service
from service.delivery.transactional_mail import ServiceMailer
from support import scenario
from support.clocks import TurnedClock
from support.scenario import ok
from support.smtp_server import CLOSE, HANG, SmtpServer
from support.tls_authority import new_authority

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}
#: No send takes longer, whatever the relay does.
LIMIT_SECONDS = 1


@contextlib.asynccontextmanager
async def service_before(data_folder, relay, clock, **settings):
    chosen = {"mail__port": relay.port, "mail__send_timeout_seconds": LIMIT_SECONDS, "log__batch_seconds": 0}
    async with embedded_service(data_folder, clock=clock, **(chosen | settings)) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield running, api


async def mail_once(running, api, notice, condition):
    """Return the mail's delivery once the condition holds of it."""
    changed = asyncio.Event()
    running.parts.store.on_commit.append(lambda _kinds: changed.set())
    async with asyncio.timeout(20):
        while True:
            changed.clear()
            for item in (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]:
                if item["channel"] == "email" and condition(item):
                    return item
            await changed.wait()


async def released(api):
    await scenario.customer(api)
    (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
    return notice


def message_id(message):
    return message_from_bytes(message.content, policy=default)["Message-ID"]


#: step, what the relay does there, the code in evidence, and how many copies it has in the end
FOR_NOW = [
    ("GREETING", "421 4.3.2 going down", 421, 1),
    ("GREETING", CLOSE, None, 1),
    ("GREETING", HANG, None, 1),
    ("GREETING", "554 5.3.2 not now", 554, 1),
    ("EHLO", "421 4.3.2 going down", 421, 1),
    ("EHLO", CLOSE, None, 1),
    ("EHLO", HANG, None, 1),
    ("MAIL", "421 4.7.0 too many", 421, 1),
    ("MAIL", "452 4.3.1 no space", 452, 1),
    ("MAIL", HANG, None, 1),
    ("MAIL", "550 5.7.1 sender refused", 550, 1),
    ("RCPT", "450 4.2.0 greylisted", 450, 1),
    ("RCPT", "451 4.7.1 greylisted", 451, 1),
    ("RCPT", "452 4.2.2 mailbox full", 452, 1),
    ("RCPT", "421 4.3.2 going down", 421, 1),
    ("RCPT", CLOSE, None, 1),
    ("RCPT", HANG, None, 1),
    ("DATA", "451 4.3.0 later", 451, 1),
    ("DATA", "421 4.3.2 going down", 421, 1),
    ("DATA", CLOSE, None, 1),
    ("DATA", HANG, None, 1),
    # All of the message was there: whether it was taken nobody knows, and it comes again under its Message-ID.
    ("CONTENT", CLOSE, None, 2),
    ("CONTENT", HANG, None, 2),
    ("CONTENT", "421 4.3.2 going down", 421, 2),
    ("CONTENT", "452 4.3.1 no space", 452, 2),
    ("CONTENT", "554 5.7.1 looks like spam", 554, 2),
]


STEPS = list(dict.fromkeys(step for step, *_ in FOR_NOW))


@pytest.mark.parametrize("step", STEPS)
async def test_what_fails_for_now_is_evidence_and_comes_again_under_its_message_id(
    data_folder, service_log, monkeypatch, step
):
    # What the service tells its own people takes the same relay, and would meet the fault in the notice's place.
    monkeypatch.setattr(ServiceMailer, "run", lambda _self: asyncio.Event().wait())
    clock = TurnedClock()
    async with SmtpServer() as relay, service_before(data_folder, relay, clock) as (running, api):
        await scenario.customer(api)
        for answer, code, copies in [fault[1:] for fault in FOR_NOW if fault[0] == step]:
            # A kept connection that is closed is replaced before anything is handed over: a fault is met on a new one.
            await relay.cut_connections()
            relay.messages.clear()
            relay.cue(step, answer)
            (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
            mail = await mail_once(running, api, notice, lambda item: item["attempts"])
            assert mail["state"] == "queued", answer
            assert mail["next_attempt_at"] is not None
            assert mail["last_error"]
            (evidence,) = mail["evidence"]
            assert evidence["code"] == code, answer
            assert evidence["event"] in {"RelayToNonERDSFailure", "RelayFailure", "RelayRejection"}
            # Doubtful refusals are tried again slowly.
            clock.turn(minutes=45 if str(code).startswith("5") else 2)
            running.parts.worker.wake({"deliveries"})
            mail = await mail_once(running, api, notice, lambda item: item["state"] == "sent")
            assert mail["attempts"] == 2, answer
            assert mail["last_error"] is None
            own = [message for message in relay.messages if message.recipient == "rssi@valmont.example"]
            assert {message_id(message) for message in own} == {mail["message_id"]}
            assert len(own) == copies, answer


@pytest.mark.parametrize(
    ("step", "answer"),
    [("RCPT", "550 5.1.1 no such user"), ("RCPT", "551 5.1.6 moved away"), ("CONTENT", "554 5.6.0 not this form")],
)
async def test_what_is_refused_for_good_stands_failed_with_what_was_said(data_folder, service_log, step, answer):
    async with SmtpServer() as relay:
        relay.cue(step, answer)
        async with service_before(data_folder, relay, TurnedClock()) as (running, api):
            notice = await released(api)
            mail = await mail_once(running, api, notice, lambda item: item["attempts"])
            assert mail["state"] == "failed"
            assert answer.split(" ", 2)[2] in mail["last_error"]
            (evidence,) = mail["evidence"]
            assert evidence["code"] == int(answer[:3])
            assert mail["next_attempt_at"] is None


async def test_one_byte_at_a_time_ends_at_the_limit_and_holds_up_nobody_else(data_folder, service_log):
    clock = TurnedClock()
    async with SmtpServer() as relay:
        answer = relay._answer
        slow = True

        async def dripping(writer, step, said):
            if not slow or step != "RCPT" or "rssi@" not in relay.commands[-1].line:
                return await answer(writer, step, said)
            for byte in b"250 2.1.5 " + b"x" * 1000:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(LIMIT_SECONDS / 4)
            raise ConnectionResetError

        relay._answer = dripping
        async with service_before(data_folder, relay, clock) as (running, api):
            await scenario.customer(api, contacts=(("rssi@valmont.example", "fr"), ("soc@fluss.example", "de")))
            (notice,) = await scenario.release(api, await scenario.declare(api, **GRAVE))
            # The other contact has its mail while the relay drips, and the drip ends at the limit.
            await mail_once(running, api, notice, lambda item: item["state"] == "sent")
            mail = await mail_once(running, api, notice, lambda item: item["last_error"])
            assert (mail["state"], mail["attempts"]) == ("queued", 1)
            slow = False
            clock.turn(hours=2)
            running.parts.worker.wake({"deliveries"})
            await mail_once(running, api, notice, lambda item: item["attempts"] == 2 and item["state"] == "sent")
        assert sorted(message.recipient for message in relay.messages) == ["rssi@valmont.example", "soc@fluss.example"]


@pytest.mark.parametrize("fault", ["not offered", "refused", "closed", "of another name", "of another authority"])
async def test_without_good_tls_nothing_is_handed_over_and_it_goes_once_that_is_mended(
    data_folder, service_log, tmp_path, fault
):
    ours, others = new_authority(), new_authority()
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(ours.pem())
    good = ours.server_context(tmp_path, "localhost")
    bad = {
        "not offered": None,
        "of another name": ours.server_context(tmp_path, "elsewhere.example"),
        "of another authority": others.server_context(tmp_path, "localhost"),
    }.get(fault, good)
    clock = TurnedClock()
    async with SmtpServer(starttls=bad) as relay:
        if fault in {"refused", "closed"}:
            relay.cue("STARTTLS", "454 4.7.0 not now" if fault == "refused" else CLOSE)
        settings = {"mail__tls": "starttls", "mail__host": "localhost", "mail__ca_file": bundle}
        async with service_before(data_folder, relay, clock, **settings) as (running, api):
            notice = await released(api)
            mail = await mail_once(running, api, notice, lambda item: item["attempts"])
            assert mail["state"] == "queued"
            assert mail["next_attempt_at"] is not None
            assert relay.lines("MAIL") == []
            relay.starttls = good
            clock.turn(hours=2)
            running.parts.worker.wake({"deliveries"})
            mail = await mail_once(running, api, notice, lambda item: item["state"] == "sent")
            assert mail["evidence"][-1]["tls_version"] == "TLSv1.3"
        assert all(message.tls for message in relay.messages)
        assert len(relay.messages) == 1
