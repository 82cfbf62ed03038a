"""What a log and a witness say to each other (c2sp.org/tlog-witness), and what a witness must refuse.

A witness keeps the last head that it cosigned of each log, and cosigns only what extends it. So of two histories of one
log it cosigns one; which is what an auditor relies on who has seen the other parties' heads nowhere.
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

#: More lines no proof needs: a tree has fewer than 2^63 leaves.
MAX_PROOF_LINES = 63
#: A request beyond it is no checkpoint of a log that a witness would know.
MAX_REQUEST_BYTES = 64 * 1024
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class Refusal(Enum):
    """Why a witness does not cosign."""

    #: the request is malformed, or goes back by its own words
    MALFORMED = "malformed"
    UNKNOWN_ORIGIN = "unknown_origin"
    NOT_SIGNED = "not_signed"
    #: the request starts from another size than the one cosigned last, or gives that size another root
    CONFLICT = "conflict"
    #: what is asked for does not extend what was cosigned: another history
    BAD_PROOF = "bad_proof"


class RefusedError(GreffierError):
    """A witness does not cosign."""

    def __init__(self, refusal: Refusal, reason: str, size: int | None = None) -> None:
        self.refusal, self.reason = refusal, reason
        #: size of the head cosigned last, told with a conflict
        self.size = size
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request to cosign. Nothing of it is verified."""

    old_size: int
    proof: tuple[bytes, ...]
    #: the signed checkpoint, verbatim
    note: bytes


def format_add_checkpoint(old_size: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Return the body of a request; raises InvalidInputError for what would not read back as itself."""
    lines = [f"old {old_size}", *(base64.b64encode(hashed).decode() for hashed in proof)]
    body = "\n".join(lines).encode() + b"\n\n" + note
    if parse_add_checkpoint(body) != AddCheckpoint(old_size, tuple(proof), note):
        raise InvalidInputError(Fault("add-checkpoint", "does not read back as itself"))
    return body


def parse_add_checkpoint(body: bytes) -> AddCheckpoint:
    """Return what a request asks; raises InvalidInputError for anything but the canonical form."""
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


def known_log(request: AddCheckpoint, keys: Collection[VerifierKey]) -> Checkpoint:
    """Return the checkpoint of a request once it is known to be a log's own; raises RefusedError.

    Steps 1 to 3 of what a witness does; they need nothing of what it cosigned before.
    1. The origin is that of a log it knows.
    2. A key of that log signed the checkpoint; lines of other keys are passed over.
    3. The request does not go back by its own words.
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


def extended(request: AddCheckpoint, checkpoint: Checkpoint, latest: Checkpoint | None) -> None:
    """Raise RefusedError unless the checkpoint extends the latest that was cosigned (None: none ever was).

    Steps 4 to 6; between them and the storing of the checkpoint as the latest no other request may be judged.
    4. The request starts where the witness stands.
    5. One size has one root.
    6. The proof holds.
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
    """A witness's line under a checkpoint, verified."""

    #: the signature line with its line feed
    line: str
    #: POSIX time at which the witness says it saw the checkpoint
    seconds: int


def verified_answer(note: bytes, answer: bytes, key: VerifierKey) -> Cosignature:
    """Return a witness's cosignature out of its answer; raises VerificationError. Lines of other keys are ignored.

    Not checked: whether the time is plausible.
    """
    try:
        lines = signatures_of(parse_note(_text_of(note) + b"\n" + answer), key)
    except InvalidInputError as error:
        raise VerificationError("cosignature", str(error)) from None
    if len(lines) != 1:
        raise VerificationError("cosignature", f"{key.name} did not cosign exactly once")
    line = signature_line(key, lines[0].signature)
    return Cosignature(line, verify_cosignature(_text_of(note) + b"\n" + line.encode(), key))


def parse_conflict(body: bytes) -> int:
    """Return the size that a witness tells with a conflict; raises InvalidInputError."""
    match = _SIZE.fullmatch(body)
    if match is None or int(match[1]) >= 1 << MAX_PROOF_LINES:
        raise InvalidInputError(Fault("conflict", "is no size"))
    return int(match[1])


def _text_of(note: bytes) -> bytes:
    return parse_note(note).text.encode()
