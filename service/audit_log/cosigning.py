"""Runs on the leader only: ask witnesses to cosign each head. Each is asked separately; the log never waits for one."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from notifications.audit.checkpoint import parse_checkpoint_note
from notifications.audit.cosignature import Cosignature
from notifications.audit.merkle import consistency_proof
from notifications.errors import LogUnavailableError, VerificationError
from notifications.ports import Clock
from service.audit_log.witness.client import (
    WitnessClient,
    WitnessConflictError,
    WitnessDisputeError,
    WitnessUnavailableError,
)
from service.ports.log import CosignatureStore, CosignatureTransaction

_log = structlog.get_logger(__name__)

#: The size of a witness can change during a request, because an earlier leader may ask it at the same time.
_TRIES = 3


@dataclass(slots=True)
class WitnessState:
    """The state of a witness, as far as this process knows."""

    name: str
    #: size of the head that it cosigned last; None if not known
    size: int | None = None
    #: when it cosigned that head, by its own clock
    cosigned_at: datetime | None = None
    #: whether it answered since this process started; before that, ``size`` comes only from the database
    confirmed: bool = False
    #: since when it does not cosign, and why; None if it does
    failing_since: datetime | None = None
    reason: str | None = None
    #: whether it claims to have cosigned another history without proving it
    disputes: bool = False
    #: failed attempts since the process started
    failures: int = 0


@dataclass(frozen=True, slots=True)
class CosigningPace:
    """How often witnesses are asked."""

    #: shortest time between two requests to a witness, however fast the log grows
    period_seconds: float = 1.0
    #: longest time until a head is found that no commit hook reported
    poll_seconds: float = 10.0
    #: wait after the first failure; it doubles up to ``last_retry_seconds``
    first_retry_seconds: float = 1.0
    last_retry_seconds: float = 60.0


class Cosigning:
    """Asks every witness to cosign the latest head; a cosigned head covers all earlier ones."""

    def __init__(
        self,
        store: CosignatureStore,
        clients: Sequence[WitnessClient],
        *,
        measure: Callable[[bytes], Awaitable[None]],
        clock: Clock,
        pace: CosigningPace | None = None,
        failed: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """``measure`` compares a head that a witness showed with this log. It raises LogUnavailableError if the log
        must stop, and VerificationError if the head is not from this log. ``failed`` is called with the name of a
        witness after each failed attempt.
        """
        self._store, self._clients, self._measure, self._clock = store, clients, measure, clock
        self._failed = failed
        self._pace = pace or CosigningPace()
        self.states = [WitnessState(client.name) for client in clients]
        self._wakes = [asyncio.Event() for _ in clients]

    def wake(self, changed: set[str]) -> None:
        """Ask again after a commit; called in the event loop with the kinds of things that it changed."""
        if "log" in changed:
            for wake in self._wakes:
                wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            for client, state, wake in zip(self._clients, self.states, self._wakes, strict=True):
                group.create_task(self._follow(client, state, wake), name=f"witness {client.name}")

    async def look(self) -> None:
        """Ask every witness once; failures are recorded in ``states``."""
        await asyncio.gather(*(self._look(*pair) for pair in zip(self._clients, self.states, strict=True)))

    async def _follow(self, client: WitnessClient, state: WitnessState, wake: asyncio.Event) -> None:
        retry_seconds = self._pace.first_retry_seconds
        while True:
            wake.clear()
            if await self._look(client, state):
                retry_seconds = self._pace.first_retry_seconds
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pace.poll_seconds):
                        await wake.wait()
                await asyncio.sleep(self._pace.period_seconds)
            else:
                await asyncio.sleep(retry_seconds)
                retry_seconds = min(2 * retry_seconds, self._pace.last_retry_seconds)

    async def _look(self, client: WitnessClient, state: WitnessState) -> bool:
        """Ask for a cosignature of the latest head; return whether the witness has cosigned it. Logs every failure."""
        try:
            await self._have_cosigned(client, state)
        except Exception as error:  # noqa: BLE001 - whatever failed is shown and tried again
            state.failing_since = state.failing_since or self._clock.now()
            state.reason, state.failures = str(error) or type(error).__name__, state.failures + 1
            state.disputes = isinstance(error, WitnessDisputeError)
            self._failed(client.name)
            unexpected = None if isinstance(error, WitnessUnavailableError | WitnessDisputeError) else error
            _log.warning("witness.failed", witness=client.name, reason=state.reason, exc_info=unexpected)
            return False
        state.failing_since, state.reason, state.disputes = None, None, False
        return True

    async def _have_cosigned(self, client: WitnessClient, state: WitnessState) -> None:
        """Get a cosignature of the latest head, and store it.

        1. Read the latest head, and the size that the witness cosigned last: from this process, else from the store.
        2. Send the head with a consistency proof from that size. The witness may answer that it needs another size.
        3. If the witness cosigned a larger tree or another history, ask it for that head and compare it with this log.
        4. Store its cosignature line.
        """
        for _ in range(_TRIES):
            # 1.
            if state.size is None:
                last = await self._store.read(lambda tx: tx.last_cosigned(client.name))
                state.size, state.cosigned_at = (0, None) if last is None else last
            size, note, proof = await self._store.read(lambda tx: _asked(tx, state.size or 0))
            if note is None or (state.confirmed and size == state.size):
                return
            # 2.
            if proof is None:
                await self._dispute(client, state, f"{client.name} cosigned {state.size} entries, here are {size}")
            try:
                cosigned = await client.add_checkpoint(state.size, proof or [], note)
            except WitnessConflictError as conflict:
                if conflict.size > size or conflict.size == state.size:
                    # 3.
                    await self._dispute(client, state, f"{client.name}: {conflict}, here are {size}")
                state.size = conflict.size
                continue
            except WitnessDisputeError as error:
                await self._dispute(client, state, str(error))
            # 4.
            state.cosigned_at = await self._keep(client.name, size, cosigned)
            state.size, state.confirmed = size, True
            return
        raise WitnessUnavailableError(f"{client.name} tells another size each time")

    async def _keep(self, name: str, size: int, cosigned: Cosignature) -> datetime:
        at = datetime.fromtimestamp(cosigned.seconds, UTC)
        await self._store.write(lambda tx: tx.add_cosignature(size, name, cosigned.line, at))
        _log.debug("witness.cosigned", witness=name, size=size)
        return at

    async def _dispute(self, client: WitnessClient, state: WitnessState, reason: str) -> None:
        """Raise the result of a dispute: LogUnavailableError if the witness proved it, else WitnessDisputeError."""
        state.size, state.confirmed = None, False
        note = await client.head(parse_checkpoint_note(await self._latest()).origin)
        if note is None:
            raise WitnessDisputeError(f"{reason}; it shows no head that would prove it")
        try:
            await self._measure(note)
        except VerificationError:
            raise WitnessDisputeError(f"{reason}; what it shows was not signed by this log") from None
        raise WitnessUnavailableError(f"{reason}; what it shows is in this log, so it is asked again")

    async def _latest(self) -> bytes:
        note = await self._store.read(lambda tx: tx.log_checkpoint())
        if note is None:
            raise LogUnavailableError("the log has no head yet")
        return note


def _asked(tx: CosignatureTransaction, old: int) -> tuple[int, bytes | None, list[bytes] | None]:
    """Return size and note of the latest head, and the proof from an older size; None if that size is larger."""
    size, note = tx.log_size(), tx.log_checkpoint()
    return size, note, consistency_proof(old, size, tx.log_node_hashes) if old <= size else None
