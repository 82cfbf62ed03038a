"""Drafts on pages: kept, found again, seen only by those who may, never overwritten unseen, and erased in time."""

import html
import json
import re
import shutil
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from notifications.audit.entry import parse_leaf
from service.drafts.drafts import DraftContent, content_of, sealed
from service.drafts.expiry import DraftExpiry
from service.ports.accounts import Role
from service.ports.drafts import Draft
from support.people import browser, person, visible_text
from support.scenario import affected, customer, harm, ok

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE, SAVE = "/incidents/new", "/incidents/new/draft"
XSS = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def analyst(shared_service):
    return await person(shared_service, "Ada", (Role.ANALYST, None))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(shared_service):
    return await person(shared_service, "Berta", (Role.ANALYST, None))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(shared_service, analyst):
    async with browser(shared_service, analyst) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def others_page(shared_service, other):
    async with browser(shared_service, other) as opened:
        yield opened


def hidden(text, name):
    return html.unescape(re.search(rf'name="{name}" value="([^"]*)"', text)[1])


async def opened_form(page, path=PAGE):
    """Return the fields by which a shown form names its draft."""
    shown = await page.get(path)
    assert shown.status_code == 200
    return {name: hidden(shown.text, name) for name in ("draft_id", "draft_version", "form_id")}


async def saved(page, whom, of_form, **fields):
    """Save without a script; returns the path of the draft."""
    answered = await page.post(SAVE, data=whom.form(**of_form, **fields))
    assert answered.status_code == 303, visible_text(answered.text)
    return answered.headers["location"]


async def stored(service, draft_id):
    return await service.parts.store.read(lambda tx: tx.drafts.get(UUID(draft_id)))


async def alert_draft(service, title="Disk is full", **changes):
    """Make a draft as an alert does; returns its id."""
    box, draft_id, now = service.parts.context.secret_box, uuid4(), service.parts.context.clock.now()
    content = DraftContent(
        {"title": {"en": title}, "services": ["dns"]}, alert={"labels": {"severity": "critical", "xss": XSS}}
    )
    draft = Draft(draft_id, None, uuid4().hex, sealed(box, draft_id, content), now, now, "system:alerts", **changes)
    await service.parts.store.write(lambda tx: tx.drafts.add(draft))
    return str(draft_id)


async def test_a_draft_keeps_whatever_was_typed_and_the_form_comes_back_as_it_was(shared_service, page, analyst):
    of_form = await opened_form(page)
    typed = {
        "title.de": "Halb fertig", "summary.de": "Eine Zeile\r\nund noch eine", "aware_at": "gegen drei",
        "time_zone": "Europe/Berlin", "intent": "malicious", "regions": "sbg, gra", "customers_pasted": "Niemand",
        "impact": "I2",
    }  # fmt: skip
    path = await saved(page, analyst, of_form, **typed)
    assert path == f"{PAGE}?draft={of_form['draft_id']}&saved=1"
    shown = await page.get(path)
    assert "The draft is saved." in shown.text
    said = html.unescape(shown.text)
    for name in ("title.de", "aware_at", "regions"):
        assert f'value="{typed[name]}"' in said, name
    assert "Eine Zeile\r\nund noch eine" in said or "Eine Zeile\nund noch eine" in said
    assert ">Niemand<" in re.sub(r">\s+", ">", re.sub(r"\s+<", "<", said))
    assert re.search(r'name="intent" value="malicious" checked', said)
    assert hidden(shown.text, "draft_version") == "1"
    # What was typed is encrypted in the store.
    draft = await stored(shared_service, of_form["draft_id"])
    assert b"Halb fertig" not in draft.sealed
    assert content_of(shared_service.parts.context.secret_box, draft).fields["title.de"] == ["Halb fertig"]


async def test_the_draft_of_an_exercise_stays_one_between_page_and_api(shared_service, shared_api, page, analyst):
    of_form = await opened_form(page)
    await saved(page, analyst, of_form, **{"title.en": "A drill"}, exercise="yes")
    draft = await stored(shared_service, of_form["draft_id"])
    assert content_of(shared_service.parts.context.secret_box, draft).facts["exercise"] is True
    draft_id = await alert_draft(shared_service)
    facts = {"title": {"en": "Another drill"}, "exercise": True}
    await ok(shared_api.put(f"/drafts/{draft_id}", json={"facts": facts}, headers={"If-Match": '"1"'}))
    shown = await page.get(f"{PAGE}?draft={draft_id}")
    assert re.search(r'name="exercise" value="yes" checked', shown.text)


