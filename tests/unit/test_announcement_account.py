"""The account of announcements: each way to stand, letters, changes, cancellations, and entries of earlier releases."""

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from uuid import UUID

import pytest

from notifications.audit.entry import AuditEntry, leaf_bytes, parse_leaf
from notifications.audit.merkle import leaf_hash, root_of
from notifications.canonical_json import timestamp_text
from notifications.evidence.bundle.contents import PROVIDER, Header, Scope
from notifications.evidence.bundle.report import BundleReportBuilder
from notifications.evidence.bundle.report_section import report_section
from notifications.evidence.completeness import completeness_report
from notifications.evidence.notification_report import LateCause, OverrideKind, ReportStatus
from service.cli.audit_report import ReportSource, print_report, print_report_as_json

_T = datetime(2026, 1, 5, 8, tzinfo=UTC)
_DUE = _T + timedelta(days=10)
_LATER = _DUE + timedelta(days=2)
_ANNOUNCEMENT, _CUSTOMER = "a-1", "ab" * 32
_BOTH = {"announcement": _ANNOUNCEMENT, "customer": _CUSTOMER}
_NOTICE = _BOTH | {"notice": "n-1"}
_REGISTERED = ("customer.registered", _T, {"customer": _CUSTOMER}, {})
_NEW = ("kind", "channels", "cancelled")


def _version(what="declared", version=1, at=_T, **detail):
    stated = {"ticket": "ANN-2026-000001", "version": version, "kind": "capacity", "customers": 1}
    stated["occurs_at"] = timestamp_text(_DUE)
    return f"announcement.{what}", at, {"announcement": _ANNOUNCEMENT}, stated | detail


def _decided(concern="concerned", version=1, at=_T, due=_DUE, binding="hard", **detail):
    owed = concern in {"concerned", "told_before"}
    stated = {
        "ticket": "ANN-2026-000001", "version": version, "kind": "capacity", "cancelled": False, "concern": concern,
        "channels": ["console", "email"], "agreement": "some", "clause": "5.1",
        "due_at": timestamp_text(due) if owed else None, "binding": binding if owed else None,
        "due_clause": "5.1" if owed else None, "consent": None, "draft": None,
    }  # fmt: skip
    return "announcement.decided", at, _BOTH, stated | detail


def _released(at=_T, version=1, notice="n-1", **detail):
    stated = {"kind": "initial", "facts_version": version, "override": False}
    return "notice.released", at, _BOTH | {"notice": notice}, stated | detail


def _attempted(at=_T, channel="email", event="RelayToNonERDS", notice="n-1"):
    subjects = _BOTH | {"notice": notice, "delivery": f"{notice}-{channel}"}
    return "delivery.attempted", at, subjects, {"channel": channel, "event": event}


def _letter(what, at=_T, **detail):
    return f"letter.{what}", at, _NOTICE | {"letter": "l-1"}, detail


def _served(served_on, outcome="handed_over"):
    on = (served_on or _T).date().isoformat()
    detail = {"outcome": outcome, "outcome_on": on, "served_on": None if served_on is None else on}
    return _letter("outcome_recorded", **detail)


_LETTER = {"channels": ["registered_letter"]}
_RETURNED = (
    "delivery.returned", _LATER, _NOTICE | {"delivery": "n-1-email"}, {"event": "RelayToNonERDSFailure"},
)  # fmt: skip


def _log(*entries):
    return [
        leaf_bytes(AuditEntry(UUID(int=n), kind, at, "system:worker", subjects, detail))
        for n, (kind, at, subjects, detail) in enumerate(entries)
    ]


_BEGIN = (_REGISTERED, _version())


def _made(*entries, as_of=_LATER, begin=_BEGIN):
    leaves = _log(*begin, *entries)
    return completeness_report(leaves, len(leaves), root_of([leaf_hash(leaf) for leaf in leaves]), as_of)


def _line(*entries, **how):
    (line,) = _made(*entries, **how).announcements.lines
    return line


