"""Fixtures for tests that use the whole service: real HTTP, real SMTP, real files, on loopback."""

import io
import shutil
from datetime import UTC, datetime

import httpx
import pytest
import structlog

from service.bootstrap.data_folder import prepare_data_folder
from service.cli.demo.environment import ADDRESS, PROVIDER, embedded_service
from service.store import migrate_store
from service.system.logging import configure_logging


@pytest.fixture(scope="session")
def prepared_folder(tmp_path_factory):
    """A data folder with keys and empty tables, made once: both take their time."""
    folder = tmp_path_factory.mktemp("prepared") / "data"
    prepare_data_folder(folder, address=ADDRESS, provider_name=PROVIDER, now=datetime.now(UTC))
    migrate_store(folder / "greffier.sqlite3")
    return folder


@pytest.fixture
def data_folder(prepared_folder, tmp_path):
    """A fresh copy of the prepared folder."""
    folder = tmp_path / "data"
    shutil.copytree(prepared_folder, folder)
    return folder


@pytest.fixture
def service_log():
    """What the service logs, as text."""
    stream = io.StringIO()
    configure_logging(stream)
    yield stream
    structlog.reset_defaults()


@pytest.fixture
async def running(data_folder, service_log):
    """A running service."""
    async with embedded_service(
        data_folder, sequencer_period_seconds=0.01, stranger_requests_burst=5000, requests_burst=20_000
    ) as service:
        yield service


@pytest.fixture
async def api(running):
    """An authenticated HTTP client of the running service."""
    headers = {"Authorization": f"Bearer {running.token}"}
    async with httpx.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=30) as client:
        yield client
