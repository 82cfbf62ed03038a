"""Checks before an incident, against a real SMTP server: harmless, recorded, told, alerted once."""

import json
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default as mail_policy

import pytest

from notifications.delivery.delivery import Outcome, OutcomeKind
from notifications.delivery.reachability import (
    CALL_TO_MAKE,
    NO_SECOND_CHANNEL,
    CheckSubject,
    SecondChannelKind,
    second_channel,
)
from notifications.delivery.webhook import EndpointState
from notifications.errors import NotFoundError, StateConflictError
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.customers.record_checks import record_second_channel_call
from service.channels.email_smtp import EmailSmtp
from service.channels.smtp_probe import SmtpProbe
from service.customers.contact_check.checker import ContactChecker
from service.customers.contact_check.dependencies import CheckDependencies
from service.customers.contact_check_schedule import ContactChecks
from service.customers.second_channel_schedule import SecondChannelTests
from service.monitoring.attention import attention_list
from service.settings.mail import MailSettings
from service.settings.provider import ProviderSettings
from service.store import open_store
from service.system.logging import SystemIdentifiers
from service.web.api.customers.reachability import reachability_of
from support.access_records import make_account
from support.clocks import SteppedClock
from support.records import NOW, make_contact, make_customer
from support.serving_records import make_endpoint
from support.smime_reader import SmimeReader
from support.smtp_server import CLOSE, SmtpServer
from support.sqlite_file import new_database

SENDER = "soc@provider.example"
PROVIDER = ProviderSettings(name="Provider", contact_email="board@provider.example", default_language="en")


class PlainSigner:
    """Signs nothing that a reader would check: what is signed is tried with the real signer elsewhere."""

    address = SENDER

    def sign_detached(self, content):
        return b"signature"


class House:
    """A store, a relay, and what checks contacts."""

    def __init__(self, store, relay):
        self.store, self.relay, self.clock = store, relay, SteppedClock(NOW)
        settings = MailSettings(host="127.0.0.1", port=relay.port, tls="none", send_timeout_seconds=5)
        self.probe, self.mail = SmtpProbe(settings, SENDER), EmailSmtp(settings)
        self.faults, self.answers = {}, []
        self.posted = []
        self.means = CheckDependencies(
            PlainSigner(), SENDER, "Provider", "SOC soc@provider.example", self.probe, self.mail, None, self._post
        )

    @property
    def checker(self):
        return ContactChecker(self.store, self.means, PROVIDER, clock=self.clock, identifiers=SystemIdentifiers())

    async def _post(self, endpoint, secrets):
        self.posted.append(endpoint.url)
        return self.answers.pop(0)

    async def customer(self, *contacts, **changes):
        made = make_customer(**changes)
        kept = [make_contact(made, phone="+33123456789", **contact) for contact in contacts]
        await self.store.write(
            lambda tx: (tx.customers.add(made, b"s" * 32), [tx.customers.add_contact(item) for item in kept])
        )
        return made, kept

    async def latest(self, customer):
        found = await self.store.read(lambda tx: tx.customers.latest_reachability_checks(customer.id))
        return {(check.subject, check.subject_id): check for check in found}

    async def alerts(self, kind):
        return [item for item in await self.store.read(lambda tx: tx.alerts.unseen(99)) if item.kind == kind]

    async def mails(self):
        return await self.store.read(lambda tx: tx.mails.due(self.clock.now(), 99))


@pytest.fixture
async def house(tmp_path):
    store = open_store(new_database(tmp_path / "store.sqlite3"), migrate=False)
    async with SmtpServer() as relay:
        made = House(store, relay)
        yield made
        await made.probe.aclose()
        await made.mail.aclose()
    await store.close()


def verdicts(report):
    return [(line.about, line.verdict) for line in report.lines]


async def test_the_relay_is_asked_and_nothing_is_handed_over(house):
    customer, (contact,) = await house.customer({"email": "rssi@hopital.example"})
    report = await house.checker.check_all()
    assert verdicts(report) == [("rssi@hopital.example", "ok")]
    assert report.is_clean
    assert house.relay.lines("RCPT")[0].startswith("RCPT TO:<rssi@hopital.example>")
    assert len(house.relay.lines("RSET")) == 1
    assert house.relay.lines("DATA") == []
    assert house.relay.messages == []
    check = (await house.latest(customer))[CheckSubject.CONTACT, contact.id]
    assert (check.ok, check.code, check.reason) == (True, 250, None)