@pytest.mark.parametrize(
    ("entries", "as_of", "status", "cause"),
    [
        ((_decided(), _released(), _attempted()), _LATER, ReportStatus.NOTIFIED, None),
        ((_decided(), _released(), _attempted(channel="console")), _LATER, ReportStatus.NOTIFIED, None),
        ((_decided(), _released(), _attempted(_LATER)), _LATER, ReportStatus.LATE, LateCause.DELIVERED_LATE),
        ((_decided(), _released(_LATER), _attempted(_LATER)), _LATER, ReportStatus.LATE, LateCause.RELEASED_LATE),
        (
            (_decided(binding="soft"), _released(_LATER), _attempted(_LATER)),
            _LATER, ReportStatus.AFTER_AIM, LateCause.RELEASED_AFTER,
        ),
        (
            (_decided(binding="no_number"), _released(), _attempted(_LATER)),
            _LATER, ReportStatus.AFTER_AIM, LateCause.DELIVERED_AFTER,
        ),
        ((_decided(), _released(), _attempted(), _RETURNED), _LATER, ReportStatus.MISSING, LateCause.NOT_DELIVERED),
        (
            (_decided(), _released(), _attempted(channel="webhook")),
            _LATER, ReportStatus.MISSING, LateCause.NOT_DELIVERED,
        ),
        ((_decided(),), _DUE, ReportStatus.AWAITED, None),
        ((_decided(),), _LATER, ReportStatus.MISSING, LateCause.NOT_RELEASED),
        ((_decided("not_bound"),), _LATER, ReportStatus.NOT_OWED, None),
        ((), _LATER, ReportStatus.UNDECIDED, None),
        # The agreement names mail only: what stands in the console is not enough.
        (
            (_decided(channels=["email"]), _released(), _attempted(channel="console")),
            _LATER, ReportStatus.MISSING, LateCause.NOT_DELIVERED,
        ),
    ],
)  # fmt: skip
def test_the_status_of_a_customer(entries, as_of, status, cause) -> None:
    made = _made(*entries, as_of=as_of)
    (line,) = made.announcements.lines
    assert (line.status, line.cause) == (status, cause)
    assert line.indices == tuple(range(2, 2 + len(entries)))
    fails = {ReportStatus.LATE, ReportStatus.MISSING, ReportStatus.UNDECIDED}
    assert made.complete == made.announcements.complete == (status not in fails)
    assert (made.lines, made.incidents, made.overrides) == ((), (), ())


@pytest.mark.parametrize(
    ("stated", "entries", "status"),
    [
        # By letter only, neither console nor mail notify; it counts from its day.
        (_LETTER, (_attempted(channel="console"), _letter("opened")), ReportStatus.MISSING),
        (_LETTER, (_letter("opened"), _letter("posted", posted_on="2026-01-06")), ReportStatus.MISSING),
        (_LETTER, (_letter("opened"), _served(_T)), ReportStatus.NOTIFIED),
        (_LETTER, (_letter("opened"), _served(_DUE)), ReportStatus.NOTIFIED),
        (_LETTER, (_letter("opened"), _served(_DUE + timedelta(days=1))), ReportStatus.LATE),
        (_LETTER, (_letter("opened"), _served(None, "refused")), ReportStatus.MISSING),
        (_LETTER, (_letter("opened"), _served(_T), _served(None, "refused")), ReportStatus.MISSING),
        # By both, the later counts.
        ({"channels": ["email", "registered_letter"]}, (_attempted(), _letter("opened")), ReportStatus.MISSING),
        ({"channels": ["email", "registered_letter"]}, (_attempted(_LATER), _served(_T)), ReportStatus.LATE),
        ({"channels": ["email", "registered_letter"]}, (_attempted(), _served(_T)), ReportStatus.NOTIFIED),
    ],
)
def test_a_registered_letter_counts_from_the_day_on_which_it_was_served(stated, entries, status) -> None:
    line = _line(_decided(**stated), _released(), *entries, as_of=_LATER)
    assert line.status is status
    # An earlier release did not state the channels: the letter and the mails show them.
    unstated = _line(_without(_decided(**stated)), _released(), *entries, as_of=_LATER)
    assert (unstated.status, unstated.ways) == (status, ())


def _without(entry):
    """Return a decision as earlier releases recorded it."""
    return (*entry[:3], {name: value for name, value in entry[3].items() if name not in _NEW})


_BEFORE, _AFTER = _DUE - timedelta(days=1), _DUE + timedelta(days=1)


