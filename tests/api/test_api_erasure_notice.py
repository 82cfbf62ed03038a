"""The end of a contract as an announcement: declared, released, sealed and served; an order to erase rests on it."""

import asyncio
import io
import json
import re
import zipfile
from datetime import datetime, timedelta
from uuid import uuid4

import aiosmtplib
import httpx2
import pytest

from notifications.evidence.bundle.verification import BUNDLE_STEPS, verify_bundle
from notifications.evidence.verification import verify_notice_mail
from notifications.use_cases.customers.erase_customer import notice_served
from service.cli.demo.environment import embedded_service
from service.cli.verify import load_trust
from service.customers import erasure
from service.ports.accounts import Role
from support.announcements import V2, act_on, ahead, announce, announced, bound, released
from support.clocks import TurnedClock
from support.commits import until
from support.people import browser, person, visible_text
from support.postgresql_server import database_settings
from support.returned_samples import failed
from support.scenario import affected, ago, customer, declare, ok
from support.scenario import release as release_incident

KIND = "end_of_contract"


async def ended(api, customer, **changes):
    """Announce the end of a customer's contract and release the notice; returns announcement and notice."""
    made = await announce(api, KIND, customers=[customer["id"]], **changes)
    (notice,) = await released(api, made)
    return made, notice


async def sealed(running, api, notice):
    async def asked():
        found = await ok(api.get(f"/notices/{notice['id']}"))
        return found["state"] == "sealed" and found

    return await until(running.parts.store, asked)


async def accepted(running, api, notice):
    """Wait until a mail server has accepted the mail of a notice; returns when."""

    async def asked():
        deliveries = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
        mailed = [each for each in deliveries if (each["channel"], each["state"]) == ("email", "sent")]
        return mailed and mailed[0]["evidence"][0]["ended_at"]

    return await until(running.parts.store, asked)


async def order(api, customer, notice_id, **changes):
    body = {"served_by": "notice", "notice_id": notice_id} | changes
    return await api.put(f"/customers/{customer['id']}/erasure", json=body)


async def entries(running, kind):
    leaves = await running.parts.store.read(
        lambda tx: [json.loads(each.leaf) for each in (*tx.audit.entries(0, 9999), *tx.audit.pending(9999))]
    )
    return [leaf for leaf in leaves if leaf["type"] == kind]


def refused(answer):
    assert answer.status_code == 422, answer.text
    return [(fault["field"], fault["reason"]) for fault in answer.json()["errors"]]


# -- the announcement


async def test_it_is_for_named_customers_only_and_has_its_items(api):
    own = await bound(api, "Leaving", "a@leaving.example")
    await bound(api, "Staying", "a@staying.example")
    everybody = await api.post("/announcements", json=announced(KIND))
    assert refused(everybody) == [
        ("customers", "must name each customer whose contract ends: this kind precedes an erasure")
    ]
    bare = await api.post("/announcements", json=announced(KIND, customers=[own["id"]], items={}))
    assert refused(bare) == [
        ("items.erasure_date", "is missing: Planned date of the erasure (clause 9 of secnumcloud_2026)"),
        ("items.certificate", "is missing: Certificate of erasure that will follow (clause 9 of secnumcloud_2026)"),
    ]
    made = await announce(api, KIND, customers=[own["id"]], occurs_at="2027-04-10T10:00:00+02:00")
    (one,) = made["concerned"]
    # 21 calendar days before, at the same local hour; summer time begins in between.
    assert (one["customer_name"], one["due_at"], one["binding"]) == ("Leaving", "2027-03-20T09:00:00.000000Z", "hard")
    assert [(each["customer_name"], each["concern"]) for each in made["not_concerned"]] == [("Staying", "not_chosen")]
    # A change cannot make it one for everybody either.
    changed = await api.put(
        f"/announcements/{made['id']}", json=announced(KIND, customers=[]), headers={"If-Match": '"1"'}
    )
    assert [field for field, _ in refused(changed)] == ["customers"]


