"""Dispatch of one incident end to end: compose, seal, log, send, evidence committed; on SQLite, every commit
flushed.

Reference: bare aiosmtplib, the same number of kept connections, sending mails of the same bytes to the same sink
(``smtp-sink`` of Postfix, in a process of its own), before and after in the same run. ``smtp-source`` of Postfix is
reported beside it, and so is the peer: what a team would write first, a loop of ``openssl cms -sign`` and
``smtplib`` that signs the same text for each contact. The clock starts with the release and stops when the last
attempt's evidence is durable. Every customer also has its notice placed in the console, which is counted as no mail.
"""

import argparse
import asyncio
import contextlib
import email
import email.policy
import os
import resource
import shutil
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import aiosmtplib
import uvloop
from table import result_line

from notifications.customer.records import AgreementBinding, Contact, ContactRole, Customer
from notifications.delivery.delivery import ChannelKind, Delivery, DeliveryAttempt
from notifications.incident import (
    AffectedCustomer,
    Answer,
    Harm,
    IncidentFacts,
    Intent,
    LocalizedText,
    UnlistedCustomers,
)
from notifications.ports import DueDelivery, Page, Transaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.record_incident import record_incident
from notifications.use_cases.incidents.release_notice import release_drafts
from service.bootstrap.data_folder import prepare_data_folder
from service.bootstrap.serve import settle_memory
from service.bootstrap.server import ServerParts, build_server
from service.settings import load_settings
from service.store import Store
from service.system.logging import SystemClock, SystemIdentifiers, configure_logging

_PAGE = Page(5)
_SENDER = "soc@provider.example"
_SBIN = "/usr/sbin"
_SIGNING = "signing process"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Run Postfix's smtp-sink and yield its port."""
    command = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:{_SBIN}")
    if command is None:
        raise SystemExit("smtp-sink is not here: install postfix")
    port = _free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([command, *user, f"127.0.0.1:{port}", "256"])
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
        yield port
    finally:
        process.terminate()
        process.wait()


def facts(now: datetime, harmed: list[UUID]) -> IncidentFacts:
    return IncidentFacts(
        title=LocalizedText.of({"fr": "Fuite de mémoire de l'équilibreur", "en": "Memory disclosure"}),
        summary=LocalizedText.of({"fr": "Des fragments de mémoire ont été renvoyés à des tiers."}),
        aware_at=now,
        inside_perimeter=Answer.YES,
        intent=Intent.ACCIDENTAL,
        impact="I1",
        criticality="C1",
        service_harm=Harm(confidentiality=Answer.YES),
        security_measures_harmed=Answer.NO,
        normal_operation_disrupted=Answer.YES,
        affected_customers=tuple(AffectedCustomer(key, data_harm=Harm(confidentiality=Answer.YES)) for key in harmed),
        unlisted_customers=UnlistedCustomers.NOT_AFFECTED,
    )


@asynccontextmanager
async def installation(folder: Path, port: int, customers: int, contacts: int) -> AsyncIterator["_Installation"]:
    now = datetime.now(UTC)
    prepare_data_folder(folder, address=_SENDER, provider_name="Bench", now=now)
    settings = load_settings(folder, mail__host="127.0.0.1", mail__port=port, mail__tls="none", **_OVERRIDES)
    async with build_server(settings) as parts:
        harmed = await fill(parts.store, customers, contacts, now)
        yield _Installation(parts, customers * (contacts + 1), harmed)


_OVERRIDES: dict[str, object] = {}


