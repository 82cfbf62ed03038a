"""Back-off after failures that cannot be used to lock others out (OWASP: device cookies).

Failures are counted for an account and one browser that signed in before (it has a device cookie), and for an account
and all other browsers together. Whoever hammers an account from elsewhere slows down only the browsers that nobody
signed in from before; its owner, on a known browser or with a passkey, does not notice. Failures are counted for a
network address too, so that one password tried on many accounts is slowed down as well.

An attempt is counted before it is made and given back when it succeeds: a hundred at the same moment are a hundred.
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
#: Failures are forgotten after so long without one.
_FORGOTTEN_AFTER = timedelta(hours=12)
_NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Bucket:
    """What failures are counted for."""

    #: keyed digest: no address and no account in clear
    key: bytes
    #: failures that cost nothing
    free: int
    #: whether whoever succeeds is the only one that can have failed here
    own: bool = False


class Throttling:
    """Counts attempts, and says when the next may be made."""

    def __init__(self, store: AccessStore, clock: Clock, box: SecretBox) -> None:
        self._store, self._clock, self._box = store, clock, box

    def of_guesses(self, what: str, who: str, account_id: UUID | None, browser: Browser) -> tuple[Bucket, ...]:
        """Return what a guess at a secret of an account is counted in; ``who`` is how it was named, known or not.

        A browser that is known to the account counts for itself alone, whatever goes on at its network address. All
        other browsers count together, and each for its address too.
        """
        nonce = None if account_id is None or browser.device is None else self._known(account_id, browser.device)
        data = what.encode() + b"\n" + who.encode() + b"\n" + (b"strangers" if nonce is None else nonce)
        of_account = Bucket(self._box.mac("throttle", data), 5, own=nonce is not None)
        if nonce is not None:
            return (of_account,)
        return of_account, Bucket(self._box.mac("throttle", b"address\n" + browser.address.encode()), 20)

    def of_thing(self, what: str, identifier: str, free: int) -> Bucket:
        """Return the bucket of anything else, such as the resets that a network address asks for."""
        return Bucket(self._box.mac("throttle", f"{what}\n{identifier}".encode()), free, own=True)

    async def begin(self, *buckets: Bucket) -> bool:
        """Count an attempt in every bucket; returns whether one of them begins to wait with it.

        Raises TooManyRequestsError where one has to wait, and counts nothing.
        """
        now = self._clock.now()
        return await self._store.write(lambda tx: self._begun(tx, buckets, now))

    async def succeeded(self, *buckets: Bucket) -> None:
        """Forget the failures of a bucket that is the caller's own, and give the attempt back to those it shares.

        What others failed in a shared one stays: else an account of one's own would pay for guesses at others.
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
        """Return a device cookie for an account: bound to it, and forged by nobody."""
        content = account_id.bytes + secrets.token_bytes(_NONCE_BYTES)
        return base64.urlsafe_b64encode(content + self._box.mac("device", content)).rstrip(b"=").decode()

    def is_known(self, account_id: UUID, device: str | None) -> bool:
        """Whether a device cookie is one that we gave for this account."""
        return device is not None and self._known(account_id, device) is not None

    def _known(self, account_id: UUID, device: str) -> bytes | None:
        """Return what tells a device of an account apart, or None for a cookie that is not ours, or of another."""
        try:
            raw = base64.b64decode(device + "=" * (-len(device) % 4), altchars=b"-_", validate=True)
            content, tag = raw[: 16 + _NONCE_BYTES], raw[16 + _NONCE_BYTES :]
            self._box.verify_mac("device", content, tag)
        except (binascii.Error, ValueError, SecretUnreadableError):
            return None
        return content[16:] if content[:16] == account_id.bytes else None

    @staticmethod
    def _begun(tx: AccessTransaction, buckets: tuple[Bucket, ...], now: datetime) -> bool:
        begins = False
        counted = []
        for bucket in buckets:
            throttle = tx.sessions.throttle(bucket.key)
            if throttle is not None and now < throttle.retry_at:
                raise TooManyRequestsError((throttle.retry_at - now).total_seconds())
            stale = throttle is None or now - throttle.last_failed_at > _FORGOTTEN_AFTER
            failures = 1 if throttle is None or stale else throttle.failures + 1
            begins = begins or failures == bucket.free + 1
            counted.append(Throttle(bucket.key, failures, now, now + wait_after(failures - bucket.free)))
        for throttle in counted:
            tx.sessions.save_throttle(throttle)
        return begins


def wait_after(failures_beyond: int) -> timedelta:
    """Return how long to wait after so many failures beyond the free ones: doubling, up to a quarter of an hour."""
    if failures_beyond <= 0:
        return timedelta()
    doublings: int = 2 ** min(failures_beyond - 1, 20)
    return min(_FIRST_WAIT * doublings, _LONGEST_WAIT)
