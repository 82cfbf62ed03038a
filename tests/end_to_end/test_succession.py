"""The way out of a log that refuses to sign: a new log names what was lost, and the old one stays as it is."""

import asyncio
import hashlib
import shutil
import sqlite3
from contextlib import closing
from email import message_from_bytes

import httpx2
import pytest

from notifications.audit.checkpoint import verify_checkpoint
from notifications.audit.entry import parse_leaf
from notifications.errors import LogUnavailableError
from notifications.ports import Page
from service.audit_log.backup import log_keys
from service.cli.demo.environment import embedded_service
from service.settings import load_settings
from service.store import open_store
from support.commands import run as greffier
from support.scenario import affected, customer, declare, release

SERIOUS = {"impact": "I1", "criticality": "C1", "intent": "malicious", "cause": "attack"}
REASON = "the disk of the database was lost, and with it two days"


def succeed(new, old, *more, reason=REASON):
    return greffier("succeed-log", "--data", new, "--old", old, "--reason", reason, *more)


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def client(running):
    headers = {"Authorization": f"Bearer {running.token}"}
    return httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120)


async def told(folder, name):
    """Run the service of a folder until a customer holds a notice; returns the mail."""
    async with embedded_service(folder, log__batch_seconds=0) as running, client(running) as api:
        incident = await declare(api, affected_customers=[affected(await customer(api, name))], **SERIOUS)
        await release(api, incident)
        mails, seen = [], 0
        while not mails:
            seen += 1
            received = await running.sink.wait_for(seen)
            mails = [mail.content for mail in received if mail.recipients == ("rssi@valmont.example",)]
        return mails[0]


