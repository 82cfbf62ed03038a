"""The master key: what encrypts private keys and small secrets at rest. It stands in a file, never in the database.

The file has one key a line, each 32 random bytes or more in base64url: the first is current, the others still open what
was sealed under them. Lines that begin with ``#`` are comments.
"""

import base64
import binascii
import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from notifications.errors import Fault, InvalidInputError
from service.crypto.key_files import PRIVATE_KEY_BLOCK
from service.settings import Settings
from service.system.atomic_files import replace_file, write_new

_MASTER_BYTES = 32
_FIELD = "signing.master_key_file"


def new_master() -> bytes:
    """Return a new master key."""
    return os.urandom(_MASTER_BYTES)


def write_master_file(path: Path, masters: list[bytes], *, new: bool = False) -> None:
    """Write the master keys, the current one first; ``new`` raises FileExistsError rather than replace a file."""
    text = "".join(_encoded(master) + "\n" for master in masters).encode()
    if new:
        write_new(path, text, 0o600)
    else:
        replace_file(path, text, 0o600)


def parse_masters(text: str) -> list[bytes]:
    """Return the master keys of a file; raises InvalidInputError, which quotes nothing of it."""
    masters = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            master = base64.b64decode(stripped + "=" * (-len(stripped) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInputError(Fault(_FIELD, f"line {number} is not base64url")) from None
        if len(master) < _MASTER_BYTES:
            raise InvalidInputError(Fault(_FIELD, f"line {number} has fewer than {_MASTER_BYTES} bytes"))
        masters.append(master)
    if not masters:
        raise InvalidInputError(Fault(_FIELD, "holds no key"))
    return list(dict.fromkeys(masters))


def load_masters(settings: Settings) -> list[bytes]:
    """Return the master keys, the current one first; raises InvalidInputError where there is none.

    A data folder that was made before there were master keys gets its own. One that lost it does not: what is encrypted
    under the lost one would stay closed, and nobody would know why.
    """
    path = settings.master_file
    if settings.signing.master_key_file is None and not path.exists():
        if settings.signing.key_passphrase_file is None and _holds_encrypted_key(settings.keys_dir):
            raise InvalidInputError(
                Fault(_FIELD, f"{path} is missing, and private keys are encrypted under it: restore it")
            )
        write_master_file(path, [new_master()], new=True)
    return read_masters(path)


def read_masters(path: Path) -> list[bytes]:
    """Return the master keys of a file, the current one first; raises InvalidInputError."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise InvalidInputError(Fault(_FIELD, f"cannot read {path}: {error.strerror}")) from None
    except UnicodeDecodeError:
        raise InvalidInputError(Fault(_FIELD, "is not ASCII text")) from None
    return parse_masters(text)


def key_passphrases(settings: Settings, masters: list[bytes]) -> list[bytes]:
    """Return what private keys are opened with; new ones are written under the first.

    That is the operator's passphrase where there is one, then those that the master keys give.
    """
    own = settings.signing.key_passphrase()
    return ([own] if own else []) + [passphrase_of(master) for master in masters]


def passphrase_of(master: bytes) -> bytes:
    """Return the passphrase that a master key gives to private key files (HKDF, RFC 5869, under a label of its own)."""
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"greffier/key-passphrase/v1").derive(master)
    return base64.urlsafe_b64encode(derived).rstrip(b"=")


def return_path_key(master: bytes) -> bytes:
    """Return the key that a master key gives to return paths (HKDF, RFC 5869, under a label of its own)."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"greffier/return-path-key/v1").derive(master)


def master_fingerprint(master: bytes) -> str:
    """Return the hex name of a master key in the log; it leads back to no key of 256 random bits."""
    return hashlib.sha256(b"greffier/master-fingerprint/v1\n" + master).hexdigest()


def _encoded(master: bytes) -> str:
    return base64.urlsafe_b64encode(master).decode().rstrip("=")


def _holds_encrypted_key(folder: Path) -> bool:
    return any(
        b"ENCRYPTED" in match[0]
        for path in sorted(folder.glob("*"))
        if path.is_file()
        for match in PRIVATE_KEY_BLOCK.finditer(path.read_bytes())
    )
