"""The listener over real sockets: what it takes, from whom, how much at once, and when it says 250."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from notifications.errors import Fault, InvalidInputError, StateConflictError, StoreUnavailableError
from notifications.mail.return_path import ReturnPaths
from service.channels.bounce_listener import BounceListener, ListenerLimits
from service.settings.mail import BounceSettings
from support import returned_samples as samples
from support.clocks import SteppedClock

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
PATHS = ReturnPaths("bounces.provider.example", [b"k" * 32])
STRANGER = ReturnPaths("bounces.provider.example", [b"x" * 32])
DELIVERY = uuid4()
OURS = PATHS.address_of(DELIVERY, 1, NOW)


class Store:
    """Takes in, or fails as it is told to."""

    def __init__(self):
        self.taken = []
        self.failure = None
        self.begun = asyncio.Event()
        self.hold = None

    async def __call__(self, path, content):
        self.begun.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        self.taken.append((path.delivery_id, path.attempt, content))


class Talk:
    """One conversation, line by line."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def reply(self):
        """Return the last line of a reply; empty where the other side closed."""
        async with asyncio.timeout(10):
            while (line := await self.reader.readline())[3:4] == b"-":
                pass
            return line.decode().rstrip()

    async def say(self, line):
        self.writer.write(line.encode() + b"\r\n")
        await self.writer.drain()
        return await self.reply()

    async def hand_over(self, recipient, content):
        """Return the replies to RCPT and, where it was taken, to the content."""
        await self.say("MAIL FROM:<>")
        replies = [await self.say(f"RCPT TO:<{recipient}>")]
        if replies[0].startswith("250"):
            assert (await self.say("DATA")).startswith("354")
            self.writer.write(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            replies.append(await self.reply())
        return replies


class House:
    def __init__(self, *, protocol="lmtp", max_bytes=5_000_000, **limits):
        self.store, self.clock = Store(), SteppedClock(NOW)
        # Smaller than an operator may set it.
        self.settings = BounceSettings(listen_port=0, listen_protocol=protocol).model_copy(
            update={"max_bytes": max_bytes}
        )
        self.listener = BounceListener(PATHS, self.store, self.clock, self.settings, ListenerLimits(**limits))

    @asynccontextmanager
    async def talk(self, greeting="LHLO mx"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port)
        talk = Talk(reader, writer)
        try:
            talk.greeting = await talk.reply()
            if greeting and talk.greeting.startswith("220"):
                talk.hello = await talk.say(greeting)
            yield talk
        finally:
            writer.close()


@asynccontextmanager
async def listening(**settings):
    house = House(**settings)
    async with house.listener:
        yield house


@pytest.mark.parametrize(("protocol", "greeting"), [("lmtp", "LHLO mx"), ("smtp", "EHLO mx"), ("smtp", "HELO mx")])
async def test_a_message_to_a_return_path_is_stored_byte_for_byte(protocol, greeting):
    content = samples.failed() + b"\r\n.a line with a dot\r\n\xc3\xa9\xff\r\n"
    async with listening(protocol=protocol) as house, house.talk(greeting) as talk:
        assert [reply[:3] for reply in await talk.hand_over(OURS, content)] == ["250", "250"]
        assert house.store.taken == [(DELIVERY, 1, content)]
        assert (await talk.say("QUIT")).startswith("221")


async def test_each_protocol_has_its_own_greeting():
    async with listening(protocol="lmtp") as house, house.talk("EHLO mx") as talk:
        assert talk.hello.startswith("500")
    async with listening(protocol="smtp") as house, house.talk("LHLO mx") as talk:
        assert talk.hello.startswith("500")


async def test_the_case_of_the_address_does_not_matter():
    async with listening() as house, house.talk() as talk:
        assert (await talk.hand_over(OURS.upper(), b"x\r\n"))[-1].startswith("250")


FORGED = [
    "soc@provider.example",
    "postmaster",
    "bounce+abc@bounces.provider.example",
    STRANGER.address_of(DELIVERY, 1, NOW),
    OURS.replace("@bounces.provider.example", "@elsewhere.example"),
    PATHS.address_of(DELIVERY, 1, NOW - timedelta(days=31)),
    '"a b"@bounces.provider.example',
    "bounce+@bounces.provider.example",
]


@pytest.mark.parametrize("recipient", FORGED, ids=range(len(FORGED)))
async def test_a_stranger_stores_nothing_and_nothing_is_relayed(recipient):
    async with listening() as house, house.talk() as talk:
        assert [reply[:5] for reply in await talk.hand_over(recipient, b"x\r\n")] == ["550 5"]
        assert (await talk.say("DATA")).startswith("503")
        assert house.store.taken == []


# Postfix 3.7.11 asks so before it takes a notice, under reject_unverified_sender
# (findings/postfix_asks_a_return_path_with_a_sender_of_its_own.sh). Exim asks with <>.
async def test_a_server_that_verifies_the_return_path_may_ask_with_a_sender_of_its_own():
    async with listening(protocol="smtp") as house, house.talk("EHLO mx.valmont.example") as talk:
        for recipient, reply in ((OURS, "250"), (STRANGER.address_of(DELIVERY, 1, NOW), "550")):
            assert (await talk.say("MAIL FROM:<double-bounce@mx.valmont.example>")).startswith("250")
            assert (await talk.say(f"RCPT TO:<{recipient}>")).startswith(reply)
            assert (await talk.say("RSET")).startswith("250")
        assert house.store.taken == []


async def test_whoever_guesses_is_hung_up_on():
    async with listening() as house, house.talk() as talk:
        await talk.say("MAIL FROM:<>")
        replies = [await talk.say(f"RCPT TO:<{FORGED[3]}>") for _ in range(10)]
        assert [reply[:3] for reply in replies] == ["550"] * 9 + ["421"]
        assert await talk.reply() == ""


async def test_one_recipient_at_a_time():
    async with listening() as house, house.talk() as talk:
        await talk.say("MAIL FROM:<>")
        assert (await talk.say(f"RCPT TO:<{OURS}>")).startswith("250")
        assert (await talk.say(f"RCPT TO:<{OURS}>")).startswith("452 4.5.3")


@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        (StoreUnavailableError("disk full"), "451"),
        (OSError("broken"), "451"),
        (StateConflictError("not yet"), "451"),
        (InvalidInputError(Fault("", "too much")), "550"),
    ],
)
async def test_what_is_not_stored_is_not_accepted(failure, reply):
    async with listening() as house, house.talk() as talk:
        house.store.failure = failure
        assert (await talk.hand_over(OURS, b"x\r\n"))[-1].startswith(reply)
        unwell = isinstance(failure, StoreUnavailableError | OSError)
        assert (house.listener.health() is not None) is unwell
        house.store.failure = None
        assert (await talk.hand_over(OURS, b"x\r\n"))[-1].startswith("250")
        assert house.listener.health() is None


