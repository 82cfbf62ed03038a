"""Mutation testing of what verifies: each small change of a module must make a test of it fail, or be explained.

    make mutants                                      every module
    make mutants ARGS="merkle checkpoint --jobs 2"    some
    make mutants ARGS="merkle --line 140"             one line of one

1. A process collects the tests of a module, runs each on the module as it is, and notes its time and which of the
   module's functions it enters.
2. For each mutant of a function it forks: the copy puts the changed code in the function's place, and runs the tests
   that enter it, until one fails; first those that found other mutants of that function, then the quickest.
3. What survives, and what stands outside of functions, is tried again in a process that imports the changed module
   anew, on all tests of it: only what survives there has survived.

Ends with 1 where a mutant survives that ``survivors.toml`` does not explain, or where it explains one that does not.
Tests draw the same examples each time, so that a second run says the same.
"""

import argparse
import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from hypothesis import HealthCheck, Phase, settings
from mutators import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"

#: module: its source, and the tests that are to notice; the quickest first
SUBJECTS = {
    "merkle": ("notifications/audit/merkle.py", ("test_merkle_pins.py", "test_merkle.py")),
    "tiles": ("notifications/audit/tiles.py", ("test_tiles.py",)),
    "checkpoint": (
        "notifications/audit/checkpoint.py",
        ("test_checkpoint.py", "test_mldsa_cosignatures.py", "test_several_log_keys.py"),
    ),
    "entry": ("notifications/audit/entry.py", ("test_audit_entry_pins.py", "test_audit_entry.py")),
    "tile_reading": ("notifications/audit/tile_reading.py", ("test_tile_reading.py",)),
    "proof": ("notifications/audit/proof.py", ("test_tlog_proof_pins.py", "test_tlog_proof.py")),
    "note": ("notifications/audit/note.py", ("test_note_pins.py", "test_note.py", "test_mldsa_cosignatures.py")),
    "policy": ("notifications/audit/policy.py", ("test_policy.py",)),
    "verification": (
        "notifications/evidence/verification.py",
        ("test_verification_pins.py", "test_shared_timestamp.py", "test_verification.py"),
    ),
    "cms": ("notifications/crypto/cms.py", ("test_cms.py", "test_verification.py")),
    "verdict": ("notifications/evidence/verdict.py", ("test_verdict.py",)),
}
EXPLAINED = Path(__file__).parent / "survivors.toml"
#: A mutant may never end, and may ask for the whole memory. Each test may take what the slowest one does, many times
#: over, in seconds of CPU: which of them makes what a file's tests share depends on which comes first.
MEMORY_BYTES = 4 << 30
LEAST_SECONDS, TIMES = 1.0, 4
_SURVIVED, _KILLED, _ENDLESS = "survived", "killed by a test", "killed as endless"
#: What tests need and what is not ours; each process of step 3 loads ours anew.
_LIBRARIES = (
    "asn1crypto.tsp", "click", "cryptography.hazmat.primitives.serialization.pkcs7", "cryptography.x509.verification",
    "hypothesis.strategies", "pyhanko.sign.timestamps", "rfc3161_client", "rich.console", "sqlmodel", "structlog",
)  # fmt: skip


