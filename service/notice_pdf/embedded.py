"""Find the embedded files of a notice's PDF without a PDF library.

Only for verifiers without the extra ``pdf``. It reads files as this service writes them and nothing else. That is safe
for the notice, because the document and its proofs are verified by themselves; nothing is known of the pages.
"""

import re
import zlib

from notifications.errors import VerificationError
from notifications.evidence.verification import NoticeFiles

STRUCTURE = "structure"

_MEMBERS = rb"(?:[^<>]|<<[^<>]*>>){0,1000}?"
_HEAD = re.compile(rb"\d+ 0 obj\s*<<(" + _MEMBERS + rb"/Type\s*/EmbeddedFile" + _MEMBERS + rb")>>\s*stream\r?\n")
_LENGTH, _MEDIA_TYPE = re.compile(rb"/Length\s*(\d{1,9})(?!\s+\d+\s+R)"), re.compile(rb"/Subtype\s*/([A-Za-z0-9.#+-]+)")
#: What one embedded file may unpack to.
_MOST_BYTES = 64 * 1024 * 1024
_NAMES = {
    b"application#2Fjson": "document",
    b"application#2Fpkcs7-signature": "signature",
    b"application#2Ftimestamp-reply": "timestamp",
    b"application#2Foctet-stream": "proof",
    b"text#2Fcsv": "resources_csv",
}


def embedded_notice(content: bytes) -> NoticeFiles:
    """Return the embedded notice; raises VerificationError if the file does not hold exactly one."""
    found: dict[str, bytes] = {}
    for head in _HEAD.finditer(content):
        kind, length = _MEDIA_TYPE.search(head[1]), _LENGTH.search(head[1])
        name = None if kind is None else _NAMES.get(kind[1])
        if name is None or length is None or name in found:
            raise VerificationError(STRUCTURE, "embeds a file that no notice has, or one twice")
        found[name] = _unpacked(content[head.end() : head.end() + int(length[1])], packed=b"/FlateDecode" in head[1])
    if missing := {"document", "signature", "proof"} - found.keys():
        raise VerificationError(STRUCTURE, f"embeds no {min(missing)} of a notice")
    return NoticeFiles(
        document=found["document"],
        signature=found["signature"],
        timestamp=found.get("timestamp"),
        proof=found["proof"],
        resources_csv=found.get("resources_csv"),
    )


def _unpacked(content: bytes, *, packed: bool) -> bytes:
    if not packed:
        return content
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(content, _MOST_BYTES)
    except zlib.error:
        raise VerificationError(STRUCTURE, "embeds a file that is damaged") from None
    if unpacking.unconsumed_tail:
        raise VerificationError(STRUCTURE, f"embeds a file of more than {_MOST_BYTES} bytes")
    return unpacked