async def test_many_are_asked_about_on_one_connection(house):
    for number in range(7):
        await house.customer({"email": f"soc{number}@example.org"})
    await house.checker.check_all()
    assert house.relay.connections == 1
    assert len(house.relay.lines("RCPT")) == 7


async def test_a_connection_that_the_relay_closed_meanwhile_is_no_answer(house):
    await house.customer({"email": "rssi@example.org"})
    assert (await house.checker.check_all()).is_clean
    await house.relay.drop_connections()
    assert (await house.checker.check_all()).is_clean
    assert house.relay.connections == 2


async def test_an_address_that_is_refused_fails_and_one_that_is_put_off_does_not(house):
    customer, (gone, later) = await house.customer(
        {"email": "gone@example.org", "order": 1}, {"email": "later@example.org", "order": 2}
    )
    house.relay.cue("RCPT", "550 5.1.1 no such user", "450 4.7.1 greylisted")
    report = await house.checker.check_all()
    assert verdicts(report) == [("gone@example.org", "failed"), ("later@example.org", "warning")]
    assert not report.is_clean
    latest = await house.latest(customer)
    assert latest[CheckSubject.CONTACT, gone.id].ok is False
    assert latest[CheckSubject.CONTACT, gone.id].code == 550
    assert latest[CheckSubject.CONTACT, later.id].ok is True


async def test_a_relay_that_cannot_be_asked_says_nothing_of_anybody(house):
    customer, _ = await house.customer({"email": "a@example.org"}, {"email": "b@example.org"})
    house.relay.cue("GREETING", CLOSE)
    report = await house.checker.check_all()
    assert report.relay_fault
    assert not report.is_clean
    assert await house.latest(customer) == {}
    assert await house.alerts("customer_check_failed") == []
    house.relay.cue("MAIL", "530 5.7.0 authenticate first")
    assert "authenticate" in (await house.checker.check_all()).relay_fault
    assert await house.latest(customer) == {}


async def test_a_customer_that_becomes_unreachable_is_alerted_once_and_settled_when_it_is_mended(house):
    customer, _ = await house.customer({"email": "rssi@example.org"}, name="Hôpital")
    await house.checker.check_all()
    house.relay.cue("RCPT", "550 5.1.1 no such user")
    house.clock.step(timedelta(days=7))
    report = await house.checker.check_all()
    assert ("", "failed") in verdicts(report)
    (alert,) = await house.alerts("customer_check_failed")
    assert alert.customer_id == customer.id
    assert len(await house.alerts("contact_check_failed")) == 1
    (mail,) = await house.mails()
    assert "Hôpital" in mail.text
    assert "rssi@example.org" not in mail.text
    # Still so: nothing new is raised.
    house.relay.cue("RCPT", "550 5.1.1 no such user")
    await house.checker.check_all()
    assert len(await house.alerts("customer_check_failed")) == 1
    assert len(await house.alerts("contact_check_failed")) == 1
    assert len(await house.mails()) == 1
    board = await house.store.read(lambda tx: attention_list(tx, NOW, 99, reads_incidents=False))
    (item,) = [item for item in board.items if item.kind == "contact_check_failed"]
    assert item.customer_id == customer.id
    assert "550" in item.what
    assert "example.org" not in item.what
    await house.checker.check_all()
    assert await house.alerts("customer_check_failed") == []
    assert await house.alerts("contact_check_failed") == []


async def test_one_contact_that_fails_beside_one_that_does_not_leaves_the_customer_reachable(house):
    await house.customer({"email": "a@example.org", "order": 1}, {"email": "b@example.org", "order": 2})
    house.relay.cue("RCPT", "550 5.1.1 no such user")
    report = await house.checker.check_all()
    assert await house.alerts("customer_check_failed") == []
    assert len(await house.alerts("contact_check_failed")) == 1
    assert await house.mails() == []
    assert not report.is_clean


async def test_a_customer_without_anybody_is_told_of(house):
    await house.customer()
    inactive, _ = await house.customer({"active": False})
    report = await house.checker.check_all()
    assert [line.verdict for line in report.lines] == ["failed", "failed"]
    assert house.relay.lines("RCPT") == []
    assert inactive.name in {line.customer for line in report.lines}


@pytest.mark.parametrize(
    "address", ["no-at-sign", "a@b@c.example", "two words@example.org", "a@exa mple.org", "@x.example"]
)
async def test_an_address_that_is_none_fails_without_asking(address, house):
    await house.customer({"email": address})
    report = await house.checker.check_all()
    assert verdicts(report)[0] == (address, "failed")
    assert house.relay.lines("RCPT") == []


