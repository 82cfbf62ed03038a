"""Review, release, delivery and closing of one incident by its pages: four eyes, versions, languages."""

import asyncio
import re
from uuid import UUID

from service.ports.accounts import Role
from service.web.console.catalogues import text
from support.clocks import SteppedClock
from support.desk import GONE, desk_of
from support.page_forms import actions_on, form_on
from support.people import browser, person, visible_text
from support.scenario import AGREEMENT_ID, affected, ago, change, customer, declare, harm, notices, ok, release


async def people(running):
    ada = await person(running, "Ada", (Role.ANALYST, None))
    bob = await person(running, "Bob", (Role.APPROVER, None))
    cid = await person(running, "Cid", (Role.ANALYST, None), (Role.APPROVER, None))
    return ada, bob, cid


async def owed(api, *owners, **changes):
    """Declare an incident that owes each of them a notice."""
    stated = [affected(each, data_harm=harm(confidentiality="yes")) for each in owners]
    return await declare(api, **({"impact": "I1", "criticality": "C1", "affected_customers": stated} | changes))


def path_of(incident, part=""):
    return f"/incidents/{incident['id']}/notices{part}"


async def opened(pages, path):
    answer = await pages.get(path)
    assert answer.status_code == 200, visible_text(answer.text)
    return answer.text


async def drafted_by(running, whom, incident):
    """Change a fact by the page, so that this person wrote the drafts last."""
    action = f"/incidents/{incident['id']}/facts/change"
    async with browser(running, whom) as pages:
        form = form_on(await opened(pages, action), action)
        assert (await pages.post(action, data=form | {"summary.en": "Written by a person."})).status_code == 303


def boxes(page):
    return re.findall(r'type="checkbox" name="notice" value="([^"]+)"', page)


async def until_sealed(running, notice):
    changed, store = asyncio.Event(), running.parts.store
    store.on_commit.append(lambda _kinds: changed.set())
    async with asyncio.timeout(60):
        while True:
            changed.clear()
            if await store.read(lambda tx: tx.notices.seal(UUID(notice["id"]))):
                return
            await changed.wait()


async def states(api, incident):
    return sorted(each["state"] for each in await notices(api, incident) if each["state"] != "withdrawn")


async def test_chosen_drafts_are_released_and_the_others_wait(running, api):
    owners = [await customer(api, f"Client {n}", contacts=((f"c{n}@x.example", "en"),)) for n in range(3)]
    incident = await owed(api, *owners)
    _, bob, _ = await people(running)
    async with browser(running, bob) as pages:
        page = await opened(pages, path_of(incident))
        form = form_on(page, path_of(incident, "/release"))
        nothing = await pages.post(path_of(incident, "/release"), data=form)
        assert nothing.status_code == 422
        assert text("incident.problem.notice", "en") in nothing.text
        answer = await pages.post(path_of(incident, "/release"), data=form | {"notice": boxes(page)[:2]})
        assert answer.headers["location"] == path_of(incident, "?done=released")
        page = await opened(pages, answer.headers["location"])
        assert text("incident.done_released", "en") in page
        assert len(boxes(page)) == 1
        await pages.post(
            path_of(incident, "/release"), data=form_on(page, path_of(incident, "/release")) | {"all": "yes"}
        )
        foreign = boxes(page)[0].replace(boxes(page)[0].partition(":")[0], incident["id"])
        odd = await pages.post(path_of(incident, "/release"), data=form | {"form_id": "new", "notice": foreign})
        assert odd.status_code == 422
    assert "draft" not in await states(api, incident)


async def test_a_draft_that_changed_is_not_released_and_is_shown_as_changed(running, api):
    owners = [await customer(api, f"Client {n}", contacts=((f"c{n}@x.example", "en"),)) for n in range(2)]
    incident = await owed(api, *owners)
    ada, bob, _ = await people(running)
    async with browser(running, bob) as pages:
        page = await opened(pages, path_of(incident))
        form = form_on(page, path_of(incident, "/release")) | {"notice": boxes(page)}
        await drafted_by(running, ada, incident)
        stale = await pages.post(path_of(incident, "/release"), data=form)
        assert stale.status_code == 412
        assert stale.text.count(text("incident.changed_since", "en")) == 2
        assert f'href="/incidents/{incident["id"]}/facts/history?older=1&amp;newer=2"' in stale.text
        assert "Ada" in stale.text
        # Nothing of what changed is chosen any more: it has to be reviewed and chosen again.
        assert "notice" not in form_on(stale.text, path_of(incident, "/release"))
        everything = {name: value for name, value in form.items() if name != "notice"} | {"all": "yes"}
        assert (await pages.post(path_of(incident, "/release"), data=everything)).status_code == 412
    assert await states(api, incident) == ["draft", "draft"]


