"""Erase a customer after the end of its contract: order, formal notice, erasure, certificate."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from notifications.agreement.commitments import NoticeChannel, NoticeKind
from notifications.canonical_json import timestamp_text
from notifications.customer.erasure import Erasure, ErasureOrder, ErasureWindow, ServedBy, begin_of_day, erasure_window
from notifications.customer.records import binding_in_force
from notifications.delivery.delivery import ChannelKind, DeliveryState
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError
from notifications.notice import Notice, NoticeState
from notifications.ports import ErasureTransaction
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.incidents.customer_decider import Agreements

#: Maximum number of identifiers in one entry, because the length of a leaf is limited.
_IDS_IN_ENTRY = 500
_REFERENCE_CHARACTERS = 200
#: The channels of an agreement that each way to serve the notice uses.
_CHANNELS = {
    ServedBy.NOTICE: {NoticeChannel.EMAIL, NoticeChannel.REGISTERED_LETTER},
    ServedBy.MAIL: {NoticeChannel.EMAIL},
    ServedBy.LETTER: {NoticeChannel.REGISTERED_LETTER},
}


@dataclass(frozen=True, slots=True)
class ErasureTerms:
    """What an agreement says of the formal notice of an erasure."""

    agreement_id: str
    #: id of the kind of notice
    kind_id: str
    clause: str
    #: the ways to serve it that the agreement names
    served_by: tuple[ServedBy, ...]
    notice_days: int
    within_days: int


def erasure_terms(tx: ErasureTransaction, agreements: Agreements, customer_id: UUID, at: datetime) -> ErasureTerms:
    """Return what the agreement that binds a customer says of its erasure.

    Where nothing binds the customer, or its agreement is silent, the longest notice of all agreements counts: that is
    not too short under any of them. Raises StateConflictError if no agreement has such a notice.
    """
    bound = binding_in_force(tx.customers.bindings(customer_id), at)
    own = [] if bound is None or bound.agreement_id not in agreements.by_id else [agreements.terms(bound, at)]
    for candidates in (own, agreements.by_id.values()):
        stated = [_terms(each.id, each.erasure_notice) for each in candidates if each.erasure_notice is not None]
        if stated:
            return max(stated, key=lambda terms: (terms.notice_days, terms.agreement_id))
    raise StateConflictError("no agreement says how the erasure of a customer is announced (erased_within_days)")


def _terms(agreement_id: str, kind: NoticeKind) -> ErasureTerms:
    assert kind.lead is not None
    assert kind.lead.days is not None
    assert kind.erased_within_days is not None  # the parser refuses a file without them
    ways = tuple(way for way, channels in _CHANNELS.items() if channels & set(kind.channels))
    return ErasureTerms(agreement_id, kind.id, kind.clause, ways, kind.lead.days, kind.erased_within_days)


def announced_erasure(
    tx: ErasureTransaction, customer_id: UUID, kind_id: str, notice_id: UUID
) -> tuple[Notice, datetime]:
    """Return the sealed notice that an erasure can rest on, and the moment that it announced.

    It must be the last sealed notice to this customer about an announcement of this kind that is not cancelled. Raises
    InvalidInputError at ``notice_id``.
    """
    notice = tx.notices.get(notice_id)
    if notice is None or notice.customer_id != customer_id:
        raise _unfit("is no notice of this customer")
    stated, latest = (
        tx.incidents.facts_at(notice.incident_id, notice.facts_version),
        tx.incidents.get(notice.incident_id),
    )
    announced = None if stated is None else stated.announcement
    stands = None if latest is None else latest.facts.announcement
    if announced is None or stands is None or announced.kind != kind_id:
        raise _unfit(f"must announce {kind_id}, the kind of notice that precedes an erasure")
    if notice.state is not NoticeState.SEALED:
        raise _unfit("is not sealed")
    if announced.cancelled or stands.cancelled:
        raise _unfit("is of an announcement that was cancelled")
    for other in tx.notices.of_incident(notice.incident_id, customer_id):
        if other.sequence > notice.sequence and other.state is NoticeState.SEALED:
            raise _unfit(f"was superseded by notice no. {other.sequence}: name that one")
    return notice, announced.occurs_at


def notice_served_at(tx: ErasureTransaction, notice_id: UUID, time_zone: str) -> datetime | None:
    """Return when a notice was served; None while it was not.

    That is when a mail server first accepted a mail of it that did not bounce, or the begin of the day, in the
    customer's time zone, from which its registered letter counts as served.
    """
    mailed = [
        each.sent_at
        for each in tx.deliveries.of_notice(notice_id)
        if each.channel is ChannelKind.EMAIL and each.state is DeliveryState.SENT and each.sent_at is not None
    ]
    posted = [
        begin_of_day(date.fromisoformat(letter.served_on), time_zone)
        for letter in tx.announcements.letters_of_notice(notice_id)
        if letter.served_on is not None
    ]
    return min([*mailed, *posted], default=None)


def _unfit(reason: str) -> InvalidInputError:
    return InvalidInputError(Fault("notice_id", reason))


def order_erasure(
    tx: ErasureTransaction,
    act: AuditContext,
    customer_id: UUID,
    agreements: Agreements,
    *,
    served_by: ServedBy,
    mail_ids: Sequence[str] = (),
    reference: str | None = None,
    served_at: datetime | None = None,
    notice_id: UUID | None = None,
) -> ErasureOrder:
    """Order the erasure of a customer whose contract ended. The order can be withdrawn until the customer is erased.

    Raises NotFoundError, and StateConflictError if there is an order already. Raises InvalidInputError for a letter
    without a reference or time, for a time in the future, for a time so long ago that the erasure would be overdue, for
    mails if there is no contact to write to, for a way to serve the notice that the customer's agreement does not name,
    and for a sealed notice as ``announced_erasure`` does.

    1. The formal notice is a sealed notice, is served by mails that are queued in the same unit of work, or was served
       by letter.
    2. Store the order with its audit entry. For a letter, also record when it was served.
    """
    customer = tx.customers.require(customer_id)
    if tx.erasures.order(customer_id) is not None:
        raise StateConflictError("the erasure of this customer is ordered already")
    # 1.
    terms = erasure_terms(tx, agreements, customer_id, act.now)
    faults = []
    if served_by not in terms.served_by:
        ways = " or ".join(terms.served_by)
        faults.append(
            Fault("served_by", f"must be {ways}: clause {terms.clause} of {terms.agreement_id} names no other channel")
        )
    notice: Notice | None = None
    announced_at: datetime | None = None
    if notice_id is not None and served_by is not ServedBy.NOTICE:
        faults.append(Fault("notice_id", f"belongs to served_by {ServedBy.NOTICE}"))
    if served_by is ServedBy.NOTICE:
        if notice_id is None:
            raise _unfit("must name the sealed notice")
        notice, announced_at = announced_erasure(tx, customer_id, terms.kind_id, notice_id)
        since = notice_served_at(tx, notice_id, customer.time_zone)
        returned = [each for each in tx.announcements.letters_of_notice(notice_id) if each.outcome is not None]
        if since is None and returned:
            reason = f"was returned ({returned[-1].outcome}) and does not count as served by {terms.agreement_id}"
            faults.append(Fault("notice_id", f"{reason}: announce it again, or state that a letter was served"))
        if since is not None:
            window = erasure_window(since, customer.time_zone, terms.notice_days, terms.within_days, announced_at)
            if window.due_at <= act.now:
                faults.append(Fault("notice_id", "is so old that the erasure would be overdue: announce it again"))
    elif served_by is ServedBy.LETTER:
        if not reference or not reference.strip() or len(reference) > _REFERENCE_CHARACTERS:
            faults.append(Fault("reference", f"must identify the letter, in 1 to {_REFERENCE_CHARACTERS} characters"))
        if served_at is None or served_at > act.now:
            faults.append(Fault("served_at", "must be the past time at which the letter was served"))
        elif served_at <= act.now - timedelta(days=terms.within_days):
            faults.append(Fault("served_at", "is so long ago that the erasure would be overdue: serve another notice"))
    elif not mail_ids:
        faults.append(Fault("served_by", "the customer has no contact to write to: serve the notice by letter"))
    if faults:
        raise InvalidInputError(*faults)
    # 2.
    order = ErasureOrder(
        customer_id=customer_id,
        ordered_at=act.now,
        ordered_by=act.actor,
        served_by=served_by,
        reference=None if reference is None else reference.strip(),
        mail_ids=tuple(mail_ids),
        noticed_at=None,
        notice_days=terms.notice_days,
        within_days=terms.within_days,
        notice_id=notice_id,
        announced_at=announced_at,
    )
    tx.erasures.add_order(order)
    pseudonym = tx.customers.pseudonym(customer_id)
    tx.audit.append([
        act.entry(
            "customer.erasure_ordered",
            subjects={"customer": pseudonym} if notice is None else notice_subjects(notice, pseudonym),
            detail={
                "served_by": served_by.value,
                "mails": len(order.mail_ids),
                "agreement": terms.agreement_id,
                "clause": terms.clause,
                "notice_days": terms.notice_days,
                "within_days": terms.within_days,
            },
            private={"reference": order.reference},
        )
    ])  # fmt: skip
    if served_by is ServedBy.LETTER and served_at is not None:
        notice_served(tx, act, order, customer.time_zone, served_at)
    stored = tx.erasures.order(customer_id)
    assert stored is not None  # it was stored above
    return stored


def notice_served(
    tx: ErasureTransaction, act: AuditContext, order: ErasureOrder, time_zone: str, served_at: datetime
) -> ErasureWindow:
    """Record that the formal notice was served, once per order. Its days start at ``served_at``."""
    window = erasure_window(served_at, time_zone, order.notice_days, order.within_days, order.announced_at)
    customer_id = order.customer_id
    tx.erasures.set_noticed(customer_id, served_at)
    tx.audit.append([
        act.entry(
            "customer.erasure_noticed",
            subjects={"customer": tx.customers.pseudonym(customer_id)},
            detail={
                "noticed_at": timestamp_text(served_at),
                "not_before": timestamp_text(window.not_before),
                "due_at": timestamp_text(window.due_at),
                "notice_days": order.notice_days,
            },
        )
    ])  # fmt: skip
    return window


def withdraw_erasure(tx: ErasureTransaction, act: AuditContext, customer_id: UUID, *, reason: str) -> None:
    """Withdraw an order, so that the customer is not erased.

    Raises NotFoundError if there is no order, and InvalidInputError without a reason. The mails that announced the
    erasure are then wrong. The person who withdraws the order must inform the customer; this function does not.
    """
    tx.customers.require(customer_id)
    if tx.erasures.order(customer_id) is None:
        raise NotFoundError("erasure", customer_id)
    if not reason.strip():
        raise InvalidInputError(Fault("reason", "must say why"))
    tx.erasures.drop_order(customer_id)
    tx.audit.append([
        act.entry(
            "customer.erasure_withdrawn",
            subjects={"customer": tx.customers.pseudonym(customer_id)},
            private={"reason": reason.strip()},
        )
    ])  # fmt: skip


def erase_customer(tx: ErasureTransaction, act: AuditContext, customer_id: UUID) -> Erasure:
    """Erase a customer whose days of notice are over; raises NotFoundError, and StateConflictError if step 1 fails.

    1. Check that there is an order, that the days of its notice are over, and that no notice, delivery or call is still
       owed to the customer.
    2. Erase its contacts, texts, mails, salts, openings, decisions, profiles, and the accounts that have no other role.
    3. Record the erasure in the log under the pseudonym, with the erased accounts and the entries whose openings were
       erased. After that, nobody can find out to which customer the pseudonym belonged.
    """
    # 1.
    order = tx.erasures.order(customer_id)
    customer = tx.customers.require(customer_id)
    window = None if order is None else order.window(customer.time_zone)
    if order is None or order.noticed_at is None or window is None:
        raise StateConflictError("there is no erasure order whose formal notice was served")
    if act.now < window.not_before:
        raise StateConflictError(f"the erasure begins at {timestamp_text(window.not_before)} at the earliest")
    owed = tx.erasures.obstacles(customer_id)
    if owed:
        listed = ", ".join(f"{number} {kind}" for kind, number in owed.items())
        raise StateConflictError(f"the customer is still owed: {listed}")
    # 2.
    pseudonym = tx.customers.pseudonym(customer_id)
    bound = binding_in_force(tx.customers.bindings(customer_id), order.ordered_at)
    erased = tx.erasures.erase(customer_id, pseudonym, act.now)
    # 3.
    erasure = Erasure(
        pseudonym=pseudonym,
        ordered_at=order.ordered_at,
        noticed_at=order.noticed_at,
        erased_at=act.now,
        erased_rows=erased.rows,
        agreement_id=None if bound is None else bound.agreement_id,
    )
    tx.erasures.add(erasure)
    accounts, entries = list(map(str, erased.accounts)), list(map(str, erased.entries))
    for start in range(0, max(len(accounts), len(entries), 1), _IDS_IN_ENTRY):
        tx.audit.append([
            act.entry(
                "customer.erased",
                subjects={"customer": pseudonym},
                detail={
                    "noticed_at": timestamp_text(order.noticed_at),
                    "rows": erased.rows,
                    "accounts": accounts[start : start + _IDS_IN_ENTRY],
                    "entries": entries[start : start + _IDS_IN_ENTRY],
                },
            )
        ])  # fmt: skip
    return erasure
