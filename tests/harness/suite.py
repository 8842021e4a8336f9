# SPDX-License-Identifier: GPL-2.0
"""`run.py test`: everything from the build of the guest to the last line."""

import concurrent.futures
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass

from . import command, fuzz, interleave, programs, report, units
from . import guest as guests
from .base import HarnessError, Paths
from .catalogue import jobs
from .session import BootResult, Session
from .vm import stopping


@dataclass(frozen=True)
class Choice:
    """What of the suite is to run, and how."""

    pattern: str | None
    boots: list[str] | None
    #: Boots at a time.
    parallel: int
    #: What every time limit is lengthened by.
    scale: float
    #: Operations and seed of the fuzz round.
    operations: int
    seed: int
    #: Whether the unit tests that the kernel was built with run too, in a boot of their own.
    units: bool

    @property
    def whole(self) -> bool:
        """Whether nothing is left out, so the unit tests, the fuzz round and the real programs are not either."""
        return not self.pattern and not self.boots


def run(paths: Paths, choice: Choice, list_only: bool) -> int:
    """Returns the exit status: 0 only if something ran and nothing failed."""
    paths.check()
    # One run at a time: two would write the same logs.
    with (paths.guest / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HarnessError(f"Another run uses {paths.build}: wait for it, or name another folder with --build.") from None
        return _run(paths, choice, list_only)


def _run(paths: Paths, choice: Choice, list_only: bool) -> int:
    progress = report.Progress()
    try:
        guest = guests.build(paths, progress.step)
        selected, left_out = jobs(guest, choice.pattern, choice.boots)
    finally:
        progress.end()
    if list_only:
        for job in selected:
            for program in job.programs:
                for case in program.chosen or [""]:
                    print(f"{job.boot.name}:{program.path}{'.' if case else ''}{case}")
        return 0

    progress = report.Progress()
    sessions = [Session(paths, guest, job, choice.scale) for job in selected]
    progress.start(sessions)
    try:
        with concurrent.futures.ThreadPoolExecutor(choice.parallel) as pool:
            running = [pool.submit(session.run, progress.finished) for session in sessions]
            try:
                results = [future.result() for future in running]
            except BaseException:
                stopping.set()
                for future in running:
                    future.cancel()
                raise
    finally:
        progress.end()

    print()
    print(report.table(results))
    results += _beyond_boots(paths, guest, choice)
    passed, failed, skipped = report.totals(results)
    for text in (report.details(results), "\n".join(f"left out {name}: {why}" for name, why in left_out.items())):
        if text:
            print(f"\n{text}")
    print(f"\nfull logs: {os.path.relpath(paths.log)}/test-*.log")
    if not passed and not failed:
        print("No test ran.")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


def _beyond_boots(paths: Paths, guest: guests.Guest, choice: Choice) -> list[BootResult]:
    """The unit tests, the orders of threads, a fuzz round, real programs and the command, each told as it ends."""
    progress = report.Progress()
    rounds: list[Callable[[], BootResult]] = []
    if choice.whole:
        rounds += [lambda: units.run(paths), lambda: interleave.run(paths),
                   lambda: fuzz.outcome(paths, guest, choice.operations, choice.seed, progress),
                   lambda: programs.PROGRAMS.outcomes(paths, guest, programs.PROGRAMS.names(), choice.scale, lambda *_: None),
                   lambda: command.workspace(paths)]
        rounds += [lambda boot=boot: command.outcomes(paths, guest, boot, choice.scale, lambda *_: None) for boot in command.BOOTS]
    if choice.units:
        rounds.append(lambda: units.run_in_guest(paths, choice.scale))
    results = []
    if rounds:
        print()
    try:
        for run_round in rounds:
            result = run_round()
            for outcome in result.outcomes:
                progress.finished(result.boot, outcome)
            results.append(result)
    finally:
        progress.end()
    return results