async def test_an_agreement_that_is_recorded_late_is_said_and_decided_again(running, api):
    late, other = [await customer(api, name, contacts=((f"{name}@x.example", "en"),)) for name in ("late", "other")]
    incident = await owed(api, late, other)
    ada, bob, _ = await people(running)
    newer = {"agreement_id": "secnumcloud_2026", "effective_at": ago(days=2)}
    await ok(api.post(f"/customers/{late['id']}/agreements", json=newer))
    async with browser(running, bob) as pages:
        page = await opened(pages, path_of(incident))
        assert page.count(text("incident.decided_by_other_terms", "en")) == 1
        refused = await pages.post(
            path_of(incident, "/release"), data=form_on(page, path_of(incident, "/release")) | {"all": "yes"}
        )
        assert refused.status_code == 409
        assert text("incident.problem.outdated", "en") in refused.text
    answer = await api.post(f"/incidents/{incident['id']}/release", headers={"If-Match": f'"{incident["version"]}"'})
    assert answer.status_code == 409
    assert "1 of 2 notice(s), for late, were decided by other terms" in answer.json()["detail"]
    assert await states(api, incident) == ["draft", "draft"]
    action = f"/incidents/{incident['id']}/facts/change"
    async with browser(running, ada) as pages:
        assert (await pages.post(action, data=form_on(await opened(pages, action), action))).status_code == 303
    async with browser(running, bob) as pages:
        page = await opened(pages, path_of(incident))
        assert text("incident.decided_by_other_terms", "en") not in page
        form = form_on(page, path_of(incident, "/release")) | {"all": "yes"}
        assert (await pages.post(path_of(incident, "/release"), data=form)).status_code == 303
    assert "draft" not in await states(api, incident)


async def test_four_eyes_are_explained_and_kept(running, api):
    strict = await customer(api, "Strict", contacts=(("s@x.example", "en"),), four_eyes=True)
    lax = await customer(api, "Lax", contacts=(("l@x.example", "en"),))
    incident = await owed(api, strict, lax)
    _, bob, cid = await people(running)
    await drafted_by(running, cid, incident)
    by_owner = {each["customer_id"]: each for each in await notices(api, incident)}
    mine = path_of(incident, f"/{by_owner[strict['id']]['id']}")
    async with browser(running, cid) as pages:
        page = await opened(pages, path_of(incident))
        assert text("incident.rule.customer", "en") in page
        assert text("incident.own_draft", "en") in page
        form = form_on(page, path_of(incident, "/release"))
        refused = await pages.post(path_of(incident, "/release"), data=form | {"all": "yes"})
        assert refused.status_code == 409
        assert text("incident.problem.four_eyes", "en") in refused.text
        review = await opened(pages, mine)
        assert text("incident.refused.customer", "en") in review
        assert text("incident.release_one", "en") not in re.findall(r"<button[^>]*>([^<]*)", review)
    assert await states(api, incident) == ["draft", "draft"]
    async with browser(running, bob) as pages:
        review = await opened(pages, mine)
        form = form_on(review, path_of(incident, "/release"))
        assert (await pages.post(path_of(incident, "/release"), data=form)).status_code == 303
    assert (await ok(api.get(f"/notices/{by_owner[strict['id']]['id']}")))["released_by"] == f"account:{bob.account.id}"


