# SPDX-License-Identifier: GPL-2.0
"""Runs a guest in QEMU, without KVM: the machine, its channels, its end."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .base import HarnessError, Paths, find_tool

QEMU = "qemu-system-x86_64"

#: Seconds without a word after which a guest that tells its progress is stuck.
SILENCE = 600

#: Panics end the guest (with QEMU's -no-reboot), and warnings reach the console at once.
_COMMAND_LINE = "console=ttyS0 rdinit=/init panic=-1 oops=panic loglevel=5 log_buf_len=8M random.trust_cpu=on"

# Set to end the run early: every guest is then ended.
stopping = threading.Event()


def command(paths: Paths, lsm: str, initramfs: Path, processors: int = 4, extra: str = "", counted: bool = True,
            memory: str = "1G") -> list[str]:
    """QEMU's command without its channels.

    With `counted`, the guest's clock advances with the instructions that it runs, and jumps when the guest would wait. Other
    load on this machine then cannot make a test late."""
    find_tool(QEMU, package="qemu-system-x86")
    # Not "pc": its ACPI tables compute the routes of interrupts, which takes longer than a kernel with checkers waits.
    return [
        QEMU, "-accel", "tcg,thread=single", *(("-icount", "shift=0,sleep=off") if counted else ()),
        "-machine", "q35", "-cpu", "max", "-smp", str(processors), "-m", memory,
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-net", "none",
        "-device", "virtio-rng-pci",
        "-kernel", str(paths.kernel), "-initrd", str(initramfs),
        "-append", f"{_COMMAND_LINE} lsm={lsm}{' ' + extra if extra else ''}",
    ]


class Channel:
    """A file that QEMU writes the output of a port to. It is read line by line while it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(b"")
        self._file = path.open("rb")
        self._rest = b""

    def lines(self, last: bool = False) -> list[str]:
        """The lines that are new since the last call. With `last`, also an unfinished line."""
        self._rest += self._file.read()
        *whole, self._rest = self._rest.split(b"\n")
        if last and self._rest:
            whole.append(self._rest)
            self._rest = b""
        return [line.decode("utf-8", "replace").rstrip("\r") for line in whole]

    def text(self) -> str:
        """The whole output."""
        return self.path.read_text("utf-8", "replace")

    def close(self) -> None:
        """Stop reading. The file stays."""
        self._file.close()


class Machine:
    """A guest that executes its plan. Its channels are files in the log folder."""

    PORTS = ("results", "status", "dmesg")

    def __init__(self, paths: Paths, name: str, lsm: str, initramfs: bytes, processors: int = 4, counted: bool = True,
                 extra: str = "", memory: str = "1G") -> None:
        self._image = paths.guest / f"{name}.cpio"
        self._image.write_bytes(initramfs)
        self._prepare(paths, name, command(paths, lsm, self._image, processors, extra, counted, memory))

    def _prepare(self, paths: Paths, name: str, arguments: list[str]) -> None:
        self._paths = paths
        self.console = Channel(paths.log / f"{name}.console.log")
        self.ports = {port: Channel(paths.log / f"{name}.{port}.log") for port in self.PORTS}
        self._arguments = [*arguments, *self._channels(name)]
        self._messages = paths.log / f"{name}.qemu.log"
        self._messages.write_text(" ".join(self._arguments) + "\n")

    def _channels(self, name: str) -> list[str]:
        # Relative names: QEMU runs in the log folder, and a comma in a path would end the option.
        arguments = ["-chardev", f"file,id=console,path={name}.console.log", "-serial", "chardev:console",
                     "-device", "virtio-serial-pci,max_ports=8"]
        for number, port in enumerate(self.PORTS, 1):
            arguments += ["-chardev", f"file,id={port},path={name}.{port}.log",
                          "-device", f"virtserialport,nr={number},chardev={port},name={port}"]
        return arguments

    def run(self, watch: Callable[["Machine"], str | None]) -> str | None:
        """Boot, and call `watch` several times a second until the guest has ended. If `watch` returns a reason, end the guest
        by force and return this reason."""
        why = None
        with self._messages.open("a", encoding="utf-8") as messages:
            process = subprocess.Popen(
                self._arguments, cwd=self._paths.log, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages,
                # Ctrl-C in the terminal must reach only the harness, which then ends its guests.
                start_new_session=True,
            )
            try:
                while process.poll() is None:
                    time.sleep(0.1)
                    why = "the run was interrupted" if stopping.is_set() else watch(self)
                    if why:
                        break
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
        self._image.unlink(missing_ok=True)
        if process.returncode > 0:
            said = self._messages.read_text().strip().splitlines()[-1]
            raise HarnessError(f"QEMU ended with status {process.returncode}: {said}")
        if not why:
            why = watch(self)
        return why

    def close(self) -> None:
        """Close the files."""
        for channel in (self.console, *self.ports.values()):
            channel.close()


class Installed(Machine):
    """A guest that starts from the disk on which Debian is installed, and may restart. Its second disk is a `payload`, and only
    its results are read."""

    PORTS = ("results",)

    def __init__(self, paths: Paths, name: str, disk: Path, payload: Path, devices: list[str]) -> None:
        find_tool(QEMU, package="qemu-system-x86")
        self._image = payload
        self._prepare(paths, name, [
            QEMU, "-accel", "tcg,thread=single", "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "1G",
            "-nodefaults", "-no-user-config", "-display", "none", "-device", "virtio-rng-pci",
            # What starts the kernel that the disk's own grub.cfg names.
            "-kernel", str(paths.build / "deb/grub"),
            "-drive", f"file={disk},if=none,id=root,format=qcow2,cache=unsafe",
            "-drive", f"file={payload},if=none,id=payload,format=raw,readonly=on",
            "-device", "virtio-blk-pci,drive=payload,serial=payload",
            # The guest gets an address, and reaches nothing outside.
            "-netdev", "user,id=lan,restrict=on", *devices,
        ])


def interactive(paths: Paths, lsm: str, initramfs: bytes) -> int:
    """Run a guest whose console is this terminal. Returns when it ends."""
    image = paths.guest / "shell.cpio"
    image.write_bytes(initramfs)
    arguments = [*command(paths, lsm, image, extra=f"TERM={os.environ.get('TERM', 'linux')}", counted=False),
                 "-chardev", "stdio,id=console,mux=on,signal=off", "-serial", "chardev:console", "-mon", "console"]
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return subprocess.run(arguments, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, previous)
        image.unlink(missing_ok=True)
