# SPDX-License-Identifier: GPL-2.0
"""The unit tests of the whole run: KUnit in a kernel that is a program of this machine (User-Mode Linux)."""

import subprocess
import time

from . import kernel_log, ktap
from .base import Paths
from .catalogue import Boot
from .session import BootResult, Outcome

BOOT = Boot("unit", "none", "unit")

# As tools/testing/kunit/kunit.py starts it.
_ARGUMENTS = ("mem=1G", "console=tty", "kunit_shutdown=halt")

_LIMIT = 300


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
    result.outcomes = judge(printed, ended)
    result.seconds = time.monotonic() - began
    return result


def judge(printed: str, ended: bool) -> list[Outcome]:
    """What the kernel's output says of its suites, and of itself."""
    lines = printed.splitlines()
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
    if found := kernel_log.reports("\n".join(lines)):
        outcomes["kernel log (unit.log)"] = Outcome("kernel log (unit.log)", [
            ktap.Case(report[0], ktap.FAIL, "in the kernel's log", report) for report in found])
    return list(outcomes.values())
