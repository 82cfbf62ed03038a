"""The page that declares an incident: three entries are enough, the consequence is shown, nothing typed is lost."""

import html
import re

import pytest
import pytest_asyncio

from service.ports.accounts import Role
from support.people import browser, person, visible_text
from support.scenario import customer, declare, harm, ok

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = "/incidents/new"
PREVIEW = "/incidents/new/consequence"
TEXTS = {"title.en": "Fire in SBG2", "summary.en": "A fire is burning.", "time_zone": "UTC"}
MINIMUM = TEXTS | {"aware_at": "2026-03-10T02:40"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def customers(shared_api):
    return {
        name: await customer(shared_api, name, contacts=((f"soc@{name.lower()}.example", "en"),), **where)
        for name, where in (
            ("Alpha", {"services": ["bare-metal"], "regions": ["sbg"]}),
            ("Beta", {"services": ["bare-metal"], "regions": ["gra"]}),
            ("Gamma", {"services": ["object-storage"], "regions": ["sbg"]}),
        )
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def analyst(shared_service, customers):
    return await person(shared_service, "Ada", (Role.ANALYST, None))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(shared_service, analyst):
    async with browser(shared_service, analyst) as opened:
        yield opened


def form_of(analyst, **fields):
    return analyst.form(**(MINIMUM | fields))


async def declared(api, answered):
    assert answered.status_code == 303, visible_text(answered.text)
    path = answered.headers["location"]
    assert path.startswith("/incidents/")
    return await ok(api.get(path))


async def incidents_of(api):
    return (await ok(api.get("/incidents", params={"limit": 200})))["items"]


async def test_three_entries_are_enough_and_what_is_left_out_is_unknown(shared_api, page, analyst):
    answered = await page.post(PAGE, data=form_of(analyst, **{"title.en": "Three entries"}))
    incident = await declared(shared_api, answered)
    facts = incident["facts"]
    assert facts["title"] == {"en": "Three entries"}
    assert facts["aware_at"] == "2026-03-10T02:40:00.000000Z"
    assert (facts["intent"], facts["impact"], facts["inside_perimeter"]) == ("unknown", "unknown", "unknown")
    assert facts["unlisted_customers"] == "unknown"
    assert incident["opened_by"] == f"account:{analyst.account.id}"


async def test_every_fact_of_an_incident_can_be_entered(shared_api, page, analyst, customers):
    fields = {
        "title.fr": "Tout renseigné xq", "title.en": "Everything filled xq", "title.de": "Alles ausgefüllt xq",
        "summary.fr": "f", "summary.en": "Line one\r\nline two", "summary.de": "d",
        "aware_at": "2026-03-10T02:40", "detected_at": "2026-03-10T02:30", "started_at": "2026-03-10T02:20",
        "ended_at": "2026-03-10T04:00", "next_update_by": "2026-03-10T06:00", "time_zone": "Europe/Paris",
        "inside_perimeter": "yes", "intent": "malicious", "cause": "attack",
        "service_harm.availability": "no", "service_harm.integrity": "yes",
        "service_harm.confidentiality": "unknown", "service_harm.traceability": "no",
        "security_measures_harmed": "yes", "normal_operation_disrupted": "no",
        "impact": "I2", "criticality": "C1", "rsit": "intrusions/system-compromise", "tlp": "TLP:RED",
        "services": ["bare-metal", "dns , vpn"], "regions": "sbg", "availability_zones": "sbg1;sbg2",
        "customers": customers["Alpha"]["id"], "customers_pasted": f"BETA\n{customers['Gamma']['id']}\n",
        "unlisted_customers": "not_affected",
        "measures_taken.en": "m", "recommendations.en": "r", "not_known_yet.de": "n",
    }  # fmt: skip
    facts = (await declared(shared_api, await page.post(PAGE, data=form_of(analyst, **fields))))["facts"]
    assert facts["title"] == {"fr": "Tout renseigné xq", "en": "Everything filled xq", "de": "Alles ausgefüllt xq"}
    assert facts["summary"]["en"] == "Line one\nline two"
    moments = [facts[name][:16] for name in ("aware_at", "detected_at", "started_at", "ended_at", "next_update_by")]
    assert moments == [
        "2026-03-10T01:40", "2026-03-10T01:30", "2026-03-10T01:20", "2026-03-10T03:00", "2026-03-10T05:00",
    ]  # fmt: skip
    for name in ("inside_perimeter", "intent", "cause", "security_measures_harmed", "normal_operation_disrupted"):
        assert facts[name] == fields[name]
    for name in ("impact", "criticality", "tlp", "unlisted_customers"):
        assert facts[name] == fields[name]
    assert facts["service_harm"] == {
        "availability": "no", "integrity": "yes", "confidentiality": "unknown", "traceability": "no",
    }  # fmt: skip
    assert (facts["rsit_class"], facts["rsit_type"]) == ("intrusions", "system-compromise")
    assert facts["services"] == ["bare-metal", "dns", "vpn"]
    assert (facts["regions"], facts["availability_zones"]) == (["sbg"], ["sbg1", "sbg2"])
    assert [item["customer_id"] for item in facts["affected_customers"]] == [
        customers[name]["id"] for name in ("Alpha", "Beta", "Gamma")
    ]
    assert (facts["measures_taken"], facts["recommendations"]) == ({"en": "m"}, {"en": "r"})
    assert facts["not_known_yet"] == {"de": "n"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"title.en": ""}, "This is needed."),
        ({"summary.en": "   "}, "This is needed."),
        ({"aware_at": ""}, "This is needed."),
        ({"aware_at": "last night"}, "This is no date with a time."),
        ({"aware_at": "2026-03-10"}, "The time of day is missing."),
        ({"aware_at": "2999-03-10T02:40"}, "This lies in the future."),
        ({"aware_at": "2026-10-25T02:30", "time_zone": "Europe/Paris"}, "exists twice in Europe/Paris"),
        ({"aware_at": "2026-03-29T02:30", "time_zone": "Europe/Paris"}, "does not exist in Europe/Paris"),
        ({"time_zone": "Europe/Atlantis"}, "This time zone is not known."),
        ({"detected_at": "2026-03-10T01:00", "started_at": "2026-03-10T02:00"}, "before the beginning"),
        ({"ended_at": "9999-12-31T23:59", "time_zone": "Etc/GMT+12"}, "no date with a time"),
        ({"intent": "perhaps"}, "This is none of the answers."),
        ({"impact": "I9"}, "This is not accepted"),
        ({"services": "<b>"}, "This is not accepted"),
        ({"rsit": "intrusions/nothing"}, "This is not accepted"),
        ({"customers_pasted": "Nobody Ltd"}, "Nobody Ltd"),
        ({"title.en": "x" * 201}, "This is not accepted"),
        ({"summary.en": "y" * 20_001}, "This is not accepted"),
        ({"title.en": "a\x07b"}, "This is not accepted"),
    ],
)
async def test_a_wrong_entry_is_told_at_its_field_and_nothing_is_lost(shared_api, page, analyst, fields, said):
    before = len(await incidents_of(shared_api))
    sent = form_of(analyst, form_id="stays", **{"cause": "bug", "regions": "sbg, elsewhere"} | fields)
    answered = await page.post(PAGE, data=sent)
    assert answered.status_code == 422
    assert said in html.unescape(visible_text(answered.text))
    (name,) = [name for name in fields if name not in {"time_zone", "started_at"}] or ["time_zone"]
    control = re.search(rf'<(?:input|textarea|select|fieldset)[^>]*id="{re.escape(name)}"[^>]*>', answered.text)[0]
    assert f"{name}-error" in control
    for field, value in sent.items():
        if field in {"csrf_token", "regions"} or (field == "time_zone" and "Atlantis" in value):
            continue
        kept = html.unescape(answered.text)
        assert value.strip() in kept or value in {"perhaps", "I9", "intrusions/nothing"}, field
    assert 'value="elsewhere"' in answered.text
    assert 'name="form_id" value="stays"' in answered.text
    assert len(await incidents_of(shared_api)) == before


