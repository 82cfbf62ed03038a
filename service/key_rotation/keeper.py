"""Keys as a running service or a command keeps them: which there are, and how one is replaced under the log's eyes."""

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

#: Who puts keys in place, in the audit log; who ordered it stands in the entry that announced it.
_ACTOR = "system:keys"


class KeyKeeper:
    """Replaces keys and tells of them; one per process, several processes may share a data folder."""

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
        """``refusal`` tells why a sequencer in this process refuses to sign; the database is asked in any case."""
        self._settings, self._unit_of_work, self._log_store = settings, unit_of_work, log_store
        self._clock, self._identifiers, self._refusal = clock, identifiers, refusal
        self._log_keys: LogKeyFile = rotation.log_keys()
        self._head_path: Path = settings.head_file
        self.rotation = rotation

    @asynccontextmanager
    async def rotating(self) -> AsyncIterator[KeyRotation]:
        """Hold off other rotations; inside, prepare one and ``announce`` it in a transaction; then it is put in place.

        1. What an earlier rotation left unfinished is ended first.
        2. Where the log refuses to sign, no key changes: LogUnavailableError.
        3. Whatever was announced inside is put in place; what was not is thrown away.

        Raises StateConflictError while another rotation is under way.
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
        """Put in place what the log announces, throw away what it does not; a crash before is mended by this, too.

        Asks for the entry behind every write that is under way: one that is just being committed is waited for.
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
        """Do what a start finds to do; a failure is told and stops nothing, the keys as they are go on.

        1. End a rotation that a crash interrupted. 2. Erase log keys whose time to sign is over. 3. Say which private
        keys stand unencrypted.
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
        """Return the log's keys that sign now, the current one first, for what is signed beside checkpoints.

        Raises LogUnavailableError where the log refuses to sign, SealingUnavailableError without a usable key.
        """
        if (reason := self._refusal()) is not None:
            raise LogUnavailableError(reason)
        await verify_head(self._log_store, self._head_path, self._log_keys)
        return self._log_keys.signers().keys

    def log_verifier_keys(self) -> str:
        """Return the log's verifier keys, oldest first, one a line; raises SealingUnavailableError."""
        return self._log_keys.verifier_keys_text()


def all_key_states(settings: Settings, rotation: KeyRotation, ring: LogKeyRing, now: datetime) -> list[KeyState]:
    """Return every key by kind, the current one first; looks at files alone."""
    return [
        *signing_states(rotation.files, rotation.signing_file, rotation.signing_key_file),
        *log_states(ring, now, encrypted=is_encrypted(read_file(rotation.log_file, "key"))),
        *authority_states(rotation.files, embedded_timestamps=settings.timestamp_url is None),
        *master_states(read_masters(settings.master_file)),
    ]
