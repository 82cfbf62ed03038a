"""Call tasks from outside: the board, the script, a call recorded as evidence, and what it ends."""

import asyncio
import json
from datetime import timedelta

import pytest

from notifications.delivery.call_task import CallReason
from service.delivery.calls import _WORDS, call_guidance, call_script
from support.clocks import SteppedClock
from support.desk import GONE, desk_of
from support.scenario import ok

SECRET = "Les disques de paie sont chiffrés"


@pytest.fixture
async def desk(data_folder, service_log):
    async with desk_of(data_folder, SteppedClock()) as opened:
        yield opened


async def task_of(desk, notice):
    """Return the open call task of a notice as the API gives it, once there is one."""
    await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice))
    (listed,) = (await ok(desk.api.get("/call-tasks")))["items"]
    return await ok(desk.api.get(f"/call-tasks/{listed['id']}"))


async def unreached(desk, **changes):
    """Return a notice that every server refuses, with its call task."""
    desk.smtp.refused = {"rssi@valmont.example": GONE, "direction@valmont.example": GONE}
    owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?", **changes)
    _, notice = await desk.notified(owner, summary=SECRET, title=SECRET)
    return notice, await task_of(desk, notice)


async def post(desk, task, what, body, version=None):
    match = {"If-Match": f'"{version or task["version"]}"'}
    return await desk.api.post(f"/call-tasks/{task['id']}/{what}", json=body, headers=match)


def call(**changes):
    return {"number": "+33 1 00 00 00 01", "outcome": "reached", "spoke_to": "Mme Roux"} | changes


async def logged(desk, *kinds):
    """Return the log's entries of some kinds, once there is one."""
    async with asyncio.timeout(60):
        while True:
            items = (await ok(desk.api.get("/audit/entries", params={"limit": 200})))["items"]
            found = [item["leaf"] for item in items if item["leaf"]["type"] in kinds]
            if found:
                return found
            await asyncio.sleep(0.02)


async def test_a_task_says_whom_to_call_and_what_to_say_and_no_fact_of_the_incident(desk):
    _, task = await unreached(desk)
    assert (task["reason"], task["state"], task["tlp"], task["overdue"]) == (
        "all_failed",
        "open",
        "TLP:AMBER+STRICT",
        False,
    )
    assert [callee["number"] for callee in task["callees"]] == ["+33 1 00 00 00 01", "+33 1 00 00 00 02"]
    script = task["callees"][0]["script"]
    assert task["ticket"] in " ".join(script["say"])
    assert "number that stands in your contract" in script["say"][1]
    assert "TLP:AMBER+STRICT" in task["guidance"][-1]
    assert SECRET not in json.dumps(task, ensure_ascii=False)


async def test_a_call_that_reached_nobody_is_evidence_and_the_task_stays(desk):
    _, task = await unreached(desk)
    answer = await ok(post(desk, task, "calls", call(outcome="message_left", spoke_to=None, note="Répondeur.")))
    assert (answer["state"], answer["version"], answer["records"][0]["outcome"]) == ("open", 2, "message_left")
    assert answer["records"][0]["called_by"].startswith("account:")


async def test_a_person_reached_ends_the_task_and_it_is_no_handover(desk):
    notice, task = await unreached(desk)
    contact = task["callees"][0]["contact_id"]
    answer = await ok(post(desk, task, "calls", call(contact_id=contact)))
    assert (answer["state"], answer["records"][0]["spoke_to"]) == ("done", "Mme Roux")
    for _ in range(2):
        await desk.look(hours=9)
    assert await desk.calls(notice) == [("all_failed", "done")]
    assert await desk.read(lambda tx: tx.notices.acknowledgements(notice)) == []
    (entry,) = await logged(desk, "call.recorded", "notice.acknowledged")
    assert entry["detail"]["event"] == "ConsignmentNotification"
    assert entry["actor"] == answer["records"][0]["called_by"]
    assert "Roux" not in json.dumps(entry)


async def test_a_notice_read_out_and_confirmed_is_acknowledged_by_the_contact(desk):
    notice, task = await unreached(desk, acknowledge_within_seconds=600)
    contact = task["callees"][0]["contact_id"]
    await ok(post(desk, task, "calls", call(contact_id=contact, read_out=True)))
    (given,) = await desk.read(lambda tx: tx.notices.acknowledgements(notice))
    assert (given.via, str(given.contact_id), given.by) == ("call", contact, f"contact:{contact}")
    await desk.look(hours=2)
    assert await desk.calls(notice) == [("all_failed", "done")]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"spoke_to": None}, "spoke_to"),
        ({"called_at": "2031-01-01T00:00:00Z"}, "called_at"),
        ({"called_at": "2001-01-01T00:00:00Z"}, "called_at"),
        ({"contact_id": "00000000-0000-4000-8000-000000000000"}, "contact_id"),
        ({"read_out": True}, "contact_id"),
        ({"outcome": "no_answer", "read_out": True}, "read_out"),
    ],
)
async def test_a_call_that_cannot_have_been_is_refused(desk, changes, field):
    _, task = await unreached(desk)
    answer = await post(desk, task, "calls", call(**changes))
    assert answer.status_code == 422, answer.text
    assert field in answer.text
    assert (await ok(desk.api.get(f"/call-tasks/{task['id']}")))["records"] == []


