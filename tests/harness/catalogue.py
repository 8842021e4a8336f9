# SPDX-License-Identifier: GPL-2.0
"""Which tests there are, which of them a pattern names, and what is expected of them."""

import fnmatch
import re
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .base import TESTS, HarnessError
from .guest import Guest


@dataclass(frozen=True)
class Boot:
    """A kernel command line to test under."""

    name: str
    #: What `lsm=` says.
    lsm: str
    #: What the tests find in PORTLOCK_BOOT.
    meaning: str
    #: The only programs to run, if not all.
    only: tuple[str, ...] = ()
    #: The guest's memory.
    memory: str = "1G"


#: Every setting of the boot switch. The first two run everything.
BOOTS = (
    Boot("portlock", "landlock,portlock", "both"),
    Boot("fallback", "landlock", "landlock"),
    Boot("reversed", "portlock,landlock", "reversed", ("portlock/boot_test",)),
    Boot("alone", "portlock", "portlock", ("portlock/boot_test",)),
    Boot("neither", "yama", "neither", ("portlock/boot_test",)),
)


@dataclass(frozen=True)
class Expectation:
    """What tests/expected says of a program."""

    #: How many tests have to pass; unknown for programs that it does not name.
    passes: int | None = None
    #: The tests among those that may be skipped for once, as shell patterns.
    may_skip: tuple[str, ...] = ()
    #: Seconds the program may take in the guest.
    timeout: int = 300
    #: Why it is not run, if it is not.
    left_out: str = ""
    #: Whether it is about the test module.
    needs_module: bool = False
    #: The only boots that run it, if not all.
    boots: tuple[str, ...] = ()

    def is_for(self, boot: Boot) -> bool:
        """Whether `boot` runs it."""
        return not self.boots or boot.name in self.boots


@dataclass
class Program:
    """A test program with the part of its cases that is to run."""

    suite: str
    name: str
    #: All its cases; empty if it does not list them.
    cases: list[str]
    #: The cases that are to run.
    chosen: list[str]
    expectation: Expectation

    @property
    def path(self) -> str:
        """How it is named everywhere: suite/program."""
        return f"{self.suite}/{self.name}"

    @property
    def whole(self) -> bool:
        """Whether every case is to run."""
        return len(self.chosen) == len(self.cases)

    def plan_line(self, scale: float) -> str:
        """Its line in the guest's plan."""
        filters = [] if self.whole else [word for case in self.chosen for word in ("-r", case)]
        return " ".join([self.suite, self.name, str(max(1, round(self.expectation.timeout * scale))), *filters])


@dataclass
class Job:
    """A boot and what is to run in it."""

    boot: Boot
    programs: list[Program] = field(default_factory=list)

    @property
    def expected(self) -> int:
        """How many cases should be reported."""
        return sum(len(program.chosen) or 1 for program in self.programs)


def expectations(suite: str) -> dict[str, Expectation]:
    """What tests/expected says of the programs of a suite."""
    file = TESTS / "expected" / f"{suite}.toml"
    if not file.is_file():
        return {}
    data = tomllib.loads(file.read_text())
    return {
        name: Expectation(entry.get("pass"), tuple(entry.get("may-skip", ())), entry.get("timeout", 300),
                          entry.get("left-out", ""), entry.get("needs-module", False), tuple(entry.get("boots", ())))
        for name, entry in data.items()
    }


def _list_cases(program: Path) -> list[str]:
    """The cases of a program made with kselftest_harness.h, as they are named in its results. The program is run on
    the host, where it only lists them; one that is made otherwise would run, so it is not asked."""
    if b"# FIXTURE" not in program.read_bytes():
        return []
    listing = subprocess.run([program, "-l"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True, check=False, timeout=60).stderr
    return parse_listing(listing)


def parse_listing(listing: str) -> list[str]:
    """Reads what `-l` prints: for each fixture a table whose columns are independent lists, of the variants and of
    the tests. Every test runs in every variant."""
    cases = []
    for table in re.split(r"^-{20,}\n", listing, flags=re.MULTILINE):
        fixture, variants, tests = "", [], []
        for line in table.splitlines():
            if line.startswith("# FIXTURE") or not line.strip():
                continue
            first, rest = _column(line, 20)
            variant, test = _column(rest, 25)
            fixture = fixture or first
            variants += [variant] if variant else []
            tests += [test.strip()] if test.strip() else []
        for variant in variants or [""]:
            cases += [".".join(filter(None, (fixture, variant, test))) for test in tests]
    return cases


def _column(line: str, width: int) -> tuple[str, str]:
    """Takes a column off a line of a table whose entries may be wider than their column."""
    if not line or line[0] == " ":
        return "", line[width + 1:]
    entry = line.split(" ", 1)[0]
    return entry, line[max(width, len(entry)) + 1:]


def jobs(guest: Guest, pattern: str | None, boots: list[str] | None) -> tuple[list[Job], dict[str, str]]:
    """What is to be booted and run for a pattern, and the programs that are left out with the reason."""
    chosen_boots = [boot for boot in BOOTS if not boots or boot.name in boots]
    programs, left_out = [], {}
    for suite, names in guest.programs.items():
        expected = expectations(suite)
        for name in names:
            expectation = expected.get(name, Expectation())
            cases = _list_cases(guest.installed[suite] / name)
            program = Program(suite, name, cases, cases, expectation)
            if expectation.left_out:
                left_out[program.path] = expectation.left_out
            elif expectation.needs_module and not guest.modules:
                left_out[program.path] = "the folder that the kernel was built in is not there, so no module fits it"
            else:
                programs.append(program)
        # A program that went away is as silent as a test that no longer runs.
        if missing := [name for name in expected if name not in names]:
            raise HarnessError(
                f"tests/expected/{suite}.toml names {', '.join(missing)}, which tools/testing/selftests/{suite} does not build.")
    selected = [Job(boot, [program for program in programs
                           if program.expectation.is_for(boot) and (not boot.only or program.path in boot.only)])
                for boot in chosen_boots]
    if pattern:
        selected = select(selected, pattern)
        if not selected:
            raise HarnessError(f"No test is named like {pattern!r}. `tests/run.py test --list` names them all.")
    return [job for job in selected if job.programs], left_out


def select(all_jobs: list[Job], pattern: str) -> list[Job]:
    """The part of the jobs that a shell pattern names, or if it names none, that a regular expression is found in."""
    return (_select(all_jobs, lambda name: fnmatch.fnmatchcase(name, pattern))
            or _select(all_jobs, _searcher(pattern)))


def _searcher(pattern: str) -> Callable[[str], bool]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise HarnessError(f"{pattern!r} names no test, and is no regular expression: {error}.") from None
    return lambda name: expression.search(name) is not None


def _select(all_jobs: list[Job], matches: Callable[[str], bool]) -> list[Job]:
    selected = []
    for job in all_jobs:
        programs = []
        for program in job.programs:
            names = [f"{boot}{suite}{program.name}" for boot in ("", f"{job.boot.name}:") for suite in ("", f"{program.suite}/")]
            if any(matches(name) for name in names):
                programs.append(program)
                continue
            cases = [case for case in program.cases if any(matches(f"{name}.{case}") for name in names)]
            if cases:
                programs.append(Program(program.suite, program.name, program.cases, cases, program.expectation))
        if programs:
            selected.append(Job(job.boot, programs))
    return selected