async def test_nobody_else_sees_it_and_a_person_finds_it_in_the_list_and_on_the_form(page, analyst, others_page):
    of_form = await opened_form(page)
    await saved(page, analyst, of_form, **{"title.en": "Only mine"})
    path = f"{PAGE}?draft={of_form['draft_id']}"
    assert path in (await page.get("/drafts")).text
    assert path in (await page.get(PAGE)).text
    assert "Only mine" not in (await others_page.get("/drafts")).text
    assert "Only mine" not in (await others_page.get(PAGE)).text
    assert (await others_page.get(path)).status_code == 404


async def test_nobody_overwrites_erases_or_declares_anothers(page, analyst, others_page, other, shared_service):
    of_form = await opened_form(page)
    await saved(page, analyst, of_form, **{"title.en": "Still mine"})
    before = await stored(shared_service, of_form["draft_id"])
    for version in ("0", "1"):
        sent = other.form(**(of_form | {"draft_version": version, "title.en": "stolen"}))
        assert (await others_page.post(SAVE, data=sent)).status_code == 409
    gone = await others_page.post(f"/drafts/{of_form['draft_id']}/discard", data=other.form(version="1"))
    assert gone.status_code == 404
    assert await stored(shared_service, of_form["draft_id"]) == before


async def test_what_is_declared_is_a_draft_no_more(shared_service, shared_api, page, analyst):
    of_form = await opened_form(page)
    facts = {"title.en": "Erased with its draft", "summary.en": "s", "aware_at": "2026-03-10T02:40", "time_zone": "UTC"}
    await saved(page, analyst, of_form, **facts)
    of_form |= {"draft_version": "1"}
    answered = await page.post(PAGE, data=analyst.form(**of_form, **facts))
    assert answered.status_code == 303, visible_text(answered.text)
    assert await stored(shared_service, of_form["draft_id"]) is None
    back = await page.get(f"{PAGE}?draft={of_form['draft_id']}")
    assert "it was declared, discarded, or never saved" in back.text
    await ok(shared_api.get(answered.headers["location"]))


async def test_the_module_saves_in_the_background_and_a_lost_answer_is_no_conflict(shared_service, page, analyst):
    of_form = await opened_form(page)
    sent = analyst.form(**of_form, fragment="1", **{"title.en": "one"})
    first = await page.post(SAVE, data=sent)
    assert first.json()["version"] == 1
    # The answer was lost: the same page sends its next text with the version that it knows.
    again = await page.post(SAVE, data=sent | {"title.en": "one two"})
    assert again.json()["version"] == 2
    draft = await stored(shared_service, of_form["draft_id"])
    assert content_of(shared_service.parts.context.secret_box, draft).fields["title.en"] == ["one two"]
    # Another tab of the same person knows nothing of the last text.
    other_tab = await page.post(SAVE, data=sent | {"form_id": "another", "draft_version": "1", "title.en": "three"})
    assert (other_tab.status_code, other_tab.json()) == (409, {"conflict": True})


async def test_a_draft_of_an_alert_is_open_to_every_analyst_and_says_who_works_on_it(
    shared_service, page, analyst, others_page
):
    draft_id = await alert_draft(shared_service)
    path = f"{PAGE}?draft={draft_id}"
    shown = await others_page.get(path)
    assert 'value="Disk is full"' in shown.text
    assert "An alert filled in this draft." in shown.text
    assert "severity" in shown.text
    assert "<script>alert" not in shown.text
    await saved(page, analyst, await opened_form(page, path), **{"title.en": "Disk is full on node 7"})
    shown = await others_page.get(path)
    assert "Last changed by <bdi>Ada</bdi>" in shown.text
    assert "Disk is full on node 7" in (await others_page.get("/drafts")).text