@pytest.mark.parametrize(("at", "status"), [(_BEFORE, ReportStatus.NOT_OWED), (_AFTER, ReportStatus.MISSING)])
@pytest.mark.parametrize("of_earlier_release", [False, True])
@pytest.mark.parametrize("seen", ["whole", "customer"])
def test_what_is_cancelled_before_its_limit_is_not_owed(at, status, of_earlier_release, seen) -> None:
    second = _decided(version=2, at=at, cancelled=True, draft="withdrawn")
    decisions = [_without(each) if of_earlier_release else each for each in (_decided(), second)]
    cancelled = _version("cancelled", 2, at)
    if seen == "customer":
        # Entries of a customer alone: those of the announcement itself are not among them.
        line = _line(*decisions, begin=(_REGISTERED,), as_of=_LATER)
    else:
        line = _line(decisions[0], cancelled, decisions[1], as_of=_LATER)
    assert line.status is status
    assert line.verdict == "do_not_notify"
    assert line.reasons == ("concerned", "cancelled")
    assert line.due_at == (None if status is ReportStatus.NOT_OWED else _DUE)


def test_a_notice_that_was_released_and_not_delivered_is_cancelled_too() -> None:
    # An earlier release: the draft of the final notice does not show the cancellation, the entry of it does.
    second = _without(_decided(version=2, at=_BEFORE, draft="drafted"))
    for cancelled, status in ((("cancelled",), ReportStatus.NOT_OWED), (("changed",), ReportStatus.MISSING)):
        line = _line(_without(_decided()), _released(), _version(*cancelled, 2, _BEFORE), second)
        assert line.status is status


def test_what_is_announced_may_move_and_its_limit_with_it_unless_it_was_over() -> None:
    moved = _decided(version=2, at=_BEFORE, due=_LATER)
    told = (_released(_AFTER, 2), _attempted(_AFTER))
    made = _made(_decided(), _version("changed", 2, _BEFORE), moved, *told)
    assert [line.status for line in made.announcements.lines] == [ReportStatus.NOTIFIED]
    assert made.announcements.overrides == ()
    moved = _decided(version=2, at=_AFTER, due=_LATER)
    line = _line(_decided(), _version("changed", 2, _AFTER), moved, *told)
    assert (line.status, line.due_at) == (ReportStatus.LATE, _DUE)
    # A time without a number binds nobody: what is moved is moved.
    soft = [_decided(binding="no_number"), _decided(version=2, at=_AFTER, due=_LATER, binding="no_number")]
    assert _line(*soft, *told).status is ReportStatus.NOTIFIED


def test_a_notice_is_judged_by_the_version_that_it_states() -> None:
    first = (_decided(), _released(), _attempted(_BEFORE))
    earlier = _decided(version=2, at=_T, due=_T)
    made = _made(*first, _version("changed", 2), earlier)
    (line,) = made.announcements.lines
    assert (line.status, line.due_at, line.lacks_last_version) == (ReportStatus.NOTIFIED, _DUE, True)
    assert (line.version, line.notified_version) == (2, 1)
    update = (_released(version=2, notice="n-2", kind="update"), _attempted(_BEFORE, notice="n-2"))
    assert not _line(*first, _version("changed", 2), earlier, *update).lacks_last_version
    assert made.complete, "as for incidents, the first notice counts"


def test_who_is_no_longer_concerned_is_listed() -> None:
    back = _decided("not_chosen", version=2, at=_BEFORE)
    made = _made(_decided(), _version("changed", 2, _BEFORE), back)
    (line,) = made.announcements.lines
    assert (line.status, line.reasons) == (ReportStatus.NOT_OWED, ("not_chosen",))
    assert [(item.kind, item.index, item.other_index) for item in made.announcements.overrides] == [
        (OverrideKind.TAKEN_BACK, 4, 2)
    ]
    late = _line(_decided(), _decided("not_chosen", version=2, at=_AFTER))
    assert late.status is ReportStatus.MISSING


