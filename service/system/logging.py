"""Structured logs, and the clock and the randomness of the running program."""

import logging
import os
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

import structlog

_48_BITS = (1 << 48) - 1
#: Words in the names of values that must never be logged, and names with such a word that are not secret.
_SECRET_NAME = re.compile(
    r"authorization|token|password|passphrase|secret|cookie|csrf|seed|otp|nonce|verifier|challenge|credential|private"
    r"|master|(^|_)(code|codes|hash|digest|salt|body|headers)$"
)
_REDACTED = "[redacted]"
#: Text that is secret under any name, also inside an error or a traceback: tokens, shared secrets, keys, credentials.
_SECRET_TEXT = re.compile(
    r"(grf_|whsec_)[A-Za-z0-9_+/=-]{8,}|(Bearer |Basic )[A-Za-z0-9._~+/=-]{8,}"
    r"|(-----BEGIN [A-Z ]*PRIVATE KEY-----)(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(://[^\s/:@]+:)[^\s/@]+(?=@)|((?:otpauth|secret)[^\s&]*?secret=)[A-Z2-7]+"
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SystemClock:
    """The system's clock; it never goes backwards, and never stops.

    After the system's clock was set back, this one goes at half speed until the other has caught up. So what is due
    still comes: retries, escalation, the end of a limit.
    """

    def __init__(
        self, read: Callable[[], datetime] = _utc_now, monotonic_seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._monotonic_seconds = read, monotonic_seconds
        #: what was returned last, and when by a clock that nobody sets
        self._last = read(), monotonic_seconds()

    def now(self) -> datetime:
        """Return the current time as aware UTC, never earlier than a value returned before."""
        before, then = self._last
        at = self._monotonic_seconds()
        moment = max(self._read(), before + timedelta(seconds=(at - then) / 2))
        self._last = moment, at
        return moment


class SystemIdentifiers:
    """Identifiers and salts from the system's secure random source, read in blocks; each byte is used once."""

    _BLOCK_BYTES = 8192

    def __init__(self) -> None:
        self._taking = threading.Lock()
        self._block, self._position = b"", 0

    def new_id(self) -> uuid.UUID:
        """Return an identifier of version 7 (RFC 9562): milliseconds first, then 74 random bits.

        Identifiers made at about the same time are neighbours in every index, so a commit changes few pages. With fully
        random identifiers the service accepts incidents at half the rate.
        """
        milliseconds = time.time_ns() // 1_000_000
        chance = int.from_bytes(self._take(10), "big")
        high, low = chance >> 68, chance & ((1 << 62) - 1)
        return uuid.UUID(int=(milliseconds & _48_BITS) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)

    def new_salt(self) -> bytes:
        """Return 32 random bytes."""
        return self._take(32)

    def _take(self, count: int) -> bytes:
        with self._taking:
            if self._position + count > len(self._block):
                self._block, self._position = os.urandom(self._BLOCK_BYTES), 0
            taken = self._block[self._position : self._position + count]
            self._position += count
            return taken


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _shown(key, value)
    return event


def _shown(name: object, value: Any) -> Any:
    """Return a value in the form that may be logged under a name.

    Numbers are not redacted: an SMTP code is a number, while a secret code (such as a one-time password) is text.
    """
    is_plain = value is None or isinstance(value, int | float)
    return _REDACTED if not is_plain and _SECRET_NAME.search(str(name).lower()) else _clean(value)


def _clean(value: Any) -> Any:
    """Return a value with its secret parts redacted."""
    if isinstance(value, str):
        return _SECRET_TEXT.sub(lambda match: (match[match.lastindex or 0] or "") + _REDACTED, value)
    if isinstance(value, Mapping):
        return {key: _shown(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item) for item in value]
    return value


def configure_logging(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Write one JSON object per event to the stream (standard error); control characters are escaped by JSON."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            # After the traceback was formatted as text, because an error may quote a secret argument.
            _redact,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
