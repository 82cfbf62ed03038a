"""Write an evidence bundle to a file. The store is read in small parts, so memory does not grow with the bundle."""

import asyncio
import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from notifications.audit.entry import parse_leaf
from notifications.audit.note import sign_note
from notifications.audit.proof import parse_notice_extra, parse_proof
from notifications.crypto.timestamps import certificates_of_token, token_time
from notifications.errors import Fault, InvalidInputError
from notifications.evidence.bundle.archive import ArchiveWriter
from notifications.evidence.bundle.contents import (
    ANCHOR_CA,
    ANCHOR_CRL,
    ANCHOR_LOG,
    ANCHOR_TSA,
    CHECKPOINT_FILE,
    CHECKPOINT_TOKEN,
    COSIGNATURES,
    HEADER,
    PROOF,
    README,
    REPORT,
    SUMS,
    SUMS_NOTE,
    checksum_line,
    format_header,
    note_text,
)
from notifications.evidence.bundle.report import BundleReportBuilder
from notifications.evidence.bundle.report_section import report_section
from notifications.evidence.bundle.signers import (
    certificates_of_signature,
    signer_part,
)
from notifications.evidence.bundle.texts import readme, report_begin, report_end, report_entries, report_row
from notifications.use_cases.evidence.bundle_evidence import BundlePlan, entry_parts
from service.audit_log.publishing import Reads

#: Number of entries that are read together. A mail has about 100 kB.
_AT_ONCE = 16
#: A spool with more bytes than this is a file on disk.
_IN_MEMORY = 1 << 20


@dataclass(frozen=True, slots=True)
class Anchors:
    """The trust anchors of verifiers, as files."""

    ca: bytes
    timestamp_roots: bytes
    log_keys: bytes
    #: the CA's certificate revocation list, if it publishes one
    revocations: bytes | None


def read_anchors(trust_dir: Path) -> Anchors:
    """Return the anchors in the folder of which customers have a copy; raises InvalidInputError."""
    revocations = trust_dir / "ca.crl"
    try:
        return Anchors(
            (trust_dir / "ca.pem").read_bytes(),
            (trust_dir / "tsa.pem").read_bytes(),
            (trust_dir / "log.vkey").read_bytes(),
            revocations.read_bytes() if revocations.exists() else None,
        )
    except OSError as error:
        raise InvalidInputError(Fault("trust", f"{error.filename} cannot be read: {error.strerror}")) from None


async def write_bundle(
    target: BinaryIO,
    reads: Reads,
    plan: BundlePlan,
    anchors: Anchors,
    signers: Sequence[Ed25519PrivateKey],
    *,
    folder: Path | None = None,
    progress: Callable[[int], None] = lambda _count: None,
) -> bytes:
    """Write a bundle and return the digest of its sums.

    ``signers`` are the log's keys, the current one first. ``folder`` is the folder for unnamed temporary files with the
    parts that come last in the bundle.

    1. Write the files that come before the entries.
    2. Write the entries in small groups, and collect the data of the report from each.
    3. Write the report, the certificates that were used, the sums, and the log's signature over the sums.
    """
    with contextlib.ExitStack() as stack:
        writing = _Writing(target, stack, plan, folder)
        # 1.
        await asyncio.to_thread(writing.begin, anchors)
        # 2.
        for start in range(0, len(plan.indices), _AT_ONCE):
            indices = plan.indices[start : start + _AT_ONCE]
            read = await reads(lambda tx, indices=indices: [  # type: ignore[misc]  # mypy knows no defaults of lambdas
                (index, list(entry_parts(tx, plan, index))) for index in indices
            ])  # fmt: skip
            await asyncio.to_thread(writing.add_entries, read)
            progress(len(indices))
        # 3.
        return await asyncio.to_thread(writing.end, signers)


