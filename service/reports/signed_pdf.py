"""The PDF of an issued report: signed and kept when its first reader asks for it."""

import contextlib
import hashlib
from collections.abc import Awaitable, Callable

from notifications.errors import NotFoundError, PdfUnavailableError, StateConflictError
from notifications.use_cases.notices.sealing_dependencies import SealingDependencies
from service.ports.reports import ReportPdf
from service.ports.store import AccessStore, AccessTransaction
from service.reports.shown_report import ShownReport


async def signed_pdf(
    store: AccessStore,
    sealing: SealingDependencies,
    shown: ShownReport,
    language: str,
    laid_out: Callable[[], Awaitable[bytes]],
) -> bytes:
    """Return the PDF of an issued report in a language; ``laid_out`` gives the unsigned one if there is none yet.

    1. Return the kept PDF if there is one.
    2. Lay it out, sign it as PAdES B-T with the key and the timestamp authority of the notices.
    3. Commit it with its entry. If another process kept one meanwhile, return that one.

    Raises PdfUnavailableError and the errors of ``PdfMaker.sign``. NOT checked: that the caller may read the report.
    """
    key = (str(shown.stated["period"]), shown.customer, shown.number, language)
    # 1.
    if (kept := await store.read(lambda tx: tx.reports.pdf(*key))) is not None:
        return kept
    if sealing.pdf_maker is None:
        raise PdfUnavailableError("the provider has not installed the part that makes PDFs")
    # 2.
    content = await sealing.pdf_maker.sign(await laid_out())
    # 3.
    with contextlib.suppress(StateConflictError):
        await store.write(lambda tx: _keep(tx, sealing, shown, language, content))
    kept = await store.read(lambda tx: tx.reports.pdf(*key))
    if kept is None:
        raise NotFoundError("report", key[0])
    return kept


def _keep(
    tx: AccessTransaction, sealing: SealingDependencies, shown: ShownReport, language: str, content: bytes
) -> None:
    if len(tx.customers.by_pseudonyms(shown.names.keys())) < len(shown.names):
        raise StateConflictError("a customer that the PDF names was erased meanwhile")
    period, customer, number = str(shown.stated["period"]), shown.customer, shown.number
    entry = sealing.act().entry(
        "report.pdf_made",
        subjects={"customer": customer} if customer else {},
        detail={
            "period": period,
            "number": number,
            "language": language,
            "pdf_sha256": hashlib.sha256(content).hexdigest(),
        },
    )
    tx.audit.append([entry])
    tx.reports.add_pdf(ReportPdf(period, customer, number, language, content, entry.id))
