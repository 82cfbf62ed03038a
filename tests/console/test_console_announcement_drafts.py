"""Drafts of announcements: kept as those of incidents are, apart from them, and only for those who may announce."""

import html
import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from service.drafts.drafts import content_of
from service.drafts.expiry import DraftExpiry
from service.ports.accounts import Role
from service.web.console.catalogues import text
from support.announcements import ITEMS, bound
from support.people import browser, person, visible_text

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEW = "/announcements/new"
PAGE, SAVE = f"{NEW}?kind=planned_work", f"{NEW}/draft"
XSS = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def analyst(shared_service):
    return await person(shared_service, "Ada", (Role.ANALYST, None))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def administrator(shared_service):
    return await person(shared_service, "Adam", (Role.ADMINISTRATOR, None))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(shared_service, analyst):
    async with browser(shared_service, analyst) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own(shared_api):
    return await bound(shared_api, "Valmont", "a@valmont.example")


def hidden(shown, name):
    return html.unescape(re.search(rf'name="{name}" value="([^"]*)"', shown)[1])


async def opened_form(page, path=PAGE):
    """Return the fields by which a shown form names its draft, and the kind of announcement."""
    shown = await page.get(path)
    assert shown.status_code == 200
    return {"kind": "planned_work"} | {
        name: hidden(shown.text, name) for name in ("draft_id", "draft_version", "form_id")
    }


async def saved(page, whom, of_form, **fields):
    """Save without a script; returns the path of the draft."""
    answered = await page.post(SAVE, data=whom.form(**of_form, **fields))
    assert answered.status_code == 303, visible_text(answered.text)
    return answered.headers["location"]


def whole(title):
    """Return the fields of an announcement that can be declared."""
    fields = {"title.en": title, "text.en": "We replace them.", "occurs_at": "2099-01-12T22:00", "time_zone": "UTC"}
    return fields | {f"item.{item}.en": f"Words on {item}" for item in ITEMS["planned_work"]}


async def stored(service, draft_id):
    return await service.parts.store.read(lambda tx: tx.drafts.get(UUID(draft_id)))


async def test_what_was_typed_comes_back_as_it_was_and_is_encrypted(shared_service, page, analyst, own):
    of_form = await opened_form(page)
    typed = {
        "title.de": "Halb fertig", "text.fr": "Une ligne\r\net une autre", "item.mitigation.de": "Zwei Netzteile",
        "occurs_at": "gegen drei", "products": "iaas, caas", "customers": own["id"], "time_zone": "UTC",
    }  # fmt: skip
    path = await saved(page, analyst, of_form, **typed)
    assert path == f"{NEW}?draft={of_form['draft_id']}&saved=1"
    shown = await page.get(path)
    said = html.unescape(shown.text)
    assert "The draft is saved." in said
    for words in ("Halb fertig", "Zwei Netzteile", 'value="gegen drei"', 'value="iaas, caas"'):
        assert words in said
    assert "Une ligne\r\net une autre" in said or "Une ligne\net une autre" in said
    assert f'<option value="{own["id"]}" selected>' in said
    assert (hidden(shown.text, "kind"), hidden(shown.text, "draft_version")) == ("planned_work", "1")
    draft = await stored(shared_service, of_form["draft_id"])
    assert b"Halb fertig" not in draft.sealed
    assert content_of(shared_service.parts.context.secret_box, draft).fields["title.de"] == ["Halb fertig"]


async def test_every_list_names_its_kind_and_opens_its_own_form(page, analyst):
    announced, declared = await opened_form(page), await opened_form(page, "/incidents/new")
    await saved(page, analyst, announced, **{"title.en": "Work on the power supply"})
    sent = analyst.form(**declared | {"title.en": "Power is out"})
    assert (await page.post("/incidents/new/draft", data=sent)).status_code == 303
    links = {
        "Announcement": f'href="{NEW}?draft={announced["draft_id"]}"',
        "Incident": f'href="/incidents/new?draft={declared["draft_id"]}"',
    }
    for path in ("/drafts", "/announcements/drafts", "/incidents"):
        cards = (await page.get(path)).text.split('<li class="card')
        for kind, link in links.items():
            (card,) = [each for each in cards if link in each]
            assert f'<span class="badge">{kind}</span>' in card, (path, kind)
    # Where one kind is declared, only drafts of that kind are offered.
    for path, kind in ((PAGE, "Announcement"), (NEW, "Announcement"), ("/announcements", "Announcement"),
                       ("/incidents/new", "Incident")):  # fmt: skip
        shown = (await page.get(path)).text
        assert {name for name, link in links.items() if link in shown} == {kind}, path


