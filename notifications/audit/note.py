"""C2SP signed notes: keys, signing, parsing, verifying (c2sp.org/signed-note)."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from notifications.errors import Fault, InvalidInputError, VerificationError

#: Signature types of c2sp.org/signed-note and c2sp.org/tlog-cosignature.
ED25519 = 0x01
COSIGNATURE_V1 = 0x04
#: a timestamped ML-DSA-44 signature over a subtree, by a witness or by the log
MLDSA_44 = 0x06

#: Length of the public key of each signature type (FIPS 204, table 2, for ML-DSA-44).
_KEY_BYTES = {ED25519: 32, COSIGNATURE_V1: 32, MLDSA_44: 1312}
_ED25519_BYTES, _MLDSA_44_BYTES = 64, 2420
_ID_BYTES = 4
#: A private key that can cosign.
CosignerKey = Ed25519PrivateKey | MLDSA44PrivateKey
#: The format requires readers to accept at least 16. The limit protects against notes that take long to verify.
MAX_SIGNATURES = 100
MAX_NOTE_BYTES = 1_000_000
_NAME_PATTERN = r"[^\s+\x00-\x1f\x7f\ud800-\udfff]+"
_NAME = re.compile(_NAME_PATTERN)
#: C0 control characters except the line feed, and DEL.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_SIGNATURE_LINE = re.compile(rf"— ({_NAME_PATTERN}) ([A-Za-z0-9+/]+={{0,2}})")


def _base64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidInputError(Fault(what, "is not base64")) from None
    if base64.b64encode(data).decode() != text:
        raise InvalidInputError(Fault(what, "is not canonical base64"))
    return data


def key_id(name: str, kind: int, public_key: bytes) -> bytes:
    """Return the 4-byte key ID of a signer."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:_ID_BYTES]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name it signs under."""

    name: str
    #: ``ED25519``, ``COSIGNATURE_V1`` or ``MLDSA_44``
    kind: int
    #: 32 bytes; 1312 bytes for ``MLDSA_44``
    public_key: bytes

    @property
    def id(self) -> bytes:
        """The key ID."""
        return key_id(self.name, self.kind, self.public_key)

    def text(self) -> str:
        """Return the verifier key text: ``name+hex8(key ID)+base64(type ‖ public key)``."""
        encoded = base64.b64encode(bytes([self.kind]) + self.public_key).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"


def parse_verifier_key(text: str) -> VerifierKey:
    """Return the key of a verifier key text; raises InvalidInputError if any part of it is invalid."""
    match text.removesuffix("\n").split("+", 2):
        case [name, identifier, encoded] if _NAME.fullmatch(name):
            pass
        case _:
            raise InvalidInputError(Fault("verifier key", "must be name+keyID+key"))
    data = _base64(encoded, "verifier key")
    if not data or len(data) - 1 != _KEY_BYTES.get(data[0]):
        raise InvalidInputError(Fault("verifier key", "is of no known type"))
    key = VerifierKey(name, data[0], data[1:])
    if key.id.hex() != identifier:
        raise InvalidInputError(Fault("verifier key", "has a key ID that is not its own"))
    return key


def verifier_key(name: str, private_key: CosignerKey, kind: int = ED25519) -> VerifierKey:
    """Return the public side of a signer; raises InvalidInputError for a name with white space or ``+``.

    An ML-DSA-44 key has only one signature type, so its ``kind`` is always ``MLDSA_44``.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(Fault("name", "may hold no white space and no +"))
    if isinstance(private_key, MLDSA44PrivateKey):
        kind = MLDSA_44
    return VerifierKey(name, kind, private_key.public_key().public_bytes_raw())


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note, whose signatures are not verified."""

    #: ends with a line feed
    text: str
    signatures: tuple[NoteSignature, ...]


def signature_line(key: VerifierKey, signature: bytes) -> str:
    """Return the line that carries a signature."""
    return f"— {key.name} {base64.b64encode(key.id + signature).decode()}\n"


def sign_note(text: str, name: str, private_key: Ed25519PrivateKey, *, also: Sequence[Ed25519PrivateKey] = ()) -> bytes:
    """Return the text signed under a name, one line per key; ``also`` are further keys of the same signer.

    Keys of the same name differ by their key IDs. A verifier that knows one of them ignores the lines of the others.
    Raises InvalidInputError if ``parse_note`` would refuse the note, or if a key would sign twice.
    """
    _check_text(text)
    signers = [(verifier_key(name, signer), signer) for signer in (private_key, *also)]
    if len({key.id for key, _ in signers}) != len(signers) or len(signers) > MAX_SIGNATURES:
        raise InvalidInputError(Fault("note", "would be signed twice by one key, or by too many"))
    lines = "".join(signature_line(key, signer.sign(text.encode())) for key, signer in signers)
    signed = f"{text}\n{lines}".encode()
    _check_length(signed)
    return signed


