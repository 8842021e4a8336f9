# SPDX-License-Identifier: GPL-2.0
"""`run.py bench --peers`: what else could hold a task to its ports, and what that adds to its calls, beside Portlock.

One image with every mechanism, five boots, one processor each. QEMU counts the instructions, as for `run.py bench`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import guest as guests
from . import report
from .base import TESTS, HarnessError, Paths
from .bench import boot_each, count, finish, plotter
from .cpio import Archive

#: What tests/guest/peers.c calls a boot, and what `lsm=` says in it.
BOOTS = {"none": "yama", "bpf": "bpf", "tomoyo": "tomoyo", "landlock": "landlock", "portlock": "landlock,portlock"}

#: What the others are compared with.
BASE = "none"
OURS = "portlock"
#: Those with rules about addresses, with Portlock's own.
BY_ADDRESS = {"cgroup-lpm": "portlock-addresses"}

#: What peers.c calls a mechanism, and how it is shown. Each needs a figure or a reason why there is none.
MECHANISMS = {
    "cgroup-hash": "cgroup-BPF, hash of ports",
    "bpf-lsm-idle": "BPF-LSM, without a program",
    "bpf-lsm": "BPF-LSM, hash of ports",
    "seccomp": "seccomp filter, blind to ports",
    "notify": "seccomp and a supervisor",
    "tomoyo": "TOMOYO",
    "landlock": "C Landlock, 1 layer",
    "landlock-16": "C Landlock, 16 layers",
    "portlock": "Portlock, 1 layer",
    "portlock-16": "Portlock, 16 layers",
    "cgroup-lpm": "cgroup-BPF, trie of addresses",
    "portlock-addresses": "Portlock, addresses",
}

#: Zero rules stand for a task that is not restricted.
RULES = (0, 1, 16, 256, 4096)
CALLS = ("bind", "connect", "getppid")

#: What is not measured for each number of rules: there is no program that has rules, or it only knows one.
FEWER = {"bpf-lsm-idle": RULES[:1], "seccomp": RULES[:2]}

#: What a reader of the table has to know.
NOTES = (
    "The seccomp filter does not see the port: it allows the call to every port, or refuses it.",
    "A filter costs every system call of the task, and a supervisor needs a filter: getppid.",
    "cgroup-BPF, BPF-LSM and TOMOYO need root. A supervisor needs a process that waits.",
)


@dataclass
class Results:
    """What the guests said."""

    #: (call, mechanism, rules) to instructions, of the whole call.
    costs: dict[tuple[str, str, int], int] = field(default_factory=dict)
    #: Why a mechanism has no figure.
    skipped: dict[str, str] = field(default_factory=dict)
    #: What was wrong with one.
    errors: dict[str, str] = field(default_factory=dict)

    def feed(self, lines: Iterable[str]) -> None:
        """Add what a guest printed. Other lines are there for who reads the log, as the words of BPF's verifier."""
        for line in lines:
            match line.split():
                case ["cost", call, mechanism, rules, cost]:
                    self.costs[call, mechanism, int(rules)] = int(cost)
                case ["skip", mechanism, *reason]:
                    self.skipped[mechanism] = " ".join(reason)
                case ["error", mechanism, *reason]:
                    self.errors[mechanism] = " ".join(reason)

    def added(self, call: str, mechanism: str, rules: int) -> int | None:
        """What a mechanism adds to a call on a kernel without any of them. A mechanism with an error has no figures."""
        cost = self.costs.get((call, mechanism, rules))
        return None if cost is None or mechanism in self.errors else cost - self.costs[call, BASE, 0]

    def check(self) -> None:
        """Each mechanism has its figures, or says why not."""
        for mechanism in (BASE, *MECHANISMS):
            if mechanism in self.errors and mechanism == BASE:
                raise HarnessError(f"tests/guest/peers.c failed: {self.errors[mechanism]}")
            if mechanism in self.skipped or mechanism in self.errors:
                continue
            for rules in RULES[:1] if mechanism == BASE else FEWER.get(mechanism, RULES):
                for call in CALLS if not rules else CALLS[:2]:
                    if (call, mechanism, rules) not in self.costs:
                        raise HarnessError(f"tests/guest/peers.c does not measure {call} under {mechanism} with {rules} rules.")


