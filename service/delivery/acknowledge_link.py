"""The link in a mail that acknowledges a notice in the name of its contact: signed, for one use, for a while.

It is not stored: whoever restores a backup or reads the database learns none. Its token says which delivery it is of,
until when it holds, and that it went to the address that the contact has today; a code under a key that the master key
gives makes it ours. It is used up by the acknowledgement itself, which is recorded once per notice and contact.

Who looks at it changes nothing. What acknowledges is a form that its page showed a short while ago, sent with its box
ticked: programs that look into mails follow links, and some render pages, send forms as they are, or press buttons.
"""

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from notifications.customer.records import Contact
from notifications.delivery.acknowledgement import AcknowledgedVia, Acknowledgement, MailedLink
from notifications.delivery.delivery import ChannelKind, Delivery
from notifications.notice import Notice, NoticeState
from notifications.notice.seal import SealedNotice
from notifications.ports import Identifiers
from notifications.use_cases.audit_context import AuditContext
from notifications.use_cases.notices.acknowledge_notice import acknowledge_notice, acknowledgement_by, contact_actor
from service.auth.sign_in.links import LinkVoidError
from service.crypto.secret_box import SecretBox, SecretUnreadableError
from service.ports.store import AccessTransaction

#: How long a link holds: longer than anybody is on leave, shorter than mailboxes are kept.
LINK_DAYS = 30
#: How long a page that was opened may be answered.
PAGE_SECONDS = 3600

_LINK, _ADDRESS, _PAGE = "acknowledge-link", "acknowledge-address", "acknowledge-page"
#: Delivery, end in Unix seconds, address.
_CLAIM = struct.Struct(">16sI8s")
_MOMENT = struct.Struct(">I")
_TAG_BYTES = 32


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link that holds is of."""

    notice: Notice
    sealed: SealedNotice
    contact: Contact


class AcknowledgeLinks:
    """Makes and reads the links of one installation."""

    def __init__(self, box: SecretBox, console_url: str) -> None:
        self._box, self._console_url = box, console_url.rstrip("/")

    def mailed(self, delivery: Delivery, contact: Contact, now: datetime) -> MailedLink:
        """Return the link for one mail to one contact."""
        expires_at = (now + timedelta(days=LINK_DAYS)).replace(microsecond=0)
        claim = _CLAIM.pack(delivery.id.bytes, int(expires_at.timestamp()), self._address(contact))
        token = _text(claim + self._box.mac(_LINK, claim))
        return MailedLink(f"{self._console_url}/acknowledge/{token}", expires_at)

    def read(self, tx: AccessTransaction, token: str, now: datetime) -> Linked:
        """Return what a link is of, and change nothing; raises LinkVoidError, for whatever reason.

        1. It is ours, letter for letter.
        2. It holds still.
        3. It is of a mail of a sealed notice to a contact of the same customer, who is active and has that address yet.
        4. It was not used: the contact has not acknowledged the notice.
        """
        # 1.
        delivery_id, expires_at, address = self._claimed(token)
        # 2.
        if now >= expires_at:
            raise LinkVoidError
        # 3.
        delivery = tx.deliveries.get(delivery_id)
        if delivery is None or delivery.channel is not ChannelKind.EMAIL or delivery.contact_id is None:
            raise LinkVoidError
        notice, sealed, contact = tx.notices.get(delivery.notice_id), tx.notices.seal(delivery.notice_id), None
        if notice is not None and sealed is not None and notice.state is NoticeState.SEALED:
            contact = tx.customers.contact(delivery.contact_id)
        if notice is None or sealed is None or contact is None or not contact.active:
            raise LinkVoidError
        if not contact.customer_id == delivery.customer_id == notice.customer_id or self._address(contact) != address:
            raise LinkVoidError
        # 4.
        if acknowledgement_by(tx, notice.id, contact_actor(contact.id)) is not None:
            raise LinkVoidError
        return Linked(notice, sealed, contact)

    def language(self, tx: AccessTransaction, token: str) -> str | None:
        """Return the language of the contact that a link of ours went to, whether it holds or not; else None."""
        try:
            delivery = tx.deliveries.get(self._claimed(token)[0])
        except LinkVoidError:
            return None
        contact = None if delivery is None or delivery.contact_id is None else tx.customers.contact(delivery.contact_id)
        return None if contact is None else contact.language

    def page_code(self, token: str, now: datetime) -> str:
        """Return what a page that shows the link puts into its form: it was rendered, for this link, now."""
        moment = _MOMENT.pack(int(now.timestamp()))
        return _text(moment + self._box.mac(_PAGE, moment + token.encode()))

    def verify_page(self, token: str, code: str, now: datetime) -> None:
        """Raise LinkVoidError unless a page of ours showed the form for this link within the hour."""
        content = _bytes(code)
        moment, tag = content[: _MOMENT.size], content[_MOMENT.size :]
        try:
            self._box.verify_mac(_PAGE, moment + token.encode(), tag)
        except SecretUnreadableError:
            raise LinkVoidError from None
        age = now.timestamp() - _MOMENT.unpack(moment)[0]
        if not 0 <= age < PAGE_SECONDS:
            raise LinkVoidError

    def acknowledge(
        self, tx: AccessTransaction, token: str, now: datetime, identifiers: Identifiers
    ) -> Acknowledgement:
        """Acknowledge in the name of the contact, by the link; raises LinkVoidError.

        What is recorded is that the link mailed to this contact was used, and no more: it may have been passed on.
        """
        linked = self.read(tx, token, now)
        by_contact = AuditContext(contact_actor(linked.contact.id), now, identifiers)
        return acknowledge_notice(
            tx, by_contact, linked.notice.id, via=AcknowledgedVia.LINK, contact_id=linked.contact.id
        )

    def _claimed(self, token: str) -> tuple[UUID, datetime, bytes]:
        content = _bytes(token)
        if len(content) != _CLAIM.size + _TAG_BYTES:
            raise LinkVoidError
        claim, tag = content[: _CLAIM.size], content[_CLAIM.size :]
        try:
            self._box.verify_mac(_LINK, claim, tag)
        except SecretUnreadableError:
            raise LinkVoidError from None
        delivery_id, expires_at, address = _CLAIM.unpack(claim)
        return UUID(bytes=delivery_id), datetime.fromtimestamp(expires_at, UTC), address

    def _address(self, contact: Contact) -> bytes:
        """Return eight bytes that change with the address, and that nobody else can make from it."""
        return self._box.mac(_ADDRESS, contact.id.bytes + contact.email.encode())[:8]


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Return what a text stands for; raises LinkVoidError unless it is its one form."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise LinkVoidError from None
    if _text(content) != text:
        raise LinkVoidError
    return content
