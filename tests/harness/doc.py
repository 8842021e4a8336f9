# SPDX-License-Identifier: GPL-2.0
"""Takes the complete programs out of a page of the documentation, so that they are compiled and tried."""

import re
import textwrap

# A block of code with a name is a program; one without is a fragment.
_PROGRAM = re.compile(r"^\.\. code-block:: c\n {4}:name: (?P<name>[a-z]+)\n\n(?P<text>(?:(?: .*)?\n)+)", re.MULTILINE)


def programs(page: str) -> dict[str, str]:
    """The programs of a page in reStructuredText, by name."""
    return {found["name"]: textwrap.dedent(found["text"]).strip() + "\n" for found in _PROGRAM.finditer(page)}
