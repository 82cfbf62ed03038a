"""Who calls, from outside: tokens and sessions that are over, forged requests, too many of them."""

import secrets
from datetime import timedelta

import httpx2
import pytest

from service.auth.authentication import SESSION_COOKIE, csrf_token, session_digest
from service.cli.demo.environment import embedded_service
from service.ports.accounts import Role
from service.ports.sessions import Session
from support.clocks import SteppedClock
from support.world import account, at_provider

DECLARE = {"title": "T", "summary": "S"}


@pytest.fixture
async def stepped(data_folder, service_log):
    """A service whose clock the test moves, and which allows few requests."""
    clock = SteppedClock()
    async with embedded_service(
        data_folder,
        clock=clock,
        log__batch_seconds=0.01,
        access__requests_per_second=1,
        access__requests_burst=20,
        access__stranger_requests_per_second=1,
        access__stranger_requests_burst=10,
    ) as service:
        yield service, clock


async def signed_in(service, made, clock, method="password+totp"):
    """Start a session as signing in does; returns the cookie's value."""
    secret, now = secrets.token_urlsafe(32), clock.now()
    session = Session(
        id=service.parts.context.identifiers.new_id(),
        account_id=made.id,
        digest=session_digest(secret),
        method=method,
        user_agent="test",
        created_at=now,
        last_seen_at=now,
        expires_at=now + timedelta(hours=12),
    )
    await service.parts.store.write(lambda tx: tx.sessions.add(session))
    return secret


def browser(service, secret):
    return httpx2.AsyncClient(
        base_url=f"{service.url}/api/v1", headers={"Cookie": f"{SESSION_COOKIE}={secret}"}, timeout=30
    )


async def test_a_token_ends_by_itself(stepped):
    service, clock = stepped
    _, token = await account(service, "A", at_provider(Role.ANALYST))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=f"{service.url}/api/v1", headers=headers, timeout=120) as client:
        assert (await client.get("/incidents")).status_code == 200
        clock.step(timedelta(days=1))
        refused = await client.get("/incidents")
    assert refused.status_code == 401
    assert token not in refused.text


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Basic x",
        "bearer\tx",
        "Bearer " + "x" * 5000,
        "Bearer grf_nothing",
        "Bearer é",
        "Token x",
    ],
)
async def test_what_is_no_token_of_ours_is_refused_alike(running, header):
    async with httpx2.AsyncClient(base_url=running.url, timeout=120) as client:
        answer = await client.get("/api/v1/incidents", headers={"Authorization": header.encode()})
    assert answer.status_code == 401
    assert answer.json()["detail"] == "no bearer token and no session, or not a valid one"


async def test_a_wrong_token_is_not_made_good_by_a_session(stepped):
    service, clock = stepped
    made, _ = await account(service, "A", at_provider(Role.ANALYST))
    async with browser(service, await signed_in(service, made, clock)) as client:
        assert (await client.get("/incidents")).status_code == 200
        assert (await client.get("/incidents", headers={"Authorization": "Bearer wrong"})).status_code == 401


async def test_a_session_that_rests_is_over_and_one_in_use_ends_all_the_same(stepped):
    service, clock = stepped
    made, _ = await account(service, "A", at_provider(Role.ANALYST))
    async with browser(service, await signed_in(service, made, clock)) as client:
        clock.step(timedelta(minutes=31))
        assert (await client.get("/incidents")).status_code == 401
    async with browser(service, await signed_in(service, made, clock)) as client:
        answers = []
        for _ in range(36):
            clock.step(timedelta(minutes=20))
            answers.append((await client.get("/incidents")).status_code)
    # 35 times 20 minutes are within 12 hours, 36 times are not.
    assert answers == [200] * 35 + [401]


async def test_a_session_ended_elsewhere_is_out_at_once(stepped):
    service, clock = stepped
    made, _ = await account(service, "A", at_provider(Role.ANALYST))
    async with browser(service, await signed_in(service, made, clock)) as client:
        assert (await client.get("/incidents")).status_code == 200
        assert await service.parts.store.write(lambda tx: tx.sessions.end_all(made.id)) == 1
        assert (await client.get("/incidents")).status_code == 401


async def test_a_cookie_that_nobody_gave_is_nobodys(running):
    async with browser(running, "fixed-by-somebody-else") as client:
        assert (await client.get("/incidents")).status_code == 401


