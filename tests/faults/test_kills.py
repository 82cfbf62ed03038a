"""A small part of ``make faults``: killed at each kind of step, the service loses nothing and is stuck nowhere."""

import pytest
from campaign import Cell, SharedDatabase, prepared_folder

from support.postgresql_server import own_server

#: One of each kind: the two sides of the crash window of ``deliver_notice``, the seal, the log, and what is heard back.
STEPS = [
    {"random": True},
    {"point": "add_sealed", "when": "before", "nth": 1},
    {"point": "add_sealed", "when": "after", "nth": 1},
    {"point": "grow_tree", "when": "after", "nth": 2},
    {"point": "write_head", "when": "before", "nth": 1},
    {"point": "send_mail", "when": "before", "nth": 1},
    {"point": "send_mail", "when": "after", "nth": 1},
    {"point": "send_webhook", "when": "after", "nth": 1},
    {"point": "finish_attempts", "when": "before", "nth": 2},
    {"point": "finish_attempts", "when": "after", "nth": 1},
    {"sink": "content"},
    {"sink": "recorded"},
]


class ChosenCell(Cell):
    def _schedule(self):
        yield from STEPS


@pytest.mark.timeout(240)
async def test_killed_at_each_kind_of_step_nothing_is_lost_and_nothing_stands_still(tmp_path):
    cell = ChosenCell(1, prepared_folder(tmp_path), tmp_path, len(STEPS), seed=1)
    findings = await cell.run()
    assert (findings.lost, findings.stuck, findings.wrong) == ([], [], [])
    assert findings.kills.total() == len(STEPS)
    # Each step is one that the service came to: but for the first, none of the kills was by the clock.
    assert findings.kills["any moment"] == 1
    assert findings.owed == findings.accepted + findings.failed > 0
    # What was taken and not recorded was sent again.
    assert findings.duplicates >= 1


class SharedCell(Cell):
    def _schedule(self):
        yield from ({"server": True}, {"random": True}, {"point": "send_mail", "when": "after", "nth": 1})


@pytest.mark.timeout(240)
async def test_of_several_processes_and_their_database_each_may_die(tmp_path):
    with own_server() as server:
        cell = SharedCell(
            1, prepared_folder(tmp_path), tmp_path, 3, seed=1, database=SharedDatabase(server, server.database())
        )
        findings = await cell.run()
    assert (findings.lost, findings.stuck, findings.wrong) == ([], [], [])
    assert (findings.kills.total(), findings.kills["the database server"]) == (3, 1)
    assert findings.owed == findings.accepted + findings.failed > 0


class SharingCell(Cell):
    def _schedule(self):
        # The first process was started without a trap.
        yield {"random": True}
        yield from (
            {"point": point, "when": when, "nth": 1}
            for point in ("timestamp", "add_timestamp", "set_log_proof", "set_shared_timestamps")
            for when in ("before", "after")
        )


@pytest.mark.timeout(240)
async def test_killed_at_each_step_of_a_shared_timestamp_nothing_is_lost_and_nothing_stands_still(tmp_path):
    cell = SharingCell(2, prepared_folder(tmp_path), tmp_path, 9, seed=1)
    assert cell.shares
    findings = await cell.run()
    assert (findings.lost, findings.stuck, findings.wrong) == ([], [], [])
    assert findings.kills.total() == 9
    assert findings.kills["any moment"] == 1
    assert findings.owed == findings.accepted + findings.failed > 0
