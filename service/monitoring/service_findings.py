"""Findings about the service itself: queues, pauses, bursts of failures, the log, certificates, the disk.

Each is raised once per stage, or every four hours if it has no stages, and closed once it is over.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from notifications.canonical_json import timestamp_text
from notifications.delivery.delivery import ChannelKind, ChannelPause, OutcomeKind
from notifications.mail.mail_form import EXPIRY_WARNING_DAYS, days_to_expiry
from notifications.ports import Page
from notifications.time_zones import IANA_VERSION, is_old
from notifications.use_cases.notices.pause_channel import is_paused
from service.audit_log.checkpoint_timestamps import TimestampingState
from service.audit_log.cosigning import WitnessState
from service.audit_log.fsck_schedule import FsckState
from service.monitoring.certificate_expiry import CertificateEnd
from service.monitoring.notice_findings import AlertCandidate, ScanResult
from service.ports.figures import QueueFigures, StoreFigures
from service.ports.store import AccessTransaction
from service.settings.alerts import AlertSettings

#: Period in which bursts are looked for, and the greatest number of attempts that are read.
_BURST = timedelta(minutes=10)
_BURST_ATTEMPTS = 500
#: A burst is at least this many failures of one kind, and at least this share of a channel's attempts.
_BURST_FAILURES = 5
_BURST_SHARE = 0.5
#: Time without a cosignature after which a witness is reported.
_WITNESS_PATIENCE = timedelta(minutes=10)
#: Time after which an unserved formal notice is reported; and a missing certificate, which is usually made at once.
_NOTICE_PATIENCE, _CERTIFICATE_PATIENCE = timedelta(days=3), timedelta(hours=1)
#: Time before its deadline at which an unfinished erasure is reported again.
_ERASURE_NEAR = timedelta(days=3)
_ERASURES_AT_ONCE = 100
#: Time after which a missing timestamp over a head is reported. A later token covers the earlier heads too.
_TIMESTAMP_PATIENCE = timedelta(hours=1)
#: A notice may be without its timestamp for so long: an authority that was restarted gives it meanwhile.
_UNDATED_PATIENCE = timedelta(minutes=10)
#: Why a notice is without its timestamp while no try was recorded.
NO_REASON = "the timestamp authority has not answered"
_AT_ONCE = 10_000
_CONTACTS_AT_ONCE = 500
_HOURS_UNTIL_AGAIN = 4

_SCANNED_KINDS = frozenset(
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
        "notices_undated",
        "log_differs",
        "time_zones_old",
    }
)
_CERTIFICATES = frozenset({"service_certificate_expiring"})


def scan_operations(
    tx: AccessTransaction,
    now: datetime,
    settings: AlertSettings,
    *,
    free_bytes: int | None,
    before: StoreFigures | None,
    witnesses: Sequence[WitnessState] = (),
    head_timestamping: TimestampingState | None = None,
    log_check: FsckState | None = None,
) -> tuple[ScanResult, StoreFigures]:
    """Return the findings about the service that have no alert yet, the alerts whose cause is over, and the figures.

    ``before`` are the figures of the previous scan. A queue counts as stuck only if two scans in a row find it so,
    because one scan may run right after the system clock was changed.

    1. Deliveries that have been due for too long, by channel, except on a paused channel.
    2. A paused channel with due deliveries, and again when a deadline is near.
    3. Bursts of failures of one kind on one channel.
    4. Entries that wait too long for a signed checkpoint; no released notice is sent in the meantime.
    5. A disk that is nearly full.
    6. Witnesses that have not cosigned for a long time, or claim to have cosigned another history.
    7. Erasures whose notice was not served, that are blocked, nearly due or overdue, or done and not certified.
    8. Heads that the timestamp authority has not timestamped for a long time.
    9. A check of the log that found a difference.
    10. Time zone rules that are older than half a year.
    11. Notices that have been without their timestamp for a long time.
    """
    figures = tx.figures.collect(now)
    pauses = [pause for pause in tx.deliveries.channel_pauses() if is_paused(pause, now)]
    current = [
        *_old_queues(figures, before, now, settings),
        *_paused(figures, pauses, now, settings),
        *_bursts(tx, now),
        *_lag(figures, before, now, settings),
        *_witnesses(witnesses, now),
        *_erasures(tx, now),
        *_untimestamped(head_timestamping, now),
        *_undated(tx, now),
        *_log_differences(log_check, now),
        *_old_time_zones(now),
    ]
    if free_bytes is not None and free_bytes < settings.least_free_bytes:
        current.append(AlertCandidate(f"disk_low:{_block(now)}", "disk_low", "", count=free_bytes // 2**20))
    return _scan_result(tx, current, _SCANNED_KINDS), figures


def scan_certificates(tx: AccessTransaction, now: datetime, ends: Sequence[CertificateEnd]) -> ScanResult:
    """Return the findings about the service's own certificates: 30, 7 and 1 days before their end, and expired."""
    current = []
    for end in ends:
        days = (end.not_after - now).days
        if days >= max(EXPIRY_WARNING_DAYS):
            continue
        stage = "expired" if days < 0 else str(min(warned for warned in EXPIRY_WARNING_DAYS if days < warned))
        key = f"service_certificate_expiring:{end.use}:{end.fingerprint[:16]}:{stage}"
        current.append(AlertCandidate(key, "service_certificate_expiring", end.use, count=days, due_at=end.not_after))
    return _scan_result(tx, current, _CERTIFICATES)


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


