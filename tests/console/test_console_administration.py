"""Pages of the administration: alerts, health, keys and settings, in three languages."""

import re

import pytest
import pytest_asyncio

from service.cli.demo.environment import embedded_service
from service.crypto.key_states import CURRENT, OVERLAPPING, RETIRED
from service.monitoring.alert_texts import KINDS
from service.monitoring.alerts import raise_alerts
from service.monitoring.notice_findings import AlertCandidate
from service.ports.accounts import Role
from service.web.console.catalogues import CATALOGUES
from support.people import act_of, browser, person, visible_text
from support.scenario import affected, customer, declare, harm, ok

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
ALERTS = "/administration/alerts"


@pytest.fixture(scope="module")
def running(shared_service):
    return shared_service


@pytest.fixture(scope="module")
def api(shared_api):
    return shared_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adam(running):
    return await person(running, "Adam", (Role.ADMINISTRATOR, None), email="adam@administration.example")


async def raised(running, *candidates):
    """Raise alerts as the scan does."""
    act, provider = act_of(running), running.parts.context.settings.provider
    await running.parts.store.write(lambda tx: raise_alerts(tx, act, candidates, provider))


async def test_an_alert_says_its_stage_whom_it_was_mailed_to_and_who_saw_it(running, api, adam):
    ada = await person(running, "Ada", (Role.ANALYST, None), email="ada@administration.example")
    # Of a kind that the service does not close by itself: it looks at its disk whenever it likes.
    await raised(
        running, AlertCandidate(key="webhook_disabled:1", kind="webhook_disabled", ticket="data", said="after 12 days")
    )
    async with browser(running, adam) as page:
        shown = await page.get(ALERTS)
        card = next(
            each for each in re.findall(r'<li class="card.*?</li>\n', shown.text, re.DOTALL) if "12 days" in each
        )
        assert "A webhook was switched off" in card
        for address in ("adam@administration.example", "ada@administration.example", "soc@demo-cloud.example"):
            assert address in card
        see = re.search(r'action="(/administration/alerts/[0-9a-f-]+/seen)"', card)[1]
        answer = await page.post(see, data=adam.form())
        assert (answer.status_code, answer.headers["location"]) == (303, f"{ALERTS}?done=seen")
        assert "12 days" not in (await page.get(ALERTS)).text
        seen = (await page.get(f"{ALERTS}?show=all")).text
        assert "Seen by <bdi>Adam</bdi>" in seen
    async with browser(running, ada) as page:
        # Whoever says so first is recorded.
        assert (await page.post(see, data=ada.form())).status_code == 303
        assert "Seen by <bdi>Adam</bdi>" in (await page.get(f"{ALERTS}?show=all")).text
        # The next stage is another alert.
        await raised(
            running,
            AlertCandidate(key="webhook_disabled:1", kind="webhook_disabled", ticket="data", said="after 12 days"),
        )
        assert "12 days" not in (await page.get(ALERTS)).text
        await raised(
            running,
            AlertCandidate(key="webhook_disabled:2", kind="webhook_disabled", ticket="data", said="after 3 days"),
        )
        assert "after 3 days" in (await page.get(ALERTS)).text
    listed = await ok(api.get("/attention/alerts"))
    first = next(item for item in listed["items"] if item["key"] == "webhook_disabled:1")
    assert first["seen_by"] == f"account:{adam.account.id}"
    assert {"adam@administration.example", "ada@administration.example"} <= {
        mail["recipient"] for mail in first["mailed"]
    }
    unseen = await ok(api.get("/attention/alerts", params={"unseen": "true"}))
    assert "webhook_disabled:1" not in [item["key"] for item in unseen["items"]]


async def test_one_cause_is_one_mailing_and_every_alert_of_it_names_its_mails(running, api):
    found = [
        AlertCandidate(key=f"customer_check_failed:{number}", kind="customer_check_failed", ticket=f"C{number}")
        for number in range(3)
    ]
    await raised(running, *found, AlertCandidate(key="quiet", kind="call_open", ticket="Q", mailed=False))
    items = {item["key"]: item for item in (await ok(api.get("/attention/alerts", params={"limit": 200})))["items"]}
    assert len({str(items[each.key]["mailed"]) for each in found}) == 1
    assert items[found[0].key]["mailed"]
    assert items["quiet"]["mailed"] == []


async def test_alerts_are_read_page_by_page_newest_first(running, adam):
    await raised(
        running,
        *(AlertCandidate(f"witness_failing:{each}", "witness_failing", f"w{each:03}") for each in range(70)),
    )
    async with browser(running, adam) as page:
        seen, path = [], f"{ALERTS}?show=all"
        while path:
            shown = (await page.get(path)).text
            seen += re.findall(r"<bdi>(w\d{3}) 1", shown)
            path = next(iter(re.findall(r'rel="next" href="(.*?)"', shown)), "").replace("&amp;", "&")
    assert seen == [f"w{number:03}" for number in reversed(range(70))]


