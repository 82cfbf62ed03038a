"""Markup in every text that a person can fill in is shown as text on every page, and nothing of it comes to life."""

import re
import shutil
from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx2
import pytest

from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from service.ports.sessions import Session
from support.chromium import opened_page
from support.desk import Desk
from support.page_forms import form_on
from support.page_tour import Stop, tour_of
from support.people import browser, person
from support.reserved_port import reserved_port
from support.scenario import ago, change, customer, declare, notices, ok, release
from support.world import build_world

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"
_ACTION = re.compile(r"/incidents/new\?draft=[0-9a-f-]{36}(?=\")")
_FIELD = re.compile(r"onerror=alert\(2\)>\{\{7\*7\}\}\[([\w.]+)\]")
SHOWN_SOMEWHERE = {
    "account", "alert", "alertname", "author", "browser", "call", "consequences", "contact", "customer", "effect",
    "feedback", "form_statement.place", "form_title.de", "host", "measures_taken", "member", "not_known_yet", "note",
    "override", "pause", "question", "recommendations", "records", "reply", "resource", "service", "spoke", "summary",
    "title", "url", "volume", "volume_name", "webhook",
}  # fmt: skip
#: What a page shows: its text, also of what is folded up, and what stands in its fields.
SHOWN = """() => [document.title, document.body.textContent,
  ...[...document.querySelectorAll("input, textarea, option, button")].map((each) => each.value)].join("\\n")"""
#: Elements and attributes that only the markup could have made.
ALIVE = """() => [...document.querySelectorAll("img[src=x], [onerror]")].map((each) => each.outerHTML).concat(
  [...document.scripts].filter((each) => each.textContent.includes("alert(")).map((each) => each.outerHTML))"""


def marked(name):
    """Return markup that names the field that it stands in."""
    return f"{MARKUP}[{name}]"


def said(name):
    """Return the same markup as a text in each language."""
    return {language: marked(name) for language in ("en", "fr", "de")}


def _facts():
    names = ("title", "summary", "measures_taken", "recommendations", "not_known_yet")
    return {name: said(name) for name in names}


