"""The messages between a log and a witness (c2sp.org/tlog-witness), and the requests that a witness must refuse.

A witness stores the latest head of each log that it cosigned, and cosigns only a head that extends it. So it cosigns
only one of two histories of a log. An auditor relies on this, because it cannot see the heads that others received.
"""

import base64
import binascii
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from notifications.audit.checkpoint import (
    Checkpoint,
    parse_checkpoint_note,
    verify_checkpoint,
    verify_cosignature,
)
from notifications.audit.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from notifications.audit.note import VerifierKey, parse_note, signature_line, signatures_of
from notifications.errors import Fault, GreffierError, InvalidInputError, VerificationError

#: No proof needs more lines, because a tree has fewer than 2^63 leaves.
MAX_PROOF_LINES = 63
#: No checkpoint of a known log needs a longer request.
MAX_REQUEST_BYTES = 64 * 1024
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class Refusal(Enum):
    """Why a witness does not cosign."""

    #: the request is malformed, or its old size is larger than its checkpoint
    MALFORMED = "malformed"
    UNKNOWN_ORIGIN = "unknown_origin"
    NOT_SIGNED = "not_signed"
    #: the request does not start at the size that was cosigned last, or has another root for that size
    CONFLICT = "conflict"
    #: the checkpoint does not extend the one cosigned last: it is another history
    BAD_PROOF = "bad_proof"


class RefusedError(GreffierError):
    """A witness does not cosign."""

    def __init__(self, refusal: Refusal, reason: str, size: int | None = None) -> None:
        self.refusal, self.reason = refusal, reason
        #: size of the head cosigned last, sent with a conflict
        self.size = size
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A parsed request to cosign. Nothing in it is verified."""

    old_size: int
    proof: tuple[bytes, ...]
    #: the signed checkpoint, verbatim
    note: bytes


def format_add_checkpoint(old_size: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Return the body of a request; raises InvalidInputError if it would not parse to the same values."""
    lines = [f"old {old_size}", *(base64.b64encode(hashed).decode() for hashed in proof)]
    body = "\n".join(lines).encode() + b"\n\n" + note
    if parse_add_checkpoint(body) != AddCheckpoint(old_size, tuple(proof), note):
        raise InvalidInputError(Fault("add-checkpoint", "does not read back as itself"))
    return body


def parse_add_checkpoint(body: bytes) -> AddCheckpoint:
    """Return the request of a body; raises InvalidInputError unless it is in canonical form."""
    if len(body) > MAX_REQUEST_BYTES:
        raise InvalidInputError(Fault("add-checkpoint", f"is longer than {MAX_REQUEST_BYTES} bytes"))
    head, separator, note = body.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise InvalidInputError(Fault("add-checkpoint", "is not ASCII before the checkpoint")) from None
    match = _OLD.fullmatch(first)
    if not separator or match is None or int(match[1]) >= 1 << MAX_PROOF_LINES:
        raise InvalidInputError(Fault("add-checkpoint", "must begin with the old size, and hold an empty line"))
    if len(lines) > MAX_PROOF_LINES:
        raise InvalidInputError(Fault("add-checkpoint", f"has more than {MAX_PROOF_LINES} proof lines"))
    proof = tuple(_hash(line) for line in lines)
    parse_checkpoint_note(note)
    return AddCheckpoint(int(match[1]), proof, note)


def _hash(line: str) -> bytes:
    try:
        hashed = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError(Fault("add-checkpoint", "has a proof line that is not base64")) from None
    if len(hashed) != HASH_BYTES or base64.b64encode(hashed).decode() != line:
        raise InvalidInputError(Fault("add-checkpoint", "has a proof line that is no SHA-256 in canonical base64"))
    return hashed


