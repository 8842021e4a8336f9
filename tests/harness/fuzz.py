# SPDX-License-Identifier: GPL-2.0
"""`run.py fuzz`: the same random system calls under C Landlock and under Portlock, compared one by one.

A program is a list of operations, one line each, which tests/guest/fuzz.c executes and explains. Both guests boot the same
image; only `lsm=` differs.
"""

import concurrent.futures
import errno
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import guest as guests
from . import kernel_log, ktap, report
from .base import HarnessError, Paths
from .catalogue import Boot
from .fuzz_programs import Program, generate
from .session import BootResult, Outcome
from .vm import Machine, stopping

#: What is compared: the oracle, and what has to equal it.
BOOTS = {"C Landlock": "landlock", "Portlock": "landlock,portlock"}

BOOT = Boot("fuzz", "both", "fuzz")

#: Operations a boot: enough to forget what booting costs, few enough to see progress.
BATCH = 50_000

#: Seconds a guest may go without finishing a program.
SILENCE = 120

#: Programs a round of shrinking tries at once.
CANDIDATES = 200

#: How often each boot runs a program again that they answered differently.
REPEATS = 16

#: More programs of a batch than these do not differ by chance.
CHANCES = 20

#: Answers that must occur in a run of this many operations: without them the fuzz tests little.
FLOOR_OPERATIONS = 30_000
FLOOR = {
    "bind": ("ok", "EACCES", "EINVAL", "EAFNOSUPPORT", "EBADF", "ENOTSOCK", "EFAULT"),
    "connect": ("ok", "EACCES", "EINVAL", "EAFNOSUPPORT", "ECONNREFUSED", "EINPROGRESS"),
    "port": ("ok", "EINVAL", "ENOMSG", "EBADF", "EBADFD", "EFAULT"),
    "restrict": ("ok", "EINVAL", "EPERM", "E2BIG", "EBADF", "EBADFD"),
    "ruleset": ("ok", "EINVAL", "ENOMSG", "E2BIG", "EFAULT"),
    "sendmmsg": ("ok", "EACCES", "EINVAL"),
    "sendmsg": ("ok", "EACCES", "EINVAL"),
    "sendto": ("ok", "EACCES", "EINVAL"),
}


@dataclass
class Answer:
    """What became of a program."""

    #: The place of an operation to its result.
    results: dict[int, int] = field(default_factory=dict)
    #: Landlock's trace events, without what differs from boot to boot.
    events: list[str] = field(default_factory=list)
    #: How its process ended, as wait(2) says; None if the guest did not say.
    status: int | None = None


@dataclass(frozen=True)
class Difference:
    """The first thing that two answers to a program disagree on."""

    program: Program
    #: The place of the operation, or None if it is about the events or the end.
    place: int | None
    #: What it was, and each side's answer.
    what: str
    answers: tuple[str, str]

    def __str__(self) -> str:
        sides = "\n".join(f"    {name + ':':<12} {answer}" for name, answer in zip(BOOTS, self.answers))
        return f"  {self.what}\n{sides}"


def named(result: int) -> str:
    """A result as a person reads it."""
    # Python prefers the other name of the same number.
    name = errno.errorcode.get(-result, f"error {-result}").replace("ENOTSUP", "EOPNOTSUPP")
    return name if result < 0 else str(result)


class Reader:
    """Turns the lines of the results port into answers."""

    def __init__(self) -> None:
        self.answers: dict[int, Answer] = {}
        self._current = Answer()
        self._number: int | None = None
        #: Lines that are none of the format: the guest's complaints.
        self.complaints: list[str] = []

    def take(self, lines: Iterable[str]) -> int:
        """Read lines; returns how many programs they finished."""
        finished = 0
        for line in lines:
            match line[:1], line[1:].strip():
                case "=", number:
                    self._number, self._current = int(number), Answer()
                case "|", event:
                    self._current.events.append(event)
                case "!", status if self._number is not None:
                    self._current.status = int(status)
                    self._current.events = normal(self._current.events)
                    self.answers[self._number] = self._current
                    finished += 1
                case _:
                    words = line.split()
                    if len(words) == 2 and words[0].isdigit():
                        self._current.results[int(words[0])] = int(words[1])
                    elif words:
                        self.complaints.append(line)
        return finished