def _scan_result(tx: AccessTransaction, current: Sequence[AlertCandidate], kinds: frozenset[str]) -> ScanResult:
    keys = {finding.key for finding in current}
    new = tuple(finding for finding in current if tx.alerts.by_key(finding.key) is None)
    settled = tuple(alert for alert in tx.alerts.unseen(_AT_ONCE) if alert.kind in kinds and alert.key not in keys)
    return ScanResult(new, settled)


def _old_queues(
    figures: StoreFigures, before: StoreFigures | None, now: datetime, settings: AlertSettings
) -> Iterator[AlertCandidate]:
    waited = {queue.channel for queue in before.queues if queue.oldest_due_at is not None} if before else set[str]()
    for queue in figures.queues:
        is_old = queue.oldest_due_at is not None and now - queue.oldest_due_at >= timedelta(
            seconds=settings.queue_age_seconds
        )
        if is_old and queue.channel in waited and queue.channel not in figures.paused:
            yield AlertCandidate(
                key=f"queue_old:{queue.channel}:{_block(now)}",
                kind="queue_old",
                ticket=queue.channel,
                count=queue.due,
                due_at=queue.nearest_deadline,
            )


def _paused(
    figures: StoreFigures, pauses: Sequence[ChannelPause], now: datetime, settings: AlertSettings
) -> Iterator[AlertCandidate]:
    queues = {queue.channel: queue for queue in figures.queues}
    lead = timedelta(seconds=settings.lead_seconds)
    for pause in pauses:
        queue = queues.get(pause.channel.value, QueueFigures(pause.channel.value))
        if not queue.due:
            continue
        near = queue.nearest_deadline is not None and queue.nearest_deadline - lead <= now
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
    figures: StoreFigures, before: StoreFigures | None, now: datetime, settings: AlertSettings
) -> Iterator[AlertCandidate]:
    oldest = figures.log.oldest_pending_at
    if oldest is None or before is None or before.log.oldest_pending_at != oldest:
        return
    if now - oldest >= timedelta(seconds=settings.log_lag_seconds):
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
        window = order.window(customer.time_zone)
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
            # Named by the start of the pseudonym, because the name of the customer is erased.
            named = erasure.pseudonym[:16]
            yield AlertCandidate(f"erasure_waiting:{named}:{_block(now)}", "erasure_waiting", named)


def _log_differences(check: FsckState | None, now: datetime) -> Iterator[AlertCandidate]:
    if check is not None and check.first is not None:
        found = timestamp_text(check.completed_at)
        yield AlertCandidate(f"log_differs:{found}:{_block(now)}", "log_differs", check.first, count=check.differences)


def _untimestamped(state: TimestampingState | None, now: datetime) -> Iterator[AlertCandidate]:
    if state is None or state.failing_since is None or now - state.failing_since < _TIMESTAMP_PATIENCE:
        return
    yield AlertCandidate(
        f"head_untimestamped:{_block(now)}", "head_untimestamped", state.reason or "", count=state.failures
    )


def _undated(tx: AccessTransaction, now: datetime) -> Iterator[AlertCandidate]:
    undated = tx.notices.undated(_AT_ONCE)
    if undated and now - undated[0].sealed_at >= _UNDATED_PATIENCE:
        reason = undated[0].reason or NO_REASON
        yield AlertCandidate(f"notices_undated:{_block(now)}", "notices_undated", reason, count=len(undated))


def _old_time_zones(now: datetime) -> Iterator[AlertCandidate]:
    if is_old(now.date()):
        yield AlertCandidate(f"time_zones_old:{IANA_VERSION}", "time_zones_old", IANA_VERSION)


def _block(now: datetime) -> str:
    """Return the four-hour block of a time; within a block, a continuing state is not reported again."""
    return f"{now:%Y-%m-%d}T{now.hour // _HOURS_UNTIL_AGAIN * _HOURS_UNTIL_AGAIN:02}"
