"""The master key encrypts private keys and small secrets at rest. It is in a file, never in the database.

The file has one key per line, each of 32 random bytes or more in base64url. The first is the current key; the others
only decrypt what they encrypted earlier. Lines that begin with ``#`` are comments.
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
    """Write the master keys, the current one first; with ``new``, raises FileExistsError if the file exists."""
    text = "".join(_encoded(master) + "\n" for master in masters).encode()
    if new:
        write_new(path, text, 0o600)
    else:
        replace_file(path, text, 0o600)


def parse_masters(text: str) -> list[bytes]:
    """Return the master keys of a file; raises InvalidInputError, which never quotes the file."""
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
    """Return the master keys, the current one first; raises InvalidInputError if the file is missing or invalid.

    A data folder from before master keys existed gets a new one. A folder that lost its master key does not: a new key
    could not decrypt the existing files, and the cause would be hidden.
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
    """Return the passphrases of private keys; the first one encrypts new keys.

    The operator's passphrase is first if there is one, then the passphrases derived from the master keys.
    """
    own = settings.signing.key_passphrase()
    return ([own] if own else []) + [passphrase_of(master) for master in masters]


def passphrase_of(master: bytes) -> bytes:
    """Return the passphrase of private key files, derived from a master key (HKDF, RFC 5869, with its own label)."""
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"greffier/key-passphrase/v1").derive(master)
    return base64.urlsafe_b64encode(derived).rstrip(b"=")


def return_path_key(master: bytes) -> bytes:
    """Return the key of return paths, derived from a master key (HKDF, RFC 5869, with its own label)."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"greffier/return-path-key/v1").derive(master)


def master_fingerprint(master: bytes) -> str:
    """Return the hex fingerprint of a master key for log entries; it does not reveal a key of 256 random bits."""
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