async def filled(running, api):
    """Fill every text with markup; returns the world and other pages than those of the tour."""
    world = await build_world(running, api, customer_names=(marked("customer"), "Foreign"), **_facts())
    own = world.own
    at_customer, notice = f"/customers/{own['customer_id']}", f"/notices/{own['notice_id']}"
    manager = {"Authorization": f"Bearer {world.tokens['manager']}"}

    # 1. What the people of the customer write.
    asked = {"text": marked("question")}
    question = await ok(api.post(f"{notice}/questions", json=asked, headers=manager))
    await ok(api.post(f"/questions/{question['id']}/reply", json={"text": marked("reply")}))
    waiting = await ok(api.post(f"{notice}/questions", json=asked, headers=manager))
    feedback = {"helped": "no", "words": marked("feedback")}
    await ok(api.put(f"{notice}/feedback", json=feedback, headers=manager))
    await ok(api.post(f"{notice}/acknowledgement", json={"note": marked("note")}, headers=manager))
    contact = {"name": marked("contact"), "email": "ciso@own.example", "language": "en", "order": 2}
    contact = await ok(api.post(f"{at_customer}/contacts", json=contact))
    hook = {"url": "https://hook.invalid/2", "description": marked("webhook")}
    await ok(api.post(f"{at_customer}/webhooks", json=hook))

    # 2. What the people of the provider write.
    account = await api.get(f"/accounts/{own['account_id']}")
    renamed = {"name": marked("account"), "language": "en", "active": True}
    match = {"If-Match": account.headers["ETag"]}
    await ok(api.put(f"/accounts/{own['account_id']}", json=renamed, headers=match))
    await person(running, marked("member"), (Role.CUSTOMER_MEMBER, own["customer_id"]), email="member@own.example")
    held = {"name": marked("resource"), "service": marked("service"), "host": marked("host")}
    await ok(api.put(f"{at_customer}/resources/volume/vol-2", json=held))
    lookup = await ok(api.post("/resources/lookup", json={"at": ago(seconds=-1), "hosts": [marked("host")]}))
    await ok(api.post("/channels/webhook/pause", json={"reason": marked("pause")}))
    entry = {
        "customer_id": own["customer_id"],
        "effect": said("effect"),
        "data_harm": {"confidentiality": "yes"},
        "personal_data": {
            "breach": "confirmed",
            "likely_consequences": said("consequences"),
            "categories_of_records": [said("records")],
        },
        "resources": [{"kind": "volume", "id": marked("volume"), "name": marked("volume_name")}],
    }  # fmt: skip
    incident = await ok(api.get(f"/incidents/{own['incident_id']}"))
    incident = await change(api, incident, affected_customers=[entry])
    draft = next(
        each
        for each in await notices(api, incident)
        if each["state"] == "draft" and each["customer_id"] == own["customer_id"]
    )
    override = {"reason": marked("override")}
    match = {"If-Match": f'"{draft["version"]}"'}
    await ok(api.post(f"/notices/{draft['id']}/release-override", json=override, headers=match))
    task = await _called(running, api)

    # 3. What is not declared yet.
    author = await person(running, marked("author"), (Role.ANALYST, None), email="author@people.example")
    drafted = await _drafted(running, author)
    alert = {
        "status": "firing", "fingerprint": "1a30ba71cca2921f", "startsAt": ago(minutes=1), "endsAt": ago(minutes=-1),
        "labels": {"alertname": marked("alertname")}, "annotations": {"summary": marked("alert")},
        "generatorURL": marked("url"),
    }  # fmt: skip
    await ok(api.post("/alerts", json={"version": "4", "status": "firing", "alerts": [alert]}))
    (of_alert,) = [each for each in (await ok(api.get("/drafts")))["items"] if each["source"] == "alert"]

    own |= {
        "contact_id": contact["id"],
        "lookup_id": lookup["id"],
    }
    incident_path = f"/incidents/{own['incident_id']}"
    incident_path, odd = f"/incidents/{own['incident_id']}", quote(MARKUP)
    return world, [
        Stop(f"other-{number}", path, author)
        for number, path in enumerate(
            (
                drafted,
                f"/incidents/new?draft={of_alert['id']}",
                f"/notices/{draft['id']}",
                f"{incident_path}/notices/{draft['id']}",
                f"/calls/{task.id}",
                f"/questions/{waiting['id']}",
                f"{incident_path}/facts/history?older=1&newer=2",
                f"/search?q={odd}",
                f"/incidents?q={odd}&service={odd}&state={odd}",
                f"{incident_path}/customers?text={odd}&verdict={odd}&place={odd}",
                f"/customers?q={odd}",
                f"/inventory?identifier={odd}&kind={odd}",
                f"/audit?from={odd}&customer={odd}&ticket={odd}",
                f"/audit/entries?actor={odd}&incident={odd}&type={odd}",
                f"/audit/heads?older={odd}&newer={odd}",
                f"/audit/bundles?customer={odd}&incident={odd}&reader={odd}",
                f"/sign-in?return_to={odd}&again=1&notice={odd}",
                f"/nothing/{odd}",
            )
        )
    ]


async def _called(running, api):
    """Record a call to a customer that nothing else reaches; returns the task."""
    mute = await customer(api, marked("mute"), contacts=())
    stated = [{"customer_id": mute["id"], "data_harm": {"confidentiality": "yes"}}]
    released = await release(api, await declare(api, impact="I1", affected_customers=stated))
    notice = next(each for each in released if each["customer_id"] == mute["id"])
    desk = Desk(running, api, None, None)
    (task,) = await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(UUID(notice["id"])))
    call = {"number": "+33 1 00 00 00 01", "outcome": "no_answer", "note": marked("call"), "spoke_to": marked("spoke")}
    answer = await api.get(f"/call-tasks/{task.id}")
    await ok(api.post(f"/call-tasks/{task.id}/calls", json=call, headers={"If-Match": answer.headers["ETag"]}))
    return task


