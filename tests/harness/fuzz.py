# SPDX-License-Identifier: GPL-2.0
"""`run.py fuzz`: runs the same random system calls under C Landlock and under Portlock, and compares the results one by
one.

A program is a list of operations, one in each line. tests/guest/fuzz.c executes them and explains the format. Both guests
boot the same image with another `lsm=`.

Programs with extended rulesets have half of the operations. They only run under Portlock: the specification predicts what is
right for each operation, from what was known before it (tests/spec/predict.rs). It does so for some plain programs too.
"""

import concurrent.futures
import errno
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import guest as guests
from . import fuzz_extended, fuzz_programs, kernel_log, ktap, report
from .base import REPOSITORY, TESTS, HarnessError, Paths, find_tool, run_logged
from .catalogue import Boot
from .fuzz_programs import Program
from .session import BootResult, Outcome
from .vm import SILENCE, Machine, stopping

#: The boots that are compared. The first is the oracle, and the second must give the same answers.
BOOTS = {"C Landlock": "landlock", "Portlock": "landlock,portlock"}

BOOT = Boot("fuzz", "both", "fuzz")

#: Operations in each boot: enough to make the time for booting small, few enough to show progress.
BATCH = 50_000

#: Programs that one round of shrinking tries at most.
CANDIDATES = 200

#: How often each boot repeats a program whose answers differed.
REPEATS = 16

#: If more programs of a batch than this differ, it is not by chance.
CHANCES = 20

#: Answers that must occur in a run of at least this many operations. Without them the fuzz tests little.
FLOOR_OPERATIONS = 60_000
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

#: Predictions that must occur in such a run, by what the operation counts as: the reason of each, and whether it is allowed.
PREDICTED_FLOOR = {
    "bind": ("allowed by port", "allowed by address", "refused by port", "refused by address", "refused as wrong"),
    "connect": ("allowed by port", "allowed by address", "refused by port", "refused by address", "refused as wrong"),
    "control": ("allowed by port", "allowed by address", "refused by port", "refused by address", "refused as wrong"),
    **{name: ("allowed by port", "allowed by address", "refused by port", "refused by address") for name in (
        "ACCEPT_TCP", "GETSOCKOPT_TCP", "GETSOCKOPT_UDP", "RECEIVE_TCP", "SEND_TCP", "SETSOCKOPT_TCP", "SETSOCKOPT_UDP", "SHUTDOWN_TCP",
        "SHUTDOWN_UDP")},
    "RECEIVE_UDP": ("allowed by port", "refused by port"),
    "event": ("allowed by record", "refused by none"),
    "extended": ("allowed by attr", "refused by attr"),
    "kind": ("allowed by attr", "refused by attr"),
    "listen": ("allowed by port", "allowed by address", "refused by port", "refused by address"),
    "net": ("allowed by attr", "refused by attr"),
    "opened": ("allowed by attr", "refused by attr"),
    "option": ("allowed by option", "refused by option"),
    "pair": ("allowed by kind", "refused by kind"),
    "port": ("allowed by attr", "refused by attr"),
    "restrict": ("allowed by attr", "refused by attr"),
    "sendmmsg": ("allowed by port", "allowed by address", "refused by port", "refused by address", "refused as wrong"),
    "sendmsg": ("allowed by port", "allowed by address", "refused by port", "refused by address", "refused as wrong"),
    "sendto": ("allowed by port", "allowed by address", "refused by port", "refused by address", "refused as wrong"),
    "socket": ("allowed by kind", "refused by kind"),
}


