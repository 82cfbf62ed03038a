"""Proofs that are sent with a notice: ``c2sp.org/tlog-proof@v1``, and the extra data of a notice's proof."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from notifications.audit.entry import SALT_BYTES
from notifications.audit.merkle import HASH_BYTES
from notifications.canonical_json import canonicalize, parse_canonical
from notifications.errors import Fault, InvalidInputError

_HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
#: A path in a tree of 2^63 leaves has 63 nodes.
_MAX_HASHES = 63
_MAX_BYTES = 1_000_000
_EXTRA_VERSION = 1


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A parsed proof. Nothing in it is verified; nothing even signs ``extra``."""

    index: int
    #: from the leaf's sibling to the root's child
    hashes: tuple[bytes, ...]
    #: the signed checkpoint, verbatim
    checkpoint: bytes
    extra: bytes | None


def format_proof(index: int, hashes: Sequence[bytes], checkpoint: bytes, extra: bytes | None = None) -> bytes:
    """Return the proof as text; raises InvalidInputError if it would not parse to the same values."""
    lines = [_HEADER]
    if extra is not None:
        lines.append(f"extra {base64.b64encode(extra).decode()}")
    lines.append(f"index {index}")
    lines += [base64.b64encode(hashed).decode() for hashed in hashes]
    text = "\n".join(lines).encode() + b"\n\n" + checkpoint
    if parse_proof(text) != TlogProof(index, tuple(hashes), checkpoint, extra):
        raise InvalidInputError(Fault("proof", "does not read back as itself"))
    return text


def parse_proof(data: bytes) -> TlogProof:
    """Return the content of a proof; raises InvalidInputError unless it is in canonical form."""
    if len(data) > _MAX_BYTES:
        raise InvalidInputError(Fault("proof", f"is longer than {_MAX_BYTES} bytes"))
    head, _, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise InvalidInputError(Fault("proof", "is not ASCII before the checkpoint")) from None
    if not checkpoint or lines[0] != _HEADER:
        raise InvalidInputError(Fault("proof", f"is no {_HEADER}"))
    lines = lines[1:]
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = _base64(lines[0].removeprefix("extra "))
        if not extra:
            raise InvalidInputError(Fault("proof", "has an extra line without data"))
        lines = lines[1:]
    match = _INDEX.fullmatch(lines[0]) if lines else None
    if match is None:
        raise InvalidInputError(Fault("proof", "names no index"))
    hashes = tuple(_base64(line) for line in lines[1:])
    if len(hashes) > _MAX_HASHES or any(len(hashed) != HASH_BYTES for hashed in hashes):
        raise InvalidInputError(Fault("proof", "has a hash that is no SHA-256, or too many"))
    index = int(match[1])
    if index >= 1 << _MAX_HASHES:
        raise InvalidInputError(Fault("proof", "has an index of more than 63 bits"))
    return TlogProof(index, hashes, checkpoint, extra)


def format_consistency(hashes: Sequence[bytes]) -> bytes:
    """Return a consistency proof (RFC 9162, 2.1.4) as text: one base64 hash a line, as in ``c2sp.org/tlog-witness``."""
    return b"".join(base64.b64encode(hashed) + b"\n" for hashed in hashes)


def parse_consistency(data: bytes) -> tuple[bytes, ...]:
    """Return the hashes of a consistency proof; raises InvalidInputError unless it is in canonical form."""
    hashes = tuple(_base64(line) for line in data[:_MAX_BYTES].decode("ascii", "replace").splitlines())
    if format_consistency(hashes) != data:
        raise InvalidInputError(Fault("consistency", "is not one base64 hash a line"))
    return hashes


def _base64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidInputError(Fault("proof", "is not base64")) from None
    if base64.b64encode(data).decode() != text:
        raise InvalidInputError(Fault("proof", "is not canonical base64"))
    return data


@dataclass(frozen=True, slots=True)
class NoticeExtra:
    """The content of the ``extra`` line of a notice's proof: the leaf, and the salts that open its commitments."""

    leaf: bytes
    #: name of the commitment to its salt
    salts: Mapping[str, bytes]


def format_notice_extra(leaf: bytes, salts: Mapping[str, bytes]) -> bytes:
    """Return the extra data of a notice's proof. With the salts, the holder of the notice can open this one leaf."""
    return canonicalize({
        "v": _EXTRA_VERSION,
        "leaf": base64.b64encode(leaf).decode(),
        "openings": {name: base64.b64encode(salt).decode() for name, salt in salts.items()},
    })  # fmt: skip


def parse_notice_extra(data: bytes) -> NoticeExtra:
    """Return the parsed extra data of a notice's proof; raises InvalidInputError for any other form."""
    value = parse_canonical(data)
    if not isinstance(value, dict) or value.keys() != {"v", "leaf", "openings"}:
        raise InvalidInputError(Fault("extra", "is malformed"))
    if type(value["v"]) is not int or value["v"] != _EXTRA_VERSION:
        raise InvalidInputError(Fault("extra", "is not of this version"))
    leaf, openings = value["leaf"], value["openings"]
    if not isinstance(leaf, str) or not isinstance(openings, dict):
        raise InvalidInputError(Fault("extra", "is malformed"))
    if not all(isinstance(salt, str) for salt in openings.values()):
        raise InvalidInputError(Fault("extra", "has a salt that is no text"))
    salts = {name: _base64(salt) for name, salt in openings.items()}
    if any(len(salt) != SALT_BYTES for salt in salts.values()):
        raise InvalidInputError(Fault("extra", f"has a salt that has not {SALT_BYTES} bytes"))
    return NoticeExtra(_base64(leaf), salts)
