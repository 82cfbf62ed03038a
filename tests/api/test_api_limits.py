"""Before a body is read: credential, rate, size, what all bodies take together; and the nesting of JSON, natively."""

import asyncio
import json

import httpx2
import pytest

from service.cli.demo.environment import embedded_service
from service.web.api.limits import _depth_over

#: The header of a body that never comes.
UNSENT = {"Content-Type": "application/json", "Content-Length": "1000000"}


async def answer_to_header(port, path, headers):
    """Send the header of a POST and no body; return the status line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [f"POST {path} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(30):
            return (await reader.readline()).decode().split(" ", 2)[1]
    finally:
        writer.close()


async def test_a_credential_is_wanted_before_the_body(running):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "__Host-greffier=wrong"}):
        assert await answer_to_header(running.port, "/api/v1/incidents", UNSENT | headers) == "401"


async def test_the_rate_is_looked_at_before_the_body(data_folder, service_log):
    async with embedded_service(
        data_folder,
        access__requests_burst=1,
        access__requests_per_second=0.0001,
        access__stranger_requests_burst=1,
        access__stranger_requests_per_second=0.0001,
    ) as running:
        own = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=running.url, headers=own, timeout=120) as client:
            assert (await client.get("/api/v1/incidents")).status_code == 200
        assert await answer_to_header(running.port, "/api/v1/incidents", UNSENT | own) == "429"
        assert [await answer_to_header(running.port, "/api/v1/incidents", UNSENT) for _ in range(2)] == ["401", "429"]


async def test_a_stranger_sends_only_small_forms(running):
    async with httpx2.AsyncClient(base_url=running.url, timeout=120) as stranger:
        for size, expected in ((1_000, 401), (70_000, 413)):
            answer = await stranger.post("/sign-in", data={"email": "a@b.example", "password": "x" * size})
            assert (answer.status_code == 413) == (expected == 413), size


async def test_bodies_have_a_budget_together(data_folder, service_log):
    """One request holds its body half sent: another one does not fit beside it, and does once it is gone."""
    async with embedded_service(
        data_folder, limits__max_body_bytes=100_000, limits__max_buffered_bytes=100_000
    ) as running:
        own = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=running.url, headers=own, timeout=120) as client:

            async def status(size):
                body = b" " * size + b"{}"
                headers = {"Content-Type": "application/json"}
                return (await client.post("/api/v1/incidents", content=body, headers=headers)).status_code

            assert await status(60_000) == 422
            _, writer = await asyncio.open_connection("127.0.0.1", running.port)
            head = f"POST /api/v1/incidents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {running.token}\r\n"
            writer.write(head.encode() + b"Content-Length: 90000\r\n\r\n" + b" " * 80_000)
            await writer.drain()
            async with asyncio.timeout(30):
                while await status(60_000) != 503:
                    pass
            assert await status(10_000) == 422
            writer.close()
            async with asyncio.timeout(30):
                while await status(60_000) != 422:
                    pass


def nested(depth, opening=b"[", closing=b"]"):
    return opening * depth + closing * depth


@pytest.mark.parametrize(
    ("body", "over"),
    [
        (nested(32), False),
        (nested(33), True),
        (nested(33, b'{"a":', b"}"), True),
        (nested(16, b'[{"a":', b"}]"), False),
        (nested(17, b'[{"a":', b"}]"), True),
        (b"[" * 33, True),
        (b"[" + b",".join([nested(5)] * 50) + b"]", False),
        (json.dumps(["[" * 100, "{" * 100]).encode(), False),
        (json.dumps(['\\"' + "[" * 100]).encode(), False),
        (b'"\\"' + b"[" * 100, False),
        (b'"\\\\"' + b"[" * 100, True),
        (b'"' + b"[" * 100, False),
        (b'"' + b"[" * 100 + b"\\", False),
        (b"]" * 100 + b"[" * 33, False),
        (b"", False),
    ],
)
def test_nesting_is_measured_outside_strings(body, over):
    assert _depth_over(body, 32) is over


@pytest.mark.parametrize(
    "text", ['"' + '\\"' * 500_000 + "[{" * 20, '"\\' * 700_000 + "[{" * 20, '"' * 1_400_000 + "[{" * 20]
)
def test_hostile_strings_take_linear_time(text):
    """A quadratic scan of a million characters would not end before the limit of the test run."""
    assert _depth_over(text.encode() * 2, 32) in {True, False}
