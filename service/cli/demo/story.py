"""The main process from end to end in the terminal: declare, decide, release, serve, verify, tamper."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default as mail_policy
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from notifications.errors import GreffierError
from service.cli.demo.customers import CUSTOMERS, demo_incident
from service.cli.demo.environment import RunningService, embedded_service
from service.cli.demo.first_look import prepare_first_look
from service.cli.demo.one_click import install_one_click
from service.cli.demo.people import make_people
from service.cli.verify import load_trust, print_verification
from service.system.logging import configure_logging

_STYLES = {"notify": "bold green", "do_not_notify": "dim", "pending": "bold yellow"}
_DUE = {"hard": "limit", "soft": "where possible", "no_number": "our own target"}


class DemoError(GreffierError):
    """A step of the demo failed."""


async def run_demo(out: Path, *, once: bool, port: int) -> None:
    """Run the story, with its files in ``out``; then end, or keep serving until interrupted."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=110)
    with tempfile.TemporaryDirectory(prefix="greffier-demo-") as scratch:
        log = StringIO() if once else (Path(scratch) / "service.log").open("w", encoding="utf-8")
        with contextlib.closing(log):
            configure_logging(log)
            # Mails and passkeys use the address that a browser on this machine uses.
            settings: dict[str, Any] = (
                {} if once or port == 0 else {"provider__console_url": f"http://localhost:{port}"}
            )
            async with embedded_service(Path(scratch) / "data", port=0 if once else port, **settings) as running:
                await run_story(running, out, console)
                if not once:
                    await _serve_on(running, out, console)


async def _serve_on(running: RunningService, out: Path, console: Console) -> None:
    console.rule("[bold]The service goes on")
    headers = {"Authorization": f"Bearer {running.token}"}
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=30) as api:
        people = await make_people(api, running)
        await prepare_first_look(api, datetime.now(UTC))
    install_one_click(running.app, people, running.port)
    address = f"http://localhost:{running.port}"
    console.print(f"pages     {address}/sign-in   One click there signs you in, on this machine alone, as:")
    for person in people:
        console.print(f"          {person.key:9} {person.account.name}", soft_wrap=True)
    console.print(f"API       {running.url}/api/v1   (OpenAPI: {running.url}/api/v1/openapi.json)")
    console.print(f"token     {running.token}")
    console.print(f"health    {running.url}/readyz")
    console.print(f"mail sink 127.0.0.1:{running.sink.port}; mails and trust in {out}/")
    console.print("Ctrl-C ends it.")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def run_story(running: RunningService, out: Path, console: Console) -> None:
    """Run the story; raises DemoError at the first step that fails.

    1. Register three customers: languages, profiles and agreement dates differ.
    2. Ask, before anything is recorded, who would be notified.
    3. Declare one real public incident.
    4. Show who is notified, who is not, and why; settle an open fact, and see the verdict change.
    5. Release; wait until the sink has every mail.
    6. Save the mails and the trust anchors.
    7. Verify one mail with our verifier and with openssl.
    8. Change one byte of a copy, and see both refuse it.
    """
    headers = {"Authorization": f"Bearer {running.token}"}
    async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=30) as api:
        console.rule("[bold]1. Three customers")
        ids = await _register(api, console)
        facts, source = demo_incident(ids, datetime.now(UTC))
        console.rule("[bold]2. Dry run: who would be notified?")
        dry = await _post(api, "/incidents/dry-run", facts)
        console.print(f"[bold]{source.name}[/], as if it happened tonight to fictitious customers. {source.sources[0]}")
        console.print(f"Nothing is recorded yet. Verdicts: {_tally(dry['tally'])}")
        console.rule("[bold]3. The analyst declares")
        incident = await _post(api, "/incidents", facts, {"Idempotency-Key": "demo-declare-1"})
        _show_classification(console, incident)
        console.rule("[bold]4. Who is notified, who is not, and why")
        await _show_assessments(api, console, incident)
        console.print(
            "\n[yellow]Unknown is not no.[/] The analyst establishes that other customers' data is not harmed:"
        )
        incident = await _settle(api, incident)
        await _show_assessments(api, console, incident)
        console.rule("[bold]5. Release, seal, serve")
        match = {"If-Match": f'"{incident["version"]}"'}
        released = (await _post(api, f"/incidents/{incident['id']}/release", None, match))["items"]
        expected = await _expected_mails(api, released)
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True) as progress:
            progress.add_task(f"sealing {len(released)} notices, serving {expected} contacts …")
            await running.sink.wait_for(expected, timeout_seconds=60)
            await _all_recorded(api, running, released)
        await _show_deliveries(api, console, released)
    console.rule("[bold]6. What the customers received")
    mails = _save(running, out, console)
    console.rule("[bold]7. Is it genuine? Two verifiers, one of them not ours")
    _verify(mails[0], out / "trust", console)
    console.rule("[bold]8. And if somebody changes it?")
    _tamper(mails[0], out / "trust", console)