async def test_on_a_conflict_both_texts_are_shown_and_nothing_is_overwritten(
    shared_service, page, analyst, others_page, other
):
    draft_id = await alert_draft(shared_service)
    path = f"{PAGE}?draft={draft_id}"
    hers, his = await opened_form(others_page, path), await opened_form(page, path)
    await saved(others_page, other, hers, **{"title.en": "Her title", "intent": "malicious"})
    refused = await page.post(SAVE, data=analyst.form(**his, **{"title.en": "My title", "summary.en": XSS}))
    assert refused.status_code == 409
    said = html.unescape(visible_text(refused.text))
    assert "Nothing was overwritten. This draft was changed elsewhere in the meantime: Berta" in said
    assert "Her title" in said
    assert 'value="My title"' in refused.text
    assert "<script>alert" not in refused.text
    draft = await stored(shared_service, draft_id)
    assert (draft.version, content_of(shared_service.parts.context.secret_box, draft).fields["title.en"]) == (
        2, ["Her title"],
    )  # fmt: skip
    # The same where it would be declared at once.
    facts = {"title.en": "My title", "summary.en": "s", "aware_at": "2026-03-11T02:40", "time_zone": "UTC"}
    assert (await page.post(PAGE, data=analyst.form(**his, **facts))).status_code == 409
    # Having seen both, the person decides.
    his |= {"draft_version": hidden(refused.text, "draft_version")}
    await saved(page, analyst, his, **{"title.en": "Our title"})
    assert (await stored(shared_service, draft_id)).version == 3


async def test_a_conflict_about_the_mark_of_an_exercise_or_a_field_of_another_release_is_shown_too(
    shared_service, page, analyst, others_page, other
):
    path = f"{PAGE}?draft={await alert_draft(shared_service)}"
    hers, his = await opened_form(others_page, path), await opened_form(page, path)
    await saved(others_page, other, hers, exercise="yes", **{"no_longer.there": "x"})
    refused = await page.post(SAVE, data=analyst.form(**his, **{"title.en": "No drill"}))
    assert refused.status_code == 409
    said = visible_text(refused.text)
    assert "This is an exercise" in said
    assert "no_longer.there" in said


async def test_a_draft_that_somebody_else_declared_is_not_declared_again_unseen(
    shared_service, page, analyst, others_page, other
):
    draft_id = await alert_draft(shared_service)
    path = f"{PAGE}?draft={draft_id}"
    hers, his = await opened_form(others_page, path), await opened_form(page, path)
    facts = {"title.en": "Quorum lost", "summary.en": "s", "aware_at": "2026-03-12T02:40", "time_zone": "UTC"}
    declared = await others_page.post(PAGE, data=other.form(**hers, **facts))
    assert declared.status_code == 303
    refused = await page.post(PAGE, data=analyst.form(**his, **facts | {"title.en": "Something of its own"}))
    assert refused.status_code == 409
    assert "somebody declared or discarded it in the meantime" in refused.text
    assert 'value="Something of its own"' in refused.text
    # For an alert the log names the incident that it became.
    (entry,) = await entries(shared_service, "draft.declared", draft_id)
    assert entry.subjects["incident"] in declared.headers["location"]
    saved_late = await page.post(SAVE, data=analyst.form(**his, **facts))
    assert saved_late.status_code == 409


async def entries(service, kind, draft_id):
    """Return the entries of a kind about a draft, sequenced or not yet."""
    pending = await service.parts.store.read(
        lambda tx: [item.leaf for item in tx.audit.pending(500)] + [item.leaf for item in tx.audit.entries(0, 500)]
    )
    leaves = {leaf.id: leaf for leaf in map(parse_leaf, pending)}.values()
    return [leaf for leaf in leaves if leaf.type == kind and leaf.subjects.get("draft") == draft_id]


async def test_a_draft_is_discarded_by_hand_and_for_an_alert_that_is_in_the_log(shared_service, page, analyst):
    of_form = await opened_form(page)
    await saved(page, analyst, of_form, **{"title.en": "Thrown away"})
    draft_id = of_form["draft_id"]
    # Somebody changed it since the list was shown.
    stale = await page.post(f"/drafts/{draft_id}/discard", data=analyst.form(version="7"))
    assert stale.status_code == 409
    assert "Nothing was erased" in stale.text
    gone = await page.post(f"/drafts/{draft_id}/discard", data=analyst.form(version="1"))
    assert gone.headers["location"] == "/drafts?discarded=1"
    assert "The draft is erased." in (await page.get("/drafts?discarded=1")).text
    assert await stored(shared_service, draft_id) is None
    assert await entries(shared_service, "draft.discarded", draft_id) == []
    alerted = await alert_draft(shared_service)
    await page.post(f"/drafts/{alerted}/discard", data=analyst.form(version="1"))
    (entry,) = await entries(shared_service, "draft.discarded", alerted)
    assert entry.actor == f"account:{analyst.account.id}"


