"""The format of the archive: a ZIP file that every tool opens. The same parts always give the same bytes.

The parts are not compressed: the output of a compressor depends on its version, and a file without compression cannot
be a ZIP bomb. The parts are sorted by name, byte by byte, so that no name occurs twice. Every optional field of the ZIP
format has a fixed value. The reader accepts only this format, from the first byte to the last, so that nothing can be
hidden between the parts, after them, or in a directory that differs from them.

Parts are written and read one at a time. The directory at the end is collected in a spool file of the caller.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from notifications.errors import Fault, InvalidInputError, VerificationError

ARCHIVE = "archive"

#: Longest part. The lists of the parts grow with the bundle; a part of a plain ZIP is shorter than 4 GiB.
MAX_PART_BYTES = 0xFFFF_FFFE
_MAX_NAME = 200
_CHUNK_BYTES = 1 << 16
#: ASCII, relative, and no component begins with a dot, so that no tool unpacks a part outside of the folder.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")

_LOCAL, _LOCAL_SIGNATURE = struct.Struct("<IHHHHHIIIHH"), 0x04034B50
_CENTRAL, _CENTRAL_SIGNATURE = struct.Struct("<IHHHHHHIIIHHHHHII"), 0x02014B50
_END, _END_SIGNATURE = struct.Struct("<IHHHHIIH"), 0x06054B50
_END_64, _END_64_SIGNATURE = struct.Struct("<IQHHIIQQQQ"), 0x06064B50
_LOCATOR_64, _LOCATOR_64_SIGNATURE = struct.Struct("<IIQI"), 0x07064B50
_OFFSET_64 = struct.Struct("<HHQ")

_VERSION, _VERSION_64, _MADE_BY_UNIX = 20, 45, 3 << 8
#: 1980-01-01 00:00, the earliest time of the ZIP format. The real times are inside the parts.
_TIME, _DATE = 0, 0x21
#: Unix mode of a plain file that everybody may read.
_ATTRIBUTES = 0o100644 << 16
_16_BITS, _32_BITS = 0xFFFF, 0xFFFF_FFFF


def check_name(name: str) -> None:
    """Raise InvalidInputError unless a part may have this name: ASCII, relative, without ``..`` or hidden files."""
    if len(name) > _MAX_NAME or not _NAME.fullmatch(name):
        raise InvalidInputError(Fault("name", f"is not a valid name of a part: {name[:_MAX_NAME]!r}"))


def _local(name: bytes, checksum: int, size: int) -> bytes:
    header = (_LOCAL_SIGNATURE, _VERSION, 0, 0, _TIME, _DATE, checksum, size, size, len(name), 0)
    return _LOCAL.pack(*header) + name


def _central(name: bytes, checksum: int, size: int, offset: int) -> bytes:
    far = offset >= _32_BITS
    version = _VERSION_64 if far else _VERSION
    extra = _OFFSET_64.pack(1, 8, offset) if far else b""
    record = (
        _CENTRAL_SIGNATURE, _MADE_BY_UNIX | version, version, 0, 0, _TIME, _DATE, checksum, size, size,
        len(name), len(extra), 0, 0, 0, _ATTRIBUTES, min(offset, _32_BITS),
    )  # fmt: skip
    return _CENTRAL.pack(*record) + name + extra


def _end(count: int, size: int, offset: int) -> bytes:
    """Return the end of an archive with ``count`` parts, whose directory has this size and offset in bytes."""
    plain = _END.pack(
        _END_SIGNATURE, 0, 0, min(count, _16_BITS), min(count, _16_BITS), min(size, _32_BITS), min(offset, _32_BITS), 0
    )
    if count < _16_BITS and size < _32_BITS and offset < _32_BITS:
        return plain
    made_by = _MADE_BY_UNIX | _VERSION_64
    whole = _END_64.pack(_END_64_SIGNATURE, _END_64.size - 12, made_by, _VERSION_64, 0, 0, count, count, size, offset)
    return whole + _LOCATOR_64.pack(_LOCATOR_64_SIGNATURE, 0, offset + size, 1) + plain


class ArchiveWriter:
    """Writes an archive part by part; ``finish`` must be called once."""

    def __init__(self, target: BinaryIO, spool: BinaryIO) -> None:
        """``spool`` is an empty file for writing and reading; it holds the directory until ``finish``."""
        self._target, self._spool = target, spool
        self._offset = self._directory_bytes = self._count = 0
        self._last = ""

    def add(self, name: str, content: bytes) -> None:
        """Write a part; raises InvalidInputError for a name out of order, and for a part that is too long."""
        self._begin(name, zlib.crc32(content), len(content))
        self._target.write(content)
        self._offset += len(content)

    def add_file(self, name: str, content: BinaryIO) -> None:
        """Write a part from a file, from its beginning. Raises as ``add`` does."""
        content.seek(0)
        checksum = size = 0
        while chunk := content.read(_CHUNK_BYTES):
            checksum, size = zlib.crc32(chunk, checksum), size + len(chunk)
        self._begin(name, checksum, size)
        content.seek(0)
        while chunk := content.read(_CHUNK_BYTES):
            self._target.write(chunk)
        self._offset += size

    def _begin(self, name: str, checksum: int, size: int) -> None:
        check_name(name)
        if name <= self._last:
            raise InvalidInputError(Fault("name", f"{name} does not follow {self._last}"))
        if size > MAX_PART_BYTES:
            raise InvalidInputError(Fault(name, f"is longer than {MAX_PART_BYTES} bytes"))
        record = _central(name.encode(), checksum, size, self._offset)
        self._spool.write(record)
        self._directory_bytes += len(record)
        header = _local(name.encode(), checksum, size)
        self._target.write(header)
        self._offset += len(header)
        self._count += 1
        self._last = name

    def finish(self) -> None:
        """Write the directory and the end."""
        self._spool.seek(0)
        while chunk := self._spool.read(_CHUNK_BYTES):
            self._target.write(chunk)
        self._target.write(_end(self._count, self._directory_bytes, self._offset))


@dataclass(frozen=True, slots=True)
class Part:
    """A part while it is read. It can be read only once, and only before the next part."""

    name: str
    size: int
    chunks: Iterator[bytes]

    def content(self, limit: int) -> bytes:
        """Return the whole part; raises VerificationError if it is longer than ``limit`` bytes."""
        if self.size > limit:
            raise VerificationError(ARCHIVE, f"{self.name} has {self.size} bytes, and {limit} at most are taken")
        return b"".join(self.chunks)


def read_archive(source: BinaryIO) -> Iterator[Part]:
    """Yield the parts in order; raises VerificationError at the first byte that is not in the one format.

    The checksum of a part is checked when the next part is requested. The directory and the end are checked after the
    last part, so a caller must read to the end before it may use anything.
    """
    offset = count = directory_bytes = 0
    last, directory = "", hashlib.sha256()
    while True:
        signature = source.read(4)
        if signature != _LOCAL_SIGNATURE.to_bytes(4, "little"):
            break
        name, checksum, size, header_bytes = _read_header(source, signature, last)
        reading = _Reading(source, name, size, checksum)
        yield Part(name, size, iter(reading))
        reading.end()
        record = _central(name.encode(), checksum, size, offset)
        directory.update(record)
        offset, directory_bytes, count, last = (
            offset + header_bytes + size,
            directory_bytes + len(record),
            count + 1,
            name,
        )
    # The directory must be exactly the one of these parts, and nothing may follow its end.
    end = _end(count, directory_bytes, offset)
    directory.update(end)
    found, left = hashlib.sha256(signature), directory_bytes + len(end)
    # A file without an end is read a few bytes beyond where it should end.
    while chunk := source.read(min(left, _CHUNK_BYTES)):
        found.update(chunk)
        left -= len(chunk)
    if count == 0 or found.digest() != directory.digest():
        after = f"after {last}" if count else "from its first byte on"
        raise VerificationError(
            ARCHIVE, f"is not in the form of a bundle {after}: its directory is not that of its parts"
        )


def _read_header(source: BinaryIO, signature: bytes, last: str) -> tuple[str, int, int, int]:
    """Return name, checksum, size and the header's length."""
    header = signature + source.read(_LOCAL.size - 4)
    after = f"after {last}" if last else "at its beginning"
    if len(header) != _LOCAL.size:
        raise VerificationError(ARCHIVE, f"ends {after}")
    *_, checksum, size, _, name_bytes, _ = _LOCAL.unpack(header)
    raw = source.read(min(name_bytes, _MAX_NAME + 1))
    try:
        name = raw.decode("ascii")
        check_name(name)
    except (UnicodeDecodeError, InvalidInputError):
        raise VerificationError(ARCHIVE, f"holds a part {after} whose name is none: {raw!r}") from None
    if header + raw != _local(raw, checksum, size) or size > MAX_PART_BYTES:
        raise VerificationError(ARCHIVE, f"holds {name} in another form than a bundle has it (packed by another tool?)")
    if name == last:
        raise VerificationError(ARCHIVE, f"holds {name} twice")
    if name < last:
        raise VerificationError(ARCHIVE, f"holds {name} after {last}, out of order")
    return name, checksum, size, len(header) + len(raw)


class _Reading:
    """The bytes of one part."""

    def __init__(self, source: BinaryIO, name: str, size: int, checksum: int) -> None:
        self._source, self._name, self._left, self._checksum = source, name, size, checksum
        self._found = 0

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            chunk = self._source.read(min(self._left, _CHUNK_BYTES))
            if not chunk:
                raise VerificationError(ARCHIVE, f"ends within {self._name}")
            self._left -= len(chunk)
            self._found = zlib.crc32(chunk, self._found)
            yield chunk

    def end(self) -> None:
        """Read the rest of the part; raises VerificationError if it does not have its checksum."""
        for _ in self:
            pass
        if self._found != self._checksum:
            raise VerificationError(ARCHIVE, f"holds {self._name} damaged: its checksum is another")
