"""What ``greffier keys`` does, beside a running service or without one."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from notifications.use_cases.audit_context import AuditContext
from service.bootstrap.data_folder import sole_use
from service.crypto.key_states import KeyState
from service.crypto.master_key import key_passphrases, load_masters
from service.key_rotation.keeper import KeyKeeper, all_key_states
from service.key_rotation.master_rotation import rotate_master
from service.key_rotation.rotation import KeyRotation
from service.key_rotation.staging import PreparedRotation
from service.settings import Settings
from service.store import Store, open_store
from service.system.logging import SystemClock, SystemIdentifiers


def key_states(settings: Settings) -> list[KeyState]:
    """Return every key of a data folder; raises GreffierError where one that must be readable is not."""
    clock = SystemClock()
    rotation = KeyRotation(settings, key_passphrases(settings, load_masters(settings)), clock)
    return all_key_states(settings, rotation, rotation.log_keys().ring(), clock.now())


async def rotate_signing(settings: Settings, install: Path | None) -> PreparedRotation:
    """Replace the signing key by one of the demo CA, or by what a file holds."""
    return await _rotate(settings, lambda rotation: _prepare_signing(rotation, install))


async def rotate_log(settings: Settings) -> PreparedRotation:
    """Replace the log's key."""
    return await _rotate(settings, KeyRotation.prepare_log)


async def replace_master(settings: Settings) -> tuple[int, int]:
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
    # The number of the system's account: it names nobody outside this machine.
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
