"""Pictures of every page, as each role sees it: ``make pictures`` writes them to a folder, for a person to look at.

    python tests/pictures.py out/pictures --customers 200 --language de

Long German words, texts of 10,000 characters and a name that is read from right to left are among the data.
"""

import argparse
import asyncio
import io
import re
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from uuid import uuid4

import httpx2
import structlog

from notifications.reporting.period import month_of
from service.cli.demo.environment import embedded_service
from service.system.logging import configure_logging
from support.announcements import announce, bound, released
from support.chromium import opened_page, started_chromium
from support.page_tour import HARD_WORDS, LONG_NAME, LONG_TEXT, RIGHT_TO_LEFT, Stop, add_waiting_work, tour_of
from support.people import browser
from support.records import make_binding, make_contact, make_customer
from support.reserved_port import reserved_port
from support.scenario import change, ok
from support.world import World, build_world

WIDTHS = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 360, "height": 740}}
SCHEMES = ["light", "dark"]
#: Pixels of a picture; the print view of a large incident has hundreds of thousands.
TALLEST = 16_000
#: Customers that are stored in one transaction.
AT_ONCE = 500


async def filled(running, api, customers):
    """Return a world with this number of customers, and an incident that concerns all of them."""
    if not customers:
        return World()
    names = (LONG_NAME, RIGHT_TO_LEFT)[:customers]
    world = await build_world(running, api, customer_names=names, **HARD_WORDS)
    await add_waiting_work(running, api, world, LONG_TEXT[:1900])
    await _add_announcements(api, world)
    others = [make_customer(name=f"Customer {number:05}") for number in range(customers - len(names))]
    for start in range(0, len(others), AT_ONCE):
        await running.parts.store.write(lambda tx, part=others[start : start + AT_ONCE]: _add(tx, part))
    if others:
        incident = await ok(api.get(f"/incidents/{world.own['incident_id']}"))
        await change(api, incident, unlisted_customers="unknown")
    return world


async def _add_announcements(api, world):
    """Add an announcement with drafts, and one that was released and waits for a customer's consent."""
    await bound(api, f"{LONG_NAME} Nord", "nord@bound.example", language="de")
    texts = {"title": HARD_WORDS["title"], "text": {"fr": LONG_TEXT[:1900]}}
    await released(api, await announce(api, "third_party_access"))
    world.own["announcement_id"] = (await announce(api, "planned_work", **texts))["id"]


async def _add_drafts(running, analyst):
    """Let the analyst leave a draft of an incident and one of an announcement."""
    async with browser(running, analyst) as pages:
        for page in ("/incidents/new", "/announcements/new"):
            fields = {"title.fr": LONG_TEXT[:190], "text.fr": LONG_TEXT, "kind": "planned_work"}
            form = analyst.form(draft_id=str(uuid4()), draft_version="0", **fields)
            await pages.post(f"{page}/draft", data=form)


def _add(tx, customers):
    for each in customers:
        tx.customers.add(each, b"\1" * 32)
        tx.customers.add_binding(make_binding(each))
        tx.customers.add_contact(make_contact(each))


async def pictures(folder, customers, language, looks, only):
    """Write one picture for each page and look, a pair of width and colour scheme; ``only``: of names that match."""
    structlog.reset_defaults()
    configure_logging(io.StringIO())
    with reserved_port() as port:
        origin = f"http://localhost:{port}"
        limits = {"access__requests_burst": 1_000_000, "access__stranger_requests_burst": 1_000_000}
        async with AsyncExitStack() as stack:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
            running = await stack.enter_async_context(
                embedded_service(data, port=port, provider__console_url=origin, **limits)
            )
            headers = {"Authorization": f"Bearer {running.token}"}
            api = await stack.enter_async_context(
                httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120)
            )
            world = await filled(running, api, customers)
            chromium = await stack.enter_async_context(started_chromium())
            stops = await tour_of(running, world, language)
            analyst = next(stop.whom for stop in stops if stop.name == "analyst-home")
            month = month_of(datetime.now(UTC), "Europe/Paris")
            await _add_drafts(running, analyst)
            stops += [
                Stop("analyst-announcements-form", "/announcements/new?kind=planned_work", analyst),
                Stop("analyst-reports-running", f"/reports/{month}", analyst),
            ]
            stops = [stop for stop in stops if re.search(only, stop.name)]
            for width, scheme in looks:
                place = folder / f"{language}-{customers}-{width}-{scheme}"
                place.mkdir(parents=True, exist_ok=True)
                look = {"viewport": WIDTHS[width], "color_scheme": scheme}
                await _taken(chromium, origin, stops, place, look, language)


async def _taken(chromium, origin, stops, place, look, language):
    for whom in {stop.whom for stop in stops}:
        async with opened_page(chromium, origin, whom, locale=language, **look) as page:
            for stop in stops:
                if stop.whom is whom:
                    await page.goto(stop.path, wait_until="domcontentloaded")
                    height = await page.evaluate("document.documentElement.scrollHeight")
                    clip = {"x": 0, "y": 0, "width": look["viewport"]["width"], "height": min(height, TALLEST)}
                    await page.screenshot(path=place / f"{stop.name}.png", full_page=True, clip=clip, timeout=120_000)
    print(f"{place}: {len(stops)} pictures")


def main():
    """Read the arguments and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("out/pictures"))
    parser.add_argument("--customers", type=int, default=3, help="customers in all; 0 for an empty service")
    parser.add_argument("--language", choices=("fr", "en", "de"), default="en")
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=SCHEMES, help="colour schemes")
    parser.add_argument("--widths", nargs="+", choices=WIDTHS, default=list(WIDTHS), help="widths")
    parser.add_argument("--only", default="", help="a regular expression for names of pages, such as analyst-notices")
    arguments = parser.parse_args()
    looks = list(product(arguments.widths, arguments.schemes))
    asyncio.run(pictures(arguments.folder, arguments.customers, arguments.language, looks, arguments.only))


if __name__ == "__main__":
    main()
