"""The pages of announcements by forms alone: declared with the kind's items, released, answered, posted."""

import re

import pytest

from service.ports.accounts import Role
from service.web.console.catalogues import text
from support.announcements import ITEMS, V2, announce, bound, open_letter, released
from support.commits import until
from support.people import browser, person, visible_text
from support.scenario import customer, ok

LANGUAGES = ("fr", "en", "de")


def words(key, language, **parts):
    """Return words as ``visible_text`` shows them: with plain spaces."""
    return " ".join(text(key, language, **parts).split())


def form_of(page, whom, **changes):
    found = {name: re.search(rf'name="{name}" value="([^"]*)"', page) for name in ("version", "form_id", "kind")}
    return whom.form(**{name: match.group(1) for name, match in found.items() if match}, **changes)


def filled(kind="planned_work"):
    fields = {"title.en": "New controllers", "text.en": "We replace them.", "occurs_at": "2027-01-12T22:00"}
    return fields | {f"item.{item}.en": f"Words on {item}" for item in ITEMS[kind]}


async def test_an_analyst_declares_and_an_approver_releases_by_forms(running, api):
    await bound(api, "Valmont", "a@valmont.example")
    await bound(api, "Old", "a@old.example", "secnumcloud_iaas_3_0", effective_at="2099-01-01T00:00:00Z")
    ada = await person(running, "Ada", (Role.ANALYST, None), (Role.APPROVER, None), language="en")
    async with browser(running, ada) as pages:
        assert 'href="/announcements/new?kind=planned_work"' in (await pages.get("/announcements/new")).text
        page = (await pages.get("/announcements/new?kind=planned_work")).text
        form = form_of(page, ada, **filled())
        incomplete = {name: value for name, value in form.items() if name != "item.mitigation.en"}
        refused = await pages.post("/announcements/new", data=incomplete)
        assert refused.status_code == 422
        assert "Measures that reduce the impact: This item is mandatory" in visible_text(refused.text)
        assert "Words on nature" in refused.text
        answer = await pages.post("/announcements/new", data=form)
        where = answer.headers["location"]
        # A double click declares nothing twice.
        assert (await pages.post("/announcements/new", data=form)).headers["location"] == where
        shown = (await pages.get(where)).text
        seen = visible_text(shown)
        assert "Clause 5.1 of SecNumCloud" in seen
        assert "No agreement binds it." in seen
        preview = re.search(r'href="(/announcements/[^"]+/preview/[^"]+)"', shown).group(1)
        assert "Words on mitigation" in (await pages.get(preview)).text
        await pages.post(f"{where}/release", data=form_of(shown, ada))
        await running.sink.wait_for(1)
        shown = (await pages.get(where)).text
        notice = re.search(r'href="(/notices/[^"]+)"', shown).group(1)
        assert "Words on mitigation" in (await pages.get(notice)).text
        moved = await pages.get(where.replace("/announcements/", "/incidents/"))
        assert moved.headers["location"] == where
        change = (await pages.get(f"{where}/change")).text
        changed = await pages.post(f"{where}/change", data=form_of(change, ada, **filled() | {"title.en": "Moved"}))
        assert changed.headers["location"] == where
        assert "Moved" in (await pages.get("/announcements")).text


async def test_what_is_refused_is_explained_in_words_and_loses_nothing(running, api):
    own = await bound(api, "Valmont", "a@valmont.example")
    ada = await person(running, "Ada", (Role.ANALYST, None), language="fr")
    long = "Une ligne de texte.\n" * 1_000
    async with browser(running, ada) as pages:
        page = (await pages.get("/announcements/new?kind=capacity")).text
        form = form_of(page, ada, **filled("capacity"))
        wrong = {
            "text.en": long,
            "title.en": "",
            "occurs_at": "2027-13-01T02:00",
            "products": "none",
            "customers": own["id"],
        }
        refused = await pages.post("/announcements/new", data=form | wrong)
        assert refused.status_code == 422
        seen = visible_text(refused.text)
        for key in ("announcements.no_text", "facts.wrong.moment"):
            assert text(key, "fr") in seen
        assert refused.text.count("Une ligne de texte.") == 1_000
        assert f'<option value="{own["id"]}" selected>' in refused.text
        backwards = await pages.post(
            "/announcements/new", data=form | {"ends_at": "2027-01-01T00:00", "products": "none"}
        )
        assert text("announcements.wrong_ends_at", "fr") in visible_text(backwards.text)
        assert text("announcements.wrong_products", "fr") in visible_text(backwards.text)
        # The night in which the clocks are set back has an hour twice: the form offers UTC for it.
        await pages.post("/account/time-zone", data=ada.form(time_zone="Europe/Paris"))
        page = (await pages.get("/announcements/new?kind=capacity")).text
        twice = form_of(page, ada, **filled("capacity") | {"occurs_at": "2027-10-31T02:30"})
        assert "UTC" in visible_text((await pages.post("/announcements/new", data=twice)).text)
        made = await pages.post("/announcements/new", data=twice | {"time_zone": "UTC"})
        assert made.status_code == 303


