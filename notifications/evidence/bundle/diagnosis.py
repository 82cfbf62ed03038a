"""Find the part by which a broken bundle differs from its sums. This proves nothing; it only helps the reader."""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from notifications.errors import VerificationError
from notifications.evidence.bundle.archive import read_archive
from notifications.evidence.bundle.contents import SUMS, SUMS_NOTE

#: Limits of the search. The bundle is refused in any case.
_MAX_SUMS_BYTES, _MAX_PARTS = 1 << 26, 200_000
_CHUNK_BYTES = 1 << 16


def first_difference(source: BinaryIO, *, strict: bool) -> str | None:
    """Return a text about the first part that is changed, missing or added according to the sums, or None.

    ``strict`` reads an archive in the one format. Otherwise it is read as an ordinary ZIP file.
    """
    digests: dict[str, bytes] = {}
    stated = b""
    try:
        for name, digest, content in _strictly(source) if strict else _as_any_zip(source):
            if name in digests:
                return f"holds {name} twice"
            digests[name] = digest
            stated = content if name == SUMS else stated
            if len(digests) > _MAX_PARTS:
                return None
    # An archive that cannot be read has no diagnosis. The step of the verifier has already stated the reason.
    except (VerificationError, zipfile.BadZipFile, NotImplementedError, ValueError, OSError, zlib.error):
        return None
    if not stated:
        return f"lacks {SUMS}"
    return _differing(digests, stated)


def _differing(digests: dict[str, bytes], stated: bytes) -> str | None:
    listed = {}
    for line in stated.decode("ascii", "replace").splitlines():
        digest, separator, name = line.partition("  ")
        if not separator:
            return f"{SUMS} contains an invalid line"
        listed[name] = digest
    names = {*digests, *listed} - {SUMS, SUMS_NOTE}
    for name in sorted(names):
        if name not in digests:
            return f"lacks {name}, which {SUMS} lists"
        if name not in listed:
            return f"holds {name}, which {SUMS} does not list"
        if digests[name].hex() != listed[name]:
            return f"{name} is not the part that {SUMS} lists"
    return None if SUMS_NOTE in digests else f"lacks {SUMS_NOTE}"


def _strictly(source: BinaryIO) -> Iterator[tuple[str, bytes, bytes]]:
    for part in read_archive(source):
        digest, kept = hashlib.sha256(), []
        for chunk in part.chunks:
            digest.update(chunk)
            if part.name == SUMS and part.size <= _MAX_SUMS_BYTES:
                kept.append(chunk)
        yield part.name, digest.digest(), b"".join(kept)


def _as_any_zip(source: BinaryIO) -> Iterator[tuple[str, bytes, bytes]]:
    if source.seek(0, io.SEEK_END) == 0:
        # A device has no end, and the library would read it to its end.
        raise zipfile.BadZipFile
    with zipfile.ZipFile(source) as archive:
        for item in archive.infolist():
            if item.file_size > _MAX_SUMS_BYTES or item.compress_size * 1000 < item.file_size:
                # A possible ZIP bomb is not unpacked.
                return
            with archive.open(item) as file:
                digest, kept = hashlib.sha256(), []
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    if item.filename == SUMS:
                        kept.append(chunk)
            yield item.filename, digest.digest(), b"".join(kept)
