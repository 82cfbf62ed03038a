"""The keys of a service or a command: their states, and their rotation with an entry in the log."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.entry import AuditEntry
from notifications.errors import GreffierError, LogUnavailableError, StateConflictError
from notifications.ports import Clock, Identifiers, Transaction, UnitOfWork
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.evidence.record_keys import record_keys, rotation_entry
from service.audit_log.published_head import verify_head
from service.crypto.key_files import is_encrypted, read_file
from service.crypto.key_states import (
    KeyState,
    authority_states,
    log_states,
    master_states,
    signing_states,
)
from service.crypto.log_keys import LogKeyFile, LogKeyRing
from service.crypto.master_key import read_masters
from service.key_rotation.rotation import KeyRotation
from service.key_rotation.staging import PreparedRotation
from service.ports.log import LogStore
from service.settings import Settings

_log = structlog.get_logger(__name__)

#: The actor in log entries about installed keys; the entry that announces a key names the person who ordered it.
_ACTOR = "system:keys"


class KeyKeeper:
    """Rotates keys and reports their states. One per process; several processes may share a data folder."""

    def __init__(
        self,
        settings: Settings,
        rotation: KeyRotation,
        *,
        unit_of_work: UnitOfWork,
        log_store: LogStore,
        clock: Clock,
        identifiers: Identifiers,
        refusal: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``refusal`` returns why a sequencer in this process refuses to sign; the database is always checked too."""
        self._settings, self._unit_of_work, self._log_store = settings, unit_of_work, log_store
        self._clock, self._identifiers, self._refusal = clock, identifiers, refusal
        self._log_keys: LogKeyFile = rotation.log_keys()
        self._head_path: Path = settings.head_file
        self.rotation = rotation

    @asynccontextmanager
    async def rotating(self) -> AsyncIterator[KeyRotation]:
        """Lock out other rotations. The caller prepares one inside and calls ``announce`` for it in a transaction.

        1. Finish an earlier rotation that was interrupted.
        2. Raise LogUnavailableError if the log refuses to sign: no key changes then.
        3. At the end, install what was announced inside, and discard the rest.

        Raises StateConflictError if another rotation is in progress.
        """
        with self.rotation.alone():
            # 1.
            await self.settle()
            # 2.
            if (reason := self._refusal()) is not None:
                raise LogUnavailableError(reason)
            await verify_head(self._log_store, self._head_path, self._log_keys)
            try:
                yield self.rotation
            finally:
                # 3.
                await self.settle()

    def announce(self, tx: Transaction, act: AuditContext, prepared: PreparedRotation) -> AuditEntry:
        """Stage a prepared rotation and append the entry that announces it, in the caller's transaction."""
        entry = rotation_entry(act, prepared.change)
        self.rotation.stage(prepared, entry.id)
        tx.audit.append([entry])
        return entry

    async def settle(self) -> None:
        """Install the staged keys that the log announces, and discard the others. This also repairs a crash.

        The look-up of the announcing entry waits for running transactions, so an entry that is being committed counts.
        """
        waiting = [entry_id for _, entry_id in await asyncio.to_thread(self.rotation.staged)]
        if not waiting:
            return
        ids = [entry_id for entry_id in waiting if entry_id is not None]
        appended = await self._log_store.write(lambda tx: {item for item in ids if tx.audit.is_appended(item)})
        placed = dict(await asyncio.to_thread(self.rotation.settle, appended.__contains__))
        if placed:
            act = AuditContext(_ACTOR, self._clock.now(), self._identifiers)
            await self._unit_of_work.write(lambda tx: record_keys(tx, act, placed))
            for use, fingerprint in placed.items():
                _log.info("key.activated", use=use, fingerprint=fingerprint)

    async def settle_at_start(self) -> None:
        """Finish the pending work at a start. A failure is logged; the service then continues with the current keys.

        1. Finish a rotation that a crash interrupted. 2. Erase log keys that no longer sign. 3. Log which private keys
        are not encrypted.
        """
        try:
            with self.rotation.alone():
                # 1.
                await self.settle()
                # 2.
                await asyncio.to_thread(self.rotation.erase_ended_log_keys)
        except StateConflictError:
            _log.warning("rotation.under_way")
        except (GreffierError, OSError) as error:
            _log.error("rotation.unsettled", reason=str(error))
        # 3.
        for state in await self.states():
            if state.encrypted is False:
                _log.warning("key.unencrypted", kind=state.kind, fingerprint=state.fingerprint)

    async def states(self) -> list[KeyState]:
        """Return every key by kind, the current one first; raises SealingUnavailableError for an unreadable log key."""
        now = self._clock.now()
        return await asyncio.to_thread(
            lambda: all_key_states(self._settings, self.rotation, self._log_keys.ring(), now)
        )

    async def log_signers(self) -> tuple[Ed25519PrivateKey, ...]:
        """Return the log's signing keys, the current one first, for signatures other than those of checkpoints.

        Raises LogUnavailableError if the log refuses to sign, SealingUnavailableError without a usable key.
        """
        if (reason := self._refusal()) is not None:
            raise LogUnavailableError(reason)
        await verify_head(self._log_store, self._head_path, self._log_keys)
        return self._log_keys.signers().keys

    def log_verifier_keys(self) -> str:
        """Return the log's verifier keys, oldest first, one per line; raises SealingUnavailableError."""
        return self._log_keys.verifier_keys_text()


def all_key_states(settings: Settings, rotation: KeyRotation, ring: LogKeyRing, now: datetime) -> list[KeyState]:
    """Return every key by kind, the current one first; reads only files."""
    return [
        *signing_states(rotation.files, rotation.signing_file, rotation.signing_key_file),
        *log_states(ring, now, encrypted=is_encrypted(read_file(rotation.log_file, "key"))),
        *authority_states(rotation.files, embedded_timestamps=settings.timestamps.url is None),
        *master_states(read_masters(settings.master_file)),
    ]