async def test_an_administrator_sees_no_alert_about_an_incident(running, api, adam):
    own = await customer(api, "Incident")
    incident = await declare(
        api,
        impact="I1",
        service_harm=harm(confidentiality="yes"),
        affected_customers=[affected(own, data_harm=harm(confidentiality="yes"))],
    )
    await raised(running, AlertCandidate("delivery_failed:x", "delivery_failed", incident["ticket"], count=7))
    ada = await person(running, "Ana", (Role.ANALYST, None), email="ana@administration.example")
    async with browser(running, ada) as page:
        shown = (await page.get(ALERTS)).text
        assert incident["ticket"] in shown
        see = re.search(
            r'action="(/administration/alerts/[0-9a-f-]+/seen)"', shown[shown.index("A delivery has failed") :]
        )[1]
    async with browser(running, adam) as page:
        assert incident["ticket"] not in (await page.get(f"{ALERTS}?show=all")).text
        assert (await page.post(see, data=adam.form())).status_code == 404


async def test_an_emergency_release_is_reviewed_instead_of_seen(running):
    await raised(running, AlertCandidate(key="release_overridden:1", kind="release_overridden", ticket="INC-R"))
    ada = await person(running, "Abe", (Role.ANALYST, None), email="abe@administration.example")
    found = await running.parts.store.read(lambda tx: tx.alerts.by_key("release_overridden:1"))
    async with browser(running, ada) as page:
        assert f"{found.id}/seen" not in (await page.get(ALERTS)).text
        answer = await page.post(f"{ALERTS}/{found.id}/seen", data=ada.form())
        assert answer.status_code == 409
        assert "somebody reviews it" in answer.text


@pytest.mark.parametrize("language", sorted(CATALOGUES))
async def test_every_kind_of_alert_and_key_has_its_words(language):
    for kind in KINDS:
        assert f"alerts.kind.{kind}" in CATALOGUES[language]
    for kind in ("signing", "log", "timestamp", "demo_ca", "master"):
        assert f"keys.kind.{kind}" in CATALOGUES[language]
        assert f"keys.use.{kind}" in CATALOGUES[language]
    for state in (CURRENT, OVERLAPPING, RETIRED):
        assert f"keys.state_{state}" in CATALOGUES[language]


# -- keys


async def test_keys_say_what_they_are_for_how_long_and_how_they_are_replaced(running, api, adam):
    keys = (await ok(api.get("/keys")))["items"]
    async with browser(running, adam) as page:
        shown = (await page.get("/administration/keys")).text
    for key in keys:
        assert key["fingerprint"] in shown
    text = visible_text(shown)
    assert "Signs the checkpoints of the log." in text
    assert re.search(r"Days left \d+", text)
    assert "greffier keys rotate master --data data" in text
    assert "No witness is set" in text
    assert "PRIVATE KEY" not in shown


@pytest.mark.parametrize("kind", ["log", "signing"])
async def test_a_key_is_replaced_once_by_who_confirms(kind, running, api, adam):
    async def current():
        return {item["fingerprint"] for item in (await ok(api.get("/keys")))["items"] if item["kind"] == kind}

    before = await current()
    path = f"/administration/keys/{kind}/rotate"
    async with browser(running, adam) as page:
        unconfirmed = await page.post(path, data=adam.form())
        assert unconfirmed.status_code == 422
        assert "Tick the box" in unconfirmed.text
        assert await current() == before
        form = adam.form(confirmed="yes", form_id=f"rotate-{kind}")
        for _ in range(2):
            answer = await page.post(path, data=form)
            assert answer.headers["location"] == f"/administration/keys?done={kind}"
        assert "is in place" in (await page.get(answer.headers["location"])).text
    assert len(await current()) == len(before) + 1


async def test_too_many_log_keys_are_refused_with_the_reason(running, adam):
    async with browser(running, adam) as page:
        answers = [
            await page.post("/administration/keys/log/rotate", data=adam.form(confirmed="yes")) for _ in range(12)
        ]
    refused = [answer for answer in answers if answer.status_code == 409]
    assert refused
    assert "The key was not replaced" in refused[0].text


# -- settings


