"""The pages of one incident without scripts: overview, facts and their versions, timeline, print view."""

import re
import shutil
from itertools import pairwise
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio

from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from service.web.console.catalogues import text
from service.web.console.pages.incident.differences import line_differences, word_differences
from service.web.console.pages.incident.facts_change import rebased
from support.page_forms import actions_on, form_on
from support.people import browser, person, visible_text
from support.scenario import affected, change, customer, declare, harm, ok, release

pytestmark = pytest.mark.asyncio(loop_scope="module")

LANGUAGES = ("fr", "en", "de")
PAYLOAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
#: Right to left, as a customer may well be named.
ARABIC = "مستشفى الأمل"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def customers(shared_api):
    return [
        await customer(shared_api, "Hôpital de Valmont", contacts=(("rssi@valmont.example", "fr"),)),
        await customer(shared_api, ARABIC, contacts=(("soc@amal.example", "en"),)),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(shared_service, customers):
    return await person(shared_service, "Ada", (Role.ANALYST, None))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages(shared_service, ada):
    async with browser(shared_service, ada) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def incident(shared_api, customers):
    """An incident that was changed once, with both customers affected."""
    stated = [affected(each, data_harm=harm(confidentiality="yes")) for each in customers]
    declared = await declare(shared_api, impact="I1", criticality="C1", intent="unknown", affected_customers=stated)
    return await change(shared_api, declared, intent="malicious", cause="attack", summary={"en": "Something worse."})


def path_of(incident, part=""):
    return f"/incidents/{incident['id']}{part}"


async def seen(pages, path, status=200):
    answer = await pages.get(path)
    assert answer.status_code == status, (path, answer.status_code)
    return answer.text


PARTS = (
    "", "/timeline", "/facts", "/facts/history", "/facts/change", "/customers", "/notices", "/deliveries", "/closing",
    "/print",
)  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_is_there_in_every_language(shared_service, shared_api, incident, customers, language):
    whom = await person(shared_service, f"Reader {language}", (Role.ANALYST, None), language=language)
    notices = (await ok(shared_api.get(f"/incidents/{incident['id']}/notices")))["items"]
    parts = (*PARTS, f"/customers/{customers[0]['id']}", f"/notices/{notices[0]['id']}")
    async with browser(shared_service, whom) as reader:
        for part in parts:
            page = await seen(reader, path_of(incident, part))
            assert f'<html lang="{language}">' in page
            assert page.count("<h1") == 1, part
            assert incident["ticket"] in page
            # Headings go down one level at a time.
            levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
            assert all(after - before <= 1 for before, after in pairwise(levels)), (part, levels)
            ids = re.findall(r'\sid="([^"]+)"', page)
            assert len(ids) == len(set(ids)), part
            named = " ".join(re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', page))
            assert set(named.split()) <= set(ids), part
        assert text("incident.section.closing", language) in await seen(reader, path_of(incident))


async def test_the_overview_says_what_it_is_why_and_what_to_do(pages, incident):
    page = await seen(pages, path_of(incident))
    said = visible_text(page)
    assert "security incident" in said
    assert "3.2 (a)" in said
    assert "P1" in said
    # The analyst may not release: the one thing to do is to ask for it.
    assert text("incident.next.ask_release.why", "en", count=2) in said
    assert len(re.findall(r'class="button primary"', page)) == 1
    assert f'href="{path_of(incident, "/notices")}"' in page
    assert len(re.findall("data-countdown", page)) >= 2


async def test_an_open_question_says_what_hangs_on_it(shared_api, pages, customers):
    stated = [affected(customers[0], data_harm=harm(confidentiality="unknown"))]
    opened = await declare(shared_api, intent="unknown", unlisted_customers="unknown", affected_customers=stated)
    said = visible_text(await seen(pages, path_of(opened)))
    assert text("incident.fact.intent", "en") in said
    assert "malicious" in said
    assert "Hôpital de Valmont: Data: confidentiality harmed" in said
    assert re.search(r"Customers whose decision waits for it: [12]", said)


async def test_the_next_step_changes_for_who_may_release(shared_service, incident):
    whom = await person(shared_service, "Bob", (Role.APPROVER, None))
    async with browser(shared_service, whom) as approver:
        page = await seen(approver, path_of(incident))
        assert text("incident.next.release.do", "en") in page
        forms = actions_on(await seen(approver, path_of(incident, "/closing")))
        assert not [action for action in forms if action.startswith("/incidents")]
        assert (await approver.get(path_of(incident, "/facts/change"))).status_code == 403


async def test_an_incident_without_customers_has_its_pages(prepared_folder, tmp_path):
    shutil.copytree(prepared_folder, tmp_path / "data")
    async with embedded_service(tmp_path / "data") as empty:
        headers = {"Authorization": f"Bearer {empty.token}"}
        async with httpx2.AsyncClient(base_url=f"{empty.url}/api/v1", headers=headers, timeout=120) as api:
            alone = await declare(api)
        async with browser(empty, await person(empty, "Ada", (Role.ANALYST, None))) as reader:
            for part in PARTS:
                await seen(reader, path_of(alone, part))
            assert text("incident.no_customers", "en") in await seen(reader, path_of(alone, "/customers"))
            assert text("incident.nothing_out", "en") in await seen(reader, path_of(alone, "/deliveries"))


async def test_strangers_and_customers_see_nothing(shared_service, incident, customers):
    async with browser(shared_service) as stranger:
        assert (await stranger.get(path_of(incident))).status_code == 303
    whom = await person(shared_service, "Eve", (Role.CUSTOMER_MANAGER, customers[0]["id"]))
    async with browser(shared_service, whom) as member:
        for part in PARTS:
            assert (await member.get(path_of(incident, part))).status_code == 403


async def test_an_incident_that_there_is_not_has_no_page(pages):
    nowhere = {"id": UUID(int=7)}
    for part in PARTS:
        await seen(pages, path_of(nowhere, part), 404)
    await seen(pages, "/incidents/nonsense", 404)


# -- timeline


async def until_logged(pages, path, wanted):
    """Return the page once the sequencer has given the entries their place."""
    for _ in range(200):
        page = await seen(pages, path)
        if wanted in page:
            return page
    raise AssertionError(f"{wanted} is not on {path}")


async def test_the_timeline_has_every_entry_newest_first_with_its_proof(shared_api, pages, incident):
    await until_logged(pages, path_of(incident, "/timeline"), text("incident.type.incident.facts_changed", "en"))
    entries = (await ok(shared_api.get("/audit/entries", params={"incident_id": incident["id"], "limit": 200})))[
        "items"
    ]
    page = await seen(pages, path_of(incident, "/timeline"))
    shown = [int(index) for index in re.findall(r'href="/audit/entries/(\d+)"', page)]
    assert shown == sorted(shown, reverse=True)
    assert {entry["index"] for entry in entries} <= set(shown)
    assert (await pages.get(f"/api/v1/audit/entries/{shown[0]}/proof")).status_code == 200
    assert ARABIC in page


async def test_the_timeline_is_filtered_and_paged(shared_api, pages, customers):
    made = await declare(shared_api, affected_customers=[affected(customers[0])])
    for number in range(60):
        made = await change(shared_api, made, summary={"en": f"Summary {number}"})
    path = path_of(made, "/timeline?kind=facts")
    first = await until_logged(pages, path, "version of the facts: <bdi>61</bdi>")
    assert "decision" not in visible_text(first.split('class="entries"')[1].split("</ol>")[0])
    following = re.search(r'rel="next" href="([^"]+)"', first).group(1).replace("&amp;", "&")
    second = await seen(pages, following)
    versions = [int(found) for found in re.findall(r"version of the facts: <bdi>(\d+)</bdi>", first + second)]
    assert versions[:50] == list(range(61, 11, -1))
    assert text("incident.type.incident.declared", "en") in second
    assert (await pages.get(f"{path}&cursor=nonsense")).status_code == 422


# -- facts


async def test_versions_say_who_and_when_and_differ_readably(pages, incident):
    await until_logged(pages, path_of(incident, "/facts/history"), text("incident.type.incident.facts_changed", "en"))
    page = await seen(pages, path_of(incident, "/facts/history?older=1&newer=2"))
    said = visible_text(page)
    assert "not known yet" in said
    assert re.search(r"<del>.*not known yet</del>.*<ins>.*malicious</ins>", page)
    assert re.search(r"<ins>.*worse", page)
    assert "Holder of the data folder" in said
    assert text("incident.no_differences", "en") in await seen(
        pages, path_of(incident, "/facts/history?older=2&newer=2")
    )
    # Whatever stands in the address is a version that there is.
    for odd in ("?older=99&newer=-1", "?older=x", "?newer=" + "9" * 40):
        await seen(pages, path_of(incident, f"/facts/history{odd}"))


async def test_facts_are_changed_by_the_form(shared_api, pages, customers):
    made = await declare(shared_api, affected_customers=[affected(customers[0], effect={"en": "Only yours."})])
    action = path_of(made, "/facts/change")
    form = form_on(await seen(pages, action), action)
    answer = await pages.post(action, data=form | {"intent": "malicious", "summary.de": "Auf Deutsch."})
    assert answer.status_code == 303, visible_text(answer.text)
    assert text("incident.facts_changed", "en", version=2) in await seen(pages, answer.headers["location"])
    facts = (await ok(shared_api.get(path_of(made))))["facts"]
    assert (facts["intent"], facts["summary"]["de"]) == ("malicious", "Auf Deutsch.")
    # What the form has no field for stays as it was.
    assert facts["affected_customers"] == made["facts"]["affected_customers"]
    assert facts["aware_at"] == made["facts"]["aware_at"]
    # Sent once more, by a reload: nothing happens twice.
    again = await pages.post(action, data=form | {"intent": "malicious", "summary.de": "Auf Deutsch."})
    assert again.headers["location"] == answer.headers["location"]
    assert (await ok(shared_api.get(path_of(made))))["version"] == 2


async def test_the_form_shows_what_it_would_come_to_and_records_nothing(shared_api, pages, customers):
    stated = [affected(customers[0], data_harm=harm(confidentiality="yes"))]
    made = await declare(shared_api, affected_customers=stated)
    action = path_of(made, "/facts/change")
    form = form_on(await seen(pages, action), action) | {"intent": "malicious", "impact": "I1", "summary.en": "Kept."}
    answer = await pages.post(f"{action}/consequence", data=form)
    assert answer.status_code == 200
    said = visible_text(answer.text)
    assert text("declare.consequence", "en") in said
    assert "11.1.1.3 (1)" in said
    assert text("declare.maybe_same", "en") not in said
    again = form_on(answer.text, action)
    assert (again["intent"], again["summary.en"], again["version"]) == (["malicious"], ["Kept."], ["1"])
    assert (await ok(shared_api.get(path_of(made))))["version"] == 1
    # A colleague changes a fact meanwhile: looking at the consequence takes it in, and reverts nothing.
    await change(shared_api, made, criticality="C1")
    stale = await pages.post(f"{action}/consequence", data=again)
    assert stale.status_code == 412
    assert text("incident.meanwhile", "en") in stale.text
    again = form_on(stale.text, action)
    assert (again["criticality"], again["impact"], again["version"]) == (["C1"], ["I1"], ["2"])
    assert (await pages.post(action, data=again)).status_code == 303


async def test_a_stale_form_keeps_what_was_typed_and_what_a_colleague_changed(shared_api, pages):
    made = await declare(shared_api)
    action = path_of(made, "/facts/change")
    form = form_on(await seen(pages, action), action) | {"summary.en": "My words & <b>mine</b>.", "impact": "I2"}
    await change(shared_api, made, cause="attack", intent="malicious", title={"en": "Their title"})
    stale = await pages.post(action, data=form)
    assert stale.status_code == 412
    assert text("incident.problem.version", "en") in stale.text
    assert "Their title" in stale.text
    assert text("incident.meanwhile", "en") in stale.text
    again = form_on(stale.text, action)
    assert again["summary.en"] == ["My words & <b>mine</b>."]
    assert (again["cause"], again["intent"], again["title.en"]) == (["attack"], ["malicious"], ["Their title"])
    assert (await pages.post(action, data=again)).status_code == 303
    facts = (await ok(shared_api.get(path_of(made))))["facts"]
    assert (facts["cause"], facts["impact"], facts["summary"]["en"]) == ("attack", "I2", "My words & <b>mine</b>.")


async def test_a_fact_that_is_wrong_is_named_and_nothing_typed_is_lost(shared_api, pages):
    made = await declare(shared_api)
    action = path_of(made, "/facts/change")
    form = form_on(await seen(pages, action), action)
    refused = await pages.post(action, data=form | {"aware_at": "yesterday", "measures_taken.en": "Kept."})
    assert refused.status_code == 422
    assert 'aria-invalid="true"' in refused.text
    again = form_on(refused.text, action)
    assert (again["aware_at"], again["measures_taken.en"]) == (["yesterday"], ["Kept."])
    assert (await ok(shared_api.get(path_of(made))))["version"] == 1


async def test_ten_thousand_characters_come_through(shared_api, pages):
    long = "A measure and its words, ä. " * 357
    made = await declare(shared_api, measures_taken={"en": long})
    action = path_of(made, "/facts/change")
    form = form_on(await seen(pages, action), action)
    assert form["measures_taken.en"] == [long]
    assert (await pages.post(action, data=form | {"measures_taken.en": f"{long}\nMore."})).status_code == 303
    assert "More." in await seen(pages, path_of(made, "/facts/history"))


async def test_words_of_people_are_never_markup(shared_api, pages):
    bad = await customer(shared_api, PAYLOAD[:100], contacts=(("x@bad.example", "en"),), services=["iaas"])
    words = dict.fromkeys(LANGUAGES, PAYLOAD)
    stated = affected(bad, data_harm=harm(confidentiality="yes"), effect=words)
    texts = dict.fromkeys(("summary", "measures_taken", "recommendations", "not_known_yet"), words)
    made = await declare(
        shared_api, impact="I1", title={"en": PAYLOAD}, affected_customers=[stated], **texts
    )  # fmt: skip
    await release(shared_api, made)
    made = await change(shared_api, made, measures_taken={"en": f"{PAYLOAD} changed"})
    notices = (await ok(shared_api.get(f"/incidents/{made['id']}/notices")))["items"]
    parts = [f"/notices/{notice['id']}" for notice in notices] + [f"/customers/{bad['id']}"]
    for part in (*PARTS, *parts, "/customers?text=" + PAYLOAD, "/facts/history?older=1&newer=2"):
        page = await seen(pages, path_of(made, part))
        assert "<script>alert" not in page, part
        assert "<img src=x" not in page, part
        assert "{{7*7}}" in page or "49" not in visible_text(page), part


async def test_the_print_view_has_everything_on_one_page(pages, incident):
    said = visible_text(await seen(pages, path_of(incident, "/print")))
    for wanted in ("Hôpital de Valmont", ARABIC, "Something worse.", "malicious", "Facts changed", "draft"):
        assert wanted in said, wanted


# -- differences


async def test_differences_of_lines_leave_out_what_is_far_away():
    before = "\n".join(f"line {number}" for number in range(30))
    pieces = line_differences(before, before.replace("line 15", "line fifteen"))
    assert [(each.kind, each.text) for each in pieces if each.kind in {"added", "removed"}] == [
        ("removed", "line 15"),
        ("added", "line fifteen"),
    ]
    assert [each.kind for each in pieces].count("skipped") == 2
    assert "".join(each.text for each in word_differences("a b c", "a x c") if each.kind != "removed") == "a x c"


async def test_texts_of_any_length_are_compared_in_time():
    pieces = word_differences("a b " * 5_000, "b a " * 5_000)
    assert [each.kind for each in pieces] == ["removed", "added"]


async def test_a_change_is_put_on_what_a_colleague_changed():
    def listed(*names):
        return [{"customer_id": name} for name in names]

    base = {"title": {"en": "T"}, "cause": "bug", "impact": "I1", "affected_customers": listed("a", "b")}
    mine = base | {"cause": "attack", "title": {"en": "T", "de": "D"}, "affected_customers": listed("a", "c")}
    theirs = [{"customer_id": "a", "affected": "no"}, *listed("b", "d")]
    now = base | {"impact": "I2", "title": {"en": "T", "fr": "F"}, "affected_customers": theirs}
    assert rebased(mine, base, now) == {
        "title": {"en": "T", "fr": "F", "de": "D"},
        "cause": "attack",
        "impact": "I2",
        "affected_customers": [{"customer_id": "a", "affected": "no"}, {"customer_id": "d"}, {"customer_id": "c"}],
    }
    without = {name: value for name, value in base.items() if name != "cause"}
    assert rebased(without, base, base) == without
