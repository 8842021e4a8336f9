# SPDX-License-Identifier: GPL-2.0
"""Takes the complete programs out of a page of the documentation, so that they are compiled and tried."""

import re
import textwrap

# How the file of a program ends, by its language.
_SUFFIXES = {"c": ".c", "rust": ".rs"}

# A block of code with a name is a program; one without is a fragment.
_PROGRAM = re.compile(rf"^\.\. code-block:: (?P<language>{'|'.join(_SUFFIXES)})\n {{4}}:name: (?P<name>[a-z]+(?:-[a-z]+)*)\n\n"
                      r"(?P<text>(?:(?: .*)?\n)+)", re.MULTILINE)


def programs(page: str) -> dict[str, str]:
    """The programs of a page in reStructuredText, by the names of their files."""
    return {found["name"] + _SUFFIXES[found["language"]]: textwrap.dedent(found["text"]).strip() + "\n"
            for found in _PROGRAM.finditer(page)}
