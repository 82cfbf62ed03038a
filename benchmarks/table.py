"""Run the benchmarks and end with a table of their ratios; exit code 1 if one falls short by more than a fifth.

Each script prints one line for each of its results, written by ``result_line``::

    dispatch ratio=0.52 goal=0.50 ok (at least)

Other lines are for people. ``--from FILE`` makes the table of an output that was kept. ``--before`` runs each script
also against the code of the last release, or of a commit that it names, in a worktree of its own, right after the run
against this code; a script that needs newer code has no result there.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(
    r"(?P<name>[a-z0-9_]+) ratio=(?P<ratio>\d+\.\d+) goal=(?P<goal>\d+\.\d+) (?P<said>ok|short)"
    r" \(at (?P<sign>least|most)\)"
)
#: A goal may be missed by this share, because the machines that measure are shared.
_TOLERATED = 0.2
_CODE = Path(__file__).resolve().parents[1]
_GIT = ("git", "-C", str(_CODE))
#: No benchmark: what they share.
_PARTS = frozenset({"table.py"})


@dataclass(frozen=True, slots=True)
class Result:
    """One result: a ratio to a reference in the same run, and its goal."""

    name: str
    ratio: float
    goal: float
    #: whether the ratio is to be at most the goal, and not at least
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the goal is met."""
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal

    @property
    def missed_by(self) -> float:
        """By what share of the goal it is missed; 0 if it is met."""
        return 0.0 if self.met else abs(self.ratio - self.goal) / self.goal

    def __str__(self) -> str:
        said, sign = "ok" if self.met else "short", "most" if self.at_most else "least"
        return f"{self.name} ratio={self.ratio:.2f} goal={self.goal:.2f} {said} (at {sign})"


def result_line(name: str, ratio: float, *, at_least: float | None = None, at_most: float | None = None) -> str:
    """Return the line of a result, judged as it is printed; exactly one of the goals is given."""
    if (at_least is None) == (at_most is None):
        raise ValueError("a result has one goal")
    goal = at_least if at_most is None else at_most
    assert goal is not None
    return str(Result(name, round(ratio, 2), goal, at_most is not None))


def results(lines: Iterable[str]) -> Iterator[Result]:
    """Yield the results among the lines of an output; raises ValueError for one whose verdict is not its own."""
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        found = Result(match["name"], float(match["ratio"]), float(match["goal"]), match["sign"] == "most")
        if (match["said"] == "ok") != found.met:
            raise ValueError(f"the line contradicts itself: {line.strip()}")
        yield found


def table(found: Iterable[Result], before: Mapping[str, float] | None = None) -> Iterator[str]:
    """Yield the lines of the table, as Markdown; ``before`` has the ratios of the last release, by name."""
    yield "| benchmark | ratio | goal | |" + (" before |" if before is not None else "")
    yield "|---|---|---|---|" + ("---|" if before is not None else "")
    for each in found:
        sign = "≤" if each.at_most else "≥"
        verdict = "ok" if each.met else f"short by {100 * each.missed_by:.0f} %"
        earlier = "" if before is None else f" {before[each.name]:.2f} |" if each.name in before else " – |"
        yield f"| {each.name} | {each.ratio:.2f} | {sign} {each.goal:.2f} | {verdict} |{earlier}"


def far_short(found: Iterable[Result]) -> list[str]:
    """Return the names of the results that miss their goal by more than a fifth."""
    return [each.name for each in found if each.missed_by > _TOLERATED]


def _run(script: Path, code: Path) -> tuple[list[str], int]:
    """Run a script against the code in a folder; return its lines, printed as they come, and its exit code."""
    print(f"== {script.name}{'' if code == _CODE else ', before'}", flush=True)
    environment = os.environ | {"PYTHONPATH": f"{code}:{code / 'tests'}"}
    lines: list[str] = []
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return lines, process.returncode


def _last_release() -> str:
    """Return the commit that last began a release in the changelog."""
    newest = [*_GIT, "log", "-1", "--format=%H", "-G", r"^## \[[0-9]", "--", "CHANGELOG.md"]
    return subprocess.run(newest, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def _checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """Check out a commit, and yield its folder."""
    subprocess.run([*_GIT, "worktree", "add", "--detach", folder, commit], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run([*_GIT, "worktree", "remove", "--force", folder], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="benchmarks to run, such as dispatch; all of them if none is named")
    parser.add_argument("--from", dest="kept", type=Path, metavar="FILE", help="run nothing; read this output")
    said = "compare with a commit; the last release if none is named. Give it last"
    parser.add_argument("--before", nargs="?", const="", metavar="COMMIT", help=said)
    arguments = parser.parse_args()
    failed: list[str] = []
    before: dict[str, float] | None = None if arguments.before is None else {}
    if arguments.kept is not None:
        found = list(results(arguments.kept.read_text(encoding="utf-8").splitlines()))
    else:
        known = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.py")) if path.name not in _PARTS}
        unknown = set(arguments.names) - known.keys()
        if unknown:
            parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        found = []
        with ExitStack() as stack:
            if before is not None:
                kept = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                earlier = stack.enter_context(_checked_out(arguments.before or _last_release(), kept / "before"))
            for name in arguments.names or known:
                lines, code = _run(known[name], _CODE)
                found += results(lines)
                failed += [f"{name} (exit code {code})"] if code else []
                if before is not None:
                    before |= {each.name: each.ratio for each in results(_run(known[name], earlier)[0])}
    print("", *table(found, before), sep="\n")
    short = far_short(found)
    if short or failed:
        print(f"short by more than a fifth: {', '.join(short) or 'none'}; failed: {', '.join(failed) or 'none'}")
    return 1 if short or failed else 0


if __name__ == "__main__":
    sys.exit(main())
