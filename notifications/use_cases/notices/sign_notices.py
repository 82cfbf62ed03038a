"""Steps 1 to 3 of sealing: compose, sign and timestamp notices. They only read, so that another process can do them."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from notifications.agreement.commitments import NoticeChannel as AgreedChannel
from notifications.errors import SealingUnavailableError, TimestampUnavailableError
from notifications.notice import ComposedNotice, Notice, NoticeState
from notifications.ports import Transaction
from notifications.use_cases.notices.compose_released import Subject, compose_from_store, subject_of
from notifications.use_cases.notices.queue_deliveries import Target, comes_in_console, targets_of
from notifications.use_cases.notices.sealing_dependencies import SigningDependencies, verify_sender


@dataclass(frozen=True, slots=True)
class PreparedNotice:
    """A notice as it is to be sealed, before its signature."""

    notice: Notice
    targets: Sequence[Target]
    composed: ComposedNotice
    ticket: str
    in_console: bool
    #: the agreement asks for a registered letter
    by_letter: bool
    #: contacts get it by mail; False if the agreement wants a registered letter and no mail
    mailed: bool


@dataclass(frozen=True, slots=True)
class SignedNotice:
    """A composed notice with its signature, or with the reason why it is held."""

    prepared: PreparedNotice
    #: over the document; None for a notice that is held
    signature: bytes | None
    #: over the signature; None if the authority gave none, or if the notice shares its timestamp
    timestamp: bytes | None = None
    hold_reason: str | None = None


#: Composes, signs and timestamps notices, as ``sign_notices`` does.
NoticeSigning = Callable[[Sequence[UUID], SigningDependencies], Awaitable[list[SignedNotice]]]


async def sign_notices(notice_ids: Sequence[UUID], signing: SigningDependencies) -> list[SignedNotice]:
    """Compose, sign and timestamp those of the notices that are released. Their data is read together.

    Nothing is stored, so another process can do it.

    1. Compose the document from the released facts, for the current contacts of the customer.
    2. Sign it. Without a usable key the result has the reason instead.
    3. Timestamp the signature, unless the notice shares its timestamp. None if the authority does not answer.
    """
    # 1.
    prepared = await signing.unit_of_work.read(lambda tx: _compose_all(tx, notice_ids, signing))
    # 2.
    signed = [_signed(item, signing) for item in prepared]
    # 3.
    timestamps = await signing.at_once([partial(_timestamp, item, signing) for item in signed])
    return [
        SignedNotice(item.prepared, item.signature, timestamp, item.hold_reason)
        for item, timestamp in zip(signed, timestamps, strict=True)
    ]


def _compose_all(tx: Transaction, notice_ids: Sequence[UUID], signing: SigningDependencies) -> list[PreparedNotice]:
    """Return what is to be sealed of notices that are still released; their data is read together."""
    found = tx.notices.some(notice_ids)
    notices = [
        found[notice_id]
        for notice_id in notice_ids
        if notice_id in found and found[notice_id].state is NoticeState.RELEASED
    ]
    tx.customers.load({notice.customer_id for notice in notices})
    subjects: dict[tuple[UUID, int], Subject] = {}
    prepared = []
    for notice in notices:
        key = notice.incident_id, notice.facts_version
        if key not in subjects:
            subjects[key] = subject_of(tx, notice)
        prepared.append(_compose(tx, notice, subjects[key], signing))
    return prepared


def _compose(tx: Transaction, notice: Notice, subject: Subject, signing: SigningDependencies) -> PreparedNotice:
    # Render every language a contact may need: renderings cannot be added after sealing.
    readers = [contact for contact in tx.customers.contacts(notice.customer_id) if contact.active]
    composed, ticket = compose_from_store(tx, notice, readers, signing, subject=subject)
    said = json.loads(composed.document).get("announcement") if notice.announces else None
    by_letter = said is not None and AgreedChannel.REGISTERED_LETTER in said["channels"]
    mailed = said is None or not by_letter or AgreedChannel.EMAIL in said["channels"]
    targets = targets_of(tx, notice, mailed=mailed)
    return PreparedNotice(notice, targets, composed, ticket, comes_in_console(tx, notice), by_letter, mailed)


def _signed(prepared: PreparedNotice, signing: SigningDependencies) -> SignedNotice:
    if prepared.notice.exercise and not prepared.targets:
        reason = "no contact of the customer takes part in exercises any more"
        return SignedNotice(prepared, None, hold_reason=reason)
    try:
        verify_sender(signing.signer, signing.sender)
        return SignedNotice(prepared, signing.signer.sign_detached(prepared.composed.document))
    except SealingUnavailableError as error:
        return SignedNotice(prepared, None, hold_reason=str(error))


async def _timestamp(signed: SignedNotice, signing: SigningDependencies) -> bytes | None:
    if signed.signature is None or signed.prepared.composed.shares_timestamp:
        return None
    try:
        return await signing.timestamp_authority.timestamp(signed.signature)
    except TimestampUnavailableError:
        return None
