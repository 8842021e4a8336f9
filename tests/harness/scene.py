# SPDX-License-Identifier: GPL-2.0
"""`run.py scene`: shows what a process may do under the kernel's unmodified sandboxer, and what is expected."""

import concurrent.futures
import re
import time
from dataclasses import dataclass

from . import guest as guests
from . import kernel_log, report
from .base import Paths
from .catalogue import BOOTS, Boot
from .vm import Machine, stopping

#: Seconds until the guest must have ended.
_LIMIT = 180

_REFUSED = "EACCES 13 Permission denied"

#: A key that guest/scene.sh prints, its meaning, and the answer that both C Landlock and Portlock must give.
_LINES = (
    ("bind-own", "bind TCP port 8080, its own", "ok"),
    ("bind-other", "bind TCP port 8081", _REFUSED),
    ("connect-allowed", "connect to TCP port 4000, allowed", "ok"),
    ("connect-other", "connect to TCP port 4001", _REFUSED),
    ("send-allowed", "send UDP to port 5353, allowed", "ok"),
    ("send-other", "send UDP to port 5354", _REFUSED),
    ("serve", "listen on TCP port 8080", "ok"),
    ("served", "a client outside gets its answer", "ok"),
    ("free-bind", "outside the sandbox: bind 8081", "ok"),
    ("free-connect", "outside the sandbox: connect to 4001", "ok"),
)


@dataclass
class Seen:
    """The results of a boot."""

    boot: Boot
    answers: dict[str, str]
    log: str
    why: str | None
    seconds: float

    @property
    def enforcer(self) -> str:
        """Who decided."""
        return "Portlock (Rust)" if self.portlock_on() else "C Landlock"

    def wrong(self) -> list[str]:
        """Everything that is wrong besides the lines."""
        wrong = []
        if self.why:
            wrong.append(self.why)
        modules = self.answers.get("lsm", "").split(",")
        wrong += [f"{name} is not among the active LSMs" for name in self.boot.lsm.split(",") if name not in modules]
        if "portlock" in self.boot.lsm and not self.portlock_on():
            wrong.append("the kernel's log does not say that Portlock is on")
        wrong += [f"the kernel's log: {lines[0]}" for lines in kernel_log.reports(self.log)]
        return wrong

    def portlock_on(self) -> bool:
        """Whether Portlock logged that it is on. The list of LSMs also names an LSM that is off."""
        return self.answers.get("log", "").startswith("portlock: Up and running")


def run(paths: Paths, boots: list[str]) -> int:
    """Returns 0 if every line is as expected."""
    began = time.monotonic()
    paths.check()
    progress = report.Progress()
    try:
        guest = guests.build(paths, progress.step, with_tests=False)
        chosen = [boot for boot in BOOTS if boot.name in boots]
        progress.step("boot")
        with concurrent.futures.ThreadPoolExecutor(len(chosen)) as pool:
            running = [pool.submit(_boot, paths, guest, boot) for boot in chosen]
            try:
                seen = [future.result() for future in running]
            except BaseException:
                stopping.set()
                raise
    finally:
        progress.end()
    wrong = _show(seen)
    print(f"\n{'Every line is as expected' if not wrong else f'NOT as expected: {wrong} of the above'}: "
          f"the run took {report.clock(time.monotonic() - began)}.")
    return 1 if wrong else 0


def _boot(paths: Paths, guest: guests.Guest, boot: Boot) -> Seen:
    began = time.monotonic()
    # Nothing here depends on time, so the fastest way to boot is used.
    machine = Machine(paths, f"scene-{boot.name}", boot.lsm, guest.archive + guests.plan("scene", {}), processors=1, counted=False)
    ended = []

    def watch(running: Machine) -> str | None:
        ended.extend(line for line in running.ports["status"].lines() if line.startswith("done"))
        late = not ended and time.monotonic() - began > _LIMIT
        return f"the guest did not finish in {_LIMIT} s" if late else None

    try:
        why = machine.run(watch)
        lines = machine.ports["results"].lines(last=True)
        log = kernel_log.joined(machine.console.text(), machine.ports["dmesg"].text())
    finally:
        machine.close()
    if not why and not ended:
        why = f"the guest ended too early: see {machine.console.path}"
    answers = dict(line.split(": ", 1) for line in lines if ": " in line)
    return Seen(boot, answers, log, why, time.monotonic() - began)


def _in_words(answer: str | None) -> str:
    if answer is None:
        return "nothing"
    if answer == "ok":
        return "works"
    if match := re.fullmatch(r"(E\w+) (\d+) (.*)", answer):
        return f"{match[1]} ({match[2]}, {match[3]})"
    return answer


def _show(seen: list[Seen]) -> int:
    """Prints the scene. Returns how many lines are wrong."""
    first, wrong = seen[0], 0
    print(f"Linux {first.answers.get('kernel', '?')} in QEMU, without KVM")
    for one in seen:
        print(f"  lsm={one.boot.lsm}: active LSMs are {one.answers.get('lsm', 'not known')}")
        if "portlock" in one.boot.lsm:
            on = one.portlock_on()
            print(f"  {'✓' if on else '✗'} Portlock is {'on' if on else 'NOT on'}; the kernel's log: {one.answers.get('log') or '(nothing)'}")
    print("\nA small server under the kernel's unmodified samples/landlock/sandboxer:")
    print("  LL_TCP_BIND=8080 LL_TCP_CONNECT=4000 LL_UDP_BIND=0 LL_UDP_CONNECT_SEND=5353 sandboxer server\n")
    rows = [["", "expected", *(f"seen: {one.enforcer}" for one in seen)]]
    for key, meaning, expected in _LINES:
        row = [meaning, _in_words(expected).split(" ")[0]]
        for one in seen:
            answer = one.answers.get(key)
            right = answer == expected
            wrong += not right
            row.append(f"{'✓' if right else '✗'} {_in_words(answer)}")
        rows.append(row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    for one in seen:
        for text in one.wrong():
            wrong += 1
            print(f"\n✗ lsm={one.boot.lsm}: {text}")
    return wrong
