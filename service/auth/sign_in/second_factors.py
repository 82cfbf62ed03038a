"""Second factors that are typed: one-time codes (RFC 6238) and recovery codes."""

import base64
import hashlib
import hmac
import re
import secrets
from datetime import datetime
from urllib.parse import quote

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

_STEP_SECONDS = 30
_DIGITS = 6
#: Number of time steps by which a generator's clock may be wrong, in both directions.
_DRIFT_STEPS = 1
_SEED_BYTES = 20
RECOVERY_CODES = 10
_RECOVERY_BYTES = 10
_CODE = re.compile(r"\d{6}")
_SEPARATORS = re.compile(r"[\s-]+")


def new_seed() -> bytes:
    """Return a seed of 160 bits, as long as the hash (RFC 4226, 4)."""
    return secrets.token_bytes(_SEED_BYTES)


def seed_text(seed: bytes) -> str:
    """Return a seed in base32, for typing."""
    return base64.b32encode(seed).decode()


def otpauth_uri(seed: bytes, account: str, issuer: str) -> str:
    """Return the ``otpauth:`` URI for authenticator applications, usually shown as a QR code."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    return (
        f"otpauth://totp/{label}?secret={seed_text(seed)}&issuer={quote(issuer, safe='')}"
        f"&algorithm=SHA1&digits={_DIGITS}&period={_STEP_SECONDS}"
    )


def matching_step(seed: bytes, code: str, now: datetime, last_step: int) -> int | None:
    """Return the time step of a code, or None for a wrong code; only steps after ``last_step`` are accepted.

    The hash is SHA-1, because not every authenticator application supports another one. Collisions of SHA-1 do not
    weaken HMAC.
    """
    if not _CODE.fullmatch(code) or not code.isascii():
        return None
    present = int(now.timestamp()) // _STEP_SECONDS
    totp = TOTP(seed, _DIGITS, SHA1(), _STEP_SECONDS, enforce_key_length=False)  # noqa: S303 - what authenticator apps support
    found = None
    for step in range(present - _DRIFT_STEPS, present + _DRIFT_STEPS + 1):
        expected = totp.generate(step * _STEP_SECONDS)
        if hmac.compare_digest(expected, code.encode()) and step > last_step:
            found = step
    return found


def is_generated(code: str) -> bool:
    """Return whether a code has the form of a generator's code; otherwise it is treated as a recovery code."""
    return _CODE.fullmatch(code) is not None


def new_recovery_codes() -> list[str]:
    """Return codes of 80 random bits, in groups that are easy to read."""
    return [_grouped(base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode()) for _ in range(RECOVERY_CODES)]


def recovery_digest(code: str) -> bytes:
    """Return the digest of a recovery code that is stored; spaces, hyphens and case do not matter."""
    plain = _SEPARATORS.sub("", code).upper()
    return hashlib.sha256(b"greffier/recovery-code/v1\n" + plain.encode("utf-8", "surrogatepass")).digest()


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