class _Quick:
    """Pytest plugin that tries mutants of functions in copies of the process that has everything loaded."""

    def __init__(self, path: Path, tried: Sequence[Mutant], jobs: int, say: Callable[[object], None]) -> None:
        self._path, self._tried, self._jobs, self._say = path, tried, jobs, say
        self._failed = False
        self._seconds: dict[str, float] = {}
        #: function: the tests that enter it
        self._entering: dict[str, set[pytest.Item]] = {}
        #: function: the tests that killed mutants of it, the latest first
        self._killers: dict[str, list[pytest.Item]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed |= report.failed

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        # The first file's tests come last: what its fixtures made is there when the copies begin.
        files = list(dict.fromkeys(item.path for item in session.items))
        items = sorted(session.items, key=lambda item: -files.index(item.path))
        first = next((item for item in items if item.path == files[0]), None)
        for item, following in zip(items, [*items[1:], first], strict=True):
            self._baseline(item, following)
        if self._failed or not items:
            self._say(None)
            return True
        self._allowed = LEAST_SECONDS + TIMES * max(self._seconds.values())
        order = sorted(items, key=lambda item: (files.index(item.path), self._seconds[item.nodeid]))
        if self._holds_unchanged(order):
            self._say(self._allowed)
            self._try_all(order)
        else:
            self._say(None)
        return True

    def _baseline(self, item: pytest.Item, following: pytest.Item | None) -> None:
        entered = set()

        def profile(frame, event, argument):
            if event == "call" and frame.f_code.co_filename == str(self._path):
                entered.add(frame.f_code.co_qualname.partition(".<")[0])

        started = time.process_time()
        sys.setprofile(profile)
        try:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        finally:
            sys.setprofile(None)
        self._seconds[item.nodeid] = time.process_time() - started
        for function in entered:
            self._entering.setdefault(function, set()).add(item)

    def _try_all(self, order: Sequence[pytest.Item]) -> None:
        source = self._path.read_text("utf-8")
        unchanged = _functions(compile(_normal(source), str(self._path), "exec"))
        running: dict[int, tuple[Mutant, int, list[pytest.Item]]] = {}
        for mutant in self._tried:
            code = _functions(compile(mutant.source, str(self._path), "exec")).get(mutant.function)
            function = self._function(mutant.function)
            if code is None or function is None or code == unchanged.get(mutant.function):
                continue  # changed outside of a function's code: step 3
            tests = [item for item in order if item in self._entering.get(mutant.function, ())]
            killers = self._killers.get(mutant.function, [])
            tests = [*killers, *(item for item in tests if item not in killers)]
            if not tests:
                continue
            while len(running) >= self._jobs:
                self._end_one(running)
            child, reading = self._copy(function, code, tests)
            running[child] = (mutant, reading, tests)
        while running:
            self._end_one(running)

    def _holds_unchanged(self, order: Sequence[pytest.Item]) -> bool:
        """Return whether the tests of each file pass in a copy in which nothing is changed."""
        for path in dict.fromkeys(item.path for item in order):
            tests = [item for item in order if item.path == path]
            child, reading = self._copy(_Quick._holds_unchanged, _Quick._holds_unchanged.__code__, tests)
            os.close(reading)
            if _fate(os.waitpid(child, 0)[1]) != _SURVIVED:
                return False
        return True

    def _copy(self, function: FunctionType, code: CodeType, tests: Sequence[pytest.Item]) -> tuple[int, int]:
        """Fork a copy that runs tests on changed code; returns its id and where it tells which one failed."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self._run(function, code, tests, writing)
        os.close(writing)
        return child, reading

    def _function(self, name: str) -> FunctionType | None:
        """Return a function of the loaded module, found as it is named there; None where it is wrapped."""
        found: object = sys.modules[_module(self._path)]
        for part in name.split("."):
            found = (
                vars(found).get(part) if isinstance(found, type) or found is sys.modules[_module(self._path)] else None
            )
        return found if isinstance(found, FunctionType) else None

    def _run(self, function: FunctionType, code: CodeType, tests: Sequence[pytest.Item], writing: int) -> None:
        """Run tests on changed code in this copy of the process, which ends with it."""
        ended = 1
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            function.__code__ = code
            ended = 0
            # What the first file's fixtures made is kept for its own tests alone.
            tests[0].session._setupstate.teardown_exact(tests[0])
            for number, (item, following) in enumerate(zip(tests, [*tests[1:], None], strict=True)):
                signal.setitimer(signal.ITIMER_PROF, self._allowed)  # whose signal ends a process
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self._failed:
                    os.write(writing, str(number).encode())
                    ended = 1
                    break
        finally:
            os._exit(ended)

    def _end_one(self, running: dict[int, tuple[Mutant, int, list[pytest.Item]]]) -> None:
        child, status = os.wait()
        mutant, reading, tests = running.pop(child)
        with os.fdopen(reading) as pipe:
            killer = pipe.read()
        item = tests[int(killer)] if killer else None
        if item is not None:
            killers = self._killers.setdefault(mutant.function, [])
            killers[:] = [item, *(other for other in killers if other is not item)]
        self._say([mutant.name, _fate(status), "" if item is None else item.nodeid])


class _Anew(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Loads one module from the text of a mutant; as a pytest plugin, limits the time of each test."""

    def __init__(self, path: Path, source: str, allowed: float) -> None:
        self._path, self._source, self._allowed = path, source, allowed

    def find_spec(self, fullname, path=None, target=None):
        return importlib.util.spec_from_loader(fullname, self) if fullname == _module(self._path) else None

    def get_filename(self, fullname):
        return str(self._path)

    def get_data(self, path):
        return self._source.encode()

    def path_stats(self, path):
        raise OSError(path)  # no cached bytecode

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        signal.setitimer(signal.ITIMER_PROF, self._allowed)
        return (yield)


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _normal(source: str) -> str:
    """Return a module as its mutants are written, so that unchanged code is equal."""
    import ast

    return "\n".join(ast.unparse(statement) for statement in ast.parse(source).body)


def _functions(code: CodeType) -> dict[str, CodeType]:
    """Return the code of each function and method, by qualified name."""
    found = {}
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and "<" not in constant.co_qualname:
            found[constant.co_qualname] = constant
            found |= _functions(constant)
    return found


def _fate(status: int) -> str:
    if os.WIFSIGNALED(status):
        return _ENDLESS
    return _SURVIVED if os.WEXITSTATUS(status) == 0 else _KILLED


def _in_a_process(work: Callable[[], int]) -> int:
    """Fork, work in silence, end; returns the id of the process."""
    child = os.fork()
    if child:
        return child
    code = 3
    try:
        quiet = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(quiet, number)
        sys.dont_write_bytecode = True
        code = work()
    finally:
        os._exit(code)


def _pytest(tests: Sequence[Path], *more: object) -> int:
    # Nothing that depends on how busy the machine is, and no search for a smaller example.
    settings.register_profile(
        "mutation",
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("mutation")
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "-q", "-x", "--noconftest", "--assert=plain", f"--basetemp={folder}/tests",
            "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:schemathesis",
        ]  # fmt: skip
        return int(pytest.main([*options, *map(str, tests)], plugins=list(more)))


def _quickly(path: Path, tests: Sequence[Path], tried: Sequence[Mutant], jobs: int) -> Iterator[object]:
    """Yield the seconds that a test may take, or None where they fail; then fates of mutants as they become known."""
    reading, writing = os.pipe()

    def say(what: object) -> None:
        os.write(writing, json.dumps(what).encode() + b"\n")

    child = _in_a_process(lambda: _pytest(tests, _Quick(path, tried, jobs, say)))
    os.close(writing)
    with os.fdopen(reading) as lines:
        yield from map(json.loads, lines)
    os.waitpid(child, 0)


def _anew(
    path: Path, tests: Sequence[Path], tried: Sequence[Mutant], allowed: float, jobs: int
) -> Iterator[tuple[str, str, str]]:
    """Yield name and fate of each mutant, tried on all tests in a process that imports it."""
    running: dict[int, Mutant] = {}

    def end_one() -> tuple[str, str, str]:
        child, status = os.wait()
        return running.pop(child).name, _fate(status), ""

    for mutant in tried:
        if len(running) >= jobs:
            yield end_one()

        def work(mutant: Mutant = mutant) -> int:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            loader = _Anew(path, mutant.source, allowed)
            sys.meta_path.insert(0, loader)
            return _pytest(tests, loader)

        running[_in_a_process(work)] = mutant
    while running:
        yield end_one()


def read_explained(subject: str) -> dict[str, str]:
    """Return why the mutants of a module that survive do so, by name."""
    listed = tomllib.loads(EXPLAINED.read_text("utf-8")).get(subject, [])
    return {item["mutant"]: item["why"] for item in listed}


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _try(subject: str, explained: dict[str, str], line: int | None, jobs: int, *, each: bool) -> bool:
    """Try the mutants of a module; return whether one is not explained, or an explanation is of none."""
    started = time.monotonic()
    path, tests = ROOT / SUBJECTS[subject][0], [UNIT / name for name in SUBJECTS[subject][1]]
    tried = [mutant for mutant in mutants(path.read_text("utf-8")) if line in {None, mutant.line}]
    _tell(f"{subject}: {len(tried)} mutants")
    told = _quickly(path, tests, tried, jobs)
    allowed = next(told, None)
    if allowed is None:
        _tell(f"{subject}: the tests fail on the module as it is, or there are none")
        return True
    fates = {}
    for name, fate, killer in told:
        fates[name] = fate
        if each and fate != _SURVIVED:
            _tell(f"{subject}: {fate}: {name}: {killer}")
    left = [mutant for mutant in tried if fates.get(mutant.name, _SURVIVED) == _SURVIVED]
    _tell(
        f"{subject}: {len(tried) - len(left)} killed after {time.monotonic() - started:.0f} s, {len(left)} tried anew"
    )
    for name, fate, _ in _anew(path, tests, left, allowed, jobs):
        fates[name] = fate
        if each and fate != _SURVIVED:
            _tell(f"{subject}: {fate}, anew: {name}")
    survivors = [mutant for mutant in tried if fates[mutant.name] == _SURVIVED]
    unexplained = [mutant for mutant in survivors if mutant.name not in explained]
    for mutant in unexplained:
        _tell(f"{subject}:{mutant.line}: survived: {mutant.name}")
    stale = set(explained) - {mutant.name for mutant in survivors} if line is None else set()
    for name in sorted(stale):
        _tell(f"{subject}: explained, and does not survive: {name}")
    counted = Counter(fates.values())
    _tell(
        f"{subject}: {len(tried)} mutants, {counted[_KILLED]} {_KILLED}, {counted[_ENDLESS]} {_ENDLESS},"
        f" {len(survivors) - len(unexplained)} explained, {len(unexplained)} not; {time.monotonic() - started:.0f} s"
    )
    return bool(unexplained or stale)


def main() -> int:
    """Try the mutants; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subjects", nargs="*", metavar="|".join(SUBJECTS))
    parser.add_argument("--line", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--each", action="store_true", help="tell of each mutant what became of it")
    chosen = parser.parse_args()
    if unknown := set(chosen.subjects) - SUBJECTS.keys():
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    os.chdir(ROOT)
    for library in _LIBRARIES:
        importlib.import_module(library)
    failed = [
        _try(subject, read_explained(subject), chosen.line, chosen.jobs, each=chosen.each)
        for subject in chosen.subjects or SUBJECTS
    ]
    return int(any(failed))


if __name__ == "__main__":
    sys.exit(main())
