#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Checks that the files of a Rust crate import each other in one direction only.

The first comment of the crate's root lists the files, one a line, "- `name`: what it is". A file may import those that
are listed below it. Items of the root itself may be used everywhere. Modules of unit tests may import what they like, and
so may a file that only the unit tests compile; no other file may import that one, unless the list has it.

  layers.py ROOT.rs

The exit status is zero only if the list is true.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

# What is blanked before the code is read: comments, strings and characters. A lifetime is not a character.
_NOT_CODE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|\bb?r(?P<hashes>#*)".*?"(?P=hashes)|"(?:\\.|[^"\\])*"|'(?:\\[^\n]+?|[^'\\\n])'""", re.DOTALL)

_TEST_ONLY = r"#\[cfg\(CONFIG_\w*KUNIT\w*\)\]"

# A module in a file of its own, or the start of one in this file.
_TEST_FILE = re.compile(_TEST_ONLY + r"\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;")
_TEST_MODULE = re.compile(_TEST_ONLY + r"\s*(?:#\[[^]]*\]\s*)*mod\s+\w+\s*\{")

# At the top of a file, `super` is the root too.
_FROM_ROOT = re.compile(r"(?:\bcrate|\bsuper)\s*::\s*")

_TOKEN = re.compile(r"\w+|[{},]")


def _blank(text: str) -> str:
    """As many blanks and line ends, so that every place keeps its line."""
    return re.sub(r"[^\n]", " ", text)


def _code(source: str) -> str:
    return _NOT_CODE.sub(lambda match: _blank(match[0]), source)


def _without_tests(code: str) -> str:
    """The code with its modules of unit tests blanked."""
    while match := _TEST_MODULE.search(code):
        depth, end = 1, match.end()
        while depth and end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        code = code[:match.start()] + _blank(code[match.start():end]) + code[end:]
    return code


def _first_names(code: str, start: int) -> Iterator[tuple[int, str]]:
    """The paths below the root that begin at `start`, which may be several in braces: the place and the first name of each."""
    depth, begins = 0, True
    for token in _TOKEN.finditer(code, start):
        if token[0] == "{":
            depth, begins = depth + 1, depth == 0
        elif token[0] == "}":
            depth -= 1
        elif token[0] == ",":
            begins = depth == 1
        elif begins:
            yield token.start(), token[0]
            begins = False
        if depth <= 0:
            return


def _listed(source: str) -> list[str]:
    """The files that the root's first comment lists, from the top down."""
    return re.findall(r"^//! - `(\w+)(?:\.rs)?`:", source, re.MULTILINE)


def check(root: Path) -> list[str]:
    """What is wrong, a sentence each."""
    page = root.read_text("utf-8")
    files = {file.stem: file for file in sorted(root.parent.glob("*.rs"))}
    listed = _listed(page)
    only_tests = set(_TEST_FILE.findall(_code(page))) - set(listed)
    wrong = [f"{root}: the list names {name}, and there is no {name}.rs." for name in dict.fromkeys(listed) if name not in files]
    wrong += [f"{root}: the list names {name} twice." for name in dict.fromkeys(listed) if listed.count(name) > 1]
    wrong += [f"{file}: the list in {root.name} does not name it." for name, file in files.items()
              if name not in listed and name not in only_tests]
    for name, file in files.items():
        if name not in listed:
            continue
        code = _without_tests(_code(file.read_text("utf-8")))
        for start in _FROM_ROOT.finditer(code):
            for place, imported in _first_names(code, start.end()):
                line = f"{file}:{code.count(chr(10), 0, place) + 1}"
                if imported in only_tests:
                    wrong.append(f"{line}: {name} imports {imported}, which only the unit tests compile.")
                elif imported in listed and listed.index(imported) < listed.index(name):
                    wrong.append(f"{line}: {name} imports {imported}, which the list in {root.name} has above it.")
    return wrong


def main() -> int:
    """Checks the root that the command names."""
    if len(sys.argv) != 2:
        print("usage: layers.py ROOT.rs", file=sys.stderr)
        return 2
    wrong = check(Path(sys.argv[1]))
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
