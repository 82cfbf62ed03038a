"""Header text that every mail program reads alike: encoded words in their one form (RFC 2047), one mailbox (RFC 5322).

Decoders differ on what is malformed, unusual or unfinished. Text in any other form has no reading here.
"""

import base64
import binascii
import re
from email.quoprimime import header_decode, header_encode

from notifications.mail_address import normal_address

_SPACE = re.compile(r"[ \t]+")
#: RFC 2047, 2: at most 75 characters; of the charsets only the two in which every program reads the same.
_WORD = re.compile(r"=\?(utf-8|us-ascii)\?([bq])\?([!->@-~]+)\?=", re.IGNORECASE)
_MAX_WORD_CHARACTERS = 75
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
#: An address, or one in angle brackets after a name that is quoted, encoded, or of plain words.
_MAILBOX = re.compile(
    rf'(?:(?:"(?P<quoted>(?:[^"\\]|\\["\\])*)"|(?P<phrase>{_ATOM}(?: {_ATOM})*)) ?)?<(?P<angle>[^<>"\s]+)>'
    r'|(?P<bare>[^<>"\s]+)'
)
_QUOTED_PAIR = re.compile(r"\\(.)")
_BETWEEN_ADDRESSES = re.compile(r"[\s<>()\[\],;:\"]+")
#: The sign and the dot, also as East Asian scripts write them.
_AT = re.compile(r"[@＠﹫]")
_DOT_INSIDE = re.compile(r"[^.。．｡][.。．｡][^.。．｡]")


def parse_text(value: str) -> str | None:
    """Return unfolded header text, decoded, white space collapsed; None where programs may read something else.

    1. What is not ASCII is in encoded words, each between white space.
    2. Each encoded word is of UTF-8 or US-ASCII and encodes to the same characters again.
    """
    text, after_word = "", True
    for token in _SPACE.split(value.strip(" \t")):
        is_word = "=?" in token
        part = _decoded_word(token) if is_word else token
        # 1. and 2.
        if part is None or not (is_word or token.isascii()):
            return None
        # White space between two encoded words belongs to neither (RFC 2047, 6.2).
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
    """Return display name (empty without) and address of an unfolded header of one mailbox; None in any other form."""
    match = _MAILBOX.fullmatch(_SPACE.sub(" ", value).strip(" "))
    if match is None:
        return None
    quoted, phrase = match["quoted"], match["phrase"]
    # Some programs decode what looks like an encoded word inside of quotes, and some do not.
    if quoted is not None and ("=?" in quoted or not quoted.isascii()):
        return None
    name = _QUOTED_PAIR.sub(r"\1", quoted) if quoted is not None else parse_text(phrase or "")
    return None if name is None else (name, match["angle"] or match["bare"])


def names_another_address(display: str, address: str) -> bool:
    """Return whether a display name holds a mail address that is not the one beside it."""
    for word in _BETWEEN_ADDRESSES.split(display):
        local, *domain = _AT.split(word, maxsplit=1)
        if local and domain and _DOT_INSIDE.search(domain[0]) and normal_address(word) != normal_address(address):
            return True
    return False
