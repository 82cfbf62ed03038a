"""Rate limits per caller: a burst of requests, then a number per second. Counted in memory, per process."""

import ipaddress
from collections import OrderedDict
from datetime import datetime, timedelta

#: Greatest number of keys in memory. The least recently used key is dropped first; this can only allow more requests.
_KEYS = 100_000
#: One subscriber has at least a /64 (RFC 6177, RFC 4862), so its single addresses are not counted apart.
_IPV6_PREFIX_BITS = 64


def counted_address(host: str) -> str:
    """Return what a network address is counted by: IPv4 whole, IPv6 by its /64; any other text as it is."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    host_bits = address.max_prefixlen - _IPV6_PREFIX_BITS
    return str(ipaddress.IPv6Network((int(address) >> host_bits << host_bits, _IPV6_PREFIX_BITS)))


class TooManyRequestsError(Exception):
    """There were too many requests; this one was not handled."""

    def __init__(self, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__("too many requests; try again later")


class RateLimiter:
    """A bucket of ``burst`` requests per key that fills by ``per_second`` (the generic cell rate algorithm)."""

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._interval = timedelta(seconds=1 / per_second)
        self._tolerance = self._interval * burst
        #: when the bucket of a key is full again
        self._full_at: OrderedDict[str, datetime] = OrderedDict()

    def take(self, key: str, now: datetime) -> None:
        """Count one request of a key; raises TooManyRequestsError with the time until the next one is allowed."""
        full_at = max(self._full_at.pop(key, now), now)
        following = full_at + self._interval
        if following - now > self._tolerance:
            self._full_at[key] = full_at
            raise TooManyRequestsError((following - now - self._tolerance).total_seconds())
        self._full_at[key] = following
        if len(self._full_at) > _KEYS:
            self._full_at.popitem(last=False)

    def verify(self, key: str, now: datetime) -> None:
        """Raise TooManyRequestsError like ``take``, without counting a request."""
        following = max(self._full_at.get(key, now), now) + self._interval
        if following - now > self._tolerance:
            raise TooManyRequestsError((following - now - self._tolerance).total_seconds())
