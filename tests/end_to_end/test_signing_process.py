"""Large releases are signed in a process of its own; whatever becomes of it, each notice is signed rightly."""

import asyncio
import contextlib
import json
import os
import select
import signal
import sys
import textwrap
from dataclasses import replace
from uuid import UUID

import httpx2
import pytest

import service.delivery.signing_process as asking
from notifications.evidence.verification import verify_notice_mail
from notifications.use_cases.notices.seal_notice import commit_seals
from notifications.use_cases.notices.sign_notices import sign_notices
from service.audit_log.backup import log_keys
from service.audit_log.fsck.check import check_log
from service.bootstrap.signing import cms_signer
from service.bootstrap.signing_parts import ConfiguredSigning
from service.cli.demo.environment import embedded_service
from service.cli.verify import load_trust
from service.crypto.demo_keys import KeyFiles
from service.crypto.master_key import key_passphrases, load_masters
from service.delivery.signing_process import SigningProcess
from service.delivery.signing_server import LENGTH_BYTES, frame
from service.delivery.worker_settings import WorkerSettings
from service.settings import load_settings
from service.system.logging import SystemClock
from support import scenario
from support.announcements import announce, bound, released
from support.many_customers import GRAVE, registered

LARGE = WorkerSettings().large_release


class Asked:
    """A running service that seals nothing by itself, released notices, and what signs them."""

    def __init__(self, running, api):
        self.running, self.api = running, api
        self.sealing = running.parts.context.sealing
        self.parts = ConfiguredSigning.of(load_settings(running.data), self.sealing)

    async def release(self, customers=4):
        await registered(self.running, customers)
        incident = await scenario.declare(self.api, **GRAVE)
        return [UUID(notice["id"]) for notice in await scenario.release(self.api, incident)]


@contextlib.asynccontextmanager
async def service_of(data_folder, **settings):
    async with embedded_service(data_folder, log__batch_seconds=0.01, **settings) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=60) as api:
            yield running, api


@pytest.fixture
async def asked(data_folder, service_log):
    async with service_of(data_folder) as (running, api):
        running.parts.worker.stop_accepting()
        yield Asked(running, api)


@pytest.fixture
async def signing(asked):
    """The process, started; a test may start it anew."""
    process = SigningProcess(asked.parts)
    await process.start()
    assert process.pid is not None
    yield process
    await process.aclose()


def ids_of(signed):
    return [item.prepared.notice.id for item in signed]


def stated(signed):
    """Return the documents without the moment at which they were composed."""
    documents = [json.loads(item.prepared.composed.document) for item in signed]
    for document in documents:
        del document["issued_at"]
    return documents


def waited_for(pid):
    """Wait until a process has ended."""
    with contextlib.suppress(ProcessLookupError):
        ended = os.pidfd_open(pid)
        try:
            ready, _, _ = select.select([ended], [], [], 60)
            assert ready, f"process {pid} still runs"
        finally:
            os.close(ended)


async def gone(pid):
    await asyncio.to_thread(waited_for, pid)


@pytest.fixture
def elsewhere_only(monkeypatch):
    """Let no notice be signed in the serving process."""

    async def refused(_ids, _signing):
        raise AssertionError("signed in the serving process")

    monkeypatch.setattr(asking, "sign_notices", refused)


# -- what it signs


async def test_a_large_release_is_signed_elsewhere_and_every_mail_is_genuine(data_folder, service_log, elsewhere_only):
    async with service_of(data_folder) as (running, api):
        process = running.parts.worker.signing_process
        await process.start()
        pid = process.pid
        await registered(running, LARGE)
        incident = await scenario.declare(api, **GRAVE)
        assert len(await scenario.release(api, incident)) == LARGE
        mails = await running.sink.wait_for(LARGE, timeout_seconds=120)
        assert process.pid == pid
        trust = load_trust(running.trust_dir)
        for mail in mails:
            assert not [step.step for step in verify_notice_mail(mail.content, trust) if step.pending]
        assert running.parts.worker.health() is None
    await gone(pid)
    settings = load_settings(data_folder)
    assert not check_log(settings.store_location(), log_keys(settings), settings.head_file, processes=1).differences


async def test_a_large_release_starts_it_and_a_small_one_does_not(data_folder, service_log, monkeypatch):
    started = asyncio.Event()
    monkeypatch.setattr(SigningProcess, "start", lambda _process: started.set())
    async with service_of(data_folder) as (running, api):
        for more in (LARGE - 1, 1):
            await registered(running, more)
            assert not started.is_set()
            await scenario.release(api, await scenario.declare(api, **GRAVE))
            await running.sink.wait_for(LARGE - 1, timeout_seconds=120)
        async with asyncio.timeout(60):
            await started.wait()


@pytest.mark.parametrize("engine", ["no_setting", "one_processor"])
async def test_there_is_none_without_the_setting_and_on_one_processor(data_folder, service_log, monkeypatch, engine):
    if engine == "one_processor":
        monkeypatch.setattr(os, "cpu_count", lambda: 1)
    async with service_of(data_folder, limits__signing_process=engine != "no_setting") as (running, _):
        assert running.parts.worker.signing_process is None


