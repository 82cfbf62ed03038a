"""Pages of customers: found, registered, changed, bound, imported and erased by forms, in three languages."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from threading import get_ident
from uuid import UUID

import pytest
import pytest_asyncio

from notifications.customer.records import AgreementBinding, Customer
from notifications.ports import Page
from service.cli.demo.environment import embedded_service
from service.customers.directory import CustomerFilter, find_customers
from service.ports.accounts import Role
from service.store.sql.session import Session
from support.people import act_of, browser, person, visible_text
from support.scenario import AGREEMENT_ID, customer, ok
from support.store_work import watch_requests

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD = "<script>alert(1)</script>\u202e\"'><img src=x onerror=alert(1)>"
NEW = {"name": "Port de Kerlann", "language": "fr", "time_zone": "Europe/Paris", "agreement_id": AGREEMENT_ID,
       "effective_on": "2025-03-30"}  # fmt: skip


@pytest.fixture(scope="module")
def running(shared_service):
    return shared_service


@pytest.fixture(scope="module")
def api(shared_api):
    return shared_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adam(running):
    return await person(running, "Adam", (Role.ADMINISTRATOR, None), email="adam@customers.example")


def names_in(html):
    """Return the customers that a list shows, in order."""
    return re.findall(r'<th scope="row" class="long"><a href="/customers/[0-9a-f-]{36}"><bdi>(.*?)</bdi>', html)


async def test_customers_are_found_by_a_part_of_the_name_whatever_its_accents(running, api, adam):
    for name in ("Hôpital Élodie", "Klinik Süd", "Zélie & Sons"):
        await customer(api, name)
    lonely = await customer(api, "Lonely élan", contacts=())
    async with browser(running, adam) as page:
        for sought, found in (
            ("elodie", ["Hôpital Élodie"]),
            ("SUD", ["Klinik Süd"]),
            ("el", ["Hôpital Élodie", "Lonely élan", "Zélie &amp; Sons"]),
        ):
            shown = await page.get("/customers", params={"q": sought})
            assert names_in(shown.text) == found, sought
        assert names_in((await page.get("/customers", params={"q": lonely["id"]})).text) == ["Lonely élan"]
        assert "Lonely" in (shown := await page.get("/customers?unreachable=yes&agreement=&state=")).text
        assert "Klinik" not in shown.text
        assert names_in((await page.get("/customers?agreement=another")).text) == []
        assert names_in((await page.get(f"/customers?agreement={AGREEMENT_ID}&q=sud")).text) == ["Klinik Süd"]
    # The API finds the same.
    listed = await ok(api.get("/customers", params={"text": "elodie"}))
    assert [item["name"] for item in listed["items"]] == ["Hôpital Élodie"]
    listed = await ok(api.get("/customers", params={"unreachable": "true"}))
    assert lonely["id"] in [item["id"] for item in listed["items"]]


async def many(running, count, start=0):
    """Store so many customers, past the pages."""
    act = act_of(running)

    def work(tx):
        for number in range(start, start + count):
            made = Customer(
                act.identifiers.new_id(), f"Mass {number:05}", "fr", "Europe/Paris", (), (), (), act.now, 1, False, None
            )
            tx.customers.add(made, bytes(32))
            tx.customers.add_binding(AgreementBinding(made.id, AGREEMENT_ID, act.now, act.now))

    await running.parts.store.write(work)


async def test_a_long_list_is_read_page_by_page(running, adam):
    await many(running, 120)
    seen, path = [], "/customers?q=mass+"
    async with browser(running, adam) as page:
        while path:
            shown = (await page.get(path)).text
            assert "Customers found: 120" in shown
            seen += names_in(shown)
            path = next(iter(re.findall(r'rel="next" href="(.*?)"', shown)), "").replace("&amp;", "&")
    assert seen == [f"Mass {number:05}" for number in range(120)]


async def test_the_list_takes_as_many_statements_for_many_customers_as_for_few(running, monkeypatch):
    statements = []
    for name in ("all", "one"):
        run = getattr(Session, name)

        def counted(self, statement, *rest, run=run):
            # Other tasks of the service read in threads of their own.
            statements.append(get_ident())
            return run(self, statement, *rest)

        monkeypatch.setattr(Session, name, counted)

    def work(tx):
        before = statements.count(get_ident())
        wanted = CustomerFilter("mass", AGREEMENT_ID, unreachable=True)
        found = find_customers(tx, wanted, Page(50), datetime.now(UTC), at_provider=True)
        return found.total, statements.count(get_ident()) - before

    async def measured():
        # The first read after a change reads the whole directory; later ones ask only whether it changed.
        return [await running.parts.store.read(work) for _ in range(2)]

    await many(running, 1, start=120)
    few = await measured()
    await many(running, 600, start=121)
    more = await measured()
    assert more[0][0] == few[0][0] + 600
    assert [count for _, count in more] == [count for _, count in few]


async def test_a_page_of_the_list_takes_the_same_steps_with_many_customers(running, adam):
    watched = watch_requests(running)

    async def steps(page):
        # The first read after a change reads the whole directory, as the next decision would.
        taken = []
        for _ in range(2):
            shown = (await page.get("/customers")).text
            taken.append(sum(count for _, count in watched.taken()))
        assert len(names_in(shown)) == 50
        return taken[1]

    async with browser(running, adam) as page:
        await many(running, 60, start=1000)
        few = await steps(page)
        await many(running, 800, start=2000)
        # A look-up in a deeper index costs a few steps more; a customer that is read costs ten.
        assert await steps(page) < few + 100


async def test_a_customer_is_registered_once_with_its_agreement_from_a_day(running, api, adam):
    async with browser(running, adam) as page:
        shown = await page.get("/customers/new")
        form = adam.form(**NEW, form_id=re.search(r'name="form_id" value="(.*?)"', shown.text)[1])
        answers = [await page.post("/customers/new", data=form) for _ in range(2)]
        assert {answer.status_code for answer in answers} == {303}
        (place,) = {answer.headers["location"] for answer in answers}
        assert place.endswith("?done=registered")
        shown = await page.get(place)
        assert "The customer is registered" in shown.text
    made = await ok(api.get(place.partition("?")[0]))
    # Midnight in Paris, on the night before the clocks change.
    assert [item["effective_at"] for item in made["agreements"]] == ["2025-03-29T23:00:00.000000Z"]
    for way in ("contacts", "levels", "data", "webhooks", "members", "reachability"):
        assert f'href="/customers/{made["id"]}/{way}"' in shown.text
    # An administrator reads no trail.
    assert "/trail" not in shown.text


WRONG = [
    {"name": " "}, {"name": "x" * 201}, {"name": "a\nb"}, {"language": "es"}, {"time_zone": "Paris"},
    {"time_zone": "../../etc/passwd"}, {"effective_on": "soon"}, {"effective_on": ""}, {"agreement_id": "other"},
    {"services": "a b <c>"}, {"acknowledge_within_minutes": "0"}, {"acknowledge_within_minutes": "nan"},
    {"acknowledge_within_minutes": "1e999"}, {"acknowledge_within_minutes": "²"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_a_wrong_entry_comes_back_at_its_field_with_everything_that_was_filled_in(wrong, running, adam):
    kept = {"regions": "eu-1", "name": "Kept name"}
    async with browser(running, adam) as page:
        answer = await page.post("/customers/new", data=adam.form(**(NEW | kept | {"form_id": "f1"} | wrong)))
    assert answer.status_code == 422
    (name,) = wrong
    assert f'id="{name}-error"' in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert 'value="eu-1"' in answer.text
    assert 'name="form_id" value="f1"' in answer.text
    if name != "name":
        assert 'value="Kept name"' in answer.text


async def test_a_change_is_saved_unless_somebody_else_was_quicker(running, api, adam):
    own = await customer(api, "Change me")
    path = f"/customers/{own['id']}/change"
    changed = {"name": "Changed", "language": "de", "time_zone": "Europe/Berlin", "services": "iaas, object-storage",
               "four_eyes": "yes", "acknowledge_within_minutes": "1,5", "version": "1"}  # fmt: skip
    async with browser(running, adam) as page:
        assert 'value="Change me"' in (await page.get(path)).text
        answer = await page.post(path, data=adam.form(**changed))
        assert (answer.status_code, answer.headers["location"]) == (303, f"/customers/{own['id']}?done=changed")
        late = await page.post(path, data=adam.form(**(changed | {"name": "Mine"})))
        assert late.status_code == 412
        assert 'value="Mine"' in late.text
        assert "Somebody else changed this customer" in late.text
        assert 'value="1.5"' in (await page.get(path)).text
    now = await ok(api.get(f"/customers/{own['id']}"))
    assert (now["name"], now["services"], now["four_eyes"]) == ("Changed", ["iaas", "object-storage"], True)
    assert now["acknowledge_within_seconds"] == 90


async def test_a_time_to_acknowledge_that_nobody_changed_stays_to_the_second(running, api, adam):
    own = await customer(api, "Exact", acknowledge_within_seconds=600_010)
    path = f"/customers/{own['id']}/change"
    async with browser(running, adam) as page:
        shown = re.search(r'name="acknowledge_within_minutes"[^>]* value="([^"]+)"', (await page.get(path)).text)[1]
        fields = {"name": "Exact, renamed", "language": "fr", "time_zone": own["time_zone"], "version": "1"}
        answer = await page.post(path, data=adam.form(**fields, acknowledge_within_minutes=shown))
        assert answer.status_code == 303
    assert (await ok(api.get(f"/customers/{own['id']}")))["acknowledge_within_seconds"] == 600_010


async def test_agreements_are_bound_from_a_day_and_say_which_is_in_force(running, api, adam):
    own = await customer(api, "Bound", time_zone="Europe/Berlin")
    path = f"/customers/{own['id']}"
    coming = (datetime.now(UTC) + timedelta(days=40)).date().isoformat()
    async with browser(running, adam) as page:
        for day in ("2025-06-01", coming):
            answer = await page.post(f"{path}/agreements", data=adam.form(agreement_id=AGREEMENT_ID, effective_on=day))
            assert answer.status_code == 303, answer.text
        shown = visible_text((await page.get(path)).text)
        assert re.findall(r"Takes effect later|In force(?! since)|Superseded", shown) == [
            "Takes effect later", "In force", "Superseded",
        ]  # fmt: skip
        wrong = await page.post(f"{path}/agreements", data=adam.form(agreement_id="no", effective_on="2025-06-01"))
        assert wrong.status_code == 422
        assert 'id="agreement_id-error"' in wrong.text
    assert len((await ok(api.get(f"{path}/agreements")))["items"]) == 3


# -- import and export


def file_of(*lines):
    """Return a file with these columns as a form uploads it."""
    return {"file": ("customers.csv", "\r\n".join(lines).encode(), "text/csv")}


HEADER = "name;language;agreement_id;agreement_effective_at;contact_name;contact_email"
LINES = (
    f"Import One;fr;{AGREEMENT_ID};2025-02-01T00:00:00Z;RSSI;rssi@one.example",
    f"Import Two;de;{AGREEMENT_ID};2025-02-01T00:00:00Z;CERT;cert@two.example",
)


def confirmation(adam, html):
    """Return the form with which a report is confirmed."""
    names = ("form_id", "packed", "digest")
    return adam.form(**{name: re.search(f'name="{name}" value="(.*?)"', html)[1] for name in names})


async def test_a_file_is_reported_line_by_line_then_confirmed_then_imported_once(running, api, adam):
    async with browser(running, adam) as page:
        report = await page.post("/customers/import", data=adam.form(), files=file_of(HEADER, *LINES))
        assert report.status_code == 200
        assert re.search(r"2 Import One created created 3 Import Two created created", visible_text(report.text))
        assert (await ok(api.get("/customers", params={"text": "import "})))["items"] == []
        form = confirmation(adam, report.text)
        for _ in range(2):
            answer = await page.post("/customers/import/confirmed", data=form)
            assert (answer.status_code, answer.headers["location"]) == (303, "/customers/import?created=2&changed=2")
        assert "Customers created: 2" in (await page.get(answer.headers["location"])).text
        again = await page.post("/customers/import", data=adam.form(), files=file_of(HEADER, *LINES))
        assert "The file changes nothing" in again.text
        assert "confirmed" not in again.text
    assert len((await ok(api.get("/customers", params={"text": "import "})))["items"]) == 2


async def test_a_file_with_one_fault_imports_nothing_and_names_line_and_column(running, api, adam):
    wrong = f"Fault Two;es;{AGREEMENT_ID};2025-02-01T00:00:00Z;CERT;no address"
    good = LINES[0].replace("Import One", "Fault One")
    async with browser(running, adam) as page:
        report = await page.post("/customers/import", data=adam.form(), files=file_of(HEADER, good, wrong))
        assert report.status_code == 422
        faults = visible_text(report.text)
        assert "3 language" in faults
        assert "3 contact_email" in faults
        assert 'name="packed"' not in report.text
    assert (await ok(api.get("/customers", params={"text": "fault"})))["items"] == []


async def test_what_was_not_reported_is_not_imported(running, api, adam):
    lines = [line.replace("Import", "Raced") for line in LINES]
    async with browser(running, adam) as page:
        report = await page.post("/customers/import", data=adam.form(), files=file_of(HEADER, *lines))
        await customer(api, "Raced One", contacts=())
        answer = await page.post("/customers/import/confirmed", data=confirmation(adam, report.text))
        assert answer.status_code == 409
        assert "Somebody changed customers since the report" in answer.text
        assert [item["name"] for item in (await ok(api.get("/customers", params={"text": "raced"})))["items"]] == [
            "Raced One"
        ]
        # The new report can be confirmed.
        answer = await page.post("/customers/import/confirmed", data=confirmation(adam, answer.text))
        assert answer.status_code == 303
    assert len((await ok(api.get("/customers", params={"text": "raced"})))["items"]) == 2


@pytest.mark.parametrize("packed", ["", "AAAA", "é", "eJztwTEBAAAAwqD1T20MH6AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
async def test_a_confirmation_without_its_file_imports_nothing(packed, running, adam):
    async with browser(running, adam) as page:
        answer = await page.post("/customers/import/confirmed", data=adam.form(packed=packed, digest="x"))
        assert answer.status_code == 422
        assert (await page.post("/customers/import", data=adam.form())).status_code == 422


async def test_the_export_is_what_an_import_takes(running, api, adam):
    await customer(api, "Exported")
    async with browser(running, adam) as page:
        answer = await page.get("/customers/export")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "Exported" in [row["name"] for row in csv.DictReader(io.StringIO(answer.text))]


# -- erasure


async def test_an_erasure_is_ordered_by_who_types_the_name_and_is_taken_back(running, api, adam):
    own = await customer(api, "Leaving")
    path = f"/customers/{own['id']}"
    async with browser(running, adam) as page:
        wrong = await page.post(f"{path}/erasure", data=adam.form(served_by="mail", confirmed="leaving"))
        assert wrong.status_code == 422
        assert "That is not the name of this customer" in wrong.text
        letter = {"served_by": "letter", "confirmed": "Leaving", "reference": "", "served_on": "2020-01-01"}
        wrong = await page.post(f"{path}/erasure", data=adam.form(**letter))
        assert 'id="reference-error"' in wrong.text
        assert 'id="served_on-error"' in wrong.text
        assert (await api.get(f"{path}/erasure")).status_code == 404
        answer = await page.post(f"{path}/erasure", data=adam.form(served_by="mail", confirmed="Leaving"))
        assert answer.status_code == 303
        shown = await page.get(answer.headers["location"].partition("#")[0])
        assert "The erasure of this customer is ordered" in shown.text
        again = await page.post(f"{path}/erasure", data=adam.form(served_by="mail", confirmed="Leaving"))
        assert again.status_code == 409
        assert names_in((await page.get("/customers?state=erasure_ordered")).text) == ["Leaving"]
        no_reason = await page.post(f"{path}/erasure/withdraw", data=adam.form(reason=" "))
        assert no_reason.status_code == 422
        answer = await page.post(f"{path}/erasure/withdraw", data=adam.form(reason="Signed again"))
        assert answer.status_code == 303
        assert names_in((await page.get("/customers?state=erasure_ordered")).text) == []


# -- who, and what is shown


async def test_who_only_reads_sees_no_form(running, api):
    own = await customer(api, "Read only")
    ada = await person(running, "Ada", (Role.ANALYST, None), email="ada@customers.example")
    async with browser(running, ada) as page:
        assert 'href="/customers"' in (await page.get("/")).text
        listed, shown = await page.get("/customers"), await page.get(f"/customers/{own['id']}")
        for text in (listed.text, shown.text):
            assert 'action="/customers/' not in text
            assert "/customers/new" not in text
            assert "/change" not in text
        assert f'href="/customers/{own["id"]}/trail"' in shown.text
        for path in ("new", f"{own['id']}/change", "import"):
            assert (await page.get(f"/customers/{path}")).status_code == 403
            assert (await page.post(f"/customers/{path}", data=ada.form(**NEW))).status_code == 403


async def test_a_customers_own_people_see_no_other_customer(running, api):
    own = await customer(api, "Own of Max")
    max_ = await person(running, "Max", (Role.CUSTOMER_MANAGER, own["id"]), email="max@customers.example")
    async with browser(running, max_) as page:
        assert 'href="/customers"' not in (await page.get("/")).text
        assert names_in((await page.get("/customers")).text) == ["Own of Max"]
        assert names_in((await page.get("/customers?q=klinik")).text) == []
        other = await customer(api, "Foreign to Max")
        assert (await page.get(f"/customers/{own['id']}")).status_code == 200
        assert (await page.get(f"/customers/{other['id']}")).status_code == 404


async def test_an_auditor_of_a_period_finds_every_customer_and_leaves_a_trace(running, api):
    await customer(api, "Audited")
    auditor = await person(running, "Aud", (Role.AUDITOR, None), email="aud@customers.example")
    async with browser(running, auditor) as page:
        assert names_in((await page.get("/customers?q=audited")).text) == ["Audited"]


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_what_customers_are_called_is_never_markup(language, running, api):
    eve = await person(running, "Eve", (Role.ADMINISTRATOR, None), language=language, email=f"eve-{language}@x.example")
    name = f"{BAD.replace(chr(0x202E), '')}{language}"
    own = await customer(api, name)
    async with browser(running, eve) as page:
        pages = [
            await page.get("/customers", params={"q": BAD}),
            await page.get("/customers", params={"q": "alert"}),
            await page.get("/customers", params={"q": "x", "agreement": BAD, "state": BAD, "unreachable": BAD}),
            await page.get(f"/customers/{own['id']}", params={"done": BAD}),
            await page.get(f"/customers/{own['id']}/change"),
            await page.get("/customers/import", params={"created": BAD, "changed": BAD}),
            await page.post("/customers/new", data=eve.form(**dict.fromkeys(NEW, BAD), regions=BAD, form_id=BAD)),
            await page.post(f"/customers/{own['id']}/change", data=eve.form(name=BAD, version=BAD, services=BAD)),
            await page.post(f"/customers/{own['id']}/agreements", data=eve.form(agreement_id=BAD, effective_on=BAD)),
            await page.post(f"/customers/{own['id']}/erasure", data=eve.form(
                served_by=BAD, reference=BAD, served_on=BAD, confirmed=BAD)),
            await page.post("/customers/import", data=eve.form(), files=file_of("name", BAD)),
            await page.post("/customers/import", data=eve.form(), files=file_of(f"name,{BAD}", "x,y")),
        ]  # fmt: skip
    for shown in pages:
        assert shown.status_code in {200, 422}, shown.url
        assert f'<html lang="{language}">' in shown.text
        assert "<script>alert" not in shown.text, shown.url
        assert "<img src=x" not in shown.text, shown.url
        assert (
            "&lt;img src=x" in shown.text or shown.url.path.endswith(("import", own["id"])) or "q=x" in str(shown.url)
        )


async def test_a_first_customer_is_proposed_where_there_is_none(data_folder, service_log):
    async with embedded_service(data_folder) as service:
        adam = await person(service, "Adam", (Role.ADMINISTRATOR, None))
        async with browser(service, adam) as page:
            shown = (await page.get("/customers")).text
        ada = await person(service, "Ada", (Role.ANALYST, None))
        async with browser(service, ada) as page:
            read = (await page.get("/customers")).text
    for page in (shown, read):
        assert "No customers yet" in page
        assert 'class="filters"' not in page
        assert "/customers/export" not in page
    assert "Register the first one" in shown
    assert "Register" not in read


async def test_what_forms_do_stands_in_the_log_under_who_did_it(running, adam):
    async with browser(running, adam) as page:
        answer = await page.post("/customers/new", data=adam.form(**(NEW | {"name": "Logged"})))
        customer_id = UUID(answer.headers["location"].removeprefix("/customers/").partition("?")[0])
        bound = adam.form(agreement_id=AGREEMENT_ID, effective_on="2025-06-01")
        await page.post(f"/customers/{customer_id}/agreements", data=bound)

    def work(tx):
        pseudonym = tx.customers.pseudonym(customer_id).encode()
        leaves = [json.loads(entry.leaf) for entry in tx.audit.pending(100_000) if pseudonym in entry.leaf]
        sequenced, _ = tx.audit.about("customer", pseudonym.decode(), Page(100))
        return leaves + [json.loads(entry.leaf) for entry in sequenced]

    found = await running.parts.store.read(work)
    assert sorted(leaf["type"] for leaf in found) == ["agreement.bound", "agreement.bound", "customer.registered"]
    assert {leaf["actor"] for leaf in found} == {f"account:{adam.account.id}"}
