"""A real SMTP server on loopback that misbehaves on command, and records every command and every byte."""

import asyncio
import contextlib
import ssl
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

#: Cues other than a reply text: close the connection without a reply, or never reply.
CLOSE, HANG = "<close>", "<hang>"

ACCEPTED = "250 2.0.0 Ok: queued as 4XyZq1{number:04d}"


@dataclass
class Message:
    sender: str
    recipient: str
    mail: str
    rcpt: str
    #: the bytes after DATA: dots doubled, without the final dot
    wire: bytes
    #: the same bytes as the recipient sees them
    content: bytes
    connection: int
    tls: bool


@dataclass
class Command:
    connection: int
    tls: bool
    line: str


@dataclass
class SmtpServer:
    """``cue("RCPT", "451 4.7.1 come back")`` sets the next reply to RCPT; several cues are used one by one.

    Steps: GREETING, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA (the command), CONTENT (after the final dot), RSET, QUIT.
    """

    starttls: ssl.SSLContext | None = None
    implicit_tls: ssl.SSLContext | None = None
    extensions: tuple[str, ...] = ("SIZE 10000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
    #: offered after AUTH instead of ``extensions``
    extensions_after_login: tuple[str, ...] | None = None
    auth: str | None = None
    #: sent in clear right after the reply to STARTTLS, as an attacker in the network would
    injected_after_starttls: bytes = b""
    #: each message waits for this event before its reply, so that a test can hold messages in flight
    hold: asyncio.Event | None = None
    #: awaited with each complete message; returns the reply, or None for the usual one
    on_content: Callable[[Message], Awaitable[str | None]] | None = None
    commands: list[Command] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    connections: int = 0
    ended: int = 0
    peak: int = 0

    def __post_init__(self):
        self._cues = defaultdict(deque)
        self._writers = {}
        self._tasks = set()
        self._changed = asyncio.Condition()
        self.in_content = 0

    def cue(self, step, *answers):
        self._cues[step].extend(answers)

    @property
    def port(self):
        return self._server.sockets[0].getsockname()[1]

    def lines(self, verb=""):
        return [command.line for command in self.commands if command.line.upper().startswith(verb)]

    async def __aenter__(self):
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self.implicit_tls, limit=64 * 1024 * 1024
        )
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def drop_connections(self):
        """Close every connection, as a relay closes idle ones; return once all are closed."""
        for writer in list(self._writers.values()):
            with contextlib.suppress(OSError):
                writer.write(b"421 4.4.2 idle for too long\r\n")
            writer.close()
        await self.until(lambda: not self._writers)

    async def cut_connections(self):
        """Cut every connection without a reply, also hanging ones; return once all are closed."""
        for task in list(self._tasks):
            task.cancel()
        await self.until(lambda: not self._writers)

    async def until(self, condition):
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(condition)

    async def _tell(self):
        async with self._changed:
            self._changed.notify_all()

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        number = self.connections
        self._writers[number] = writer
        self.peak = max(self.peak, len(self._writers))
        try:
            await self._converse(number, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            # Do not wait: after a failed handshake, ``wait_closed`` never returns.
            writer.close()
            del self._writers[number]
            self.ended += 1
            self._tasks.discard(asyncio.current_task())
            with contextlib.suppress(RuntimeError):
                await self._tell()

    async def _answer(self, writer, step, default):
        """Send the cued or the default reply; return whether it was positive."""
        answer = self._cues[step].popleft() if self._cues[step] else default
        if answer == HANG:
            await asyncio.Event().wait()
        if answer == CLOSE:
            raise ConnectionResetError
        writer.write(answer.encode("utf-8", "surrogateescape") + b"\r\n")
        await writer.drain()
        if answer.startswith("421"):
            raise ConnectionResetError
        return answer[0] in "23"

    async def _converse(self, number, reader, writer):
        tls = self.implicit_tls is not None
        await self._answer(writer, "GREETING", "220 relay.example ESMTP")
        mail = rcpt = None
        extensions = self.extensions
        while line := await reader.readline():
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            self.commands.append(Command(number, tls, text))
            verb = text.split(" ")[0].upper()
            if verb in {"EHLO", "HELO"}:
                offers = ["relay.example", *extensions]
                offers += ["STARTTLS"] if self.starttls and not tls else []
                offers += [f"AUTH {self.auth}"] if self.auth else []
                await self._answer(writer, "EHLO", "\r\n".join(_multi_line(offers)))
            elif verb == "STARTTLS":
                if await self._answer_starttls(writer):
                    await writer.start_tls(self.starttls)
                    tls = True
            elif verb == "AUTH":
                if await self._answer(writer, "AUTH", "235 2.7.0 welcome"):
                    extensions = self.extensions_after_login or extensions
            elif verb == "MAIL":
                mail = text if await self._answer(writer, "MAIL", "250 2.1.0 Ok") else None
            elif verb == "RCPT":
                rcpt = text if await self._answer(writer, "RCPT", "250 2.1.5 Ok") else None
            elif verb == "DATA":
                if not (mail and rcpt):
                    await self._answer(writer, "", "503 5.5.1 need RCPT")
                elif await self._answer(writer, "DATA", "354 go ahead"):
                    await self._content(number, reader, writer, mail, rcpt, tls)
                    mail = rcpt = None
            elif verb == "RSET":
                mail = rcpt = None
                await self._answer(writer, "RSET", "250 2.0.0 Ok")
            elif verb == "QUIT":
                await self._answer(writer, "QUIT", "221 2.0.0 bye")
                return
            else:
                await self._answer(writer, verb, "502 5.5.2 unknown")

    async def _answer_starttls(self, writer):
        if self.injected_after_starttls and not self._cues["STARTTLS"]:
            writer.write(b"220 2.0.0 ready\r\n" + self.injected_after_starttls)
            await writer.drain()
            return True
        return await self._answer(writer, "STARTTLS", "220 2.0.0 ready")

    async def _content(self, number, reader, writer, mail, rcpt, tls):
        lines = []
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line)
        message = Message(
            sender=_path(mail),
            recipient=_path(rcpt),
            mail=mail,
            rcpt=rcpt,
            wire=b"".join(lines),
            content=b"".join(line.removeprefix(b".") for line in lines),
            connection=number,
            tls=tls,
        )
        self.messages.append(message)
        accepted = ACCEPTED.format(number=len(self.messages))
        self.in_content += 1
        await self._tell()
        try:
            if self.hold is not None:
                await self.hold.wait()
            said = None if self.on_content is None else await self.on_content(message)
            await self._answer(writer, "CONTENT", said or accepted)
        finally:
            self.in_content -= 1


def _multi_line(offers):
    return [f"250-{offer}" for offer in offers[:-1]] + [f"250 {offers[-1]}"]


def _path(line):
    return line[line.index("<") + 1 : line.rindex(">")]
