"""The command ``greffier``. Each command loads what it needs: an auditor's ``verify`` starts without the service."""

import asyncio
import atexit
import gc
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from notifications.errors import GreffierError
from service.cli.audit import audit_command
from service.cli.bundle import bundle_command
from service.cli.check_contacts import check_command
from service.cli.copy_command import copy_command
from service.cli.customers import export_command, import_command
from service.cli.database import backup_command
from service.cli.erasures import erasures_command
from service.cli.fsck import fsck_command
from service.cli.keys import keys_command
from service.cli.log import log_command
from service.cli.recover_log import succession_command
from service.cli.verify import verify_command
from service.cli.witness import witness_command

_DATA = click.Path(path_type=Path, file_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("greffier"), prog_name="greffier")
def cli() -> None:
    """Security-incident notices: declared, decided by the agreement, signed, served, proven."""


cli.add_command(verify_command)
cli.add_command(keys_command)
cli.add_command(copy_command)
cli.add_command(import_command)
cli.add_command(export_command)
cli.add_command(check_command)
cli.add_command(backup_command)
cli.add_command(log_command)
cli.add_command(audit_command)
cli.add_command(fsck_command)
cli.add_command(bundle_command)
cli.add_command(witness_command)
cli.add_command(erasures_command)
cli.add_command(succession_command)


@cli.command()
@click.option("--data", required=True, type=_DATA, help="Folder to prepare.")
@click.option("--address", default="soc@provider.example", show_default=True, help="Address that notices come from.")
@click.option("--provider", default="Demo Cloud", show_default=True, help="Name of the provider.")
@click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="First line encrypts the keys; without it the master key does.",
)
@click.option(
    "--master-key-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the master key stands or is put; master.key in the folder if not given.",
)
@click.option("--log-origin", help="Name of the log, for good; DOMAIN/greffier by the address if not given.")
def init(
    data: Path,
    address: str,
    provider: str,
    passphrase_file: Path | None,
    master_key_file: Path | None,
    log_origin: str | None,
) -> None:
    """Create demo CA, signing, timestamp, log and master keys, trust anchors, settings and the first token."""
    from service.bootstrap.data_folder import prepare_data_folder

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


@cli.command()
@click.option("--data", required=True, type=_DATA, help="Data folder; prepared with demo keys if it is empty.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535))
@click.option("--no-work", is_flag=True, help="Leave sealing and delivery to workers (PostgreSQL).")
def serve(data: Path, host: str, port: int, *, no_work: bool) -> None:
    """Run the service: API, pages, sealing and delivery. The only process of an embedded store, one of several else."""
    import uvloop

    from service.bootstrap.data_folder import is_prepared, prepare_data_folder
    from service.bootstrap.serve import serve_until_stopped
    from service.settings import load_settings
    from service.system.logging import configure_logging

    if not is_prepared(data):
        prepare_data_folder(data, address="soc@provider.example", provider_name="Demo Cloud", now=datetime.now(UTC))
        click.echo(f"prepared {data} with demo keys; for production see README", err=True)
    settings = load_settings(data)
    configure_logging()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_until_stopped(settings, host, port, works=not no_work))


@cli.command()
@click.option("--data", required=True, type=_DATA, help="Data folder, prepared.")
@click.option("--health-host", default="127.0.0.1", show_default=True)
@click.option("--health-port", type=click.IntRange(0, 65_535), help="Answer /healthz and /readyz here.")
def worker(data: Path, health_host: str, health_port: int | None) -> None:
    """Seal and deliver beside other processes, without the API (PostgreSQL)."""
    import uvloop

    from service.bootstrap.work import work_until_stopped
    from service.settings import load_settings
    from service.system.logging import configure_logging

    settings = load_settings(data)
    configure_logging()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work_until_stopped(settings, health_host, health_port))


@cli.command()
@click.option("--data", required=True, type=_DATA, help="Data folder.")
def migrate(data: Path) -> None:
    """Bring the tables up to date: of the data folder, or of the database that its settings name, as its owner."""
    from service.settings import load_settings
    from service.store import migrate_store

    settings = load_settings(data)
    migrate_store(settings.store_location(), role=settings.database_role)
    click.echo("up to date")


@cli.command()
@click.option("--out", type=_DATA, default=Path("demo-data"), show_default=True, help="Folder for mails and trust.")
@click.option("--once", is_flag=True, help="End after the story instead of serving on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="Port to serve on.")
def demo(out: Path, port: int, *, once: bool) -> None:
    """Show the whole job on this machine: declare, decide, serve, verify, tamper. No account, no network."""
    import uvloop

    from service.cli.demo.story import run_demo

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run_demo(out, once=once, port=port))


def main() -> None:
    """Run the command; a wrong input is one line on standard error and exit code 2."""
    # Otherwise the interpreter looks through every object once more before it ends, for half a second.
    atexit.register(gc.freeze)
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as error:
        code = error.exit_code
    except click.ClickException as error:
        click.echo(f"greffier: {error.format_message()}", err=True)
        code = 2
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except (GreffierError, OSError) as error:
        # A timeout has no words of its own.
        click.echo(f"greffier: {' '.join(str(error).split()) or type(error).__name__}", err=True)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
