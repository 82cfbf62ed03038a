"""The link in a mail that acknowledges a notice in the name of its contact: signed, used once, valid for 30 days.

The link is not stored, so neither a backup nor the database reveals it. Its token names the delivery, the end of its
validity and a code of the contact's current address. A message authentication code protects the token; its key is
derived from the master key. The acknowledgement itself uses the link up, because it is recorded once per notice and
contact.

Opening the link changes nothing. Only the form on its page acknowledges: the page must be recent and its checkbox must
be ticked. The reason is that mail scanners follow links, and some render pages, send unchanged forms or press buttons.
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

#: Validity of a link: longer than a usual leave, shorter than the time for which mailboxes keep mail.
LINK_DAYS = 30
#: Time for which the form of an opened page can be sent.
PAGE_SECONDS = 3600

_LINK, _ADDRESS, _PAGE = "acknowledge-link", "acknowledge-address", "acknowledge-page"
#: Delivery, end in Unix seconds, code of the address.
_CLAIM = struct.Struct(">16sI8s")
_MOMENT = struct.Struct(">I")
_TAG_BYTES = 32


@dataclass(frozen=True, slots=True)
class Linked:
    """The notice, the seal and the contact that a valid link belongs to."""

    notice: Notice
    sealed: SealedNotice
    contact: Contact


class AcknowledgeLinks:
    """Makes and reads the links of one installation."""

    def __init__(self, secret_box: SecretBox, console_url: str) -> None:
        self._secret_box, self._console_url = secret_box, console_url.rstrip("/")

    def mailed(self, delivery: Delivery, contact: Contact, now: datetime) -> MailedLink:
        """Return the link for one mail to one contact."""
        expires_at = (now + timedelta(days=LINK_DAYS)).replace(microsecond=0)
        claim = _CLAIM.pack(delivery.id.bytes, int(expires_at.timestamp()), self._address(contact))
        token = _text(claim + self._secret_box.mac(_LINK, claim))
        return MailedLink(f"{self._console_url}/acknowledge/{token}", expires_at)

    def read(self, tx: AccessTransaction, token: str, now: datetime) -> Linked:
        """Return what a link belongs to, and change nothing; raises LinkVoidError if any of these does not hold.

        1. This installation made the link, and no character differs.
        2. The link is not past its end.
        3. It belongs to a mail of a sealed notice. The contact is of the same customer, is active and has the same
           address.
        4. The link is unused: the contact has not acknowledged the notice.
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
        """Return the language of the contact that got this link, valid or not; None for a link that is not ours."""
        try:
            delivery = tx.deliveries.get(self._claimed(token)[0])
        except LinkVoidError:
            return None
        contact = None if delivery is None or delivery.contact_id is None else tx.customers.contact(delivery.contact_id)
        return None if contact is None else contact.language

    def page_code(self, token: str, now: datetime) -> str:
        """Return the code for the form on the link's page: proof that the page was rendered for this link, and when."""
        moment = _MOMENT.pack(int(now.timestamp()))
        return _text(moment + self._secret_box.mac(_PAGE, moment + token.encode()))

    def verify_page(self, token: str, code: str, now: datetime) -> None:
        """Raise LinkVoidError unless this service rendered the form for this link within the last hour."""
        content = _bytes(code)
        moment, tag = content[: _MOMENT.size], content[_MOMENT.size :]
        try:
            self._secret_box.verify_mac(_PAGE, moment + token.encode(), tag)
        except SecretUnreadableError:
            raise LinkVoidError from None
        age = now.timestamp() - _MOMENT.unpack(moment)[0]
        if not 0 <= age < PAGE_SECONDS:
            raise LinkVoidError

    def acknowledge(
        self, tx: AccessTransaction, token: str, now: datetime, identifiers: Identifiers
    ) -> Acknowledgement:
        """Acknowledge in the name of the contact, by the link; raises LinkVoidError.

        The record says only that the link mailed to this contact was used: somebody may have forwarded the mail.
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
            self._secret_box.verify_mac(_LINK, claim, tag)
        except SecretUnreadableError:
            raise LinkVoidError from None
        delivery_id, expires_at, address = _CLAIM.unpack(claim)
        return UUID(bytes=delivery_id), datetime.fromtimestamp(expires_at, UTC), address

    def _address(self, contact: Contact) -> bytes:
        """Return an eight-byte code of the contact's address; only the holder of the key can compute it."""
        return self._secret_box.mac(_ADDRESS, contact.id.bytes + contact.email.encode())[:8]


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Return the bytes of a base64url text; raises LinkVoidError unless the text is their one canonical form."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise LinkVoidError from None
    if _text(content) != text:
        raise LinkVoidError
    return content
