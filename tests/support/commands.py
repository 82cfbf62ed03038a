"""Commands of the service as processes of their own, by the fork server: real streams, signals and exit codes."""

import asyncio
import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

_TESTS = Path(__file__).parents[1]


@cache
def _server():
    """Return the address of the fork server of this process; it ends with it."""
    folder = tempfile.mkdtemp(prefix="greffier-fork-")
    atexit.register(shutil.rmtree, folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen(64)
        command = [sys.executable, "-m", "support.fork_server", str(listener.fileno())]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], cwd=_TESTS)
    atexit.register(process.communicate)
    return f"{folder}/socket"


class Command:
    """A command that runs. It reads nothing, and what it writes goes to the files given, or nowhere.

    ``program`` names the function that it runs, ``module:function``; it takes the arguments from ``sys.argv``.
    """

    def __init__(self, arguments, *, environment=None, stdout=None, stderr=None, program="service.cli.main:main"):
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = {
            "program": program,
            "arguments": [*map(str, arguments)],
            "environment": dict(os.environ if environment is None else environment),
            "folder": str(Path.cwd()),
        }
        self._connection.connect(_server())
        with Path(os.devnull).open("r+b") as nothing:
            streams = [stream.fileno() for stream in (nothing, stdout or nothing, stderr or nothing)]
            socket.send_fds(self._connection, [json.dumps(order).encode()], streams)
        self.pid = int(self._connection.recv(64))
        self.returncode = None

    def send_signal(self, number):
        """Send a signal; nothing happens to a command that has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds):
        """Return the exit code; TimeoutError kills the command."""
        self._connection.settimeout(seconds)
        try:
            return self._ended(self._connection.recv(64))
        except TimeoutError:
            self.kill()
            self._connection.close()
            raise

    async def ended(self):
        """Return the exit code once there is one."""
        if self.returncode is None:
            self._connection.setblocking(False)
            self._ended(await asyncio.get_running_loop().sock_recv(self._connection, 64))
        return self.returncode

    def _ended(self, status):
        self.returncode = int(status)
        self._connection.close()
        return self.returncode


def run(*arguments, environment=None, text=True, seconds=120):
    """Run a command to its end; returns exit code and what it wrote, as ``subprocess.run`` does."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        command = Command(arguments, environment=environment, stdout=out, stderr=err)
        status = command.wait(seconds)
        written = []
        for file in (out, err):
            file.seek(0)
            written.append(file.read().decode() if text else file.read())
    return subprocess.CompletedProcess(arguments, status, *written)


async def run_beside(*arguments, **options):
    """As ``run``, while the loop goes on."""
    return await asyncio.to_thread(run, *arguments, **options)


async def start(*arguments, environment=None):
    """Start a command; returns it, and a reader of what it writes to standard error. What it says otherwise is lost."""
    reading, writing = os.pipe()
    errors = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(errors), os.fdopen(reading, "rb")
    )
    with os.fdopen(writing, "wb") as writer:
        # The first one waits for the server to have loaded the program.
        command = await asyncio.to_thread(Command, arguments, environment=environment, stderr=writer)
    return command, errors