async def fill(store: Store, customers: int, contacts: int, now: datetime) -> list[UUID]:
    before = now - timedelta(days=1)
    harmed: list[UUID] = []
    # A few thousand rows a transaction: what fills the tables is not what is measured.
    step = max(1, 5000 // max(1, contacts))
    for start in range(0, customers, step):
        numbers = range(start, min(start + step, customers))

        def work(tx: Transaction, numbers: range = numbers) -> None:
            for number in numbers:
                customer = Customer(uuid4(), f"Société {number}", "fr", "Europe/Paris", (), (), (), before)
                harmed.append(customer.id)
                tx.customers.add(customer, os.urandom(32))
                tx.customers.add_binding(AgreementBinding(customer.id, "secnumcloud_iaas_3_0", before, before))
                for order in range(contacts):
                    tx.customers.add_contact(
                        Contact(
                            id=uuid4(),
                            customer_id=customer.id,
                            name=f"Zoë {order}",
                            role=ContactRole.SECURITY,
                            email=f"c{number}-{order}@customer{number}.example",
                            language="fr",
                            order=order + 1,
                            active=True,
                            created_at=before,
                            verified_at=before,
                        )
                    )

        await store.write(work)
    return harmed


class _Installation:
    def __init__(self, parts: ServerParts, owed: int, harmed: list[UUID]) -> None:
        self.parts, self.owed, self._harmed = parts, owed, harmed
        self._done, self._all, self._first_mail = 0, asyncio.Event(), asyncio.Event()
        delivering = parts.worker.delivery._delivering  # noqa: SLF001 - counted where the metrics count
        object.__setattr__(delivering, "watch", self._count)

    def _count(self, _due: DueDelivery, delivery: Delivery, attempt: DeliveryAttempt) -> None:
        if delivery.state.value != "sent":
            raise SystemExit(f"not accepted: {attempt.outcome}")
        self._done += 1
        if delivery.channel is ChannelKind.EMAIL:
            self._first_mail.set()
        if self._done >= self.owed:
            self._all.set()

    @property
    def signing_process(self) -> int | None:
        """The process that signs, or None."""
        process = self.parts.worker.signing_process
        return None if process is None else process.pid

    async def dispatch(self) -> float:
        """Declare, release, and wait for the last attempt's evidence; returns seconds from the release on."""
        act = AuditContext("token:bench", SystemClock().now(), SystemIdentifiers())
        agreements = self.parts.context.agreements
        store = self.parts.store
        result = await store.write(lambda tx: record_incident(tx, act, facts(act.now, self._harmed), agreements))
        self._done = 0
        self._all.clear()
        self._first_mail.clear()
        start = time.perf_counter()
        await store.write(lambda tx: release_drafts(tx, act, result.incident.id, 1, agreements))
        await self._first_mail.wait()
        self.first_mail_seconds = time.perf_counter() - start
        await self._all.wait()
        return time.perf_counter() - start

    async def a_mail(self) -> bytes:
        """Return the bytes of one mail as sent."""

        def found(tx: Transaction) -> bytes:
            for notice in tx.notices.page(_PAGE)[0]:
                for delivery in tx.deliveries.of_notice(notice.id):
                    if delivery.channel is ChannelKind.EMAIL:
                        return tx.deliveries.message_sent(delivery.id) or b""
            raise LookupError

        return await self.parts.store.read(found)


async def _bare(port: int, connections: int, mail: bytes, count: int) -> float:
    """Send so many mails by bare aiosmtplib; returns mails per second."""
    left = iter(range(count))

    async def client() -> None:
        smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False, use_tls=False)
        await smtp.connect()
        for number in left:
            await smtp.sendmail(_SENDER, [f"c{number}@customer.example"], mail)
        await smtp.quit()

    start = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return count / (time.perf_counter() - start)


def _smtp_source(port: int, connections: int, length: int, count: int) -> float | None:
    command = shutil.which("smtp-source", path=f"{os.environ.get('PATH', '')}:{_SBIN}")
    if command is None:
        return None
    start = time.perf_counter()
    subprocess.run(
        [command, "-s", str(connections), "-m", str(count), "-l", str(length), "-d", "-f", _SENDER, "-t", "c@x.example",
         f"127.0.0.1:{port}"],
        check=True,
    )  # fmt: skip
    return count / (time.perf_counter() - start)


