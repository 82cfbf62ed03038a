"""Fixtures for tests that use the whole service: real HTTP, real SMTP, real files, on loopback.

Fixtures import the service when a test asks for it: tests of the core start without it.
"""

import contextlib
import gc
import io
import os
import shutil
import signal
from datetime import UTC, datetime
from functools import cache

import httpx2
import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings

# A busy machine is no defect: no test is judged by the clock. Each run tries the same examples, so that what failed
# once fails again; ``make explore`` tries new ones, and what it finds becomes an ``@example``.
settings.register_profile("greffier", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("greffier")

#: Each look of the collector through all objects costs up to a second, and tests make objects by the million.
gc.set_threshold(20_000, 20, 20)

#: Left alone it draws each traceback with the values of all variables, which takes longer than most tests.
structlog.get_config()["processors"][-1].exception_formatter = structlog.dev.plain_traceback

#: Before Python 3.13 whoever asks for the handler of a signal writes it out, to name it in an error that nobody sees.
#: Each run of a loop asks for that of Ctrl-C three times: it has the loop's task, with the whole service as its result.
_named = signal._int_to_enum
signal._int_to_enum = lambda value, names: _named(value, names) if isinstance(value, int) else value


#: Where the folders of tests are, if it is there. A small one, such as that of a container, is left to others.
MEMORY, MEMORY_BYTES = "/dev/shm", 4 << 30


def pytest_configure():
    """Keep the folders of tests in memory: a store that waits for no disk takes half the processor."""
    with contextlib.suppress(OSError):
        place = os.statvfs(MEMORY)
        if place.f_bavail * place.f_frsize > MEMORY_BYTES and not place.f_flag & os.ST_NOEXEC:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Spare the collector what stays until the end: the tests themselves, and the modules that they import."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_root(tmp_path_factory):
    """Trust a single root certificate: loading all public ones takes 30 ms per client, and no test server uses them."""
    from support.tls_authority import new_authority

    file = tmp_path_factory.mktemp("roots") / "root.pem"
    file.write_bytes(new_authority().pem())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(scope="session")
def prepared_folder(tmp_path_factory):
    """A data folder with keys and empty tables, created once, because both take time."""
    from service.bootstrap.data_folder import prepare_data_folder
    from service.cli.demo.environment import ADDRESS, PROVIDER
    from service.crypto import key_files
    from support.sqlite_file import new_database

    folder = tmp_path_factory.mktemp("prepared") / "data"
    prepare_data_folder(folder, address=ADDRESS, provider_name=PROVIDER, now=datetime.now(UTC))
    new_database(folder / "greffier.sqlite3")
    with pytest.MonkeyPatch.context() as parsing:
        # The bytes of a key are parsed once: to examine an RSA key takes as long as the rest of a start.
        parsing.setattr(key_files, "load_pem_private_key", cache(key_files.load_pem_private_key))
        yield folder


@pytest.fixture
def data_folder(prepared_folder, tmp_path):
    """A new copy of the prepared folder."""
    folder = tmp_path / "data"
    shutil.copytree(prepared_folder, folder)
    return folder


@contextlib.contextmanager
def _logged():
    from service.system.logging import configure_logging

    stream = io.StringIO()
    configure_logging(stream)
    yield stream
    structlog.reset_defaults()


@pytest.fixture
def service_log():
    """The log output of the service, as text."""
    with _logged() as stream:
        yield stream


def _service(folder, **settings):
    from service.cli.demo.environment import embedded_service

    return embedded_service(
        folder, log__batch_seconds=0.01, access__stranger_requests_burst=5000, access__requests_burst=20_000, **settings
    )


def _client(service):
    headers = {"Authorization": f"Bearer {service.token}"}
    return httpx2.AsyncClient(base_url=f"{service.url}/api/v1", headers=headers, timeout=120)


@pytest.fixture
async def running(data_folder, service_log):
    """A running service."""
    async with _service(data_folder) as service:
        yield service


@pytest.fixture
async def api(running):
    """An authenticated HTTP client of the running service."""
    async with _client(running) as client:
        yield client


@pytest.fixture(scope="module")
def shared_settings():
    """Settings of the shared service beside the usual ones; a module may give its own."""
    return {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_service(prepared_folder, tmp_path_factory, shared_settings):
    """One running service for all tests of a module; none may leave changes that another test would notice."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    shutil.copytree(prepared_folder, folder)
    with _logged():
        async with _service(folder, **shared_settings) as service:
            yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(shared_service):
    """An authenticated HTTP client of the shared service."""
    async with _client(shared_service) as client:
        yield client