async def test_a_form_that_is_sent_twice_declares_once(shared_api, page, analyst):
    shown = await page.get(PAGE)
    form_id = re.search(r'name="form_id" value="([^"]+)"', shown.text)[1]
    sent = form_of(analyst, form_id=form_id, **{"title.en": "Sent two times, quite distinct"})
    first, second = [await page.post(PAGE, data=sent) for _ in range(2)]
    assert first.headers["location"] == second.headers["location"]
    titles = [item["facts"]["title"].get("en") for item in await incidents_of(shared_api)]
    assert titles.count("Sent two times, quite distinct") == 1


async def test_the_consequence_shows_nature_clauses_priority_deadline_and_who_with_reasons(page, analyst, shared_api):
    before = len(await incidents_of(shared_api))
    fields = {"picture": "site_lost", "regions": "sbg", "fragment": "1"}
    answered = await page.post(PREVIEW, data=analyst.form(**TEXTS, **fields))
    assert answered.status_code == 200
    assert "<html" not in answered.text
    said = html.unescape(visible_text(answered.text))
    assert "security incident provisional" in said
    assert "P1" in said
    assert "within 30 min" in said
    assert "If we became aware just now" in said
    # Both in the region, by level 1; the one elsewhere is not.
    assert re.search(r"2\s+to notify", said)
    assert re.search(r"1\s+not to notify", said)
    assert "11.1.1.3 (1)" in said
    assert "Neither the service as the customer uses it nor the customer's data is touched." in said
    # What decides is asked first, with the result of each answer.
    assert re.search(r"Ask this first Did somebody do it on purpose\? malicious → security incident, P1", said)
    assert "3.2 (a)" in said
    assert len(await incidents_of(shared_api)) == before


