"""The day of an incident through the pages: analyst, approver, customer and auditor, from alert to verified bundle.

Every step is found as a person finds it: by the role and the name or label of what it needs, in the person's language.
"""

import re
import shutil
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from playwright.async_api import expect

from notifications.wording import words
from service.cli.demo.environment import RunningService, embedded_service
from service.ports.accounts import AccountKind, Role
from service.web.console.catalogues import text
from support.chromium import opened_page
from support.commands import run_beside
from support.people import person
from support.reserved_port import reserved_port
from support.scenario import AGREEMENT_ID, ago, ok
from support.world import account, at_provider

expect.set_options(timeout=30_000)

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 360, "height": 740}
OF_INCIDENT = re.compile(r"/incidents/[0-9a-f-]{36}$")
TITLE = {
    "en": "Foreign sessions on the hypervisors",
    "fr": "Sessions étrangères sur les hyperviseurs",
    "de": "Fremde Sitzungen auf den Hypervisoren",
}
SAID = {
    "en": ("Which of our machines?", "None of the productive ones.", "The keys were replaced.", "Replace your keys."),
    "fr": ("Lesquelles de nos machines ?", "Aucune en production.", "Clés remplacées.", "Remplacez vos clés."),
    "de": ("Welche unserer Maschinen?", "Keine der produktiven.", "Schlüssel ersetzt.", "Ersetzen Sie Ihre Schlüssel."),
}


@dataclass
class Day:
    """A service with customers, the people of the day at their browsers, and the language that they read."""

    service: RunningService
    api: httpx2.AsyncClient
    origin: str
    language: str
    count: int
    scripted: bool
    people: dict = field(default_factory=dict)

    def t(self, key, **values):
        """Return the words of the pages for a key."""
        return text(key, self.language, **values)

    @property
    def said(self):
        return SAID[self.language]

    async def incident(self):
        """Return the one incident of the day."""
        (incident,) = (await ok(self.api.get("/incidents")))["items"]
        return incident


async def _customers(api, count, language):
    """Register customers with a contact each in one go; returns the first."""
    columns = (
        "name", "language", "agreement_id", "agreement_effective_at", "services", "contact_name", "contact_email",
        "contact_language", "contact_address_confirmed",
    )  # fmt: skip
    bound = (language, AGREEMENT_ID, "2025-02-01T00:00:00Z", "iaas")
    rows = [
        (f"Client {number:03d}", *bound, "SOC", f"soc{number}@client.example", language, "true")
        for number in range(count)
    ]
    lines = [",".join(row) for row in (columns, *rows)]
    await ok(api.post("/customers/import", content="\r\n".join(lines), headers={"Content-Type": "text/csv"}))
    listed = await ok(api.get("/customers", params={"limit": 200}))
    return next(each for each in listed["items"] if each["name"] == "Client 000")


@asynccontextmanager
async def begun_day(prepared_folder, tmp_path, chromium, language, count, **options):
    """Start the service and open a browser for each person; no page may have complained at the end of the day."""
    shutil.copytree(prepared_folder, tmp_path / "data")
    with reserved_port() as port:
        origin = f"http://localhost:{port}"
        settings = {
            "provider__console_url": origin, "provider__default_language": language, "log__batch_seconds": 0.01,
            "access__requests_burst": 20_000,
        }  # fmt: skip
        async with (
            embedded_service(tmp_path / "data", port=port, **settings) as service,
            httpx2.AsyncClient(
                base_url=f"{service.url}/api/v1", headers={"Authorization": f"Bearer {service.token}"}, timeout=30
            ) as api,
            AsyncExitStack() as stack,
        ):
            day = Day(service, api, origin, language, count, options.get("java_script_enabled", True))
            first = await _customers(api, count, language)
            for name, role, at in (
                ("Ada", Role.ANALYST, None),
                ("Bob", Role.APPROVER, None),
                ("Cleo", Role.CUSTOMER_MEMBER, first["id"]),
                ("Iris", Role.AUDITOR, None),
            ):
                whom = await person(service, name, (role, at), language=language)
                opened = opened_page(chromium, origin, whom, locale=language, **options)
                day.people[name] = await stack.enter_async_context(opened)
            yield day
            assert {name: page.complaints for name, page in day.people.items() if page.complaints} == {}


