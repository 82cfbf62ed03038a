"""What there is to alert of the service itself: queues, pauses, bursts of failures, the log, certificates, the disk.

Each is raised once per stage, or again after four hours where it has no stages, and settled once it is over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifications.canonical_json import timestamp_text
from notifications.customer.erasure import erasure_window
from notifications.delivery.delivery import ChannelKind, ChannelPause, OutcomeKind
from notifications.mail.mail_form import EXPIRY_WARNING_DAYS, days_to_expiry
from notifications.ports import Page
from notifications.use_cases.notices.pause_channel import is_paused
from service.audit_log.checkpoint_timestamps import TimestampingState
from service.audit_log.cosigning import WitnessState
from service.audit_log.fsck_schedule import FsckState
from service.monitoring.certificate_expiry import CertificateEnd
from service.monitoring.notice_findings import AlertCandidate, ScanResult
from service.ports.figures import QueueFigures, StoreFigures
from service.ports.store import AccessTransaction

#: How much of the past is looked at for bursts, and how many of its attempts.
_BURST = timedelta(minutes=10)
_BURST_ATTEMPTS = 500
#: So many failures of one kind, and at least this share of the attempts by a channel, are a burst.
_BURST_FAILURES = 5
_BURST_SHARE = 0.5
#: A witness may be away for so long before that is alerted.
_WITNESS_PATIENCE = timedelta(minutes=10)
#: The mails of a formal notice are tried for so long; a certificate is made in moments.
_NOTICE_PATIENCE, _CERTIFICATE_PATIENCE = timedelta(days=3), timedelta(hours=1)
#: How long before its end an erasure that is not done is alerted again.
_ERASURE_NEAR = timedelta(days=3)
_ERASURES_AT_ONCE = 100
#: A timestamp over a head may be owed for so long: the next head and the next token cover what lies before.
_TIMESTAMP_PATIENCE = timedelta(hours=1)
_AT_ONCE = 10_000
_CONTACTS_AT_ONCE = 500
_HOURS_UNTIL_AGAIN = 4

_LOOKED_AT = frozenset(
    {
        "queue_old",
        "channel_paused_due",
        "deliveries_failing",
        "log_lagging",
        "disk_low",
        "witness_failing",
        "witness_disputing",
        "erasure_waiting",
        "head_untimestamped",
        "log_differs",
    }
)
_CERTIFICATES = frozenset({"service_certificate_expiring"})


@dataclass(frozen=True, slots=True)
class OperatingLimits:
    """From when on the service itself is alerted of."""

    #: how long a delivery may be due without an attempt
    queue_age: timedelta
    #: how long an entry may wait for a signed checkpoint
    log_lag: timedelta
    #: how near a deadline is for what a paused channel holds
    lead: timedelta
    #: how much of the disk must be free
    free_bytes: int


def scan_operations(
    tx: AccessTransaction,
    now: datetime,
    limits: OperatingLimits,
    *,
    free_bytes: int | None,
    before: StoreFigures | None,
    witnesses: Sequence[WitnessState] = (),
    head_timestamping: TimestampingState | None = None,
    log_check: FsckState | None = None,
) -> tuple[ScanResult, StoreFigures]:
    """Return what is to be alerted of the service now and was not yet, which of those alerts are settled, and figures.

    ``before`` are the figures of the look before this one: what waits is believed to be stuck when two looks in a row
    find it so. One alone may come a moment after the clock was moved.

    1. Deliveries that have been due for too long, by channel; of a paused channel nothing else is expected.
    2. A paused channel while something is due by it, and again when a deadline is near.
    3. Bursts of failures of one kind by one channel.
    4. Entries that wait too long for a signed checkpoint: nothing that is released goes out meanwhile.
    5. A disk that is nearly full.
    6. Witnesses that have not cosigned for long, and those that say they cosigned another history.
    7. Erasures whose notice nobody took, that something stands in the way of, that are nearly due or overdue, or that
       are done and not certified.
    8. Heads that the timestamp authority has not timestamped for long.
    9. A check of the log that found a difference.
    """
    figures = tx.figures.collect(now)
    pauses = [pause for pause in tx.deliveries.channel_pauses() if is_paused(pause, now)]
    standing = [
        *_old_queues(figures, before, now, limits),
        *_paused(figures, pauses, now, limits),
        *_bursts(tx, now),
        *_lag(figures, before, now, limits),
        *_witnesses(witnesses, now),
        *_erasures(tx, now),
        *_untimestamped(head_timestamping, now),
        *_differing(log_check, now),
    ]
    if free_bytes is not None and free_bytes < limits.free_bytes:
        standing.append(AlertCandidate(f"disk_low:{_block(now)}", "disk_low", "", count=free_bytes // 2**20))
    return _looked(tx, standing, _LOOKED_AT), figures


def scan_certificates(tx: AccessTransaction, now: datetime, ends: Sequence[CertificateEnd]) -> ScanResult:
    """Return what is to be alerted of the service's own certificates: 30, 7 and 1 days before the end, and expired."""
    standing = []
    for end in ends:
        days = (end.not_after - now).days
        if days >= max(EXPIRY_WARNING_DAYS):
            continue
        stage = "expired" if days < 0 else str(min(warned for warned in EXPIRY_WARNING_DAYS if days < warned))
        key = f"service_certificate_expiring:{end.use}:{end.fingerprint[:16]}:{stage}"
        standing.append(AlertCandidate(key, "service_certificate_expiring", end.use, count=days, due_at=end.not_after))
    return _looked(tx, standing, _CERTIFICATES)