async def test_a_certificate_that_does_not_serve_fails_and_one_that_ends_soon_warns(house):
    good = SmimeReader("a@example.org", NOW, days=20).der
    wrong = SmimeReader("other@example.org", NOW).der
    await house.customer(
        {"email": "a@example.org", "smime_certificate": good, "order": 1},
        {"email": "b@example.org", "smime_certificate": wrong, "order": 2},
        {"email": "c@example.org", "smime_certificate": b"no certificate", "order": 3},
    )
    report = await house.checker.check_all()
    told = {line.about: (line.verdict, line.what) for line in report.lines}
    assert told["a@example.org (S/MIME)"] == ("warning", "the certificate ends in 19 days")
    assert told["b@example.org (S/MIME)"][0] == "failed"
    assert told["c@example.org (S/MIME)"][0] == "failed"


async def test_a_contact_without_a_phone_or_a_confirmed_address_is_a_warning(house):
    made = make_customer()
    contact = make_contact(made, verified_at=None)
    await house.store.write(lambda tx: (tx.customers.add(made, b"s" * 32), tx.customers.add_contact(contact)))
    report = await house.checker.check_all()
    assert [line.verdict for line in report.lines] == ["ok", "warning", "warning"]
    assert report.is_clean


@pytest.mark.parametrize(
    ("language", "words"), [("fr", "Ceci est un essai"), ("en", "This is a test"), ("de", "Dies ist ein Test")]
)
async def test_a_test_mail_says_that_it_is_one_in_the_contacts_language_and_is_no_notice(language, words, house):
    customer, (contact,) = await house.customer({"email": "rssi@example.org", "language": language})
    report = await house.checker.check_customer(customer.id, send=True)
    assert report.is_clean
    (message,) = house.relay.messages
    assert message.recipient == "rssi@example.org"
    mail = message_from_bytes(message.content, policy=mail_policy)
    assert mail["Subject"].startswith("[TEST] Provider")
    assert mail.get_content_type() == "multipart/signed"
    assert words in mail.get_body(("plain",)).get_content()
    assert house.relay.lines("RSET") == []
    # Neither a notice nor a delivery, and no mail of the service's own.
    assert await house.mails() == []
    assert (await house.latest(customer))[CheckSubject.CONTACT, contact.id].code == 250
    entries = await house.store.read(lambda tx: [json.loads(item.leaf) for item in tx.audit.pending(99)])
    assert [(leaf["type"], leaf["detail"]) for leaf in entries] == [
        ("contacts.checked", {"checks": 1, "failed": 0, "test_messages": True})
    ]
    assert "example.org" not in json.dumps(entries)


async def test_a_test_mail_is_encrypted_where_a_notice_would_be(house):
    certificate = SmimeReader("rssi@example.org", NOW).der
    customer, _ = await house.customer({"email": "rssi@example.org", "smime_certificate": certificate})
    assert (await house.checker.check_customer(customer.id, send=True)).is_clean
    mail = message_from_bytes(house.relay.messages[0].content, policy=mail_policy)
    assert mail.get_content_type() == "application/pkcs7-mime"
    assert mail["Subject"].startswith("[TEST]")


async def test_without_a_usable_key_no_test_mail_goes_out_and_nobody_is_blamed(house):
    class Other(PlainSigner):
        address = "other@provider.example"

    house.means = replace(house.means, signer=Other())
    customer, _ = await house.customer({"email": "rssi@example.org"})
    report = await house.checker.check_customer(customer.id, send=True)
    assert "From address" in report.relay_fault
    assert house.relay.messages == []
    assert await house.latest(customer) == {}


async def test_webhooks_get_a_test_event_and_their_answer_is_recorded(house):
    customer, _ = await house.customer({"email": "rssi@example.org"})
    endpoint = make_endpoint(
        customer, url="https://hooks.example.org/in", state=EndpointState.ACTIVE, state_reason=None
    )
    await house.store.write(lambda tx: tx.webhooks.add(endpoint))
    refused = Outcome(OutcomeKind.PERMANENT_FAILURE, 404, None, "Not Found", None, None, None, None)
    house.answers = [refused, replace(refused, kind=OutcomeKind.ACCEPTED, code=204, text="")]
    report = await house.checker.check_all()
    assert ("https://hooks.example.org/in", "failed") in verdicts(report)
    assert (await house.latest(customer))[CheckSubject.WEBHOOK, endpoint.id].code == 404
    assert (await house.checker.check_all()).is_clean
    assert house.posted == ["https://hooks.example.org/in"] * 2


