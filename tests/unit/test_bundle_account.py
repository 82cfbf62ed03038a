"""The account in a bundle: what part of a log shows, and its words, each of which leads to a proof."""

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from uuid import UUID

import pytest

from notifications.audit.entry import AuditEntry, leaf_bytes, parse_leaf
from notifications.canonical_json import timestamp_text
from notifications.evidence.bundle.contents import PROVIDER, Header, Scope
from notifications.evidence.bundle.report import Basis, BundleReportBuilder
from notifications.evidence.bundle.report_section import report_section
from notifications.evidence.bundle.texts import LANGUAGES
from notifications.evidence.notification_report import ReportStatus

_T = datetime(2026, 1, 5, 8, tzinfo=UTC)
_DUE = _T + timedelta(hours=48)
_LATER = _DUE + timedelta(hours=1, minutes=5)
_INCIDENT = UUID(int=9)
_BOTH = {"incident": str(_INCIDENT), "customer": "ab" * 32, "notice": str(UUID(int=77))}
_OTHER = _BOTH | {"customer": "cd" * 32, "notice": str(UUID(int=78))}


def _leaf(number, kind, at, subjects, **detail):
    return parse_leaf(leaf_bytes(AuditEntry(UUID(int=number), kind, at, "account:a-1", subjects, detail)))


def _declared(customers):
    return _leaf(
        1, "incident.declared", _T, {"incident": str(_INCIDENT)}, ticket="INC-2026-000001", customers=customers
    )


def _decided(subjects, verdict="notify"):
    due = timestamp_text(_DUE)
    return _leaf(
        2, "decision.recorded", _T, subjects, verdict=verdict, due_at=due, due_kind="contractual",
        target_at=timestamp_text(_T + timedelta(hours=1)), duties=["impact_high:11.1.1.3 (1)"],
    )  # fmt: skip


def _attempted(at):
    subjects = _BOTH | {"delivery": str(UUID(int=5))}
    return _leaf(5, "delivery.attempted", at, subjects, event="RelayToNonERDS", channel="email")


_RELEASED = _leaf(3, "notice.released", _T, _BOTH, override=True, drafted_by="account:a-1")
_BY_OVERRIDE = _leaf(4, "notice.released_by_override", _T, _BOTH, rule="customer", own_draft=True)
_ERASED = _leaf(6, "customer.erased", _LATER, {"customer": "ab" * 32})


def _taken(*leaves, scope=None, stamped_at=None, language="en"):
    made = BundleReportBuilder()
    made.begin(Header(scope or Scope(incident=_INCIDENT), PROVIDER, language, "log", 99, len(leaves)), stamped_at)
    for index, leaf in enumerate(leaves):
        made.take(10 + index, leaf)
    return made


def _text(accounting):
    return b"".join(report_section(accounting)).decode()


def test_the_moment_follows_from_the_content() -> None:
    leaves = (_declared(1), _decided(_BOTH))
    assert _taken(*leaves).as_of() == (_T, Basis.NEWEST_ENTRY)
    assert _taken(*leaves, stamped_at=_LATER).as_of() == (_LATER, Basis.TIMESTAMP)
    period = Scope(ends_at=_DUE)
    assert _taken(*leaves, stamped_at=_LATER, scope=period).as_of() == (_DUE, Basis.END_OF_PERIOD)
    assert _taken(*leaves, stamped_at=_T, scope=period).as_of() == (_T, Basis.TIMESTAMP)


def test_what_is_missing_depends_on_the_moment() -> None:
    (line,) = _taken(_declared(1), _decided(_BOTH)).findings().lines
    assert line.status is ReportStatus.AWAITED
    (line,) = _taken(_declared(1), _decided(_BOTH), stamped_at=_LATER).findings().lines
    assert line.status is ReportStatus.MISSING


def test_a_decision_that_is_left_out_is_counted_in_an_incident_s_bundle_alone() -> None:
    both = _taken(_declared(2), _decided(_BOTH), _decided(_OTHER, "do_not_notify"))
    one = _taken(_declared(2), _decided(_BOTH))
    assert [[item.lacking for item in made.findings().incidents] for made in (both, one)] == [[0], [1]]
    for scope in (Scope(incident=_INCIDENT, customer="ab" * 32), Scope(starts_at=_T), Scope(notice=UUID(int=77))):
        assert _taken(_declared(2), _decided(_BOTH), scope=scope).findings().incidents == ()


def test_a_decision_outside_of_the_bundle_makes_nobody_passed_over() -> None:
    opened = _leaf(7, "notice.opened", _LATER, _BOTH)
    found = _taken(opened, scope=Scope(starts_at=_LATER)).findings()
    assert [line.status for line in found.lines] == [ReportStatus.UNSTATED]
    assert found.complete


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "a":
            self.found.append(dict(attrs)["href"])
        if tag == "br":
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_statement_leads_to_the_entries_that_show_it(language) -> None:
    leaves = (_declared(2), _decided(_BOTH), _RELEASED, _BY_OVERRIDE, _attempted(_LATER), _decided(_OTHER), _ERASED)
    text = _text(_taken(*leaves, stamped_at=_LATER, language=language))
    links = _Links()
    links.feed(text)
    assert not links.open
    shown = {int(re.fullmatch(r"entries/(\d{16})/entry\.tlog-proof", link)[1]) for link in links.found}
    # Declaration, decision, release, emergency, telling, the other's decision; an erasure is a date.
    assert shown == {10, 11, 12, 13, 14, 15}
    assert "1 h 05 min 00 s" in text
    assert "INC-2026-000001" in text
    assert "2026-01-07" in text
    assert "11.1.1.3 (1)" in text
    words = {
        "en": (
            "released in time, delivered after the time aimed at",
            "not told",
            "not released",
            "not reviewed",
            "erased on",
        ),
        "fr": ("validée à temps, remise après le délai visé", "non informé", "non validée", "non revue", "effacé le"),
        "de": (
            "rechtzeitig freigegeben, nach der angestrebten Zeit zugestellt",
            "nicht freigegeben",
            "nicht geprüft",
            "gelöscht am",
        ),
    }
    for word in words[language]:
        assert word in text, word


def test_nothing_to_account_for_is_said() -> None:
    text = _text(_taken(_leaf(1, "contact.added", _T, {"customer": "ab" * 32}), scope=Scope(customer="ab" * 32)))
    assert "concern no customer in any incident" in text
    assert "<table>" not in text
