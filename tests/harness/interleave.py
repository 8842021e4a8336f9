# SPDX-License-Identifier: GPL-2.0
"""Runs what keeps verdicts (security/portlock/cached.rs) as a program, in all orders of a few threads (tests/interleave), as it is
and with faults in it. Each fault must be noticed, or the program could not fail."""

import shutil
import subprocess
import time
from pathlib import Path

from . import ktap
from .base import REPOSITORY, TESTS, HarnessError, Paths, find_tool, run_logged
from .catalogue import Boot
from .session import BootResult, Outcome

BOOT = Boot("orders", "none", "orders")

_FILE = "security/portlock/cached.rs"
_MODELS = "tests/interleave/models.rs"
_LIMIT = 300

_KEY = "        for (word, value) in core::iter::zip(&self.key, key) { word.store(*value, Relaxed); }\n"

#: Faults by name: a text that occurs once, and what replaces it.
FAULTS = {
    "a reader does not look at the counter again": ("\n            && self.count.load(Relaxed) == count", ""),
    "a reader lets an odd counter pass": ("count & 1 == 0\n            && ", ""),
    "a reader does not acquire the counter": ("self.count.load(Acquire)", "self.count.load(Relaxed)"),
    "a reader wants an odd counter": ("count & 1 == 0", "count & 1 == 1"),
    "a reader does not acquire the key": ("self.key[3].load(Acquire)", "self.key[3].load(Relaxed)"),
    "a reader does not acquire the rights": ("self.rights.load(Acquire)", "self.rights.load(Relaxed)"),
    "a reader is content with one right of two": ("& rights == rights", "& rights != 0"),
    "a reader does not compare the last word": ("\n            && self.key[3].load(Acquire) == key[3]", ""),
    "a writer lets an odd counter pass": ("count & 1 != 0\n            || self", "self"),
    "a writer goes on without the counter": (".is_err()", ".is_err_and(|_| false)"),
    "the exchange is relaxed": ("count.wrapping_add(1), Full", "count.wrapping_add(1), Relaxed"),
    "the exchange only acquires": ("count.wrapping_add(1), Full", "count.wrapping_add(1), Acquire"),
    "the exchange only releases": ("count.wrapping_add(1), Full", "count.wrapping_add(1), Release"),
    "the key comes before the counter": ("        // The order `Full` keeps", f"{_KEY}        // The order `Full` keeps"),
    "the rights come after the counter": ("count.wrapping_add(2), Release);\n",
                                          "count.wrapping_add(2), Release);\n        self.rights.store(rights, Relaxed);\n"),
    "rights stay with a new key": ("self.rights.store(rights, Relaxed)",
                                   "self.rights.store(self.rights.load(Relaxed) | rights, Relaxed)"),
    "other rights of a key are forgotten": ("self.rights.load(Relaxed) | rights, Relaxed", "rights, Relaxed"),
    "the counter is not released": ("count.wrapping_add(2), Release", "count.wrapping_add(2), Relaxed"),
    "the counter goes back": ("count.wrapping_add(2), Release", "count, Release"),
}


def run(paths: Paths) -> BootResult:
    """One case for each model and one for each fault."""
    began = time.monotonic()
    folder = paths.build / "interleave"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / _MODELS).parent.mkdir(parents=True)
    (folder / _FILE).parent.mkdir(parents=True)
    shutil.copy(TESTS / "interleave/models.rs", folder / _MODELS)
    compiler = [paths.toolchain().get("RUSTC") or find_tool("rustc", package="rustc"), "--edition", "2021", "--out-dir", str(folder)]
    run_logged([*compiler, "-O", "--crate-type", "rlib", str(TESTS / "interleave/kernel.rs")], paths.log / "interleave.log",
               "tests/interleave/kernel.rs does not build.")

    def models(text: str) -> list[ktap.Case]:
        """What the models say of this text."""
        (folder / _FILE).write_text(text, "utf-8")
        run_logged([*compiler, "-A", "warnings", "--extern", f"kernel={folder}/libkernel.rlib", str(folder / _MODELS)], paths.log / "interleave.log",
                   f"{_MODELS} does not build.")
        return _results(folder / "models")

    text = (REPOSITORY / _FILE).read_text("utf-8")
    outcome = Outcome("cached verdicts", models(text))
    for name, (old, new) in FAULTS.items():
        case = ktap.Case(f"noticed: {name}", ktap.PASS)
        if text.count(old) != 1:
            case = ktap.Case(case.name, ktap.FAIL, f"its text must occur once in {_FILE}: adapt tests/harness/interleave.py")
        elif not any(found.verdict == ktap.FAIL for found in models(text.replace(old, new))):
            case = ktap.Case(case.name, ktap.FAIL, "no model fails")
        outcome.cases.append(case)
    outcome.seconds = time.monotonic() - began
    return BootResult(BOOT, [outcome], outcome.seconds)


def _results(program: Path) -> list[ktap.Case]:
    """What the models say: all of them, or those up to the first that fails."""
    done = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_LIMIT)
    parser = ktap.Parser()
    for line in done.stdout.splitlines():
        parser.feed(line)
    if not parser.cases or parser.cases[-1].verdict != ktap.FAIL and parser.outer_results != parser.plan:
        raise HarnessError(f"{_MODELS} did not end: {done.stderr.strip()[-300:]}")
    return parser.cases
