"""The contract of the inventory on SQLite and PostgreSQL: a look-up equals a naive filter, history is kept."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.customer.inventory import (
    ConcernedCustomer,
    FailedPart,
    HeldResource,
    InventoryKind,
    ResourceLookup,
    ResourceSnapshot,
)
from notifications.errors import StateConflictError
from notifications.ports import Page
from service.store import open_store
from support.opened_store import lent_address, opened_store
from support.records import NOW, SALT, make_customer

HOUR = timedelta(hours=1)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
async def customers(store):
    made = [replace(make_customer(), id=uuid4(), name=f"C{number}") for number in range(3)]
    await store.write(lambda tx: [tx.customers.add(customer, SALT) for customer in made])
    return made


def held(customer, identifier="vm-1", **changes):
    stated = {"kind": InventoryKind.MACHINE, "held_from": NOW, "held_until": None} | changes
    places = dict.fromkeys(("name", "service", "region", "availability_zone", "host")) | stated
    return HeldResource(customer_id=customer.id, identifier=identifier, recorded_at=NOW, **places)


async def test_records_come_back_as_they_were_written(store, customers):
    first, second, _ = customers
    records = [
        held(first, name="Dossiers", service="iaas", region="fr1", availability_zone="fr1-b", host="st-07"),
        held(first, "vm-0", held_until=NOW + HOUR),
        held(second, held_from=NOW + timedelta(microseconds=1)),
    ]
    await store.write(lambda tx: tx.resources.add(records))
    assert await store.read(lambda tx: list(tx.resources.of_customer(first.id))) == [records[1], records[0]]
    assert await store.read(lambda tx: tx.resources.history(second.id, InventoryKind.MACHINE, "vm-1")) == [records[2]]
    ended = replace(records[0], held_until=NOW + HOUR, name="Autre")
    await store.write(lambda tx: tx.resources.replace([ended]))
    assert await store.read(lambda tx: tx.resources.history(first.id, InventoryKind.MACHINE, "vm-1")) == [ended]
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.resources.add([ended]))


async def test_pages_show_each_record_once_and_only_what_is_asked(store, customers):
    first, second, _ = customers
    records = [held(first, f"vm-{number}", held_until=NOW + number * HOUR) for number in range(1, 6)]
    await store.write(lambda tx: tx.resources.add([*records, held(second)]))
    found, cursor = [], None
    while True:
        items, cursor = await store.read(
            lambda tx, cursor=cursor: tx.resources.page(Page(2, cursor), customer_id=first.id, at=NOW + 2 * HOUR)
        )
        found += items
        if cursor is None:
            break
    assert found == records[2:]
    assert await store.read(lambda tx: tx.resources.counts(NOW + 2 * HOUR)) == (2, 4)


async def test_the_end_is_excluded_and_the_beginning_included(store, customers):
    await store.write(lambda tx: tx.resources.add([held(customers[0], host="st-07", held_until=NOW + HOUR)]))
    tick = timedelta(microseconds=1)
    for moment, expected in ((NOW - tick, 0), (NOW, 1), (NOW + HOUR - tick, 1), (NOW + HOUR, 0)):
        failed = FailedPart(moment, moment, hosts=("st-07",))
        assert len(await store.read(lambda tx, failed=failed: tx.resources.concerned(failed))) == expected, moment


async def test_a_resource_that_moved_within_the_time_counts_once(store, customers):
    moved = [
        held(customers[0], host="st-07", availability_zone="fr1-b", held_until=NOW + HOUR),
        held(customers[0], host="st-08", availability_zone="fr1-b", held_from=NOW + HOUR),
    ]
    await store.write(lambda tx: tx.resources.add([*moved, held(customers[1], availability_zone="fr1-b")]))
    failed = FailedPart(NOW, None, availability_zones=("fr1-b",))
    found = await store.read(lambda tx: list(tx.resources.concerned(failed)))
    assert {item.customer_id: item.resources for item in found} == {customers[0].id: 1, customers[1].id: 1}
    first = await store.read(lambda tx: tx.resources.concerned_resources(failed, customers[0].id, 5))
    assert list(first) == [moved[1]]


async def test_most_resources_come_first(store, customers):
    first, second, third = customers
    records = [held(second, f"vm-{number}", region="fr1") for number in range(3)]
    records += [held(third, f"vm-{number}", region="fr1") for number in range(2)] + [held(first, region="fr1")]
    await store.write(lambda tx: tx.resources.add(records))
    found = await store.read(lambda tx: list(tx.resources.concerned(FailedPart(NOW, None, regions=("fr1",)))))
    assert [(item.customer_id, item.resources) for item in found] == [(second.id, 3), (third.id, 2), (first.id, 1)]


async def test_a_lookup_is_confirmed_once_and_dropped_with_age(store, customers):
    lookup = ResourceLookup(
        uuid4(), NOW, "account:a", FailedPart(NOW, None, kinds=(InventoryKind.VOLUME,), identifiers=("é'\"",)),
        (ConcernedCustomer(customers[0].id, 2),),
    )  # fmt: skip
    await store.write(lambda tx: tx.resources.add_lookup(lookup))
    assert await store.read(lambda tx: tx.resources.lookup(lookup.id)) == lookup
    confirmed = replace(lookup, confirmed=(customers[0].id,), confirmed_at=NOW + HOUR, confirmed_by="account:b")
    await store.write(lambda tx: tx.resources.confirm_lookup(confirmed))
    assert await store.read(lambda tx: tx.resources.lookup(lookup.id)) == confirmed
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.resources.confirm_lookup(confirmed))
    await store.write(lambda tx: tx.resources.drop_lookups(NOW))
    assert await store.read(lambda tx: tx.resources.lookup(lookup.id)) == confirmed
    await store.write(lambda tx: tx.resources.drop_lookups(NOW + HOUR))
    assert await store.read(lambda tx: tx.resources.lookup(lookup.id)) is None


async def test_the_latest_snapshot_is_the_one_of_the_latest_time(store):
    snapshots = [ResourceSnapshot(NOW + hours * HOUR, NOW, "account:a", hours) for hours in (1, 3, 2)]
    assert await store.read(lambda tx: tx.resources.latest_snapshot()) is None
    await store.write(lambda tx: [tx.resources.add_snapshot(snapshot) for snapshot in snapshots])
    assert await store.read(lambda tx: tx.resources.latest_snapshot()) == snapshots[1]


_TERMS = st.one_of(st.none(), st.sampled_from(["a", "b"]))
_HOURS = st.integers(0, 6)
_RECORDS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["vm-1", "vm-2"]), st.sampled_from(list(InventoryKind)[:2]),
        st.fixed_dictionaries(dict.fromkeys(("service", "region", "availability_zone", "host"), _TERMS)),
        st.lists(_HOURS, min_size=1, max_size=5, unique=True),
    ),
    max_size=8,
    unique_by=lambda item: item[:3],
)  # fmt: skip
_WANTED = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2).map(tuple)
_FAILED = st.builds(
    lambda begin, lasts, **fields: FailedPart(
        NOW + begin * HOUR, None if lasts is None else NOW + (begin + lasts) * HOUR, **fields
    ),
    _HOURS,
    st.one_of(st.none(), st.integers(0, 3)),
    services=_WANTED,
    regions=_WANTED,
    availability_zones=_WANTED,
    hosts=_WANTED,
    kinds=st.lists(st.sampled_from(list(InventoryKind)[:3]), max_size=2).map(tuple),
    identifiers=st.lists(st.sampled_from(["vm-1", "vm-2", "vm-3"]), max_size=2).map(tuple),
).filter(FailedPart.is_narrowed)


def intervals(hours):
    """Return the intervals that hours cut: one after the other, the last one open where there is an odd number."""
    cut = [NOW + hour * HOUR for hour in sorted(hours)]
    return [(begin, cut[position + 1] if position + 1 < len(cut) else None) for position, begin in enumerate(cut)]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_lookup_equals_a_naive_filter(engine, tmp_path):
    loop = asyncio.new_event_loop()
    run = loop.run_until_complete
    lending = ExitStack()
    store = open_store(lending.enter_context(lent_address(engine, tmp_path)), migrate=False)
    made = [replace(make_customer(), id=uuid4(), name=f"C{number}") for number in range(3)]
    run(store.write(lambda tx: [tx.customers.add(customer, SALT) for customer in made]))

    class UndoneError(Exception):
        pass

    @settings(max_examples=150)
    @given(_RECORDS, st.lists(_FAILED, min_size=1, max_size=4))
    def equal(stated, lookups):
        records = [
            held(made[number], identifier, kind=kind, held_from=begin, held_until=end, **places)
            for number, identifier, kind, places, hours in stated
            for begin, end in intervals(hours)
        ]

        def work(tx):
            tx.resources.add(records)
            for failed in lookups:
                concerned = [record for record in records if failed.concerns(record)]
                naive = {
                    customer.id: len({record.identity for record in concerned if record.customer_id == customer.id})
                    for customer in made
                }
                found = {item.customer_id: item.resources for item in tx.resources.concerned(failed)}
                assert found == {key: number for key, number in naive.items() if number}
                for key, number in found.items():
                    listed = tx.resources.concerned_resources(failed, key, 100)
                    assert len(listed) == number
                    assert set(listed) <= set(concerned)
            raise UndoneError

        with pytest.raises(UndoneError):
            run(store.write(work))

    try:
        equal()
    finally:
        run(store.close())
        loop.close()
        lending.close()
