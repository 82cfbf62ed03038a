"""The contract of first interventions and issued reports."""

from dataclasses import replace

import pytest

from notifications.errors import StateConflictError
from support.opened_store import opened_store
from support.records import NOBODY, after, make_incident
from support.report_records import make_intervention, make_issued_report, make_report_pdf


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request, tmp_path):
    async with opened_store(request.param, tmp_path) as opened:
        yield opened


async def test_every_record_of_an_intervention_is_kept_by_its_number(store):
    incident, other = make_incident(), make_incident()
    first = make_intervention(incident)
    second = make_intervention(incident, number=2, started_at=after(seconds=-9), reason="Wrong clock.")
    await store.write(lambda tx: (tx.incidents.add(incident), tx.incidents.add(other)))
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.incidents.add_intervention(make_intervention(incident, incident_id=NOBODY)))
    await store.write(lambda tx: tx.incidents.add_intervention(first))
    await store.write(lambda tx: tx.incidents.add_intervention(second))
    with pytest.raises(StateConflictError):
        await store.write(lambda tx: tx.incidents.add_intervention(make_intervention(incident, number=2)))
    assert list(await store.read(lambda tx: tx.incidents.interventions(incident.id))) == [first, second]
    assert list(await store.read(lambda tx: tx.incidents.interventions(other.id))) == []


async def test_a_report_is_kept_with_its_corrections_and_never_replaced(database):
    whole, mine = make_issued_report(), make_issued_report(customer="a" * 64, content=b'{"a":1}')
    corrected = make_issued_report(number=2, content=b'{"b":1}')
    later = make_issued_report(period="2026-04")
    for report in (mine, whole, later, corrected):
        await database.write(lambda tx, report=report: tx.reports.add(report))
    assert list(await database.read(lambda tx: tx.reports.of_period("2026-03", ""))) == [whole, corrected]
    assert list(await database.read(lambda tx: tx.reports.of_period("2026-03", "a" * 64))) == [mine]
    assert list(await database.read(lambda tx: tx.reports.of_period("2026-05", ""))) == []
    assert list(await database.read(lambda tx: tx.reports.periods())) == ["2026-03", "2026-04"]
    with pytest.raises(StateConflictError):
        await database.write(lambda tx: tx.reports.add(make_issued_report(content=b"forged")))


async def test_a_pdf_of_a_report_is_kept_by_language_and_number_and_never_replaced(database):
    first = make_report_pdf()
    others = [
        make_report_pdf(**each)
        for each in ({"language": "de"}, {"number": 2}, {"customer": "a" * 64}, {"period": "2026-04"})
    ]
    others = [replace(each, content=bytes([number])) for number, each in enumerate(others)]
    for pdf in (first, *others):
        await database.write(lambda tx, pdf=pdf: tx.reports.add_pdf(pdf))
    for pdf in (first, *others):
        key = (pdf.period, pdf.customer, pdf.number, pdf.language)
        assert await database.read(lambda tx, key=key: tx.reports.pdf(*key)) == pdf.content
    assert await database.read(lambda tx: tx.reports.pdf("2026-03", "", 3, "fr")) is None
    with pytest.raises(StateConflictError):
        await database.write(lambda tx: tx.reports.add_pdf(make_report_pdf(content=b"forged")))
