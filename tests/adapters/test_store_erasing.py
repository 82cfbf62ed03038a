"""Erasing a customer in the store: all of it and nothing else, and not a day before its time, whoever asks."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from notifications.customer.erasure import Erasure, ErasureOrder, ServedBy
from notifications.delivery.call_task import CallTaskState
from notifications.delivery.delivery import DeliveryState
from notifications.errors import GreffierError, NotFoundError, StateConflictError, StoreUnavailableError
from notifications.incident import AffectedCustomer, LocalizedText
from notifications.notice import NoticeState
from notifications.notice.seal import SealedRendering
from notifications.ports import InboxItem, LetterState, Page, StoredResponse
from service.ports.accounts import Role
from service.ports.board import LISTED_CUSTOMERS_MAX, IncidentFilters
from service.store import open_store
from service.store.engines import compaction
from service.store.engines.compaction import COMPACTED
from service.store.incidents.erasure import NOBODY_LEFT
from service.store.tables import metadata
from support.access_records import make_account, make_alert, make_grant, make_link, make_mail, make_session
from support.announcement_records import make_announced, make_announcement, make_letter
from support.duty_records import make_assessment, make_draft, make_legal_profile, make_own_submission, make_submission
from support.opened_store import lent_address
from support.postgresql_server import postgresql_server
from support.question_records import make_feedback, make_question
from support.records import (
    NOBODY,
    NOW,
    after,
    make_attempt,
    make_binding,
    make_contact,
    make_customer,
    make_decision,
    make_delivery,
    make_entry,
    make_facts,
    make_incident,
    make_lookup,
    make_notice,
    make_profile,
    make_resource,
    make_sealed,
)
from support.report_records import make_issued_report, make_report_pdf
from support.serving_records import (
    make_acknowledgement,
    make_call_record,
    make_call_task,
    make_check,
    make_endpoint,
    make_escalation,
    make_opening,
    make_returned,
    make_secret,
)

REFUSALS = (sqlite3.IntegrityError, psycopg.IntegrityError)
_BEGUN_AT_ONCE = (
    "INSERT INTO erasure_orders (customer_id, ordered_at, ordered_by, served_by, mail_ids, begun_at, "
    "notice_days, within_days) VALUES (?, 0, 'x', 'mail', '[]', 0, 21, 30)"
)
DAYS_21 = timedelta(days=21)
#: Tables that an erasure leaves alone, and why.
KEPT = {
    "audit_entries": "leaves commit to what is gone",
    "audit_subjects": "opaque names",
    "incident_overviews": "numbers of customers; shared",
    "log_checkpoints": "the log",
    "log_leaves": "the log",
    "log_nodes": "the log",
    "checkpoint_cosignatures": "the log",
    "checkpoint_timestamps": "the log",
    "channel_pauses": "of the provider",
    "directory_version": "a counter",
    "duty_timers": "of the provider, a time",
    "erasures": "by pseudonym",
    "interventions": "of the provider; shared",
    "issued_reports": "figures; a customer by its pseudonym, as in the log that holds the digest",
    "incident_drafts": "encrypted, and erased after 14 days at most",
    "incidents": "shared; what they say of a customer stands in the facts",
    "report_submissions": "the proof of how the provider met duties of its own; the authority has them",
    "resource_snapshots": "a number and a time",
    "throttles": "keyed digests that end by themselves",
    "ticket_counters": "a counter",
}


def test_every_table_is_either_erased_from_or_kept_for_a_reason():
    assert set(COMPACTED) | KEPT.keys() == metadata.tables.keys()
    assert not set(COMPACTED) & KEPT.keys()


@pytest.fixture(params=["sqlite", "postgresql"])
async def place(request, tmp_path):
    with lent_address(request.param, tmp_path) as address:
        opened = open_store(address, migrate=False)
        yield opened, address
        await opened.close()


def rows_of(address):
    """Return every row of every table, as text."""
    if isinstance(address, str):
        with psycopg.connect(address) as connection:
            return {name: [str(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in metadata.tables}
    with closing(sqlite3.connect(address)) as connection:
        return {name: [str(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in metadata.tables}


def direct(address, *statements):
    """Run statements in one transaction, past the store; rolled back."""
    if isinstance(address, str):
        with psycopg.connect(address) as connection:
            for statement, parameters in statements:
                connection.execute(statement.replace("?", "%s"), parameters)
            connection.rollback()
        return
    with closing(sqlite3.connect(address, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN")
        for statement, parameters in statements:
            connection.execute(statement, parameters)
        connection.execute("ROLLBACK")


class House:
    """A customer with something in every table, told apart from any other by one word."""

    def __init__(self, tx, word, incident, salt, announcement):
        box = f"box@{word}.example"
        self.word, self.box = word, box
        self.customer = make_customer(name=f"Maison {word}")
        self.contact = make_contact(self.customer, name=word, email=box, phone="+33 1")
        self.notice = make_notice(incident, self.customer, state=NoticeState.SEALED)
        tx.customers.add(self.customer, salt)
        self.pseudonym = tx.customers.pseudonym(self.customer.id)
        tx.customers.add_contact(self.contact)
        tx.customers.add_binding(make_binding(self.customer))
        tx.customers.add_profile(make_profile(self.customer))
        tx.duties.add_legal_profile(make_legal_profile(self.customer, lei=None))
        tx.incidents.add_decisions([make_decision(incident, self.customer)])
        tx.notices.add([self.notice])
        tx.duties.add_customer_submission(make_own_submission(self.notice, recipient=word))
        words = (SealedRendering("fr", f"INC {word}", word, word),)
        seal = make_sealed(self.notice, document=word.encode(), timestamp=b"t", log_proof=b"p", renderings=words)
        tx.notices.add_seal(seal, NOBODY)
        earlier = make_notice(incident, self.customer, state=NoticeState.SEALED, sequence=0)
        tx.notices.add([earlier])
        tx.notices.add_seal(make_sealed(earlier, document=word.encode(), shares_timestamp=True), NOBODY)
        tx.notices.set_log_proofs({earlier.id: b"first"})
        tx.log.add_timestamp(1, b"token", NOW)
        tx.notices.set_shared_timestamps({earlier.id: b"second"}, 1, independent=True)
        delivery = make_delivery(self.notice, self.contact, state=DeliveryState.QUEUED)
        tx.deliveries.add([delivery])
        sent = replace(delivery, state=DeliveryState.SENT, attempts=1)
        tx.deliveries.finish_attempt(sent, make_attempt(delivery), f"To: {box}".encode())
        tx.deliveries.add_inbox_item(InboxItem(self.notice.id, self.customer.id, NOW))
        endpoint = make_endpoint(self.customer, url=f"https://{word}.example/")
        tx.webhooks.add(endpoint)
        tx.webhooks.add_secret(make_secret(endpoint))
        tx.deliveries.record_bounce(make_returned(delivery, content=f"Final-Recipient: {box}".encode()))
        tx.notices.add_opening(make_opening(self.notice))
        tx.notices.add_acknowledgement(make_acknowledgement(self.notice, self.contact, note=word))
        tx.questions.add(make_question(self.notice, text=word))
        tx.questions.set_feedback(make_feedback(self.notice, words=word))
        tx.escalations.add(make_escalation(self.notice))
        task = make_call_task(self.notice)
        tx.escalations.add_call_task(task)
        tx.escalations.add_call_record(make_call_record(task, self.contact, spoke_to=word))
        tx.escalations.save_call_task(replace(task, state=CallTaskState.DONE, closed_at=NOW, version=2), 1)
        tx.announcements.add_customers([make_announced(announcement, self.customer, consent_name=word)])
        tx.announcements.add_letter(make_letter(self.notice, state=LetterState.CLOSED, posting_number=word))
        tx.customers.add_reachability_checks([make_check(self.customer, reason=word)])
        tx.resources.add([make_resource(self.customer, name=word, host=word)])
        tx.resources.add_lookup(make_lookup(self.customer, hosts=(word,)))
        tx.alerts.add(make_alert(key=f"k:{word}", customer_id=self.customer.id, what=f"Maison {word}"))
        tx.sessions.add_link(make_link(subject_id=self.contact.id, binding=box, digest=word.encode().ljust(32)))
        tx.mails.add(make_mail(recipient=box, recipient_name=word))
        tx.mails.add(make_mail(recipient="soc@provider.example", subject=f"Maison {word}: late", state="sent", text=""))
        answer = f'{{"id": "{self.customer.id}", "email": "{box}"}}'.encode()
        tx.responses.add(f"k:{word}", StoredResponse(b"f" * 32, 201, answer, ()), NOW)
        self.account = make_account(name=word, email=f"account@{word}.example")
        tx.accounts.add(self.account)
        tx.accounts.add_grant(make_grant(self.account, Role.CUSTOMER_MANAGER, self.customer))
        tx.sessions.add(make_session(self.account, user_agent=word, digest=word.encode().ljust(32)))
        private = [("payload", f"to {box}".encode())]
        self.entries = [
            make_entry({"customer": self.pseudonym}, private),
            make_entry({"account": str(self.account.id)}, private),
            make_entry({"delivery": str(delivery.id)}, private),
        ]
        tx.audit.append(self.entries)


def two_houses(tx):
    incident = make_incident()
    tx.incidents.add(incident)
    announcement = make_announcement(ticket="ANN-2026-000001")
    tx.incidents.add(announcement)
    return tuple(House(tx, word, incident, word[-1:].encode() * 32, announcement) for word in ("vallees", "valmont"))


def order_of(house, **changes):
    given = {"ordered_at": NOW, "ordered_by": "account:ada", "served_by": ServedBy.LETTER, "reference": "RR 1"}
    days = {"notice_days": changes.pop("notice_days", 21), "within_days": 30}
    return ErasureOrder(house.customer.id, mail_ids=(), noticed_at=None, **days, **given | changes)


async def noticed(store, house):
    def work(tx):
        tx.erasures.add_order(order_of(house))
        tx.erasures.set_noticed(house.customer.id, NOW)

    await store.write(work)


async def test_all_of_one_customer_goes_and_nothing_of_another(place):
    store, address = place
    gone, stays = await store.write(two_houses)
    await noticed(store, gone)
    assert await store.read(lambda tx: tx.erasures.obstacles(gone.customer.id)) == {}
    before = rows_of(address)
    erased = await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + DAYS_21))
    after_it = rows_of(address)
    assert erased.accounts == (gone.account.id,)
    assert erased.entries == (gone.entries[2].id,)
    for name, rows in after_it.items():
        assert not [row for row in rows if "vallees" in row or str(gone.customer.id.bytes) in row], name
        kept = [row for row in before[name] if "valmont" in row]
        assert [row for row in rows if "valmont" in row] == kept, name
        if name in COMPACTED and name not in {"owed_evidence", "incident_facts"} and len(before[name]) > 1:
            assert len(rows) < len(before[name]), name
    assert await store.read(lambda tx: tx.erasures.order(gone.customer.id)) is None
    assert [one.id for one in await store.read(lambda tx: tx.customers.all())] == [stays.customer.id]
    assert (await store.read(lambda tx: tx.notices.seal(stays.notice.id))).document == b"valmont"
    with pytest.raises(NotFoundError):
        await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + DAYS_21))


async def test_who_was_chosen_for_an_announcement_is_named_in_it_no_more_and_it_is_for_nobody_else(place):
    store, address = place
    gone, stays = await store.write(two_houses)
    both, alone = (
        make_announcement(ticket=f"ANN-2026-00000{number}", chosen=tuple(each.customer.id for each in chosen))
        for number, chosen in ((2, (gone, stays)), (3, (gone,)))
    )
    await store.write(lambda tx: (tx.incidents.add(both), tx.incidents.add(alone)))
    await noticed(store, gone)
    await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + DAYS_21))
    assert not [row for rows in rows_of(address).values() for row in rows if str(gone.customer.id) in row]
    left = [
        (await store.read(lambda tx, each=each: tx.incidents.get(each.id))).facts.announcement.customers
        for each in (both, alone)
    ]
    # An empty list would mean every customer.
    assert left == [(NOBODY_LEFT, stays.customer.id), (NOBODY_LEFT,)]


async def test_words_on_the_provider_s_duties_that_name_the_customer_go_and_what_was_submitted_stays(place):
    store, address = place
    gone, _ = await store.write(two_houses)
    incident = make_incident(ticket="INC-2026-000071")
    named, others = "as MAISON VALLEES reported", "Maison valmont and Maisonvalleesque are others"
    draft = make_draft(incident, items=(("cause", others), ("description", named), ("who", f"write to {gone.box}")))
    assessments = [
        make_assessment(incident, apparent_cause="disk", note=named),
        make_assessment(incident, version=2, apparent_cause=named, note=others),
    ]
    submission = make_submission(incident, items=(("description", named),))
    kinds = ("authority_report.drafted", "duty.assessed", "authority_report.submitted")
    entries = [make_entry({"incident": str(incident.id)}, [("payload", named.encode())], type=kind) for kind in kinds]

    def build(tx):
        tx.incidents.add(incident)
        tx.duties.add_draft(draft)
        for each in assessments:
            tx.duties.add_assessment(each)
        tx.duties.add_submission(submission)
        tx.audit.append(entries)

    await store.write(build)
    # Before the erasure has begun nobody changes them, and never the answers.
    for statements in (
        [("UPDATE report_drafts SET items = '[]'", ())],
        [("UPDATE duty_assessments SET note = NULL", ())],
    ):
        with pytest.raises(REFUSALS):
            direct(address, *statements)
    await noticed(store, gone)
    erased = await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + DAYS_21))
    assert [each.items for each in await store.read(lambda tx: tx.duties.drafts(incident.id))] == [(("cause", others),)]
    found = await store.read(lambda tx: list(tx.duties.assessments(incident.id)))
    assert found == [replace(assessments[0], note=None), replace(assessments[1], apparent_cause=None)]
    assert await store.read(lambda tx: list(tx.duties.submissions(incident.id))) == [submission]
    assert {entries[0].id, entries[1].id} <= set(erased.entries)
    openings = [await store.read(lambda tx, each=each: tx.audit.openings(each.id)) for each in entries]
    assert [bool(each) for each in openings] == [False, False, True]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE duty_assessments SET answers = '[]'",
        "UPDATE duty_assessments SET version = version + 1",
        "UPDATE report_drafts SET duty_id = 'x'",
        "UPDATE report_submissions SET recipient = 'x'",
        "DELETE FROM duty_assessments",
        "DELETE FROM report_drafts",
        "DELETE FROM customer_submissions WHERE recipient = 'valmont'",
    ],
)
async def test_an_erasure_changes_nothing_else_of_the_provider_s_duties(place, statement):
    store, address = place
    gone, _ = await store.write(two_houses)
    incident = make_incident(ticket="INC-2026-000072")
    await store.write(
        lambda tx: (
            tx.incidents.add(incident),
            tx.duties.add_draft(make_draft(incident)),
            tx.duties.add_assessment(make_assessment(incident)),
            tx.duties.add_submission(make_submission(incident)),
        )
    )
    await noticed(store, gone)
    begin = ("UPDATE erasure_orders SET begun_at = noticed_at + 1814400000000", ())
    with pytest.raises(REFUSALS):
        direct(address, begin, (statement, ()))


async def test_pdfs_of_reports_that_name_the_customer_go_and_the_numbers_stay(place):
    store, _ = place
    gone, stays = await store.write(two_houses)
    keys = [
        ("2026-03", gone.pseudonym), ("2026-03", ""), ("2026-03", stays.pseudonym), ("2026-04", ""),
        ("2026-04", stays.pseudonym), ("2026", ""), ("2025", ""),
    ]  # fmt: skip

    def work(tx):
        for period, customer in keys:
            tx.reports.add(make_issued_report(period=period, customer=customer))
            tx.reports.add_pdf(make_report_pdf(period=period, customer=customer))

    await store.write(work)
    await noticed(store, gone)
    await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + DAYS_21))
    kept = [key for key in keys if await store.read(lambda tx, key=key: tx.reports.pdf(*key, 1, "fr"))]
    assert kept == [keys[2], keys[3], keys[4], keys[6]]
    for key in keys:
        assert await store.read(lambda tx, key=key: tx.reports.of_period(*key))


async def test_an_open_letter_is_an_obstacle(place):
    store, _ = place
    gone, _ = await store.write(two_houses)
    await store.write(lambda tx: tx.announcements.add_letter(make_letter(gone.notice)))
    assert await store.read(lambda tx: tx.erasures.obstacles(gone.customer.id)) == {"open_letter_tasks": 1}


async def test_the_excerpts_for_lists_name_an_erased_customer_no_more(place):
    store, _ = place
    gone, stays = await store.write(two_houses)
    parts = [
        AffectedCustomer(house.customer.id, effect=LocalizedText.of({"fr": f"Chez {house.word}"}))
        for house in (gone, stays)
    ]
    others = [AffectedCustomer(uuid4()) for _ in range(LISTED_CUSTOMERS_MAX)]
    named = {"INC-2026-000098": (*parts, *others), "INC-2026-000099": (parts[0], *others)}
    incidents = {
        ticket: make_incident(ticket=ticket, facts=make_facts(affected_customers=customers))
        for ticket, customers in named.items()
    }
    await store.write(lambda tx: [tx.incidents.add(each) for each in incidents.values()])
    await noticed(store, gone)
    await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + DAYS_21))
    excerpts = await store.read(lambda tx: tx._session.all("SELECT incident_id, customers, facts FROM facts_excerpts"))
    assert [row[:2] for row in excerpts] == [(incidents["INC-2026-000098"].id.bytes, LISTED_CUSTOMERS_MAX + 1)]
    assert gone.word not in excerpts[0][2]
    listed, _ = await store.read(lambda tx: tx.board.page(Page(99), IncidentFilters(), by_due=False))
    found = {each.incident.ticket: each for each in listed}
    assert [found[ticket].customers for ticket in named] == [LISTED_CUSTOMERS_MAX + 1, LISTED_CUSTOMERS_MAX]
    for ticket in named:
        assert gone.customer.id not in {each.customer_id for each in found[ticket].incident.facts.affected_customers}


async def test_what_a_customer_shares_with_others_stays_for_them(place):
    store, _ = place
    gone, stays = await store.write(two_houses)
    parts = tuple(
        AffectedCustomer(house.customer.id, effect=LocalizedText.of({"fr": f"Chez {house.word}"}))
        for house in (gone, stays)
    )
    shared = make_incident(ticket="INC-2026-000099", facts=make_facts(affected_customers=parts))
    auditor = make_account(name="Auditor", email="auditor@cabinet.example")
    waiting = make_mail(recipient="soc@provider.example", subject="Maison vallees: late")

    def work(tx):
        tx.incidents.add(shared)
        tx.incidents.save(replace(shared, version=2), 1)
        tx.accounts.add(auditor)
        for house in (gone, stays):
            tx.accounts.add_grant(make_grant(auditor, Role.AUDITOR, house.customer))
        tx.mails.add(waiting)

    await store.write(work)
    await noticed(store, gone)
    erased = await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + DAYS_21))
    assert erased.accounts == (gone.account.id,)
    for version in (1, 2):
        facts = await store.read(lambda tx, version=version: tx.incidents.facts_at(shared.id, version))
        assert facts == replace(shared.facts, affected_customers=(parts[1],))
    assert await store.read(lambda tx: tx.accounts.get(auditor.id)) == auditor
    (grant,) = await store.read(lambda tx: tx.accounts.grants(auditor.id))
    assert grant.customer_id == stays.customer.id
    # A mail to somebody else that has not gone out yet is not lost.
    assert await store.read(lambda tx: tx.mails.get(waiting.id)) == waiting


@pytest.mark.parametrize("early", [timedelta(0), DAYS_21 - timedelta(microseconds=1)])
async def test_no_erasure_begins_before_21_days(place, early):
    store, address = place
    gone, _ = await store.write(two_houses)
    with pytest.raises((*REFUSALS, GreffierError)):
        await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + DAYS_21))
    await noticed(store, gone)
    before = rows_of(address)
    with pytest.raises((*REFUSALS, GreffierError)):
        await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + early))
    assert rows_of(address) == before
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.erasures.add_order(order_of(gone)))


async def test_the_engine_itself_refuses_what_no_erasure_lets(place):
    _, address = place
    store = place[0]
    gone, stays = await store.write(two_houses)
    await store.write(lambda tx: tx.reports.add_pdf(make_report_pdf()))
    await noticed(store, gone)
    begin = ("UPDATE erasure_orders SET begun_at = noticed_at + 1814400000000", ())
    for statements in (
        # without an erasure, and another's while one goes on
        [("DELETE FROM sealed_notices WHERE notice_id = ?", (gone.notice.id.bytes,))],
        [begin, ("DELETE FROM sealed_notices WHERE notice_id = ?", (stays.notice.id.bytes,))],
        [begin, ("DELETE FROM decisions WHERE customer_id = ?", (stays.customer.id.bytes,))],
        [begin, ("DELETE FROM call_records WHERE spoke_to = ?", (stays.word,))],
        [begin, ("DELETE FROM sent_messages", ())],
        [("DELETE FROM report_pdfs", ())],
        [begin, ("UPDATE report_pdfs SET content = ?", (b"x",))],
        [begin, ("UPDATE sealed_notices SET document = ?", (b"x",))],
        [begin, ("UPDATE incident_facts SET version = version + 1", ())],
        [begin, ("DELETE FROM incident_facts", ())],
        [begin, ("DELETE FROM audit_entries", ())],
        # an order that was served when it was not, begun at once, or gone while the customer stands
        [("UPDATE erasure_orders SET noticed_at = noticed_at - 1", ())],
        [(_BEGUN_AT_ONCE, (stays.customer.id.bytes,))],
        [begin, begin],
        # fewer days of notice than were stated
        [("UPDATE erasure_orders SET notice_days = 1", ())],
        [(_BEGUN_AT_ONCE.replace("'[]', 0, 21", "'[]', NULL, 0"), (stays.customer.id.bytes,))],
        [begin, ("DELETE FROM erasure_orders", ())],
    ):  # fmt: skip
        with pytest.raises(REFUSALS):
            direct(address, *statements)
    direct(address, begin, ("DELETE FROM decisions WHERE customer_id = ?", (gone.customer.id.bytes,)))


async def test_the_order_says_how_many_days_of_notice_the_engine_waits_for(place):
    store, _ = place
    gone, _ = await store.write(two_houses)

    def work(tx):
        tx.erasures.add_order(order_of(gone, notice_days=40))
        tx.erasures.set_noticed(gone.customer.id, NOW)

    await store.write(work)
    for early in (DAYS_21, timedelta(days=40, microseconds=-1)):
        with pytest.raises((*REFUSALS, GreffierError)):
            await store.write(lambda tx, early=early: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + early))
    await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + timedelta(days=40)))


async def test_an_order_on_a_notice_is_kept_and_the_engine_waits_for_the_announced_moment(place):
    store, address = place
    gone, _ = await store.write(two_houses)
    announced_at = NOW + timedelta(days=50)
    ordered = order_of(
        gone, served_by=ServedBy.NOTICE, reference=None, notice_id=gone.notice.id, announced_at=announced_at
    )
    await store.write(lambda tx: tx.erasures.add_order(ordered))
    assert await store.read(lambda tx: tx.erasures.order(gone.customer.id)) == ordered
    await store.write(lambda tx: tx.erasures.set_noticed(gone.customer.id, NOW))
    for moved in ("announced_at - 1", "NULL"):
        with pytest.raises(REFUSALS):
            direct(address, (f"UPDATE erasure_orders SET announced_at = {moved}", ()))
    for early in (DAYS_21, timedelta(days=50, microseconds=-1)):
        with pytest.raises((*REFUSALS, GreffierError)):
            await store.write(lambda tx, early=early: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + early))
    await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, announced_at))


async def test_a_later_sealed_notice_than_that_of_the_order_is_in_the_way(place):
    store, _ = place
    gone, stays = await store.write(two_houses)

    def later(tx, house, state):
        notice = replace(house.notice, id=uuid4(), sequence=house.notice.sequence + 1, state=state)
        tx.notices.add([notice])

    await store.write(lambda tx: tx.erasures.add_order(order_of(gone, notice_id=gone.notice.id, announced_at=NOW)))
    await store.write(lambda tx: later(tx, stays, NoticeState.SEALED))
    await store.write(lambda tx: later(tx, gone, NoticeState.WITHDRAWN))
    assert await store.read(lambda tx: tx.erasures.obstacles(gone.customer.id)) == {}
    await store.write(lambda tx: tx.notices.add([replace(gone.notice, id=uuid4(), sequence=9)]))
    assert await store.read(lambda tx: tx.erasures.obstacles(gone.customer.id)) == {"later_notices": 1}


async def test_what_is_said_of_an_erasure_is_added_to_and_never_changed(place):
    store, address = place
    erasure = Erasure("ab" * 32, NOW, NOW, after(days=22), 7)
    await store.write(lambda tx: tx.erasures.add(erasure))
    assert await store.read(lambda tx: tx.erasures.unfinished(9)) == [erasure]
    compacted = replace(erasure, compacted_at=after(days=23))
    certified = replace(compacted, document=b"d", signature=b"s", timestamp=b"t", certified_at=after(days=24))
    for one in (compacted, certified):
        await store.write(lambda tx, one=one: tx.erasures.save(one))
        assert await store.read(lambda tx: tx.erasures.get("ab" * 32)) == one
    assert await store.read(lambda tx: tx.erasures.unfinished(9)) == []
    assert await store.read(lambda tx: tx.erasures.after("", 9)) == [certified]
    assert await store.read(lambda tx: tx.erasures.after("ab" * 32, 9)) == []
    for statement in (
        "DELETE FROM erasures",
        "UPDATE erasures SET document = NULL",
        "UPDATE erasures SET erased_at = 1",
    ):
        with pytest.raises(REFUSALS):
            direct(address, (statement, ()))


async def test_what_a_customer_is_owed_is_counted(place):
    store, _ = place
    gone, _ = await store.write(two_houses)
    incident = make_incident(ticket="INC-2026-000098")
    draft = make_notice(incident, gone.customer, state=NoticeState.DRAFT)

    def work(tx):
        tx.incidents.add(incident)
        tx.notices.add([draft])
        tx.deliveries.add([make_delivery(gone.notice, gone.contact)])
        tx.escalations.add_call_task(make_call_task(gone.notice))

    await store.write(work)
    owed = await store.read(lambda tx: tx.erasures.obstacles(gone.customer.id))
    assert owed == {"unserved_notices": 1, "queued_deliveries": 1, "open_call_tasks": 1}


async def test_files_are_made_anew_while_works_go_on(place):
    store, address = place
    gone, _ = await store.write(two_houses)
    if not isinstance(address, str):
        _leave_a_trace(address, "vallees")
        assert b"vallees" in address.read_bytes() + address.with_name(f"{address.name}-wal").read_bytes()
    await noticed(store, gone)
    await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + DAYS_21))
    await store.compact()
    await store.write(lambda tx: tx.audit.append([make_entry()]))
    assert await store.read(lambda tx: tx.customers.page(Page(9)))
    if not isinstance(address, str):
        for path in address.parent.iterdir():
            assert b"vallees" not in path.read_bytes(), path


# PostgreSQL 16.14: findings/postgresql_keeps_erased_rows_for_another_database.sh.
@pytest.mark.parametrize(
    ("database", "statements"),
    [
        ("own", ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1"]),
        # It has no snapshot between its statements, and every new snapshot is as old as it is.
        ("own", ["BEGIN", "SELECT pg_current_xact_id()"]),
        ("postgres", ["BEGIN", "SELECT pg_current_xact_id()"]),
    ],
)
async def test_files_are_made_anew_only_when_nobody_can_read_the_old_rows(database, statements, tmp_path, monkeypatch):
    """VACUUM FULL keeps rows that a transaction from before the erasure may read: the certificate would be untrue."""
    with lent_address("postgresql", tmp_path) as address:
        store = open_store(address, migrate=False)
        try:
            gone, _ = await store.write(two_houses)
            await noticed(store, gone)
            where = address if database == "own" else postgresql_server().address(database)
            with closing(psycopg.connect(where, autocommit=True)) as other:
                for statement in statements:
                    other.execute(statement)
                await store.write(lambda tx: tx.erasures.erase(gone.customer.id, gone.pseudonym, NOW + DAYS_21))
                with monkeypatch.context() as patched:
                    patched.setattr(compaction, "_LOCK_SECONDS", 0)
                    with pytest.raises(StoreUnavailableError, match="from before the erasure"):
                        await store.compact()
            await store.compact()
        finally:
            await store.close()
        postgresql_server().execute("CHECKPOINT")
        for folder in postgresql_server().folders_of(address):
            for path in folder.rglob("*"):
                assert not path.is_file() or b"vallees" not in path.read_bytes(), path


def _leave_a_trace(path, word):
    """Delete a row as engines do that are not told to overwrite it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        insert = "INSERT INTO stored_responses VALUES (?, x'00', 200, ?, '[]', 0)"
        connection.execute(insert, ("trace", word.encode() * 5000))
        connection.execute("DELETE FROM stored_responses WHERE key = 'trace'")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