_EVENT = re.compile(r"^.*? (landlock_\w+: .*)$")
_LATE = re.compile(r"^landlock_free_")
_ID = re.compile(r"\b(domain|parent|ruleset|\w+_domain)=([1-9a-f][0-9a-f]*)")
# Kernel threads come and go, so the number of a process says nothing, nor does that of its file in /proc.
_PID = re.compile(r"\b(\w+_pid)=[1-9]\d*")
_PROC = re.compile(r"\bino=\d+ path=/proc/\d+")


def normal(events: list[str]) -> list[str]:
    """Events without their time and task, with identifiers numbered as they appear. What is freed is so at some later time:
    those events come last, in the order of what they free."""
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return f"{match[1]}=#{numbers.setdefault(match[2], str(len(numbers) + 1))}"

    plain = [match[1] for match in map(_EVENT.match, events) if match]
    in_time = [_PROC.sub("path=/proc/#", _PID.sub(r"\1=#", _ID.sub(number, event))) for event in plain if not _LATE.match(event)]
    late = sorted(_ID.sub(number, event) for event in plain if _LATE.match(event))
    return in_time + late


def compare(program: Program, oracle: Answer, ours: Answer) -> Difference | None:
    """The first difference between two answers."""
    for place, text in enumerate(program.operations):
        left, right = oracle.results.get(place), ours.results.get(place)
        if left != right:
            answers = tuple("not reached" if result is None else named(result) for result in (left, right))
            return Difference(program, place, f"operation {place}: {text}", answers)
    # What is freed after the program has been read belongs to a later one, or to none.
    left_events, right_events = ([event for event in answer.events if not _LATE.match(event)] for answer in (oracle, ours))
    for index in range(max(len(left_events), len(right_events))):
        pair = tuple(events[index] if index < len(events) else "none" for events in (left_events, right_events))
        if pair[0] != pair[1]:
            return Difference(program, None, f"trace event {index}", pair)
    if oracle.status != ours.status:
        return Difference(program, None, "wait status of the program", (str(oracle.status), str(ours.status)))
    return None


class Repeated:
    """A program's answers, run several times on each boot.

    What the network stack does at its own time, as MPTCP's worker, may come before or after an operation: then one boot gives
    both answers, and what counts is only an answer that comes again and that the other boot never gives.
    """

    def __init__(self, program: Program, oracle: list[Answer], ours: list[Answer]) -> None:
        self._program = program
        #: Each boot's answers.
        self.answers = (oracle, ours)

    def texts(self, place: int) -> tuple[str, str]:
        """Each boot's results of an operation, with how often each came if there are several."""
        counts = (Counter(answer.results.get(place) for answer in answers) for answers in self.answers)
        texts = []
        for count in counts:
            names = [("not reached" if result is None else named(result), times) for result, times in count.most_common()]
            texts.append(" or ".join(f"{name} ({times} of {count.total()})" if len(count) > 1 else name for name, times in names))
        return texts[0], texts[1]

    def difference(self) -> Difference | None:
        """The first answer of an operation, or if there is none the first difference in another respect, that one boot gave
        again and the other never."""
        oracle, ours = self.answers
        for place, text in enumerate(self._program.operations):
            left, right = ([answer.results.get(place) for answer in answers] for answers in self.answers)
            # The first answers are those of the batch.
            if not (set(left[1:]) <= set(right) and set(right[1:]) <= set(left)):
                return Difference(self._program, place, f"operation {place}: {text}", self.texts(place))
        for side, other in ((ours, oracle), (oracle, ours)):
            for answer in side[1:]:
                found = [compare(self._program, each, answer) for each in other]
                if all(each and each.place is None for each in found):
                    return compare(self._program, oracle[-1], ours[-1]) or found[-1]
        return None


