"""Return paths: a signed address for each attempt of each delivery (VERP).

A mail is sent with such an address as its envelope sender. A bounce to the address identifies the delivery, whatever
the text of the bounce says. Nobody can make a valid address without the key.
"""

import base64
import binascii
import hashlib
import hmac
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from notifications.errors import Fault, InvalidInputError, VerificationError

#: RFC 5321, 4.5.3.1.1: servers need not accept a longer local part.
MAX_LOCAL_PART_OCTETS = 64
#: An attacker needs 2**80 guesses, each of them an SMTP command to our listener.
_TAG_BYTES = 10
_MIN_KEY_BYTES = 32
#: delivery, attempt modulo 2**16, seconds since 1970
_FIELDS = struct.Struct(">16sHI")
_TOKEN_CHARACTERS = 52
_ATTEMPTS = 2**16
_STEP = "return_path"
_PREFIX = re.compile(r"[a-z0-9][a-z0-9-]{0,10}")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
#: Servers give up after some days (RFC 5321, 4.5.4.1). After that, a stolen address must be useless.
DEFAULT_LIFETIME = timedelta(days=30)
#: How much the clocks of several machines may differ.
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """The verified content of a return path."""

    delivery_id: UUID
    #: number of the attempt, modulo 2**16
    attempt: int
    issued_at: datetime

    def is_before(self, number: int) -> bool:
        """Return whether its mail was sent before the attempt with this number."""
        return 0 < (number - self.attempt) % _ATTEMPTS < _ATTEMPTS // 2

    def is_after(self, number: int) -> bool:
        """Return whether its mail was sent after the attempt with this number."""
        return 0 < (self.attempt - number) % _ATTEMPTS < _ATTEMPTS // 2


@dataclass(frozen=True, slots=True)
class ReturnPaths:
    """Makes and verifies return paths; raises InvalidInputError for an invalid domain or prefix.

    Raises ValueError for a missing or short key.
    """

    #: domain of the bounce listener, such as ``bounces.provider.example``
    domain: str
    #: at least one key, of 32 bytes or more each; the first one signs, all of them verify
    keys: Sequence[bytes]
    prefix: str = "bounce"
    lifetime: timedelta = DEFAULT_LIFETIME

    def __post_init__(self) -> None:
        if not _DOMAIN.fullmatch(self.domain):
            raise InvalidInputError(Fault("bounces.domain", "is not a domain name in lower case (A-labels)"))
        if not _PREFIX.fullmatch(self.prefix):
            raise InvalidInputError(Fault("bounce_prefix", "must be 1 to 11 characters of a-z, 0-9 and -"))
        if not self.keys or any(len(key) < _MIN_KEY_BYTES for key in self.keys):
            raise ValueError(f"a key of return paths must have at least {_MIN_KEY_BYTES} bytes")

    def address_of(self, delivery_id: UUID, attempt: int, issued_at: datetime) -> str:
        """Return the address for one attempt of a delivery, with at most 64 octets before the ``@``.

        It reveals nothing: the identifier in it is random, and the recipient's server knows attempt and time anyway.
        """
        fields = _FIELDS.pack(delivery_id.bytes, attempt % _ATTEMPTS, int(issued_at.timestamp()))
        token = base64.b32encode(fields + self._tag(self.keys[0], fields)).rstrip(b"=").decode().lower()
        return f"{self.prefix}+{token}@{self.domain}"

    def verify_return_path(self, address: str, now: datetime) -> ReturnPath:
        """Verify an address and return its content; raises VerificationError if it is not ours or has expired.

        1. Check prefix, domain and form, without regard to case, because servers may change it.
        2. Check the authentication code with each key, in constant time, before anything else in the token is used.
        3. Check that it is not older than its lifetime, and not in the future.
        """
        # 1.
        local_part, _, domain = address.rpartition("@")
        prefix, plus, token = local_part.partition("+")
        if not (plus and domain.lower() == self.domain and prefix.lower() == self.prefix):
            raise VerificationError(_STEP, "is no return path of this service")
        raw = _decoded(token)
        fields, tag = raw[: _FIELDS.size], raw[_FIELDS.size :]
        # 2.
        matches = [hmac.compare_digest(self._tag(key, fields), tag) for key in self.keys]
        if not any(matches):
            raise VerificationError(_STEP, "was not made by this service")
        # 3.
        delivery_id, attempt, seconds = _FIELDS.unpack(fields)
        issued_at = datetime.fromtimestamp(seconds, UTC)
        if issued_at > now + _CLOCK_SKEW or issued_at < now - self.lifetime:
            raise VerificationError(_STEP, "has expired")
        return ReturnPath(UUID(bytes=delivery_id), attempt, issued_at)

    def _tag(self, key: bytes, fields: bytes) -> bytes:
        label = f"greffier/return-path/v1\n{self.prefix}\n{self.domain}\n".encode()
        return hmac.digest(key, label + fields, hashlib.sha256)[:_TAG_BYTES]


def _decoded(token: str) -> bytes:
    """Return the bytes of a token; raises VerificationError unless it is in the form that this service writes."""
    if len(token) != _TOKEN_CHARACTERS or not token.isascii():
        raise VerificationError(_STEP, "is no return path of this service")
    upper = token.upper().encode()
    try:
        raw = base64.b32decode(upper + b"=" * (-len(upper) % 8))
    except binascii.Error:
        raise VerificationError(_STEP, "is no return path of this service") from None
    # The last character has unused bits. They must be zero, so that each token has only one address.
    if base64.b32encode(raw).rstrip(b"=") != upper:
        raise VerificationError(_STEP, "is no return path of this service")
    return raw