async def test_it_is_accepted_only_after_it_is_stored():
    async with listening() as house, house.talk() as talk:
        house.store.hold = asyncio.Event()
        handing_over = asyncio.create_task(talk.hand_over(OURS, b"x\r\n"))
        await house.store.begun.wait()
        done, _ = await asyncio.wait({handing_over}, timeout=0.05)
        assert not done
        house.store.hold.set()
        assert (await handing_over)[-1].startswith("250")


async def test_whoever_hangs_up_meanwhile_leaves_it_stored():
    async with listening() as house:
        house.store.hold = asyncio.Event()
        async with house.talk() as talk:
            handing_over = asyncio.create_task(talk.hand_over(OURS, b"x\r\n"))
            await house.store.begun.wait()
        handing_over.cancel()
        house.store.hold.set()
    assert len(house.store.taken) == 1


async def test_whoever_hangs_up_hears_of_no_failure_and_it_breaks_nothing():
    async with listening() as house:
        house.store.hold, house.store.failure = asyncio.Event(), StoreUnavailableError("full")
        async with house.talk() as talk:
            handing_over = asyncio.create_task(talk.hand_over(OURS, b"x\r\n"))
            await house.store.begun.wait()
        handing_over.cancel()
        house.store.hold.set()
        await asyncio.wait(house.listener._storing)
        house.store.failure = None
        async with house.talk() as talk:
            assert (await talk.hand_over(OURS, b"x\r\n"))[-1].startswith("250")


