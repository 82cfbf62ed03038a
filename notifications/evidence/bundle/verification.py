"""Verify a bundle offline, in one pass from the first byte to the last. A failed step raises with the faulty part.

As for a notice, the caller must get the trust anchors separately: the CA, the root of the timestamp authority, and the
keys of the log. *Not* checked: whether these are all entries of the log in the scope (the log's key signed the list of
parts; ``greffier audit`` proves it with the whole log); whether everybody sees the same head of the log (compare the
checkpoint, and check its witnesses); the texts of the report; whether the records are true.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import BinaryIO

from notifications.audit.checkpoint import verify_checkpoint, verify_cosignature
from notifications.audit.note import VerifierKey, parse_note, signatures_of, verify_note
from notifications.audit.policy import Policy, verify_policy
from notifications.errors import InvalidInputError, VerificationError
from notifications.evidence.bundle.archive import ARCHIVE, Part, read_archive
from notifications.evidence.bundle.contents import (
    ANCHOR_CA,
    ANCHOR_CRL,
    ANCHOR_LOG,
    ANCHOR_TSA,
    CHECKPOINT_FILE,
    CHECKPOINT_TOKEN,
    CONTENTS,
    COSIGNATURES,
    HEADER,
    README,
    REPORT,
    SIGNERS,
    SUMS,
    SUMS_NOTE,
    Header,
    checksum_line,
    entry_folder,
    note_text,
    parse_header,
    place_of,
)
from notifications.evidence.bundle.diagnosis import first_difference
from notifications.evidence.bundle.entry_steps import CERTIFICATES, INCLUDED, MESSAGES, NOTICES, OPENED, EntrySteps
from notifications.evidence.bundle.report import BundleReportBuilder
from notifications.evidence.bundle.signers import parse_revocations, verify_token
from notifications.evidence.verification import Trust, VerifiedStep, parse_trust

ANCHORS = "anchors"
HEAD = "checkpoint"
LISTED = "sums"
SIGNED = "signature of the log"

#: The steps in the order in which they are reported.
BUNDLE_STEPS = (
    ARCHIVE, CONTENTS, ANCHORS, HEAD, INCLUDED, OPENED, NOTICES, MESSAGES, CERTIFICATES, LISTED, SIGNED,
)  # fmt: skip

#: Longest part. Sums and report may be longer, because they are read in chunks.
_MAX_CONTENT = 1 << 28
#: Longest folder of one entry: the sum of all its parts.
_MAX_FOLDER = 1 << 28
#: The parts before the entries, sorted by name.
_LEADING_PARTS = (
    README, ANCHOR_CRL, ANCHOR_CA, ANCHOR_LOG, ANCHOR_TSA, HEADER, CHECKPOINT_FILE, COSIGNATURES, CHECKPOINT_TOKEN,
)  # fmt: skip
_OPTIONAL = frozenset({ANCHOR_CRL, COSIGNATURES, CHECKPOINT_TOKEN})


def verify_bundle(
    source: BinaryIO,
    trust: Trust,
    witnesses: Sequence[VerifierKey] = (),
    report_builder: BundleReportBuilder | None = None,
    *,
    policy: Policy | None = None,
) -> Iterator[VerifiedStep]:
    """Read the bundle once, then yield the steps that passed; raises VerificationError with step and part at a failure.

    1. Archive: the one strict format. No part occurs twice, is out of order or compressed, or has an unsafe name.
    2. Contents: every part is known, and no required part is missing.
    3. Anchors: the certificates and keys in the bundle are among the trusted ones.
    4. Checkpoint: signed by the log's key, and its timestamp, if any, covers it. The finding names each of the
       ``witnesses`` that cosigned it, and the number of other cosignature lines, which are not verified. A ``policy``
       must be met.
    5. Entries: each is in the scope of the bundle and in the tree of the checkpoint. Their number is as stated.
    6. What entries commit to: each salt opens its commitment with exactly the part in the bundle.
    7. Notices: each seal by the steps of ``verify_notice_files``, and later timestamps over its signature. The bundle's
       checkpoint extends the one that a shared timestamp is over.
    8. Messages: each is the recorded one. A mail with the whole notice also by ``verify_notice_mail``.
    9. Certificates: those listed are those in signatures and timestamps. None was revoked before its use.
    10. Sums: exactly the parts of the bundle, with their digests.
    11. Signature: the log's key signed the sums, so that no part was removed.

    If a bundle has several faults, the first faulty part is reported, whatever its step. ``report_builder`` takes each
    verified entry. Its report is valid only after every step has passed.
    """
    bundle_pass = _BundlePass(trust, witnesses, report_builder, policy)
    try:
        for part in read_archive(source):
            bundle_pass.take(part)
        bundle_pass.end()
    except VerificationError as error:
        source.seek(0)
        found = first_difference(source, strict=error.step != ARCHIVE)
        raise error if found is None else VerificationError(error.step, f"{error.reason}; {found}") from None
    yield from bundle_pass.findings()


def _digest(part: Part) -> bytes:
    """Return the digest of a part of any length, which is read in chunks."""
    digest = hashlib.sha256()
    for chunk in part.chunks:
        digest.update(chunk)
    return digest.digest()


class _BundlePass:
    """One pass over the parts. Its memory grows only by a few digests per notice."""

    def __init__(
        self,
        trust: Trust,
        witnesses: Sequence[VerifierKey] = (),
        report_builder: BundleReportBuilder | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._trust, self._witnesses, self._policy = trust, witnesses, policy
        self._report_builder = report_builder
        self._stamped_at: datetime | None = None
        #: the parts before the entries, which are few and small
        self._leading_parts: dict[str, bytes] = {}
        self._header: Header | None = None
        self._steps: EntrySteps | None = None
        #: the entry that is being read, and the parts of its folder
        self._index: int | None = None
        self._folder: dict[str, bytes] = {}
        self._folder_bytes = 0
        self._listed_signers: set[str] = set()
        self._has_report = False
        self._parts = 0
        self._sums = hashlib.sha256()
        self._stated_sums: bytes | None = None
        self._note: bytes | None = None
        self._checkpoint_remarks = ""

    def take(self, part: Part) -> None:
        """Take the next part; raises VerificationError."""
        name, place = part.name, place_of(part.name)
        self._parts += 1
        if self._index is not None and (place is None or place[0] != self._index):
            self._end_entry()
        if name == SUMS:
            self._stated_sums = _digest(part)
            return
        if name == REPORT:
            self._has_report = True
            self._sums.update(checksum_line(name, _digest(part)))
            return
        content = part.content(_MAX_CONTENT)
        if name == SUMS_NOTE:
            self._note = content
            return
        self._sums.update(checksum_line(name, hashlib.sha256(content).digest()))
        if place is not None:
            self._take_of_entry(*place, content)
        elif name in _LEADING_PARTS:
            self._leading_parts[name] = content
        elif name.startswith(SIGNERS):
            self._take_signer(name, content)
        else:
            raise VerificationError(CONTENTS, f"holds {name}, which no bundle has")

    def _begin(self) -> EntrySteps:
        """Run steps 2 to 4 over the parts before the entries."""
        # 2.
        for name in _LEADING_PARTS:
            if name not in self._leading_parts and name not in _OPTIONAL:
                raise VerificationError(CONTENTS, f"lacks {name}")
        try:
            header = self._header = parse_header(self._leading_parts[HEADER])
        except InvalidInputError as error:
            raise VerificationError(CONTENTS, f"{HEADER}: {error}") from None
        # 3.
        self._verify_anchors()
        # 4.
        note = self._leading_parts[CHECKPOINT_FILE]
        try:
            checkpoint = verify_checkpoint(note, *self._trust.log_keys)
        except VerificationError as error:
            raise VerificationError(HEAD, f"{CHECKPOINT_FILE}: {error.reason}") from None
        if (header.origin, header.tree_size) != (checkpoint.origin, checkpoint.size):
            raise VerificationError(HEAD, f"{HEADER} names another checkpoint than {CHECKPOINT_FILE} is")
        if (token := self._leading_parts.get(CHECKPOINT_TOKEN)) is not None:
            at = verify_token(token, note, self._trust.timestamp_roots, HEAD, CHECKPOINT_TOKEN)
            self._stamped_at = at
            self._checkpoint_remarks += f", timestamped {at:%Y-%m-%d %H:%M:%S} UTC"
        if (lines := self._leading_parts.get(COSIGNATURES)) is not None:
            self._verify_cosignatures(note, lines)
        if self._policy is not None:
            self._verify_policy(self._policy, note + (lines or b""))
        if self._report_builder is not None:
            self._report_builder.begin(header, self._stamped_at)
        steps = EntrySteps(self._trust, header.scope, checkpoint, note)
        if (listed := self._leading_parts.get(ANCHOR_CRL)) is not None:
            try:
                steps.revocations = parse_revocations(listed, self._trust.ca)
            except InvalidInputError as error:
                raise VerificationError(ANCHORS, f"anchors/{error}") from None
        return steps

    def _verify_cosignatures(self, note: bytes, lines: bytes) -> None:
        try:
            before, whole = parse_note(note), parse_note(note + lines)
        except InvalidInputError as error:
            raise VerificationError(HEAD, f"{COSIGNATURES}: {error}") from None
        if whole.text != before.text or len(whole.signatures) == len(before.signatures):
            raise VerificationError(HEAD, f"{COSIGNATURES}: holds no lines for {CHECKPOINT_FILE}")
        known = [key for key in self._witnesses if signatures_of(whole, key)]
        for key in known:
            try:
                verify_cosignature(note + lines, key)
            except VerificationError as error:
                raise VerificationError(HEAD, f"{COSIGNATURES}: {error.reason}") from None
        others = len(whole.signatures) - len(before.signatures) - len(known)
        named = "".join(f", cosigned by {key.name}" for key in known)
        self._checkpoint_remarks += named + (f", {others} lines of witnesses not known here" if others else "")

    def _verify_policy(self, policy: Policy, note: bytes) -> None:
        try:
            by = verify_policy(note, policy)
        except VerificationError as error:
            raise VerificationError(HEAD, f"{CHECKPOINT_FILE}: policy: {error.reason}") from None
        self._checkpoint_remarks += f", meets the policy with {len(by)} of {len(policy.witnesses)} witnesses"

    def _verify_anchors(self) -> None:
        texts = self._leading_parts
        try:
            own = parse_trust(texts[ANCHOR_CA], texts[ANCHOR_TSA], texts[ANCHOR_LOG].decode("utf-8", "replace"))
        except InvalidInputError as error:
            raise VerificationError(ANCHORS, f"anchors/{error}") from None
        differs = {
            ANCHOR_CA: set(own.ca) - set(self._trust.ca),
            ANCHOR_TSA: set(own.timestamp_roots) - set(self._trust.timestamp_roots),
            ANCHOR_LOG: set(own.log_keys) - set(self._trust.log_keys),
        }
        for name, strange in differs.items():
            if strange:
                raise VerificationError(ANCHORS, f"{name}: is not among what you trust")

    def _take_of_entry(self, index: int, name: str, content: bytes) -> None:
        if self._steps is None:
            self._steps = self._begin()
        if self._index is None:
            self._index, self._folder, self._folder_bytes = index, {}, 0
        self._folder[name] = content
        self._folder_bytes += len(content)
        if self._folder_bytes > _MAX_FOLDER:
            raise VerificationError(CONTENTS, f"{entry_folder(index)} is longer than {_MAX_FOLDER} bytes")

    def _end_entry(self) -> None:
        """Run steps 5 to 9 over the entry whose folder is complete."""
        if self._steps is not None and self._index is not None:
            leaf = self._steps.verify(self._index, self._folder)
            if self._report_builder is not None:
                self._report_builder.take(self._index, leaf)
        self._index = None

    def _take_signer(self, name: str, content: bytes) -> None:
        if self._steps is None or name not in self._steps.signers:
            raise VerificationError(CERTIFICATES, f"{name}: no signature and no timestamp here carries it")
        if content != self._steps.signers[name]:
            raise VerificationError(CERTIFICATES, f"{name}: is not the certificate that its name says")
        self._listed_signers.add(name)

    def end(self) -> None:
        """Run the rest of step 5 and steps 9 to 11, which need all parts; raises VerificationError."""
        if self._steps is None:
            self._steps = self._begin()
        steps, header = self._steps, self._known_header()
        # 5.
        if steps.counts["entries"] != header.entries:
            found = f"holds {steps.counts['entries']} entries, and {HEADER} says {header.entries}"
            raise VerificationError(LISTED, found)
        # 9.
        if missing := steps.signers.keys() - self._listed_signers:
            raise VerificationError(CERTIFICATES, f"lacks {min(missing)}")
        # 10.
        if not self._has_report:
            raise VerificationError(CONTENTS, f"lacks {REPORT}")
        for name, known in ((SUMS, self._stated_sums), (SUMS_NOTE, self._note)):
            if known is None:
                raise VerificationError(CONTENTS, f"lacks {name}")
        if self._stated_sums != self._sums.digest():
            raise VerificationError(LISTED, f"{SUMS} does not list the parts that are here")
        # 11.
        try:
            note, _ = verify_note(self._note or b"", self._trust.log_keys)
        except VerificationError as error:
            raise VerificationError(SIGNED, f"{SUMS_NOTE}: {error.reason}") from None
        if note.text != note_text(header.origin, header.tree_size, self._sums.digest()):
            raise VerificationError(SIGNED, f"{SUMS_NOTE}: is signed over other sums")

    def _known_header(self) -> Header:
        if self._header is None:
            raise VerificationError(CONTENTS, f"lacks {HEADER}")
        return self._header

    def findings(self) -> Iterator[VerifiedStep]:
        """Yield the finding of each step, after ``end`` has run."""
        header, counts = self._known_header(), {} if self._steps is None else self._steps.counts
        signers = {} if self._steps is None else self._steps.signers

        def counted(*names: str) -> str:
            return ", ".join(f"{counts.get(name, 0)} {name}" for name in names if counts.get(name) or name == names[0])

        revocations = None if self._steps is None else self._steps.revocations
        revoked = (
            "no revocation list is here: revocation not checked"
            if revocations is None
            else f"none revoked before its use by the list of {revocations.issued_at:%Y-%m-%d}"
        )
        closed = counts.get("closed", 0)
        found = {
            ARCHIVE: f"{self._parts} parts in the one form",
            CONTENTS: f"made for {header.reader}, in {header.language}",
            ANCHORS: "those that you trust",
            HEAD: f"{header.origin}, {header.tree_size} entries{self._checkpoint_remarks}",
            INCLUDED: f"{counts.get('entries', 0)} entries, each under the checkpoint",
            OPENED: f"{counts.get('opened', 0)} opened, {closed} kept closed (erased, or not this reader's)",
            NOTICES: counted("notices", "later timestamps", "timestamps that followed", "notices erased"),
            MESSAGES: counted("messages", "whole mails", "placed in the console", "messages not here"),
            CERTIFICATES: f"{len(signers)} certificates; {revoked}",
            LISTED: f"{self._parts - 2} parts, each as listed",
            SIGNED: header.origin,
        }
        for number, step in enumerate(BUNDLE_STEPS, 1):
            partial = (step == CERTIFICATES and revocations is None) or (step == OPENED and closed > 0)
            yield VerifiedStep(number, step, found[step], partial=partial)
