"""``greffier init``: a new data folder with demo keys, trust anchors, settings and the first token."""

from datetime import UTC, datetime
from pathlib import Path

import click

from service.bootstrap.data_folder import prepare_data_folder
from service.cli.options import FILE, FOLDER


@click.command("init")
@click.option("--data", required=True, type=FOLDER, help="Folder to prepare.")
@click.option("--address", default="soc@provider.example", show_default=True, help="Address that notices come from.")
@click.option("--provider", default="Demo Cloud", show_default=True, help="Name of the provider.")
@click.option(
    "--passphrase-file",
    type=FILE,
    help="File whose first line encrypts the private keys. Default: the master key encrypts them.",
)
@click.option(
    "--master-key-file",
    type=FILE,
    help="File of the master key, existing or new. Default: master.key in the data folder.",
)
@click.option(
    "--log-origin",
    help="Name of the log; it cannot be changed later. Default: the domain of --address, then /greffier.",
)
def init_command(
    data: Path,
    address: str,
    provider: str,
    passphrase_file: Path | None,
    master_key_file: Path | None,
    log_origin: str | None,
) -> None:
    """Create demo CA, signing, timestamp, log and master keys, trust anchors, settings and the first token."""
    prepare_data_folder(
        data,
        address=address,
        provider_name=provider,
        now=datetime.now(UTC),
        passphrase_file=passphrase_file,
        master_key_file=master_key_file,
        log_origin=log_origin,
    )
    click.echo(f"prepared {data}: keys/ and master.key (keep), trust/ (give to customers), api-token, greffier.toml")
