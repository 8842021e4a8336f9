# SPDX-License-Identifier: GPL-2.0
"""`run.py bench`: what system calls cost in instructions, and domains in bytes: without Landlock, under C Landlock, under Portlock.

One image, three boots, one processor each. QEMU counts the instructions, so a run gives the same figures whatever else the
machine does.
"""

import concurrent.futures
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from . import guest as guests
from . import kernel_log, report
from .base import HarnessError, Paths
from .vm import SILENCE, Machine, stopping

#: Name to what `lsm=` says.
BOOTS = {"none": "yama", "C": "landlock", "Rust": "landlock,portlock"}

#: What, pattern of the rules, their number, layers.
Key = tuple[str, str, int, int]
Figures = dict[Key, int]

T = TypeVar("T")

#: Calls on a datagram socket that has a port. With "-free" behind it: in a domain that does not handle BIND_UDP.
DATAGRAMS = tuple(f"{family}-{call}" for family in ("udp", "udp6") for call in ("connect", "sendto", "send"))
FREE = "-free"

#: What a socket is used for once it has its addresses. A "passive" one was accepted, "transfer" is a send and a recv of 16 KiB.
SERVICES = ("send", "send-passive", "recv", "recv-passive", "splice", "shutdown", "getsockopt", "setsockopt", "udp-recv", "transfer", "accept")
#: Behind it: in a domain that handles and grants it. Else no layer of a domain handles it.
GRANTED = "-granted"
#: Behind it: the first call on a connection, and the first one after that of another domain.
FIRST = "-first"
EVICTED = "-evicted"

#: Other calls that a hook is called for. "socket" and "socketpair" are with closing, "handshake" is connect and accept, and "close"
#: is of both ends of a connection.
OTHERS = ("listen", "socket-create", "socket", "socketpair", "handshake", "close")

#: Calls decided by the address, over sockets of each family. With "-by-port" behind it: a rule without an address decides.
BY_ADDRESS = tuple(f"{call}-{family}" for family in ("ipv4", "ipv6") for call in ("bind", "connect"))
BY_PORT = "-by-port"
#: Behind it: each layer has a ruleset of its own, and not all the same one.
DISTINCT = "-distinct"

#: What is granted by all three sorts of rules: by the port, by the address, and as a single socket.
USES = ("bind", "connect", "send", "send-passive", "recv", "recv-passive")
#: Behind it: in a domain of one layer, whose rulesets differ in nothing else. With "-full", there is no room for its records.
ALONE, OBSERVED, FULL = "-alone", "-observed", "-full"
#: Behind what a permissive layer grants, and what it lets pass.
PERMISSIVE, LET_PASS = "-permissive", "-let-pass"

#: Calls whose cost is given as what it adds to a kernel without Landlock.
ADDED = ("bind", "connect", "sendto", "setuid", "fork", "last-exit", *DATAGRAMS, *SERVICES, *OTHERS, *BY_ADDRESS)
VARIANTS = (ALONE, OBSERVED, FULL, PERMISSIVE, LET_PASS, FREE, BY_PORT, DISTINCT, GRANTED, FIRST, EVICTED)

#: Rules about addresses, and how much a call decided by them may cost, for IPv4. For IPv6 it may be more, and for each further
#: layer with a ruleset of its own it may be that once more, with something off.
ADDRESS_LIMITS = ((1, 200), (16, 300), (256, 460), (4096, 700))
BETWEEN = (3, 40, 100, 1000)
IPV6_MORE = 100
DISTINCT_LESS = 60

#: So few rules may cost a little more to set up than C Landlock's: what is fixed is most of it.
FEW_RULES = 3
FEW_SHARE = 1.05

KIB = 1024


@dataclass(frozen=True)
class Goal:
    """A figure that has to be reached."""

    what: str
    key: Key
    limit: Callable[[int | None], float]
    #: The goal as a person reads it.
    text: str

    @classmethod
    def most(cls, what: str, key: Key, limit: float) -> "Goal":
        """At most a number."""
        return cls(what, key, lambda _: limit, f"≤ {limit:,.0f}")

    @classmethod
    def at_most_c(cls, what: str, key: Key, share: float = 1) -> "Goal":
        """At most C's figure, or a share of it."""
        return cls(what, key, lambda c: (c or 0) * share, "≤ C" if share == 1 else f"≤ C × {share:g}")

    @classmethod
    def beside_c(cls, what: str, key: Key, more: float) -> "Goal":
        """At most so much above C's figure, where C Landlock adds something that Portlock does not take the place of."""
        return cls(what, key, lambda c: (c or 0) + more, f"≤ C + {more:,.0f}")


