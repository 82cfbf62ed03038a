"""The tool of ``make mutants``: what it changes, and that what it leaves unexplained is still there to explain."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mutation.mutators import mutants

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MUTATION = ROOT / "tests" / "mutation"
EXPLAINED = tomllib.loads((MUTATION / "survivors.toml").read_text("utf-8"))
SOURCES = {
    "merkle": "notifications/audit/merkle.py",
    "tiles": "notifications/audit/tiles.py",
    "tile_reading": "notifications/audit/tile_reading.py",
    "checkpoint": "notifications/audit/checkpoint.py",
    "entry": "notifications/audit/entry.py",
    "proof": "notifications/audit/proof.py",
    "note": "notifications/audit/note.py",
    "policy": "notifications/audit/policy.py",
    "verification": "notifications/evidence/verification.py",
    "cms": "notifications/crypto/cms.py",
    "verdict": "notifications/evidence/verdict.py",
}


def names(source):
    return [mutant.name for mutant in mutants(source)]


@pytest.mark.parametrize("subject", EXPLAINED)
def test_every_survivor_that_is_explained_exists(subject):
    known = set(names((ROOT / SOURCES[subject]).read_text("utf-8")))
    listed = [item["mutant"] for item in EXPLAINED.get(subject, [])]
    assert len(set(listed)) == len(listed)
    assert [name for name in listed if name not in known] == []
    assert all(item["why"].strip() for item in EXPLAINED.get(subject, []))


@pytest.mark.parametrize("source", SOURCES.values())
def test_every_mutant_compiles_and_is_named_once(source):
    text = (ROOT / source).read_text("utf-8")
    found = list(mutants(text))
    assert len({mutant.name for mutant in found}) == len({mutant.source for mutant in found}) == len(found)
    assert len(found) > text.count("\n") / 3
    for mutant in found:
        compile(mutant.source, source, "exec")


def test_what_is_changed():
    assert names(
        '"""Words."""\n\ndef f(a: int) -> bool:\n    """Words."""\n    if not 1 <= a:\n        raise E\n    return a'
    ) == [
        "f: not 1 <= a -> 1 <= a",
        "f: 1 <= a -> 1 < a",
        "f: 1 <= a -> 1 > a",
        "f: 1 -> 2",
        "f: 1 -> 0",
        "f: raise E -> (nothing)",
        "f: return a -> return None",
    ]
    assert names("def f(a):\n    g(a, b=True)") == [
        "f: g(a, b=True) -> (nothing)",
        "f: g(a, b=True) -> g(a)",
        "f: True -> False",
    ]
    assert names("def f():\n    try:\n        g()\n    except (A, B):\n        pass") == [
        "f: g() -> (nothing)",
        "f: (A, B) -> (B,)",
        "f: (A, B) -> (A,)",
    ]


def test_the_field_of_a_fault_is_changed_and_its_sentence_is_not():
    assert names("x = Fault('field', 'sentence')") == ["module: 'field' -> 'fieldX'"]
    assert names("x = f'sentence {1}'") == []


def test_patterns_are_changed_to_patterns():
    changed = [name.partition(" -> ")[2] for name in names("x = re.compile('a{1,2}?')")]
    assert "re.compile('a{1,3}?')" in changed
    assert "re.compile('a{1,2}')" in changed
    assert "re.compile('a{3,2}?')" not in changed


def test_a_line_is_tried_and_what_survives_is_told():
    line = next(
        number
        for number, text in enumerate((ROOT / SOURCES["tiles"]).read_text("utf-8").splitlines(), 1)
        if text.startswith("_WRONG_COUNT")
    )
    tried = subprocess.run(
        [sys.executable, MUTATION / "mutate.py", "tiles", "--line", str(line)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tried.returncode, tried.stderr) == (0, "")
    assert "1 mutants, 1 killed by a test, 0 killed as endless, 0 explained, 0 not" in tried.stdout
