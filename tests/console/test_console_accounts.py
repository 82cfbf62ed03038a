"""Pages of accounts: made, given roles, invited, given tokens and ended by forms; what is refused is said in words."""

import inspect
import re
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio

import service.auth.accounts
import service.auth.sign_in.invitations
import service.auth.tokens
from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from service.web.console.catalogues import CATALOGUES
from service.web.console.pages.administration.refusals import reason_key
from support.people import browser, person, visible_text
from support.scenario import customer, ok

pytestmark = pytest.mark.asyncio(loop_scope="module")

BASE = "/administration/accounts"
BAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def running(shared_service):
    return shared_service


@pytest.fixture(scope="module")
def api(shared_api):
    return shared_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def adam(running):
    return await person(running, "Adam", (Role.ADMINISTRATOR, None), email="adam@accounts.example")


async def made(page, adam, **fields):
    """Make an account by the form; returns its path."""
    entered = {"kind": "person", "name": "Bea", "email": "", "language": "en"} | fields
    answer = await page.post(f"{BASE}/new", data=adam.form(**entered))
    assert answer.status_code == 303, visible_text(answer.text)
    return answer.headers["location"].partition("?")[0]


async def test_a_person_is_made_given_a_role_and_invited_by_a_link_shown_once(running, api, adam):
    async with browser(running, adam) as page:
        path = await made(page, adam, email="bea@accounts.example")
        assert "It holds no role" in (await page.get(f"{path}?done=made")).text
        answer = await page.post(f"{path}/grants", data=adam.form(role="analyst"))
        assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=granted")
        assert "declares incidents and prepares notices" in (await page.get(path)).text
        invited = await page.post(f"{path}/invitation", data=adam.form())
        link = re.search(r"<code>(\S*/invitation/\S+?)</code>", invited.text)[1]
        assert link not in (await page.get(path)).text
        async with browser(running) as stranger:
            assert "Bea" in (await stranger.get("/invitation/" + link.rpartition("/")[2])).text
        listed = visible_text((await page.get(BASE)).text)
        assert "Bea bea@accounts.example Person Analyst" in listed
    account = await ok(api.get(f"/accounts/{path.rpartition('/')[2]}"))
    assert [grant["granted_by"] for grant in account["grants"]] == [f"account:{adam.account.id}"]


async def test_a_double_click_makes_one_account_and_grants_once(running, adam):
    form = adam.form(kind="person", name="Twice", email="twice@accounts.example", language="fr", form_id="once-1")
    async with browser(running, adam) as page:
        places = {(await page.post(f"{BASE}/new", data=form)).headers["location"] for _ in range(2)}
    assert len(places) == 1


WRONG = [
    ({"name": ""}, "State a name on one line"),
    ({"email": "nobody"}, "State an e-mail address"),
    ({"email": ""}, "A person signs in and is reached by an address"),
    ({"kind": "service"}, "A program has no address"),
    ({"email": "ADAM@accounts.example"}, "Another account has this address"),
    ({"language": "es"}, "Choose one of the languages"),
    ({"kind": "robot"}, "Choose person or program"),
]


@pytest.mark.parametrize(("wrong", "words"), WRONG, ids=[str(each) for each, _ in WRONG])
async def test_a_wrong_entry_of_a_new_account_comes_back_with_the_rule(wrong, words, running, adam):
    entered = {"kind": "person", "name": "Kept", "email": "kept@accounts.example", "language": "en"} | wrong
    async with browser(running, adam) as page:
        answer = await page.post(f"{BASE}/new", data=adam.form(**entered))
    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text or '-error"' in answer.text
    if "name" not in wrong:
        assert 'value="Kept"' in answer.text


