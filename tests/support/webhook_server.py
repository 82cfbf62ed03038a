"""A customer's webhook receiver with real TLS on loopback, which misbehaves on command."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Received:
    method: str
    path: str
    headers: dict
    body: bytes


@dataclass
class WebhookServer:
    """``answers`` are used in order, then the last one again: bytes to send, or a coroutine function of the writer."""

    port: int = 0
    answers: list = field(default_factory=lambda: [answer(204)])
    received: list = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path="/hook", host="localhost"):
        return f"https://{host}:{self.port}{path}"

    async def handle(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip("\r\n").split("\r\n")
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = first.split(" ")
            self.received.append(Received(method, path, headers, body))
            self.arrived.set()
            reply = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if callable(reply):
                await reply(writer)
            else:
                writer.write(reply)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            with suppress(OSError):
                writer.close()


def answer(status, body=b"", **headers):
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def close_at_once(writer):
    writer.transport.abort()


async def hang(writer):
    await asyncio.Event().wait()


async def slow_headers(writer):
    """Begin a header and never end it."""
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    await _a_byte_at_a_time(writer)


def slow_body(status):
    """Return an answer that sends status and headers at once, and then a body without end."""

    async def reply(writer):
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 1000000\r\n\r\n".encode())
        await _a_byte_at_a_time(writer)

    return reply


async def _a_byte_at_a_time(writer):
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def webhook_server(context):
    made = WebhookServer()
    tasks = set()

    async def handle(reader, writer):
        tasks.add(asyncio.current_task())
        await made.handle(reader, writer)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