def verify_known_log(request: AddCheckpoint, keys: Collection[VerifierKey]) -> Checkpoint:
    """Return the checkpoint of a request after verifying that a known log signed it; raises RefusedError.

    These are steps 1 to 3 of a witness. They do not need the checkpoint that it cosigned last.
    1. The origin is that of a log it knows.
    2. A key of that log signed the checkpoint; signatures of other keys are ignored.
    3. The old size of the request is not larger than the checkpoint.
    """
    # 1.
    stated = parse_checkpoint_note(request.note)
    of_log = [key for key in keys if key.name == stated.origin]
    if not of_log:
        raise RefusedError(Refusal.UNKNOWN_ORIGIN, f"{stated.origin} is no log that this witness knows")
    # 2.
    try:
        checkpoint = verify_checkpoint(request.note, *of_log)
    except VerificationError as error:
        raise RefusedError(Refusal.NOT_SIGNED, error.reason) from None
    # 3.
    if request.old_size > checkpoint.size:
        raise RefusedError(Refusal.MALFORMED, f"old {request.old_size} is beyond the checkpoint's {checkpoint.size}")
    return checkpoint


def verify_extension(request: AddCheckpoint, checkpoint: Checkpoint, latest: Checkpoint | None) -> None:
    """Raise RefusedError unless the checkpoint extends the latest one that was cosigned (None: none was).

    These are steps 4 to 6 of a witness. The caller must not handle another request of the log between these steps and
    storing the checkpoint as the latest.

    4. The request starts at the size that the witness cosigned last.
    5. The same size has the same root.
    6. The consistency proof holds.
    """
    # 4.
    before = latest or Checkpoint(checkpoint.origin, 0, EMPTY_ROOT)
    if request.old_size != before.size:
        raise RefusedError(Refusal.CONFLICT, f"the head cosigned last has {before.size} entries", before.size)
    # 5.
    if checkpoint.size == before.size and checkpoint.root != before.root:
        raise RefusedError(Refusal.CONFLICT, f"another root was cosigned for {before.size} entries", before.size)
    # 6.
    try:
        verify_consistency(before.size, before.root, checkpoint.size, checkpoint.root, request.proof)
    except VerificationError as error:
        raise RefusedError(Refusal.BAD_PROOF, error.reason) from None


@dataclass(frozen=True, slots=True)
class Cosignature:
    """The verified signature lines of a witness, one per key."""

    #: the signature lines, each with its line feed
    line: str
    #: POSIX time in seconds at which the witness states that it saw the checkpoint; the earliest of its lines
    seconds: int


def verified_answer(note: bytes, answer: bytes, *keys: VerifierKey) -> Cosignature:
    """Return the cosignature in a witness's response; raises VerificationError. Lines of other keys are ignored.

    Each of the witness's keys must have cosigned exactly once, and must state a time (c2sp.org/tlog-witness). Not
    checked: whether the time is plausible.
    """
    lines, times = "", list[int]()
    for key in keys:
        try:
            found = signatures_of(parse_note(_text_of(note) + b"\n" + answer), key)
        except InvalidInputError as error:
            raise VerificationError("cosignature", str(error)) from None
        if len(found) != 1:
            raise VerificationError("cosignature", f"{key.name} did not cosign exactly once with key {key.id.hex()}")
        line = signature_line(key, found[0].signature)
        seconds = verify_cosignature(_text_of(note) + b"\n" + line.encode(), key)
        if seconds == 0:
            raise VerificationError("cosignature", f"{key.name} states no time with key {key.id.hex()}")
        lines += line
        times.append(seconds)
    return Cosignature(lines, min(times))


def parse_conflict(body: bytes) -> int:
    """Return the size that a witness sends with a conflict; raises InvalidInputError."""
    match = _SIZE.fullmatch(body)
    if match is None or int(match[1]) >= 1 << MAX_PROOF_LINES:
        raise InvalidInputError(Fault("conflict", "is no size"))
    return int(match[1])


def _text_of(note: bytes) -> bytes:
    return parse_note(note).text.encode()