async def test_without_a_script_the_button_shows_it_on_the_page_with_everything_typed(page, analyst):
    sent = form_of(analyst, picture="ransomware", regions="sgb", intent="unknown")
    answered = await page.post(PREVIEW, data=sent)
    assert answered.status_code == 200
    assert 'value="Fire in SBG2"' in answered.text
    # The picture filled its fields.
    assert re.search(r'name="intent" value="malicious" checked', answered.text)
    # A name with a slip reaches nobody, and that is said.
    assert "nobody is reached by them" in answered.text
    assert "<code>sgb</code>" in answered.text
    nonsense = await page.post(PREVIEW, data=form_of(analyst, aware_at="soon", impact="I9", fragment="1"))
    assert nonsense.status_code == 200
    assert "were not understood" in nonsense.text


@pytest.mark.parametrize(("language", "words"), [("fr", "Déclarer"), ("en", "Declare"), ("de", "melden")])
async def test_it_speaks_the_language_of_the_reader_with_the_wording_of_the_agreement(shared_service, language, words):
    reader = await person(shared_service, f"Reader{language}", (Role.ANALYST, None), language=language)
    wording = {
        "fr": "L’événement est intentionnellement malveillant.",
        "en": "The event is intentionally malicious.",
        "de": "Das Ereignis ist vorsätzlich böswillig.",
    }
    async with browser(shared_service, reader) as opened:
        shown = html.unescape((await opened.get(PAGE)).text)
    assert words in shown
    assert wording[language].replace("’", "'") in shown.replace("’", "'")
    assert f'lang="{language}"' in shown
    assert "8.3" not in re.search(r'<fieldset class="radios" id="impact".*?</fieldset>', shown, re.DOTALL)[0]


async def test_a_possible_duplicate_is_shown_and_a_person_says_that_it_is_another(shared_api, page, analyst):
    known = await declare(
        shared_api, title={"en": "Switch failure in hall 7"}, services=["network"], service_harm=harm()
    )
    sent = form_of(analyst, **{"title.en": "Failure of a switch in hall 7", "aware_at": "2026-03-12T02:40"})
    preview = await page.post(PREVIEW, data=sent | {"fragment": "1"})
    assert known["ticket"] in preview.text
    refused = await page.post(PAGE, data=sent)
    assert refused.status_code == 409
    assert f'href="/incidents/{known["id"]}"' in refused.text
    assert "similar title" in refused.text
    another_than = html.unescape(re.search(r'name="another_than" value="([^"]*)"', refused.text)[1])
    unconfirmed = await page.post(PAGE, data=sent | {"another_than": another_than})
    assert unconfirmed.status_code == 409
    confirmed = await page.post(PAGE, data=sent | {"another_than": another_than, "is_another": "yes"})
    await declared(shared_api, confirmed)
    # Whatever was declared meanwhile is asked for again.
    again = await page.post(PAGE, data=sent | {"another_than": another_than, "is_another": "yes"})
    assert again.status_code == 409


XSS = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"


async def test_no_field_carries_a_script_into_the_page(page, analyst):
    shown = await page.get(PAGE)
    names = set(re.findall(r'\bname="([^"]+)"', shown.text)) - {"csrf_token"}
    assert len(names) > 40
    for path in (PAGE, PREVIEW):
        answered = await page.post(path, data=analyst.form(**dict.fromkeys(names - {"fragment"}, XSS)))
        assert answered.status_code in {200, 422}
        assert "<script>alert" not in answered.text
        assert "<img src=x" not in answered.text
        assert "&lt;script&gt;alert" in answered.text
        for attribute in re.findall(r"<(?:input|a|option|button)\b[^>]*>", answered.text):
            assert "onerror" not in re.sub(r'"[^"]*"', "", attribute)
    one_by_one = await page.post(PREVIEW, data=analyst.form(fragment="1", **dict.fromkeys(names - {"fragment"}, XSS)))
    assert "<script" not in one_by_one.text


async def test_who_may_not_declare_sees_no_form_and_no_link(shared_service):
    approver = await person(shared_service, "Bo", (Role.APPROVER, None))
    async with browser(shared_service, approver) as opened:
        assert (await opened.get(PAGE)).status_code == 403
        assert (await opened.post(PREVIEW, data=approver.form())).status_code == 403
        assert f'href="{PAGE}"' not in (await opened.get("/")).text
    async with browser(shared_service) as stranger:
        asked = await stranger.get(PAGE)
        assert asked.status_code == 303
        assert asked.headers["location"] == "/sign-in?return_to=%2Fincidents%2Fnew"
