"""Lay out a letter as a tagged PDF/A-3 by Typst.

Every word reaches Typst as data, in a JSON file: Typst sets the value of a string as text and never parses it. The
template is a file of this package, and it opens only the files that are given to it in memory.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from unicodedata import category

import typst

from notifications.ports import PdfFile
from notifications.wording.letter import Block, Letter, Phrase, Quote, Rows, Table

#: PDF/A-3 with the accessible level a, and PDF/UA-1: Typst refuses to write a file that breaks a rule it knows.
STANDARDS = ("a-3a", "ua-1")
_FOLDER = Path(str(resources.files(__package__)))
_FONTS = _FOLDER / "fonts"
_TEMPLATE = (_FOLDER / "letter.typ").read_bytes()
#: How Typst names text that no font can show.
_NO_GLYPH = re.compile(r'the text `"(.+?)"` could not be displayed', re.DOTALL)
#: How Typst names a character that PDF/A-3 forbids. It names one of them in each run.
_FORBIDDEN = re.compile(r"codepoint `\"")
_BYTE_ORDER_MARKS = frozenset("\ufeff\ufffe")
_PRIVATE_USE = "Co"
_LAST_OF_BASIC_PLANE = 0xFFFF
#: What Typst raises for a defect of its own. The class has no name to import, and it is no subclass of Exception: it
#: would pass every handler that keeps a notice from waiting for its PDF.
_PANIC = "PanicException"
_ESCAPE = re.compile(r"\\u\{([0-9a-f]+)\}")
#: Typst mostly reports every such text of one run, so few runs are needed; the limit is for a defect.
_MOST_RUNS = 12


class TypesettingError(RuntimeError):
    """Typst itself failed on a text, by a defect of Typst."""


def typeset(letter: Letter, files: Sequence[PdfFile], *, author: str, at: datetime) -> bytes:
    """Return an unsigned PDF; the same arguments give the same bytes.

    A character that no font of the package has is shown by its name, such as ``⟨U+E000⟩``.
    """
    data = json.dumps(_letter_data(letter, files, author), ensure_ascii=False)
    sources = {"main.typ": _TEMPLATE} | {file.name: file.content for file in files if _is_text(file.content)}
    return compiled_pdf(sources, "letter.json", data, at=at)


def compiled_pdf(sources: Mapping[str, bytes], name: str, data: str, *, at: datetime) -> bytes:
    """Return the PDF of a template ``main.typ`` among the sources, with its data in the file ``name``.

    A character that no font of the package has, or that PDF/A-3 forbids, is shown by its name. So are those outside of
    the Basic Multilingual Plane if Typst fails on the text. Raises TypesettingError if it still fails.
    """
    for _ in range(_MOST_RUNS - 1):
        try:
            return _compiled({**sources, name: data.encode()}, at)
        except TypesettingError:
            missing = {each for each in set(data) if ord(each) > _LAST_OF_BASIC_PLANE}
            if not missing:
                raise
            data = _named(data, missing)
        except typst.TypstError as error:
            missing = _without_glyph(error.diagnostic)
            if _FORBIDDEN.search(error.diagnostic):
                missing |= _forbidden_in(data)
            if not missing:
                raise
            data = _named(data, missing)
    return _compiled({**sources, name: data.encode()}, at)


def _compiled(sources: Mapping[str, bytes], at: datetime) -> bytes:
    # Its declared types lack a folder in memory, which is a mapping.
    try:
        content: object = typst.compile(  # type: ignore[call-overload]
            dict(sources),
            font_paths=_fonts(),
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards=list(STANDARDS),
            timestamp=int(at.timestamp()),
        )
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise TypesettingError(str(error)) from None
    if not isinstance(content, bytes):
        raise TypeError("Typst returned no PDF")
    return content


def _is_text(content: bytes) -> bool:
    """Return whether Typst takes a file in memory: it takes UTF-8 only."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


@cache
def _fonts() -> typst.Fonts:
    # Reading the fonts takes longer than the layout.
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[_FONTS])


def _without_glyph(diagnostic: str) -> set[str]:
    """Return the characters that Typst could not show."""
    found: set[str] = set()
    for quoted in _NO_GLYPH.findall(diagnostic):
        text = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), quoted)
        found.update(character for character in text if not character.isascii())
    return found


def _forbidden_in(data: str) -> set[str]:
    """Return the characters that PDF/A-3 forbids: byte order marks, and those that everybody may define otherwise."""
    return {each for each in set(data) if each in _BYTE_ORDER_MARKS or category(each) == _PRIVATE_USE}


def _named(data: str, characters: set[str]) -> str:
    return "".join(f"⟨U+{ord(each):04X}⟩" if each in characters else each for each in data)


def _letter_data(letter: Letter, files: Sequence[PdfFile], author: str) -> Mapping[str, Any]:
    return {
        "language": letter.language,
        "subject": letter.subject,
        "author": author,
        "tlp": letter.tlp,
        "tlp_colour": letter.tlp_colour,
        "heading": letter.heading,
        "opening": [_block_data(block) for block in letter.opening],
        "sections": [
            {"heading": section.heading, "blocks": [_block_data(block) for block in section.blocks]}
            for section in letter.sections
        ],
        "footer": list(letter.footer),
        "files": [
            {
                "name": file.name,
                "media_type": file.media_type,
                "relationship": file.relationship.value,
                "description": file.description,
                # Bytes that are no text are data like every word.
                "bytes": None if _is_text(file.content) else list(file.content),
            }
            for file in files
        ],
    }


def _block_data(block: Block) -> Mapping[str, Any]:
    match block:
        case Quote():
            return {
                "kind": block.kind,
                "lines": list(block.lines),
                "language": block.language,
                "note": block.language_note,
            }
        case Rows():
            return {
                "kind": block.kind,
                "rows": [{"label": label, "phrase": _phrase_data(phrase)} for label, phrase in block.rows],
            }
        case Table():
            return {"kind": block.kind, "headings": list(block.headings), "rows": [list(row) for row in block.rows]}
        case _:
            members = {name: getattr(block, name) for name in block.__slots__}
            return {name: list(value) if isinstance(value, tuple) else value for name, value in members.items()}


def _phrase_data(phrase: Phrase) -> Mapping[str, Any]:
    return {"text": phrase.text, "language": phrase.language, "note": phrase.language_note}