async def test_a_change_names_the_version_it_was_made_on(desk):
    _, task = await unreached(desk)
    assert (await desk.api.post(f"/call-tasks/{task['id']}/calls", json=call())).status_code == 428
    await ok(post(desk, task, "calls", call(outcome="no_answer")))
    assert (await post(desk, task, "calls", call())).status_code == 412


async def test_a_task_is_closed_for_a_reason_and_not_opened_again_by_itself(desk):
    notice, task = await unreached(desk)
    closed = await ok(post(desk, task, "close", {"reason": "The customer's contract has ended."}))
    assert closed["state"] == "done"
    await desk.look(hours=5)
    assert await desk.calls(notice) == [("all_failed", "done")]
    assert (await post(desk, closed, "close", {"reason": "Again."})).status_code == 409


async def test_a_task_is_opened_again_where_the_wrong_person_was_reached(desk):
    notice, task = await unreached(desk)
    done = await ok(post(desk, task, "calls", call()))
    opened = await ok(post(desk, done, "reopen", {"reason": "That was the caretaker."}))
    await desk.look(minutes=10)
    assert (opened["state"], await desk.calls(notice)) == ("open", [("all_failed", "open")])
    assert (await post(desk, opened, "reopen", {"reason": "Again."})).status_code == 409
    await ok(post(desk, opened, "calls", call(spoke_to="The director")))
    assert await desk.calls(notice) == [("all_failed", "done")]


async def test_what_waits_names_the_call(desk):
    _, task = await unreached(desk)
    items = (await ok(desk.api.get("/attention")))["items"]
    (waiting,) = [item for item in items if item["kind"] == "call_due"]
    assert (waiting["call_task_id"], waiting["ticket"], waiting["overdue"]) == (task["id"], task["ticket"], False)
    desk.clock.step(timedelta(hours=3))
    items = (await ok(desk.api.get("/attention")))["items"]
    assert [item["overdue"] for item in items if item["kind"] == "call_due"] == [True]


async def test_how_far_a_customer_is_told_can_be_read(desk):
    notice, task = await unreached(desk, acknowledge_within_seconds=600)

    async def standing():
        return await ok(desk.api.get(f"/notices/{notice}/escalation"))

    first = await standing()
    assert (first["standing"], first["open_call_task_id"]) == ("open", task["id"])
    assert first["acknowledge_by"] is not None
    await ok(post(desk, task, "calls", call()))
    await desk.look(seconds=1)
    last = await standing()
    assert (last["standing"], last["open_call_task_id"], last["next_look_at"]) == ("settled", None, None)
    assert (await desk.api.get(f"/notices/{task['id']}/escalation")).status_code == 404


async def test_a_call_is_alerted_to_people_once_per_stage_and_no_longer_than_it_waits(desk):
    _, task = await unreached(desk)
    alerting = desk.running.parts.alerting

    async def raised():
        await alerting.look()
        kinds = await desk.read(lambda tx: [alert.kind for alert in tx.alerts.unseen(50)])
        return [kind for kind in kinds if kind.startswith("call_")]

    assert await raised() == ["call_open"]
    assert await raised() == ["call_open"]
    # The mail to the provider names ticket and deadline, and no fact.
    await desk.smtp.until(
        lambda: any(b"a call to be made" in m.content or b"appel" in m.content for m in desk.smtp.messages)
    )
    desk.clock.step(timedelta(hours=3))
    assert await raised() == ["call_overdue"]
    await ok(post(desk, task, "calls", call()))
    assert await raised() == []


def test_every_script_has_its_words_in_every_language_and_labels_are_not_translated():
    parts = {frozenset(words) for words in _WORDS["say"].values()}
    assert len(parts) == len({frozenset(words) for words in _WORDS["guidance"].values()}) == 1
    for language in ("fr", "en", "de", "xx"):
        for reason in CallReason:
            script = call_script(language, reason=reason, provider="P", ticket="INC-1", contact="C")
            assert "{" not in " ".join((*script.say, script.voicemail))
            assert "INC-1" in script.voicemail
        for label in ("TLP:RED", "TLP:AMBER+STRICT", "TLP:AMBER", "TLP:GREEN", "TLP:CLEAR"):
            assert call_guidance(language, label)[-1].startswith(label)
        assert "TLP:RED" in call_guidance(language, "TLP:NEW")[-1]
