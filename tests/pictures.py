"""Pictures of every page, as each role sees it: ``make pictures`` writes them to a folder, for a person to look at.

    python tests/pictures.py out/pictures --customers 200 --language de

Long German words, texts of 10,000 characters and a name that is read from right to left are among the data.
"""

import argparse
import asyncio
import io
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import structlog

from service.cli.demo.environment import embedded_service
from service.system.http_server import bound_socket
from service.system.logging import configure_logging
from support.chromium import opened_page, started_chromium
from support.page_tour import tour_of
from support.scenario import affected, customer, declare, harm
from support.world import build_world

WIDTHS = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 360, "height": 740}}
LONG_NAME = "Rechtsschutzversicherungsgesellschaften-Datenverarbeitungszentrum Donaudampfschifffahrt AG"
RIGHT_TO_LEFT = "مستشفى الوادي"
LONG_TEXT = "Le stockage de la zone est indisponible depuis cette nuit. " * 170


async def filled(api, customers):
    """Register customers, and declare an incident that concerns all of them."""
    names = [LONG_NAME, RIGHT_TO_LEFT, *(f"Customer {number:05}" for number in range(max(customers - 2, 0)))]
    registered = [
        await customer(api, name, contacts=((f"soc{number}@customer.example", "de"),))
        for number, name in enumerate(names[:customers])
    ]
    if not registered:
        return
    entries = [affected(each, data_harm=harm(confidentiality="yes")) for each in registered[:1000]]
    title = {"fr": LONG_TEXT[:190], "de": f"{LONG_NAME} nicht erreichbar"}
    texts = {"summary": {"fr": LONG_TEXT[:9_900], "en": LONG_TEXT[:9_900]}, "measures_taken": {"fr": LONG_TEXT[:3000]}}
    await declare(api, title=title, impact="I1", affected_customers=entries, **texts)


async def pictures(folder, customers, language, schemes):
    """Write one picture for each page, width and colour scheme."""
    structlog.reset_defaults()
    configure_logging(io.StringIO())
    with bound_socket("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
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
        world = await build_world(running, api)
        await filled(api, customers)
        chromium = await stack.enter_async_context(started_chromium())
        stops = await tour_of(running, world, language)
        for width, viewport in WIDTHS.items():
            for scheme in schemes:
                place = folder / f"{language}-{customers}-{width}-{scheme}"
                place.mkdir(parents=True, exist_ok=True)
                await _taken(chromium, origin, stops, place, {"viewport": viewport, "color_scheme": scheme}, language)


async def _taken(chromium, origin, stops, place, look, language):
    for whom in {stop.whom for stop in stops}:
        async with opened_page(chromium, origin, whom, locale=language, **look) as page:
            for stop in stops:
                if stop.whom is whom:
                    await page.goto(stop.path, wait_until="domcontentloaded")
                    await page.screenshot(path=place / f"{stop.name}.png", full_page=True)
    print(f"{place}: {len(stops)} pictures")


def main():
    """Read the arguments and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("out/pictures"))
    parser.add_argument("--customers", type=int, default=3, help="customers beside the two of the world")
    parser.add_argument("--language", choices=("fr", "en", "de"), default="en")
    parser.add_argument("--schemes", default="light,dark", help="colour schemes, separated by commas")
    arguments = parser.parse_args()
    schemes = arguments.schemes.split(",")
    asyncio.run(pictures(arguments.folder, arguments.customers, arguments.language, schemes))


if __name__ == "__main__":
    main()
