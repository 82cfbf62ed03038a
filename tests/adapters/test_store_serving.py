"""The contract of what surrounds deliveries: webhooks, returns, acknowledgements, escalation, calls, checks, pauses."""

from dataclasses import replace
from uuid import uuid4

import pytest

from notifications.delivery.call_task import CallTaskState
from notifications.delivery.delivery import ChannelKind, DeliveryCause, DeliveryState
from notifications.delivery.webhook import EndpointState
from notifications.errors import NotFoundError, StateConflictError, VersionMismatchError
from notifications.notice import NoticeState
from notifications.ports import Page
from support.opened_store import opened_store
from support.records import (
    NOBODY,
    NOW,
    SALT,
    after,
    make_attempt,
    make_contact,
    make_customer,
    make_delivery,
    make_incident,
    make_notice,
    make_sealed,
)
from support.serving_records import (
    make_acknowledgement,
    make_call_record,
    make_call_task,
    make_check,
    make_endpoint,
    make_escalation,
    make_opening,
    make_pause,
    make_returned,
    make_secret,
)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
async def house(store):
    """A customer with a contact and a proven notice."""
    customer, incident = make_customer(acknowledge_within_seconds=3600), make_incident()
    contact, notice = make_contact(customer, phone="+33 1 23 45 67 89"), make_notice(incident, customer)

    def work(tx):
        tx.customers.add(customer, SALT)
        tx.customers.add_contact(contact)
        tx.incidents.add(incident)
        tx.notices.add([notice])
        tx.notices.add_seal(make_sealed(notice, log_proof=b"p"), NOBODY)

    await store.write(work)
    return customer, incident, contact, notice


async def versions(store, name, save, record):
    """Check the rule of versions for a record that stands at version 1."""
    following = replace(record, version=2)
    await store.write(lambda tx: save(tx)(following, 1))
    with pytest.raises(VersionMismatchError):
        await store.write(lambda tx: save(tx)(following, 1))
    with pytest.raises(ValueError, match="follow"):
        await store.write(lambda tx: save(tx)(following, 2))
    return following


async def test_what_contacts_and_customers_gained_is_kept(store, house):
    customer, _, contact, _ = house
    assert await store.read(lambda tx: (tx.customers.get(customer.id), tx.customers.contact(contact.id))) == (
        customer,
        contact,
    )
    await store.write(lambda tx: tx.customers.save_contact(replace(contact, phone=None, version=2), 1))
    await store.write(lambda tx: tx.customers.save(replace(customer, acknowledge_within_seconds=None, version=2), 1))
    assert (await store.read(lambda tx: tx.customers.contact(contact.id))).phone is None
    assert (await store.read(lambda tx: tx.customers.get(customer.id))).acknowledge_within_seconds is None


