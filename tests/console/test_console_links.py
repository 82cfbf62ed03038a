"""No link and no filter on any page leads to an error, as each role follows them."""

import html
import re
from contextlib import AsyncExitStack
from urllib.parse import urljoin

import pytest

from support.page_forms import form_on
from support.page_tour import tour_of
from support.people import browser
from support.world import build_world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

#: Bundles take their time and have their own tests; the last page of the tour is meant to be missing.
_LEFT = re.compile(r"/bundle|^/nothing-here")
_LINK = re.compile(r'<(?:a|iframe|link)\b[^>]*\b(?:href|src)="([^"]*)"')
_FILTER = re.compile(r'<form\b[^>]*\bmethod="get"[^>]*>')
_ACTION = re.compile(r'\baction="([^"]*)"')


def paths_on(page, at):
    """Return the addresses of this service that a page links to, without the place in the page."""
    found = (html.unescape(href) for href in _LINK.findall(page))
    resolved = {urljoin(at, href).partition("#")[0] for href in found if not href.startswith("#")}
    return {path for path in resolved if path.startswith("/") and not _LEFT.search(path)}


def filters_on(page):
    """Return what the forms that only ask would send as they are shown, as (path, fields)."""
    actions = [html.unescape(_ACTION.search(form)[1]) for form in _FILTER.findall(page)]
    return [(action, form_on(page, action)) for action in actions]


async def test_no_link_and_no_filter_on_any_page_leads_to_an_error(shared_service, shared_api):
    stops = await tour_of(shared_service, await build_world(shared_service, shared_api))
    wrong, followed = [], set()
    async with AsyncExitStack() as stack:
        clients = {
            whom: await stack.enter_async_context(browser(shared_service, whom)) for whom in {s.whom for s in stops}
        }

        async def follow(stop, path, **query):
            """Follow once for each person; returns the page, or nothing."""
            key = (stop.whom, path, str(query))
            if key in followed or path.startswith("/static/"):
                return ""
            followed.add(key)
            async with clients[stop.whom].stream("GET", path, **query) as answer:
                if answer.status_code >= 400:
                    wrong.append(f"{stop.name}: {answer.status_code} {path} {query}")
                is_page = answer.headers.get("content-type", "").startswith("text/html") and answer.status_code == 200
                return (await answer.aread()).decode() if is_page else ""

        for stop in stops:
            answered = await clients[stop.whom].get(stop.path)
            page = answered.text
            for path in sorted(paths_on(page, stop.path)):
                await follow(stop, path)
            # What was asked wrongly stands in the filter again, to be mended.
            for action, fields in filters_on(page) if answered.status_code < 400 else ():
                shown = await follow(stop, action, params=fields)
                for path in sorted(paths_on(shown, action)):
                    await follow(stop, path)
    assert len(followed) > 300
    assert wrong == [], "\n".join(wrong)
