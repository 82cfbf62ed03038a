"""What a caller sends ends no header and no log line, and sets nothing that is not offered."""

import json

import httpx2
import pytest

from service.ports.accounts import Role
from support.world import account, at_provider

LINES = ("a\r\nSet-Cookie: x=1", "a\nb", "a\x00b", "a\u2028b", "\x1b[31mred", "\x85")


@pytest.mark.parametrize("text", LINES)
async def test_a_name_of_several_lines_is_refused_wherever_there_is_one(api, text):
    person = {"kind": "person", "name": text, "email": "a@provider.example", "language": "en"}
    customer = {
        "name": text,
        "agreement": {"agreement_id": "secnumcloud_iaas_3_0", "effective_at": "2025-02-01T00:00:00Z"},
    }
    for path, body in (("/accounts", person), ("/customers", customer)):
        answer = await api.post(path, json=body)
        assert answer.status_code == 422, path
        assert answer.json()["errors"][0]["field"] == "name"


async def test_what_a_request_says_of_itself_is_one_line_of_the_log(running, service_log):
    hostile = 'x","level":"info","event":"forged'
    async with httpx2.AsyncClient(base_url=running.url, timeout=120) as client:
        for headers in ({"User-Agent": hostile}, {"Authorization": f"Bearer {hostile}"}, {"X-Forwarded-For": hostile}):
            await client.get("/api/v1/incidents", headers=headers)
        await client.post("/sign-in", data={"email": f"{hostile}\r\n{hostile}", "password": hostile, "return_to": "/"})
        await client.get("/api/v1/notices/%0d%0aSet-Cookie:%20x=1")
    for line in service_log.getvalue().splitlines():
        assert json.loads(line)["event"] != "forged"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/accounts", {"id": "00000000-0000-4000-8000-000000000000"}),
        ("/accounts", {"version": 7}),
        ("/accounts", {"created_by": "system:service"}),
        ("/accounts", {"grants": [{"role": "administrator"}]}),
        ("/accounts", {"active": True, "roles": ["administrator"]}),
        ("/customers", {"id": "00000000-0000-4000-8000-000000000000"}),
        ("/customers", {"created_at": "2020-01-01T00:00:00Z"}),
        ("/incidents", {"ticket": "INC-1999-000001"}),
        ("/incidents", {"opened_by": "system:service"}),
    ],
)
async def test_no_field_is_set_that_is_not_offered(api, path, body):
    whole = {
        "/accounts": {"kind": "person", "name": "A", "email": "a@provider.example", "language": "en"},
        "/customers": {
            "name": "C",
            "agreement": {"agreement_id": "secnumcloud_iaas_3_0", "effective_at": "2025-02-01T00:00:00Z"},
        },
        "/incidents": {"title": "T", "summary": "S", "aware_at": "2026-01-01T00:00:00Z"},
    }[path]
    answer = await api.post(path, json=whole | body)
    assert answer.status_code == 422
    assert {item["field"].split(".")[0] for item in answer.json()["errors"]} <= body.keys()


async def test_nobody_gives_itself_a_role(running):
    made, token = await account(running, "Adam", at_provider(Role.ADMINISTRATOR))
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", timeout=120) as adam:
        adam.headers["Authorization"] = f"Bearer {token}"
        answer = await adam.post(f"/accounts/{made.id}/grants", json={"role": "analyst"})
        assert answer.status_code in {409, 422}
        assert (await adam.get("/incidents")).status_code == 403