def _tally(tally: dict[str, int]) -> str:
    return ", ".join(f"[{_STYLES[verdict]}]{count} {verdict}[/]" for verdict, count in tally.items())


async def _settle(api: httpx2.AsyncClient, incident: dict[str, Any]) -> dict[str, Any]:
    response = await api.patch(
        f"/incidents/{incident['id']}/facts",
        json={"unlisted_customers": "not_affected"},
        headers={"If-Match": f'"{incident["version"]}"'},
    )
    if response.is_error:
        raise DemoError(f"changing facts answered {response.status_code}: {response.text}")
    changed: dict[str, Any] = response.json()
    return changed


async def _all_recorded(api: httpx2.AsyncClient, running: RunningService, notices: Sequence[dict[str, Any]]) -> None:
    """Wait until the evidence of every delivery is committed; each commit wakes this check."""
    changed = asyncio.Event()

    def wake(_kinds: set[str]) -> None:
        changed.set()

    running.parts.store.on_commit.append(wake)
    try:
        async with asyncio.timeout(60):
            while True:
                changed.clear()
                states = [
                    delivery["state"]
                    for notice in notices
                    for delivery in (await _get(api, f"/notices/{notice['id']}/deliveries"))["items"]
                ]
                if states and all(state != "queued" for state in states):
                    return
                await changed.wait()
    finally:
        running.parts.store.on_commit.remove(wake)


