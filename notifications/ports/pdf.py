"""Notices on paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from notifications.wording.letter import Letter


class Relationship(StrEnum):
    """What an embedded file is to the PDF (``AFRelationship``, ISO 19005-3, 6.8)."""

    #: the PDF was made from it
    SOURCE = "source"
    DATA = "data"
    SUPPLEMENT = "supplement"


@dataclass(frozen=True, slots=True)
class PdfFile:
    """A file that is embedded in a PDF, byte for byte."""

    name: str
    content: bytes
    media_type: str
    relationship: Relationship
    #: one English sentence without a full stop
    description: str


class PdfMaker(Protocol):
    """Makes PDFs from letters, and signs PDFs."""

    async def make(self, letter: Letter, files: Sequence[PdfFile], *, author: str, at: datetime) -> bytes:
        """Return a tagged PDF/A-3 with the words of the letter and the files, signed as PAdES B-T.

        ``at`` is the time in its metadata. It needs no font and no file of the machine. A character that no font has is
        shown by its name, such as ``⟨U+E000⟩``. Raises SealingUnavailableError without a usable key, and
        TimestampUnavailableError if the authority gives no timestamp. Never returns a PDF without both.
        """
        ...

    async def sign(self, content: bytes) -> bytes:
        """Return a PDF signed as PAdES B-T, with no change allowed; raises like ``make``."""
        ...
