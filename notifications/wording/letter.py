"""What a rendering is made of: blocks that the text and the HTML template both know, so that both say the same."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrase:
    """A short text on one line."""

    text: str
    #: language of the text where it is not the reader's; None where it is, or where it has none (a name)
    language: str | None = None
    #: says which language, in the reader's; None with ``language``
    language_note: str | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Words of the provider's own template."""

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
    """Free text as an analyst wrote it: always set apart, so that it cannot pass for words of the template."""

    lines: tuple[str, ...]
    language: str | None = None
    language_note: str | None = None
    kind: str = "quote"


@dataclass(frozen=True, slots=True)
class Rows:
    """Labels and what is said under each."""

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

    #: what the table shows, for readers that cannot see it
    label: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    #: cells explain themselves: plain text sets a row on one line
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
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """One notice in one language, before it is text or HTML."""

    language: str
    subject: str
    tlp: str
    #: ``red``, ``amber``, ``green`` or ``clear``
    tlp_colour: str
    #: what kind of notice it is and of what
    heading: str
    #: the first screen: what a reader must know without scrolling
    opening: tuple[Block, ...]
    sections: tuple[Section, ...]
    footer: tuple[str, ...]