async def test_another_person_releases_it_and_it_goes_by_mail_without_a_letter(running, api):
    terms = {"agreement_id": V2, "effective_at": "2026-05-01T00:00:00+02:00"}
    own = await customer(api, "Leaving", (("a@leaving.example", "en"),), agreement=terms, four_eyes=True)
    ada = await person(running, "Ada", (Role.ANALYST, None), (Role.APPROVER, None))
    async with browser(running, ada) as pages:
        page = (await pages.get(f"/announcements/new?kind={KIND}")).text
        form = {name: re.search(rf'name="{name}" value="([^"]*)"', page).group(1) for name in ("form_id", "kind")}
        form |= {"title.en": "Your contract ends", "text.en": "As agreed.", "occurs_at": "2027-06-01T10:00"}
        form |= {f"item.{item}.en": "Words" for item in ("erasure_date", "certificate")}
        refused_here = await pages.post("/announcements/new", data=ada.form(**form))
        assert refused_here.status_code == 422
        assert "Choose each customer whose contract ends." in visible_text(refused_here.text)
        where = (await pages.post("/announcements/new", data=ada.form(**form, customers=own["id"]))).headers["location"]
        shown = (await pages.get(where)).text
        version = re.search(r'name="version" value="([^"]*)"', shown).group(1)
        alone = await pages.post(f"{where}/release", data=ada.form(version=version, form_id="a"))
        assert alone.status_code == 409
    made = await ok(api.get(f"/announcements/{where.rpartition('/')[2]}"))
    (notice,) = await released(api, made)
    await sealed(running, api, notice)
    await running.sink.wait_for(1)
    (mail,) = running.sink.messages
    said = json.loads((await api.get(f"/notices/{notice['id']}/document")).content)["announcement"]
    assert [item["id"] for item in said["items"]] == ["erasure_date", "certificate"]
    assert said["channels"] == ["email"]
    assert re.fullmatch("[0-9a-f]{64}", said["erasure"]["salt"])
    words = mail.content.decode(errors="replace").replace("=\r\n", "")
    assert said["erasure"]["pseudonym"] in words
    assert "registered letter" not in words
    assert (await ok(api.get("/letters")))["items"] == []


# -- the order


async def test_the_days_begin_when_the_mail_of_the_notice_was_accepted_and_not_before(running, api):
    own = await bound(api, "Leaving", "a@leaving.example")
    await ok(api.post("/channels/email/pause", json={"reason": "R"}))
    made, notice = await ended(api, own, occurs_at=ahead(days=90))
    await sealed(running, api, notice)
    ordered = await ok(order(api, own, notice["id"]))
    assert (ordered["served_by"], ordered["notice_id"], ordered["notice_days"]) == ("notice", notice["id"], 21)
    await running.parts.erasing.look()
    assert (await ok(api.get(f"/customers/{own['id']}/erasure")))["noticed_at"] is None
    assert (await order(api, own, notice["id"])).status_code == 409
    await ok(api.post("/channels/email/resume"))
    since = await accepted(running, api, notice)
    for _ in range(3):
        await running.parts.erasing.look()
    shown = await ok(api.get(f"/customers/{own['id']}/erasure"))
    assert shown["noticed_at"] == since
    # The announced moment is later than the days: nothing is erased before it, and the end moves by as much.
    assert datetime.fromisoformat(shown["not_before"]) == datetime.fromisoformat(made["occurs_at"])
    assert datetime.fromisoformat(shown["due_at"]) > datetime.fromisoformat(made["occurs_at"]) + timedelta(days=7)
    (entry,) = await entries(running, "customer.erasure_ordered")
    assert (entry["subjects"]["notice"], entry["subjects"]["announcement"]) == (notice["id"], made["id"])
    assert entry["detail"]["served_by"] == "notice"
    (begun,) = await entries(running, "customer.erasure_noticed")
    assert begun["detail"]["noticed_at"] == since
    assert begun["detail"]["not_before"] == shown["not_before"]
    # Mail and evidence are verified as for any notice, and the evidence of the notice has the order.
    for leaf in await running.parts.store.read(lambda tx: tx.audit.pending(9999)):
        await running.parts.sequencer.included(leaf.entry_id)
    trust = load_trust(running.trust_dir)
    (mail,) = running.sink.messages
    assert len(list(verify_notice_mail(mail.content, trust))) == 9
    bundle = (await api.get("/audit/bundle", params={"notice_id": notice["id"]})).content
    assert len(list(verify_bundle(io.BytesIO(bundle), trust))) == len(BUNDLE_STEPS)
    with zipfile.ZipFile(io.BytesIO(bundle)) as files:
        assert any(b"customer.erasure_ordered" in files.read(name) for name in files.namelist())


