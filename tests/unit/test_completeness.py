"""The account of who was told: each way to stand, and a list that is not the whole log."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from notifications.audit.entry import AuditEntry, leaf_bytes
from notifications.audit.merkle import leaf_hash, root_of
from notifications.canonical_json import timestamp_text
from notifications.completeness import Standing, account
from notifications.errors import VerificationError

_T = datetime(2026, 1, 5, 8, tzinfo=UTC)
_DUE = _T + timedelta(hours=48)
_INCIDENT, _CUSTOMER = "i-1", "ab" * 32


def _log(*entries):
    return [
        leaf_bytes(AuditEntry(UUID(int=n), kind, at, "system:worker", subjects, detail))
        for n, (kind, at, subjects, detail) in enumerate(entries)
    ]


_BOTH = {"incident": _INCIDENT, "customer": _CUSTOMER}
_REGISTERED = ("customer.registered", _T, {"customer": _CUSTOMER}, {})
_DECLARED = ("incident.declared", _T, {"incident": _INCIDENT}, {})


def _decided(verdict, due=_DUE):
    return (
        "decision.recorded",
        _T,
        _BOTH,
        {"verdict": verdict, "due_at": timestamp_text(due), "due_kind": "contractual"},
    )


def _attempted(at, event="RelayToNonERDS", delivery="d-1"):
    return ("delivery.attempted", at, _BOTH | {"delivery": delivery}, {"event": event})


_LATER = _DUE + timedelta(hours=1)
_RETURNED = ("delivery.returned", _LATER, _BOTH | {"delivery": "d-1"}, {"event": "RelayToNonERDSFailure"})


def _made(leaves, as_of=_LATER):
    return account(leaves, len(leaves), root_of([leaf_hash(leaf) for leaf in leaves]), as_of)


@pytest.mark.parametrize(
    ("entries", "as_of", "standing"),
    [
        ((_decided("notify"), _attempted(_T)), _LATER, Standing.TOLD),
        ((_decided("notify"), _attempted(_LATER)), _LATER, Standing.LATE),
        ((_decided("notify"), _decided("notify", _LATER), _attempted(_LATER)), _LATER, Standing.LATE),
        ((_decided("notify"), _attempted(_T), _RETURNED), _LATER, Standing.MISSING),
        ((_decided("notify"), _attempted(_T, "RelayToNonERDSFailure")), _LATER, Standing.MISSING),
        ((_decided("notify"),), _T, Standing.AWAITED),
        ((_decided("notify"),), _LATER, Standing.MISSING),
        ((_decided("pending"),), _LATER, Standing.PENDING),
        ((_decided("do_not_notify"),), _LATER, Standing.NOT_OWED),
        ((), _LATER, Standing.UNDECIDED),
    ],
)
def test_how_a_customer_stands(entries, as_of, standing) -> None:
    made = _made(_log(_REGISTERED, _DECLARED, *entries), as_of)
    (line,) = made.lines
    assert line.standing is standing
    assert line.indices == tuple(range(2, 2 + len(entries)))
    assert made.complete == (standing not in {Standing.LATE, Standing.MISSING, Standing.UNDECIDED})


def test_delay_and_override_are_stated() -> None:
    released = ("notice.released", _T, _BOTH, {"override": True})
    (line,) = _made(_log(_REGISTERED, _DECLARED, _decided("notify"), released, _attempted(_LATER))).lines
    assert line.overridden
    assert line.delay == timedelta(hours=1)


def test_a_customer_of_later_is_not_passed_over() -> None:
    assert _made(_log(_DECLARED, _REGISTERED)).lines == ()


def test_every_entry_left_out_swapped_or_added_is_found() -> None:
    leaves = _log(_REGISTERED, _DECLARED, _decided("notify"), _attempted(_T), _RETURNED)
    root = root_of([leaf_hash(leaf) for leaf in leaves])
    for at in range(len(leaves)):
        with pytest.raises(VerificationError, match="covers 5 entries, 4 are here"):
            account(leaves[:at] + leaves[at + 1 :], 5, root, _LATER)
    for at in range(len(leaves) - 1):
        swapped = [*leaves[:at], leaves[at + 1], leaves[at], *leaves[at + 2 :]]
        with pytest.raises(VerificationError, match="do not make the checkpoint's root"):
            account(swapped, 5, root, _LATER)
    with pytest.raises(VerificationError, match="6 are here"):
        account([*leaves, leaves[0]], 5, root, _LATER)


def test_an_empty_log() -> None:
    assert _made([]).lines == ()
