"""Commands of the service as real processes: wait until they are up, read all output, kill them at the end."""

import asyncio
import contextlib
import os
import re
from dataclasses import dataclass, field

from support.commands import Command, start

#: The line that a command prints once it works.
UP = re.compile(r"^(serving|working)\b")


@dataclass
class Running:
    """A process, and the lines that it has written to standard error."""

    process: Command
    errors: asyncio.StreamReader
    lines: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    ended: bool = False

    async def read(self):
        while line := await self.errors.readline():
            async with self.changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        async with self.changed:
            self.ended = True
            self.changed.notify_all()

    async def line(self, pattern, *, seconds=60):
        """Return the first line that matches the pattern; AssertionError if the process ends without one."""

        def found():
            return next((line for line in self.lines if re.search(pattern, line)), None)

        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: found() or self.ended)
        line = found()
        assert line is not None, f"ended without {pattern!r}:\n" + "\n".join(self.lines[-30:])
        return line

    async def address(self):
        """Return the address that the process prints."""
        return re.search(r"http://[\d.]+:\d+", await self.line(UP))[0]

    def signal(self, number):
        self.process.send_signal(number)

    async def end(self, *, seconds=60):
        """Return the exit code once the process has ended."""
        async with asyncio.timeout(seconds):
            return await self.process.ended()


@contextlib.asynccontextmanager
async def greffier(*arguments, up=True, **settings):
    """Run a command with settings in its environment; yield once it is up, and kill it at the end if it still runs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GREFFIER_")}
    environment |= {f"GREFFIER_{name.upper()}": str(value) for name, value in settings.items()}
    process, errors = await start(*arguments, environment=environment)
    running = Running(process, errors)
    reading = asyncio.create_task(running.read())
    try:
        if up:
            await running.line(UP)
        yield running
    finally:
        process.kill()
        await process.ended()
        await reading
