"""An audit entry: its canonical leaf bytes, with commitments in the place of personal data."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from notifications.canonical_json import MAX_INTEGER, parse_canonical, parse_timestamp, timestamp_text
from notifications.errors import Fault, InvalidInputError, VerificationError

#: C2SP tlog-tiles encodes an entry's length as a big-endian uint16.
MAX_LEAF_BYTES = 65_535
#: Version of the leaf's shape.
LEAF_VERSION = 1
SALT_BYTES = 32

_TYPE = re.compile(r"[a-z][a-z_]{0,30}\.[a-z][a-z_]{0,30}")
_ACTOR = re.compile(r"[a-z][a-z_]{0,30}:[A-Za-z0-9._-]{1,80}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9._:-]{1,128}")
#: A code stays readable for ever. So it is one short line, and contains no mail address.
_CODE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029@]{0,500}")
_HEX_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Cached, because the same few names are in every leaf.
_remembered = lru_cache(maxsize=512)
_is_type, _is_actor = _remembered(_TYPE.fullmatch), _remembered(_ACTOR.fullmatch)
_is_name, _is_code = _remembered(_NAME.fullmatch), _remembered(_CODE.fullmatch)
_MEMBERS = frozenset({"v", "id", "type", "at", "actor", "subjects", "detail", "commitments"})


@dataclass(frozen=True, slots=True)
class Opening:
    """The salt and the value of one commitment. Stored outside the log, so it can be erased; the leaf has a digest."""

    #: name of the commitment in the leaf, such as ``document``
    name: str
    #: 32 random bytes
    salt: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action, before it is sequenced.

    ``detail`` contains only codes, numbers and times, because it stays readable for ever. Anything that may be personal
    (names, addresses, free text) goes into ``openings``; the leaf contains only salted digests of it.
    """

    id: UUID
    #: ``noun.verb_past``, such as ``notice.sealed``
    type: str
    at: datetime
    #: who acted: ``<kind>:<opaque id>``, such as ``token:interim`` or ``system:worker``; never a person's name
    actor: str
    #: the objects of the action: kind (``incident``, ``customer``, ``notice``, ``contact``, ``delivery``) to opaque id;
    #: the id of a customer is its pseudonym (see ``pseudonym``)
    subjects: Mapping[str, str] = field(default_factory=dict)
    detail: Mapping[str, str | int | bool | list[str] | None] = field(default_factory=dict)
    openings: tuple[Opening, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaf:
    """The content of a leaf, parsed from its bytes."""

    id: UUID
    type: str
    at: datetime
    actor: str
    subjects: Mapping[str, str]
    detail: Mapping[str, str | int | bool | list[str] | None]
    #: name to SHA-256
    commitments: Mapping[str, bytes]


def commitment(name: str, salt: bytes, value: bytes) -> bytes:
    """Return the commitment to a value: SHA-256 over a label, the name, the salt and the value.

    The commitment hides the value as long as the salt is secret. It is binding: the name contains no line feed and the
    salt has a fixed length, so no other triple gives the same input.
    """
    if not _is_name(name):
        raise InvalidInputError(Fault("name", "is no name for a commitment"))
    if len(salt) != SALT_BYTES:
        raise InvalidInputError(Fault("salt", f"must have {SALT_BYTES} bytes"))
    return hashlib.sha256(b"greffier/commitment/v1\n" + name.encode() + b"\n" + salt + value).digest()


def pseudonym(salt: bytes, customer_id: UUID) -> str:
    """Return the customer's id in the log, as hex; without the salt nobody can link it to the customer."""
    if len(salt) != SALT_BYTES:
        raise InvalidInputError(Fault("salt", f"must have {SALT_BYTES} bytes"))
    return hashlib.sha256(b"greffier/pseudonym/v1\n" + salt + customer_id.bytes).hexdigest()


def leaf_bytes(entry: AuditEntry) -> bytes:
    """Return the canonical leaf of an entry; raises InvalidInputError if the entry breaks the rules of a leaf.

    The bytes equal those of ``canonicalize`` for the same members. They are written directly, because this is faster
    and every entry of the log passes here.
    """
    _check(entry.type, entry.actor, entry.subjects, entry.detail)
    commitments = {
        opening.name: commitment(opening.name, opening.salt, opening.value).hex() for opening in entry.openings
    }
    if len(commitments) != len(entry.openings):
        raise InvalidInputError(Fault("openings", "a name is used twice"))
    texts = [
        '{"actor":"', entry.actor, '","at":"', timestamp_text(entry.at),
        '","commitments":', _object_text(commitments),
        ',"detail":', _object_text(entry.detail),
        ',"id":"', str(entry.id), '","subjects":', _object_text(entry.subjects),
        ',"type":"', entry.type, '","v":', str(LEAF_VERSION), "}",
    ]  # fmt: skip
    try:
        leaf = "".join(texts).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInputError(Fault("", "holds a lone surrogate")) from None
    if len(leaf) > MAX_LEAF_BYTES:
        raise InvalidInputError(Fault("", f"a leaf may have at most {MAX_LEAF_BYTES} bytes, this one has {len(leaf)}"))
    return leaf


def _object_text(members: Mapping[str, str | int | list[str] | None]) -> str:
    """Return members that were checked as canonical JSON."""
    return "{" + ",".join([f'"{name}":{_text_of(members[name])}' for name in _in_order(tuple(members))]) + "}"


def _text_of(value: str | int | list[str] | None) -> str:
    """Return a value that was checked as canonical JSON: codes have no control characters, and floats do not occur."""
    if isinstance(value, str):
        if '"' in value or "\\" in value:
            value = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{value}"'
    if isinstance(value, list):
        return "[" + ",".join(map(_text_of, value)) + "]"
    return "null" if value is None else str(int(value)) if not isinstance(value, bool) else "true" if value else "false"


@_remembered
def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names in their canonical order; raises InvalidInputError for an invalid name."""
    if not all(map(_is_name, names)):
        raise InvalidInputError(Fault("", "has a member whose name is no name for it"))
    return tuple(sorted(names))


def _check(kind: str, actor: str, subjects: Mapping[str, object], detail: Mapping[str, object]) -> None:
    """Raise InvalidInputError unless the parts follow the rules of a leaf; used for writing and for parsing."""
    if not _is_type(kind):
        raise InvalidInputError(Fault("type", "must be noun.verb_past"))
    if not _is_actor(actor):
        raise InvalidInputError(Fault("actor", "must be kind:opaque-id"))
    _in_order(tuple(subjects))
    _in_order(tuple(detail))
    for name, identifier in subjects.items():
        if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
            raise InvalidInputError(Fault(f"subjects.{name}", "must be an opaque id"))
    for name, value in detail.items():
        if value is None or (isinstance(value, str) and _is_code(value)):
            continue
        if isinstance(value, int):
            if abs(value) > MAX_INTEGER:
                raise InvalidInputError(
                    Fault(f"detail.{name}", "is an integer beyond ±(2^53-1), which some readers round")
                )
        elif not isinstance(value, list) or not all(isinstance(item, str) and _is_code(item) for item in value):
            raise InvalidInputError(Fault(f"detail.{name}", "must be a code, a number or a list of codes"))


def parse_leaf(data: bytes) -> Leaf:
    """Return the content of a leaf; raises InvalidInputError unless it is canonical and has exactly these members."""
    if len(data) > MAX_LEAF_BYTES:
        raise InvalidInputError(Fault("", f"a leaf may have at most {MAX_LEAF_BYTES} bytes"))
    value = parse_canonical(data)
    if (
        not isinstance(value, dict)
        or value.keys() != _MEMBERS
        or type(value["v"]) is not int
        or value["v"] != LEAF_VERSION
    ):
        raise InvalidInputError(Fault("", "is no leaf of this version"))
    texts = all(isinstance(value[name], str) for name in ("id", "type", "at", "actor"))
    objects = all(isinstance(value[name], dict) for name in ("subjects", "detail", "commitments"))
    if not texts or not objects:
        raise InvalidInputError(Fault("", "is no well-formed leaf"))
    _check(value["type"], value["actor"], value["subjects"], value["detail"])
    for name, item in value["commitments"].items():
        if not (_is_name(name) and isinstance(item, str) and _HEX_SHA256.fullmatch(item)):
            raise InvalidInputError(Fault("commitments", "must be hex SHA-256 by name"))
    try:
        identifier = UUID(value["id"])
    except ValueError:
        raise InvalidInputError(Fault("id", "is no UUID")) from None
    if str(identifier) != value["id"]:
        raise InvalidInputError(Fault("id", "is a UUID in another spelling"))
    return Leaf(
        id=identifier,
        type=value["type"],
        at=parse_timestamp(value["at"]),
        actor=value["actor"],
        subjects=value["subjects"],
        detail=value["detail"],
        commitments={name: bytes.fromhex(item) for name, item in value["commitments"].items()},
    )


def verify_commitment(leaf: Leaf, name: str, salt: bytes, value: bytes) -> None:
    """Raise VerificationError unless the leaf commits to this value under this name and salt."""
    stated = leaf.commitments.get(name)
    if stated is None:
        raise VerificationError("commitment", f"the leaf commits to no {name}")
    if len(salt) != SALT_BYTES or not hmac.compare_digest(stated, commitment(name, salt, value)):
        raise VerificationError("commitment", f"the leaf commits to another {name}")
