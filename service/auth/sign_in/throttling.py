"""Back-off after failures that cannot be used to lock others out (OWASP: device cookies).

Failures are counted for an account and one known browser (it signed in before and has a device cookie), and for an
account and all unknown browsers together. So an attacker slows down only unknown browsers. The owner, with a known
browser or a passkey, is not affected. Failures are also counted per network address, which slows down an attacker who
tries one password on many accounts.

An attempt is counted before it is made, and the count is reversed if it succeeds. So concurrent attempts all count.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from notifications.ports import Clock
from service.auth.rate_limits import TooManyRequestsError
from service.auth.sign_in.sessions import Browser
from service.crypto.secret_box import SecretBox, SecretUnreadableError
from service.ports.sessions import Throttle
from service.ports.store import AccessStore, AccessTransaction

_FIRST_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(minutes=15)
#: Failures are forgotten after this time without a further one.
_FORGOTTEN_AFTER = timedelta(hours=12)
_NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Bucket:
    """A counter of failures."""

    #: keyed digest, so that no address or account is stored in clear
    key: bytes
    #: number of failures without a wait
    free: int
    #: whether only one person can have caused its failures
    own: bool = False


class Throttling:
    """Counts attempts, and decides when the next one is allowed."""

    def __init__(self, store: AccessStore, clock: Clock, secret_box: SecretBox) -> None:
        self._store, self._clock, self._secret_box = store, clock, secret_box

    def of_guesses(self, what: str, who: str, account_id: UUID | None, browser: Browser) -> tuple[Bucket, ...]:
        """Return the buckets for a guess at a secret of an account; ``who`` is the entered name, known or not.

        A browser known to the account has its own bucket, independent of its network address. All other browsers share
        a bucket, and are also counted per network address.
        """
        nonce = None if account_id is None or browser.device is None else self._known(account_id, browser.device)
        data = what.encode() + b"\n" + who.encode() + b"\n" + (b"strangers" if nonce is None else nonce)
        of_account = Bucket(self._secret_box.mac("throttle", data), 5, own=nonce is not None)
        if nonce is not None:
            return (of_account,)
        return of_account, Bucket(self._secret_box.mac("throttle", b"address\n" + browser.address.encode()), 20)

    def of_thing(self, what: str, identifier: str, free: int) -> Bucket:
        """Return the bucket for another kind of attempt, such as reset requests of a network address."""
        return Bucket(self._secret_box.mac("throttle", f"{what}\n{identifier}".encode()), free, own=True)

    async def begin(self, *buckets: Bucket) -> bool:
        """Count an attempt in every bucket; return whether a wait begins in one of them.

        Raises TooManyRequestsError, and counts nothing, if one of them has to wait.
        """
        now = self._clock.now()
        return await self._store.write(lambda tx: self._begun(tx, buckets, now))

    async def succeeded(self, *buckets: Bucket) -> None:
        """Clear the buckets that belong only to the caller, and reverse the attempt in shared buckets.

        Failures of others in a shared bucket stay: otherwise an attacker could reset it with another account.
        """

        def work(tx: AccessTransaction) -> None:
            for bucket in buckets:
                throttle = tx.sessions.throttle(bucket.key)
                if bucket.own:
                    tx.sessions.clear_throttle(bucket.key)
                elif throttle is not None:
                    failures, at = max(throttle.failures - 1, 0), throttle.last_failed_at
                    tx.sessions.save_throttle(
                        Throttle(bucket.key, failures, at, at + wait_after(failures - bucket.free))
                    )

        await self._store.write(work)

    def new_device(self, account_id: UUID) -> str:
        """Return a device cookie for an account: bound to it, and authenticated by a MAC."""
        content = account_id.bytes + secrets.token_bytes(_NONCE_BYTES)
        return base64.urlsafe_b64encode(content + self._secret_box.mac("device", content)).rstrip(b"=").decode()

    def is_known(self, account_id: UUID, device: str | None) -> bool:
        """Return whether this service issued a device cookie for this account."""
        return device is not None and self._known(account_id, device) is not None

    def _known(self, account_id: UUID, device: str) -> bytes | None:
        """Return the id in a device cookie of an account; None for a forged cookie or one of another account."""
        try:
            raw = base64.b64decode(device + "=" * (-len(device) % 4), altchars=b"-_", validate=True)
            content, tag = raw[: 16 + _NONCE_BYTES], raw[16 + _NONCE_BYTES :]
            self._secret_box.verify_mac("device", content, tag)
        except (binascii.Error, ValueError, SecretUnreadableError):
            return None
        return content[16:] if content[:16] == account_id.bytes else None

    @staticmethod
    def _begun(tx: AccessTransaction, buckets: tuple[Bucket, ...], now: datetime) -> bool:
        begins = False
        counted = []
        for bucket in buckets:
            throttle = tx.sessions.throttle(bucket.key)
            if throttle is not None and wait_after(throttle.failures - bucket.free):
                left = throttle.retry_at - now
                # After the clock was set back the last failure lies ahead: nobody waits longer than the longest wait.
                if timedelta() < left <= _LONGEST_WAIT:
                    raise TooManyRequestsError(left.total_seconds())
            stale = throttle is None or now - throttle.last_failed_at > _FORGOTTEN_AFTER
            failures = 1 if throttle is None or stale else throttle.failures + 1
            begins = begins or failures == bucket.free + 1
            counted.append(Throttle(bucket.key, failures, now, now + wait_after(failures - bucket.free)))
        for throttle in counted:
            tx.sessions.save_throttle(throttle)
        return begins


def wait_after(failures_beyond: int) -> timedelta:
    """Return the wait after a number of failures beyond the free ones: it doubles, up to a quarter of an hour."""
    if failures_beyond <= 0:
        return timedelta()
    doublings: int = 2 ** min(failures_beyond - 1, 20)
    return min(_FIRST_WAIT * doublings, _LONGEST_WAIT)