async def _post(
    api: httpx2.AsyncClient, path: str, body: dict[str, Any] | None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    response = await api.post(path, json=body, headers=headers)
    if response.is_error:
        raise DemoError(f"POST {path} answered {response.status_code}: {response.text}")
    answer: dict[str, Any] = response.json()
    return answer


async def _get(api: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    response = await api.get(path)
    if response.is_error:
        raise DemoError(f"GET {path} answered {response.status_code}: {response.text}")
    answer: dict[str, Any] = response.json()
    return answer


async def _register(api: httpx2.AsyncClient, console: Console) -> dict[str, str]:
    table = Table(box=None, header_style="bold")
    for heading in ("customer", "contacts", "agreement since", "levels"):
        table.add_column(heading)
    ids = {}
    for key, customer, contacts, levels in CUSTOMERS:
        registered = await _post(api, "/customers", customer)
        ids[key] = registered["id"]
        for contact in contacts:
            await _post(api, f"/customers/{registered['id']}/contacts", contact)
        addresses = "\n".join(f"{contact['email']} ({contact['language']})" for contact in contacts)
        table.add_row(customer["name"], addresses, customer["agreement"]["effective_at"][:10], levels)
    console.print(table)
    return ids


def _show_classification(console: Console, incident: dict[str, Any]) -> None:
    result = incident["classification"]
    state = "[yellow]provisional[/]" if result["provisional"] else "settled"
    console.print(
        f"[bold]{incident['ticket']}[/]: [bold]{result['nature']}[/] ({state}), priority"
        f" [bold]{result['priority'] or ' or '.join(result['possible_priorities'])}[/]"
    )
    for ground in result["grounds"]:
        if ground["holds"] == "no":
            continue
        mark = {"yes": "[green]holds[/]", "unknown": "[yellow]open[/] "}[ground["holds"]]
        console.print(f"  {ground['clause']:9} {mark}  {ground['text']['en']}")
    for question in result["open_questions"]:
        console.print(f"  [yellow]open[/] {question['fact']}")


async def _show_assessments(api: httpx2.AsyncClient, console: Console, incident: dict[str, Any]) -> None:
    page = await _get(api, f"/incidents/{incident['id']}/assessments")
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for heading in ("customer", "verdict", "why", "due"):
        table.add_column(heading, overflow="fold")
    for item in page["items"]:
        why = "\n".join(f"{reason['clause']}: {reason['text']['en']}" for reason in _telling(item))
        due = f"{item['due_at'][:16]}Z\n({_DUE[item['binding']]})" if item["due_at"] else "—"
        verdict = f"[{_STYLES[item['verdict']]}]{item['verdict']}[/]"
        table.add_row(item["customer_name"], verdict, why, due)
    console.print(table)


def _telling(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the reasons that decide a verdict; the API gives all reasons that were examined."""
    wanted = {"notify": "yes", "pending": "unknown", "do_not_notify": "no"}[item["verdict"]]
    reasons = [reason for reason in item["reasons"] if reason["holds"] == wanted]
    return [reason for reason in reasons if reason["obliges"]] or reasons


async def _expected_mails(api: httpx2.AsyncClient, notices: Sequence[dict[str, Any]]) -> int:
    count = 0
    for notice in notices:
        contacts = await _get(api, f"/customers/{notice['customer_id']}/contacts")
        count += sum(contact["active"] for contact in contacts["items"])
    return count


async def _show_deliveries(api: httpx2.AsyncClient, console: Console, notices: Sequence[dict[str, Any]]) -> None:
    table = Table(box=None, header_style="bold")
    for heading in ("customer", "channel", "state", "evidence (ETSI EN 319 522)", "answer"):
        table.add_column(heading)
    for notice in notices:
        customer = await _get(api, f"/customers/{notice['customer_id']}")
        for delivery in (await _get(api, f"/notices/{notice['id']}/deliveries"))["items"]:
            for attempt in delivery["evidence"]:
                table.add_row(
                    customer["name"],
                    delivery["channel"],
                    delivery["state"],
                    attempt["event"],
                    f"{attempt['code'] or ''} {attempt['text']}".strip()[:60],
                )
    console.print(table)


def _save(running: RunningService, out: Path, console: Console) -> list[Path]:
    folder = out / "mails"
    folder.mkdir(parents=True, exist_ok=True)
    # Other keys signed the files of an earlier run.
    for old in (*folder.glob("[0-9][0-9]-*.eml"), *folder.glob("tampered-*.eml.txt")):
        old.unlink()
    saved = []
    for number, received in enumerate(running.sink.messages, 1):
        path = folder / f"{number:02d}-{received.recipients[0].split('@')[0]}.eml"
        path.write_bytes(received.content)
        message = message_from_bytes(received.content, policy=mail_policy)
        console.print(f"{path}  [bold]{message['Subject']}[/]")
        saved.append(path)
    shutil.copytree(running.trust_dir, out / "trust", dirs_exist_ok=True)
    console.print(f"{out / 'trust'}/  ca.pem  tsa.pem  log.vkey")
    return saved


def _verify(mail: Path, trust_dir: Path, console: Console) -> None:
    console.print(f"[bold]$ greffier verify {mail} --trust {trust_dir}")
    if not print_verification(mail.read_bytes(), load_trust(trust_dir), console):
        raise DemoError("our verifier refuses a genuine mail")
    console.print(f"[bold]$ {' '.join(_openssl(mail, trust_dir))}", soft_wrap=True)
    result = _run(_openssl(mail, trust_dir))
    console.print(f"   {result.stderr.strip()}")
    if result.returncode != 0:
        raise DemoError("openssl refuses a genuine mail")


def _tamper(mail: Path, trust_dir: Path, console: Console) -> None:
    """Change one letter in the text of a copy, as a forger would."""
    genuine = mail.read_bytes()
    position = _a_letter(genuine)
    changed = bytearray(genuine)
    changed[position] ^= 0x01
    copy = mail.with_name(f"tampered-{mail.name}.txt")
    copy.write_bytes(changed)
    console.print(f"{copy}: one letter changed, {chr(genuine[position])!r} to {chr(changed[position])!r}")
    console.print(f"[bold]$ greffier verify {copy} --trust {trust_dir}")
    if print_verification(bytes(changed), load_trust(trust_dir), console):
        raise DemoError("our verifier accepts a forged mail")
    console.print(f"[bold]$ {' '.join(_openssl(copy, trust_dir))}", soft_wrap=True)
    result = _run(_openssl(copy, trust_dir))
    console.print(f"   {result.stderr.strip().splitlines()[0]}")
    if result.returncode == 0:
        raise DemoError("openssl accepts a forged mail")


def _a_letter(mail: bytes) -> int:
    """Return the position of a lower-case letter in the plain text, after its first line."""
    start = mail.index(b"\r\n\r\n", mail.index(b"Content-Type: text/plain")) + 80
    return next(position for position in range(start, len(mail)) if chr(mail[position]).islower())


def _openssl(mail: Path, trust_dir: Path) -> list[str]:
    ca = str(trust_dir / "ca.pem")
    return ["openssl", "cms", "-verify", "-in", str(mail), "-CAfile", ca, "-purpose", "smimesign", "-out", "/dev/null"]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