async def test_roles_at_customers_are_given_by_name_and_auditors_get_a_period(running, api, adam):
    own = await customer(api, "Grant Hôpital")
    for _ in range(2):
        await customer(api, "Namesake")
    async with browser(running, adam) as page:
        path = await made(page, adam, email="carl@accounts.example", name="Carl")
        refused = {
            "Name the customer": {"role": "customer_member"},
            "There is no customer of this name": {"role": "customer_member", "customer": "Nobody at all"},
            "Several customers have this name": {"role": "customer_member", "customer": "namesake"},
            "Leave the customer empty": {"role": "analyst", "customer": "grant hopital"},
            "Only an auditor has a period": {"role": "analyst", "starts_on": "2026-01-01"},
            "The period ends before it begins": {
                "role": "auditor", "starts_on": "2026-02-01", "ends_on": "2026-01-01",
            },
            "State a day": {"role": "auditor", "starts_on": "someday"},
            "Choose one of the roles": {"role": "root"},
            "no role of a person": {"role": "service_account"},
        }  # fmt: skip
        for words, form in refused.items():
            answer = await page.post(f"{path}/grants", data=adam.form(**form))
            assert answer.status_code == 422, words
            assert words in answer.text
            if "customer" in form:
                assert f'value="{form["customer"]}"' in answer.text
        offered = await page.post(f"{path}/grants", data=adam.form(role="customer_member", customer="grant hopital"))
        assert offered.status_code == 303
        again = await page.post(f"{path}/grants", data=adam.form(role="customer_member", customer=own["id"]))
        assert again.status_code == 409
        assert "This customer invites the account already" in again.text
        period = {"role": "auditor", "starts_on": "2026-01-01", "ends_on": "2026-02-01"}
        assert (await page.post(f"{path}/grants", data=adam.form(**period))).status_code == 303
        shown = await page.get(path)
        assert "it permits nothing until the person accepts" in shown.text
        assert "1 January 2026" in shown.text
        grants = re.findall(rf'action="{path}/grants/([0-9a-f-]+)/revoke"', shown.text)
        assert len(grants) == 2
        for grant in grants:
            assert (await page.post(f"{path}/grants/{grant}/revoke", data=adam.form())).status_code == 303
        assert "It holds no role" in (await page.get(path)).text


async def test_nobody_changes_their_own_roles_and_the_last_administrator_stays(data_folder, service_log):
    async with embedded_service(data_folder) as alone:
        only = await person(alone, "Only", (Role.ADMINISTRATOR, None))
        headers = {"Authorization": f"Bearer {alone.token}"}
        async with httpx2.AsyncClient(base_url=f"{alone.url}/api/v1", headers=headers, timeout=120) as first:
            # The account of the installation is an administrator too; it is ended, so that one is left.
            accounts = (await ok(first.get("/accounts")))["items"]
        root = next(each for each in accounts if each["id"] != str(only.account.id))
        path = f"{BASE}/{only.account.id}"
        async with browser(alone, only) as page:
            off = {"name": root["name"], "language": "fr", "version": str(root["version"])}
            assert (await page.post(f"{BASE}/{root['id']}/change", data=only.form(**off))).status_code == 303
            shown = await page.get(path)
            assert "/revoke" not in shown.text
            assert "Nobody changes their own roles" in shown.text
            own = await page.post(f"{path}/grants", data=only.form(role="analyst"))
            assert own.status_code == 409
            assert "another administrator does" in own.text
            last = await page.post(f"{path}/change", data=only.form(name="Only", language="en", version="1"))
            assert last.status_code == 422
            assert "This is the last active administrator" in last.text


async def test_an_account_is_deactivated_signed_out_and_activated_again(running, api, adam):
    dora = await person(running, "Dora", (Role.ANALYST, None), email="dora@accounts.example")
    path = f"{BASE}/{dora.account.id}"
    async with browser(running, adam) as page, browser(running, dora) as hers:
        assert (await hers.get("/")).status_code == 200
        assert "<bdi>Browser</bdi>" in (await page.get(path)).text
        sessions = await ok(api.get(f"/accounts/{dora.account.id}/sessions"))
        assert [item["user_agent"] for item in sessions["items"]] == ["Browser"]
        off = await page.post(f"{path}/change", data=adam.form(name="Dora", language="de", version="1"))
        assert off.headers["location"] == f"{path}?done=changed"
        assert (await hers.get("/")).status_code == 303
        shown = await page.get(path)
        assert "Inactive" in shown.text
        assert "The account is not active" in shown.text
        refused = await page.post(f"{path}/invitation", data=adam.form())
        assert refused.status_code == 409
        late = await page.post(f"{path}/change", data=adam.form(name="D", language="de", version="1", active="yes"))
        assert late.status_code == 412
        assert "Somebody else changed this account meanwhile" in late.text
        on = await page.post(f"{path}/change", data=adam.form(name="Dora", language="de", version="2", active="yes"))
        assert on.status_code == 303