class TestQueue:
    async def test_all_fields_of_a_delivery_are_kept(self, store, house):
        customer, _, _, notice = house
        endpoint = make_endpoint(customer)
        delivery = make_delivery(
            notice,
            channel=ChannelKind.WEBHOOK,
            endpoint_id=endpoint.id,
            cause=DeliveryCause.ESCALATION,
            sent_at=after(seconds=1),
            destination="webhook:x",
        )
        await store.write(lambda tx: (tx.webhooks.add(endpoint), tx.deliveries.add([delivery])))
        assert await store.read(lambda tx: tx.deliveries.get(delivery.id)) == delivery
        assert await store.read(lambda tx: tx.deliveries.get(NOBODY)) is None

    async def test_a_webhook_brings_its_endpoint_and_secrets(self, store, house):
        customer, _, _, notice = house
        endpoint = make_endpoint(customer)
        secrets = [make_secret(endpoint), make_secret(endpoint, public_key=None, expires_at=None)]
        delivery = make_delivery(notice, channel=ChannelKind.WEBHOOK, endpoint_id=endpoint.id)

        def work(tx):
            tx.webhooks.add(endpoint)
            for secret in secrets:
                tx.webhooks.add_secret(secret)
            tx.deliveries.add([delivery, make_delivery(notice)])

        await store.write(work)
        due = await store.write(lambda tx: tx.deliveries.lease(NOW, after(minutes=5), 9))
        assert [(item.endpoint, item.secrets) for item in due] == [(endpoint, tuple(secrets)), (None, ())]

    async def test_channels_and_destinations_are_passed_over(self, store, house):
        _, _, contact, notice = house
        mail, inbox = (
            make_delivery(notice, contact, destination="email:a"),
            make_delivery(notice, destination="console"),
        )
        other = make_delivery(notice, contact, destination="email:b")
        await store.write(lambda tx: tx.deliveries.add([mail, inbox, other]))

        async def leased(**without):
            due = await store.write(lambda tx: tx.deliveries.lease(NOW, after(minutes=5), 9, **without))
            await store.write(lambda tx: tx.deliveries.release_leases([item.delivery.id for item in due]))
            return [item.delivery for item in due]

        assert await leased() == [mail, inbox, other]
        assert await leased(except_channels={ChannelKind.EMAIL}) == [inbox]
        assert await leased(except_channels=set(ChannelKind)) == []
        assert await leased(except_destinations={"email:a", "email:x"}) == [inbox, other]
        many = {f"webhook:{number}" for number in range(200)}
        assert await leased(except_destinations=many | {"console"}, except_channels={ChannelKind.WEBHOOK}) == [
            mail,
            other,
        ]

    async def test_of_one_deadline_every_notice_has_its_turn(self, store, house):
        customer, incident, contact, notice = house
        second = make_notice(incident, customer, sequence=2)
        sooner = make_notice(incident, customer, sequence=3, due_at=after(minutes=1))
        await store.write(
            lambda tx: (
                tx.notices.add([second, sooner]),
                [tx.notices.add_seal(make_sealed(item, log_proof=b"p"), NOBODY) for item in (second, sooner)],
            )
        )
        first_batch = [make_delivery(notice, contact) for _ in range(3)]
        await store.write(lambda tx: tx.deliveries.add(first_batch[:2]))
        second_batch = [make_delivery(second, contact) for _ in range(2)]
        urgent = make_delivery(sooner)
        await store.write(lambda tx: tx.deliveries.add([*second_batch, first_batch[2], urgent]))
        due = await store.write(lambda tx: tx.deliveries.lease(NOW, after(minutes=5), 9))
        expected = [urgent, first_batch[0], second_batch[0], first_batch[1], second_batch[1], first_batch[2]]
        assert [item.delivery for item in due] == expected

    async def test_what_is_given_back_is_due_at_once(self, store, house):
        deliveries = [make_delivery(house[3]) for _ in range(2)]
        await store.write(lambda tx: tx.deliveries.add(deliveries))
        await store.write(lambda tx: tx.deliveries.lease(NOW, after(minutes=5), 9))
        await store.write(lambda tx: tx.deliveries.release_leases([deliveries[1].id, NOBODY]))
        due = await store.write(lambda tx: tx.deliveries.lease(NOW, after(minutes=5), 9))
        assert [item.delivery for item in due] == deliveries[1:]

    async def test_a_delivery_stands_otherwise_without_an_attempt(self, store, house):
        delivery = make_delivery(house[3])
        await store.write(lambda tx: tx.deliveries.add([delivery]))
        sent = replace(delivery, state=DeliveryState.SENT, attempts=1, next_attempt_at=None, sent_at=after(seconds=1))
        await store.write(lambda tx: tx.deliveries.finish_attempt(sent, make_attempt(delivery), None))
        back = replace(sent, state=DeliveryState.FAILED, last_error="5.1.1 no such user", sent_at=None)
        with pytest.raises(VersionMismatchError):
            await store.write(lambda tx: tx.deliveries.save(back, 0))
        await store.write(lambda tx: tx.deliveries.save(back, 1))
        assert await store.read(lambda tx: tx.deliveries.get(delivery.id)) == back
        assert list(await store.read(lambda tx: tx.deliveries.troubled(9))) == [back]
        with pytest.raises(NotFoundError):
            await store.write(lambda tx: tx.deliveries.save(make_delivery(house[3]), 0))

    async def test_released_notices_are_leased_too(self, store, house):
        customer, incident, _, _ = house
        other = make_customer()
        later = make_notice(incident, customer, sequence=2, state=NoticeState.RELEASED)
        sooner = make_notice(incident, other, state=NoticeState.RELEASED, due_at=after(minutes=1))
        await store.write(lambda tx: (tx.customers.add(other, SALT), tx.notices.add([later, sooner])))

        async def leased(now=NOW, limit=9):
            return list(await store.write(lambda tx: tx.notices.lease_released(now, after(minutes=5), limit)))

        assert await leased(limit=1) == [sooner]
        assert await leased() == [later]
        assert await leased() == []
        await store.write(lambda tx: tx.notices.release_leases([later.id]))
        assert await leased() == [later]
        assert await leased(after(minutes=5)) == [sooner, later]

    async def test_a_notice_is_leased_after_the_one_that_it_follows(self, store, house):
        customer, incident, _, _ = house
        first = make_notice(incident, customer, sequence=2, state=NoticeState.RELEASED)
        follower = make_notice(incident, customer, sequence=3, state=NoticeState.RELEASED, due_at=after(minutes=1))
        await store.write(lambda tx: tx.notices.add([first, follower]))

        async def leased(now=NOW):
            return list(await store.write(lambda tx: tx.notices.lease_released(now, after(minutes=5), 9)))

        async def saved(**changes):
            changed = replace(first, **changes, version=first.version + 1)
            await store.write(lambda tx: tx.notices.save(changed, first.version))
            return changed

        assert await leased() == [first]
        assert await leased() == [], "the one that it follows is not sealed yet"
        first = await saved(hold_reason="no key")
        assert await leased() == [follower], "one that is held delays no later one"
        first = await saved(hold_reason=None)
        assert await leased(after(minutes=5)) == [first]
        await saved(state=NoticeState.SEALED, sealed_at=NOW)
        assert await leased(after(minutes=5)) == [follower]


