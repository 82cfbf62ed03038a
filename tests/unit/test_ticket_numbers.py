"""Ticket numbers: unique, and telling how many incidents there were only where the provider lets them."""

import re
from itertools import cycle
from uuid import uuid4

import pytest

from notifications.agreement import bundled_agreements
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.customer_decider import Agreements
from notifications.use_cases.incidents.record_incident import record_incident
from support.domain_facts import known_facts
from support.memory_store import MemoryStore
from support.records import NOW

AGREEMENTS = Agreements(dict(bundled_agreements()), "secnumcloud_iaas_3_0")


class Identifiers:
    """Each salt comes several times in a row, so that random numbers meet numbers that are taken."""

    def __init__(self):
        self._salts = cycle([bytes([number]) * 32 for number in range(256) for _ in range(20)])

    def new_id(self):
        return uuid4()

    def new_salt(self):
        return next(self._salts)


async def declared(store, identifiers, **options):
    act = AuditContext("account:anna", NOW, identifiers)
    made = await store.write(lambda tx: record_incident(tx, act, known_facts(aware_at=NOW), AGREEMENTS, **options))
    return made.incident.ticket


async def test_numbers_follow_each_other_without_a_gap():
    store, identifiers = MemoryStore(), Identifiers()
    tickets = [await declared(store, identifiers) for _ in range(3)]
    assert tickets == [f"INC-{NOW.year}-{number:06d}" for number in (1, 2, 3)]


@pytest.mark.parametrize("sequential_between", [False, True])
async def test_random_numbers_are_unique_and_leave_the_sequence_as_it_is(sequential_between):
    store, identifiers = MemoryStore(), Identifiers()
    tickets, counted = [], []
    for _ in range(20):
        tickets.append(await declared(store, identifiers, random_ticket=True))
        if sequential_between:
            counted.append(await declared(store, identifiers))
    assert len({*tickets, *counted}) == len(tickets) + len(counted)
    assert all(re.fullmatch(rf"INC-{NOW.year}-[0-9]{{9}}", ticket) for ticket in tickets)
    assert tickets != sorted(tickets)
    assert counted == [f"INC-{NOW.year}-{number:06d}" for number in range(1, len(counted) + 1)]
