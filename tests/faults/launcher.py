"""Starts processes of the service that kill themselves at a chosen step; the product knows nothing of it.

One process loads the program once and forks for each start, so that a start costs what starting costs and not what
importing costs. It is told on standard input, a JSON object a line, and answers on standard output in the same way:

``{"start": "serve" | "work", "data": …, "port": …, "settings": {…}, "trap": {…}, "log": …, "ahead": seconds}``
    ``{"pid": …}``, ``{"pid": …, "up": true}`` once it answers, ``{"pid": …, "trap": …}`` when it reached its trap, and
    ``{"pid": …, "ended": status}``.

A trap is ``{"point": …, "when": "before" | "after", "nth": …}``. Points are calls of ports; of those that happen in a
unit of work, "before" is inside the transaction and "after" is once it is durable.
"""

import asyncio
import contextlib
import gc
import json
import os
import resource
import selectors
import signal
import sys
import threading
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import uvloop
from fastapi import FastAPI

import service.audit_log.published_head
import service.audit_log.sequencer
import service.bootstrap.serve
import service.bootstrap.work
import service.store.engines.postgresql_opening
from service.audit_log.sequencer import Sequencer
from service.channels.console_inbox import ConsoleInbox
from service.channels.email_smtp import EmailSmtp
from service.channels.webhook_https import WebhookHttps
from service.crypto.cms_signer import CmsSigner
from service.crypto.timestamping import EmbeddedTimestampAuthority
from service.settings import load_settings
from service.store import PostgresqlStore, SqliteStore
from service.store.delivery.deliveries import DeliveryRecords
from service.store.delivery.leases import LeaseRecords
from service.store.incidents.idempotency import ResponseRecords
from service.store.incidents.incidents import IncidentRecords
from service.store.incidents.notices import NoticeRecords
from service.store.incidents.seals import SealRecords
from service.store.log.checkpoint_timestamps import CheckpointTimestampRecords
from service.store.log.tree import TreeRecords
from service.system.http_server import bound_socket
from service.system.logging import SystemClock, configure_logging
from service.web.areas import API, Areas

#: The numbered steps, and where each begins and ends, as calls of ports.
IN_TRANSACTION = {
    # declaring, releasing
    "add_incident": (IncidentRecords, "add"),  # a declaration is stored
    "store_response": (ResponseRecords, "add"),  # an answer is stored under its idempotency key
    # seal_notice
    "lease_released_notices": (NoticeRecords, "lease_released"),  # released notices are taken
    "add_sealed": (SealRecords, "add_seals"),  # seal_notice 4: seal, deliveries and entry are stored
    "set_log_proof": (SealRecords, "set_log_proofs"),  # seal_notice 5: the proof is stored
    "add_timestamp": (CheckpointTimestampRecords, "add_timestamp"),  # a token over a checkpoint is stored
    "set_shared_timestamps": (SealRecords, "set_shared_timestamps"),  # seal_notice 5: what dates the notice is stored
    # the sequencer
    "grow_tree": (TreeRecords, "grow"),  # sequencer 3: indices, nodes and checkpoint are stored
    # deliver_notice
    "lease_deliveries": (LeaseRecords, "lease"),  # deliveries are taken
    "finish_attempts": (DeliveryRecords, "finish_attempts"),  # deliver_notice 3: outcome, evidence, entry are stored
}
CALLS = {
    "sign": (CmsSigner, "sign_detached"),  # seal_notice 2, deliver_notice 1
    "timestamp": (EmbeddedTimestampAuthority, "timestamp"),  # seal_notice 3
    "included": (Sequencer, "all_included"),  # seal_notice 5
    "send_mail": (EmailSmtp, "send"),  # deliver_notice 2
    "send_console": (ConsoleInbox, "send"),  # deliver_notice 2
    "send_webhook": (WebhookHttps, "post"),  # deliver_notice 2
    "write_head": (service.audit_log.sequencer, "write_head"),  # sequencer 4
}
POINTS = (*IN_TRANSACTION, *CALLS)


def tell(**facts):
    # One write of less than a pipe holds: lines of several processes do not mix.
    os.write(1, json.dumps({"pid": os.getpid()} | facts).encode() + b"\n")