def certificate_bands(tx: AccessTransaction, now: datetime, cursor: str | None) -> tuple[dict[str, int], str | None]:
    """Return how many certificates of a page of contacts end within 1, 7, 30 days or later; and where to go on."""
    contacts, following = tx.alerts.contacts_with_certificate(Page(_CONTACTS_AT_ONCE, cursor))
    bands: dict[str, int] = {}
    for contact in contacts:
        days = days_to_expiry(contact, now)
        within = [warned for warned in EXPIRY_WARNING_DAYS if days is not None and days < warned]
        band = "unreadable" if days is None else "expired" if days < 0 else str(min(within, default="later"))
        bands[band] = bands.get(band, 0) + 1
    return bands, following


def _looked(tx: AccessTransaction, standing: Sequence[AlertCandidate], kinds: frozenset[str]) -> ScanResult:
    keys = {finding.key for finding in standing}
    new = tuple(finding for finding in standing if tx.alerts.by_key(finding.key) is None)
    settled = tuple(alert for alert in tx.alerts.unseen(_AT_ONCE) if alert.kind in kinds and alert.key not in keys)
    return ScanResult(new, settled)


def _old_queues(
    figures: StoreFigures, before: StoreFigures | None, now: datetime, limits: OperatingLimits
) -> Iterator[AlertCandidate]:
    waited = {queue.channel for queue in before.queues if queue.oldest_due_at is not None} if before else set[str]()
    for queue in figures.queues:
        is_old = queue.oldest_due_at is not None and now - queue.oldest_due_at >= limits.queue_age
        if is_old and queue.channel in waited and queue.channel not in figures.paused:
            yield AlertCandidate(
                key=f"queue_old:{queue.channel}:{_block(now)}",
                kind="queue_old",
                ticket=queue.channel,
                count=queue.due,
                due_at=queue.nearest_deadline,
            )


def _paused(
    figures: StoreFigures, pauses: Sequence[ChannelPause], now: datetime, limits: OperatingLimits
) -> Iterator[AlertCandidate]:
    queues = {queue.channel: queue for queue in figures.queues}
    for pause in pauses:
        queue = queues.get(pause.channel.value, QueueFigures(pause.channel.value))
        if not queue.due:
            continue
        near = queue.nearest_deadline is not None and queue.nearest_deadline - limits.lead <= now
        stage = "deadline" if near else "due"
        yield AlertCandidate(
            key=f"channel_paused_due:{pause.channel.value}:{timestamp_text(pause.paused_at)}:{stage}",
            kind="channel_paused_due",
            ticket=pause.channel.value,
            count=queue.due,
            due_at=queue.nearest_deadline,
        )