class Arena:
    """Two guests that are booted as often as needed, always with the same programs."""

    def __init__(self, paths: Paths, guest: guests.Guest) -> None:
        self._paths = paths
        self._guest = guest
        #: Seconds that each boot's guests have run programs.
        self.seconds: dict[str, float] = dict.fromkeys(BOOTS, 0.0)
        self.reports: list[list[str]] = []

    def run(self, programs: list[Program]) -> tuple[dict[int, Answer], dict[int, Answer]]:
        """Answers by number, of the oracle and of Portlock."""
        with concurrent.futures.ThreadPoolExecutor(len(BOOTS)) as pool:
            running = [pool.submit(self._boot, name, programs) for name in BOOTS]
            try:
                oracle, ours = (future.result() for future in running)
            except BaseException:
                stopping.set()
                raise
        return oracle, ours

    def _boot(self, name: str, programs: list[Program]) -> dict[int, Answer]:
        lsm = BOOTS[name]
        text = "".join(program.text(number) for number, program in enumerate(programs))
        initramfs = self._guest.archive + guests.plan("fuzz", {}, fuzz=text)
        machine = Machine(self._paths, f"fuzz-{lsm.replace(',', '-')}", lsm, initramfs, processors=1)
        reader = Reader()
        last, began = time.monotonic(), 0.0

        def watch(running: Machine) -> str | None:
            nonlocal last, began
            if reader.take(running.ports["results"].lines()):
                last = time.monotonic()
                began = began or last
            return "no program ended in time" if time.monotonic() - last > SILENCE else None

        try:
            why = machine.run(watch)
            reader.take(machine.ports["results"].lines(last=True))
            log = kernel_log.joined(machine.console.text(), machine.ports["dmesg"].text())
            status = machine.ports["status"].text()
        finally:
            machine.close()
        self.seconds[name] += time.monotonic() - began if began else 0
        self.reports += kernel_log.reports(log)
        if stopping.is_set():
            raise KeyboardInterrupt
        if not self.reports and (why or "exit fuzz 0 " not in status or len(reader.answers) != len(programs)):
            raise HarnessError(
                f"The guest with lsm={lsm} ended early: {why or 'its fuzz program failed'}; {len(reader.answers)} of "
                f"{len(programs)} programs ran. {' '.join(reader.complaints[-3:])}")
        return reader.answers


def repeat(arena: Arena, programs: list[tuple[Program, Answer, Answer]]) -> list[Repeated]:
    """Runs each program again, beside the answers that it had, oracle's and Portlock's."""
    oracle, ours = arena.run([program for program, _, _ in programs for _ in range(REPEATS)])
    again: list[Repeated] = []
    for index, (program, left, right) in enumerate(programs):
        numbers = range(index * REPEATS, (index + 1) * REPEATS)
        again.append(Repeated(program, [left, *(oracle[number] for number in numbers if number in oracle)],
                              [right, *(ours[number] for number in numbers if number in ours)]))
    return again


