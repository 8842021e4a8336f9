#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Draws tools/portlock/recording.svg: what a terminal shows of tests/guest/recording.sh, which runs in a guest.

It needs what `make kernel`, `make portlock` and `make programs` leave in the build folder."""

import html
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.dont_write_bytecode = True
REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from harness import guest as guests  # noqa: E402
from harness import programs  # noqa: E402
from harness.base import TESTS, HarnessError, Paths  # noqa: E402
from harness.cpio import Archive  # noqa: E402
from harness.vm import Machine  # noqa: E402

PICTURE = REPOSITORY / "tools/portlock/recording.svg"

#: The size of a character and of the edge. Fonts differ a little.
WIDTH, HEIGHT, EDGE = 8.6, 19, 16

#: Seconds until the guest must have ended.
LIMIT = 300

# What sets the look of text. The command uses no other sequences.
_LOOK = re.compile(r"\x1b\[([\d;]*)m")
_CLASSES = {"1": "b", "31": "r", "33": "y", "35": "m"}


def record(paths: Paths) -> list[str]:
    """Boot a guest and return the lines of its terminal."""
    paths.check()
    if not (paths.build / "portlock").is_file() or programs.PROGRAMS.missing(paths):
        raise HarnessError("run `make portlock` and `make programs` first.")
    guest = guests.build(paths, lambda what: None, with_tests=False)
    archive = Archive()
    archive.file("bin/portlock", paths.build / "portlock")
    archive.file("selftests/recording/recording.sh", TESTS / "guest/recording.sh")
    plan = guests.plan("test", {}, [f"recording recording.sh {LIMIT}"])
    machine = Machine(paths, "recording", "landlock,portlock", guest.archive + archive.finish() + programs.archive(paths) + plan)
    began = time.monotonic()
    late = machine.run(lambda running: f"the guest did not end in {LIMIT} s" if time.monotonic() - began > LIMIT else None)
    lines = machine.ports["results"].lines(last=True)
    machine.close()
    if late:
        raise HarnessError(late)
    # The guest's own heading comes first.
    return lines[lines.index("# program recording/recording.sh") + 1:]


def draw(lines: list[str]) -> str:
    """A picture of the lines."""
    columns = max(len(_LOOK.sub("", line)) for line in lines)
    width, height = round(columns * WIDTH) + 2 * EDGE, len(lines) * HEIGHT + 2 * EDGE
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        'xml:space="preserve">',
        "<!-- SPDX-License-Identifier: GPL-2.0 -->",
        "<!-- Made by scripts/recording.py. -->",
        "<title>portlock watch and portlock learn on a terminal</title>",
        "<style>text { font: 14px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #d8dee9 }",
        ".b { font-weight: bold; fill: #fff } .r { fill: #ff7b72 } .y { fill: #e3b341 } .m { fill: #e39bf0 }</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#1b2028" stroke="#57606a"/>',
        *(f'<text x="{EDGE}" y="{EDGE + number * HEIGHT + 14}">{"".join(_spans(line))}</text>' for number, line in enumerate(lines) if line),
        "</svg>", ""])


def _spans(line: str) -> Iterator[str]:
    """The parts of a line, each with its look."""
    look: list[str] = []
    for number, part in enumerate(_LOOK.split(line)):
        if number % 2:
            for code in part.split(";"):
                look = [] if code in ("", "0") else [*look, _CLASSES[code]]
        elif part:
            text = html.escape(part, quote=False)
            yield f'<tspan class="{" ".join(look)}">{text}</tspan>' if look else text


def main() -> int:
    """Returns the exit status."""
    build = REPOSITORY / "build"
    try:
        lines = record(Paths(build / "kernel/arch/x86/boot/bzImage", build / "linux", build))
    except HarnessError as error:
        print(f"recording.py: {error}", file=sys.stderr)
        return 1
    PICTURE.write_text(draw(lines), "utf-8")
    print("\n".join(_LOOK.sub("", line) for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
