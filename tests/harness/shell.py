# SPDX-License-Identifier: GPL-2.0
"""`run.py shell`: a shell in a guest."""

import sys

from . import guest as guests
from . import report, vm
from .base import HarnessError, Paths
from .cpio import Archive

_GREETING = """
This is a guest with lsm={lsm}. `exit` ends it. If it hangs, press Ctrl-A and then x.
Try:  LL_FS_RO=/ LL_FS_RW=/ LL_TCP_BIND=8080 sandboxer probe tcp-bind 8081
{command}
"""

#: For those who have the command.
_COMMAND = """      httpd -p 8080 -h /etc; portlock watch --connect tcp:8081 -- wget -O - http://127.0.0.1:8080/group
"""


def run(paths: Paths, lsm: str) -> int:
    """Boots a guest and connects its console to the terminal."""
    paths.check()
    if not sys.stdin.isatty():
        raise HarnessError("make shell needs a terminal.")
    progress = report.Progress()
    try:
        guest = guests.build(paths, progress.step, with_tests=False)
    finally:
        progress.end()
    archive, program = Archive(), paths.build / "portlock"
    if program.is_file():
        archive.file("bin/portlock", program)
    greeting = _GREETING.format(lsm=lsm, command=_COMMAND if program.is_file() else "")
    return vm.interactive(paths, lsm, guest.archive + archive.finish() + guests.plan("shell", {}, greeting=greeting))
