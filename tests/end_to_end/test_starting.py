"""How ``greffier serve`` starts: the port first, one line where it cannot, and what is for demonstration is said."""

import asyncio
import json
import os
import signal
import socket

import pytest

from service.cli.demo.environment import embedded_service
from support.processes import greffier


def lines_of(running):
    return [line for line in running.lines if not line.startswith("{")]


async def refused(*arguments):
    async with greffier("serve", *arguments, up=False) as running:
        code = await running.end()
    return code, running.lines


async def test_a_port_in_use_ends_it_before_anything_is_made_or_started(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, lines = await refused("--data", tmp_path / "data", "--port", port)
    assert code == 2
    assert lines == [f"greffier: port: 127.0.0.1:{port} is in use by another process: stop it, or choose another port"]
    assert not (tmp_path / "data").exists()


async def test_a_host_that_is_not_this_machine_is_refused_in_one_line(tmp_path):
    code, lines = await refused("--data", tmp_path / "data", "--host", "192.0.2.1", "--port", 0)
    assert (code, lines) == (2, ["greffier: port: 192.0.2.1:0 is no address of this machine: choose another host"])


async def test_a_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    code, lines = await refused("--data", tmp_path / "file" / "data", "--port", 0)
    assert code == 2
    assert lines == [f"greffier: data: {tmp_path / 'file' / 'data'} cannot be made: Not a directory"]


async def test_the_demo_takes_its_port_first_too(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with greffier("demo", "--out", tmp_path / "out", "--port", port, up=False) as running:
            assert await running.end() == 2
    assert f"127.0.0.1:{port} is in use by another process" in running.lines[-1]


async def test_each_start_on_demonstration_keys_warns_loudly(tmp_path):
    for _ in range(2):
        async with greffier("serve", "--data", tmp_path / "data", "--port", 0) as running:
            await running.line("serving http")
            warnings = [line for line in lines_of(running) if line.startswith("WARNING, for demonstration only: ")]
            assert len(warnings) == 2
            assert "set signing.chain_file" in warnings[0]
            assert "set timestamps.url" in warnings[1]
            running.process.send_signal(signal.SIGTERM)
            assert await running.end() == 0


@pytest.mark.parametrize(
    ("language", "title"),
    [("en", "For demonstration only."), ("fr", "Pour démonstration uniquement."), ("de", "Nur zur Vorführung.")],
)
async def test_each_page_says_that_it_is_for_demonstration(running, language, title):
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(
        f"GET /sign-in HTTP/1.1\r\nHost: x\r\nAccept-Language: {language}\r\nConnection: close\r\n\r\n".encode()
    )
    page = (await reader.read()).decode()
    writer.close()
    assert title in page


async def test_with_an_authority_of_its_own_the_pages_speak_of_the_key_only(data_folder, tmp_path):
    authority = {"timestamps__url": "https://tsa.example/", "timestamps__ca_file": data_folder / "trust" / "tsa.pem"}
    async with embedded_service(data_folder, **authority) as running:
        assert running.app.state.demonstration == ("signing_key",)


async def test_an_open_folder_is_warned_of_and_its_files_are_its_owners(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    before = os.umask(0)
    try:
        async with greffier("serve", "--data", folder, "--port", 0) as running:
            warning = json.loads(await running.line("data_folder.open"))
            assert (warning["path"], warning["others"], warning["advice"]) == (str(folder), "055", "chmod 700")
            await running.line("serving http")
            # The log's head is published, as trust/ is. The first one can be written before this line or after it.
            public = {"tsa.pem", "log-head"}
            private = [
                path
                for path in folder.rglob("*")
                if path.is_file() and "trust" not in path.parts and path.name not in public
            ]
            assert {path.name: path.stat().st_mode & 0o077 for path in private} == {path.name: 0 for path in private}
            assert {"greffier.sqlite3", "api-token", "master.key", "greffier.toml"} <= {path.name for path in private}
    finally:
        os.umask(before)
