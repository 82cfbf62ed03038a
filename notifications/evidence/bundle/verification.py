"""Verify a bundle offline, in one pass from its first byte to its last; each step raises, naming the part that is off.

What must be trusted comes from elsewhere, as for a notice: the CA, the timestamp authority's root, the log's keys. What
is *not* checked: that the entries are all that the log has on the subject (whoever made the bundle signed that, and
``greffier audit`` proves it against the whole log); that the log shows the same head to everybody (compare the
checkpoint, look at its witnesses); what the report says in its own words; whether what is recorded is true.
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

#: In the order in which they are told.
BUNDLE_STEPS = (
    ARCHIVE, CONTENTS, ANCHORS, HEAD, INCLUDED, OPENED, NOTICES, MESSAGES, CERTIFICATES, LISTED, SIGNED,
)  # fmt: skip

#: Longest part; sums and report may be longer, they are gone through without being held.
_MAX_CONTENT = 1 << 28
#: Longest folder of one entry, all its parts taken together.
_MAX_FOLDER = 1 << 28
#: What stands before the entries, in the order of names.
_AHEAD = (
    README, ANCHOR_CRL, ANCHOR_CA, ANCHOR_LOG, ANCHOR_TSA, HEADER, CHECKPOINT_FILE, COSIGNATURES, CHECKPOINT_TOKEN,
)  # fmt: skip
_OPTIONAL = frozenset({ANCHOR_CRL, COSIGNATURES, CHECKPOINT_TOKEN})


def verify_bundle(
    source: BinaryIO,
    trust: Trust,
    witnesses: Sequence[VerifierKey] = (),
    accounting: BundleReportBuilder | None = None,
    *,
    policy: Policy | None = None,
) -> Iterator[VerifiedStep]:
    """Read the bundle once, then yield what held; raises VerificationError, naming step and part, at what does not.

    1. Archive: the one strict form; no part twice, out of order, compressed, or of a name that leads elsewhere.
    2. Contents: every part is one that a bundle has; none that it must have is missing.
    3. Anchors: certificates and keys in the bundle are among those trusted beforehand.
    4. Checkpoint: signed by the log's key; its timestamp, where there is one, is over it. Of ``witnesses`` those that
       cosigned it are named; lines of others are not verified, and said to be there. A ``policy`` must be met.
    5. Entries: each is within what the bundle is about, and stands under the checkpoint. As many as it says.
    6. What entries commit to: each salt opens its commitment with the very part that is here.
    7. Notices: every sealed one by the steps of ``verify_notice_files``; later timestamps over its signature.
    8. Messages: each is the one that was recorded; a mail with the whole notice by ``verify_notice_mail``.
    9. Certificates: those listed are those in signatures and timestamps; none was revoked before it was used.
    10. Sums: exactly the parts that are here, with the digests that they have.
    11. Signature: the log's key signed the sums, so that no part is missing that was there.

    Of a bundle that is off in several ways the first part that is off is named, whatever its step. ``accounting`` takes
    each entry that was verified; what it then says holds only once every step did.
    """
    pass_ = _Pass(trust, witnesses, accounting, policy)
    try:
        for part in read_archive(source):
            pass_.take(part)
        pass_.end()
    except VerificationError as error:
        source.seek(0)
        found = first_difference(source, strict=error.step != ARCHIVE)
        raise error if found is None else VerificationError(error.step, f"{error.reason}; {found}") from None
    yield from pass_.findings()


def _digest(part: Part) -> bytes:
    """Return the digest of a part that grows with the bundle and is not held."""
    digest = hashlib.sha256()
    for chunk in part.chunks:
        digest.update(chunk)
    return digest.digest()


class _Pass:
    """One pass over the parts; grows by a few digests per notice, and by nothing else."""

    def __init__(
        self,
        trust: Trust,
        witnesses: Sequence[VerifierKey] = (),
        accounting: BundleReportBuilder | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._trust, self._witnesses, self._policy = trust, witnesses, policy
        self._accounting = accounting
        self._stamped_at: datetime | None = None
        #: the parts before the entries, which are few and small
        self._ahead: dict[str, bytes] = {}
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
        self._beside_head = ""

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
        elif name in _AHEAD:
            self._ahead[name] = content
        elif name.startswith(SIGNERS):
            self._take_signer(name, content)
        else:
            raise VerificationError(CONTENTS, f"holds {name}, which no bundle has")

    def _begin(self) -> EntrySteps:
        """Take the steps over what stands before the entries: 2. to 4."""
        # 2.
        for name in _AHEAD:
            if name not in self._ahead and name not in _OPTIONAL:
                raise VerificationError(CONTENTS, f"lacks {name}")
        try:
            header = self._header = parse_header(self._ahead[HEADER])
        except InvalidInputError as error:
            raise VerificationError(CONTENTS, f"{HEADER}: {error}") from None
        # 3.
        self._verify_anchors()
        # 4.
        note = self._ahead[CHECKPOINT_FILE]
        try:
            checkpoint = verify_checkpoint(note, *self._trust.log_keys)
        except VerificationError as error:
            raise VerificationError(HEAD, f"{CHECKPOINT_FILE}: {error.reason}") from None
        if (header.origin, header.tree_size) != (checkpoint.origin, checkpoint.size):
            raise VerificationError(HEAD, f"{HEADER} names another checkpoint than {CHECKPOINT_FILE} is")
        if (token := self._ahead.get(CHECKPOINT_TOKEN)) is not None:
            at = verify_token(token, note, self._trust.timestamp_roots, HEAD, CHECKPOINT_TOKEN)
            self._stamped_at = at
            self._beside_head += f", timestamped {at:%Y-%m-%d %H:%M:%S} UTC"
        if (lines := self._ahead.get(COSIGNATURES)) is not None:
            self._verify_cosignatures(note, lines)
        if self._policy is not None:
            self._verify_policy(self._policy, note + (lines or b""))
        if self._accounting is not None:
            self._accounting.begin(header, self._stamped_at)
        steps = EntrySteps(self._trust, header.scope, checkpoint, note)
        if (listed := self._ahead.get(ANCHOR_CRL)) is not None:
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
        named = "".join(f", cosigned by {name}" for name in dict.fromkeys(key.name for key in known))
        self._beside_head += named + (f", {others} lines of witnesses not known here" if others else "")

    def _verify_policy(self, policy: Policy, note: bytes) -> None:
        try:
            by = verify_policy(note, policy)
        except VerificationError as error:
            raise VerificationError(HEAD, f"{CHECKPOINT_FILE}: policy: {error.reason}") from None
        self._beside_head += f", meets the policy with {len(by)} of {len(policy.witnesses)} witnesses"

    def _verify_anchors(self) -> None:
        texts = self._ahead
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
        """Take the steps over the entry whose folder is complete: 5. to 9."""
        if self._steps is not None and self._index is not None:
            leaf = self._steps.verify(self._index, self._folder)
            if self._accounting is not None:
                self._accounting.take(self._index, leaf)
        self._index = None

    def _take_signer(self, name: str, content: bytes) -> None:
        if self._steps is None or name not in self._steps.signers:
            raise VerificationError(CERTIFICATES, f"{name}: no signature and no timestamp here carries it")
        if content != self._steps.signers[name]:
            raise VerificationError(CERTIFICATES, f"{name}: is not the certificate that its name says")
        self._listed_signers.add(name)

    def end(self) -> None:
        """Take the steps that want all parts: 5. and 9. to 11.; raises VerificationError."""
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
        """Yield what each step established, once ``end`` has."""
        header, counts = self._known_header(), {} if self._steps is None else self._steps.counts
        signers = {} if self._steps is None else self._steps.signers

        def told(*names: str) -> str:
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
            HEAD: f"{header.origin}, {header.tree_size} entries{self._beside_head}",
            INCLUDED: f"{counts.get('entries', 0)} entries, each under the checkpoint",
            OPENED: f"{counts.get('opened', 0)} opened, {closed} kept closed (erased, or not this reader's)",
            NOTICES: told("notices", "later timestamps", "timestamps that followed", "notices erased"),
            MESSAGES: told("messages", "whole mails", "placed in the console", "messages not here"),
            CERTIFICATES: f"{len(signers)} certificates; {revoked}",
            LISTED: f"{self._parts - 2} parts, each as listed",
            SIGNED: header.origin,
        }
        for number, step in enumerate(BUNDLE_STEPS, 1):
            partial = (step == CERTIFICATES and revocations is None) or (step == OPENED and closed > 0)
            yield VerifiedStep(number, step, found[step], partial=partial)
