"""Legal duties on pages: the provider's reports to authorities, a customer's statement, and its own deadlines."""

import json
import re
from html import unescape

from jsonschema import Draft202012Validator

from notifications.duties import ClockState, Start, StepKind
from notifications.duties.significance import Question
from notifications.use_cases.duties.provider_report import Origin
from service.ports.accounts import Role
from service.web.console.catalogues import CATALOGUES, text
from support.dora_schema import SCHEMA, STRICT_SCHEMA
from support.page_forms import form_on
from support.people import browser, person, visible_text
from support.scenario import affected, ago, customer, declare, harm, ok, release

PAYLOAD = '<script>alert(1)</script> "x" {{7*7}}'


async def opened(pages, path):
    answer = await pages.get(path)
    assert answer.status_code == 200, visible_text(answer.text)
    return answer.text


async def sent(pages, path, action, **changes):
    """Fill in a form on a page and send it."""
    return await pages.post(action, data=form_on(await opened(pages, path), action) | changes)


async def test_an_analyst_answers_writes_submits_and_corrects(running, api):
    ada = await person(running, "Ada", (Role.ANALYST, None))
    incident = await declare(api, service_harm=harm(availability="yes"), aware_at=ago(hours=2))
    duties = f"/incidents/{incident['id']}/duties"
    async with browser(running, ada) as pages:
        page = visible_text(await opened(pages, duties))
        assert text("duties.significant.unknown", "en") in page
        assert text("duties.from_facts", "en", answer="no") in page
        answered = await sent(
            pages, duties, duties, completely_unavailable="yes", planned_maintenance="no", note=PAYLOAD
        )
        assert answered.headers["location"] == f"{duties}?done=assessed"
        raw = await opened(pages, duties)
        assert text("duties.significant.yes", "en") in raw
        assert "<script>alert" not in raw
        wrong = await sent(pages, duties, duties, loss_eur="a lot", note="kept")
        assert wrong.status_code == 422
        assert text("duties.problem.loss_eur", "en") in wrong.text
        assert "kept" in wrong.text
        # PostgreSQL takes no NUL in a text.
        assert (await sent(pages, duties, duties, note="a\x00b")).status_code == 422
        report = f"{duties}/nis2_early_warning"
        page = await opened(pages, report)
        assert "Something happened." in page
        saved = await sent(pages, report, report, **{"item-cross_border": "Belgium"})
        assert saved.headers["location"] == f"{report}?done=drafted"
        submit = f"{report}/submissions"
        missing = await sent(pages, report, submit, recipient=" ")
        assert missing.status_code == 422
        assert text("duties.problem.recipient", "en") in missing.text
        assert (await sent(pages, report, submit, recipient="CERT\x00FR")).status_code == 422
        assert (await sent(pages, report, report, **{"item-cross_border": "a\x1bb"})).status_code == 422
        done = await sent(pages, report, submit, recipient="CERT-FR", reference="C-1")
        assert done.headers["location"] == f"{report}?done=submitted"
        page = await opened(pages, report)
        assert text("duties.in_time", "en") in page
        # What was submitted has the titles of its items, and none of our codes.
        assert "<dt>cross_border</dt>" not in page
        assert page.count("Belgium") == 2
        record = (await ok(api.get(f"/incidents/{incident['id']}/duties")))["submissions"][0]
        assert (record["recipient"], record["submitted_by"]) == ("CERT-FR", "Ada")
        correct = f"{submit}/{record['id']}"
        other = correct.replace("nis2_early_warning", "nis2_notification")
        assert (await pages.post(other, data=form_on(page, correct) | {"reason": "R"})).status_code == 404
        done = await sent(pages, report, correct, recipient="ANSSI", reason="the wrong authority")
        assert done.headers["location"] == f"{report}?done=corrected"
        page = visible_text(await opened(pages, report))
        assert "ANSSI" in page
        assert text("duties.superseded", "en") in page
        # What was written is carried over to the next report.
        assert "Belgium" in await opened(pages, f"{duties}/nis2_notification")


async def test_a_colleagues_answers_are_not_overwritten(running, api):
    ada = await person(running, "Ada", (Role.ANALYST, None))
    incident = await declare(api)
    duties = f"/incidents/{incident['id']}/duties"
    async with browser(running, ada) as pages:
        form = form_on(await opened(pages, duties), duties)
        match = {"If-Match": '"0"'}
        await ok(api.put(f"{duties}/assessment", json={"answers": {"death": "yes"}}, headers=match))
        stale = await pages.post(duties, data=form | {"loss": "yes"})
        assert stale.status_code == 412
        assert text("duties.problem.version", "en") in stale.text


async def test_an_approver_reads_and_changes_nothing(running, api):
    bob = await person(running, "Bob", (Role.APPROVER, None))
    incident = await declare(api)
    duties = f"/incidents/{incident['id']}/duties"
    async with browser(running, bob) as pages:
        page = await opened(pages, duties)
        assert text("duties.record_answers", "en") not in page
        refused = await pages.post(duties, data=form_on(page, duties))
        assert refused.status_code == 403


