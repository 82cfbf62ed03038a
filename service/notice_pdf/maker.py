"""Make the PDF of a letter: laid out by Typst, signed by pyHanko."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from notifications.ports import PdfFile, TimestampAuthority
from notifications.wording.letter import Letter
from service.crypto.cms_signer import CmsSigner
from service.crypto.pdf_signer import sign_pdf
from service.notice_pdf.typesetting import typeset


class SignedPdfMaker:
    """Implements ``notifications.ports.PdfMaker`` with the provider's key and timestamp authority."""

    def __init__(self, signer: CmsSigner, authority: TimestampAuthority) -> None:
        self._signer, self._authority = signer, authority

    async def make(self, letter: Letter, files: Sequence[PdfFile], *, author: str, at: datetime) -> bytes:
        """Return the signed PDF; see the port."""
        content = await asyncio.to_thread(typeset, letter, files, author=author, at=at)
        return await sign_pdf(content, self._signer, self._authority)
