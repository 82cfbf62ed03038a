"""Check what others signed about the log's heads: tokens of the timestamp authority, cosignatures of witnesses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509

from notifications.audit.checkpoint import verify_cosignature
from notifications.audit.note import VerifierKey, parse_note, signatures_of
from notifications.errors import InvalidInputError, VerificationError
from notifications.evidence.bundle.signers import verify_token
from service.audit_log.fsck.findings import COSIGNATURES, HEAD_TIMESTAMPS, Difference
from service.store.maintenance.inspection import Inspection
from service.store.sql.encoding import to_microseconds

_TOKENS = (
    "SELECT t.size, t.token, t.made_at, c.note FROM checkpoint_timestamps t "
    "LEFT JOIN log_checkpoints c ON c.size = t.size WHERE t.size > ? ORDER BY t.size LIMIT 256"
)
_LINES = (
    "SELECT s.size, s.witness, s.line, s.cosigned_at, c.note FROM checkpoint_cosignatures s "
    "LEFT JOIN log_checkpoints c ON c.size = s.size WHERE s.size > ? AND s.size <= ? ORDER BY s.size, s.witness"
)
_SIZES = "SELECT DISTINCT size FROM checkpoint_cosignatures WHERE size > ? ORDER BY size LIMIT 256"
#: Greatest difference between a stated and a stored time: clocks differ, and a response can be slow.
_APART_MICROSECONDS = 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class ExternalHeads:
    """The trusted roots and witness keys. For statements of others, only the size of the checkpoint is compared."""

    timestamp_roots: Sequence[x509.Certificate] = ()
    witnesses: Sequence[VerifierKey] = ()


def compare_heads(inspection: Inspection, others: ExternalHeads, counts: dict[str, int]) -> Iterator[Difference]:
    """Yield the first invalid token and the first invalid cosignature; count the compared records."""
    yield from _first(_compare_tokens(inspection, others.timestamp_roots, counts))
    keys: dict[str, list[VerifierKey]] = {}
    for key in others.witnesses:
        keys.setdefault(key.name, []).append(key)
    yield from _first(_compare_cosignatures(inspection, keys, counts))


def _first(differences: Iterator[Difference]) -> Iterator[Difference]:
    for difference in differences:
        yield difference
        return


def _compare_tokens(
    inspection: Inspection, roots: Sequence[x509.Certificate], counts: dict[str, int]
) -> Iterator[Difference]:
    after = -1
    while rows := inspection.all(_TOKENS, (after,)):
        after = rows[-1][0]
        for size, token, made_at, note in rows:
            counts[HEAD_TIMESTAMPS] = counts.get(HEAD_TIMESTAMPS, 0) + 1
            where = f"timestamp over the head of size {size}"
            if note is None:
                yield Difference(HEAD_TIMESTAMPS, where, "is over no checkpoint")
            elif roots:
                try:
                    at = verify_token(bytes(token), bytes(note), roots, HEAD_TIMESTAMPS, "the token")
                except VerificationError as error:
                    yield Difference(HEAD_TIMESTAMPS, where, error.reason)
                    continue
                if abs(to_microseconds(at) - made_at) > _APART_MICROSECONDS:
                    yield Difference(HEAD_TIMESTAMPS, where, "is kept under another time than it states")


def _compare_cosignatures(
    inspection: Inspection, keys: Mapping[str, Sequence[VerifierKey]], counts: dict[str, int]
) -> Iterator[Difference]:
    after = -1
    while sizes := inspection.all(_SIZES, (after,)):
        before, after = after, sizes[-1][0]
        for size, witness, line, cosigned_at, note in inspection.all(_LINES, (before, after)):
            counts[COSIGNATURES] = counts.get(COSIGNATURES, 0) + 1
            where = f"cosignature of {witness} under the head of size {size}"
            if note is None:
                yield Difference(COSIGNATURES, where, "is under no checkpoint")
            elif witness in keys:
                try:
                    seconds = _verified_seconds(bytes(note) + line.encode(), keys[witness])
                except VerificationError as error:
                    yield Difference(COSIGNATURES, where, error.reason)
                    continue
                if seconds * 1_000_000 != cosigned_at:
                    yield Difference(COSIGNATURES, where, "is kept under another time than it states")


def _verified_seconds(note: bytes, keys: Sequence[VerifierKey]) -> int:
    """Return the earliest time that the keys of a witness state under a head; raises VerificationError.

    A key that the witness got later has no line under an earlier head. At least one key must have a line.
    """
    try:
        parsed = parse_note(note)
    except InvalidInputError as error:
        raise VerificationError(COSIGNATURES, str(error)) from None
    signed = [key for key in keys if signatures_of(parsed, key)] or keys
    return min(verify_cosignature(note, key) for key in signed)
