"""99th percentile of `GET /incidents` while an incident is sent to many customers with two contacts each.

Reference: the same requests to the same service while it is idle, before the dispatch in the same run. A process of
its own reads over one kept connection, at a steady pace. The dispatch goes from the release to the last mail's
evidence, through Postfix's ``smtp-sink``, on SQLite with full durability.
"""

import argparse
import asyncio
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from uuid import UUID

import uvloop
from dispatch import facts, fill, smtp_sink
from table import result_line

from notifications.delivery.delivery import Delivery, DeliveryAttempt
from notifications.ports import DueDelivery
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.record_incident import record_incident
from notifications.use_cases.incidents.release_notice import release_drafts
from service.bootstrap.serve import settle_memory
from service.cli.demo.environment import RunningService, embedded_service
from service.system.logging import SystemClock, SystemIdentifiers, configure_logging

_CONTACTS = 2
#: Requests a second of the reading process.
_PACE = 25.0


async def _read(port: int, token: str, pipe: Connection) -> list[float]:
    """Read at a steady pace until the pipe says stop; return the latencies in seconds."""
    request = (f"GET /api/v1/incidents HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n").encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    taken: list[float] = []
    begun = time.perf_counter()
    while not pipe.poll():
        # A request that waits does not spare the next one: what is late counts from when it was due.
        due = begun + len(taken) / _PACE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"answered {head[:60]!r}")
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        taken.append(time.perf_counter() - due)
    pipe.recv()
    writer.close()
    return taken


def _reader(pipe: Connection) -> None:
    """Read on request, in a process of its own."""
    while (job := pipe.recv()) is not None:
        pipe.send(asyncio.run(_read(*job, pipe)))


async def _declare(running: RunningService, customers: int) -> UUID:
    store, agreements = running.parts.store, running.parts.context.agreements
    harmed = await fill(store, customers, _CONTACTS, datetime.now(UTC))
    act = AuditContext("token:bench", SystemClock().now(), SystemIdentifiers())
    result = await store.write(lambda tx: record_incident(tx, act, facts(act.now, harmed), agreements))
    return result.incident.id


async def _dispatch(running: RunningService, incident_id: UUID, customers: int) -> float:
    """Release, and wait for the last attempt's evidence; returns the seconds that this took."""
    store, agreements = running.parts.store, running.parts.context.agreements
    left, sent = customers * (_CONTACTS + 1), asyncio.Event()

    def count(_due: DueDelivery, delivery: Delivery, attempt: DeliveryAttempt) -> None:
        nonlocal left
        if delivery.state.value != "sent":
            raise SystemExit(f"not accepted: {attempt.outcome}")
        left -= 1
        if not left:
            sent.set()

    worker = running.parts.worker
    assert worker is not None
    object.__setattr__(worker.delivery._delivering, "watch", count)  # noqa: SLF001 - counted where the metrics count
    act = AuditContext("token:bench", SystemClock().now(), SystemIdentifiers())
    start = time.perf_counter()
    await store.write(lambda tx: release_drafts(tx, act, incident_id, 1, agreements))
    await sent.wait()
    return time.perf_counter() - start


async def _measure(arguments: argparse.Namespace, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    with smtp_sink() as port, tempfile.TemporaryDirectory() as folder:
        # One account asks steadily: its rate is not what is measured.
        unlimited = {"access__requests_burst": 10**9, "mail__port": port}
        async with embedded_service(Path(folder), customers=1, **unlimited) as running:

            def begin() -> None:
                pipe.send((running.port, running.token))

            async def end() -> list[float]:
                pipe.send("stop")
                latencies: list[float] = await loop.run_in_executor(None, pipe.recv)
                return latencies

            incident_id = await _declare(running, arguments.customers)
            # The first request builds the routes.
            begin()
            await asyncio.sleep(2)
            await end()
            settle_memory()
            begin()
            await asyncio.sleep(arguments.idle_seconds)
            idle = await end()
            begin()
            seconds = await _dispatch(running, incident_id, arguments.customers)
            busy = await end()
    mails = arguments.customers * _CONTACTS
    p99 = {name: statistics.quantiles(taken, n=100)[98] for name, taken in (("idle", idle), ("busy", busy))}
    print(f"{arguments.customers} customers, {_CONTACTS} contacts each: {mails / seconds:.0f} mails/s")
    for name, taken in (("idle", idle), ("busy", busy)):
        half = statistics.median(taken)
        print(f"  {name}: {len(taken)} requests, median {1000 * half:.1f} ms, p99 {1000 * p99[name]:.1f} ms")
    print(result_line("readers_p99", p99["busy"] / p99["idle"], at_most=3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--idle-seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_reader, args=(theirs,))
    process.start()
    try:
        # Thrown away: kept, a line per mail would be what is measured.
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            configure_logging(nowhere)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_measure(arguments, ours))
    finally:
        ours.send(None)
        process.join()


if __name__ == "__main__":
    sys.exit(main())
