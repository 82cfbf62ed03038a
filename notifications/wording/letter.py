"""The building blocks of a rendering; the text and the HTML template use the same ones, so both say the same."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrase:
    """A short text on one line."""

    text: str
    #: language of the text if it is not the reader's; None if it is the reader's, or if the text has none (a name)
    language: str | None = None
    #: names that language in the reader's language; None if ``language`` is None
    language_note: str | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text of the provider's template."""

    text: str
    strong: bool = False
    kind: str = "paragraph"


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence that a reader must not overlook."""

    text: str
    kind: str = "remark"


@dataclass(frozen=True, slots=True)
class Quote:
    """Free text of an analyst. It is always marked as such, so that nobody takes it for text of the template."""

    lines: tuple[str, ...]
    language: str | None = None
    language_note: str | None = None
    kind: str = "quote"


@dataclass(frozen=True, slots=True)
class Rows:
    """Labels, each with its text."""

    rows: tuple[tuple[str, Phrase], ...]
    kind: str = "rows"


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[str, ...]
    kind: str = "items"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; the first cell of a row names it."""

    #: description of the table for screen readers
    label: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    #: whether cells can be understood without their headings; plain text then puts a row on one line
    compact: bool = False
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Commands:
    """Lines to type; never wrapped."""

    lines: tuple[str, ...]
    kind: str = "commands"


Block = Paragraph | Remark | Quote | Rows | Items | Table | Commands


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the blocks below it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """One notice in one language, before it is rendered as text or HTML."""

    language: str
    subject: str
    tlp: str
    #: ``red``, ``amber``, ``green`` or ``clear``
    tlp_colour: str
    #: the kind of the notice and the nature of the event
    heading: str
    #: the first screen, which a reader sees without scrolling
    opening: tuple[Block, ...]
    sections: tuple[Section, ...]
    footer: tuple[str, ...]
