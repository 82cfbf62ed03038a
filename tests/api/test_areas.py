"""Routes are built with the first request to their area: each in the area of its path, and none without its guard."""

import pkgutil

import pytest
from fastapi import APIRouter, FastAPI

from service.web.areas import OPENAPI, Areas, area_of


def areas_of(app):
    return Areas(app, public_log=False)


def paths(app):
    return [route.path for route in app.routes if route.path != "/openapi.json"]


@pytest.fixture(scope="module")
def whole():
    app = FastAPI(docs_url=None, redoc_url=None)
    areas = areas_of(app)
    areas.build_all()
    return app, areas


def test_every_route_is_built_by_a_request_to_its_own_path(whole):
    _, areas = whole
    for place, routes in areas._built.items():
        assert routes
        for route in routes:
            assert place in areas._places[area_of(route.path)], route.path


def test_no_area_is_named_by_a_parameter_so_the_order_matters_only_within_one(whole):
    _, areas = whole
    assert not [area for area in areas._places if "{" in area]


async def test_the_order_of_routes_does_not_depend_on_which_area_is_asked_for_first(whole):
    app = FastAPI(docs_url=None, redoc_url=None)
    areas = areas_of(app)
    for area in reversed(areas._places):
        await areas.prepare(area)
    assert paths(app) == paths(whole[0])


async def test_a_request_builds_its_area_alone_and_the_description_builds_the_api():
    app = FastAPI(docs_url=None, redoc_url=None)
    areas = areas_of(app)
    await areas.prepare("/api/v1/keys")
    assert {area_of(path) for path in paths(app)} == {"/api/v1/keys"}
    await areas.prepare("/nothing/here")
    assert {area_of(path) for path in paths(app)} == {"/api/v1/keys"}
    await areas.prepare(OPENAPI)
    built = {area_of(path) for path in paths(app)}
    assert {area for area in areas._places if area.startswith("/api/v1/") and area != OPENAPI} <= built
    assert "/sign-in" not in built


async def test_an_area_with_a_route_that_declares_no_permission_is_not_served(monkeypatch):
    router = APIRouter()

    @router.get("/api/v1/keys/unguarded")
    async def unguarded():
        return {}

    monkeypatch.setattr(pkgutil, "resolve_name", lambda _: router)
    app = FastAPI(docs_url=None, redoc_url=None)
    areas = areas_of(app)
    for _ in range(2):
        with pytest.raises(LookupError, match="declares 0 permissions"):
            await areas.prepare("/api/v1/keys/unguarded")
    assert paths(app) == []
