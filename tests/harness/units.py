# SPDX-License-Identifier: GPL-2.0
"""The unit tests (KUnit): of a whole run in a kernel that is a program of this machine (User-Mode Linux), and of the image
with checkers in a guest."""

import re
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from . import kernel_log, ktap
from .base import REPOSITORY, Paths
from .catalogue import Boot
from .cpio import Archive
from .session import BootResult, Outcome
from .vm import Machine

BOOT = Boot("unit", "none", "unit")
GUEST_BOOT = Boot("unit-x86", "landlock,portlock", "unit")

# As tools/testing/kunit/kunit.py starts it.
_ARGUMENTS = ("mem=1G", "console=tty", "kunit_shutdown=halt")

# The image's own tests are off, and each other boot leaves them so. The results are no warnings, so the console must show
# more than it does otherwise. The kernel ends itself after the last test and needs no init.
_GUEST_ARGUMENTS = "kunit.enable=1 kunit_shutdown=reboot loglevel=7"

_LIMIT = 300

_SUITE = re.compile(r"^#\[.*\bkunit_tests\((\w+)\)\]", re.MULTILINE)


def suites(folder: Path = REPOSITORY) -> list[str]:
    """The suites that the sources in `folder` have: each has to run wherever the unit tests do."""
    sources = sorted(file for part in ("rust", "security") for file in (folder / part).rglob("*.rs"))
    return [name for file in sources for name in _SUITE.findall(file.read_text("utf-8"))]


def run(paths: Paths) -> BootResult:
    """Run all unit tests. One outcome a suite."""
    began = time.monotonic()
    program = paths.build / "kunit/linux"
    result = BootResult(BOOT)
    if not program.is_file():
        reason = "User-Mode Linux is not built; make kunit does it"
        result.outcomes.append(Outcome("unit tests", [ktap.Case("(program)", ktap.SKIP, reason)]))
        return result
    try:
        done = subprocess.run([program, *_ARGUMENTS], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False, timeout=_LIMIT)
        printed, ended = done.stdout, True
    except subprocess.TimeoutExpired as error:
        printed, ended = (error.stdout or b"").decode("utf-8", "replace"), False
    (paths.log / "unit.log").write_text(printed, "utf-8")
    result.outcomes = judge(printed, ended, suites(), "unit.log")
    result.seconds = time.monotonic() - began
    return result


def run_in_guest(paths: Paths, scale: float) -> BootResult:
    """Run the unit tests that the image was built with, in a boot of their own. One outcome a suite."""
    began = time.monotonic()
    machine = Machine(paths, GUEST_BOOT.name, GUEST_BOOT.lsm, Archive().finish(), extra=_GUEST_ARGUMENTS)
    try:
        late = machine.run(lambda _: "it took too long" if time.monotonic() - began > _LIMIT * scale else None)
        printed = machine.console.text()
    finally:
        machine.close()
    return BootResult(GUEST_BOOT, judge(printed, not late, suites(), machine.console.path.name), time.monotonic() - began)


def judge(printed: str, ended: bool, expected: Iterable[str], log: str) -> list[Outcome]:
    """What the kernel's output says of its suites, those that are expected among them, and of itself. It is kept in `log`."""
    lines = [kernel_log.without_stamp(line) for line in printed.splitlines()]
    start = next((index for index, line in enumerate(lines) if line.startswith("KTAP version")), len(lines))
    parser = ktap.Parser()
    for line in lines[start:]:
        parser.feed(line)
    outcomes: dict[str, Outcome] = {}
    for case in parser.cases:
        suite, _, name = case.name.partition(".")
        outcome = outcomes.setdefault(suite, Outcome(suite))
        outcome.cases.append(ktap.Case(name or suite, case.verdict, case.reason, case.lines))
    if not ended or parser.plan is None or parser.outer_results != parser.plan:
        why = f"{parser.outer_results} of {parser.plan} suites ended" if parser.plan is not None else "no suite was announced"
        outcomes["unit tests"] = Outcome("unit tests", [ktap.Case("(end)", ktap.FAIL, why, lines[-20:])])
    for suite in expected:
        outcome = outcomes.setdefault(suite, Outcome(suite))
        if all(case.verdict == ktap.SKIP for case in outcome.cases):
            outcome.cases.append(ktap.Case("(suite)", ktap.FAIL, "no test of this suite ran"))
    if found := kernel_log.reports("\n".join(lines)):
        name = f"kernel log ({log})"
        outcomes[name] = Outcome(name, [ktap.Case(report[0], ktap.FAIL, "in the kernel's log", report) for report in found])
    return list(outcomes.values())
