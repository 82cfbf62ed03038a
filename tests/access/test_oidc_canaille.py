"""The whole flow against a provider that is not ours: sign in there, consent, come back, work with the session."""

import asyncio
import re
import sys
from contextlib import asynccontextmanager
from http.cookies import SimpleCookie
from pathlib import Path

import httpx2
import pytest

from service.auth.authentication import SESSION_COOKIE, csrf_token
from service.auth.sign_in.sessions import PENDING_COOKIE
from service.cli.demo.environment import embedded_service
from support.clocks import TurnedClock
from support.reserved_port import reserved_port

SERVER = Path(__file__).parents[1] / "support" / "canaille_server.py"


@asynccontextmanager
async def canaille(redirect_uri):
    """Run the provider in a process of its own; yields its issuer and what makes it change its key."""
    with reserved_port() as port:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "ignore",
            str(SERVER),
            str(port),
            redirect_uri,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )

        async def said(word):
            assert (await process.stdout.readline()).strip() == word

        async def rotate():
            process.stdin.write(b"\n")
            await said(b"rotated")

        try:
            await said(b"ready")
            yield f"http://127.0.0.1:{port}", rotate
        finally:
            process.kill()
            await process.wait()


class Person:
    """A browser, which believes loopback to be safe and so sends its cookies there."""

    def __init__(self, service):
        self.service = service
        self.cookies = {}
        self.client = httpx2.AsyncClient(timeout=60)

    async def at_service(self, url):
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await self.client.get(httpx2.URL(self.service).join(url), headers={"Cookie": jar} if jar else {})
        for header in answer.headers.get_list("set-cookie"):
            for name, cookie in SimpleCookie(header).items():
                assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(header.split("; ")), header
                assert "Domain" not in header
                self.cookies[name] = cookie.value
        return answer

    async def at_provider(self, issuer, url):
        """Follow the provider through its pages, filling in what each asks; returns where it sends back to."""
        answer = await self.client.get(url)
        filled = set()
        for _ in range(12):
            if answer.is_redirect:
                url = str(answer.url.join(answer.headers["location"]))
                if not url.startswith(issuer):
                    return url, filled
                answer = await self.client.get(url)
                continue
            assert answer.status_code == 200, answer.text[:500]
            fields = {"csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', answer.text)[1]}
            for name, value in (("login", "ana"), ("password", "correct horse"), ("answer", "accept")):
                if f'name="{name}"' in answer.text:
                    fields[name] = value
                    filled.add(name)
            answer = await self.client.post(str(answer.url), data=fields)
        raise AssertionError("the provider goes round in circles")

    async def sign_in(self, issuer):
        away = await self.at_service("/sign-in/oidc?return_to=/account")
        back, filled = await self.at_provider(issuer, away.headers["location"])
        return back, await self.at_service(back), filled


@pytest.fixture
async def flow(data_folder, service_log):
    clock = TurnedClock()
    with reserved_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with (
            canaille(f"{url}/sign-in/oidc/callback") as (issuer, rotate),
            embedded_service(
                data_folder,
                port=port,
                clock=clock,
                provider__console_url=url,
                log__batch_seconds=0.01,
                oidc__issuer=issuer,
                oidc__client_id="greffier",
                oidc__client_secret="s3cret",
                oidc__scopes="openid email profile groups",
                oidc__role_claim="groups",
                oidc__roles={"soc": "analyst"},
                oidc__create_accounts=True,
                oidc__trust_email=True,
            ) as service,
        ):
            yield service, issuer, rotate, clock


async def test_sign_in_at_a_real_provider_and_work_here(flow, service_log):
    service, issuer, rotate, clock = flow
    person = Person(service.url)
    async with person.client:
        page = await person.at_service("/sign-in")
        assert "/sign-in/oidc" in page.text
        back, answer, filled = await person.sign_in(issuer)
        assert filled == {"login", "password", "answer"}
        assert (answer.status_code, answer.headers["location"]) == (303, "/account")
        assert answer.headers["cache-control"] == "no-store"
        assert person.cookies[PENDING_COOKIE] == ""

        # The session works on the API, with the role that the group gives, and no other.
        headers = {"Cookie": f"{SESSION_COOKIE}={person.cookies[SESSION_COOKIE]}"}
        api = httpx2.AsyncClient(base_url=f"{service.url}/api/v1", headers=headers, timeout=120)
        async with api:
            assert (await api.get("/incidents")).status_code == 200
            assert (await api.get("/keys")).status_code == 403
            proof = {"X-CSRF-Token": csrf_token(person.cookies[SESSION_COOKIE])}
            body = {"title": "T", "summary": "S", "aware_at": clock.now().isoformat()}
            assert (await api.post("/incidents", json=body, headers=proof)).status_code == 201

        # The same callback again is nothing, in this browser and in another.
        replayed = await person.at_service(back)
        assert replayed.headers["location"] == "/sign-in?notice=over"
        stranger = Person(service.url)
        async with stranger.client:
            forged = await stranger.at_service(back)
        assert (forged.status_code, forged.headers["location"]) == (303, "/sign-in?notice=over")
        assert SESSION_COOKIE not in stranger.cookies

        # The provider changes its key: the next sign-in finds the new one.
        await rotate()
        clock.turn(seconds=61)
        first = person.cookies[SESSION_COOKIE]
        _, answer, _ = await person.sign_in(issuer)
        assert answer.headers["location"] == "/account"
        assert person.cookies[SESSION_COOKIE] != first

    account = await service.parts.store.read(lambda tx: tx.accounts.by_email("ana@example.org"))
    assert account.name == "Ana Martin"
    for secret in (re.search("code=([^&]+)", back)[1], person.cookies[SESSION_COOKIE], "ana@example.org", "s3cret"):
        assert secret not in service_log.getvalue()


async def test_what_the_url_says_is_not_repeated(flow):
    service, issuer, _, _ = flow
    person = Person(service.url)
    async with person.client:
        away = await person.at_service("/sign-in/oidc?return_to=https://evil.example/")
        state = httpx2.URL(away.headers["location"]).params["state"]
        answer = await person.at_service(
            f"/sign-in/oidc/callback?state={state}&iss={issuer}&error=<script>&error_description=<b>boo</b>"
        )
        assert answer.headers["location"] == "/sign-in?notice=oidc_refused"
        page = await person.at_service(answer.headers["location"])
        assert "boo" not in page.text
        assert "<script>" not in page.text
        # Wherever somebody is sent after signing in, it is here.
        _, answer, _ = await sign_in_to(person, issuer, "//evil.example/x")
        assert answer.headers["location"] == "/"


async def sign_in_to(person, issuer, wanted):
    away = await person.at_service(f"/sign-in/oidc?return_to={wanted}")
    back, filled = await person.at_provider(issuer, away.headers["location"])
    return back, await person.at_service(back), filled


async def test_without_a_provider_there_is_nothing(running):
    async with httpx2.AsyncClient(base_url=running.url, timeout=120) as client:
        for path in ("/sign-in/oidc", "/sign-in/oidc/callback?code=x&state=y"):
            assert (await client.get(path)).status_code == 404
        assert "/sign-in/oidc" not in (await client.get("/sign-in")).text
