"""Witnesses with ML-DSA-44 keys, run as processes: their lines are served, exported and checked by a trust policy."""

import asyncio
import contextlib
import json
import os
import re
import sqlite3

import httpx2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.checkpoint import verify_cosignature
from notifications.audit.note import COSIGNATURE_V1, MLDSA_44, parse_note, parse_verifier_key, verifier_key
from notifications.audit.policy import parse_policy, verify_policy
from service.cli.demo.environment import embedded_service
from support import scenario
from support.commands import run
from support.processes import greffier

BOTH, ML_DSA = "witness.customer.example", "witness.authority.example"


def command(*arguments, **settings):
    return run(
        *arguments, environment=os.environ | {f"GREFFIER_{name.upper()}": value for name, value in settings.items()}
    )


@contextlib.asynccontextmanager
async def witnesses(folder, log_vkey):
    """Run one witness with both keys and one with ML-DSA-44 only; yields their settings."""
    async with contextlib.AsyncExitStack() as stack:
        settings = []
        for name, algorithm in ((BOTH, "both"), (ML_DSA, "mldsa44")):
            made = await asyncio.to_thread(
                command, "witness", "init", "--data", folder / name, "--name", name, "--log", log_vkey,
                "--algorithm", algorithm,
            )  # fmt: skip
            assert made.stdout == (folder / name / "witness.vkey").read_text(), made.stderr
            running = await stack.enter_async_context(
                greffier("witness", "--data", folder / name, "--port", 0, up=False)
            )
            port = re.search(r":(\d+)/add-checkpoint", await running.line(rf"^witness {name} at http"))[1]
            settings.append(f"http://127.0.0.1:{port} {' '.join(made.stdout.split())}")
        yield settings


async def exported_once_cosigned(running, keys, folder, data, cosigners):
    """Export the log after each commit until the checkpoint of the export has a line of each key."""
    changed = asyncio.Event()
    running.parts.store.on_commit.append(lambda _kinds: changed.set())
    async with asyncio.timeout(60):
        while True:
            arguments = ("log", "export", folder, "--data", data)
            exported = await asyncio.to_thread(command, *arguments, witnesses__cosigners=cosigners)
            assert exported.returncode == 0, exported.stderr
            note = (folder / "checkpoint").read_bytes() if (folder / "checkpoint").exists() else b""
            lines = {line.key_id for line in parse_note(note).signatures} if note else set()
            if all(key.id in lines for key in keys):
                return note
            await changed.wait()
            changed.clear()


def edited(folder, statement, values=()):
    """Change the database as somebody does who has its file."""
    with contextlib.closing(sqlite3.connect(folder / "greffier.sqlite3", isolation_level=None)) as connection:
        rules = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in rules:
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(statement, values).rowcount
        for _, sql in rules:
            connection.execute(sql)


