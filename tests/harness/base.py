# SPDX-License-Identifier: GPL-2.0
"""What all parts of the harness use: paths, errors, and running build steps."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
REPOSITORY = TESTS.parent


class HarnessError(Exception):
    """Something is missing or wrong. The text says what, and how to fix it."""


@dataclass(frozen=True)
class Paths:
    """The paths that a run reads from and writes to, all absolute."""

    kernel: Path
    linux: Path
    build: Path

    @property
    def log(self) -> Path:
        """Full logs: one file for each boot and kind of log."""
        return self.build / "log"

    @property
    def guest(self) -> Path:
        """Programs and images for the guest."""
        return self.build / "guest"

    @property
    def kernel_objects(self) -> Path | None:
        """The folder that the kernel was built in, if modules can be built against it."""
        folder = self.kernel.parents[3] if len(self.kernel.parents) > 3 else self.kernel.parent
        return folder if (folder / "Module.symvers").is_file() else None

    def toolchain(self) -> dict[str, str]:
        """The tools that `make setup` chose. Empty if it never ran here."""
        file = self.build / "toolchain.mk"
        if not file.is_file():
            return {}
        pairs = (line.split("=", 1) for line in file.read_text().splitlines() if "=" in line and not line.startswith("#"))
        return {name.strip(): value.strip() for name, value in pairs}

    def check(self) -> None:
        """Raise an error if `make kernel` has not run."""
        if not (self.linux / "Makefile").is_file():
            raise HarnessError(f"No kernel tree at {self.linux}: run `make apply` first, or name one with --linux.")
        if not self.kernel.is_file():
            raise HarnessError(f"No kernel image at {self.kernel}: run `make kernel` first, or name one with --kernel.")
        self.log.mkdir(parents=True, exist_ok=True)
        self.guest.mkdir(parents=True, exist_ok=True)


def find_tool(*names: str, package: str) -> str:
    """The first of `names` that is installed. If none is, raise an error that says what to install."""
    for name in names:
        if shutil.which(name):
            return name
    raise HarnessError(f"{names[0]} is missing: install {package}, or run `make setup`.")


def run_logged(command: list[str], log: Path, failure: str, hints: dict[str, str] | None = None,
               extra: dict[str, str] | None = None) -> str:
    """Run a build step and append its output to `log`. `extra` is added to the environment.

    If the step fails, raise an error with the last lines of the output. `hints` maps a text to the hint that is added when
    the output contains the text."""
    environment = os.environ | (extra or {})
    # This make must not use the job server and the flags of the caller's make.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "CFLAGS", "LDFLAGS"):
        environment.pop(name, None)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", env=environment, check=False,
    )
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(command)}\n{done.stdout}\n")
    if done.returncode:
        hint = next((text for sign, text in (hints or {}).items() if sign in done.stdout), "")
        last = "\n".join("  " + line for line in done.stdout.splitlines()[-15:])
        raise HarnessError(f"{failure}{' ' + hint if hint else ''}\n{last}\n  (all of it: {log})")
    return done.stdout