async def test_a_crash_while_the_begin_is_recorded_loses_nothing_and_records_nothing_twice(running, api, monkeypatch):
    own = await bound(api, "Leaving", "a@leaving.example")
    _, notice = await ended(api, own)
    since = await accepted(running, api, notice)

    def crashing(*arguments):
        notice_served(*arguments)
        raise InterruptedError

    with monkeypatch.context() as patched:
        patched.setattr(erasure, "notice_served", crashing)
        await ok(order(api, own, notice["id"]))
        with pytest.raises(InterruptedError):
            await running.parts.erasing.look()
        assert (await ok(api.get(f"/customers/{own['id']}/erasure")))["noticed_at"] is None
        assert await entries(running, "customer.erasure_noticed") == []
    await asyncio.gather(*(running.parts.erasing.look() for _ in range(3)))
    assert (await ok(api.get(f"/customers/{own['id']}/erasure")))["noticed_at"] == since
    assert len(await entries(running, "customer.erasure_noticed")) == 1


async def test_a_notice_that_was_served_before_the_order_counts_from_then(running, api):
    own = await bound(api, "Leaving", "a@leaving.example")
    _, notice = await ended(api, own, occurs_at=ahead(days=1))
    since = await accepted(running, api, notice)
    await ok(order(api, own, notice["id"]))
    await running.parts.erasing.look()
    shown = await ok(api.get(f"/customers/{own['id']}/erasure"))
    assert shown["noticed_at"] == since
    # The announced moment is sooner than the days of the notice, which are never cut.
    days = datetime.fromisoformat(shown["not_before"]) - datetime.fromisoformat(since)
    assert timedelta(days=21) <= days <= timedelta(days=22, hours=1)


async def test_a_notice_that_does_not_serve_is_refused_with_the_reason(running, api):
    own = await bound(api, "Leaving", "a@leaving.example")
    other = await bound(api, "Other", "a@other.example")
    _, foreign = await ended(api, other)
    for asked in (foreign["id"], str(uuid4())):
        assert refused(await order(api, own, asked)) == [("notice_id", "is no notice of this customer")]
    assert refused(await order(api, own, None)) == [("notice_id", "must name the sealed notice")]
    by_mail = await order(api, own, foreign["id"], served_by="mail")
    assert refused(by_mail)[0] == ("notice_id", "belongs to served_by notice")

    of_kind = [("notice_id", "must announce end_of_contract, the kind of notice that precedes an erasure")]
    (capacity,) = await released(api, await announce(api, "capacity", customers=[own["id"]]))
    await sealed(running, api, capacity)
    assert refused(await order(api, own, capacity["id"])) == of_kind
    incident = await declare(api, impact="I1", intent="malicious", cause="attack", affected_customers=[affected(own)])
    (about,) = [each for each in await release_incident(api, incident) if each["customer_id"] == own["id"]]
    assert refused(await order(api, own, about["id"])) == of_kind

    made = await announce(api, KIND, customers=[own["id"]])
    (draft,) = made["concerned"][0]["notices"]
    assert refused(await order(api, own, draft["id"])) == [("notice_id", "is not sealed")]
    await released(api, made)
    await sealed(running, api, draft)
    changed = await ok(
        api.put(
            f"/announcements/{made['id']}",
            json=announced(KIND, customers=[own["id"]], occurs_at=ahead(days=60)),
            headers={"If-Match": '"1"'},
        )
    )
    (update,) = await released(api, changed)
    await sealed(running, api, update)
    assert refused(await order(api, own, draft["id"])) == [
        ("notice_id", "was superseded by notice no. 2: name that one")
    ]
    cancelled = await ok(act_on(api, changed, "cancel"))
    gone = [("notice_id", "is of an announcement that was cancelled")]
    assert refused(await order(api, own, update["id"])) == gone
    (final,) = await released(api, cancelled)
    await sealed(running, api, final)
    for notice in (draft, update, final):
        assert refused(await order(api, own, notice["id"])) == gone
    assert (await api.get(f"/customers/{own['id']}/erasure")).status_code == 404
    assert await entries(running, "customer.erasure_ordered") == []


async def test_the_old_ways_stay(api):
    own, other = await bound(api, "Mailed", "a@mailed.example"), await bound(api, "Posted", "a@posted.example")
    mailed = await ok(api.put(f"/customers/{own['id']}/erasure", json={}))
    assert (mailed["served_by"], mailed["notice_id"]) == ("mail", None)
    letter = {"served_by": "letter", "reference": "RR 1", "served_at": ago(days=1)}
    posted = await ok(api.put(f"/customers/{other['id']}/erasure", json=letter))
    assert (posted["served_by"], posted["notice_id"]) == ("letter", None)


# -- to the end


