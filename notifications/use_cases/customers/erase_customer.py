"""Erase a customer at the end of its contract (agreement 9.7, 12): ordered, told 21 days ahead, done, certified."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from notifications.canonical_json import timestamp_text
from notifications.customer.erasure import (
    ERASED_WITHIN_DAYS,
    Erasure,
    ErasureOrder,
    ErasureWindow,
    ServedBy,
    erasure_window,
)
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError
from notifications.ports import ErasureTransaction
from notifications.use_cases.audit_context import AuditContext

#: Identifiers in one entry at most: a leaf has an end.
_IDS_IN_ENTRY = 500
_REFERENCE_CHARACTERS = 200


def order_erasure(
    tx: ErasureTransaction,
    act: AuditContext,
    customer_id: UUID,
    *,
    served_by: ServedBy,
    mail_ids: Sequence[str] = (),
    reference: str | None = None,
    served_at: datetime | None = None,
) -> ErasureOrder:
    """Order the erasure of a customer whose contract ended; it can be taken back until it is done.

    Raises NotFoundError, StateConflictError where an order stands, InvalidInputError for a letter without reference or
    time, a time that is not past or so long past that the erasure is overdue, mails without anybody to write to.

    1. The notice is served by mails queued in the same unit of work, or was served by letter.
    2. Store the order with its entry; of a letter, when it was served.
    """
    customer = tx.customers.require(customer_id)
    if tx.erasures.order(customer_id) is not None:
        raise StateConflictError("the erasure of this customer is ordered already")
    # 1.
    faults = []
    if served_by is ServedBy.LETTER:
        if not reference or not reference.strip() or len(reference) > _REFERENCE_CHARACTERS:
            faults.append(Fault("reference", "must say what the letter is found by"))
        if served_at is None or served_at > act.now:
            faults.append(Fault("served_at", "must say when the letter was served, in the past"))
        elif served_at <= act.now - timedelta(days=ERASED_WITHIN_DAYS):
            faults.append(Fault("served_at", "is so long past that the erasure would be overdue: serve another notice"))
    elif not mail_ids:
        faults.append(Fault("served_by", "the customer has nobody to write to: serve the notice by letter"))
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
    )
    tx.erasures.add_order(order)
    tx.audit.append([
        act.entry(
            "customer.erasure_ordered",
            subjects={"customer": tx.customers.pseudonym(customer_id)},
            detail={"served_by": served_by.value, "mails": len(order.mail_ids)},
            private={"reference": order.reference},
        )
    ])  # fmt: skip
    if served_by is ServedBy.LETTER and served_at is not None:
        notice_served(tx, act, customer_id, customer.time_zone, served_at)
    stored = tx.erasures.order(customer_id)
    assert stored is not None  # it was stored above
    return stored


def notice_served(
    tx: ErasureTransaction, act: AuditContext, customer_id: UUID, time_zone: str, served_at: datetime
) -> ErasureWindow:
    """Record that the formal notice was served: the 21 days run from here. Once per order."""
    window = erasure_window(served_at, time_zone)
    tx.erasures.set_noticed(customer_id, served_at)
    tx.audit.append([
        act.entry(
            "customer.erasure_noticed",
            subjects={"customer": tx.customers.pseudonym(customer_id)},
            detail={
                "noticed_at": timestamp_text(served_at),
                "not_before": timestamp_text(window.not_before),
                "due_at": timestamp_text(window.due_at),
            },
        )
    ])  # fmt: skip
    return window


def withdraw_erasure(tx: ErasureTransaction, act: AuditContext, customer_id: UUID, *, reason: str) -> None:
    """Take an order back: the customer stays; raises NotFoundError where none stands, InvalidInputError for no reason.

    What was announced in the mails is not true any more; whoever withdraws tells the customer.
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
    """Erase a customer whose 21 days are over; raises StateConflictError where something stands in the way.

    1. An order stands, its time has come, and nothing is owed to the customer: a notice is never lost.
    2. Everything of it goes: contacts, texts, mails, salts, openings, decisions, profile, accounts with no other role.
    3. The log says so under the pseudonym, with what was opened elsewhere: from here nobody can tell whose it was.
    """
    # 1.
    order = tx.erasures.order(customer_id)
    customer = tx.customers.require(customer_id)
    if order is None or order.noticed_at is None:
        raise StateConflictError("no erasure is ordered whose formal notice was served")
    if act.now < erasure_window(order.noticed_at, customer.time_zone).not_before:
        raise StateConflictError("21 calendar days have not gone by since the formal notice")
    owed = tx.erasures.obstacles(customer_id)
    if owed:
        listed = ", ".join(f"{number} {kind}" for kind, number in owed.items())
        raise StateConflictError(f"the customer is still owed: {listed}")
    # 2.
    pseudonym = tx.customers.pseudonym(customer_id)
    erased = tx.erasures.erase(customer_id, pseudonym, act.now)
    # 3.
    erasure = Erasure(
        pseudonym=pseudonym,
        ordered_at=order.ordered_at,
        noticed_at=order.noticed_at,
        erased_at=act.now,
        erased_rows=erased.rows,
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
