"""Lists that stay readable with many customers: all notices, the drafts of one incident in parts, what waits."""

import re

from service.ports.accounts import Role
from service.web.console.pages.incident import notices as incident_notices
from support.many_customers import GRAVE, registered
from support.page_forms import form_on
from support.people import browser, person, visible_text
from support.scenario import affected, customer, declare, harm, notices, ok, release
from support.store_work import watch_requests


async def owed(api, count):
    """Declare an incident that owes a notice to this number of customers."""
    owners = [await customer(api, f"Client {n}", contacts=((f"c{n}@x.example", "en"),)) for n in range(count)]
    stated = [affected(each, data_harm=harm(confidentiality="yes")) for each in owners]
    return await declare(api, impact="I1", criticality="C1", affected_customers=stated)


async def test_drafts_are_listed_in_parts_and_released_all_at_once(running, api, monkeypatch):
    monkeypatch.setattr(incident_notices, "LISTED_MAX", 2)
    incident = await owed(api, 5)
    path = f"/incidents/{incident['id']}/notices"
    bob = await person(running, "Bob", (Role.APPROVER, None))
    seen = []
    async with browser(running, bob) as pages:
        for first in ("", "2", "4", "no number"):
            page = (await pages.get(f"{path}?first={first}")).text
            assert "Drafts to be released (5)" in page
            boxes = re.findall(r'type="checkbox" name="notice" value="([^"]+)"', page)
            assert len(boxes) == (1 if first == "4" else 2), first
            assert (f"{path}?first={(int(first) if first.isdigit() else 0) + 2}" in page) == (first != "4")
            seen += boxes if first != "no number" else []
        assert len(set(seen)) == 5
        # A refused choice shows the same part again.
        form = form_on((await pages.get(f"{path}?first=2")).text, f"{path}/release")
        refused = await pages.post(f"{path}/release", data=form)
        assert refused.status_code == 422
        assert 'name="first" value="2"' in refused.text
        form = form_on(refused.text, f"{path}/release")
        assert (await pages.post(f"{path}/release", data=form | {"all": "yes"})).status_code == 303
        page = visible_text((await pages.get(path)).text)
    assert "1 to 2 of 5" in page
    assert {each["state"] for each in await notices(api, incident)} <= {"released", "sealed"}


async def test_all_notices_are_found_by_their_state_and_only_by_the_provider(running, api):
    first = await owed(api, 2)
    await release(api, first)
    second = await owed(api, 1)
    ada = await person(running, "Ada", (Role.ANALYST, None))
    async with browser(running, ada) as pages:
        home = (await pages.get("/")).text
        assert re.search(r'<nav.*href="/notices".*>Notices</a>.*href="/channels".*>Deliveries</a>', home, re.DOTALL)
        every = visible_text((await pages.get("/notices")).text)
        assert every.count(f"{first['ticket']} · 1") == 2
        drafts = visible_text((await pages.get("/notices?state=draft")).text)
        assert f"{second['ticket']} · 1" in drafts
        assert first["ticket"] not in drafts
        assert "No notice fits" in visible_text((await pages.get("/notices?state=withdrawn")).text)
    (owner, *_) = await notices(api, second)
    member = await person(running, "Max", (Role.CUSTOMER_MEMBER, owner["customer_id"]))
    async with browser(running, member) as pages:
        assert (await pages.get("/notices")).status_code == 403
        assert re.search(r'<nav.*href="/inbox".*>Notices</a>', (await pages.get("/")).text, re.DOTALL)


async def test_what_waits_for_many_customers_of_one_incident_is_one_line(running, api):
    incident = await owed(api, 3)
    bob = await person(running, "Bob", (Role.APPROVER, None))
    async with browser(running, bob) as pages:
        home = (await pages.get("/")).text
    assert home.count("Draft to be released") == 1
    assert "For 3 customers" in visible_text(home)
    assert f'href="/incidents/{incident["id"]}/notices"' in home


async def test_pages_of_an_incident_take_as_many_statements_for_many_customers_as_for_few(running, api):
    """They show what waits for everybody; the drafts and notices that a page lists are at most 200 of each."""
    bob = await person(running, "Bob", (Role.APPROVER, None))
    watched = watch_requests(running, reads_only=True)

    async def statements(pages, incident):
        taken = []
        for section in ("", "/notices"):
            watched.taken()
            assert (await pages.get(f"/incidents/{incident['id']}{section}")).status_code == 200
            taken.append(len(watched.taken()))
        return taken

    found = []
    async with browser(running, bob) as pages:
        for count in (201, 500):
            await registered(running, count)
            incident = await declare(api, **GRAVE)
            await ok(api.get(f"/incidents/{incident['id']}/notices"))
            drafted = await statements(pages, incident)
            await ok(api.post(f"/incidents/{incident['id']}/release", headers={"If-Match": "*"}))
            found.append(drafted + await statements(pages, incident))
    assert found[0] == found[1]
    assert found[0][0] < 30
