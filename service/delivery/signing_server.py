"""Sign the notices of a large release in a process of its own: the side that answers. ``signing_process`` asks.

Both sides write frames, a length and then a pickled record: frozen records and where keys are, never a key. The first
question is what builds the parts, each further one is a list of notices. An answer in words says what failed. The
process ends with its standard input, and so also with the process that started it.
"""

import asyncio
import contextlib
import copyreg
import os
import pickle
import signal
import sys
from types import MappingProxyType
from typing import Any, BinaryIO

from notifications.use_cases.notices.sign_notices import sign_notices
from service.system.logging import configure_logging

LENGTH_BYTES = 8


def frame(record: object) -> bytes:
    """Return the frame of a record."""
    content = pickle.dumps(record, pickle.HIGHEST_PROTOCOL)
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def _read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


# Pickle does not know the read-only mappings of frozen records.
copyreg.pickle(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))


def main() -> None:
    """Answer until the input ends."""
    # A terminal interrupts all its processes, and a supervisor stops all of a service: the one that started this one
    # still has work for it, and ends it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    configure_logging(sys.stderr)
    # What is printed must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(EOFError, BrokenPipeError):
        asyncio.run(_serve(sys.stdin.buffer, answers))
    # The database is not closed: what the last connection does then is for the process that writes.
    os._exit(0)


async def _serve(questions: BinaryIO, answers: BinaryIO) -> None:
    async with contextlib.AsyncExitStack() as stack:
        signing = None
        while True:
            question = _next(questions)
            try:
                if signing is None:
                    signing = question(stack)
                    _answer(answers, None)
                else:
                    _answer(answers, await sign_notices(question, signing))
            except Exception as error:  # noqa: BLE001 - said to the process that asks, which does the work itself
                _answer(answers, f"{type(error).__name__}: {error}")


def _next(questions: BinaryIO) -> Any:
    length = questions.read(LENGTH_BYTES)
    if len(length) < LENGTH_BYTES:
        raise EOFError
    return pickle.loads(questions.read(int.from_bytes(length, "big")))  # noqa: S301 - the pipe is of one process only


def _answer(answers: BinaryIO, answer: object) -> None:
    answers.write(frame(answer))
    answers.flush()
