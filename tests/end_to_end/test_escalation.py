"""Fallback and escalation from outside: real SMTP that refuses, clocks turned by hand, calls recorded as evidence."""

from datetime import timedelta

import pytest

from support.clocks import SteppedClock
from support.desk import GONE, desk_of, has_states
from support.postgresql_server import database_settings
from support.scenario import change, release

BUSY = "451 4.7.1 greylisted, come back later"


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request, data_folder, service_log):
    with database_settings(request.param) as shared:
        async with desk_of(data_folder, SteppedClock(), **shared) as opened:
            yield opened


async def test_where_the_first_contact_is_gone_the_next_has_the_notice_before_it_is_due(desk):
    desk.smtp.refused = {"rssi@valmont.example": GONE}
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?")
    _, notice = await desk.notified(owner)
    # Nobody turns the clock and nobody looks: the failure itself wakes whoever does.
    await desk.smtp.got("direction@valmont.example")
    await desk.until_states(notice, "failed", "sent")
    assert await desk.calls(notice) == []
    sent = await desk.read(lambda tx: tx.deliveries.of_notice(notice)[-1])
    assert (sent.cause, sent.sent_at < (await desk.read(lambda tx: tx.notices.get(notice))).due_at) == (
        "fallback",
        True,
    )


async def test_where_all_refuse_somebody_is_to_call_and_it_is_said_once(desk):
    desk.smtp.refused = {"rssi@valmont.example": GONE, "direction@valmont.example": GONE}
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?")
    _, notice = await desk.notified(owner)
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice))
    for _ in range(3):
        await desk.look(hours=1)
    assert await desk.calls(notice) == [("all_failed", "open")]
    assert desk.smtp.served == []


async def test_where_nobody_can_be_written_to_somebody_is_to_call_at_once(desk):
    _, notice = await desk.notified(await desk.customer())
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice))
    assert await desk.calls(notice) == [("nobody_reachable", "open")]


async def test_while_the_first_is_greylisted_the_fallback_has_it_before_the_deadline(desk):
    desk.smtp.refused = {"rssi@valmont.example": BUSY}
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?")
    _, notice = await desk.notified(owner)
    await desk.until_states(notice, "failing")
    await desk.look(minutes=59)
    assert len(await desk.read(lambda tx: tx.deliveries.of_notice(notice))) == 2
    await desk.look(minutes=1)
    await desk.smtp.got("direction@valmont.example")
    # The first one is still owed what it was promised, and gets it as soon as its server takes it.
    desk.smtp.refused = {}
    await desk.until_tried_again(has_states(notice, "sent", "sent"), minutes=25)
    await desk.look()
    await desk.smtp.got("direction@valmont.example", "rssi@valmont.example")
    assert await desk.calls(notice) == []


async def test_a_call_is_off_when_the_mail_goes_through_after_all(desk):
    desk.smtp.refused = {"rssi@valmont.example": BUSY}
    _, notice = await desk.notified(await desk.customer("rssi@valmont.example"))
    await desk.until_states(notice, "failing")
    await desk.look(minutes=105)
    assert await desk.calls(notice) == [("deadline_near", "open")]
    desk.smtp.refused = {}
    await desk.until_tried_again(
        lambda tx: tx.escalations.call_tasks_of_notice(notice)[0].state == "cancelled", hours=1
    )


async def test_a_notice_that_is_not_acknowledged_escalates_on_its_clock(desk):
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?", acknowledge_within_seconds=3600)
    _, notice = await desk.notified(owner)
    await desk.smtp.got("rssi@valmont.example")
    await desk.until_states(notice, "sent")
    await desk.look(minutes=59)
    assert len(desk.smtp.served) == 1
    await desk.look(minutes=2)
    await desk.smtp.got("rssi@valmont.example", "direction@valmont.example")
    await desk.until_states(notice, "sent", "sent")
    await desk.look(minutes=60)
    assert await desk.calls(notice) == [("not_acknowledged", "open")]


async def test_hours_without_a_look_are_made_up_for_once(desk):
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?", acknowledge_within_seconds=3600)
    _, notice = await desk.notified(owner)
    await desk.until_states(notice, "sent")
    await desk.look(hours=7)
    await desk.until_states(notice, "sent", "sent")
    for _ in range(3):
        await desk.look(hours=7)
    await desk.smtp.got("rssi@valmont.example", "direction@valmont.example")
    assert await desk.calls(notice) == [("not_acknowledged", "open")]


async def test_a_follow_up_goes_to_the_fallback_that_carried_the_notice_too(desk):
    desk.smtp.refused = {"rssi@valmont.example": GONE}
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?", "juriste@valmont.example?")
    incident, _ = await desk.notified(owner)
    await desk.smtp.got("direction@valmont.example")
    desk.smtp.refused = {}
    incident = await change(desk.api, incident, summary="More is known.")
    await release(desk.api, incident)
    await desk.smtp.got("direction@valmont.example", "direction@valmont.example", "rssi@valmont.example")


async def test_what_an_unreached_customer_is_owed_passes_to_the_follow_up(desk):
    desk.smtp.refused = {"rssi@valmont.example": GONE}
    incident, notice = await desk.notified(await desk.customer("rssi@valmont.example"))
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice))
    incident = await change(desk.api, incident, summary="More is known.")
    following = await desk.released(incident)
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(following))
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice)[0].state == "cancelled")
    assert await desk.calls(following) == [("all_failed", "open")]


async def test_a_restart_between_the_clock_and_the_look_doubles_nothing(data_folder, service_log):
    clock = SteppedClock()
    async with desk_of(data_folder, clock) as desk:
        desk.smtp.refused = {"rssi@valmont.example": BUSY}
        owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?")
        _, notice = await desk.notified(owner)
        await desk.until_states(notice, "failing")
    clock.step(timedelta(hours=9))
    for _ in range(2):
        async with desk_of(data_folder, clock) as desk:
            desk.smtp.refused = {"rssi@valmont.example": BUSY, "direction@valmont.example": BUSY}
            await desk.until_states(notice, "failing", "failing")
            assert await desk.calls(notice) == [("deadline_near", "open")]
