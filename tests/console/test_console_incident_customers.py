"""Two hundred customers of one incident as one table: filtered, answered at once, pasted, written and read as CSV."""

import csv
import io
import re

import pytest
import pytest_asyncio

from service.ports.accounts import Role
from service.web.console.catalogues import text
from support.page_forms import form_on
from support.people import browser, person, visible_text
from support.scenario import AGREEMENT_ID, affected, change, customer, declare, ok

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUNT = 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owners(shared_api):
    """200 customers, half of them in each of two regions, by name."""
    lines = ["name,language,agreement_id,agreement_effective_at,services,regions"]
    for number in range(COUNT):
        region = "west" if number % 2 else "east"
        lines.append(f"Client {number:03d},fr,{AGREEMENT_ID},2025-02-01T00:00:00Z,iaas,{region}")
    headers = {"Content-Type": "text/csv"}
    await ok(shared_api.post("/customers/import", content="\r\n".join(lines), headers=headers))
    found, cursor = {}, None
    while True:
        params = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        listed = await ok(shared_api.get("/customers", params=params))
        found |= {each["name"]: each for each in listed["items"]}
        cursor = listed["next_cursor"]
        if cursor is None:
            return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages(shared_service, owners):
    async with browser(shared_service, await person(shared_service, "Ada", (Role.ANALYST, None))) as opened:
        yield opened


def table(incident):
    return f"/incidents/{incident['id']}/customers"


async def opened(pages, path):
    answer = await pages.get(path)
    assert answer.status_code == 200, visible_text(answer.text)
    return answer.text


def rows_of(page):
    """Return the name and the cells of each row of the table."""
    rows = re.findall(r"<tr data-name=.*?</tr>", page, re.DOTALL)
    return {
        visible_text(re.search(r"<th.*?</th>", row, re.DOTALL)[0]).strip(): [
            visible_text(cell).strip() for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)
        ]
        for row in rows
    }


async def stated_of(api, incident):
    facts = (await ok(api.get(f"/incidents/{incident['id']}")))["facts"]
    return {each["customer_id"]: each for each in facts["affected_customers"]}


async def test_every_customer_is_in_the_table_and_can_be_filtered(shared_api, owners, pages):
    incident = await declare(shared_api, affected_customers=[affected(owners["Client 007"])])
    page = await opened(pages, table(incident))
    assert len(rows_of(page)) == COUNT
    assert rows_of(page)["Client 007"][3] == "yes"
    assert set(rows_of(await opened(pages, f"{table(incident)}?text=client 00"))) == {
        f"Client {number:03d}" for number in range(10)
    }
    assert len(rows_of(await opened(pages, f"{table(incident)}?place=west"))) == COUNT // 2
    assert len(rows_of(await opened(pages, f"{table(incident)}?place=west&text=01"))) == 7
    assert text("incident.no_customers_kept", "en") in await opened(pages, f"{table(incident)}?verdict=notify&text=zzz")
    assert len(rows_of(await opened(pages, f"{table(incident)}?verdict=nonsense"))) == COUNT