async def test_a_change_that_comes_second_keeps_what_was_typed(running, api):
    await bound(api, "Valmont", "a@valmont.example")
    made = await announce(api)
    where = f"/announcements/{made['id']}"
    ada = await person(running, "Ada", (Role.ANALYST, None), language="en")
    async with browser(running, ada) as pages:
        page = (await pages.get(f"{where}/change")).text
        form = form_of(page, ada, **filled())
        await pages.post(f"{where}/change", data=form | {"title.en": "First"})
        other = form_of(page, ada, **filled()) | {"form_id": "another", "title.en": "Second"}
        refused = await pages.post(f"{where}/change", data=other)
        assert refused.status_code == 409
        assert text("announcements.changed_meanwhile", "en") in visible_text(refused.text)
        assert "Words on mitigation" in refused.text
        again = form_of(refused.text, ada, **filled()) | {"title.en": "Second"}
        assert (await pages.post(f"{where}/change", data=again)).headers["location"] == where
    assert (await ok(api.get(where)))["title"]["en"] == "Second"


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_is_read_in_every_language(running, api, language):
    await bound(api, "Valmont", "a@valmont.example")
    made = await announce(api, "loss_of_qualification")
    await released(api, made)
    letter = await open_letter(running, api)
    ada = await person(running, "Ada", (Role.ANALYST, None), language=language)
    async with browser(running, ada) as pages:
        paths = [
            "/",
            "/announcements",
            "/announcements/new?kind=capacity",
            f"/announcements/{made['id']}",
            f"/announcements/{made['id']}/change",
            "/letters",
            f"/letters/{letter['id']}",
            f"/notices/{letter['notice_id']}",
        ]
        for path in paths:
            answer = await pages.get(path)
            assert answer.status_code == 200, path
        listed = (await pages.get("/announcements")).text
    assert text("announcements.title", language) in visible_text(listed)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_says_which_clause_sets_the_time(running, api, language):
    await bound(api, "Valmont", "a@valmont.example", "secnumcloud_iaas_3_0", dpa_id="dpa_2026_01_09")
    made = await announce(api, "subcontractor_change")
    ada = await person(running, "Ada", (Role.ANALYST, None), language=language)
    async with browser(running, ada) as pages:
        seen = visible_text((await pages.get(f"/announcements/{made['id']}")).text)
    said = {"fr": "convention, clause DPA 13", "en": "agreement, clause DPA 13", "de": "Vereinbarung, Klausel DPA 13"}
    assert said[language] in seen


async def test_a_letter_is_posted_by_forms(running, api):
    await bound(api, "Valmont", "a@valmont.example")
    await released(api, await announce(api, "loss_of_qualification"))
    letter = await open_letter(running, api)
    where = f"/letters/{letter['id']}"
    ada = await person(running, "Ada", (Role.ANALYST, None), language="en")
    async with browser(running, ada) as pages:
        page = (await pages.get(where)).text
        wrong = await pages.post(
            f"{where}/posting", data=form_of(page, ada, posting_number="1A 2345", posted_on="soon")
        )
        assert wrong.status_code == 422
        day = letter["created_at"][:10]
        await pages.post(f"{where}/posting", data=form_of(page, ada, posting_number="1A 2345", posted_on=day))
        page = (await pages.get(where)).text
        slip = {"slip": ("slip.pdf", b"%PDF-1.7 slip", "application/pdf")}
        sent = await pages.post(f"{where}/slip", data=form_of(page, ada), files=slip)
        assert sent.headers["location"] == where
        assert (await pages.get(f"{where}/slip")).content == b"%PDF-1.7 slip"
        page = (await pages.get(where)).text
        await pages.post(f"{where}/close", data=form_of(page, ada))
        assert "Closed" in visible_text((await pages.get(where)).text)