def test_an_emergency_release_without_review_is_not_complete() -> None:
    override = ("notice.released_by_override", _T, _NOTICE, {"rule": "agreement"})
    told = (_decided(), _released(override=True), override, _attempted())
    made = _made(*told)
    assert [item.kind for item in made.announcements.overrides] == [OverrideKind.UNREVIEWED]
    assert not made.complete
    assert made.announcements.lines[0].overridden
    assert _made(*told, ("override.reviewed", _LATER, _NOTICE, {})).complete


def test_how_an_announcement_ends_and_how_many_were_decided() -> None:
    told = (_decided(), _released(), _attempted())
    for what, outcome in (("carried_out", "carried_out"), ("elapsed", "elapsed"), ("changed", "open")):
        # An end counts customers without those erased since: it is not compared.
        (count,) = _made(*told, _version(what, 2, customers=1 if what == "changed" else 0)).announcements.incidents
        assert (count.stated, count.decided) == (1, 1)
        assert (count.outcome, count.outcome_index, count.kind, count.ticket) == (
            outcome, 5, "capacity", "ANN-2026-000001",
        )  # fmt: skip
    begin = (_REGISTERED, _version(customers=2))
    (count,) = _made(*told, begin=begin).announcements.incidents
    assert (count.stated, count.decided, count.lacking) == (2, 1, 1)
    assert not _made(*told, begin=begin).complete


def test_customers_that_were_not_there_are_not_passed_over() -> None:
    erased = ("customer.erased", _T, {"customer": _CUSTOMER}, {})
    assert _made(begin=(_REGISTERED, erased, _version(customers=0))).announcements.lines == ()
    # The entry of a bundle names the customer of the bundle, also one that came later.
    named = ("bundle.made", _LATER, _BOTH, {})
    assert _made(named, begin=(_version(customers=0), _REGISTERED)).announcements.lines == ()


def test_an_exercise_is_counted_apart() -> None:
    begin = (_REGISTERED, _version(exercise=True))
    made = _made(_decided(exercise=True), begin=begin)
    assert (made.exercises, made.announcements.lines, made.announcements.incidents) == (1, (), ())
    # What was declared as none stays none.
    assert _made(_decided(exercise=True)).announcements.lines


def test_a_log_without_announcements_reads_as_before(capsys) -> None:
    made = _made(begin=(_REGISTERED,))
    print_report(made, ReportSource((), {}), {})
    assert "announcement" not in capsys.readouterr().out
    print_report_as_json(made, ReportSource((), {}), {})
    said = json.loads(capsys.readouterr().out)
    assert (said["announcements"], said["announcement_lines"], said["announcements_overridden"]) == ([], [], [])