async def alerted(day):
    """The monitoring sends an alert."""
    _, token = await account(
        day.service,
        "monitoring",
        at_provider(Role.SERVICE_ACCOUNT),
        kind=AccountKind.SERVICE,
        permissions=["incident.declare", "self"],
    )
    alert = {
        "status": "firing",
        "labels": {"alertname": "Sessions", "service": "iaas", "severity": "info"},
        "annotations": {"summary": TITLE[day.language], "description": TITLE[day.language]},
        "startsAt": ago(minutes=30),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": "1a30ba71cca2921f",
    }
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=f"{day.service.url}/api/v1", headers=headers, timeout=120) as sender:
        answered = await ok(sender.post("/alerts", json={"version": "4", "status": "firing", "alerts": [alert]}))
    assert [item["outcome"] for item in answered["items"]] == ["opened"]


async def begun(day, name, area):
    """A person goes to an area of pages by the navigation; returns the page."""
    page = day.people[name]
    await page.goto("/")
    navigation = page.get_by_role("navigation", name=day.t("layout.navigation"))
    menu = navigation.get_by_text(day.t("layout.menu"))
    # On a phone the areas are folded.
    if await menu.is_visible():
        await menu.click()
    await navigation.get_by_role("link", name=day.t(f"layout.{area}"), exact=True).click()
    return page


async def pressed(page, day, key, **values):
    """Press the button with these words."""
    await page.get_by_role("button", name=day.t(key, **values), exact=True).click()


async def section(page, day, name):
    """Go to another page of the incident."""
    sections = page.get_by_role("navigation", name=day.t("incident.sections"))
    await sections.get_by_role("link", name=day.t(f"incident.section.{name}"), exact=True).click()


async def declared(day):
    """The analyst finds the draft of the alert on the board, completes it, and declares."""
    page = await begun(day, "Ada", "incidents")
    await page.get_by_role("region", name=day.t("drafts.title")).get_by_role("link", name=TITLE[day.language]).click()
    await expect(page.get_by_text(day.t("drafts.from_alert"))).to_be_visible()
    await pressed(page, day, "declare.picture.intrusion")
    await expect(page.get_by_role("radio", name=words("intent.malicious", day.language))).to_be_checked()
    if day.scripted:
        now = day.t("facts.now_for", field=day.t("facts.aware_at"))
        await page.get_by_role("button", name=now, exact=True).click()
    else:
        await page.get_by_label(day.t("facts.aware_at"), exact=True).fill(f"{datetime.now(UTC):%Y-%m-%dT%H:%M}")
    for fact, level in (("impact", "I3"), ("criticality", "C3")):
        await page.get_by_role("group", name=day.t(f"facts.{fact}")).get_by_role("radio", name=level).check()
    await page.get_by_role("button", name=day.t("declare.declare"), exact=True).last.click()
    await page.wait_for_url(OF_INCIDENT)
    await expect(page.get_by_role("heading", level=1)).to_have_text(TITLE[day.language])


async def assessed(day):
    """The analyst follows the next step, answers for all customers at once, and sees how many are owed a notice."""
    page = day.people["Ada"]
    await expect(page.get_by_text(day.t("incident.next.establish.why", count=day.count))).to_be_visible()
    await page.get_by_role("link", name=day.t("incident.next.establish.do"), exact=True).click()
    rows = page.get_by_role("row").filter(has=page.get_by_role("rowheader"))
    await expect(rows).to_have_count(day.count)
    await page.get_by_label(day.t("incident.find")).fill("client")
    if day.scripted:
        await page.get_by_role("checkbox", name=day.t("incident.choose"), exact=True).check()
        await expect(page.get_by_text(day.t("incident.chosen_count", count=day.count))).to_be_visible()
    else:
        await pressed(page, day, "incident.filter")
        await page.get_by_label(day.t("incident.all_kept", count=day.count)).check()
    await page.get_by_label(day.t("incident.column.affected")).select_option("yes")
    await page.get_by_label(day.t("incident.column.confidentiality")).select_option("yes")
    await pressed(page, day, "incident.answer")
    await expect(page.get_by_role("status").first).to_contain_text(
        day.t("incident.answered", count=day.count, version=2)
    )
    # What was typed into a filter does not stand in the search of the whole service.
    await expect(page.get_by_role("searchbox", name=day.t("search.label"), exact=True)).to_have_value("")
    await page.get_by_role("link", name=day.t("incident.see_drafts")).click()
    await expect(page.get_by_role("heading", name=day.t("incident.drafts", count=day.count))).to_be_visible()
    await expect(page.get_by_text(day.t("incident.no_release"))).to_be_visible()