async def test_a_stop_waits_for_what_is_being_stored():
    house = House()
    house.store.hold = asyncio.Event()
    async with house.listener, house.talk() as talk:
        handing_over = asyncio.create_task(talk.hand_over(OURS, b"x\r\n"))
        await house.store.begun.wait()
        asyncio.get_running_loop().call_later(0.05, house.store.hold.set)
    assert len(house.store.taken) == 1
    await asyncio.wait({handing_over})


async def test_what_is_too_large_is_refused_and_the_next_is_taken():
    async with listening(max_bytes=2000) as house, house.talk() as talk:
        assert (await talk.say("MAIL FROM:<> SIZE=2001")).startswith("552")
        assert (await talk.hand_over(OURS, b"x" * 70 + b"\r\n" + b"y\r\n" * 1000))[-1].startswith("552")
        assert (await talk.hand_over(OURS, b"x\r\n"))[-1].startswith("250")
        assert len(house.store.taken) == 1


async def test_a_line_longer_than_the_standard_has_it_is_a_line():
    content = b"Subject: x\r\n\r\n" + b"y" * 20_000 + b"\r\n"
    async with listening() as house, house.talk() as talk:
        assert (await talk.hand_over(OURS, content))[-1].startswith("250")
        assert house.store.taken[0][2] == content


async def test_one_connection_too_many_is_turned_away_and_its_place_comes_free():
    async with listening(connections=2) as house:
        async with house.talk() as one, house.talk() as two:
            async with house.talk() as three:
                assert three.greeting.startswith("421")
                three.writer.write(b"LHLO mx\r\n")
            for talk in (one, two):
                assert (await talk.say("NOOP")).startswith("250")
                await talk.say("QUIT")
                assert await talk.reply() == ""
        async with house.talk() as four:
            assert (await four.hand_over(OURS, b"x\r\n"))[-1].startswith("250")


async def test_too_much_at_once_comes_again_later():
    async with listening(per_second=1, burst=2) as house, house.talk() as talk:
        replies = [(await talk.hand_over(OURS, b"%d\r\n" % number))[-1] for number in range(2)]
        assert [reply[:3] for reply in replies] == ["250", "250"]
        assert (await talk.say("MAIL FROM:<>")).startswith("250")
        assert (await talk.say(f"RCPT TO:<{OURS}>")).startswith("451 4.7.1")
        house.clock.step(timedelta(seconds=2))
        assert (await talk.say(f"RCPT TO:<{OURS}>")).startswith("250")


@pytest.mark.parametrize(
    "said", ["", "LHLO mx\r\nMAIL FROM:<>\r\n", f"LHLO mx\r\nMAIL FROM:<>\r\nRCPT TO:<{OURS}>\r\nDATA\r\nhalf"]
)
async def test_whoever_says_nothing_more_is_hung_up_on(said):
    async with listening(timeout_seconds=0.2) as house, house.talk(greeting=None) as talk:
        talk.writer.write(said.encode())
        async with asyncio.timeout(10):
            await talk.reader.read()
        assert house.store.taken == []


async def test_a_message_that_is_cut_off_is_not_stored():
    async with listening() as house, house.talk() as talk:
        await talk.say("MAIL FROM:<>")
        await talk.say(f"RCPT TO:<{OURS}>")
        await talk.say("DATA")
        talk.writer.write(samples.failed())
        talk.writer.write_eof()
        async with asyncio.timeout(10):
            await talk.reader.read()
        assert house.store.taken == []


async def test_what_is_no_command_ends_nothing_but_itself():
    async with listening() as house, house.talk() as talk:
        for line in ("\0\1", "RCPT TO:<>", "VRFY anna", "EXPN all", "x" * 3000, "AUTH PLAIN x"):
            assert (await talk.say(line))[:1] == "5"
        assert (await talk.hand_over(OURS, b"x\r\n"))[-1].startswith("250")


async def test_an_address_that_is_taken_is_said_before_it_starts():
    async with listening() as house:
        other = BounceListener(
            PATHS, house.store, house.clock, house.settings.model_copy(update={"listen_port": house.listener.port})
        )
        with pytest.raises(InvalidInputError, match="cannot listen"):
            await other.__aenter__()
