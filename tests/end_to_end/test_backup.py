"""A backup made while the service serves and delivers; restored elsewhere it goes on, an older one signs nothing."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from email import message_from_bytes
from uuid import UUID

import httpx2
import pytest

from notifications.errors import LogUnavailableError
from service.cli.demo.environment import embedded_service
from support.clocks import SteppedClock
from support.commands import run, run_beside
from support.commits import until_read
from support.scenario import affected, customer, declare, ok, release

SERIOUS = {"impact": "I1", "criticality": "C1", "intent": "malicious", "cause": "attack"}
NOW = datetime.now(UTC)
APART = ("master.key", "keys", "trust", "greffier.toml", "api-token")


async def greffier(*arguments):
    done = await run_beside(*arguments)
    return done.returncode, done.stdout, done.stderr


def client(running):
    headers = {"Authorization": f"Bearer {running.token}"}
    return httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120)


def message_id(mail):
    return message_from_bytes(mail.content)["Message-ID"]


def states(tx, notice):
    return {item.channel.value: item.state.value for item in tx.deliveries.of_notice(UUID(notice["id"]))}


def restored(data, backup, folder, *, head):
    """Put a folder together as the documentation says: what was kept apart, the database, the published head."""
    folder.mkdir()
    for name in APART:
        source = data / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
    shutil.copy2(backup / "greffier.sqlite3", folder / "greffier.sqlite3")
    (folder / "log-head").write_bytes(head)
    return folder


async def test_a_backup_restored_elsewhere_goes_on_and_what_was_queued_goes_out(data_folder, tmp_path, service_log):
    # The clock stands still, so that nothing comes to the log by itself behind the backup.
    standing = {"clock": SteppedClock(), "log__batch_seconds": 0.01}
    async with embedded_service(data_folder, **standing) as running, client(running) as api:
        await ok(api.post("/channels/email/pause", json={"reason": "the relay moves"}))
        hospital = await customer(api)
        incident = await declare(api, affected_customers=[affected(hospital)], **SERIOUS)
        (notice,) = await release(api, incident)
        # Sealed, placed in the console, and all of it under a checkpoint.
        await until_read(
            running.parts.store,
            lambda tx: not tx.audit.pending(1) and states(tx, notice) == {"email": "queued", "console": "sent"},
        )
        code, out, err = await greffier("backup", tmp_path / "backup", "--data", data_folder)
        assert code == 0, err
        assert "master.key" in out
        assert running.sink.messages == []
    head = (data_folder / "log-head").read_bytes()
    folder = restored(data_folder, tmp_path / "backup", tmp_path / "restored", head=head)
    async with embedded_service(folder, log__batch_seconds=0.01) as running, client(running) as api:
        assert running.parts.sequencer.health() is None
        assert (await ok(api.get(f"/notices/{notice['id']}")))["state"] == "sealed"
        await ok(api.post("/channels/email/resume"))
        await until_read(running.parts.store, lambda tx: states(tx, notice)["email"] == "sent")
        (mail,) = (mail for mail in running.sink.messages if mail.recipients == ("rssi@valmont.example",))
        (folder / "served.eml").write_bytes(mail.content)
    code, out, err = await greffier("verify", folder / "served.eml", "--trust", data_folder / "trust")
    assert code == 0, out + err


async def test_a_backup_made_in_the_middle_of_work_is_whole_and_when_it_is_old_signs_nothing(
    data_folder, tmp_path, service_log
):
    async with embedded_service(data_folder, log__batch_seconds=0) as running, client(running) as api:
        customers = [await customer(api, f"Customer {number}") for number in range(10)]
        working, backed_up = asyncio.Event(), asyncio.Event()

        async def work():
            while not backed_up.is_set():
                incident = await declare(api, affected_customers=[affected(item) for item in customers], **SERIOUS)
                await release(api, incident)
                working.set()

        busy = asyncio.create_task(work())
        await working.wait()
        code, out, err = await greffier("backup", tmp_path / "backup", "--data", data_folder)
        assert code == 0, err
        assert not busy.done()
        backed_up.set()
        await busy
        await until_read(
            running.parts.store,
            # What is released and not sealed yet has nothing queued.
            lambda tx: (
                not tx.notices.released(1)
                and not any(queue.due + queue.leased for queue in tx.figures.collect(NOW).queues)
            ),
        )
        sent = {message_id(mail) for mail in running.sink.messages}
    said = json.loads((tmp_path / "backup" / "backup.json").read_text())
    assert f"{said['log_entries']} log entries" in out
    code, out, err = await greffier("backup", tmp_path / "backup", "--data", data_folder, "--verify")
    assert code == 0, err
    # Older than the head that was published since: nothing is signed, and the readiness says why.
    head = (data_folder / "log-head").read_bytes()
    folder = restored(data_folder, tmp_path / "backup", tmp_path / "restored", head=head)
    async with embedded_service(folder, log__batch_seconds=0) as running, client(running) as api:
        # It is found out as soon as there is something to sign.
        await api.post("/channels/email/pause", json={"reason": "after a restore"})
        with pytest.raises(LogUnavailableError):
            await running.parts.sequencer.sequence_pending()
        assert "restored from an older backup" in running.parts.sequencer.refusal
        ready = await api.get(f"{running.url}/readyz")
        assert ready.status_code == 503
        assert "older backup" in ready.json()["parts"]["log"]
        # What the customers are, and what happened, can still be read: it is what a new log begins with.
        assert len((await ok(api.get("/customers")))["items"]) == 10
        # What was queued then may go out again, and is what went out already: nothing new is told to anybody.
        assert {message_id(mail) for mail in running.sink.messages} <= sent


@pytest.fixture
async def backup(data_folder, tmp_path):
    async with embedded_service(data_folder, log__batch_seconds=0) as running, client(running) as api:
        await customer(api)
        await until_read(running.parts.store, lambda tx: not tx.audit.pending(1))
    folder = tmp_path / "backup"
    code, _, err = await greffier("backup", folder, "--data", data_folder)
    assert code == 0, err
    return folder


async def test_a_backup_holds_neither_keys_nor_head_and_is_the_owners_alone(backup):
    assert sorted(path.name for path in backup.iterdir()) == ["backup.json", "greffier.sqlite3"]
    assert [oct(path.stat().st_mode & 0o777) for path in (backup, *backup.iterdir())] == ["0o700", "0o600", "0o600"]
    said = json.loads((backup / "backup.json").read_text())
    assert "PRIVATE" not in json.dumps(said)


async def test_a_backup_that_was_changed_or_cut_short_is_found_out(backup, data_folder):
    database = backup / "greffier.sqlite3"
    whole = database.read_bytes()
    for broken in (whole[:-4096], whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], b""):
        database.write_bytes(broken)
        code, _, err = await greffier("backup", backup, "--data", data_folder, "--verify")
        assert code == 1
        assert "not the file that was backed up" in err
    database.write_bytes(whole)
    assert (await greffier("backup", backup, "--data", data_folder, "--verify"))[0] == 0


async def test_a_database_whose_log_was_rewritten_makes_no_backup(data_folder, backup, tmp_path):
    with closing(sqlite3.connect(data_folder / "greffier.sqlite3")) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("UPDATE log_nodes SET hash = zeroblob(32) WHERE level = 0 AND node_index = 0")
        connection.commit()
    code, _, err = await greffier("backup", tmp_path / "other", "--data", data_folder)
    assert code == 1
    assert "does not verify" in err
    assert not (tmp_path / "other" / "backup.json").exists()


@pytest.mark.parametrize("case", ["not empty", "no folder", "no backup"])
def test_a_wrong_input_is_one_line_and_exit_code_2(case, data_folder, tmp_path):
    arguments = {
        "not empty": (data_folder, "--data", data_folder),
        "no folder": (tmp_path / "backup", "--data", tmp_path / "nothing"),
        "no backup": (tmp_path, "--data", data_folder, "--verify"),
    }[case]
    done = run("backup", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("greffier: ")
    assert len(done.stderr.splitlines()) == 1