async def test_a_customer_states_what_it_is_and_reads_its_own_deadlines(running, api):
    bank = await customer(api)
    manager = await person(running, "Mia", (Role.CUSTOMER_MANAGER, bank["id"]))
    law = f"/customers/{bank['id']}/law"
    async with browser(running, manager) as pages:
        assert text("law.never_stated", "en") in await opened(pages, law)
        chosen = {"member_state": "DE", "region": "FR-57", "sectors": ["credit_institution"]}
        wrong = await sent(pages, law, law, **chosen)
        assert wrong.status_code == 422
        assert text("law.wrong.region", "en") in wrong.text
        done = await sent(pages, law, law, **(chosen | {"region": "DE-BY", "lei": "969500tj5krtcjqwxh05"}))
        assert done.headers["location"] == f"{law}?done=stated"
        assert (await ok(api.get(f"/customers/{bank['id']}/legal-profile")))["lei"] == "969500TJ5KRTCJQWXH05"
        entry = affected(bank, data_harm=harm(confidentiality="yes"))
        incident = await declare(api, impact="I1", criticality="C1", affected_customers=[entry])
        (notice,) = await release(api, incident)
        await running.sink.wait_for(1, timeout_seconds=60)
        own = f"/notices/{notice['id']}/duties"
        page = visible_text(await opened(pages, own))
        assert text("own_duties.explained", "en") in page
        assert "DORA 19(4)(a)" in page
        assert "NIS2 23(4)(a)" not in page
        counted = await pages.get(own, params={"aware_at": "2026-06-01T10:00", "classified_at": "2026-06-01T11:00"})
        assert 'datetime="2026-06-01T13:00:00.000000Z"' in counted.text
        for wrong_moment in ("yesterday", "9999-12-31T23:00", "0001-01-02T00:00"):
            assert (await pages.get(own, params={"aware_at": wrong_moment})).status_code == 422
        file = await pages.get(f"/notices/{notice['id']}/dora/initial_notification.json")
        assert file.headers["content-disposition"].startswith('attachment; filename="dora-1-')
        Draft202012Validator(SCHEMA).validate(json.loads(file.content))
        assert (await pages.get(f"/notices/{notice['id']}/dora/other.json")).status_code == 404
        # The notice names no measures: the customer states whether there were any, and its drafts say so.
        assert text("own_duties.measures_open", "en") in page
        moments = {"aware_at": "2026-06-01T10:00", "classified_at": "2026-06-01T11:00"}
        for answer in ("yes", "no"):
            stated = (await pages.get(own, params=moments | {"temporary_measures": answer})).text
            assert text("own_duties.measures_open", "en") not in visible_text(stated)
            (link,) = (unescape(found) for found in re.findall(r'href="([^"]+)"', stated) if "final_report" in found)
            report = json.loads((await pages.get(link)).content)
            Draft202012Validator(STRICT_SCHEMA).validate(report)
            assert report["impactAssessment"]["serviceImpact"]["isTemporaryActionsMeasuresForRecovery"] is (
                answer == "yes"
            )
            assert report["incident"]["classificationDateTime"] == "2026-06-01T09:00:00Z"


async def test_what_holds_in_every_sector_is_read_first_and_the_rest_is_folded(running, api):
    valmont = await customer(api)
    manager = await person(running, "Mia", (Role.CUSTOMER_MANAGER, valmont["id"]))
    entry = affected(valmont, data_harm=harm(confidentiality="yes"))
    incident = await declare(api, impact="I1", criticality="C1", affected_customers=[entry])
    (notice,) = await release(api, incident)
    await running.sink.wait_for(1, timeout_seconds=60)
    async with browser(running, manager) as pages:
        page = await opened(pages, f"/notices/{notice['id']}/duties")
        summary = text("own_duties.show_perhaps", "en", count="").removesuffix(" ()")
        first, folded = page.split(f"<details><summary>{summary}", 1)
        assert "GDPR 33(1)" in first
        assert text("own_duties.for_all", "en") in first
        for clause in ("NIS2 23(4)(a)", "DORA 19(4)(a)", "BSIG § 32(1) no. 1", "CRA 14(2)(a)"):
            assert clause not in first
            assert clause in folded
        law = f"/customers/{valmont['id']}/law"
        assert f'href="{law}"' in first
        await sent(pages, law, law, member_state="FR", sectors=["product_manufacturer"])
        page = await opened(pages, f"/notices/{notice['id']}/duties")
        assert text("own_duties.yours", "en") in page
        assert "CRA 14(2)(a)" in page
        assert text("own_duties.perhaps", "en") not in page


async def test_another_customer_sees_none_of_it(running, api):
    bank, other = await customer(api), await customer(api, "Other", contacts=(("o@other.example", "en"),))
    stranger = await person(running, "Sam", (Role.CUSTOMER_MANAGER, other["id"]))
    incident = await declare(api, impact="I1", criticality="C1", affected_customers=[
        affected(bank, data_harm=harm(confidentiality="yes")),
    ])  # fmt: skip
    notice = next(each for each in await release(api, incident) if each["customer_id"] == bank["id"])
    async with browser(running, stranger) as pages:
        for path in (
            f"/customers/{bank['id']}/law",
            f"/notices/{notice['id']}/duties",
            f"/notices/{notice['id']}/dora/initial_notification.json",
        ):
            assert (await pages.get(path)).status_code == 404
        assert (await pages.get(f"/incidents/{incident['id']}/duties")).status_code == 403


def test_every_question_step_and_state_has_words_in_every_language():
    keys = [f"duties.question.{each.value}" for each in Question]
    keys += [f"duties.step.{each.value}" for each in StepKind]
    keys += [f"duties.state.{each.value}" for each in ClockState]
    keys += [f"duties.waits_for.{each.value}" for each in Start]
    keys += [f"duties.origin.{each.value}" for each in Origin]
    for language in CATALOGUES:
        assert set(keys) <= CATALOGUES[language].keys()
