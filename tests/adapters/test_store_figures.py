"""How the service fares, counted by the store: on both engines, by indexes, at the cost of what is open."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from notifications.delivery.delivery import ChannelKind, DeliveryState, Outcome, OutcomeKind
from notifications.delivery.reachability import CheckSubject
from notifications.delivery.webhook import EndpointState
from notifications.notice import NoticeState
from service.ports.figures import hold_reason_kind
from service.store.delivery import figures as statements
from support.access_records import make_alert, make_mail
from support.opened_store import opened_store
from support.records import (
    NOW,
    after,
    make_attempt,
    make_contact,
    make_customer,
    make_delivery,
    make_entry,
    make_incident,
    make_notice,
    make_sealed,
)
from support.serving_records import make_call_task, make_check, make_endpoint, make_pause
from support.sqlite_file import new_database

SALT = b"s" * 32


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
async def house(store):
    customer, incident = make_customer(), make_incident()
    contact = make_contact(customer)
    await store.write(
        lambda tx: (tx.customers.add(customer, SALT), tx.incidents.add(incident), tx.customers.add_contact(contact))
    )
    return customer, incident, contact


async def put(store, *works):
    for work in works:
        await store.write(work)


async def figures(store, at=NOW):
    return await store.read(lambda tx: tx.figures.collect(at))


async def test_an_empty_store_has_nothing_open(store):
    found = await figures(store)
    assert found.queues == ()
    assert (found.log.size, found.log.pending, found.log.oldest_pending_at) == (0, 0, None)
    assert (dict(found.unsealed), dict(found.held), dict(found.open_alerts)) == ({}, {}, {})
    assert (found.without_contact, found.open_calls, found.paused) == (0, 0, frozenset())


async def test_deliveries_are_counted_by_channel_and_state(store, house):
    customer, incident, contact = house
    notice = make_notice(incident, customer, state=NoticeState.SEALED, due_at=after(hours=3))
    due, later, failed, sent = (
        make_delivery(notice, contact, **changes)
        for changes in (
            {"next_attempt_at": after(minutes=-7)},
            {"next_attempt_at": after(minutes=5)},
            {"state": DeliveryState.FAILED, "last_error": "550 no", "next_attempt_at": None},
            {"state": DeliveryState.SENT, "next_attempt_at": None},
        )
    )
    placed = make_delivery(notice, next_attempt_at=after(minutes=-1))
    await put(store, lambda tx: (tx.notices.add([notice]), tx.deliveries.add([due, later, failed, sent, placed])))
    console, email = (await figures(store)).queues
    assert (email.channel, email.due, email.waiting, email.leased, email.failed) == ("email", 1, 1, 0, 1)
    assert (email.oldest_due_at, email.nearest_deadline) == (after(minutes=-7), after(hours=3))
    assert (console.channel, console.due, console.oldest_due_at) == ("console", 1, after(minutes=-1))


async def test_a_lease_that_ran_out_is_told_apart(store, house):
    customer, incident, contact = house
    notice = make_notice(incident, customer)
    delivery = make_delivery(notice, contact)
    await put(
        store,
        lambda tx: (tx.notices.add([notice]), tx.notices.add_seal(make_sealed(notice), make_entry().id)),
        lambda tx: (tx.notices.set_log_proof(notice.id, b"proof"), tx.deliveries.add([delivery])),
        lambda tx: tx.deliveries.lease(NOW, after(minutes=5), 10),
    )
    (queue,) = (await figures(store, after(minutes=1))).queues
    assert (queue.leased, queue.due, queue.lease_expired, queue.oldest_due_at) == (1, 0, 0, NOW)
    (queue,) = (await figures(store, after(minutes=6))).queues
    assert (queue.leased, queue.due, queue.lease_expired) == (0, 1, 1)


async def test_notices_that_do_not_go_out_are_counted_with_their_deadlines_and_what_holds_them(store, house):
    customer, incident, _ = house
    notices = [
        make_notice(incident, customer, sequence=1, state=NoticeState.DRAFT, due_at=after(hours=2)),
        make_notice(incident, customer, sequence=2, state=NoticeState.DRAFT, due_at=after(hours=1)),
        make_notice(
            incident, customer, sequence=3, state=NoticeState.RELEASED, due_at=after(hours=4), hold_reason="key x"
        ),
        make_notice(
            incident, customer, sequence=4, state=NoticeState.RELEASED, due_at=after(hours=5), hold_reason=None
        ),
        make_notice(incident, customer, sequence=5, state=NoticeState.WITHDRAWN),
    ]
    await put(store, lambda tx: tx.notices.add(notices))
    found = await figures(store)
    assert dict(found.unsealed) == {"draft": 2, "released": 2}
    assert dict(found.unsealed_deadlines) == {"draft": after(hours=1), "released": after(hours=4)}
    assert dict(found.held) == {"key x": 1}


async def test_everything_else_that_waits_is_counted(store, house):
    customer, incident, _ = house
    silent = make_customer()
    notice = make_notice(incident, customer)
    await put(
        store,
        lambda tx: (tx.customers.add(silent, SALT), tx.notices.add([notice])),
        lambda tx: (
            tx.mails.add(make_mail()),
            tx.mails.add(make_mail(state="failed", last_error="550")),
            tx.mails.add(make_mail(state="sent")),
            tx.alerts.add(make_alert(key="a", kind="disk_low", seen_at=None, seen_by=None)),
            tx.alerts.add(make_alert(key="b", kind="disk_low", seen_at=NOW, seen_by="x")),
            tx.webhooks.add(make_endpoint(customer, state=EndpointState.GONE)),
            tx.escalations.add_call_task(make_call_task(notice)),
            tx.deliveries.pause_channel(make_pause(ChannelKind.EMAIL, until=None)),
            tx.deliveries.pause_channel(make_pause(ChannelKind.WEBHOOK, until=NOW)),
        ),
    )
    found = await figures(store)
    assert dict(found.mails) == {"queued": 1, "failed": 1}
    assert dict(found.open_alerts) == {"disk_low": 1}
    assert dict(found.endpoints) == {"gone": 1}
    assert (found.without_contact, found.open_calls, found.paused) == (1, 1, frozenset({"email"}))


async def test_the_log_is_counted_by_what_waits_for_a_checkpoint(store):
    entries = [make_entry(at=after(seconds=number)) for number in range(4)]
    await put(store, lambda tx: tx.audit.append(entries[:2]))
    await put(store, lambda tx: tx.log.grow(0, tx.audit.pending(9), [], b"checkpoint"))
    await put(store, lambda tx: tx.audit.append(entries[2:]))
    log = (await figures(store)).log
    assert (log.size, log.pending) == (2, 2)
    assert (log.newest_sequenced_at, log.oldest_pending_at) == (entries[1].at, entries[2].at)


async def test_the_latest_attempts_are_counted_by_channel_and_outcome(store, house):
    customer, incident, contact = house
    notice = make_notice(incident, customer, state=NoticeState.SEALED)
    deliveries = [make_delivery(notice, contact) for _ in range(4)]
    await put(store, lambda tx: (tx.notices.add([notice]), tx.deliveries.add(deliveries)))
    accepted = Outcome(OutcomeKind.ACCEPTED, 250, "2.0.0", "Ok", "q", None, None, None)
    ends = (after(minutes=-20), after(minutes=-2), after(minutes=-1), NOW)
    for delivery, ended_at, outcome in zip(deliveries, ends, (None, None, None, accepted), strict=True):
        attempt = make_attempt(delivery, ended_at=ended_at)
        attempt = attempt if outcome is None else replace(attempt, outcome=outcome)
        await put(
            store, lambda tx, d=delivery, a=attempt: tx.deliveries.finish_attempt(replace(d, attempts=1), a, None)
        )
    counted = await store.read(lambda tx: dict(tx.figures.recent_outcomes(after(minutes=-10), 100)))
    transient, taken = (ChannelKind.EMAIL, OutcomeKind.TRANSIENT_FAILURE), (ChannelKind.EMAIL, OutcomeKind.ACCEPTED)
    assert counted == {transient: 2, taken: 1}
    assert await store.read(lambda tx: dict(tx.figures.recent_outcomes(after(minutes=-10), 1))) == {taken: 1}


async def test_contacts_that_were_not_checked_of_late_are_found(store, house):
    customer, _, _ = house
    confirmed, checked, old, unconfirmed, inactive = (
        make_contact(customer, verified_at=at, active=active)
        for at, active in ((NOW, True), (NOW, True), (NOW, True), (None, True), (NOW, False))
    )
    of = {"subject": CheckSubject.CONTACT}
    checks = [
        make_check(customer, subject_id=checked.id, checked_at=after(days=8), **of),
        make_check(customer, subject_id=old.id, checked_at=after(days=1), **of),
        make_check(customer, subject=CheckSubject.CERTIFICATE, subject_id=confirmed.id, checked_at=after(days=8)),
    ]
    added = (confirmed, checked, old, unconfirmed, inactive)
    await put(
        store,
        lambda tx: ([tx.customers.add_contact(item) for item in added], tx.customers.add_reachability_checks(checks)),
    )
    found = await store.read(lambda tx: tx.alerts.contacts_to_check(after(days=9), after(days=2), 99))
    told = {item.contact_id: item.was_checked for item in found}
    assert told.items() >= {confirmed.id: False, old.id: True}.items()
    assert told.keys().isdisjoint({checked.id, unconfirmed.id, inactive.id})
    assert await store.read(lambda tx: len(tx.alerts.contacts_to_check(after(days=9), after(days=2), 1))) == 1
    assert await store.read(lambda tx: list(tx.alerts.contacts_to_check(after(days=-9), after(days=2), 9))) == []


#: Statement -> parameters; each reads an index that holds what is open, a key, or a table that stays short.
STATEMENTS = {
    "_QUEUED": 7, "_FAILED": 0, "_UNSEALED": 0, "_HELD": 0, "_OWED": 0, "_MAILS": 0, "_ALERTS": 0, "_CALLS": 0,
    "_LAST_SEQUENCED": 0, "_PENDING": 1, "_LEAF": 1, "_SIZE": 0,
}  # fmt: skip
GROWING = re.compile(
    r"SCAN (deliveries|delivery_attempts|notices|audit_entries|alerts|service_mails|call_tasks)(?! USING)"
)


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_what_is_done_costs_nothing_to_count(name, tmp_path):
    with closing(sqlite3.connect(new_database(tmp_path / "empty.sqlite3"))) as connection:
        explain = f"EXPLAIN QUERY PLAN {getattr(statements, name)}"
        plan = [row[3] for row in connection.execute(explain, (0,) * STATEMENTS[name])]
    assert [step for step in plan if GROWING.search(step)] == [], plan


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("the audit log gives no proof: the sequencer has stopped", "log"),
        ("the From address a@b is not the one the signing certificate names (c@d)", "sender"),
        ("the signing certificate /x/y.pem expired at 2026-01-01 00:00 UTC; install a renewed one", "signing"),
        ("key /x/y.pem cannot be opened: no such file", "signing"),
        ("certificate file /x holds no certificate in PEM", "signing"),
        ("something nobody thought of", "other"),
    ],
)
def test_what_holds_a_notice_is_told_by_kind_and_names_no_file(reason, kind):
    assert hold_reason_kind(reason) == kind
