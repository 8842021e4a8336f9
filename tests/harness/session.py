# SPDX-License-Identifier: GPL-2.0
"""Runs one job: boots the guest, follows its programs, and judges what they report."""

import fnmatch
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from . import kernel_log, ktap
from .base import Paths
from .catalogue import Boot, Job, Program
from .guest import Guest, plan
from .vm import Machine, stopping

#: Seconds until the first program has to start, and those a program may be late beyond its own limit.
BOOT_LIMIT, LATE = 180, 60

#: How often a guest that died is booted again for the programs that are left.
RESTARTS = 3

# What the guest's timeout(1) leaves when it had to kill.
_KILLED = 137

_SKIPPED = 4


@dataclass
class Outcome:
    """What became of a program, or of something else that is judged in a boot, such as its kernel log."""

    name: str
    cases: list[ktap.Case] = field(default_factory=list)
    seconds: float | None = None

    def count(self, verdict: str) -> int:
        """How many cases ended so."""
        return sum(case.verdict == verdict for case in self.cases)


@dataclass
class BootResult:
    """What became of a boot."""

    boot: Boot
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0


#: Called with each outcome as soon as it is known.
Finished = Callable[[Boot, Outcome], None]


class Follower:
    """Reads a guest's channels while it runs, and knows what should come next."""

    def __init__(self, programs: list[Program], modules: list[str], scale: float) -> None:
        self._waiting = {program.path: program for program in programs}
        self._modules = modules
        self._scale = scale
        self._parser = ktap.Parser()
        #: The program whose process runs, and since when.
        self._running: tuple[Program, float] | None = None
        self._parsers: dict[str, ktap.Parser] = {}
        self._exits: dict[str, int] = {}
        #: This machine's time at the start and the end; the guest's own is counted in instructions.
        self._times: dict[str, list[float]] = {}
        self._module_exits: dict[str, int] = {}
        #: The LSMs that the kernel lists.
        self._active: list[str] | None = None
        self._started = time.monotonic()
        self._last = self._started
        self.done = False
        self.finished: list[Program] = []

    def watch(self, machine: Machine) -> str | None:
        """Read what is new; say so if the guest hangs."""
        # In this order: what a program printed is there before the guest says that it ended.
        status = machine.ports["status"].lines()
        self.take(machine.ports["results"].lines(), status)
        now = time.monotonic()
        if self._running:
            program, since = self._running
            limit = program.expectation.timeout * self._scale + LATE * max(1, self._scale)
            if now - since > limit:
                return f"{program.path} did not end in {limit:.0f} s, nor could the guest end it"
        elif not self.done and now - self._last > BOOT_LIMIT * max(1, self._scale):
            return f"the guest did nothing for {now - self._last:.0f} s"
        return None

    def take(self, printed: list[str], status: list[str]) -> None:
        """Lines that came out of the two ports."""
        for line in printed:
            self._print(line)
        for line in status:
            self._status(line)

    @property
    def running(self) -> str | None:
        """What runs now."""
        return self._running[0].path if self._running else None

    def reported(self) -> tuple[int, int]:
        """Cases reported so far, and the failures among them."""
        cases = [case for parser in self._parsers.values() for case in parser.cases]
        return len(cases), sum(case.verdict == ktap.FAIL for case in cases)

    def _print(self, line: str) -> None:
        if line.startswith("# program "):
            path = line.removeprefix("# program ").strip()
            if path in self._waiting:
                self._parser = self._parsers[path] = ktap.Parser()
                return
        self._parser.feed(line)

    def _status(self, line: str) -> None:
        match line.split():
            case ["start", path, _] if path in self._waiting:
                self._running = self._waiting[path], time.monotonic()
                self._times[path] = [time.monotonic()]
            case ["exit", path, code, _] if path in self._waiting:
                self._exits[path] = int(code)
                self._times[path].append(time.monotonic())
                self.finished.append(self._waiting[path])
                self._running = None
            case ["module", name, code]:
                self._module_exits[name] = int(code)
            case ["lsm", active]:
                self._active = active.split(",")
            case ["done", *_]:
                self.done = True
        self._last = time.monotonic()

    def judge(self, program: Program, why: str | None) -> Outcome:
        """The outcome of a program that was started; `why` is what ended the guest, if something did."""
        parser = self._parsers.get(program.path, ktap.Parser())
        times = self._times.get(program.path, [])
        outcome = Outcome(program.path, list(parser.cases), times[1] - times[0] if len(times) == 2 else None)
        code = self._exits.get(program.path)
        problem, lines = None, parser.pending_lines
        if code is None:
            problem = f"the guest ended while this ran: {why or 'it stopped by itself'}"
        elif code == _KILLED:
            problem = f"did not end in {program.expectation.timeout * self._scale:.0f} s"
        elif parser.bailed:
            problem = f"gave up: {parser.bailed}"
        elif parser.skip_all or (code == _SKIPPED and not parser.cases):
            outcome.cases.append(ktap.Case("(all)", ktap.SKIP, parser.skip_all or " ".join(lines[-1:]) or "no reason given"))
            return outcome
        elif parser.plan is None:
            problem = f"printed no results and ended with status {code}"
        elif parser.outer_results != parser.plan:
            problem = f"reported {parser.outer_results} of {parser.plan} tests and ended with status {code}"
        elif code and not outcome.count(ktap.FAIL):
            problem = f"ended with status {code} though no test failed"

        # Whatever did not report is a failure of its own, by name; what was printed last goes with the one that ran.
        seen = {case.name for case in outcome.cases}
        missing = [name for name in program.chosen if name not in seen]
        for name in missing:
            ran = name == parser.running
            outcome.cases.append(ktap.Case(
                name, ktap.FAIL, f"{'no result' if ran else 'did not run'}: {problem or 'the program left it out'}",
                lines if ran else []))
        if problem and not missing:
            outcome.cases.append(ktap.Case("(program)", ktap.FAIL, problem, lines))
        expected = program.expectation.passes
        if program.whole and expected is not None and not outcome.count(ktap.FAIL):
            skipped = [case for case in outcome.cases if case.verdict == ktap.SKIP]
            excused = sum(any(fnmatch.fnmatchcase(case.name, pattern) for pattern in program.expectation.may_skip)
                          for case in skipped)
            if outcome.count(ktap.PASS) + excused < expected:
                outcome.cases.append(ktap.Case(
                    "(count)", ktap.FAIL, f"{outcome.count(ktap.PASS)} tests passed, {expected} are expected (tests/expected)",
                    [f"skipped: {case.name}: {case.reason}" for case in skipped]))
        return outcome

    def judge_lsm(self, boot: Boot) -> Outcome | None:
        """Whether the kernel lists the LSMs that it was told; without one of them the tests would be about something else."""
        missing = [name for name in boot.lsm.split(",") if self._active is not None and name not in self._active]
        if not missing:
            return None
        return Outcome("active LSMs", [ktap.Case(name, ktap.FAIL, f"lsm={boot.lsm} names it and the kernel does not list it")
                                       for name in missing])

    def judge_modules(self) -> Outcome | None:
        """Whether the test modules were loaded."""
        cases = []
        for name in self._modules:
            code = self._module_exits.get(name)
            cases.append(ktap.Case(name, ktap.PASS) if code == 0 else
                         ktap.Case(name, ktap.FAIL, "was not loaded; see the console log"))
        return Outcome("module", cases) if cases else None


