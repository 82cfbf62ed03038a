"""Sequences what is pending in a database, as a process of its own that a tracer takes before it begins.

It ends with 0 once nothing is pending, whatever failed on the way.
"""

import asyncio
import ctypes
import faulthandler
import os
import signal
import sys
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.note import verifier_key
from notifications.errors import GreffierError
from service.audit_log.sequencer import Sequencer, SequencerSettings
from service.crypto.log_keys import LogSigners
from service.store import PostgresqlLimits, open_store
from service.system.logging import configure_logging

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


def main():
    """Sequence ``DATABASE`` with the head file ``HEAD``; ``traced`` stops first, for a tracer to take it from there."""
    database, head, *traced = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
    if traced:
        os.kill(os.getpid(), signal.SIGSTOP)
    # Its wake-ups are no messages on a socket, as those to a server are.
    signal.alarm(30)
    faulthandler.dump_traceback_later(25)
    # As the service does: else each failure is drawn with the values of all variables, which takes a second.
    configure_logging()
    uvloop.run(sequence(database, head))
    os._exit(0)
