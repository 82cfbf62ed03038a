"""C2SP checkpoints and cosignatures: the signed head of the tree (c2sp.org/tlog-checkpoint, tlog-cosignature)."""

import base64
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from notifications.audit.merkle import EMPTY_ROOT
from notifications.audit.note import (
    COSIGNATURE_V1,
    ED25519,
    MLDSA_44,
    CosignerKey,
    LineVerifier,
    Note,
    NoteSignature,
    VerifierKey,
    parse_note,
    sign_note,
    signature_line,
    signatures_of,
    verifier_key,
    verify_ed25519,
    verify_mldsa_44,
    verify_note,
    verify_text_signature,
)
from notifications.errors import Fault, InvalidInputError, VerificationError

#: Origin, size, and the root (32 bytes) in base64.
_TEXT = re.compile(r"([^\s+]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n")
_TIME_BYTES = 8
#: First field of what an ML-DSA-44 key signs.
_SUBTREE_LABEL = b"subtree/v1\n\0"
#: A name or an origin in what an ML-DSA-44 key signs has its length in one byte.
NAME_MAX_BYTES = 255
#: Larger sizes and times do not fit the signed integers of other implementations.
_MAX_SIGNED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A head of the tree: the log's origin, the number of entries, and the root over them."""

    origin: str
    size: int
    root: bytes


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the text of a checkpoint, without extension lines."""
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n"
    parse_checkpoint(text)  # a checkpoint that nobody can parse must never be signed
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint of a text; raises InvalidInputError unless it is three lines in canonical form."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise InvalidInputError(Fault("checkpoint", "must be origin, size and root, one a line, and nothing else"))
    root = base64.b64decode(match[3])
    if base64.b64encode(root).decode() != match[3]:
        raise InvalidInputError(Fault("checkpoint", "has a root that is no canonical base64"))
    size = int(match[2])
    if size > _MAX_SIGNED:
        raise InvalidInputError(Fault("checkpoint", "has a size of more than 63 bits"))
    if size == 0 and root != EMPTY_ROOT:
        raise InvalidInputError(Fault("checkpoint", "gives the empty tree another root"))
    return Checkpoint(match[1], size, root)


def parse_checkpoint_note(note: bytes) -> Checkpoint:
    """Return the checkpoint of a signed note without verifying its signature."""
    return parse_checkpoint(parse_note(note).text)


def sign_checkpoint(
    private_key: Ed25519PrivateKey, checkpoint: Checkpoint, *, also: Sequence[Ed25519PrivateKey] = ()
) -> bytes:
    """Return the checkpoint as a note signed by the log; the name of the key is the origin.

    ``also``: earlier keys of the log that still sign, for verifiers that do not know the new key yet.
    """
    return sign_note(format_checkpoint(checkpoint), checkpoint.origin, private_key, also=also)


def verify_checkpoint(note: bytes, *keys: VerifierKey) -> Checkpoint:
    """Return the checkpoint of a note that at least one of the log's keys signed; raises VerificationError.

    A log signs with Ed25519 or with ML-DSA-44 (c2sp.org/tlog-checkpoint). The signature of every given key that is on
    the note must be right. Not checked: whether the checkpoint extends an earlier head (``verify_consistency``), how
    old it is, the time of an ML-DSA-44 signature, and whether the key belonged to the log at that time.
    """
    signed, by = verify_note(note, keys, _LOG_SIGNATURES)
    try:
        checkpoint = parse_checkpoint(signed.text)
    except InvalidInputError as error:
        raise VerificationError("checkpoint signature", str(error)) from None
    for key in by:
        if checkpoint.origin != key.name:
            raise VerificationError(
                "checkpoint signature", f"the checkpoint is of {checkpoint.origin}, the key of {key.name}"
            )
    return checkpoint


def cosign_checkpoint(note: bytes, name: str, private_key: CosignerKey, at: datetime) -> bytes:
    """Return the note with a witness's cosignature added: ``cosignature/v1`` or ``subtree/v1``, by the kind of key.

    Raises InvalidInputError if the note is not a checkpoint or has no room for a signature, if the time is naive or
    before 1970, or if a name or an origin is too long for ML-DSA-44 (255 bytes). Not checked: that the witness cosigned
    no other history, and that its key is not also the log's. The witness must check both.
    """
    parsed = parse_note(note)
    parse_checkpoint(parsed.text)
    key = verifier_key(name, private_key, COSIGNATURE_V1)
    if at.utcoffset() is None or at.timestamp() < 0:
        raise InvalidInputError(Fault("at", "must be a time with an offset, from 1970 on"))
    seconds = int(at.timestamp())
    ml_dsa = isinstance(private_key, MLDSA44PrivateKey)
    signature = private_key.sign(_subtree(parsed, name, seconds) if ml_dsa else _cosigned(parsed, seconds))
    cosigned = note + signature_line(key, seconds.to_bytes(_TIME_BYTES, "big") + signature).encode()
    parse_note(cosigned)  # nobody accepts a note with too many signatures
    return cosigned


def verify_cosignature(note: bytes, key: VerifierKey) -> int:
    """Return the POSIX time in seconds at which a witness saw the checkpoint; raises VerificationError.

    The time is 0 if an ML-DSA-44 cosigner states none. Not checked: the log's own signature (``verify_checkpoint``),
    and whether the time is plausible.
    """
    try:
        parsed = parse_note(note)
        parse_checkpoint(parsed.text)
    except InvalidInputError as error:
        raise VerificationError("cosignature", str(error)) from None
    lines = signatures_of(parsed, key)
    if key.kind not in {COSIGNATURE_V1, MLDSA_44} or len(lines) != 1:
        raise VerificationError("cosignature", f"{key.name} did not cosign exactly once")
    (line,) = lines
    return _verified_seconds(parsed, key, line, "cosignature")


def _verified_seconds(note: Note, key: VerifierKey, line: NoteSignature, step: str) -> int:
    """Return the time in a timestamped signature line; raises VerificationError, naming the step."""
    seconds, signature = int.from_bytes(line.signature[:_TIME_BYTES], "big"), line.signature[_TIME_BYTES:]
    if seconds > _MAX_SIGNED:
        raise VerificationError(step, f"the time of {key.name} has more than 63 bits")
    if key.kind == MLDSA_44:
        try:
            message = _subtree(note, key.name, seconds)
        except InvalidInputError as error:
            raise VerificationError(step, str(error)) from None
        verify_mldsa_44(key, signature, message, step)
    else:
        verify_ed25519(key, signature, _cosigned(note, seconds), step)
    return seconds


def _cosigned(note: Note, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{note.text}".encode()


def _subtree(note: Note, name: str, seconds: int) -> bytes:
    """Return what an ML-DSA-44 key signs: the ``cosigned_message`` of c2sp.org/tlog-cosignature, for the whole tree.

    Unlike ``cosignature/v1`` it names the cosigner, and it covers no extension lines; ``parse_checkpoint`` refuses
    those. Raises InvalidInputError.
    """
    checkpoint = parse_checkpoint(note.text)
    return b"".join((
        _SUBTREE_LABEL, _short("cosigner name", name), seconds.to_bytes(_TIME_BYTES, "big"),
        _short("origin", checkpoint.origin), struct.pack(">QQ", 0, checkpoint.size), checkpoint.root,
    ))  # fmt: skip


def _short(what: str, text: str) -> bytes:
    data = text.encode()
    if len(data) > NAME_MAX_BYTES:
        raise InvalidInputError(Fault(what, f"is longer than {NAME_MAX_BYTES} bytes, so no ML-DSA-44 key can sign it"))
    return bytes([len(data)]) + data


def _verify_log_signature(note: Note, key: VerifierKey, line: NoteSignature) -> None:
    _verified_seconds(note, key, line, "checkpoint signature")


_LOG_SIGNATURES: Mapping[int, LineVerifier] = {ED25519: verify_text_signature, MLDSA_44: _verify_log_signature}