async def test_endpoints_and_secrets(store, house):
    customer, *_ = house
    endpoint, other = make_endpoint(customer), make_endpoint(customer, state_reason=None, failing_since=None)
    secret = make_secret(endpoint)
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.webhooks.add_secret(secret))
    await store.write(lambda tx: (tx.webhooks.add(endpoint), tx.webhooks.add(other)))
    await store.write(lambda tx: tx.webhooks.add_secret(secret))
    assert list(await store.read(lambda tx: tx.webhooks.endpoints(customer.id))) == [endpoint, other]
    assert list(await store.read(lambda tx: tx.webhooks.endpoints(NOBODY))) == []
    changed = replace(endpoint, url="https://x.example/", state=EndpointState.ACTIVE, state_reason=None)
    changed = await versions(store, "endpoint", lambda tx: tx.webhooks.save, changed)
    assert await store.read(lambda tx: tx.webhooks.get(endpoint.id)) == changed
    assert list(await store.read(lambda tx: tx.webhooks.endpoints(None))) == [changed, other]
    renewed = replace(secret, sealed=b"other", expires_at=None)
    await store.write(lambda tx: tx.webhooks.save_secret(renewed))
    assert list(await store.read(lambda tx: tx.webhooks.secrets(endpoint.id))) == [renewed]
    assert list(await store.read(lambda tx: tx.webhooks.secrets(None))) == [renewed]
    assert await store.write(lambda tx: tx.webhooks.drop_secret(secret.id))
    assert not await store.write(lambda tx: tx.webhooks.drop_secret(secret.id))
    with pytest.raises(NotFoundError):
        await store.write(lambda tx: tx.webhooks.save_secret(renewed))


async def test_what_came_back(store, house):
    delivery = make_delivery(house[3])
    await store.write(lambda tx: tx.deliveries.add([delivery]))
    returned, unknown = make_returned(delivery), make_returned(None, status=None, diagnostic=None, reporting_mta=None)
    await store.write(lambda tx: (tx.deliveries.record_bounce(returned), tx.deliveries.record_bounce(unknown)))
    assert list(await store.read(lambda tx: tx.deliveries.bounces(delivery.id))) == [returned]
    assert list(await store.read(lambda tx: tx.deliveries.bounces(None))) == [unknown]
    assert await store.read(lambda tx: tx.deliveries.bounce(returned.id)) == returned
    assert await store.read(lambda tx: tx.deliveries.bounce(NOBODY)) is None


async def test_openings_and_acknowledgements_count_once_per_person(store, house):
    _, _, contact, notice = house
    opening, acknowledgement = make_opening(notice), make_acknowledgement(notice, contact)
    for add, record, listed in (
        ("add_opening", opening, "openings"),
        ("add_acknowledgement", acknowledgement, "acknowledgements"),
    ):
        assert await store.write(lambda tx, a=add, r=record: getattr(tx.notices, a)(r))
        assert not await store.write(lambda tx, a=add, r=record: getattr(tx.notices, a)(r))
        assert await store.write(
            lambda tx, a=add, r=record: getattr(tx.notices, a)(replace(r, by="account:z", **_id(r)))
        )
        found = await store.read(lambda tx, of=listed: getattr(tx.notices, of)(notice.id))
        assert found[0] == record
        assert [item.by for item in found] == [record.by, "account:z"]


def _id(record):
    return {"id": uuid4()} if hasattr(record, "id") else {}


