"""The OpenAPI document, tried by generated requests as each role: no 5xx, no undocumented status, no broken schema."""

import asyncio
import io
import shutil
import threading
from collections import Counter

import httpx2
import pytest
import requests
import schemathesis
import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi import checks

from service.cli.demo.environment import embedded_service
from service.system.logging import configure_logging
from support.matrix_rows import ROLES
from support.world import build_world

load_all_checks()
_CHECKS = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
)
#: What is generated for each operation as each role; more for the account that may do everything at the provider.
_EXAMPLES = 12
_EXAMPLES_OF_OTHERS = 4
_PARTS = 4
#: A busy machine is no defect.
_SECONDS = 120


class Running:
    """The service in a thread of its own, so that blocking clients can call it."""

    def __init__(self, folder):
        self._folder = folder
        self._ready, self._done = threading.Event(), None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="service")

    async def _run(self):
        configure_logging(io.StringIO())
        self._done = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        try:
            async with embedded_service(
                self._folder,
                log__batch_seconds=0.01,
                access__requests_burst=10**6,
                access__stranger_requests_burst=10**6,
            ) as service:
                headers = {"Authorization": f"Bearer {service.token}"}
                async with httpx2.AsyncClient(base_url=f"{service.url}/api/v1", headers=headers, timeout=120) as api:
                    self.world = await build_world(service, api)
                self.url, self.tokens = service.url, self.world.tokens | {"first": service.token}
                self._ready.set()
                await self._done.wait()
        finally:
            self._ready.set()

    def __enter__(self):
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()


@pytest.fixture(scope="module")
def served(prepared_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("schemathesis") / "data"
    shutil.copytree(prepared_folder, folder)
    with Running(folder) as running:
        yield running
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def operations(served):
    schema = schemathesis.openapi.from_url(f"{served.url}/api/v1/openapi.json", timeout=_SECONDS)
    found = [result.ok() for result in schema.get_all_operations()]
    # A stream of events has no end.
    return [operation for operation in found if operation.path != "/api/v1/events"]


@pytest.fixture
def session():
    """One connection for all requests; nothing of the environment is looked up for each."""
    with requests.Session() as made:
        made.trust_env = False
        yield made


def tried(operation, names, headers, session):
    """Send generated requests of an operation as each role; returns how many of each."""
    sent = Counter()

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), known=st.sampled_from((None, *names)))
    def one(case, known):
        if known is not None:
            # Identifiers that nobody would guess: what lies behind the lookup is tried too.
            case.path_parameters = {
                name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
        for role, credentials in headers.items():
            if role == "first" or sent[role] < _EXAMPLES_OF_OTHERS:
                sent[role] += 1
                case.call_and_validate(session=session, headers=credentials, checks=_CHECKS, timeout=_SECONDS)

    one()
    return sent


@pytest.mark.parametrize("part", range(_PARTS))
def test_no_request_as_any_role_breaks_the_description(served, operations, session, part):
    """A request is generated once and sent as each role: generating takes longer than the answers."""
    headers = {role: {"Authorization": f"Bearer {served.tokens[role]}"} for role in ("first", *ROLES)}
    names = (served.world.own, served.world.foreign)
    own = operations[part::_PARTS]
    sent = Counter()
    for operation in own:
        sent += tried(operation, names, headers, session)
    assert min(sent[role] for role in headers) > 2 * len(own)
