"""``greffier fsck`` over notices that share timestamps: clean as they are; whatever is edited is found, and named."""

import httpx2
import pytest
from test_fsck import SERIOUS, Served, edit

from notifications.errors import TimestampUnavailableError
from service.cli.demo.environment import embedded_service
from support.postgresql_server import postgresql_server
from support.scenario import customer, declare, release

#: what is edited, the step that finds it, and what the step says
EDITS = {
    "UPDATE sealed_notices SET shares_timestamp = FALSE WHERE position = 1":
        ("sealed notices", "another kind of timestamp"),
    "DELETE FROM shared_timestamps WHERE notice_id = (SELECT notice_id FROM sealed_notices WHERE position = 1)":
        ("timestamps", "neither here nor owed"),
    "DELETE FROM checkpoint_timestamps": ("timestamps", "neither here nor owed"),
    "UPDATE shared_timestamps SET size = (SELECT max(size) FROM checkpoint_timestamps) WHERE proof IS NOT NULL":
        ("log proofs", "under another checkpoint"),
    "UPDATE shared_timestamps SET proof = NULL": ("log proofs", "under another checkpoint"),
    "UPDATE shared_timestamps SET proof = (SELECT proof FROM seal_proofs ORDER BY notice_id LIMIT 1) "
    "WHERE notice_id = (SELECT notice_id FROM seal_proofs ORDER BY notice_id DESC LIMIT 1)":
        ("log proofs", "has a proof"),
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
async def served(request, data_folder, service_log, monkeypatch):
    """A service that told two customers while its authority was away, then dated them, then told them again."""
    address = None if request.param == "sqlite" else postgresql_server().database()
    engine = {} if address is None else {"database__url": address}
    settings = {"log__batch_seconds": 0.01, "log__timestamp_every_seconds": 0, "timestamps__one_each_up_to": 0}
    async with embedded_service(data_folder, **settings, **engine) as running:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with httpx2.AsyncClient(base_url=f"{running.url}/api/v1", headers=headers, timeout=120) as api:
            for name in ("eins", "deux"):
                await customer(api, name, ((f"{name}@example.org", "fr"),))
            with monkeypatch.context() as patch:
                patch.setattr(running.parts.context.sealing.timestamp_authority, "timestamp", away)
                await release(api, await declare(api, **SERIOUS))
                await running.sink.wait_for(2)
            await running.parts.worker.sealing.timestamp_sealed()
            await release(api, await declare(api, **SERIOUS))
            await running.sink.wait_for(4)
    return Served(data_folder, address)


async def away(_content):
    raise TimestampUnavailableError("it is away")


async def test_they_are_clean_and_whatever_is_edited_is_found(served, tmp_path):
    report = served.checked()
    assert not report.differences, report.differences
    assert report.counts["sealed notices"] == 4
    # The proofs that the first mails carried are kept beside those under the timestamped head.
    assert report.counts["log proofs"] == 6
    missed = []
    for statement, (step, said) in EDITS.items():
        edited = served.copy(tmp_path)
        edit(edited, statement)
        found = served.checked(edited).differences
        if not any(item.step == step and item.where.startswith("notice ") and said in item.what for item in found):
            missed.append(f"{statement}: {[str(item) for item in found]}")
    assert missed == []
