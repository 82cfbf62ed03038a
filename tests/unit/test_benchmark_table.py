"""The table of the benchmarks: which lines are results, and what is too short."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
TABLE = runpy.run_path(str(SCRIPTS / "table.py"))
OUTPUT = """\
== dispatch.py
  round 1: 900 mails/s, ratio=0.10 of something
dispatch ratio=0.41 goal=0.50 short (at least)
pages_board ratio=1.16 goal=2.00 ok (at most) 1.0 ms, 1.2 ms
"""


def made(tmp_path, text):
    kept = tmp_path / "output.txt"
    kept.write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, SCRIPTS / "table.py", "--from", kept], capture_output=True, text=True, check=False
    )


def test_results_become_a_table_and_a_fifth_is_tolerated(tmp_path):
    ended = made(tmp_path, OUTPUT)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-2:] == [
        "| dispatch | 0.41 | ≥ 0.50 | short by 18 % |",
        "| pages_board | 1.16 | ≤ 2.00 | ok |",
    ]


def test_what_the_last_release_had_stands_beside_it():
    found = list(TABLE["results"](OUTPUT.splitlines()))
    assert [line.rsplit("|", 2)[1] for line in TABLE["table"](found, {"dispatch": 0.3})] == [
        " before ", "---", " 0.30 ", " – ",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "name"),
    [("fsck ratio=0.39 goal=0.50 short (at least)", "fsck"), ("bundle ratio=1.57 goal=1.30 short (at most)", "bundle")],
)
def test_what_is_short_by_more_than_a_fifth_fails_and_is_named(tmp_path, line, name):
    ended = made(tmp_path, f"{OUTPUT}{line}\n")
    assert ended.returncode == 1
    assert f"short by more than a fifth: {name};" in ended.stdout


def test_a_line_that_contradicts_itself_is_no_result(tmp_path):
    ended = made(tmp_path, "search ratio=6.00 goal=5.00 ok (at most)\n")
    assert ended.returncode == 1
    assert "contradicts itself" in ended.stderr


@pytest.mark.parametrize(
    ("ratio", "goals", "line"),
    [
        (0.496, {"at_least": 0.5}, "dispatch ratio=0.50 goal=0.50 ok (at least)"),
        (0.494, {"at_least": 0.5}, "dispatch ratio=0.49 goal=0.50 short (at least)"),
        (1.304, {"at_most": 1.3}, "dispatch ratio=1.30 goal=1.30 ok (at most)"),
        (12.0, {"at_most": 8}, "dispatch ratio=12.00 goal=8.00 short (at most)"),
    ],
)
def test_a_line_is_judged_as_it_is_printed_and_read_again(ratio, goals, line):
    said = TABLE["result_line"]("dispatch", ratio, **goals)
    assert said == line
    assert [str(found) for found in TABLE["results"]([said])] == [line]


def test_every_benchmark_prints_such_a_line():
    scripts = {path.name for path in SCRIPTS.glob("*.py")} - {"table.py"}
    assert {name for name in scripts if "result_line(" not in (SCRIPTS / name).read_text(encoding="utf-8")} == set()