def _check_length(data: bytes) -> None:
    if len(data) > MAX_NOTE_BYTES:
        raise InvalidInputError(Fault("note", f"is longer than {MAX_NOTE_BYTES} bytes"))


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise InvalidInputError(Fault("note", "must end with a line feed"))
    if _CONTROL.search(text):
        raise InvalidInputError(Fault("note", "holds a control character"))
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise InvalidInputError(Fault("note", "holds a lone surrogate"))


def parse_note(data: bytes) -> Note:
    """Return text and signature lines of a note; raises InvalidInputError if it is malformed. Verifies nothing."""
    _check_length(data)
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInputError(Fault("note", "is not UTF-8")) from None
    _check_text(whole)
    text, separator, block = whole.rpartition("\n\n")
    if not separator or not block:
        raise InvalidInputError(Fault("note", "has no signatures"))
    lines = block.removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise InvalidInputError(Fault("note", f"has more than {MAX_SIGNATURES} signatures"))
    signatures = []
    for line in lines:
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise InvalidInputError(Fault("note", "has a malformed signature line"))
        signed = _base64(match[2], "note signature")
        if len(signed) <= _ID_BYTES:
            raise InvalidInputError(Fault("note", "has a signature that is too short"))
        signatures.append(NoteSignature(match[1], signed[:_ID_BYTES], signed[_ID_BYTES:]))
    return Note(text + "\n", tuple(signatures))


#: Raises VerificationError unless a signature line of a note is by its key.
LineVerifier = Callable[[Note, VerifierKey, NoteSignature], None]


def verify_text_signature(note: Note, key: VerifierKey, line: NoteSignature) -> None:
    """Raise VerificationError unless the key signed the text of the note (signature type ``ED25519``)."""
    verify_ed25519(key, line.signature, note.text.encode())


_TEXT_SIGNATURES: Mapping[int, LineVerifier] = {ED25519: verify_text_signature}


def verify_note(
    data: bytes, keys: Sequence[VerifierKey], verifiers: Mapping[int, LineVerifier] = _TEXT_SIGNATURES
) -> tuple[Note, tuple[VerifierKey, ...]]:
    """Return the note and the keys that signed it; ``verifiers`` has one function per accepted signature type.

    Raises VerificationError if the note is malformed, if no given key signed it, if the signature of a given key is
    wrong, or if a given key signed twice. Signatures of unknown keys are ignored, as the format requires. So anybody
    who forwards a note can add or change such lines, and nothing may be concluded from them. Keys of another type than
    those of ``verifiers`` are ignored too. By default only ``ED25519`` is accepted, because signatures of the other
    types do not cover only the text.
    """
    try:
        note = parse_note(data)
    except InvalidInputError as error:
        raise VerificationError("checkpoint signature", str(error)) from None
    verified = []
    for key in keys:
        matching = signatures_of(note, key)
        if key.kind not in verifiers or not matching:
            continue
        if len(matching) > 1:
            raise VerificationError("checkpoint signature", f"{key.name} signed twice")
        verifiers[key.kind](note, key, *matching)
        verified.append(key)
    if not verified:
        names = ", ".join(sorted({signature.name for signature in note.signatures}))
        raise VerificationError("checkpoint signature", f"signed by no trusted key (signed by {names})")
    return note, tuple(verified)


def verify_ed25519(key: VerifierKey, signature: bytes, message: bytes, step: str = "checkpoint signature") -> None:
    """Raise VerificationError, naming the step, unless the key signed the message."""
    if len(signature) != _ED25519_BYTES:
        raise VerificationError(step, f"the signature of {key.name} has not {_ED25519_BYTES} bytes")
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise VerificationError(step, f"the signature of {key.name} is wrong") from None


def verify_mldsa_44(key: VerifierKey, signature: bytes, message: bytes, step: str) -> None:
    """Raise VerificationError, naming the step, unless the key signed the message (FIPS 204, empty context)."""
    if len(signature) != _MLDSA_44_BYTES:
        raise VerificationError(step, f"the signature of {key.name} has not {_MLDSA_44_BYTES} bytes")
    try:
        MLDSA44PublicKey.from_public_bytes(key.public_key).verify(signature, message)
    except UnsupportedAlgorithm:
        # cryptography was built with an OpenSSL that has no ML-DSA, as by some distributions. Its own wheels have it.
        reason = f"the signature of {key.name} cannot be verified here: this build of cryptography has no ML-DSA-44"
        raise VerificationError(step, reason) from None
    except (InvalidSignature, ValueError):
        raise VerificationError(step, f"the signature of {key.name} is wrong") from None


def signatures_of(note: Note, key: VerifierKey) -> list[NoteSignature]:
    """Return the signature lines that name a key."""
    return [line for line in note.signatures if line.name == key.name and line.key_id == key.id]