async def test_a_customer_answers_on_the_page_of_its_notice(running, api):
    own = await bound(api, "Valmont", "a@valmont.example")
    made = await announce(api, "third_party_access")
    (notice,) = await released(api, made)
    await running.sink.wait_for(1)
    erika = await person(running, "Erika", (Role.CUSTOMER_MANAGER, own["id"]), language="de")
    where = f"/notices/{notice['id']}"
    async with browser(running, erika) as pages:
        assert text("consent.meaning", "de") in visible_text((await pages.get(where)).text)
        nameless = await pages.post(f"{where}/consent", data=erika.form(answer="accept", name=" "))
        assert nameless.status_code == 422
        given = await pages.post(
            f"{where}/consent", data=erika.form(answer="refuse", name="Erika Muster", reason="Nein")
        )
        assert given.headers["location"] == f"{where}#consent"
        assert "Zustimmung verweigert" in visible_text((await pages.get(where)).text)
        assert (await pages.get("/inbox")).status_code == 200
    (row,) = (await ok(api.get(f"/announcements/{made['id']}")))["concerned"]
    assert (row["consent"]["state"], row["consent"]["name"]) == ("refused", "Erika Muster")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_emergency_release_past_four_eyes_is_reviewed_by_somebody_else(running, api, language):
    strict = {"agreement_id": V2, "effective_at": "2026-05-01T00:00:00+02:00"}
    await customer(api, "Strict", agreement=strict, four_eyes=True)
    roles = ((Role.ANALYST, None), (Role.APPROVER, None))

    async def sealed():
        # The seal changes the version of the notice that is reviewed.
        return (await ok(api.get("/notices?state=sealed")))["items"]

    ada = await person(running, "Ada", *roles, language=language)
    grace = await person(running, "Grace", *roles, language=language, email="grace@provider.example")
    async with browser(running, ada) as pages, browser(running, grace) as second:
        page = (await pages.get("/announcements/new?kind=planned_work")).text
        where = (await pages.post("/announcements/new", data=form_of(page, ada, **filled()))).headers["location"]
        page = (await pages.get(where)).text
        refused = await pages.post(f"{where}/release", data=form_of(page, ada))
        assert refused.status_code == 409
        assert words("announcements.refused_four_eyes", language) in visible_text(refused.text)
        reasonless = await pages.post(f"{where}/override", data=form_of(page, ada, reason=" "))
        assert reasonless.status_code == 422
        assert words("announcements.refused_reason", language) in visible_text(reasonless.text)
        done = await pages.post(f"{where}/override", data=form_of(page, ada, reason="The work begins at once"))
        assert done.headers.get("location") == where, visible_text(done.text)
        own = (await pages.get(where)).text
        assert "The work begins at once" in visible_text(own)
        assert "/review/" not in own
        await until(running.parts.store, sealed)
        theirs = (await second.get(where)).text
        path = re.search(r'action="([^"]+/review/[^"]+)"', theirs).group(1)
        version = re.search(rf'{re.escape(path)}".*?name="version" value="(\d+)"', theirs, re.DOTALL).group(1)
        done = await second.post(path, data=grace.form(version=version))
        assert done.headers["location"] == where
        assert "The work begins at once" not in visible_text((await second.get(where)).text)
        again = await pages.post(f"{where}/override", data=form_of(own, ada, reason="Again"))
        assert words("announcements.refused_nothing", language) in visible_text(again.text)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_refusal_is_in_the_language_of_the_reader(running, api, language):
    await bound(api, "Valmont", "a@valmont.example")
    made = await announce(api, "third_party_access")
    ada = await person(running, "Ada", (Role.ANALYST, None), (Role.APPROVER, None), language=language)
    where = f"/announcements/{made['id']}"
    async with browser(running, ada) as pages:

        async def refused(act, key, page=None, **parts):
            page = page or (await pages.get(where)).text
            answer = await pages.post(f"{where}/{act}", data=form_of(page, ada))
            assert answer.status_code == 409
            assert words(key, language, **parts) in visible_text(answer.text)
            assert 'lang="en"' not in answer.text.partition("<main")[2].partition("</h1>")[2][:400]
            return page

        first = await refused("carry-out", "announcements.refused_drafts")
        await released(api, made)
        await refused("carry-out", "announcements.refused_consent", names="Valmont")
        await pages.post(f"{where}/cancel", data=form_of((await pages.get(where)).text, ada))
        await refused("cancel", "announcements.refused_changed", first)
        await refused("cancel", "announcements.refused_ended")
        page = (await pages.get("/announcements/new?kind=planned_work")).text
        wrong = {"ends_at": "2020-01-01T10:00", "products": "teapot"}
        answer = await pages.post("/announcements/new", data=form_of(page, ada, **filled() | wrong))
        assert answer.status_code == 422
        seen = visible_text(answer.text)
        assert words("announcements.wrong_ends_at", language) in seen
        assert words("announcements.wrong_products", language) in seen
        assert "must not be before" not in seen
        letter_of = await announce(api, "loss_of_qualification")
        await released(api, letter_of)
        letter = await open_letter(running, api)
        there = f"/letters/{letter['id']}"
        page = (await pages.get(there)).text
        wrong = await pages.post(
            f"{there}/posting", data=form_of(page, ada, posting_number="?", posted_on="2099-01-01")
        )
        for key in ("posting_number", "posted_on"):
            assert words(f"letters.refused_{key}", language) in visible_text(wrong.text)
        early = await pages.post(f"{there}/close", data=form_of(page, ada))
        assert (early.status_code, words("letters.refused_order", language) in visible_text(early.text)) == (409, True)