async def test_a_session_that_ended_leads_back_to_the_draft(shared_service, page, analyst):
    of_form = await opened_form(page)
    path = f"{PAGE}?draft={of_form['draft_id']}"
    await saved(page, analyst, of_form, **{"title.en": "Before the end"})
    action = re.search(r'<form method="post" action="([^"]+)" class="declare"', (await page.get(path)).text)[1]
    async with browser(shared_service) as signed_out:
        for asked in (await signed_out.get(path), await signed_out.post(action, data={"title.en": "x"})):
            assert asked.status_code == 303
            assert asked.headers["location"] == f"/sign-in?return_to=%2Fincidents%2Fnew%3Fdraft%3D{of_form['draft_id']}"
        strange = await signed_out.post(f"{PAGE}?draft=//evil.example", data={})
        assert strange.headers["location"].startswith("/sign-in?return_to=%2Fincidents%2Fnew%3Fdraft%3D")
    assert 'value="Before the end"' in (await page.get(path)).text


async def test_the_list_and_the_form_carry_no_script_of_a_draft(page, analyst):
    of_form = await opened_form(page)
    names = {"title.en", "title.fr", "summary.en", "services", "regions", "customers_pasted", "aware_at", "time_zone"}
    path = await saved(page, analyst, of_form, **dict.fromkeys(names, XSS), **{XSS: XSS})
    for shown in (await page.get("/drafts"), await page.get(path), await page.get(PAGE)):
        assert shown.status_code == 200
        assert "<script>alert" not in shown.text
        assert "<img src=x" not in shown.text
    assert (await page.get(f"{PAGE}?draft={'x' * 50}")).status_code == 404


async def test_too_much_is_refused_and_nothing_is_lost(shared_service, page, analyst):
    hoarder = await person(shared_service, "Hoard", (Role.ANALYST, None))
    async with browser(shared_service, hoarder) as opened:
        for number in range(50):
            sent = hoarder.form(
                draft_id=str(uuid4()), draft_version="0", form_id="f", fragment="1", **{"title.en": str(number)}
            )
            assert (await opened.post(SAVE, data=sent)).status_code == 200
        one_more = hoarder.form(draft_id=str(uuid4()), draft_version="0", form_id="f", **{"title.en": "one more"})
        refused = await opened.post(SAVE, data=one_more)
        assert refused.status_code == 409
        assert 'value="one more"' in refused.text
        assert "too many drafts" in refused.text
    huge = {f"summary.{language}": "x" * 199_000 for language in ("fr", "en", "de")}
    of_form = await opened_form(page)
    refused = await page.post(SAVE, data=analyst.form(**of_form, **huge, **{"measures_taken.en": "y" * 100_000}))
    assert refused.status_code == 422
    assert "too much text" in refused.text
    assert huge["summary.de"] in refused.text


async def test_what_nobody_changed_for_14_days_is_erased(shared_service):
    store, clock = shared_service.parts.store, shared_service.parts.context.clock
    young, old = await alert_draft(shared_service), await alert_draft(shared_service)

    class Later:
        def now(self):
            return clock.now() + timedelta(days=14, seconds=5)

    def age(tx):
        for draft_id, by in ((old, 0), (young, 1)):
            draft = tx.drafts.get(UUID(draft_id))
            tx.drafts.save(replace(draft, changed_at=draft.changed_at + timedelta(days=by), version=2), 1)

    await store.write(age)
    await DraftExpiry(store, clock=Later()).look()
    assert await stored(shared_service, old) is None
    assert await stored(shared_service, young) is not None


