"""Terms of the full-text index: words without case, accents and ligatures, and facets, which no typed word can be.

Both engines index the same terms, so both find the same. A term has only ASCII letters and digits, so that no tokenizer
divides it; a facet, or a word with other letters, begins with ``=``.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

_WORD = re.compile(r"[^\W_]+")
#: Letters that Unicode does not decompose.
_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
#: Longer words are cut, in documents and in queries alike. The greatest length of a PostgreSQL lexeme is 2,046 bytes.
_WORD_CHARACTERS = 40
#: Words of a query that count.
_WORDS_SOUGHT = 12


def folded(text: str) -> str:
    """Return text without case, accents and ligatures: ``Œuvré`` and ``oeuvre`` are equal, as are ``ß`` and ``ss``."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).translate(_LETTERS)


def _words(text: str) -> Iterator[str]:
    for match in _WORD.finditer(folded(text)):
        word = match[0][:_WORD_CHARACTERS]
        # In hexadecimal the beginning of a word is still the beginning of its term.
        yield word if word.isascii() else f"={word.encode().hex()}"


def indexed_terms(facets: Iterable[str], texts: Iterable[str]) -> str:
    """Return the terms of a document, each once, separated by spaces; a number also without its leading zeros."""
    terms = dict.fromkeys(facets)
    for text in texts:
        for word in _words(text):
            terms[word] = None
            if word[0] == "0" and (short := word.lstrip("0")).isdigit():
                terms[short] = None
    return " ".join(terms)


def sought_words(query: str) -> list[str]:
    """Return the words of a query, as terms of documents begin with them; empty where it has no word."""
    return list(dict.fromkeys(_words(query)))[:_WORDS_SOUGHT]


def kind_facet(kind: str) -> str:
    """Return the facet of a kind of document."""
    return f"=k{kind}"