def _goals(rows: list["Row"]) -> Iterator[Goal]:
    for call in ("bind", "connect"):
        yield Goal.most(f"{call}, task without a domain", (call, "none", 0, 0), 20)
        for what, pattern, rules, layers in (
                ("1 layer, 16 rules", "scattered", 16, 1), ("16 layers, 16 rules", "scattered", 16, 16),
                ("16 layers, 4,096 scattered rules", "scattered", 4096, 16),
                ("1 layer, 65,536 equal neighbours", "neighbours", 65536, 1)):
            yield Goal.most(f"{call}, {what}", (call, pattern, rules, layers), 60)
    for call in DATAGRAMS:
        yield Goal.most(f"{call}, task without a domain", (call, "none", 0, 0), 20)
        limit = 50 if call.endswith("-send") else 80
        for what, rules, layers in (("1 layer, 16 rules", 16, 1), ("16 layers, 4,096 scattered rules", 4096, 16)):
            yield Goal.most(f"{call}, {what}", (call, "scattered", rules, layers), limit)
    for row in rows:
        what, pattern, rules, _ = row.key
        if what == "setup" and row.c is not None:
            yield Goal.at_most_c(f"set-up, {rules:,} {'rule' if rules == 1 else 'rules'}, {pattern}", row.key, FEW_SHARE if rules <= FEW_RULES else 1)
    for rules, limit in ((256, 30_000), (4096, 100_000)):
        for layer, name in ((2, "2nd"), (16, "16th")):
            yield Goal.most(f"restrict_self, enforced before, {rules:,} rules, {name} layer",
                            ("restrict_self-again", "scattered", rules, layer), limit)
            yield Goal.at_most_c(f"restrict_self, {rules:,} rules, {name} layer", ("restrict_self", "scattered", rules, layer))
    for layer, name in ((1, "1st"), (2, "2nd")):
        yield Goal.most(f"restrict_self, 65,536 neighbours, {name} layer", ("restrict_self", "neighbours", 65536, layer), 100_000)
    yield Goal.most("memory, 16 rules", ("memory", "scattered", 16, 1), 4 * KIB)
    yield Goal.at_most_c("memory of a 2nd layer, 256 rules", ("further", "scattered", 256, 2))
    yield Goal.at_most_c("memory of a 2nd layer, 4,096 rules", ("further", "scattered", 4096, 2))
    yield Goal.at_most_c("memory, 65,536 equal neighbours", ("memory", "neighbours", 65536, 1), 0.01)
    yield from _goals_of_extended(rows)
    yield from _goals_of_addresses(rows)


def _worst(rows: list["Row"], what: str, pattern: str, numbers: tuple[int, int] | None = None) -> Key:
    """The key of the largest figure, of patterns that begin so and, if `numbers` says so, with so many rules and layers."""
    found = [row for row in rows if row.rust is not None and row.key[0] == what and row.key[1].startswith(pattern)
             and numbers in (None, row.key[2:])]
    # Without any, this is the key of no figure.
    return max(found, key=lambda row: row.rust or 0).key if found else (what, pattern, *(numbers or (0, 0)))


def _goals_of_extended(rows: list["Row"]) -> Iterator[Goal]:
    # Two hooks are called for a listen.
    for what, limit in (("listen", 40), *((call, 20) for call in SERVICES[:-2])):
        yield Goal.most(f"{what}, task without a domain", (what, "none", 0, 0), limit)
    # C Landlock has something in the inode of each socket.
    for what, limit in (("socket-create", 20), ("socket", 400), ("socketpair", 800), ("handshake", 400), ("close", 400), ("accept", 100)):
        yield Goal.beside_c(f"{what}, task without a domain", (what, "none", 0, 0), limit)
    for call, limit in (("bind", 60), ("connect", 60), *((call, 50 if call.endswith("-send") else 80) for call in DATAGRAMS)):
        yield Goal.most(f"{call}, any extended rules about ports", _worst(rows, call, "extended"), limit)
    for call in BY_ADDRESS:
        yield Goal.most(f"{call}, a port for all addresses", (call + BY_PORT, "ipv4-hosts", 16, 1), 60)
    # There are two groups of four rights.
    for rules, limit in ((256, 60_000), (4096, 200_000)):
        yield Goal.most(f"restrict_self, enforced before, {rules:,} extended rules, 16th layer",
                        ("restrict_self-again", "extended", rules, 16), limit)
    for call in ("send", "send-passive", "recv", "recv-passive"):
        for family in ("extended", "ipv4", "ipv6", "opened"):
            key = _worst(rows, call + GRANTED, family)
            yield Goal.most(f"{call}, handled and granted, {key[2]:,} {key[1]}", key, 80)
    yield from _goals_of_single_domains(rows)
    yield Goal.most("memory, 16 extended rules", ("memory", "extended", 16, 1), 4 * KIB)