async def _drafted(running, author):
    """Save a draft with markup in every text of its form; returns its path."""
    async with browser(running, author) as pages:
        shown = (await pages.get("/incidents/new")).text
        fields = {name: values[-1] for name, values in form_on(shown, _ACTION.search(shown)[0]).items()}
        texts = re.findall(r'<(?:input id="[^"]*"|textarea id="[^"]*") name="([^"]+)"', shown)
        fields |= {name: marked(f"form_{name}") for name in texts} | {"statement": "datacenter_fire"}
        saved = await pages.post("/incidents/new/draft", data=fields)
        assert saved.status_code == 303, saved.text
        return saved.headers["location"]


async def test_markup_in_any_text_stays_text_on_every_page(prepared_folder, tmp_path, chromium):
    shutil.copytree(prepared_folder, tmp_path / "data")
    with reserved_port() as port:
        origin = f"http://localhost:{port}"
        settings = {
            "provider__console_url": origin, "provider__default_language": "en", "log__batch_seconds": 0.01,
            "access__stranger_requests_burst": 5000, "access__requests_burst": 20_000,
        }  # fmt: skip
        async with (
            embedded_service(tmp_path / "data", port=port, **settings) as running,
            httpx2.AsyncClient(
                base_url=f"{running.url}/api/v1", headers={"Authorization": f"Bearer {running.token}"}, timeout=30
            ) as api,
        ):
            world, others = await filled(running, api)
            stops = await tour_of(running, world) + others
            await _letters_are_dead(running, world, others[0].whom)
            await _named_browsers(running, stops)
            wrong, shown = await _looked_at(chromium, origin, stops)
        assert wrong == []
        # The test means something only for texts that are shown somewhere.
        assert SHOWN_SOMEWHERE - shown == set()


async def _looked_at(chromium, origin, stops):
    """Open every page; returns what came to life or was complained of, and the names of the texts that were shown."""
    wrong, shown, opened = [], set(), {}
    async with AsyncExitStack() as stack:
        for stop in stops:
            if stop.whom not in opened:
                page = await stack.enter_async_context(opened_page(chromium, origin, stop.whom))
                page.on("dialog", lambda dialog: _dismissed(dialog, wrong))
                opened[stop.whom] = page
            page = opened[stop.whom]
            # A page with a stream of events is never idle.
            await page.goto(stop.path, wait_until="load")
            shown.update(_FIELD.findall(await page.evaluate(SHOWN)))
            wrong.extend(f"{stop.name}: {each}" for each in await page.evaluate(ALIVE))
            wrong.extend(f"{stop.name}: {text}" for text in page.complaints if "Content Security Policy" in text)
            page.complaints.clear()
    return wrong, shown


async def _letters_are_dead(running, world, whom):
    """Look at the letters, which stand in frames that run no script, not even that of a test."""
    own = world.own
    async with browser(running, whom) as pages:
        for path in (f"/notices/{own['notice_id']}", f"/incidents/{own['incident_id']}/notices/{own['notice_id']}"):
            letter = await pages.get(f"{path}/words/en")
            assert "&lt;img src=x" in letter.text
            assert not re.search(r"<(script|img)\b", letter.text)


async def _dismissed(dialog, wrong):
    wrong.append(f"{dialog.page.url}: {dialog.message}")
    await dialog.dismiss()


async def _named_browsers(running, stops):
    """Give each person a session in a browser that names itself by markup."""
    now = running.parts.context.clock.now()
    accounts = {stop.whom.account.id for stop in stops if stop.whom is not None}

    def work(tx):
        for account_id in accounts:
            session = Session(
                uuid4(), account_id, uuid4().bytes, "password", marked("browser"), now, now, now + timedelta(hours=1)
            )
            tx.sessions.add(session)

    await running.parts.store.write(work)
