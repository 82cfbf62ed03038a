"""The HTTP server against clients that stop in the middle: real sockets on loopback, small limits."""

import asyncio
import resource
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from service.system.http_protocol import ConnectionLimits
from service.system.http_server import HttpServer, bound_socket

#: Far longer than any deadline that a test waits for.
LONG = 60


class Application:
    """Reads the body and says how long it was; counts those whose client left."""

    def __init__(self):
        self.left = 0
        self.held = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, scope, receive, send):
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.left += 1
                return
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        if scope["path"] == "/hold":
            self.held.set()
            await self.go_on.wait()
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(str(size)))]}
        )
        await send({"type": "http.response.body", "body": str(size).encode()})


@asynccontextmanager
async def serving(**limits):
    application = Application()
    with bound_socket("127.0.0.1", 0) as listener:
        server = HttpServer(application, stop_seconds=1, limits=ConnectionLimits(**limits))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await server.is_up.wait()
        try:
            yield application, listener.getsockname()[1]
        finally:
            application.go_on.set()
            server.stop()
            await task


@asynccontextmanager
async def connected(port, sent=b""):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        yield reader, writer
    finally:
        writer.close()


async def until_closed(reader):
    """Return everything up to the end of the connection, which the server must close."""
    async with asyncio.timeout(30):
        return await reader.read()


async def answer_of(reader):
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        return head.split(b"\r\n")[0], await reader.readexactly(length)


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"G", b"\r\n\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n"],
)
async def test_a_header_that_does_not_end_is_not_waited_for(sent):
    async with serving(header_seconds=0.1, body_seconds=LONG) as (_, port), connected(port, sent) as (reader, _):
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 408 ")


async def test_bytes_that_trickle_in_do_not_lengthen_the_deadline():
    """A byte whenever the server has read the one before: the deadline is of the whole header."""
    async with (
        serving(header_seconds=0.2, body_seconds=LONG) as (_, port),
        connected(port, b"GET / HTTP/1.1\r\nX: ") as (reader, writer),
    ):
        ended = asyncio.create_task(until_closed(reader))
        while not ended.done():
            writer.write(b"a")
            await asyncio.wait({ended}, timeout=0.01)
        assert ended.exception() is not None or ended.result().startswith(b"HTTP/1.1 408 ")


async def test_the_header_of_a_later_request_has_its_deadline_too():
    async with (
        serving(header_seconds=0.2, body_seconds=LONG) as (_, port),
        connected(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n") as (reader, writer),
    ):
        assert await answer_of(reader) == (b"HTTP/1.1 200 OK", b"0")
        writer.write(b"GET / HT")
        assert (await until_closed(reader)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "sent",
    [b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"Content-Length: 1\r\n\r\n"],
)
async def test_a_body_that_does_not_end_is_not_waited_for(sent):
    async with serving(header_seconds=LONG, body_seconds=0.1) as (application, port):
        async with connected(port, b"POST / HTTP/1.1\r\nHost: x\r\n" + sent) as (reader, _):
            assert (await until_closed(reader)).startswith(b"HTTP/1.1 408 ")
        async with connected(port, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc") as (reader, _):
            assert await answer_of(reader) == (b"HTTP/1.1 200 OK", b"3")
        assert application.left == 1


async def test_a_request_that_is_being_answered_has_no_deadline():
    request = b"POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
    async with (
        serving(header_seconds=0.05, body_seconds=0.05) as (application, port),
        connected(port, request) as (reader, writer),
    ):
        await application.held.wait()
        # The next request begins meanwhile, and its deadline passes.
        writer.write(b"GET / HT")
        async with connected(port) as (other, _):
            await until_closed(other)
        application.go_on.set()
        assert await answer_of(reader) == (b"HTTP/1.1 200 OK", b"1")


async def test_a_header_without_end_is_refused_by_its_size():
    async with (
        serving(header_seconds=LONG, body_seconds=LONG) as (_, port),
        connected(port, b"GET / HTTP/1.1\r\n") as (reader, writer),
    ):
        writer.write(b"X: " + b"a" * 400_000)
        # What was sent and not read may reset the connection before the answer is read.
        try:
            assert (await until_closed(reader)).startswith(b"HTTP/1.1 431 ")
        except ConnectionResetError:
            assert reader.exception() is not None


async def test_connections_beyond_the_cap_are_refused_and_others_served():
    async with serving(header_seconds=LONG, body_seconds=LONG, max_connections=2) as (_, port):
        request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        async with connected(port, request) as (first, _), connected(port, request) as (second, writer):
            for reader in (first, second):
                assert await answer_of(reader) == (b"HTTP/1.1 200 OK", b"0")
            async with connected(port) as (third, _):
                assert (await until_closed(third)).startswith(b"HTTP/1.1 503 ")
            # A place that is free again is taken.
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await until_closed(second)
            async with connected(port, request) as (fourth, _):
                assert (await answer_of(fourth))[0] == b"HTTP/1.1 200 OK"


def test_the_cap_is_below_the_limit_of_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
        assert ConnectionLimits(max_connections=5000).connections == 300
        assert ConnectionLimits(max_connections=20).connections == 20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_an_idle_connection_outlives_those_of_proxies_and_clients():
    # uvicorn closes after 5 seconds unless it is told otherwise, at the very moment at which httpx2 gives one up.
    server = HttpServer(lambda scope, receive, send: None)
    assert server.config.timeout_keep_alive > 60


async def test_it_is_told_to_stop_and_does_not_wait_for_its_next_look(monkeypatch):
    # Without an end of the wait between two looks, only being told ends it.
    monkeypatch.setattr(asyncio, "timeout", lambda _seconds: AsyncExitStack())
    async with serving() as (_, port), connected(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as (reader, _):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_it_does_not_pause_where_no_connection_is_left(monkeypatch):
    pauses, plain = [], asyncio.sleep
    async with serving() as (_, port), connected(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as (reader, _):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        monkeypatch.setattr(asyncio, "sleep", lambda seconds: (pauses.append(seconds), plain(seconds))[1])
    assert pauses == [0]