async def test_an_analyst_may_not_release_and_may_override_with_a_reason_that_is_reviewed(running, api):
    owner = await customer(api, "Client", contacts=(("c@x.example", "en"),))
    incident = await owed(api, owner)
    ada, bob, _ = await people(running)
    async with browser(running, ada) as pages:
        page = await opened(pages, path_of(incident))
        assert text("incident.no_release", "en") in page
        form = form_on(page, path_of(incident, "/release"))
        assert (await pages.post(path_of(incident, "/release"), data=form | {"all": "yes"})).status_code == 403
        override = path_of(incident, "/override")
        bare = await pages.post(override, data=form | {"all": "yes", "reason": "  "})
        assert bare.status_code == 422
        assert text("incident.problem.reason", "en") in bare.text
        unchosen = await pages.post(override, data=form | {"reason": "Nobody & <b>nothing</b>."})
        assert unchosen.status_code == 422
        assert form_on(unchosen.text, path_of(incident, "/release"))["reason"] == ["Nobody & <b>nothing</b>."]
        answer = await pages.post(override, data=form | {"notice": boxes(page), "reason": "Nobody & <b>nothing</b>."})
        assert answer.headers["location"].endswith("done=overridden")
        page = await opened(pages, path_of(incident))
        assert text("incident.unreviewed", "en") in page
    (notice,) = await notices(api, incident)
    one = path_of(incident, f"/{notice['id']}")
    async with browser(running, bob) as pages:
        page = await opened(pages, one)
        assert "Nobody &amp; &lt;b&gt;nothing" in page
        # Sealed meanwhile, it is another version: the page is shown again, and the review sent again.
        answer = await pages.post(f"{one}/review", data=form_on(page, f"{one}/review") | {"version": "1"})
        assert answer.status_code == 412
        await until_sealed(running, notice)
        page = await opened(pages, one)
        assert (await pages.post(f"{one}/review", data=form_on(page, f"{one}/review"))).status_code == 303
        assert f"{one}/review" not in actions_on(await opened(pages, one))
    assert (await ok(api.get(f"/notices/{notice['id']}")))["override_reviewed_by"] == f"account:{bob.account.id}"


async def test_the_letter_is_shown_as_it_goes_out_in_each_language_of_its_readers(running, api):
    contacts = (("de@x.example", "de"), ("en@x.example", "en"))
    owner = await customer(api, "مستشفى الأمل", contacts=contacts, language="fr")
    incident = await owed(api, owner, measures_taken={"en": "Isolated.", "fr": "Isolé."})
    ada, _, _ = await people(running)
    (notice,) = await notices(api, incident)
    async with browser(running, ada) as pages:
        page = await opened(pages, path_of(incident, f"/{notice['id']}"))
        assert {"de", "fr"} <= set(re.findall(r'hreflang="(\w+)"', page))
        # Before the release the page says who would read a foreign language.
        assert text("incident.foreign", "en", spoken="German") in page
        listed = await opened(pages, path_of(incident))
        assert text("incident.foreign_warning", "en") in listed
        assert text("incident.foreign_count", "en", count=1) in listed
        for language in ("de", "fr", "en"):
            preview = await pages.get(path_of(incident, f"/{notice['id']}/words/{language}"))
            policy = preview.headers["content-security-policy"]
            assert policy.startswith("sandbox; default-src 'none'; style-src 'sha256-")
            assert f'<html lang="{language}">' in preview.text
        assert (await pages.get(path_of(incident, f"/{notice['id']}/words/es"))).status_code == 404
        shown = (await ok(api.get(f"/notices/{notice['id']}/preview", params={"language": "de"})))["html"]
        german = (await pages.get(path_of(incident, f"/{notice['id']}/words/de"))).text

        def without_times(html):
            return re.sub(r"\d{1,2}:\d\d", "", html)

        assert without_times(shown) == without_times(german)
        assert (await pages.get(f"/incidents/{notice['id']}/notices/{notice['id']}")).status_code == 404


async def test_what_differs_from_the_last_notice_is_marked(running, api):
    owner = await customer(api, "Client", contacts=(("c@x.example", "en"),), language="en")
    incident = await owed(api, owner, measures_taken={"en": "We isolated it."})
    await release(api, incident)
    await running.sink.wait_for(1, timeout_seconds=60)
    incident = await change(api, incident, measures_taken={"en": "We replaced it."})
    draft = next(each for each in await notices(api, incident) if each["state"] == "draft")
    ada, _, _ = await people(running)
    async with browser(running, ada) as pages:
        page = await opened(pages, path_of(incident, f"/{draft['id']}"))
    assert text("incident.difference", "en", number=1) in page
    assert re.search(r"<del><span class=\"unseen\">removed: </span>  \| We isolated it\.", page)
    assert re.search(r"<ins><span class=\"unseen\">added: </span>  \| We replaced it\.", page)


