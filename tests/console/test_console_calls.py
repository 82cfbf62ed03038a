"""The pages of calls as an analyst uses them at night: without JavaScript, by forms alone, in three languages."""

import re
from datetime import timedelta

import pytest

from notifications.customer.records import ContactRole
from notifications.delivery.call_task import CallOutcome, CallReason, CallTaskState
from service.ports.accounts import Role
from service.web.console.catalogues import CATALOGUES, text
from support.clocks import SteppedClock
from support.desk import GONE, desk_of
from support.people import browser, person, visible_text

SECRET = "Les disques de paie sont chiffrés"


@pytest.fixture
async def night(data_folder, service_log):
    """A desk with one call to be made, and the identifier of its task."""
    async with desk_of(data_folder, SteppedClock()) as desk:
        desk.smtp.refused = {"rssi@valmont.example": GONE, "direction@valmont.example": GONE}
        owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?")
        _, notice = await desk.notified(owner, summary=SECRET, title=SECRET)
        (task,) = await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice))
        yield desk, task


async def analyst(desk, **changes):
    return await person(desk.running, "Ada", (Role.ANALYST, None), **changes)


def filled(page, whom, **changes):
    """Return the form as the page showed it, with what a person chose."""
    version = re.search(r'name="version" value="(\d+)"', page).group(1)
    return whom.form(
        version=version, whom=re.search(r'name="whom" id="[^"]+" value="([^"]+)"', page).group(1), **changes
    )


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_the_board_and_the_task_are_read_in_every_language(night, language):
    desk, task = night
    ada = await analyst(desk, language=language)
    async with browser(desk.running, ada) as pages:
        board = await pages.get("/calls")
        assert f'href="/calls/{task.id}"' in board.text
        assert text("calls.reason_all_failed", language) in board.text.replace("&#39;", "'")
        page = (await pages.get(f"/calls/{task.id}")).text
        home = (await pages.get("/")).text
    assert f'href="/calls/{task.id}"' in home
    assert 'href="tel:+33100000001"' in page
    # The words to be said are in the language of the contact, whatever the analyst's.
    assert "number that stands in your contract" in page
    assert SECRET not in page
    assert all(".js" in tag and "/static/" in tag for tag in re.findall(r"<script[^>]*>", page))


async def test_a_call_is_recorded_by_the_form_and_ends_the_task(night):
    desk, task = night
    ada = await analyst(desk)
    async with browser(desk.running, ada) as pages:
        page = (await pages.get(f"/calls/{task.id}")).text
        form = filled(page, ada, outcome="reached", spoke_to="Mme Roux", minutes_ago="3", note="Will call back.")
        desk.clock.step(timedelta(minutes=10))
        answer = await pages.post(f"/calls/{task.id}/calls", data=form)
        assert answer.headers["location"] == f"/calls/{task.id}?done=recorded"
        seen = visible_text((await pages.get(answer.headers["location"])).text)
        assert (await pages.get("/calls")).text.count('class="card') == 0
    assert "Mme Roux" in seen
    (record,) = await desk.read(lambda tx: tx.escalations.call_records(task.id))
    assert (record.outcome, record.number, record.called_by) == (
        CallOutcome.REACHED, "+33 1 00 00 00 01", f"account:{ada.account.id}"
    )  # fmt: skip
    assert record.called_at == desk.clock.now() - timedelta(minutes=3)


async def test_what_was_filled_in_is_not_lost_when_it_is_refused(night):
    desk, task = night
    ada = await analyst(desk)
    async with browser(desk.running, ada) as pages:
        page = (await pages.get(f"/calls/{task.id}")).text
        missing = await pages.post(
            f"/calls/{task.id}/calls", data=filled(page, ada, outcome="reached", note="<b>Said she'd look.")
        )
        assert missing.status_code == 422
        assert text("calls.problem_spoke_to", "en") in missing.text
        assert "&lt;b&gt;Said she&#39;d look." in missing.text
        # Meanwhile a colleague records one: the form says so, and shows it.
        await pages.post(f"/calls/{task.id}/calls", data=filled(page, ada, outcome="no_answer"))
        stale = await pages.post(
            f"/calls/{task.id}/calls", data=filled(page, ada, outcome="reached", spoke_to="Mme Roux")
        )
        assert stale.status_code == 412
        assert text("calls.problem_version", "en") in stale.text
        assert 'value="Mme Roux"' in stale.text
        again = await pages.post(
            f"/calls/{task.id}/calls", data=filled(stale.text, ada, outcome="reached", spoke_to="Mme Roux")
        )
        assert again.status_code == 303
    assert len(await desk.read(lambda tx: tx.escalations.call_records(task.id))) == 2


async def test_a_number_of_nobody_known_is_taken_down(night):
    desk, task = night
    ada = await analyst(desk)
    async with browser(desk.running, ada) as pages:
        page = (await pages.get(f"/calls/{task.id}")).text
        form = filled(page, ada, outcome="wrong_number", other_number="+33 9 99") | {"whom": "other"}
        assert (await pages.post(f"/calls/{task.id}/calls", data=form)).status_code == 303
        strange = form | {"whom": str(task.id), "version": "2"}
        assert (await pages.post(f"/calls/{task.id}/calls", data=strange)).status_code == 422
    (record,) = await desk.read(lambda tx: tx.escalations.call_records(task.id))
    assert (record.contact_id, record.number) == (None, "+33 9 99")


async def test_a_task_is_closed_and_opened_again_by_forms(night):
    desk, task = night
    ada = await analyst(desk)
    async with browser(desk.running, ada) as pages:
        page = (await pages.get(f"/calls/{task.id}")).text
        assert (await pages.post(f"/calls/{task.id}/close", data=filled(page, ada, reason=" "))).status_code == 422
        closed = await pages.post(f"/calls/{task.id}/close", data=filled(page, ada, reason="Contract ended."))
        page = (await pages.get(closed.headers["location"])).text
        assert text("calls.state_done", "en") in page
        assert (await pages.post(f"/calls/{task.id}/close", data=filled(page, ada, reason="Again."))).status_code == 409
        opened = await pages.post(f"/calls/{task.id}/reopen", data=filled(page, ada, reason="It has not."))
        assert text("calls.done_reopened", "en") in (await pages.get(opened.headers["location"])).text


async def test_an_auditor_reads_and_gets_no_form(night):
    desk, task = night
    whom = await person(desk.running, "Otto", (Role.AUDITOR, None))
    async with browser(desk.running, whom) as pages:
        page = (await pages.get(f"/calls/{task.id}")).text
        assert 'action="/calls' not in page
        assert (await pages.post(f"/calls/{task.id}/close", data=whom.form(reason="R", version="1"))).status_code == 403


@pytest.mark.parametrize("language", sorted(CATALOGUES))
def test_every_code_of_a_call_has_its_words(language):
    wanted = [f"reason_{item}" for item in CallReason] + [f"state_{item}" for item in CallTaskState]
    wanted += [f"outcome_{item}" for item in CallOutcome] + [f"role_{item}" for item in ContactRole]
    wanted += [f"done_{item}" for item in ("recorded", "closed", "reopened")]
    for key in wanted:
        assert text(f"calls.{key}", language)