async def test_a_receivers_certificate_is_warned_of_per_stage_and_settled_when_it_is_renewed(house):
    ends = {}
    house.means = replace(house.means, webhook_certificate_end=ends.get)
    customer, _ = await house.customer({"email": "rssi@example.org"})
    endpoint = make_endpoint(
        customer, url="https://hooks.example.org/in", state=EndpointState.ACTIVE, state_reason=None
    )
    await house.store.write(lambda tx: tx.webhooks.add(endpoint))
    accepted = Outcome(OutcomeKind.ACCEPTED, 204, None, "", None, None, None, None)
    house.answers = [accepted] * 5
    ends[endpoint.url] = NOW + timedelta(days=31)
    assert (await house.checker.check_all()).is_clean
    assert await house.alerts("webhook_certificate_expiring") == []
    house.clock.step(timedelta(days=2))
    for _ in range(2):
        report = await house.checker.check_all()
    assert (endpoint.url, "warning") in verdicts(report)
    assert report.is_clean
    (alert,) = await house.alerts("webhook_certificate_expiring")
    assert alert.key.endswith(":30")
    house.clock.step(timedelta(days=23))
    await house.checker.check_all()
    (alert,) = await house.alerts("webhook_certificate_expiring")
    assert alert.key.endswith(":7")
    assert len(await house.mails()) == 2
    ends[endpoint.url] = NOW + timedelta(days=400)
    await house.checker.check_all()
    assert await house.alerts("webhook_certificate_expiring") == []


async def test_a_domain_that_takes_no_mail_fails_before_the_relay_is_asked(house):
    async def fault(domain):
        return "the domain does not exist" if domain == "gone.example" else None

    house.means = replace(house.means, domain_fault=fault)
    await house.customer({"email": "a@gone.example", "order": 1}, {"email": "b@there.example", "order": 2})
    report = await house.checker.check_all()
    assert verdicts(report) == [("a@gone.example", "failed"), ("b@there.example", "ok")]
    assert len(house.relay.lines("RCPT")) == 1


async def test_an_unknown_customer_is_refused(house):
    with pytest.raises(NotFoundError):
        await house.checker.check_customer(make_account().id)


class TestSchedule:
    async def test_a_contact_is_checked_once_confirmed_and_again_after_its_days(self, house):
        checks = ContactChecks(house.store, house.checker, every_days=7, clock=house.clock)
        await house.customer({"email": "new@example.org", "verified_at": NOW})
        await house.customer({"email": "stranger@example.org", "verified_at": None})
        # Whoever adds it may not be done.
        assert await checks.check_due() == 0
        house.clock.step(timedelta(minutes=6))
        assert await checks.check_due() == 1
        assert await checks.check_due() == 0
        house.clock.step(timedelta(days=6))
        assert await checks.check_due() == 0
        house.clock.step(timedelta(days=1))
        assert await checks.check_due() == 1
        assert [line.split("<")[1].split(">")[0] for line in house.relay.lines("RCPT")] == ["new@example.org"] * 2

    async def test_a_new_contact_is_asked_about_alone_and_a_customer_whose_time_has_come_altogether(self, house):
        checks = ContactChecks(house.store, house.checker, every_days=7, clock=house.clock)
        customer, _ = await house.customer({"email": "first@example.org", "verified_at": NOW})
        house.clock.step(timedelta(minutes=6))
        await checks.check_due()
        second = make_contact(customer, email="second@example.org", verified_at=house.clock.now())
        stranger = make_contact(customer, email="stranger@example.org", verified_at=None)
        await house.store.write(lambda tx: (tx.customers.add_contact(second), tx.customers.add_contact(stranger)))
        house.clock.step(timedelta(minutes=6))
        await checks.check_due()
        asked = [line.split("<")[1].split("@")[0] for line in house.relay.lines("RCPT")]
        assert asked == ["first", "second"]
        house.clock.step(timedelta(days=7))
        await checks.check_due()
        asked = [line.split("<")[1].split("@")[0] for line in house.relay.lines("RCPT")]
        assert sorted(asked[2:]) == ["first", "second", "stranger"]

    async def test_what_could_not_be_asked_is_asked_again(self, house):
        checks = ContactChecks(house.store, house.checker, every_days=7, clock=house.clock)
        for number in range(3):
            await house.customer({"email": f"new{number}@example.org", "verified_at": NOW})
        house.clock.step(timedelta(hours=1))
        house.relay.cue("GREETING", CLOSE)
        assert await checks.check_due() == 3
        # After the first failure the relay is left alone.
        assert house.relay.connections == 1
        assert await checks.check_due() == 3
        assert await checks.check_due() == 0

    async def test_right_after_a_start_nobody_is_asked(self, house):
        checks = ContactChecks(house.store, house.checker, every_days=7, clock=house.clock)
        await house.customer({"email": "new@example.org", "verified_at": NOW - timedelta(days=1)})
        first_at = await checks.look()
        assert (first_at - house.clock.now(), house.relay.connections) == (timedelta(minutes=5), 0)
        house.clock.step(timedelta(minutes=5))
        assert await checks.look() is None
        assert house.relay.connections == 1

    async def test_with_no_days_nothing_is_checked(self, house):
        await house.customer({"verified_at": NOW})
        house.clock.step(timedelta(days=99))
        assert await ContactChecks(house.store, house.checker, every_days=0, clock=house.clock).check_due() == 0
        assert house.relay.connections == 0


