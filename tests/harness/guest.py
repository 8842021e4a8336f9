# SPDX-License-Identifier: GPL-2.0
"""Builds the guest: static programs, test modules, and the initramfs with all of them."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .base import REPOSITORY, TESTS, HarnessError, Paths, find_tool, run_logged
from .cpio import Archive
from .doc import programs as programs_of_page

#: The folders under tools/testing/selftests whose programs are built and run, in this order.
SUITES = ("landlock", "portlock")

#: The page whose programs are built. doc_test runs them.
PAGE = REPOSITORY / "Documentation/userspace-api/portlock.rst"

# Folders that upstream's tests open or expect.
_FOLDERS = (
    "bin", "boot", "dev", "etc", "home", "lib", "mnt", "modules", "opt", "plan", "proc", "root", "run", "sbin", "srv", "sys",
    "usr/bin", "usr/lib", "usr/sbin", "var/log", "var/tmp", "guest", "selftests",
)

_HINTS = {
    "cannot find -lcap": "libcap's static library is missing: install libcap-dev.",
    "unable to find library -lcap": "libcap's static library is missing: install libcap-dev.",
    "sys/capability.h": "libcap's headers are missing: install libcap-dev.",
    "rsync": "headers_install needs rsync: install it.",
    "No space left on device": "The disk is full.",
}


@dataclass(frozen=True)
class Guest:
    """A guest that was built."""

    #: The initramfs without a plan.
    archive: bytes
    #: The test programs of each suite, in the order of its Makefile.
    programs: dict[str, list[str]]
    #: The folder on the host with the programs of each suite.
    installed: dict[str, Path]
    modules: list[str]


def build(paths: Paths, say: Callable[[str], None], with_tests: bool = True) -> Guest:
    """Build what is out of date, and make the initramfs. Writes only to the build folder."""
    log = _log(paths)
    log.write_text("")
    compiler = _compiler(paths)
    headers = _headers(paths, compiler, log, say)

    suites = [name for name in SUITES if with_tests and _suite_folder(paths, name).is_dir()]
    if with_tests and SUITES[0] not in suites:
        raise HarnessError(f"{paths.linux} has no tools/testing/selftests/{SUITES[0]}: it is not a kernel tree of the right version.")
    programs, installed = {}, {}
    for suite in suites:
        say(f"selftests {suite}")
        installed[suite] = _build_suite(paths, suite, headers, compiler, log)
        programs[suite] = _programs(paths, suite, log)

    say("sandboxer")
    sandboxer = compile_program(paths, paths.linux / "samples/landlock/sandboxer.c")
    probe = compile_program(paths, TESTS / "guest/probe.c")
    fuzz = compile_program(paths, TESTS / "guest/fuzz.c")
    bench = compile_program(paths, TESTS / "guest/bench.c")
    modules = _build_modules(paths, log, say) if with_tests else []

    archive = Archive()
    for folder in _FOLDERS:
        archive.folder(folder)
    archive.folder("tmp", 0o1777)
    archive.character_device("dev/console", 5, 1)
    archive.character_device("dev/null", 1, 3, 0o666)
    archive.file("bin/busybox", _busybox())
    archive.data("init", (TESTS / "guest/init").read_bytes(), 0o755)
    archive.data("guest/scene.sh", (TESTS / "guest/scene.sh").read_bytes())
    archive.data("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    archive.data("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
    archive.file("bin/sandboxer", sandboxer)
    archive.file("bin/probe", probe)
    archive.file("bin/fuzz", fuzz)
    archive.file("bin/bench", bench)
    if with_tests:
        _add_setpriv(archive)
        _add_programs_of_page(paths, archive)
    for suite, folder in installed.items():
        for file in sorted(folder.iterdir()):
            if file.is_file():
                archive.file(f"selftests/{suite}/{file.name}", file)
    for module in modules:
        archive.file(f"modules/{module.name}", module)
    return Guest(archive.finish(), programs, installed, [module.name for module in modules])


def plan(mode: str, environment: dict[str, str], programs: Iterable[str] = (), greeting: str = "", fuzz: str = "") -> bytes:
    """An archive that tells the guest what to do. It is appended to the guest's archive."""
    archive = Archive()
    archive.folder("plan")
    archive.data("plan/mode", f"{mode}\n".encode())
    archive.data("plan/env", "".join(f"{name}={value}\n" for name, value in environment.items()).encode())
    archive.data("plan/programs", "".join(f"{line}\n" for line in programs).encode())
    archive.data("plan/greeting", greeting.encode())
    archive.data("plan/fuzz", fuzz.encode())
    return archive.finish()


