"""What binds a customer, on its page: products and DPA are chosen and shown; a wrong choice is said at its field."""

import re

import pytest
import pytest_asyncio

from service.ports.accounts import Role
from support.people import browser, person, visible_text
from support.scenario import affected, customer, declare, ok

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEW = "secnumcloud_2026"


@pytest.fixture(scope="module")
def running(shared_service):
    return shared_service


@pytest.fixture(scope="module")
def api(shared_api):
    return shared_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adam(running):
    return await person(running, "Adam", (Role.ADMINISTRATOR, None), email="adam@products.example")


async def test_products_and_dpa_are_chosen_on_the_page_of_the_customer(running, api, adam):
    own = await customer(api, "Platform only")
    path = f"/customers/{own['id']}"
    async with browser(running, adam) as page:
        form = adam.form(agreement_id=NEW, effective_on="2026-05-01", dpa_id="dpa_2025_10", products=["paas", "vpc"])
        answer = await page.post(f"{path}/agreements", data=form)
        assert answer.status_code == 303, answer.text
        shown = visible_text((await page.get(path)).text)
        assert "Services ordered: PaaS, VPC" in shown
        assert "DPA published in October 2025" in shown
        levels = visible_text((await page.get(f"{path}/levels")).text)
        assert "3.9" not in levels
        assert "P1" not in levels
    last = (await ok(api.get(f"{path}/agreements")))["items"][-1]
    assert (last["agreement_id"], last["dpa_id"], last["products"]) == (NEW, "dpa_2025_10", ["paas", "vpc"])


async def test_a_product_of_another_agreement_is_said_at_its_field_and_stays_ticked(running, api, adam):
    own = await customer(api, "Wrong product")
    path = f"/customers/{own['id']}/agreements"
    async with browser(running, adam) as page:
        form = adam.form(
            agreement_id="secnumcloud_iaas_3_0", effective_on="2026-05-01", products=["paas"], dpa_id="dpa_1999"
        )
        answer = await page.post(path, data=form)
    assert answer.status_code == 422
    assert 'id="products-error"' in answer.text
    assert 'id="dpa_id-error"' in answer.text
    assert 'name="products" value="paas" checked' in answer.text
    assert len((await ok(api.get(path)))["items"]) == 1


async def test_a_customer_is_registered_with_its_products(running, api, adam):
    async with browser(running, adam) as page:
        form = adam.form(
            name="New with products", language="fr", time_zone="Europe/Paris", agreement_id=NEW,
            effective_on="2026-05-01", products=["bare_metal"],
        )  # fmt: skip
        answer = await page.post("/customers/new", data=form)
        assert answer.status_code == 303, answer.text
    found = (await ok(api.get("/customers", params={"text": "New with products"})))["items"]
    assert [each["agreements"][0]["products"] for each in found] == [["bare_metal"]]


@pytest.mark.parametrize("path", ["/customers/{id}/agreements", "/customers/new"])
async def test_a_day_on_which_the_agreement_does_not_hold_is_said_at_the_day(running, api, adam, path):
    own = await customer(api, f"Too early for {path[-3:]}")
    async with browser(running, adam) as page:
        form = adam.form(
            name="Unregistered", language="fr", time_zone="Europe/Paris", agreement_id=NEW, effective_on="2026-04-16"
        )
        answer = await page.post(path.format(id=own["id"]), data=form)
        assert answer.status_code == 422
        seen = visible_text(answer.text)
        assert 'id="effective_on-error"' in answer.text
        assert "The agreement does not hold on this day" in seen
        assert "holds from 17 April 2026 to 16 April 2028" in seen
        assert "holds from 17 January 2025" in seen
    assert len((await ok(api.get(f"/customers/{own['id']}/agreements")))["items"]) == 1


async def test_an_incident_shows_what_another_agreement_of_customers_gives(running, api):
    await customer(api, "Of the second", agreement={"agreement_id": NEW, "effective_at": "2026-05-01T00:00:00Z"})
    nina = await person(running, "Nina", (Role.ANALYST, None), email="nina@products.example")
    settled = dict.fromkeys(("service_level_breached", "damage_to_customer", "may_cause"), "no")
    incident = await declare(api, impact="I3", criticality="C3", **settled)
    async with browser(running, nina) as page:
        shown = visible_text((await page.get(f"/incidents/{incident['id']}")).text)
    assert "Other agreements of customers" in shown
    assert "V2 of 17 April 2026" in shown
    assert "P6 no guaranteed time" in shown


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("fr", "Sans priorité selon Convention de service SecNumCloud, V2"),
        ("en", "No priority by SecNumCloud service agreement, V2"),
        ("de", "Ohne Priorität nach Servicevereinbarung SecNumCloud, V2"),
    ],
)
async def test_on_the_board_another_priority_is_beside_that_of_the_reference(running, api, language, said):
    bound = {"agreement_id": NEW, "effective_at": "2026-05-01T00:00:00Z"}
    rows = [
        affected(await customer(api, f"{name} {language}", agreement=bound | {"products": products}))
        for name, products in (("Machines", ["iaas"]), ("Platform", ["paas"]))
    ]
    incident = await declare(api, impact="I3", criticality="C1", affected_customers=rows)
    ada = await person(running, "Ada", (Role.ANALYST, None), language=language, email=f"ada@{language}.example")
    async with browser(running, ada) as pages:
        page = (await pages.get("/incidents", params={"q": incident["ticket"]})).text
    (marks,) = [each for each in re.findall(r'<p class="marks">.*?</p>', page, re.DOTALL) if incident["ticket"] in each]
    shown = visible_text(marks)
    assert " P3 " in shown
    assert said in shown
    assert "P4 " in shown
    assert shown.count("V2") == 2
