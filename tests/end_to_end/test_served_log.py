"""The log as others get it: over HTTP and as files, rebuilt by them, verified with what they pinned."""

import asyncio
import base64
import io
import subprocess
import zipfile

import httpx2
import pytest

from notifications.audit.checkpoint import parse_checkpoint_note, verify_checkpoint
from notifications.audit.merkle import leaf_hash, root_of, tree_root, verify_consistency, verify_inclusion
from notifications.audit.note import parse_verifier_key
from notifications.audit.proof import parse_proof
from notifications.audit.tile_reading import TileNodes, width_in
from notifications.audit.tiles import Tile, parse_entry_bundle, tile_path
from service.cli.demo.environment import embedded_service
from support import scenario
from support.commands import run
from support.commits import until
from support.scenario import ok

GRAVE = {"intent": "malicious", "cause": "attack", "impact": "I1", "criticality": "C1"}


async def grown(api, count):
    """Make the log grow by some hundred entries."""
    await asyncio.gather(*(scenario.customer(api, f"Client {number}") for number in range(count)))


async def checkpoint_of(client, more_than=0):
    """Return the latest checkpoint as it is served, once it covers more than so many entries."""

    async def look():
        answer = await client.get("/log/checkpoint")
        assert answer.status_code == 200, answer.text
        return answer if parse_checkpoint_note(answer.content).size > more_than else None

    return await until(client.running.parts.store, look)


async def stamped_sizes(served, at_least):
    """Wait until so many heads were timestamped; returns their sizes as they are served."""

    async def look():
        answer = await served.get("/log/timestamped/sizes")
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "private, no-cache")
        sizes = [int(line) for line in answer.text.splitlines()]
        return sizes if len(sizes) >= at_least else None

    return await until(served.running.parts.store, look)


def verify_with_openssl(folder, token, content, data_folder):
    """Let openssl verify a token over some bytes."""
    (folder / "token").write_bytes(token)
    (folder / "content").write_bytes(content)
    command = ["openssl", "ts", "-verify", "-in", folder / "token", "-data", folder / "content"]
    ran = subprocess.run([*command, "-CAfile", data_folder / "trust" / "tsa.pem"], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr


def greffier(*arguments):
    return run(*arguments, text=False)


@pytest.fixture
async def served(data_folder, service_log):
    async with embedded_service(data_folder, log__batch_seconds=0) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with (
            httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=60) as client,
            httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=60) as client.api,
        ):
            client.running = running
            yield client