def _busybox() -> Path:
    found = shutil.which("busybox")
    if not found:
        raise HarnessError("busybox is missing: install busybox-static, or run `make setup`.")
    # The first page of a dynamic program contains the name of the loader.
    with open(found, "rb") as file:
        if b"/ld-linux" in file.read(4096):
            raise HarnessError(f"{found} is not static and cannot run in the guest: install busybox-static instead.")
    return Path(found)


def _add_setpriv(archive: Archive) -> None:
    """Add the host's setpriv with its libraries, if its release supports Landlock. A test uses it."""
    program = shutil.which("setpriv")
    if not program or "--landlock-access" not in _output(program, "--help"):
        return
    archive.file("usr/bin/setpriv", Path(program))
    for library in re.findall(r"(/\S+) \(0x", _output("ldd", program)):
        archive.file(library.lstrip("/"), Path(library))


def _add_programs_of_page(paths: Paths, archive: Archive) -> None:
    """Add the complete programs of the user's guide."""
    sources = paths.guest / "doc"
    sources.mkdir(exist_ok=True)
    archive.folder("guest/doc")
    for name, text in programs_of_page(PAGE.read_text("utf-8")).items():
        source = sources / name
        if not source.is_file() or source.read_text("utf-8") != text:
            source.write_text(text, "utf-8")
        flags = ("-D", "warnings") if source.suffix == ".rs" else ("-Wextra", "-Werror")
        archive.file(f"guest/doc/{source.stem}", compile_program(paths, source, *flags))


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, check=False, text=True).stdout


def _suite_folder(paths: Paths, suite: str) -> Path:
    return paths.linux / "tools/testing/selftests" / suite


def _fingerprint(folders: Iterable[Path]) -> str:
    """A value that changes when a file in one of the folders changes."""
    digest = hashlib.sha256()
    for folder in folders:
        for root, subfolders, files in os.walk(folder):
            subfolders.sort()
            for name in sorted(files):
                file = os.path.join(root, name)
                status = os.stat(file, follow_symlinks=False)
                digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _headers(paths: Paths, compiler: str, log: Path, say: Callable[[str], None]) -> Path:
    """Install the kernel's headers for user space, and return their folder."""
    installed = paths.guest / "headers"
    stamp = paths.guest / "headers.stamp"
    fingerprint = f"{compiler} " + _fingerprint(paths.linux / name for name in ("include/uapi", "arch/x86/include/uapi"))
    if stamp.is_file() and stamp.read_text() == fingerprint:
        return installed / "include"
    say("kernel headers")
    find_tool("rsync", package="rsync")
    shutil.rmtree(installed, ignore_errors=True)
    # The Makefiles of the suites do not notice new headers or another compiler: build everything again.
    for suite in SUITES:
        shutil.rmtree(paths.guest / "selftests" / suite, ignore_errors=True)
    run_logged(
        ["make", "-s", f"-j{os.cpu_count()}", "-C", str(paths.linux), f"O={paths.guest / 'headers-build'}",
         f"INSTALL_HDR_PATH={installed}", *_kernel_tools(paths), "headers_install"],
        log, "The kernel's headers cannot be installed.", _HINTS, _environment(paths),
    )
    stamp.write_text(fingerprint)
    return installed / "include"


def _kernel_tools(paths: Paths) -> list[str]:
    """The tools that built the kernel, as variables for its Makefile. With other tools it would configure itself again."""
    tools = paths.toolchain()
    names = {"LLVM": "LLVM", "RUSTC": "RUSTC", "HOSTRUSTC": "RUSTC", "RUSTDOC": "RUSTDOC", "BINDGEN": "BINDGEN",
             "RUST_LIB_SRC": "RUST_LIB_SRC"}
    return ["ARCH=x86_64", *(f"{name}={tools[source]}" for name, source in names.items() if source in tools)]


