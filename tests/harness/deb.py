# SPDX-License-Identifier: GPL-2.0
"""`run.py deb`: installs the packages of `make deb` in a Debian that starts from its own disk, and restarts it.

The disk has a Debian of packages alone, from scripts/root.sh. Its own kernel starts first. tests/guest/deb/run does the rest."""

import re
import shutil
import subprocess
import time
from pathlib import Path

from . import kernel_log, ktap, report
from .base import TESTS, HarnessError, Paths, find_tool, run_logged
from .catalogue import Boot
from .session import BootResult, Outcome
from .vm import Installed, Machine

#: How the disk and the network card are attached, and how many tests are reported. The first machine installs the packages.
_MACHINES = {
    "virtio": (["-device", "virtio-blk-pci,drive=root", "-device", "virtio-net-pci,netdev=lan"], [5, 21]),
    "ahci": (["-device", "ide-hd,drive=root", "-device", "e1000e,netdev=lan"], [5]),
    "nvme": (["-device", "nvme,drive=root,serial=root", "-device", "e1000,netdev=lan"], [5]),
}

#: Seconds in which there has to be a result. The slowest is the installation, which makes an initial file system.
_LIMIT = 1800

_PLAN = re.compile(r"^1\.\.(\d+)$")


def run(paths: Paths, scale: float) -> int:
    """Install, restart, look around. Returns the exit status, 0 only if every test ran and passed."""
    folder = paths.build / "deb"
    packages = sorted(folder.glob("*.deb"))
    if not any(package.name.startswith("linux-image-") for package in packages):
        raise HarnessError("There is no package of the kernel: run make deb.")
    if not any(package.name.startswith("portlock_") for package in packages):
        raise HarnessError("There is no package of the command: run make deb.")
    if not (folder / "root.key").is_file():
        raise HarnessError("There is no disk with Debian: run scripts/root.sh, or make deb-test.")
    paths.log.mkdir(parents=True, exist_ok=True)
    disk = folder / "disk.qcow2"
    run_logged([find_tool("qemu-img", package="qemu-utils"), "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "root.img", str(disk)],
               paths.log / "deb-test.log", "The disk could not be made.")
    results = []
    for name in _MACHINES:
        result = _boot(paths, name, disk, packages, scale)
        results.append(result)
        for outcome in result.outcomes:
            print(f"{name:<8} {outcome.name:<28} {outcome.count(ktap.PASS):4} passed {outcome.count(ktap.FAIL):3} failed", flush=True)
        print(f"{name:<8} {report.clock(result.seconds)}", flush=True)
        if name == "virtio" and any(outcome.count(ktap.FAIL) for outcome in result.outcomes[:1]):
            break
    disk.unlink()
    return report.conclude(results)


def _payload(folder: Path, machine: str, packages: list[Path]) -> Path:
    """The tests and a repository of the packages, as an archive that is a disk."""
    root = folder / "payload"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(TESTS / "guest/deb", root)
    (root / "repository").mkdir()
    for package in packages:
        shutil.copy(package, root / "repository")
    scan = subprocess.run(["dpkg-scanpackages", "--multiversion", "."], cwd=root / "repository", capture_output=True, check=True)
    (root / "repository/Packages").write_bytes(scan.stdout)
    image = next(package.name for package in packages if package.name.startswith("linux-image-"))
    (root / "release").write_text(image.removeprefix("linux-image-").split("_")[0] + "\n")
    (root / "machine").write_text(machine + "\n")
    payload = folder / "payload.tar"
    subprocess.run(["tar", "-cf", payload, "--owner=0", "--group=0", "-C", root, "."], check=True)
    shutil.rmtree(root)
    return payload


def _boot(paths: Paths, name: str, disk: Path, packages: list[Path], scale: float) -> BootResult:
    """One machine, until it is off."""
    devices, counts = _MACHINES[name]
    machine = Installed(paths, f"deb-{name}", disk, _payload(disk.parent, name, packages), devices)
    began = last = time.monotonic()
    lines: list[str] = []

    def watch(running: Machine) -> str | None:
        nonlocal last
        new = running.ports["results"].lines()
        for line in report.seen("\n".join(new)).splitlines():
            print(f"{name:<8} {line}", flush=True)
        lines.extend(new)
        if new:
            last = time.monotonic()
        elif time.monotonic() - last > _LIMIT * max(1, scale):
            return f"there was no result for {_LIMIT * max(1, scale):.0f} s"
        return None

    try:
        why = machine.run(watch)
        lines += machine.ports["results"].lines(last=True)
        log = machine.console.text()
    finally:
        machine.close()
    result = BootResult(Boot(name, "", "debian"), _judge(lines, counts, why, log.splitlines()[-20:]), time.monotonic() - began)
    if cases := kernel_log.cases(log):
        result.outcomes.append(Outcome("kernel log", cases))
    return result


def _judge(lines: list[str], counts: list[int], why: str | None, tail: list[str]) -> list[Outcome]:
    """What was reported in each start, and whether it is all that has to be."""
    starts: list[list[str]] = [[]]
    for line in lines:
        starts[-1].append(line)
        if _PLAN.match(line):
            starts.append([])
    outcomes = []
    for number, count in enumerate(counts):
        parser = ktap.Parser()
        for line in starts[number] if number < len(starts) else []:
            parser.feed(line)
        outcome = Outcome("before the installation" if len(counts) > 1 and not number else "with Portlock's kernel", parser.cases)
        if parser.plan != count or parser.outer_results != count:
            outcome.cases.append(ktap.Case("(count)", ktap.FAIL, f"{parser.outer_results} of {count} tests reported: "
                                           f"{why or 'the machine went off'}", tail))
        outcomes.append(outcome)
    return outcomes