class _Writing:
    """A bundle that is being written."""

    def __init__(self, target: BinaryIO, stack: contextlib.ExitStack, plan: BundlePlan, folder: Path | None) -> None:
        directory, self._sums, self._rows, self._report = (stack.enter_context(_spool(folder)) for _ in range(4))
        self._archive, self._plan = ArchiveWriter(target, directory), plan
        self._digest = hashlib.sha256()
        self._signers: dict[str, bytes] = {}
        self._accounting = BundleReportBuilder()

    def begin(self, anchors: Anchors) -> None:
        header = self._plan.header
        parts = {
            README: readme(header, revocations=anchors.revocations is not None),
            ANCHOR_CRL: anchors.revocations,
            ANCHOR_CA: anchors.ca,
            ANCHOR_LOG: anchors.log_keys,
            ANCHOR_TSA: anchors.timestamp_roots,
            HEADER: format_header(header),
            CHECKPOINT_FILE: self._plan.checkpoint,
            COSIGNATURES: self._plan.cosignatures or None,
            CHECKPOINT_TOKEN: self._plan.token,
        }
        for name, content in parts.items():
            if content is not None:
                self._add(name, content)
        self._accounting.begin(header, None if self._plan.token is None else token_time(self._plan.token))

    def add_entries(self, entries: Sequence[tuple[int, Sequence[tuple[str, bytes]]]]) -> None:
        for index, parts in entries:
            names = []
            for name, content in parts:
                self._add(name, content)
                short = name.rpartition("/")[2]
                names.append(short)
                if short.endswith((".p7s", ".tsr")):
                    self._note_signers(short, content)
            leaf = parse_leaf(parse_notice_extra(parse_proof(parts[0][1]).extra or b"").leaf)
            if names[0] != PROOF:
                raise LookupError(f"the proof of entry {index} is not its first part")
            self._accounting.take(index, leaf)
            self._rows.write(report_row(self._plan.header, index, leaf, names))

    def _note_signers(self, name: str, content: bytes) -> None:
        carried = certificates_of_signature(content) if name.endswith(".p7s") else certificates_of_token(content)
        self._signers.update(signer_part(certificate) for certificate in carried)

    def end(self, signers: Sequence[Ed25519PrivateKey]) -> bytes:
        header = self._plan.header
        self._write_report()
        self._add_file(REPORT, self._report)
        for name in sorted(self._signers):
            self._add(name, self._signers[name])
        digest = self._digest.digest()
        self._archive.add_file(SUMS, self._sums)
        note = sign_note(
            note_text(header.origin, header.tree_size, digest), header.origin, signers[0], also=signers[1:]
        )
        self._archive.add(SUMS_NOTE, note)
        self._archive.finish()
        return digest

    def _write_report(self) -> None:
        """Write the report. Its first part is complete only after the last entry."""
        header = self._plan.header
        self._report.write(report_begin(header))
        for piece in report_section(self._accounting):
            # Not writelines: the spool would check its size only after the last piece.
            self._report.write(piece)
        self._report.write(report_entries(header))
        self._rows.seek(0)
        shutil.copyfileobj(self._rows, self._report)
        self._report.write(report_end())

    def _add(self, name: str, content: bytes) -> None:
        self._archive.add(name, content)
        self._list(name, hashlib.sha256(content).digest())

    def _add_file(self, name: str, content: BinaryIO) -> None:
        self._archive.add_file(name, content)
        content.seek(0)
        digest = hashlib.sha256()
        while chunk := content.read(_IN_MEMORY):
            digest.update(chunk)
        self._list(name, digest.digest())

    def _list(self, name: str, digest: bytes) -> None:
        line = checksum_line(name, digest)
        self._digest.update(line)
        self._sums.write(line)


@contextlib.contextmanager
def _spool(folder: Path | None) -> Iterator[BinaryIO]:
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=None if folder is None else str(folder)) as file:
        yield file  # type: ignore[misc]  # a binary file in all but its declared type