def _environment(paths: Paths) -> dict[str, str]:
    tools = paths.toolchain()
    found = {"PATH": f"{paths.build / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    if "LIBCLANG_PATH" in tools:
        found["LIBCLANG_PATH"] = tools["LIBCLANG_PATH"]
    return found


def _suite_make(paths: Paths, suite: str) -> list[str]:
    output = paths.guest / "selftests" / suite / "build"
    output.mkdir(parents=True, exist_ok=True)
    return ["make", "-s", "-C", str(_suite_folder(paths, suite)), f"OUTPUT={output}"]


def _build_suite(paths: Paths, suite: str, headers: Path, compiler: str, log: Path) -> Path:
    # With LLVM set, lib.mk turns off warnings that clang gives.
    llvm = paths.toolchain().get("LLVM")
    tools = [f"LLVM={llvm}"] if llvm else [f"CC={compiler}"]
    installed = paths.guest / "selftests" / suite / "install"
    shutil.rmtree(installed, ignore_errors=True)
    run_logged(
        [*_suite_make(paths, suite), f"-j{os.cpu_count()}", *tools, f"KHDR_INCLUDES=-isystem {headers}",
         "USERLDFLAGS=-static", f"INSTALL_PATH={installed}", "install"],
        log, f"The selftests of {suite} do not build.", _HINTS,
    )
    return installed


def _programs(paths: Paths, suite: str, log: Path) -> list[str]:
    listed = run_logged([*_suite_make(paths, suite), f"COLLECTION={suite}", "emit_tests"], log,
                        f"The selftests of {suite} cannot be listed.")
    prefix = f"{suite}:"
    return [line.removeprefix(prefix) for line in listed.splitlines() if line.startswith(prefix)]


def compile_program(paths: Paths, source: Path, *flags: str) -> Path:
    """Compile one file, in C or in Rust, to a program for the guest, if it is out of date. `build` has installed the headers."""
    program = paths.guest / source.stem
    newest = max(file.stat().st_mtime for file in (source, *source.parent.glob("*.h"), paths.guest / "headers.stamp"))
    if source.suffix == ".rs":
        # It links with the compiler of C, which need not be called cc. Names for a debugger would be most of the program.
        command = [_rust_compiler(paths), "--edition", "2021", "-O", "-C", "target-feature=+crt-static", "-C", "strip=symbols",
                   "-C", f"linker={_compiler(paths)}"]
    else:
        command = [_compiler(paths), "-static", "-O2", "-Wall", "-isystem", str(paths.guest / "headers/include")]
    if not program.is_file() or program.stat().st_mtime <= newest:
        run_logged([*command, *flags, "-o", str(program), str(source)], _log(paths), f"{source.name} does not build.", _HINTS)
    return program


def _rust_compiler(paths: Paths) -> str:
    return paths.toolchain().get("RUSTC") or find_tool("rustc", package="rustc")


def _compiler(paths: Paths) -> str:
    return paths.toolchain().get("CLANG") or find_tool("gcc", "clang", package="gcc")


def _log(paths: Paths) -> Path:
    return paths.log / "guest-build.log"


def _build_modules(paths: Paths, log: Path, say: Callable[[str], None]) -> list[Path]:
    """Build the out-of-tree test modules. They only work with the kernel that they are built against."""
    objects = paths.kernel_objects
    if not objects or not (REPOSITORY / "Kbuild").is_file():
        return []
    say("test module")
    output = paths.build / "module" / objects.name
    output.mkdir(parents=True, exist_ok=True)
    run_logged(
        ["make", "-s", "-C", str(paths.linux), f"O={objects}", *_kernel_tools(paths), f"M={REPOSITORY}",
         f"MO={output}", "modules"],
        log, "The test module does not build.", _HINTS, _environment(paths),
    )
    return sorted(output.rglob("*.ko"))
