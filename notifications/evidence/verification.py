"""Verify a notice offline: numbered steps, each of which raises.

Nothing is fetched and nobody is asked. What must be trusted comes from elsewhere: the CA, the timestamp authority's
root, the log's verifier key. What is *not* checked: revocation of certificates; whether the log's head is the one that
others see (compare checkpoints with other customers, or with a witness); whether what the notice says is true; when the
mail around the notice was signed (its own date says so; the timestamp dates the document's signature).
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
from notifications.mail.mail import (
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

MAIL_SIGNATURE = "mail signature"
DOCUMENT_SIGNATURE = "document signature"
TIMESTAMP = "timestamp"
CERTIFICATE = "certificate chain"
DOCUMENT = "document"
MAIL_AGREES = "mail agrees with the document"
INCLUSION = "inclusion in the log"
CHECKPOINT = "checkpoint signature"

#: Steps of a mail, in the order in which they are taken.
MAIL_STEPS = (
    STRUCTURE, MAIL_SIGNATURE, DOCUMENT_SIGNATURE, TIMESTAMP, CERTIFICATE, DOCUMENT, MAIL_AGREES, INCLUSION, CHECKPOINT,
)  # fmt: skip


#: Members of the document that the steps read.
_READ_MEMBERS = (
    "notice_id", "incident_id", "ticket", "sequence", "kind", "facts_version", "tlp", "effect", "renderings",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trust:
    """What a verifier trusts beforehand."""

    #: roots of the signing certificate
    ca: tuple[x509.Certificate, ...]
    #: roots of the timestamp authority
    timestamp_roots: tuple[x509.Certificate, ...]
    #: keys of the log, oldest first; a checkpoint is taken that any of them signed
    log_keys: tuple[VerifierKey, ...]


def parse_trust(ca_pem: bytes, tsa_pem: bytes, log_vkey: str) -> Trust:
    """Return the trust anchors of ``ca.pem``, ``tsa.pem`` and ``log.vkey``; raises InvalidInputError.

    ``log.vkey`` has one key a line, all of one log: it gains a line whenever the log gets a new key.
    """
    try:
        ca = tuple(x509.load_pem_x509_certificates(ca_pem))
    except ValueError:
        raise InvalidInputError(Fault("ca.pem", "holds no certificate in PEM")) from None
    try:
        roots = tuple(x509.load_pem_x509_certificates(tsa_pem))
    except ValueError:
        raise InvalidInputError(Fault("tsa.pem", "holds no certificate in PEM")) from None
    try:
        log_keys = tuple(dict.fromkeys(parse_verifier_key(line) for line in log_vkey.strip().splitlines()))
    except InvalidInputError as error:
        raise InvalidInputError(*(Fault("log.vkey", fault.reason) for fault in error.faults)) from None
    if len({key.name for key in log_keys}) != 1:
        raise InvalidInputError(Fault("log.vkey", "must hold the keys of one log, one a line"))
    # The timestamp library refuses a root that it has already.
    return Trust(ca, tuple(dict.fromkeys(roots)), log_keys)


@dataclass(frozen=True, slots=True)
class VerifiedStep:
    """A step that held."""

    number: int
    step: str
    #: what it established, in one line
    finding: str
    #: the step could not be taken yet, as the document itself says; never an excuse for a part that is there
    pending: bool = False
    #: a part of the step cannot be taken on what is here, as the finding says
    partial: bool = False
    #: what of the copy is not as it was sent, outside of what the signature covers; the finding is of the signed part
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoticeFiles:
    """A notice as files: what the API serves, or what a mail carries."""

    document: bytes
    signature: bytes
    timestamp: bytes | None
    proof: bytes
    resources_csv: bytes | None


def verify_notice_mail(mail: bytes, trust: Trust) -> Iterator[VerifiedStep]:
    """Take the steps one after the other; raises VerificationError, naming the step, at the first that fails.

    A copy that was changed outside the signed part fails as well: ``examine_notice_mail`` goes on past such changes.

    1. Structure: one reading of the mail, every part known.
    2. Mail signature: over the signed part, by a certificate for mail that leads to the CA and names the From address.
    3. to 6. and 8. to 9. as for files.
    7. The mail agrees with the document: outer headers with protected ones, words with the document's digests. Of a
       mail that was encrypted the outer headers are not here, once it is decrypted: the step says that it did not
       compare them. A request to acknowledge is the mail's own: the step says so.
    """
    for step in examine_notice_mail(mail, trust):
        yield _unchanged(step)


def _unchanged(step: VerifiedStep) -> VerifiedStep:
    if step.changed:
        raise VerificationError(step.step, "; ".join(step.changed))
    return step


def examine_notice_mail(mail: bytes, trust: Trust) -> Iterator[VerifiedStep]:
    """Take the steps of ``verify_notice_mail`` over the signed part; raises VerificationError as it does.

    What of the copy was changed outside the signed part does not fail a step: the step says so in ``changed``.
    Raises UnreadableMailError for a mail that does not hold the notice in the form in which it was sent.
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
    yield VerifiedStep(6, DOCUMENT, state.verify_document())
    # 7.
    yield _compare_mail(parsed, state)
    # 8. and 9.
    yield VerifiedStep(8, INCLUSION, state.verify_inclusion())
    yield VerifiedStep(9, CHECKPOINT, state.verify_checkpoint())


