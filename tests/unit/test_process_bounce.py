"""A bounce of a delivery is recorded as what it is; a failure opens the delivery again, and never mails twice."""

from dataclasses import replace
from uuid import uuid4

import pytest

from notifications.delivery.call_task import CallOutcome, CallTaskState
from notifications.delivery.delivery import DeliveryState, OutcomeKind
from notifications.errors import InvalidInputError, StateConflictError
from notifications.mail.return_path import ReturnPath
from support import returned_samples as samples
from support.records import (
    NOW,
    after,
    make_contact,
)
from support.sent_notice import ANNA
from support.sent_notice import SentNotice as House
from support.serving_records import make_acknowledgement, make_call_record, make_call_task

SENT, QUEUED, FAILED = DeliveryState.SENT, DeliveryState.QUEUED, DeliveryState.FAILED
POLICY = "550 5.7.1 blocked"


async def test_a_failure_stands_with_its_reason_and_somebody_else_is_told():
    house = House()
    second = make_contact(house.customer, order=2)
    house.store._records.contacts[second.id] = second
    taken = await house.back(samples.failed())
    assert taken.is_new
    assert taken.reopened
    now = await house.now()
    assert (now.state, now.sent_at, now.next_attempt_at, now.attempts) == (FAILED, None, None, 1)
    assert now.last_error == "came back: 5.1.1 550 5.1.1 no such user (the address is refused for good)"
    assert await house.look_at() == after(hours=1)
    assert [step.contact_id for step in (await house.plan()).queue] == [second.id]


async def test_the_entry_claims_the_failure_and_holds_no_address():
    house = House()
    await house.back(samples.failed())
    (entry,) = house.entries()
    assert (entry.type, entry.actor) == ("delivery.returned", "system:returns")
    assert entry.subjects.keys() == {"incident", "customer", "notice", "delivery", "contact"}
    assert entry.detail["event"] == "RelayToNonERDSFailure"
    assert (entry.detail["kind"], entry.detail["status"], entry.detail["state"]) == ("failed", "5.1.1", "failed")
    assert entry.commitments.keys() == {"payload"}
    assert "customer.example" not in str(entry.detail)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (samples.delayed(), "delayed"),
        (samples.succeeded(), "delivered"),
        (samples.succeeded("relayed"), "relayed"),
        (samples.OUT_OF_OFFICE, "auto_reply"),
        (samples.ANSWER, "unknown"),
        (samples.QMAIL.replace(b"anna@", b"bob@"), "unknown"),
    ],
)
async def test_anything_else_is_kept_and_changes_nothing(content, kind):
    house = House()
    taken = await house.back(content)
    assert not taken.reopened
    assert await house.now() == house.delivery
    assert await house.look_at() is None
    assert [(message.kind.value, message.content) for message in await house.kept()] == [(kind, content)]
    (entry,) = house.entries()
    # What a server says went well is its statement: no event is claimed by it.
    assert (entry.detail["kind"], entry.detail["event"], entry.detail["state"]) == (kind, None, "sent")


async def test_an_automatic_reply_is_no_acknowledgement():
    house = House()
    await house.back(samples.OUT_OF_OFFICE)
    assert not await house.store.read(lambda tx: list(tx.notices.acknowledgements(house.notice.id)))


async def test_the_same_bytes_are_recorded_once():
    house = House()
    first = await house.back(samples.failed())
    second = await house.back(samples.failed(), hours=2)
    assert (first.is_new, second.is_new) == (True, False)
    assert second.message == first.message
    assert len(await house.kept()) == len(house.entries()) == 1


async def test_a_refusal_that_may_not_be_the_customers_is_tried_again():
    house = House()
    await house.back(samples.failed(status="5.7.1", said=POLICY))
    now = await house.now()
    assert (now.state, now.sent_at) == (QUEUED, None)
    assert after(hours=1) < now.next_attempt_at < house.notice.due_at
    assert "5.7.1 blocked" in now.last_error


async def acknowledge(house):
    given = make_acknowledgement(house.notice)
    await house.store.write(lambda tx: tx.notices.add_acknowledgement(given))


async def call(house):
    task = make_call_task(house.notice, state=CallTaskState.DONE)
    record = make_call_record(task, house.contact, outcome=CallOutcome.REACHED)
    await house.store.write(lambda tx: (tx.escalations.add_call_task(task), tx.escalations.add_call_record(record)))


async def follow(house):
    later = replace(house.notice, id=uuid4(), sequence=2)
    house.store._records.notices[later.id] = later


async def went_on(house):
    await house.back(samples.succeeded())