async def test_sessions_and_second_factors_of_others_are_ended(running, adam):
    eric = await person(running, "Eric", (Role.ANALYST, None), email="eric@accounts.example")
    path = f"{BASE}/{eric.account.id}"
    async with browser(running, adam) as page, browser(running, eric) as his:
        assert (await page.post(f"{path}/sign-out", data=adam.form())).headers["location"] == f"{path}?done=signed_out"
        assert (await his.get("/")).status_code == 303
        done = await page.post(f"{path}/second-factor", data=adam.form())
        assert done.headers["location"] == f"{path}?done=factor_forgotten"
        own = await page.post(f"{BASE}/{adam.account.id}/second-factor", data=adam.form())
        assert own.status_code == 409
        assert "Your own second factor is changed under My account" in own.text


async def test_a_program_gets_tokens_shown_once_within_what_both_hold(running, api, adam):
    async with browser(running, adam) as page:
        path = await made(page, adam, kind="service", name="SIEM")
        assert (await page.post(f"{path}/grants", data=adam.form(role="approver"))).status_code == 422
        assert (await page.post(f"{path}/grants", data=adam.form(role="service_account"))).status_code == 303
        shown = (await page.get(path)).text
        # Of what a service account holds, an administrator gives declaring and what it may do itself; no reading.
        assert 'value="incident.declare"' in shown
        assert 'value="incident.read"' not in shown
        refused = {
            "Choose at least one permission": {"token_name": "T", "token_days": "9"},
            "from 1 to 365": {"token_name": "T", "token_days": "366", "permissions": "self"},
            "State a name of the token": {"token_name": "", "token_days": "9", "permissions": "self"},
            "only what you may do yourself": {"token_name": "T", "token_days": "9", "permissions": "incident.read"},
            "Choose permissions from the list": {"token_name": "T", "token_days": "9", "permissions": "root"},
        }
        for words, form in refused.items():
            answer = await page.post(f"{path}/tokens", data=adam.form(**form))
            assert answer.status_code == 422, words
            assert words in answer.text
        wanted = {"token_name": "night", "token_days": "30", "permissions": ["incident.declare", "self"]}
        issued = await page.post(f"{path}/tokens", data=adam.form(**wanted))
        token = re.search(r"<code>(grf_\S+?)</code>", issued.text)[1]
        assert issued.headers["cache-control"] == "no-store"
        async with httpx2.AsyncClient(base_url=running.url, headers={"Authorization": f"Bearer {token}"}) as program:
            assert (await program.get("/api/v1/account")).json()["name"] == "SIEM"
            shown = (await page.get(path)).text
            assert token not in shown
            assert token[:10] in shown
            (revoke,) = re.findall(rf'action="({path}/tokens/[0-9a-f-]+/revoke)"', shown)
            assert (await page.post(revoke, data=adam.form())).status_code == 303
            assert (await program.get("/api/v1/account")).status_code == 401
        refused = await page.post(f"{BASE}/{adam.account.id}/tokens", data=adam.form(**wanted))
        assert refused.status_code == 409
        assert "A person issues its own tokens" in refused.text
        assert (await page.post(f"{path}/invitation", data=adam.form())).status_code == 409


