# SPDX-License-Identifier: GPL-2.0
"""`run.py mutate`: puts one fault at a time into the patched tree, and checks that a test fails."""

import os
import subprocess
import time
import tomllib
from dataclasses import dataclass

from .base import REPOSITORY, TESTS, HarnessError, Paths

LIST = TESTS / "mutations.toml"


@dataclass(frozen=True)
class Mutation:
    """A fault, and the tests that should notice it."""

    name: str
    file: str
    old: str
    new: str
    #: `kunit`, or a pattern of tests.
    by: str

    def apply(self, text: str) -> str:
        """The text with the fault."""
        if text.count(self.old) != 1:
            raise HarnessError(f"tests/mutations.toml: the text that {self.name} replaces must occur once in {self.file}, and "
                               f"occurs {text.count(self.old)} times: adapt the entry to the code.")
        return text.replace(self.old, self.new)


def mutations() -> list[Mutation]:
    """All faults of the list."""
    return [Mutation(name, **entry) for name, entry in tomllib.loads(LIST.read_text("utf-8")).items()]


def run(paths: Paths, name: str | None, first: str | None) -> int:
    """Tries the faults whose name has `name` in it, from the one called `first` on; None: all of them.

    Returns the exit status: 0 only if every fault was noticed.
    """
    paths.check()
    chosen = mutations()
    if first:
        names = [mutation.name for mutation in chosen]
        if first not in names:
            raise HarnessError(f"No fault is called {first!r}: see tests/mutations.toml.")
        chosen = chosen[names.index(first):]
    chosen = [mutation for mutation in chosen if not name or name in mutation.name]
    if not chosen:
        raise HarnessError(f"No fault has {name!r} in its name: see tests/mutations.toml.")
    # Check all entries first, so that an entry that is out of date is found at once and not after an hour.
    for mutation in chosen:
        mutation.apply((paths.linux / mutation.file).read_text("utf-8"))
    survivors = []
    try:
        for number, mutation in enumerate(chosen, 1):
            began = time.monotonic()
            caught, how = _try(paths, mutation)
            print(f"{'caught' if caught else 'MISSED'}  {number:>2}/{len(chosen)} {mutation.name:<36} {mutation.by:<32} "
                  f"{time.monotonic() - began:4.0f} s  {how}", flush=True)
            if not caught:
                survivors.append(mutation.name)
    finally:
        # Build the kernel and the unit tests without faults again.
        _build("kunit")
        _build("kernel")
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} faults caught{': missed ' + ', '.join(survivors) if survivors else ''}")
    return 1 if survivors else 0


def _try(paths: Paths, mutation: Mutation) -> tuple[bool, str]:
    """Whether a test notices the fault, and which."""
    file = paths.linux / mutation.file
    original = file.read_bytes()
    target = "kunit" if mutation.by == "kunit" else "kernel"
    try:
        file.write_text(mutation.apply(original.decode()), "utf-8")
        # A fault that does not build must not count as caught.
        if _build(target).returncode:
            return False, f"it does not build: build/log/{target}.log"
        done = _test(mutation.by)
    finally:
        file.write_bytes(original)
    failures = [line for line in done.stdout.splitlines() if line.startswith("✗") or "[FAILED]" in line or "[CRASHED]" in line]
    return done.returncode == 1 and bool(failures), failures[-1].strip()[:90] if failures else f"status {done.returncode}"


def _build(target: str) -> subprocess.CompletedProcess:
    script = {"kunit": ["scripts/kunit.sh", "build"], "kernel": ["scripts/build.sh"]}[target]
    return _run(script)


def _test(by: str) -> subprocess.CompletedProcess:
    if by == "kunit":
        return _run(["scripts/kunit.sh"])
    boot, _, pattern = by.partition(":")
    return _run(["python3", "tests/run.py", "test", "--boots", boot, "--name", pattern])


def _run(command: list[str]) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "NAME"}
    return subprocess.run(command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
