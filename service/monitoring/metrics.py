"""Metrics in the Prometheus exposition format: counts of this process, and gauges read from the store.

No label names a customer, a person, an address or an identifier. So metrics describe the service and reveal nothing
about its customers. Each application has its own registry.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from notifications.delivery.delivery import (
    ChannelKind,
    Delivery,
    DeliveryAttempt,
    DeliveryCause,
    DeliveryState,
    OutcomeKind,
)
from notifications.errors import GreffierError
from notifications.ports import Clock, DueDelivery
from service.audit_log.cosigning import WitnessState
from service.audit_log.fsck_schedule import FsckState
from service.monitoring.certificate_expiry import CertificateEnd
from service.ports.figures import StoreFigures, hold_reason_kind
from service.ports.store import AccessStore

_log = structlog.get_logger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Scrapes within this many seconds share one read of the store.
_SHARED_SECONDS = 1.0
#: Number of notices that are remembered as counted after their first acceptance.
_REMEMBERED_NOTICES = 20_000
#: HTTP methods with a label of their own; all others share one.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_SEND_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_RELEASE_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: Name, help and labels of each gauge that is read at a scrape, from the store or from a task of this process.
_READ: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("greffier_deliveries", "Deliveries that are not done, by state", ("channel", "state")),
    ("greffier_delivery_leases_expired", "Deliveries whose worker did not finish in time", ("channel",)),
    ("greffier_delivery_oldest_due_age_seconds", "For how long the oldest due delivery has been due", ("channel",)),
    (
        "greffier_nearest_deadline_seconds",
        "Time to the nearest deadline of a notice that did not go out; below 0 where it is past",
        ("stage",),
    ),
    ("greffier_notices_unreleased", "Drafts that nobody released", ()),
    ("greffier_notices_unsealed", "Released notices that are not sealed", ()),
    ("greffier_notices_held", "Released notices that something holds", ("reason",)),
    ("greffier_seal_evidence_owed", "Seals that still lack a timestamp or a log proof", ("kind",)),
    ("greffier_service_mails", "Mails of the service's own that are not done", ("state",)),
    ("greffier_alerts_open", "Alerts that nobody saw", ("kind",)),
    ("greffier_customers_without_contact", "Customers without an active contact", ()),
    ("greffier_webhook_endpoints", "Webhook endpoints by state", ("state",)),
    ("greffier_call_tasks_open", "Calls that wait for a person", ()),
    ("greffier_exercises_open", "Exercises that are not closed; no other number counts their notices", ()),
    ("greffier_channel_paused", "1 while a channel is paused", ("channel",)),
    ("greffier_delivery_circuits_open", "Destinations left alone for a while, because they fail", ("channel",)),
    ("greffier_log_entries", "Entries under a signed checkpoint", ()),
    ("greffier_log_pending_entries", "Entries that wait for a signed checkpoint", ()),
    ("greffier_log_lag_seconds", "Age of the oldest entry that waits for a checkpoint; 0 where none does", ()),
    ("greffier_log_last_entry_age_seconds", "Age of the newest entry under a signed checkpoint", ()),
    ("greffier_log_timestamp_age_seconds", "Age of the newest timestamp over a head of the log", ()),
    ("greffier_log_check_age_seconds", "Age of the last check of the whole log", ()),
    ("greffier_log_check_entries", "Entries that the last check of the whole log compared", ()),
    ("greffier_log_check_differences", "Differences that the last check of the whole log found", ()),
    ("greffier_witness_cosignature_age_seconds", "For how long a witness has cosigned no head", ("witness",)),
    ("greffier_witness_uncosigned_entries", "Entries under a signed checkpoint that it did not cosign", ("witness",)),
    ("greffier_part_ready", "1 while a part of the readiness is in order", ("part",)),
    ("greffier_certificate_expiry_seconds", "Time until a chain of certificates in use ends", ("use",)),
    ("greffier_log_key_age_seconds", "For how long the current log key has been in use", ()),
    (
        "greffier_contact_certificates",
        "S/MIME certificates of active contacts, by the days that are left",
        ("expires",),
    ),
    ("greffier_disk_free_bytes", "Room that is left on the disk of the data folder", ()),
    ("greffier_scrape_store_seconds", "How long the store took to give these figures", ()),
)


@dataclass(frozen=True, slots=True)
class MetricSources:
    """The sources of gauges other than the store. Each is called at a scrape and must return at once."""

    #: part of the readiness -> why it is not ready, or None
    probes: Mapping[str, Callable[[], str | None]] = field(default_factory=dict)
    #: channel -> destinations whose circuit breaker is open
    open_circuits: Callable[[], Mapping[ChannelKind, int]] = dict
    #: free bytes of the disk of the data folder; None if not known
    free_bytes: Callable[[], int | None] = lambda: None
    #: called in a thread, because it reads files
    certificates: Callable[[], Sequence[CertificateEnd]] = tuple
    #: when the newest timestamp over a head was obtained; None if there is none, or if another process obtains them
    head_stamped_at: Callable[[], datetime | None] = lambda: None
    #: result of the last check of the whole log; None if there is none, or if another process runs the checks
    log_check: Callable[[], FsckState | None] = lambda: None
    #: the witnesses, if this process asks them
    witnesses: Callable[[], Sequence[WitnessState]] = tuple
    #: since when the current log key signs, None if not known; called in a thread as well
    log_key_since: Callable[[], datetime | None] = lambda: None
    #: whether this process leads; None if not known
    leads: Callable[[], bool | None] = lambda: None


class Metrics:
    """Counts events of this process, and returns them together with the figures of the store."""

    def __init__(self, store: AccessStore, clock: Clock, *, version: str = "") -> None:
        self._store, self._clock = store, clock
        self.sources = MetricSources()
        self.registry = CollectorRegistry(auto_describe=False)
        self._read = _Read()
        self.registry.register(self._read)
        self._reading = asyncio.Lock()
        self._read_at: float | None = None
        self._accepted: OrderedDict[UUID, None] = OrderedDict()
        registry = self.registry
        build = Gauge("greffier_build_info", "The version that runs; always 1", ("version",), registry=registry)
        build.labels(version).set(1)
        self._attempts = Counter(
            "greffier_delivery_attempts_total", "Attempts that ended, by what came of them", ("channel", "outcome"),
            registry=registry,
        )  # fmt: skip
        self._retries = Counter(
            "greffier_delivery_retries_total", "Attempts that were not the first", ("channel",), registry=registry
        )
        self._failures = Counter(
            "greffier_delivery_failures_total", "Deliveries that failed for good", ("channel",), registry=registry
        )
        self._send_seconds = Histogram(
            "greffier_delivery_send_seconds", "Time from composing to the next hop's answer", ("channel",),
            buckets=_SEND_BUCKETS, registry=registry,
        )  # fmt: skip
        self._release_seconds = Histogram(
            "greffier_release_to_acceptance_seconds",
            "Time from a notice's release to the first acceptance of it by a next hop",
            buckets=_RELEASE_BUCKETS, registry=registry,
        )  # fmt: skip
        self._alerts = Counter("greffier_alerts_raised_total", "Alerts that were raised", ("kind",), registry=registry)
        self._stamp_failures = Counter(
            "greffier_log_timestamp_failures_total", "Tries to have a head of the log timestamped that failed",
            registry=registry,
        )  # fmt: skip
        self._witness_failures = Counter(
            "greffier_witness_failures_total", "Tries to have a head of the log cosigned that failed", ("witness",),
            registry=registry,
        )  # fmt: skip
        self._requests = Counter(
            "greffier_http_requests_total", "Requests answered, by route as it is written",
            ("method", "route", "status"), registry=registry,
        )  # fmt: skip
        self._request_seconds = Histogram(
            "greffier_http_request_seconds", "Time to answer a request", buckets=_REQUEST_BUCKETS, registry=registry
        )
        self._rate_limited = Counter(
            "greffier_access_rate_limited_total", "Requests refused because there were too many", registry=registry
        )
        self._failed_reads = Counter(
            "greffier_scrape_failures_total", "Scrapes for which the store gave no figures", registry=registry
        )

    # -- what happens

    def attempted(self, due: DueDelivery, delivery: Delivery, attempt: DeliveryAttempt) -> None:
        """Count a recorded attempt."""
        channel, outcome = delivery.channel.value, attempt.outcome.kind
        self._attempts.labels(channel, outcome.value).inc()
        self._send_seconds.labels(channel).observe((attempt.ended_at - attempt.started_at).total_seconds())
        if attempt.number > 1:
            self._retries.labels(channel).inc()
        if delivery.state is DeliveryState.FAILED:
            self._failures.labels(channel).inc()
        if outcome is OutcomeKind.ACCEPTED and delivery.channel is not ChannelKind.CONSOLE:
            self._first_accepted(due, attempt)

    def _first_accepted(self, due: DueDelivery, attempt: DeliveryAttempt) -> None:
        """Observe the first acceptance of a notice in this process; a replay does not count."""
        notice = due.notice
        if due.delivery.cause is not DeliveryCause.FIRST or notice.released_at is None or notice.id in self._accepted:
            return
        self._accepted[notice.id] = None
        if len(self._accepted) > _REMEMBERED_NOTICES:
            self._accepted.popitem(last=False)
        self._release_seconds.observe((attempt.ended_at - notice.released_at).total_seconds())

    def alert_raised(self, kind: str) -> None:
        """Count an alert."""
        self._alerts.labels(kind).inc()

    def head_not_timestamped(self) -> None:
        """Count a failed attempt to timestamp a head of the log."""
        self._stamp_failures.inc()

    def witness_failed(self, name: str) -> None:
        """Count a failed attempt to have a head cosigned."""
        self._witness_failures.labels(name).inc()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count the response to a request; ``route`` is the route template, never the requested path."""
        named = method if method in _METHODS else "other"
        self._requests.labels(named, route, str(status)).inc()
        self._request_seconds.observe(seconds)
        if status == 429:  # noqa: PLR2004 - Too Many Requests
            self._rate_limited.inc()

    def contact_certificates(self, bands: Mapping[str, int]) -> None:
        """Set the result of the last scan of contacts' certificates: ``expired``, ``1``, ``7``, ``30``, ``later``."""
        self._read.contact_certificates = dict(bands)

    # -- what is scraped

    async def exposition(self) -> bytes:
        """Return the metrics as text. If the store gives no figures, they are left out and the failure is counted."""
        async with self._reading:
            if self._read_at is None or time.monotonic() - self._read_at >= _SHARED_SECONDS:
                await self._look()
                self._read_at = time.monotonic()
        return generate_latest(self.registry)

    async def _look(self) -> None:
        now, started = self._clock.now(), time.perf_counter()
        figures: StoreFigures | None = None
        try:
            figures = await self._store.read(lambda tx: tx.figures.collect(now))
        except Exception as error:  # noqa: BLE001 - the counters of this process are still shown
            self._failed_reads.inc()
            _log.error("metrics.unread", exc_info=error)
        seconds, sources = time.perf_counter() - started, self.sources
        certificates: Sequence[CertificateEnd] = ()
        since: datetime | None = None
        try:
            certificates, since = await asyncio.to_thread(lambda: (sources.certificates(), sources.log_key_since()))
        except (GreffierError, OSError) as error:
            # The readiness check reports the fault of the keys; all other metrics are still returned.
            _log.warning("metrics.keys_unread", reason=str(error))
        self._read.take(figures, sources, certificates, since, now, seconds)


