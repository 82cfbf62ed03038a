"""Notices that share a timestamp over a checkpoint of the log: which do, and what dates them."""

from collections.abc import Collection, Mapping
from uuid import UUID

from notifications.errors import TimestampUnavailableError
from notifications.notice import Notice
from notifications.ports import TimestampedCheckpoint, Transaction
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies, SigningDependencies


def shares_timestamp(tx: Transaction, notice: Notice, sealing: SigningDependencies) -> bool:
    """Return whether a notice that is composed now is to share its timestamp: so many notices state the same facts.

    Only notices of the same facts count, so that all notices of a release are alike, and a crash changes nothing.
    """
    limit = sealing.own_timestamps_max
    return limit is not None and tx.notices.is_of_more_than(limit, notice.incident_id, notice.facts_version)


async def shared_checkpoint(size: int, sealing: SealingDependencies) -> TimestampedCheckpoint:
    """Return a timestamped checkpoint of at least this size; raises TimestampUnavailableError."""
    if sealing.checkpoint_timestamps is None:
        raise TimestampUnavailableError("nothing in this process obtains timestamps over checkpoints")
    return await sealing.checkpoint_timestamps.covering(size)


def record_shared(
    tx: Transaction,
    checkpoint: TimestampedCheckpoint,
    proofs: Mapping[UUID, bytes],
    proven_now: Collection[UUID],
    *,
    independent: bool,
) -> None:
    """Record the checkpoint for those of the notices that still wait for one.

    ``proofs``: all under this checkpoint. ``proven_now``: the notices that get theirs in the same unit of work; the
    others keep an earlier one, which mails without a timestamp have carried.
    """
    waiting = tx.notices.owing_shared_timestamp(proofs.keys())
    late = {notice_id: None if notice_id in proven_now else proofs[notice_id] for notice_id in waiting}
    tx.notices.set_shared_timestamps(late, checkpoint.size, independent=independent)