async def test_settings_say_value_source_and_purpose_and_never_a_secret(data_folder, service_log, monkeypatch):
    with (data_folder / "greffier.toml").open("a") as file:
        file.write("\n[alerts]\ngrace_seconds = 77\n")
    monkeypatch.setenv("GREFFIER_PROVIDER__CONTACT_PHONE", f"+33 {BAD}")
    monkeypatch.setenv("GREFFIER_OIDC__CLIENT_SECRET", "s3cret-of-the-provider")
    async with embedded_service(data_folder) as service:
        adam = await person(service, "Adam", (Role.ADMINISTRATOR, None))
        async with browser(service, adam) as page:
            shown = (await page.get("/administration/settings")).text
            stated = (await page.get("/administration/settings?show=stated")).text
            told = {item["key"]: item for item in (await page.get("/api/v1/settings")).json()["items"]}
    assert "s3cret" not in shown
    assert "<img src=x" not in shown
    assert "&lt;img src=x" in shown
    text = visible_text(stated)
    assert re.search(r"grace_seconds 77(?:\.0)? .*? From the file alerts.grace_seconds", text)
    assert re.search(r"client_secret Secret, set .*? From the environment GREFFIER_OIDC__CLIENT_SECRET", text)
    assert re.search(r"host 127.0.0.1 .*? From the starting command", text)
    assert "session_seconds" not in stated
    assert "Mailbox of the contact point. Every alert goes there too." in shown
    assert told["alerts.grace_seconds"]["source"] == "file"
    assert told["oidc.client_secret"] | {"purpose": ""} == {
        "name": told["oidc.client_secret"]["name"], "value": "set", "secret": True, "key": "oidc.client_secret",
        "source": "environment", "source_name": "GREFFIER_OIDC__CLIENT_SECRET", "purpose": "",
    }  # fmt: skip
    assert told["alerts.lead_seconds"]["source"] == "default"


# -- health


async def test_health_says_every_part_in_words(running, adam):
    async with browser(running, adam) as page:
        shown = (await page.get("/administration/health")).text
        ready = (await page.get("/readyz")).json()
    text = visible_text(shown)
    for part in ready["parts"]:
        assert f'<code class="hint">{part}</code>' in shown
        assert any(f"health.part.{part}" in catalogue for catalogue in CATALOGUES.values()), part
    assert "This process leads" in text
    assert re.search(r"Rules of the time zones \(IANA\) 20\d\d[a-z]", text)
    assert "greffier backup folder --data data" in text


async def test_a_part_that_fails_stands_first_with_its_reason(data_folder, service_log):
    async with embedded_service(data_folder) as service:
        adam = await person(service, "Adam", (Role.ADMINISTRATOR, None))
        service.parts.probes["zzz"] = lambda: BAD
        async with browser(service, adam) as page:
            shown = (await page.get("/administration/health")).text
    assert "Parts that do not do their work: 1" in shown
    assert "<img src=x" not in shown
    assert shown.index("zzz") < shown.index("disk</code>")
    assert "Another part" in shown


# -- all of them


PATHS = ("/administration", ALERTS, "/administration/health", "/administration/keys", "/administration/settings")


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_the_pages_speak_every_language_and_nothing_in_them_is_markup(language, running):
    await raised(
        running,
        AlertCandidate(key=f"webhook_disabled:{language}", kind="webhook_disabled", ticket=BAD, said=BAD),
    )
    eve = await person(running, BAD, (Role.ADMINISTRATOR, None), language=language, email=f"eve@{language}.example")
    async with browser(running, eve) as page:
        for path in PATHS:
            shown = await page.get(path, params={"done": BAD, "show": BAD})
            assert shown.status_code == 200, path
            assert f'<html lang="{language}">' in shown.text
            assert "<script>alert" not in shown.text
            assert "<img src=x" not in shown.text
        see = re.search(r'action="(/administration/alerts/[0-9a-f-]+/seen)"', (await page.get(ALERTS)).text)[1]
        await page.post(see, data=eve.form())
        shown = await page.get(f"{ALERTS}?show=all")
        assert "<img src=x" not in shown.text


async def test_who_may_not_gets_no_page(running, api):
    own = await customer(api, "Own of Max")
    max_ = await person(running, "Max", (Role.CUSTOMER_MANAGER, own["id"]), email="max@administration.example")
    async with browser(running, max_) as page:
        assert 'href="/administration"' not in (await page.get("/")).text
        for path in PATHS:
            assert (await page.get(path)).status_code == 403
    auditor = await person(running, "Aud", (Role.AUDITOR, None), email="aud@administration.example")
    async with browser(running, auditor) as page:
        for path in ("/administration/keys", "/administration/settings"):
            shown = await page.get(path)
            assert shown.status_code == 200
            assert 'action="/administration' not in shown.text
        assert (
            await page.post("/administration/keys/log/rotate", data=auditor.form(confirmed="yes"))
        ).status_code == 403