async def released(day, *, reviewed):
    """The approver finds the drafts, reads one as its customer reads it, and releases all."""
    if reviewed:
        page = day.people["Bob"]
        await page.goto("/")
        waiting = page.get_by_role("region", name=day.t("home.waiting"))
        await waiting.get_by_role("link", name=day.t("waiting.draft_unreleased")).first.click()
        await page.get_by_role("rowheader").get_by_role("link").first.click()
        letter = page.frame_locator("iframe.words")
        await expect(letter.get_by_text(TITLE[day.language]).first).to_be_visible()
        await page.get_by_role("link", name=day.t("incident.back_to_notices")).click()
    else:
        page = await begun(day, "Bob", "incidents")
        await page.get_by_role("link", name=day.t("board.do_release_many", count=day.count)).first.click()
    await pressed(page, day, "incident.release_all", count=day.count)
    await expect(page.get_by_role("status").first).to_contain_text(day.t("incident.done_released"))


async def mailed(day, times):
    """Every contact gets its notices by mail, each once."""

    def counts():
        got = Counter(to for message in day.service.sink.messages for to in message.recipients)
        return {got[f"soc{number}@client.example"] for number in range(day.count)}

    while min(counts()) < times:
        await day.service.sink.wait_for(len(day.service.sink.messages) + 1, timeout_seconds=120)
    assert counts() == {times}


async def read_and_asked(day):
    """The customer finds the notice in its inbox, sees that it is genuine, and asks about it."""
    page = await begun(day, "Cleo", "notices")
    notice = page.get_by_role("listitem").filter(has_text=day.t("inbox.unread"))
    await notice.get_by_role("link", name=TITLE[day.language]).click()
    await verified(day, page)
    await page.get_by_label(day.t("questions.ask")).fill(day.said[0])
    await pressed(page, day, "questions.send")
    await expect(page.get_by_text(day.t("questions.asked"))).to_be_visible()


async def verified(day, page):
    """The browser finds the notice genuine; without scripts the page says that it checks nothing."""
    proofs = page.get_by_role("region", name=day.t("notice.proofs"))
    if day.scripted:
        genuine = day.t("proof.genuine").partition("{")[0].strip()
        await expect(proofs.get_by_role("status")).to_contain_text(genuine)
    else:
        # A locator by text passes over what stands in a noscript element.
        assert day.t("proof.no_script") in await proofs.inner_text()


async def replied(day):
    """The analyst sees that a question waits, finds it among the questions, and replies."""
    page = await begun(day, "Ada", "home")
    waiting = page.get_by_role("region", name=day.t("home.waiting")).get_by_role("listitem")
    await expect(waiting.get_by_role("link", name=day.t("waiting.question_waiting"))).to_be_visible()
    # Its moment is not among the words in the form of a log.
    assert re.search(r"\d{4}-\d\d-\d\dT", await waiting.inner_text()) is None
    page = await begun(day, "Ada", "questions")
    await expect(page.get_by_text(day.said[0])).to_be_visible()
    await page.get_by_role("link", name=day.t("questions.to_reply"), exact=True).click()
    await page.get_by_label(day.t("questions.reply"), exact=True).fill(day.said[1])
    await pressed(page, day, "questions.send_reply")
    await expect(page.get_by_role("status")).to_contain_text(day.t("questions.answered"))


async def acknowledged(day):
    """The customer reads the reply and acknowledges the notice."""
    page = await begun(day, "Cleo", "notices")
    await page.get_by_role("link", name=TITLE[day.language]).click()
    await expect(page.get_by_text(day.said[1])).to_be_visible()
    await pressed(page, day, "acknowledgement.submit")
    await expect(page.get_by_text(day.t("acknowledgement.own"))).to_be_visible()


async def followed_up(day):
    """The analyst tells the customers what was done."""
    page = await begun(day, "Ada", "incidents")
    await page.get_by_role("link", name=TITLE[day.language]).first.click()
    await page.get_by_role("link", name=day.t("incident.next.follow_up.do"), exact=True).click()
    await in_own_language(day, page, "measures_taken").fill(day.said[2])
    await pressed(page, day, "incident.draft_follow_up")
    await expect(page.get_by_role("heading", name=day.t("incident.drafts", count=day.count))).to_be_visible()


