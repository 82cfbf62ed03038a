"""What the return slip of a registered letter says, and the days of an erasure that begin by it."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import httpx2
import pytest

from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from support import scenario
from support.announcements import ahead, announce, open_letter, released
from support.clocks import TurnedClock
from support.commits import until
from support.people import browser, person, visible_text
from support.postgresql_server import postgresql_server
from support.scenario import ok

PARIS = ZoneInfo("Europe/Paris")
SLIP = b"%PDF-1.7 slip"
_STATED = 'channels = ["email", "registered_letter"]\n'
_BY_LETTER = 'channels = ["registered_letter"]\n'


def agreement(name, more=""):
    """Return the text of an agreement whose notice of an erasure goes by registered letter only."""
    text = (resources.files("notifications.agreement") / "secnumcloud_iaas_3_0.toml").read_text(encoding="utf-8")
    text = text.replace('id = "secnumcloud_iaas_3_0"', f'id = "{name}"', 1)
    assert _STATED in text
    return text.replace(_STATED, _BY_LETTER + more, 1)


@pytest.fixture(params=["sqlite", "postgresql"])
async def turned(request, data_folder, service_log, tmp_path):
    """A service whose clock a test turns, with two agreements: the service, a client of its API, and the clock."""
    folder = tmp_path / "agreements"
    folder.mkdir()
    (folder / "by_letter.toml").write_text(agreement("by_letter"), encoding="utf-8")
    presented = agreement("presented", "served_at_first_presentation = true\n")
    (folder / "presented.toml").write_text(presented, encoding="utf-8")
    shared = {} if request.param == "sqlite" else {"database__url": postgresql_server().database()}
    clock = TurnedClock()
    async with embedded_service(
        data_folder, clock=clock, agreements__folder=folder, log__batch_seconds=0.01, **shared
    ) as service:
        headers = {"Authorization": f"Bearer {service.token}"}
        async with httpx2.AsyncClient(base_url=f"{service.url}/api/v1", headers=headers, timeout=120) as client:
            yield service, client, clock


def day(moment):
    return moment.astimezone(PARIS).date().isoformat()


async def posted(running, api, clock, name, agreement_id, *, planned=60):
    """Announce the end of a contract, and post its letter with a return slip; returns customer, notice and letter."""
    stated = {"agreement_id": agreement_id, "effective_at": "2025-02-01T00:00:00Z"}
    customer = await scenario.customer(api, name, agreement=stated)
    made = await announce(api, "end_of_contract", customers=[customer["id"]], occurs_at=ahead(days=planned))
    (notice,) = await released(api, made)
    letter = await open_letter(running, api)
    posting = {"posting_number": "1A 234 567 8901 2", "posted_on": day(clock.now())}
    letter = await ok(act(api, letter, "posting", posting))
    letter = await ok(api.put(f"/letters/{letter['id']}/slip", content=SLIP, headers=match(letter)))
    return customer, notice, letter


def match(letter):
    return {"If-Match": f'"{letter["version"]}"', "Content-Type": "application/pdf"}


async def act(api, letter, name, body=None):
    headers = {"If-Match": f'"{letter["version"]}"'}
    return await api.post(f"/letters/{letter['id']}/{name}", json=body, headers=headers)


async def said(api, letter, outcome, outcome_on):
    return await act(api, letter, "outcome", {"outcome": outcome, "outcome_on": outcome_on})


async def order(api, customer, notice):
    body = {"served_by": "notice", "notice_id": notice["id"]}
    return await api.put(f"/customers/{customer['id']}/erasure", json=body)


async def entries(running, kind):
    leaves = await running.parts.store.read(
        lambda tx: [json.loads(each.leaf) for each in (*tx.audit.entries(0, 9999), *tx.audit.pending(9999))]
    )
    return [leaf for leaf in leaves if leaf["type"] == kind]


def midnight(text):
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).astimezone(UTC)


def shown_moment(text):
    return datetime.fromisoformat(text)


async def test_the_days_begin_on_the_day_of_the_hand_over_and_the_customer_is_erased_after_them(turned):
    running, api, clock = turned
    customer, notice, letter = await posted(running, api, clock, "Leaving", "by_letter", planned=22)
    await ok(order(api, customer, notice))
    await running.parts.erasing.look()
    path = f"/customers/{customer['id']}/erasure"
    assert (await ok(api.get(path)))["noticed_at"] is None
    clock.turn(days=3)
    handed_over_on = day(clock.now() - timedelta(days=1))
    letter = await ok(said(api, letter, "handed_over", handed_over_on))
    assert (letter["outcome"], letter["outcome_on"], letter["served_on"]) == (
        "handed_over",
        handed_over_on,
        handed_over_on,
    )
    for _ in range(3):
        await running.parts.erasing.look()
    shown = await ok(api.get(path))
    begun = midnight(handed_over_on)
    assert shown_moment(shown["noticed_at"]) == begun
    # The day of the hand-over does not count.
    first_day = datetime.fromisoformat(handed_over_on).date() + timedelta(days=22)
    assert shown_moment(shown["not_before"]) == midnight(first_day.isoformat())
    assert shown_moment(shown["due_at"]) == begun + timedelta(days=30)
    (entry,) = await entries(running, "customer.erasure_noticed")
    assert entry["detail"]["noticed_at"] == shown["noticed_at"]
    (recorded,) = await entries(running, "letter.outcome_recorded")
    assert recorded["subjects"]["notice"] == notice["id"]
    assert recorded["detail"] == {
        "sequence": 1,
        "outcome": "handed_over",
        "outcome_on": handed_over_on,
        "served_on": handed_over_on,
        "clause": "9.7, 12",
    }
    # Who corrects it now would say that days began which did not: the order is withdrawn first.
    late = await said(api, letter, "refused", handed_over_on)
    assert late.status_code == 409
    assert "withdraw the order" in late.json()["detail"]
    await ok(act(api, letter, "close"))
    clock.turn(days=19)
    await running.parts.erasing.look()
    assert (await api.get(f"/customers/{customer['id']}")).status_code == 200
    clock.turn(days=3)

    async def settled():
        return (await ok(api.get(path)))["in_the_way"] == {}

    await until(running.parts.store, settled)
    # As two processes that both believe to lead: one erases, and the others find nothing to do.
    await asyncio.gather(*(running.parts.erasing.look() for _ in range(3)))
    assert (await api.get(f"/customers/{customer['id']}")).status_code == 404
    assert len(await entries(running, "customer.erased")) == 1


@pytest.mark.parametrize("outcome", ["refused", "not_collected"])
async def test_a_letter_that_returned_counts_only_if_the_agreement_says_so(turned, outcome):
    running, api, clock = turned
    customer, notice, letter = await posted(running, api, clock, "Plain", "by_letter")
    clock.turn(days=2)
    presented_on = day(clock.now() - timedelta(days=1))
    letter = await ok(said(api, letter, outcome, presented_on))
    assert (letter["outcome"], letter["served_on"]) == (outcome, None)
    refused = await order(api, customer, notice)
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {
            "field": "notice_id",
            "reason": f"was returned ({outcome}) and does not count as served by by_letter: announce it again, or state"
            " that a letter was served",
        }
    ]
    await ok(act(api, letter, "close"))
    customer, notice, letter = await posted(running, api, clock, "Presented", "presented")
    await ok(order(api, customer, notice))
    clock.turn(days=2)
    presented_on = day(clock.now() - timedelta(days=1))
    letter = await ok(said(api, letter, outcome, presented_on))
    assert letter["served_on"] == presented_on
    await running.parts.erasing.look()
    shown = await ok(api.get(f"/customers/{customer['id']}/erasure"))
    assert shown_moment(shown["noticed_at"]) == midnight(presented_on)


async def test_a_slip_that_was_misread_is_corrected_until_the_days_begin_also_after_the_end_of_the_task(turned):
    running, api, clock = turned
    customer, notice, letter = await posted(running, api, clock, "Leaving", "by_letter", planned=2)
    clock.turn(days=2)
    letter = await ok(said(api, letter, "refused", day(clock.now())))
    letter = await ok(act(api, letter, "close"))
    handed_over_on = day(clock.now() - timedelta(days=1))
    letter = await ok(said(api, letter, "handed_over", handed_over_on))
    assert (letter["state"], letter["served_on"]) == ("closed", handed_over_on)
    assert len(await entries(running, "letter.outcome_recorded")) == 2
    # The letter was served before the order.
    await ok(order(api, customer, notice))
    await running.parts.erasing.look()
    shown = await ok(api.get(f"/customers/{customer['id']}/erasure"))
    assert shown_moment(shown["noticed_at"]) == midnight(handed_over_on)
    # An order so late that the erasure would be overdue is refused.
    await ok(api.post(f"/customers/{customer['id']}/erasure/withdraw", json={"reason": "R"}))
    clock.turn(days=31)
    overdue = await order(api, customer, notice)
    assert "overdue" in overdue.json()["errors"][0]["reason"]


async def test_no_day_is_recorded_by_which_a_customer_would_be_erased_at_once(turned):
    running, api, clock = turned
    customer, notice, letter = await posted(running, api, clock, "Leaving", "by_letter", planned=22)
    await ok(order(api, customer, notice))
    clock.turn(days=31)
    late = await said(api, letter, "handed_over", day(clock.now() - timedelta(days=30)))
    assert late.status_code == 422
    (fault,) = late.json()["errors"]
    assert fault["field"] == "outcome_on"
    assert "withdraw the order" in fault["reason"]
    await running.parts.erasing.look()
    assert (await ok(api.get(f"/customers/{customer['id']}/erasure")))["noticed_at"] is None
    # A day of this month is taken, and so is the old one once nothing waits for it.
    await ok(api.post(f"/customers/{customer['id']}/erasure/withdraw", json={"reason": "R"}))
    await ok(said(api, letter, "handed_over", day(clock.now() - timedelta(days=30))))


async def test_bad_input_is_named(running, api):
    terms = {"agreement_id": "secnumcloud_2026", "effective_at": "2026-05-01T00:00:00+02:00"}
    await scenario.customer(api, "Valmont", agreement=terms)
    await released(api, await announce(api, "loss_of_qualification"))
    letter = await open_letter(running, api)
    today = day(datetime.now(UTC))
    # Without a slip there is no evidence of what it says.
    assert (await said(api, letter, "handed_over", today)).status_code == 409
    letter = await ok(act(api, letter, "posting", {"posting_number": "1A 2345", "posted_on": today}))
    letter = await ok(api.put(f"/letters/{letter['id']}/slip", content=SLIP, headers=match(letter)))
    for outcome, on, field in (
        ("lost", today, "outcome"),
        ("handed_over", "soon", "outcome_on"),
        ("handed_over", day(datetime.now(UTC) + timedelta(days=2)), "outcome_on"),
        ("handed_over", day(datetime.now(UTC) - timedelta(days=2)), "outcome_on"),
    ):
        refused = await said(api, letter, outcome, on)
        assert refused.status_code == 422, refused.text
        assert [fault["field"] for fault in refused.json()["errors"]] == [field]
    assert (await said(api, letter | {"version": 1}, "handed_over", today)).status_code in {409, 412}


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Not collected", "does not count as served")),
        ("fr", ("Non réclamée", "ne vaut pas remise")),
        ("de", ("Nicht abgeholt", "nicht als zugestellt")),
    ],
)
async def test_the_page_takes_what_the_slip_says_and_shows_whether_it_counts(running, api, language, words):
    terms = {"agreement_id": "secnumcloud_2026", "effective_at": "2026-05-01T00:00:00+02:00"}
    await scenario.customer(api, "Valmont", agreement=terms)
    await released(api, await announce(api, "loss_of_qualification"))
    letter = await open_letter(running, api)
    today = day(datetime.now(UTC))
    letter = await ok(act(api, letter, "posting", {"posting_number": "1A 2345", "posted_on": today}))
    ada = await person(running, "Ada", (Role.ANALYST, None), language=language)
    where = f"/letters/{letter['id']}"
    async with browser(running, ada) as pages:
        assert 'name="outcome"' not in (await pages.get(where)).text
        letter = await ok(api.put(f"/letters/{letter['id']}/slip", content=SLIP, headers=match(letter)))
        assert 'name="outcome" value="not_collected"' in (await pages.get(where)).text
        form = {"version": str(letter["version"]), "outcome": "not_collected"}
        wrong = await pages.post(f"{where}/outcome", data=ada.form(**form, outcome_on="soon"))
        assert wrong.status_code == 422
        answer = await pages.post(f"{where}/outcome", data=ada.form(**form, outcome_on=today))
        assert answer.status_code == 303
        seen = visible_text((await pages.get(where)).text)
        for each in words:
            assert each in seen
