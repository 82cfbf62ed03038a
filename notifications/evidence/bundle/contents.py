"""The scope of a bundle, and the names of its parts.

====================================  ================================================================================
``README.txt``                        how to verify, in the reader's language
``anchors/``                          certificates and keys for the verification, and a revocation list if any
``bundle.json``                       the scope of the bundle (this module)
``checkpoint``                        the signed head of the log under which every entry is proved
``checkpoint.cosignatures``           cosignature lines of witnesses under it, if there are any
``checkpoint.tsr``                    a timestamp over it, if there is one
``entries/<index>/``                  one folder per entry of the log, with the parts to which the entry commits
``report.html``                       the report for people
``signers/``                          the certificates in the signatures and timestamps
``sums.sha256``                       digest of every part before it, in the format of ``sha256sum --check``
``sums.sha256.note``                  signed note of the log's key over the digest of the sums
====================================  ================================================================================

The folder of an entry contains ``entry.tlog-proof`` with the leaf and the salts that the reader may have. The opened
commitments are in ``payload.json`` and ``opening.<name>``. Depending on the type of the entry there are also
``notice.json``, ``notice.json.p7s``, ``notice.json.tsr``, ``resources.csv``, ``words.<language>.txt`` and ``.html``,
``message.eml`` or ``message.json``. A notice that shares its timestamp has ``notice.tlog-proof``, whose checkpoint
``notice.json.tsr`` is over, and ``notice.consistency``, by which the bundle's checkpoint extends that one.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from notifications.audit.entry import Leaf
from notifications.canonical_json import Json, canonicalize, parse_canonical, parse_timestamp, timestamp_text
from notifications.errors import Fault, InvalidInputError

SCHEMA = "greffier.bundle/1"
#: The schema of a bundle about an announcement: its scope has one member more. Programs that know only the first one
#: say that they do not know this schema. Every other bundle keeps the first one, so that they still verify it.
ANNOUNCEMENT_SCHEMA = "greffier.bundle/2"

#: The step that checks which parts the bundle has.
CONTENTS = "contents"

README, HEADER, CHECKPOINT_FILE, CHECKPOINT_TOKEN = "README.txt", "bundle.json", "checkpoint", "checkpoint.tsr"
#: lines that are appended to those of the checkpoint
COSIGNATURES = "checkpoint.cosignatures"
REPORT, SUMS, SUMS_NOTE = "report.html", "sums.sha256", "sums.sha256.note"
ANCHOR_CA, ANCHOR_TSA, ANCHOR_LOG = "anchors/ca.pem", "anchors/tsa.pem", "anchors/log.vkey"
#: the CA's certificate revocation list
ANCHOR_CRL = "anchors/ca.crl"
ENTRIES, SIGNERS = "entries/", "signers/"
PROOF, PAYLOAD = "entry.tlog-proof", "payload.json"
#: the proof that the bundle's checkpoint extends the one in ``notice.tlog-proof``
CONSISTENCY = "notice.consistency"

#: Readers of a bundle: the provider and its auditors, or a customer.
PROVIDER, CUSTOMER = "provider", "customer"

#: Types of entries whose commitments are opened for a customer: what was sent to it, what it did, and its own records.
#: The provider's notes and reasons may be about anybody, so they stay closed.
OPEN_TO_CUSTOMER = frozenset({
    "agreement.bound", "contact.added", "contact.address_confirmed", "contact.changed", "customer.changed",
    "customer.registered", "delivery.attempted", "delivery.queued", "feedback.given", "legal_profile.stated",
    "notice.acknowledged", "notice.opened", "notice.pdf_made", "notice.sealed", "notice.timestamped",
    "own_report.corrected", "own_report.submitted", "profile.chosen",
    "question.answered", "question.asked",
})  # fmt: skip

_NOTICE_PARTS = {"document": "notice.json", "signature": "notice.json.p7s", "timestamp": "notice.json.tsr"}
_OF_NOTICES = frozenset({"notice.sealed", "notice.timestamped"})
#: Parts for which the commitment is to their digest.
ARTEFACTS = frozenset(_NOTICE_PARTS.values())

_INDEX = re.compile(r"entries/([0-9]{16})/([^/]+)")
_MEMBERS = {"schema", "scope", "reader", "language", "origin", "tree_size", "entries"}
_SCOPE_MEMBERS = {
    SCHEMA: {"incident", "notice", "customer", "starts_at", "ends_at"},
    ANNOUNCEMENT_SCHEMA: {"announcement", "incident", "notice", "customer", "starts_at", "ends_at"},
}
_NOTE_TITLE = "greffier evidence bundle v1"


def entry_folder(index: int) -> str:
    """Return the folder of an entry, with its final slash."""
    return f"{ENTRIES}{index:016d}/"


def opened_by(kind: str, commitment: str) -> str:
    """Return the name of the part that opens a commitment in an entry of this type.

    For a notice the commitment is to the digest of the part; otherwise it is to the exact bytes of the part.
    """
    if kind in _OF_NOTICES and commitment in _NOTICE_PARTS:
        return _NOTICE_PARTS[commitment]
    return PAYLOAD if commitment == "payload" else f"opening.{commitment}"


def place_of(name: str) -> tuple[int, str] | None:
    """Return the entry's index and the name in its folder, or None for a part in no such folder."""
    match = _INDEX.fullmatch(name)
    return None if match is None else (int(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of a bundle: it contains all entries that meet every condition that is not None."""

    incident: UUID | None = None
    notice: UUID | None = None
    #: the customer's pseudonym
    customer: str | None = None
    #: at or after this time, and before ``ends_at``
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    announcement: UUID | None = None

    @property
    def subjects(self) -> tuple[tuple[str, str], ...]:
        """The subjects that an entry must have: kind and identifier, the most selective first."""
        named = (
            ("notice", self.notice),
            ("announcement", self.announcement),
            ("incident", self.incident),
            ("customer", self.customer),
        )
        return tuple((kind, str(value)) for kind, value in named if value is not None)

    def holds(self, leaf: Leaf) -> bool:
        """Return whether an entry is in the scope."""
        if any(leaf.subjects.get(kind) != wanted for kind, wanted in self.subjects):
            return False
        return (self.starts_at is None or self.starts_at <= leaf.at) and (
            self.ends_at is None or leaf.at < self.ends_at
        )


@dataclass(frozen=True, slots=True)
class Header:
    """The content of ``bundle.json``."""

    scope: Scope
    #: ``PROVIDER`` or ``CUSTOMER``
    reader: str
    #: language of README and report
    language: str
    #: name of the log
    origin: str
    #: number of entries under the checkpoint; later entries are not in the bundle
    tree_size: int
    #: number of entries in the bundle
    entries: int


def format_header(header: Header) -> bytes:
    """Return ``bundle.json``."""
    scope = header.scope
    return canonicalize({
        "schema": SCHEMA if scope.announcement is None else ANNOUNCEMENT_SCHEMA,
        "scope": {
            **({} if scope.announcement is None else {"announcement": str(scope.announcement)}),
            "incident": None if scope.incident is None else str(scope.incident),
            "notice": None if scope.notice is None else str(scope.notice),
            "customer": scope.customer,
            "starts_at": None if scope.starts_at is None else timestamp_text(scope.starts_at),
            "ends_at": None if scope.ends_at is None else timestamp_text(scope.ends_at),
        },
        "reader": header.reader,
        "language": header.language,
        "origin": header.origin,
        "tree_size": header.tree_size,
        "entries": header.entries,
    })  # fmt: skip


def parse_header(data: bytes) -> Header:
    """Return the header in ``bundle.json``; raises InvalidInputError for any other form."""
    value = parse_canonical(data)
    schema = value.get("schema") if isinstance(value, dict) else None
    members = _SCOPE_MEMBERS.get(schema) if isinstance(schema, str) else None
    if not isinstance(value, dict) or members is None or value.keys() != _MEMBERS:
        raise InvalidInputError(Fault("", f"is not of schema {SCHEMA} or {ANNOUNCEMENT_SCHEMA}"))
    scope, texts = value["scope"], ("reader", "language", "origin")
    if not isinstance(scope, dict) or scope.keys() != members:
        raise InvalidInputError(Fault("scope", "is malformed"))
    if not all(item is None or isinstance(item, str) for item in scope.values()):
        raise InvalidInputError(Fault("scope", "is malformed"))
    counts = [_count(value[name], name) for name in ("tree_size", "entries")]
    if not all(isinstance(value[name], str) for name in texts) or value["reader"] not in {PROVIDER, CUSTOMER}:
        raise InvalidInputError(Fault("reader", "is malformed"))
    read = {name: None if text is None else str(text) for name, text in scope.items()}
    header = Header(
        Scope(
            _identifier(read["incident"]),
            _identifier(read["notice"]),
            read["customer"],
            _moment(read["starts_at"]),
            _moment(read["ends_at"]),
            _identifier(read.get("announcement")),
        ),
        str(value["reader"]),
        str(value["language"]),
        str(value["origin"]),
        *counts,
    )
    if format_header(header) != data:
        raise InvalidInputError(Fault("scope", "is not written in the one form"))
    return header


def _count(value: Json, name: str) -> int:
    if type(value) is not int or value < 0:
        raise InvalidInputError(Fault(name, "must be a number of entries"))
    return value


def _identifier(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        raise InvalidInputError(Fault("scope", "contains an invalid identifier")) from None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_timestamp(text)


def checksum_line(name: str, digest: bytes) -> bytes:
    """Return the line of one part in ``sums.sha256``."""
    return f"{digest.hex()}  {name}\n".encode()


def note_text(origin: str, tree_size: int, sums_digest: bytes) -> str:
    """Return the text that the log's key signs for a bundle.

    It cannot be mistaken for a checkpoint: a checkpoint has three lines, and its first line contains no space.
    """
    return f"{_NOTE_TITLE}\n{origin}\n{tree_size}\n{base64.b64encode(sums_digest).decode()}\n"
