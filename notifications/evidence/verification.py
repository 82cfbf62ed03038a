"""Verify a notice offline, in numbered steps. A step that fails raises VerificationError.

The verifier uses no network. The caller must get the trust anchors separately: the CA, the root of the timestamp
authority and the verifier key of the log. *Not* checked: whether a certificate was revoked; whether other readers see
the same head of the log (compare checkpoints with other customers or with a witness); whether the notice is true; when
the mail around the notice was signed. Only the mail's own date states that; the timestamp covers the signature of the
document.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cryptography import x509

from notifications.audit.checkpoint import parse_checkpoint_note, verify_checkpoint
from notifications.audit.entry import Leaf, parse_leaf, verify_commitment
from notifications.audit.merkle import leaf_hash, verify_inclusion
from notifications.audit.note import VerifierKey, parse_verifier_key
from notifications.audit.proof import NoticeExtra, TlogProof, parse_notice_extra, parse_proof
from notifications.canonical_json import parse_canonical
from notifications.crypto.cms import verify_chain, verify_detached
from notifications.crypto.timestamps import verify_timestamp
from notifications.errors import Fault, InvalidInputError, UnreadableMailError, VerificationError
from notifications.mail.header_text import names_another_address
from notifications.mail.parts import (
    DOCUMENT_NAME,
    PROOF_NAME,
    PROTECTED_HEADERS,
    RESOURCES_NAME,
    SIGNATURE_NAME,
    TIMESTAMP_NAME,
)
from notifications.mail.signed_copy import STRUCTURE
from notifications.mail.signed_mail import SignedMail, parse_signed_mail

SCHEMA = "greffier.notice/1"
#: The schema of documents about no incident, such as planned work.
ANNOUNCEMENT_SCHEMA = "greffier.announcement/1"

MAIL_SIGNATURE = "mail signature"
DOCUMENT_SIGNATURE = "document signature"
TIMESTAMP = "timestamp"
CERTIFICATE = "certificate chain"
DOCUMENT = "document"
MAIL_AGREES = "mail agrees with the document"
INCLUSION = "inclusion in the log"
CHECKPOINT = "checkpoint signature"

#: What a document says of its timestamp (``timestamping``): it is over the document's signature, or over the checkpoint
#: of the proof, which other notices share. Documents that do not say it have their own.
OWN_TIMESTAMP, SHARED_TIMESTAMP = "per_notice", "by_checkpoint"

#: Steps for a mail, in the order in which they run.
MAIL_STEPS = (
    STRUCTURE, MAIL_SIGNATURE, DOCUMENT_SIGNATURE, TIMESTAMP, CERTIFICATE, DOCUMENT, MAIL_AGREES, INCLUSION, CHECKPOINT,
)  # fmt: skip


#: Steps for a notice as files.
FILE_STEPS = (DOCUMENT_SIGNATURE, TIMESTAMP, CERTIFICATE, DOCUMENT, INCLUSION, CHECKPOINT)

#: Members of the document that the steps read.
_READ_MEMBERS = (
    "notice_id", "incident_id", "ticket", "sequence", "kind", "facts_version", "tlp", "effect", "renderings",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trust:
    """The trust anchors of a verifier."""

    #: roots of the signing certificate
    ca: tuple[x509.Certificate, ...]
    #: roots of the timestamp authority
    timestamp_roots: tuple[x509.Certificate, ...]
    #: keys of the log, oldest first; a checkpoint needs a signature by one of them
    log_keys: tuple[VerifierKey, ...]


def parse_trust(ca_pem: bytes, tsa_pem: bytes, log_vkey: str) -> Trust:
    """Return the trust anchors of ``ca.pem``, ``tsa.pem`` and ``log.vkey``; raises InvalidInputError.

    ``log.vkey`` has one key per line, all of the same log. It gets another line when the log gets a new key.
    """
    try:
        ca = tuple(x509.load_pem_x509_certificates(ca_pem))
    except ValueError:
        raise InvalidInputError(Fault("ca.pem", "contains no certificate in PEM")) from None
    try:
        roots = tuple(x509.load_pem_x509_certificates(tsa_pem))
    except ValueError:
        raise InvalidInputError(Fault("tsa.pem", "contains no certificate in PEM")) from None
    try:
        log_keys = tuple(dict.fromkeys(parse_verifier_key(line) for line in log_vkey.strip().splitlines()))
    except InvalidInputError as error:
        raise InvalidInputError(*(Fault("log.vkey", fault.reason) for fault in error.faults)) from None
    if len({key.name for key in log_keys}) != 1:
        raise InvalidInputError(Fault("log.vkey", "must hold the keys of one log, one a line"))
    # The timestamp library refuses the same root twice.
    return Trust(ca, tuple(dict.fromkeys(roots)), log_keys)


@dataclass(frozen=True, slots=True)
class VerifiedStep:
    """A step that passed."""

    number: int
    step: str
    #: what the step found, in one line
    finding: str
    #: the step is not possible yet, as the log entry shows; never set for a part that is present
    pending: bool = False
    #: a part of the step is not possible with this copy, as the finding says
    partial: bool = False
    #: what is not as it was sent, outside of the signed part; the finding is about the signed part only
    changed: tuple[str, ...] = ()
    #: the notice is of an exercise
    exercise: bool = False


@dataclass(frozen=True, slots=True)
class NoticeFiles:
    """A notice as files, from the API or from the attachments of a mail."""

    document: bytes
    signature: bytes
    timestamp: bytes | None
    proof: bytes
    resources_csv: bytes | None


def verify_notice_mail(mail: bytes, trust: Trust) -> Iterator[VerifiedStep]:
    """Run the steps in order; raises VerificationError with the step's name at the first that fails.

    A copy that was changed outside of the signed part fails too; ``examine_notice_mail`` continues after such a change.

    1. Structure: the mail has only one possible reading, and every part is known.
    2. Mail signature: over the signed part, by a certificate for mail that chains to the CA and contains the From
       address.
    3. to 6. and 8. to 9.: as for files.
    7. The mail agrees with the document: the outer headers with the protected ones, and the texts with the document's
       digests. A decrypted mail has no outer headers any more; the finding then says that they were not compared. A
       request to acknowledge belongs to the mail and not to the document; the finding says so.
    """
    for step in examine_notice_mail(mail, trust):
        yield _unchanged(step)


def _unchanged(step: VerifiedStep) -> VerifiedStep:
    if step.changed:
        raise VerificationError(step.step, "; ".join(step.changed))
    return step


def examine_notice_mail(mail: bytes, trust: Trust) -> Iterator[VerifiedStep]:
    """Run the steps of ``verify_notice_mail`` over the signed part; raises VerificationError as it does.

    A change outside of the signed part does not fail a step; the step reports it in ``changed``. Raises
    UnreadableMailError for a mail that does not contain the notice in the form in which it was sent.
    """
    # 1.
    parsed = parse_signed_mail(mail)
    if not parsed.attachments:
        _verify_mail_signature(parsed, trust)
        raise UnreadableMailError(
            STRUCTURE, "is a summary, or no notice: download the notice with its proofs from the console"
        )
    files = _files(parsed)
    finding = f"{len(parsed.attachments)} attachments, words in {parsed.language}"
    yield VerifiedStep(1, STRUCTURE, finding, changed=parsed.changed)
    # 2.
    finding = _verify_mail_signature(parsed, trust)
    yield VerifiedStep(2, MAIL_SIGNATURE, finding)
    # 3. to 6.
    state = _Files(files, trust)
    yield VerifiedStep(3, DOCUMENT_SIGNATURE, state.verify_signature())
    yield state.verify_timestamp(4)
    yield VerifiedStep(5, CERTIFICATE, state.verify_certificate())
    yield VerifiedStep(6, DOCUMENT, state.verify_document(), exercise=state.exercise)
    # 7.
    yield _compare_mail(parsed, state)
    # 8. and 9.
    yield VerifiedStep(8, INCLUSION, state.verify_inclusion())
    yield VerifiedStep(9, CHECKPOINT, state.verify_checkpoint())


def verify_notice_files(files: NoticeFiles, trust: Trust) -> Iterator[VerifiedStep]:
    """Run the steps for a notice as files; raises VerificationError with the step's name at the first that fails.

    1. Document signature: CMS over the document, in the one strict form.
    2. Timestamp: an RFC 3161 token under the authority's root, over what the document says: its signature, or the
       checkpoint of the proof. The checkpoint dates the signature by steps 5 and 6: its tree has the leaf, and the leaf
       commits to the signature.
    3. Certificate chain: the certificate is for mail, chains to the CA, and was valid at the time of the timestamp.
    4. Document: canonical JSON of the known schema, and the attached list of resources is the one that it states.
    5. Inclusion: the leaf commits to exactly these bytes, agrees with the document, and is in the tree of the
       checkpoint.
    6. Checkpoint signature: by a key of the log.
    """
    state = _Files(files, trust)
    yield VerifiedStep(1, DOCUMENT_SIGNATURE, state.verify_signature())
    yield state.verify_timestamp(2)
    yield VerifiedStep(3, CERTIFICATE, state.verify_certificate())
    yield VerifiedStep(4, DOCUMENT, state.verify_document(), exercise=state.exercise)
    yield VerifiedStep(5, INCLUSION, state.verify_inclusion())
    yield VerifiedStep(6, CHECKPOINT, state.verify_checkpoint())


def _files(parsed: SignedMail) -> NoticeFiles:
    for name in (DOCUMENT_NAME, SIGNATURE_NAME, PROOF_NAME):
        if name not in parsed.attachments:
            raise VerificationError(STRUCTURE, f"lacks the attachment {name}")
    return NoticeFiles(
        document=parsed.attachments[DOCUMENT_NAME],
        signature=parsed.attachments[SIGNATURE_NAME],
        timestamp=parsed.attachments.get(TIMESTAMP_NAME),
        proof=parsed.attachments[PROOF_NAME],
        resources_csv=parsed.attachments.get(RESOURCES_NAME),
    )


def _verify_mail_signature(parsed: SignedMail, trust: Trust) -> str:
    signed = verify_detached(parsed.signed, parsed.signature, MAIL_SIGNATURE)
    at = _date(parsed)
    verify_chain(signed, trust.ca, at, MAIL_SIGNATURE)
    if not signed.names(parsed.sender):
        raise VerificationError(
            MAIL_SIGNATURE, f"From says {parsed.sender}, the certificate {', '.join(signed.addresses)}"
        )
    return f"by {parsed.sender}"


def _date(parsed: SignedMail) -> datetime:
    try:
        at = parsedate_to_datetime(parsed.protected["Date"])
        if at.tzinfo is None:
            raise VerificationError(MAIL_SIGNATURE, "has a date without an offset under the signature")
        return at.astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        raise VerificationError(MAIL_SIGNATURE, "has no readable date under the signature") from None


def shares_timestamp(document: bytes) -> bool:
    """Return whether a document says that its timestamp is over a checkpoint; NOT checked: that it is a document."""
    try:
        stated = parse_canonical(document)
    except InvalidInputError:
        return False
    return isinstance(stated, dict) and stated.get("timestamping") == SHARED_TIMESTAMP


def _is_over(token: bytes, content: bytes, trust: Trust) -> bool:
    try:
        verify_timestamp(token, content, trust.timestamp_roots, TIMESTAMP)
    except VerificationError:
        return False
    return True


class _Files:
    """The steps over the files of a notice. Each step uses the results of the steps before it."""

    def __init__(self, files: NoticeFiles, trust: Trust) -> None:
        self._files, self._trust = files, trust
        self.document: Mapping[str, Any] = {}
        #: when the signature existed: the time of the timestamp, else that of the log entry
        self._at: datetime | None = None
        try:
            self._proof: TlogProof = parse_proof(files.proof)
            if self._proof.extra is None:
                raise VerificationError(INCLUSION, "the proof carries no leaf")
            self._extra: NoticeExtra = parse_notice_extra(self._proof.extra)
            self._leaf: Leaf = parse_leaf(self._extra.leaf)
        except InvalidInputError as error:
            raise VerificationError(INCLUSION, str(error)) from None

    def verify_signature(self) -> str:
        self.signed = verify_detached(self._files.document, self._files.signature, DOCUMENT_SIGNATURE)
        return f"by {', '.join(self.signed.addresses)}"

    def verify_timestamp(self, number: int) -> VerifiedStep:
        token, shared = self._files.timestamp, shares_timestamp(self._files.document)
        if shared and "timestamp" in self._leaf.commitments:
            raise VerificationError(
                TIMESTAMP, "the document says that its timestamp is over a checkpoint, and the log holds one of its own"
            )
        if token is None:
            if "timestamp" in self._leaf.commitments:
                raise VerificationError(TIMESTAMP, "the log holds a timestamp of this notice, and it is not here")
            self._at = self._leaf.at
            return VerifiedStep(number, TIMESTAMP, "follows: the authority had not answered yet", pending=True)
        signature, checkpoint = ("its signature", self._files.signature), ("a checkpoint", self._proof.checkpoint)
        (stated, content), other = (checkpoint, signature) if shared else (signature, checkpoint)
        try:
            verified = verify_timestamp(token, content, self._trust.timestamp_roots, TIMESTAMP)
        except VerificationError:
            if _is_over(token, other[1], self._trust):
                reason = f"the token is over {other[0]} and not, as the document says, over {stated}"
                raise VerificationError(TIMESTAMP, reason) from None
            raise
        self._at = verified.at
        finding = f"{self._at:%Y-%m-%d %H:%M:%S} UTC by {verified.authority}"
        return VerifiedStep(number, TIMESTAMP, f"{finding}, over the checkpoint of the proof" if shared else finding)

    def verify_certificate(self) -> str:
        if self._at is None:
            raise VerificationError(CERTIFICATE, "no moment is established")
        verify_chain(self.signed, self._trust.ca, self._at, CERTIFICATE)
        return f"for e-mail protection, valid at {self._at:%Y-%m-%d %H:%M:%S} UTC"

    def verify_document(self) -> str:
        try:
            document = parse_canonical(self._files.document)
        except InvalidInputError as error:
            raise VerificationError(DOCUMENT, str(error)) from None
        if not isinstance(document, dict) or document.get("schema") not in {SCHEMA, ANNOUNCEMENT_SCHEMA}:
            raise VerificationError(DOCUMENT, f"is not of schema {SCHEMA}")
        missing = [name for name in _READ_MEMBERS if name not in document]
        if missing or not _well_formed_renderings(document["renderings"]):
            raise VerificationError(DOCUMENT, f"lacks or malforms {', '.join(missing) or 'renderings'}")
        effect = document.get("effect")
        stated = effect.get("resources_csv_sha256") if isinstance(effect, dict) else None
        attached = self._files.resources_csv
        actual = hashlib.sha256(attached).hexdigest() if attached is not None else None
        if stated != actual:
            raise VerificationError(DOCUMENT, "the list of resources attached is not the one it states")
        if "exercise" in document and document["exercise"] is not True:
            raise VerificationError(DOCUMENT, "says of an exercise something else than that it is one")
        if document.get("timestamping", OWN_TIMESTAMP) not in (OWN_TIMESTAMP, SHARED_TIMESTAMP):
            raise VerificationError(DOCUMENT, "says of its timestamp something that is not known here")
        self.document = document
        mark = "EXERCISE, " if "exercise" in document else ""
        return f"{mark}{document['ticket']} #{document['sequence']}, {document['kind']}, {document['tlp']}"

    @property
    def exercise(self) -> bool:
        """Whether the document is of an exercise; known after ``verify_document``."""
        return "exercise" in self.document

    def verify_inclusion(self) -> str:
        # 1. The leaf commits to exactly these bytes, and to no timestamp that is missing here.
        parts = {"document": self._files.document, "signature": self._files.signature}
        if self._files.timestamp is not None and "timestamp" in self._leaf.commitments:
            parts["timestamp"] = self._files.timestamp
        if self._extra.salts.keys() != self._leaf.commitments.keys():
            raise VerificationError(INCLUSION, "the proof does not open every commitment of the leaf")
        for name, part in parts.items():
            try:
                verify_commitment(self._leaf, name, self._extra.salts.get(name, b""), hashlib.sha256(part).digest())
            except VerificationError as error:
                raise VerificationError(INCLUSION, error.reason) from None
        # 2. The leaf is about this notice.
        self._verify_leaf()
        # 3. The leaf is in the tree of the checkpoint.
        try:
            checkpoint = parse_checkpoint_note(self._proof.checkpoint)
        except InvalidInputError as error:
            raise VerificationError(INCLUSION, str(error)) from None
        try:
            verify_inclusion(
                leaf_hash(self._extra.leaf), self._proof.index, checkpoint.size, self._proof.hashes, checkpoint.root
            )
        except VerificationError as error:
            raise VerificationError(INCLUSION, error.reason) from None
        return f"entry {self._proof.index} of {checkpoint.size}, recorded {self._leaf.at:%Y-%m-%d %H:%M:%S} UTC"

    def _verify_leaf(self) -> None:
        if self._leaf.type != "notice.sealed":
            raise VerificationError(INCLUSION, f"the leaf is a {self._leaf.type}")
        stated = {**self._leaf.detail, **self._leaf.subjects}
        subject = "announcement" if self.document["schema"] == ANNOUNCEMENT_SCHEMA else "incident"
        named = {"notice": "notice_id", subject: "incident_id"}
        for name in ("ticket", "sequence", "kind", "facts_version", "notice", subject):
            if stated.get(name) != self.document.get(named.get(name, name)):
                raise VerificationError(INCLUSION, f"leaf and document differ on the {name}")
        if (stated.get("exercise") is True) != ("exercise" in self.document):
            raise VerificationError(INCLUSION, "leaf and document differ on whether it is an exercise")

    def verify_checkpoint(self) -> str:
        try:
            checkpoint = verify_checkpoint(self._proof.checkpoint, *self._trust.log_keys)
        except VerificationError as error:
            raise VerificationError(CHECKPOINT, error.reason) from None
        return f"{checkpoint.origin}, {checkpoint.size} entries"


def _well_formed_renderings(renderings: object) -> bool:
    """Return whether each rendering has a language, a media type and a digest, and no two are of the same kind.

    A rendering may have a time zone; without one it is in the customer's.
    """
    if not isinstance(renderings, list) or not all(isinstance(item, dict) for item in renderings):
        return False
    if not all(item.keys() - {"time_zone"} == {"language", "media_type", "sha256"} for item in renderings):
        return False
    if not all(isinstance(value, str) and value.isascii() for item in renderings for value in item.values()):
        return False
    named = {(item["language"], item.get("time_zone"), item["media_type"]) for item in renderings}
    return len(named) == len(renderings)


def _compare_mail(parsed: SignedMail, state: _Files) -> VerifiedStep:
    """Compare what a reader sees with what is signed: 1. outer headers, 2. sender and subject, 3. texts.

    Raises VerificationError if the signed part does not agree with the document.
    """
    document = state.document
    # 1.
    outside = parsed.protected if parsed.stated_outer is None else parsed.stated_outer
    # Outer headers may be missing only if the signed part itself states that the mail was encrypted.
    absent = parsed.stated_outer is not None and not parsed.outer
    changed = [
        f"the header {name} is not the one under the signature"
        for name in PROTECTED_HEADERS
        if parsed.outer.get(name) != outside.get(name)
    ]
    if not changed and parsed.outer_addresses != parsed.protected_addresses:
        changed.append("an address only looks like the one under the signature")
    # 2. Without this check, the holder of any certificate of the CA could forward a genuine notice as their own.
    if not state.signed.names(parsed.sender):
        raise VerificationError(MAIL_AGREES, f"the document is not signed by {parsed.sender}, who sends it")
    if names_another_address(parsed.protected["From"].removesuffix(f"<{parsed.sender}>"), parsed.sender):
        raise VerificationError(MAIL_AGREES, "the name in From holds another address")
    subject = parsed.protected.get("Subject", "")
    for expected in (str(document["ticket"]), str(document["tlp"]), f"#{document['sequence']}"):
        if expected not in subject:
            raise VerificationError(MAIL_AGREES, f"the subject does not say {expected}")
    # 3.
    by_zone: dict[str | None, dict[str, str]] = {}
    for item in document["renderings"]:
        if item["language"] == parsed.language:
            by_zone.setdefault(item.get("time_zone"), {})[item["media_type"]] = item["sha256"]
    whole = [
        stated for stated in by_zone.values() if stated.keys() == parsed.texts.keys() == {"text/plain", "text/html"}
    ]
    if not whole:
        raise VerificationError(MAIL_AGREES, f"the document commits to no words in {parsed.language}")
    digests = {kind: hashlib.sha256(text).hexdigest() for kind, text in parsed.texts.items()}
    # Both texts must have the same time zone, because a mail contains one rendering.
    if not any(all(hmac.compare_digest(digests[kind], stated[kind]) for kind in digests) for stated in whole):
        wrong = [kind for kind in digests if all(digests[kind] != stated[kind] for stated in whole)] or list(digests)
        raise VerificationError(MAIL_AGREES, f"the words ({wrong[0]}) are not the ones the document commits to")
    if absent:
        finding = f"words ({parsed.language}) are the sealed ones; the headers outside the encryption are not here"
        return VerifiedStep(7, MAIL_AGREES, f"{finding} to compare{_beside(parsed)}", partial=True)
    finding = f"{'' if changed else 'headers and '}words ({parsed.language}) are the sealed ones{_beside(parsed)}"
    return VerifiedStep(7, MAIL_AGREES, finding, changed=tuple(changed))


def _beside(parsed: SignedMail) -> str:
    """Return the remark on a text that the mail's signature covers, but to which no document commits."""
    return "" if parsed.note is None else "; the request to acknowledge beside them is the mail's own, and not sealed"
