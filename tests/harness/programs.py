# SPDX-License-Identifier: GPL-2.0
"""Unmodified programs from Debian under rulesets that handle every right: a part of a whole `run.py test`, and `run.py programs`."""

from dataclasses import replace
from pathlib import Path

from . import guest as guests
from . import ktap, report
from .base import TESTS, HarnessError, Paths
from .catalogue import Boot, Expectation, Job, Program, expectations
from .cpio import Archive
from .session import BootResult, Finished, Outcome, Session

BOOT = Boot("programs", "landlock,portlock", "both")

#: A script for each program, and what they share.
SCRIPTS = TESTS / "guest/programs"
_SHARED = "lib.sh"

_SUITE = "programs"
_LOADER = "ld-linux-x86-64.so.2"

#: How a line begins that belongs into the report.
_SEEN = "# seen: "


def names() -> list[str]:
    """The programs."""
    return sorted(file.name for file in SCRIPTS.iterdir() if file.name != _SHARED)


def run(paths: Paths, pattern: str | None, scale: float) -> int:
    """Run these tests alone. Returns the exit status, 0 only if something ran and nothing failed."""
    paths.check()
    chosen = [name for name in names() if not pattern or pattern in name]
    if not chosen:
        raise HarnessError(f"No program is named like {pattern!r}: there are {', '.join(names())}.")
    progress = report.Progress()
    try:
        guest = guests.build(paths, progress.step, with_tests=False)
        results = [outcomes(paths, guest, chosen, scale, progress.finished)]
    finally:
        progress.end()
    for text in (_seen(paths), report.details(results)):
        if text:
            print(f"\n{text}")
    passed, failed, skipped = report.totals(results)
    print(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


def outcomes(paths: Paths, guest: guests.Guest, chosen: list[str], scale: float, finished: Finished) -> BootResult:
    """Run the tests of the chosen programs in a boot of their own."""
    _results(paths).unlink(missing_ok=True)
    if not are_there(paths):
        reason = "the programs are not there; make programs gets them from Debian"
        skips = [Outcome(f"{_SUITE}/{name}", [ktap.Case("(all)", ktap.SKIP, reason)]) for name in chosen]
        return BootResult(BOOT, skips)
    expected = expectations(_SUITE)
    job = Job(BOOT, [Program(_SUITE, name, [], [], expected.get(name, Expectation())) for name in chosen])
    session = Session(paths, replace(guest, archive=guest.archive + archive(paths), modules=[]), job, scale)
    return session.run(finished)


def are_there(paths: Paths) -> bool:
    """Whether the programs were downloaded."""
    return (paths.build / "programs/key").is_file()


def _results(paths: Paths) -> Path:
    return paths.log / f"test-{BOOT.name}.results.log"


def _seen(paths: Paths) -> str:
    """What the scripts tell of refusals and times."""
    printed = _results(paths).read_text("utf-8", "replace") if _results(paths).is_file() else ""
    return "\n".join(line.removeprefix(_SEEN) for line in printed.splitlines() if line.startswith(_SEEN))


def archive(paths: Paths) -> bytes:
    """The programs with their libraries, their scripts, and what puts them into a sandbox, as an archive to append."""
    made = Archive()
    folder = paths.build / "programs"
    # In place of this machine's libraries, if the guest has some.
    for part, target in (("bin", "bin"), ("lib", "lib/x86_64-linux-gnu")):
        for file in sorted((folder / part).iterdir()):
            made.file(f"{target}/{file.name}", file)
    made.file(f"lib64/{_LOADER}", folder / "lib" / _LOADER)
    made.file("bin/held", guests.compile_program(paths, TESTS / "guest/held.c"))
    for file in sorted(SCRIPTS.iterdir()):
        made.file(f"selftests/{_SUITE}/{file.name}", file)
    return made.finish()
