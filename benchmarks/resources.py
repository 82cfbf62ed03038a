"""Look-ups in an inventory of a million resources with history.

Reference: a bare SELECT of the same rows by the same index, on a connection of its own, in alternating rounds of the
same run. The look-up also groups by customer, counts a resource that moved once, and goes through the store. The line
at the end is about a zone, the widest look-up.
"""

import argparse
import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from table import result_line

from notifications.customer.inventory import FailedPart, HeldResource, InventoryKind
from notifications.customer.records import Customer
from service.ports.store import AccessStore
from service.store import open_store
from service.store.incidents.resources import INSERT, values_of
from service.store.sql.encoding import to_microseconds

_NOW = datetime(2026, 3, 1, 2, 40, tzinfo=UTC)
_CUSTOMERS = 2_000
_ROUNDS = 15


def _customers() -> list[Customer]:
    return [
        Customer(UUID(int=number + 1), f"C{number}", "fr", "Europe/Paris", (), (), (), _NOW - timedelta(days=900))
        for number in range(_CUSTOMERS)
    ]


def _resources(wanted: int) -> Iterator[HeldResource]:
    """Yield resources: 4 regions of 3 zones of 170 hosts, and each tenth resource has moved once."""
    drawn = random.Random(7)
    kinds = list(InventoryKind)
    number = made = 0
    while made < wanted:
        number += 1
        region = drawn.randrange(4)
        zone, host = region * 3 + drawn.randrange(3), drawn.randrange(170)
        begin = _NOW - timedelta(days=drawn.randrange(1, 700))
        moved = begin + (_NOW - begin) / 2 if number % 10 == 0 else None
        stays = [(begin, moved, host)] if moved is None else [(begin, moved, host), (moved, None, (host + 1) % 170)]
        owner = UUID(int=drawn.randrange(_CUSTOMERS) + 1)
        for held_from, held_until, on in stays:
            made += 1
            yield HeldResource(
                owner, kinds[number % 5], f"res-{number:08}", f"Resource {number}", f"service-{number % 6}",
                f"fr{region}", f"fr{region}-{zone % 3}", f"st-{zone:02}-{on:03}", held_from, held_until, _NOW,
            )  # fmt: skip


async def _filled(store: AccessStore, path: Path, wanted: int) -> float:
    """Store the resources as an import does, but with their indexes made once at the end."""
    start = time.perf_counter()
    await store.write(lambda tx: [tx.customers.add(customer, b"s" * 32) for customer in _customers()])
    with sqlite3.connect(path) as loader:
        loader.execute("PRAGMA synchronous = OFF")
        made = loader.execute("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'resources' AND type = 'index'")
        indexes = made.fetchall()
        for name, _ in indexes:
            loader.execute(f"DROP INDEX {name}")
        loader.executemany(INSERT, map(values_of, _resources(wanted)))
        for _, statement in indexes:
            loader.execute(statement)
    loader.close()
    return time.perf_counter() - start


def _lookups() -> dict[str, tuple[FailedPart, str, tuple[object, ...]]]:
    """Return name -> what failed, and the bare SELECT of its rows."""
    hour_ago = _NOW - timedelta(hours=1)
    bare = "SELECT customer_id FROM resources WHERE {} = ? AND held_from < ? AND held_until > ?"
    since = (2**62, to_microseconds(hour_ago))
    return {
        "host": (FailedPart(hour_ago, None, hosts=("st-04-007",)), bare.format("host"), ("st-04-007", *since)),
        "zone": (
            FailedPart(hour_ago, None, availability_zones=("fr1-1",)), bare.format("availability_zone"),
            ("fr1-1", *since),
        ),
        "identifier": (
            FailedPart(hour_ago, None, identifiers=("res-00004711",)), bare.format("identifier"),
            ("res-00004711", *since),
        ),
    }  # fmt: skip


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--resources", type=int, default=1_000_000)
    wanted = parser.parse_args().resources
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite3"
        store = open_store(path)
        print(f"  {wanted} resources stored in {await _filled(store, path, wanted):.0f} s")
        reader, measured = sqlite3.connect(path), dict[str, float]()
        for name, (failed, statement, values) in _lookups().items():
            whole, bare = [], []
            for _ in range(_ROUNDS):
                start = time.perf_counter()
                found = await store.read(lambda tx, failed=failed: tx.resources.concerned(failed))
                whole.append(time.perf_counter() - start)
                bare.append(_seconds(lambda s=statement, v=values: reader.execute(s, v).fetchall()))
            ratio = statistics.median(one / other for one, other in zip(whole, bare, strict=True))
            resources = sum(item.resources for item in found)
            measured[name] = statistics.median(bare) / statistics.median(whole)
            said = f"ratio {ratio:.2f}, {statistics.median(whole) * 1e3:.2f} ms"
            print(f"  by {name}: {resources} resources of {len(found)} customers, {said}")
        print(result_line("resources_lookup", measured["zone"], at_least=1.0))
        reader.close()
        await store.close()


if __name__ == "__main__":
    asyncio.run(main())
