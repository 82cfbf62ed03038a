"""What is alerted of the service itself, once per stage, and when it is over: the real store, a stepped clock."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from notifications.customer.erasure import Erasure, ErasureOrder, ServedBy
from notifications.delivery.delivery import ChannelKind, DeliveryState, Outcome, OutcomeKind
from notifications.notice import NoticeState
from notifications.time_zones import IANA_VERSION
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.pause_channel import pause_channel, resume_channel
from service.audit_log.fsck_schedule import FsckState
from service.monitoring import service_findings
from service.monitoring.alert_texts import alert_mail
from service.monitoring.alerts import AlertSources, AlertTask
from service.monitoring.certificate_expiry import CertificateEnd
from service.monitoring.metrics import Metrics
from service.settings.alerts import AlertSettings
from service.settings.provider import ProviderSettings
from service.store import open_store
from service.system.logging import SystemIdentifiers
from support.clocks import SteppedClock
from support.records import (
    NOW,
    make_attempt,
    make_customer,
    make_delivery,
    make_entry,
    make_incident,
    make_notice,
    make_sealed,
)
from support.sqlite_file import new_database

SETTINGS = AlertSettings(lead_seconds=900)
PROVIDER = ProviderSettings(name="Provider", contact_email="soc@provider.example", default_language="en")
REFUSED = Outcome(OutcomeKind.TRANSIENT_FAILURE, 451, "4.7.1", "later", None, None, None, "relay:25")


class Watch:
    """A store that nobody works on, a clock, and what looks at both."""

    def __init__(self, store):
        self.store, self.clock = store, SteppedClock(NOW)
        self.ends, self.free, self.log_check = [], 10**12, None
        self.metrics = Metrics(store, self.clock)
        self.alerting = AlertTask(
            store,
            SETTINGS,
            PROVIDER,
            clock=self.clock,
            identifiers=SystemIdentifiers(),
            metrics=self.metrics,
            sources=AlertSources(lambda: self.ends, lambda: self.free, log_check=lambda: self.log_check),
        )

    def act(self):
        return AuditContext("account:ada", self.clock.now(), SystemIdentifiers())

    async def queued(self, channel=ChannelKind.EMAIL, **changes):
        """Queue a delivery of a notice that is due in two hours, with nothing pending in the log."""
        customer, incident = make_customer(), make_incident()
        notice = make_notice(incident, customer, state=NoticeState.SEALED, **changes)
        delivery = make_delivery(notice, channel=channel, next_attempt_at=self.clock.now())

        def work(tx):
            tx.customers.add(customer, b"s" * 32)
            tx.incidents.add(incident)
            tx.notices.add([notice])
            tx.deliveries.add([delivery])

        await self.store.write(work)
        return delivery

    async def look(self, *, sequenced=True, **span):
        """Turn the clock and look; returns the open alerts of the service itself as (kind, what).

        ``sequenced`` gives the log's entries their index first, so that it is not the log that is alerted of.
        """
        if sequenced:
            await self._sequence()
        self.clock.step(timedelta(**span))
        await self.alerting.look()
        kinds = await self.store.read(lambda tx: tx.alerts.unseen(1000))
        return [
            (alert.kind, alert.what) for alert in kinds if alert.kind not in {"delivery_late", "customer_unreachable"}
        ]

    async def kinds(self, **looking):
        return [kind for kind, _ in await self.look(**looking)]

    async def _sequence(self):
        def work(tx):
            if leaves := tx.audit.pending(9999):
                tx.log.grow(tx.log.size(), leaves, [], b"checkpoint")

        await self.store.write(work)


@pytest.fixture
async def watch(tmp_path):
    store = open_store(new_database(tmp_path / "store.sqlite3"), migrate=False)
    yield Watch(store)
    await store.close()


async def test_a_queue_that_is_not_worked_on_is_alerted_and_settled_once_it_is(watch):
    delivery = await watch.queued()
    assert await watch.kinds(minutes=9) == []
    assert await watch.look(minutes=2) == [("queue_old", "email 1 2026-03-02T12:00:00.123457Z")]
    assert await watch.kinds(minutes=1) == ["queue_old"]
    done = make_attempt(delivery)

    def work(tx):
        tx.deliveries.finish_attempt(
            replace(delivery, state=DeliveryState.SENT, attempts=1, next_attempt_at=None), done, None
        )

    await watch.store.write(work)
    assert await watch.kinds(minutes=1) == []


async def test_notices_without_their_timestamp_are_alerted_with_the_reason_until_it_comes(watch):
    delivery = await watch.queued(channel=ChannelKind.CONSOLE)
    done = replace(delivery, state=DeliveryState.SENT, attempts=1, next_attempt_at=None)
    notice = await watch.store.read(lambda tx: tx.notices.get(delivery.notice_id))

    def work(tx):
        tx.deliveries.finish_attempt(done, make_attempt(delivery), None)
        tx.notices.add_seal(make_sealed(notice, sealed_at=watch.clock.now()), uuid4())

    await watch.store.write(work)
    assert await watch.kinds(minutes=9) == []
    await watch.store.write(lambda tx: tx.notices.set_timestamp_refusal("the authority answered rejection"))
    assert await watch.look(minutes=2) == [("notices_undated", "the authority answered rejection 1")]
    mails = await watch.store.read(lambda tx: tx.mails.due(watch.clock.now(), 100))
    (mail,) = [mail for mail in mails if mail.subject == "Notices without a timestamp"]
    assert "1 notice(s) went out without a timestamp" in mail.text
    assert "the authority answered rejection" in mail.text
    await watch.store.write(lambda tx: tx.notices.set_timestamp(notice.id, b"token", independent=True))
    assert await watch.kinds(minutes=1) == []


async def test_a_clock_that_was_moved_alone_alerts_nobody(watch):
    await watch.kinds()
    # The first look after the clock went forward finds what was committed just before it.
    await watch.queued()
    assert await watch.kinds(hours=1) == []


async def test_a_paused_channel_with_something_due_is_alerted_when_it_is_and_near_the_deadline(watch):
    await watch.store.write(
        lambda tx: pause_channel(tx, watch.act(), ChannelKind.EMAIL, reason="the relay moves", until=None)
    )
    assert "channel_paused_due" not in await watch.kinds(minutes=1)
    await watch.queued()
    assert await watch.kinds(minutes=1) == ["channel_paused_due"]
    # Not the age of a queue that nobody is meant to work on.
    assert await watch.kinds(minutes=30) == ["channel_paused_due"]
    assert await watch.kinds(minutes=80) == ["channel_paused_due"]
    raised = await watch.store.read(
        lambda tx: [tx.alerts.by_key(f"channel_paused_due:email:2026-03-02T10:00:00.123457Z:{stage}") is not None
                    for stage in ("due", "deadline")]
    )  # fmt: skip
    assert raised == [True, True]
    await watch.store.write(lambda tx: resume_channel(tx, watch.act(), ChannelKind.EMAIL))
    assert "channel_paused_due" not in await watch.kinds(minutes=1)


async def test_the_end_of_a_pause_takes_it_away(watch):
    until = NOW + timedelta(hours=1)
    await watch.store.write(lambda tx: pause_channel(tx, watch.act(), ChannelKind.WEBHOOK, reason="R", until=until))
    await watch.look(minutes=59)
    assert len(await watch.store.read(lambda tx: tx.deliveries.channel_pauses())) == 1
    await watch.look(minutes=2)
    assert list(await watch.store.read(lambda tx: tx.deliveries.channel_pauses())) == []


async def test_a_burst_of_failures_of_one_kind_is_alerted_and_is_over_by_itself(watch):
    async def attempts(count, outcome):
        for _ in range(count):
            delivery = await watch.queued()
            attempt = make_attempt(delivery, started_at=watch.clock.now(), ended_at=watch.clock.now(), outcome=outcome)

            after = replace(
                delivery, attempts=1, next_attempt_at=watch.clock.now() + timedelta(days=9), last_error="451 later"
            )
            await watch.store.write(
                lambda tx, after=after, attempt=attempt: tx.deliveries.finish_attempt(after, attempt, None)
            )

    accepted = Outcome(OutcomeKind.ACCEPTED, 250, "2.0.0", "Ok", "q", "TLSv1.3", "c", "relay:25")
    await attempts(4, REFUSED)
    assert await watch.kinds(seconds=1) == []
    await attempts(7, accepted)
    await attempts(2, REFUSED)
    # Six of thirteen: less than half.
    assert await watch.kinds(seconds=30) == []
    await attempts(1, REFUSED)
    found = await watch.look(seconds=30)
    assert found == [("deliveries_failing", "email, transient_failure 7")]
    assert await watch.kinds(minutes=11) == []


async def test_a_log_that_does_not_move_on_is_alerted_at_the_second_look(watch):
    await watch.store.write(lambda tx: tx.audit.append([make_entry(at=watch.clock.now())]))
    assert await watch.kinds(minutes=2, sequenced=False) == []
    assert await watch.kinds(minutes=1, sequenced=False) == ["log_lagging"]
    assert await watch.kinds(seconds=11) == []


async def test_a_log_that_moves_on_is_not_alerted_whatever_is_pending_at_the_moment(watch):
    for _ in range(3):
        # Each look finds an entry that seems to be old, and each time it is another one.
        entry = make_entry(at=watch.clock.now() - timedelta(hours=1))

        def work(tx, entry=entry):
            if leaves := tx.audit.pending(9999):
                tx.log.grow(tx.log.size(), leaves, [], b"checkpoint")
            tx.audit.append([entry])

        await watch.store.write(work)
        assert await watch.kinds(seconds=30, sequenced=False) == []


async def test_certificates_of_the_service_are_warned_of_30_7_and_1_days_before_and_when_they_have_ended(watch):
    watch.ends = [CertificateEnd("signing", "ab" * 32, NOW + timedelta(days=40))]
    looks = [await watch.look(days=days) for days in (0, 9, 2, 21, 3, 5, 2)]
    left = [[what.split(" ")[1] for kind, what in look if kind == "service_certificate_expiring"] for look in looks]
    # 40, 31, 29, 8, 5, 0 and -2 days are left.
    assert left == [[], [], ["29"], ["29"], ["5"], ["0"], ["-2"]]
    watch.ends = [CertificateEnd("signing", "cd" * 32, NOW + timedelta(days=400))]
    assert [kind for kind, _ in await watch.look(days=1) if kind.startswith("service_c")] == []


async def test_a_disk_that_fills_up_is_alerted_until_there_is_room(watch):
    watch.free = 100 * 2**20
    assert await watch.look(seconds=11) == [("disk_low", "100")]
    watch.free = 10**12
    assert await watch.kinds(seconds=11) == []


async def test_every_alert_is_mailed_once_and_counted_by_kind(watch):
    watch.free = 0
    for _ in range(3):
        await watch.look(seconds=11)
    mails = await watch.store.read(lambda tx: tx.mails.due(watch.clock.now(), 100))
    assert [mail.subject for mail in mails] == ["URGENT: the disk is nearly full"]
    assert b'greffier_alerts_raised_total{kind="disk_low"} 1.0' in await watch.metrics.exposition()


@pytest.mark.parametrize("language", ["fr", "en", "de"])
def test_the_words_hold_what_they_are_about(language):
    mail = alert_mail("queue_old", language, ticket="email", count=12, due_at=NOW, url=None)
    assert "email" in mail.subject
    assert "12" in mail.text
    assert "2026-03-02 10:00 UTC" in mail.text


class TestErasures:
    async def test_one_that_waits_is_told_of_at_each_stage_and_settled_when_done(self, watch):
        customer = make_customer(name="Valmont", time_zone="Europe/Paris")
        order = ErasureOrder(customer.id, NOW, "account:ada", ServedBy.LETTER, "RR 1", (), None, 21, 30)

        def work(tx):
            tx.customers.add(customer, b"s" * 32)
            tx.erasures.add_order(order)

        await watch.store.write(work)
        assert await watch.kinds(days=2) == []
        assert await watch.kinds(days=1) == ["erasure_waiting"]
        # Served now: 21 days of quiet.
        await watch.store.write(lambda tx: tx.erasures.set_noticed(customer.id, watch.clock.now()))
        assert await watch.kinds(minutes=1) == []
        assert await watch.kinds(days=22) == []
        draft = make_notice(make_incident(), customer)

        def owed(tx):
            tx.incidents.add(replace(make_incident(), id=draft.incident_id))
            tx.notices.add([replace(draft, state=NoticeState.RELEASED)])

        await watch.store.write(owed)
        assert "erasure_waiting" in await watch.kinds(minutes=1)
        assert "erasure_waiting" in await watch.kinds(days=5, hours=1)
        assert "erasure_waiting" in await watch.kinds(days=3)
        keys = [alert.key.rpartition(":")[2] for alert in await watch.store.read(lambda tx: tx.alerts.unseen(99))
                if alert.kind == "erasure_waiting"]  # fmt: skip
        assert keys == ["overdue"]
        await watch.store.write(lambda tx: tx.erasures.drop_order(customer.id))
        assert "erasure_waiting" not in await watch.kinds(minutes=1)

    async def test_one_that_is_done_and_not_certified_is_told_of_after_an_hour(self, watch):
        erasure = Erasure("ab" * 32, NOW, NOW, NOW, 1)
        await watch.store.write(lambda tx: tx.erasures.add(erasure))
        assert await watch.look(minutes=59) == []
        assert await watch.look(minutes=1) == [("erasure_waiting", "abababababababab 1")]


async def test_a_log_that_differs_is_told_of_with_the_first_difference_and_settled_by_a_clean_check(watch):
    watch.log_check = FsckState(watch.clock.now(), 7, 2, "tree: node 5 of level 0 is not the hash")
    assert await watch.look() == [("log_differs", "tree: node 5 of level 0 is not the hash 2")]
    assert await watch.kinds(minutes=1) == ["log_differs"]
    watch.log_check = FsckState(watch.clock.now(), 7)
    assert await watch.kinds(minutes=1) == []


async def test_time_zones_older_than_half_a_year_are_alerted_once_and_settled_by_newer_ones(watch, monkeypatch):
    monkeypatch.setattr(service_findings, "is_old", lambda today: today >= watch.clock.now().date())
    assert await watch.look() == [("time_zones_old", f"{IANA_VERSION} 1")]
    assert await watch.kinds(days=3) == ["time_zones_old"]
    keys = [alert.key for alert in await watch.store.read(lambda tx: tx.alerts.unseen(99))]
    assert keys == [f"time_zones_old:{IANA_VERSION}"]
    monkeypatch.setattr(service_findings, "is_old", lambda _: False)
    assert await watch.kinds(minutes=1) == []