async def test_clocks_strike_in_order(store, house):
    customer, incident, _, notice = house
    second = make_notice(incident, customer, sequence=2)
    await store.write(lambda tx: tx.notices.add([second]))
    early, late = make_escalation(second, next_look_at=after(minutes=1)), make_escalation(notice)
    await store.write(lambda tx: (tx.escalations.add(late), tx.escalations.add(early)))
    assert await store.read(lambda tx: tx.escalations.get(notice.id)) == late
    assert await store.read(lambda tx: tx.escalations.next_look_at()) == after(minutes=1)
    assert list(await store.read(lambda tx: tx.escalations.due(NOW, 9))) == []
    assert list(await store.read(lambda tx: tx.escalations.due(after(minutes=5), 9))) == [early, late]
    assert list(await store.read(lambda tx: tx.escalations.due(after(minutes=5), 1))) == [early]
    ended = await versions(
        store, "escalation", lambda tx: tx.escalations.save, replace(early, next_look_at=None, acknowledge_by=None)
    )
    assert await store.read(lambda tx: tx.escalations.get(second.id)) == ended
    assert list(await store.read(lambda tx: tx.escalations.due(after(days=9), 9))) == [late]


async def test_a_clock_is_hastened_by_whoever_changes_how_a_notice_stands(store, house):
    _, _, _, notice = house
    assert not await store.write(lambda tx: tx.escalations.hasten(notice.id, NOW))
    clock = make_escalation(notice, next_look_at=after(hours=2))
    await store.write(lambda tx: tx.escalations.add(clock))
    assert await store.write(lambda tx: tx.escalations.hasten(notice.id, after(hours=1)))
    # What is earlier stays, but whoever looked before this learns that it has to look again.
    assert await store.write(lambda tx: tx.escalations.hasten(notice.id, after(hours=5)))
    hastened = await store.read(lambda tx: tx.escalations.get(notice.id))
    assert hastened == replace(clock, next_look_at=after(hours=1), version=3)
    ended = replace(hastened, next_look_at=None, version=4)
    await store.write(lambda tx: tx.escalations.save(ended, 3))
    await store.write(lambda tx: tx.escalations.hasten(notice.id, NOW))
    assert (await store.read(lambda tx: tx.escalations.get(notice.id))).next_look_at == NOW


async def test_call_tasks_and_calls(store, house):
    _, _, contact, notice = house
    task = make_call_task(notice)
    await store.write(lambda tx: tx.escalations.add_call_task(task))
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.escalations.add_call_task(make_call_task(notice)))
    calls = [make_call_record(task, contact), make_call_record(task, spoke_to=None, note=None)]
    await store.write(lambda tx: [tx.escalations.add_call_record(call) for call in calls])
    assert list(await store.read(lambda tx: tx.escalations.call_records(task.id))) == calls
    closed = replace(task, state=CallTaskState.DONE, closed_at=after(hours=1))
    closed = await versions(store, "call task", lambda tx: tx.escalations.save_call_task, closed)
    again = make_call_task(notice)
    await store.write(lambda tx: tx.escalations.add_call_task(again))
    assert list(await store.read(lambda tx: tx.escalations.call_tasks_of_notice(notice.id))) == [closed, again]
    assert await store.read(lambda tx: tx.escalations.call_task(task.id)) == closed
    assert await store.read(lambda tx: tx.escalations.call_tasks(Page(9), state="open")) == ([again], None)
    first, cursor = await store.read(lambda tx: tx.escalations.call_tasks(Page(1)))
    assert (first, await store.read(lambda tx: tx.escalations.call_tasks(Page(1, cursor)))) == (
        [closed],
        ([again], None),
    )


async def test_the_latest_check_of_each_subject_counts(store, house):
    customer, *_ = house
    first, other = make_check(customer), make_check(customer, ok=True, code=None, reason=None)
    again = make_check(customer, subject_id=first.subject_id, ok=True, checked_at=after(days=1))
    await store.write(lambda tx: tx.customers.add_reachability_checks([first, other]))
    await store.write(lambda tx: tx.customers.add_reachability_checks([again]))
    assert list(await store.read(lambda tx: tx.customers.latest_reachability_checks(customer.id))) == [other, again]
    assert list(await store.read(lambda tx: tx.customers.latest_reachability_checks(None))) == [other, again]
    assert list(await store.read(lambda tx: tx.customers.latest_reachability_checks(NOBODY))) == []


async def test_a_pause_replaces_the_one_before_and_ends_once(store):
    pause = make_pause()
    await store.write(lambda tx: tx.deliveries.pause_channel(make_pause(reason="before", until=None)))
    await store.write(lambda tx: tx.deliveries.pause_channel(pause))
    webhook = make_pause(ChannelKind.WEBHOOK)
    await store.write(lambda tx: tx.deliveries.pause_channel(webhook))
    assert list(await store.read(lambda tx: tx.deliveries.channel_pauses())) == [pause, webhook]
    assert await store.write(lambda tx: tx.deliveries.resume_channel(ChannelKind.EMAIL))
    assert not await store.write(lambda tx: tx.deliveries.resume_channel(ChannelKind.EMAIL))