def shrink(arena: Arena, difference: Difference, say: report.Progress) -> Difference:
    """Leaves out operations as long as the rest still makes a difference. All candidates of a round share a boot."""
    best = difference
    chunk = max(1, len(best.program.operations) // 4)
    while True:
        candidates = list(best.program.without(chunk))[:CANDIDATES]
        say.step(f"shrinking: {len(best.program.operations)} operations, {len(candidates)} shorter programs to try")
        oracle, ours = arena.run(candidates) if candidates else ({}, {})
        found = [found for number, candidate in enumerate(candidates)
                 if number in oracle and number in ours and (found := compare(candidate, oracle[number], ours[number]))]
        if found:
            best = min(found, key=lambda each: len(each.program.operations))
        elif chunk == 1:
            return best
        chunk = max(1, min(chunk if found else chunk // 2, len(best.program.operations) // 2))


def _batches(seed: int, operations: int) -> Iterator[list[Program]]:
    batch: list[Program] = []
    size = done = 0
    for program in generate(seed):
        batch.append(program)
        size += len(program.operations)
        done += len(program.operations)
        if size >= BATCH or done >= operations:
            yield batch
            batch, size = [], 0
        if done >= operations:
            return


class Coverage:
    """How often each operation gave each answer."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.events: Counter[str] = Counter()
        self.operations = 0
        self.unreached = 0

    def add(self, program: Program, answer: Answer) -> None:
        """Count a program."""
        for place, text in enumerate(program.operations):
            result = answer.results.get(place)
            if result is None:
                self.unreached += 1
                continue
            self.operations += 1
            self.counts.setdefault(text.split()[1], Counter())["ok" if result >= 0 else named(result)] += 1
        self.events.update(event.split(":", 1)[0] for event in answer.events if not _LATE.match(event))

    def table(self) -> str:
        """What was covered, for a person to doubt."""
        lines = ["operation        times  answers"]
        for name, answers in sorted(self.counts.items()):
            shown = ", ".join(f"{answer} {count}" for answer, count in answers.most_common())
            lines.append(f"{name:<14} {answers.total():>7}  {shown}")
        lines += [f"{name:<29} {count:>7}  trace events" for name, count in sorted(self.events.items())]
        return "\n".join(lines)

    def missing(self) -> list[str]:
        """Answers that should have occurred."""
        return [f"{name} {answer}" for name, answers in FLOOR.items() for answer in answers
                if not self.counts.get(name, Counter())[answer]]


def run(paths: Paths, operations: int, seed: int, repro: Path | None) -> int:
    """Returns the exit status: 0 only if there was no difference, and enough was tried."""
    paths.check()
    progress = report.Progress()
    try:
        guest = guests.build(paths, progress.step, with_tests=False)
        arena = Arena(paths, guest)
        if repro:
            return _replay(arena, repro, progress)
        return _search(arena, paths, operations, seed, progress)
    finally:
        progress.end()


def outcome(paths: Paths, guest: guests.Guest, operations: int, seed: int, progress: report.Progress) -> BootResult:
    """A round as a part of the whole run."""
    began = time.monotonic()
    status = _search(Arena(paths, guest), paths, operations, seed, progress)
    case = ktap.Case(f"{operations} operations, seed {seed}", ktap.FAIL if status else ktap.PASS,
                     "C Landlock and Portlock differ, or too little was covered: see above" if status else "")
    return BootResult(BOOT, [Outcome("fuzz", [case])], time.monotonic() - began)


def _replay(arena: Arena, repro: Path, progress: report.Progress) -> int:
    try:
        program = Program.parse(repro.read_text("utf-8"))
    except OSError as error:
        raise HarnessError(f"{repro} cannot be read: {error.strerror}.") from None
    progress.step(f"replaying {repro}")
    oracle, ours = arena.run([program] * (1 + REPEATS))
    progress.end()
    repeated = Repeated(program, list(oracle.values()), list(ours.values()))
    for place, text in enumerate(program.operations):
        left, right = repeated.texts(place)
        print(f"{place:>4} {text:<60} {left}{'' if left == right else f'   BUT Portlock: {right}'}")
    found = repeated.difference()
    for text in arena.reports:
        print("\n".join(text))
    print(f"\n{found}" if found else "\nno difference")
    return 1 if found or arena.reports else 0


def _search(arena: Arena, paths: Paths, operations: int, seed: int, progress: report.Progress) -> int:
    coverage = Coverage()
    failed = False
    unsteady: list[Difference] = []
    for batch in _batches(seed, operations):
        progress.step(f"fuzz: {coverage.operations} of {operations} operations, seed {seed}")
        oracle, ours = arena.run(batch)
        for number, program in enumerate(batch):
            if number in ours:
                coverage.add(program, ours[number])
        once = [(found, oracle[number], ours[number]) for number, program in enumerate(batch)
                if number in oracle and number in ours and (found := compare(program, oracle[number], ours[number]))]
        different: list[Difference] = []
        if len(once) > CHANCES:
            different = [found for found, _, _ in once]
        elif once and not arena.reports:
            progress.step(f"fuzz: {len(once)} programs differ; running them again")
            repeated = repeat(arena, [(found.program, left, right) for found, left, right in once])
            for (first, _, _), again in zip(once, repeated):
                if steady := again.difference():
                    different.append(steady)
                else:
                    unsteady.append(first)
        if arena.reports or different:
            failed = True
            break
    progress.end()
    print(f"\n{coverage.table()}")
    rates = ", ".join(f"{coverage.operations / max(seconds, 1e-9):.0f} a second under {name}"
                      for name, seconds in arena.seconds.items())
    print(f"{coverage.operations} operations ({coverage.unreached} not reached), seed {seed}: {rates}")
    for text in arena.reports:
        print("\nIn the kernel's log:\n" + "\n".join(text))
    if unsteady:
        print(f"\n{len(unsteady)} programs differed once, and gave no answer again in {REPEATS} more runs that only one boot gives:")
        print("\n".join(str(difference) for difference in unsteady))
    if failed and different:
        first = different[0]
        print(f"\n{len(different)} programs differ. The first:\n{first}", flush=True)
        shrunk = shrink(arena, first, progress)
        progress.end()
        file = paths.build / "fuzz" / f"seed-{seed}.fuzz"
        file.parent.mkdir(exist_ok=True)
        file.write_text(shrunk.program.text(0), "utf-8")
        print(f"\nShrunk to {len(shrunk.program.operations)} operations:\n{shrunk}\n\n{shrunk.program.text(0)}"
              f"\nReplay it with: make fuzz REPRO={file}")
    if operations >= FLOOR_OPERATIONS and not failed and coverage.missing():
        print(f"\nToo little was covered. These answers never came: {', '.join(coverage.missing())}.")
        failed = True
    print(f"fuzz: {'FAILED' if failed else 'no difference'}")
    return 1 if failed else 0