def _goals_of_single_domains(rows: list["Row"]) -> Iterator[Goal]:
    """Who is observed, permissive, or has rules about single sockets pays nothing for what is allowed."""
    figures = {row.key: row.rust for row in rows}
    for call in USES:
        for pattern in ("extended", "ipv4-hosts"):
            alone = figures.get((call + ALONE, pattern, 16, 1)) or 0
            for how in (OBSERVED, PERMISSIVE + ALONE, PERMISSIVE + OBSERVED):
                yield Goal.most(f"{call}, {how[1:].removesuffix(ALONE)}, 16 {pattern}", (call + how, pattern, 16, 1), alone)
        alone = figures.get((call + ALONE, "extended", 16, 1)) or 0
        yield Goal.most(f"{call}, by the port, beside rules about sockets", _worst(rows, call + BY_PORT, "opened"), alone)


def _goals_of_addresses(rows: list["Row"]) -> Iterator[Goal]:
    """For each the worst of all patterns."""
    def most(name: str, what: str, rules: int, layers: int, family: str, limit: float) -> Goal:
        key = _worst(rows, what, family, (rules, layers))
        return Goal.most(f"{name}, {rules:,} {key[1].removeprefix(family + '-')}", key, limit)

    for call in BY_ADDRESS:
        family = call.split("-")[1]
        more = IPV6_MORE if family == "ipv6" else 0
        for rules in (*dict(ADDRESS_LIMITS), *BETWEEN):
            # In between, the next goal holds.
            limit = more + next(limit for most_rules, limit in ADDRESS_LIMITS if rules <= most_rules)
            yield most(call, call, rules, 1, family, limit)
            for layers in () if rules in BETWEEN else (2, 16):
                yield most(f"{call}, {layers} equal layers", call, rules, layers, family, limit)
            for layers in () if rules in BETWEEN else (2, 4):
                yield most(f"{call}, {layers} distinct layers", call + DISTINCT, rules, layers, family,
                           limit + (layers - 1) * (limit - DISTINCT_LESS))
    for family in ("ipv4", "ipv6"):
        for rules, first, again in ((256, 300_000, 30_000), (4096, 6_000_000, 100_000)):
            yield most(f"restrict_self, 1st layer, {family}", "restrict_self", rules, 1, family, first)
            yield most(f"restrict_self, enforced before, {family}", "restrict_self-again", rules, 2, family, again)
        for rules in (16, 256, 4096):
            yield most(f"memory, {family}", "memory", rules, 1, family, 256 * rules)


def run(paths: Paths, rules: list[str]) -> int:
    """`rules` are the numbers of rules to measure, all if there are none. Returns the exit status: 0 only if every goal is
    reached. Other figures above C Landlock's are only named."""
    paths.check()
    progress = report.Progress()
    try:
        guest = guests.build(paths, progress.step, with_tests=False)
        figures = boot_each(BOOTS, lambda name: _boot(paths, guest, name, rules, progress))
    finally:
        progress.end()
    rows = list(_rows(figures))
    folder = paths.build / "bench"
    folder.mkdir(exist_ok=True)
    print(_table(rows))
    missed = _check_goals(rows, complete=not rules)
    if not rules:
        (folder / "bench.json").write_text(_json(rows), "utf-8")
        _plots(rows, folder)
        print(f"\nfigures: {folder}/bench.json, layers.svg, rules.svg, addresses.svg")
    return 1 if missed else 0


