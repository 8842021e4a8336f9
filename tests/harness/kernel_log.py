# SPDX-License-Identifier: GPL-2.0
"""Finds reports of kernel errors in a log."""

import re

from . import ktap

# The kernel prints these only when something is wrong in the kernel. Errors of user space, for example of
# a test that kills itself, are not in the list.
_SIGNS = re.compile(
    r"Kernel panic|\bOops\b|\bBUG\b:?|kernel BUG at|WARNING:|\[ cut here \]|Call Trace:"
    r"|general protection fault|unable to handle (?:kernel|page)|stack-protector:|double fault"
    r"|possible recursive locking|possible circular locking|inconsistent lock state|suspicious RCU usage"
    r"|INFO: possible|held lock freed|bad unlock balance|DEBUG_LOCKS_WARN|Invalid wait context"
    r"|rcu: INFO:|rcu_(?:sched|preempt|tasks)\w* (?:detected|self-detected)|blocked for more than \d+ seconds"
    r"|soft lockup|hard LOCKUP|scheduling while atomic|sleeping function called"
    r"|KASAN|UBSAN|KMSAN|refcount_t:|list_(?:add|del) corruption|Bad page|suspected memory leak|unreferenced object"
    r"|turning off the locking correctness validator|Kernel memory leak detector disabled|ODEBUG disabled"
    r"|rust_kernel: panicked|\bpanicked at\b|usercopy: Kernel memory|Too many LSMs|LSM: .*(?:error|failed|too many)",
)

#: The line that each checker prints when it starts, by its configuration option. A checker without this line did not run.
CHECKERS = {
    "CONFIG_DEBUG_KMEMLEAK": "kmemleak: Kernel memory leak detector initialized",
    "CONFIG_KASAN": "KernelAddressSanitizer initialized",
    "CONFIG_KCSAN": "kcsan: enabled early",
    "CONFIG_PROVE_LOCKING": "Lock dependency validator: ",
    "CONFIG_PROVE_RCU": "RCU lockdep checking is enabled",
}

# KCSAN also finds races inside the network stack and the memory management. A race counts here only if one of its
# stack traces contains Landlock, Portlock or a hook.
_RACE = "BUG: KCSAN: "
_OURS = re.compile(r"landlock|portlock|\bsecurity_")
_RACE_LINES = 80

# Lines that match and are harmless. Each entry is a pattern and the reason.
ALLOWED: tuple[tuple[str, str], ...] = (
    (r"BUG: KCSAN: data-race in (?:.* / )?(?:memcpy_and_pad|prepare_creds)(?: / .*)?$",
     "fork and prepare_creds copy a whole structure while others may increment its counters, and then reset the counters of the "
     "copy. This also happens without Portlock"),
)

# How many lines of the log are shown, from the first sign on.
SHOWN_LINES = 40

# Two signs closer than this belong to one report.
_ONE_REPORT = 60

# The report of the OOM killer says after a trace whose memory is exhausted. The trace is long in a kernel with checkers.
# The report is searched for this many lines.
_KILLER_LINES = 200

_STAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[[^]]*\])? ")


def _limits_met(lines: list[str]) -> set[int]:
    """The lines with a trace that the kernel prints when a memory cgroup reaches its limit. The tests of limits cause this.
    If the whole memory is exhausted, the report has no statistics of a cgroup, and its trace is not among these lines."""
    traces: set[int] = set()
    for start, line in enumerate(lines):
        if " invoked oom-killer: " not in line:
            continue
        report = range(start + 1, min(start + 1 + _KILLER_LINES, len(lines)))
        end = next((index for index in report if " invoked oom-killer: " in lines[index]
                    or "Mem-Info:" in lines[index] or "Memory cgroup stats for " in lines[index]), None)
        if end is not None and "Memory cgroup stats for " in lines[end]:
            traces.update(index for index in range(start, end) if without_stamp(lines[index]) == "Call Trace:")
    return traces


def _races_of_others(lines: list[str]) -> set[int]:
    """The first lines of the reports of races that do not involve Landlock, Portlock or a hook. Only complete reports count."""
    races: set[int] = set()
    for start, line in enumerate(lines):
        if _RACE not in line:
            continue
        report = lines[start:start + _RACE_LINES]
        end = next((index for index, text in enumerate(report) if without_stamp(text).startswith("=====")), None)
        if end is not None and not any(map(_OURS.search, report[:end])):
            races.add(start)
    return races


def cases(log: str) -> list[ktap.Case]:
    """A failed test for each report in `log`."""
    return [ktap.Case(without_stamp(report[0]), ktap.FAIL, "in the kernel's log", report) for report in reports(log)]


def reports(log: str) -> list[list[str]]:
    """The reports in `log`, each as the lines to show, from the line with the first sign."""
    lines = [line.rstrip("\r") for line in log.splitlines()]
    allowed = [re.compile(pattern) for pattern, _ in ALLOWED]
    harmless = _limits_met(lines) | _races_of_others(lines)
    found: list[list[str]] = []
    last = None
    for index, line in enumerate(lines):
        if index in harmless or not _SIGNS.search(line) or any(pattern.search(line) for pattern in allowed):
            continue
        # An audit record contains the name of a program, which may be any text.
        if " audit: " in line or line.startswith("audit: ") or "Kernel command line:" in line:
            continue
        if last is None or index - last > _ONE_REPORT:
            found.append(lines[index:index + SHOWN_LINES])
        last = index
    return found


def silent_checkers(config: str, log: str) -> list[str]:
    """The checkers that the kernel's `.config` turns on and that are not in its log."""
    options = set(config.splitlines())
    return [option for option, sign in CHECKERS.items() if f"{option}=y" in options and sign not in log]


def joined(console: str, dmesg: str) -> str:
    """All known lines of the kernel's log. dmesg has all lines if the guest lived long enough to print them. The console has
    the warnings in any case."""
    lines = dmesg.splitlines()
    known = set(lines)
    return "\n".join(lines + [line for line in (line.rstrip("\r") for line in console.splitlines()) if line not in known])


def without_stamp(line: str) -> str:
    """A line of the log without its time, for a heading."""
    return _STAMP.sub("", line)