@dataclass(frozen=True)
class Prediction:
    """Which results of an operation are right."""

    #: What tests/spec/predict.rs says: `stack`, `done`, `upto N`, or results.
    right: str
    #: What the decision depends on.
    why: str
    #: What the operation counts as: its name, or the right that it needs.
    row: str = ""

    def allows(self, result: int) -> bool:
        """Whether a result is right."""
        match self.right.split():
            case ["any"]:
                return True
            case ["stack"]:
                return result != -errno.EACCES
            case ["done"]:
                return result >= 0
            case ["upto", count]:
                return result <= int(count) and result != -errno.EACCES
            case results:
                return str(result) in results

    @property
    def decision(self) -> str:
        """The decision in words."""
        decision = "refused" if self.right[0] in "-u" else "allowed"
        if self.why in ("unasked", "unsure"):
            return self.why
        return f"{decision} {'as' if self.why == 'wrong' else 'by'} {self.why}"

    def __str__(self) -> str:
        results = self.right.split()
        if results[0] in ("any", "stack", "done", "upto"):
            text = {"any": "any", "stack": "any but EACCES", "done": "no error"}.get(self.right, f"at most {results[-1]}")
        else:
            text = " or ".join(named(int(result)) for result in results)
        return f"{text} ({self.decision})"


@dataclass
class Answer:
    """The results of a program."""

    #: The result of each operation, by its place in the program.
    results: dict[int, int] = field(default_factory=dict)
    #: Landlock's trace events, without the parts that differ between boots.
    events: list[str] = field(default_factory=list)
    #: The status of its process as in wait(2). None if the guest did not report it.
    status: int | None = None
    #: What was known of the sockets before the operations, if that was told.
    states: dict[int, str] = field(default_factory=dict)
    #: What was known after them of the sockets that they made or connected.
    after: dict[int, str] = field(default_factory=dict)
    #: What is right, if it was predicted.
    predictions: dict[int, Prediction] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """The first difference between two answers to a program."""

    program: Program
    #: The place of the operation, or None if the events or the status differ.
    place: int | None
    #: What differs, and the answer of each side.
    what: str
    answers: tuple[str, str]
    sides: tuple[str, ...] = tuple(BOOTS)

    def __str__(self) -> str:
        sides = "\n".join(f"    {name + ':':<12} {answer}" for name, answer in zip(self.sides, self.answers))
        return f"  {self.what}\n{sides}"


def named(result: int) -> str:
    """A result in words."""
    # EOPNOTSUPP and ENOTSUP are the same number, and Python chooses the other name.
    name = errno.errorcode.get(-result, f"error {-result}").replace("ENOTSUP", "EOPNOTSUPP")
    return name if result < 0 else str(result)


class Reader:
    """Turns the lines of the results port into answers."""

    def __init__(self) -> None:
        self.answers: dict[int, Answer] = {}
        self._current = Answer()
        self._number: int | None = None
        #: What was told of the sockets of the next operation, by the sign before it.
        self._states: dict[str, str] = {}
        #: Lines that do not have the format: error messages of the guest.
        self.complaints: list[str] = []

    def take(self, lines: Iterable[str]) -> int:
        """Read lines, and return how many programs they finished."""
        finished = 0
        for line in lines:
            match line[:1], line[1:].strip():
                case "=", number:
                    self._number, self._current = int(number), Answer()
                case "~" | "+" as sign, state:
                    self._states[sign] = state
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
                        place = int(words[0])
                        self._current.results[place] = int(words[1])
                        for sign, states in (("~", self._current.states), ("+", self._current.after)):
                            if sign in self._states:
                                states[place] = self._states.pop(sign)
                    elif words:
                        self.complaints.append(line)
        return finished


_EVENT = re.compile(r"^.*? (landlock_\w+: .*)$")
_LATE = re.compile(r"^landlock_free_")
_ID = re.compile(r"\b(domain|parent|ruleset|\w+_domain)=([1-9a-f][0-9a-f]*)")
# Kernel threads come and go, so the numbers of processes and of their files in /proc differ between boots.
_PID = re.compile(r"\b(\w+_pid)=[1-9]\d*")
_PROC = re.compile(r"\bino=\d+ path=/proc/\d+")


def normal(events: list[str]) -> list[str]:
    """Events without their time and task, and with identifiers numbered in the order in which they appear. The kernel frees
    objects at some later time, so these events come last, and are sorted."""
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return f"{match[1]}=#{numbers.setdefault(match[2], str(len(numbers) + 1))}"

    plain = [match[1] for match in map(_EVENT.match, events) if match]
    in_time = [_PROC.sub("path=/proc/#", _PID.sub(r"\1=#", _ID.sub(number, event))) for event in plain if not _LATE.match(event)]
    late = sorted(_ID.sub(number, event) for event in plain if _LATE.match(event))
    return in_time + late