async def test_the_tree_is_rebuilt_from_what_is_served(served, data_folder):
    api = served.api
    await grown(api, 90)
    answer = await checkpoint_of(served, more_than=257)  # more than a tile
    assert answer.headers["cache-control"] == "private, no-cache"
    key = parse_verifier_key((await served.get("/log/log.vkey")).text.strip())
    assert key.text() == (data_folder / "trust" / "log.vkey").read_text().strip()
    checkpoint = verify_checkpoint(answer.content, key)

    tiles = {}
    for level in (None, 0, 1):
        number = 0
        while width := width_in(checkpoint.size, level, number):
            tile = Tile(level, number, width)
            found = await served.get(f"/log/{tile_path(tile)}")
            assert found.status_code == 200, tile
            assert found.headers["cache-control"] == "private, max-age=31536000, immutable"
            assert found.headers["content-type"] == "application/octet-stream"
            tiles[tile] = found.content
            number += 1
    entries = [entry for tile, content in tiles.items() if tile.level is None for entry in parse_entry_bundle(content)]
    assert len(entries) == checkpoint.size
    assert root_of([leaf_hash(entry) for entry in entries]) == checkpoint.root
    assert tree_root(checkpoint.size, TileNodes(checkpoint.size, tiles.__getitem__)) == checkpoint.root

    # The log grew by nobody's act but ours; a partial tile of an older checkpoint is served on.
    await grown(api, 1)
    old = next(tile for tile in tiles if tile.level == 0 and tile.width < 256)
    again = await served.get(f"/log/{tile_path(old)}")
    assert again.content == tiles[old]
    same = await served.get(f"/log/{tile_path(old)}", headers={"If-None-Match": again.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["0/999", "0/000.p/0", "0/000.p/257", "0/0", "9/000", "x/000", "entries/999", "entries/../0/000", "0/000.p/1/", ""],
)
async def test_what_is_no_tile_of_the_tree_is_not_found(served, path):
    answer = await served.get(f"/log/tile/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["cache-control"] == "no-store"


async def test_strangers_get_it_where_the_settings_say_so_and_not_elsewhere(data_folder, served):
    async with httpx2.AsyncClient(base_url=served.base_url, timeout=120) as stranger:
        for path in (
            "checkpoint",
            "timestamped/sizes",
            "timestamped/1.tsr",
            "log.vkey",
            "tile/0/000.p/1",
            "tile/entries/000.p/1",
        ):
            assert (await stranger.get(f"/log/{path}")).status_code == 401


async def test_a_public_log_is_for_everybody_and_for_browsers(data_folder, service_log):
    async with (
        embedded_service(data_folder, log__batch_seconds=0, log__public=True) as running,
        httpx2.AsyncClient(base_url=running.url, timeout=120) as stranger,
    ):
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            await scenario.customer(api)
        for path in ("checkpoint", "timestamped/sizes", "log.vkey", "tile/0/000.p/1", "tile/entries/000.p/1"):
            answer = await stranger.get(f"/log/{path}")
            assert answer.status_code == 200
            assert answer.headers["cache-control"].startswith("public, ")
            assert answer.headers["access-control-allow-origin"] == "*"
        assert (await stranger.get("/api/v1/audit/entries")).status_code == 401


async def test_exported_files_prove_what_the_service_proves(served, data_folder, tmp_path):
    api = served.api
    await grown(api, 3)
    await checkpoint_of(served)
    folder = tmp_path / "log"
    first = await asyncio.to_thread(greffier, "log", "export", folder, "--data", data_folder)
    assert first.returncode == 0, first.stderr
    old = parse_checkpoint_note((folder / "checkpoint").read_bytes())
    await ok(api.post("/incidents", json=scenario.facts(**GRAVE)))
    await grown(api, 80)
    await checkpoint_of(served, more_than=old.size)
    again = await asyncio.to_thread(greffier, "log", "export", folder, "--data", data_folder)
    assert again.returncode == 0, again.stderr
    note = (folder / "checkpoint").read_bytes()
    new = verify_checkpoint(note, parse_verifier_key((folder / "log.vkey").read_text().strip()))
    assert new.size > old.size
    assert not list(folder.rglob("*.new"))
    assert not list(folder.rglob(".*"))

    for source in (("--log", folder), ("--data", data_folder)):
        shown = await asyncio.to_thread(greffier, "log", "proof", old.size, *source)
        assert shown.returncode == 0, shown.stderr
        proof = parse_proof(shown.stdout)
        under = parse_checkpoint_note(proof.checkpoint)
        bundle = (folder / tile_path(Tile(None, 0, width_in(new.size, None, 0)))).read_bytes()
        leaf = parse_entry_bundle(bundle)[old.size]
        verify_inclusion(leaf_hash(leaf), proof.index, under.size, proof.hashes, under.root)
        grew = await asyncio.to_thread(greffier, "log", "consistency", old.size, new.size, *source)
        hashes = [base64.b64decode(line) for line in grew.stdout.splitlines()]
        verify_consistency(old.size, old.root, new.size, new.root, hashes)
    beyond = await asyncio.to_thread(greffier, "log", "proof", new.size, "--log", folder)
    assert (beyond.returncode, beyond.stdout) == (2, b"")
    assert beyond.stderr.count(b"\n") == 1


async def test_a_folder_of_another_history_is_not_written_to(served, data_folder, tmp_path):
    api = served.api
    await scenario.customer(api)
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "checkpoint").write_text("else.example/log\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n")
    refused = await asyncio.to_thread(greffier, "log", "export", folder, "--data", data_folder)
    assert refused.returncode == 2
    assert b"is not of this log" in refused.stderr
    assert [path.name for path in folder.iterdir()] == ["checkpoint"]


async def test_timestamped_heads_are_served_exported_and_bundled_and_openssl_takes_them(served, data_folder, tmp_path):
    await scenario.customer(served.api)
    sizes = await stamped_sizes(served, 1)
    assert sizes == sorted(sizes)
    size = sizes[-1]
    note = await served.get(f"/log/timestamped/{size}.checkpoint")
    token = await served.get(f"/log/timestamped/{size}.tsr")
    assert token.headers["content-type"] == "application/timestamp-reply"
    assert token.headers["cache-control"] == "private, max-age=31536000, immutable"
    key = parse_verifier_key((data_folder / "trust" / "log.vkey").read_text().strip())
    stamped = verify_checkpoint(note.content, key)
    assert stamped.size == size
    verify_with_openssl(tmp_path, token.content, note.content, data_folder)
    for path in (f"{size + 9999}.tsr", "0.tsr", "x.checkpoint", f"{10**30}.tsr", f"{size}", ""):
        missing = await served.get(f"/log/timestamped/{path}")
        assert missing.status_code in {404, 422}, path
        assert missing.headers["content-type"].startswith("application/problem+json")

    folder = tmp_path / "log"
    for _ in range(2):
        ran = await asyncio.to_thread(greffier, "log", "export", folder, "--data", data_folder)
        assert ran.returncode == 0, ran.stderr
    exported = [int(line) for line in (folder / "timestamped" / "sizes").read_text().splitlines()]
    assert size in exported
    assert (folder / "timestamped" / f"{size}.checkpoint").read_bytes() == note.content
    assert (folder / "timestamped" / f"{size}.tsr").read_bytes() == token.content
    # The timestamped head is one of the history that is exported.
    now = parse_checkpoint_note((folder / "checkpoint").read_bytes())
    grew = await asyncio.to_thread(greffier, "log", "consistency", size, now.size, "--log", folder)
    hashes = [base64.b64decode(line) for line in grew.stdout.splitlines()]
    verify_consistency(size, stamped.root, now.size, now.root, hashes)


async def test_a_bundle_is_under_the_timestamped_head_that_covers_it(data_folder, service_log, tmp_path):
    # Every newer head is timestamped, as often as the duty looks.
    async with embedded_service(data_folder, log__batch_seconds=0, log__timestamp_every_seconds=0.001) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with (
            httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=60) as client,
            httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=60) as api,
        ):
            client.running = running
            incident = await ok(api.post("/incidents", json=scenario.facts(**GRAVE)))
            ran = await asyncio.to_thread(
                greffier, "bundle", "--data", data_folder, "--incident", incident["ticket"], "-o", tmp_path / "first"
            )
            assert ran.returncode == 0, ran.stderr
            # Work on the incident may go on for a moment: a bundle is asked for until no entry is newer than a token.
            async with asyncio.timeout(60):
                parts = {}
                while "checkpoint.tsr" not in parts:
                    covered = await client.running.parts.store.read(lambda tx: tx.log.size())
                    sizes = await stamped_sizes(client, 1)
                    while sizes[-1] < covered:
                        sizes = await stamped_sizes(client, len(sizes) + 1)
                    made = await api.get("/audit/bundle", params={"incident_id": incident["id"]})
                    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
                        parts = {name: archive.read(name) for name in archive.namelist()}
    token, note = parts["checkpoint.tsr"], parts["checkpoint"]
    verify_with_openssl(tmp_path, token, note, data_folder)
    (tmp_path / "bundle.zip").write_bytes(made.content)
    said = await asyncio.to_thread(greffier, "verify", tmp_path / "bundle.zip", "--trust", data_folder / "trust")
    assert said.returncode == 0, said.stdout
    assert b", timestamped 20" in said.stdout


