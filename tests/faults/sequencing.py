"""Forks processes that sequence what is pending in a database, and stop before they begin: a tracer takes them there.

Told on standard input, a JSON object a line: ``{"database": …, "head": …, "log": …}``; answers with the process id, and
with ``{"pid": …, "ended": status}`` once it is over. A process ends with 0 once nothing is pending, whatever failed on
the way.
"""

import asyncio
import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import signal
import sys
import traceback
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.note import verifier_key
from notifications.errors import GreffierError
from service.audit_log.sequencer import Sequencer, SequencerSettings
from service.crypto.log_keys import LogSigners
from service.store import PostgresqlLimits, open_store

ORIGIN = "log.greffier.test"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
VERIFIER = verifier_key(ORIGIN, KEY)
#: on PostgreSQL: a server that waits for a message which failed here hangs up soon, and so does the store
LIMITS = PostgresqlLimits(
    connect_seconds=2, idle_in_transaction_seconds=0.3, idle_session_seconds=0.3, transaction_seconds=0.4
)
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
#: so often a process tries; one failure is injected
_TRIES = 40


class Keys:
    origin = ORIGIN

    def signers(self):
        return LogSigners((KEY,), (VERIFIER,))


async def sequence(database, head):
    """Sequence what is pending, again after each failure; raises the last one."""
    for last in range(_TRIES):
        store = None
        try:
            location = Path(database) if database.startswith("/") else database
            store = open_store(location, migrate=False, readers=1, limits=LIMITS)
            sequencer = Sequencer(
                store, keys=Keys(), head_path=Path(head), settings=SequencerSettings(batch_seconds=0, batch_entries=8)
            )
            for again in range(3):
                try:
                    await sequencer.sequence_pending()
                    break
                except (GreffierError, OSError):
                    if again == 2:
                        raise
        except (GreffierError, OSError):
            if last == _TRIES - 1:
                raise
            await asyncio.sleep(0.05)
        else:
            return
        finally:
            if store is not None:
                await store.close()


def run(order):
    status = 1
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
        if order["traced"]:
            os.kill(os.getpid(), signal.SIGSTOP)
        # Its wake-ups are no messages on a socket, as those to a server are.
        signal.alarm(30)
        faulthandler.dump_traceback_later(25)
        uvloop.run(sequence(order["database"], order["head"]))
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, it is in the log
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def tell(**facts):
    os.write(1, json.dumps(facts).encode() + b"\n")


def main():
    # What is loaded stays: no process looks through it again, and its memory stays shared.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        sys.stdout.flush()
        child = os.fork()
        if not child:
            run(order)
        if order["traced"]:
            os.waitpid(child, os.WUNTRACED)
        tell(pid=child)
        with contextlib.suppress(ChildProcessError):
            _, status = os.waitpid(child, 0)
            tell(ended=os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