def boot_each(names: Iterable[str], boot: Callable[[str], T]) -> dict[str, T]:
    """Run `boot` for each name, two at a time, and return what each gives. An error stops the other guest."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = {name: pool.submit(boot, name) for name in names}
        try:
            return {name: future.result() for name, future in running.items()}
        except BaseException:
            stopping.set()
            raise


def _boot(paths: Paths, guest: guests.Guest, name: str, rules: list[str], progress: report.Progress) -> Figures:
    archive = guest.archive + guests.plan("bench", {}, rules)
    return dict(map(_figure, count(paths, f"bench-{name}", BOOTS[name], archive, "exit bench 0 ", progress)))


def count(paths: Paths, name: str, lsm: str, archive: bytes, done: str, progress: report.Progress) -> list[str]:
    """Boot a guest with one processor that prints figures, and return its lines. `done` is the status that a good end leaves."""
    machine = Machine(paths, name, lsm, archive, processors=1)
    lines: list[str] = []
    last = told = time.monotonic()

    def watch(running: Machine) -> str | None:
        nonlocal last, told
        if new := running.ports["results"].lines():
            last = time.monotonic()
            lines.extend(new)
            if last - told > 20:
                told = last
                progress.step(f"lsm={lsm}: {len(lines)} figures")
        return "no figure came in time" if time.monotonic() - last > SILENCE else None

    try:
        why = machine.run(watch)
        lines += machine.ports["results"].lines(last=True)
        log = kernel_log.joined(machine.console.text(), machine.ports["dmesg"].text())
        status = machine.ports["status"].text()
    finally:
        machine.close()
    if stopping.is_set():
        raise KeyboardInterrupt
    reports = kernel_log.reports(log)
    if why or reports or done not in status:
        raise HarnessError(f"The guest with lsm={lsm} failed: {why or lines[-1:] or 'it printed nothing'}"
                           + "".join("\n" + "\n".join(each) for each in reports))
    return lines


def _figure(line: str) -> tuple[Key, int]:
    what, pattern, rules, layers, cost = line.split()
    return (what, pattern, int(rules), int(layers)), int(cost)


@dataclass(frozen=True)
class Row:
    """A figure on both sides; None where there is none."""

    key: Key
    c: int | None
    rust: int | None

    @property
    def ratio(self) -> float | None:
        """Rust's share of C's."""
        return self.rust / self.c if self.c and self.rust is not None and self.c > 0 else None


def _rows(figures: dict[str, Figures]) -> Iterator[Row]:
    """What each adds to a kernel without Landlock, where that can be said, else what it costs."""
    base = figures["none"]
    for key in {**figures["C"], **figures["Rust"]}:
        what, pattern, rules, layers = key
        if rules and not layers:
            continue
        c, rust = (figures[name].get(key) for name in ("C", "Rust"))
        call = what
        for variant in VARIANTS:
            call = call.removesuffix(variant)
        if call in ADDED:
            without = base[call, "none", 0, 0]
            # What the stack does with an address costs more with some than with the mean.
            beside = figures["Rust"].get((what.removesuffix(DISTINCT), pattern, rules, 0))
            if beside is not None:
                without += beside - figures["Rust"][call, "none", 0, 0]
            c, rust = (None if cost is None else cost - without for cost in (c, rust))
        yield Row(key, c, rust)
        if what == "memory" and layers == 2:
            # What Portlock adds for a layer, beside the copy of all rules that C Landlock makes for one.
            first = figures["Rust"]["memory", pattern, rules, 1]
            yield Row(("further", pattern, rules, layers), c, None if rust is None else rust - first)


def _table(rows: list[Row]) -> str:
    lines = [f"{'instructions or bytes':<24}{'rules':<29}{'layers':>6}{'C':>14}{'Rust':>12}{'ratio':>8}"]
    for row in rows:
        what, pattern, rules, layers = row.key
        ratio = f"{row.ratio:.3f}" if row.ratio is not None else ""
        lines.append(f"{what:<24}{f'{rules:,} {pattern}' if rules else 'no domain':<29}{layers:>6}"
                     f"{'' if row.c is None else row.c:>14}{'' if row.rust is None else row.rust:>12}{ratio:>8}")
    return "\n".join(lines)


def _check_goals(rows: list[Row], complete: bool) -> int:
    """Prints each goal, and each figure above C's; returns how many goals are missed. If the run is `complete`, each has to
    have its figure."""
    by_key = {row.key: row for row in rows}
    print(f"\n{'goal':<64}{'C':>12}{'Rust':>12}{'':>3}goal")
    missed = 0
    for goal in _goals(rows):
        row = by_key.get(goal.key)
        if not row:
            if complete:
                raise HarnessError(f"No figure came for the goal \"{goal.what}\": tests/guest/bench.c does not measure it.")
            continue
        met = row.rust is not None and row.rust <= goal.limit(row.c)
        missed += not met
        print(f"{goal.what:<64}{_number(row.c)}{_number(row.rust)}   {goal.text}{'' if met else '   MISSED'}")
    worse = [row for row in rows if row.c is not None and row.rust is not None and row.rust > row.c]
    for row in worse:
        print(f"worse than C: {' '.join(map(str, row.key))}: {row.rust:,} against {row.c:,}")
    print(f"{missed} goals missed, which alone decide the exit status; {len(worse)} figures worse than C's")
    return missed


def _number(value: int | None) -> str:
    return f"{'' if value is None else f'{value:,}':>12}"


def _json(rows: list[Row]) -> str:
    names = ("what", "pattern", "rules", "layers")
    return json.dumps([{**dict(zip(names, row.key)), "c": row.c, "rust": row.rust} for row in rows], indent=1)


def _plots(rows: list[Row], folder: Path) -> None:
    """Three pictures: a call's cost by layers, a first domain's by rules, and a call's by rules about addresses."""
    pyplot = plotter()
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for side, colour in (("c", "tab:blue"), ("rust", "tab:orange")):
        for rules, line in ((16, "-"), (4096, "--")):
            points = [(row.key[3], getattr(row, side)) for row in rows if row.key[:3] == ("bind", "scattered", rules)]
            axes.plot(*zip(*points), line, color=colour, marker="o",
                      label=f"{'C Landlock' if side == 'c' else 'Portlock'}, {rules:,} rules")
    axes.set(xlabel="layers", ylabel="instructions that an allowed bind(2) pays", ylim=(0, None), xticks=(1, 2, 4, 8, 16),
             title="The cost of a check")
    finish(figure, axes, folder / "layers.svg")

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for side, colour in (("c", "tab:blue"), ("rust", "tab:orange")):
        points = [(row.key[2], getattr(row, side)) for row in rows if row.key[:2] == ("setup", "scattered")]
        axes.plot(*zip(*points), color=colour, marker="o", label="C Landlock" if side == "c" else "Portlock")
    axes.set(xlabel="rules, for scattered ports", ylabel="instructions", xscale="log", yscale="log",
             title="The cost of a first domain: create_ruleset, each add_rule, restrict_self")
    finish(figure, axes, folder / "rules.svg")

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for family, colour in (("ipv4", "tab:orange"), ("ipv6", "tab:red")):
        for pattern, line in (("hosts", "-"), ("nested", "--")):
            points = [(row.key[2], row.rust) for row in rows
                      if row.key[:2] == (f"connect-{family}", f"{family}-{pattern}") and row.key[3] == 1]
            axes.plot(*zip(*points), line, color=colour, marker="o",
                      label=f"Portlock, {'IPv4' if family == 'ipv4' else 'IPv6'}, {pattern}")
    if trie := _trie(folder):
        axes.plot(*zip(*trie), color="tab:green", marker="o", label="cgroup-BPF, trie of IPv4 addresses")
    axes.set(xlabel="rules about addresses", ylabel="instructions that an allowed connect(2) pays", xscale="log", ylim=(0, None),
             title="The cost of a check by address")
    axes.set_xticks((1, 16, 256, 4096), labels=("1", "16", "256", "4,096"), minor=False)
    axes.minorticks_off()
    finish(figure, axes, folder / "addresses.svg")