def in_own_language(day, page, fact):
    group = page.get_by_role("group", name=day.t(f"incident.fact.{fact}"))
    return group.get_by_label(words(f"language.{day.language}", day.language), exact=True)


async def closed(day):
    """The analyst closes the incident with the final report."""
    page = await begun(day, "Ada", "incidents")
    await page.get_by_role("link", name=TITLE[day.language]).first.click()
    await section(page, day, "closing")
    await in_own_language(day, page, "recommendations").fill(day.said[3])
    await page.get_by_label(day.t("incident.fact.ended_at")).fill(
        f"{datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%dT%H:%M}"
    )
    await pressed(page, day, "incident.close")
    await expect(page.get_by_role("status").first).to_contain_text(day.t("incident.done_closed"))


async def told(day, sequence):
    """The customer finds the next notice, unread, with the words of the provider."""
    page = await begun(day, "Cleo", "notices")
    notice = page.get_by_role("listitem").filter(has_text=day.t("inbox.unread"))
    await expect(notice).to_contain_text(day.t("notice.number", number=sequence))
    await notice.get_by_role("link", name=TITLE[day.language]).click()
    await verified(day, page)
    await expect(page.get_by_text(day.said[sequence]).first).to_be_visible()


async def audited(day, tmp_path):
    """The auditor finds who was notified, checks an entry, and takes a bundle, which the command verifies."""
    ticket = (await day.incident())["ticket"]
    page = await begun(day, "Iris", "audit")
    await page.get_by_label(day.t("audit.customer")).fill("Client 000")
    await page.get_by_label(day.t("audit.ticket")).fill(ticket)
    await pressed(page, day, "audit.show")
    of_incident = page.get_by_role("region", name=ticket)
    await of_incident.get_by_text(day.t("audit.customers", count=1)).click()
    entry = (
        of_incident.get_by_role("listitem")
        .filter(has_text="Client 000")
        .get_by_role("link", name=re.compile(day.t("audit.entry", index=r"\d+")))
    )
    await entry.last.click()
    # The entry names its incident as people do.
    await expect(page.get_by_role("link", name=ticket, exact=True)).to_be_visible()
    if day.scripted:
        await pressed(page, day, "audit_proof.check")
        await expect(page.get_by_text(day.t("audit_proof.checked_here"))).to_be_visible()
    else:
        await expect(page.get_by_text(day.t("audit_proof.no_script"))).to_be_visible()
    await page.go_back()
    await of_incident.get_by_role("link", name=day.t("audit.bundle")).click()
    make = page.get_by_role("button" if day.scripted else "link", name=day.t("audit_bundles.make"))
    async with page.expect_download() as download:
        await make.click()
    file = tmp_path / (await download.value).suggested_filename
    await (await download.value).save_as(file)
    said = await run_beside("verify", file, "--trust", day.service.trust_dir)
    assert said.returncode == 0, said.stdout + said.stderr


async def walk(day, tmp_path):
    """The day, from the alert to the bundle."""
    await alerted(day)
    await declared(day)
    await assessed(day)
    await released(day, reviewed=True)
    await mailed(day, 1)
    await read_and_asked(day)
    await replied(day)
    await acknowledged(day)
    await followed_up(day)
    await released(day, reviewed=False)
    await mailed(day, 2)
    await told(day, 2)
    await closed(day)
    await released(day, reviewed=False)
    await mailed(day, 3)
    await told(day, 3)
    await audited(day, tmp_path)


@pytest.mark.parametrize(
    ("language", "count", "options"),
    [
        ("en", 200, {"viewport": WIDE}),
        ("fr", 5, {"viewport": PHONE}),
        ("de", 5, {"viewport": WIDE, "color_scheme": "dark"}),
    ],
)
async def test_a_day_goes_through_the_pages_in_each_language(
    language, count, options, prepared_folder, tmp_path, chromium
):
    async with begun_day(prepared_folder, tmp_path, chromium, language, count, **options) as day:
        await walk(day, tmp_path)


async def test_a_day_goes_through_the_pages_without_scripts(prepared_folder, tmp_path, chromium):
    async with begun_day(prepared_folder, tmp_path, chromium, "en", 5, java_script_enabled=False) as day:
        await walk(day, tmp_path)
