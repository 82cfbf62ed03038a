"""A file that was uploaded, reported on, and is imported by a confirmation: the form of the report carries it."""

import base64
import binascii
import zlib

from notifications.errors import GreffierError


class ReportChangedError(GreffierError):
    """The effects of a file are others than those that were reported; nothing was imported."""


def packed_file(content: bytes) -> str:
    """Return a file as a form carries it."""
    return base64.urlsafe_b64encode(zlib.compress(content)).decode()


def unpacked_file(packed: str, most_bytes: int) -> bytes | None:
    """Return the file that a confirmation carries; None for none, a damaged one, or one of more bytes."""
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(base64.urlsafe_b64decode(packed), most_bytes)
    except (binascii.Error, ValueError, zlib.error):
        return None
    return content if unpacker.eof and content else None