async def test_many_are_answered_at_once_in_one_version(shared_api, owners, pages):
    incident = await declare(shared_api, affected_customers=[affected(owners["Client 003"], effect={"en": "Kept."})])
    page = await opened(pages, f"{table(incident)}?place=west")
    form = form_on(page, table(incident)) | {"all": "yes", "confidentiality": "yes", "affected": "yes"}
    answer = await pages.post(table(incident), data=form)
    assert answer.status_code == 303, visible_text(answer.text)
    after = await opened(pages, answer.headers["location"])
    assert text("incident.answered", "en", count=COUNT // 2, version=2) in visible_text(after)
    assert len(rows_of(after)) == COUNT // 2
    stated = await stated_of(shared_api, incident)
    assert len(stated) == COUNT // 2
    mine = stated[owners["Client 003"]["id"]]
    # What was not answered stays; of others it is unknown.
    assert (mine["effect"], mine["data_harm"]["integrity"], mine["data_harm"]["confidentiality"]) == (
        {"en": "Kept."}, "no", "yes",
    )  # fmt: skip
    other = stated[owners["Client 001"]["id"]]
    assert (other["data_harm"]["integrity"], other["personal_data"]["breach"]) == ("unknown", "unknown")
    assert (await ok(shared_api.get(f"/incidents/{incident['id']}")))["version"] == 2
    # The same form again, by a reload, changes nothing more.
    assert (await pages.post(table(incident), data=form)).headers["location"] == answer.headers["location"]
    assert (await ok(shared_api.get(f"/incidents/{incident['id']}")))["version"] == 2


async def test_only_the_chosen_are_answered(shared_api, owners, pages):
    incident = await declare(shared_api)
    form = form_on(await opened(pages, table(incident)), table(incident))
    chosen = [owners[name]["id"] for name in ("Client 010", "Client 020")]
    nobody = await pages.post(table(incident), data=form | {"affected": "no"})
    assert nobody.status_code == 422
    assert text("incident.problem.chosen", "en") in nobody.text
    nothing = await pages.post(table(incident), data=form | {"customer": chosen})
    assert text("incident.problem.codes", "en") in nothing.text
    # What was chosen is still chosen.
    assert form_on(nothing.text, table(incident))["customer"] == chosen
    odd = await pages.post(table(incident), data=form | {"customer": chosen, "affected": "perhaps"})
    assert odd.status_code == 422
    assert (await pages.post(table(incident), data=form | {"customer": chosen, "affected": "no"})).status_code == 303
    assert {key: each["affected"] for key, each in (await stated_of(shared_api, incident)).items()} == dict.fromkeys(
        chosen, "no"
    )


async def test_a_stale_table_keeps_the_choice_and_leads_to_what_changed(shared_api, owners, pages):
    incident = await declare(shared_api)
    form = form_on(await opened(pages, table(incident)), table(incident))
    form |= {"customer": [owners["Client 005"]["id"]], "breach": "suspected"}
    await change(shared_api, incident, intent="malicious", cause="attack")
    stale = await pages.post(table(incident), data=form)
    assert stale.status_code == 412
    assert f'href="/incidents/{incident["id"]}/facts/history?older=1&amp;newer=2"' in stale.text
    again = form_on(stale.text, table(incident))
    assert (again["customer"], again["breach"], again["version"]) == (form["customer"], ["suspected"], ["2"])
    assert (await pages.post(table(incident), data=again)).status_code == 303
    assert (await stated_of(shared_api, incident))[owners["Client 005"]["id"]]["personal_data"]["breach"] == "suspected"


# -- as a spreadsheet


def sheet(incident):
    return f"{table(incident)}/table"


async def pasted(pages, incident, content):
    form = form_on(await opened(pages, table(incident)), sheet(incident))
    return await pages.post(sheet(incident), data=form | {"table": content})


async def test_a_pasted_table_is_reported_by_line_and_applied_once_confirmed(shared_api, owners, pages):
    incident = await declare(shared_api, affected_customers=[affected(owners["Client 001"])])
    content = (
        "Client\tAffected\tData: confidentiality\tPersonal-data breach\r\n"
        "client 001\tyes\tyes\tno\r\n\r\n"
        f"{owners['Client 002']['id']}\tyes\t\tconfirmed\r\n"
        "Client 003\tyes\tno\tno\r\n"
    ).replace("Client\tAffected", "Customer\tUse affected")
    report = await pasted(pages, incident, content)
    assert report.status_code == 200, visible_text(report.text)
    said = visible_text(report.text)
    assert text("incident.sound_table", "en", lines=3, changing=3) in said
    assert "Data: confidentiality: no → yes" in said
    # Nothing is recorded before it is confirmed.
    assert (await ok(shared_api.get(f"/incidents/{incident['id']}")))["version"] == 1
    answer = await pages.post(sheet(incident), data=form_on(report.text, sheet(incident)) | {"confirmed": "yes"})
    assert answer.status_code == 303
    stated = await stated_of(shared_api, incident)
    assert stated[owners["Client 001"]["id"]]["data_harm"]["confidentiality"] == "yes"
    second = stated[owners["Client 002"]["id"]]
    assert (second["personal_data"]["breach"], second["data_harm"]["confidentiality"]) == ("confirmed", "unknown")
    assert (await ok(shared_api.get(f"/incidents/{incident['id']}")))["version"] == 2


FAULTY = """customer;affected;integrity;records_approx
Client 001;oui;nein;1 200
Nobody;yes;;
Client 002;maybe;;
Client 001;no;;
Client 004;yes;;-5
Client 005;yes;no;3;too;many
"""


async def test_each_faulty_line_says_what_is_wrong_and_nothing_is_applied(shared_api, pages):
    incident = await declare(shared_api)
    report = await pasted(pages, incident, FAULTY)
    assert report.status_code == 422
    said = visible_text(report.text)
    for fault in ("no_customer", "no_answer", "twice", "too_many_cells"):
        assert text(f"incident.line.{fault}", "en") in said, fault
    assert "Use affected: yes" not in said
    # The words of every language are understood, and what was pasted is still there to be corrected.
    assert "Use affected: not stated → yes" in said
    form = form_on(report.text, sheet(incident))
    assert form["table"][0].replace("\r\n", "\n") == FAULTY
    assert 'name="confirmed"' not in report.text
    forced = await pages.post(sheet(incident), data=form | {"confirmed": "yes"})
    assert forced.status_code == 422
    assert (await ok(shared_api.get(f"/incidents/{incident['id']}")))["version"] == 1
    corrected = form | {"table": "Client 001,yes"}
    assert text("incident.sound_table", "en", lines=1, changing=1) in visible_text(
        (await pages.post(sheet(incident), data=corrected)).text
    )


async def test_what_was_written_is_read_back_unchanged(shared_api, owners, pages):
    stated = [affected(owners[f"Client {number:03d}"]) for number in range(50)]
    incident = await declare(shared_api, affected_customers=stated)
    answer = await pages.get(f"{table(incident)}/table.csv")
    assert "attachment" in answer.headers["content-disposition"]
    content = answer.content.decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(content)))
    assert len(lines) == COUNT
    assert (lines[0]["affected"], lines[100]["affected"], lines[0]["regions"]) == ("yes", "", "east")
    form = form_on(await opened(pages, table(incident)), sheet(incident))
    report = await pages.post(sheet(incident), data=form, files={"file": ("table.csv", answer.content, "text/csv")})
    assert text("incident.sound_table", "en", lines=COUNT, changing=0) in visible_text(report.text)
    # 200 lines changed in a spreadsheet that saves UTF-16 with tabs.
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, lines[0].keys(), delimiter="\t")
    writer.writeheader()
    writer.writerows(line | {"affected": "no"} for line in lines)
    file = ("table.txt", out.getvalue().encode("utf-16"), "text/plain")
    report = await pages.post(sheet(incident), data=form, files={"file": file})
    assert text("incident.sound_table", "en", lines=COUNT, changing=COUNT) in visible_text(report.text)
    answer = await pages.post(sheet(incident), data=form_on(report.text, sheet(incident)) | {"confirmed": "yes"})
    assert answer.status_code == 303
    assert {each["affected"] for each in (await stated_of(shared_api, incident)).values()} == {"no"}