async def test_release_of_two_hundred(running, api):
    lines = ["name,language,agreement_id,agreement_effective_at,services"]
    lines += [f"Client {number:03d},en,{AGREEMENT_ID},2025-02-01T00:00:00Z,iaas" for number in range(200)]
    headers = {"Content-Type": "text/csv"}
    await ok(api.post("/customers/import", content="\r\n".join(lines), headers=headers))
    outage = {"intent": "malicious", "cause": "attack", "impact": "I1", "service_harm": harm(availability="yes")}
    incident = await declare(api, services=["iaas"], **outage)
    _, bob, _ = await people(running)
    async with browser(running, bob) as pages:
        page = await opened(pages, path_of(incident))
        assert len(boxes(page)) == 200
        form = form_on(page, path_of(incident, "/release")) | {"notice": boxes(page)}
        assert (await pages.post(path_of(incident, "/release"), data=form)).status_code == 303
        assert text("incident.went_out", "en", count=200) in visible_text(await opened(pages, path_of(incident)))
        assert "Client 199" in await opened(pages, f"/incidents/{incident['id']}/deliveries")


# -- deliveries


async def test_deliveries_show_evidence_bounces_calls_and_acknowledgements(data_folder, service_log):
    async with desk_of(data_folder, SteppedClock()) as desk:
        desk.smtp.refused = {"rssi@valmont.example": GONE, "direction@valmont.example": GONE}
        owner = await desk.customer("rssi@valmont.example", "direction@valmont.example?")
        incident, notice = await desk.notified(owner)
        (task,) = await desk.until(lambda tx: tx.escalations.call_tasks_of_notice(notice))
        ada = await person(desk.running, "Ada", (Role.ANALYST, None))
        path = f"/incidents/{incident['id']}/deliveries"
        async with browser(desk.running, ada) as pages:
            page = await opened(pages, path)
            assert f'href="/calls/{task.id}"' in page
            said = visible_text(page)
            assert "550 5.1.1" in said
            assert text("answer.status.1_1", "en") in said
            assert text("incident.delivery.failed", "en") in said
            assert "rssi@valmont.example" in said
            assert "Hôpital de Valmont" in visible_text(await opened(pages, f"{path}?state=failed"))
            assert "Hôpital de Valmont" not in visible_text(await opened(pages, f"{path}?state=sent"))
            home = await opened(pages, f"/incidents/{incident['id']}")
            assert f'class="button primary" href="/calls/{task.id}"' in home
        for name, language in (("Ode", "fr"), ("Uta", "de")):
            reader = await person(desk.running, name, (Role.ANALYST, None), language=language)
            async with browser(desk.running, reader) as pages:
                for shown in (path, f"/notices/{notice}"):
                    page = await opened(pages, shown)
                    assert text("answer.status.1_1", language) in visible_text(page)
                    assert '<q class="hint" lang="" translate="no"><bdi>550 5.1.1' in page
        member = await person(desk.running, "Eve", (Role.CUSTOMER_MANAGER, owner["id"]))
        async with browser(desk.running, member) as pages:
            await pages.post(f"/notices/{notice}/acknowledgement", data=member.form(note=""))
        async with browser(desk.running, ada) as pages:
            page = await opened(pages, path)
            assert text("incident.delivery.acknowledged", "en") in page
            assert "Eve" in page


# -- follow-up and closing


def closing(incident, part=""):
    return f"/incidents/{incident['id']}/closing{part}"


