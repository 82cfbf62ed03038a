"""Whether the optional extra ``pdf`` is installed, and the maker of PDFs if it is."""

import importlib.util

from notifications.ports import PdfMaker, TimestampAuthority
from service.crypto.cms_signer import CmsSigner

#: What to say to an operator who wants PDFs.
ADVICE = "the optional extra pdf is not installed: pip install 'greffier[pdf]'"


def is_installed() -> bool:
    """Return whether what makes and verifies PDFs is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("pyhanko", "typst"))


def pdf_maker(signer: CmsSigner, authority: TimestampAuthority) -> PdfMaker | None:
    """Return the maker of PDFs, or None if the extra is not installed."""
    if not is_installed():
        return None
    from service.notice_pdf.maker import SignedPdfMaker  # noqa: PLC0415 - its imports are in the optional extra

    return SignedPdfMaker(signer, authority)