async def test_no_cell_is_a_formula(shared_api, pages, owners):
    evil = await customer(shared_api, "=HYPERLINK(1)", contacts=())
    incident = await declare(shared_api)
    content = (await pages.get(f"{table(incident)}/table.csv?text=hyperlink")).content.decode("utf-8-sig")
    assert "'=HYPERLINK(1)" in content
    report = await pasted(pages, incident, "customer,affected\r\n'=HYPERLINK(1),yes\r\n")
    assert text("incident.sound_table", "en", lines=1, changing=1) in visible_text(report.text)
    assert evil["name"] in visible_text(report.text)


async def test_what_is_no_table_is_refused(shared_api, pages):
    incident = await declare(shared_api)
    for content in ("", "\n\n", '"never ends'):
        assert (await pasted(pages, incident, content)).status_code == 422, content
    form = form_on(await opened(pages, table(incident)), sheet(incident))
    huge = {"file": ("huge.csv", b"x" * 4_000_001, "text/csv")}
    answer = await pages.post(sheet(incident), data=form, files=huge)
    assert answer.status_code in {413, 422}


async def test_a_table_confirmed_too_late_is_checked_again(shared_api, owners, pages):
    incident = await declare(shared_api)
    report = await pasted(pages, incident, "Client 009,yes")
    await change(shared_api, incident, intent="malicious", cause="attack")
    stale = await pages.post(sheet(incident), data=form_on(report.text, sheet(incident)) | {"confirmed": "yes"})
    assert stale.status_code == 412
    assert text("incident.problem.version", "en") in stale.text
    answer = await pages.post(sheet(incident), data=form_on(stale.text, sheet(incident)) | {"confirmed": "yes"})
    assert answer.status_code == 303
    assert (await stated_of(shared_api, incident))[owners["Client 009"]["id"]]["affected"] == "yes"


# -- one customer


async def test_one_customer_says_why_and_takes_its_own_words(shared_api, owners, pages):
    incident = await declare(shared_api, impact="I1")
    owner = owners["Client 042"]
    path = f"{table(incident)}/{owner['id']}"
    page = await opened(pages, path)
    assert "11.1.1.3 (1)" in page
    form = form_on(page, path) | {"breach": "suspected", "records_approx": "1200", "effect_en": "Your <b>backups</b>."}
    assert (await pages.post(path, data=form)).status_code == 303
    page = await opened(pages, path)
    assert "Your &lt;b&gt;backups&lt;/b&gt;." in page
    stated = (await stated_of(shared_api, incident))[owner["id"]]
    assert (stated["personal_data"]["records_approx"], stated["effect"]) == (1200, {"en": "Your <b>backups</b>."})
    # A count that is emptied is not known any more; one that is no number is refused, and kept.
    form = form_on(page, path)
    refused = await pages.post(path, data=form | {"records_approx": "many", "effect_fr": "Gardé."})
    assert refused.status_code == 422
    assert form_on(refused.text, path)["effect_fr"] == ["Gardé."]
    await change(shared_api, incident | {"version": 2}, intent="malicious", cause="attack")
    stale = await pages.post(path, data=form | {"records_approx": "", "effect_fr": "Gardé."})
    assert stale.status_code == 412
    again = form_on(stale.text, path)
    assert (again["effect_fr"], again["breach"]) == (["Gardé."], ["suspected"])
    assert (await pages.post(path, data=again)).status_code == 303
    assert (await stated_of(shared_api, incident))[owner["id"]]["personal_data"]["records_approx"] is None


async def test_only_an_analyst_gets_the_forms(shared_service, shared_api, owners):
    incident = await declare(shared_api)
    async with browser(shared_service, await person(shared_service, "Otto", (Role.AUDITOR, None))) as reader:
        page = await opened(reader, table(incident))
        assert f'action="{table(incident)}/table"' not in page
        assert 'type="checkbox"' not in page
        assert (await reader.post(table(incident), data={})).status_code == 403