def _bursts(tx: AccessTransaction, now: datetime) -> Iterator[AlertCandidate]:
    outcomes = tx.figures.recent_outcomes(now - _BURST, _BURST_ATTEMPTS)
    by_channel: dict[ChannelKind, int] = {}
    for (channel, _), count in outcomes.items():
        by_channel[channel] = by_channel.get(channel, 0) + count
    for (channel, kind), count in outcomes.items():
        if kind is OutcomeKind.ACCEPTED or count < _BURST_FAILURES or count < _BURST_SHARE * by_channel[channel]:
            continue
        yield AlertCandidate(
            key=f"deliveries_failing:{channel.value}:{kind.value}:{_block(now)}",
            kind="deliveries_failing",
            ticket=f"{channel.value}, {kind.value}",
            count=count,
        )


def _lag(
    figures: StoreFigures, before: StoreFigures | None, now: datetime, limits: OperatingLimits
) -> Iterator[AlertCandidate]:
    oldest = figures.log.oldest_pending_at
    if oldest is None or before is None or before.log.oldest_pending_at != oldest:
        return
    if now - oldest >= limits.log_lag:
        yield AlertCandidate(f"log_lagging:{_block(now)}", "log_lagging", "", count=figures.log.pending)


def _witnesses(witnesses: Sequence[WitnessState], now: datetime) -> Iterator[AlertCandidate]:
    for state in witnesses:
        if state.failing_since is None:
            continue
        if state.disputes:
            yield AlertCandidate(
                f"witness_disputing:{state.name}:{_block(now)}", "witness_disputing", state.name, count=state.failures
            )
        elif now - state.failing_since >= _WITNESS_PATIENCE:
            yield AlertCandidate(
                f"witness_failing:{state.name}:{_block(now)}", "witness_failing", state.name, count=state.failures
            )


def _erasures(tx: AccessTransaction, now: datetime) -> Iterator[AlertCandidate]:
    for order in tx.erasures.orders(_ERASURES_AT_ONCE):
        customer = tx.customers.get(order.customer_id)
        if customer is None:
            continue
        stage = None
        window = None if order.noticed_at is None else erasure_window(order.noticed_at, customer.time_zone)
        if window is None:
            stage = "unserved" if now >= order.ordered_at + _NOTICE_PATIENCE else None
        elif now >= window.due_at:
            stage = "overdue"
        elif now >= window.due_at - _ERASURE_NEAR:
            stage = "due_soon"
        elif now >= window.not_before and tx.erasures.obstacles(order.customer_id):
            stage = "blocked"
        if stage is not None:
            ordered = timestamp_text(order.ordered_at)
            yield AlertCandidate(
                key=f"erasure_waiting:{order.customer_id}:{ordered}:{stage}",
                kind="erasure_waiting",
                ticket=customer.name,
                due_at=None if window is None else window.due_at,
                customer_id=customer.id,
            )
    for erasure in tx.erasures.unfinished(_ERASURES_AT_ONCE):
        if now >= erasure.erased_at + _CERTIFICATE_PATIENCE:
            # By the beginning of its pseudonym: nobody knows its name any more.
            named = erasure.pseudonym[:16]
            yield AlertCandidate(f"erasure_waiting:{named}:{_block(now)}", "erasure_waiting", named)


def _differing(check: FsckState | None, now: datetime) -> Iterator[AlertCandidate]:
    if check is not None and check.first is not None:
        found = timestamp_text(check.completed_at)
        yield AlertCandidate(f"log_differs:{found}:{_block(now)}", "log_differs", check.first, count=check.differences)


def _untimestamped(state: TimestampingState | None, now: datetime) -> Iterator[AlertCandidate]:
    if state is None or state.failing_since is None or now - state.failing_since < _TIMESTAMP_PATIENCE:
        return
    yield AlertCandidate(f"head_untimestamped:{_block(now)}", "head_untimestamped", "", count=state.failures)


def _block(now: datetime) -> str:
    """Return the hours within which what goes on is not told again."""
    return f"{now:%Y-%m-%d}T{now.hour // _HOURS_UNTIL_AGAIN * _HOURS_UNTIL_AGAIN:02}"
