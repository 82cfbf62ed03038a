"""Logs that machines read, and the clock and randomness of the running program."""

import logging
import os
import sys
import threading
import time
import uuid
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

_48_BITS = (1 << 48) - 1
#: Keys whose values never reach a log.
_SECRET_KEYS = frozenset({"authorization", "token", "api_token", "password", "passphrase", "smtp_password", "secret"})


class SystemClock:
    """The system's clock, kept from running backwards."""

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return the present as aware UTC, never earlier than a value returned before."""
        self._last = max(self._last, datetime.now(UTC))
        return self._last


class SystemIdentifiers:
    """Identifiers and salts from the system's secure random source, read in blocks; each byte is given once."""

    _BLOCK_BYTES = 8192

    def __init__(self) -> None:
        self._taking = threading.Lock()
        self._block, self._position = b"", 0

    def new_id(self) -> uuid.UUID:
        """Return an identifier of version 7 (RFC 9562): milliseconds first, then 74 random bits.

        Identifiers that follow one another in time stand together in every index, so that a commit touches few pages;
        random ones cost half of the rate at which incidents are accepted.
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
    for key in event.keys() & _SECRET_KEYS:
        event[key] = "[redacted]"
    return event


def configure_logging(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Write one JSON object per event to the stream (standard error); control characters are escaped by JSON."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