async def test_a_follow_up_is_drafted_and_the_incident_closed_and_opened_again(running, api):
    owner = await customer(api, "Client", contacts=(("c@x.example", "en"),))
    incident = await owed(api, owner)
    await release(api, incident)
    ada, _, _ = await people(running)
    async with browser(running, ada) as pages:
        form = form_on(await opened(pages, closing(incident)), closing(incident, "/follow-up"))
        form |= {"measures_taken_en": "A & B.\r\nC.", "next_update_by": "2099-01-01T10:00"}
        answer = await pages.post(closing(incident, "/follow-up"), data=form)
        assert answer.headers["location"] == path_of(incident)
        kinds = [(each["kind"], each["state"]) for each in await notices(api, incident)]
        assert ("update", "draft") in kinds
        facts = (await ok(api.get(f"/incidents/{incident['id']}")))["facts"]
        assert facts["measures_taken"] == {"en": "A & B.\nC."}
        assert facts["next_update_by"].startswith("2099-01-01T10:00")

        form = form_on(await opened(pages, closing(incident)), closing(incident, "/follow-up"))
        assert form["measures_taken_en"] == ["A & B.\nC."]
        # An end in the future is refused; nothing is closed, and what was typed stays.
        wrong = await pages.post(
            closing(incident, "/close"),
            data=form | {"ended_at": "2098-01-01T10:00", "recommendations_de": "Weiter so."},
        )
        assert wrong.status_code == 422
        assert text("incident.problem.ended_at", "en") in wrong.text
        assert form_on(wrong.text, closing(incident, "/follow-up"))["recommendations_de"] == ["Weiter so."]
        answer = await pages.post(
            closing(incident, "/close"), data=form | {"recommendations_en": "Change keys.", "cause": "human_error"}
        )
        assert answer.headers["location"] == closing(incident, "?done=closed")
        closed = await ok(api.get(f"/incidents/{incident['id']}"))
        assert (closed["state"], closed["facts"]["recommendations"], closed["facts"]["cause"]) == (
            "closed", {"en": "Change keys."}, "human_error",
        )  # fmt: skip
        assert [each["kind"] for each in await notices(api, incident) if each["state"] == "draft"] == ["final"]
        page = await opened(pages, closing(incident))
        assert closing(incident, "/close") not in page
        form = form_on(page, closing(incident, "/reopen"))
        assert (await pages.post(closing(incident, "/reopen"), data=form)).status_code == 303
        assert (await ok(api.get(f"/incidents/{incident['id']}")))["state"] == "open"


async def test_nothing_is_closed_while_a_decision_waits_and_nothing_typed_is_lost(running, api):
    owner = await customer(api, "Client", contacts=(("c@x.example", "en"),))
    stated = [affected(owner, data_harm=harm(confidentiality="unknown"))]
    incident = await declare(api, intent="malicious", cause="attack", impact="I3", affected_customers=stated)
    ada, _, _ = await people(running)
    async with browser(running, ada) as pages:
        page = await opened(pages, closing(incident))
        assert text("incident.cannot_close", "en") in page
        form = form_on(page, closing(incident, "/follow-up")) | {"measures_taken_fr": "Gardé."}
        refused = await pages.post(closing(incident, "/close"), data=form)
        assert refused.status_code == 409
        assert text("incident.problem.pending", "en") in refused.text
        assert form_on(refused.text, closing(incident, "/follow-up"))["measures_taken_fr"] == ["Gardé."]
    # Facts and end are one transaction: what cannot be closed was not changed either.
    assert (await ok(api.get(f"/incidents/{incident['id']}")))["version"] == 1


async def test_a_stale_follow_up_keeps_both(running, api):
    owner = await customer(api, "Client", contacts=(("c@x.example", "en"),))
    incident = await owed(api, owner, measures_taken={"en": "First."})
    ada, _, _ = await people(running)
    async with browser(running, ada) as pages:
        form = form_on(await opened(pages, closing(incident)), closing(incident, "/follow-up"))
        await change(api, incident, measures_taken={"en": "Theirs."}, cause="attack", intent="malicious")
        stale = await pages.post(closing(incident, "/follow-up"), data=form | {"recommendations_en": "Mine."})
        assert stale.status_code == 412
        again = form_on(stale.text, closing(incident, "/follow-up"))
        assert (again["measures_taken_en"], again["recommendations_en"], again["cause"]) == (
            ["Theirs."], ["Mine."], ["attack"],
        )  # fmt: skip
        assert (await pages.post(closing(incident, "/follow-up"), data=again)).status_code == 303
    facts = (await ok(api.get(f"/incidents/{incident['id']}")))["facts"]
    assert (facts["measures_taken"], facts["recommendations"]) == ({"en": "Theirs."}, {"en": "Mine."})


async def test_who_worked_on_an_incident_has_a_name(running, api):
    owner = await customer(api, "Client", contacts=(("c@x.example", "en"),))
    incident = await owed(api, owner)
    ada, _, _ = await people(running)
    await drafted_by(running, ada, incident)
    found = (await ok(api.get(f"/incidents/{incident['id']}/people")))["items"]
    assert {"actor": f"account:{ada.account.id}", "name": "Ada"} in found
    assert UUID(found[0]["actor"].removeprefix("account:"))