async def test_it_signs_what_the_serving_process_would(asked, signing):
    ids = await asked.release()
    signed, own = await signing.sign(ids, asked.sealing), await sign_notices(ids, asked.sealing)
    assert ids_of(signed) == ids_of(own) == ids
    assert stated(signed) == stated(own)
    assert all(item.signature and item.timestamp and item.hold_reason is None for item in signed)
    assert [item.prepared.targets for item in signed] == [item.prepared.targets for item in own]
    # What is sealed already is left out.
    assert await commit_seals(ids[:1], asked.sealing, signing.sign) == ids[:1]
    assert ids_of(await signing.sign(ids, asked.sealing)) == ids[1:]
    for language in ("fr", "de"):
        await bound(asked.api, f"Bound {language}", f"{language}@example.org", language=language)
    ids = [UUID(notice["id"]) for notice in await released(asked.api, await announce(asked.api))]
    signed, own = await signing.sign(ids, asked.sealing), await sign_notices(ids, asked.sealing)
    assert len(signed) == len(ids)
    assert stated(signed) == stated(own)


# -- what becomes of it


async def test_a_process_that_is_killed_costs_time_only_and_the_operator_reads_of_it(data_folder, service_log):
    async with service_of(data_folder) as (running, api):
        process = running.parts.worker.signing_process
        await process.start()
        os.kill(process.pid, signal.SIGKILL)
        await registered(running, LARGE)
        await scenario.release(api, await scenario.declare(api, **GRAVE))
        await running.sink.wait_for(LARGE, timeout_seconds=120)
        assert "large releases take longer: the signing process has ended" in running.parts.worker.health()
        # No further one is tried for some minutes.
        assert process.start() is None
    assert "signing_process.failed" in service_log.getvalue()


async def test_a_process_that_hangs_costs_time_only(asked):
    process = SigningProcess(asked.parts, answer_seconds=0.5)
    await process.start()
    ids = await asked.release()
    pid = process.pid
    os.kill(pid, signal.SIGSTOP)
    assert ids_of(await process.sign(ids, asked.sealing)) == ids
    await gone(pid)
    assert process.pid is None
    assert "large releases take longer: the signing process gave no answer for 0.5 s" in process.health()
    await process.aclose()


async def test_an_answer_that_nobody_waits_for_is_never_taken_for_another(asked, signing):
    ids = await asked.release()
    os.kill(signing.pid, signal.SIGSTOP)
    pid = signing.pid
    given_up = asyncio.create_task(signing.sign(ids[:2], asked.sealing))
    # Its first step asks the process.
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    await gone(pid)
    assert ids_of(await signing.sign(ids[2:], asked.sealing)) == ids[2:]


async def test_it_ends_when_idle_and_starts_again(asked):
    process = SigningProcess(asked.parts, idle_seconds=0.01)
    ids = await asked.release(1)
    for _ in range(2):
        await process.start()
        if process.pid is not None:
            await gone(process.pid)
        assert process.pid is None
        assert process.health() is None
    assert ids_of(await process.sign(ids, asked.sealing)) == ids
    await process.aclose()


async def test_it_ends_with_the_process_that_started_it(asked):
    program = textwrap.dedent("""
        import asyncio, pickle, sys
        from service.delivery.signing_process import SigningProcess
        from service.system.logging import configure_logging

        async def main():
            process = SigningProcess(pickle.loads(sys.stdin.buffer.read()))
            await process.start()
            print(process.pid, flush=True)
            await asyncio.Event().wait()

        configure_logging()
        asyncio.run(main())
        """)
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    parent.stdin.write(frame(asked.parts)[LENGTH_BYTES:])
    parent.stdin.close()
    pid = int(await parent.stdout.readline())
    parent.kill()
    await parent.wait()
    await gone(pid)


# -- what it refuses


async def test_only_the_serving_process_says_that_a_notice_is_held(asked):
    # As if this process had read a certificate before it was replaced: only the serving process knows the new one.
    process = SigningProcess(replace(asked.parts, sender="other@provider.example"))
    await process.start()
    ids = await asked.release(1)
    (signed,) = await process.sign(ids, asked.sealing)
    assert signed.hold_reason is None
    assert "other@provider.example" in process.health()
    await process.aclose()


async def test_what_neither_can_sign_is_held_or_raised_and_the_process_stays(asked, signing):
    pid = signing.pid
    with pytest.raises(AttributeError):
        await signing.sign([None], asked.sealing)
    ids = await asked.release(1)
    settings = load_settings(asked.running.data)
    files = KeyFiles(settings.keys_dir, settings.trust_dir)
    files.signing_chain.write_text("damaged")
    # A signer that has read no file yet.
    signer = cms_signer(settings, files, key_passphrases(settings, load_masters(settings)), SystemClock())
    (signed,) = await signing.sign(ids, replace(asked.sealing, signer=signer))
    assert signed.hold_reason
    assert signing.pid == pid
    assert signing.health() is None


async def test_it_does_not_start_with_another_timestamp_key(asked):
    process = SigningProcess(replace(asked.parts, timestamp_certificate=b"another"))
    await process.start()
    assert process.pid is None
    assert "the key of the timestamp authority was replaced" in process.health()
    await process.aclose()
