"""render(document, language): the notice as subject, plain text and HTML. It depends only on the document."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from notifications.wording.catalogues import translate
from notifications.wording.details import footer, sections
from notifications.wording.letter import Block, Letter
from notifications.wording.opening import heading, opening, subject
from notifications.wording.reader import Reader

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

_FOLDER = resources.files(__package__)
_TEXT, _HTML = "letter.txt.jinja", "letter.html.jinja"
_TEXT_BLOCK, _HTML_BLOCK = "block.txt.jinja", "block.html.jinja"
_TEXT_COLUMNS = 76
_QUOTE_MARGIN = "  | "


@dataclass(frozen=True, slots=True)
class Rendered:
    """A notice in one language. Line ends are LF; the document has the digests of the bodies' UTF-8 bytes."""

    #: shorter than 200 characters, no control character
    subject: str
    #: text/plain
    text: str
    #: text/html, one self-contained document
    html: str


def _wrapped(text: str, first: str = "", rest: str = "") -> str:
    """Return text in lines of at most 76 columns; a longer word is not broken, so that it can be copied."""
    if len(first) + len(text) <= _TEXT_COLUMNS and "\n" not in text:
        return f"{first}{text}".rstrip(" ")
    # ``textwrap`` is several times slower, and a notice has up to a hundred such texts.
    lines: list[str] = []
    line, begun = first, False
    for word in text.replace("\n", " ").split(" "):
        if not begun:
            line, begun = line + word, True
        elif len(line) + 1 + len(word) <= _TEXT_COLUMNS:
            line = f"{line} {word}"
        else:
            lines.append(line.rstrip(" "))
            # Spaces at a line break are dropped, so no line begins with spaces.
            line, begun = rest + word, bool(word)
    lines.append(line.rstrip(" "))
    return "\n".join(lines)


def _quoted(line: str) -> str:
    """Return a line of free text behind a margin that text of the template never has."""
    return _wrapped(line, _QUOTE_MARGIN, _QUOTE_MARGIN) if line.strip() else _QUOTE_MARGIN.rstrip()


@cache
def _template(name: str) -> "Template":
    # Imported and compiled for the first notice: a start, and most commands, write none.
    from jinja2 import DictLoader, Environment, StrictUndefined  # noqa: PLC0415 - most commands write no notice

    html = name in {_HTML, _HTML_BLOCK}
    environment = Environment(
        loader=DictLoader({name: _FOLDER.joinpath(name).read_text(encoding="utf-8")}),
        autoescape=html,  # noqa: S701 -- off only for plain text, whose readers would see the escapes
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["wrapped"] = _wrapped
    environment.filters["quoted"] = _quoted
    environment.filters["shown"] = _html_block if html else _text_block
    return environment.get_template(name)


#: The letters to all customers of an incident have most blocks in common, so each is rendered once.
_kept_blocks = lru_cache(maxsize=1024)


@_kept_blocks
def _text_block(block: Block, language: str) -> str:
    def say(message: str, **values: object) -> str:
        return translate(message, language) % values

    return _template(_TEXT_BLOCK).render(block=block, say=say)


@_kept_blocks
def _html_block(block: Block, language: str) -> "Markup":
    from markupsafe import Markup  # noqa: PLC0415 - most commands write no notice

    # The template escaped every value.
    return Markup(_template(_HTML_BLOCK).render(block=block, language=language).strip())  # noqa: S704 - escaped by the template


def letter(document: Mapping[str, Any], language: str, time_zone: str | None = None) -> Letter:
    """Return the content of a notice in a language, before it is rendered."""
    reader = Reader(document, language, time_zone)
    return Letter(
        language=language,
        subject=subject(reader),
        tlp=document["tlp"],
        tlp_colour=document["tlp"].partition(":")[2].partition("+")[0].lower(),
        heading=heading(reader),
        opening=opening(reader),
        sections=tuple(replace(section, heading=reader.heading(section.heading)) for section in sections(reader)),
        footer=tuple(map(reader.heading, footer(reader))),
    )


def render(document: Mapping[str, Any], language: str, time_zone: str | None = None) -> Rendered:
    """Return the notice in a language, made only from the document. Its ``renderings`` key is not read.

    ``language`` is one of ``LANGUAGES``; ``time_zone`` is an IANA name, or None for the customer's time zone.
    Not checked: the shape and the origin of the document.
    """
    said = letter(document, language, time_zone)
    return Rendered(
        subject=said.subject, text=_template(_TEXT).render(letter=said), html=_template(_HTML).render(letter=said)
    )
