"""Make the PDF of a letter: laid out by Typst, signed by pyHanko."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from notifications.ports import PdfFile, TimestampAuthority
from notifications.wording.letter import Letter
from service.crypto.cms_signer import CmsSigner


class SignedPdfMaker:
    """Implements ``notifications.ports.PdfMaker`` with the provider's key and timestamp authority."""

    def __init__(self, signer: CmsSigner, authority: TimestampAuthority) -> None:
        self._signer, self._authority = signer, authority

    async def make(self, letter: Letter, files: Sequence[PdfFile], *, author: str, at: datetime) -> bytes:
        """Return the signed PDF; see the port."""
        return await self.sign(await asyncio.to_thread(_typeset, letter, files, author=author, at=at))

    async def sign(self, content: bytes) -> bytes:
        """Return the PDF signed; see the port."""
        await asyncio.to_thread(_load_signer)
        # Imported here, as in ``_typeset``: Typst and pyHanko take longer to load than the rest of a start.
        from service.crypto.pdf_signer import sign_pdf  # noqa: PLC0415 - loaded for the first PDF

        return await sign_pdf(content, self._signer, self._authority)


def _load_signer() -> None:
    # In a thread, so that the event loop does not wait for the import.
    from service.crypto import pdf_signer  # noqa: F401, PLC0415 - loaded for the first PDF


def _typeset(letter: Letter, files: Sequence[PdfFile], *, author: str, at: datetime) -> bytes:
    from service.notice_pdf.typesetting import typeset  # noqa: PLC0415 - loaded for the first PDF

    return typeset(letter, files, author=author, at=at)
