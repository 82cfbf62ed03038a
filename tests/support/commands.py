"""Commands of the service as real processes, started by the fork server: real streams, signals and exit codes."""

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
    """Return the address of this process's fork server; the server ends with this process."""
    folder = tempfile.mkdtemp(prefix="greffier-fork-")
    atexit.register(shutil.rmtree, folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen(64)
<<<<<<< HEAD
        # -P: files beside the script must not be imported as modules of the program.
        command = [sys.executable, "-P", _SERVER, str(listener.fileno())]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])
||||||| e372b7e
        # -P: what lies beside the script is no module of the program.
        command = [sys.executable, "-P", _SERVER, str(listener.fileno())]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()])
=======
        command = [sys.executable, "-m", "support.fork_server", str(listener.fileno())]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], cwd=_TESTS)
>>>>>>> speed
    atexit.register(process.communicate)
    return f"{folder}/socket"


class Command:
<<<<<<< HEAD
    """A running command. It has no input; its output goes to the given files, or is dropped."""
||||||| e372b7e
    """A command that runs. It reads nothing, and what it writes goes to the files given, or nowhere."""
=======
    """A command that runs. It reads nothing, and what it writes goes to the files given, or nowhere.
>>>>>>> speed

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
        """Send a signal; nothing happens if the command has ended."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def wait(self, seconds):
        """Return the exit code; a timeout kills the command and raises TimeoutError."""
        self._connection.settimeout(seconds)
        try:
            return self._ended(self._connection.recv(64))
        except TimeoutError:
            self.kill()
            self._connection.close()
            raise

    async def ended(self):
        """Return the exit code once the command has ended."""
        if self.returncode is None:
            self._connection.setblocking(False)
            self._ended(await asyncio.get_running_loop().sock_recv(self._connection, 64))
        return self.returncode

    def _ended(self, status):
        self.returncode = int(status)
        self._connection.close()
        return self.returncode


def run(*arguments, environment=None, text=True, seconds=120):
    """Run a command to its end; return exit code and output, as ``subprocess.run`` does."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        command = Command(arguments, environment=environment, stdout=out, stderr=err)
        status = command.wait(seconds)
        written = []
        for file in (out, err):
            file.seek(0)
            written.append(file.read().decode() if text else file.read())
    return subprocess.CompletedProcess(arguments, status, *written)


async def run_beside(*arguments, **options):
    """Like ``run``, without blocking the event loop."""
    return await asyncio.to_thread(run, *arguments, **options)


async def start(*arguments, environment=None):
    """Start a command; return it with a reader of its standard error. Its standard output is dropped."""
    reading, writing = os.pipe()
    errors = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(errors), os.fdopen(reading, "rb")
    )
    with os.fdopen(writing, "wb") as writer:
        # The first command waits until the server has loaded the program.
        command = await asyncio.to_thread(Command, arguments, environment=environment, stderr=writer)
    return command, errors
