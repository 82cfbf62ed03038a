"""The page of who was notified, on announcements: apart from incidents, the worst first, each line with its proof."""

import html
import re
from functools import partial

import pytest

from service.ports.accounts import Role
from support.announcements import act_on, ahead, announce, bound, open_letter, released
from support.commits import until
from support.people import browser, person, visible_text
from support.scenario import ok


def section(page, name):
    """Return what stands under a heading, up to the next section of the page."""
    return page.partition(f'id="{name}"')[2].partition("</section>")[0]


async def recorded(running):
    return not await running.parts.store.read(lambda tx: tx.audit.pending(1))


async def sent(api, notice):
    found = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
    return bool(found) and all(each["state"] == "sent" for each in found)


@pytest.fixture
async def made(running, api):
    """One is notified of planned work, one by a letter that is not posted, one not at all; one announcement is over."""
    owner = await bound(api, "Valmont <b>", "a@valmont.example")
    await bound(api, "Third", "b@three.example", "secnumcloud_iaas_3_0", effective_at="2099-01-01T00:00:00Z")
    planned = await announce(api, "planned_work", customers=[owner["id"]])
    (notice,) = await released(api, planned)
    await until(running.parts.store, partial(sent, api, notice))
    letter = await announce(api, "loss_of_qualification", occurs_at=ahead())
    await released(api, letter)
    await open_letter(running, api)
    # Due thirty days before: the limit is over already.
    missing = await announce(api, "subcontractor_change", occurs_at=ahead(days=2))
    cancelled = await announce(api, "capacity", occurs_at=ahead(days=9))
    await ok(act_on(api, cancelled, "cancel"))
    await until(running.parts.store, partial(recorded, running))
    return {"planned": planned, "letter": letter, "missing": missing, "cancelled": cancelled}


@pytest.mark.parametrize(
    ("language", "missing", "cause", "binding", "nobody", "to_post", "cancelled"),
    [
        ("fr", "Non informé", "non validée", "DPA 13", "Aucune convention ne le lie", "À poster", "a été annulée"),
        ("en", "Not notified", "not released", "DPA 13", "No agreement binds it", "To post", "was cancelled"),
        (
            "de", "Nicht benachrichtigt", "nicht freigegeben", "DPA 13", "Keine Vereinbarung bindet ihn", "Aufzugeben",
            "wurde abgesagt",
        ),
    ],
)  # fmt: skip
async def test_the_page_has_them_apart(language, missing, cause, binding, nobody, to_post, cancelled, running, made):
    ada = await person(running, "Ada", (Role.ANALYST, None), language=language)
    async with browser(running, ada) as client:
        answer = await client.get("/audit")
        assert answer.status_code == 200
        page = answer.text
        assert "Valmont <b>" not in page
        failing = section(page, "announced-missing")
        assert {made["missing"]["ticket"], made["letter"]["ticket"]} == set(re.findall(r"ANN-\d+-\d+", failing))
        assert "Valmont &lt;b&gt;" in failing
        for words in (missing, cause, binding, to_post):
            assert html.escape(words) in failing, words
        assert nobody in section(page, f"i-{made['planned']['id']}")
        assert "DPA 13" not in section(page, f"i-{made['planned']['id']}")
        assert cancelled in section(page, f"i-{made['cancelled']['id']}")
        # Nothing of it is among the incidents.
        assert 'id="list-missing"' not in page
        links = set(re.findall(r'href="(/(?:notices|audit)/[^"]+)"', page))
        assert len([link for link in links if link.startswith("/audit/entries/")]) > 8
        for link in links:
            assert (await client.get(html.unescape(link))).status_code == 200, link


async def test_a_ticket_and_part_of_a_name_narrow_it(running, made):
    ada = await person(running, "Ada", (Role.APPROVER, None))
    async with browser(running, ada) as client:
        one = visible_text((await client.get("/audit", params={"ticket": made["letter"]["ticket"]})).text)
        assert made["letter"]["ticket"] in one
        assert made["planned"]["ticket"] not in one
        third = (await client.get("/audit", params={"customer": "third"})).text
        assert "Third" in third
        assert "Valmont" not in third
        before = {"from": "2020-01-01", "to": "2020-01-02"}
        assert "ANN-" not in (await client.get("/audit", params=before)).text