@pytest.fixture
async def lost(data_folder, service_log):
    """A folder whose database was restored from before the last notice, that notice, and the one before."""
    first = await told(data_folder, "First")
    with closing(sqlite3.connect(data_folder / "greffier.sqlite3")) as database:
        (kept,) = database.execute("SELECT max(size) FROM log_checkpoints").fetchone()
    backup = (data_folder / "greffier.sqlite3").read_bytes()
    second = await told(data_folder, "Second")
    assert not list(data_folder.glob("greffier.sqlite3-*")), "stopped, it leaves one file"
    (data_folder / "greffier.sqlite3").write_bytes(backup)
    return data_folder, kept, (first, second)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder for a new log, as init prepares it."""
    folder = tmp_path_factory.mktemp("begun") / "new"
    done = greffier("init", "--data", folder, "--log-origin", "demo-cloud.example/greffier-2")
    assert done.returncode == 0, done.stderr
    assert (folder / "trust" / "log.vkey").read_text().startswith("demo-cloud.example/greffier-2+")
    return folder


@pytest.fixture
def new(begun, tmp_path):
    return shutil.copytree(begun, tmp_path / "new")


async def refuses(folder):
    async with embedded_service(folder, log__batch_seconds=0) as running, client(running) as api:
        await api.post("/channels/email/pause", json={"reason": "after a restore"})
        with pytest.raises(LogUnavailableError, match="restored from an older backup"):
            await running.parts.sequencer.sequence_pending()


async def test_what_was_lost_is_named_in_a_new_log_that_signs_while_the_old_one_stays_as_it_is(lost, new, tmp_path):
    old, kept, mails = lost
    await asyncio.to_thread(shutil.copytree, old, tmp_path / "tried")
    await refuses(tmp_path / "tried")
    before, published = digests(old), (old / "log-head").read_bytes()

    done = await asyncio.to_thread(succeed, new, old)
    assert done.returncode == 0, done.stderr
    size = verify_checkpoint(published, *log_keys(load_settings(old))).size
    assert f"lost for good: entries {kept} to {size - 1}" in done.stdout
    assert digests(old) == before, "nothing of the old folder is changed"
    again = await asyncio.to_thread(succeed, new, old)
    assert (again.returncode, again.stderr.count("\n"), "says already" in again.stderr) == (2, 1, True)

    # The new log signs, with that on record; its own notices verify by its own trust folder.
    (tmp_path / "third.eml").write_bytes(await told(new, "Third"))
    verified = await asyncio.to_thread(greffier, "verify", tmp_path / "third.eml", "--trust", new / "trust")
    assert verified.returncode == 0, verified.stdout
    store = open_store(new / "greffier.sqlite3", migrate=False)
    subject = hashlib.sha256(load_settings(old).log.origin.encode()).hexdigest()
    (entry,), _ = await store.read(lambda tx: tx.audit.about("log", subject, Page(5)))
    opened = await store.read(lambda tx: tx.audit.openings(entry.entry_id))
    head = await store.read(lambda tx: tx.log.checkpoint())
    await store.close()
    assert entry.index < verify_checkpoint(head, *log_keys(load_settings(new))).size
    leaf = parse_leaf(entry.leaf)
    assert leaf.type == "log.succeeded"
    assert leaf.actor.startswith("operator:")
    named = ("old_origin", "kept_size", "kept_is_whole", "published_size", "lost_from", "lost_to")
    assert [leaf.detail[name] for name in named] == ["demo-cloud.example/greffier", kept, True, size, kept, size - 1]
    # Both heads stand in the record, byte by byte, and verify.
    keys = log_keys(load_settings(old))
    for name, of in (("published_head", size), ("kept_head", kept)):
        assert verify_checkpoint("\n".join(leaf.detail[name]).encode(), *keys).size == of
    assert opened["payload"][1] == f'{{"reason":"{REASON}"}}'.encode()

    # The old log refuses on; what it signed verifies on, that of the gap too.
    for number, mail in enumerate(mails):
        (tmp_path / f"{number}.eml").write_bytes(mail)
        assert message_from_bytes(mail)["Subject"]
        verified = await asyncio.to_thread(greffier, "verify", tmp_path / f"{number}.eml", "--trust", old / "trust")
        assert verified.returncode == 0, verified.stdout
        wrong = await asyncio.to_thread(greffier, "verify", tmp_path / f"{number}.eml", "--trust", new / "trust")
        assert wrong.returncode == 1
    await refuses(old)


async def test_a_database_that_was_changed_is_named_as_that(data_folder, new, service_log):
    await told(data_folder, "First")
    with closing(sqlite3.connect(data_folder / "greffier.sqlite3")) as database:
        (kept,) = database.execute("SELECT max(size) FROM log_checkpoints").fetchone()
        database.executescript(
            "DROP TRIGGER log_nodes_no_update; UPDATE log_nodes SET hash = zeroblob(32) WHERE level = 0;"
            "UPDATE log_nodes SET hash = zeroblob(32) WHERE level > 0;"
        )
    done = await asyncio.to_thread(succeed, new, data_folder)
    assert done.returncode == 0, done.stderr
    assert f"published {kept} entries, the database holds {kept}" in done.stdout
    assert "does not agree with its own latest head" in done.stdout
    assert "lost for good" not in done.stdout


async def test_what_is_no_such_case_is_refused_in_one_line_and_records_nothing(data_folder, new, tmp_path, service_log):
    await told(data_folder, "First")
    same_name, same_key = tmp_path / "same-name", tmp_path / "same-key"
    for folder, origin in ((same_name, "demo-cloud.example/greffier"), (same_key, "demo-cloud.example/other")):
        shutil.copytree(data_folder, folder)
        settings = (folder / "greffier.toml").read_text()
        (folder / "greffier.toml").write_text(settings.replace('"demo-cloud.example/greffier"', f'"{origin}"'))
    (tmp_path / "no-head").write_text("no head\n")
    (tmp_path / "foreign").write_text(
        "else.example/log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— else.example/log AAAA\n"
    )
    for arguments, word in (
        ((new, data_folder), "nothing is lost"),
        ((same_name, data_folder), "another name"),
        ((same_key, data_folder), "a key of its own"),
        ((new, data_folder, "--head", tmp_path / "no-head"), "is no head of demo-cloud.example/greffier"),
        ((new, data_folder, "--head", tmp_path / "foreign"), "is no head of demo-cloud.example/greffier"),
        ((new, data_folder, "--head", tmp_path / "nowhere"), "is not there"),
        ((new, tmp_path / "nowhere"), "nowhere"),
    ):
        done = await asyncio.to_thread(succeed, *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
        assert word in done.stderr
    unreasoned = await asyncio.to_thread(succeed, new, data_folder, reason=" ")
    assert (unreasoned.returncode, unreasoned.stderr.count("\n")) == (2, 1)
    assert not (new / "greffier.sqlite3").exists()