class Session:
    """A job being run. Progress can be read from another thread at any time."""

    def __init__(self, paths: Paths, guest: Guest, job: Job, scale: float) -> None:
        self._paths = paths
        self._guest = guest
        self.job = job
        self._scale = scale
        self.result = BootResult(job.boot)
        self.current: Follower | None = None
        #: Cases reported by boots before the current one, and failures among them.
        self.before = (0, 0)

    def progress(self) -> tuple[int, int, str | None]:
        """Cases reported, failures among them, the program that runs."""
        follower = self.current
        done, failed = follower.reported() if follower else (0, 0)
        return self.before[0] + done, self.before[1] + failed, follower.running if follower else None

    def run(self, finished: Finished) -> BootResult:
        """Run all programs; call `finished` with the boot and each outcome."""
        began = time.monotonic()
        left = list(self.job.programs)
        for attempt in range(1 + RESTARTS):
            left = self._boot(left, attempt, finished)
            if stopping.is_set():
                return self.result
            if not left:
                break
        for program in left:
            self._add(Outcome(program.path, [
                ktap.Case(name, ktap.FAIL, "did not run: the guest had died too often")
                for name in program.chosen or ["(program)"]]), finished)
        self.current = None
        self.result.seconds = time.monotonic() - began
        return self.result

    def _add(self, outcome: Outcome, finished: Finished) -> None:
        self.result.outcomes.append(outcome)
        finished(self.job.boot, outcome)

    def _boot(self, programs: list[Program], attempt: int, finished: Finished) -> list[Program]:
        """One boot. Returns the programs that it did not get to."""
        name = f"test-{self.job.boot.name}" + (f"-{attempt + 1}" if attempt else "")
        environment = {"PORTLOCK_BOOT": self.job.boot.meaning}
        # How long the tests of races look for one is for whoever runs them to say.
        for name_of_number in ("PORTLOCK_ROUNDS", "PORTLOCK_OPERATIONS"):
            if number := os.environ.get(name_of_number):
                environment[name_of_number] = number
        initramfs = self._guest.archive + plan("test", environment, (p.plan_line(self._scale) for p in programs))
        follower = self.current = Follower(programs, self._guest.modules, self._scale)
        machine = Machine(self._paths, name, self.job.boot.lsm, initramfs, memory=self.job.boot.memory)
        told = 0

        def watch(running: Machine) -> str | None:
            nonlocal told
            why = follower.watch(running)
            while told < len(follower.finished):
                self._add(follower.judge(follower.finished[told], None), finished)
                told += 1
            return why

        try:
            why = machine.run(watch)
            follower.take(machine.ports["results"].lines(last=True), [])
            log = kernel_log.joined(machine.console.text(), machine.ports["dmesg"].text())
        finally:
            machine.close()
        if stopping.is_set():
            return []
        reached = {program.path for program in follower.finished}
        left = [program for program in programs if program.path not in reached]
        victim = None
        if not follower.done and left:
            victim = left.pop(0)
            self._add(follower.judge(victim, why), finished)
        if not attempt:
            for outcome in (follower.judge_lsm(self.job.boot), follower.judge_modules(), self._judge_checkers(log)):
                if outcome:
                    self._add(outcome, finished)
        self._judge_log(log, follower.done or victim is not None, why, name, finished)
        done, failed = follower.reported()
        self.before = self.before[0] + done, self.before[1] + failed
        self.current = None
        return left

    def _judge_checkers(self, log: str) -> Outcome | None:
        """Whether the checkers that were built in have begun. One that has not finds nothing, and all would look well."""
        if not self._paths.kernel_objects:
            return None
        config = (self._paths.kernel_objects / ".config").read_text("utf-8")
        silent = kernel_log.silent_checkers(config, log)
        if not silent:
            return None
        return Outcome("checkers", [ktap.Case(option, ktap.FAIL, f"{option} is built in, and the log says nothing of it")
                                    for option in silent])

    def _judge_log(self, log: str, explained: bool, why: str | None, name: str, finished: Finished) -> None:
        """What the kernel's log says against it; and how the guest ended, if no program explains that."""
        cases = kernel_log.cases(log)
        if not explained and not cases:
            tail = log.splitlines()[-20:]
            cases.append(ktap.Case("(end)", ktap.FAIL, why or "the guest ended before its plan did", tail))
        if cases:
            self._add(Outcome(f"kernel log ({name}.console.log)", cases), finished)