def verify_notice_files(files: NoticeFiles, trust: Trust) -> Iterator[VerifiedStep]:
    """Take the steps for a notice served as files; raises VerificationError, naming the step, at the first that fails.

    1. Document signature: CMS over the document, in the one strict form.
    2. Timestamp: an RFC 3161 token over the signature, under the authority's root.
    3. Certificate chain: for mail, leading to the CA, valid at the timestamp.
    4. Document: canonical, of a known schema, its list of resources the one attached.
    5. Inclusion: the leaf commits to these very bytes, agrees with the document, and stands under the checkpoint.
    6. Checkpoint signature: by a key of the log.
    """
    state = _Files(files, trust)
    yield VerifiedStep(1, DOCUMENT_SIGNATURE, state.verify_signature())
    yield state.verify_timestamp(2)
    yield VerifiedStep(3, CERTIFICATE, state.verify_certificate())
    yield VerifiedStep(4, DOCUMENT, state.verify_document())
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


class _Files:
    """The steps over a notice's files; each uses what the ones before it established."""

    def __init__(self, files: NoticeFiles, trust: Trust) -> None:
        self._files, self._trust = files, trust
        self.document: Mapping[str, Any] = {}
        #: when the signature existed: the timestamp's word, else the log's
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
        token = self._files.timestamp
        if token is None:
            if "timestamp" in self._leaf.commitments:
                raise VerificationError(TIMESTAMP, "the log holds a timestamp of this notice, and it is not here")
            self._at = self._leaf.at
            return VerifiedStep(number, TIMESTAMP, "follows: the authority had not answered yet", pending=True)
        verified = verify_timestamp(token, self._files.signature, self._trust.timestamp_roots, TIMESTAMP)
        self._at = verified.at
        return VerifiedStep(number, TIMESTAMP, f"{self._at:%Y-%m-%d %H:%M:%S} UTC by {verified.authority}")

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
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
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
        self.document = document
        return f"{document['ticket']} #{document['sequence']}, {document['kind']}, {document['tlp']}"

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
        # 3. The leaf stands under the checkpoint.
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
        named = {"notice": "notice_id", "incident": "incident_id"}
        for name in ("ticket", "sequence", "kind", "facts_version", "notice", "incident"):
            if stated.get(name) != self.document.get(named.get(name, name)):
                raise VerificationError(INCLUSION, f"leaf and document differ on the {name}")

    def verify_checkpoint(self) -> str:
        try:
            checkpoint = verify_checkpoint(self._proof.checkpoint, *self._trust.log_keys)
        except VerificationError as error:
            raise VerificationError(CHECKPOINT, error.reason) from None
        return f"{checkpoint.origin}, {checkpoint.size} entries"


def _well_formed_renderings(renderings: object) -> bool:
    """Return whether each names a language, a media type and a digest, and no two speak of the same.

    A time zone is named where it is not the customer's.
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
    """Compare what a reader sees with what is signed: 1. outer headers, 2. sender and subject, 3. words.

    Raises VerificationError where the signed part disagrees with the document.
    """
    document = state.document
    # 1.
    outside = parsed.protected if parsed.stated_outer is None else parsed.stated_outer
    # Outer headers may be left out only where the signature itself says that the mail was encrypted.
    absent = parsed.stated_outer is not None and not parsed.outer
    changed = [
        f"the header {name} is not the one under the signature"
        for name in PROTECTED_HEADERS
        if parsed.outer.get(name) != outside.get(name)
    ]
    if not changed and parsed.outer_addresses != parsed.protected_addresses:
        changed.append("an address only looks like the one under the signature")
    # 2. Without this, whoever has any certificate of the CA could pass a genuine notice on as their own.
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
    # Both of one time zone: the words of a mail are one rendering, not a mixture.
    if not any(all(hmac.compare_digest(digests[kind], stated[kind]) for kind in digests) for stated in whole):
        wrong = [kind for kind in digests if all(digests[kind] != stated[kind] for stated in whole)] or list(digests)
        raise VerificationError(MAIL_AGREES, f"the words ({wrong[0]}) are not the ones the document commits to")
    if absent:
        finding = f"words ({parsed.language}) are the sealed ones; the headers outside the encryption are not here"
        return VerifiedStep(7, MAIL_AGREES, f"{finding} to compare{_beside(parsed)}", partial=True)
    finding = f"{'' if changed else 'headers and '}words ({parsed.language}) are the sealed ones{_beside(parsed)}"
    return VerifiedStep(7, MAIL_AGREES, finding, changed=tuple(changed))


def _beside(parsed: SignedMail) -> str:
    """Return what is to be told of words that the mail's signature covers and no document commits to."""
    return "" if parsed.note is None else "; the request to acknowledge beside them is the mail's own, and not sealed"
