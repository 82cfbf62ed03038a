"""Make the PDF of a sealed notice once, keep it, and record it in the log."""

import contextlib
import hashlib
import json
from uuid import UUID

from notifications.errors import (
    LogUnavailableError,
    NotFoundError,
    PdfUnavailableError,
    StateConflictError,
    TimestampUnavailableError,
)
from notifications.mail.parts import (
    ATTACHMENT_TYPES,
    DOCUMENT_NAME,
    PROOF_NAME,
    RESOURCES_NAME,
    SIGNATURE_NAME,
    TIMESTAMP_NAME,
)
from notifications.notice.seal import SealedNotice, SealedRendering
from notifications.ports import PdfFile, Transaction
from notifications.ports.pdf import Relationship
from notifications.use_cases.incidents.apply_facts import notice_subjects
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies
from notifications.wording.letter import Commands, Letter
from notifications.wording.rendering import letter, render

#: The entry that records a PDF, and its commitment to the bytes.
PDF_MADE, PDF = "notice.pdf_made", "pdf"

_DESCRIPTIONS = {
    DOCUMENT_NAME: (Relationship.SOURCE, "The signed document"),
    SIGNATURE_NAME: (Relationship.SUPPLEMENT, "The provider's detached CMS signature over the document"),
    TIMESTAMP_NAME: (Relationship.SUPPLEMENT, "The RFC 3161 timestamp over this signature"),
    PROOF_NAME: (Relationship.SUPPLEMENT, "The proof that the provider's audit log contains the document"),
    RESOURCES_NAME: (Relationship.DATA, "The affected resources"),
}
_SHARED_TIMESTAMP = (Relationship.SUPPLEMENT, "The RFC 3161 timestamp over the checkpoint in the proof")


async def make_pdf(notice_id: UUID, language: str, sealing: SealingDependencies, time_zone: str | None = None) -> bytes:
    """Return the PDF of a sealed notice in a language. The first call makes and keeps it; later calls return the same.

    1. Return the kept PDF if there is one.
    2. Require the timestamp and the log proof of the notice, because the PDF carries both. Raises
       TimestampUnavailableError and LogUnavailableError: the PDF waits, the notice does not.
    3. Lay out the sealed words, embed the document with its proofs, sign and timestamp the PDF.
    4. Commit the PDF with its audit entry. If another process kept one meanwhile, return that one.

    Raises NotFoundError if the notice is not sealed in this language and time zone, PdfUnavailableError, and the errors
    of ``PdfMaker``. NOT checked: that the caller may read the notice.
    """
    # 1.
    kept, sealed = await sealing.unit_of_work.read(
        lambda tx: (tx.notices.pdf(notice_id, language, time_zone), tx.notices.seal(notice_id))
    )
    if kept is not None:
        return kept
    if sealed is None:
        raise NotFoundError("seal of notice", notice_id)
    rendering = _rendering(sealed, language, time_zone)
    if sealing.pdf_maker is None:
        raise PdfUnavailableError("the provider has not installed the part that makes PDFs")
    # 2.
    if sealed.timestamp is None:
        raise TimestampUnavailableError("the timestamp of the notice is not here yet, and its PDF waits for it")
    if sealed.log_proof is None:
        raise LogUnavailableError("the log proof of the notice is not here yet, and its PDF waits for it")
    # 3.
    content = await sealing.pdf_maker.make(
        sealed_letter(sealed.document, rendering),
        embedded_files(sealed),
        author=sealing.provider.name,
        at=sealed.sealed_at,
    )
    # 4.
    return await _keep(notice_id, language, time_zone, content, sealing)


def _rendering(sealed: SealedNotice, language: str, time_zone: str | None) -> SealedRendering:
    for rendering in sealed.renderings:
        if (rendering.language, rendering.time_zone) == (language, time_zone):
            return rendering
    raise NotFoundError(f"text in {language} of notice", sealed.notice_id)


def sealed_letter(document: bytes, rendering: SealedRendering) -> Letter:
    """Return the blocks of a sealed text.

    If this release words the document in another way than the release that sealed it, the sealed text is returned as
    lines: what was sealed decides, not what would be written today.
    """
    stated = json.loads(document)
    said = letter(stated, rendering.language, rendering.time_zone)
    today = render(stated, rendering.language, rendering.time_zone)
    if (today.text, today.html) == (rendering.text, rendering.html):
        return said
    return Letter(
        language=rendering.language,
        subject=rendering.subject,
        tlp=said.tlp,
        tlp_colour=said.tlp_colour,
        heading=rendering.subject,
        opening=(Commands(tuple(rendering.text.split("\n"))),),
        sections=(),
        footer=(),
    )


def embedded_files(sealed: SealedNotice) -> list[PdfFile]:
    """Return the document with its proofs, as the mail has them."""
    parts = {
        DOCUMENT_NAME: sealed.document,
        SIGNATURE_NAME: sealed.signature,
        TIMESTAMP_NAME: sealed.timestamp,
        PROOF_NAME: sealed.log_proof,
        RESOURCES_NAME: sealed.resources_csv,
    }
    descriptions = _DESCRIPTIONS | ({TIMESTAMP_NAME: _SHARED_TIMESTAMP} if sealed.shares_timestamp else {})
    return [
        PdfFile(name, content, ATTACHMENT_TYPES[name].partition(";")[0], *descriptions[name])
        for name, content in parts.items()
        if content is not None
    ]


async def _keep(
    notice_id: UUID, language: str, time_zone: str | None, content: bytes, sealing: SealingDependencies
) -> bytes:
    act = sealing.act()

    def work(tx: Transaction) -> None:
        notice = tx.notices.require(notice_id)
        entry = act.entry(
            PDF_MADE,
            subjects=notice_subjects(notice, tx.customers.pseudonym(notice.customer_id)),
            detail={
                "sequence": notice.sequence,
                "language": language,
                "pdf_sha256": hashlib.sha256(content).hexdigest(),
            },
            # The commitment is to the bytes themselves. So the PDF is stored with its entry, is erased with it, and
            # every verifier of bundles reads it as an opening.
            digests={PDF: content},
            exercise=notice.exercise,
        )
        tx.notices.add_pdf(notice_id, language, time_zone, entry.id)
        tx.audit.append([entry])

    with contextlib.suppress(StateConflictError):
        await sealing.unit_of_work.write(work)
    kept = await sealing.unit_of_work.read(lambda tx: tx.notices.pdf(notice_id, language, time_zone))
    if kept is None:
        raise NotFoundError("notice", notice_id)
    return kept
