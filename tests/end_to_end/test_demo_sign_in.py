"""One click signs in as each person of the demonstration: in the demonstration, on its machine, from its own page."""

import asyncio
import contextlib
import io
import re
import sys
import tomllib
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import httpx2
import pytest
from fastapi.routing import iter_route_contexts
from rich.console import Console
from starlette.requests import Request

import service
from notifications.errors import GreffierError
from service.auth.authentication import SESSION_COOKIE, CsrfError
from service.cli.demo.customers import CUSTOMERS
from service.cli.demo.environment import embedded_service
from service.cli.demo.first_look import prepare_first_look
from service.cli.demo.one_click import PATH, OneClickSignIn, install_one_click
from service.cli.demo.people import make_people
from service.cli.demo.story import run_story
from service.settings.settings import FIELDS, PARTS
from service.web.console.catalogues import text
from support.people import HTML, visible_text
from support.processes import greffier

KEYS = ["analyst", "approver", "customer", "auditor"]


@contextlib.asynccontextmanager
async def demonstration(folder):
    """Run the service as ``greffier demo`` does after its story; yields it with an open client of its pages."""
    async with embedded_service(folder, log__batch_seconds=0.01, access__stranger_requests_burst=5000) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            for _, customer, contacts, _ in CUSTOMERS:
                made = (await api.post("/customers", json=customer)).json()
                for contact in contacts:
                    await api.post(f"/customers/{made['id']}/contacts", json=contact)
            people = await make_people(api, running)
        install_one_click(running.app, people, running.port)
        async with httpx2.AsyncClient(base_url=running.url, headers=HTML, timeout=120) as page:
            yield running, page


@pytest.fixture
async def demo(data_folder, service_log):
    async with demonstration(data_folder) as found:
        yield found


async def token_of(page):
    shown = (await page.get("/sign-in")).text
    return re.search(r'name="demo_token" value="(.+?)"', shown)[1]


async def clicked(page, running, person, token, **headers):
    """Send the form as a browser on the page does; a header that is None is left out."""
    stated = {"Origin": running.url, "Sec-Fetch-Site": "same-origin"} | headers
    stated = {name: value for name, value in stated.items() if value is not None}
    return await page.post(PATH, data={"person": person, "demo_token": token}, headers=stated)


async def test_each_person_is_signed_in_by_one_click_and_may_what_the_page_says(demo):
    running, page = demo
    shown = await page.get("/sign-in")
    assert re.findall(r'name="person" value="(\w+)"', shown.text) == KEYS
    assert "Reads everything and checks the log" in (await page.get("/sign-in", headers={"Accept-Language": "en"})).text
    token = await token_of(page)
    areas = {}
    for key in KEYS:
        answer = await clicked(page, running, key, token)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        secret = re.search(rf"{SESSION_COOKIE}=([^;]+)", cookie)[1]
        home = await page.get("/", headers={"Cookie": f"{SESSION_COOKIE}={secret}"})
        assert home.status_code == 200, key
        areas[key] = set(re.findall(r'<li><a href="(/\w*)"', home.text))
        account = await page.get("/account", headers={"Cookie": f"{SESSION_COOKIE}={secret}"})
        # The customer's person reads the language of the customer.
        assert text("method.demo", "fr" if key == "customer" else "en") in unescape(account.text)
    assert "/calls" in areas["analyst"]
    assert "/administration" in areas["approver"]
    assert "/administration" not in areas["customer"]
    assert "/audit" in areas["auditor"]


FOREIGN = [
    {"Host": "evil.example"},
    {"Host": "localhost.evil.example:80"},
    {"Host": "localhost:1"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": None},
    {"Origin": "https://localhost"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"X-Real-IP": "127.0.0.1"},
    {"Via": "1.1 proxy"},
]


async def test_a_foreign_host_origin_or_proxy_signs_nobody_in(demo):
    running, page = demo
    token = await token_of(page)
    for headers in FOREIGN:
        answer = await clicked(page, running, "analyst", token, **headers)
        assert answer.status_code == 403, headers
        assert "set-cookie" not in answer.headers
    for wrong in ("", "x", token[:-1], f"{token}x", "é"):
        answer = await clicked(page, running, "analyst", wrong)
        assert answer.status_code == 403, wrong
        assert "set-cookie" not in answer.headers
    for nobody in ("", "root", "administrator", "../analyst"):
        answer = await clicked(page, running, nobody, token)
        assert answer.status_code == 404
        assert "set-cookie" not in answer.headers
    assert (await page.get(PATH)).status_code == 405
    # Nor does the page hand out what a form needs.
    for headers in ({"Host": "evil.example"}, {"X-Forwarded-For": "192.0.2.1"}):
        assert "demo_token" not in (await page.get("/sign-in", headers=headers)).text


def request_from(host, port=8080):
    """Return a request as the server makes it of a connection from an address."""
    headers = [(b"host", f"localhost:{port}".encode()), (b"origin", f"http://localhost:{port}".encode())]
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers, "client": (host, 50_000)}
    return Request(scope)


