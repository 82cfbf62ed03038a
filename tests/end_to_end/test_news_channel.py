"""The channel of news that a customer chose: a notice names it, and what follows comes by it and is never lost."""

import json
import re

import pytest

from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.acknowledge_notice import open_notice
from support.clocks import SteppedClock
from support.desk import GONE, desk_of
from support.postgresql_server import database_settings
from support.scenario import affected, change, ok

SECURITY, LEGAL = "rssi@valmont.example", "juriste@valmont.example"


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request, data_folder, service_log):
    with database_settings(request.param) as shared:
        async with desk_of(data_folder, SteppedClock(), **shared) as opened:
            yield opened


async def followed(desk, incident, summary="More is known."):
    incident = await change(desk.api, incident, summary=summary)
    return incident, await desk.released(incident)


async def placed(desk, notice):
    """Wait until the notice is in the console; return the channels of its deliveries."""
    await desk.until(
        lambda tx: [each for each in tx.deliveries.of_notice(notice) if each.channel == "console" and each.sent_at]
    )
    return sorted(each.channel.value for each in await desk.read(lambda tx: tx.deliveries.of_notice(notice)))


async def news(desk, notice):
    """Return the sentence of a notice on the channel of news."""
    seal = await desk.until(lambda tx: tx.notices.seal(notice))
    text = next(each.text for each in seal.renderings if each.language == "en")
    said = re.search(r"News of the handling.*?\.(?!\d)", re.sub(r"\s+", " ", text))[0]
    return json.loads(seal.document)["news_channel"], said


async def test_news_by_default_comes_by_the_channels_of_the_notice(desk):
    owner = await desk.customer(SECURITY)
    incident, first = await desk.notified(owner)
    assert await news(desk, first) == (
        "same",
        "News of the handling comes through the channel that carried this notice (clause 11.1.1.2).",
    )
    await followed(desk, incident)
    await desk.smtp.got(SECURITY, SECURITY)


async def test_the_first_notice_goes_everywhere_and_news_comes_where_the_notice_named(desk):
    owner = await desk.customer(SECURITY, news_channel="console")
    incident, first = await desk.notified(owner)
    await desk.smtp.got(SECURITY)
    await desk.until_states(first, "sent")
    channel, said = await news(desk, first)
    assert (channel, "in your customer interface" in said) == ("console", True)
    incident, second = await followed(desk, incident)
    assert await placed(desk, second) == ["console"]
    # Somebody of the customer opens it there: nothing more is owed.
    await desk.running.parts.store.write(lambda tx: opened(tx, desk, second))
    for _ in range(4):
        await desk.look(hours=12)
    await desk.smtp.got(SECURITY)
    assert await desk.calls(second) == []


def opened(tx, desk, notice):
    act = AuditContext("account:anna", desk.clock.now(), desk.running.parts.context.identifiers)
    open_notice(tx, act, notice)


async def test_news_that_nobody_opens_in_the_console_is_mailed_once(desk):
    owner = await desk.customer(SECURITY, f"{LEGAL}?", news_channel="console")
    incident, first = await desk.notified(owner)
    await desk.until_states(first, "sent")
    _, second = await followed(desk, incident)
    assert await placed(desk, second) == ["console"]
    await desk.look(hours=11)
    await desk.smtp.got(SECURITY)
    await desk.look(hours=1)
    await desk.until_states(second, "sent")
    for _ in range(3):
        await desk.look(hours=8)
    await desk.smtp.got(SECURITY, SECURITY)
    assert await desk.calls(second) == []


async def test_news_that_nobody_opens_and_that_cannot_be_mailed_is_called_about(desk):
    owner = await desk.customer(SECURITY, f"{LEGAL}?", news_channel="console")
    incident, first = await desk.notified(owner)
    await desk.until_states(first, "sent")
    desk.smtp.refused = {SECURITY: GONE, LEGAL: GONE}
    _, second = await followed(desk, incident)
    await placed(desk, second)
    await desk.look(hours=12)
    await desk.until_states(second, "failed", "failed")
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(second))
    assert await desk.calls(second) == [("all_failed", "open")]


async def test_news_upon_news_does_not_put_off_the_mail(desk):
    owner = await desk.customer(SECURITY, news_channel="console")
    incident, first = await desk.notified(owner)
    await desk.until_states(first, "sent")
    for number in range(4):
        incident, latest = await followed(desk, incident, f"More is known, {number}.")
        await placed(desk, latest)
        await desk.look(hours=8)
    await desk.until_states(latest, "sent")


async def test_a_breach_and_a_correction_are_no_news_and_go_everywhere(desk):
    owner = await desk.customer(SECURITY, news_channel="console")
    incident, first = await desk.notified(owner)
    await desk.until_states(first, "sent")
    own = affected(owner, personal_data={"breach": "suspected", "controller": "customer"})
    incident = await change(desk.api, incident, affected_customers=[own])
    await desk.released(incident)
    await desk.smtp.got(SECURITY, SECURITY)
    incident = await change(desk.api, incident, cause="human_error")
    await desk.released(incident)
    await desk.smtp.got(SECURITY, SECURITY, SECURITY)


async def test_a_choice_made_after_the_notice_holds_from_the_next_notice_on(desk):
    owner = await desk.customer(SECURITY)
    incident, first = await desk.notified(owner)
    await desk.until_states(first, "sent")
    await chosen(desk, owner, "console")
    # The first notice said "the same channel", so that the next one still comes by mail, and names the console.
    incident, second = await followed(desk, incident)
    await desk.smtp.got(SECURITY, SECURITY)
    assert (await news(desk, second))[0] == "console"
    incident, third = await followed(desk, incident, "Even more is known.")
    assert await placed(desk, third) == ["console"]
    await chosen(desk, owner, "same")
    await followed(desk, incident, "All is known.")
    await desk.smtp.got(SECURITY, SECURITY, SECURITY)


async def test_where_the_first_notice_reached_nobody_news_goes_everywhere(desk):
    desk.smtp.refused = {SECURITY: GONE}
    owner = await desk.customer(SECURITY, news_channel="console")
    incident, first = await desk.notified(owner)
    await desk.until_states(first, "failed")
    desk.smtp.refused = {}
    await followed(desk, incident)
    await desk.smtp.got(SECURITY)


async def chosen(desk, owner, channel):
    stated = await ok(desk.api.get(f"/customers/{owner['id']}"))
    body = {"name": stated["name"], "news_channel": channel}
    headers = {"If-Match": f'"{stated["version"]}"'}
    changed = await ok(desk.api.put(f"/customers/{owner['id']}", json=body, headers=headers))
    assert changed["news_channel"] == channel


async def test_an_unknown_channel_is_refused_by_name(desk):
    owner = await desk.customer()
    stated = await ok(desk.api.get(f"/customers/{owner['id']}"))
    answer = await desk.api.put(
        f"/customers/{owner['id']}",
        json={"name": stated["name"], "news_channel": "pigeon"},
        headers={"If-Match": f'"{stated["version"]}"'},
    )
    assert answer.status_code == 422
    assert "news_channel" in answer.text
