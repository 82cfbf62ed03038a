"""Passwords: argon2id (RFC 9106), at least as strong as OWASP's first recommendation, computed in threads.

A password is normalised to Unicode NFC, so the same letters typed on another system are the same password. It is not
shortened, and its case is not changed.
"""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
#: OWASP Password Storage Cheat Sheet: 19 MiB, two passes, parallelism 1.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
#: At most two hashes at a time in the process, so that many sign-ins do not need more memory or processors.
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")
#: Passwords with fewer different characters are refused as patterns.
_FEWEST_DIFFERENT = 5
#: The well-known passwords that are long enough to pass the other checks.
_COMMON = frozenset({
    "123456789012", "1234567890123", "12345678901234", "123456123456", "111111111111", "000000000000", "password1234",
    "password12345", "passwordpassword", "qwertyuiop123", "qwertyuiop12", "qwerty123456", "azertyuiop123",
    "azertyuiop12", "motdepasse123", "motdepasse1234", "passwort1234", "passwort12345", "iloveyou1234", "letmein12345",
    "administrator", "administrateur", "changeme1234", "welcome12345", "adminadminadmin", "greffiergreffier",
})  # fmt: skip


def password_fault(password: str, email: str | None) -> str | None:
    """Return why a password is refused, or None. Length counts, not kinds of characters (NIST SP 800-63B, 5.1.1)."""
    if len(password) < MIN_CHARACTERS:
        return f"must have at least {MIN_CHARACTERS} characters"
    if len(password) > MAX_CHARACTERS:
        return f"may have at most {MAX_CHARACTERS} characters"
    folded = password.casefold()
    if len(set(folded)) < _FEWEST_DIFFERENT or folded in _COMMON:
        return "is one of those that everybody tries first"
    if email is not None and folded in {email.casefold(), email.casefold().partition("@")[0]}:
        return "must not be the address"
    return None


@cache
def _nobodys_hash() -> str:
    """Return what a password is compared with where there is none: it takes as long and never fits."""
    return _HASHER.hash("nobody has this password \N{SNOWMAN}")


class Passwords:
    """Makes and compares hashes in threads, a few at a time."""

    def __init__(self) -> None:
        # Made once a process, and before the first password is compared: the first takes no longer than others.
        self._nobodys = _nobodys_hash()
        #: comparisons made; known and unknown accounts cost the same number
        self.comparisons = 0

    async def hash(self, password: str) -> str:
        """Return the hash in the PHC string format."""
        return await asyncio.get_running_loop().run_in_executor(_THREADS, _HASHER.hash, _normal(password))

    async def fits(self, password: str, stored: str | None) -> bool:
        """Return whether a password matches a hash; without a hash, return False after the same time."""
        self.comparisons += 1
        hashed, typed = stored or self._nobodys, _normal(password[: MAX_CHARACTERS + 1])
        fits = await asyncio.get_running_loop().run_in_executor(_THREADS, _compare, hashed, typed)
        return fits and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Return whether a hash was made with other parameters than the current ones."""
        return _HASHER.check_needs_rehash(stored)


def _compare(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    # A lone surrogate is not a character; it is replaced, because the hasher cannot encode it.
    return unicodedata.normalize("NFC", password).encode("utf-8", "replace").decode()
