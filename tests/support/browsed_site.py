"""A service with a browser that looks at it, for tests of pages as a person sees them."""

import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2

from service.cli.demo.environment import RunningService, embedded_service
from support.chromium import new_page, opened_page
from support.reserved_port import reserved_port


@dataclass
class BrowsedSite:
    """A service at an address that links and passkeys can name, a client of its API, and a browser."""

    service: RunningService
    api: httpx2.AsyncClient
    origin: str
    chromium: object

    async def page(self, whom=None, **options):
        """Return a page in a fresh profile, for the rest of the module."""
        return await new_page(self.chromium, self.origin, whom, **options)

    def opened(self, whom=None, **options):
        """Open a page in a fresh profile, and close it at the end."""
        return opened_page(self.chromium, self.origin, whom, **options)


@asynccontextmanager
async def browsed_site(chromium, prepared_folder, place, **settings):
    """Start a service on a copy of the prepared folder in a place, for a browser that others use too."""
    shutil.copytree(prepared_folder, place / "data")
    with reserved_port() as port:
        origin = f"http://localhost:{port}"
        settings = {"log__batch_seconds": 0.01, "access__stranger_requests_burst": 5000} | settings
        async with (
            embedded_service(place / "data", port=port, provider__console_url=origin, **settings) as service,
            httpx2.AsyncClient(
                base_url=f"{service.url}/api/v1", headers={"Authorization": f"Bearer {service.token}"}, timeout=30
            ) as api,
        ):
            yield BrowsedSite(service, api, origin, chromium)
            # A page that stays open would look for its service as long as the browser runs.
            for context in chromium.contexts:
                await context.close()