async def test_an_auditor_reads_accounts_without_a_form_and_others_do_not(running, adam):
    auditor = await person(running, "Aud", (Role.AUDITOR, None), email="aud@accounts.example")
    ada = await person(running, "Ada", (Role.ANALYST, None), email="ada@accounts.example")
    async with browser(running, auditor) as page:
        assert 'href="/administration"' in (await page.get("/")).text
        for path in (BASE, f"{BASE}/{adam.account.id}"):
            shown = await page.get(path)
            assert shown.status_code == 200
            assert 'action="/administration' not in shown.text
        assert (await page.post(f"{BASE}/new", data=auditor.form(name="X"))).status_code == 403
    async with browser(running, ada) as page:
        assert (await page.get(BASE)).status_code == 403
        assert (await page.get(f"{BASE}/{adam.account.id}")).status_code == 403


async def test_a_form_of_another_site_changes_no_account(running, adam):
    async with browser(running, adam) as page:
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            answer = await page.post(f"{BASE}/new", data=adam.form(name="X", email="x@x.example"), headers=headers)
            assert answer.status_code == 403
        assert (await page.post(f"{BASE}/new", data={"name": "X", "csrf_token": "wrong"})).status_code == 403


@pytest.mark.parametrize("language", ["fr", "en", "de"])
async def test_what_accounts_are_called_is_never_markup(language, running, api, adam):
    eve = await person(running, "Eve", (Role.ADMINISTRATOR, None), language=language, email=f"{language}@eve.example")
    own = await customer(api, f"{BAD} {language}")
    async with browser(running, eve) as page:
        path = await made(page, eve, name=BAD, email=f"bad-{language}@accounts.example")
        program = await made(page, eve, name=BAD, kind="service")
        await page.post(f"{path}/grants", data=eve.form(role="customer_member", customer=own["id"]))
        await page.post(f"{program}/tokens", data=eve.form(token_name=BAD, token_days="9", permissions="self"))
        pages = [
            await page.get(BASE), await page.get(path, params={"done": BAD}), await page.get(program),
            await page.post(f"{path}/invitation", data=eve.form()),
            await page.post(f"{BASE}/new", data=eve.form(name=BAD, kind=BAD, email=BAD, language=BAD, form_id=BAD)),
            await page.post(f"{path}/change", data=eve.form(name=BAD, language=BAD, version=BAD)),
            await page.post(f"{path}/grants", data=eve.form(role=BAD, customer=BAD, starts_on=BAD, form_id=BAD)),
            await page.post(f"{program}/tokens", data=eve.form(token_name=BAD, token_days=BAD, permissions=BAD)),
        ]  # fmt: skip
    for shown in pages:
        assert shown.status_code in {200, 422}, shown.url
        assert f'<html lang="{language}">' in shown.text
        assert "<script>alert" not in shown.text
        assert "<img src=x" not in shown.text
        assert "&lt;img src=x" in shown.text, shown.url


#: Reasons that no form of a page can cause, or that are said by what the page shows.
SAID_OTHERWISE = {"is no permission that you call with"}


async def test_every_rule_about_accounts_has_its_words_in_every_language():
    found = set()
    for module in (service.auth.accounts, service.auth.tokens, service.auth.sign_in.invitations):
        source = inspect.getsource(module)
        found |= set(re.findall(r'(?:StateConflictError\(\s*|Fault\((?:f?"[^"]+"|name), )f?"([^"]+)"', source))
    assert len(found) > 20
    for reason in found - SAID_OTHERWISE:
        key = reason_key(re.sub(r"\{[^}]+\}", "x", reason))
        assert key is not None, reason
        for language, catalogue in CATALOGUES.items():
            assert f"accounts.refused.{key}" in catalogue, (language, key)


async def test_accounts_are_listed_page_by_page(running, adam):
    for number in range(55):
        await person(running, f"Many{number:02}", email=f"many{number}@accounts.example")
    async with browser(running, adam) as page:
        seen, path = set(), BASE
        while path:
            shown = (await page.get(path)).text
            found = set(re.findall(rf'<a href="{BASE}/([0-9a-f-]{{36}})"><bdi>', shown))
            assert not seen & found
            seen |= {UUID(each) for each in found}
            path = next(iter(re.findall(r'rel="next" href="(.*?)"', shown)), "").replace("&amp;", "&")
    assert len(seen) > 55
