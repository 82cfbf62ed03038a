"""``greffier log``: the log as files, and proofs, for standard C2SP tools."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import Progress

from notifications.audit.merkle import NodeReader, consistency_proof, inclusion_proof
from notifications.audit.note import parse_verifier_key
from notifications.audit.policy import format_policy
from notifications.audit.proof import format_consistency, format_proof
from notifications.audit.tile_reading import TileNodes
from notifications.errors import Fault, InvalidInputError
from notifications.ports import Transaction
from service.audit_log.export import ExportedLog, export_log, tile_count
from service.audit_log.publishing import VERIFIER_KEY, Reads, published_checkpoint
from service.audit_log.witness.client import parse_witnesses
from service.bootstrap.data_folder import prepared_settings
from service.cli.options import FOLDER
from service.settings import Settings
from service.store import open_store

ResultT = TypeVar("ResultT")

_DATA = click.option("--data", type=FOLDER, help="Data folder; runs beside the service.")
_LOG = click.option("--log", "exported", type=FOLDER, help="Folder that greffier log export wrote.")


@click.group("log")
def log_command() -> None:
    """Export the audit log, and print inclusion proofs and consistency proofs."""


@log_command.command("export")
@click.argument("folder", type=FOLDER)
@click.option("--data", required=True, type=FOLDER, help="Data folder; runs beside the service.")
def export(folder: Path, data: Path) -> None:
    """Write the log as files (C2SP tlog-tiles), with its keys and trust policy. A later run adds what is new."""

    async def run(read: Reads, keys: str, settings: Settings) -> str:
        policy = _policy(keys, settings)
        size = await read(lambda tx: tx.log.size())
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("tiles", total=tile_count(size))
            done = await export_log(read, folder, keys, lambda count: bar.advance(task, count), policy=policy)
        return "the log has no entries yet" if done is None else f"{folder}: {done.size} entries of {done.origin}"

    click.echo(asyncio.run(_with_store(data, run)))


def _policy(keys: str, settings: Settings) -> bytes:
    """Return the trust policy of the log: its keys, and the witnesses and the quorum of the settings."""
    logs = [parse_verifier_key(line) for line in keys.splitlines() if line.strip()]
    witnesses = [witness.keys for witness in parse_witnesses(settings.witnesses.cosigners)]
    return format_policy(logs, witnesses, settings.witnesses.quorum)


@log_command.command("proof")
@click.argument("index", type=click.IntRange(0))
@_DATA
@_LOG
def proof(index: int, data: Path | None, exported: Path | None) -> None:
    """Print the inclusion proof (C2SP tlog-proof) of the entry at INDEX, under the latest checkpoint."""

    def made(size: int, note: bytes, nodes: NodeReader) -> bytes:
        if index >= size:
            raise InvalidInputError(Fault("index", f"must be below {size}, the number of entries"))
        return format_proof(index, inclusion_proof(index, size, nodes), note)

    click.echo(_proven(data, exported, made), nl=False)


@log_command.command("consistency")
@click.argument("old", type=click.IntRange(0))
@click.argument("new", type=click.IntRange(0))
@_DATA
@_LOG
def consistency(old: int, new: int, data: Path | None, exported: Path | None) -> None:
    """Print the consistency proof (RFC 9162) from a tree of OLD to one of NEW entries: one base64 hash per line."""

    def made(size: int, _note: bytes, nodes: NodeReader) -> bytes:
        if not old <= new <= size:
            raise InvalidInputError(Fault("new", f"must be from {old} to {size}, the number of entries"))
        return format_consistency(consistency_proof(old, new, nodes))

    click.echo(_proven(data, exported, made), nl=False)


def _proven(data: Path | None, exported: Path | None, make: Callable[[int, bytes, NodeReader], bytes]) -> bytes:
    if (data is None) == (exported is None):
        raise InvalidInputError(Fault("data", "give either --data or --log"))
    if exported is not None:
        log = ExportedLog(exported)
        return make(log.checkpoint.size, log.note, TileNodes(log.checkpoint.size, log.tile))

    def work(tx: Transaction) -> bytes:
        note = published_checkpoint(tx)
        if note is None:
            raise InvalidInputError(Fault("data", "the log has no entries yet"))
        return make(tx.log.size(), note, tx.log.node_hashes)

    async def run(read: Reads, _keys: str, _settings: Settings) -> bytes:
        return await read(work)

    return asyncio.run(_with_store(data or Path(), run))


async def _with_store(data: Path, run: Callable[[Reads, str, Settings], Awaitable[ResultT]]) -> ResultT:
    """Open the store of a data folder beside the service; call ``run`` with its reads, the log's keys, the settings."""
    settings = prepared_settings(data)
    keys = (settings.trust_dir / VERIFIER_KEY).read_text(encoding="utf-8")
    store = open_store(settings.store_location(), migrate=False, readers=1)
    try:
        return await run(store.read, keys, settings)
    finally:
        await store.close()
