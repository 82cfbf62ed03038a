"""Runs on the leader only: ask witnesses to cosign each head. Each is asked separately; the log never waits for one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

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
from service.ports.log import LogStore, LogTransaction
from service.system.periodic import PeriodicTask

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
        store: LogStore,
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
        pace = pace or CosigningPace()
        self._tasks = [_WitnessTask(store, client, measure, clock, pace, failed) for client in clients]
        self.states = [task.state for task in self._tasks]

    def wake(self, changed: set[str]) -> None:
        """Look again after a commit; called in the event loop with the kinds of things it changed."""
        for task in self._tasks:
            task.wake(changed)

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            for task in self._tasks:
                group.create_task(task.run(), name=f"witness {task.state.name}")

    async def look(self) -> None:
        """Ask every witness once; what fails is in ``states``."""
        errors = await asyncio.gather(*(task.look() for task in self._tasks), return_exceptions=True)
        for task, error in zip(self._tasks, errors, strict=True):
            if isinstance(error, Exception):
                task.failed(error)


class _WitnessTask(PeriodicTask):
    """Has one witness cosign the latest head."""

    name = "witness"
    kinds: ClassVar[frozenset[str]] = frozenset({"log"})

    def __init__(
        self,
        store: LogStore,
        client: WitnessClient,
        measure: Callable[[bytes], Awaitable[None]],
        clock: Clock,
        pace: CosigningPace,
        count_failure: Callable[[str], None],
    ) -> None:
        super().__init__(clock)
        self.poll_seconds, self.shortest_seconds = pace.poll_seconds, pace.period_seconds
        self.retry_seconds = (pace.first_retry_seconds, pace.last_retry_seconds)
        self._store, self._client, self._measure, self._count_failure = store, client, measure, count_failure
        self.state = WitnessState(client.name)

    async def look(self) -> None:
        """Have the latest head cosigned; raises whatever keeps the witness from it."""
        await self._have_cosigned()
        self.state.failing_since, self.state.reason, self.state.disputes = None, None, False

    def failed(self, error: Exception) -> None:
        """Keep in ``state`` why the witness does not cosign, and log it."""
        state = self.state
        state.failing_since = state.failing_since or self._clock.now()
        state.reason, state.failures = str(error) or type(error).__name__, state.failures + 1
        state.disputes = isinstance(error, WitnessDisputeError)
        self._count_failure(state.name)
        unexpected = None if isinstance(error, WitnessUnavailableError | WitnessDisputeError) else error
        _log.warning("witness.failed", witness=state.name, reason=state.reason, exc_info=unexpected)

    async def _have_cosigned(self) -> None:
        """Have the latest head cosigned, and keep the cosignature.

        1. Read the latest head, and the size that the witness cosigned last: from this process, else from the store.
        2. Send the head with a consistency proof from that size. The witness may answer that it needs another size.
        3. If the witness cosigned a larger tree or another history, ask it for that head and compare it with this log.
        4. Store its cosignature line.
        """
        state, client = self.state, self._client
        for _ in range(_TRIES):
            # 1.
            if state.size is None:
                last = await self._store.read(lambda tx: tx.log.last_cosigned(client.name))
                state.size, state.cosigned_at = (0, None) if last is None else last
            size, note, proof = await self._store.read(lambda tx: _asked(tx, state.size or 0))
            if note is None or (state.confirmed and size == state.size):
                return
            # 2.
            if proof is None:
                await self._dispute(f"{client.name} cosigned {state.size} entries, here are {size}")
            try:
                cosigned = await client.add_checkpoint(state.size, proof or [], note)
            except WitnessConflictError as conflict:
                if conflict.size > size or conflict.size == state.size:
                    # 3.
                    await self._dispute(f"{client.name}: {conflict}, here are {size}")
                state.size = conflict.size
                continue
            except WitnessDisputeError as error:
                await self._dispute(str(error))
            # 4.
            state.cosigned_at = await self._keep(size, cosigned)
            state.size, state.confirmed = size, True
            return
        raise WitnessUnavailableError(f"{client.name} tells another size each time")

    async def _keep(self, size: int, cosigned: Cosignature) -> datetime:
        name = self.state.name
        at = datetime.fromtimestamp(cosigned.seconds, UTC)
        await self._store.write(lambda tx: tx.log.add_cosignature(size, name, cosigned.line, at))
        _log.debug("witness.cosigned", witness=name, size=size)
        return at

    async def _dispute(self, reason: str) -> None:
        """Raise what became of a dispute: LogUnavailableError where the witness proved it, WitnessDisputeError else."""
        self.state.size, self.state.confirmed = None, False
        note = await self._client.head(parse_checkpoint_note(await self._latest()).origin)
        if note is None:
            raise WitnessDisputeError(f"{reason}; it shows no head that would prove it")
        try:
            await self._measure(note)
        except VerificationError:
            raise WitnessDisputeError(f"{reason}; what it shows was not signed by this log") from None
        raise WitnessUnavailableError(f"{reason}; what it shows is in this log, so it is asked again")

    async def _latest(self) -> bytes:
        note = await self._store.read(lambda tx: tx.log.checkpoint())
        if note is None:
            raise LogUnavailableError("the log has no head yet")
        return note


def _asked(tx: LogTransaction, old: int) -> tuple[int, bytes | None, list[bytes] | None]:
    """Return size and note of the latest head, and the proof from an older size; None where that is beyond it."""
    size, note = tx.log.size(), tx.log.checkpoint()
    return size, note, consistency_proof(old, size, tx.log.node_hashes) if old <= size else None
