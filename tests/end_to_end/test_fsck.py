"""``greffier fsck`` on a log that a whole service wrote: clean as it is; whatever is edited is found, and named."""

import json
import re
import shutil
import sqlite3
import tomllib
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from scenario import affected, customer, declare, release

from notifications.errors import InvalidInputError
from service.backup import log_keys
from service.cli import cli
from service.demo.environment import embedded_service
from service.fsck import check_log
from service.settings import load_settings

SERIOUS = {"impact": "I1", "criticality": "C1", "intent": "malicious", "cause": "attack"}


@pytest.fixture
async def served(data_folder, service_log):
    """The folder of a service that told two customers, each by mail and in the console, and has stopped."""
    async with embedded_service(data_folder, sequencer_period_seconds=0.01) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=30) as api:
            told = [await customer(api, name, ((f"{name}@example.org", "fr"),)) for name in ("eins", "deux")]
            incident = await declare(api, affected_customers=[affected(one) for one in told], **SERIOUS)
            await release(api, incident)
            await running.sink.wait_for(2)
            store = running.parts.store
            while (await store.read(lambda tx: tx.log_size())) < await store.read(_appended):
                await running.parts.sequencer.sequence_pending()
    return data_folder


def _appended(tx):
    return tx._session.one("SELECT count(*) FROM audit_entries")[0]


def checked(data, database=None):
    settings = load_settings(data)
    return check_log(database or settings.store_location(), log_keys(settings), settings.head_file)


def edit(database, *statements):
    """Change the database as somebody does who has its file: rules away, changes, rules back."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        changed = [connection.execute(statement).rowcount for statement in statements]
        for _, sql in triggers:
            connection.execute(sql)
    assert all(changed), f"nothing was changed: {changed}"


EDITS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "log_edits.toml").read_text())["edit"]


async def test_a_whole_log_is_clean_and_whatever_is_edited_is_found_and_named(served, tmp_path):
    report = checked(served)
    assert not report.differences, report.differences
    assert report.size > 20
    assert report.counts["sealed notices"] == report.counts["log proofs"] == report.counts["mails as sent"] == 2
    assert report.counts["delivery attempts"] == 4
    edited = tmp_path / "edited.sqlite3"
    for one in EDITS:
        shutil.copy(served / "greffier.sqlite3", edited)
        edit(edited, *one["statements"])
        found = checked(served, edited)
        hits = [item for item in found.differences if item.step == one["step"] and item.where.startswith(one["where"])]
        assert hits, f"{one['what']}: {[str(item) for item in found.differences]}"
        assert found.first is not None
    # The head that was published, and one of another history.
    shutil.copy(served / "greffier.sqlite3", edited)
    edit(edited, "DELETE FROM log_checkpoints WHERE size = (SELECT max(size) FROM log_checkpoints)")
    (published,) = (item for item in checked(served, edited).differences if item.step == "published head")
    assert published.what.endswith("was it restored from an older backup?")
    head = (served / "log-head").read_bytes()
    (served / "log-head").unlink()
    assert [item.step for item in checked(served).differences] == ["published head"]
    (served / "log-head").write_bytes(re.sub(rb"\n\d+\n", b"\n1\n", head))
    assert [item.step for item in checked(served).differences] == ["published head"]
    (served / "log-head").write_bytes(head)
    # The rules that keep rows as they are.
    shutil.copy(served / "greffier.sqlite3", edited)
    with closing(sqlite3.connect(edited, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER log_nodes_no_update")
    first = checked(served, edited).first
    assert str(first) == "append-only rules: log_nodes_no_update does not stand as it was written"
    _the_command_says_so(served)


def _the_command_says_so(served):
    run = partial(CliRunner().invoke, cli)
    clean = run(["fsck", "--data", str(served)])
    assert (clean.exit_code, "clean: " in clean.stdout) == (0, True), clean.stderr
    edit(served / "greffier.sqlite3", "UPDATE log_nodes SET hash = zeroblob(32) WHERE level = 0 AND node_index = 5")
    found = run(["fsck", "--data", str(served)])
    assert found.exit_code == 1
    assert "the first difference is tree: node 5 of level 0, over the entries 5 to 5 is not the hash" in found.stderr
    told = json.loads(run(["fsck", "--data", str(served), "--json"]).stdout)
    assert told["clean"] is False
    assert [item["step"] for item in told["differences"]] == ["tree"]


def test_a_folder_that_is_none_is_wrong_input(tmp_path):
    answer = CliRunner().invoke(cli, ["fsck", "--data", str(tmp_path)])
    assert isinstance(answer.exception, InvalidInputError)
