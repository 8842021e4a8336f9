# SPDX-License-Identifier: GPL-2.0
"""The command portlock: the tests of its workspace on this machine, and its use in a guest. A part of a whole `run.py test`,
and `run.py command`."""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from . import guest as guests
from . import ktap, programs, report
from .base import REPOSITORY, TESTS, HarnessError, Paths
from .catalogue import Boot, Expectation, Job, Program, expectations
from .cpio import Archive
from .session import BootResult, Finished, Outcome, Session

#: What runs where: the scripts of each boot.
BOOTS = {
    Boot("command", "landlock,portlock", "both"): ("portlock", "programs"),
    Boot("command-landlock", "landlock", "landlock"): ("landlock",),
}
HOST = Boot("workspace", "none", "unit")

SCRIPTS = TESTS / "guest/command"
_SUITE = "command"

_TEST = re.compile(r"^test (.+) \.\.\. (ok|FAILED|ignored)")
_PROGRAM = re.compile(r"^\s+(?:Running (?:unittests )?(\S+)|Doc-tests (\S+))")


def run(paths: Paths, scale: float) -> int:
    """Run these tests alone. Returns the exit status, 0 only if something ran and nothing failed."""
    paths.check()
    if not _program(paths).is_file():
        raise HarnessError("build/portlock is missing: run `make portlock`.")
    progress = report.Progress()
    try:
        guest = guests.build(paths, progress.step, with_tests=False)
        results = [workspace(paths), *(outcomes(paths, guest, boot, scale, progress.finished) for boot in BOOTS)]
    finally:
        progress.end()
    for outcome in results[0].outcomes:
        progress.finished(HOST, outcome)
    logs = [(paths.log / f"test-{boot.name}.results.log").read_text("utf-8", "replace") for boot in BOOTS]
    return report.conclude(results, report.seen("\n".join(logs)))


def workspace(paths: Paths) -> BootResult:
    """Run `cargo test`. One outcome a test program."""
    began = time.monotonic()
    if not _program(paths).is_file():
        return BootResult(HOST, [Outcome("cargo test", [ktap.Case("(all)", ktap.SKIP, "build/portlock is not there")])])
    done = subprocess.run([REPOSITORY / "scripts/portlock.sh", "test"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    (paths.log / "command.log").write_text(done.stdout, "utf-8")
    return BootResult(HOST, list(judge(done.stdout, done.returncode, expectations(HOST.name))), time.monotonic() - began)


def judge(printed: str, status: int, expected: dict[str, Expectation]) -> Iterator[Outcome]:
    """What cargo printed of its tests. A program that is expected and did not run, or not all of it, is a failure."""
    lines = printed.splitlines()
    outcome = Outcome("(start)")
    failed = 0
    passed: Counter[str] = Counter()
    for line in lines:
        if found := _PROGRAM.match(line):
            if outcome.cases:
                yield outcome
            outcome = Outcome(found[1] or f"examples of {found[2]}")
        elif found := _TEST.match(line):
            verdict = {"ok": ktap.PASS, "FAILED": ktap.FAIL, "ignored": ktap.SKIP}[found[2]]
            failed += verdict == ktap.FAIL
            passed[outcome.name] += verdict == ktap.PASS
            outcome.cases.append(ktap.Case(found[1], verdict))
    if status and not failed:
        outcome.cases.append(ktap.Case("(end)", ktap.FAIL, f"cargo test ended with status {status}", lines[-20:]))
    elif not outcome.cases:
        outcome.cases.append(ktap.Case("(end)", ktap.FAIL, "no test ran", lines[-20:]))
    if failed:
        outcome.cases.append(ktap.Case("(output)", ktap.FAIL, "what the failed tests printed", lines[-60:]))
    yield outcome
    # After a failure, cargo runs no more programs.
    for name, expectation in expected.items() if not status else ():
        if passed[name] < (expectation.passes or 0):
            reason = f"{passed[name]} tests passed, {expectation.passes} are expected (tests/expected)"
            yield Outcome(name, [ktap.Case("(count)", ktap.FAIL, reason)])


def outcomes(paths: Paths, guest: guests.Guest, boot: Boot, scale: float, finished: Finished) -> BootResult:
    """Use the command in one of its boots."""
    scripts = BOOTS[boot]
    if not _program(paths).is_file():
        skips = [Outcome(f"{_SUITE}/{name}", [ktap.Case("(all)", ktap.SKIP, "build/portlock is not there")]) for name in scripts]
        return BootResult(boot, skips)
    expected = expectations(_SUITE)
    job = Job(boot, [Program(_SUITE, name, [], [], expected.get(name, Expectation())) for name in scripts])
    archive = Archive()
    archive.file("bin/portlock", _program(paths))
    archive.file("bin/ask", guests.compile_program(paths, TESTS / "guest/ask.c"))
    for file in sorted(SCRIPTS.iterdir()):
        archive.file(f"selftests/{_SUITE}/{file.name}", file)
    real = b"" if programs.PROGRAMS.missing(paths) else programs.archive(paths)
    session = Session(paths, replace(guest, archive=guest.archive + archive.finish() + real, modules=[]), job, scale)
    return session.run(finished)


def _program(paths: Paths) -> Path:
    return paths.build / "portlock"
