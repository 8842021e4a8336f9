#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boots Portlock's kernel in QEMU, without KVM, and looks at what it does.

  test    runs upstream's Landlock selftests and Portlock's own under every setting of the boot switch
  scene   shows a process that can only use the ports it named, in ten seconds of reading
  programs runs real servers and clients under rulesets that grant only what they need
  real    uses the command with real programs from Debian, each under its shortest words
  command uses the command portlock, and runs the tests of its workspace
  deb     installs the Debian packages of make deb in a Debian, and restarts it
  fuzz    compares C Landlock, Portlock and the specification, one random system call after the other
  bench   counts what calls cost without Landlock, under C Landlock and under Portlock, or under other mechanisms
  mutate  breaks the code on purpose, and sees that some test notices
  shell   gives a guest to type in, with Portlock on

Nothing is written outside of the build folder, and the guest sees nothing of this machine.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import bench, catalogue, command, deb, fuzz, mutate, peers, programs, scene, shell, suite  # noqa: E402
from harness.base import REPOSITORY, HarnessError, Paths  # noqa: E402


def _arguments() -> argparse.Namespace:
    places = argparse.ArgumentParser(add_help=False)
    group = places.add_argument_group("places")
    group.add_argument("--build", type=Path, default=REPOSITORY / "build", metavar="FOLDER",
                       help="everything that is generated goes here (default: build)")
    group.add_argument("--kernel", type=Path, metavar="IMAGE",
                       help="the kernel to boot (default: BUILD/kernel/arch/x86/boot/bzImage)")
    group.add_argument("--linux", type=Path, metavar="TREE",
                       help="the kernel tree whose selftests and samples are used; only read (default: BUILD/linux)")

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="test | scene | programs | real | command | deb | fuzz | bench | mutate | shell")

    test = commands.add_parser(
        "test", parents=[places], help="run the selftests",
        description="Runs the selftests. The last line is `N passed, N failed, N skipped`; the exit status is zero only if "
        "something ran, nothing failed, every program passed as many tests as tests/expected says, and the kernel's log is clean. "
        "In the environment, PORTLOCK_ROUNDS is how many rounds each race runs (many take --patience as well), and "
        "PORTLOCK_OPERATIONS how many operations the storm has.")
    test.add_argument("--name", metavar="PATTERN",
                      help="run a part: net_test, portlock:net_test, fs_test.layout1.*, landlock/*; a shell pattern, or if none is "
                      "named like it a regular expression")
    test.add_argument("--boots", metavar="NAME,...", type=lambda text: text.split(","),
                      help="only these boots: " + "; ".join(f"{boot.name} (lsm={boot.lsm})" for boot in catalogue.BOOTS))
    test.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), metavar="N",
                      help="boots at a time (default: %(default)s)")
    test.add_argument("--patience", type=float, default=1, metavar="FACTOR",
                      help="lengthen every time limit by this factor, for a slow machine or a kernel with checkers")
    test.add_argument("--kunit", action="store_true",
                      help="run the unit tests that the kernel was built with too, in a boot of their own")
    _fuzz_arguments(test, "of the fuzz round that belongs to a whole run ")
    test.add_argument("--list", action="store_true", help="name the tests instead of running them")

    show = commands.add_parser(
        "scene", parents=[places], help="show a process that can only use the ports it named",
        description="Boots once and shows, beside what should be seen, what is seen. The exit status is zero only if they agree.")
    show.add_argument("--compare", action="store_true", help="show C Landlock (lsm=landlock) on the same kernel beside it")
    show.add_argument("--boots", metavar="NAME,...", type=lambda text: text.split(","), help=argparse.SUPPRESS)

    real = commands.add_parser(
        "programs", parents=[places], help="run real servers and clients under rulesets that grant only what they need",
        description="Runs unmodified programs from Debian under rulesets that handle every right: with the least that each needs, "
        "with each right of each rule taken away, and with and without the sandbox to compare the time. `make programs` gets them.")
    use = commands.add_parser(
        "real", parents=[places], help="use the command with real programs from Debian",
        description="Runs unmodified programs from Debian with the command: each does its job under its shortest words; without one "
        "of them watch tells why not; learn writes a policy; under that, nothing is refused. `make test-real` gets them.")
    for with_names in (real, use):
        with_names.add_argument("--name", metavar="TEXT", help="only programs whose name has this in it")
        with_names.add_argument("--patience", type=float, default=1, metavar="FACTOR", help="lengthen every time limit by this factor")

    used = commands.add_parser(
        "command", parents=[places], help="use the command portlock, and run the tests of its workspace",
        description="Runs cargo test on tools/portlock, and the command in a guest, as somebody without privileges. `make portlock` builds it.")
    used.add_argument("--patience", type=float, default=1, metavar="FACTOR", help="lengthen every time limit by this factor")

    packages = commands.add_parser(
        "deb", parents=[places], help="install the Debian packages in a Debian, and restart it",
        description="Starts a Debian from its own disk under its own kernel, installs the packages of make deb in it with apt, and "
        "restarts it. Then Portlock is on, and the programs of this Debian work under it. Starts it twice more with disks and "
        "network cards of other kinds. `make deb` makes the packages, `make deb-test` also the disk.")
    packages.add_argument("--patience", type=float, default=1, metavar="FACTOR", help="lengthen every time limit by this factor")

    random = commands.add_parser(
        "fuzz", parents=[places], help="compare C Landlock, Portlock and the specification",
        description="Runs the same random system calls under C Landlock and under Portlock, compares each result, and prints what "
        "was covered. C Landlock cannot run half of them, which are about extended rulesets: for these the specification predicts what "
        "is right. A difference is shrunk to a short program and kept in BUILD/fuzz. The exit status is zero only if there was none.")
    _fuzz_arguments(random, "")
    random.add_argument("--repro", type=Path, metavar="FILE", help="run this program instead, and show every result")

    counting = commands.add_parser(
        "bench", parents=[places], help="count what calls cost",
        description="Boots one image three times and counts instructions and bytes. Leaves a table, BUILD/bench/bench.json and "
        "three plots. The exit status is zero only if every goal is reached. What costs more than under C Landlock is named.")
    counting.add_argument("--rules", metavar="N,...", type=lambda text: text.split(","), default=[],
                          help="only these numbers of rules, for example 1,16,256; leaves no files")
    counting.add_argument("--peers", action="store_true",
                          help="count other mechanisms beside Portlock instead, on a kernel that has them (tests/config/peers.config); "
                          "leaves a table, BUILD/bench/peers.json and a plot; the exit status is zero only if each one enforces")

    breaking = commands.add_parser(
        "mutate", parents=[places], help="break the code on purpose",
        description="Puts each fault of tests/mutations.toml into the patched tree, builds, and runs the test that should notice. "
        "The exit status is zero only if all are noticed.")
    breaking.add_argument("--name", metavar="TEXT", help="only faults whose name has this in it")
    breaking.add_argument("--from", dest="first", metavar="NAME", help="start at this fault, where a run was cut off")

    console = commands.add_parser("shell", parents=[places], help="a guest to type in")
    console.add_argument("--lsm", default="landlock,portlock", help="the kernel's lsm= (default: %(default)s)")
    return parser.parse_args()


