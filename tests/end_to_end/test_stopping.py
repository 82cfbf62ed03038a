"""A process that is told to stop finishes or hands back what it has, within a limit; told twice, it is gone."""

import asyncio
import signal
import sqlite3
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.policy import default

import httpx
import pytest

from support import scenario
from support.processes import greffier
from support.smtp_server import SmtpServer

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}
CONTACTS = [(f"contact-{number}@valmont.example", "fr") for number in range(9)]


@asynccontextmanager
async def relay():
    """A relay that takes every message, and answers when it is let."""
    async with SmtpServer(extensions=("SIZE 10000000", "8BITMIME", "SMTPUTF8")) as server:
        server.hold = asyncio.Event()
        yield server


def serve(data, server, **settings):
    chosen = {"mail__host": "127.0.0.1", "mail__port": server.port, "mail__tls": "none", "mail__connections": 2}
    return greffier("serve", "--data", data, "--port", 0, **(chosen | {"log__batch_seconds": 0} | settings))


async def dispatched(running, data):
    """Have one incident released to all contacts."""
    headers = {"Authorization": f"Bearer {(data / 'api-token').read_text(encoding='ascii').strip()}"}
    async with httpx.AsyncClient(base_url=f"{await running.address()}/api/v1", headers=headers, timeout=60) as api:
        await scenario.customer(api, contacts=CONTACTS)
        await scenario.release(api, await scenario.declare(api, **GRAVE))


def mails(data):
    """Return state, attempts and lease of each mail as the store has it."""
    with sqlite3.connect(data / "greffier.sqlite3") as store:
        rows = store.execute("SELECT state, attempts, leased_until FROM deliveries WHERE channel = 'email'").fetchall()
    return sorted(rows, key=str)


async def test_told_once_it_finishes_what_is_in_flight_and_takes_nothing_more(data_folder):
    async with relay() as server:
        async with serve(data_folder, server) as running:
            await dispatched(running, data_folder)
            await server.until(lambda: server.in_content == 2)
            running.signal(signal.SIGTERM)
            await running.line("service.stopping")
            server.hold.set()
            assert await running.end() == 0
        assert 2 <= len(server.messages) < len(CONTACTS)
        rows = mails(data_folder)
        assert [row for row in rows if row[0] == "sent"] == [("sent", 1, None)] * len(server.messages)
        assert {row[1:] for row in rows if row[0] != "sent"} == {(0, None)}
        async with serve(data_folder, server):
            await server.until(lambda: len({message.recipient for message in server.messages}) == len(CONTACTS))
    assert len(server.messages) == len(CONTACTS)


async def test_what_takes_longer_than_the_limit_is_handed_back_and_sent_under_the_same_message_id(data_folder):
    async with relay() as server:
        async with serve(data_folder, server, limits__stop_seconds=0.2) as running:
            await dispatched(running, data_folder)
            await server.until(lambda: server.in_content == 2)
            running.signal(signal.SIGTERM)
            await running.line("deliveries.handed_back")
            assert await running.end() == 0
        assert {row[2] for row in mails(data_folder)} == {None}
        server.hold.set()
        async with serve(data_folder, server):
            await server.until(lambda: len({message.recipient for message in server.messages}) == len(CONTACTS))
    ids = {}
    for message in server.messages:
        ids.setdefault(message.recipient, []).append(message_from_bytes(message.content, policy=default)["Message-ID"])
    assert all(len(set(of_one)) == 1 for of_one in ids.values())
    assert sum(len(of_one) for of_one in ids.values()) <= len(CONTACTS) + 2


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
async def test_told_twice_it_is_gone(data_folder, first):
    async with relay() as server, serve(data_folder, server, limits__stop_seconds=600) as running:
        await dispatched(running, data_folder)
        await server.until(lambda: server.in_content == 2)
        running.signal(first)
        await running.line("service.stopping")
        running.signal(signal.SIGTERM)
        assert await running.end() == -signal.SIGTERM
