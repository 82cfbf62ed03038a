"""Prepared statements through the API."""

import pytest

from notifications.errors import InvalidInputError
from service.bootstrap.statements import load_statements

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_they_are_found_and_filled_in_every_language(shared_api):
    found = (await shared_api.get("/statements", params={"q": "incendie centre", "part": "summary"})).json()["items"]
    assert [item["id"] for item in found] == ["datacenter_fire"]
    assert found[0]["placeholders"] == [{"name": "place", "kind": "name"}, {"name": "service", "kind": "name"}]
    filled = await shared_api.post(
        "/statements/service_unavailable/text",
        json={
            "names": {"service": "Stockage <b>"},
            "moments": {"since": "2026-11-28T22:40:00Z"},
            "time_zone": "Europe/Paris",
        },
    )
    assert filled.status_code == 200
    assert filled.json()["part"] == "summary"
    assert filled.json()["texts"]["fr"].startswith("Stockage <b> est indisponible depuis le 28 novembre 2026 à 23:40")


@pytest.mark.parametrize(
    ("identifier", "body", "status", "field"),
    [
        ("nothing", {}, 404, None),
        ("service_unavailable", {}, 422, "service"),
        (
            "service_unavailable",
            {"names": {"service": "x"}, "moments": {"since": "2026-11-28T22:40:00"}},
            422,
            "moments.since",
        ),
        ("service_unavailable", {"time_zone": "Europe/Nowhere"}, 422, "time_zone"),
        ("service_unavailable", {"other": 1}, 422, "other"),
    ],
)
async def test_bad_input_is_refused_by_field(shared_api, identifier, body, status, field):
    answer = await shared_api.post(f"/statements/{identifier}/text", json=body)
    assert answer.status_code == status
    if field:
        assert field in [fault["field"] for fault in answer.json()["errors"]]


async def test_an_installation_adds_its_own_file(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('[[statement]]\nid = "own"\npart = "summary"\nen = "One."\nfr = "Un."\nde = "Eins."\n')
    assert load_statements(file)[0].id == "own"
    with pytest.raises(InvalidInputError, match="No such file"):
        load_statements(tmp_path / "missing.toml")
    file.write_bytes(b"\xff")
    with pytest.raises(InvalidInputError, match="is not UTF-8"):
        load_statements(file)
