# SPDX-License-Identifier: GPL-2.0
"""`run.py test`: everything from the build of the guest to the last line."""

import concurrent.futures
import fcntl
import os

from . import guest as guests
from . import report
from .base import HarnessError, Paths
from .catalogue import jobs
from .session import Session
from .vm import stopping


def run(paths: Paths, pattern: str | None, boots: list[str] | None, parallel: int, scale: float, list_only: bool) -> int:
    """Returns the exit status: 0 only if something ran and nothing failed."""
    paths.check()
    # One run at a time: two would write the same logs.
    with (paths.guest / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HarnessError(f"Another run uses {paths.build}: wait for it, or name another folder with --build.") from None
        return _run(paths, pattern, boots, parallel, scale, list_only)


def _run(paths: Paths, pattern: str | None, boots: list[str] | None, parallel: int, scale: float, list_only: bool) -> int:
    progress = report.Progress()
    try:
        guest = guests.build(paths, progress.step)
        selected, left_out = jobs(guest, pattern, boots)
    finally:
        progress.end()
    if list_only:
        for job in selected:
            for program in job.programs:
                for case in program.chosen or [""]:
                    print(f"{job.boot.name}:{program.path}{'.' if case else ''}{case}")
        return 0

    progress = report.Progress()
    sessions = [Session(paths, guest, job, scale) for job in selected]
    progress.start(sessions)
    try:
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
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

    passed, failed, skipped = report.totals(results)
    print()
    print(report.table(results))
    for text in (report.details(results), "\n".join(f"left out {name}: {why}" for name, why in left_out.items())):
        if text:
            print(f"\n{text}")
    print(f"\nfull logs: {os.path.relpath(paths.log)}/test-*.log")
    if not passed and not failed:
        print("No test ran.")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0
