"""Seal released notices, prove sealed ones in the log, and obtain missing timestamps."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import structlog

from notifications.errors import (
    LogUnavailableError,
    StoreUnavailableError,
    TimestampUnavailableError,
    VersionMismatchError,
)
from notifications.notice import Notice
from notifications.use_cases.notices.seal_notice import commit_seals, hold_notice, obtain_timestamp, prove_notices
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies
from notifications.use_cases.notices.sign_notices import sign_notices
from service.delivery.signing_process import SigningProcess
from service.delivery.worker_settings import StopDeadline, WorkerSettings

_log = structlog.get_logger(__name__)

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class SealingLoop:
    """The steps from a released notice to a sealed, proven and timestamped one."""

    def __init__(
        self,
        sealing: SealingDependencies,
        settings: WorkerSettings,
        stop: StopDeadline,
        signing_process: SigningProcess | None = None,
    ) -> None:
        self._sealing, self._settings, self._stop = sealing, settings, stop
        self._signing_process = signing_process
        #: current failures, by part
        self.failures: dict[str, str] = {}
        #: held notices, and the reason that was logged
        self._held: dict[UUID, str] = {}
        #: why notices have no timestamp, and which, as it is stored
        self._undated: tuple[str, Sequence[UUID]] | None = None
        #: notices that are being sealed here; ``prove_sealed`` leaves them out
        self._sealing_now: set[UUID] = set()
        self._sign = sign_notices if signing_process is None else signing_process.sign
        self._places_to_seal = asyncio.Semaphore(settings.sealing_at_once)

    async def seal_released(self) -> int:
        """Seal released notices; return how many were sealed. Held notices stay released and are tried again later."""
        if self._stop.has_begun:
            return 0
        now, limit = self._sealing.clock.now(), self._settings.sealing_batch
        until = now + timedelta(seconds=self._settings.lease_seconds)
        released = await self._sealing.unit_of_work.write(
            lambda tx: list(tx.notices.lease_released(now, until, limit)), concurrently=True
        )
        if self._signing_process is not None and len(released) >= self._settings.large_release:
            self._signing_process.start()
        together, sealed = self._settings.sealing_together, 0
        failures: list[Exception] = []
        for ids in _in_sequence(released):
            batches = [ids[start : start + together] for start in range(0, len(ids), together)]
            try:
                sealed += sum(await _each(batches, self._seal))
            except Exception as error:  # noqa: BLE001 - raised below; it delays no later notice
                failures.append(error)
        if failures:
            raise failures[0]
        return sealed

    async def _seal(self, notice_ids: Sequence[UUID]) -> int:
        """Seal notices together; after a failure one by one, so that only the faulty one fails, and says why."""
        try:
            return await self._seal_together(notice_ids)
        except Exception as error:
            if len(notice_ids) == 1:
                # Without this, who released it would see nothing of the failure.
                if not isinstance(error, StoreUnavailableError | VersionMismatchError):
                    reason = f"it cannot be composed, signed or stored: {type(error).__name__}: {error}"
                    await hold_notice(notice_ids[0], reason, self._sealing)
                raise
            _log.warning("notices.sealed_singly", notices=len(notice_ids), reason=str(error))
        return sum(await _each([[notice_id] for notice_id in notice_ids], self._seal))

    async def _seal_together(self, notice_ids: Sequence[UUID]) -> int:
        self._sealing_now.update(notice_ids)
        sealed: list[UUID] = []
        try:
            async with self._places_to_seal:
                sealed = await commit_seals(notice_ids, self._sealing, self._sign)
            if sealed:
                await prove_notices(sealed, self._sealing)
        except LogUnavailableError as error:
            # The notices are signed but not proven: they wait for the log, and their hold reasons say so.
            for notice_id in sealed or notice_ids:
                _log.error("notice.unproven", notice_id=str(notice_id), reason=str(error))
                await hold_notice(notice_id, f"the audit log gives no proof: {error}", self._sealing)
            return 0
        finally:
            self._sealing_now.difference_update(notice_ids)
            left = [notice_id for notice_id in notice_ids if notice_id not in sealed]
            if left:
                await self._sealing.unit_of_work.write(lambda tx: tx.notices.release_leases(left), concurrently=True)
        for notice_id in left:
            await self._log_hold_reason(notice_id)
        return len(sealed)

    async def _log_hold_reason(self, notice_id: UUID) -> None:
        """Log why a released notice is held, once per reason, because it is tried again every few seconds."""
        notice = await self._sealing.unit_of_work.read(lambda tx: tx.notices.get(notice_id))
        if notice is None or notice.hold_reason is None or self._held.get(notice_id) == notice.hold_reason:
            return
        self._held[notice_id] = notice.hold_reason
        _log.error("notice.held", notice_id=str(notice_id), due_at=notice.due_at.isoformat(), reason=notice.hold_reason)

    async def prove_sealed(self) -> int:
        """Prove notices that were sealed but not proven because of a crash or a stopped sequencer."""
        limit = self._settings.sealing_batch
        pending = await self._sealing.unit_of_work.read(lambda tx: tx.notices.without_log_proof(limit))
        unproven = [notice_id for notice_id in pending if notice_id not in self._sealing_now]
        together = self._settings.sealing_together
        batches = [unproven[start : start + together] for start in range(0, len(unproven), together)]
        await _each(batches, self._prove)
        return 0

    async def _prove(self, notice_ids: Sequence[UUID]) -> None:
        """Prove notices together; after a failure one by one, so that only the faulty one fails."""
        try:
            await prove_notices(notice_ids, self._sealing)
        except Exception as error:
            if len(notice_ids) == 1:
                raise
            _log.warning("notices.proven_singly", notices=len(notice_ids), reason=str(error))
            await _each([[notice_id] for notice_id in notice_ids], lambda each: prove_notices(each, self._sealing))

    async def timestamp_sealed(self) -> int:
        """Obtain the missing timestamps."""
        limit = self._settings.sealing_batch
        pending = await self._sealing.unit_of_work.read(lambda tx: tx.notices.without_timestamp(limit))
        for notice_id in pending:
            try:
                await obtain_timestamp(notice_id, self._sealing)
            except TimestampUnavailableError as error:
                await self._record_refusal(str(error), pending)
                return 0
        # One token dates them all, so that this ends after few requests, however many they are.
        while sharing := await self._sealing.unit_of_work.read(lambda tx: tx.notices.without_shared_timestamp(limit)):
            try:
                await prove_notices(sharing, self._sealing, without_timestamp=False)
            except TimestampUnavailableError as error:
                await self._record_refusal(str(error), sharing)
                return 0
        self.failures.pop("timestamp_authority", None)
        return 0

    async def _record_refusal(self, reason: str, pending: Sequence[UUID]) -> None:
        """Log and show why the authority gives no timestamp; store it once per reason and set of notices."""
        _log.warning("timestamp.missed", notices=len(pending), reason=reason)
        self.failures["timestamp_authority"] = reason
        if self._undated != (reason, pending):
            await self._sealing.unit_of_work.write(lambda tx: tx.notices.set_timestamp_refusal(reason))
            self._undated = reason, pending


def _in_sequence(notices: Sequence[Notice]) -> list[list[UUID]]:
    """Return the notices in groups: one that follows another to the same customer is in a later group.

    It names the document that it follows, so that one must be sealed before it is composed.
    """
    sequences: dict[tuple[UUID, UUID], list[int]] = {}
    for notice in notices:
        sequences.setdefault((notice.incident_id, notice.customer_id), []).append(notice.sequence)
    groups: dict[int, list[UUID]] = {}
    for notice in notices:
        others = sequences[notice.incident_id, notice.customer_id]
        groups.setdefault(sum(other < notice.sequence for other in others), []).append(notice.id)
    return [groups[number] for number in sorted(groups)]


async def _each(items: Sequence[ItemT], act: Callable[[ItemT], Coroutine[Any, Any, ResultT]]) -> list[ResultT]:
    """Call ``act`` for all items concurrently; the first failure is raised after all have ended."""
    results = await asyncio.gather(*(act(item) for item in items), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