def run(paths: Paths) -> int:
    """Returns the exit status: 0 only if no mechanism had an error."""
    paths.check()
    results = Results()
    progress = report.Progress()
    try:
        guest = guests.build(paths, progress.step, with_tests=False)
        archive = guest.archive + _program(paths)
        for lines in boot_each(BOOTS, lambda name: _boot(paths, archive, name, progress)).values():
            results.feed(lines)
    finally:
        progress.end()
    results.check()
    print(table(results))
    folder = paths.build / "bench"
    folder.mkdir(exist_ok=True)
    (folder / "peers.json").write_text(_json(results), "utf-8")
    _plot(results, folder / "peers.svg")
    print(f"\nfigures: {folder}/peers.json, peers.svg")
    return 1 if results.errors else 0


def _program(paths: Paths) -> bytes:
    """The program that measures, as an archive to append."""
    archive = Archive()
    archive.folder("selftests/bench")
    archive.file("selftests/bench/peers", guests.compile_program(paths, TESTS / "guest/peers.c"))
    return archive.finish()


def _boot(paths: Paths, archive: bytes, name: str, progress: report.Progress) -> list[str]:
    # The guest runs the program as a test: suite, program, at most so many seconds of its own time, arguments.
    archive += guests.plan("test", {}, [f"bench peers 3600 {name}"])
    return count(paths, f"peers-{name}", BOOTS[name], archive, "exit bench/peers 0 ", progress)


def table(results: Results) -> str:
    """What each mechanism adds, where it costs less than Portlock, and what the figures do not say."""
    lines = [f"{'instructions added':<32}" + "".join(f"{title:>14}" for title in (
        "not restricted", *(f"{rules:,} rule{'s' if rules > 1 else ''}" for rules in RULES[1:])))]
    for call in CALLS:
        lines.append(f"{call}, {results.costs[call, BASE, 0]:,} without any")
        for mechanism, title in MECHANISMS.items():
            figures = [results.added(call, mechanism, rules) for rules in RULES]
            why = next((f"{word}: {reasons[mechanism]}" for word, reasons in (("ERROR", results.errors), ("skipped", results.skipped))
                        if mechanism in reasons), "")
            if why and call == CALLS[0]:
                lines.append(f"  {title:<30}  {why}")
            elif any(figure is not None for figure in figures):
                lines.append(f"  {title:<30}" + "".join(f"{'' if figure is None else f'{figure:,}':>14}" for figure in figures).rstrip())
    lines += ["", *cheaper(results), *NOTES]
    return "\n".join(lines)


def cheaper(results: Results) -> Iterator[str]:
    """Names each figure that is below Portlock's."""
    for call in CALLS:
        for mechanism, title in MECHANISMS.items():
            if mechanism.startswith(OURS):
                continue
            for rules in RULES:
                theirs, ours = (results.added(call, name, rules) for name in (mechanism, BY_ADDRESS.get(mechanism, OURS)))
                if theirs is not None and ours is not None and theirs < ours:
                    who = f"{rules:,} rules" if rules else "a task that is not restricted"
                    yield f"cheaper than Portlock: {title}, {call}, {who}: {theirs:,} against {ours:,}"


def _json(results: Results) -> str:
    figures = [{"call": call, "mechanism": mechanism, "rules": rules, "cost": cost, "added": results.added(call, mechanism, rules)}
               for (call, mechanism, rules), cost in results.costs.items()]
    return json.dumps({"figures": figures, "skipped": results.skipped, "errors": results.errors}, indent=1)


def _plot(results: Results, path: Path) -> None:
    """What an allowed bind pays, by the number of rules."""
    figure, axes = plotter().subplots(figsize=(10, 5))
    for mechanism, title in MECHANISMS.items():
        points = [(rules, added) for rules in RULES[1:] if (added := results.added("bind", mechanism, rules)) is not None]
        if points:
            axes.plot(*zip(*points), marker="o", linewidth=3 if mechanism == OURS else 1.5, label=title,
                      linestyle="--" if mechanism.endswith(("-16", "-lpm", "-addresses")) else "-")
    axes.set(xlabel="rules", ylabel="instructions that an allowed bind(2) pays", xscale="log", yscale="log",
             title="What holds a task to its ports, and what it adds to a bind")
    axes.set_xticks(RULES[1:], labels=[f"{rules:,}" for rules in RULES[1:]], minor=False)
    axes.minorticks_off()
    finish(figure, axes, path, loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=9)