class Predictor:
    """The specification as a program: tests/spec/predict.rs."""

    def __init__(self, paths: Paths) -> None:
        self._program = paths.build / "fuzz/predict"
        source = TESTS / "spec/predict.rs"
        newest = max(file.stat().st_mtime for file in (source, REPOSITORY / "security/portlock/spec.rs"))
        if not self._program.is_file() or self._program.stat().st_mtime <= newest:
            self._program.parent.mkdir(parents=True, exist_ok=True)
            compiler = paths.toolchain().get("RUSTC") or find_tool("rustc", package="rustc")
            run_logged([compiler, "--edition", "2021", "-O", "-o", str(self._program), str(source)],
                       paths.log / "fuzz-predict.log", "tests/spec/predict.rs does not build.")

    def predict(self, answers: list[tuple[Program, Answer]]) -> None:
        """Add predictions to the answers."""
        lines: list[str] = []
        asked: list[tuple[Answer, int]] = []
        for number, (program, answer) in enumerate(answers):
            lines.append(f"= {number}")
            for place in sorted(answer.results):
                lines.append(f"< {program.operations[place]}")
                if place in answer.states:
                    lines.append(f"~ {answer.states[place]}")
                lines.append("?")
                if place in answer.after:
                    lines.append(f"+ {answer.after[place]}")
                lines.append(f"> {answer.results[place]}")
                asked.append((answer, place))
        done = subprocess.run([str(self._program)], input="".join(f"{line}\n" for line in lines), capture_output=True, text=True, check=False)
        told = done.stdout.splitlines()
        if done.returncode or len(told) != len(asked):
            raise HarnessError(f"tests/spec/predict.rs failed: {done.stderr.strip()[-300:]}")
        for (answer, place), line in zip(asked, told):
            row, why, right = line.split(" ", 2)
            answer.predictions[place] = Prediction(right, why, row)


def mistake(program: Program, answer: Answer, place: int) -> Difference | None:
    """The difference between an answer and what was predicted of an operation, if there is one."""
    result, prediction = answer.results.get(place), answer.predictions.get(place)
    if result is None or prediction is None or prediction.allows(result):
        return None
    return Difference(program, place, f"operation {place}: {program.operations[place]}\n  state: {answer.states.get(place, 'none')}",
                      (str(prediction), named(result)), ("Prediction", "Portlock"))