@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.1", "2001:db8::1", "0.0.0.0", "localhost", "", "testclient"])
async def test_a_client_that_is_not_on_this_machine_is_refused(host):
    one_click = OneClickSignIn((), 8080)
    assert one_click.offered_to(request_from(host)) is None
    with pytest.raises(CsrfError):
        await one_click.sign_in(request_from(host))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_offered_the_people(host):
    assert OneClickSignIn((), 8080).offered_to(request_from(host)) is not None


async def test_an_account_that_is_not_active_is_not_signed_in(demo):
    running, page = demo
    token = await token_of(page)
    headers = {"Authorization": f"Bearer {running.token}"}
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
        accounts = (await api.get("/accounts")).json()["items"]
        ada = next(item for item in accounts if item["name"].startswith("Ada"))
        body = {"name": ada["name"], "language": "en", "active": False}
        await api.put(f"/accounts/{ada['id']}", json=body, headers={"If-Match": "*"})
    answer = await clicked(page, running, "analyst", token)
    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers


# -- outside the demonstration there is no such way


async def test_the_application_of_the_product_has_no_such_route(running):
    running.app.state.areas.build_all()
    paths = {route.path for route in iter_route_contexts(running.app.routes)}
    assert not {path for path in paths if "demo" in path}
    assert running.app.state.demo_sign_in is None
    async with httpx2.AsyncClient(base_url=running.url, headers=HTML, timeout=120) as page:
        assert "demo_token" not in (await page.get("/sign-in")).text
        assert (await page.post(PATH, data={"person": "analyst"}, headers={"Origin": running.url})).status_code == 404


def test_only_the_demonstration_knows_the_way_in():
    root = Path(service.__file__).parent
    naming = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"one_click|demo_sign_in = (?!None)", path.read_text())
    }
    assert naming == {"cli/demo/one_click.py", "cli/demo/people.py", "cli/demo/story.py"}


def test_no_setting_speaks_of_it():
    assert not [name for name in (*FIELDS, *PARTS) if "demo" in name]
    project = tomllib.loads((Path(service.__file__).parents[1] / "pyproject.toml").read_text())
    assert "demo" not in str(project.get("project", {}).get("scripts", {}))


@pytest.mark.parametrize(
    ("file", "variable"),
    [("[demo]\nsign_in = true\n", {}), ("", {"GREFFIER_DEMO__SIGN_IN": "true"}), ("", {"GREFFIER_ACCESS__DEMO": "1"})],
)
async def test_neither_file_nor_environment_can_make_it(file, variable, data_folder, monkeypatch):
    with (data_folder / "greffier.toml").open("a") as settings:
        settings.write(f"\n{file}")
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(GreffierError, match="is no setting"):
        async with embedded_service(data_folder):
            pass


async def test_serve_has_no_such_way(tmp_path):
    async with greffier("serve", "--data", tmp_path / "data", "--port", 0) as running:
        url = re.search(r"http://[\d.]+:\d+", await running.line("serving http"))[0]
        async with httpx2.AsyncClient(base_url=url, headers=HTML, timeout=120) as page:
            assert "demo_token" not in (await page.get("/sign-in")).text
            answer = await page.post(PATH, data={"person": "analyst", "demo_token": ""}, headers={"Origin": url})
            assert answer.status_code == 404
            assert "set-cookie" not in answer.headers


# -- what there is to see


async def test_a_first_look_finds_a_closed_incident_and_drafts_to_release(data_folder, service_log):
    async with embedded_service(data_folder, log__batch_seconds=0.01) as running:
        await run_story(running, data_folder.parent / "out", Console(file=io.StringIO(), width=110))
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            await prepare_first_look(api, datetime.now(UTC))
            incidents = (await api.get("/incidents")).json()["items"]
            assert sorted(item["state"] for item in incidents) == ["closed", "open"]
            waiting = next(item for item in incidents if item["state"] == "open")
            drafts = (await api.get(f"/incidents/{waiting['id']}/notices", params={"state": "draft"})).json()["items"]
            assert len(drafts) >= 2
            assert len((await api.get("/customers")).json()["items"]) > 10


async def test_the_demo_says_where_to_click(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.cli", "demo", "--out", str(tmp_path / "out"), "--port", "0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        text = ""
        async with asyncio.timeout(240):
            while "Ctrl-C ends it" not in text:
                line = await process.stdout.readline()
                assert line, text
                text += line.decode()
        address = re.search(r"pages +(http://localhost:\d+)/sign-in", text)[1]
        async with httpx2.AsyncClient(headers=HTML, timeout=120) as page:
            shown = (await page.get(f"{address.replace('localhost', '127.0.0.1')}/sign-in")).text
        assert re.findall(r'name="person" value="(\w+)"', shown) == KEYS
        assert "Ada Moreau" in visible_text(shown)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()