class Trap:
    """Counts calls of one point, and kills this process at the one it was set for."""

    def __init__(self, point, when, nth):
        self.point, self.when, self.nth = point, when, nth
        self._left = nth
        self._counting = threading.Lock()

    def passed(self, when):
        if when != self.when:
            return
        with self._counting:
            self._left -= 1
            reached = self._left == 0
        if reached:
            tell(trap=f"{self.point} {self.when} {self.nth}")
            os.kill(os.getpid(), signal.SIGKILL)

    def set(self):
        if self.point in CALLS:
            owner, name = CALLS[self.point]
            setattr(owner, name, self._around(getattr(owner, name)))
            return
        self._current = threading.local()
        owner, name = IN_TRANSACTION[self.point]
        setattr(owner, name, self._inside(getattr(owner, name)))
        for store in (SqliteStore, PostgresqlStore):
            store.write = self._durable(store.write)

    def _around(self, call):
        if asyncio.iscoroutinefunction(call):

            async def around(*arguments, **named):
                self.passed("before")
                result = await call(*arguments, **named)
                self.passed("after")
                return result

            return around

        def around(*arguments, **named):
            self.passed("before")
            result = call(*arguments, **named)
            self.passed("after")
            return result

        return around

    def _inside(self, call):
        def inside(*arguments, **named):
            result = call(*arguments, **named)
            self.passed("before")
            seen = getattr(self._current, "seen", None)
            if seen is not None:
                seen.append(self.point)
            return result

        return inside

    def _durable(self, write):
        async def durable(store, work, **named):
            seen = []

            def watched(tx):
                # A work may be run again: what counts is its last run.
                seen.clear()
                self._current.seen = seen
                try:
                    return work(tx)
                finally:
                    self._current.seen = None

            result = await write(store, watched, **named)
            if seen:
                self.passed("after")
            return result

        return durable


class MovedClock(SystemClock):
    """The system's clock, ahead or behind by what a file says at each look; it never goes back either."""

    def __init__(self, file):
        self._file, self._ahead = file, timedelta()
        super().__init__(self._moved)

    def _moved(self):
        with contextlib.suppress(OSError, ValueError):
            self._ahead = timedelta(seconds=float(self._file.read_text()))
        return datetime.now(UTC) + self._ahead


def limit_database(pages):
    """Make the disk full for the database from so many pages on, as ``SQLITE_FULL`` tells it."""
    import service.store.engines.sqlite

    connect = service.store.engines.sqlite.connect

    def limited(path, *, read_only):
        connection = connect(path, read_only=read_only)
        if not read_only:
            connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    service.store.engines.sqlite.connect = limited


def run(order):
    data = Path(order["data"])
    settings = load_settings(data, **order["settings"])
    if order.get("clock"):
        moved = MovedClock(Path(order["clock"]))
        import service.bootstrap.core

        service.bootstrap.core.SystemClock = lambda: moved
    if order.get("pages"):
        limit_database(order["pages"])
    if order.get("trap"):
        Trap(**order["trap"]).set()
    configure_logging()
    say = click.echo

    def echo(message, *arguments, **named):
        say(message, *arguments, **named)
        if str(message).startswith(("serving", "working")):
            tell(up=True)

    service.bootstrap.serve.click.echo = echo
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if order["start"] == "serve":
            works = order.get("works", True)
            with bound_socket("127.0.0.1", order["port"]) as bound:
                runner.run(service.bootstrap.serve.serve_until_stopped(settings, bound, works=works))
        else:
            runner.run(service.bootstrap.work.work_until_stopped(settings, "127.0.0.1", None))


def start(order):
    # A process that forked loses its buffers twice.
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        tell()
        run(order)
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, it is in the log
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def ended():
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            tell(pid=pid, ended=os.waitstatus_to_exitcode(status))


def main():
    areas = Areas(FastAPI(), public_log=True)
    for area in ("incidents", "customers"):
        asyncio.run(areas.prepare(f"{API}/{area}"))
    # What is loaded stays: no process looks through it again, and its memory stays shared.
    gc.collect()
    gc.freeze()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer)
    children = set()
    buffer = b""
    with selectors.DefaultSelector() as looking:
        looking.register(0, selectors.EVENT_READ)
        looking.register(reader, selectors.EVENT_READ)
        while True:
            for key, _ in looking.select():
                if key.fd == reader:
                    with contextlib.suppress(BlockingIOError):
                        os.read(reader, 4096)
                    continue
                more = os.read(0, 65536)
                if not more:
                    for child in children:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(child, signal.SIGKILL)
                    return
                *lines, buffer = (buffer + more).split(b"\n")
                children |= {start(json.loads(line)) for line in lines}
            ended()


if __name__ == "__main__":
    main()
