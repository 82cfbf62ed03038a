"""Nothing but health answers without the token, and every answer carries its headers."""

import re

import httpx2
import pytest

from notifications.time_zones import IANA_VERSION
from service.settings import load_settings
from service.web.served_app import ServedApp

OPEN = {"/healthz", "/readyz"}


@pytest.fixture
async def stranger(running):
    async with httpx2.AsyncClient(base_url=running.url, timeout=120) as client:
        yield client


async def operations(api):
    document = (await api.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        for method in item:
            yield method.upper(), re.sub(r"\{[^}]+\}", "00000000-0000-4000-8000-000000000000", path), path


#: What was erased is nobody's account any more.
BY_PSEUDONYM = "/api/v1/erasures/{pseudonym}"


async def test_every_operation_wants_the_token(api, stranger):
    guarded = 0
    async for method, url, path in operations(api):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}, {"Authorization": ""}):
            answer = await stranger.request(method, url, headers=headers, content=b"{}")
            if path in OPEN:
                assert answer.status_code in {200, 503}
            elif path.startswith(BY_PSEUDONYM):
                # Open to whoever knows the pseudonym; the one that is tried here is none.
                assert answer.status_code == 422
            else:
                guarded += 1
                assert answer.status_code == 401, (method, path, answer.status_code)
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert answer.headers["content-type"] == "application/problem+json"
    assert guarded > 100


async def test_the_token_is_asked_for_before_the_input_is_looked_at(stranger):
    answer = await stranger.post("/api/v1/incidents", content=b"not json")
    assert answer.status_code == 401


async def test_health_is_open_and_tells_no_content(stranger):
    assert (await stranger.get("/healthz")).json() == {"status": "ok", "time_zones": IANA_VERSION}
    ready = await stranger.get("/readyz")
    assert ready.status_code == 200, ready.text
    parts = (
        "log",
        "signing",
        "mail",
        "worker",
        "alerts",
        "escalation",
        "checks",
        "drafts",
        "erasing",
        "reports",
        "log_check",
        "announcements",
        "disk",
    )
    assert ready.json()["parts"] == dict.fromkeys(parts, "ok")


async def test_every_answer_carries_the_security_headers(api, stranger):
    for answer in (
        await api.get("/incidents"),
        await stranger.get("/healthz"),
        await stranger.get("/api/v1/incidents"),
    ):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


async def test_health_before_there_is_an_application_is_answered_as_by_the_application(running, stranger, monkeypatch):
    parts, limits = running.parts, load_settings(running.data).limits
    app = ServedApp(
        parts.context,
        parts.authenticator,
        parts.probes,
        parts.console,
        max_body_bytes=limits.max_body_bytes,
        max_buffered_bytes=limits.max_buffered_bytes,
        version="0",
    )
    counted = []
    monkeypatch.setattr(parts.context.metrics, "answered", lambda *answer: counted.append(answer[:3]))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as early:
        first = await early.get("/healthz")
        assert counted == [("GET", "/healthz", 200)]
        # What is no plain question makes the application, and is refused by it.
        assert (await early.post("/healthz")).json()["type"] == "urn:greffier:problem:method-not-allowed"
        later = await early.get("/healthz")
    theirs = await stranger.get("/healthz")
    assert first.status_code == later.status_code == theirs.status_code == 200
    assert first.content == later.content == theirs.content
    assert dict(first.headers) == dict(later.headers) == {k: v for k, v in theirs.headers.items() if k != "date"}


async def test_the_token_is_in_no_log(api, running, service_log):
    await api.get("/incidents")
    await api.post("/incidents", json={})
    assert running.token not in service_log.getvalue()


async def test_the_openapi_document_says_what_each_operation_is(api):
    document = (await api.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation.get("summary"), (method, path)
            if path not in OPEN:
                assert {"401", "422"} <= operation["responses"].keys(), (method, path)
    declared = document["components"]["schemas"]["DeclarationIn"]
    assert declared["examples"], "the analyst finds an example to start from"