@pytest.fixture(params=["sqlite", "postgresql"])
async def turned(request, data_folder, service_log):
    """A service whose clock a test turns: the service, a client of its API, and the clock."""
    clock = TurnedClock()
    with database_settings(request.param) as shared:
        async with embedded_service(data_folder, clock=clock, log__batch_seconds=0.01, **shared) as service:
            headers = {"Authorization": f"Bearer {service.token}"}
            async with httpx2.AsyncClient(base_url=f"{service.url}/api/v1", headers=headers, timeout=120) as client:
                yield service, client, clock


async def test_it_is_erased_after_the_days_and_the_announced_moment_and_certified(turned):
    running, api, clock = turned
    own = await bound(api, "Leaving", "a@leaving.example")
    named = {"fr": "Fin du contrat de Leaving", "en": "End of your contract"}
    made, notice = await ended(api, own, occurs_at=ahead(days=25), title=named, text=named)
    await accepted(running, api, notice)
    said = json.loads((await api.get(f"/notices/{notice['id']}/document")).content)["announcement"]["erasure"]
    await ok(order(api, own, notice["id"]))
    await running.parts.erasing.look()
    clock.turn(days=24)
    await running.parts.erasing.look()
    assert (await api.get(f"/customers/{own['id']}")).status_code == 200
    clock.turn(days=1, hours=1)

    async def settled():
        return (await ok(api.get(f"/customers/{own['id']}/erasure")))["in_the_way"] == {}

    await until(running.parts.store, settled)
    await running.parts.erasing.look()
    assert (await api.get(f"/customers/{own['id']}")).status_code == 404
    done = await ok(api.get(f"/erasures/{said['pseudonym']}"))
    assert done["certified_at"]
    certificate = (await api.get(f"/erasures/{said['pseudonym']}/certificate.json")).json()
    assert (certificate["customer"], certificate["clauses"]) == (said["pseudonym"], ["9"])
    assert len(await entries(running, "customer.erasure_noticed")) == 1
    # What was typed into the announcement names the customer no more, in the row and in what the log can open.
    left = await ok(api.get(f"/announcements/{made['id']}"))
    assert (left["title"], left["text"]) == ({"fr": "—", "en": named["en"]},) * 2
    opened = await running.parts.store.read(lambda tx: tx._session.all("SELECT value FROM audit_openings"))
    assert not [value for (value,) in opened if b"Leaving" in bytes(value)]


async def test_a_later_notice_holds_the_erasure_until_the_order_is_given_again(turned):
    running, api, clock = turned
    own = await bound(api, "Leaving", "a@leaving.example")
    made, notice = await ended(api, own, occurs_at=ahead(days=22))
    await accepted(running, api, notice)
    await ok(order(api, own, notice["id"]))
    await running.parts.erasing.look()
    cancelled = await ok(act_on(api, made, "cancel"))
    (final,) = await released(api, cancelled)
    await accepted(running, api, final)
    clock.turn(days=23)

    async def held():
        return (await ok(api.get(f"/customers/{own['id']}/erasure")))["in_the_way"] == {"later_notices": 1}

    await until(running.parts.store, held)
    await running.parts.erasing.look()
    assert (await api.get(f"/customers/{own['id']}")).status_code == 200
    assert await entries(running, "customer.erased") == []


async def test_a_notice_that_is_asked_for_again_was_served_at_first_and_holds_nothing(turned):
    running, api, clock = turned
    own = await bound(api, "Leaving", "a@leaving.example")
    _, notice = await ended(api, own, occurs_at=ahead(days=22))
    await accepted(running, api, notice)
    await ok(order(api, own, notice["id"]))
    await running.parts.erasing.look()
    where = f"/notices/{notice['id']}/deliveries"
    (mailed,) = (each for each in (await ok(api.get(where)))["items"] if each["channel"] == "email")
    clock.turn(days=2)
    await ok(api.post(f"{where}/{mailed['id']}/resend"))

    async def twice():
        (again,) = (each for each in (await ok(api.get(where)))["items"] if each["channel"] == "email")
        return (again["state"], again["attempts"]) == ("sent", 2)

    await until(running.parts.store, twice)
    assert (await ok(api.get(f"/customers/{own['id']}/erasure")))["in_the_way"] == {}
    clock.turn(days=21)
    await running.parts.erasing.look()
    assert (await api.get(f"/customers/{own['id']}")).status_code == 404