async def test_the_api_has_the_same_drafts(shared_service, shared_api, page, analyst):
    made = await shared_api.post("/drafts", json={"facts": {"title": {"en": "By a program"}}})
    assert made.status_code == 201
    path = made.headers["location"].removeprefix("/api/v1")
    draft = await ok(shared_api.get(path))
    assert (draft["version"], draft["source"], draft["facts"]) == (1, "person", {"title": {"en": "By a program"}})
    assert draft["id"] in [item["id"] for item in (await ok(shared_api.get("/drafts")))["items"]]
    assert (await shared_api.put(path, json={"facts": {}})).status_code == 428
    stale = await shared_api.put(path, json={"facts": {}}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    changed = await shared_api.put(path, json={"facts": {"intent": "malicious"}}, headers={"If-Match": '"1"'})
    assert changed.headers["etag"] == '"2"'
    assert changed.json()["facts"] == {"intent": "malicious"}
    large = await shared_api.put(path, json={"facts": {"a": "x" * 700_000}}, headers={"If-Match": '"2"'})
    assert large.status_code == 422
    assert large.json()["errors"][0]["field"] == "facts"
    # The page's draft belongs to its person; the program's account does not see it.
    of_form = await opened_form(page)
    await saved(page, analyst, of_form, **{"title.en": "On a page", "impact": "I1"})
    assert (await shared_api.get(f"/drafts/{of_form['draft_id']}")).status_code == 404
    # An alert's draft is everybody's, with the facts that the page understood.
    alerted = await alert_draft(shared_service)
    await saved(page, analyst, await opened_form(page, f"{PAGE}?draft={alerted}"), impact="I1", aware_at="soon")
    seen = await ok(shared_api.get(f"/drafts/{alerted}"))
    assert (seen["source"], seen["facts"]) == ("alert", {"impact": "I1"})
    assert (await shared_api.delete(path)).status_code == 428
    assert (await shared_api.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    gone = await shared_api.delete(path, headers={"If-Match": '"2"'})
    assert gone.json()["facts"] == {"intent": "malicious"}
    assert (await shared_api.get(path)).status_code == 404


async def test_an_answer_that_is_kept_holds_no_facts_in_clear(shared_service, shared_api, tmp_path):
    key = {"Idempotency-Key": "draft-1"}
    body = {"facts": {"title": {"en": "Mark-of-a-draft-in-clear"}}}
    first = await shared_api.post("/drafts", json=body, headers=key)
    again = await shared_api.post("/drafts", json=body, headers=key)
    assert first.json()["id"] == again.json()["id"]
    kept = tmp_path / "copy"
    shutil.copytree(shared_service.data, kept)
    for file in kept.glob("greffier.sqlite3*"):
        assert b"Mark-of-a-draft-in-clear" not in file.read_bytes()
    assert json.loads(first.content)["facts"] == body["facts"]


async def test_drafts_are_on_the_board_for_those_who_may_declare(shared_service, page):
    draft_id = await alert_draft(shared_service, "Board alert")
    assert f"{PAGE}?draft={draft_id}" in (await page.get("/incidents")).text
    approver = await person(shared_service, "Carl", (Role.APPROVER, None))
    async with browser(shared_service, approver) as opened:
        shown = await opened.get("/incidents")
        assert shown.status_code == 200
        assert "Board alert" not in shown.text
        assert (await opened.get("/drafts")).status_code == 403


async def test_what_a_draft_states_of_a_customer_survives_the_page(shared_service, shared_api, page, analyst):
    theirs = await customer(shared_api, "Detailed")
    details = affected(theirs, effect={"en": "Two volumes are unreadable."}, data_harm=harm(availability="yes"))
    alerted = await alert_draft(shared_service)
    version = (await shared_api.get(f"/drafts/{alerted}")).headers["etag"]
    facts = {"title": {"en": "Disks"}, "affected_customers": [details]}
    await ok(shared_api.put(f"/drafts/{alerted}", json={"facts": facts}, headers={"If-Match": version}))
    for impact in ("I1", "I2"):
        of_form = await opened_form(page, f"{PAGE}?draft={alerted}")
        fields = {"title.en": "Disks", "impact": impact, "customers": theirs["id"]}
        await saved(page, analyst, of_form, **fields)
        seen = await ok(shared_api.get(f"/drafts/{alerted}"))
        assert (seen["facts"]["impact"], seen["facts"]["affected_customers"]) == (impact, [details])
    of_form = await opened_form(page, f"{PAGE}?draft={alerted}")
    stated = {"intent": "unknown", "cause": "unknown", "aware_at": "2026-11-01T08:00", "time_zone": "UTC"}
    stated["summary.en"] = "Two disks failed."
    answer = await page.post(PAGE, data=analyst.form(**of_form, **fields | stated))
    assert answer.status_code == 303, visible_text(answer.text)
    made = await ok(shared_api.get(answer.headers["location"]))
    (kept,) = made["facts"]["affected_customers"]
    assert kept["effect"] == {"en": "Two volumes are unreadable."}
    assert kept["data_harm"]["availability"] == "yes"
    # Who is not named any more is not affected.
    other = await alert_draft(shared_service)
    version = (await shared_api.get(f"/drafts/{other}")).headers["etag"]
    await ok(shared_api.put(f"/drafts/{other}", json={"facts": facts}, headers={"If-Match": version}))
    await saved(page, analyst, await opened_form(page, f"{PAGE}?draft={other}"), impact="I1")
    assert "affected_customers" not in (await ok(shared_api.get(f"/drafts/{other}")))["facts"]