async def test_an_authority_that_is_away_holds_up_neither_log_nor_pages(data_folder, service_log):
    async with embedded_service(
        data_folder,
        log__batch_seconds=0,
        timestamps__url="http://127.0.0.1:9",
        timestamps__ca_file=data_folder / "trust" / "ca.pem",
        metrics__port=0,
    ) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=running.url, headers=headers, timeout=60) as client:
            async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=60) as api:
                await grown(api, 3)
            client.running = running
            await checkpoint_of(client, more_than=3)
            assert (await client.get("/log/timestamped/sizes")).content == b""
            assert (await client.get("/log/timestamped/1.tsr")).status_code == 404
            none_yet = figures = "\ngreffier_log_timestamp_failures_total 0.0"
            async with asyncio.timeout(30):
                while none_yet in figures:
                    figures = (await client.get("/metrics")).text
            assert running.parts.probes["log"]() is None
    assert "\ngreffier_log_timestamp_failures_total" in figures
    assert "\ngreffier_log_timestamp_age_seconds " not in figures
    assert "head.not_timestamped" in service_log.getvalue()


def test_what_is_asked_wrongly_is_one_line(tmp_path):
    for arguments in (["proof", "0"], ["proof", "0", "--log", tmp_path], ["consistency", "1", "0", "--log", tmp_path]):
        said = greffier("log", *arguments)
        assert said.returncode == 2
        assert said.stderr.count(b"\n") == 1