def test_the_command_says_how_each_notice_went(capsys) -> None:
    sealed = ("notice.sealed", _T, _NOTICE, {"kind": "initial", "facts_version": 1, "timestamped": False})
    stamped = ("notice.timestamped", _T, _NOTICE, {})
    acknowledged = ("notice.acknowledged", _T, _NOTICE, {})
    mailed = ("delivery.attempted", _T, _NOTICE | {"delivery": "d-2", "contact": "c-7"},
              {"channel": "email", "event": "RelayToNonERDS"})  # fmt: skip
    made = _made(
        _decided(channels=["email", "registered_letter"]), _released(), sealed, stamped, mailed, _letter("opened"),
        _letter("posted", posted_on="2026-01-06"), _letter("slip_attached"), _served(_T), acknowledged,
    )  # fmt: skip
    print_report(made, ReportSource((), {}), {_CUSTOMER: "Valmont"})
    said = capsys.readouterr().out
    assert (
        "a-1 Valmont: initial notice of version 1: released 2026-01-05 08:00:00Z (entry 3), sealed 2026-01-05 08:00:00Z"
        " (entry 4), own timestamp 2026-01-05 08:00:00Z (entry 5), email to contact c-7 2026-01-05 08:00:00Z (entry 6),"
        " registered letter posted on 2026-01-06 (entry 8), return slip (entry 9), handed over on 2026-01-05"
        " (entry 10), served on 2026-01-05, acknowledged 2026-01-05 08:00:00Z (entry 11)"
    ) in said
    assert "ANN-2026-000001 a-1: capacity, 1 version, announced for 2026-01-15 08:00:00Z; open (entry 1)" in said
    (line,) = made.announcements.lines
    assert line.channels == (("email", _T), ("registered_letter", datetime(2026, 1, 5, tzinfo=UTC)))


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open = set(), []

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.found.add(int(re.fullmatch(r"entries/(\d{16})/entry\.tlog-proof", dict(attrs)["href"])[1]))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("told late", "released late", "registered letter posted on 2026-01-06", "refused, presented on",
                "does not count as served", "by clause DPA 13", "the agreement names no number", "not chosen",
                "not told of the last change", "mail (contact c-7)", "its own timestamp", "acknowledged")),
        ("fr", ("informé en retard", "validée en retard", "lettre recommandée postée le 2026-01-06",
                "refusée, présentée le", "ne vaut pas remise", "selon la clause DPA 13", "aucun nombre", "non choisi",
                "non informé du dernier changement", "courriel (contact c-7)", "horodatage", "accusé de réception")),
        ("de", ("verspätet benachrichtigt", "verspätet freigegeben", "Einschreiben aufgegeben am 2026-01-06",
                "Annahme verweigert", "gilt nicht als zugestellt", "nach Klausel DPA 13", "nennt keine Zahl",
                "nicht ausgewählt", "nicht über die letzte Änderung", "E-Mail (Kontakt c-7)", "eigener Zeitstempel",
                "Empfang bestätigt")),
    ],
)  # fmt: skip
def test_the_report_of_a_bundle_says_it_in_the_reader_s_language(language, words) -> None:
    def at(entry, customer):
        return (*entry[:2], entry[2] | {"customer": customer, "notice": f"n-{customer[:2]}"}, entry[3])

    letter, nobody, unnumbered = "cd" * 32, "ef" * 32, "12" * 32
    mailed = ("delivery.attempted", _LATER, _NOTICE | {"delivery": "d-2", "contact": "c-7"},
              {"channel": "email", "event": "RelayToNonERDS"})  # fmt: skip
    sealed = ("notice.sealed", _LATER, _NOTICE, {"kind": "initial", "facts_version": 1, "timestamped": True})
    entries = (
        _version(customers=4),
        _decided(due_clause="DPA 13"), _released(_LATER), sealed, mailed, ("notice.acknowledged", _LATER, _NOTICE, {}),
        at(_decided(**_LETTER), letter), at(_letter("opened"), letter),
        at(_letter("posted", posted_on="2026-01-06"), letter), at(_letter("slip_attached"), letter),
        at(_served(None, "refused"), letter),
        at(_decided("not_chosen"), nobody), at(_decided(binding="no_number"), unnumbered),
        _version("changed", 2, customers=4), _decided(version=2, due=_LATER),
    )  # fmt: skip
    builder = BundleReportBuilder()
    scope = Scope(announcement=UUID(int=9))
    builder.begin(Header(scope, PROVIDER, language, "log", 99, len(entries)), _LATER)
    for index, data in enumerate(_log(*entries)):
        builder.take(index, parse_leaf(data))
    text = b"".join(report_section(builder)).decode()
    links = _Links()
    links.feed(text)
    assert not links.open
    # Declaration and change, decisions, release, seal, mail, receipt, and each entry of the letter after its opening.
    assert links.found == {0, 13, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12}
    for word in (*words, "ANN-2026-000001", "capacity"):
        assert word in text, word


def test_a_report_without_announcements_has_no_part_on_them() -> None:
    builder = BundleReportBuilder()
    builder.begin(Header(Scope(customer=_CUSTOMER), PROVIDER, "en", "log", 99, 1), _LATER)
    (data,) = _log(_REGISTERED)
    builder.take(0, parse_leaf(data))
    text = b"".join(report_section(builder)).decode()
    assert "nnouncement" not in text


def test_customers_are_counted_only_in_the_bundle_of_a_whole_announcement() -> None:
    def found(scope):
        builder = BundleReportBuilder()
        builder.begin(Header(scope, PROVIDER, "en", "log", 99, 2), _T)
        for index, data in enumerate(_log(_version(customers=2), _decided())):
            builder.take(index, parse_leaf(data))
        return builder.findings()

    whole, part = found(Scope(announcement=UUID(int=9))), found(Scope(starts_at=_T))
    assert [[item.lacking for item in each.announcements.incidents] for each in (whole, part)] == [[1], [0]]
    assert (whole.complete, part.complete) == (False, True)
