"""``greffier fsck`` on a log that a whole service wrote: clean as it is; whatever is edited is found, and named."""

import json
import os
import re
import shutil
import sqlite3
import tomllib
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx2
import psycopg
import pytest
from click.testing import CliRunner

from notifications.delivery.acknowledgement import AcknowledgedVia
from notifications.errors import InvalidInputError
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.acknowledge_notice import acknowledge_notice
from service.audit_log.backup import log_keys
from service.audit_log.fsck.check import check_log
from service.audit_log.fsck.heads import ExternalHeads
from service.cli.demo.environment import embedded_service
from service.cli.main import cli
from service.cli.verify import load_trust
from service.settings import load_settings
from service.system.logging import SystemIdentifiers
from support.commits import until
from support.postgresql_server import postgresql_server
from support.scenario import affected, customer, declare, release

SERIOUS = {"impact": "I1", "criticality": "C1", "intent": "malicious", "cause": "attack"}


class Served:
    """The data of a service that told two customers and has stopped, on one engine."""

    def __init__(self, folder, address):
        self.folder, self.address = folder, address
        self.settings = load_settings(folder)

    def copy(self, tmp_path):
        """Return the address of a copy of the database."""
        if self.address is not None:
            return postgresql_server().copy_of(self.address)
        shutil.copy(self.folder / "greffier.sqlite3", tmp_path / "edited.sqlite3")
        return tmp_path / "edited.sqlite3"

    def environment(self):
        return {} if self.address is None else {"GREFFIER_DATABASE__URL": self.address}

    def checked(self, database=None):
        location = database or self.address or self.settings.store_location()
        others = ExternalHeads(load_trust(self.folder / "trust").timestamp_roots)
        return check_log(location, log_keys(self.settings), self.settings.head_file, others=others)


@pytest.fixture(params=["sqlite", "postgresql"])
async def served(request, data_folder, service_log):
    """A service that told two customers by mail and in the console, one of which acknowledged, and has stopped."""
    address = None if request.param == "sqlite" else postgresql_server().database()
    shared = {} if address is None else {"database__url": address}
    async with embedded_service(data_folder, log__batch_seconds=0.01, **shared) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            told = [await customer(api, name, ((f"{name}@example.org", "fr"),)) for name in ("eins", "deux")]
            incident = await declare(api, affected_customers=[affected(one) for one in told], **SERIOUS)
            notices = await release(api, incident)
            await running.sink.wait_for(2)
            store = running.parts.store
            identifiers = SystemIdentifiers()
            await store.write(
                lambda tx: acknowledge_notice(
                    tx, AuditContext("account:zoe", datetime.now(UTC), identifiers), UUID(notices[0]["id"]),
                    via=AcknowledgedVia.CONSOLE, note="Reçu",
                )
            )  # fmt: skip
            while (await store.read(lambda tx: tx.log.size())) < await store.read(_appended):
                await running.parts.sequencer.sequence_pending()
            await until(store, lambda: store.read(lambda tx: tx.log.timestamped_sizes()), seconds=20)
    return Served(data_folder, address)


def _appended(tx):
    return tx._session.one("SELECT count(*) FROM audit_entries")[0]


def edit(database, *statements):
    """Change the database as somebody does who has its file, or owns it: rules away, changes, rules back."""
    if isinstance(database, str):
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            changed = [connection.execute(in_words_of_postgresql(statement)).rowcount for statement in statements]
    else:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            changed = [connection.execute(statement).rowcount for statement in statements]
            for _, sql in triggers:
                connection.execute(sql)
    assert all(changed), f"nothing was changed: {changed}"


def in_words_of_postgresql(statement):
    """Return an edit of the file's engine as the other one takes it."""
    for ours, theirs in (
        (r"instr\((.*?), ('[^']*')\)", r"strpos(\1, \2) > 0"),
        (r"CAST\((\w+) AS TEXT\)", r"convert_from(\1, 'UTF8')"),
        (r"CAST\((.*?) AS BLOB\)", r"convert_to(\1, 'UTF8')"),
        (r"zeroblob\((\d+)\)", r"decode(repeat('00', \1), 'hex')"),
        (r"rowid = 1", r"ctid = (SELECT min(ctid) FROM sent_messages)"),
        (r"\(1 << level\)", r"(1 << level::int)"),
    ):
        statement = re.sub(ours, theirs, statement)
    return statement


