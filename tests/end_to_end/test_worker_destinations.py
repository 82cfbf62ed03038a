"""The worker against a real mail server: pauses, circuits, fairness, a stop in the middle, a lease that ran out."""

import asyncio
import contextlib
from contextlib import asynccontextmanager
from datetime import timedelta
from email import message_from_bytes

import httpx2

from notifications.delivery.delivery import ChannelKind
from service.cli.demo.environment import embedded_service
from support.clocks import SteppedClock
from support.scenario import affected, change, customer, declare, harm, ok, release
from support.scenario import notices as notices_of
from support.smtp_server import SmtpServer


@asynccontextmanager
async def opened(data_folder, **settings):
    async with embedded_service(data_folder, log__batch_seconds=0, **settings) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            yield running, api


async def served(api, *customers):
    incident = await declare(
        api,
        impact="I1",
        service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(item, data_harm=harm(confidentiality="yes")) for item in customers],
    )
    return await release(api, incident)


async def delivered(api, notice, channel="email"):
    items = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
    return [item for item in items if item["channel"] == channel]


async def until(running, condition):
    """Wait for a condition that commits bring about."""
    woken = asyncio.Event()
    running.parts.store.on_commit.append(lambda _changed: woken.set())
    async with asyncio.timeout(60):
        while not await condition():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await woken.wait()
            woken.clear()


async def test_a_paused_channel_sends_nothing_and_loses_nothing(data_folder, service_log):
    async with opened(data_folder) as (running, api):
        made = await customer(api)
        await ok(api.post("/channels/email/pause", json={"reason": "the relay is mended"}))
        (notice,) = await served(api, made)

        async def consigned():
            return [item["state"] for item in await delivered(api, notice, "console")] == ["sent"]

        await until(running, consigned)
        assert running.sink.messages == []
        assert (await delivered(api, notice))[0]["attempts"] == 0
        await ok(api.post("/channels/email/resume"))
        await running.sink.wait_for(1)


async def test_every_customer_has_its_turn(data_folder, service_log):
    """A customer with many contacts does not keep the others waiting."""
    async with opened(data_folder, mail__connections=1) as (running, api):
        many = await customer(api, "Many", contacts=tuple((f"c{number}@many.example", "en") for number in range(12)))
        few = [await customer(api, f"Few {n}", contacts=((f"c@few{n}.example", "en"),)) for n in range(3)]
        await ok(api.post("/channels/email/pause", json={"reason": "until all is queued"}))
        notices = await served(api, many, *few)

        async def queued():
            return all([await delivered(api, notice) for notice in notices])

        await until(running, queued)
        await ok(api.post("/channels/email/resume"))
        messages = await running.sink.wait_for(15, timeout_seconds=60)
        first = [message.recipients[0].partition("@")[2] for message in messages[:6]]
        assert {f"few{number}.example" for number in range(3)} <= set(first), first


async def test_a_follow_up_does_not_overtake_the_first_notice(data_folder, service_log):
    """Both waited; the update is due at once, the first notice only at its deadline."""
    async with opened(data_folder, mail__connections=4) as (running, api):
        made = await customer(api)
        await ok(api.post("/channels/email/pause", json={"reason": "the relay is mended"}))
        incident = await declare(
            api,
            impact="I1",
            service_harm=harm(confidentiality="yes"),
            affected_customers=[affected(made, data_harm=harm(confidentiality="yes"))],
        )
        await release(api, incident)
        incident = await change(api, incident, measures_taken={"en": "The balancer was restarted.", "fr": "Redémarré."})
        await release(api, incident)
        sent = await notices_of(api, incident)
        assert len(sent) == 2

        async def queued():
            return all([await delivered(api, notice) for notice in sent])

        await until(running, queued)
        await ok(api.post("/channels/email/resume"))
        first, second = await running.sink.wait_for(2)
        message_ids = [message_from_bytes(message.content)["Message-ID"] for message in (first, second)]
        assert message_from_bytes(second.content)["In-Reply-To"] == message_ids[0]


async def test_each_recipient_gets_one_mail_whatever_shares_its_destination(data_folder, service_log):
    settings = {"mail__at_once_per_domain": 1, "mail__connections": 2}
    async with opened(data_folder, **settings) as (running, api):
        made = await customer(api, contacts=tuple((f"c{number}@one.example", "en") for number in range(20)))
        await served(api, made)
        messages = await running.sink.wait_for(20, timeout_seconds=60)
        assert sorted(message.recipients[0] for message in messages) == sorted(
            f"c{number}@one.example" for number in range(20)
        )
        assert running.parts.worker.destinations.blocked(running.parts.context.clock.now())[0] == frozenset()