def compare(program: Program, oracle: Answer | None, ours: Answer) -> Difference | None:
    """The first difference between two answers, or between ours and what was predicted. There is no oracle for a program with
    extended rulesets."""
    for place, text in enumerate(program.operations):
        if found := mistake(program, ours, place):
            return found
        if not oracle:
            continue
        left, right = oracle.results.get(place), ours.results.get(place)
        if left != right:
            answers = tuple("not reached" if result is None else named(result) for result in (left, right))
            return Difference(program, place, f"operation {place}: {text}", answers)
    if not oracle:
        return None if ours.status == 0 else Difference(program, None, "wait status of the program", ("0", str(ours.status)),
                                                        ("Prediction", "Portlock"))
    # Objects may be freed only after the events of the program were read. These events are not compared.
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

    Some parts of the network stack run at their own time, for example MPTCP's worker. They may run before or after an
    operation, and one boot can then give both answers. Only an answer counts that one boot gives again and the other never.
    """

    def __init__(self, program: Program, oracle: list[Answer], ours: list[Answer]) -> None:
        self._program = program
        #: Each boot's answers.
        self.answers = (oracle, ours)

    def texts(self, place: int) -> tuple[str, str]:
        """Each boot's results of an operation. If there are several, also how often each came."""
        counts = (Counter(answer.results.get(place) for answer in answers) for answers in self.answers)
        texts = []
        for count in counts:
            names = [("not reached" if result is None else named(result), times) for result, times in count.most_common()]
            texts.append(" or ".join(f"{name} ({times} of {count.total()})" if len(count) > 1 else name for name, times in names))
        return texts[0], texts[1]

    def difference(self) -> Difference | None:
        """The first operation with an answer that one boot gave again and the other never. If there is none, the first answer
        whose events or status differ from every answer of the other boot."""
        oracle, ours = self.answers
        for place in range(len(self._program.operations)):
            for answer in ours[1:]:
                if found := mistake(self._program, answer, place):
                    return found
        if self._program.extended:
            return next(filter(None, (compare(self._program, None, answer) for answer in ours[1:])), None)
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
        self._predictor = Predictor(paths)
        #: Seconds that each boot's guests have run programs.
        self.seconds: dict[str, float] = dict.fromkeys(BOOTS, 0.0)
        self.reports: list[list[str]] = []

    def run(self, programs: list[Program]) -> tuple[dict[int, Answer], dict[int, Answer]]:
        """Answers by number, of the oracle and of Portlock. The oracle runs what it can."""
        with concurrent.futures.ThreadPoolExecutor(len(BOOTS)) as pool:
            running = [pool.submit(self._boot, name, programs) for name in BOOTS]
            try:
                oracle, ours = (future.result() for future in running)
            except BaseException:
                stopping.set()
                raise
        self._predictor.predict([(programs[number], answer) for number, answer in ours.items() if programs[number].observed])
        return oracle, ours

    def _boot(self, name: str, programs: list[Program]) -> dict[int, Answer]:
        lsm = BOOTS[name]
        chosen = [number for number, program in enumerate(programs) if name == "Portlock" or not program.extended]
        if not chosen:
            return {}
        text = "".join(programs[number].text(number) for number in chosen)
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
        if not self.reports and (why or "exit fuzz 0 " not in status or len(reader.answers) != len(chosen)):
            raise HarnessError(
                f"The guest with lsm={lsm} ended early: {why or 'its fuzz program failed'}; {len(reader.answers)} of "
                f"{len(chosen)} programs ran. {' '.join(reader.complaints[-3:])}")
        return reader.answers


def repeat(arena: Arena, programs: list[tuple[Program, Answer | None, Answer]]) -> list[Repeated]:
    """Runs each program again, and adds the new answers to the first ones of the oracle and of Portlock."""
    oracle, ours = arena.run([program for program, _, _ in programs for _ in range(REPEATS)])
    again: list[Repeated] = []
    for index, (program, left, right) in enumerate(programs):
        numbers = range(index * REPEATS, (index + 1) * REPEATS)
        again.append(Repeated(program, [*([left] if left else []), *(oracle[number] for number in numbers if number in oracle)],
                              [right, *(ours[number] for number in numbers if number in ours)]))
    return again