def _peer(port: int, mail: bytes, count: int, folder: Path) -> float:
    """Sign the text of a mail once per contact by openssl, and send each by smtplib; returns mails per second."""
    text, key, certificate = (folder / name for name in ("text", "key.pem", "certificate.pem"))
    signed = email.message_from_bytes(mail)
    text.write_bytes(signed.get_payload(0).as_bytes(policy=email.policy.SMTP))  # type: ignore[union-attr]  # a multipart
    made = ["openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-subj", "/CN=peer", "-days", "1"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    sign = ["openssl", "cms", "-sign", "-in", text, "-binary", "-signer", certificate, "-inkey", key, "-md", "sha256"]
    start = time.perf_counter()
    for number in range(count):
        to = f"c{number}@customer.example"
        body = subprocess.run(sign, check=True, capture_output=True).stdout
        head = f"From: {_SENDER}\r\nTo: {to}\r\nSubject: {signed['Subject']}\r\n".encode("ascii", "replace")
        with smtplib.SMTP("127.0.0.1", port) as smtp:
            smtp.sendmail(_SENDER, [to], head + body)
    return count / (time.perf_counter() - start)


def _processor_seconds(stat: Path) -> float:
    fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _seconds_by_thread(signing_process: int | None) -> dict[str, float]:
    """Return the processor seconds that each thread used so far, by the beginning of its name, and those of the process
    that signs.
    """
    found: dict[str, float] = {}
    for thread in threading.enumerate():
        name = thread.name.rstrip("_0123456789")
        found[name] = found.get(name, 0) + _processor_seconds(Path(f"/proc/self/task/{thread.native_id}/stat"))
    if signing_process is not None:
        found[_SIGNING] = _processor_seconds(Path(f"/proc/{signing_process}/stat"))
    return found


def _peak_mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


#: Result and goal by contacts of a customer.
_GOALS = {1: ("dispatch_1_contact", 0.35), 2: ("dispatch", 0.50), 100: ("dispatch_100_contacts", 0.80)}


async def _measure(arguments: argparse.Namespace, contacts_each: int) -> None:
    customers = arguments.contacts // contacts_each
    mails = customers * contacts_each
    with smtp_sink() as port, tempfile.TemporaryDirectory() as folder:
        _OVERRIDES["mail__connections"] = arguments.connections
        async with installation(Path(folder), port, customers, contacts_each) as running:
            settle_memory()
            rates, bare, source = [], [], []
            mail: bytes | None = None
            for round_number in range(arguments.rounds):
                if mail is not None:
                    bare.append(await _bare(port, arguments.connections, mail, arguments.reference_mails))
                processor, by_thread = time.process_time(), _seconds_by_thread(running.signing_process)
                seconds = await running.dispatch()
                processor = time.process_time() - processor
                now_by_thread = _seconds_by_thread(running.signing_process)
                used = {name: spent - by_thread.get(name, 0) for name, spent in now_by_thread.items()}
                processor += used.get(_SIGNING, 0)
                rates.append(mails / seconds)
                mail = await running.a_mail()
                said = f"{mails / seconds:7.0f} mails/s, {1000 * processor / mails:.2f} ms of processor a mail"
                print(f"  round {round_number + 1}: {said}, first after {running.first_mail_seconds:.2f} s")
                shares = sorted(((1000 * spent / mails, name) for name, spent in used.items()), reverse=True)
                print("    of it " + ", ".join(f"{share:.2f} ms {name}" for share, name in shares if share >= 0.01))
                bare.append(await _bare(port, arguments.connections, mail, arguments.reference_mails))
                rate = _smtp_source(port, arguments.connections, len(mail), arguments.reference_mails)
                source += [] if rate is None else [rate]
            ours, reference = statistics.median(rates), statistics.median(bare)
            print(f"{customers} customers, {contacts_each} contacts each, {len(mail)} bytes a mail")
            print(f"  dispatch         {ours:8.0f} mails/s")
            print(f"  bare aiosmtplib  {reference:8.0f} mails/s; ratio {ours / reference:.2f}")
            if source:
                rate = statistics.median(source)
                print(f"  smtp-source      {rate:8.0f} mails/s; ratio {ours / rate:.2f}")
            if mail is not None and arguments.peer_mails:
                rate = _peer(port, mail, arguments.peer_mails, Path(folder))
                print(f"  openssl, smtplib {rate:8.0f} mails/s; ratio {ours / rate:.2f}")
            print(f"  peak memory {_peak_mebibytes():.0f} MiB")
            if contacts_each in _GOALS:
                name, goal = _GOALS[contacts_each]
                print(result_line(name, ours / reference, at_least=goal), flush=True)


def _peak_of(contacts: int, arguments: argparse.Namespace) -> float:
    """Dispatch to so many contacts in a process of its own; returns its peak memory in MiB."""
    command = [sys.executable, __file__, "--contacts", str(contacts), "--rounds", "1", "--reference-mails", "1",
               "--peer-mails", "0", "--contacts-each", str(arguments.contacts_each[0])]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(said.partition("peak memory ")[2].split()[0])


def _memory(arguments: argparse.Namespace) -> None:
    small, large = arguments.contacts, 10 * arguments.contacts
    peaks = {contacts: _peak_of(contacts, arguments) for contacts in (small, large)}
    for contacts, peak in peaks.items():
        print(f"  {contacts:7} contacts: peak memory {peak:.0f} MiB")
    print(result_line("dispatch_memory", peaks[large] / peaks[small], at_most=1.3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=10_000)
    fan_outs = "contacts of a customer, one measurement each; most customers have two"
    parser.add_argument("--contacts-each", type=int, nargs="+", default=[2, 1, 100], help=fan_outs)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--reference-mails", type=int, default=5_000)
    parser.add_argument("--peer-mails", type=int, default=100, help="mails of the peer; 0 for no peer")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help="compare peak memory with ten times the contacts")
    arguments = parser.parse_args()
    if arguments.memory:
        _memory(arguments)
        return
    # Thrown away: kept, a line per mail would be what is measured.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure_logging(nowhere)
        _run(arguments)


def _run(arguments: argparse.Namespace) -> None:
    for contacts_each in arguments.contacts_each:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_measure(arguments, contacts_each))


if __name__ == "__main__":
    sys.exit(main())