def _trie(folder: Path) -> list[tuple[int, int]]:
    """What the trie adds to a connect by its rules, if `run.py bench --peers` left its figures."""
    file = folder / "peers.json"
    if not file.is_file():
        return []
    return [(figure["rules"], figure["added"]) for figure in json.loads(file.read_text("utf-8"))["figures"]
            if figure["call"] == "connect" and figure["mechanism"] == "cgroup-lpm" and figure["rules"] and figure["added"] is not None]


def plotter():
    """matplotlib's pyplot. The same figures give the same file."""
    try:
        import matplotlib
    except ImportError:
        raise HarnessError("matplotlib draws the figures and is missing: install python3-matplotlib.") from None
    matplotlib.use("svg")
    from matplotlib import pyplot
    pyplot.rcParams.update({"svg.hashsalt": "portlock", "font.size": 11})
    return pyplot


def finish(figure, axes, path: Path, **legend: object) -> None:
    """Draw what all plots have, and write the file with its licence. `legend` says where the legend goes, if not inside."""
    axes.grid(True, alpha=0.3)
    axes.legend(**legend)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    declaration, rest = path.read_text("utf-8").split("\n", 1)
    path.write_text(f"{declaration}\n<!-- SPDX-License-Identifier: GPL-2.0 -->\n{rest}", "utf-8")
