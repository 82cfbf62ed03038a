"""Sign the notices of a large release in a process of its own: the side that asks. ``signing_server`` is the other."""

import asyncio
import contextlib
import math
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import structlog

from notifications.errors import GreffierError
from notifications.use_cases.notices.sealing_dependencies import SigningDependencies
from notifications.use_cases.notices.sign_notices import SignedNotice, sign_notices
from service.delivery.signing_server import LENGTH_BYTES, frame, main

_log = structlog.get_logger(__name__)

#: After a failure no process is started for this time, and the failure is shown.
_PAUSE_SECONDS = 300.0
#: A process that is not ready after this time has failed; on a busy machine it takes seconds.
_START_SECONDS = 60.0
#: Most bytes of an answer that are buffered; a group has about a megabyte.
_BUFFER_BYTES = 2**20

#: Builds what signs, in the other process, from what is pickled of it; the stack closes it.
BuildSigning = Callable[[contextlib.AsyncExitStack], SigningDependencies]


class RefusedElsewhereError(GreffierError):
    """The other process could not sign; it says why in words."""


class SigningProcess:
    """Does steps 1 to 3 of sealing in another process, which loads the keys itself.

    An interpreter runs one thread at a time. With a second interpreter that composes, this one has its time for
    requests, for the store and for sending. Until the other process is ready, and after each of its failures, this
    process does the work itself: a failure costs time only.
    """

    def __init__(self, parts: BuildSigning, *, idle_seconds: float = 60, answer_seconds: float = 30) -> None:
        """``idle_seconds``: without work for this time the process ends, and its memory is free again.

        ``answer_seconds``: without an answer for this time it has failed; a group takes a tenth of a second.
        """
        self._parts, self._idle_seconds, self._answer_seconds = parts, idle_seconds, answer_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._ended: asyncio.subprocess.Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._ready = False
        self._one_at_a_time = asyncio.Lock()
        #: groups that are signed or wait
        self._under_way = 0
        self._idle: asyncio.TimerHandle | None = None
        self._failure: str | None = None
        #: by a clock that nobody sets
        self._failed_at = -math.inf

    @property
    def pid(self) -> int | None:
        """The process that takes groups now; None if there is none."""
        return self._process.pid if self._process is not None and self._ready else None

    def health(self) -> str | None:
        """Return why large releases are signed more slowly for the present, or None."""
        paused = time.monotonic() < self._failed_at + _PAUSE_SECONDS
        return self._failure if paused else None

    def start(self) -> asyncio.Task[None] | None:
        """Begin to start the process, unless it failed a short time ago; the task ends when it takes groups."""
        if self._starting is None and self.health() is None:
            self._starting = asyncio.create_task(self._start(), name="signing-process")
        return self._starting

    async def sign(self, notice_ids: Sequence[UUID], signing: SigningDependencies) -> list[SignedNotice]:
        """Do what ``sign_notices`` does, in the other process if it is ready; raises what ``sign_notices`` raises.

        Only this process says that a notice cannot be signed. If only the other one says so, it has failed: it may
        have read a key before the key was replaced.
        """
        refusal: str | None = None
        try:
            signed = await self._signed_elsewhere(list(notice_ids))
            if signed is not None:
                refusal = next((item.hold_reason for item in signed if item.hold_reason is not None), None)
                if refusal is None:
                    return signed
        except RefusedElsewhereError as error:
            refusal = str(error)
        except Exception as error:  # noqa: BLE001 - logged and shown; this process does the work
            self._fail(error)
        signed = await sign_notices(notice_ids, signing)
        if refusal is not None and not any(item.hold_reason for item in signed):
            self._fail(RefusedElsewhereError(refusal))
        return signed

    async def aclose(self) -> None:
        """End the process. What it has begun is lost, and done by the next start."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        self._end()
        if self._ended is not None:
            await self._ended.wait()

    async def _start(self) -> None:
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", f"from {main.__module__} import main; main()",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_BUFFER_BYTES,
            )  # fmt: skip
            await self._ask(self._parts, _START_SECONDS)
        except Exception as error:  # noqa: BLE001 - logged and shown; this process does the work
            self._fail(error)
            return
        self._ready = True
        _log.info("signing_process.started", pid=self.pid)
        self._end_when_idle()

    async def _signed_elsewhere(self, notice_ids: list[UUID]) -> list[SignedNotice] | None:
        """Return the answer of the process, or None if it is not ready."""
        self._under_way += 1
        try:
            async with self._one_at_a_time:
                return await self._ask(notice_ids, self._answer_seconds) if self._ready else None
        finally:
            self._under_way -= 1
            self._end_when_idle()

    async def _ask(self, question: object, within_seconds: float) -> Any:
        """Return the answer of the process; raises RefusedElsewhereError if it answers in words."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise ProcessLookupError("the signing process has ended")
        try:
            async with asyncio.timeout(within_seconds):
                process.stdin.write(frame(question))
                await process.stdin.drain()
                length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
                answer = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - our own process wrote it
        except BaseException as error:
            # A late answer must never be taken for the answer to the next question.
            self._end()
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"the signing process gave no answer for {within_seconds:g} s") from None
            if isinstance(error, asyncio.IncompleteReadError | ConnectionError):
                raise ProcessLookupError("the signing process has ended") from None
            raise
        if isinstance(answer, str):
            raise RefusedElsewhereError(answer)
        return answer

    def _fail(self, error: Exception) -> None:
        said = str(error) if isinstance(error, OSError | GreffierError) else f"{type(error).__name__}: {error}"
        self._failure = f"large releases take longer: {said}"
        self._failed_at = time.monotonic()
        _log.warning("signing_process.failed", reason=self._failure)
        self._end()

    def _end_when_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._ready and not self._under_way:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._end)

    def _end(self) -> None:
        """End the process; it only reads, so that it can be killed at any moment."""
        self._ready, self._starting = False, None
        if self._idle is not None:
            self._idle.cancel()
        process, self._process = self._process, None
        if process is not None:
            self._ended = process
            with contextlib.suppress(ProcessLookupError):
                process.kill()
