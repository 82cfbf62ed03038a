"""Fixtures for tests that look at pages in a browser: what is costly to start, once for all modules of a worker.

A module that uses the browser runs in the loop of the session, because the browser is bound to it.
"""

import pytest
import pytest_asyncio

from support.axe_source import axe_source
from support.chromium import started_chromium


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium():
    """A browser. Each page gets a profile of its own."""
    async with started_chromium() as started:
        yield started


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core."""
    return axe_source(tmp_path_factory.mktemp("axe"))