async def test_only_who_may_announce_sees_it_and_only_its_author(shared_service, page, analyst, administrator):
    of_form = await opened_form(page)
    path = (await saved(page, analyst, of_form, **{"title.en": "Only hers"})).partition("&")[0]
    before = await stored(shared_service, of_form["draft_id"])
    async with browser(shared_service, administrator) as theirs:
        for listed in ("/announcements", "/announcements/drafts", PAGE):
            assert "Only hers" not in (await theirs.get(listed)).text
        assert (await theirs.get(path)).status_code == 404
        for version in ("0", "1"):
            stolen = administrator.form(**of_form | {"draft_version": version, "title.en": "stolen"})
            assert (await theirs.post(SAVE, data=stolen)).status_code == 409
        discard = f"/announcements/drafts/{of_form['draft_id']}/discard"
        assert (await theirs.post(discard, data=administrator.form(version="1"))).status_code == 404
        # An administrator announces, and declares no incident.
        its_own = await opened_form(theirs)
        await saved(theirs, administrator, its_own, **{"title.en": "Of the administrator"})
        for listed in ("/announcements", "/announcements/drafts", PAGE):
            assert "Of the administrator" in (await theirs.get(listed)).text, listed
        assert (await theirs.get("/drafts")).status_code == 403
    approver = await person(shared_service, "Carl", (Role.APPROVER, None))
    async with browser(shared_service, approver) as theirs:
        for listed in ("/announcements", "/incidents"):
            assert "Only hers" not in (await theirs.get(listed)).text
        assert (await theirs.get("/announcements/drafts")).status_code == 403
        assert (await theirs.post(SAVE, data=approver.form(**of_form))).status_code == 403
    assert await stored(shared_service, of_form["draft_id"]) == before


async def test_no_draft_is_opened_changed_or_erased_as_one_of_the_other_kind(shared_service, page, analyst):
    announced, declared = await opened_form(page), await opened_form(page, "/incidents/new")
    await saved(page, analyst, announced, **{"title.en": "An announcement"})
    assert (await page.post("/incidents/new/draft", data=analyst.form(**declared))).status_code == 303
    for one, form, save, discards in (
        (announced, "/incidents/new", "/incidents/new/draft", "/drafts"),
        (declared, NEW, SAVE, "/announcements/drafts"),
    ):
        before = await stored(shared_service, one["draft_id"])
        assert (await page.get(f"{form}?draft={one['draft_id']}")).status_code == 404
        answered = await page.post(save, data=analyst.form(**one | {"draft_version": "1"}, fragment="1"))
        assert (answered.status_code, answered.json()) == (409, {"conflict": True})
        gone = await page.post(f"{discards}/{one['draft_id']}/discard", data=analyst.form(version="1"))
        assert gone.status_code == 404
        assert await stored(shared_service, one["draft_id"]) == before
    # What is announced erases no draft of an incident.
    fields = analyst.form(**announced | {"draft_id": declared["draft_id"], "draft_version": "0"}, **whole("Announced"))
    assert (await page.post(NEW, data=fields)).status_code == 303
    assert await stored(shared_service, declared["draft_id"]) is not None


async def test_what_is_announced_is_a_draft_no_more(shared_service, page, analyst, own):
    of_form = await opened_form(page)
    await saved(page, analyst, of_form, **{"title.en": "Not whole yet"})
    of_form |= {"draft_version": "1"}
    refused = await page.post(NEW, data=analyst.form(**of_form, **{"title.en": "Still not whole"}))
    assert refused.status_code == 422
    # The form that is shown again goes on with the draft.
    assert {name: hidden(refused.text, name) for name in of_form} == of_form
    assert await stored(shared_service, of_form["draft_id"]) is not None
    form = analyst.form(**of_form, **whole("Whole"))
    made = await page.post(NEW, data=form)
    assert made.status_code == 303, visible_text(made.text)
    assert await stored(shared_service, of_form["draft_id"]) is None
    # A double click finds the draft gone, and leads to the same announcement.
    assert (await page.post(NEW, data=form)).headers["location"] == made.headers["location"]
    back = await page.get(f"{NEW}?draft={of_form['draft_id']}&kind=planned_work")
    assert "it was declared, discarded, or never saved" in back.text
    # What is typed after all goes into the draft that the address names.
    assert hidden(back.text, "draft_id") == of_form["draft_id"]


async def test_two_tabs_do_not_overwrite_each_other_unseen(shared_service, page, analyst, own):
    of_form = await opened_form(page)
    await saved(page, analyst, of_form, **{"title.en": "First"})
    path = f"{NEW}?draft={of_form['draft_id']}"
    one, other = await opened_form(page, path), await opened_form(page, path)
    await saved(page, analyst, one, **{"title.en": "Of one tab", "item.impact_and_residual_risk.de": "Kein Strom"})
    by_module = await page.post(SAVE, data=analyst.form(**other, fragment="1", **{"title.en": "Of the other tab"}))
    assert (by_module.status_code, by_module.json()) == (409, {"conflict": True})
    mine = {"title.en": "Of the other tab", "customers": own["id"], "text.en": XSS}
    for act in (SAVE, NEW):
        refused = await page.post(act, data=analyst.form(**other, **mine))
        assert refused.status_code == 409
        said = html.unescape(visible_text(refused.text))
        for words in ("Nothing was overwritten.", "Of one tab", "Title (English)", "Only these customers", "Valmont",
                      "Kein Strom"):  # fmt: skip
            assert words in said
        assert own["id"] not in said
        assert "<script>alert" not in refused.text
        assert "Of the other tab</textarea>" in refused.text
    content = content_of(shared_service.parts.context.secret_box, await stored(shared_service, of_form["draft_id"]))
    assert content.fields["title.en"] == ["Of one tab"]
    # Having seen both, the person decides. The same page saves on, also where an answer was lost.
    other |= {"draft_version": hidden(refused.text, "draft_version")}
    await saved(page, analyst, other, **{"title.en": "Both"})
    again = await page.post(SAVE, data=analyst.form(**other, fragment="1", **{"title.en": "Both, longer"}))
    assert again.json()["version"] == 4
    await page.post(f"/announcements/drafts/{of_form['draft_id']}/discard", data=analyst.form(version="4"))
    gone = await page.post(NEW, data=analyst.form(**other, **whole("Typed meanwhile")))
    assert gone.status_code == 409
    assert "This draft is gone" in gone.text
    assert "Typed meanwhile" in gone.text


