"""The leader's duty of having each head cosigned: every witness by itself, and none holds up the log or a notice."""

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
from service.ports.log import LogStore, LogTransaction

_log = structlog.get_logger(__name__)

#: A witness may be told of another size once, while it is asked, by a process that led before.
_TRIES = 3


@dataclass(slots=True)
class WitnessState:
    """How a witness fares, as far as this process knows."""

    name: str
    #: entries under the head that it cosigned last; None while that is not known
    size: int | None = None
    #: when it cosigned that, by its own clock
    cosigned_at: datetime | None = None
    #: it was asked since this process started: until then a size is only what the database says
    confirmed: bool = False
    #: since when it has not cosigned, and why; None while it does
    failing_since: datetime | None = None
    reason: str | None = None
    #: it says that it cosigned another history, and proved nothing
    disputes: bool = False
    #: tries that failed since the process started
    failures: int = 0


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    """How often witnesses are asked."""

    #: a witness is asked so often at most, however fast the log grows
    period_seconds: float = 1.0
    #: how often to look for heads that no commit told of
    poll_seconds: float = 10.0
    #: wait after a failure; doubles up to the last
    first_retry_seconds: float = 1.0
    last_retry_seconds: float = 60.0


class Cosigning:
    """Asks every witness to cosign the latest head; what lies between two heads is covered by the later one."""

    def __init__(
        self,
        store: LogStore,
        clients: Sequence[WitnessClient],
        *,
        measure: Callable[[bytes], Awaitable[None]],
        clock: Clock,
        settings: WitnessSettings | None = None,
        failed: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """``measure`` takes a head that a witness showed: it raises LogUnavailableError where the log must stop, and
        VerificationError for what is no head of this log. ``failed`` is told of each try that failed, by witness.
        """
        self._store, self._clients, self._measure, self._clock = store, clients, measure, clock
        self._failed = failed
        self._settings = settings or WitnessSettings()
        self.states = [WitnessState(client.name) for client in clients]
        self._wakes = [asyncio.Event() for _ in clients]

    def wake(self, changed: set[str]) -> None:
        """Look again after a commit; called in the event loop with the kinds of things it changed."""
        if "log" in changed:
            for wake in self._wakes:
                wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        async with asyncio.TaskGroup() as group:
            for client, state, wake in zip(self._clients, self.states, self._wakes, strict=True):
                group.create_task(self._follow(client, state, wake), name=f"witness {client.name}")

    async def look(self) -> None:
        """Ask every witness once; what fails is in ``states``."""
        await asyncio.gather(*(self._look(*pair) for pair in zip(self._clients, self.states, strict=True)))

    async def _follow(self, client: WitnessClient, state: WitnessState, wake: asyncio.Event) -> None:
        retry_seconds = self._settings.first_retry_seconds
        while True:
            wake.clear()
            if await self._look(client, state):
                retry_seconds = self._settings.first_retry_seconds
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.poll_seconds):
                        await wake.wait()
                await asyncio.sleep(self._settings.period_seconds)
            else:
                await asyncio.sleep(retry_seconds)
                retry_seconds = min(2 * retry_seconds, self._settings.last_retry_seconds)

    async def _look(self, client: WitnessClient, state: WitnessState) -> bool:
        """Have the latest head cosigned; returns whether the witness holds it now. No failure ends the duty."""
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
        """Have the latest head cosigned, and keep the cosignature.

        1. Read the latest head, and the size that the witness stands at: as known, else as it told by its cosignature.
        2. Ask it with the proof from there. It may tell another size to begin from.
        3. Where it stands beyond this log, or sees another history: have it show the head, and measure by that.
        4. Keep its line.
        """
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
        await self._store.write(lambda tx: tx.log.add_cosignature(size, name, cosigned.line, at))
        _log.debug("witness.cosigned", witness=name, size=size)
        return at

    async def _dispute(self, client: WitnessClient, state: WitnessState, reason: str) -> None:
        """Raise what became of a dispute: LogUnavailableError where the witness proved it, WitnessDisputeError else."""
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
        note = await self._store.read(lambda tx: tx.log.checkpoint())
        if note is None:
            raise LogUnavailableError("the log has no head yet")
        return note


def _asked(tx: LogTransaction, old: int) -> tuple[int, bytes | None, list[bytes] | None]:
    """Return size and note of the latest head, and the proof from an older size; None where that is beyond it."""
    size, note = tx.log.size(), tx.log.checkpoint()
    return size, note, consistency_proof(old, size, tx.log.node_hashes) if old <= size else None