async def test_what_a_stop_cuts_short_is_handed_back(data_folder, service_log):
    """A relay that hangs holds nobody's stop for longer than the limit; what it held is due again at once."""
    writers = []
    hanging = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    try:
        async with opened(data_folder, mail__port=port, limits__stop_seconds=0.2) as (running, api):
            made = await customer(api)
            (notice,) = await served(api, made)

            async def under_way():
                return any(
                    item.delivery.channel is ChannelKind.EMAIL
                    for item in running.parts.worker.delivery._in_flight.values()
                )

            await until(running, under_way)
    finally:
        hanging.close()
        for writer in writers:
            writer.close()
    async with opened(data_folder) as (running, api):
        assert "leases.freed" not in service_log.getvalue(), "nothing was left to be freed"
        await running.sink.wait_for(1)
        (delivery,) = await delivered(api, notice)
        assert delivery["state"] in {"queued", "sent"}


async def test_a_relay_that_is_away_is_left_alone(data_folder, service_log):
    listener = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    contacts = tuple((f"c{number}@x{number}.example", "en") for number in range(6))
    try:
        async with opened(data_folder, mail__port=port) as (running, api):
            made = await customer(api, contacts=contacts)
            await served(api, made)
            destinations, clock = running.parts.worker.destinations, running.parts.context.clock

            async def left_alone():
                return destinations.open_circuits(clock.now()) == ["relay"]

            await until(running, left_alone)
            assert destinations.open_by_channel(clock.now())[ChannelKind.EMAIL] == 1
    finally:
        listener.close()


async def test_a_send_that_outlasts_its_lease_is_given_up_and_said_so(data_folder, service_log):
    """Another worker could take the delivery up when the lease ends: nothing of ours goes on then."""
    writers = []
    hanging = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
    port = hanging.sockets[0].getsockname()[1]
    try:
        async with opened(data_folder, mail__port=port, limits__lease_seconds=1) as (running, api):
            (notice,) = await served(api, await customer(api))

            async def given_up():
                return [item["last_error"] or "" for item in await delivered(api, notice)]

            await until(running, lambda: told(given_up(), "given up before its lease ended"))
            (delivery,) = await delivered(api, notice)
            assert (delivery["state"], delivery["attempts"] >= 1) == ("queued", True)
    finally:
        hanging.close()
        for writer in writers:
            writer.close()


async def told(texts, part):
    return any(part in text for text in await texts)


async def test_what_waited_for_half_of_its_lease_is_not_begun(data_folder, service_log):
    """The second of two mails waits for the only place: its lease is given back, and it goes out under a new one."""
    clock = SteppedClock()
    async with SmtpServer(hold=asyncio.Event()) as smtp:
        settings = {"clock": clock, "mail__port": smtp.port, "mail__connections": 1}
        async with opened(data_folder, **settings) as (running, api):
            made = await customer(api, contacts=(("a@one.example", "en"), ("b@one.example", "en")))
            await served(api, made)
            worker = running.parts.worker
            await smtp.until(lambda: smtp.lines("DATA"))

            async def waiting():
                return worker.delivery._sending[ChannelKind.EMAIL] == 2

            await until(running, waiting)
            clock.step(timedelta(seconds=200))
            smtp.hold.set()
            await smtp.until(lambda: len(smtp.messages) == 2)
            assert "delivery.waited_too_long" in service_log.getvalue()
            assert sorted(message.recipient for message in smtp.messages) == ["a@one.example", "b@one.example"]


async def test_a_clock_that_jumps_while_a_lease_is_given_back_sends_no_mail_twice(data_folder, monkeypatch):
    """The mail is leased again before and after its old lease is given back, as it happens under load."""
    clock = SteppedClock()
    async with SmtpServer(hold=asyncio.Event()) as smtp:
        settings = {"clock": clock, "mail__port": smtp.port, "mail__connections": 2}
        async with opened(data_folder, **settings) as (running, api):
            addresses = [f"{name}@one.example" for name in "abc"]
            made = await customer(api, contacts=[(address, "en") for address in addresses])
            (notice,) = await served(api, made)
            delivery = running.parts.worker.delivery
            give_back, given_back = delivery._give_back, asyncio.Event()

            async def beset(delivery_ids):
                under_way = {item.delivery.id for item in delivery._in_flight.values()}
                first = not beset.begun and set(delivery_ids) <= under_way
                beset.begun = beset.begun or first
                if first:
                    await delivery.deliver_due()
                await give_back(delivery_ids)
                if first:
                    await delivery.deliver_due()
                    given_back.set()

            beset.begun = False

            await smtp.until(lambda: len(smtp.lines("DATA")) == 2)

            async def waiting():
                return delivery._sending[ChannelKind.EMAIL] == 3

            await until(running, waiting)
            monkeypatch.setattr(delivery, "_give_back", beset)
            clock.step(timedelta(hours=1))
            smtp.hold.set()
            async with asyncio.timeout(60):
                await given_back.wait()
            monkeypatch.undo()

            async def sent():
                # What is leased and not begun is leased again after its time.
                clock.step(timedelta(minutes=10))
                delivery.wake.set()
                return all(item["state"] == "sent" for item in await delivered(api, notice)) and not delivery._in_flight

            await until(running, sent)
            assert sorted(message.recipient for message in smtp.messages) == addresses