class _Read(Collector):
    """The gauges that are read at a scrape, with the values of the last read."""

    def __init__(self) -> None:
        self._values: dict[str, list[tuple[tuple[str, ...], float]]] = {}
        self.contact_certificates: dict[str, int] = {}

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Return the families without values, so that the registry knows their names."""
        return [GaugeMetricFamily(name, words, labels=labels) for name, words, labels in _READ]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the families with the values of the last read."""
        for name, words, labels in _READ:
            family = GaugeMetricFamily(name, words, labels=labels)
            for values, number in self._values.get(name, ()):
                family.add_metric(values, number)
            yield family

    def take(
        self,
        figures: StoreFigures | None,
        sources: MetricSources,
        certificates: Sequence[CertificateEnd],
        log_key_since: datetime | None,
        now: datetime,
        seconds: float,
    ) -> None:
        """Replace the values by those of a new read."""
        values = {} if figures is None else _of_store(figures, now)
        values["greffier_part_ready"] = [((part,), float(probe() is None)) for part, probe in sources.probes.items()]
        values["greffier_delivery_circuits_open"] = [
            ((channel.value,), float(count)) for channel, count in sorted(sources.open_circuits().items())
        ]
        values["greffier_certificate_expiry_seconds"] = [
            ((end.use,), (end.not_after - now).total_seconds()) for end in certificates
        ]
        if (free := sources.free_bytes()) is not None:
            values["greffier_disk_free_bytes"] = [((), float(free))]
        if log_key_since is not None:
            values["greffier_log_key_age_seconds"] = [((), (now - log_key_since).total_seconds())]
        if (stamped_at := sources.head_stamped_at()) is not None:
            values["greffier_log_timestamp_age_seconds"] = [((), (now - stamped_at).total_seconds())]
        if (check := sources.log_check()) is not None:
            values["greffier_log_check_age_seconds"] = [((), (now - check.completed_at).total_seconds())]
            values["greffier_log_check_entries"] = [((), float(check.entries))]
            values["greffier_log_check_differences"] = [((), float(check.differences))]
        values |= _of_witnesses(sources.witnesses(), figures, now)
        values["greffier_contact_certificates"] = _labelled(self.contact_certificates)
        values["greffier_scrape_store_seconds"] = [((), seconds)]
        self._values = values


