"""Time to the first byte of pages at 100,000 incidents and 10,000 customers, against the same pages at 100 and 50.

50 customers fill a page of their list, so both services show as much.

Two services in one process, each with its own SQLite store; their requests alternate, so that both have the same
machine. Each page is read by a person whose work it is, over HTTP, as a browser asks for it.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx2
from table import result_line

from notifications.customer.records import Customer
from notifications.notice import NoticeState
from service.cli.demo.environment import RunningService, embedded_service
from service.ports.accounts import Role
from service.ports.store import AccessTransaction
from support.people import browser, person
from support.records import (
    make_binding,
    make_contact,
    make_customer,
    make_decision,
    make_entry,
    make_facts,
    make_incident,
    make_notice,
)

_AT_ONCE = 500
_GOAL = 2.0
#: who reads, and what
_Visit = tuple[httpx2.AsyncClient, str]
#: Incidents that are still open; the others are history.
_OPEN = 50


async def _fill(running: RunningService, incidents: int, customers: int) -> list[Customer]:
    """Store customers, and incidents with a decision, a draft or withdrawn notice and a log entry each."""
    store, now = running.parts.store, datetime.now(UTC)
    people = [make_customer(name=f"Customer {number:05}", created_at=now) for number in range(customers)]

    def add_customers(tx: AccessTransaction, part: Sequence[Customer]) -> None:
        for customer in part:
            binding = make_binding(customer)
            tx.customers.add(customer, b"\1" * 32)
            tx.customers.add_binding(binding)
            tx.customers.add_contact(make_contact(customer))

    for start in range(0, customers, _AT_ONCE):
        await store.write(lambda tx, part=people[start : start + _AT_ONCE]: add_customers(tx, part))

    def add_incidents(tx: AccessTransaction, numbers: range) -> None:
        notices, entries = [], []
        for number in numbers:
            is_open = number >= incidents - _OPEN
            at = now - timedelta(minutes=incidents - number)
            made = make_incident(
                id=UUID(int=number + 1), ticket=f"INC-2026-{number:06d}", facts=make_facts(aware_at=at), opened_at=at
            )
            customer = people[number % customers]
            tx.incidents.add(made if is_open else replace(made, state=type(made.state).CLOSED, closed_at=at))
            tx.incidents.add_decisions([make_decision(made, customer)])
            state = NoticeState.DRAFT if is_open else NoticeState.WITHDRAWN
            notices.append(make_notice(made, customer, state=state, due_at=now + timedelta(hours=1)))
            entries.append(make_entry({"incident": str(made.id)}, at=at))
        tx.notices.add(notices)
        tx.audit.append(entries)

    for start in range(0, incidents, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, incidents))
        await store.write(lambda tx, numbers=numbers: add_incidents(tx, numbers))
    while await store.read(lambda tx: tx.audit.pending(1)):  # noqa: ASYNC110 - another task grows the log meanwhile
        await asyncio.sleep(0.5)
    return people


@asynccontextmanager
async def _site(folder: Path, incidents: int, customers: int) -> AsyncIterator[Mapping[str, _Visit]]:
    """A service with its records, and pages with who reads them."""
    limits = {"access__requests_burst": 1_000_000, "log__batch_seconds": 0.01}
    async with embedded_service(folder, **limits) as running:
        people = await _fill(running, incidents, customers)
        analyst = await person(running, "Ada", (Role.ANALYST, None))
        auditor = await person(running, "Aude", (Role.AUDITOR, None))
        member = await person(running, "Max", (Role.CUSTOMER_MEMBER, str(people[0].id)))
        pages = {
            "board": (analyst, "/incidents"),
            "incident": (analyst, f"/incidents/{UUID(int=incidents)}"),
            "inbox": (member, "/inbox"),
            "search": (analyst, f"/search?q=INC-2026-{incidents - 1:06d}"),
            "audit entries": (auditor, "/audit/entries"),
            "customers": (analyst, "/customers"),
        }
        async with AsyncExitStack() as stack:
            clients = {
                whom.secret: await stack.enter_async_context(browser(running, whom)) for whom, _ in pages.values()
            }
            yield {name: (clients[whom.secret], path) for name, (whom, path) in pages.items()}


async def _first_byte(client: httpx2.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    async with client.stream("GET", path) as answer:
        took = time.perf_counter() - began
        assert answer.status_code == 200, (path, answer.status_code)
        await answer.aread()
    return took


async def _measured(
    incidents: Sequence[int], customers: Sequence[int], rounds: int
) -> dict[str, tuple[list[float], list[float]]]:
    with tempfile.TemporaryDirectory() as folder:
        few = _site(Path(folder) / "few", incidents[0], customers[0])
        many = _site(Path(folder) / "many", incidents[1], customers[1])
        async with few as small, many as large:
            took: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in small}
            for turn in range(rounds + 2):
                for name, times in took.items():
                    for site, seconds in zip((small, large), times, strict=True):
                        first = await _first_byte(*site[name])
                        if turn >= 2:
                            seconds.append(first)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, nargs=2, default=[100, 100_000])
    parser.add_argument("--customers", type=int, nargs=2, default=[50, 10_000])
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    took = asyncio.run(_measured(arguments.incidents, arguments.customers, arguments.rounds))
    for name, (few, many) in took.items():
        small, large = statistics.median(few), statistics.median(many)
        line = result_line(f"page_{name.replace(' ', '_')}", large / small, at_most=_GOAL)
        print(f"{line} {small * 1e3:.1f} ms, {large * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
