# SPDX-License-Identifier: GPL-2.0
"""Parses KTAP, the format of kselftest and KUnit (Documentation/dev-tools/ktap.rst)."""

import re
from dataclasses import dataclass, field

_RESULT = re.compile(
    r"^(?P<indent> *)(?P<verdict>ok|not ok)\b *(?P<number>\d+)? *(?:- )?(?P<name>.*?)"
    r"(?: *# *(?P<directive>SKIP|XFAIL|XPASS|TODO|TIMEOUT|ERROR)\b:? *(?P<reason>.*))?$",
    re.IGNORECASE,
)
_PLAN = re.compile(r"^(?P<indent> *)1\.\.(?P<count>\d+)(?: *# *SKIP\b:? *(?P<reason>.*))?$", re.IGNORECASE)
_SUBTEST = re.compile(r"^(?P<indent> *)# Subtest: (?P<name>.*)$")
_RUN = re.compile(r"^# +RUN +(?P<name>\S+) \.\.\.$")

# How many lines of a failed test are kept. The log file has all of them.
KEPT_LINES = 40

PASS, FAIL, SKIP = "pass", "fail", "skip"


@dataclass
class Case:
    """One result, a leaf of the tree."""

    name: str
    verdict: str
    reason: str = ""
    lines: list[str] = field(default_factory=list)


class Parser:
    """Takes lines one by one, and appends each result to `cases`."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        #: The number of tests announced at the outermost level, if it was announced.
        self.plan: int | None = None
        #: Why everything is skipped, when the plan is `1..0 # SKIP reason`.
        self.skip_all: str | None = None
        #: The reason given with `Bail out!`.
        self.bailed: str | None = None
        #: The test that has started and not yet ended.
        self.running: str | None = None
        self._outer_results = 0
        self._lines: list[str] = []
        # Names of the subtests that enclose this line, each with its results' indentation.
        self._enclosing: list[tuple[int, str]] = []
        # For each enclosing level: [results seen, failures seen] below it.
        self._below: list[list[int]] = []

    @property
    def outer_results(self) -> int:
        """The number of results at the outermost level, to compare with the plan."""
        return self._outer_results

    @property
    def pending_lines(self) -> list[str]:
        """The lines since the last result."""
        return list(self._lines)

    def feed(self, line: str) -> None:
        """Take one line, without its newline."""
        if match := _RESULT.match(line):
            self._result(match)
        elif match := _PLAN.match(line):
            if not match["indent"]:
                self.plan = int(match["count"])
                if match["reason"] is not None:
                    self.skip_all = match["reason"] or "no reason given"
        elif match := _SUBTEST.match(line):
            self._leave(len(match["indent"]) - 1)
            self._enclosing.append((len(match["indent"]), match["name"].strip()))
            self._below.append([0, 0])
        elif line.startswith("Bail out!"):
            self.bailed = line.removeprefix("Bail out!").strip() or "no reason given"
        else:
            if match := _RUN.match(line):
                self.running = match["name"]
                self._lines = []
            self._lines.append(line)
            if len(self._lines) > KEPT_LINES:
                del self._lines[1:2]

    def _leave(self, indent: int) -> list[int] | None:
        """Leave the subtests that are indented deeper than `indent`. Returns the counts of the outermost one."""
        below = None
        while self._enclosing and self._enclosing[-1][0] > indent:
            self._enclosing.pop()
            below = self._below.pop()
        return below

    def _result(self, match: re.Match[str]) -> None:
        indent = len(match["indent"])
        # A result ends the subtests that are indented deeper: it is the result of their parent.
        below = self._leave(indent)
        if indent > (self._enclosing[-1][0] if self._enclosing else 0):
            # A subtest without a header.
            self._enclosing.append((indent, ""))
            self._below.append([0, 0])
        failed = match["verdict"].lower() == "not ok"
        directive = (match["directive"] or "").upper()
        if directive == "SKIP":
            verdict = SKIP
        elif directive in ("XFAIL", "TODO"):
            verdict = PASS
        elif directive == "XPASS":
            # Upstream prints `ok` here and does not count it as a pass: the test expected to fail.
            verdict = FAIL
        else:
            verdict = FAIL if failed else PASS
        if indent == 0:
            self._outer_results += 1
        # Only leaves count. A parent counts only if it failed and none of its subtests did.
        parent_of_results = below is not None and below[0] > 0
        if not parent_of_results or (verdict == FAIL and below is not None and below[1] == 0):
            enclosing = [name for _, name in self._enclosing if name]
            name = match["name"].strip() or f"#{match['number'] or self._outer_results}"
            lines = self._lines if verdict == FAIL else []
            self.cases.append(Case(".".join([*enclosing, name]), verdict, match["reason"] or "", lines))
        if self._below:
            self._below[-1][0] += 1
            self._below[-1][1] += verdict == FAIL
        self.running = None
        self._lines = []