def _of_store(figures: StoreFigures, now: datetime) -> dict[str, list[tuple[tuple[str, ...], float]]]:
    queues, log = figures.queues, figures.log
    states = ("due", "waiting", "leased", "failed")
    deadlines = dict(figures.unsealed_deadlines)
    nearest = min((queue.nearest_deadline for queue in queues if queue.nearest_deadline is not None), default=None)
    if nearest is not None:
        deadlines["queued"] = nearest
    lag = 0.0 if log.oldest_pending_at is None else max(0.0, (now - log.oldest_pending_at).total_seconds())
    newest = log.newest_sequenced_at
    return {
        "greffier_deliveries": [
            ((queue.channel, state), float(getattr(queue, state))) for queue in queues for state in states
        ],
        "greffier_delivery_leases_expired": [((queue.channel,), float(queue.lease_expired)) for queue in queues],
        "greffier_delivery_oldest_due_age_seconds": [
            ((queue.channel,), 0.0 if queue.oldest_due_at is None else (now - queue.oldest_due_at).total_seconds())
            for queue in queues
        ],
        "greffier_nearest_deadline_seconds": [
            ((stage,), (due_at - now).total_seconds()) for stage, due_at in sorted(deadlines.items())
        ],
        "greffier_notices_unreleased": [((), float(figures.unsealed.get("draft", 0)))],
        "greffier_notices_unsealed": [((), float(figures.unsealed.get("released", 0)))],
        "greffier_notices_held": _labelled(_by_kind(figures.held)),
        "greffier_seal_evidence_owed": _labelled({"timestamp": 0, "proof": 0} | dict(figures.owed)),
        "greffier_service_mails": _labelled(figures.mails),
        "greffier_alerts_open": _labelled(figures.open_alerts),
        "greffier_customers_without_contact": [((), float(figures.without_contact))],
        "greffier_webhook_endpoints": _labelled(figures.endpoints),
        "greffier_call_tasks_open": [((), float(figures.open_calls))],
        "greffier_exercises_open": [((), float(figures.open_exercises))],
        "greffier_channel_paused": [((kind.value,), float(kind.value in figures.paused)) for kind in ChannelKind],
        "greffier_log_entries": [((), float(log.size))],
        "greffier_log_pending_entries": [((), float(log.pending))],
        "greffier_log_lag_seconds": [((), lag)],
        "greffier_log_last_entry_age_seconds": [] if newest is None else [((), (now - newest).total_seconds())],
    }


def _of_witnesses(
    witnesses: Sequence[WitnessState], figures: StoreFigures | None, now: datetime
) -> dict[str, list[tuple[tuple[str, ...], float]]]:
    """Return the gauges of witnesses; a witness that this process has not asked has none."""
    known = [state for state in witnesses if state.size is not None]
    return {
        "greffier_witness_cosignature_age_seconds": [
            ((state.name,), max(0.0, (now - state.cosigned_at).total_seconds()))
            for state in witnesses
            if state.cosigned_at is not None
        ],
        "greffier_witness_uncosigned_entries": []
        if figures is None
        else [((state.name,), float(max(0, figures.log.size - (state.size or 0)))) for state in known],
    }


def _by_kind(held: Mapping[str, int]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for reason, count in held.items():
        kinds[hold_reason_kind(reason)] = kinds.get(hold_reason_kind(reason), 0) + count
    return kinds


def _labelled(counts: Mapping[str, int]) -> list[tuple[tuple[str, ...], float]]:
    return [((name,), float(count)) for name, count in counts.items()]
