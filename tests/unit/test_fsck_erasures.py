"""What is gone is taken as erased only where a later entry says so, once the days of a formal notice were over."""

from datetime import UTC, datetime, timedelta

from service.audit_log.fsck.check import Report, _CombinedRanges, _compare_erasures

TOLD = datetime(2026, 3, 2, 9, tzinfo=UTC)
DONE = TOLD + timedelta(days=21)


def compared(erased, said, *, noticed=TOLD, at=DONE, days=21):
    whole = _CombinedRanges(erased=erased, said_erased=said, erasures=[(50, "hers", at)] if said else [])
    if noticed is not None:
        whole.noticed["hers"] = noticed, days
    report = Report(100)
    _compare_erasures(report, whole)
    return report


def test_what_a_later_entry_says_is_erased():
    gone = {"hers": (3, 4, 49), "account a": (1, 7, 7), "entry e": (1, 9, 9)}
    report = compared(gone, {"hers": 50, "account a": 50, "entry e": 50})
    assert (report.differences, report.erased, report.erased_customers) == ([], 5, 1)


def test_what_went_without_a_word_is_a_deletion():
    for gone, said in (
        ({"his": (2, 7, 8)}, {"hers": 50}),
        ({"hers": (2, 7, 8)}, {}),
        ({"entry other": (2, 7, 8)}, {"hers": 50, "entry e": 50}),
        # of an entry after the erasure
        ({"hers": (2, 7, 51)}, {"hers": 50}),
    ):
        (found,) = compared(gone, said).differences
        assert (found.step, found.where) == ("erasures", "index 7")
        assert "no entry says that it was erased (2)" in found.what


def test_an_erasure_without_its_21_days_is_named():
    (early,) = compared({}, {"hers": 50}, at=DONE - timedelta(microseconds=1)).differences
    assert (early.where, early.what) == ("index 50", "says that a customer was erased 20 days after its notice")
    (longer,) = compared({}, {"hers": 50}, days=22).differences
    assert longer.what == "says that a customer was erased 21 days after its notice"
    (silent,) = compared({}, {"hers": 50}, noticed=None).differences
    assert silent.what == "says that a customer was erased without a formal notice"