async def test_it_is_discarded_from_the_list_as_it_was_shown(shared_service, page, analyst):
    of_form = await opened_form(page)
    await saved(page, analyst, of_form, **{"title.en": "Thrown away"})
    action = f"/announcements/drafts/{of_form['draft_id']}/discard"
    assert f'action="{action}"' in (await page.get("/drafts")).text
    assert (await page.post(action, data=analyst.form(version="7"))).status_code == 409
    assert await stored(shared_service, of_form["draft_id"]) is not None
    gone = await page.post(action, data=analyst.form(version="1"))
    assert "The draft is erased." in (await page.get(gone.headers["location"])).text
    assert await stored(shared_service, of_form["draft_id"]) is None


async def test_a_session_that_ended_leads_back_to_the_draft_or_to_its_kind(shared_service, page):
    shown = (await page.get(PAGE)).text
    action = html.unescape(re.search(r'<form method="post" action="([^"]+)" data-here', shown)[1])
    async with browser(shared_service) as signed_out:
        asked = await signed_out.post(action, data={"title.en": "x"})
    back = re.fullmatch(r"/sign-in\?return_to=(.+)", asked.headers["location"])[1]
    draft_id = hidden(shown, "draft_id")
    assert back == f"%2Fannouncements%2Fnew%3Fdraft%3D{draft_id}%26kind%3Dplanned_work"
    assert hidden((await page.get(f"{NEW}?draft={draft_id}&kind=planned_work")).text, "draft_id") == draft_id


async def test_a_draft_whose_kind_no_agreement_has_any_more_goes_on_as_another(page, analyst):
    of_form = await opened_form(page)
    await saved(page, analyst, of_form | {"kind": "of_an_earlier_agreement"}, **{"title.en": "Kept words"})
    link = f"{NEW}?kind=capacity&amp;draft={of_form['draft_id']}"
    assert link in (await page.get(f"{NEW}?draft={of_form['draft_id']}")).text
    shown = await page.get(html.unescape(link))
    assert "Kept words" in shown.text
    assert hidden(shown.text, "kind") == "capacity"


async def test_too_much_is_refused_and_nothing_is_lost(shared_service, page, analyst):
    hoarder = await person(shared_service, "Hoard", (Role.ADMINISTRATOR, None))
    async with browser(shared_service, hoarder) as opened:
        for number in range(50):
            sent = hoarder.form(draft_id=str(uuid4()), draft_version="0", fragment="1", **{"title.en": str(number)})
            assert (await opened.post(SAVE, data=sent)).status_code == 200
        refused = await opened.post(SAVE, data=hoarder.form(**await opened_form(opened), **{"title.en": "one more"}))
        assert refused.status_code == 409
        assert "one more</textarea>" in refused.text
        assert '<a href="/announcements/drafts">' in refused.text
    huge = {f"text.{language}": language * 99_000 for language in ("fr", "en", "de")}
    huge["item.nature.en"] = "y" * 100_000
    refused = await page.post(SAVE, data=analyst.form(**await opened_form(page), **huge))
    assert refused.status_code == 422
    assert "too much text" in refused.text
    assert huge["text.de"] in refused.text


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_every_word_of_it_is_in_the_language_of_the_reader(shared_service, language):
    reader = await person(shared_service, f"Reader-{language}", (Role.ANALYST, None), language=language)
    async with browser(shared_service, reader) as opened:
        await saved(opened, reader, await opened_form(opened), **{"title.en": "Words"})
        for path in ("/drafts", "/incidents", NEW, "/announcements"):
            assert text("drafts.kind_announcement", language) in visible_text((await opened.get(path)).text), path


async def test_what_nobody_changed_for_14_days_is_erased(shared_service, page, analyst):
    of_form = await opened_form(page)
    await saved(page, analyst, of_form, **{"title.en": "Old"})
    clock = shared_service.parts.context.clock

    class Later:
        def now(self):
            return clock.now() + timedelta(days=14, seconds=5)

    await DraftExpiry(shared_service.parts.store, clock=Later()).look()
    assert await stored(shared_service, of_form["draft_id"]) is None