async def test_the_lines_of_both_algorithms_meet_the_exported_policy(data_folder, service_log, tmp_path):
    trust, folder = data_folder / "trust", tmp_path / "log"
    async with witnesses(tmp_path / "witnesses", trust / "log.vkey") as settings:
        keys = [parse_verifier_key(text) for setting in settings for text in setting.split()[1:]]
        assert [(key.name, key.kind) for key in keys] == [(BOTH, COSIGNATURE_V1), (BOTH, MLDSA_44), (ML_DSA, MLDSA_44)]
        quick = {"log__batch_seconds": 0, "witnesses__period_seconds": 0, "log__public": True}
        async with embedded_service(data_folder, witnesses__cosigners=tuple(settings), **quick) as running:
            headers = {"Authorization": f"Bearer {running.token}"}
            async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
                await scenario.customer(api)
            cosigners = json.dumps(settings)
            note = await exported_once_cosigned(running, keys, folder, data_folder, cosigners)
            assert len({verify_cosignature(note, key) for key in keys[:2]}) == 1, "one witness, one time"
    # Offline.
    policy = folder / "log.policy"
    assert policy.read_text().endswith(f"group +witnesses all {BOTH} {ML_DSA}\nquorum +witnesses\n")
    stated = parse_policy(policy.read_bytes())
    assert verify_policy(note, stated) == (f"{BOTH}+ed25519", f"{BOTH}+mldsa44", ML_DSA)

    def audit(policy_file):
        said = command("audit", "--log", folder, "--trust", trust, "--policy", policy_file, "--json")
        return said.returncode, said.stdout or said.stderr

    code, said = audit(policy)
    assert (code, json.loads(said)["policy"]) == (0, True), said
    _, _, block = (folder / "checkpoint").read_text().partition("\n\n")
    one = next(line for line in block.splitlines() if ML_DSA in line)
    whole = (folder / "checkpoint").read_text()
    (folder / "checkpoint").write_text(whole.replace(f"{one}\n", ""))
    code, said = audit(policy)
    assert code == 2
    assert (
        f"the quorum '+witnesses' is not met: it needs 2 of 2, and 1 cosigned the checkpoint; without: '{ML_DSA}'"
        in (said)
    )
    (folder / "checkpoint").write_text(whole.replace(one, one[:-30] + ("A" if one[-30] != "A" else "B") + one[-29:]))
    code, said = audit(policy)
    assert (code, f"witness '{ML_DSA}': the signature of {ML_DSA} is wrong" in said) == (2, True), said
    (tmp_path / "wrong.policy").write_text("quorum +witnesses\n")
    code, said = audit(tmp_path / "wrong.policy")
    assert (code, "policy: line 1: '+witnesses' is no witness and no group of the lines before" in said) == (2, True)
    # A number instead of all.
    some, many = (
        command(
            "log", "export", tmp_path / number, "--data", data_folder,
            witnesses__cosigners=cosigners, witnesses__quorum=number,
        )
        for number in ("1", "3")
    )  # fmt: skip
    assert some.returncode == 0, some.stderr
    assert f"group +witnesses 1 {BOTH} {ML_DSA}\n" in (tmp_path / "1" / "log.policy").read_text()
    assert (many.returncode, "quorum is 3, and there are 2 cosigners" in many.stderr) == (2, True), many.stderr

    def fsck():
        said = command("fsck", "--data", data_folder, "--processes", "1", "--json", witnesses__cosigners=cosigners)
        return json.loads(said.stdout)

    found = fsck()
    assert (found["clean"], found["compared"]["cosignatures"] > 0) == (True, True), found
    # Within the ML-DSA-44 line of a witness that has two lines.
    edited(
        data_folder,
        "UPDATE checkpoint_cosignatures SET line = substr(line, 1, length(line) - 1000) || 'AAAA' || substr(line, -996)"
        " WHERE witness = ?",
        (BOTH,),
    )
    (difference,) = fsck()["differences"]
    assert difference["where"].startswith(f"cosignature of {BOTH} under the head of size"), difference
    assert difference["what"] == f"the signature of {BOTH} is wrong"
    # A bundle, whose checkpoint no stranger cosigned.
    stranger = verifier_key("stranger.example", Ed25519PrivateKey.generate(), COSIGNATURE_V1)
    (tmp_path / "stranger.policy").write_text(f"witness s {stranger.text()}\nquorum s\n")
    (tmp_path / "none.policy").write_text("quorum none\n")
    bundle = tmp_path / "all.zip"
    made = command("bundle", "--data", data_folder, "--period", "2000-01-01/", "-o", bundle)
    assert made.returncode == 0, made.stderr
    ok, refused, mail = (
        command("verify", file, "--trust", trust, "--policy", tmp_path / name)
        for file, name in ((bundle, "none.policy"), (bundle, "stranger.policy"), (policy, "none.policy"))
    )
    assert (ok.returncode, "meets the policy with 0 of 0 witnesses" in ok.stdout) == (0, True), ok.stdout + ok.stderr
    assert (refused.returncode, "witness 's' did not cosign the checkpoint" in refused.stdout) == (1, True), (
        refused.stdout
    )
    assert (mail.returncode, "policy: is for bundles" in mail.stderr) == (2, True), mail.stderr
