# SPDX-License-Identifier: GPL-2.0
"""Finds in a kernel's log what must never be there."""

import re

# Each is something the kernel prints only when it has found itself in the wrong. What user space does
# to itself (a test that dies on purpose) is not among them.
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

#: What each checker says when it begins, by the option that builds it in. One that was never heard has seen nothing.
CHECKERS = {
    "CONFIG_DEBUG_KMEMLEAK": "kmemleak: Kernel memory leak detector initialized",
    "CONFIG_KASAN": "KernelAddressSanitizer initialized",
    "CONFIG_KCSAN": "kcsan: enabled early",
    "CONFIG_PROVE_LOCKING": "Lock dependency validator: ",
    "CONFIG_PROVE_RCU": "RCU lockdep checking is enabled",
}

# A race that KCSAN finds is about what is tested here if either side was beneath Landlock, Portlock or a hook: the
# network stack and the memory management have some of their own.
_RACE = "BUG: KCSAN: "
_OURS = re.compile(r"landlock|portlock|\bsecurity_")
_RACE_LINES = 80

# Lines that match and mean nothing. Each entry is a pattern and the reason why it may stay.
ALLOWED: tuple[tuple[str, str], ...] = (
    (r"BUG: KCSAN: data-race in (?:.* / )?(?:memcpy_and_pad|prepare_creds)(?: / .*)?$",
     "fork and prepare_creds copy a whole structure, with counters in it that others may raise, and set the copy's anew; so they "
     "do without Portlock"),
)

# How much of the log is shown from the first sign on.
SHOWN_LINES = 40

# Two signs closer than this belong to one report.
_ONE_REPORT = 60

# How many lines after its first the report of a killer of processes says whose memory it is about: after a trace, which
# is long where the kernel has checkers.
_KILLER_LINES = 200

_STAMP = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[[^]]*\])? ")


def _limits_met(lines: list[str]) -> set[int]:
    """Where the traces are that the kernel prints when a memory cgroup has used up what it may: what tests of limits are
    about. When all of the memory is gone, the report has no statistics of a cgroup."""
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
    """Where the reports begin of races that nothing of ours takes part in. One that does not end is not among them."""
    races: set[int] = set()
    for start, line in enumerate(lines):
        if _RACE not in line:
            continue
        report = lines[start:start + _RACE_LINES]
        end = next((index for index, text in enumerate(report) if without_stamp(text).startswith("=====")), None)
        if end is not None and not any(map(_OURS.search, report[:end])):
            races.add(start)
    return races


def reports(log: str) -> list[list[str]]:
    """The reports in `log`, each as the lines to show, from the line that gave it away."""
    lines = [line.rstrip("\r") for line in log.splitlines()]
    allowed = [re.compile(pattern) for pattern, _ in ALLOWED]
    harmless = _limits_met(lines) | _races_of_others(lines)
    found: list[list[str]] = []
    last = None
    for index, line in enumerate(lines):
        if index in harmless or not _SIGNS.search(line) or any(pattern.search(line) for pattern in allowed):
            continue
        # The kernel's own lines are stamped. An audit record can quote anything a program is called.
        if " audit: " in line or line.startswith("audit: ") or "Kernel command line:" in line:
            continue
        if last is None or index - last > _ONE_REPORT:
            found.append(lines[index:index + SHOWN_LINES])
        last = index
    return found


def silent_checkers(config: str, log: str) -> list[str]:
    """The checkers that the kernel's `.config` asks for and its log does not speak of."""
    options = set(config.splitlines())
    return [option for option, sign in CHECKERS.items() if f"{option}=y" in options and sign not in log]


def joined(console: str, dmesg: str) -> str:
    """The kernel's log as far as it is known: dmesg has all of it if the guest lived to print it, the console
    has the warnings whatever happened."""
    lines = dmesg.splitlines()
    known = set(lines)
    return "\n".join(lines + [line for line in (line.rstrip("\r") for line in console.splitlines()) if line not in known])


def without_stamp(line: str) -> str:
    """A line of the log without its time, for a heading."""
    return _STAMP.sub("", line)
