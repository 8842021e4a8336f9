# SPDX-License-Identifier: GPL-2.0
"""`run.py shell`: a guest to type in."""

import sys

from . import guest as guests
from . import report, vm
from .base import HarnessError, Paths

_GREETING = """
This is a guest with lsm={lsm}. `exit` ends it; if it hangs, press Ctrl-A and then x.
Try:  LL_FS_RO=/ LL_FS_RW=/ LL_TCP_BIND=8080 sandboxer probe tcp-bind 8081

"""


def run(paths: Paths, lsm: str) -> int:
    """Boots and hands the terminal over."""
    paths.check()
    if not sys.stdin.isatty():
        raise HarnessError("A shell needs a terminal to be typed in.")
    progress = report.Progress()
    try:
        guest = guests.build(paths, progress.step, with_tests=False)
    finally:
        progress.end()
    return vm.interactive(paths, lsm, guest.archive + guests.plan("shell", {}, greeting=_GREETING.format(lsm=lsm)))
