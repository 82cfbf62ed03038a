"""Erase a customer after the end of its contract: order, 21 days' notice, erasure, certificate."""

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
from notifications.customer.records import binding_in_force
from notifications.errors import Fault, InvalidInputError, NotFoundError, StateConflictError
from notifications.ports import ErasureTransaction
from notifications.use_cases.audit_context import AuditContext

#: Maximum number of identifiers in one entry, because the length of a leaf is limited.
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
    """Order the erasure of a customer whose contract ended. The order can be withdrawn until the customer is erased.

    Raises NotFoundError, and StateConflictError if there is an order already. Raises InvalidInputError for a letter
    without a reference or time, for a time in the future, for a time so long ago that the erasure would be overdue, and
    for mails if there is no contact to write to.

    1. The formal notice is served by mails that are queued in the same unit of work, or was served by letter.
    2. Store the order with its audit entry. For a letter, also record when it was served.
    """
    customer = tx.customers.require(customer_id)
    if tx.erasures.order(customer_id) is not None:
        raise StateConflictError("the erasure of this customer is ordered already")
    # 1.
    faults = []
    if served_by is ServedBy.LETTER:
        if not reference or not reference.strip() or len(reference) > _REFERENCE_CHARACTERS:
            faults.append(Fault("reference", f"must identify the letter, in 1 to {_REFERENCE_CHARACTERS} characters"))
        if served_at is None or served_at > act.now:
            faults.append(Fault("served_at", "must be the past time at which the letter was served"))
        elif served_at <= act.now - timedelta(days=ERASED_WITHIN_DAYS):
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
    """Record that the formal notice was served, once per order. The 21 days start at ``served_at``."""
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
    """Erase a customer whose 21 days are over; raises NotFoundError, and StateConflictError if step 1 fails.

    1. Check that there is an order, that its 21 days are over, and that no notice, delivery or call is still owed to
       the customer.
    2. Erase its contacts, texts, mails, salts, openings, decisions, profiles, and the accounts that have no other role.
    3. Record the erasure in the log under the pseudonym, with the erased accounts and the entries whose openings were
       erased. After that, nobody can find out to which customer the pseudonym belonged.
    """
    # 1.
    order = tx.erasures.order(customer_id)
    customer = tx.customers.require(customer_id)
    if order is None or order.noticed_at is None:
        raise StateConflictError("there is no erasure order whose formal notice was served")
    if act.now < erasure_window(order.noticed_at, customer.time_zone).not_before:
        raise StateConflictError("21 calendar days have not passed since the formal notice")
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