class TestForgedRequests:
    async def test_a_session_alone_changes_nothing(self, stepped):
        service, clock = stepped
        made, _ = await account(service, "A", at_provider(Role.ANALYST))
        other, _ = await account(service, "B", at_provider(Role.ANALYST))
        secret = await signed_in(service, made, clock)
        stolen = csrf_token(await signed_in(service, other, clock))
        body = DECLARE | {"aware_at": clock.now().isoformat()}
        async with browser(service, secret) as client:
            forged = [
                {},
                {"X-CSRF-Token": ""},
                {"X-CSRF-Token": "wrong"},
                {"X-CSRF-Token": stolen},
                {"X-CSRF-Token": csrf_token(secret), "Origin": "https://evil.example"},
                {"X-CSRF-Token": csrf_token(secret), "Origin": "null"},
                {"X-CSRF-Token": csrf_token(secret), "Sec-Fetch-Site": "cross-site"},
                {"X-CSRF-Token": csrf_token(secret), "Sec-Fetch-Site": "same-site"},
            ]
            for headers in forged:
                answer = await client.post("/incidents", json=body, headers=headers)
                assert answer.status_code == 403, headers
                assert secret not in answer.text
            assert (await client.get("/incidents")).json()["items"] == []
            genuine = {"X-CSRF-Token": csrf_token(secret), "Origin": service.url, "Sec-Fetch-Site": "same-origin"}
            assert (await client.post("/incidents", json=body, headers=genuine)).status_code == 201

    async def test_a_token_needs_no_proof_since_no_browser_adds_it(self, api):
        assert (
            await api.post("/incidents/validate", json={}, headers={"Origin": "https://x.example"})
        ).status_code == 422


class TestRates:
    async def test_whoever_asks_too_much_is_told_when_to_come_back(self, stepped):
        service, clock = stepped
        _, token = await account(service, "A", at_provider(Role.ANALYST))
        _, other = await account(service, "B", at_provider(Role.ANALYST))
        async with httpx2.AsyncClient(base_url=f"{service.url}/api/v1", timeout=120) as client:
            client.headers["Authorization"] = f"Bearer {token}"
            answers = [await client.get("/agreements") for _ in range(21)]
            assert [answer.status_code for answer in answers] == [200] * 20 + [429]
            refused = answers[-1]
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.headers["retry-after"] == "1"
            # Nobody else waits for it.
            answer = await client.get("/agreements", headers={"Authorization": f"Bearer {other}"})
            assert answer.status_code == 200
            clock.step(timedelta(seconds=1))
            assert (await client.get("/agreements")).status_code == 200

    async def test_strangers_are_counted_by_address_and_never_shut_out_a_valid_token(self, stepped):
        service, _ = stepped
        _, token = await account(service, "A", at_provider(Role.ANALYST))
        async with httpx2.AsyncClient(base_url=f"{service.url}/api/v1", timeout=120) as client:
            guesses = [await client.get("/incidents", headers={"Authorization": f"Bearer {n}"}) for n in range(12)]
            assert [answer.status_code for answer in guesses] == [401] * 10 + [429] * 2
            answer = await client.get("/incidents", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200


async def test_last_use_is_kept_to_the_minute(stepped):
    service, clock = stepped
    made, token = await account(service, "A", at_provider(Role.ANALYST))
    headers = {"Authorization": f"Bearer {token}"}

    async def last_used():
        return (await service.parts.store.read(lambda tx: tx.tokens.of_account(made.id)))[0].last_used_at

    async with httpx2.AsyncClient(base_url=f"{service.url}/api/v1", headers=headers, timeout=120) as client:
        clock.step(timedelta(minutes=5))
        assert (await client.get("/agreements")).status_code == 200
        used_at = clock.now()
        assert await last_used() == used_at
        clock.step(timedelta(seconds=30))
        assert (await client.get("/agreements")).status_code == 200
        assert await last_used() == used_at


async def test_at_the_provider_a_session_by_password_alone_carries_no_role(stepped):
    service, clock = stepped
    made, _ = await account(service, "A", at_provider(Role.ANALYST))
    secret = await signed_in(service, made, clock, method="password")
    async with browser(service, secret) as client:
        assert (await client.get("/incidents")).status_code == 403
        assert (await client.get("/account")).status_code == 200
