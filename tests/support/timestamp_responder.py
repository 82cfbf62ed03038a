"""HTTP on loopback that answers each request for a timestamp as a test says."""

import asyncio
from contextlib import asynccontextmanager


@asynccontextmanager
async def web_server(answer):
    """Serve HTTP on loopback: ``answer`` gets the request's head and body and the writer; gives the URL."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
            await answer(head, await reader.readexactly(length), writer)
            await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/tsr"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def http(body, status="200 OK", kind="application/timestamp-reply", more=""):
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{more}"
    return head.encode() + b"\r\n" + body


def answering(make):
    async def answer(head, body, writer):
        writer.write(make(body))

    return answer
