"""Passwords: argon2id (RFC 9106), at least as strong as OWASP's first recommendation, worked out beside the event loop.

A password is taken as it is typed, after Unicode NFC: the same letters typed on another system are the same password.
It is neither shortened nor folded.
"""

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
#: OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
#: Two at once at most in the whole process: a crowd at the sign-in takes no more memory and no more processors.
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")
#: Fewer different letters are a pattern.
_FEWEST_DIFFERENT = 5
#: Of the lists of passwords that everybody tries first, those that are long enough to be taken otherwise.
_COMMON = frozenset({
    "123456789012", "1234567890123", "12345678901234", "123456123456", "111111111111", "000000000000", "password1234",
    "password12345", "passwordpassword", "qwertyuiop123", "qwertyuiop12", "qwerty123456", "azertyuiop123",
    "azertyuiop12", "motdepasse123", "motdepasse1234", "passwort1234", "passwort12345", "iloveyou1234", "letmein12345",
    "administrator", "administrateur", "changeme1234", "welcome12345", "adminadminadmin", "greffiergreffier",
})  # fmt: skip


def password_fault(password: str, email: str | None) -> str | None:
    """Return why a password is not taken, or None. Length counts, not kinds of characters (NIST SP 800-63B, 5.1.1)."""
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
    """Makes and compares hashes, a few at once, in threads."""

    def __init__(self) -> None:
        # Made once a process, and before the first password is compared: the first takes no longer than others.
        self._nobodys = _nobodys_hash()
        #: comparisons made; known and unknown accounts cost the same number
        self.comparisons = 0

    async def hash(self, password: str) -> str:
        """Return the hash in the PHC string format."""
        return await asyncio.get_running_loop().run_in_executor(_THREADS, _HASHER.hash, _normal(password))

    async def fits(self, password: str, stored: str | None) -> bool:
        """Whether a password is the one that was hashed; without a hash, False after the same time."""
        self.comparisons += 1
        hashed, typed = stored or self._nobodys, _normal(password[: MAX_CHARACTERS + 1])
        fits = await asyncio.get_running_loop().run_in_executor(_THREADS, _compare, hashed, typed)
        return fits and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return _HASHER.check_needs_rehash(stored)


def _compare(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    # A lone surrogate is no character: it is replaced, or the hasher would refuse to encode it.
    return unicodedata.normalize("NFC", password).encode("utf-8", "replace").decode()
