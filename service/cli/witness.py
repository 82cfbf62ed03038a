"""``greffier witness``: cosign the heads of logs, for a customer or an authority that monitors them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click

from notifications.audit.note import VerifierKey, parse_verifier_key
from notifications.errors import Fault, InvalidInputError
from service.audit_log.witness.folder import Algorithm, WitnessFolder, prepare_witness
from service.audit_log.witness.server import witness_until_stopped
from service.cli.options import FOLDER
from service.system.file_lock import sole_use
from service.system.input_files import read_file
from service.system.logging import configure_logging

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group("witness", invoke_without_command=True)
@click.option("--data", type=FOLDER, help="Folder of the witness, made by greffier witness init.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8082, show_default=True, type=click.IntRange(0, 65_535), help="Port to listen on.")
@click.pass_context
def witness_command(context: click.Context, data: Path | None, host: str, port: int) -> None:
    """Cosign each head of a log that extends the one cosigned before, and refuse a fork.

    Without a command it serves POST /add-checkpoint (c2sp.org/tlog-witness). Of the log's provider it needs only the
    log's key. Its folder must never be restored from a backup: make a new witness instead.
    """
    if context.invoked_subcommand is not None:
        return
    if data is None:
        raise click.UsageError("Missing option '--data'.")
    if not data.is_dir():
        raise InvalidInputError(Fault("data", f"{data} is no witness folder: greffier witness init makes one"))
    with sole_use(data):
        witness = WitnessFolder(data, lambda: datetime.now(UTC))
        configure_logging()

        def say(bound: int) -> None:
            click.echo(f"witness {witness.key.name} at http://{host}:{bound}/add-checkpoint", err=True)

        asyncio.run(witness_until_stopped(witness, host, port, say))


@witness_command.command("init")
@click.option("--data", required=True, type=FOLDER, help="Folder to create.")
@click.option("--name", required=True, help="Name that it cosigns under, such as witness.customer.example.")
@click.option("--log", "logs", multiple=True, type=_FILE, help="log.vkey of a log to watch. May be repeated.")
@click.option(
    "--algorithm",
    type=click.Choice([algorithm.value for algorithm in Algorithm]),
    default=Algorithm.ED25519.value,
    show_default=True,
    help="Keys to create. With both, the witness cosigns each head twice.",
)
def init_command(data: Path, name: str, logs: tuple[Path, ...], algorithm: str) -> None:
    """Create the keys of a witness; print the verifier keys for the log's settings, one per line."""
    known = [key for path in logs for key in _log_keys(path)]
    keys = prepare_witness(data, name, known, Algorithm(algorithm))
    click.echo("\n".join(key.text() for key in keys))


def _log_keys(path: Path) -> list[VerifierKey]:
    """Return the verifier keys in a file; raises InvalidInputError if it holds anything else, or none."""
    lines = read_file(path).decode("utf-8", "replace").splitlines()
    try:
        keys = [parse_verifier_key(line) for line in lines if line.strip()]
    except InvalidInputError as error:
        keys, reason = [], error.faults[0].reason
    else:
        reason = "it is empty"
    if not keys:
        raise InvalidInputError(Fault("log", f"{path} is no log.vkey of a log, one verifier key a line: {reason}"))
    return keys
