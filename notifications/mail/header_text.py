"""Header text that every mail program reads the same way: encoded words (RFC 2047) and one mailbox (RFC 5322).

Mail programs decode malformed, unusual or incomplete text in different ways. Such text is refused here.
"""

import base64
import binascii
import re
from email.quoprimime import header_decode, header_encode

from notifications.mail_address import normal_address

_SPACE = re.compile(r"[ \t]+")
#: RFC 2047, 2: at most 75 characters. Only the two charsets that every program reads the same way.
_WORD = re.compile(r"=\?(utf-8|us-ascii)\?([bq])\?([!->@-~]+)\?=", re.IGNORECASE)
_MAX_WORD_CHARACTERS = 75
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#: An address, or an address in angle brackets after a name that is quoted, encoded, or of plain words.
_MAILBOX = re.compile(
    rf'(?:(?:"(?P<quoted>(?:[^"\\]|\\["\\])*)"|(?P<phrase>{_ATOM}(?: {_ATOM})*)) ?)?<(?P<angle>[^<>"\s]+)>'
    r'|(?P<bare>[^<>"\s]+)'
)
_QUOTED_PAIR = re.compile(r"\\(.)")
_BETWEEN_ADDRESSES = re.compile(r"[\s<>()\[\],;:\"]+")
#: At sign and dot, including the forms of East Asian scripts.
_AT = re.compile(r"[@＠﹫]")
_DOT_INSIDE = re.compile(r"[^.。．｡][.。．｡][^.。．｡]")


def parse_text(value: str) -> str | None:
    """Return unfolded header text, decoded, with white space collapsed; None if programs may read it differently.

    1. All text that is not ASCII must be in encoded words, which are separated by white space.
    2. Each encoded word must be in UTF-8 or US-ASCII, and encoding its text again must give the same characters.
    """
    text, after_word = "", True
    for token in _SPACE.split(value.strip(" \t")):
        is_word = "=?" in token
        part = _decoded_word(token) if is_word else token
        # 1. and 2.
        if part is None or not (is_word or token.isascii()):
            return None
        # White space between two encoded words is ignored (RFC 2047, 6.2).
        text += part if (after_word and is_word) or not text else f" {part}"
        after_word = is_word
    return _SPACE.sub(" ", text).strip(" ")


def _decoded_word(token: str) -> str | None:
    word = _WORD.fullmatch(token)
    if word is None or len(token) > _MAX_WORD_CHARACTERS:
        return None
    charset, encoding, encoded = word[1], word[2].lower(), word[3]
    try:
        if encoding == "b":
            data = base64.b64decode(encoded, validate=True)
            again = base64.b64encode(data).decode()
        else:
            data = header_decode(encoded).encode("latin-1")
            again = header_encode(data, charset="utf-8").removeprefix("=?utf-8?q?").removesuffix("?=")
        text = data.decode(charset)
    except (binascii.Error, ValueError):
        return None
    return text if again == encoded and not any(char < " " for char in text) else None


def parse_mailbox(value: str) -> tuple[str, str] | None:
    """Return display name (may be empty) and address of an unfolded header with one mailbox; None in any other form."""
    match = _MAILBOX.fullmatch(_SPACE.sub(" ", value).strip(" "))
    if match is None:
        return None
    quoted, phrase = match["quoted"], match["phrase"]
    # Inside of quotes, some programs decode encoded words and others do not.
    if quoted is not None and ("=?" in quoted or not quoted.isascii()):
        return None
    name = _QUOTED_PAIR.sub(r"\1", quoted) if quoted is not None else parse_text(phrase or "")
    return None if name is None else (name, match["angle"] or match["bare"])


def names_another_address(display: str, address: str) -> bool:
    """Return whether a display name contains a mail address other than ``address``."""
    for word in _BETWEEN_ADDRESSES.split(display):
        local, *domain = _AT.split(word, maxsplit=1)
        if local and domain and _DOT_INSIDE.search(domain[0]) and normal_address(word) != normal_address(address):
            return True
    return False
