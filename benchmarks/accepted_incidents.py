"""Accepted incidents per second through the whole API on SQLite with full durability.

Reference: the validate-only route of the same app, in the same process, in alternating rounds of the same run. Both
routes parse, authenticate, validate and classify the same body; declaring also gives a ticket, decides for every
customer, drafts, writes its audit entries and answers only when all of it is durable on disk (``synchronous=FULL``).
The load comes from another process over 16 kept connections.
"""

import argparse
import asyncio
import io
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop
from table import result_line

from service.bootstrap.serve import settle_memory
from service.cli.demo.environment import embedded_service
from service.system.logging import configure_logging

_CUSTOMERS = 3


def _body() -> bytes:
    return json.dumps({
        "title": {"en": "Memory disclosure by the load balancer", "fr": "Fuite de mémoire de l'équilibreur"},
        "summary": {"en": "Fragments of memory were returned to third parties.", "fr": "Fragments de mémoire."},
        "aware_at": datetime.now(UTC).isoformat(),
        "inside_perimeter": "yes", "intent": "accidental", "cause": "bug",
        "service_harm": {"availability": "no", "integrity": "no", "confidentiality": "yes", "traceability": "no"},
        "security_measures_harmed": "no", "normal_operation_disrupted": "no", "impact": "I2", "criticality": "C2",
        "unlisted_customers": "not_affected",
    }).encode()  # fmt: skip


async def _round(port: int, token: str, path: str, connections: int, seconds: float) -> list[float]:
    """Send the body over kept connections, one request in flight each; return the latencies in seconds."""
    body = _body()
    request = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            start = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
                raise SystemExit(f"{path} answered {head[:60]!r}")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            latencies.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return latencies


def _load(pipe: Connection) -> None:
    """Run rounds on request, in a process of its own."""
    while (job := pipe.recv()) is not None:
        port, token, path, connections, seconds = job
        pipe.send(asyncio.run(_round(port, token, path, connections, seconds)))


async def _measure(arguments: argparse.Namespace, pipe: Connection) -> None:
    results: dict[str, list[tuple[float, float]]] = {"validate": [], "declare": []}
    paths = {"validate": "/api/v1/incidents/validate", "declare": "/api/v1/incidents"}
    with tempfile.TemporaryDirectory() as folder:
        # One account asks as fast as it can: its rate is not what is measured.
        async with embedded_service(Path(folder), customers=_CUSTOMERS, access__requests_burst=10**9) as running:
            loop = asyncio.get_running_loop()

            async def run(path: str, seconds: float) -> list[float]:
                job = (running.port, running.token, path, arguments.connections, seconds)
                await loop.run_in_executor(None, pipe.send, job)
                return await loop.run_in_executor(None, pipe.recv)

            settle_memory()
            for path in paths.values():
                await run(path, 1.0)
            for _ in range(arguments.rounds):
                for name, path in paths.items():
                    latencies = await run(path, arguments.seconds)
                    p99 = statistics.quantiles(latencies, n=100)[98]
                    results[name].append((len(latencies) / arguments.seconds, p99))
    rate = {name: statistics.median(item[0] for item in rounds) for name, rounds in results.items()}
    p99 = {name: statistics.median(item[1] for item in rounds) for name, rounds in results.items()}
    ratios = [declare[0] / validate[0] for validate, declare in zip(*results.values(), strict=True)]
    tails = [declare[1] / validate[1] for validate, declare in zip(*results.values(), strict=True)]
    rounds, seconds = arguments.rounds, arguments.seconds
    print(f"{arguments.connections} connections, {rounds} alternating rounds of {seconds:g} s, {_CUSTOMERS} customers")
    for name in paths:
        print(f"  {name:9} {rate[name]:8.0f} requests/s   p99 {p99[name] * 1000:7.1f} ms")
    print(f"  rate ratio declare/validate: {_spread(ratios)}")
    print(f"  p99 ratio declare/validate:  {_spread(tails)}")
    print(result_line("accepted_incidents", statistics.median(ratios), at_least=0.30))
    print(result_line("accepted_incidents_p99", statistics.median(tails), at_most=8))


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_load, args=(theirs,))
    process.start()
    try:
        configure_logging(io.StringIO())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_measure(arguments, ours))
    finally:
        ours.send(None)
        process.join()


if __name__ == "__main__":
    sys.exit(main())
