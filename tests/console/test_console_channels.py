"""The page of the channels: pausing and resuming by forms, in three languages, for whoever may."""

import pytest

from service.ports.accounts import Role
from support.people import browser, person


@pytest.mark.parametrize(("language", "words"), [("fr", "Suspendre"), ("en", "Pause"), ("de", "Anhalten")])
async def test_an_analyst_pauses_and_resumes_by_forms(language, words, running):
    ada = await person(running, "Ada", (Role.ANALYST, None), language=language)
    async with browser(running, ada) as page:
        shown = await page.get("/channels")
        assert shown.status_code == 200
        assert words in shown.text
        # The console is never paused: two forms for three channels.
        assert shown.text.count('/pause"') == 2
        form = ada.form(reason="<b>moving</b>", hours="2")
        answer = await page.post("/channels/email/pause", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/channels?done=paused")
        shown = await page.get("/channels?done=paused")
        assert "&lt;b&gt;moving&lt;/b&gt;" in shown.text
        assert '/channels/email/resume"' in shown.text
        home = await page.get("/")
        assert "moving" in home.text
        answer = await page.post("/channels/email/resume", data=ada.form())
        assert answer.headers["location"] == "/channels?done=resumed"
        assert "moving" not in (await page.get("/channels")).text
        # Somebody else was quicker.
        assert (await page.post("/channels/email/resume", data=ada.form())).status_code == 409


@pytest.mark.parametrize("wrong", [{"reason": ""}, {"hours": "0"}, {"hours": "721"}, {"hours": "x"}, {"hours": "²"}])
async def test_a_wrong_entry_is_told_and_pauses_nothing(wrong, running):
    ada = await person(running, "Ada", (Role.ANALYST, None))
    async with browser(running, ada) as page:
        answer = await page.post("/channels/email/pause", data=ada.form(**({"reason": "R", "hours": ""} | wrong)))
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
    assert await running.parts.store.read(lambda tx: list(tx.deliveries.channel_pauses())) == []


async def test_who_may_only_read_sees_no_form_and_who_may_not_sees_no_page(running):
    grace = await person(running, "Grace", (Role.APPROVER, None))
    async with browser(running, grace) as page:
        shown = await page.get("/channels")
        assert shown.status_code == 200
        assert "/pause" not in shown.text
        assert (await page.post("/channels/email/pause", data=grace.form(reason="R"))).status_code == 403
    nobody = await person(running, "Nobody")
    async with browser(running, nobody) as page:
        assert (await page.get("/channels")).status_code == 403
        assert 'href="/channels"' not in (await page.get("/")).text


async def test_a_form_of_another_site_pauses_nothing(running):
    ada = await person(running, "Ada", (Role.ANALYST, None))
    async with browser(running, ada) as page:
        answer = await page.post("/channels/email/pause", data={"reason": "R", "csrf_token": "x"})
        assert answer.status_code == 403
    assert await running.parts.store.read(lambda tx: list(tx.deliveries.channel_pauses())) == []