async def test_a_notice_that_came_back_holds_the_erasure_until_the_order_is_given_again(data_folder, service_log):
    clock = TurnedClock()
    returns = {
        "bounces__domain": "bounces.demo-cloud.example", "bounces__listen_port": 0, "bounces__listen_protocol": "smtp",
    }  # fmt: skip
    async with embedded_service(data_folder, clock=clock, log__batch_seconds=0.01, **returns) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            own = await bound(api, "Leaving", "a@leaving.example")
            second = {"name": "B", "email": "b@leaving.example", "language": "en", "order": 2, "fallback": True}
            await ok(api.post(f"/customers/{own['id']}/contacts", json=second | {"address_confirmed": True}))
            _, notice = await ended(api, own, occurs_at=ahead(days=22))
            await accepted(running, api, notice)
            await ok(order(api, own, notice["id"]))
            await running.parts.erasing.look()
            asked = f"/customers/{own['id']}/erasure"
            begun = (await ok(api.get(asked)))["noticed_at"]
            # The server gives up after days, as servers do, and another contact gets the mail.
            clock.turn(days=5)
            (mail,) = [each for each in running.sink.messages if each.recipients == ("a@leaving.example",)]
            async with aiosmtplib.SMTP(
                hostname="127.0.0.1", port=running.parts.bounces.port, start_tls=False
            ) as server:
                await server.sendmail("", [mail.sender], failed("a@leaving.example"))

            async def both():
                items = (await ok(api.get(f"/notices/{notice['id']}/deliveries")))["items"]
                return sorted(each["state"] for each in items if each["channel"] == "email") == ["failed", "sent"]

            await until(running.parts.store, both)
            clock.turn(days=18)

            async def held():
                return (await ok(api.get(asked)))["in_the_way"] == {"returned_notices": 1}

            await until(running.parts.store, held)
            await running.parts.erasing.look()
            assert (await api.get(f"/customers/{own['id']}")).status_code == 200
            # Given again, its days begin with the mail that stands.
            await api.post(f"{asked}/withdraw", json={"reason": "R"})
            await ok(order(api, own, notice["id"]))
            await running.parts.erasing.look()
            shown = await ok(api.get(asked))
            since = datetime.fromisoformat(shown["noticed_at"])
            assert since >= datetime.fromisoformat(begun) + timedelta(days=5)
            assert datetime.fromisoformat(shown["not_before"]) >= since + timedelta(days=21)
            assert shown["in_the_way"] == {}


async def test_an_order_on_a_notice_so_old_that_the_end_has_passed_is_refused(turned):
    running, api, clock = turned
    own = await bound(api, "Leaving", "a@leaving.example")
    _, notice = await ended(api, own, occurs_at=ahead(days=2))
    await accepted(running, api, notice)
    clock.turn(days=31)
    assert refused(await order(api, own, notice["id"])) == [
        ("notice_id", "is so old that the erasure would be overdue: announce it again")
    ]


# -- the page


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("By the sealed notice that announced it", "no. 1: erasure planned for")),
        ("fr", ("Par la notification scellée qui l’a annoncé", "n° 1 : effacement prévu le")),
        ("de", ("Durch die versiegelte Benachrichtigung", "Nr. 1: Löschung geplant für")),
    ],
)
async def test_the_page_offers_the_sealed_notice_first(running, api, language, words):
    own = await bound(api, "Leaving", "a@leaving.example")
    adam = await person(running, "Adam", (Role.ADMINISTRATOR, None), language=language)
    async with browser(running, adam) as pages:
        page = (await pages.get(f"/customers/{own['id']}")).text
        assert f'href="/announcements/new?kind={KIND}"' in page
        assert 'value="notice"' not in page
        assert re.search(r'name="served_by" value="([a-z]+)" checked', page).group(1) == "mail"
        made, notice = await ended(api, own)
        await sealed(running, api, notice)
        page = (await pages.get(f"/customers/{own['id']}")).text
        assert re.findall(r'name="served_by" value="([a-z]+)"', page) == ["notice", "mail", "letter"]
        assert re.search(r'name="served_by" value="([a-z]+)" checked', page).group(1) == "notice"
        for said in (*words, made["ticket"]):
            assert said in visible_text(page)
        form = {"served_by": "notice", "confirmed": "Leaving"}
        for wrong in ("", str(uuid4())):
            answer = await pages.post(f"/customers/{own['id']}/erasure", data=adam.form(**form, notice_id=wrong))
            assert answer.status_code == 422
            assert 'id="notice_id-error"' in answer.text
        answer = await pages.post(f"/customers/{own['id']}/erasure", data=adam.form(**form, notice_id=notice["id"]))
        assert answer.status_code == 303
        shown = (await pages.get(answer.headers["location"].partition("#")[0])).text
        assert words[0] in visible_text(shown)
    assert (await ok(api.get(f"/customers/{own['id']}/erasure")))["notice_id"] == notice["id"]