EDITS = tomllib.loads((Path(__file__).parents[1] / "vectors" / "log_edits.toml").read_text())["edit"]


async def test_a_whole_log_is_clean_and_whatever_is_edited_is_found_and_named(served, tmp_path):
    report = served.checked()
    assert not report.differences, report.differences
    assert report.size > 20
    assert report.counts["sealed notices"] == report.counts["log proofs"] == report.counts["mails as sent"] == 2
    assert report.counts["delivery attempts"] == 4
    assert (report.counts["decisions"], report.counts["acknowledgements"], report.counts["head timestamps"]) == (
        2,
        1,
        1,
    )
    assert report.counts["facts of incidents"] == 3
    missed = []
    for one in EDITS:
        edited = served.copy(tmp_path)
        edit(edited, *one["statements"])
        found = served.checked(edited)
        hits = [item for item in found.differences if item.step == one["step"] and item.where.startswith(one["where"])]
        if not hits:
            missed.append(f"{one['what']}: {[str(item) for item in found.differences]}")
    assert missed == []
    # The head that was published, and one of another history.
    edited = served.copy(tmp_path)
    edit(edited, "DELETE FROM log_checkpoints WHERE size = (SELECT max(size) FROM log_checkpoints)")
    (published,) = (item for item in served.checked(edited).differences if item.step == "published head")
    assert published.what.endswith("was it restored from an older backup?")
    head_file = served.folder / "log-head"
    head = head_file.read_bytes()
    head_file.unlink()
    assert [item.step for item in served.checked().differences] == ["published head"]
    head_file.write_bytes(re.sub(rb"\n\d+\n", b"\n1\n", head))
    assert [item.step for item in served.checked().differences] == ["published head"]
    head_file.write_bytes(head)
    # The rules that keep rows as they are.
    edited = served.copy(tmp_path)
    if served.address is None:
        with closing(sqlite3.connect(edited, isolation_level=None)) as connection:
            connection.execute("DROP TRIGGER log_nodes_no_update")
        named = "log_nodes_no_update"
    else:
        with psycopg.connect(edited, autocommit=True) as connection:
            connection.execute("ALTER TABLE log_nodes DISABLE TRIGGER log_nodes_no_change")
        named = "log_nodes.log_nodes_no_change"
    assert str(served.checked(edited).first) == f"append-only rules: {named} is missing or was changed"
    _the_command_says_so(served)


def _the_command_says_so(served):
    run = partial(CliRunner(env=served.environment()).invoke, cli)
    clean = run(["fsck", "--data", str(served.folder)])
    assert (clean.exit_code, "clean: " in clean.stdout) == (0, True), clean.stderr
    database = served.address or served.folder / "greffier.sqlite3"
    # What was clean is read again, also if the file has the time that it had.
    had = None if served.address is not None else database.stat()
    edit(database, "UPDATE log_nodes SET hash = zeroblob(32) WHERE level = 0 AND node_index = 5")
    if had is not None:
        os.utime(database, ns=(had.st_atime_ns, had.st_mtime_ns))
    found = run(["fsck", "--data", str(served.folder)])
    assert found.exit_code == 1
    assert "the first difference is tree: node 5 of level 0, over the entries 5 to 5 is not the hash" in found.stderr
    told = json.loads(run(["fsck", "--data", str(served.folder), "--json"]).stdout)
    assert told["clean"] is False
    assert [item["step"] for item in told["differences"]] == ["tree"]


def test_a_folder_that_is_none_is_wrong_input(tmp_path):
    answer = CliRunner().invoke(cli, ["fsck", "--data", str(tmp_path)])
    assert isinstance(answer.exception, InvalidInputError)