class TestSecondChannel:
    """The way beside the mail to the first contact: tested by a real message every six months (PDIS 2.0, IV.2.3)."""

    def schedule(self, house, every_days=182):
        return SecondChannelTests(house.store, house.checker, every_days=every_days, clock=house.clock)

    async def latest_test(self, house, customer):
        found = [check for (subject, _), check in (await house.latest(customer)).items() if subject == "second_channel"]
        return max(found, key=lambda check: check.checked_at, default=None)

    def test_which_way_it_is(self):
        owner = make_customer()
        first, second = (make_contact(owner, email=f"{name}@example.org", verified_at=NOW) for name in ("a", "b"))
        stranger = make_contact(owner, email="c@example.org", verified_at=None)
        called = replace(first, phone="+33123456789")
        endpoint = make_endpoint(owner).id
        assert second_channel([first, second], [endpoint]).kind is SecondChannelKind.WEBHOOK
        assert second_channel([first, stranger, second], []).subject_id == second.id
        assert second_channel([first, replace(second, fallback=True)], []).subject_id == second.id
        assert second_channel([called, stranger], []).kind is SecondChannelKind.TELEPHONE
        assert second_channel([first, replace(second, email=first.email)], []) is None
        assert second_channel([first, replace(second, active=False)], []) is None
        assert second_channel([], []) is None

    async def test_the_second_address_gets_a_real_mail_twice_a_year(self, house):
        customer, (_, second) = await house.customer(
            {"email": "first@example.org", "verified_at": NOW, "order": 1},
            {"email": "second@example.org", "verified_at": NOW, "order": 2},
        )
        tests = self.schedule(house)
        assert await tests.test_due() == 0
        house.clock.step(timedelta(hours=1))
        assert await tests.test_due() == 1
        (message,) = house.relay.messages
        assert message_from_bytes(message.content, policy=mail_policy)["To"].addresses[0].addr_spec == second.email
        found = await self.latest_test(house, customer)
        assert (found.subject_id, found.ok, found.code) == (second.id, True, 250)
        house.clock.step(timedelta(days=181))
        assert await tests.test_due() == 0
        house.clock.step(timedelta(days=1))
        assert await tests.test_due() == 1
        assert len(house.relay.messages) == 2

    async def test_a_second_channel_that_fails_is_alerted_and_closed_once_it_works(self, house):
        customer, _ = await house.customer(
            {"email": "first@example.org", "verified_at": NOW, "order": 1},
            {"email": "second@example.org", "verified_at": NOW, "order": 2},
        )
        house.clock.step(timedelta(hours=1))
        house.relay.cue("RCPT", "550 5.1.1 no such user")
        assert await self.schedule(house).test_due() == 1
        (alert,) = await house.alerts("contact_check_failed")
        # The regular check of the same address finds nothing wrong, which does not close the alert of the test.
        assert (await house.checker.check_customer(customer.id)).is_clean
        assert [item.id for item in await house.alerts("contact_check_failed")] == [alert.id]
        house.clock.step(timedelta(days=182))
        await self.schedule(house).test_due()
        assert await house.alerts("contact_check_failed") == []

    async def test_a_webhook_gets_a_test_event(self, house):
        customer, _ = await house.customer({"email": "first@example.org", "verified_at": NOW})
        endpoint = make_endpoint(customer, state=EndpointState.ACTIVE, state_reason=None)
        await house.store.write(lambda tx: tx.webhooks.add(endpoint))
        house.answers.append(Outcome(OutcomeKind.ACCEPTED, 204, None, "OK", None, None, None, None))
        house.clock.step(timedelta(hours=1))
        assert await self.schedule(house).test_due() == 1
        assert house.posted == [endpoint.url]
        assert house.relay.messages == []

    async def test_a_telephone_waits_for_a_person_who_records_the_call(self, house):
        customer, (contact,) = await house.customer({"email": "first@example.org", "verified_at": NOW})
        house.clock.step(timedelta(hours=1))
        await self.schedule(house).test_due()
        due = await self.latest_test(house, customer)
        assert (due.subject_id, due.ok, due.reason) == (contact.id, False, CALL_TO_MAKE)
        listed = await house.store.read(lambda tx: attention_list(tx, house.clock.now(), 99, reads_incidents=False))
        assert [item.what for item in listed.items if item.kind == "contact_check_failed"] == [CALL_TO_MAKE]
        house.clock.step(timedelta(hours=1))
        act = AuditContext("account:a", house.clock.now(), SystemIdentifiers())
        await house.store.write(lambda tx: record_second_channel_call(tx, act, customer.id, reached=True))
        called = await self.latest_test(house, customer)
        assert (called.ok, called.reason) == (True, None)
        shown = await house.store.read(lambda tx: reachability_of(tx, customer.id, 182).second_channel)
        assert (shown.tested_at, shown.next_test_at) == (called.checked_at, called.checked_at + timedelta(days=182))
        assert await self.schedule(house).test_due() == 0
        other, _ = await house.customer(
            {"email": "p@example.org", "order": 1, "verified_at": NOW},
            {"email": "q@example.org", "order": 2, "verified_at": NOW},
        )
        with pytest.raises(StateConflictError):
            await house.store.write(lambda tx: record_second_channel_call(tx, act, other.id, reached=True))

    async def test_a_customer_without_one_is_on_the_attention_list(self, house):
        made = make_customer()
        only = make_contact(made, email="only@example.org", verified_at=NOW, phone=None)
        await house.store.write(lambda tx: (tx.customers.add(made, b"s" * 32), tx.customers.add_contact(only)))
        house.clock.step(timedelta(hours=1))
        assert await self.schedule(house).test_due() == 1
        assert (await self.latest_test(house, made)).reason == NO_SECOND_CHANNEL
        listed = await house.store.read(lambda tx: attention_list(tx, house.clock.now(), 99, reads_incidents=False))
        assert made.id in [item.customer_id for item in listed.items if item.kind == "contact_check_failed"]

    async def test_a_relay_that_does_not_answer_leaves_the_test_due(self, house):
        customer, _ = await house.customer(
            {"email": "first@example.org", "verified_at": NOW, "order": 1},
            {"email": "second@example.org", "verified_at": NOW, "order": 2},
        )
        house.clock.step(timedelta(hours=1))
        house.means = replace(house.means, mail=None, probe=None)
        assert await self.schedule(house).test_due() == 0
        assert await self.latest_test(house, customer) is None

    async def test_with_no_days_nothing_is_tested(self, house):
        await house.customer({"verified_at": NOW})
        house.clock.step(timedelta(days=999))
        assert await self.schedule(house, every_days=0).test_due() == 0

    async def test_customers_that_cannot_be_tested_do_not_keep_others_from_their_test(self, house, monkeypatch):
        monkeypatch.setattr("service.customers.second_channel_schedule._AT_ONCE", 1)
        mailed = (
            {"email": "first@example.org", "verified_at": NOW, "order": 1},
            {"email": "second@example.org", "verified_at": NOW, "order": 2},
        )
        untried, _ = await house.customer(*mailed)
        failing, _ = await house.customer({"email": "only@example.org", "verified_at": NOW})
        await house.store.write(
            lambda tx: tx.webhooks.add(make_endpoint(failing, state=EndpointState.ACTIVE, state_reason=None))
        )
        called, _ = await house.customer({"email": "only@example.org", "verified_at": NOW})
        house.clock.step(timedelta(hours=1))
        means = house.means
        house.means = replace(means, mail=None, probe=None)
        tests = self.schedule(house)
        assert await tests.test_due() == 0
        # There is no answer to post: an unexpected error.
        with pytest.raises(IndexError):
            await tests.test_due()
        assert await tests.test_due() == 1
        assert (await self.latest_test(house, called)).reason == CALL_TO_MAKE
        assert await self.latest_test(house, untried) is None