def shrink(arena: Arena, difference: Difference, say: report.Progress) -> Difference:
    """Removes operations as long as the rest still gives a difference. All candidates of a round run in one boot."""
    best = difference
    chunk = max(1, len(best.program.operations) // 4)
    while True:
        candidates = list(best.program.without(chunk))[:CANDIDATES]
        say.step(f"shrinking: {len(best.program.operations)} operations, {len(candidates)} shorter programs to try")
        oracle, ours = arena.run(candidates) if candidates else ({}, {})
        found = [found for number, candidate in enumerate(candidates)
                 if number in ours and (found := compare(candidate, oracle.get(number), ours[number]))]
        if found:
            best = min(found, key=lambda each: len(each.program.operations))
        elif chunk == 1:
            return best
        chunk = max(1, min(chunk if found else chunk // 2, len(best.program.operations) // 2))


def _batches(seed: int, operations: int) -> Iterator[list[Program]]:
    """Half of the operations of each batch are those of programs with extended rulesets."""
    extended, plain = fuzz_extended.generate(seed), fuzz_programs.generate(seed)
    done = 0
    while done < operations:
        batch: list[Program] = []
        wanted = min(BATCH, operations - done)
        while (size := sum(len(program.operations) for program in batch)) < wanted:
            half = sum(len(program.operations) for program in batch if program.extended)
            batch.append(next(extended if half < wanted / 2 else plain))
        done += size
        yield batch


class Coverage:
    """How often each operation gave each answer."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        #: Decisions that were predicted.
        self.predictions: dict[str, Counter[str]] = {}
        self.extended = 0
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
            self.extended += program.extended
            if prediction := answer.predictions.get(place):
                self.predictions.setdefault(prediction.row, Counter())[prediction.decision] += 1
            self.counts.setdefault(text.split()[1], Counter())["ok" if result >= 0 else named(result)] += 1
        self.events.update(event.split(":", 1)[0] for event in answer.events if not _LATE.match(event))

    def table(self) -> str:
        """A table of what was covered."""
        lines = ["operation        times  answers"]
        for name, answers in sorted(self.counts.items()):
            shown = ", ".join(f"{answer} {count}" for answer, count in answers.most_common())
            lines.append(f"{name:<14} {answers.total():>7}  {shown}")
        lines += [f"{name:<29} {count:>7}  trace events" for name, count in sorted(self.events.items())]
        lines.append("\npredicted      times  decisions")
        for name, decisions in sorted(self.predictions.items()):
            shown = ", ".join(f"{decision} {count}" for decision, count in sorted(decisions.items()))
            lines.append(f"{name:<14} {decisions.total():>7}  {shown}")
        return "\n".join(lines)

    def missing(self) -> list[str]:
        """Answers that should have occurred."""
        return [f"{name} {answer}" for floor, counts in ((FLOOR, self.counts), (PREDICTED_FLOOR, self.predictions))
                for name, answers in floor.items() for answer in answers if not counts.get(name, Counter())[answer]]


def run(paths: Paths, operations: int, seed: int, repro: Path | None) -> int:
    """Returns the exit status: 0 only if there was no difference and enough was covered."""
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
    """Runs the fuzz as a part of the whole test run."""
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
        if prediction := ours[0].predictions.get(place):
            print(f"{place:>4} {text:<60} {right}   predicted: {prediction}{'' if prediction.allows(ours[0].results[place]) else '   WRONG'}")
        if not program.extended and (left != right or not prediction):
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
        once = [(found, oracle.get(number), ours[number]) for number, program in enumerate(batch)
                if number in ours and (found := compare(program, oracle.get(number), ours[number]))]
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
    runs = {"C Landlock": coverage.operations - coverage.extended, "Portlock": coverage.operations}
    rates = ", ".join(f"{runs[name] / max(seconds, 1e-9):.0f} a second under {name}" for name, seconds in arena.seconds.items())
    predicted = sum(decisions.total() for decisions in coverage.predictions.values())
    print(f"{coverage.operations} operations ({coverage.unreached} not reached), seed {seed}; {predicted} predicted, "
          f"{coverage.extended} of them in programs with extended rulesets; {rates}")
    for text in arena.reports:
        print("\nIn the kernel's log:\n" + "\n".join(text))
    if unsteady:
        print(f"\n{len(unsteady)} programs differed once. {REPEATS} more runs of each showed no steady difference:")
        print("\n".join(str(difference) for difference in unsteady))
    if failed and different:
        first = different[0]
        print(f"\n{len(different)} programs differ. The first:\n{first}", flush=True)
        shrunk = shrink(arena, first, progress)
        progress.end()
        file = paths.build / "fuzz" / f"seed-{seed}.fuzz"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(shrunk.program.text(0), "utf-8")
        print(f"\nShrunk to {len(shrunk.program.operations)} operations:\n{shrunk}\n\n{shrunk.program.text(0)}"
              f"\nReplay it with: make fuzz REPRO={file}")
    if operations >= FLOOR_OPERATIONS and not failed and coverage.missing():
        print(f"\nToo little was covered. These answers never came: {', '.join(coverage.missing())}.")
        failed = True
    print(f"fuzz: {'FAILED' if failed else 'no difference'}")
    return 1 if failed else 0