@pytest.mark.parametrize("before", [acknowledge, call, follow, went_on])
async def test_whoever_may_have_it_gets_no_second_mail_and_the_record_stays_true(before):
    house = House()
    await before(house)
    await house.back(samples.failed(status="5.7.1", said=POLICY))
    now = await house.now()
    assert (now.state, now.next_attempt_at) == (FAILED, None)
    assert "not sent again" in now.last_error


@pytest.mark.parametrize("over", [acknowledge, call])
async def test_nobody_else_is_bothered_once_the_customer_has_it(over):
    house = House()
    second = make_contact(house.customer, order=2)
    house.store._records.contacts[second.id] = second
    await over(house)
    await house.back(samples.failed())
    plan = await house.plan()
    assert (plan.queue, plan.open_task) == ((), None)


async def test_a_refusal_behind_an_alias_is_not_sent_to_all_of_it_again():
    house = House()
    await house.back(samples.failed(address="bob@elsewhere.example", status="5.7.1", said=POLICY))
    assert (await house.now()).state is FAILED
    several = House()
    block = f"Final-Recipient: rfc822; {ANNA}\nAction: failed\nStatus: 5.7.1"
    await several.back(samples.report([block, block.replace("anna", "bob").replace("failed", "delivered")]))
    assert (await several.now()).state is FAILED


async def test_a_contact_out_of_use_is_not_written_to_again():
    house = House(active=False)
    await house.back(samples.failed(status="5.7.1", said=POLICY))
    assert (await house.now()).state is FAILED


async def test_a_failure_of_an_attempt_that_a_later_one_followed_changes_nothing():
    house = House(attempts=2)
    taken = await house.back(samples.failed(), attempt=1)
    assert not taken.reopened
    assert (await house.now()).state is SENT
    assert (await house.back(samples.failed(said="550 5.1.1 again"), attempt=2)).reopened


async def test_a_failure_counts_where_the_attempt_that_followed_was_not_accepted():
    house = House(attempts=2)
    house.attempted(2, OutcomeKind.TRANSIENT_FAILURE)
    assert (await house.back(samples.failed(), attempt=1)).reopened


@pytest.mark.parametrize("state", [QUEUED, FAILED])
async def test_what_does_not_stand_sent_is_left_as_it_is(state):
    house = House(state=state)
    taken = await house.back(samples.failed())
    assert not taken.reopened
    assert await house.now() == house.delivery
    assert len(await house.kept()) == 1


async def test_a_failure_that_comes_before_its_acceptance_is_recorded_comes_again():
    house = House(state=QUEUED, attempts=0)
    path = ReturnPath(house.delivery.id, 1, after(minutes=59))
    with pytest.raises(StateConflictError):
        await house.back(samples.failed(), path=path)
    assert not await house.kept()
    # An attempt that a crash left unrecorded is made again: what came back of it is kept all the same.
    await house.back(samples.failed(), path=path, hours=2)
    assert (await house.now()).state is QUEUED
    assert len(await house.kept()) == 1


async def test_of_a_delivery_that_is_no_more_it_is_kept():
    house = House()
    path = ReturnPath(uuid4(), 1, NOW)
    taken = await house.back(samples.failed(), path=path)
    assert (taken.delivery, taken.message.delivery_id) == (None, None)
    (entry,) = house.entries()
    assert entry.subjects == {"delivery": str(path.delivery_id)}


async def test_whoever_answers_without_end_fills_no_disk_and_hides_no_failure():
    house = House()
    for number in range(10):
        await house.back(samples.OUT_OF_OFFICE + b"%d" % number)
    with pytest.raises(InvalidInputError):
        await house.back(samples.OUT_OF_OFFICE + b"more")
    assert len(await house.kept()) == 10
    assert (await house.back(samples.failed())).reopened


@pytest.mark.parametrize("state", [QUEUED, FAILED])
async def test_a_mail_that_bounces_while_it_is_sent_again_told_nobody(state):
    """It was accepted once and is asked for again; the report of the first sending comes before the second succeeds."""
    house = House(state=state, attempts=2, asked_again=True)
    house.attempted(2, OutcomeKind.PERMANENT_FAILURE)
    second = make_contact(house.customer, order=2)
    house.store._records.contacts[second.id] = second
    taken = await house.back(samples.failed())
    assert not taken.reopened
    now = await house.now()
    assert (now.state, now.sent_at, now.attempts) == (state, None, 2)
    assert await house.look_at() == after(hours=1)
    assert [step.contact_id for step in (await house.plan(hours=9)).queue] == [second.id]


async def test_a_mail_that_was_taken_again_told_its_reader_then_whatever_becomes_of_the_first():
    house = House(state=FAILED, attempts=3, asked_again=True)
    house.attempted(3, OutcomeKind.PERMANENT_FAILURE)
    await house.back(samples.failed())
    assert ((await house.now()).sent_at, await house.look_at()) == (after(minutes=10, seconds=2), None)
