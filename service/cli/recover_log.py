"""``greffier succeed-log``: a new log says what became of one that refuses to sign for good."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("succeed-log")
@click.option("--data", required=True, type=_FOLDER, help="New data folder, with another log.origin.")
@click.option("--old", required=True, type=_FOLDER, help="Data folder of the log that refuses to sign.")
@click.option("--reason", required=True, help="What happened, in a sentence; the log commits to it.")
@click.option(
    "--head",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Head that the old database lacks, of a witness or a proof; the old folder's log-head if not given.",
)
def succession_command(data: Path, old: Path, reason: str, head: Path | None) -> None:
    """Record in a new log that an old one was lost: its published head, what is left of it, which indices are not.

    It does not make the old log sign again, and brings no entry back: the old name is over. Nothing of the old folder
    is changed; keep it, with its trust folder, for whoever verifies old notices. The new service must be stopped.
    """
    from service.cli.succession import recover_log  # noqa: PLC0415 - as above
    from service.settings import load_settings  # noqa: PLC0415 - as above
    from service.system.logging import SystemIdentifiers  # noqa: PLC0415 - verify starts without the service

    done = asyncio.run(
        recover_log(
            load_settings(data),
            load_settings(old),
            reason=reason,
            head_file=head,
            now=datetime.now(UTC),
            identifiers=SystemIdentifiers(),
        )
    )
    click.echo(f"{done.published.origin}: published {done.published.size} entries, the database holds {done.kept.size}")
    if not done.kept_is_whole:
        click.echo("the database does not agree with its own latest head: it was changed")
    if done.lost is None:
        click.echo("the database holds other entries than were published; a head does not tell which")
    else:
        click.echo(f"lost for good: entries {done.lost[0]} to {done.lost[1]}")
    click.echo("recorded; the new log says so from its next start on")
