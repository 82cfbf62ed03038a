"""Verify one entry of a bundle and the parts to which it commits: steps of ``evidence.bundle.verification``.

Only the entry's folder and the checkpoint are needed. Later entries about a notice must agree with its seal, so two
digests of each seal are kept.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping

from notifications.audit.checkpoint import Checkpoint, parse_checkpoint_note
from notifications.audit.entry import Leaf, parse_leaf, verify_commitment
from notifications.audit.merkle import leaf_hash, verify_consistency, verify_inclusion
from notifications.audit.proof import parse_consistency, parse_notice_extra, parse_proof
from notifications.crypto.timestamps import certificates_of_token
from notifications.errors import InvalidInputError, VerificationError
from notifications.evidence.bundle.contents import (
    ARTEFACTS,
    CONSISTENCY,
    CONTENTS,
    PROOF,
    Scope,
    entry_folder,
    opened_by,
)
from notifications.evidence.bundle.signers import (
    Revocations,
    certificates_of_signature,
    signer_part,
    verify_token,
)
from notifications.evidence.verification import (
    NoticeFiles,
    Trust,
    shares_timestamp,
    verify_notice_files,
    verify_notice_mail,
)
from notifications.mail.parts import DOCUMENT_NAME, PROOF_NAME, RESOURCES_NAME, SIGNATURE_NAME, TIMESTAMP_NAME
from notifications.mail.signed_mail import parse_signed_mail

INCLUDED = "entries in the log"
OPENED = "what entries commit to"
NOTICES = "notices"
MESSAGES = "messages"
CERTIFICATES = "certificates"

_IN_A_SEAL = frozenset({DOCUMENT_NAME, SIGNATURE_NAME, TIMESTAMP_NAME, PROOF_NAME, CONSISTENCY, RESOURCES_NAME})
_MESSAGES = frozenset({"message.eml", "message.json"})


class EntrySteps:
    """The steps over the entries, one entry at a time. Keeps two digests per notice."""

    def __init__(self, trust: Trust, scope: Scope, checkpoint: Checkpoint, note: bytes) -> None:
        self._trust, self._scope, self._checkpoint, self._note = trust, scope, checkpoint, note
        #: the CA's revocation list, or None
        self.revocations: Revocations | None = None
        #: number of verified objects by kind
        self.counts: Counter[str] = Counter()
        #: the certificates in the signatures and timestamps, by name of their part
        self.signers: dict[str, bytes] = {}
        #: notice -> digests of its document and of its signature
        self._seals: dict[str, tuple[bytes, bytes]] = {}

    def verify(self, index: int, parts: Mapping[str, bytes]) -> Leaf:
        """Verify an entry with the parts of its folder, and return it; raises VerificationError with step and part."""
        place = entry_folder(index)
        leaf, salts = self._verify_included(place, index, parts)
        accounted = {PROOF} | self._verify_opened(place, leaf, salts, parts)
        if leaf.type == "notice.sealed":
            accounted |= self._verify_sealed(place, leaf, parts)
        elif leaf.type == "notice.timestamped":
            accounted |= self._verify_stamped(place, leaf, parts)
        elif leaf.type == "delivery.attempted":
            accounted |= self._verify_message(place, leaf, parts)
        if unread := parts.keys() - accounted:
            raise VerificationError(CONTENTS, f"contains {place}{min(unread)}, to which its entry does not commit")
        self.counts["entries"] += 1
        return leaf

    def _verify_included(self, place: str, index: int, parts: Mapping[str, bytes]) -> tuple[Leaf, Mapping[str, bytes]]:
        if PROOF not in parts:
            raise VerificationError(INCLUDED, f"lacks {place}{PROOF}")
        checkpoint = self._checkpoint
        try:
            proof = parse_proof(parts[PROOF])
            extra = parse_notice_extra(proof.extra or b"")
            leaf = parse_leaf(extra.leaf)
        except InvalidInputError as error:
            raise VerificationError(INCLUDED, f"{place}{PROOF}: {error}") from None
        if proof.checkpoint != self._note:
            raise VerificationError(INCLUDED, f"{place}{PROOF}: is under another checkpoint than the bundle's")
        if proof.index != index:
            raise VerificationError(INCLUDED, f"{place}{PROOF}: is the proof of entry {proof.index}")
        try:
            verify_inclusion(leaf_hash(extra.leaf), index, checkpoint.size, proof.hashes, checkpoint.root)
        except VerificationError as error:
            raise VerificationError(INCLUDED, f"{place}{PROOF}: {error.reason}") from None
        if not self._scope.holds(leaf):
            raise VerificationError(INCLUDED, f"{place}{PROOF}: the entry is not what the bundle is about")
        return leaf, extra.salts

    def _verify_opened(
        self, place: str, leaf: Leaf, salts: Mapping[str, bytes], parts: Mapping[str, bytes]
    ) -> set[str]:
        """Return the parts that a salt opened, each verified."""
        opened = set()
        for commitment, salt in salts.items():
            name = opened_by(leaf.type, commitment)
            if name not in parts:
                raise VerificationError(OPENED, f"lacks {place}{name}, which the entry's proof opens")
            value = hashlib.sha256(parts[name]).digest() if name in ARTEFACTS else parts[name]
            try:
                verify_commitment(leaf, commitment, salt, value)
            except VerificationError as error:
                raise VerificationError(OPENED, f"{place}{name}: {error.reason}") from None
            opened.add(name)
        self.counts["opened"] += len(salts)
        self.counts["closed"] += len(leaf.commitments) - len(salts)
        return opened

    def _verify_sealed(self, place: str, leaf: Leaf, parts: Mapping[str, bytes]) -> set[str]:
        if not _IN_A_SEAL & parts.keys():
            # The notice was erased. There is no salt for it either, and the sums show that no part was removed later.
            self.counts["notices erased"] += 1
            return set()
        for name in (DOCUMENT_NAME, SIGNATURE_NAME):
            if name not in parts:
                raise VerificationError(NOTICES, f"lacks {place}{name}")
        document, signature, token = parts[DOCUMENT_NAME], parts[SIGNATURE_NAME], parts.get(TIMESTAMP_NAME)
        proof = self._proof_of_seal(place, document, parts)
        files = NoticeFiles(document, signature, token, proof, parts.get(RESOURCES_NAME))
        try:
            pending = sum(passed.pending for passed in verify_notice_files(files, self._trust))
        except VerificationError as error:
            raise VerificationError(NOTICES, f"{place}{DOCUMENT_NAME}: {error.step}: {error.reason}") from None
        self._note_signers(place, leaf, signature, token)
        self._seals[leaf.subjects["notice"]] = (hashlib.sha256(document).digest(), hashlib.sha256(signature).digest())
        self.counts["notices"] += 1
        self.counts["timestamps that followed"] += pending
        return self._verify_words(place, document, parts) | (_IN_A_SEAL & parts.keys())

    def _proof_of_seal(self, place: str, document: bytes, parts: Mapping[str, bytes]) -> bytes:
        """Return the proof to verify a notice by: a shared timestamp is over the checkpoint of a proof of its own.

        That proof must be of the same entry, and the bundle's checkpoint must extend the checkpoint in it. NOT checked
        here: the signature of that checkpoint, which is a step of the notice.
        """
        shares = shares_timestamp(document) and TIMESTAMP_NAME in parts
        for name in (PROOF_NAME, CONSISTENCY):
            if (name in parts) != shares:
                what = "holds" if name in parts else "lacks"
                raise VerificationError(NOTICES, f"{what} {place}{name}, which belongs to a shared timestamp")
        if not shares:
            return parts[PROOF]
        try:
            own, entry = parse_proof(parts[PROOF_NAME]), parse_proof(parts[PROOF])
            before = parse_checkpoint_note(own.checkpoint)
        except InvalidInputError as error:
            raise VerificationError(NOTICES, f"{place}{PROOF_NAME}: {error}") from None
        if (own.index, own.extra) != (entry.index, entry.extra):
            raise VerificationError(NOTICES, f"{place}{PROOF_NAME}: is the proof of another entry")
        try:
            hashes, now = parse_consistency(parts[CONSISTENCY]), self._checkpoint
            verify_consistency(before.size, before.root, now.size, now.root, hashes)
        except (InvalidInputError, VerificationError) as error:
            reason = error.reason if isinstance(error, VerificationError) else str(error)
            raise VerificationError(NOTICES, f"{place}{CONSISTENCY}: {reason}") from None
        return parts[PROOF_NAME]

    def _verify_words(self, place: str, document: bytes, parts: Mapping[str, bytes]) -> set[str]:
        """Return the parts with the sealed texts; raises unless they are exactly those of the document."""
        renderings = json.loads(document)["renderings"]
        stated = {(item["language"], item["media_type"], item["sha256"]) for item in renderings}
        words = {name for name in parts if name.startswith("words.")}
        for name in sorted(words):
            language, kind = name.split(".")[1], "text/html" if name.endswith(".html") else "text/plain"
            if (language, kind, hashlib.sha256(parts[name]).hexdigest()) not in stated:
                raise VerificationError(NOTICES, f"{place}{name}: is not a text to which the document commits")
        if len(words) != len(renderings):
            raise VerificationError(NOTICES, f"lacks texts ({place}words…) to which the document commits")
        return words

    def _verify_stamped(self, place: str, leaf: Leaf, parts: Mapping[str, bytes]) -> set[str]:
        here = {TIMESTAMP_NAME, SIGNATURE_NAME} & parts.keys()
        if not here:
            return here
        for name in (SIGNATURE_NAME, TIMESTAMP_NAME):
            if name not in parts:
                raise VerificationError(NOTICES, f"lacks {place}{name}")
        token, signature = parts[TIMESTAMP_NAME], parts[SIGNATURE_NAME]
        verify_token(token, signature, self._trust.timestamp_roots, NOTICES, f"{place}{TIMESTAMP_NAME}")
        seal = self._seals.get(leaf.subjects.get("notice", ""))
        if seal is not None and seal[1] != hashlib.sha256(signature).digest():
            raise VerificationError(NOTICES, f"{place}{SIGNATURE_NAME}: is not the signature of its notice")
        self._note_signers(place, leaf, signature, token)
        self.counts["later timestamps"] += 1
        return here

    def _verify_message(self, place: str, leaf: Leaf, parts: Mapping[str, bytes]) -> set[str]:
        stated = leaf.detail.get("message_sha256")
        here = _MESSAGES & parts.keys()
        if not here:
            self._verify_placed(place, leaf)
            return set()
        name = "message.json" if leaf.detail.get("channel") == "webhook" else "message.eml"
        for other in sorted(here, reverse=True):
            if other != name or hashlib.sha256(parts[other]).hexdigest() != stated:
                raise VerificationError(MESSAGES, f"{place}{other}: is not the message that was recorded")
        self.counts["messages"] += 1
        if leaf.detail.get("form") == "full":
            self._verify_full_mail(f"{place}{name}", leaf, parts[name])
        return set(here)

    def _verify_placed(self, place: str, leaf: Leaf) -> None:
        """Compare the document that was placed in the console. For other channels the message is not in the bundle."""
        stated = leaf.detail.get("message_sha256")
        seal = self._seals.get(leaf.subjects.get("notice", ""))
        if leaf.detail.get("channel") != "console" or seal is None:
            self.counts["messages not here"] += stated is not None
        elif stated is not None:
            if stated != seal[0].hex():
                raise VerificationError(MESSAGES, f"{place}{PROOF}: another document was placed in the console")
            self.counts["placed in the console"] += 1

    def _verify_full_mail(self, name: str, leaf: Leaf, message: bytes) -> None:
        try:
            for _ in verify_notice_mail(message, self._trust):
                pass
            document = parse_signed_mail(message).attachments[DOCUMENT_NAME]
        except VerificationError as error:
            raise VerificationError(MESSAGES, f"{name}: {error.step}: {error.reason}") from None
        seal = self._seals.get(leaf.subjects.get("notice", ""))
        if seal is not None and hashlib.sha256(document).digest() != seal[0]:
            raise VerificationError(MESSAGES, f"{name}: carries another notice than its entry names")
        self.counts["whole mails"] += 1

    def _note_signers(self, place: str, leaf: Leaf, signature: bytes, token: bytes | None) -> None:
        """Record the certificates of a seal; raises if one was revoked before the seal was recorded."""
        try:
            carried = certificates_of_signature(signature) + ([] if token is None else certificates_of_token(token))
            parts = [signer_part(certificate) for certificate in carried]
        except InvalidInputError as error:
            raise VerificationError(CERTIFICATES, f"{place}: {error}") from None
        for name, pem in parts:
            self.signers[name] = pem
            if self.revocations is not None:
                self.revocations.verify(pem, leaf.at, CERTIFICATES, name)
