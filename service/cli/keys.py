"""``greffier keys``: list and replace the keys of a data folder, with or without a running service."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import click

from notifications.use_cases.audit_context import AuditContext
from service.bootstrap.data_folder import prepared_settings
from service.cli.options import DATA, FILE
from service.crypto.key_states import KeyState
from service.crypto.master_key import key_passphrases, load_masters
from service.key_rotation.keeper import KeyKeeper, all_key_states
from service.key_rotation.master_rotation import rotate_master
from service.key_rotation.rotation import KeyRotation
from service.key_rotation.staging import PreparedRotation
from service.settings import Settings
from service.store import Store, open_store
from service.system.file_lock import sole_use
from service.system.logging import SystemClock, SystemIdentifiers, configure_logging

#: Digits of a fingerprint that are shown.
_SHOWN = 16


@click.group("keys")
def keys_command() -> None:
    """List and replace the keys that sign, and the master key that encrypts them."""


@keys_command.command("list")
@DATA
def list_command(data: Path) -> None:
    """List every key: kind, fingerprint, state, validity, and whether it is encrypted at rest."""
    for state in _key_states(_settings(data)):
        since, until = (f"{at:%Y-%m-%d}" if at is not None else "…" for at in (state.not_before, state.not_after))
        words = {None: "", True: "encrypted", False: "NOT ENCRYPTED"}[state.encrypted]
        line = f"{state.kind:9}  {state.fingerprint[:_SHOWN]}  {state.state:11}  {since:10} to {until:10}  {words}"
        click.echo(line.rstrip())


@keys_command.group("rotate")
def rotate_command() -> None:
    """Replace a key. The old key remains valid for its overlap; its earlier signatures still verify."""


@rotate_command.command("signing")
@DATA
@click.option(
    "--install",
    type=FILE,
    help="PEM file with private key, certificate and intermediates of your CA. Default: the demo CA issues them.",
)
def rotate_signing_command(data: Path, install: Path | None) -> None:
    """Replace the key and certificate that sign notices and mails."""
    _print_replacement(asyncio.run(_rotate_signing(_settings(data), install)), "its certificate is valid until")


@rotate_command.command("log")
@DATA
def rotate_log_command(data: Path) -> None:
    """Replace the key that signs the log's checkpoints; give customers the new line of trust/log.vkey."""
    _print_replacement(asyncio.run(_rotate_log(_settings(data))), "it signs too until")


@rotate_command.command("master")
@DATA
def rotate_master_command(data: Path) -> None:
    """Replace the master key and encrypt again everything that it protects. The service must be stopped."""
    files, records = asyncio.run(_replace_master(_settings(data)))
    click.echo(f"the master key is replaced; encrypted again: {files} key files, {records} secrets in the database")


def _settings(data: Path) -> Settings:
    settings = prepared_settings(data)
    configure_logging(sys.stderr)
    return settings


def _print_replacement(prepared: PreparedRotation, words: str) -> None:
    click.echo(f"{prepared.key.kind} key {prepared.key.fingerprint[:_SHOWN]} is in place")
    previous, until = prepared.previous, prepared.change.overlap_until
    if previous is not None and until is not None:
        click.echo(f"the key before is {previous.fingerprint[:_SHOWN]}; {words} {until:%Y-%m-%d %H:%M} UTC")
    if prepared.advice is not None:
        click.echo(f"note: {prepared.advice}")


def _key_states(settings: Settings) -> list[KeyState]:
    """Return every key of a data folder; raises GreffierError if a required one cannot be read."""
    clock = SystemClock()
    rotation = KeyRotation(settings, key_passphrases(settings, load_masters(settings)), clock)
    return all_key_states(settings, rotation, rotation.log_keys().ring(), clock.now())


async def _rotate_signing(settings: Settings, install: Path | None) -> PreparedRotation:
    """Replace the signing key by a new one of the demo CA, or by the key and certificate in a file."""
    return await _rotate(settings, lambda rotation: _prepare_signing(rotation, install))


async def _rotate_log(settings: Settings) -> PreparedRotation:
    """Replace the log's key."""
    return await _rotate(settings, KeyRotation.prepare_log)


async def _replace_master(settings: Settings) -> tuple[int, int]:
    """Replace the master key; raises InvalidInputError while a service runs on the folder."""
    with sole_use(settings.data):
        async with _opened(settings) as (keeper, store), keeper.rotating():
            return await rotate_master(settings, store, _act())


def _prepare_signing(rotation: KeyRotation, install: Path | None) -> PreparedRotation:
    return rotation.prepare_signing() if install is None else rotation.prepare_installed(install)


async def _rotate(settings: Settings, prepare: Callable[[KeyRotation], PreparedRotation]) -> PreparedRotation:
    async with _opened(settings) as (keeper, store), keeper.rotating() as rotation:
        prepared = await asyncio.to_thread(prepare, rotation)
        act = _act()
        await store.write(lambda tx: keeper.announce(tx, act, prepared))
        return prepared


def _act() -> AuditContext:
    # Use the number of the system account, because it identifies nobody outside this machine.
    return AuditContext(f"operator:uid-{os.getuid()}", SystemClock().now(), SystemIdentifiers())


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[KeyKeeper, Store]]:
    clock = SystemClock()
    rotation = KeyRotation(settings, key_passphrases(settings, load_masters(settings)), clock)
    store = open_store(settings.store_location(), migrate=settings.database.url is None)
    try:
        yield (
            KeyKeeper(
                settings,
                rotation,
                unit_of_work=store,
                log_store=store,
                clock=clock,
                identifiers=SystemIdentifiers(),
            ),
            store,
        )
    finally:
        await store.close()