def _fuzz_arguments(command: argparse.ArgumentParser, which: str) -> None:
    command.add_argument("--ops", type=int, default=400_000, metavar="N",
                         help=f"operations {which}in all, half of them with extended rulesets (default: %(default)s)")
    command.add_argument("--seed", type=int, default=1, metavar="N", help=f"seed {which}(default: %(default)s)")


def _interrupted(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(number)


def main() -> int:
    """The exit status is 0 if all is well, 1 if the kernel is not as it should be, 2 if the set-up is not."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _interrupted)
    build = arguments.build.resolve()
    paths = Paths((arguments.kernel or build / "kernel/arch/x86/boot/bzImage").resolve(),
                  (arguments.linux or build / "linux").resolve(), build)
    try:
        boots = getattr(arguments, "boots", None)
        unknown = set(boots or ()) - {boot.name for boot in catalogue.BOOTS}
        if unknown:
            raise HarnessError(f"There is no boot named {', '.join(sorted(unknown))}: see --help.")
        if arguments.command == "test":
            choice = suite.Choice(arguments.name or None, boots, max(1, arguments.jobs), arguments.patience, max(1, arguments.ops),
                                  arguments.seed, arguments.kunit)
            return suite.run(paths, choice, arguments.list)
        if arguments.command == "scene":
            return scene.run(paths, boots or (["portlock", "fallback"] if arguments.compare else ["portlock"]))
        if arguments.command == "programs":
            return programs.PROGRAMS.run(paths, arguments.name or None, arguments.patience)
        if arguments.command == "real":
            return programs.REAL.run(paths, arguments.name or None, arguments.patience)
        if arguments.command == "command":
            return command.run(paths, arguments.patience)
        if arguments.command == "deb":
            return deb.run(paths, arguments.patience)
        if arguments.command == "mutate":
            return mutate.run(paths, arguments.name, arguments.first)
        if arguments.command == "bench":
            return peers.run(paths) if arguments.peers else bench.run(paths, arguments.rules)
        if arguments.command == "fuzz":
            return fuzz.run(paths, max(1, arguments.ops), arguments.seed, arguments.repro)
        return shell.run(paths, arguments.lsm)
    except HarnessError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrun.py: interrupted; the guests are ended", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
