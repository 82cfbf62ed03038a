"""What is alerted, to whom, and when it is over, on the real store with a clock that is turned by hand."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifications.delivery.delivery import DeliveryState
from notifications.notice import NoticeState
from notifications.ports import Page
from service.monitoring.alerts import AlertTask
from service.monitoring.attention import attention_list
from service.ports.accounts import Role
from service.settings.alerts import AlertSettings
from service.settings.provider import ProviderSettings
from service.store import open_store
from service.system.logging import SystemIdentifiers
from support.access_records import make_account, make_grant, make_mail
from support.clocks import SteppedClock
from support.records import (
    NOW,
    after,
    make_attempt,
    make_contact,
    make_customer,
    make_delivery,
    make_incident,
    make_notice,
)
from support.smime_reader import SmimeReader
from support.sqlite_file import new_database

MAILBOX = "soc@provider.example"
SALT = b"s" * 32
#: Nobody sequences or delivers here: what the service itself is alerted of is tried elsewhere.
NEVER = 10.0**9
SETTINGS = AlertSettings(queue_age_seconds=NEVER, log_lag_seconds=NEVER)
PROVIDER = ProviderSettings(name="Provider", contact_email=MAILBOX, default_language="en")


class Night:
    """A store, a clock, and what looks at both."""

    def __init__(self, store):
        self.store, self.clock = store, SteppedClock(NOW)
        self.alerting = AlertTask(store, SETTINGS, PROVIDER, clock=self.clock, identifiers=SystemIdentifiers())
        self.told = 0

    async def put(self, *works):
        for work in works:
            await self.store.write(work)

    async def incident(self):
        made = make_incident()
        await self.put(lambda tx: tx.incidents.add(made))
        return made

    async def customer(self, *, contacts=1, **changes):
        made = make_customer(**changes)
        await self.put(
            lambda tx: tx.customers.add(made, SALT),
            lambda tx: [tx.customers.add_contact(make_contact(made)) for _ in range(contacts)],
        )
        return made

    async def notice(self, incident, customer=None, **changes):
        made = make_notice(incident, customer or await self.customer(), **changes)
        await self.put(lambda tx: tx.notices.add([made]))
        return made

    async def delivery(self, incident, customer=None, *, due_at=None, **changes):
        sealed = {"state": NoticeState.SEALED} | ({} if due_at is None else {"due_at": due_at})
        made = make_delivery(await self.notice(incident, customer, **sealed), **changes)
        await self.put(lambda tx: tx.deliveries.add([made]))
        return made

    async def look(self, **span):
        """Turn the clock and look twice; returns the kinds that are open, and the mails that were queued by it."""
        self.clock.step(timedelta(**span))
        for _ in range(2):
            await self.alerting.look()
        alerts = await self.store.read(lambda tx: tx.alerts.unseen(1000))
        mails = await self.store.read(lambda tx: tx.mails.due(self.clock.now(), 1000))
        new, self.told = [mail for mail in mails if mail.purpose == "alert"][self.told :], len(mails)
        return [alert.kind for alert in alerts], new

    async def attention(self, *, reads_incidents=True):
        listed = await self.store.read(
            lambda tx: attention_list(tx, self.clock.now(), 100, reads_incidents=reads_incidents)
        )
        return [item.kind for item in listed.items]


@pytest.fixture
async def night(tmp_path, service_log):
    store = open_store(new_database(tmp_path / "store.sqlite3"), migrate=False)
    yield Night(store)
    await store.close()


FAILED = {"state": DeliveryState.FAILED, "next_attempt_at": None, "last_error": "550 no"}


class TestDeliveries:
    async def test_what_failed_long_ago_hides_nothing_and_what_fails_together_is_one_mail(self, night):
        incident, hospital = await night.incident(), await night.customer()
        notice = await night.notice(incident, hospital, state=NoticeState.SEALED)
        many = [make_delivery(notice, **FAILED) for _ in range(250)]
        await night.put(lambda tx: tx.deliveries.add(many))
        kinds, (mail,) = await night.look()
        assert kinds == ["delivery_failed"] * 250
        assert "250" in mail.text
        await night.delivery(incident, due_at=after(days=9), **FAILED)
        kinds, (mail,) = await night.look()
        assert len(kinds) == 251
        assert mail.text.startswith("1 ")

    async def test_what_is_too_large_is_alerted_once_per_notice_although_it_was_sent(self, night):
        incident, hospital = await night.incident(), await night.customer()
        notice = await night.notice(incident, hospital, state=NoticeState.SEALED)
        sent = {"state": DeliveryState.SENT, "sent_at": NOW, "next_attempt_at": None, "too_large_at": NOW}
        await night.put(lambda tx: tx.deliveries.add([make_delivery(notice, **sent) for _ in range(3)]))
        kinds, (mail,) = await night.look()
        assert kinds == ["delivery_too_large"]
        assert "1 " in mail.text
        kinds, mails = await night.look(days=1)
        assert (kinds, mails) == (["delivery_too_large"], [])
        assert await night.attention() == ["alert"]

    async def test_what_is_due_and_not_done_is_alerted_each_day_until_it_is(self, night):
        late = await night.delivery(await night.incident(), due_at=after(hours=1), last_error="451 later")
        assert await night.look(minutes=40) == ([], [])
        kinds, (mail,) = await night.look(minutes=6)
        assert kinds == ["delivery_late"]
        assert "URGENT" in mail.subject
        assert await night.look(hours=1) == (["delivery_late"], [])
        kinds, mails = await night.look(days=1)
        assert (kinds, len(mails)) == (["delivery_late"], 1)
        done = replace(late, state=DeliveryState.SENT, attempts=1, next_attempt_at=None, last_error=None)
        await night.put(lambda tx: tx.deliveries.finish_attempt(done, make_attempt(late), None))
        assert await night.look() == ([], [])


class TestReleased:
    async def test_what_holds_a_notice_is_alerted_until_it_is_gone(self, night):
        held = await night.notice(
            await night.incident(), state=NoticeState.RELEASED, released_at=NOW, hold_reason="no key"
        )
        kinds, mails = await night.look()
        assert (kinds, len(mails)) == (["notice_held"], 1)
        await night.put(lambda tx: tx.notices.save(replace(held, hold_reason=None, due_at=after(days=9), version=2), 1))
        assert await night.look() == ([], [])

    async def test_what_is_due_and_not_sealed_is_alerted_although_nothing_says_why(self, night):
        await night.notice(await night.incident(), state=NoticeState.RELEASED, released_at=NOW, due_at=NOW)
        assert await night.look(minutes=1) == ([], [])
        kinds, _ = await night.look(minutes=1)
        assert kinds == ["notice_held"]


class TestDrafts:
    async def test_a_draft_made_after_the_others_went_out_is_alerted_for_itself(self, night):
        incident = await night.incident()
        first = await night.notice(incident)
        kinds, _ = await night.look(hours=3)
        assert kinds == ["draft_overdue"]
        released = replace(first, state=NoticeState.WITHDRAWN, version=2)
        await night.put(lambda tx: tx.notices.save(released, 1))
        assert await night.look() == ([], [])
        await night.notice(incident, created_at=night.clock.now())
        kinds, mails = await night.look(minutes=3)
        assert (kinds, len(mails)) == (["draft_overdue"], 1)

    async def test_the_next_stage_is_known(self, night):
        await night.notice(await night.incident())
        assert await night.alerting.look() == after(minutes=2)
        night.clock.step(timedelta(minutes=2))
        assert await night.alerting.look() == after(hours=1)


class TestCustomers:
    async def test_many_that_nobody_can_reach_are_one_mail_and_stand_in_the_list_while_it_is_so(self, night):
        first, *_ = [await night.customer(contacts=0) for _ in range(3)]
        _, (mail,) = await night.look(minutes=2)
        assert mail.text.startswith("3 ")
        assert first.name in mail.text
        assert await night.attention(reads_incidents=False) == ["customer_unreachable"] * 3
        contact = make_contact(first)
        await night.put(lambda tx: tx.customers.add_contact(contact))
        assert await night.look() == ([], [])
        assert await night.attention() == ["customer_unreachable"] * 2
        # Losing its contacts again is told again.
        await night.put(lambda tx: tx.customers.save_contact(replace(contact, active=False, version=2), 1))
        _, (mail,) = await night.look()
        assert mail.text.startswith("1 ")

    async def test_a_certificate_is_warned_of_before_it_ends_and_when_it_has(self, night):
        hospital = await night.customer()
        reader = SmimeReader("rssi@valmont.example", NOW, days=40)
        contact = make_contact(hospital, email="rssi@valmont.example", smime_certificate=reader.der)
        await night.put(lambda tx: tx.customers.add_contact(contact))
        assert await night.look() == ([], [])
        kinds, (mail,) = await night.look(days=11)
        assert kinds == ["contact_certificate_expiring"]
        assert hospital.name in mail.text
        assert "rssi@" not in mail.text
        assert await night.attention(reads_incidents=False) == ["contact_certificate_expiring"]
        _, (mail,) = await night.look(days=30)
        # One item: what was said of its coming end is over.
        assert await night.attention() == ["contact_certificate_expiring"]
        renewed = replace(contact, smime_certificate=SmimeReader(contact.email, night.clock.now()).der, version=2)
        await night.put(lambda tx: tx.customers.save_contact(renewed, 1))
        assert await night.attention() == []

    async def test_certificates_are_read_by_pages(self, night):
        hospital = await night.customer()
        der = SmimeReader("a@valmont.example", NOW, days=1).der
        made = [make_contact(hospital, smime_certificate=der, active=number != 2) for number in range(5)]
        await night.put(lambda tx: [tx.customers.add_contact(item) for item in made])
        first, cursor = await night.store.read(lambda tx: tx.alerts.contacts_with_certificate(Page(3)))
        rest, end = await night.store.read(lambda tx: tx.alerts.contacts_with_certificate(Page(3, cursor)))
        assert ([*first, *rest], end) == ([item for item in made if item.active], None)


class TestMails:
    async def test_one_that_failed_is_alerted_and_one_of_an_alert_makes_no_further_mail(self, night):
        made = [make_mail(state="failed", purpose=purpose) for purpose in ("reset", "alert")]
        await night.put(lambda tx: [tx.mails.add(item) for item in made])
        kinds, (mail,) = await night.look()
        assert kinds == ["service_mail_failed"] * 2
        assert mail.text.startswith("1 ")
        assert "reset" in mail.text
        assert made[0].recipient not in mail.text
        assert await night.attention(reads_incidents=False) == ["service_mail_failed"] * 2

    async def test_whoever_it_concerns_is_told_once_in_their_own_language(self, night):
        both, administrator = make_account(language="de"), make_account(language="fr")
        gone, member = make_account(active=False), make_account()
        hospital = await night.customer(contacts=0)
        grants = [
            *(make_grant(both, role) for role in (Role.ANALYST, Role.APPROVER)),
            make_grant(administrator, Role.ADMINISTRATOR),
            make_grant(gone, Role.ANALYST),
            make_grant(member, Role.CUSTOMER_MANAGER, hospital),
        ]
        await night.put(
            lambda tx: [tx.accounts.add(item) for item in (both, administrator, gone, member)],
            lambda tx: [tx.accounts.add_grant(item) for item in grants],
        )
        _, mails = await night.look(minutes=2)
        assert {(mail.recipient, mail.language) for mail in mails} == {
            (MAILBOX, "en"), (both.email, "de"), (administrator.email, "fr"),
        }  # fmt: skip
        assert len(mails) == 3
        await night.delivery(await night.incident(), **FAILED)
        _, mails = await night.look()
        assert sorted(mail.recipient for mail in mails) == sorted([MAILBOX, both.email])
