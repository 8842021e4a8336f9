# SPDX-License-Identifier: GPL-2.0
"""Unmodified programs from Debian, each with a script of its own, in a boot of their own: `run.py programs` and `run.py real`.
The first is a part of a whole `run.py test` too."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from . import guest as guests
from . import ktap, report
from .base import TESTS, HarnessError, Paths
from .catalogue import Boot, Expectation, Job, Program, expectations
from .cpio import Archive
from .session import BootResult, Finished, Outcome, Session

# What the scripts of a folder share.
_SHARED = "lib.sh"
_LOADER = "ld-linux-x86-64.so.2"


@dataclass(frozen=True)
class Suite:
    """Programs, and what they are to show. The folder of the scripts has the name of the boot, and so has the folder of what was
    downloaded."""

    boot: Boot
    #: Makes an archive of all that the guest needs for it.
    archive: Callable[[Paths], bytes]

    @property
    def scripts(self) -> Path:
        """A script for each program, and what they share."""
        return TESTS / "guest" / self.boot.name

    def names(self) -> list[str]:
        """The programs."""
        return sorted(file.name for file in self.scripts.iterdir() if file.name != _SHARED)

    def missing(self, paths: Paths) -> str | None:
        """What was not downloaded or built."""
        if not (paths.build / self.boot.name / "key").is_file():
            return f"build/{self.boot.name} is not there; scripts/{self.boot.name}.sh gets it from Debian"
        if self is REAL and not (paths.build / "portlock").is_file():
            return "build/portlock is not there"
        return None

    def run(self, paths: Paths, pattern: str | None, scale: float) -> int:
        """Run these tests alone. Returns the exit status, 0 only if something ran and nothing failed."""
        paths.check()
        chosen = [name for name in self.names() if not pattern or pattern in name]
        if not chosen:
            raise HarnessError(f"No program is named like {pattern!r}: there are {', '.join(self.names())}.")
        progress = report.Progress()
        try:
            guest = guests.build(paths, progress.step, with_tests=False)
            results = [self.outcomes(paths, guest, chosen, scale, progress.finished)]
        finally:
            progress.end()
        return report.conclude(results, self._seen(paths))

    def outcomes(self, paths: Paths, guest: guests.Guest, chosen: list[str], scale: float, finished: Finished) -> BootResult:
        """Run the tests of the chosen programs in a boot of their own."""
        suite = self.boot.name
        self._results(paths).unlink(missing_ok=True)
        if reason := self.missing(paths):
            skips = [Outcome(f"{suite}/{name}", [ktap.Case("(all)", ktap.SKIP, reason)]) for name in chosen]
            return BootResult(self.boot, skips)
        expected = expectations(suite)
        job = Job(self.boot, [Program(suite, name, [], [], expected.get(name, Expectation())) for name in chosen])
        session = Session(paths, replace(guest, archive=guest.archive + self.archive(paths), modules=[]), job, scale)
        return session.run(finished)

    def _results(self, paths: Paths) -> Path:
        return paths.log / f"test-{self.boot.name}.results.log"

    def _seen(self, paths: Paths) -> str:
        """What the scripts tell of refusals and times."""
        printed = self._results(paths).read_text("utf-8", "replace") if self._results(paths).is_file() else ""
        return report.seen(printed)


def archive(paths: Paths) -> bytes:
    """The programs with their libraries, their scripts, and what puts them into a sandbox, as an archive to append."""
    made = Archive()
    folder = paths.build / PROGRAMS.boot.name
    # In place of this machine's libraries, if the guest has some.
    for part, target in (("bin", "bin"), ("lib", "lib/x86_64-linux-gnu")):
        for file in sorted((folder / part).iterdir()):
            made.file(f"{target}/{file.name}", file)
    made.file(f"lib64/{_LOADER}", folder / "lib" / _LOADER)
    made.file("bin/held", guests.compile_program(paths, TESTS / "guest/held.c"))
    _add_scripts(made, PROGRAMS.boot.name)
    return made.finish()


def _archive_of_root(paths: Paths) -> bytes:
    """A root of Debian's packages, laid over the guest's own, with the command and the scripts."""
    made = Archive()
    made.tree(".", paths.build / REAL.boot.name / "root")
    made.symlink(f"lib64/{_LOADER}", f"/usr/lib/x86_64-linux-gnu/{_LOADER}")
    made.file("bin/portlock", paths.build / "portlock")
    # No script of a package has made their users.
    made.data("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n"
              b"nobody:x:65534:65534:nobody:/tmp/home:/bin/sh\n")
    for suite in (PROGRAMS.boot.name, "command", REAL.boot.name):
        _add_scripts(made, suite)
    return made.finish()


def _add_scripts(made: Archive, suite: str) -> None:
    for file in sorted((TESTS / "guest" / suite).iterdir()):
        made.file(f"selftests/{suite}/{file.name}", file)


PROGRAMS = Suite(Boot("programs", "landlock,portlock", "both"), archive)
#: The command with the programs of many packages, unpacked in memory.
REAL = Suite(Boot("real", "landlock,portlock", "both", memory="3G"), _archive_of_root)
